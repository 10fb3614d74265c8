"""Compare times and memory: the same number of epochs in fastbp and its reference, and default fits with CatBoost.

Each method runs in a process of its own. The processes take turns, and ratios are computed within a round, so that a slow phase of
the machine affects both. The rows of Markdown tables come out.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from math import isnan, nan
from statistics import median

from sidebyside.remote import Remote

from . import methods, tables

FIT = "tabular.fit:Fit"
TIME_GOALS = {"fastbp-realmlp-td-s": 8, "fastbp-realmlp-td": 6, "fastbp-tabm": 4}
BOOSTING_GOAL = 2
MEMORY_GOAL = 3
ROWS_FOR_BOOSTING = 6000
SHORT_EPOCHS = 2
MEBI = 2**20


@dataclass(frozen=True)
class Work:
    """What all measurements have in common."""

    folder: object = tables.FOLDER
    n_threads: int = 2
    rounds: int = 3
    most_rows: int | None = None
    epochs: int | None = None

    def process(self, table, method, **options):
        options = {"folder": self.folder, "most_rows": self.most_rows, "threads": self.n_threads, **options}
        return Remote(FIT, table, method, 0, n_threads=self.n_threads, **options)


@dataclass(frozen=True)
class Pair:
    """The seconds of short and long fits of a method and of its reference in each round, and their numbers of epochs."""

    table: str
    ours: list[tuple[float, float]]
    theirs: list[tuple[float, float]]
    short: int
    long: int

    def epoch_ratio(self):
        """The median ratio of the seconds per epoch: the difference between a long and a short fit leaves out the set-up.

        Rounds in which a long fit was not slower than a short one are left out; NaN if there are no others.
        """
        slopes = [(_slope(ours), _slope(theirs)) for ours, theirs in zip(self.ours, self.theirs, strict=True)]
        ratios = [theirs / ours for ours, theirs in slopes if min(ours, theirs) > 0]
        return median(ratios) if ratios else nan

    def fit_ratio(self):
        """The median ratio of the seconds of the long fits, with the set-up."""
        return median(theirs[1] / ours[1] for ours, theirs in zip(self.ours, self.theirs, strict=True))

    def row(self):
        n_epochs = self.long - self.short
        seconds = [median(_slope(times) for times in side) / n_epochs for side in (self.ours, self.theirs)]
        return [self.table, *(f"{value:.4g}" for value in seconds), f"{self.epoch_ratio():.2f}", f"{self.fit_ratio():.2f}"]


def _slope(times):
    short, long = times
    return long - short


def references():
    """{method of fastbp: its reference} where both are available."""
    known = methods.methods()
    pairs = {name: method.reference for name, method in known.items() if method.reference and method.is_available()}
    return {name: reference for name, reference in pairs.items() if known[reference].is_available()}


def measure_pair(work, table, ours, theirs, long):
    """A `Pair` of one table."""
    with work.process(table, ours) as our_process, work.process(table, theirs) as their_process:
        rounds = [
            [tuple(process.call("seconds", epochs) for epochs in (SHORT_EPOCHS, long)) for process in (our_process, their_process)]
            for _ in range(work.rounds)
        ]
    return Pair(table, *(list(side) for side in zip(*rounds, strict=True)), SHORT_EPOCHS, long)


PAIR_HEAD = ["table", "s per epoch", "reference", "ratio per epoch", "ratio of fits"]


def pair_summary(name, pairs):
    """The last row: the median ratios over the tables, and the goal."""
    goal = TIME_GOALS.get(name)
    ratios = [ratio for pair in pairs if not isnan(ratio := pair.epoch_ratio())]
    shown = "too few epochs"
    if ratios:
        shown = f"**{median(ratios):.2f}**" + (f" {'≥' if median(ratios) >= goal else '<'} {goal}" if goal else "")
    return ["median", "", "", shown, f"{median(pair.fit_ratio() for pair in pairs):.2f}"]


def compare_with_boosting(work, table, names):
    """{method: median seconds of a default fit} of CatBoost and the methods `names`, in turns, on 6,000 rows at most."""
    with ExitStack() as stack:
        processes = {name: stack.enter_context(work.process(table, name, most_rows=ROWS_FOR_BOOSTING)) for name in names}
        rounds = [{name: process.call("seconds", work.epochs) for name, process in processes.items()} for _ in range(work.rounds)]
    return {name: median(seconds[name] for seconds in rounds) for name in names}


def measure_memory(work, table, method, repeats):
    """The bytes of one fit of one epoch, with the training rows repeated `repeats` times, as a record."""
    with work.process(table, method, repeats=repeats) as process:
        return process.call("measure", work.epochs or 1)


MEMORY_HEAD = [
    "table", "method", "rows", "data MiB", "code MiB", "fit MiB", "(code + data + fit) ÷ data", "(data + fit) ÷ data",
]  # fmt: skip


def memory_row(table, method, record):
    """`code` is loaded by the first fit after the import of the package; `fit` is the increase during `fit` and `predict`."""
    data, code, fit = record["data_bytes"], record["code_bytes"], record["peak_bytes"] - record["before_bytes"]
    shares = [(code + data + fit) / data, (data + fit) / data]
    limits = [f"{share:.2f} {'≤' if share <= MEMORY_GOAL else '>'} {MEMORY_GOAL}" for share in shares]
    return [table, method, f"{record['n_train']:,}", *(f"{value / MEBI:.1f}" for value in (data, code, fit)), *limits]
