"""Predictions of single rows and small batches with little overhead, for programs that serve a model.

An `ExportedNetwork` and the name of a method go in; a function of X comes out. It copies the network, so that it does not depend on
the estimator. It checks the shape and the type of X, but not its values. This module does not know how an estimator is trained.
"""

from collections import deque
from typing import Any

import numpy as np
from scipy.sparse import issparse

from ._data.inputs import as_rows
from ._data.scaling import SmoothClipping
from ._data.targets import GroupedLabels, clipped_probabilities, split_groups
from ._network.architecture import Architecture, Plan
from ._network.layout import Layout, padded_copy
from ._network.prediction import outputs
from ._network.row_network import SHORT_WORK, RowNetwork

METHODS = ("predict", "predict_proba", "outputs")
_NUMBER_KINDS = "biuf"  # the kinds of dtypes that are converted


class CompiledPrediction:
    """A function that predicts like a method of the estimator from which it was made; see ``compile_predict``."""

    def __init__(self, network, method):
        _check_method(network, method)
        self._network, self._method = network, method
        self._dtype = np.dtype(network.dtype.type)  # the object that most arrays have; that of unpickled arrays is another one
        self._row_shape, self._n_outputs = (network.n_features,), network.sizes[-1]
        self._predict, (self._table, self._params, self._numbers), self._new_scratch, self._work = RowNetwork.of(network)
        scratches: deque[np.ndarray] = deque()  # the scratch buffers that no call uses
        self._take_scratch, self._keep_scratch = scratches.pop, scratches.append
        self._labels, self._no_output = _labels_of_rows(network, method), np.empty(0, self._dtype)
        self._n_columns, self._row_result = _row_result(network, method)
        self._batch = _plan_and_params(network)
        self._batch_outputs(np.zeros((1, network.n_features), self._dtype))  # compiles the kernel for batches

    def __call__(self, X: Any) -> Any:
        """Return the predictions for X of shape (n_features,) or (n_rows, n_features)."""
        # the frequent case, in few steps and without calls of other methods: each of them takes up to a tenth of the time
        if X.__class__ is np.ndarray and X.shape == self._row_shape and X.dtype is self._dtype:
            try:
                scratch = self._take_scratch()
            except IndexError:  # all buffers are used by other threads
                scratch = self._new_scratch()
            if self._labels is None:
                out = np.empty(self._n_columns, self._dtype)
                self._predict(self._table, self._params, self._numbers, X, scratch, out)
                self._keep_scratch(scratch)
                return out if self._row_result is None else self._row_result(out)
            label = self._predict(self._table, self._params, self._numbers, X, scratch, self._no_output)
            self._keep_scratch(scratch)
            return self._labels[label]
        # of any strides and alignment
        if X.__class__ is not np.ndarray or X.dtype is not self._dtype or X.ndim != 2 or X.shape[1:] != self._row_shape:
            X = _checked_rows(X, self._network.n_features, self._dtype)
            if X.ndim == 1:
                return self(X)
        return _results(self._network, self._method, self._outputs(X))

    def _outputs(self, X):
        """The outputs (n_rows, n_outputs)."""
        return self._row_outputs(X) if len(X) == 1 or len(X) * self._work <= SHORT_WORK else self._batch_outputs(X)

    def _row_outputs(self, X):
        """The outputs (n_rows, n_outputs), computed row by row."""
        try:
            scratch = self._take_scratch()
        except IndexError:
            scratch = self._new_scratch()
        out = np.empty((len(X), self._n_outputs), self._dtype)
        self._predict(self._table, self._params, self._numbers, X.reshape(-1), scratch, out.reshape(-1))
        self._keep_scratch(scratch)
        return out

    def _batch_outputs(self, X):
        """The outputs (n_rows, n_outputs), computed by the kernel of the estimators in one thread."""
        plan, params = self._batch
        return outputs(plan, params, as_rows(_imputed(self._network, X), self._dtype), len(X))

    def __reduce__(self):
        return type(self), (self._network, self._method)

    def __repr__(self):
        return _described_function(self._network, self._method, self._dtype)


class ClippedPrediction:
    """A function like ``CompiledPrediction`` for a network whose inputs or predictions are clipped, which is done in NumPy."""

    def __init__(self, network, method):
        self._network, self._method, self._dtype = network, method, np.dtype(network.dtype.type)
        parts = {"clip_centers": None, "clip_factors": None, "output_range": None}
        if network.clip_factors is not None:  # the compiled function receives the inputs of the network
            self._clipping = SmoothClipping(*(part.astype(self._dtype) for part in (network.clip_centers, network.clip_factors)))
            parts |= {"n_features": network.sizes[0], "feature_names": None, "fill_values": None, "indicators": None}
        self._compiled = CompiledPrediction(network._replace(**parts), method)
        self._limits = None
        if network.output_range is not None and method == "predict":
            shape = (-1, network.n_quantiles) if _has_groups(network) else (-1,)
            self._limits = network.output_range.astype(self._dtype).reshape(2, *shape)

    def __call__(self, X: Any) -> Any:
        """Return the predictions for X of shape (n_features,) or (n_rows, n_features)."""
        X = _checked_rows(X, self._network.n_features, self._dtype)
        if self._network.clip_factors is not None:
            rows = self._clipping(_imputed(self._network, X.reshape(-1, self._network.n_features)))
            X = rows.reshape(*X.shape[:-1], rows.shape[1])
        results = self._compiled(X)
        if self._limits is None:
            return results
        low, high = self._limits[:, 0] if self._network.sizes[-1] == 1 else self._limits
        return np.clip(results, low, high)

    def __reduce__(self):
        return type(self), (self._network, self._method)

    def __repr__(self):
        return _described_function(self._network, self._method, self._dtype)


def compiled_prediction(network, method):
    """Return the function that predicts like a method of the estimator from which the network was made."""
    is_clipped = network.clip_factors is not None or network.output_range is not None
    return ClippedPrediction(network, method) if is_clipped else CompiledPrediction(network, method)


def _described_function(network, method, dtype):
    return f"<compiled {method} of {network.estimator} for {network.n_features} features of {dtype}>"


def _checked_rows(X, n_features, dtype):
    """X as a C-contiguous array of this dtype, with one or two dimensions and the right number of features."""
    if issparse(X):
        raise TypeError("X must be a dense array, but it is a sparse matrix. Convert it with X.toarray().")
    try:
        X = np.asarray(X)
    except ValueError as error:
        raise ValueError(f"X must be an array of numbers. Pass rows of equal length. NumPy cannot convert it: {error}") from error
    if X.dtype.kind not in _NUMBER_KINDS:
        raise TypeError(f"X must hold real numbers, but its dtype is {X.dtype}. Convert it to {dtype}.")
    if X.ndim not in (1, 2) or X.shape[-1] != n_features:
        raise ValueError(
            f"X must have shape ({n_features},) for one row, or (n_rows, {n_features}), because the model has {n_features} "
            f"features; got {X.shape}. Pass all features in the order of the training data."
        )
    converted = np.empty(X.shape, dtype)  # `asarray` could return an array with an equal, but not identical dtype
    with np.errstate(over="ignore"):
        converted[...] = X
    return converted


def _check_method(network, method):
    allowed = METHODS if network.labels is not None else ("predict", "outputs")
    if method not in allowed:
        raise ValueError(
            f"method must be one of {allowed} for {network.estimator}; got {method!r}."
            + (" Use 'predict' for the predicted values." if method == "predict_proba" else "")
        )


def _plan_and_params(network):
    """The arguments of the kernel for batches."""
    numbers = network.group_sizes or network.quantiles
    norm = "layer_norm" if network.norm_scales else None
    layout = Layout(network.sizes, n_norms=2 if norm else 0)
    parts = (*network.coefs, *network.intercepts, *network.norm_scales, *network.norm_shifts)
    params = padded_copy(np.concatenate([part.ravel() for part in parts]), network.dtype)
    return Plan(layout, Architecture(network.activations, network.link, norm, numbers=numbers)), params


def _imputed(network, X):
    """The inputs of the network (n_rows, n_inputs): NaN are replaced, and the indicators are appended."""
    if network.fill_values is None:
        return X
    is_missing = np.isnan(X)
    return np.hstack([np.where(is_missing, network.fill_values.astype(X.dtype), X), is_missing[:, network.indicators]])


# ---------------------------------------------------------------------- from outputs to results


def _labels_of_rows(network, method):
    """The label for each number that the kernel returns, or None if it is not the result."""
    labels = network.labels
    if method != "predict" or labels is None or labels.kind not in ("binary", "multiclass"):
        return None
    (classes,) = labels.classes
    return list(classes) * 2 if len(classes) == 1 else list(classes)


def _row_result(network, method):
    """The number of columns that the kernel writes for a row, and the function that converts them to the result, or None."""
    n_outputs, labels = network.sizes[-1], network.labels
    if _labels_of_rows(network, method) is not None:
        return 0, None
    if method == "outputs":
        return n_outputs, None
    if labels is None:
        return n_outputs, _only_element if n_outputs == 1 else (_in_groups(network) if _has_groups(network) else None)
    if method == "predict_proba" and not labels.is_clipped and labels.kind != "multioutput":
        return 2 if n_outputs == 1 else n_outputs, None
    return n_outputs, _first_result(network, method)


def _only_element(out):
    return out[0]


def _in_groups(network):
    return lambda out: out.reshape(-1, network.n_quantiles)


def _first_result(network, method):
    """A function that converts the outputs of a row to its result, by the function for several rows."""

    def first(out):
        results = _results(network, method, out.reshape(1, -1))
        return [part[0] for part in results] if isinstance(results, list) else results[0]

    return first


def _has_groups(network):
    """Whether a regressor predicts several quantiles for several columns of y."""
    return 1 < network.n_quantiles < network.sizes[-1]


def _results(network, method, outputs):
    """The results for outputs (n_rows, n_outputs), as the method of the estimator returns them."""
    if method == "outputs":
        return outputs
    if network.labels is None:
        return _values(network, outputs)
    return _decoded(network.labels, network, outputs) if method == "predict" else _class_probabilities(network, outputs)


def _values(network, outputs):
    if _has_groups(network):
        n_columns = outputs.shape[1] // network.n_quantiles  # not -1, which is not allowed without rows
        return outputs.reshape(len(outputs), n_columns, network.n_quantiles)
    return outputs.ravel() if outputs.shape[1] == 1 else outputs


def _decoded(labels, network, outputs):
    """The predicted labels; for a multilabel y, a dense array of 0 and 1."""
    if labels.kind == "multioutput":
        return GroupedLabels(list(labels.classes)).decode(outputs)
    (classes,) = labels.classes
    if labels.kind == "multilabel":
        return (outputs > 0.5).astype(int)
    if labels.kind == "multiclass":
        return classes.take(outputs.argmax(axis=1))
    return classes.take((outputs[:, 0] > 0.5) & (len(classes) > 1))


def _class_probabilities(network, outputs):
    """The probabilities (n_rows, n_classes), or a list of them for a y with several multiclass outputs."""
    labels = network.labels
    groups = split_groups(outputs, network.group_sizes) if labels.kind == "multioutput" else [outputs]
    groups = [clipped_probabilities(group, labels.is_divided) if labels.is_clipped else group for group in groups]
    if labels.kind == "multioutput":
        return groups
    return np.hstack([1 - groups[0], groups[0]]) if outputs.shape[1] == 1 else groups[0]
