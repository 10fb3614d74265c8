"""The base class of the estimators for tables: from a table and targets to fitted attributes, and from a table to outputs.

The subclasses encode targets and decode outputs. A fit sets attributes of another object, which are copied at the end, so that a
fit that fails does not change the estimator. This module does not know how a network is trained.
"""

from abc import ABC, abstractmethod
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from .._compat import Interval, Options, StrOptions, _check_sample_weight, _safe_indexing, fit_method
from .._data.columns import ColumnReader
from .._data.table_inputs import InputTable
from .._data.targets import check_validation_rows
from .._kernels.user_warnings import warn_user
from .._network.activations import ACTIVATION_NAMES
from .._network.mixed_precision import MIXED_BFLOAT16
from .._network.schedules import SCHEDULE_NAMES
from .._training.callback_runner import callback_functions
from .._training.generators import generator_of
from .ensembles import Ensemble, RowData, drawn_splits, out_of_bag, split_of_all_rows
from .export import ExportedTables
from .member_callbacks import CallbackTurn, MemberCallbacks
from .member_training import EnsembleTraining, Limits, PausedEnsemble, ensemble_of

_FRACTION = Interval(Real, 0, 1, closed="left")
_AT_LEAST_0 = Interval(Real, 0, None, closed="left")
_ABOVE_0 = Interval(Real, 0, None, closed="neither")
_AT_LEAST_1 = Interval(Integral, 1, None, closed="left")

# the rules for the parameters that all estimators for tables have
OF_TABLES = {
    "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
    "validation_fraction": [_FRACTION],
    "n_cv": [_AT_LEAST_1],
    "n_ensemble": [_AT_LEAST_1],
    "dtype": [StrOptions({"float32", MIXED_BFLOAT16})],
    "random_state": ["random_state"],
    "n_threads": [_AT_LEAST_1, None],
    "max_time": [_ABOVE_0, None],
    "verbose": ["verbose"],
    "warm_start": [StrOptions({"resume"}), Options(bool, {False})],
    "callbacks": [list, tuple, callable, None],
}
# the rules for the parameters of networks that all families have
OF_TABLE_NETWORKS = {
    "hidden_layer_sizes": ["array-like", _AT_LEAST_1],
    "activation": [StrOptions(set(ACTIVATION_NAMES))],
    "learning_rate": [StrOptions(set(SCHEDULE_NAMES))],
    "learning_rate_init": [_ABOVE_0],
    "beta_1": [_FRACTION],
    "beta_2": [_FRACTION],
    "epsilon": [_ABOVE_0],
    "weight_decay": [_AT_LEAST_0],
    "dropout": [_FRACTION],
    "n_frequencies": [_AT_LEAST_1],
    "max_one_hot_size": [Interval(Integral, 0, None, closed="left")],
    "embedding_size": [_AT_LEAST_1],
    "batch_size": [_AT_LEAST_1],
    "max_iter": [_AT_LEAST_1],
}
# the parameters besides those of ``NetworkSettings`` that must not change while training continues
_FIXED_PARAMETERS = ("n_ensemble", "validation_fraction", "loss", "quantile")
# the attributes with which a fit that continues starts
_CONTINUED = ("_ensemble", "_paused", "n_features_in_", "feature_names_in_", "classes_", "_shape")
_NO_PROTOCOL = (
    "Estimators for tables do not support callbacks of scikit-learn and MLflowLogger. Pass a function; it can also log to mlflow."
)
# the attributes that a fit can set
_SET_BY_FIT = (
    *("_ensemble", "_paused", "members_", "n_iter_", "n_features_in_", "feature_names_in_", "oob_score_"),
    *("classes_", "temperature_", "oob_decision_function_", "oob_prediction_", "_shape"),
)


def set_parameters(estimator, values):
    """Set the parameters of an estimator; ``values`` are the local variables of ``__init__``, by name."""
    vars(estimator).update({name: value for name, value in values.items() if name != "self"})


class BaseTableEstimator(ExportedTables, BaseEstimator, ABC):
    """The part of all estimators for tables that depends neither on the network nor on the task."""

    categorical_features: Any
    validation_fraction: float
    n_cv: int | None
    n_ensemble: int
    random_state: int | np.random.RandomState | None
    n_threads: int | None
    max_time: float | None
    verbose: bool | int
    members_: list[Any]
    n_iter_: int
    n_features_in_: int
    feature_names_in_: np.ndarray
    oob_score_: float
    _is_regression = False
    _ensemble: Ensemble
    _paused: PausedEnsemble | None = None
    _turn: CallbackTurn | None = None  # of the estimator that is passed to callbacks

    # ------------------------------------------------------------------ defined by subclasses, called on a copy

    @abstractmethod
    def _settings(self):
        """The ``NetworkSettings`` or ``TabMSettings`` of the networks."""

    @abstractmethod
    def _encode_targets(self, y):
        """Learn from y; return codes of classes or numbers (n_rows, n_columns)."""

    @abstractmethod
    def _encode_validation_targets(self, y):
        """The codes or numbers (n_rows, n_columns) of the targets of the user's validation rows."""

    def _row_weights(self, y, sample_weight):
        """The weights of the rows with encoded targets, or None."""
        return sample_weight

    def _constant_outputs(self, y):
        """The outputs (n_outputs,) if no network is needed for the encoded targets, or None."""
        return None

    @abstractmethod
    def _set_estimates(self, data, out_of_bag, validation, kept):
        """Set the attributes that are computed from validation rows.

        ``out_of_bag`` are the outputs for the rows of ``data``, or None, ``validation`` those of the user's ``RowData`` or None.
        ``kept(values)`` is an array with the values of these rows, and NaN for rows of weight 0.
        """

    # ------------------------------------------------------------------ fit

    @fit_method
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Fit the networks to a table.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            A data frame of pandas or polars, a table of PyArrow, an array or a list of rows. Missing values may be anywhere.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets without missing values: class labels (n_samples,) in classification, real numbers in regression.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights, at least 0. They are divided by their mean. Rows of weight 0 are left out. The preparation of the
            columns and the scale of y do not depend on weights above 0.
        X_val : data frame or array-like of shape (n_val, n_features), default=None
            Validation rows. If given, all rows of X are used for training, and the best epochs are selected with these rows.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            The targets of the validation rows; in classification, all labels must be in y.
        sample_weight_val : array-like of shape (n_val,), default=None
            Sample weights of the validation rows.

        Returns
        -------
        self : estimator
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data are invalid, or if training diverges. After an error or Ctrl-C, the fitted attributes are
            those of the previous fit. With ``warm_start='resume'``, they are those of the fit that was ended by Ctrl-C or by an
            exception of a callback, which the next call of ``fit`` continues.
        TypeError
            If X is a sparse matrix or a lazy data frame, or if a column has values that are not numbers, strings, booleans or
            dates.
        """
        fitting = object.__new__(type(self))
        fitting.__dict__.update(self.get_params(deep=False))
        if self.warm_start == "resume" and hasattr(self, "_ensemble"):
            if not self._can_resume(X):
                return self
            fitting.__dict__.update({name: value for name, value in vars(self).items() if name in _CONTINUED})
        error = fitting._set_fitted(X, y, sample_weight, (X_val, y_val, sample_weight_val))
        new = {name: value for name, value in vars(fitting).items() if name in _SET_BY_FIT}
        self.__dict__.update(new)
        for name in set(_SET_BY_FIT).intersection(vars(self)).difference(new):
            delattr(self, name)
        if isinstance(error, KeyboardInterrupt):
            warn_user("Training interrupted by user. Call fit again to continue it.")
        elif error is not None:
            raise error
        return self

    def _can_resume(self, X):
        """Whether training can be continued; if it is complete, warn."""
        if self._paused is not None:
            return True
        settings = None if self._ensemble.kind is None else self._ensemble.kind.settings
        max_iter = 0 if settings is None or np.isfinite(settings.n_iter_no_change) else settings.max_iter
        if any(member.n_iter_ < max_iter for member in self.members_):
            raise ValueError(
                "warm_start='resume' needs a model whose training stopped early in a fit with warm_start='resume', or a model that "
                "was loaded from a checkpoint. The training of this model was ended by a callback, or in a fit with another "
                "warm_start. Set warm_start=False to fit it again."
            )
        InputTable.checked(X, self, reset=False)
        if settings is not None:
            _check_same_settings(self._settings(), settings)
        warn_user(
            "The training of this model is complete, and warm_start='resume' did nothing. Set warm_start=False to fit it again.",
            ConvergenceWarning,
        )
        return False

    def _set_fitted(self, X, y, sample_weight, validation):
        """Set the attributes; return the exception that ended training if training can be continued, otherwise None."""
        before, classes = self._paused, getattr(self, "classes_", ())
        settings = self._settings()
        self._check_validation(validation)
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None. Pass the targets.")
        table = InputTable.checked(X, self, reset=before is None)
        y = self._encode_targets(y)
        _check_same_length(table, y)
        if before is not None and not np.array_equal(classes, getattr(self, "classes_", ())):
            raise ValueError(
                "warm_start='resume' continues with the targets of the previous fit, but y has other classes. Pass the same y, or "
                "set warm_start=False."
            )
        weights = self._weights(y, sample_weight)
        n_rows, has_weight = len(y), None if weights is None else weights > 0
        if has_weight is not None and not has_weight.all():  # a row of weight 0 has no influence
            numbers = np.flatnonzero(has_weight)
            table = InputTable.checked(_safe_indexing(table.native, numbers), self, reset=False)
            y, weights = y[numbers], weights[numbers]
        reader = ColumnReader.learned(table, self.categorical_features) if before is None else self._ensemble.reader
        data = RowData(reader.encode(table, np.float32), y, weights)
        given = None if validation[0] is None else self._given_rows(reader, *validation)
        training = self._trained(settings, reader, data, given, before)

        def kept(values):
            if len(values) == n_rows:
                return values
            all_rows = np.full((n_rows, *values.shape[1:]), np.nan)
            all_rows[has_weight] = values
            return all_rows

        estimates = None if training is None else out_of_bag(len(y), training.validation_parts(), self.n_threads)
        self._set_estimates(data, estimates, given, kept)
        return None if training is None else training.error

    def _check_validation(self, validation):
        check_validation_rows(validation, None)
        if validation[0] is not None and self.n_cv is not None and self.n_cv > 1:
            raise ValueError(
                f"n_cv must be 1 if X_val is passed, because all members then have the same validation rows; got n_cv={self.n_cv}. "
                "Set n_cv=1, or do not pass X_val and y_val."
            )

    def _weights(self, y, sample_weight):
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, y, dtype=np.float64, ensure_non_negative=True)
        weights = _in_range_of_float32(self._row_weights(y, sample_weight))
        if weights is not None and not weights.any():
            raise ValueError("At least one row must have a weight above 0, but all are 0. Change class_weight or sample_weight.")
        return weights

    def _given_rows(self, reader, X, y, sample_weight):
        try:
            table = InputTable.checked(X, self, reset=False)
            y = self._encode_validation_targets(y)
            _check_same_length(table, y)
            rows = reader.encode(table, np.float32)
        except ValueError as error:  # its message names X and y
            raise ValueError(f"X_val and y_val cannot be used: {error}") from error
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, y, dtype=np.float64, ensure_non_negative=True)
        return RowData(rows, y, _in_range_of_float32(sample_weight))

    def _trained(self, settings, reader, data, given, before):
        """Set the attributes of the ensemble; return the ``EnsembleTraining``, or None if no network is needed."""
        constant, rng = self._constant_outputs(data.y), generator_of(self.random_state)
        if constant is not None:
            self._ensemble, self.members_, self.n_iter_ = Ensemble(reader, [], constant=constant), [], 0
            return None
        fixed = settings._asdict() | {name: _plain_value(getattr(self, name)) for name in _FIXED_PARAMETERS if hasattr(self, name)}
        if before is not None:
            before.check(data, given, fixed)
            splits, seeds, members = before.splits, before.seeds, list(before.members)
        else:
            splits = self._drawn_splits(settings.n_cv, data, given, rng)
            self._check_members(settings, len(splits))
            seeds, members = rng.randint(np.iinfo(np.int32).max, size=len(splits)), [None] * len(splits)
        limits, options = Limits(self.n_threads, self.max_time, self.verbose), self._network_options()
        training = EnsembleTraining(settings, reader, data, given, splits, seeds, limits, options, members)
        training.fixed, training.is_resumable = fixed, self.warm_start == "resume"
        functions = callback_functions(self.callbacks, _NO_PROTOCOL)
        if functions:
            training.call_back(MemberCallbacks(functions, self._estimator_of))
        training.run()
        self._set_ensemble(training)
        return training

    def _set_ensemble(self, training):
        members, settings = training.members, training.settings
        if training.error is not None and not any(members):
            raise training.error
        self._ensemble = ensemble_of(training.reader, settings, members)
        self.members_ = self._ensemble.members
        epochs = [member.n_iter_ for member in self.members_]
        self.n_iter_ = max(epochs)
        self._paused = None
        if any(member is None or member.is_paused for member in members):
            self._paused = training.paused(members)
        if training.has_ended_early and training.error is None:
            warn_user(
                f"Training ended after max_time={self.max_time:g} seconds, before max_iter={settings.max_iter} epochs: the "
                f"networks were trained for {min(epochs)} to {max(epochs)} epochs. Increase max_time, or decrease max_iter.",
                ConvergenceWarning,
            )

    def _check_members(self, settings, n_members):
        n_bins = getattr(self, "n_bins", None)
        if n_members == 1 and n_bins and not settings.n_submodels:
            raise ValueError(
                "n_bins must be 0 or None with one network, because only every second network has the encoding; got "
                f"n_bins={n_bins}. Set n_cv or n_ensemble to at least 2, or n_bins=None."
            )

    def _drawn_splits(self, n_cv, data, given, rng):
        if given is not None:
            return [split_of_all_rows(len(data.y))] * (n_cv * self.n_ensemble)
        n_cv = min(n_cv, len(data.y)) if self.n_cv is None else n_cv
        classes, counts = None if self._is_regression else data.y[:, 0], {"n_cv": n_cv, "n_ensemble": self.n_ensemble}
        return drawn_splits(len(data.y), rng, classes, validation_fraction=self.validation_fraction, **counts)

    def _estimator_of(self, member, turn):
        """The estimator that is passed to callbacks, with one member."""
        training, shown = turn.callbacks.ensemble, object.__new__(type(self))
        shown.__dict__.update(vars(self))
        shown._ensemble = ensemble_of(training.reader, training.settings, [member])
        shown.members_, shown.n_iter_, shown._turn = [member], member.n_iter_, turn
        return shown

    def _network_options(self):
        """Attributes and parameters of the networks, as two dicts."""
        return {}, {}

    # ------------------------------------------------------------------ prediction

    def _mean_and_deviation(self, X, with_deviation=False):
        """The mean outputs (n_rows, n_outputs) of the networks, and their standard deviations or None."""
        check_is_fitted(self)
        ensemble = self._ensemble
        if with_deviation and ensemble.n_models < 2:
            raise ValueError(
                "return_std=True needs at least two networks, because it is the standard deviation between networks, but this "
                "estimator was fitted with one. Fit it with n_cv=5 or n_ensemble=5, for example."
            )
        rows = ensemble.reader.encode(InputTable.checked(X, self, reset=False), np.float32)
        return ensemble.outputs(rows, self.n_threads, with_deviation)

    # ------------------------------------------------------------------ copies

    def __getstate__(self):
        state = dict(super().__getstate__())
        ensemble, paused, turn = state.get("_ensemble"), state.pop("_paused", None), state.pop("_turn", None)
        if turn is not None and not turn.is_over:  # a callback makes the copy, from which training can be continued
            paused, ensemble = turn.paused()
        if ensemble is not None:
            state.pop("members_", None)
            state["_ensemble"] = ensemble.to_plain()
        return state if paused is None else state | {"_paused": paused.to_plain()}

    def __setstate__(self, state):
        super().__setstate__(state)
        if "_ensemble" in state:
            self._ensemble = Ensemble.from_plain(state["_ensemble"])
            self.members_ = self._ensemble.members
        if "_paused" in state:
            self._paused = PausedEnsemble.from_plain(state["_paused"], self._ensemble)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
        return tags


def _check_same_settings(settings, trained):
    for name, value in settings._asdict().items():
        if value != getattr(trained, name):
            raise ValueError(
                f"{name} must not change with warm_start='resume', because the training of this model is complete; it was "
                f"{getattr(trained, name)!r} and is {value!r} now. Set {name}={getattr(trained, name)!r}, or warm_start=False."
            )


def fitted_ensemble(estimator):
    """Return the ``Ensemble`` of a fitted estimator for tables."""
    check_is_fitted(estimator)
    return estimator._ensemble


def _check_same_length(table, y):
    if table.n_rows != len(y):
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: {[table.n_rows, len(y)]}. Pass X and y with as many rows."
        )


def _in_range_of_float32(weights):
    """Weights (n_rows,) or None; if float32 cannot represent the largest weight, the weights are divided by it."""
    limits = np.finfo(np.float32)
    if weights is None or not weights.any() or limits.tiny <= weights.max() <= limits.max:
        return weights
    return weights / weights.max()


def _plain_value(value):
    """A parameter as a number, a string or a tuple of numbers."""
    return value if isinstance(value, str) or np.ndim(value) == 0 else tuple(np.asarray(value).tolist())
