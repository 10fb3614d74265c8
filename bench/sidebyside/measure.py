"""Measure the rows of the results page.

The input is the name of a row and an `Effort`. The output is one `Result`, `Limit` or `Curve` per row, or a dict of seconds. Each
library runs in its own process. In each round, every process measures once, so that a slow phase of the machine affects all of
them; ratios are computed within a round.
"""

from dataclasses import dataclass, replace
from importlib import metadata, util
from statistics import median

from .everyday import (
    AFTER_ROWS,
    BUSY_ROWS,
    CALLS,
    FITS,
    LIBRARIES_WITH_THREADS,
    N_BUSY,
    N_THREADS,
    TURN_ROWS,
    WORK_IN_TURNS,
    BusyProcesses,
)
from .remote import Remote
from .works import PEERS, SPARSE_WORKS, WORKS, data, is_quick, loss

TRAINERS = {
    "fastbp": "train_sklearn:FastbpTrainer",
    "scikit-learn": "train_sklearn:SklearnTrainer",
    "JAX": "train_jax:JaxTrainer",
    "torch": "train_torch:TorchTrainer",
}
JAX_SHUFFLES = "train_jax:ShufflingJaxTrainer"
PACKAGES = {"fastbp": "fastbp", "scikit-learn": "sklearn", "JAX": "jax", "torch": "torch"}
# The points of the two curves.
N_ROWS = (1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
DEPTHS = (1, 2, 3, 4, 6, 8, 10, 12, 14, 16)


@dataclass(frozen=True)
class Effort:
    """How much to measure: rounds, seconds per timing, maximum epochs per timing, and updates before losses are compared."""

    rounds: int = 7
    seconds: float = 0.4
    most_epochs: int = 3000
    loss_updates: int = 200


QUICK = Effort(1, 0.0, 1, 2)


@dataclass(frozen=True)
class Result:
    """The results of one row: the seconds of each peer in each round, goals and notes.

    `goals[peer]` is the minimum of the time of the peer divided by the time of fastbp. `notes` are the losses, which show whether
    the peers did the same work.
    """

    name: str
    seconds: dict[str, list[float]]
    goals: dict[str, float]
    notes: dict[str, str]
    n_epochs: int = 0
    n_threads: int = 1

    def median(self, peer):
        return median(self.seconds[peer])

    def ratios(self, peer):
        """How many times faster fastbp was in each round."""
        return [theirs / ours for theirs, ours in zip(self.seconds[peer], self.seconds["fastbp"], strict=True)]

    def ratio(self, peer):
        return median(self.ratios(peer))


@dataclass(frozen=True)
class Limit:
    """Seconds in each round for the matrix products of a step and for the whole step on one thread.

    `n_products` is the number of multiply-adds of a step, `peak` the multiply-adds per second of one core in each round, and `goal`
    the minimum of the time of BLAS divided by the time of the whole step.
    """

    name: str
    dtype: str
    n_products: int
    blas: list[float]
    tiles: list[float]
    step: list[float]
    peak: list[float]
    goal: float | None

    @property
    def ratio(self):
        return median(blas / step for blas, step in zip(self.blas, self.step, strict=True))

    def share(self, seconds):
        """The fraction of the highest measured multiply-add rate of one core."""
        return self.n_products / median(seconds) / max(self.peak)


@dataclass(frozen=True)
class Curve:
    """Seconds per epoch for different sizes, and the straight line that minimizes the sum of squared relative deviations."""

    name: str
    unit: str
    at: list[float]
    seconds: list[float]
    line: list[float]

    @property
    def deviations(self):
        """The relative deviations from the line."""
        return [seconds / on_line - 1 for seconds, on_line in zip(self.seconds, self.line, strict=True)]


def peers_here():
    """The peers that are installed."""
    return [peer for peer in PEERS if util.find_spec(PACKAGES[peer])]


def versions():
    return [f"{peer} {metadata.version(PACKAGES[peer])}" for peer in peers_here() if peer in ("JAX", "torch")]


def _in_turns(effort, ask):
    """Call each function once per round; return {name: [result of each round]}."""
    answers = {name: [] for name in ask}
    for _ in range(effort.rounds):
        for name, function in ask.items():
            answers[name].append(function())
    return answers


class _Processes:
    """A context manager that holds `Remote` objects by name and closes them at the end."""

    def __enter__(self):
        self.all = {}
        return self

    def __exit__(self, *error):
        for remote in self.all.values():
            remote.close()

    def start(self, name, target, *arguments, **options):
        self.all[name] = Remote(f"sidebyside.{target}", *arguments, **options)
        return self.all[name]


# ---------------------------------------------------------------------- training


def train(name, effort, peers=None):
    """Time the training steps of a network; return (Result, Limit). For sparse inputs, None is returned instead of a Limit."""
    work = {**WORKS, **SPARSE_WORKS}[name]
    peers = [peer for peer in peers or peers_here() if peer == "fastbp" or peer in work.goals]
    X, y = data(work)
    n_epochs = max(1, effort.loss_updates * work.batch_size // len(y))
    with _Processes() as processes:
        for peer in peers:
            n_threads = None if peer == "JAX" else work.n_threads
            processes.start(peer, TRAINERS[peer], work, X, y, n_threads=n_threads)
        trained = {peer: processes.all[peer].call("train", n_epochs) for peer in peers}
        losses = {peer: f"{loss(work, weights, X, y):.5f}" for peer, weights in trained.items()}
        del trained
        ask = {peer: processes.all[peer] for peer in peers}
        if not work.non_zeros:
            if work.n_threads > 1:
                ask["one thread"] = processes.start("one thread", TRAINERS["fastbp"], replace(work, n_threads=1), X, y)
            processes.start("products", "products:Products", work).call("calibrate", effort.seconds)
        for remote in ask.values():
            remote.call("calibrate", effort.seconds, effort.most_epochs)
        functions = {who: lambda remote=remote: remote.call("seconds_per_step") for who, remote in ask.items()}
        if not work.non_zeros:
            products = processes.all["products"]
            functions |= {what: lambda what=what: products.call(what) for what in ("seconds_by_blas", "seconds_by_tiles", "peak")}
        seconds = _in_turns(effort, functions)
    goals = {peer: goal for peer, goal in work.goals.items() if peer in peers}
    result = Result(name, {peer: seconds[peer] for peer in peers}, goals, losses, n_epochs, work.n_threads)
    if work.non_zeros:
        return result, None
    step = seconds.get("one thread", seconds["fastbp"])
    products = (seconds[what] for what in ("seconds_by_blas", "seconds_by_tiles"))
    return result, Limit(name, work.dtype, work.n_products, *products, step, seconds["peak"], work.limit)


# ---------------------------------------------------------------------- fits and predictions


def _call(name, effort, target, goal, *arguments):
    """Time a `Repeated` in fastbp and scikit-learn; return a Result. For a default fit, the notes are loss and epochs."""
    with _Processes() as processes:
        both = {library: processes.start(library, f"calls:{target}", library, *arguments) for library in ("fastbp", "scikit-learn")}
        for remote in both.values():
            remote.call("calibrate", effort.seconds)
        seconds = _in_turns(effort, {library: lambda remote=remote: remote.call("seconds") for library, remote in both.items()})
        notes = {}
        if target == "DefaultFit":
            quality = {library: remote.call("quality") for library, remote in both.items()}
            notes = {library: f"{value:.5f} after {n_iter}" for library, (value, n_iter) in quality.items()}
    return Result(name, seconds, {"scikit-learn": goal}, notes)


def default_fit(table, goal, effort):
    return _call(f"default fit of {table}, float64", effort, "DefaultFit", goal, table)


def predict(n_rows, goal, effort):
    rows = "one row" if n_rows == 1 else f"{n_rows:,} rows"
    return _call(f"predict of {rows} through 20-100-100-4", effort, "Predict", goal, n_rows)


def memory_of_predict(library, n_rows):
    """The peak memory in bytes that `predict` needs in addition to its input, in a new process."""
    with Remote("sidebyside.calls:Predict", library, n_rows) as remote:
        return remote.call("growth")


# ---------------------------------------------------------------------- everyday use

FITS_PER_ROUND = 4  # to have enough fits in the slowest quarter


def everyday_calls(names, effort):
    """Time rows of `CALLS` in fastbp and scikit-learn, with default numbers of threads; yield one Result per row."""
    with _Processes() as processes:
        both = {
            library: processes.start(library, "everyday_calls:Caller", library, n_threads=None)
            for library in ("fastbp", "scikit-learn")
        }
        for name in names:
            for remote in both.values():
                remote.call("prepare", name, effort.seconds)
            seconds = _in_turns(effort, {library: lambda remote=remote: remote.call("seconds") for library, remote in both.items()})
            yield Result(name, seconds, {"scikit-learn": CALLS[name].goal}, {})


def busy_fits(names, effort):
    """Time the fits of rows of `BUSY_ROWS` in turns; yield (row, {"one thread" or a key of `N_THREADS`: [seconds of each fit]})."""
    ways = {"one thread": 1, **N_THREADS}
    with Remote("sidebyside.everyday_calls:ThreadedFits", n_threads=None) as remote:
        ask = {way: lambda n=n: remote.call("seconds", n) for way, n in ways.items()}
        for name in names:
            fit, state = BUSY_ROWS[name]
            remote.call("prepare", FITS[fit])
            with BusyProcesses(N_BUSY[state]):
                seconds = _in_turns(_more(effort), ask)
            yield name, seconds


def fits_after_call(name, effort):
    """Time a fit alone and after a call of another library, in turns; return {"alone" or "after": [seconds of each fit]}."""
    with Remote("sidebyside.everyday_calls:FitsAfterCall", AFTER_ROWS[name], n_threads=None) as remote:
        methods = {"alone": "seconds_alone", "after": "seconds_after_call"}
        return _in_turns(_more(effort), {when: lambda method=method: remote.call(method) for when, method in methods.items()})


def after_rows_here():
    """The rows of `AFTER_ROWS` whose library is installed."""
    return [name for name, library in AFTER_ROWS.items() if util.find_spec(LIBRARIES_WITH_THREADS[library])]


def turns_with_peer(name, effort):
    """Time epochs of fastbp and a peer, each in its own process and both in one process; return a Result for each case."""
    peer = TURN_ROWS[name]
    groups = [("fastbp",), (peer,), ("fastbp", peer)]
    with _Processes() as processes:
        ask = {}
        for group in groups:
            trainers = {one: TRAINERS[one] for one in group}
            remote = processes.start(group, "everyday_calls:TrainersInTurns", trainers, n_threads=None)
            ask[group] = lambda remote=remote: remote.call("seconds")
        alone, others, together = _in_turns(_more(effort), ask).values()
    n_threads = WORKS[WORK_IN_TURNS].n_threads
    apart = [ours | theirs for ours, theirs in zip(alone, others, strict=True)]
    return [
        Result(name, {one: [seconds[one] for seconds in rounds] for one in groups[-1]}, {}, {}, 1, n_threads)
        for rounds in (apart, together)
    ]


def turn_rows_here():
    """The rows of `TURN_ROWS` whose peer is installed."""
    return [name for name, peer in TURN_ROWS.items() if peer in peers_here()]


def _more(effort):
    return replace(effort, rounds=FITS_PER_ROUND * effort.rounds)


# ---------------------------------------------------------------------- cross-validation

WAYS = {
    "n_jobs=1, one thread": (1, 1),
    "n_jobs=1, two threads": (1, 2),
    "n_jobs=2, n_threads not given": (2, None),
}


def cross_validation(effort, wanted=24.0):
    """Time a cross-validation that takes about `wanted` seconds on one thread; return {way: [seconds of each round]}.

    Each measurement runs in a new process.
    """
    wanted = 0.0 if is_quick() else wanted

    def measure(way, n_epochs):
        with Remote("sidebyside.calls:CrossValidation", n_epochs, n_threads=None) as remote:
            return remote.call("seconds", *WAYS[way])

    first = next(iter(WAYS))
    n_epochs = 1
    if wanted:
        per_epoch = (measure(first, 9) - measure(first, 1)) / 8
        n_epochs = max(1, round(wanted / per_epoch))
    rounds = min(effort.rounds, 3)  # each round takes a minute
    return _in_turns(replace(effort, rounds=rounds), {way: lambda way=way: measure(way, n_epochs) for way in WAYS})


# ---------------------------------------------------------------------- time of an epoch for different sizes


def curve_over_rows(effort):
    return _curve("rows", "20-100-1, batches of 200, Adam", N_ROWS[:2] if is_quick() else N_ROWS, effort)


def curve_over_depth(effort):
    return _curve("hidden layers", "20-100-…-100-1, batches of 200, Adam, 4,000 rows", DEPTHS[:2] if is_quick() else DEPTHS, effort)


def _curve(unit, name, points, effort):
    with Remote("sidebyside.growth:Growth", unit, points) as remote:
        remote.call("calibrate", effort.seconds, effort.most_epochs)
        answers = _in_turns(effort, {at: lambda i=i: remote.call("seconds", i) for i, at in enumerate(points)})
    seconds = [median(answers[at]) for at in points]
    return Curve(name, unit, list(points), seconds, straight_line(points, seconds))


def straight_line(at, seconds):
    """The values of the line a + b·x that minimizes the sum of squared relative deviations."""
    import numpy as np

    x, y = np.array(at, float), np.array(seconds)
    design = np.stack([np.ones_like(x), x], axis=1)
    solution = np.linalg.lstsq(design / y[:, None], np.ones_like(y), rcond=None)[0]
    return list(design @ solution)
