"""The network of a fitted estimator as arrays and names, for programs that predict without the estimator.

A fitted estimator goes in; an ``ExportedNetwork`` comes out. Its parameters are those of the network that predicts: scaling, batch
normalization and averages are folded into them. This module does not know the formats into which a network is exported.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from ._kernels.lazy.norms import VARIANCE_EPSILON
from ._network.activations import Activation
from ._wrong_estimator import wrong_estimator_error


class ExportedLabels(NamedTuple):
    """How the outputs of a classifier become labels and probabilities.

    ``kind`` is "binary" (one output, the label is the second class if the output is greater than 0.5), "multiclass" (the class of
    the largest output), "multilabel" (one binary output for each label) or "multioutput" (one multiclass group of outputs for each
    column of y). ``classes`` has the sorted classes of each column of y; for a multilabel y, it has one array with the labels. It
    can have a single class in binary classification. If ``is_clipped``, the outputs must be clipped to [0, 1] to become
    probabilities. If ``is_divided``, they must then be divided by the sum of their group; if the sum is 0, all classes have the
    same probability.
    """

    kind: str
    classes: tuple[np.ndarray, ...]
    is_clipped: bool
    is_divided: bool


class ExportedNetwork(NamedTuple):
    """A network for raw rows of X with shape (n_rows, n_features).

    If ``fill_values`` (n_features,) is not None, NaN in X are replaced by it, and for each feature in ``indicators`` one more input
    follows, which is 1 where the feature was NaN and 0 elsewhere. If ``clip_centers`` and ``clip_factors`` (n_inputs,) are not
    None, each of these inputs x is replaced by v / √(1 + (v/3)²) with v = (x − center) · factor. In each layer, Z = A @ coefs[l] +
    intercepts[l]. If ``norm_scales`` is not empty, the Z of hidden layers are normalized: x̂ = (z − μ) / √(σ² + ``norm_epsilon``)
    with the mean and the variance of each row, and Z becomes x̂ · norm_scales[l] + norm_shifts[l]. ``activations`` are the functions
    of the hidden layers: names or instances of `fastbp.Activation`. ``link`` is the function of the output layer: "identity",
    "logistic", "softmax", "relu", "softplus", "exp", "grouped_softmax" (a softmax for each of the groups of outputs, whose sizes
    are ``group_sizes``) or "ordered_quantiles" (in each group of ``n_quantiles`` outputs, a[0] = z[0] and a[j] = a[j − 1] +
    softplus(z[j])). ``labels`` is None for a regressor. ``quantiles`` has the quantiles that a regressor predicts. If
    ``output_range`` (2, n_outputs) is not None, its predictions are the outputs, limited to this range.
    """

    estimator: str
    n_features: int
    feature_names: tuple[str, ...] | None
    fill_values: np.ndarray | None
    indicators: np.ndarray | None
    coefs: tuple[np.ndarray, ...]
    intercepts: tuple[np.ndarray, ...]
    norm_scales: tuple[np.ndarray, ...]
    norm_shifts: tuple[np.ndarray, ...]
    norm_epsilon: float
    activations: tuple[str | Activation, ...]
    link: str
    group_sizes: tuple[int, ...]
    quantiles: tuple[float, ...]
    labels: ExportedLabels | None
    clip_centers: np.ndarray | None = None
    clip_factors: np.ndarray | None = None
    output_range: np.ndarray | None = None

    @property
    def dtype(self):
        """The floating-point type of the parameters."""
        return self.coefs[0].dtype

    @property
    def sizes(self):
        """The number of units of each layer, inputs first and outputs last."""
        return (len(self.coefs[0]), *(W.shape[1] for W in self.coefs))

    @property
    def n_quantiles(self):
        """The number of outputs for each column of y of a regressor."""
        return len(self.quantiles) or 1


class ExportableModel:
    """The method of the estimators that describes the network that predicts."""

    # defined by the other base classes of the estimators
    _snapshot: Callable[[], Any]
    _complete: Callable[[], None]
    _flat_params: Callable[[], Any]
    _prediction_architecture: Callable[..., Any]
    _link: Any
    _state: Any
    n_features_in_: int
    n_outputs_: int
    out_activation_: str

    def _exported(self):
        """The ``ExportedNetwork``, called on a snapshot only."""
        check_is_fitted(self)
        self._complete()
        params, layout = self._flat_params()
        params = np.array(params)  # training in place must not change the copy
        coefs, intercepts = layout.views(params)
        norm_scales, norm_shifts = layout.norms(params) if layout.n_norms else ((), ())
        architecture = self._prediction_architecture(len(layout.sizes) - 2, self._state)
        fill_values, indicators = self._imputation()
        clipping = None if self._state is None else self._state.preparation.clipping
        names, has_labels = vars(self).get("feature_names_in_"), is_classifier(self)
        return ExportedNetwork(
            "MLPClassifier" if has_labels else "MLPRegressor",
            self.n_features_in_,
            None if names is None else tuple(names.tolist()),
            fill_values,
            indicators,
            tuple(coefs),
            tuple(intercepts),
            tuple(norm_scales),
            tuple(norm_shifts),
            VARIANCE_EPSILON,
            architecture.activations,
            architecture.link,
            tuple(architecture.numbers) if has_labels else (),
            () if has_labels else tuple(architecture.numbers),
            self._exported_labels(architecture.link) if has_labels else None,
            None if clipping is None else clipping.center,
            None if clipping is None else clipping.factor,
            vars(self).get("y_range_"),
        )

    def _imputation(self):
        """The values that replace NaN, and the numbers of the features with an indicator; two times None without an imputer."""
        imputer = None if self._state is None else self._state.preparation.imputer
        if imputer is None:
            return None, None
        return np.nan_to_num(np.array(imputer.statistics_, np.float64)), np.array(imputer.indicator_.features_)

    def _exported_labels(self, link):
        """The ``ExportedLabels`` of a classifier."""
        binarizer, classes = vars(self).get("_label_binarizer"), vars(self).get("classes_")
        if classes is None:
            raise AttributeError(
                "classes_ must be set on a classifier that is built from weights, because an exported network contains the labels. "
                "Set classes_ to the sorted array of the labels."
            )
        if isinstance(classes, list):
            kind, is_exclusive = "multioutput", True
        else:
            y_type = _type_of_labels(link, self.n_outputs_) if binarizer is None else binarizer.y_type_
            kind = "multilabel" if y_type.startswith("multilabel") else y_type
            is_exclusive, classes = kind == "multiclass", [classes]
        is_probability = link in ("softmax", "grouped_softmax") or (link == "logistic" and not is_exclusive)
        return ExportedLabels(kind, tuple(map(np.asarray, classes)), not is_probability, not is_probability and is_exclusive)


def _type_of_labels(link, n_outputs):
    """The type of the labels of a classifier that is built from weights, in the terms of scikit-learn."""
    if link == "softmax":
        return "multiclass"
    return "binary" if n_outputs == 1 else "multilabel-indicator"


def exported_network(est):
    """Return the ``ExportedNetwork`` of a fitted estimator."""
    if not isinstance(est, ExportableModel):
        raise wrong_estimator_error(est)
    return network_and_attributes(est)[0]


def network_and_attributes(est):
    """Return the ``ExportedNetwork`` of a fitted estimator, and all of its attributes at the same time, as a dict."""
    snapshot = est._snapshot()
    return snapshot._exported(), vars(snapshot)
