"""What the classifier and the regressor share: parameters, validation, the course of a fit, prediction.

Data and scikit-learn's parameters enter; attributes as scikit-learn's own estimators have them leave. A fit is all or nothing: an
error leaves the estimator as it was, a fitted model included. How labels become numbers is the subclasses' matter, how numbers
become weights that of `training`.
"""

from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from inspect import signature
from itertools import pairwise
from numbers import Integral, Real
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, _fit_context
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.validation import check_is_fitted, validate_data

from ._data.inputs import FLOATS, Matrix, as_rows, as_targets, common_float, is_plain
from ._network.activations import per_layer
from ._network.architecture import Architecture, Plan
from ._network.layout import N_NORM_PARAMETERS, Layout, aligned_zeros
from ._network.optimizers import write_penalties
from ._network.prediction import outputs
from ._network.workspace import MovingStatistics
from ._preparation import Preparation, padded_copy
from ._training import lbfgs as quasi_newton
from ._training.epochs import Problem
from ._training.sgd import Call, descend
from ._transformer import HiddenUnits

# The views carry the parameters, and their buffer would carry them twice; the rest belongs to one fit.
_NOT_COPIED = {"_params", "_views", "_course", "_callback_fit_ctx", "_skl_callbacks_to_teardown", "_parent_callback_ctx"}


class BaseMLP(Preparation, HiddenUnits, CallbackSupportMixin, BaseEstimator, ABC):
    """A multilayer perceptron; see the subclasses."""

    _groups = ()  # how many output units each output has, where each of several has classes of its own

    # ------------------------------------------------------------------ what a subclass says

    @abstractmethod
    def _validate_input(self, X, y, incremental, reset):
        """The validated X, and y as numbers (n_rows, n_columns)."""

    def _validate_validation(self, X, y):
        """The same for rows that are not trained on."""
        return self._validate_input(X, y, incremental=True, reset=False)

    @abstractmethod
    def _output(self, y):
        """The number of output units for such a y, and the name of their activation."""

    @abstractmethod
    def _objective(self):
        """What is minimised."""

    @abstractmethod
    def _stratify(self, y):
        """What the validation rows are stratified by, or None."""

    @abstractmethod
    def _score_outputs(self, y, outputs, sample_weight):
        """What early stopping wants high."""

    # ------------------------------------------------------------------ fit

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Matrix,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Matrix | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train the network on X and y.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs. float32 is trained in float32, all else in float64; CSR and CSC matrices are never made dense.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets: class labels in classification, real numbers in regression.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows; each batch is averaged by the weights in it.
        X_val : array-like or sparse matrix of shape (n_val, n_features), default=None
            Inputs to validate with, beside those of training: `history_` has their loss and score after every epoch, and early
            stopping goes by them and holds no rows out. ``Pipeline(..., transform_input=["X_val"])`` transforms them as it does X.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets; in classification, of labels that are in y.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights.

        Returns
        -------
        self : estimator
            The trained estimator.

        Raises
        ------
        ValueError
            For parameters and data that cannot be trained on, and where training diverged. The estimator is left as it was; but one
            that had no weights before keeps those after the best epoch of a fit that diverged later.
        """
        return self._fit(X, y, sample_weight, incremental=False, validation=(X_val, y_val, sample_weight_val))

    def _fit(self, X, y, sample_weight, incremental, validation=(None, None, None)):
        call, diverged = Call.of(self, X, y, sample_weight, incremental, validation), None
        with self._all_or_nothing():
            call.callbacks_runner.begin()
            hidden_layer_sizes = self._hidden_layer_sizes()
            going_on = hasattr(self, "coefs_") and (self.warm_start or incremental)
            call.first, call.fresh = not hasattr(self, "coefs_"), not going_on
            X, y = self._validate_input(X, y, incremental, reset=not going_on)
            self._check_together(X)
            sample_weight = self._weights(X, y, sample_weight, incremental)
            self._random_state = check_random_state(self.random_state)
            n_outputs, out_activation = self._output(y)
            if going_on:
                self._check_outputs(n_outputs, out_activation)
            X, y = self._prepare(X, y, out_activation, going_on)
            if not going_on:
                self._initialize(X, (X.shape[1], *hidden_layer_sizes, n_outputs), out_activation)
            if self.solver == "lbfgs":
                quasi_newton.fit(self, X, y, sample_weight, call)
            else:
                diverged = descend(self, X, y, sample_weight, call)
            self._publish_for_good()
        if diverged is not None:
            raise diverged
        call.callbacks_runner.end()
        return self

    def _validated(self, X, y, reset, **options):
        """X and y as scikit-learn's validation gives them; plain arrays, where it takes longer than a small network, without it."""
        if (is_plain(X, 2) if reset else self._knows(X)) and is_plain(y, 1) and len(X) == len(y):
            self.n_features_in_ = X.shape[1]
            vars(self).pop("feature_names_in_", None)
        else:
            options |= {"accept_sparse": ["csr", "csc"], "dtype": FLOATS, "multi_output": True}
            X, y = validate_data(self, X, y, ensure_all_finite=_allowed(self.missing == "indicator"), reset=reset, **options)
            if y.ndim == 2 and y.shape[1] == 1:
                y = column_or_1d(y, warn=True)
        return X, y

    @contextmanager
    def _all_or_nothing(self):
        """Put everything back as it was if the body fails: attributes, and the buffers that training writes into."""
        attributes = dict(vars(self))
        buffers = [self._params] if hasattr(self, "_params") else []
        buffers += [self._training_params] if self._training_params is not None else []
        buffers += [self._optimizer.moments] if hasattr(self, "_optimizer") else []
        buffers += [self._moving.statistics] if self._moving is not None else []
        copies = [buffer.copy() for buffer in buffers]
        try:
            yield
        except BaseException:
            vars(self).clear()
            vars(self).update(attributes)
            for buffer, copy in zip(buffers, copies, strict=True):
                buffer[...] = copy
            raise

    def _validate_params(self):
        """scikit-learn's validation of the parameters that somebody gave; for all of them it takes longer than many a small fit."""
        defaults, values = _defaults(type(self)), vars(self)
        names = (name for name in self._parameter_constraints if values.get(name) is not defaults.get(name, values))
        given = {name: values.get(name) for name in names}
        validate_parameter_constraints(self._parameter_constraints, given, caller_name=type(self).__name__)

    def _hidden_layer_sizes(self):
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if not all(isinstance(size, Integral) and not isinstance(size, bool) for size in sizes):
            raise TypeError(f"hidden_layer_sizes must hold integers > 0, the number of units of each hidden layer; got {sizes}.")
        if any(size <= 0 for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        return [int(size) for size in sizes]

    def _check_together(self, X):
        """Refuse parameters that do not go together, or not with such X."""
        if self.batch_norm and self.layer_norm:
            raise ValueError("batch_norm and layer_norm must not both be True: choose one.")
        if issparse(X):
            rates = () if isinstance(self.dropout, Real) else _as_shares(self.dropout)
            first = rates[0] if len(rates) > len(self._hidden_layer_sizes()) else 0
            for name, wanted in (("input_noise", self.input_noise), ("dropout", first)):
                if wanted:
                    raise ValueError(
                        f"{name}={getattr(self, name)!r} changes the inputs, which sparse X do not bear without being unfolded: "
                        "give a dense X, or leave the inputs as they are."
                    )

    def _check_outputs(self, n_outputs, out_activation):
        if n_outputs != self.n_outputs_:
            raise ValueError(
                f"y needs {n_outputs} output units, but the network that training goes on from has {self.n_outputs_}: give y as "
                "many columns or classes as before, or fit anew with warm_start=False."
            )
        if (self._link, len(self._link_numbers())) != getattr(self, "_linked_as", (self._link, len(self._link_numbers()))):
            raise ValueError(
                "loss and quantile must stay such that outputs mean what they did when training began, several quantiles or not: "
                "set them back, or fit anew with warm_start=False."
            )
        if out_activation != self.out_activation_:
            raise ValueError(
                f"out_activation must stay what it was when training began, {self.out_activation_!r}, but out_activation="
                f"{self.out_activation!r} with loss={self.loss!r} is {out_activation!r} now: set both back, or fit anew with "
                "warm_start=False."
            )

    def _initialize(self, X, sizes, out_activation):
        self.n_iter_, self.t_ = 0, 0
        self.n_outputs_, self.n_layers_, self.out_activation_ = sizes[-1], len(sizes), out_activation
        self._linked_as = self._link, len(self._link_numbers())
        self._norm = "batch_norm" if self.batch_norm else "layer_norm" if self.layer_norm else None
        layout = Layout(sizes, N_NORM_PARAMETERS[self._norm])
        self._moving = MovingStatistics.fresh(layout) if self.batch_norm else None
        self._hold_trained(layout, aligned_zeros(layout.n_params, X.dtype))
        # the last layer is drawn as scikit-learn draws it, by the function of the hidden units
        activations = self._activations(len(sizes) - 2)
        activations += activations[-1:] or ("" if isinstance(self.activation, (list, tuple)) else self.activation,)
        self._draw(activations)
        if self.solver != "lbfgs":
            self.loss_curve_, self._no_improvement_count = [], 0
            self._start_judging()

    def _start_judging(self):
        self.validation_scores_, self.best_validation_score_ = ([], -np.inf) if self.early_stopping else (None, None)
        self.best_loss_ = None if self.early_stopping else np.inf

    def _hold(self, layout, params):
        """Take a flat buffer for the parameters, with `coefs_` and `intercepts_` as views of it."""
        self._params = params
        self.coefs_, self.intercepts_ = layout.views(params)
        self._views = [*self.coefs_, *self.intercepts_]
        for name in ("norm_scales_", "norm_shifts_"):
            vars(self).pop(name, None)
        if layout.n_norms:
            self.norm_scales_, self.norm_shifts_ = layout.norms(params)
            self._views += self.norm_scales_ + self.norm_shifts_

    def _layout(self):
        return Layout(self._sizes(), N_NORM_PARAMETERS[self._norm] if self._norm == "layer_norm" else 0)

    def _training_layout(self):
        """The layout of the parameters that are trained, with all that norms have."""
        return Layout(self._sizes(), N_NORM_PARAMETERS[self._norm])

    def _sizes(self):
        return (self._n_inputs, *(np.shape(W)[1] for W in self.coefs_))

    def _flat_params(self):
        """The parameters as one buffer, gathered anew where somebody put other arrays into `coefs_` or `intercepts_`."""
        self._check_shapes()
        arrays = [*self.coefs_, *self.intercepts_]
        if hasattr(self, "norm_scales_"):
            arrays += [*self.norm_scales_, *self.norm_shifts_]
        views = getattr(self, "_views", ())
        if len(views) == len(arrays) and all(a is b for a, b in zip(arrays, views, strict=True)):
            return self._params
        gathered = np.concatenate([np.ravel(array) for array in arrays])
        if gathered.dtype.kind not in "fiub":
            raise ValueError(f"coefs_ and intercepts_ must hold real numbers, got {gathered.dtype}.")
        return padded_copy(gathered, gathered.dtype if gathered.dtype in FLOATS else np.float64)

    def _check_shapes(self):
        """Refuse arrays, put there or reshaped by somebody, that make up no network for so many features and outputs."""
        weights, biases = [np.shape(W) for W in self.coefs_], [np.shape(b) for b in self.intercepts_]
        for name in ("norm_scales_", "norm_shifts_"):
            shapes = [np.shape(vector) for vector in getattr(self, name, [])]
            wanted = biases[:-1] if self._norm == "layer_norm" else []
            if shapes != wanted:
                raise ValueError(f"{name} must hold a vector for each hidden layer, of shapes {wanted}; got {shapes}.")
        sizes = [self._n_inputs, *(shape[-1] if shape else 0 for shape in weights)]
        if weights != list(pairwise(sizes)) or biases != [(n,) for n in sizes[1:]] or sizes[-1] != self.n_outputs_:
            raise ValueError(
                f"coefs_ and intercepts_ must make up a network from {self._n_inputs} inputs to {self.n_outputs_} outputs, "
                f"W (n_in, n_out) and b (n_out,) for each layer; got shapes {weights} and {biases}."
            )

    def _activations(self, n_hidden=None):
        """The activation of each hidden layer."""
        return per_layer(self.activation, len(self.coefs_) - 1 if n_hidden is None else n_hidden)

    def _settings(self, settings, dtype):
        """Fill in what is asked of every fit, beside what its solver was asked; returns the numbers of penalties and limits."""
        # by field, as an attribute of a record takes five times as long, and a small fit is short
        settings["tol"], settings["patience"], settings["validated"] = self.tol, self.n_iter_no_change, self.early_stopping
        settings["global_weights"] = self.weight_norm == "global"
        return write_penalties(settings, self, dtype)

    def _plan(self):
        """The network that is trained."""
        return Plan(self._training_layout(), self._architecture(), self._objective())

    def _plan_to_predict(self):
        """The network that predicts, with what it minimised."""
        norm = None if self._norm == "batch_norm" else self._norm  # which is folded into the weights
        architecture = Architecture(self._activations(), self._link, norm, numbers=self._link_numbers())
        return Plan(self._layout(), architecture, self._objective())

    def _architecture(self, dropout=None):
        activations, numbers = self._activations(), self._link_numbers()
        dropout = self._dropout_rates() if dropout is None else dropout
        return Architecture(activations, self._link, self._norm, dropout, self.input_noise, numbers)

    @property
    def _link(self):
        """The kernels' name of the function of the output units."""
        return self.out_activation_

    def _link_numbers(self):
        """The numbers that this function, or the loss, needs in a list."""
        return ()

    def _dropout_rates(self):
        """The share dropped of the inputs and of each hidden layer, or () for none of all."""
        n_hidden, rates = len(self.coefs_) - 1, self.dropout
        if isinstance(rates, Real):
            return (0.0, *(float(rates),) * n_hidden) if rates else ()
        rates = _as_shares(rates)
        if len(rates) not in (n_hidden, n_hidden + 1) or not all(0 <= rate < 1 for rate in rates):
            raise ValueError(
                f"dropout must be a share from 0 up to, but not, 1, or a list of {n_hidden} such, one for each hidden layer, or "
                f"of {n_hidden + 1} with one for the inputs before them; got {self.dropout!r}."
            )
        rates = (0.0, *rates) if len(rates) == n_hidden else rates
        return rates if any(rates) else ()

    def _problem(self, X, y, sample_weight, params):
        dtype = params.dtype
        rows, y, weight = as_rows(X, dtype), as_targets(y, dtype), as_targets(sample_weight, dtype)
        return Problem(self._plan(), params, rows, y, weight, self._moving)

    # ------------------------------------------------------------------ prediction

    def _outputs(self, X):
        """What the output units say (n_rows, n_outputs) for X as a user gives it."""
        X = self._inputs(X)
        params = self._flat_params()
        dtype = common_float(X, params)
        params = params if params.dtype == dtype else padded_copy(params, dtype)
        return outputs(self._plan_to_predict(), params, as_rows(X, dtype), X.shape[0])

    def _inputs(self, X):
        """What the network that is shown takes, for X as a user gives it."""
        if not self._knows(X):
            check_is_fitted(self)
            allowed = _allowed(self._imputer is not None)
            X = validate_data(self, X, accept_sparse=["csr", "csc"], ensure_all_finite=allowed, reset=False)
        return self._imputed(X)

    def _knows(self, X):
        """Whether X is plain, and has the features that the network was trained on, which had no names."""
        return (
            is_plain(X, 2)
            and hasattr(self, "coefs_")
            and not hasattr(self, "feature_names_in_")
            and X.shape[1] == self.n_features_in_
        )

    # ------------------------------------------------------------------ what scikit-learn asks of an estimator

    @property
    def _resumes(self):
        return isinstance(self.warm_start, str)

    def _check_solver(self):
        if self.solver == "lbfgs":
            raise AttributeError("partial_fit is only available for stochastic optimizers. lbfgs is not stochastic.")
        return True

    def __getstate__(self):
        # a copy that is made while a fit is under way goes on from where that is
        state = super().__getstate__() | (self._course.state_now() if hasattr(self, "_course") else {})
        return {name: value for name, value in state.items() if name not in _NOT_COPIED}

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "coefs_"):
            with suppress(ValueError):  # weights that make up no network can still be put right after loading
                params = self._flat_params()
                self._hold(self._layout(), params)
        if self._training_params is not None:  # which come without the room behind them
            self._training_params = padded_copy(self._training_params, self._training_params.dtype)
        if self._moving is not None:
            self._moving = MovingStatistics(np.array(self._moving.statistics))
        if hasattr(self, "_optimizer"):  # whose moments may come memory-mapped, read-only
            self._optimizer = replace(self._optimizer, moments=np.array(self._optimizer.moments))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self.missing == "indicator"
        # L-BFGS leaves float64 weights
        keeps = self.solver != "lbfgs" and self.dtype == "auto"
        tags.transformer_tags.preserves_dtype = ["float64", "float32"] if keeps else ["float64"]
        return tags


@cache
def _defaults(cls):
    return {name: parameter.default for name, parameter in signature(cls.__init__).parameters.items()}


def _as_shares(rates):
    """A flat list of numbers as a tuple of floats; one NaN for what is none."""
    try:
        rates = np.asarray(rates, np.float64)
    except (TypeError, ValueError):
        return (np.nan,)
    return tuple(rates.tolist()) if rates.ndim == 1 else (np.nan,)


def _allowed(nan):
    """What scikit-learn's validation wants to hear of NaN."""
    return "allow-nan" if nan else True
