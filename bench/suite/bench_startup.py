"""Start-up: the time of an import, and of the first fit in a new process with and without compiled kernels on disk.

Each measurement runs in a new interpreter. NUMBA_CACHE_DIR is set to a new temporary folder, which is empty at first.
"""

import os
import subprocess
import sys
import tempfile

from .common import PROFILES, profile

_FIRST_FIT = """
import time
import numpy as np
from fastbp import MLPClassifier

X, y = np.random.RandomState(0).normal(size=(40, 4)).astype("{dtype}"), np.arange(40) % 2
start = time.perf_counter()
MLPClassifier(batch_size=20, max_iter=10).fit(X, y).predict(X)
print(time.perf_counter() - start)
"""


class Import:
    """The import of fastbp and of `sklearn.neural_network`, in a new interpreter."""

    params = ["fastbp", "sklearn.neural_network"]
    param_names = ["module"]

    def timeraw_import(self, module):
        return f"import {module}"


class FirstFit:
    """The first fit and predict of a process, without imports."""

    params = ["float32", "float64"]
    param_names = ["dtype"]

    def setup_cache(self):
        return {dtype: first_fits(dtype) for dtype in self.params}

    setup_cache.timeout = 900

    def track_cold_cache(self, seconds, dtype):
        return seconds[dtype][0]

    track_cold_cache.unit = "s"

    def track_warm_cache(self, seconds, dtype):
        return seconds[dtype][1]

    track_warm_cache.unit = "s"


def first_fits(dtype):
    """The seconds of a first fit with an empty cache and of a first fit with the filled cache, rounded to 0.01."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        if profile() is PROFILES["quick"]:
            environment["NUMBA_DISABLE_JIT"] = "1"  # nearly all of the time is compilation
        command = [sys.executable, "-c", _FIRST_FIT.format(dtype=dtype)]
        runs = [subprocess.run(command, env=environment, capture_output=True, text=True, check=True) for _ in range(2)]
    return [round(float(run.stdout), 2) for run in runs]
