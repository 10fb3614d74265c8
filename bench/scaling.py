"""At which size several threads, several processes and a cluster of Dask are faster than one thread, on this machine.

    python bench/scaling.py                       # all parts
    python bench/scaling.py --parts threads jobs  # some parts

Each number is the duration with one thread divided by the duration with two threads, two processes or two workers of Dask. Both are
measured in turns in the same run, and the medians over the rounds are divided. Machines with more cores give larger numbers. The
part ``dask`` needs the extra `dask`.
"""

import argparse
import statistics
import time
import warnings

import numpy as np
from sklearn.model_selection import GridSearchCV

from fastbp import MLPClassifier

NETWORKS = ((20, (32,)), (20, (100,)), (50, (256, 256)), (500, (1024, 1024)))
FITS = ((200, (20,)), (2_000, (64,)), (20_000, (100, 100)))
DASK_ROWS = (20_000, 200_000, 1_000_000)


def rows(n_rows, n_features):
    """Random rows of float32 with two classes."""
    X = np.random.default_rng(0).normal(size=(n_rows, n_features)).astype(np.float32)
    return X, (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(int)


def ratio(first, second, rounds):
    """The median duration of a fit divided by that of another one, which run in turns; both are (estimator, X, y)."""
    durations = ([], [])
    for n in range(rounds + 1):  # the first round compiles
        for (model, X, y), list_of_durations in zip((first, second), durations, strict=True):
            start = time.perf_counter()
            model.fit(X, y)
            if n:
                list_of_durations.append(time.perf_counter() - start)
    return statistics.median(durations[0]) / statistics.median(durations[1])


def print_threads(rounds):
    """Two threads for the batches of one fit."""
    print("\n| network | rows of a batch | two threads |\n|---|---|---|")
    for n_features, hidden in NETWORKS:
        for batch_size in (128, 512):
            work = 6 * batch_size * n_features * hidden[0] * len(hidden)
            X, y = rows(int(np.clip(2e10 // max(1, work) * batch_size, 5 * batch_size, 200_000)), n_features)
            options = {"batch_size": batch_size, "max_iter": 1, "random_state": 0}
            one, two = (MLPClassifier(hidden, n_threads=n, **options) for n in (1, 2))
            name = "-".join(map(str, (n_features, *hidden, 1)))
            print(f"| {name} | {batch_size} | {ratio((one, X, y), (two, X, y), rounds):.2f} |", flush=True)


def print_jobs(rounds):
    """Two processes for the fits of a search."""
    print("\n| fit | seconds of a fit | `n_jobs=2` |\n|---|---|---|")
    for n_rows, hidden in FITS:
        X, y = rows(n_rows, 20)
        options = {"max_iter": 20, "tol": 0, "n_iter_no_change": 100, "random_state": 0, "n_threads": 1}
        grid = {"alpha": [1e-4, 1e-3, 1e-2, 1e-1]}
        one, two = (GridSearchCV(MLPClassifier(hidden, **options), grid, cv=5, n_jobs=n) for n in (None, 2))
        value = ratio((one, X, y), (two, X, y), rounds)
        seconds = one.cv_results_["mean_fit_time"].mean()
        print(f"| {n_rows:,} rows, {'-'.join(map(str, (20, *hidden, 1)))} | {seconds:.3f} | {value:.2f} |", flush=True)


def print_dask(rounds):
    """Two workers of Dask with one thread each, for the same number of epochs."""
    import dask.array as da
    from distributed import Client, LocalCluster

    from fastbp.dask import DaskMLPClassifier

    print("\n| rows | two workers of Dask |\n|---|---|")
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster):
        for n_rows in DASK_ROWS:
            X, y = rows(n_rows, 28)
            options = {"hidden_layer_sizes": (300, 300), "batch_size": 256, "max_iter": 3, "random_state": 0}
            one = MLPClassifier(n_threads=1, **options)
            two = DaskMLPClassifier(n_shards=2, local_steps=256, **options)
            lazy = da.from_array(X, chunks=(n_rows // 8, 28)), da.from_array(y, chunks=n_rows // 8)
            print(f"| {n_rows:,} | {ratio((one, X, y), (two, *lazy), rounds):.2f} |", flush=True)


PARTS = {"threads": print_threads, "jobs": print_jobs, "dask": print_dask}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of few epochs, and of data that are too small for a cluster
    for name in arguments.parts:
        PARTS[name](arguments.rounds)


if __name__ == "__main__":
    main()
