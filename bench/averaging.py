"""Measure the accuracy of averaged networks: shards × local steps × outer momentum, for shuffled and for sorted rows.

The rounds run in this process, one shard after the other; a cluster gives the same bits. For each table, the networks are trained
for the same number of epochs. The script prints Markdown tables with the score of the validation rows after the last epoch
(accuracy or R²) and, in brackets, the number of epochs until the score that one shard reaches after half of the epochs, as medians
over the seeds. It needs the extras `datasets` and `dask`.

Each run is stored in a file if ``--output`` is given, and runs that are stored there are not repeated. ``--report`` prints the
tables of the stored runs only.

Examples: ``python bench/averaging.py --tables california --shards 1 4 --steps 16 256 --seeds 1``; ``--help`` lists all options.
"""

import argparse
import json
import warnings
from itertools import product
from pathlib import Path
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


def higgs_like(n_rows=100_000):
    """Rows with the shape of HIGGS, 28 columns and two classes that overlap, from a generator with a fixed seed."""
    X, y = make_classification(n_rows, 28, n_informative=12, n_redundant=8, n_clusters_per_class=8, flip_y=0.2, random_state=0)
    return Table(X, y, DaskMLPClassifier, {"hidden_layer_sizes": (100, 100), "scale": "standard"})


def higgs_like_large():
    """The same generator, with a million rows."""
    return higgs_like(1_000_000)


TABLES = {function.__name__: function for function in (california, covtype, mnist, higgs_like, higgs_like_large)}


class Case(NamedTuple):
    """One run: the table, the order of its rows, the seed, the number of shards, the rounds of an epoch, and the outer momentum."""

    table: str
    order: str
    seed: int
    n_shards: int
    n_rounds: int
    momentum: float


class Runs:
    """The validation scores of runs after each epoch, which are stored in a file of JSON lines unless it is None."""

    def __init__(self, arguments):
        self.arguments, self.path, self.tables = arguments, arguments.output, {}
        self.curves: dict[tuple, list] = {}
        if self.path and self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                record = json.loads(line)
                if record["settings"] == self._settings(record["case"][0]):
                    self.curves[tuple(record["case"])] = record["scores"]

    def _settings(self, table):
        names = ("rows", "epochs", "batch_size", "learning_rate", "outer_rate")
        return {name: getattr(self.arguments, name) for name in names} | {"options": repr(self._table(table).options)}

    def _table(self, name):
        if name not in self.tables:
            self.tables[name] = TABLES[name]()
        return self.tables[name]

    def n_rows(self, name):
        """The number of training rows of a table."""
        return len(self._split(name, "shuffled", 0)[0])

    def n_batches(self, n_rows, n_shards):
        """The number of batches of a shard in an epoch."""
        rows_of_shard = -(-n_rows // n_shards)
        return -(-rows_of_shard // self.arguments.batch_size)

    def scores(self, case):
        """The scores of a case, which is run if it is not stored; None if it must not be run."""
        if tuple(case) not in self.curves and not self.arguments.report:
            self.curves[tuple(case)] = self._run(case)
            if self.path:
                record = {"case": case, "settings": self._settings(case.table), "scores": self.curves[tuple(case)]}
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(record) + "\n")
        return self.curves.get(tuple(case))

    def _run(self, case):
        table, (train, validation) = self._table(case.table), self._split(case.table, case.order, case.seed)
        X, y, arguments = table.X.astype(np.float32), table.y, self.arguments
        n_batches = self.n_batches(len(train), case.n_shards)
        model = table.kind(
            **table.options,
            batch_size=arguments.batch_size,
            learning_rate_init=arguments.learning_rate,
            max_iter=arguments.epochs,
            n_iter_no_change=np.inf,
            random_state=case.seed,
            n_shards=case.n_shards,
            local_steps=-(-n_batches // case.n_rounds),
            outer_momentum=case.momentum,
            outer_learning_rate=arguments.outer_rate if case.momentum else 1.0,
        )
        with warnings.catch_warnings(action="ignore"):  # of maximum iterations and of sorted classes
            try:
                model.fit(X[train], y[train], eval_set=(X[validation], y[validation]))
            except ValueError as error:
                if "non-finite" not in str(error) and "diverged" not in str(error):
                    raise
                return [float("-inf")] * arguments.epochs
        return model.history_["val_score"]

    def _split(self, name, order, seed):
        """The numbers of the training and validation rows; ``order`` is 'shuffled' or 'sorted', by y."""
        y = self._table(name).y
        numbers = np.random.default_rng(seed).permutation(len(y))[: self.arguments.rows]
        train, validation = train_test_split(numbers, test_size=0.2, random_state=seed)
        return (train[np.argsort(y[train], kind="stable")] if order == "sorted" else train), validation


def epochs_to(curve, target):
    """The number of epochs until a curve reaches a score; infinite if it does not."""
    return next((n + 1 for n, score in enumerate(curve) if score >= target), np.inf)


def print_table(runs, name, order):
    """Print one Markdown table: rows for local steps and momentum, columns for shards."""
    arguments = runs.arguments
    n_rows, seeds = runs.n_rows(name), range(arguments.seeds)
    targets = [runs.scores(Case(name, "shuffled", seed, 1, 1, 0.0)) for seed in seeds]
    if None in targets:
        return
    half = arguments.epochs // 2
    print(f"\n## {name}, {order}: {n_rows:,} rows, batches of {arguments.batch_size}, {arguments.epochs} epochs\n")
    print("| local steps | outer momentum | " + " | ".join(f"{n} shard{'s'[: n > 1]}" for n in arguments.shards) + " |")
    print("|---|---|" + "---|" * len(arguments.shards))
    for momentum, local_steps in product(arguments.momentum, arguments.steps):
        cells = []
        for n_shards in arguments.shards:
            # the average of one network is this network
            n_rounds = 1 if n_shards == 1 and not momentum else -(-runs.n_batches(n_rows, n_shards) // local_steps)
            curves = [runs.scores(Case(name, order, seed, n_shards, n_rounds, momentum)) for seed in seeds]
            if None in curves:
                cells.append("")
                continue
            needed = np.median([epochs_to(curve, target[half - 1]) for curve, target in zip(curves, targets, strict=True)])
            cells.append(f"{np.median([curve[-1] for curve in curves]):.4f} ({needed:g})".replace("inf", "–"))
        print(f"| {local_steps} | {momentum:g} | " + " | ".join(cells) + " |", flush=True)
    last, middle = (np.median([target[n - 1] for target in targets]) for n in (arguments.epochs, half))
    print(f"\nOne shard: {middle:.4f} after {half} epochs, {last:.4f} after {arguments.epochs} epochs.", flush=True)


INTRODUCTION = """\
# Accuracy of averaged networks

The score of the validation rows after the last epoch (accuracy or R²), and in brackets the number of epochs until the score that
one shard reaches after half of the epochs. Both are medians over {seeds} seeds. Sorted rows are sorted by y, so that most shards
have rows of one class, or similar targets. The outer learning rate is {outer_rate:g} with outer momentum and 1 without it. The
learning rate of Adam is {learning_rate:g}. This page was written by `python bench/averaging.py`."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), default=list(TABLES)[:4])
    parser.add_argument("--orders", nargs="+", choices=["shuffled", "sorted"], default=["shuffled", "sorted"])
    parser.add_argument("--shards", nargs="+", type=int, default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--steps", nargs="+", type=int, default=[8, 32, 128, 1024])
    parser.add_argument("--momentum", nargs="+", type=float, default=[0.0, 0.9])
    parser.add_argument("--outer-rate", type=float, default=0.7, help="the outer learning rate with momentum; 1 without")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=0.001)
    parser.add_argument("--rows", type=int, help="use at most this number of rows")
    parser.add_argument("--output", type=Path, help="a file of JSON lines for the runs")
    parser.add_argument("--report", action="store_true", help="print the tables of stored runs only")
    arguments = parser.parse_args()
    runs = Runs(arguments)
    print(INTRODUCTION.format_map(vars(arguments)))
    for name, order in product(arguments.tables, arguments.orders):
        print_table(runs, name, order)


if __name__ == "__main__":
    main()
