"""Measure the accuracy of averaged networks: shards × local steps × outer momentum, for shuffled and for sorted rows.

The rounds run in this process, one shard after the other; a cluster gives the same bits. For each table, the networks are trained
for the same number of epochs. The script prints Markdown tables with the score of the validation rows after the last epoch
(accuracy or R²) and, in brackets, the number of epochs to the score that one shard reaches after the last epoch. It needs the
extras `datasets` and `dask`.

Examples: ``python bench/averaging.py --tables california --shards 1 4 --steps 16 256 --seeds 1``; ``--help`` lists all options.
"""

import argparse
import warnings
from itertools import product
from time import perf_counter
from typing import NamedTuple

import numpy as np
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split

from fastbp.dask import DaskMLPClassifier, DaskMLPRegressor
from fastbp.datasets import load_california_housing, load_covtype, load_mnist


class Table(NamedTuple):
    """Rows, the class of the estimator, and its parameters."""

    X: np.ndarray
    y: np.ndarray
    kind: type
    options: dict


def california():
    X, y = load_california_housing(return_X_y=True)
    X = np.where(np.isnan(X), np.nanmedian(X, axis=0), X)
    return Table(X, y, DaskMLPRegressor, {"hidden_layer_sizes": (64, 64), "scale": "standard", "scale_y": "standard"})


def covtype():
    X, y = load_covtype(return_X_y=True)
    return Table(X, y, DaskMLPClassifier, {"hidden_layer_sizes": (128,), "scale": "standard"})


def mnist():
    X, y = load_mnist(return_X_y=True)
    return Table(X / 255, y, DaskMLPClassifier, {"hidden_layer_sizes": (200, 200)})


def higgs_like(n_rows=200_000):
    """Rows with the shape of HIGGS, 28 columns and two classes that overlap, from a generator with a fixed seed."""
    X, y = make_classification(n_rows, 28, n_informative=12, n_redundant=8, n_clusters_per_class=8, flip_y=0.2, random_state=0)
    return Table(X, y, DaskMLPClassifier, {"hidden_layer_sizes": (100, 100), "scale": "standard"})


TABLES = {function.__name__: function for function in (california, covtype, mnist, higgs_like)}


class Case(NamedTuple):
    """One curve: the number of shards, the steps between two averages, and the outer momentum with its learning rate."""

    n_shards: int
    local_steps: int
    momentum: float
    rate: float


def scores(table, case, rows, seed, arguments):
    """The validation score after each epoch, for training and validation rows given by their numbers."""
    train, validation = rows
    X, y = table.X.astype(np.float32), table.y
    model = table.kind(
        **table.options,
        batch_size=arguments.batch_size,
        max_iter=arguments.epochs,
        n_iter_no_change=np.inf,
        random_state=seed,
        n_shards=case.n_shards,
        local_steps=case.local_steps,
        outer_momentum=case.momentum,
        outer_learning_rate=case.rate,
    )
    with warnings.catch_warnings(action="ignore"):  # of maximum iterations and of sorted classes
        model.fit(X[train], y[train], eval_set=(X[validation], y[validation]))
    return model.history_["val_score"]


def split(table, order, seed, max_rows):
    """The numbers of the training and validation rows; ``order`` is 'shuffled' or 'sorted', by y."""
    numbers = np.random.default_rng(seed).permutation(len(table.y))[:max_rows]
    train, validation = train_test_split(numbers, test_size=0.2, random_state=seed)
    return (train[np.argsort(table.y[train], kind="stable")] if order == "sorted" else train), validation


def epochs_to(curve, target):
    """The number of epochs until a curve reaches a score, or None."""
    return next((n + 1 for n, score in enumerate(curve) if score >= target), None)


def measure(name, order, arguments):
    """Print one Markdown table: rows for local steps and momentum, columns for shards."""
    table, start = TABLES[name](), perf_counter()
    print(f"\n### {name}, {order}: {min(len(table.y), arguments.rows or len(table.y))} rows, {arguments.epochs} epochs\n")
    print("| local steps | outer momentum | " + " | ".join(f"{n} shards" for n in arguments.shards) + " |")
    print("|---|---|" + "---|" * len(arguments.shards))
    targets = {}
    for local_steps, momentum in product(arguments.steps, arguments.momentum):
        cells = []
        for n_shards in arguments.shards:
            curves, needed = [], []
            for seed in range(arguments.seeds):
                rows = split(table, order, seed, arguments.rows)
                if seed not in targets:
                    plain = Case(1, max(arguments.steps), 0.0, 1.0)
                    targets[seed] = scores(table, plain, split(table, "shuffled", seed, arguments.rows), seed, arguments)[-1]
                case = Case(n_shards, local_steps, momentum, arguments.outer_rate if momentum else 1.0)
                curve = scores(table, case, rows, seed, arguments)
                curves.append(curve[-1])
                needed.append(epochs_to(curve, targets[seed]))
            reached = [n for n in needed if n is not None]
            text = f"{np.median(reached):g}" if len(reached) == len(needed) else "–"
            cells.append(f"{np.mean(curves):.4f} ({text})")
        print(f"| {local_steps} | {momentum:g} | " + " | ".join(cells) + " |", flush=True)
    print(f"\nOne shard after {arguments.epochs} epochs: {np.mean(list(targets.values())):.4f}. {perf_counter() - start:.0f} s.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), default=list(TABLES))
    parser.add_argument("--orders", nargs="+", choices=["shuffled", "sorted"], default=["shuffled", "sorted"])
    parser.add_argument("--shards", nargs="+", type=int, default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--steps", nargs="+", type=int, default=[8, 32, 128, 1024])
    parser.add_argument("--momentum", nargs="+", type=float, default=[0.0, 0.9])
    parser.add_argument("--outer-rate", type=float, default=0.7, help="the outer learning rate with momentum; 1 without")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rows", type=int, help="use at most this number of rows")
    arguments = parser.parse_args()
    for name, order in product(arguments.tables, arguments.orders):
        measure(name, order, arguments)


if __name__ == "__main__":
    main()
