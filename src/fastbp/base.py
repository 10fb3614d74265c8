"""What the classifier and the regressor share: parameters, validation, the course of a fit, prediction.

Data and scikit-learn's parameters enter; attributes as scikit-learn's own estimators have them leave. A fit is all or nothing: an
error leaves the estimator as it was, a fitted model included. How labels become numbers is the subclasses' matter, how numbers
become weights that of `training`.
"""

import warnings
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from inspect import signature
from itertools import pairwise
from numbers import Integral
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.validation import check_is_fitted, validate_data

from .activations import per_layer
from .inputs import FLOATS, IN_ORDER, Matrix, as_rows, as_targets, common_float, is_plain
from .kernels import SETTINGS, Loss, OutActivation, Status, record
from .layout import Layout, buffer
from .prediction import outputs
from .preparation import Preparation, roomy
from .threads import choose_threads
from .training import Descent, Optimizer, Problem, Shuffles, minimize_lbfgs, start_progress, weightless
from .transforming import HiddenUnits

_MOST_EPOCHS = 2**62  # that a kernel counts


class BaseMLP(Preparation, HiddenUnits, BaseEstimator, ABC):
    """A multilayer perceptron; see the subclasses."""

    _groups = ()  # how many output units each output has, where each of several has classes of its own

    # ------------------------------------------------------------------ what a subclass says

    @abstractmethod
    def _validate_input(self, X, y, incremental, reset):
        """The validated X, and y as numbers (n_rows, n_columns)."""

    @abstractmethod
    def _output(self, y):
        """The number of output units for such a y, and the name of their activation."""

    @abstractmethod
    def _stratify(self, y):
        """What the validation rows are stratified by, or None."""

    @abstractmethod
    def _score_outputs(self, y, outputs, sample_weight):
        """What early stopping wants high."""

    # ------------------------------------------------------------------ fit

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train the network on X and y.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs. float32 is trained in float32, all else in float64; CSR and CSC matrices are never made dense.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets: class labels in classification, real numbers in regression.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows; each batch is averaged by the weights in it.

        Returns
        -------
        self : estimator
            The trained estimator.

        Raises
        ------
        ValueError
            For parameters and data that cannot be trained on, and where training diverged. The estimator is left as it was.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def _fit(self, X, y, sample_weight, incremental):
        with self._all_or_nothing():
            hidden_layer_sizes = self._hidden_layer_sizes()
            going_on = hasattr(self, "coefs_") and (self.warm_start or incremental)
            X, y = self._validate_input(X, y, incremental, reset=not going_on)
            sample_weight = self._weights(X, y, sample_weight, incremental)
            self._random_state = check_random_state(self.random_state)
            n_outputs, out_activation = self._output(y)
            if going_on:
                self._check_outputs(n_outputs)
            X, y = self._prepare(X, y, out_activation, going_on)
            if not going_on:
                self._initialize(X, (X.shape[1], *hidden_layer_sizes, n_outputs), out_activation)
            if self.solver == "lbfgs":
                self._fit_lbfgs(X, y, sample_weight)
            else:
                self._fit_stochastic(X, y, sample_weight, incremental, fresh=not going_on)
            self._publish_for_good()
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
        defaults = _defaults(type(self))
        given = {name: value for name, value in vars(self).items() if name in defaults and value is not defaults[name]}
        validate_parameter_constraints(self._parameter_constraints, given, caller_name=type(self).__name__)

    def _hidden_layer_sizes(self):
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if not all(isinstance(size, Integral) and not isinstance(size, bool) for size in sizes):
            raise TypeError(f"hidden_layer_sizes must hold integers > 0, the number of units of each hidden layer; got {sizes}.")
        if any(size <= 0 for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        return [int(size) for size in sizes]

    def _check_outputs(self, n_outputs):
        if n_outputs != self.n_outputs_:
            raise ValueError(
                f"y needs {n_outputs} output units, but the network that training goes on from has {self.n_outputs_}: give y as "
                "many columns or classes as before, or fit anew with warm_start=False."
            )

    def _initialize(self, X, sizes, out_activation):
        self.n_iter_, self.t_ = 0, 0
        self.n_outputs_, self.n_layers_, self.out_activation_ = sizes[-1], len(sizes), out_activation
        layout = Layout(sizes)
        self._hold_trained(layout, buffer(layout.n_params, X.dtype))
        # the last layer is drawn as scikit-learn draws it, by the function of the hidden units
        activations = self._activations()
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

    def _layout(self):
        return Layout((self._n_inputs, *(np.shape(W)[1] for W in self.coefs_)))

    def _flat_params(self):
        """The parameters as one buffer, gathered anew where somebody put other arrays into `coefs_` or `intercepts_`."""
        self._check_shapes()
        arrays = [*self.coefs_, *self.intercepts_]
        views = getattr(self, "_views", ())
        if len(views) == len(arrays) and all(a is b for a, b in zip(arrays, views, strict=True)):
            return self._params
        gathered = np.concatenate([np.ravel(array) for array in arrays])
        if gathered.dtype.kind not in "fiub":
            raise ValueError(f"coefs_ and intercepts_ must hold real numbers, got {gathered.dtype}.")
        return roomy(gathered, gathered.dtype if gathered.dtype in FLOATS else np.float64)

    def _check_shapes(self):
        """Refuse arrays, put there or reshaped by somebody, that make up no network for so many features and outputs."""
        weights, biases = [np.shape(W) for W in self.coefs_], [np.shape(b) for b in self.intercepts_]
        sizes = [self._n_inputs, *(shape[-1] if shape else 0 for shape in weights)]
        if weights != list(pairwise(sizes)) or biases != [(n,) for n in sizes[1:]] or sizes[-1] != self.n_outputs_:
            raise ValueError(
                f"coefs_ and intercepts_ must make up a network from {self._n_inputs} inputs to {self.n_outputs_} outputs, "
                f"W (n_in, n_out) and b (n_out,) for each layer; got shapes {weights} and {biases}."
            )

    def _activations(self):
        """The activation of each hidden layer."""
        return per_layer(self.activation, len(self.coefs_) - 1)

    def _settings(self, settings):
        """Fill in what is asked of every fit, beside what its solver was asked."""
        asked = settings[0]
        asked.out_activation = OutActivation[self.out_activation_]
        asked.loss, asked.alpha, asked.weight_decay = Loss[self.loss], self.alpha, self.weight_decay
        asked.tol, asked.patience, asked.validated = self.tol, self.n_iter_no_change, self.early_stopping
        if self.weight_norm == "global" and "global_weights" in SETTINGS.names:
            asked.global_weights = 1
        return settings

    def _problem(self, X, y, sample_weight, params):
        dtype = params.dtype
        return Problem(
            self._layout(), self._activations(), params, as_rows(X, dtype), as_targets(y, dtype), as_targets(sample_weight, dtype)
        )

    def _check_finite(self, params):
        if not np.isfinite(params).all():
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
                " A smaller learning_rate_init may help too."
            )

    # ------------------------------------------------------------------ L-BFGS

    def _fit_lbfgs(self, X, y, sample_weight):
        def report(iteration, loss):
            if self.verbose:
                print(f"Iteration {iteration}, loss = {loss:.8f}")

        sample_weight = self._relative_weights(sample_weight)
        problem = self._problem(X, y, sample_weight, roomy(self._params_to_train(), X.dtype))
        limits = {"max_iter": self.max_iter, "max_fun": self.max_fun, "tol": self.tol}
        result, interrupted = minimize_lbfgs(problem, self._settings(record(SETTINGS)), report=report, **limits)
        self._check_finite(result.x)
        # SciPy iterates in float64, and scikit-learn's weights then are what it returns, whatever the data
        self._hold_trained(problem.layout, roomy(result.x, np.float64))
        self.n_iter_, self.loss_ = min(result.nit, self.max_iter), float(result.fun)
        if interrupted:
            warnings.warn("Training interrupted by user.", stacklevel=5)
        elif result.status != 0:
            warnings.warn(
                f"lbfgs failed to converge after {self.n_iter_} iteration(s) (status={result.status}): {result.message}. Raise "
                f"max_iter (now {self.max_iter}) or max_fun (now {self.max_fun}), or scale the data.",
                ConvergenceWarning,
                stacklevel=5,
            )

    # ------------------------------------------------------------------ stochastic gradient descent

    def _fit_stochastic(self, X, y, sample_weight, incremental, fresh):
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        params = self._params_to_train()
        order, held_out = self._split(y)
        sample_weight = self._relative_weights(sample_weight, order)
        if incremental and hasattr(self, "_optimizer"):
            self._optimizer = self._optimizer.going_on(params)
        else:
            self._optimizer = Optimizer.fresh(self, params)
        settings = self._settings(self._optimizer.settings())
        settings[0].batch_size = self._batch_size(len(order))
        settings[0].max_epochs = 1 if incremental else min(self.max_iter, _MOST_EPOCHS)
        shuffles = Shuffles(self._random_state, wanted=self.shuffle, shared=not isinstance(self.random_state, Integral))
        problem = self._problem(X, y, sample_weight, params)
        n_threads = choose_threads(self.n_threads, 3 * settings[0].batch_size * params.nbytes, settings[0].batch_size)
        descent = Descent(problem, settings, self._start_progress(), self._optimizer, order, shuffles, n_threads)
        # a fit that goes on from best weights goes on in them, as scikit-learn's does
        watch = _Watch(self, y, sample_weight, held_out, best_params=params.copy() if fresh and self.early_stopping else params)
        try:
            while descent.running:
                if self.early_stopping or self.verbose:
                    watch.epoch(descent)
                else:
                    descent.turn()
            interrupted = False
        except KeyboardInterrupt:
            interrupted = True
        finally:
            descent.close()
        self._finish_stochastic(descent, watch)
        if interrupted:
            warnings.warn("Training interrupted by user.", stacklevel=5)
        elif descent.status == Status.exhausted and not incremental:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=5,
            )

    def _split(self, y):
        """The rows to train on, and those held out for validation or None."""
        rows = np.arange(len(y))
        if not self.early_stopping:
            return rows, None
        train, held_out = train_test_split(
            rows, random_state=self._random_state, test_size=self.validation_fraction, stratify=self._stratify(y)
        )
        if len(held_out) < 2:
            raise ValueError("The validation set is too small. Increase 'validation_fraction' or the size of your dataset.")
        return train, held_out

    def _batch_size(self, n_rows):
        if self.batch_size == "auto":
            return min(200, n_rows)
        if self.batch_size > n_rows:
            warnings.warn("Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=6)
        return min(self.batch_size, n_rows)

    def _start_progress(self):
        """Where training starts: anew, or from the judgements of the fit before."""
        if not hasattr(self, "loss_curve_"):
            self.loss_curve_, self._no_improvement_count = [], 0
        judged = getattr(self, "best_validation_score_" if self.early_stopping else "best_loss_", None)
        if judged is None:
            self._start_judging()
            judged = self.best_validation_score_ if self.early_stopping else self.best_loss_
        return start_progress(-judged if self.early_stopping else judged, self._no_improvement_count, self.t_)

    def _finish_stochastic(self, descent, watch):
        """Put what a descent has reached into the attributes, or raise."""
        if descent.status == Status.weightless:
            raise weightless()
        if self.early_stopping:
            descent.problem.params[...] = watch.best_params
        self._check_finite(descent.problem.params)
        losses, reached = descent.losses, descent.progress[0]
        self.n_iter_, self.t_, self._no_improvement_count = len(losses), int(reached.rows_seen), int(reached.bad_epochs)
        self.loss_curve_.extend(losses)
        if losses:
            self.loss_ = losses[-1]
        if self.early_stopping:
            self.validation_scores_.extend(watch.scores)
            self.best_validation_score_ = -float(reached.best)
        else:
            self.best_loss_ = float(reached.best)

    # ------------------------------------------------------------------ prediction

    def _outputs(self, X):
        """What the output units say (n_rows, n_outputs) for X as a user gives it."""
        X = self._inputs(X)
        params = self._flat_params()
        dtype = common_float(X, params)
        return self._forward(as_rows(X, dtype), X.shape[0], params if params.dtype == dtype else roomy(params, dtype))

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

    def _forward(self, rows, n_rows, params, order=IN_ORDER):
        """What the output units say for n_rows rows, or for those that order names."""
        return outputs(self._layout(), params, (self._activations(), self.out_activation_), rows, n_rows, order)

    # ------------------------------------------------------------------ what scikit-learn asks of an estimator

    def _check_solver(self):
        if self.solver == "lbfgs":
            raise AttributeError("partial_fit is only available for stochastic optimizers. lbfgs is not stochastic.")
        return True

    def __getstate__(self):
        # the views carry the parameters; their buffer would carry them twice
        return {name: value for name, value in super().__getstate__().items() if name not in ("_params", "_views")}

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "coefs_"):
            with suppress(ValueError):  # weights that make up no network can still be put right after loading
                params = self._flat_params()
                self._hold(self._layout(), params)
        if self._training_params is not None:  # which come without the room behind them
            self._training_params = roomy(self._training_params, self._training_params.dtype)
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


def _allowed(nan):
    """What scikit-learn's validation wants to hear of NaN."""
    return "allow-nan" if nan else True


class _Watch:
    """A fit that Python looks at after every epoch: early stopping's scores and best weights, and what `verbose` prints."""

    def __init__(self, estimator, y, sample_weight, held_out, best_params):
        self.estimator, self.held_out, self.best_params, self.scores = estimator, held_out, best_params, []
        if held_out is not None:
            self.y = y[held_out]
            self.weight = None if sample_weight is None else sample_weight[held_out]

    def epoch(self, descent):
        learning_rate = float(descent.progress[0].learning_rate)
        descent.epoch()
        if descent.status == Status.weightless:
            return
        self.say(f"Iteration {len(descent.losses)}, loss = {descent.losses[-1]:.8f}")
        if self.held_out is not None:
            self.score(descent)
        self.say_decision(descent, learning_rate)

    def score(self, descent):
        if self.weight is not None and not self.weight.any():
            raise ValueError(
                "Sample weights must contain at least one non-zero number, and those of the validation rows are all 0: raise "
                "validation_fraction, or drop the rows of weight 0."
            )
        problem = descent.problem
        said = self.estimator._forward(problem.rows, len(self.held_out), problem.params, self.held_out)
        self.scores.append(self.estimator._score_outputs(self.y, said, self.weight))
        self.say(f"Validation score: {self.scores[-1]:f}")
        if -self.scores[-1] < descent.progress[0].best:
            self.best_params = problem.params.copy()
        descent.judge(-self.scores[-1])

    def say_decision(self, descent, learning_rate_before):
        estimator, learning_rate = self.estimator, descent.progress[0].learning_rate
        adaptive = descent.optimizer.is_adaptive
        if descent.status == Status.converged:
            decision = "Learning rate too small. Stopping." if adaptive else "Stopping."
        elif adaptive and learning_rate < learning_rate_before:
            decision = f"Setting learning rate to {learning_rate:f}"
        else:
            return
        judged, patience = "Training loss" if self.held_out is None else "Validation score", estimator.n_iter_no_change
        self.say(f"{judged} did not improve more than tol={estimator.tol:f} for {patience} consecutive epochs. {decision}")

    def say(self, text):
        if self.estimator.verbose:
            print(text)
