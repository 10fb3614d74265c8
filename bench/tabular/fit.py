"""One fit in a process of its own: its error, seconds and memory.

The names of a table and a method and a seed go in; a record, a dict that can be written as JSON, comes out. Before the fit, a fit
of a few rows for one epoch loads all code, so that neither the seconds nor the memory include imports and compilation.
"""

import ctypes
import gc
import hashlib
import logging
import resource
import sys
import time
import warnings
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np
from sidebyside.calls import peak_memory

from . import methods, tables

N_ROWS_OF_FIRST_FIT = 500


class Fit:
    """A table and a method; `measure` fits and predicts once, `seconds` only fits. `repeats` repeats the training rows."""

    def __init__(self, table, method, seed, folder=tables.FOLDER, most_rows=None, threads=2, repeats=1):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)  # Lightning would report missing GPUs at each fit
        self.method, self.seed, self.n_threads = method, seed, threads
        name, _ = methods.parse(method)
        import_module("pandas")
        found = methods.methods()[name]
        self.package = found.package
        found.make("regression")
        import_module(found.package)
        self.import_bytes = resident_memory()
        self.prepare(tables.load(table, folder), most_rows, repeats)
        before = resident_memory()
        self.first_fit()
        self.code_bytes = max(0, resident_memory() - before)

    def prepare(self, table, most_rows, repeats):
        train, test = tables.split(len(table.y), self.seed, most_rows)
        self.table = table
        self.train, self.test = Rows(table, np.tile(train, repeats)), Rows(table, test)

    def first_fit(self):
        few = self.table.rows(tables.split(len(self.table.y), self.seed, N_ROWS_OF_FIRST_FIT)[0])
        methods.make(self.method, few, self.seed, self.n_threads, epochs=1).fit(few.X, few.y).predict(few.X)

    def estimator(self, epochs=None):
        return methods.make(self.method, self.table, self.seed, self.n_threads, epochs)

    def seconds(self, epochs=None):
        """The seconds of a fit."""
        estimator = self.estimator(epochs)
        start = time.perf_counter()
        estimator.fit(self.train.X, self.train.y)
        return time.perf_counter() - start

    def measure(self, epochs=None):
        """A record of one fit and one call of `predict`.

        `code_bytes` is what the first fit added to the memory, `data_bytes` the size of the training rows, and `peak_bytes` the
        largest memory of the process during `fit` and `predict`, which was `before_bytes` before. The seconds of the processor
        depend less on other programs than those of the clock.
        """
        estimator = self.estimator(epochs)
        before = reset_peak_memory()
        cpu, start = time.process_time(), time.perf_counter()
        estimator.fit(self.train.X, self.train.y)
        cpu, fitted = time.process_time() - cpu, time.perf_counter()
        predicted = estimator.predict(self.test.X)
        end = time.perf_counter()
        peak = peak_memory()
        return {
            "task": self.table.task,
            "error": methods.error(self.table.task, self.test.y, predicted),
            **self.details(estimator, predicted),
            "n_train": len(self.train.y),
            "n_test": len(self.test.y),
            "fit_seconds": round(fitted - start, 4),
            "fit_cpu_seconds": round(cpu, 4),
            "predict_seconds": round(end - fitted, 4),
            "import_bytes": self.import_bytes,
            "code_bytes": self.code_bytes,
            "data_bytes": self.train.n_bytes,
            "before_bytes": before,
            "peak_bytes": peak,
            "version": version({"sklearn": "scikit-learn"}.get(self.package, self.package)),
            "code": digest_of_source() if self.package == "fastbp" else None,
        }

    def details(self, estimator, predicted):
        if self.table.task == "regression":
            return {"rmse": methods.root_mean_square(np.asarray(predicted).reshape(-1) - self.test.y)}
        return {"log_loss": methods.log_loss(np.unique(self.train.y), self.test.y, estimator.predict_proba(self.test.X))}


class Rows:
    """The rows `chosen` of a table: a DataFrame and an array, with the classes of the whole table."""

    def __init__(self, table, chosen):
        self.X, self.y = table.X.iloc[chosen].reset_index(drop=True), table.y[chosen]
        self.n_bytes = int(self.X.memory_usage(index=False, deep=True).sum() + self.y.nbytes)


def resident_memory():
    """The memory of this process in bytes, after freed memory was returned to the system; the peak where it is not known."""
    gc.collect()
    if not Path("/proc/self/statm").exists():
        return peak_memory()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def reset_peak_memory():
    """Set the peak memory of this process to its present memory, where the system can do that, and return the latter."""
    before = resident_memory()
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")
    return before


def digest_of_source():
    """A number that changes with the source files of fastbp, to detect records of earlier code."""
    import fastbp

    folder = Path(fastbp.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]
