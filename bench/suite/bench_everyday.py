"""Everyday use: calls of `partial_fit`, iterations of L-BFGS, predictions, and fits with two threads next to busy processes.

The rows are those of the section "everyday use" of `peers.py` (`sidebyside/everyday.py`). For the ratios to scikit-learn, each
library runs in its own process with its default number of threads, also of BLAS, and the two processes take turns. The benchmarks
named `time_…` run in this process, where BLAS and fastbp use one thread by default.
"""

from statistics import median

from sidebyside.everyday import BUSY_ROWS, LBFGS_ITERATIONS, PARTIAL_FITS, PREDICTIONS, worst_quarter
from sidebyside.everyday_calls import prepare
from sidebyside.measure import Effort, busy_fits, everyday_calls

from .common import profile, rounded


def _effort():
    return Effort(rounds=profile().rounds, seconds=profile().seconds)


def _measure(rows):
    """{row: (seconds of fastbp, how many times faster than scikit-learn)}."""
    return {result.name: (result.median("fastbp"), result.ratio("scikit-learn")) for result in everyday_calls(rows, _effort())}


def _ratios(seconds):
    """The median and the mean of the slowest quarter of the times of two threads, divided by the median time of one thread."""
    one, two = median(seconds["one thread"]), seconds["n_threads=2"]
    return median(two) / one, worst_quarter(two) / one


def _compared(cls):
    """Add the results of `_measure`, which `setup_cache` returns, to a class of benchmarks."""

    def track_ratio_to_sklearn(self, measured, name):
        return rounded(measured[name][1], 3)

    def track_seconds(self, measured, name):
        return rounded(measured[name][0], 3)

    track_ratio_to_sklearn.unit, track_seconds.unit = "times faster", "s"
    cls.track_ratio_to_sklearn, cls.track_seconds = track_ratio_to_sklearn, track_seconds
    return cls


@_compared
class PartialFit:
    """One call of `partial_fit`."""

    params = list(PARTIAL_FITS)
    param_names = ["call"]

    def setup_cache(self):
        return _measure(self.params)

    setup_cache.timeout = 900

    def setup(self, measured, name):
        self.prepared = prepare("fastbp", name)
        self.prepared.call()  # compiles

    def time_partial_fit(self, measured, name):
        self.prepared.call()


@_compared
class LbfgsIteration:
    """One iteration of a fit with solver='lbfgs': the time of a fit divided by its number of iterations."""

    params = list(LBFGS_ITERATIONS)
    param_names = ["fit"]

    def setup_cache(self):
        return _measure(self.params)

    setup_cache.timeout = 900


@_compared
class ThreadedPredict:
    """`predict` of many rows, and of one row of a small data set. `bench_predict` measures predictions with one thread."""

    params = list(PREDICTIONS)
    param_names = ["call"]

    def setup_cache(self):
        return _measure(self.params)

    setup_cache.timeout = 900


class TwoThreads:
    """The time of a fit with n_threads=2 divided by the median time with n_threads=1, on a quiet machine and with busy processes.

    Smaller is better.
    """

    params = list(BUSY_ROWS)
    param_names = ["fit"]

    def setup_cache(self):
        return {name: _ratios(seconds) for name, seconds in busy_fits(self.params, _effort())}

    setup_cache.timeout = 900

    def track_median(self, measured, name):
        return rounded(measured[name][0], 3)

    track_median.unit = "times one thread"

    def track_slowest_quarter(self, measured, name):
        return rounded(measured[name][1], 3)

    track_slowest_quarter.unit = "times one thread"
