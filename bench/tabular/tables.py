"""The tables: their names, where they are, their columns and their splits.

The name of a table goes in; a `Table` comes out: a DataFrame in which categorical columns have the dtype "category" and numbers are
float64, and an array of targets. Classes are integers from 0. Four tables are read with `fastbp.datasets`. The others are files
`NAME.tsv.gz` in a folder; the file `tables.json` in that folder has the task and the categorical columns of each. This module does
not know the methods.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[2] / "datasets" / "tables"
FACTS = "tables.json"
CALIFORNIA = "california_housing"
# The loaders of `fastbp.datasets` and the tasks.
LARGE = {
    "adult": "classification",
    "covtype": "classification",
    CALIFORNIA: "regression",
    "diamonds": "regression",
}
TASKS = ("classification", "regression")
TEST_SHARE = 0.2


@dataclass(frozen=True)
class Table:
    """X is a DataFrame of shape (n_rows, n_features), y an array of classes (int64) or numbers (float64)."""

    name: str
    task: str
    X: object
    y: np.ndarray

    @cached_property
    def categorical(self):
        """The names of the categorical columns."""
        return list(self.X.columns[self.X.dtypes == "category"])

    @cached_property
    def numeric(self):
        return [name for name in self.X.columns if name not in self.categorical]

    def rows(self, chosen):
        """The table of the rows `chosen`, an array of integers. Classes that do not occur in them are left out."""
        y = self.y[chosen]
        if self.task == "classification":
            y = np.unique(y, return_inverse=True)[1]
        return Table(self.name, self.task, self.X.iloc[chosen].reset_index(drop=True), y)


def split(n_rows, seed, most_rows=None):
    """(training rows, test rows) of a table of `n_rows` rows: 80 % and 20 % of a random order, which depends only on the seed.

    `most_rows` limits the training rows; the test rows remain the same. A table of 20,640 rows has 4,128 test rows. Estimators that
    hold out 20 % of their 16,512 training rows train on 13,209 of them: these are the sizes of the papers for California housing.
    """
    order = np.random.RandomState(seed).permutation(n_rows)
    n_test = round(TEST_SHARE * n_rows)
    return order[n_test:][:most_rows], order[:n_test]


def read_facts(folder):
    """{name: {"task": ..., "categorical": [...]}} of the file tables.json in `folder`, in addition to those of this repository."""
    known = json.loads((FOLDER / FACTS).read_text(encoding="utf-8"))
    own = Path(folder) / FACTS
    return {**known, **json.loads(own.read_text(encoding="utf-8"))} if own.exists() else known


def names(folder=FOLDER):
    """{name: task} of all tables: those of `fastbp.datasets`, and those in `folder`."""
    folder, facts = Path(folder), read_facts(folder)
    small = sorted(path.name.removesuffix(".tsv.gz") for path in folder.glob("*.tsv.gz"))
    if not small:
        raise FileNotFoundError(f"--tables must be a folder with files NAME.tsv.gz; got {str(folder)!r}.")
    unknown = [name for name in small if name not in facts]
    if unknown:
        example = '{"NAME": {"task": "regression", "categorical": ["COLUMN"]}}'
        raise ValueError(
            f"{folder / FACTS} must contain the task and the categorical columns of each table in this folder; it has none for "
            f"{unknown}. Add entries such as {example}."
        )
    return {**LARGE, **{name: facts[name]["task"] for name in small}}


def load(name, folder=FOLDER):
    """The table `name`."""
    return _load_large(name) if name in LARGE else _load_file(name, Path(folder))


def _load_large(name):
    from fastbp import datasets

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True, as_frame=True)
    return make_table(name, LARGE[name], X, y, [column for column in X if X[column].dtype == "category"])


def _load_file(name, folder):
    import pandas

    frame = pandas.read_csv(folder / f"{name}.tsv.gz", sep="\t")
    facts = read_facts(folder)[name]
    return make_table(name, facts["task"], frame.drop(columns="target"), frame["target"], facts["categorical"])


def make_table(name, task, X, y, categorical):
    """A `Table` of a DataFrame and a Series."""
    if task not in TASKS:
        raise ValueError(f"The task of {name} must be one of {TASKS}; got {task!r}.")
    types = {column: "category" if column in categorical else "float64" for column in X}
    y = np.unique(y, return_inverse=True)[1] if task == "classification" else np.array(y, np.float64)
    return Table(name, task, X.astype(types), y)
