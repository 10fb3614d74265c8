"""Errors and training losses of float32 and mixed_bfloat16 with equal seeds, and their paired comparison.

The tables are those of `tabular.tables` and MNIST, the networks `MLPClassifier` and `MLPRegressor`, or methods of
`tabular.methods`. Both fits of a seed have the same split, starting weights and shuffles. Each fit is stored in a file of JSON
lines, if one is given, and stored fits are not repeated. Rows of Markdown tables come out.
"""

import json
import time
import warnings
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.stats import ttest_rel
from tabular import methods, tables
from tabular.methods import error, log_loss

DTYPES = ("float32", "mixed_bfloat16")
MNIST = "mnist"
# Generated rows of the function of Friedman (1991) without noise, which a network can fit to several digits.
FRIEDMAN = "friedman without noise"
LATE = (tables.CALIFORNIA, MNIST, FRIEDMAN)
# {method: the name of the option with its number of epochs}
METHODS = {"fastbp-realmlp-td-s": "realmlp_epochs", "fastbp-tabm": "tabm_epochs"}
_FEW_ROWS = 5000  # smaller tables have batches of half the size, so that an epoch has enough steps
_MOST_EPOCHS, _FEWEST_EPOCHS = 150, 2
_LEVEL = 0.05


class Case(NamedTuple):
    """One fit: the table, its kind, the seed and the value of `dtype`.

    The kind is the schedule of the learning rate of `MLPClassifier` or `MLPRegressor`, or one of `METHODS`.
    """

    table: str
    kind: str
    seed: int
    dtype: str


class Rows(NamedTuple):
    """Rows of a split in float32; the targets of regression have mean 0 and standard deviation 1 in the training rows."""

    task: str
    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


class Result(NamedTuple):
    """The results of a fit: the error of the test rows, two losses and the number of epochs.

    `loss` is that of the training rows with the final weights, in float32; `reported_loss` is that of the last epoch, as training
    computed it. The losses of `METHODS` are None.
    """

    error: float
    loss: float | None
    reported_loss: float | None
    n_epochs: int


# ---------------------------------------------------------------------- rows


@lru_cache(maxsize=32)
def _table(name, folder):
    if name == FRIEDMAN:
        return _friedman()
    return tables.load(name, folder)


def _friedman():
    import pandas
    from sklearn.datasets import make_friedman1

    X, y = make_friedman1(10_000, noise=0, random_state=0)
    frame = pandas.DataFrame(X, columns=[f"x{n}" for n in range(X.shape[1])])
    return tables.make_table(FRIEDMAN, "regression", frame, y, [])


@lru_cache(maxsize=1)
def _digits():
    from fastbp.datasets import load_mnist

    X, y = load_mnist(return_X_y=True)
    return (X / 255).astype(np.float32), np.unique(y, return_inverse=True)[1]


def rows_of(name, seed, most_rows, folder):
    """The `Rows` of a table for a seed, with at most `most_rows` training rows. MNIST has at most `most_rows` test rows, too."""
    if name == MNIST:
        X, y = _digits()
        train, test = tables.split(len(y), seed, most_rows)
        test = test[:most_rows]
        return Rows("classification", X[train], y[train], X[test], y[test])
    table = _table(name, folder)
    train, test = (table.X.iloc[chosen] for chosen in tables.split(len(table.y), seed, most_rows))
    y, y_test = table.y[train.index], table.y[test.index]
    if table.task == "regression":
        mean, deviation = y.mean(), y.std()
        y, y_test = ((values - mean) / deviation for values in (y, y_test))
    columns = _columns(table).fit(train)
    return Rows(table.task, *_pair(columns, train, y), *_pair(columns, test, y_test))


def _columns(table):
    """Imputation and scaling of numbers, and indicators of categories."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return ColumnTransformer([("numbers", numbers, table.numeric), ("categories", categories, table.categorical)])


def _pair(columns, X, y):
    return columns.transform(X).astype(np.float32), y.astype(np.float32) if y.dtype.kind == "f" else y


# ---------------------------------------------------------------------- fits


class Fits:
    """The results of fits, which are stored in a file of JSON lines unless the path is None."""

    def __init__(self, options, path=None, only_stored=False):
        self.options, self.path, self.only_stored = options, path, only_stored
        self.results: dict[Case, Result] = {}
        if path and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                record = json.loads(line)
                if record["settings"] == self._settings():
                    self.results[Case(*record["case"])] = Result(**record["result"])

    def _settings(self):
        names = ("rows", "steps", "late_steps", "batch_size", "learning_rate", "hidden", "method_rows", *METHODS.values())
        return {name: getattr(self.options, name) for name in names}

    def run(self, cases):
        """Fit all cases that are not stored. The fits of a table and a seed follow each other and use the same rows."""
        start = time.process_time()
        missing = [case for case in cases if case not in self.results]
        rows, of = None, None
        for n, case in enumerate([] if self.only_stored else missing, start=1):
            if case.kind in METHODS:
                result = self.fit_method(case)
            else:
                if of != (case.table, case.seed):
                    rows, of = rows_of(case.table, case.seed, self.options.rows, self.options.tables), (case.table, case.seed)
                result = self.fit(case, rows)
            self.results[case] = result
            if self.path:
                record = {"case": case, "settings": self._settings(), "result": result._asdict()}
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(record) + "\n")
            yield f"{n} of {len(missing)}, {time.process_time() - start:.0f} s: {case} {result}"

    def fit_method(self, case):
        """Fit an estimator for tables to the columns as they are, and return a `Result`."""
        options, table = self.options, _table(case.table, self.options.tables)
        train, test = (table.X.iloc[chosen].index for chosen in tables.split(len(table.y), case.seed, options.method_rows))
        n_epochs = getattr(options, METHODS[case.kind])
        model = methods.make(f"{case.kind}[dtype={case.dtype!r}]", table, case.seed, options.threads, n_epochs)
        with warnings.catch_warnings(action="ignore"):  # of maximum iterations
            model.fit(table.X.loc[train], table.y[train])
        return Result(error(table.task, table.y[test], model.predict(table.X.loc[test])), None, None, n_epochs)

    def fit(self, case, rows):
        """Train for a number of steps, and return a `Result`."""
        import fastbp

        options, n_rows = self.options, len(rows.y)
        batch_size = options.batch_size if n_rows >= _FEW_ROWS else options.batch_size // 2
        n_steps = options.late_steps if case.kind == "cosine" else options.steps
        n_epochs = int(np.clip(round(n_steps * batch_size / n_rows), _FEWEST_EPOCHS, _MOST_EPOCHS))
        kind = fastbp.MLPClassifier if rows.task == "classification" else fastbp.MLPRegressor
        model = kind(
            hidden_layer_sizes=tuple(options.hidden),
            batch_size=min(batch_size, n_rows),
            learning_rate=case.kind,
            learning_rate_init=options.learning_rate,
            max_iter=n_epochs,
            n_iter_no_change=np.inf,
            random_state=case.seed,
            n_threads=options.threads,
            dtype=case.dtype,
        )
        with warnings.catch_warnings(action="ignore"):  # of maximum iterations
            model.fit(rows.X, rows.y)
        predicted = model.predict(rows.X_test)
        return Result(error(rows.task, rows.y_test, predicted), _loss(model, rows), float(model.loss_), n_epochs)


def _loss(model, rows):
    """The mean log-loss or half of the mean squared error of the training rows."""
    if rows.task == "regression":
        return float(np.mean(np.square(model.predict(rows.X) - rows.y, dtype=np.float64)) / 2)
    return log_loss(model.classes_, rows.y, model.predict_proba(rows.X).astype(np.float64))


# ---------------------------------------------------------------------- paired comparisons


class Paired(NamedTuple):
    """Means of both dtypes over the seeds, the mean difference with its standard error, and the p-value of a paired t-test."""

    float32: float
    mixed: float
    difference: float
    error: float
    p: float

    @classmethod
    def of(cls, float32, mixed):
        float32, mixed = np.array(float32), np.array(mixed)
        differences = mixed - float32
        if len(differences) < 2 or not differences.any():
            return cls(float32.mean(), mixed.mean(), differences.mean(), 0.0, 1.0)
        standard_error = differences.std(ddof=1) / np.sqrt(len(differences))
        return cls(float32.mean(), mixed.mean(), differences.mean(), standard_error, float(ttest_rel(mixed, float32).pvalue))


def compare(fits, table, kind, seeds, value):
    """A `Paired` of the values of all seeds, or None if a fit is missing."""
    found = [[fits.results.get(Case(table, kind, seed, dtype)) for seed in seeds] for dtype in DTYPES]
    if any(None in results for results in found):
        return None
    return Paired.of(*([value(result) for result in results] for results in found))


def holm(p_values):
    """The p-values after the correction of Holm (1979) for the number of tests."""
    order, corrected, largest = np.argsort(p_values), np.empty(len(p_values)), 0.0
    for rank, at in enumerate(order):
        largest = corrected[at] = max(largest, min(1.0, (len(p_values) - rank) * p_values[at]))
    return corrected.tolist()


def accuracy_rows(fits, names, kind, seeds):
    """Rows of a table with the errors of all tables for a kind of fit, and sentences that summarize them."""
    rows, compared = [], []
    for name in names:
        pair = compare(fits, name, kind, seeds, lambda result: 100 * result.error)
        if pair is None:
            continue
        deviation = np.std([100 * fits.results[Case(name, kind, seed, "float32")].error for seed in seeds])
        n_epochs = fits.results[Case(name, kind, seeds[0], "float32")].n_epochs
        compared.append(pair)
        cells = (f"{pair.float32:.3f}", f"{pair.mixed:.3f}", f"{deviation:.3f}", f"{pair.difference:+.3f} ± {pair.error:.3f}")
        rows.append([name, str(n_epochs), *cells, f"{pair.p:.3f}"])
    for row, p in zip(rows, holm([pair.p for pair in compared]), strict=True):
        row.append(f"{p:.2f}")
    return rows, _summary(compared)


def _summary(compared):
    worse = sum(pair.p < _LEVEL and pair.difference > 0 for pair in compared)
    better = sum(pair.p < _LEVEL and pair.difference < 0 for pair in compared)
    remaining = sum(p < _LEVEL for p in holm([pair.p for pair in compared]))
    ratios = np.log([pair.mixed / pair.float32 for pair in compared if pair.float32 > 0 and pair.mixed > 0])
    spread = np.std(ratios, ddof=1) / np.sqrt(len(ratios)) if len(ratios) > 1 else 0.0
    return (
        f"In {len(compared)} tests, p < {_LEVEL} {_times(worse)} with larger errors of mixed_bfloat16 and {_times(better)} with\n"
        f"smaller errors. If there were no differences, {_LEVEL * len(compared):.1f} tests with p < {_LEVEL} would be expected by\n"
        f"chance, in both directions together. After the correction of Holm, p < {_LEVEL} {_times(remaining)}. The geometric mean\n"
        f"over the tables of the error of mixed_bfloat16 divided by that of float32 is {np.exp(ratios.mean()):.4f}, with a\n"
        f"standard error of {spread:.4f}."
    )


def _times(n):
    return "once" if n == 1 else f"{n} times"


def late_rows(fits, names, seeds):
    """Rows of a table with the losses of the training rows after fits with a cosine schedule."""
    rows = []
    for name in names:
        kinds = {"final weights": lambda result: np.log(result.loss), "last epoch": lambda result: np.log(result.reported_loss)}
        for kind, value in kinds.items():
            pair = compare(fits, name, "cosine", seeds, value)
            if pair is None:
                continue
            means = (f"{np.exp(mean):.4g}" for mean in (pair.float32, pair.mixed))
            ratio = f"{np.exp(pair.difference):.4f} ± {np.exp(pair.difference) * pair.error:.4f}"
            n_epochs = fits.results[Case(name, "cosine", seeds[0], "float32")].n_epochs
            rows.append([f"{name}, loss, {kind}", str(n_epochs), *means, ratio, f"{pair.p:.3f}"])
        pair = compare(fits, name, "cosine", seeds, lambda result: 100 * result.error)
        if pair is not None:
            cells = (f"{pair.float32:.3f}", f"{pair.mixed:.3f}", f"{pair.difference:+.3f} ± {pair.error:.3f}", f"{pair.p:.3f}")
            rows.append([f"{name}, test error, %", rows[-1][1], *cells])
    return rows
