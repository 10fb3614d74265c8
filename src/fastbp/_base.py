"""The base class of the classifier and the regressor: ``fit``, ``partial_fit`` and the attributes that they set.

Data and the parameters of the estimator go in; attributes with scikit-learn's names come out. A fit trains a snapshot of the
estimator and commits its attributes at the end, so that a fit that fails does not change the estimator. The subclasses encode
targets, and ``fastbp._training`` runs the training. This module does not know how a network is computed.
"""

import threading
from abc import abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.callback import CallbackSupportMixin
from sklearn.metrics import check_scoring

from ._batch_fitting import BatchFitting
from ._compat import _check_sample_weight, fit_method, validate_parameter_constraints
from ._config import FitConfig, check_config, check_lbfgs, check_output_layer, dropout_rates, hidden_sizes
from ._data.array_likes import in_file
from ._data.inputs import IN_ORDER, Matrix
from ._data.preparation import Preparation
from ._data.row_numbers import row_numbers
from ._data.sample_weights import relative_weights
from ._data.targets import check_validation_rows
from ._export_methods import ExportMethods
from ._hooks import check_no_overridden_hooks
from ._inspected_fit import InspectableFit
from ._model import NetworkModel, PausedFit, attributes_lock, paused_fits
from ._network.activations import per_layer
from ._network.architecture import Architecture, Plan
from ._numpy_methods import NumPyMethods
from ._parameters import default_params, param_values
from ._representation import RepresentedModel
from ._target_range import LimitedPredictions
from ._training.callback_runner import CallbackRunner, check_no_protocol
from ._training.context import EarlyStoppingStart, EpochHooks, FitContext, Publication, TrainingData, TrainingRows, deadline_after
from ._training.divergence import divergence_error, warn_of_divergence
from ._training.generators import generator_of
from ._training.history import extend_history, start_history
from ._training.kept_run import KeptRun
from ._training.lbfgs import fit_lbfgs
from ._training.progress import report_of
from ._training.resume import check_resumable
from ._training.sgd import SGDRun
from ._training.state import TrainingState, params_hash
from ._training.validation import Validation, held_out_rows, number_from_scorer, split_rows

# The parameters of this thread's fit that were validated and differ from their defaults.
_validated = threading.local()
_NO_ROWS = (None, None, None)  # X_val, y_val and sample_weight_val


class BaseMLP(
    CallbackSupportMixin,
    BatchFitting,
    LimitedPredictions,
    ExportMethods,
    InspectableFit,
    RepresentedModel,
    NumPyMethods,
    NetworkModel,
):
    """A multilayer perceptron; see the subclasses."""

    loss_: float
    best_loss_: float | None
    loss_curve_: list[float]
    history_: dict[str, list[float]]
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    n_iter_: int
    t_: int
    _kept_run: KeptRun | None = None

    # ------------------------------------------------------------------ defined by subclasses

    @abstractmethod
    def _validate_input(self, X, y, incremental, reset):
        """The validated X, and y encoded as numbers (n_rows, n_columns)."""

    def _validate_validation_rows(self, X, y):
        """The result of ``_validate_input`` for validation rows."""
        return self._validate_input(X, y, incremental=True, reset=False)

    def _learn_classes(self, y, classes):
        """Learn the classes that were passed to ``partial_fit``."""

    def _row_weights(self, X, y, sample_weight, incremental):
        """The weights of the rows, or None."""
        return None if sample_weight is None else _check_sample_weight(sample_weight, X)

    def _check_partial_fit(self):
        """Raise an AttributeError if ``partial_fit`` does not support the solver."""

    @abstractmethod
    def _output_layer(self, y):
        """The number of output units for encoded targets y, and the name of their activation function."""

    @abstractmethod
    def _stratify(self, y):
        """The array by which the held-out rows are stratified, or None."""

    @abstractmethod
    def _score_outputs(self, y, outputs, sample_weight):
        """The score for early stopping; higher is better."""

    @abstractmethod
    def _running_score(self, blocks):
        """An object that computes the same score from blocks of rows, or None; ``blocks()`` yields (y, sample_weight)."""

    # ------------------------------------------------------------------ fit

    @fit_method
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
        """Fit the model to data matrix X and target(s) y.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The input data. float32 data are trained in float32, all other data in float64. CSR and CSC matrices are not converted
            to dense arrays. Large arrays and memory maps are not copied; their rows are converted when they are read.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The target values: class labels in classification, real numbers in regression.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights. The loss of each batch is the average weighted by the weights of its rows.
        X_val : array-like or sparse matrix of shape (n_val, n_features), default=None
            Validation data. If given, `history_` has their loss and score after every epoch, and early stopping uses them instead
            of holding out rows. ``Pipeline(..., transform_input=["X_val"])`` transforms them like X.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            The target values of the validation data; in classification, all labels must be in y.
        sample_weight_val : array-like of shape (n_val,), default=None
            Sample weights of the validation data.

        Returns
        -------
        self : estimator
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data are invalid, or if training diverges. The fitted attributes are then unchanged, with one
            exception: if the estimator had no weights before and training diverges after the first epoch, it keeps the weights of
            the best epoch.
        ImportError
            If `verbose` is 'bar' and rich is not installed.
        """
        return self._fit(X, y, sample_weight, validation=(X_val, y_val, sample_weight_val))

    def _fit(self, X, y, sample_weight, *, incremental=False, classes=None, validation=_NO_ROWS, batches=None):
        """Train a snapshot and commit its attributes; after an error, restore the attributes that were changed for callbacks."""
        check_no_overridden_hooks(self, BaseMLP)
        X, y, sample_weight, *validation = (in_file(values) for values in (X, y, sample_weight, *validation))
        fitting = self._snapshot_with_lists()
        fitting._validate_changed_params()
        deadline, publication = float("inf") if incremental else deadline_after(fitting.max_time), Publication()
        hooks = EpochHooks(deadline, report=report_of(fitting.verbose, has_bar=not incremental, deadline=deadline))
        n_epochs = 1 if incremental and fitting.solver != "lbfgs" else fitting.max_iter
        name = "partial_fit" if incremental else "fit"
        if batches is not None:
            n_epochs, name = batches.epochs or n_epochs, "fit_batches"
        callbacks = self._callback_runner(fitting, X, y, sample_weight, name, n_epochs)
        if callbacks.is_needed:
            before = self._snapshot()

            def end_epoch(state, result, run, problem):
                return self._end_epoch(PausedFit(self, fitting, run, problem), state, result, callbacks, publication)

            hooks = EpochHooks(deadline, callbacks.begin_epoch, end_epoch, hooks.report)
        try:
            callbacks.begin()
            if incremental:
                fitting._learn_classes(y, classes)
            earlier = list(getattr(fitting, "loss_curve_", ())) if incremental else []
            if batches is None:
                state, result = fitting._train(X, y, sample_weight, validation, incremental, hooks)
            else:
                state, result = batches.train(fitting, hooks)
            if result.divergence is not None and not result.divergence.kept_epoch:
                raise divergence_error(result.divergence, len(earlier))
            warn_of_divergence(state, result, earlier)
        except BaseException:
            with attributes_lock:  # another thread may have committed a fit in the meantime
                if publication.state is not None and self._state is publication.state:
                    self._commit(before)
            raise
        with attributes_lock:
            fitting._set_result(state, result, publication)
            self._commit(fitting)
        if result.divergence is not None:
            raise divergence_error(result.divergence, len(earlier))
        if result.failure is not None:
            raise result.failure
        callbacks.end()
        return self

    def _train(self, X, y, sample_weight, validation, incremental, hooks):
        """Train a new state, or a copy of the current state; return it with a ``FitResult``. Called on a snapshot only."""
        config = FitConfig.of(self)
        given = X, y
        if incremental:
            self._check_partial_fit()
        check_validation_rows(validation, config.solver)
        self._kept_run = None
        hidden_sizes(config)  # an error must not follow the validation of large data
        is_fitted = hasattr(self, "coefs_")
        continues = is_fitted and (bool(config.warm_start) or incremental)
        if continues:
            self._complete()
        X, y = self._validate_input(X, y, incremental, reset=not continues)
        check_config(config, X)
        sample_weight = self._row_weights(X, y, sample_weight, incremental)
        self._learn_range(y, sample_weight, continues)
        rng = generator_of(config.random_state)
        if continues:
            state, X, y = self._continued(config, X, y, rng)
        else:
            n_outputs, out_activation = self._output_layer(y)
            preparation = Preparation.learned(X, y, config, out_activation)
            X, y = preparation.prepared(X, y, config.dtype)
            state = self._drawn_state(config, preparation, X, n_outputs, out_activation, rng)
            if config.solver == "lbfgs" and self._state is not None:  # as in scikit-learn, for a later `partial_fit`
                state.optimizer = self._state.optimizer
        start = self._start_epochs(config, is_fresh=not continues)
        data = TrainingData(X, y, sample_weight, given, validation)
        if config.solver == "lbfgs":
            return state, self._train_lbfgs(state, config, data, hooks)
        self._check_sgd(config, incremental)
        resumable = isinstance(config.warm_start, str) and not incremental
        resume = self._resume_point(config, data) if resumable and continues else None
        context = FitContext(hooks, start, incremental, not is_fitted, not continues, resumable, resume)
        return state, self._train_sgd(state, config, data, context)

    def _drawn_state(self, config, preparation, X, n_outputs, out_activation, rng):
        """A new state for prepared rows X."""
        sizes = hidden_sizes(config)
        self.n_outputs_, self.n_layers_, self.out_activation_ = n_outputs, len(sizes) + 2, out_activation
        options = {"link": self._link_kind, "out_activation": out_activation, "rng": rng}
        return TrainingState.drawn(config, preparation, (_n_inputs(config, X), *sizes, n_outputs), X, **options)

    def _continued(self, config, X, y, rng):
        """A copy of the state, to continue training, and the X and y on which the network is trained."""
        n_outputs, out_activation = self._output_layer(y)
        link = self._state.link if self._state is not None else self._link_kind
        check_output_layer(config, (n_outputs, self._link_kind, out_activation), (self.n_outputs_, link, self.out_activation_))
        params, layout = self._flat_params()
        before = self._state or TrainingState.untrained(layout, params, self._link_kind, out_activation)
        state = before.continued(config, params, layout, rng)
        return state, *state.preparation.prepared(X, y, config.dtype)

    def _train_lbfgs(self, state, config, data, hooks):
        plan = self._training_plan(state, config)
        check_lbfgs(config, plan.architecture.dropout)
        sample_weight = relative_weights(data.sample_weight, config.sample_weight_norm)
        return fit_lbfgs(state, config, plan, (data.X, data.y, sample_weight), hooks)

    def _check_sgd(self, config, incremental):
        if config.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        if config.scoring not in (None, "loss"):
            check_scoring(self, config.scoring)  # unknown names are an error even without validation rows

    def _train_sgd(self, state, config, data, context):
        if context.resume is not None:
            state.rng = context.resume.stream(config.random_state)
        rows = self._training_rows(state, config, data, context)
        sample_weight = relative_weights(data.sample_weight, config.sample_weight_norm, rows.order)
        plan = self._training_plan(state, config)
        validation = self._validation(state, config, data, sample_weight, rows)
        run = SGDRun(state, config, plan, (data.X, data.y, sample_weight), rows, validation, context)
        result = self._run_training(run)
        if run.is_plain and result.divergence is None:
            self._kept_run = KeptRun(run, param_values(self))
        return result

    def _run_training(self, run):
        """Run an ``SGDRun`` and return its ``FitResult``."""
        return run.train()

    # ------------------------------------------------------------------ repeated calls of partial_fit

    def _continue_run(self, X, y, sample_weight=None, classes=None):
        """Train for one epoch with the run of the previous call of ``partial_fit``; return False if that is not possible."""
        kept = self._kept_run
        if kept is None or vars(self).get("_skl_callbacks") or not kept.lock.acquire(blocking=False):
            return False
        try:
            check_no_overridden_hooks(self, BaseMLP)
            fitting = self._snapshot()
            result = fitting._continue(kept, X, y, sample_weight, classes)
            if result is not None:
                with attributes_lock:
                    fitting._set_result(kept.state, result, Publication())
                    self._commit(fitting)
            return result is not None
        finally:
            kept.release_rows()
            kept.lock.release()

    def _continue(self, kept, X, y, sample_weight, classes):
        """The result of one epoch of the kept run, or None if it cannot be used. Called on a snapshot only."""
        if not kept.can_continue(vars(self), param_values(self), X):
            return None
        self._learn_classes(y, classes)
        X, y = self._validate_input(X, y, incremental=True, reset=False)
        sample_weight = self._row_weights(X, y, sample_weight, True)
        self._learn_range(y, sample_weight, True)
        sample_weight = relative_weights(sample_weight, self.sample_weight_norm)
        if self._output_layer(y) != (self.n_outputs_, self.out_activation_):
            return None
        result = kept.train((X, y, sample_weight), self._start_epochs(kept.run.config, is_fresh=False))
        if result.divergence is not None:
            raise divergence_error(result.divergence, len(self.loss_curve_))
        warn_of_divergence(kept.state, result, self.loss_curve_)
        return result

    # ------------------------------------------------------------------ start of a fit

    def _validate_params(self):
        """Validate the parameters that differ from their defaults, as scikit-learn does; validating all parameters is slow."""
        defaults, values = default_params(type(self)), vars(self)
        check_no_protocol(values.get("callbacks"))  # its error names the remedy
        names = (name for name in self._parameter_constraints if values.get(name) is not defaults.get(name, values))
        given = {name: values.get(name) for name in names}
        validate_parameter_constraints(self._parameter_constraints, given, caller_name=type(self).__name__)
        _validated.params = given

    def _validate_changed_params(self):
        """Validate the parameters again if another thread has changed them since scikit-learn validated them."""
        defaults, values, validated = default_params(type(self)), vars(self), getattr(_validated, "params", None)
        if validated is None:  # scikit-learn's validation is switched off
            return
        for name in self._parameter_constraints:
            if values.get(name) is not validated.get(name, defaults.get(name)):
                self._validate_params()
                break
        _validated.params = None

    def _callback_runner(self, fitting, X, y, sample_weight, name, n_epochs):
        context = self._init_callback_context(name, max_subtasks=n_epochs) if vars(self).get("_skl_callbacks") else None
        return CallbackRunner(fitting.callbacks, context, {"estimator": self, "X": X, "y": y}, sample_weight)

    @property
    def _link_kind(self):
        """The name of the link, and how many quantiles or groups it has."""
        name, numbers = self._link
        return name, len(numbers)

    def _training_plan(self, state, config):
        n_hidden, (link, numbers) = len(state.layout.sizes) - 2, self._link
        dropout = dropout_rates(config, n_hidden)
        state.activations = per_layer(config.activation, n_hidden)
        architecture = Architecture(
            state.activations, link, state.norm, dropout, config.input_noise, numbers, product_dtype=config.product_dtype
        )
        if state.kinds is not None:
            architecture = state.kinds.added_to(architecture)
        return Plan(state.layout, architecture, self._objective())

    def _resume_point(self, config, data, capacity=None):
        resume: Any = None if self._state is None else self._state.resume
        check_resumable(resume)
        resume.check(len(data.y), config.early_stopping, data.is_validated, capacity)
        if resume.published_hash not in (None, params_hash(self._flat_params()[0])):
            raise ValueError(
                "coefs_ and intercepts_ must not be changed before a fit with warm_start='resume', because they are the best "
                "weights, and this fit continues from the last weights. Set warm_start=True to continue from the changed weights."
            )
        return resume

    def _training_rows(self, state, config, data, context):
        n_rows = len(data.y)
        if context.resume is not None:
            return TrainingRows(n_rows, context.resume.order, context.resume.held_out)
        if not config.early_stopping or data.is_validated:
            rows = TrainingRows(n_rows, row_numbers(n_rows))
        else:
            rows = split_rows(config, state.rng, n_rows, (data.X, data.given[1]), self._stratify(data.y))
        return rows.for_members(state.layout.n_members) if state.layout.n_members else rows

    # ------------------------------------------------------------------ validation rows

    def _validation(self, state, config, data, sample_weight, rows):
        """The ``Validation`` of a fit, or None."""
        if data.is_validated:
            validated, order = self._prepared_validation_rows(state, config, *data.validation), IN_ORDER
        elif rows.held_out is not None:
            validated, order = (data.X, data.y, sample_weight), rows.held_out
        else:
            return None
        scores = {"scoring": config.scoring, "score_outputs": self._output_score(state), "score_model": None}
        scores["running_score"] = self._running_output_score(state)
        if config.scoring not in (None, "loss"):
            given = held_out_rows(data.given, order) if order.size else data.validation[:2]
            weight = validated[2] if validated[2] is None or not order.size else validated[2][order]
            scores["score_model"] = self._model_score(state, config.scoring, given, weight)
        plan = self._prediction_plan(state.published_layout, state)
        return Validation(plan, validated, order, state.params.dtype, **scores)

    def _prepared_validation_rows(self, state, config, X, y, sample_weight):
        """The validation rows that the user passed to ``fit``, prepared for the network."""
        try:
            X, y = self._validate_validation_rows(X, y)
        except ValueError as error:  # its message names X and y
            raise ValueError(f"X_val and y_val cannot be used: {error}") from error
        n_outputs, _ = self._output_layer(y)
        if n_outputs != self.n_outputs_:
            raise ValueError(
                f"y_val needs {n_outputs} output units, but y needs {self.n_outputs_}. Pass y_val with as many columns as y."
            )
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, allow_all_zero_weights=True)
        return *state.preparation.prepared(X, y, config.dtype), sample_weight

    def _model_score(self, state, scoring, given, sample_weight):
        """A function that scores the model in training with a scikit-learn scorer or a user-defined function."""
        score = number_from_scorer(check_scoring(self, scoring), scoring, given, sample_weight)

        def score_model():
            state.publish()
            return score(self._snapshot_with_state(state))

        return score_model

    # ------------------------------------------------------------------ attributes that describe the epochs

    def _start_epochs(self, config, is_fresh):
        """Create the attributes that describe epochs, or continue those of the previous fit; return the ``EarlyStoppingStart``.

        The lists are copies: a fit never appends to the lists of another one.
        """
        if is_fresh:
            self.n_iter_, self.t_ = 0, 0
        if config.solver == "lbfgs":
            return None
        if is_fresh or not hasattr(self, "loss_curve_"):
            self.loss_curve_, self._no_improvement_count = [], 0
        if is_fresh or not hasattr(self, "history_"):
            self.history_ = start_history(self.loss_curve_)
        if is_fresh or self._best_value(config) is None:
            self.validation_scores_, self.best_validation_score_ = ([], -np.inf) if config.early_stopping else (None, None)
            self.best_loss_ = None if config.early_stopping else np.inf
        best = self._best_value(config)
        return EarlyStoppingStart(-best if config.early_stopping else best, self._no_improvement_count, self.t_)

    def _best_value(self, config):
        return getattr(self, "best_validation_score_" if config.early_stopping else "best_loss_", None)

    def _set_result(self, state, result, publication):
        """Set the attributes for a published state and for the result of its training so far."""
        epochs = result.epochs
        self._set_state(state)
        self.n_iter_ = result.n_iter
        if result.loss is not None:
            self.loss_ = result.loss
        if epochs is None:
            return
        self.t_, self._no_improvement_count = epochs.rows_seen, epochs.bad_epochs
        new = epochs.since(publication.n_epochs)
        publication.n_epochs = result.n_iter
        extend_history(self.history_, new)
        self.loss_curve_.extend(new["loss"])
        if self.early_stopping and self.validation_scores_ is not None:
            self.validation_scores_.extend(new["val_score"])
            self.best_validation_score_ = epochs.best
        else:
            self.best_loss_ = epochs.best

    def _end_epoch(self, paused, state, result, callbacks, publication):
        """Commit a copy of the model in training and call the callbacks; return whether one of them stops training."""
        fitting, shown = paused.fitting, state.copy()
        shown.publish()
        with attributes_lock:
            fitting._set_result(shown, result, publication)
            self._commit(fitting)
            publication.state = shown
        history = {"loss": [fitting.loss_]} if paused.run is None else fitting.history_
        logs = {name: entries[-1] for name, entries in history.items()}
        paused_fits.fits.append(paused)
        try:
            return callbacks.end_epoch(self, result.n_iter, logs)
        finally:
            paused_fits.fits.pop()


def _n_inputs(config, X):
    """The number of inputs of the first dense layer for prepared rows."""
    return X.shape[1] if config.kinds is None else config.kinds.n_inputs(X.shape[1])
