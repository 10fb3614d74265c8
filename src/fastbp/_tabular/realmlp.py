"""RealMLP: the public estimators, their parameters and their documentation.

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
from .presets import PRESET_NAMES, settings_of
from .regressor import OF_TABLE_REGRESSORS, TableRegressor

_PRESET = """\
preset : {{'td', 'td-s', 'best'}}, default='td'
    The values of the parameters that are None: 'td' is RealMLP-TD, 'td-s' is RealMLP-TD-S, which has fewer parts and needs about
    0.7 times as long [1]_. 'best' is 'td' with other values of `n_cv`, `n_bins` and {of_best}. It needs about seven times as
    long as 'td'.
"""

_PARAMETERS_OF_REALMLP = """\
hidden_layer_sizes : array-like of int or int, default=None
    The number of units in each hidden layer. None means (256, 256, 256).
activation : str, default=None
    The activation function f of the hidden layers, one of those of `{sibling}`. None means '{activation}'.
parametric_activation : bool, default=None
    Whether the hidden layers compute z + a (f(z) - z) with a trained number a for each unit. None means False for 'td-s'
    and True otherwise.
residual_connections : bool, default=None
    Whether each hidden layer except the first adds its inputs to its outputs, if there are as many [6]_. None means False.
learning_rate : str, default=None
    The learning rate schedule, one of those of `{sibling}`. None means 'coslog4': with the progress t from 0 to 1, the factor is
    (1 - cos(2 pi log2(1 + 15 t))) / 2.
learning_rate_init : float, default=None
    The maximum learning rate. None means {learning_rate_init}.
beta_1 : float, default=None
    Exponential decay rate for the mean of the gradients in Adam [2]_. None means 0.9.
beta_2 : float, default=None
    Exponential decay rate for the mean of the squared gradients in Adam. None means 0.95.
epsilon : float, default=None
    Value for numerical stability in the denominators of Adam. None means 1e-8.
weight_decay : float, default=None
    Strength of decoupled weight decay [3]_. In the second half of the training, it decreases to 0 as a cosine. None means 0 for
    'td-s' and 0.02 otherwise.
dropout : float, default=None
    The fraction of activations that is set to 0 in each step. It decreases like `weight_decay`. None means 0 for 'td-s' and 0.15
    otherwise.
weight_init : {{'normal', 'data'}}, default=None
    'normal' draws weights and biases of hidden layers from the standard normal distribution and sets those of the last layer to 0.
    'data' divides the weights of each unit by the standard deviation of its weighted sum in the training rows, and draws the bias
    from these sums. None means 'normal' for 'td-s' and 'data' otherwise.
n_frequencies : int, default=None
    The number of frequencies of the periodic embedding of each number ("PBLD"), or 0 for no embedding. None means 0 for
    'td-s' and 16 otherwise.
n_bins : int, default=None
    The maximum number of bins of the piecewise-linear encoding of each number [5]_, which every second network has in addition: the
    members 1, 3, 5, ... With one network, it must be 0 or None. 0 means no encoding. None means 16 for 'best' and 0 otherwise.
max_one_hot_size : int, default=None
    Categorical columns with at most so many codes, including the code of missing values, become one-hot columns. The others have
    an embedding. None means 256 for 'td-s' and 9 otherwise.
embedding_size : int, default=None
    The number of inputs of the network for a categorical column with an embedding. None means 8.
{own}batch_size : int, default=None
    The number of rows of a step. In each epoch, the rows that do not fill a batch are left out. None means 256, or the number of
    training rows if there are fewer.
max_iter : int, default=None
    The number of epochs. Training never ends earlier without an error, except after `max_time`. None means 256.
{scoring}"""

_REFERENCES_OF_REALMLP = """\
.. [1] Holzmüller, Grinsztajn and Steinwart, "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular Data", NeurIPS
   2024.
.. [2] Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.
.. [3] Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
"""

_NOTES_OF_REALMLP = """\
They are centered by the median, divided by the interquartile range, and limited smoothly to the range from -3 to 3; missing ones
become 0, and an indicator column is added if they occur in the training rows.
"""

_SAME_AS_PYTABKIT = """\
The training of one network is the same as in the package pytabkit 1.7.3 of the authors of [1]_, apart from random numbers, missing
values and columns of more than 255 categories in the preset 'td-s'.
"""

_TEXTS_OF_REALMLP = {
    "parameters": _PRESET + CATEGORICAL_FEATURES + _PARAMETERS_OF_REALMLP + PARAMETERS_OF_ENSEMBLES,
    "attributes": ATTRIBUTES_OF_TABLES,
    "references": _REFERENCES_OF_REALMLP,
    "notes": COLUMNS_OF_TABLES + _NOTES_OF_REALMLP + DATES_OF_TABLES + _SAME_AS_PYTABKIT,
}
_N_CV_OF_PRESETS = """ None means 1 for 'td' and 'td-s'. For
    'best', it means 6, or the number of rows if there are fewer. If `X_val` is passed, six networks are trained on all rows."""
_AT_MAX_TIME = """ The learning rate has not decreased to 0 then, so a lower
    `max_iter` gives better results in the same time."""

# the parameters of the preset can be None
_RULES_OF_REALMLP = {
    "preset": [StrOptions(set(PRESET_NAMES))],
    **{name: [*rules, None] for name, rules in OF_TABLE_NETWORKS.items()},
    "parametric_activation": ["boolean", None],
    "residual_connections": ["boolean", None],
    "n_cv": [Interval(Integral, 1, None, closed="left"), None],
    "weight_init": [StrOptions({"normal", "data"}), None],
    "n_frequencies": [Interval(Integral, 0, None, closed="left"), None],
    "n_bins": [Interval(Integral, 2, None, closed="left"), Options(Integral, {0}), None],
}


class _RealMLP:
    """The parameters of both estimators."""

    preset: str
    hidden_layer_sizes: int | ArrayLike | None
    activation: str | None
    parametric_activation: bool | None
    residual_connections: bool | None
    learning_rate: str | None
    learning_rate_init: float | None
    beta_1: float | None
    beta_2: float | None
    epsilon: float | None
    weight_decay: float | None
    dropout: float | None
    weight_init: str | None
    n_frequencies: int | None
    n_bins: int | None
    max_one_hot_size: int | None
    embedding_size: int | None
    batch_size: int | None
    max_iter: int | None
    _is_regression: bool

    def _settings(self):
        return settings_of(self, is_regression=self._is_regression)


@documented(
    _TEXTS_OF_REALMLP,
    **WORDS_OF_CLASSIFIERS | {"scores": "the accuracies or the negative Brier scores, see `scoring`,"},
    of_best="`scoring`",
    scoring="""scoring : {'accuracy', 'neg_brier_score'}, default=None
    The score of the validation rows by which the best epoch is selected: the accuracy, or the negative Brier score, which is the
    mean over the rows of the sum over the classes of -(p - 1)^2 for the true class and -p^2 for other classes, with the predicted
    probabilities p. None means 'neg_brier_score' for 'best' and 'accuracy' otherwise.
""",
    activation="selu",
    learning_rate_init="0.04",
    own="""label_smoothing : float, default=None
    The fraction of each target that is spread evenly over the classes. It makes the probability of the predicted class too small in
    most rows; see `calibrate`. None means 0.1.
""",
    at_max_time=_AT_MAX_TIME,
    n_cv="None",
    n_cv_of_presets=_N_CV_OF_PRESETS,
)
class RealMLPClassifier(_RealMLP, TableClassifier):
    """RealMLP classifier for tables with numbers, categories, dates and missing values.

    A multilayer perceptron whose default parameters were chosen on many tables [1]_. It needs no preparation of the table.

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
    RealMLPRegressor : RealMLP for regression.
    MLPClassifier : Multi-layer Perceptron classifier.

    Notes
    -----
    {notes}

    References
    ----------
    {references}
    .. [4] Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
    .. [5] Gorishniy, Rubachev and Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning", NeurIPS 2022.
    .. [6] He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016.

    Examples
    --------
    >>> import pandas as pd
    >>> from fastbp import RealMLPClassifier
    >>> table = pd.DataFrame({"color": ["red", "green", None, "green"] * 20, "size": [1.5, 3.0, 2.0, None] * 20})
    >>> labels = ["apple", "pear", "apple", "pear"] * 20
    >>> classifier = RealMLPClassifier("td-s", max_iter=8, random_state=0).fit(table, labels)
    >>> classifier.predict(pd.DataFrame({"color": ["red", "green"], "size": [1.0, 2.5]}))
    array(['apple', 'pear'], dtype='<U5')
    """

    label_smoothing: float | None
    scoring: str | None

    _parameter_constraints = {
        **OF_TABLE_CLASSIFIERS,
        **_RULES_OF_REALMLP,
        "label_smoothing": [Interval(Real, 0, 1, closed="left"), None],
        "scoring": [StrOptions({"accuracy", "neg_brier_score"}), None],
    }

    def __init__(
        self,
        preset: str = "td",
        *,
        categorical_features: Any = "from_dtype",
        hidden_layer_sizes: int | ArrayLike | None = None,
        activation: str | None = None,
        parametric_activation: bool | None = None,
        residual_connections: bool | None = None,
        learning_rate: str | None = None,
        learning_rate_init: float | None = None,
        beta_1: float | None = None,
        beta_2: float | None = None,
        epsilon: float | None = None,
        weight_decay: float | None = None,
        dropout: float | None = None,
        weight_init: str | None = None,
        n_frequencies: int | None = None,
        n_bins: int | None = None,
        max_one_hot_size: int | None = None,
        embedding_size: int | None = None,
        label_smoothing: float | None = None,
        batch_size: int | None = None,
        max_iter: int | None = None,
        scoring: str | None = None,
        validation_fraction: float = 0.2,
        n_cv: int | None = None,
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


@documented(
    _TEXTS_OF_REALMLP,
    **WORDS_OF_REGRESSORS,
    of_best="`learning_rate_init`",
    scoring="",
    activation="mish",
    learning_rate_init="0.2 for 'td', 0.08 for 'best' and 0.07 for 'td-s'",
    own="""clip_predictions : bool, default=None
    Whether predictions are limited to the range of y in the training rows. None means False for 'td-s' and True otherwise.
""",
    at_max_time=_AT_MAX_TIME,
    n_cv="None",
    n_cv_of_presets=_N_CV_OF_PRESETS,
)
class RealMLPRegressor(_RealMLP, TableRegressor):
    """RealMLP regressor for tables with numbers, categories, dates and missing values.

    A multilayer perceptron whose default parameters were chosen on many tables [1]_. It needs no preparation of the table.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    RealMLPClassifier : RealMLP for classification.
    MLPRegressor : Multi-layer Perceptron regressor.

    Notes
    -----
    {notes}

    References
    ----------
    {references}
    .. [4] Koenker and Bassett, "Regression Quantiles", Econometrica 46, 1978.
    .. [5] Gorishniy, Rubachev and Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning", NeurIPS 2022.
    .. [6] He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016.

    Examples
    --------
    >>> import pandas as pd
    >>> from fastbp import RealMLPRegressor
    >>> table = pd.DataFrame({"kind": ["a", "b"] * 40, "length": range(80)})
    >>> price = table["length"] + 100 * (table["kind"] == "b")
    >>> regressor = RealMLPRegressor("td-s", max_iter=30, random_state=0).fit(table, price)
    >>> regressor.score(table, price) > 0.9
    True
    """

    clip_predictions: bool | None

    _parameter_constraints = {**OF_TABLE_REGRESSORS, **_RULES_OF_REALMLP, "clip_predictions": ["boolean", None]}

    def __init__(
        self,
        preset: str = "td",
        *,
        categorical_features: Any = "from_dtype",
        loss: str = "squared_error",
        quantile: float | ArrayLike = 0.5,
        hidden_layer_sizes: int | ArrayLike | None = None,
        activation: str | None = None,
        parametric_activation: bool | None = None,
        residual_connections: bool | None = None,
        learning_rate: str | None = None,
        learning_rate_init: float | None = None,
        beta_1: float | None = None,
        beta_2: float | None = None,
        epsilon: float | None = None,
        weight_decay: float | None = None,
        dropout: float | None = None,
        weight_init: str | None = None,
        n_frequencies: int | None = None,
        n_bins: int | None = None,
        max_one_hot_size: int | None = None,
        embedding_size: int | None = None,
        clip_predictions: bool | None = None,
        batch_size: int | None = None,
        max_iter: int | None = None,
        validation_fraction: float = 0.2,
        n_cv: int | None = None,
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
