"""The results page as Markdown, from the records of single fits.

A list of records goes in, and text comes out. Methods are compared on the tables and seeds that all of them have, so that a part of
the results also gives correct comparisons.
"""

from dataclasses import dataclass
from math import exp, log
from statistics import mean, median

from sidebyside.report import table

from .tables import CALIFORNIA, TASKS

BOOSTING = ("catboost", "lightgbm", "xgboost")
TITLES = {"classification": "1 − accuracy", "regression": "RMSE ÷ standard deviation of the test targets"}
CONTROL = "fastbp-mlp"
CALIFORNIA_GOALS = {"fastbp-realmlp-td": 0.46, "fastbp-tabm": 0.43}
MEBI = 2**20


@dataclass(frozen=True)
class Goal:
    """A figure and the limit that it must not exceed, or must be below if `strict`."""

    what: str
    figure: float
    limit: float
    strict: bool = False

    def is_reached(self):
        return self.figure < self.limit or (self.figure == self.limit and not self.strict)

    def row(self):
        sign = "<" if self.strict else "≤"
        return [self.what, f"{self.figure:.4g}", f"{sign} {self.limit:.4g}", "yes" if self.is_reached() else "no"]


# ---------------------------------------------------------------------- figures


def methods_of(records, task=None):
    """The methods that have records, in the order of the records."""
    return list(dict.fromkeys(record["method"] for record in records if task in (None, record["task"])))


def by_table(records, task):
    """{table: {method: {seed: record}}} of one task."""
    found = {}
    for record in records:
        if record["task"] == task:
            found.setdefault(record["table"], {}).setdefault(record["method"], {})[record["seed"]] = record
    return found


def mean_errors(records, task, methods):
    """{table: {method: error}} of the tables that have records of all these methods.

    Each error is the mean of the seeds that all these methods have. An error of 0 has no logarithm, so an error is at least half a
    wrong prediction in all test rows of these seeds; in practice, this applies to classes only.
    """
    errors = {}
    for name, found in by_table(records, task).items():
        seeds = set.intersection(*(set(found.get(method, ())) for method in methods))
        if seeds:
            least = 0.5 / sum(found[methods[0]][seed]["n_test"] for seed in seeds) if task == "classification" else 0.0
            errors[name] = {method: max(least, mean(found[method][seed]["error"] for seed in seeds)) for method in methods}
    return errors


def geometric_mean(values):
    values = list(values)
    return exp(mean(map(log, values)))


def geometric_means(records, task, methods):
    """({method: geometric mean of the errors}, number of tables) for the tables and seeds that all these methods have."""
    errors = mean_errors(records, task, methods)
    if not errors:
        return {}, 0
    return {method: geometric_mean(row[method] for row in errors.values()) for method in methods}, len(errors)


def ratios_of_times(records, method, reference, field="fit_seconds"):
    """The time of `reference` divided by the time of `method`, for each table and seed that both have from the same run."""
    times = {(record["table"], record["seed"], record["run"], record["method"]): record[field] for record in records}
    pairs = [(times[key], times.get((*key[:3], reference))) for key in times if key[3] == method]
    return [theirs / ours for ours, theirs in pairs if theirs is not None]


def is_preset(method):
    """Whether this is a method of fastbp with default parameters, other than scikit-learn's network."""
    return method.startswith("fastbp-") and method != CONTROL and "[" not in method


def goals(records):
    """The goals whose methods have records."""
    return [*_goals_of_boosting(records), *_goals_of_pytabkit(records), *_goals_of_california(records)]


def _goals_of_boosting(records):
    for task in TASKS:
        for peer in BOOSTING:
            means = {ours: geometric_means(records, task, [ours, peer]) for ours in methods_of(records, task) if is_preset(ours)}
            means = {ours: found for ours, (found, _) in means.items() if found}
            if means:
                best = min(means, key=lambda ours: means[ours][ours] / means[ours][peer])
                yield Goal(f"{task}: {best}, compared with {peer}", means[best][best], means[best][peer], strict=True)


def _goals_of_pytabkit(records):
    for task in TASKS:
        found, _ = geometric_means(records, task, ["fastbp-realmlp-td", "pytabkit-realmlp-td"])
        if found:
            yield Goal(f"{task}: fastbp-realmlp-td, compared with pytabkit-realmlp-td", *found.values())


def _goals_of_california(records):
    for method, limit in CALIFORNIA_GOALS.items():
        values = [record["rmse"] for record in records if record["table"] == CALIFORNIA and record["method"] == method]
        if values:
            yield Goal(f"California housing, RMSE of {method}, {len(values)} seeds", mean(values), limit)


# ---------------------------------------------------------------------- the page


def page(records, environment):
    """The text of the page. `environment` is a line about the machine and the versions."""
    parts = ["# Estimators for tables compared with gradient boosting and pytabkit\n", f"{environment}.\n"]
    parts += [part for task in TASKS for part in errors_section(records, task)]
    parts += [*california_section(records), *times_section(records), *goals_section(records)]
    return "\n".join(parts)


def errors_section(records, task):
    methods = methods_of(records, task)
    if not methods:
        return []
    rows = [error_row(name, found, methods) for name, found in sorted(by_table(records, task).items())]
    means, n_tables = geometric_means(records, task, methods)
    if means:
        rows.append([f"geometric mean of {_count(n_tables, 'table')}", "", "", *(f"{means[method]:.4f}" for method in methods)])
    rows += ratio_rows(records, task, methods)
    head = ["table", "training rows", "seeds", *methods]
    note = (
        "Each error is the mean of the seeds of that method. Geometric means and ratios use only the tables and seeds that the "
        "compared methods have in common.\n"
    )
    return [f"## {task.capitalize()}: {TITLES[task]}\n", table(head, rows), note]


def error_row(name, found, methods):
    """The mean errors of all methods; the least one is bold."""
    errors = {method: mean(record["error"] for record in seeds.values()) for method, seeds in found.items()}
    first = next(iter(next(iter(found.values())).values()))
    counts = sorted({len(seeds) for seeds in found.values()})
    shown = [f"{errors[method]:.4f}" if method in errors else "–" for method in methods]
    best = min(errors.values())
    shown = [f"**{text}**" if errors.get(method) == best else text for method, text in zip(methods, shown, strict=True)]
    return [name, f"{first['n_train']:,}", "–".join(map(str, {counts[0]: 0, counts[-1]: 0})), *shown]


def ratio_rows(records, task, methods):
    """The geometric mean of each method divided by that of a boosting method, on the tables that both have."""
    for peer in BOOSTING:
        if peer not in methods:
            continue
        cells = []
        for method in methods:
            means, n_tables = geometric_means(records, task, [method, peer])
            cells.append(f"{means[method] / means[peer]:.3f} ({n_tables})" if means else "–")
        yield [f"÷ {peer} (tables)", "", "", *cells]


def california_section(records):
    chosen = [record for record in records if record["table"] == CALIFORNIA]
    rows = []
    for method in methods_of(chosen):
        values = [record["rmse"] for record in chosen if record["method"] == method]
        rows.append([method, str(len(values)), f"{mean(values):.4f}", f"{min(values):.4f}", f"{max(values):.4f}"])
    if not rows:
        return []
    head = ["method", "seeds", "mean", "lowest", "highest"]
    return ["## California housing: RMSE in units of 100,000 dollars\n", table(head, rows)]


def times_section(records):
    rows = []
    for method in methods_of(records):
        own = [record for record in records if record["method"] == method]
        ratios = [ratios_of_times(records, peer, method) for peer in BOOSTING]
        seconds = median(record["fit_seconds"] for record in own)
        per_thousand = median(1000 * record["fit_seconds"] / record["n_train"] for record in own)
        predict = median(1e6 * record["predict_seconds"] / record["n_test"] for record in own)
        memory = median((record["peak_bytes"] - record["before_bytes"]) / MEBI for record in own)
        cells = [f"{median(values):.3g}" if values else "–" for values in ratios]
        rows.append([method, str(len(own)), f"{seconds:.3g}", f"{per_thousand:.3g}", *cells, f"{predict:.3g}", f"{memory:.0f}"])
    if not rows:
        return []
    head = ["method", "fits", "s per fit", "s per 1,000 rows", *(f"time ÷ {peer}" for peer in BOOSTING), "µs per prediction", "MiB"]
    note = (
        "All figures are medians. The ratios compare fits of the same table and seed in the same run. MiB is the largest increase "
        "of the memory during `fit` and `predict`, after all code and the data were loaded.\n"
    )
    return ["## Seconds and memory\n", table(head, rows), note]


def goals_section(records):
    rows = [goal.row() for goal in goals(records)]
    return ["## Goals\n", table(["what", "measured", "goal", "reached"], rows)] if rows else []


def _count(number, noun):
    return f"{number} {noun}" + "s" * (number != 1)
