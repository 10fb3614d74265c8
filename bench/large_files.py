"""Peak memory and speed of fits and predictions on memory-mapped files.

    python bench/large_files.py                             # all cases with a file of 2 GB in the folder for temporary files
    python bench/large_files.py --megabytes 200 --only regressor   # a smaller file, and the cases whose names match
    python bench/large_files.py --speed                     # compares the speed with that of the same rows in memory

Each case runs in its own process. The peak is that of the anonymous memory (RssAnon), which does not include the pages of the file,
minus the anonymous memory after the import and after small fits and predictions with the same parameters, which compile the
kernels. Requires Linux.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

N_COLUMNS = 20
_BLOCK_ROWS = 1 << 18
# name: (estimator, dtype of X, dtype of y, parameters, calls)
_FIT, _PREDICT = ("fit",), ("fit", "predict", "score", "transform")
_ALL = {"early_stopping": True, "scale": "standard", "dtype": "float32"}
CASES = {
    "regressor": ("MLPRegressor", "float32", "float32", {}, _PREDICT),
    "regressor-early-stopping": ("MLPRegressor", "float32", "float32", {"early_stopping": True}, _FIT),
    "regressor-scale": ("MLPRegressor", "float32", "float32", {"scale": "standard"}, _FIT),
    "regressor-scale-y": ("MLPRegressor", "float32", "float64", {"scale_y": "standard", "early_stopping": True}, _FIT),
    "regressor-target-float64": ("MLPRegressor", "float32", "float64", {}, _FIT),
    "regressor-float64": ("MLPRegressor", "float64", "float64", {"early_stopping": True, "scale": "standard"}, _PREDICT),
    "regressor-float64-as-float32": ("MLPRegressor", "float64", "float64", {"dtype": "float32"}, _PREDICT),
    "regressor-int16": ("MLPRegressor", "int16", "float32", {"dtype": "float32", "scale": "standard"}, _PREDICT[:3]),
    "regressor-uint8": ("MLPRegressor", "uint8", "float32", {}, _FIT),
    "classifier": ("MLPClassifier", "float32", "int64", {}, _PREDICT),
    "classifier-early-stopping": ("MLPClassifier", "float32", "int64", {"early_stopping": True}, _FIT),
    "classifier-uint8": ("MLPClassifier", "float32", "uint8", {"early_stopping": True}, _FIT),
    "binary-classifier": ("MLPClassifier", "float32", "int8", {"early_stopping": True}, (*_PREDICT, "predict_proba")),
    "classifier-all": ("MLPClassifier", "float64", "int64", _ALL, _PREDICT),
}


def write_files(folder, megabytes, dtype, y_dtype, n_classes):
    """Write X.npy and y.npy with about so many megabytes in X, or fewer for small integers; return the number of rows."""
    itemsize, rng = max(4, np.dtype(dtype).itemsize), np.random.default_rng(0)
    n_rows = int(megabytes * 1e6 / (N_COLUMNS * itemsize))
    X = np.lib.format.open_memmap(folder / "X.npy", "w+", dtype, (n_rows, N_COLUMNS))
    y = np.lib.format.open_memmap(folder / "y.npy", "w+", y_dtype, (n_rows,))
    block = rng.normal(size=(min(n_rows, _BLOCK_ROWS), N_COLUMNS))
    target = block[:, 0] + 0.5 * block[:, 1] * block[:, 2]
    if np.dtype(y_dtype).kind in "iu":
        target = np.digitize(target, np.quantile(target, np.arange(1, n_classes) / n_classes)) + 3
    if np.dtype(dtype).kind in "iu":
        block = np.clip(np.round(20 * block + 100), 0, 255)
    block, target = block.astype(dtype), target.astype(y_dtype)
    for start in range(0, n_rows, _BLOCK_ROWS):
        n = min(_BLOCK_ROWS, n_rows - start)
        X[start : start + n], y[start : start + n] = block[:n], target[:n]
    return n_rows


# ====================================================================== the measured process


def run_case(folder, case):
    """Run the calls of a case; before each call, print a line and wait for an answer."""
    import fastbp

    kind, _, _, params, calls = CASES[case]
    X, y = np.load(folder / "X.npy", mmap_mode="r"), np.load(folder / "y.npy", mmap_mode="r")
    params = {"hidden_layer_sizes": (32,), "batch_size": 1000, "max_iter": 1, "random_state": 0, "tol": 0.0, **params}
    few = _few_rows(y)
    small = getattr(fastbp, kind)(**params)
    _use(small, X[few].copy(), y[few].copy(), calls)
    for size in (1 << 16, 1 << 18):  # compiles the functions that read arrays that are too large to be converted
        _use(small, X[:size], y[:size], calls)
    del small
    model = getattr(fastbp, kind)(**params)
    for call in calls:
        print(f"begin {call}", flush=True)
        sys.stdin.readline()
        start = time.perf_counter()
        result = _call(model, call, X, y)
        seconds = time.perf_counter() - start
        print(f"end {_size_of_outputs(result)} {seconds}", flush=True)
        sys.stdin.readline()
        del result


def _few_rows(y):
    return np.arange(min(len(y), 3000))


def _use(model, X, y, calls):
    for call in calls:
        _call(model, call, X, y)


def _call(model, call, X, y):
    return getattr(model, call)(*((X, y) if call in ("fit", "score") else (X,)))


def _size_of_outputs(result):
    return result.nbytes if isinstance(result, np.ndarray) else 0


# ====================================================================== the measuring process


def anonymous_memory(pid):
    """The anonymous memory of a process in bytes."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return 1024 * int(re.search(r"RssAnon:\s+(\d+) kB", text).group(1))


def measure_case(folder, case):
    """Yield (call, peak in bytes without the outputs, bytes of the outputs, seconds) for each call of a case."""
    command = [sys.executable, "-W", "ignore", __file__, "--child", case, "--folder", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        before = None
        for line in process.stdout:
            _, call = line.split()
            before = before or anonymous_memory(process.pid)
            process.stdin.write("\n")
            peak, (_, size, seconds) = _peak_until_line(process)
            yield call, peak - before - int(size), int(size), float(seconds)
            process.stdin.write("\n")
    if process.returncode:
        raise RuntimeError(f"the case {case} failed with exit status {process.returncode}")


def _peak_until_line(process):
    """Measure the anonymous memory until the process prints a line; return the largest value and the words of the line."""
    import selectors

    peak = 0
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not selector.select(0.002):
            peak = max(peak, anonymous_memory(process.pid))
    return max(peak, anonymous_memory(process.pid)), process.stdout.readline().split()


def measure(cases, megabytes, parent):
    """Return {case: {call: megabytes}}, and print a line for each call."""
    results = {}
    for case in cases:
        _, dtype, y_dtype, *_ = CASES[case]
        with tempfile.TemporaryDirectory(dir=parent) as folder:
            n_rows = write_files(Path(folder), megabytes, dtype, y_dtype, 2 if case.startswith("binary") else 7)
            results[case] = {}
            for call, peak, size, seconds in measure_case(Path(folder), case):
                results[case][call] = peak / 1e6
                sizes = f"{peak / 1e6:6.1f} MB + outputs {size / 1e6:.0f} MB"
                print(f"{case:32s} {call:14s} {n_rows} rows  {sizes}  {seconds:.1f} s", flush=True)
    return results


# ====================================================================== speed


def compare_speed(cases, megabytes, parent, n_rounds):
    """Print the time in memory divided by the time with the file, of paired fits; the file is in the page cache."""
    import warnings

    import fastbp

    for case in cases:
        kind, dtype, y_dtype, params, _ = CASES[case]
        params = {"hidden_layer_sizes": (32,), "batch_size": 1000, "max_iter": 2, "random_state": 0, "tol": 0.0, **params}
        with tempfile.TemporaryDirectory(dir=parent) as folder, warnings.catch_warnings(action="ignore"):
            write_files(Path(folder), megabytes, dtype, y_dtype, 2 if case.startswith("binary") else 7)
            mapped = [np.load(Path(folder) / f"{name}.npy", mmap_mode="r") for name in "Xy"]
            in_memory, ratios = [np.array(array) for array in mapped], []
            for n in range(n_rounds + 1):
                seconds = []
                for data in (mapped, in_memory)[:: 1 if n % 2 else -1]:
                    start = time.perf_counter()
                    getattr(fastbp, kind)(**params).fit(*data)
                    seconds.append(time.perf_counter() - start)
                file, memory = seconds[:: 1 if n % 2 else -1]
                if n:
                    ratios.append(memory / file)
        print(f"{case:32s} memory / file {statistics.median(ratios):.2f}  (file {file:.1f} s)", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=2147.5, help="the size of X (default: 2147.5)")
    parser.add_argument("--folder", type=Path, help="the folder of the temporary files")
    parser.add_argument("--only", default="", help="a regular expression for the names of cases")
    parser.add_argument("--json", type=Path, help="a file for the results")
    parser.add_argument("--speed", action="store_true", help="compare the speed with arrays in memory")
    parser.add_argument("--rounds", type=int, default=5, help="the number of rounds of --speed")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        run_case(arguments.folder, arguments.child)
        return
    cases = [case for case in CASES if re.search(arguments.only, case)]
    if arguments.speed:
        compare_speed(cases, arguments.megabytes, arguments.folder, arguments.rounds)
        return
    results = measure(cases, arguments.megabytes, arguments.folder)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
