"""The files of the data sets: their expected contents, and the functions that read them.

The path of a file and its `Facts` go in; inputs and targets come out, as arrays or as pandas objects. A file with unexpected
contents raises an error. pandas is imported only for tables that contain text and for pandas objects. This module does not know
where the files are.
"""

import csv
import gzip
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


def read(facts, path):
    """Read the file and check that it has the number of rows and features in `facts`."""
    rule = f"{path} must contain {facts.n_rows} rows of {len(facts.features)} features and a target"
    remedy = "Replace it with an undamaged copy; datasets/README.md lists the sha256 of each file."
    try:
        X, y = facts.reader(path, facts)
    except (OSError, EOFError, ValueError, KeyError, zlib.error, zipfile.BadZipFile) as error:
        raise OSError(f"{rule}; it cannot be read ({type(error).__name__}: {error}). {remedy}") from error
    if X.shape != (facts.n_rows, len(facts.features)) or len(y) != facts.n_rows:
        raise OSError(f"{rule}; got data of shape {X.shape} and {len(y)} targets. {remedy}")
    return X, y


def _read_images(path, facts):
    # The file is opened here because np.load does not close a damaged archive.
    with path.open("rb") as file, np.load(file) as parts:
        images = np.concatenate([parts["X_train"], parts["X_test"]])
        return images.reshape(len(images), -1), np.concatenate([parts["y_train"], parts["y_test"]])


def _read_numbers(path, facts):
    table = np.loadtxt(path, delimiter=",", dtype=np.float64)
    return np.ascontiguousarray(table[:, :-1]), table[:, -1].copy()


_TOTALS = ("households", "total_rooms", "total_bedrooms", "population")
_OTHERS = ("median_income", "housing_median_age", "latitude", "longitude", "median_house_value")


def _read_housing(path, facts):
    """The columns of scikit-learn's data set, which are computed from the totals in the file."""
    with gzip.open(path, "rt", newline="") as file:
        rows = [[row[name] or "nan" for name in (*_TOTALS, *_OTHERS)] for row in csv.DictReader(file)]
    households, rooms, bedrooms, persons, *others, value = np.array(rows, np.float64).T
    income, age, *place = others
    averages = rooms / households, bedrooms / households, persons, persons / households
    return np.column_stack([income, age, *averages, *place]), value / 100_000


def _read_table(path, facts):
    pandas = _import_pandas(path.name)
    grades = {
        name: pandas.CategoricalDtype(values, ordered=True) if values else "category" for name, values in facts.categories.items()
    }
    # By default, pandas would also read the text "None" or "NA" as a missing value.
    frame = pandas.read_csv(path, dtype={**grades, facts.target: facts.target_type}, na_values=["", "?"], keep_default_na=False)
    return frame[list(facts.features)], frame[facts.target]


def to_arrays(facts, X, y):
    X = X if isinstance(X, np.ndarray) else np.ascontiguousarray(X.to_numpy(dtype=object))
    return X, np.array(y, dtype=facts.target_type)  # a copy, because arrays of pandas can be read-only


def to_frame(facts, X, y):
    pandas = _import_pandas("as_frame=True")
    return pandas.DataFrame(X, columns=list(facts.features)), pandas.Series(y, name=facts.target).astype(facts.target_type)


def _import_pandas(purpose):
    try:
        import pandas
    except ImportError as error:
        raise ImportError(f'{purpose} needs pandas, which is not installed: pip install "fastbp[datasets]".') from error
    return pandas


@dataclass(frozen=True)
class Facts:
    """The expected contents of a file. `categories` has the values of each categorical column in order, or None if unordered."""

    file: str
    reader: Callable[..., Any]
    n_rows: int
    features: tuple[str, ...]
    target: str
    target_type: str
    about: str
    categories: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    n_train: int | None = None


MNIST = Facts(
    file="mnist.npz",
    reader=_read_images,
    n_rows=70_000,
    n_train=60_000,
    features=tuple(f"pixel_{row}_{column}" for row in range(28) for column in range(28)),
    target="digit",
    target_type="int64",
    about="MNIST: handwritten digits, 28 x 28 gray levels. LeCun, Cortes, Burges; copied from rasbt/mnist-pngs (MIT).",
)
ADULT = Facts(
    file="adult.csv.gz",
    reader=_read_table,
    n_rows=48_842,
    n_train=32_561,
    features=(
        *("age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation", "relationship"),
        *("race", "sex", "capital_gain", "capital_loss", "hours_per_week", "native_country"),
    ),
    target="income",
    target_type="str",
    categories=dict.fromkeys(
        ("workclass", "education", "marital_status", "occupation", "relationship", "race", "sex", "native_country")
    ),
    about="Adult: income above 50,000 dollars, from the 1994 US census. Becker, Kohavi; UCI, CC BY 4.0.",
)
CALIFORNIA_HOUSING = Facts(
    file="california_housing.csv.gz",
    reader=_read_housing,
    n_rows=20_640,
    features=("MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude", "Longitude"),
    target="MedHouseVal",
    target_type="float64",
    about="California housing: block groups of the 1990 US census. Pace, Barry 1997; from ageron/handson-ml2 (Apache-2.0).",
)
DIAMONDS = Facts(
    file="diamonds.csv.gz",
    reader=_read_table,
    n_rows=53_940,
    features=("carat", "cut", "color", "clarity", "depth", "table", "x", "y", "z"),
    target="price",
    target_type="float64",
    categories={
        "cut": ("Fair", "Good", "Very Good", "Premium", "Ideal"),
        "color": tuple("JIHGFED"),
        "clarity": ("I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"),
    },
    about="Diamonds: prices of diamonds. ggplot2 (MIT); copied from mwaskom/seaborn-data.",
)
COVTYPE = Facts(
    file="covtype_20k.csv.gz",
    reader=_read_numbers,
    n_rows=20_000,
    features=(
        *("Elevation", "Aspect", "Slope", "Horizontal_Distance_To_Hydrology", "Vertical_Distance_To_Hydrology"),
        *("Horizontal_Distance_To_Roadways", "Hillshade_9am", "Hillshade_Noon", "Hillshade_3pm"),
        "Horizontal_Distance_To_Fire_Points",
        *(f"Wilderness_Area_{i}" for i in range(4)),
        *(f"Soil_Type_{i}" for i in range(40)),
    ),
    target="Cover_Type",
    target_type="int32",
    about="Covertype, 20,000 rows: forest cover types in Colorado. Blackard; UCI, CC BY 4.0; from h2oai/h2o-2 (Apache-2.0).",
)
