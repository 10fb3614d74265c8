"""Define the rows of the section "everyday use": single calls, fits while other processes are busy, and fits after other libraries.

Sizes and goals are defined here. `everyday_calls.py` contains the code that is timed, and `measure.py` runs it. `BusyProcesses`
starts the busy processes. This module imports no peer.
"""

import subprocess
import sys
from dataclasses import dataclass

from .works import PEERS


@dataclass(frozen=True)
class Call:
    """A call of fastbp and scikit-learn, with the default number of threads.

    `kind` is a class of `everyday_calls`, and `arguments` are its arguments after the library. `goal` states how many times faster
    than scikit-learn fastbp should be, and `most_seconds` the maximum time of fastbp, if there is a goal for it.
    """

    kind: str
    goal: float
    arguments: tuple
    most_seconds: float | None = None


def _rows(n_rows):
    return "1 row" if n_rows == 1 else f"{n_rows:,} rows"


def _partial_fit(estimator, n_rows, hidden, goal, most_seconds=None, dtype="float64"):
    sizes = "-".join(map(str, hidden))
    mark = "" if dtype == "float64" else f", {dtype}"
    name = f"partial_fit of {_rows(n_rows)}, {estimator} 20-{sizes}{mark}"
    return name, Call("PartialFit", goal, (estimator, n_rows, hidden, dtype), most_seconds)


def _lbfgs(n_rows, sizes, n_iter, goal):
    name = f"iteration of lbfgs, {_rows(n_rows)}, {'-'.join(map(str, sizes))}"
    return name, Call("LbfgsIteration", goal, (n_rows, sizes, n_iter))


def _predict(n_rows, hidden, dtype, goal):
    sizes = "-".join(map(str, hidden))
    mark = "" if dtype == "float64" else f", {dtype}"
    return f"predict of {_rows(n_rows)}, 20-{sizes}{mark}", Call("PredictRows", goal, (n_rows, hidden, dtype))


PARTIAL_FITS = dict(
    one
    for estimator in ("MLPRegressor", "MLPClassifier")
    for one in (
        _partial_fit(estimator, 1, (50,), 5),
        _partial_fit(estimator, 32, (50,), 5, most_seconds=120e-6),
        _partial_fit(estimator, 200, (100,), 5),
        _partial_fit(estimator, 32, (500, 500), 4),
        _partial_fit(estimator, 32, (500, 500), 4, dtype="float32"),
    )
)
LBFGS_ITERATIONS = dict(
    [
        _lbfgs(100, (2, 100, 100), 100, 8),
        _lbfgs(1000, (20, 100), 100, 6),
        _lbfgs(10_000, (20, 100, 100), 20, 5),
        _lbfgs(50_000, (50, 200, 200), 5, 3),
    ]
)
PREDICTIONS = dict(
    [
        *(_predict(100_000, (512, 512), dtype, 1.8) for dtype in ("float64", "float32")),
        *(_predict(n_rows, (100, 100), dtype, 3) for n_rows in (100_000, 1000) for dtype in ("float64", "float32")),
        *((f"predict of one row of {table}", Call("PredictOne", 3, (table,))) for table in ("iris", "wine", "diabetes")),
    ]
)
CALLS = {**PARTIAL_FITS, **LBFGS_ITERATIONS, **PREDICTIONS}


@dataclass(frozen=True)
class Fit:
    """A fit of a classifier of fastbp for exactly `n_epochs` epochs, to compare numbers of threads."""

    sizes: tuple[int, ...]
    batch_size: int
    n_rows: int
    n_epochs: int
    dtype: str = "float32"


FITS = {
    "30-256-256-4 b64": Fit((30, 256, 256, 4), 64, 4096, 5),
    "30-256-256-4 b64 float64": Fit((30, 256, 256, 4), 64, 4096, 5, "float64"),
    "30-32-4 b200": Fit((30, 32, 4), 200, 4000, 200),
}
N_BUSY = {"quiet machine": 0, "two busy processes": 2}
# The numbers of threads that are compared with one thread, and the maximum of the median and of the mean of the slowest quarter.
N_THREADS = {"n_threads=2": 2, "n_threads=None": None}
MOST_MEDIAN, MOST_WORST = 1.5, 2.0
BUSY_ROWS = {f"threads of {fit}, {state}": (fit, state) for fit in FITS for state in N_BUSY}

# The fit that is timed after a call of another library takes about as long as idle threads of OpenBLAS spin (20 to 30 ms).
FIT_AFTER_CALL = Fit((30, 256, 256, 4), 64, 4096, 1)
LIBRARIES_WITH_THREADS = {"BLAS of NumPy": "numpy", "torch": "torch", "JAX": "jax"}
AFTER_ROWS = {f"two threads after a call of {library}": library for library in LIBRARIES_WITH_THREADS}

# One epoch of this network takes about as long as idle threads spin. It is trained in turns with each of these peers, whose threads
# are those of BLAS (scikit-learn) or their own.
WORK_IN_TURNS = "50-256-256-256-5 b256 adam"
TURN_ROWS = {f"training in turns with {peer}": peer for peer in PEERS[1:]}


def worst_quarter(values):
    """The mean of the largest quarter of the values."""
    largest = sorted(values)[-max(1, len(values) // 4) :]
    return sum(largest) / len(largest)


# Each process ends when its parent process has ended.
_LOOP = """
import os
parent = os.getppid()
print(flush=True)
while os.getppid() == parent:
    sum(range(1_000_000))
"""


class BusyProcesses:
    """A context in which `n` Python processes use the processor without a pause."""

    def __init__(self, n):
        self.n, self.processes = n, []

    def __enter__(self):
        try:
            for _ in range(self.n):
                self.processes.append(subprocess.Popen([sys.executable, "-c", _LOOP], stdout=subprocess.PIPE))
            for process in self.processes:
                process.stdout.readline()  # the loop starts now
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error):
        for process in self.processes:
            process.kill()
            process.wait()
            process.stdout.close()
