"""Loaders for the data sets in the folder `datasets/` of the checkout, with the same interface as scikit-learn's loaders.

Each loader reads one file and returns a `Bunch` or the pair `(X, y)`. The data are not scaled, and the rows are in the order of the
file, unless `shuffle=True` is passed to `load_covtype`. If scikit-learn has a loader for the same data set, columns, names, dtypes
and units are the same, and its parameters are accepted. A file with unexpected contents raises an error. This module does not
download, scale or encode data. pandas is imported only for tables that contain text, or with `as_frame=True`.

Every Bunch has the fields `data`, `target`, `feature_names`, `target_names`, `DESCR` and `filename`. `frame` is a DataFrame of the
data and the target with `as_frame=True`, and None otherwise. `categories` maps the name of each categorical column to the list of
its values. `n_train` is the number of rows in the standard training set, which come first, or None if there is no standard split.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_random_state

from ._dataset_files import ADULT, CALIFORNIA_HOUSING, COVTYPE, DIAMONDS, MNIST, read, to_arrays, to_frame

__all__ = ["load_adult", "load_california_housing", "load_covtype", "load_diamonds", "load_mnist"]


def load_mnist(
    *, data_home: str | os.PathLike[str] | None = None, return_X_y: bool = False, as_frame: bool = False
) -> Bunch | tuple[Any, Any]:
    """Load the MNIST data set: 70,000 images of handwritten digits in 10 classes.

    The rows are in the standard order. The first 60,000 (`bunch.n_train`) are the training set, and the other 10,000 the
    test set.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder of `mnist.npz`. The default is the environment variable FASTBP_DATA or, if it is not set, the
        folder `datasets/` of the checkout.
    return_X_y : bool, default=False
        Whether to return `(data, target)` instead of a Bunch.
    as_frame : bool, default=False
        Whether to return data and target as pandas objects instead of arrays. Requires pandas.

    Returns
    -------
    bunch : Bunch
        data : uint8, shape (70000, 784)
            Gray levels from 0 to 255, one row of the image after the other. Divide them by 255 before training.
        target : int64, shape (70000,)
            The digit, 0 to 9.

        All other fields are described in the docstring of the module.

    Raises
    ------
    OSError
        If the file is damaged. If it is not in the folder, a FileNotFoundError is raised.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document recognition, Proceedings of the
    IEEE 86(11), 1998.

    Examples
    --------
    >>> from fastbp.datasets import load_mnist
    >>> mnist = load_mnist()
    >>> X_train, X_test = mnist.data[:mnist.n_train], mnist.data[mnist.n_train:]
    >>> X_train.shape, X_test.shape
    ((60000, 784), (10000, 784))
    """
    return _load(MNIST, data_home, return_X_y, as_frame)


def load_adult(
    *, data_home: str | os.PathLike[str] | None = None, return_X_y: bool = False, as_frame: bool = False
) -> Bunch | tuple[Any, Any]:
    """Load the Adult data set: does a person in the 1994 US census earn more than 50,000 dollars? Requires pandas.

    The rows are in the standard order. The first 32,561 (`bunch.n_train`) are the training set, and the other 16,281 the
    test set.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder of `adult.csv.gz`. The default is the environment variable FASTBP_DATA or, if it is not set, the
        folder `datasets/` of the checkout.
    return_X_y : bool, default=False
        Whether to return `(data, target)` instead of a Bunch.
    as_frame : bool, default=False
        Whether to return data and target as pandas objects, with one dtype per column, instead of arrays.

    Returns
    -------
    bunch : Bunch
        data : object, shape (48842, 14)
            Six columns of integers and eight columns of text. Missing values are NaN; they occur in `workclass` (2799 rows),
            `occupation` (2809) and `native_country` (857). With `as_frame=True`, the dtypes are int64 and category.
        target : str, shape (48842,)
            "<=50K" or ">50K".

        All other fields are described in the docstring of the module.

    Raises
    ------
    OSError
        If the file is damaged. If it is not in the folder, a FileNotFoundError is raised.
    ImportError
        If pandas is not installed.

    References
    ----------
    B. Becker, R. Kohavi, Adult, UCI Machine Learning Repository, 1996, doi:10.24432/C5XW20.

    Examples
    --------
    >>> from fastbp.datasets import load_adult
    >>> adult = load_adult(as_frame=True)
    >>> adult.data["occupation"].isna().sum()
    np.int64(2809)
    >>> adult.categories["sex"]
    ['Female', 'Male']
    """
    return _load(ADULT, data_home, return_X_y, as_frame)


def load_california_housing(
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
    n_retries: int = 3,
    delay: float = 1.0,
) -> Bunch | tuple[Any, Any]:
    """Load the California housing data set: median house values of 20,640 census block groups in 1990.

    The rows, the columns and the target are those of scikit-learn's `fetch_california_housing`, except for 207 missing values.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder of `california_housing.csv.gz`. The default is the environment variable FASTBP_DATA or, if it is not set, the
        folder `datasets/` of the checkout.
    download_if_missing : bool, default=True
        Ignored, because this function never downloads the data. It has the effect of False in scikit-learn: if the file is missing,
        an OSError is raised.
    return_X_y : bool, default=False
        Whether to return `(data, target)` instead of a Bunch.
    as_frame : bool, default=False
        Whether to return data and target as pandas objects instead of arrays. Requires pandas.
    n_retries : int, default=3
        Ignored, because nothing is downloaded.
    delay : float, default=1.0
        Ignored, because nothing is downloaded.

    Returns
    -------
    bunch : Bunch
        data : float64, shape (20640, 8)
            MedInc, HouseAge, AveRooms, AveBedrms, Population, AveOccup, Latitude and Longitude. The averages are per household.
            AveBedrms is NaN in 207 rows, because the file does not have their numbers of bedrooms, which scikit-learn's data have.
            All other values are equal to scikit-learn's. ``MLPRegressor(missing="indicator")`` accepts NaN.
        target : float64, shape (20640,)
            The median house value in units of 100,000 dollars. Larger values are set to 5.00001.

        All other fields are described in the docstring of the module.

    Raises
    ------
    OSError
        If the file is damaged. If it is not in the folder, a FileNotFoundError is raised.
    ImportError
        If pandas is not installed and `as_frame` is True.

    References
    ----------
    R. K. Pace, R. Barry, Sparse spatial autoregressions, Statistics & Probability Letters 33(3), 1997.

    Examples
    --------
    >>> from fastbp.datasets import load_california_housing
    >>> X, y = load_california_housing(return_X_y=True)
    >>> X.shape, np.isnan(X).sum(axis=0).tolist()
    ((20640, 8), [0, 0, 0, 207, 0, 0, 0, 0])
    """
    return _load(CALIFORNIA_HOUSING, data_home, return_X_y, as_frame)


def load_diamonds(
    *, data_home: str | os.PathLike[str] | None = None, return_X_y: bool = False, as_frame: bool = False
) -> Bunch | tuple[Any, Any]:
    """Load the diamonds data set: the prices of 53,940 diamonds. Requires pandas.

    Long parts of the file are sorted by price, so shuffle the rows before you split them.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder of `diamonds.csv.gz`. The default is the environment variable FASTBP_DATA or, if it is not set, the
        folder `datasets/` of the checkout.
    return_X_y : bool, default=False
        Whether to return `(data, target)` instead of a Bunch.
    as_frame : bool, default=False
        Whether to return data and target as pandas objects, with one dtype per column, instead of arrays.

    Returns
    -------
    bunch : Bunch
        data : object, shape (53940, 9)
            Six columns of numbers (weight in carat, proportions in percent, lengths in mm; a length of 0 means that it was not
            measured) and three grades. With `as_frame=True`, the dtypes are float64 and ordered category.
        target : float64, shape (53940,)
            The price in dollars.

        All other fields are described in the docstring of the module.

    Raises
    ------
    OSError
        If the file is damaged. If it is not in the folder, a FileNotFoundError is raised.
    ImportError
        If pandas is not installed.

    References
    ----------
    H. Wickham, ggplot2: Elegant Graphics for Data Analysis, Springer, 2016.

    Examples
    --------
    >>> from fastbp.datasets import load_diamonds
    >>> load_diamonds().categories["cut"]
    ['Fair', 'Good', 'Very Good', 'Premium', 'Ideal']
    """
    return _load(DIAMONDS, data_home, return_X_y, as_frame)


def load_covtype(
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    random_state: int | np.random.RandomState | None = None,
    shuffle: bool = False,
    return_X_y: bool = False,
    as_frame: bool = False,
    n_retries: int = 3,
    delay: float = 1.0,
) -> Bunch | tuple[Any, Any]:
    """Load a part of the Covertype data set: the forest cover types of 20,000 patches of land, in 7 classes.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder of `covtype_20k.csv.gz`. The default is the environment variable FASTBP_DATA or, if it is not set, the
        folder `datasets/` of the checkout.
    download_if_missing : bool, default=True
        Ignored, because this function never downloads the data. It has the effect of False in scikit-learn: if the file is missing,
        an OSError is raised.
    random_state : int, RandomState instance or None, default=None
        The random numbers for `shuffle=True`. Pass an int for the same order in each call.
    shuffle : bool, default=False
        Whether to shuffle the rows, as scikit-learn's `fetch_covtype` does.
    return_X_y : bool, default=False
        Whether to return `(data, target)` instead of a Bunch.
    as_frame : bool, default=False
        Whether to return data and target as pandas objects instead of arrays. Requires pandas.
    n_retries : int, default=3
        Ignored, because nothing is downloaded.
    delay : float, default=1.0
        Ignored, because nothing is downloaded.

    Returns
    -------
    bunch : Bunch
        data : float64, shape (20000, 54)
            Ten measurements, followed by one-hot columns for 4 wilderness areas and 40 soil types, as in scikit-learn's
            `fetch_covtype`.
        target : int32, shape (20000,)
            The cover type, 1 to 7. Rare types are more frequent than in the full data set.

        All other fields are described in the docstring of the module.

    Raises
    ------
    OSError
        If the file is damaged. If it is not in the folder, a FileNotFoundError is raised.

    References
    ----------
    J. Blackard, Covertype, UCI Machine Learning Repository, 1998, doi:10.24432/C50K5N.

    Examples
    --------
    >>> from fastbp.datasets import load_covtype
    >>> X, y = load_covtype(return_X_y=True)
    >>> X.shape, y.min(), y.max()
    ((20000, 54), np.int32(1), np.int32(7))
    """
    return _load(COVTYPE, data_home, return_X_y, as_frame, check_random_state(random_state) if shuffle else None)


def _load(facts, data_home, return_X_y, as_frame, shuffled_by=None):
    path = _locate(facts.file, data_home)
    X, y = read(facts, path)
    if shuffled_by is not None:
        order = np.arange(len(y))
        shuffled_by.shuffle(order)
        X, y = X[order], y[order]
    categories = {name: list(X[name].cat.categories) for name in facts.categories}
    X, y = to_frame(facts, X, y) if as_frame else to_arrays(facts, X, y)
    if return_X_y:
        return X, y
    return Bunch(
        data=X,
        target=y,
        frame=X.assign(**{facts.target: y}) if as_frame else None,
        feature_names=list(facts.features),
        target_names=[facts.target],
        categories=categories,
        n_train=facts.n_train,
        DESCR=facts.about,
        filename=str(path),
    )


def _locate(file, data_home):
    """The path of `file` in the folder `data_home`, in the folder FASTBP_DATA, or in the checkout that contains this module."""
    if data_home is not None:
        folder, source = data_home, "data_home"
    elif folder := os.environ.get("FASTBP_DATA"):
        source = "FASTBP_DATA"
    else:
        folder, source = Path(__file__).resolve().parents[2] / "datasets", "the default"
    path = Path(folder).expanduser() / file
    if path.is_file():
        return path
    raise FileNotFoundError(
        f"{source} must be a folder that contains {file}; got {str(folder)!r}. Pass data_home, set the environment variable "
        "FASTBP_DATA, or install fastbp from a checkout with `pip install -e`, so that its folder datasets/ is found."
    )
