"""What each part of a configuration contributes: the error of a method with the part, divided by that of its base without it.

The records of single fits go in, and text comes out. `CHANGES` has all comparisons. The ratios are computed from the tables and
seeds that both methods have, and a ratio below 1 means that the change is an improvement.
"""

from dataclasses import dataclass
from math import exp, log
from statistics import mean, stdev

from sidebyside.report import table

from .report import mean_errors
from .tables import TASKS

_TWO = "fastbp-realmlp-td[n_ensemble=2]"
_WITH_RATE = "fastbp-realmlp-td[n_ensemble=2, learning_rate_init=0.08]"
_WITH_SCORING = "fastbp-realmlp-td[n_ensemble=2, scoring='neg_brier_score']"
_BEST_OF_TWO = "fastbp-realmlp-best[n_cv=1, n_ensemble=2]"


@dataclass(frozen=True)
class Change:
    """A comparison of `method` with `base`, both as texts for `methods.parse`, in the tables of one task."""

    what: str
    task: str
    method: str
    base: str


# Each step adds a part of the preset "best" to the step before it. Two networks take a third of the time of its six networks. They
# are trained on 80 % of the rows, like a network of the preset "td"; with n_cv=2, they would have half of the rows.
CHANGES = (
    *(Change("two networks with different validation rows instead of one", task, _TWO, "fastbp-realmlp-td") for task in TASKS),
    Change("the learning rate 0.08 instead of 0.2", "regression", _WITH_RATE, _TWO),
    Change("the best epoch by the Brier score instead of the accuracy", "classification", _WITH_SCORING, _TWO),
    Change("the piecewise-linear encoding in the second network", "regression", _BEST_OF_TWO, _WITH_RATE),
    Change("the piecewise-linear encoding in the second network", "classification", _BEST_OF_TWO, _WITH_SCORING),
    *(Change("all changes above together", task, _BEST_OF_TWO, "fastbp-realmlp-td") for task in TASKS),
)


def methods_of_task(task):
    """The methods that the comparisons of a task need, each once."""
    return list(dict.fromkeys(text for change in CHANGES if change.task == task for text in (change.base, change.method)))


def ratio_of_errors(records, change):
    """The ratio of the geometric means of the errors, its standard error over the tables, and the number of tables.

    The standard error is NaN for a single table; without records of both methods, the result is None.
    """
    errors = mean_errors(records, change.task, [change.method, change.base])
    logs = [log(row[change.method] / row[change.base]) for row in errors.values()]
    if not logs:
        return None
    ratio = exp(mean(logs))
    return ratio, ratio * stdev(logs) / len(logs) ** 0.5 if len(logs) > 1 else float("nan"), len(logs)


def ablation_page(records, environment):
    """The text of the page. `environment` is a line about the machine and the versions."""
    cells: dict[str, dict[str, str]] = {}
    for change in CHANGES:
        found = ratio_of_errors(records, change)
        cells.setdefault(change.what, {})
        if found is not None:
            cells[change.what][change.task] = f"{found[0]:.3f} ± {found[1]:.3f} ({found[2]})"
    rows = [[what, *(of_tasks.get(task, "–") for task in TASKS)] for what, of_tasks in cells.items()]
    note = "Ratios of the geometric means of the errors ± their standard errors over the tables (number of tables).\n"
    return "\n".join(["# Parts of the preset best\n", f"{environment}.\n", table(["change", *TASKS], rows), note])
