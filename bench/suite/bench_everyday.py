"""Everyday use: single calls, and fits with two threads next to busy processes or after calls of other libraries.

The rows are those of the section "everyday use" of `peers.py` (`sidebyside/everyday.py`). For the ratios to scikit-learn, each
library runs in its own process with its default number of threads, also of BLAS, and the two processes take turns. The benchmarks
named `time_…` run in this process, where BLAS and fastbp use one thread by default.
"""

from statistics import median

from sidebyside.everyday import BUSY_ROWS, LBFGS_ITERATIONS, N_THREADS, PARTIAL_FITS, PREDICTIONS, worst_quarter
from sidebyside.everyday_calls import prepare
from sidebyside.measure import Effort, after_rows_here, busy_fits, everyday_calls, fits_after_call, turn_rows_here, turns_with_peer

from .common import profile, rounded


def _effort():
    return Effort(rounds=profile().rounds, seconds=profile().seconds)


def _measure(rows):
    """{row: (seconds of fastbp, how many times faster than scikit-learn)}."""
    return {result.name: (result.median("fastbp"), result.ratio("scikit-learn")) for result in everyday_calls(rows, _effort())}


def _ratios(seconds):
    """{way: (median, mean of the slowest quarter, maximum) of the times of a fit, divided by the median time of one thread}."""
    one = median(seconds["one thread"])
    return {way: [figure(seconds[way]) / one for figure in (median, worst_quarter, max)] for way in N_THREADS}


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
    """The time of a fit with two threads divided by the median time with n_threads=1, on a quiet machine and with busy processes.

    Smaller is better.
    """

    params = (list(BUSY_ROWS), list(N_THREADS))
    param_names = ["fit", "threads"]

    def setup_cache(self):
        return {name: _ratios(seconds) for name, seconds in busy_fits(self.params[0], _effort())}

    setup_cache.timeout = 900

    def track_median(self, measured, name, way):
        return rounded(measured[name][way][0], 3)

    track_median.unit = "times one thread"

    def track_slowest_quarter(self, measured, name, way):
        return rounded(measured[name][way][1], 3)

    track_slowest_quarter.unit = "times one thread"

    def track_maximum(self, measured, name, way):
        return rounded(measured[name][way][2], 3)

    track_maximum.unit = "times one thread"


class AfterCall:
    """The time of a fit with two threads after a call of another library divided by its time alone. Smaller is better."""

    params = after_rows_here()
    param_names = ["library"]

    def setup_cache(self):
        return {name: _ratios_after_call(fits_after_call(name, _effort())) for name in self.params}

    setup_cache.timeout = 900

    def track_median(self, measured, name):
        return rounded(median(measured[name]), 3)

    track_median.unit = "times alone"

    def track_slowest_quarter(self, measured, name):
        return rounded(worst_quarter(measured[name]), 3)

    track_slowest_quarter.unit = "times alone"


class InTurns:
    """How many times faster than a peer fastbp trains: in its own process, and in one process in turns with the peer."""

    params = turn_rows_here()
    param_names = ["peer"]

    def setup_cache(self):
        return {name: [_ratio_to_peer(result) for result in turns_with_peer(name, _effort())] for name in self.params}

    setup_cache.timeout = 900

    def track_ratio_in_own_processes(self, measured, name):
        return rounded(measured[name][0], 3)

    def track_ratio_in_one_process(self, measured, name):
        return rounded(measured[name][1], 3)

    track_ratio_in_own_processes.unit = track_ratio_in_one_process.unit = "times faster"


def _ratios_after_call(seconds):
    return [after / alone for after, alone in zip(seconds["after"], seconds["alone"], strict=True)]


def _ratio_to_peer(result):
    return next(result.ratio(peer) for peer in result.seconds if peer != "fastbp")
