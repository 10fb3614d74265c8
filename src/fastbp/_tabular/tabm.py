"""TabM: the public estimators, their parameters and their documentation.

The parameters of an estimator go in; its settings come out. The base classes encode tables, targets and outputs. This module does
not know how networks are trained.
"""

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._compat import Interval, Options, StrOptions
from .._parameters import documented
from .base import OF_TABLE_NETWORKS, set_parameters
from .classifier import OF_TABLE_CLASSIFIERS, TableClassifier
from .documentation import (
    ATTRIBUTES_OF_TABLES,
    CATEGORICAL_FEATURES,
    COLUMNS_OF_TABLES,
    DATES_OF_TABLES,
    PARAMETERS_OF_ENSEMBLES,
    WORDS_OF_CLASSIFIERS,
    WORDS_OF_REGRESSORS,
)
from .regressor import OF_TABLE_REGRESSORS, TableRegressor
from .tabm_settings import ARCHITECTURES, NUMERIC_EMBEDDINGS, tabm_settings

_ARCHITECTURE = """\
architecture : {{'tabm', 'tabm-mini'}}, default='tabm'
    'tabm' multiplies the inputs and the outputs of each hidden layer by vectors of each submodel and adds biases of each submodel.
    'tabm-mini' multiplies only the inputs of the network by a vector of each submodel.
"""

_PARAMETERS_OF_TABM = """\
n_submodels : int, default=32
    The number of submodels of a network. They share the weights of the hidden layers, and each has its own output layer. The
    prediction is the mean of the submodels.
hidden_layer_sizes : array-like of int or int, default=None
    The number of units in each hidden layer. None means (512, 512, 512), or (512, 512) with `numeric_embedding`.
activation : str, default='relu'
    The activation function of the hidden layers, one of those of `{sibling}`.
numeric_embedding : {{'piecewise_linear', 'periodic', 'periodic_lite'}}, default=None
    The embedding of each number: 'piecewise_linear' is b + w x + u W, where u is the piecewise-linear encoding of x in bins between
    quantiles, and 'periodic' is max(0, [cos(2 pi c x), sin(2 pi c x)] W + b) with frequencies c [3]_. With 'periodic_lite', all
    numbers have the same W and b. None means the number itself.
n_bins : int, default=48
    The maximum number of bins of the piecewise-linear embedding. With at most so many training rows, there is one bin less than
    rows.
n_frequencies : int, default=48
    The number of frequencies of the periodic embedding of each number.
frequency_scale : float, default=0.01
    The standard deviation of the initial frequencies of the periodic embedding.
numeric_embedding_size : int, default=None
    The number of inputs of the network for a number with an embedding. None means 16 for 'piecewise_linear' and 24 otherwise.
max_one_hot_size : int, default=256
    Categorical columns with at most so many codes, including the code of missing values, become one-hot columns. The others have
    an embedding.
embedding_size : int, default=8
    The number of inputs of the network for a categorical column with an embedding.
learning_rate : str, default='constant'
    The learning rate schedule, one of those of `{sibling}`. Schedules that end refer to `max_iter`.
learning_rate_init : float, default=0.002
    The learning rate.
beta_1 : float, default=0.9
    Exponential decay rate for the mean of the gradients in AdamW [2]_.
beta_2 : float, default=0.999
    Exponential decay rate for the mean of the squared gradients in AdamW.
epsilon : float, default=1e-8
    Value for numerical stability in the denominators of AdamW.
weight_decay : float, default=0.0
    Strength of the decoupled weight decay of AdamW. It applies to all parameters except the biases of layers.
clip_norm : float, default=None
    The maximum norm of the gradient of all parameters. None means no limit.
dropout : float, default=0.1
    The fraction of activations that is set to 0 in each step, independently for each submodel.
batch_size : int or 'auto', default=256
    The number of rows of a step for each submodel, or the number of training rows if there are fewer. 'auto' means 32, 64, 128, 256
    or 512 for fewer than 2800, 4500, 6400, 32000 or 108000 training rows, and 1024 for more.
shares_batches : bool, default=False
    Whether all submodels are trained on the same batches. Otherwise, each has its own order of the rows.
max_iter : int, default=1000
    The maximum number of epochs.
n_iter_no_change : int or inf, default=16
    Training ends when so many epochs and one more did not improve the best validation score or, without validation rows, the lowest
    training loss.
"""

_REFERENCES_OF_TABM = """\
.. [1] Gorishniy, Kotelnikov and Babenko, "TabM: Advancing Tabular Deep Learning with Parameter-Efficient Ensembling", ICLR 2025.
.. [2] Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
.. [3] Gorishniy, Rubachev and Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning", NeurIPS 2022.
"""

_NOTES_OF_TABM = """\
The quantiles of the training rows are mapped to those of the normal distribution. Missing numbers become the median, and an
indicator column is added if they occur in the training rows. Numbers that are constant in the training rows are not used.
"""

_DIFFERENCES_FROM_PYTABKIT = """\
The training of one network is the same as that of TabM-D in the package pytabkit 1.7.3, apart from random numbers, missing values,
columns of more than 255 categories and the limit of the number of epochs.
"""

_TEXTS_OF_TABM = {
    "parameters": _ARCHITECTURE + CATEGORICAL_FEATURES + _PARAMETERS_OF_TABM + PARAMETERS_OF_ENSEMBLES,
    "attributes": ATTRIBUTES_OF_TABLES,
    "references": _REFERENCES_OF_TABM,
    "notes": COLUMNS_OF_TABLES + _NOTES_OF_TABM + DATES_OF_TABLES + _DIFFERENCES_FROM_PYTABKIT,
}

_POSITIVE_INTEGER = Interval(Integral, 1, None, closed="left")
_RULES_OF_TABM = {
    **OF_TABLE_NETWORKS,
    "architecture": [StrOptions(set(ARCHITECTURES))],
    "n_submodels": [_POSITIVE_INTEGER],
    "hidden_layer_sizes": [*OF_TABLE_NETWORKS["hidden_layer_sizes"], None],
    "numeric_embedding": [StrOptions(set(NUMERIC_EMBEDDINGS)), None],
    "n_bins": [Interval(Integral, 2, None, closed="left")],
    "frequency_scale": [Interval(Real, 0, None, closed="neither")],
    "numeric_embedding_size": [_POSITIVE_INTEGER, None],
    "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
    "batch_size": [_POSITIVE_INTEGER, StrOptions({"auto"})],
    "shares_batches": ["boolean"],
    "n_iter_no_change": [_POSITIVE_INTEGER, Options(Real, {np.inf})],
}


class _TabM:
    """The parameters of both estimators."""

    architecture: str
    n_submodels: int
    hidden_layer_sizes: int | ArrayLike | None
    activation: str
    numeric_embedding: str | None
    n_bins: int
    n_frequencies: int
    frequency_scale: float
    numeric_embedding_size: int | None
    max_one_hot_size: int
    embedding_size: int
    learning_rate: str
    learning_rate_init: float
    beta_1: float
    beta_2: float
    epsilon: float
    weight_decay: float
    clip_norm: float | None
    dropout: float
    batch_size: int | str
    shares_batches: bool
    max_iter: int
    n_iter_no_change: int | float

    def _settings(self):
        return tabm_settings(self)


@documented(_TEXTS_OF_TABM, **WORDS_OF_CLASSIFIERS, at_max_time="", n_cv="1", n_cv_of_presets="")
class TabMClassifier(_TabM, TableClassifier):
    """TabM classifier for tables with numbers, categories, dates and missing values.

    A multilayer perceptron that is an ensemble of submodels, which share most of their weights [1]_. It needs no preparation of the
    table.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    {attributes}

    See Also
    --------
    TabMRegressor : TabM for regression.
    RealMLPClassifier : RealMLP, which takes less time.

    Notes
    -----
    {notes}

    References
    ----------
    {references}
    .. [4] Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.

    Examples
    --------
    >>> import pandas as pd
    >>> from fastbp import TabMClassifier
    >>> table = pd.DataFrame({"color": ["red", "green", None, "green"] * 20, "size": [1.5, 3.0, 2.0, None] * 20})
    >>> labels = ["apple", "pear", "apple", "pear"] * 20
    >>> classifier = TabMClassifier(n_submodels=4, hidden_layer_sizes=32, max_iter=30, random_state=0).fit(table, labels)
    >>> classifier.predict(pd.DataFrame({"color": ["red", "green"], "size": [1.0, 2.5]}))
    array(['apple', 'pear'], dtype='<U5')
    """

    _parameter_constraints = {**OF_TABLE_CLASSIFIERS, **_RULES_OF_TABM}

    def __init__(
        self,
        architecture: str = "tabm",
        *,
        categorical_features: Any = "from_dtype",
        n_submodels: int = 32,
        hidden_layer_sizes: int | ArrayLike | None = None,
        activation: str = "relu",
        numeric_embedding: str | None = None,
        n_bins: int = 48,
        n_frequencies: int = 48,
        frequency_scale: float = 0.01,
        numeric_embedding_size: int | None = None,
        max_one_hot_size: int = 256,
        embedding_size: int = 8,
        learning_rate: str = "constant",
        learning_rate_init: float = 0.002,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        dropout: float = 0.1,
        batch_size: int | str = 256,
        shares_batches: bool = False,
        max_iter: int = 1000,
        n_iter_no_change: int | float = 16,
        validation_fraction: float = 0.2,
        n_cv: int = 1,
        n_ensemble: int = 1,
        class_weight: dict[Any, float] | str | None = None,
        calibrate: str | None = None,
        dtype: str = "float32",
        random_state: int | np.random.RandomState | None = None,
        n_threads: int | None = None,
        max_time: float | None = None,
        verbose: bool | int = False,
        warm_start: bool | str = False,
        callbacks: Callable[..., Any] | Sequence[Callable[..., Any]] | None = None,
    ) -> None:
        set_parameters(self, locals())


@documented(_TEXTS_OF_TABM, **WORDS_OF_REGRESSORS, at_max_time="", n_cv="1", n_cv_of_presets="")
class TabMRegressor(_TabM, TableRegressor):
    """TabM regressor for tables with numbers, categories, dates and missing values.

    A multilayer perceptron that is an ensemble of submodels, which share most of their weights [1]_. It needs no preparation of the
    table.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    TabMClassifier : TabM for classification.
    RealMLPRegressor : RealMLP, which takes less time.

    Notes
    -----
    {notes}

    References
    ----------
    {references}
    .. [4] Koenker and Bassett, "Regression Quantiles", Econometrica 46, 1978.

    Examples
    --------
    >>> import pandas as pd
    >>> from fastbp import TabMRegressor
    >>> table = pd.DataFrame({"kind": ["a", "b"] * 40, "length": range(80)})
    >>> price = table["length"] + 100 * (table["kind"] == "b")
    >>> regressor = TabMRegressor(n_submodels=4, hidden_layer_sizes=32, batch_size=16, random_state=0).fit(table, price)
    >>> regressor.score(table, price) > 0.9
    True
    >>> mean, deviation = regressor.predict(table, return_std=True)
    """

    _parameter_constraints = {**OF_TABLE_REGRESSORS, **_RULES_OF_TABM}

    def __init__(
        self,
        architecture: str = "tabm",
        *,
        categorical_features: Any = "from_dtype",
        loss: str = "squared_error",
        quantile: float | ArrayLike = 0.5,
        n_submodels: int = 32,
        hidden_layer_sizes: int | ArrayLike | None = None,
        activation: str = "relu",
        numeric_embedding: str | None = None,
        n_bins: int = 48,
        n_frequencies: int = 48,
        frequency_scale: float = 0.01,
        numeric_embedding_size: int | None = None,
        max_one_hot_size: int = 256,
        embedding_size: int = 8,
        learning_rate: str = "constant",
        learning_rate_init: float = 0.002,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        dropout: float = 0.1,
        batch_size: int | str = 256,
        shares_batches: bool = False,
        max_iter: int = 1000,
        n_iter_no_change: int | float = 16,
        validation_fraction: float = 0.2,
        n_cv: int = 1,
        n_ensemble: int = 1,
        dtype: str = "float32",
        random_state: int | np.random.RandomState | None = None,
        n_threads: int | None = None,
        max_time: float | None = None,
        verbose: bool | int = False,
        warm_start: bool | str = False,
        callbacks: Callable[..., Any] | Sequence[Callable[..., Any]] | None = None,
    ) -> None:
        set_parameters(self, locals())
