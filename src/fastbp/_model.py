"""The base class of the estimators for everything except training: snapshots, predictions, transformation and pickling.

A fitted estimator and X go in; network outputs come out. Each call works on a snapshot, which is a shallow copy of the estimator
that other threads do not change. Therefore, all attributes that a call reads belong to one model, even if another thread fits the
estimator at the same time. This module does not know how a network is trained.
"""

import os
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from functools import wraps
from inspect import signature
from typing import Any, NamedTuple, Self, cast

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import column_or_1d
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted, check_X_y, validate_data

from ._compat import ADAPTERS_MANAGER, Method, _get_output_config
from ._data.array_likes import is_table, table_in_file
from ._data.inputs import FLOATS, Matrix, as_rows, common_float, is_plain
from ._data.sparse import check_converted_indices, check_indices
from ._data.streamed import StreamedRows, is_large, is_readable
from ._data.targets import labels_from_plain, labels_to_plain
from ._large_inputs import LargeInputs
from ._network.activations import per_layer
from ._network.architecture import Architecture, Plan
from ._network.hidden_layers import first_layers
from ._network.layout import padded_copy
from ._network.parameters import broadcast_intercepts, check_link, check_shapes, gathered, published_layout
from ._network.prediction import outputs
from ._parameters import default_params
from ._training.state import TrainingState

# The attributes that a fit sets. Only the user and scikit-learn set other attributes.
_FITTED = (
    *("coefs_", "intercepts_", "norm_scales_", "norm_shifts_", "loss_", "best_loss_", "loss_curve_", "history_", "t_", "n_iter_"),
    *("validation_scores_", "best_validation_score_", "n_features_in_", "feature_names_in_", "n_layers_", "n_outputs_", "y_range_"),
    *("out_activation_", "classes_", "_state", "_no_improvement_count", "_label_binarizer", "_groups", "_quantiles", "_kept_run"),
)
_ALL_FITTED = frozenset(_FITTED)
_WEIGHTS = ("coefs_", "intercepts_", "norm_scales_", "norm_shifts_")
# Attributes of a running fit, which are not copied and not pickled.
_NOT_COPIED = {"_kept_run", "_callback_fit_ctx", "_skl_callbacks_to_teardown", "_parent_callback_ctx"}

# The lock is held only for the few microseconds in which several attributes are read or set, not during training or prediction.
attributes_lock = threading.RLock()
if hasattr(os, "register_at_fork"):  # another thread may hold the lock when a process forks
    os.register_at_fork(
        before=attributes_lock.acquire, after_in_parent=attributes_lock.release, after_in_child=attributes_lock.release
    )


class PausedFit(NamedTuple):
    """A fit of ``estimator`` while its callbacks run.

    ``fitting`` is the snapshot that it trains, ``run`` its ``SGDRun``, or None for L-BFGS, and ``problem`` the ``Problem`` with all
    rows, including those that are held out.
    """

    estimator: Any
    fitting: Any
    run: Any
    problem: Any


class _PausedFits(threading.local):
    """The fits of the current thread whose callbacks are running, the innermost one last."""

    def __init__(self):
        self.fits: list[PausedFit] = []

    def of(self, estimator):
        """The fit of an estimator, or None."""
        return next((fit for fit in reversed(self.fits) if fit.estimator is estimator), None)


paused_fits = _PausedFits()


def on_snapshot(method: Method) -> Method:
    """Decorate a method that runs on a snapshot of its estimator, so that all attributes that it reads belong to one model."""

    @wraps(method)
    def run(self, *arguments, **options):
        snapshot = self._snapshot()
        snapshot._complete()
        return method(snapshot, *arguments, **options)

    return cast(Method, run)


def continues_run(method: Method) -> Method:
    """Decorate ``partial_fit``, which is called only if the run of its previous call cannot be continued."""

    names = list(signature(method).parameters)[3:]

    @wraps(method)
    def run(self, X, y, *arguments, **options):
        is_valid = len(arguments) <= len(names) and options.keys() <= set(names[len(arguments) :])  # otherwise, an error follows
        if is_valid and self._continue_run(X, y, *arguments, **options):
            return self
        return method(self, X, y, *arguments, **options)

    return cast(Method, run)


class NetworkModel(LargeInputs, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC, auto_wrap_output_keys=None):
    """The part of the estimators that does not depend on training."""

    # `layer` is not metadata that scikit-learn should route
    __metadata_request__transform = {"layer": UNUSED}
    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]
    n_features_in_: int
    feature_names_in_: np.ndarray
    n_layers_: int
    n_outputs_: int
    out_activation_: str
    _state: TrainingState | None = None

    @abstractmethod
    def _objective(self):
        """The ``Objective`` that training minimizes; its loss determines how outputs become predictions."""

    # ------------------------------------------------------------------ snapshots

    def _snapshot(self):
        """A shallow copy with the current attributes, all read under the lock."""
        snapshot = object.__new__(type(self))
        with attributes_lock:
            snapshot.__dict__.update(self.__dict__)
        return snapshot

    def _complete(self):
        """Set the missing attributes of an estimator that was never fitted and whose weights were set by the user."""
        if self._state is not None or not hasattr(self, "coefs_"):
            return
        shapes = [np.shape(W) for W in self.coefs_]
        n_inputs, n_outputs = (shapes[0][0], shapes[-1][-1]) if shapes and all(shapes) else (0, 0)
        derived = {"n_features_in_": n_inputs, "n_outputs_": n_outputs, "n_layers_": len(shapes) + 1}
        derived |= {"n_iter_": 0, "t_": 0, "_no_improvement_count": 0}
        self.__dict__.update(derived | self.__dict__)

    def _snapshot_with_lists(self):
        """A snapshot with copies of the lists that have one entry per epoch, because a running fit appends to its lists."""
        with attributes_lock:
            snapshot = self._snapshot()
            snapshot._copy_lists()
        return snapshot

    def _snapshot_with_state(self, state):
        """A snapshot with the weights of a published state."""
        snapshot = self._snapshot()
        snapshot._set_state(state)
        return snapshot

    def _commit(self, fitted):
        """Copy the fitted attributes of another estimator, all under the lock."""
        attributes, own = fitted.__dict__, self.__dict__
        new = {name: attributes[name] for name in _FITTED if name in attributes}
        with attributes_lock:
            own.update(new)
            for name in _ALL_FITTED.difference(new):
                own.pop(name, None)

    def _copy_lists(self):
        """Replace the lists that have one entry per epoch by copies."""
        attributes = self.__dict__
        for name in ("loss_curve_", "validation_scores_"):
            if isinstance(attributes.get(name), list):
                attributes[name] = list(attributes[name])
        if isinstance(attributes.get("history_"), dict):
            attributes["history_"] = {name: list(entries) for name, entries in attributes["history_"].items()}

    def _set_state(self, state):
        """Set the attributes for a published state."""
        for name in _WEIGHTS:
            self.__dict__.pop(name, None)
        self.__dict__.update(state.published.attributes(), _state=state)

    @property
    def _optimizer(self):
        """The optimizer of the last fit; scikit-learn's estimators have the same attribute."""
        if self._state is None or self._state.optimizer is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute '_optimizer'")
        return self._state.optimizer

    def set_params(self, **params: Any) -> Self:
        """Set the parameters of this estimator.

        A fit that another thread starts at the same time uses either all of the new values or none of them.

        Parameters
        ----------
        **params : dict
            The names and the new values of parameters.

        Returns
        -------
        self : estimator
            The estimator.

        Raises
        ------
        ValueError
            If the estimator has no parameter of a name.
        """
        with attributes_lock:
            return super().set_params(**params)

    # ------------------------------------------------------------------ the published network

    @property
    def _norm(self):
        return None if self._state is None else self._state.published_norm

    @property
    def _n_inputs(self):
        return self.n_features_in_ if self._state is None else self._state.preparation.n_inputs(self.n_features_in_)

    @property
    def _link(self):
        """The name of the link in `LinkCode`, and its list of quantiles or group sizes."""
        return self.out_activation_, ()

    def _layout(self):
        return published_layout(self.coefs_, self._n_inputs, self._norm)

    def _flat_params(self):
        """The published parameters in one buffer, and their layout; the buffer is a copy if the user replaced an array."""
        attributes = self.__dict__
        published = None if self._state is None else self._state.published
        if published is not None and published.are_in(attributes):
            return published.params, published.layout
        lists = {name: getattr(self, name) for name in ("coefs_", "intercepts_")}  # AttributeError if the user deleted one
        lists |= {name: attributes[name] for name in ("norm_scales_", "norm_shifts_") if name in attributes}
        lists["intercepts_"] = broadcast_intercepts(lists["coefs_"], lists["intercepts_"])
        check_shapes(lists, self._n_inputs, self.n_outputs_, self._norm)
        check_link(self.out_activation_)
        return gathered(lists), self._layout()

    def _prediction_plan(self, layout, state):
        """The ``Plan`` of a network for predictions: of a state, or of weights that the user set if ``state`` is None."""
        return Plan(layout, self._prediction_architecture(len(layout.sizes) - 2, state), self._objective())

    def _prediction_architecture(self, n_hidden, state):
        link, numbers = self._link
        norm = None if state is None else state.published_norm
        fitted = () if state is None else state.activations
        # the activations of the last fit, unless the user has set the weights of a network with another number of layers
        activations = fitted if len(fitted) == n_hidden else per_layer(self.activation, n_hidden)
        architecture = Architecture(activations, link, norm, numbers=numbers)
        return architecture if state is None or state.kinds is None else state.kinds.added_to(architecture).for_prediction()

    # ------------------------------------------------------------------ prediction, on a snapshot

    def _outputs(self, X):
        """The network outputs (n_rows, n_outputs) for the X that the user passed."""
        return self._by_blocks(X, type(self)._outputs_at_once)

    def _outputs_at_once(self, X):
        X = self._inputs(X)
        params, layout = self._flat_params()
        dtype = common_float(X, params)
        params = params if params.dtype == dtype else padded_copy(params, dtype)
        plan = self._prediction_plan(layout, self._state)
        return outputs(plan, params, as_rows(X, dtype), X.shape[0], n_threads=self._n_threads)

    @property
    def _n_threads(self):
        """The parameter `n_threads`, which may have changed after it was validated by a fit."""
        n_threads = self.n_threads
        if n_threads is not None and not (isinstance(n_threads, (int, np.integer)) and n_threads >= 1):
            raise ValueError(f"n_threads must be None or an integer of at least 1. Got {n_threads!r}. Change it with set_params.")
        return n_threads

    def _inputs(self, X):
        """The inputs of the published network for the X that the user passed."""
        preparation = None if self._state is None else self._state.preparation
        if not self._is_plain_input(X):
            check_is_fitted(self)
            check_indices(X, "X")
            has_imputer = preparation is not None and preparation.imputer is not None
            given, finite = X, _finite_or_nan(has_imputer)
            X = validate_data(self, X, accept_sparse=["csr", "csc"], ensure_all_finite=finite, reset=False)
            check_converted_indices(X, given, "X")
        return X if preparation is None else preparation.network_inputs(X)

    @on_snapshot
    def _forward_pass_fast(self, X, check_input=True):
        """The outputs of the network for X, computed in NumPy; for code that calls this method of scikit-learn's estimators."""
        if check_input:
            X = self._inputs(X)
        elif self._state is not None:
            X = self._state.preparation.network_inputs(X)
        return self._forward_pass([X] + [None] * len(self.coefs_))[-1]

    @abstractmethod
    def _forward_pass(self, activations):
        """The activations of all layers, computed in NumPy."""

    def _is_plain_input(self, X):
        """Whether validation would return X unchanged: a plain array with the right number of features, without feature names."""
        attributes = vars(self)  # `hasattr` takes longer
        is_unnamed = "coefs_" in attributes and "feature_names_in_" not in attributes
        return is_unnamed and is_plain(X, 2) and X.shape[1] == self.n_features_in_

    def _validated(self, X, y, reset, **options):
        """X and y, validated by scikit-learn unless they are plain arrays; the validation can take longer than a small fit."""
        if (is_plain(X, 2) if reset else self._is_plain_input(X)) and is_plain(y, 1) and len(X) == len(y):
            self.n_features_in_ = X.shape[1]
            self.__dict__.pop("feature_names_in_", None)
        else:
            check_indices(X, "X")
            # a large array of integers is converted when its rows are read
            is_streamed = is_readable(X) and X.ndim == 2 and X.dtype.kind != "f" and is_large(X, np.float64)
            options |= {"accept_sparse": ["csr", "csc"], "dtype": None if is_streamed else FLOATS, "multi_output": True}
            finite = _finite_or_nan(self.missing == "indicator")
            given, rows = X, table_in_file(X) if is_table(X) else X
            if rows is X:
                X, y = validate_data(self, X, y, ensure_all_finite=finite, reset=reset, **options)
            else:
                validate_data(self, X, skip_check_array=True, reset=reset)  # the names and the number of columns
                X, y = check_X_y(rows, y, ensure_all_finite=finite, estimator=self, **options)
            check_converted_indices(X, given, "X")
            if is_streamed:
                X = StreamedRows(X, np.dtype(np.float64))
            if y.ndim == 2 and y.shape[1] == 1:
                y = column_or_1d(y, warn=True)
        return X, y

    # ------------------------------------------------------------------ transformation

    @on_snapshot
    def transform(self, X: Matrix, layer: int = -2) -> np.ndarray:
        """Return the activations of one layer of units.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The input data.
        layer : int, default=-2
            The index of the layer in the list of all `n_layers_` layers: 0 is the input layer (with missing values replaced and
            inputs clipped), -1 is the output layer, and -2 is the last hidden layer.

        Returns
        -------
        activations : ndarray of shape (n_samples, n_units)
            The activations; a data frame if ``set_output`` selects a data frame library.

        Raises
        ------
        ValueError
            If the network has no layer with this index.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastbp import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = MLPClassifier((16, 3), max_iter=500, learning_rate_init=0.01, random_state=0).fit(X, y)
        >>> classifier.transform(X).shape
        (150, 3)
        """
        activations = self._layer_outputs(X, layer)
        container = _get_output_config("transform", self)["dense"]
        if container == "default":
            return activations
        # scikit-learn's own wrapper can name only the columns of the default layer
        names = np.array([f"{type(self).__name__.lower()}{unit}" for unit in range(activations.shape[1])], object)
        return ADAPTERS_MANAGER.adapters[container].create_container(activations, X, columns=names)

    @property
    def _n_features_out(self):
        """The number of units of the default layer of ``transform``, from which scikit-learn generates feature names."""
        return len(self.coefs_[-1])

    def _layer_outputs(self, X, layer):
        check_is_fitted(self)
        n_layers = self.n_layers_
        if isinstance(layer, bool) or not isinstance(layer, (int, np.integer)) or not -n_layers <= layer < n_layers:
            raise ValueError(
                f"layer must be an integer from {-n_layers} to {n_layers - 1}, because the network has {n_layers} layers including "
                f"inputs and outputs; got {layer!r}."
            )
        layer = int(layer) % n_layers
        if layer == n_layers - 1:
            return self._outputs(X)
        return self._by_blocks(X, lambda model, X: model._layer_outputs_at_once(X, layer))

    def _layer_outputs_at_once(self, X, layer):
        X = self._inputs(X)
        params, layout = self._flat_params()
        dtype = common_float(X, params)
        if layer == 0:
            return np.array(X.toarray() if issparse(X) else X, dtype)
        plan, params = first_layers(self._prediction_plan(layout, self._state), params, layer, dtype)
        return outputs(plan, params, as_rows(X, dtype), X.shape[0], n_threads=self._n_threads)

    # ------------------------------------------------------------------ copies

    def __getstate__(self):
        copied = self._snapshot_with_lists()
        paused = paused_fits.of(self)
        if paused is not None:  # a callback makes the copy, which continues from the current epoch of the callback's fit
            copied._commit(paused.fitting)
            copied._copy_lists()
            if paused.run is not None:
                copied._set_state(paused.run.state_if_stopped())
        attributes = super(NetworkModel, copied).__getstate__()
        if attributes.get("_state") is not None:
            attributes["_state"] = attributes["_state"].to_plain()
        if "_label_binarizer" in attributes:
            attributes["_label_binarizer"] = labels_to_plain(attributes["_label_binarizer"])
        return {name: value for name, value in attributes.items() if name not in _NOT_COPIED}

    def __setstate__(self, attributes):
        super().__setstate__(default_params(type(self)) | attributes)  # a pickle of an earlier version has fewer parameters
        if "_label_binarizer" in attributes:
            self._label_binarizer = labels_from_plain(attributes["_label_binarizer"])
        if isinstance(self._state, dict):  # it is a TrainingState in a pickle of an earlier version
            self._state = TrainingState.from_plain(self._state)
        if self._state is not None and hasattr(self, "coefs_"):
            with suppress(ValueError):  # weights of wrong shapes can be replaced after loading
                params, _ = self._flat_params()
                self._set_state(self._state.with_published(params))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self.missing == "indicator"
        # weights trained by L-BFGS are float64
        keeps = self.solver != "lbfgs" and self.dtype == "auto"
        tags.transformer_tags.preserves_dtype = ["float64", "float32"] if keeps else ["float64"]
        return tags


def check_predicts(estimator):
    """Raise a ValueError if the fitted attributes of an estimator do not form a network that predicts."""
    model = estimator._snapshot()
    if "coefs_" not in vars(model):
        return
    try:
        model._complete()
        layout = model._flat_params()[1]
        plan = model._prediction_plan(layout, model._state)
    except AttributeError as error:
        raise ValueError(f"coefs_ needs other attributes that fit sets: {error}. Set them, too.") from None
    plan.loss_numbers()
    numbers = plan.architecture.numbers
    if plan.architecture.link == "ordered_quantiles" and layout.sizes[-1] % max(1, len(numbers)):
        raise ValueError(f"The {layout.sizes[-1]} units of the output layer must be a multiple of the {len(numbers)} quantiles.")


def is_resumable(estimator):
    """Return whether an unpickled object is an estimator whose training can be resumed."""
    state, paused = getattr(estimator, "_state", None), getattr(estimator, "_paused", None)  # those of an estimator for tables
    return paused is not None or (isinstance(estimator, NetworkModel) and state is not None and state.resume is not None)


def _finite_or_nan(allow_nan):
    """The value of ``ensure_all_finite`` for scikit-learn's validation."""
    return "allow-nan" if allow_nan else True
