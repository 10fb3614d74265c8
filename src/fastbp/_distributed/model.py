"""The methods that both Dask estimators have: ``fit``, predictions of Dask collections, ``score`` and ``to_local``.

Dask collections and parameters go in; the attributes and predictions of the other estimators come out. This module prepares the
data and the network; ``driver`` trains it. It does not know how tasks are run.
"""

from abc import abstractmethod
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from .._base import BaseMLP
from .._compat import fit_method
from .._config import FitConfig, check_config, hidden_sizes
from .._data.preparation import Preparation
from .._data.sample_weights import zero_weights_error
from .._kernels.user_warnings import warn_user
from .._model import attributes_lock
from .._network.optimizers import Optimizer
from .._parameters import default_params
from .._training.callback_runner import callback_functions
from .._training.context import Publication, deadline_after
from .._training.generators import generator_of
from .._training.progress import report_of
from .._training.state import TrainingState
from .description import HORIZON, described_rows, described_schedules, described_value
from .driver_file import DriverFile
from .evaluation import merged_scores
from .parameters import DISTRIBUTED_DEFAULTS
from .partitions import TableReader, is_lazy, lazy_parts
from .predictions import lazy_prediction, score_part
from .rounds import Specification, rows_per_batch, worker_config
from .shards import DataOfFit, class_deviation
from .support import check_supported, open_executor, require_dask

_MAX_DEFAULT_SHARDS = 8
# Below this number of multiply-adds of a shard in a round, which take about a tenth of a second, a round takes longer for its tasks
# and transfers than for training.
_MIN_WORK_OF_ROUND = 200_000_000
_MAX_CLASS_DEVIATION = 0.25
# Parameters that only the driver of a fit uses, and that may differ when it is resumed.
_NOT_IN_FILE = {"client", "verbose", "max_time", "max_iter", "callbacks", "n_threads", "random_state", "worker_timeout"}
_NOT_IN_FILE |= {"checkpoint", "checkpoint_every", "warm_start", "learning_rate_horizon"}


class RowEncoder:
    """Encodes the rows of a partition in a worker: X, y as numbers, and weights, which are divided by ``weight_scale``."""

    def __init__(self, model, weight_scale):
        self.model, self.weight_scale = model, weight_scale

    def encoded_rows(self, X, y, weight):
        """The encoded X, y and weight of a partition."""
        X, y, weight = self.model._encoded_rows(X, y, weight)
        return X, y, weight if weight is None or self.weight_scale == 1 else weight / self.weight_scale


class DistributedFit(BaseMLP):
    """The methods of the Dask estimators that do not depend on the kind of targets."""

    client: Any
    n_shards: int | None
    local_steps: int | None
    outer_learning_rate: float
    outer_momentum: float
    checkpoint: Any
    checkpoint_every: int
    worker_timeout: float
    n_shards_: int
    n_rounds_: int
    _reader = TableReader()
    _local_class: Any
    _n_positional: int

    def _set_parameters(self, arguments, params):
        """Set all parameters from the arguments of the constructor."""
        given = dict(zip(default_params(type(self)), arguments, strict=False))
        unknown = sorted(set(params) - set(default_params(type(self))))
        repeated = sorted(set(params) & set(given))
        if unknown or repeated or len(arguments) > self._n_positional:
            name = type(self).__name__
            raise TypeError(f"{name}() got unexpected arguments: {unknown or repeated or arguments[self._n_positional :]!r}")
        for name, value in (default_params(type(self)) | given | params).items():
            setattr(self, name, value)

    @fit_method
    def fit(  # type: ignore[override]
        self, X: Any, y: Any, sample_weight: Any = None, *, eval_set: Any = None, resume: bool = False
    ) -> Self:
        """Fit the model to the partitions of X and y.

        Parameters
        ----------
        X : Dask array, Dask DataFrame or array-like of shape (n_samples, n_features)
            The input data. A Dask array may have unknown chunk sizes and blocks that are CSR matrices. The columns of a data frame
            are numbers, or categories with known values, which become columns of 0 and 1 as in ``pandas.get_dummies``.
        y : Dask array, Series or DataFrame, or array-like of shape (n_samples,) or (n_samples, n_outputs)
            The target values, in the same partitions as X.
        sample_weight : Dask array, Series or array-like of shape (n_samples,), default=None
            Sample weights. A partition whose weights are all 0 is not used, unless ``sample_weight_norm="global"``. As in the other
            estimators, the weights of a batch must not sum to 0 then.
        eval_set : tuple (X_val, y_val) or (X_val, y_val, sample_weight_val), default=None
            Validation data of the same types. They are scored after each epoch. Required for ``early_stopping=True``.
        resume : bool, default=False
            Whether to continue from the file `checkpoint` if it exists, for example after the process was killed. The data and the
            parameters must be the same, except `max_iter`, which can have any value that is not smaller than the number of epochs
            in the file. The result has the same bits as if the fit had not been interrupted. If a schedule of the learning rate or
            of the regularization depends on `max_iter`, `learning_rate_horizon` must be the number of epochs as before. Functions
            are compared by their names.

        Returns
        -------
        self : estimator
            The fitted estimator.

        Raises
        ------
        ValueError
            If the data or the parameters are invalid or not supported, if the file does not belong to this fit, or if training
            diverges.
        ImportError
            If Dask is not installed.
        RuntimeError
            If the cluster has had no worker for `worker_timeout` seconds, or if the connection to its scheduler was closed.
        """
        executor = open_executor(self.client, self.worker_timeout)
        fitting = self._snapshot_with_lists()
        fitting._fit_on(executor, (X, y, sample_weight), eval_set, resume)
        with attributes_lock:
            self._commit(fitting)
            self.n_shards_, self.n_rounds_, self._reader = fitting.n_shards_, fitting.n_rounds_, fitting._reader
        return self

    @property
    def partial_fit(self) -> Any:
        """Not available: raises an AttributeError. Use ``fit``, or ``to_local().partial_fit`` for rows in memory."""
        raise self._unavailable("partial_fit")

    @property
    def fit_batches(self) -> Any:
        """Not available: raises an AttributeError. Use ``fit``, or ``to_local().fit_batches`` in one process."""
        raise self._unavailable("fit_batches")

    def _unavailable(self, name):
        return AttributeError(
            f"{type(self).__name__} has no method {name}, because it would load the rows into this process. Use fit, or after a "
            f"fit to_local().{name}(...), which trains in this process.",
            name=name,
            obj=self,
        )

    # ------------------------------------------------------------------ fit, on a snapshot

    def _fit_on(self, executor, given, eval_set, resume):
        # imported here, because the chain of module-level imports would become too long
        from .driver import Driver, DriverOptions, ValidationData

        self._validate_changed_params()
        config = FitConfig.of(self)
        check_supported(self, config, eval_set, resume)
        deadline = deadline_after(config.max_time)
        report = report_of(config.verbose, deadline=deadline)
        parts, self._reader = lazy_parts(self.n_shards or _MAX_DEFAULT_SHARDS, *given)
        data = DataOfFit(executor, parts, self._reader)
        needs_weight = config.sample_weight_norm == "batch"  # whose batches are divided by the sums of their weights
        statistics, partitions = data.statistics(is_classifier(self), config.scale == "standard", needs_weight=needs_weight)
        if not partitions:
            raise zero_weights_error()
        state, preparation, dtype = self._new_state(config, statistics)
        self.n_shards_ = min(self.n_shards or _MAX_DEFAULT_SHARDS, len(partitions))
        self._warn_of_data(executor, config, state, statistics, partitions)
        encoder = RowEncoder(self._for_workers(), self._weight_scale(config, statistics))
        encoder.model.class_weight = self._class_weights(statistics)
        data.make_shards(self.n_shards_, [one.n_rows for one in partitions], encoder, preparation, dtype)
        validation, rows_of_validation = None, "None"
        if eval_set is not None:
            *fields, rows_of_validation = self._validation_data(executor, eval_set, state, dtype)
            validation = ValidationData(*fields)
        plan, seed = self._training_plan(state, config), _seed_of(config.random_state, state.rng)
        for_workers = worker_config(config)
        hyperparams = state.optimizer.hyperparams | {"learning_rate": for_workers.learning_rate}
        specification = Specification(for_workers, plan, hyperparams, state.norm, state.is_averaged, seed)
        self._start_epochs(config, is_fresh=True)
        outer = self.local_steps, self.outer_learning_rate, self.outer_momentum
        file = self._checkpoint_file(config, statistics, data, rows_of_validation)
        options = DriverOptions(*outer, deadline, report, self._epoch_function(config), file)
        driver = Driver(executor, state, config, specification, data, validation, options)
        if resume:
            file.restore(driver)
        result = driver.run()
        self.n_rounds_ = driver.n_rounds
        self._set_result(state, result, Publication())

    def _new_state(self, config, statistics):
        """The new `TrainingState`, the `Preparation` of the rows, and the dtype of training, from statistics of the data."""
        dtype = statistics.dtype if config.dtype == "auto" else np.dtype(config.dtype)
        y = statistics.example_targets()
        X = np.zeros((len(y), statistics.n_features), statistics.dtype)
        _, y = self._validate_input(X, y, incremental=False, reset=True)
        names = self._reader.names
        if names is not None and all(isinstance(name, str) for name in names):
            self.feature_names_in_ = np.asarray(names, object)
        self._learn_range(y, None, False)
        n_outputs, out_activation = self._output_layer(y)
        sizes, rows = hidden_sizes(config), statistics.two_rows_of_inputs(statistics.dtype)
        check_config(config, rows)
        targets = y[:2] if statistics.targets is None else statistics.targets.two_rows()
        preparation = Preparation.learned(rows, targets, config, out_activation)
        self.n_outputs_, self.n_layers_, self.out_activation_ = n_outputs, len(sizes) + 2, out_activation
        options = {"link": self._link_kind, "out_activation": out_activation, "rng": generator_of(config.random_state)}
        rows = rows.astype(dtype)
        state = TrainingState.drawn(config, preparation, (statistics.n_features, *sizes, n_outputs), rows, **options)
        state.optimizer = Optimizer.fresh(config, state.params)
        return state, preparation, dtype

    def _for_workers(self):
        """A copy that encodes rows in a worker, without the names of features, because partitions are converted to arrays."""
        model = self._snapshot()
        for name in ("client", "callbacks", "validation_splitter", "coefs_init", "intercepts_init", "checkpoint"):
            setattr(model, name, None)
        for name in ("feature_names_in_", "_state", "_skl_callbacks"):
            vars(model).pop(name, None)
        return model

    def _encoded_rows(self, X, y, weight):
        X, y = self._validate_input(X, y, incremental=True, reset=False)
        if weight is not None and not weight.any():  # allowed in one partition
            return X, y, weight
        return X, y, self._row_weights(X, y, weight, incremental=True)

    @abstractmethod
    def _class_weights(self, statistics):
        """The weights of the classes as a dict, or None."""

    @abstractmethod
    def _score_rule(self, state):
        """The `ScoreRule` for validation rows."""

    def _weight_scale(self, config, statistics):
        """The number by which all sample weights are divided for ``sample_weight_norm``, as `relative_weights` does."""
        if statistics.weight_sum == 0:
            raise zero_weights_error()
        weights = self._class_weights(statistics)
        if config.sample_weight_norm == "batch" or (weights is None and statistics.weight_sum is None):
            return 1.0
        total = statistics.weight_sum
        if weights is not None:
            total = sum(weights.get(label, 1) * n for label, n in zip(statistics.labels[0], statistics.counts[0], strict=True))
        if total == 0:
            raise zero_weights_error()
        return float(total / statistics.n_rows)

    def _validation_data(self, executor, eval_set, state, dtype):
        """The fields of `ValidationData` for the argument ``eval_set``, and a description of its rows."""
        if not isinstance(eval_set, tuple) or len(eval_set) not in (2, 3):
            raise TypeError(f"eval_set must be a tuple (X_val, y_val) or (X_val, y_val, sample_weight_val), got {eval_set!r:.60}.")
        parts, reader = lazy_parts(self.n_shards_, *eval_set)
        if reader.columns != self._reader.columns:
            raise ValueError(
                f"X_val must have the columns of X, {self._reader.columns}, but it has {reader.columns}. Select the same columns."
            )
        data = DataOfFit(executor, parts, self._reader)
        statistics, partitions = data.statistics(is_classifier(self), False)
        encoder = RowEncoder(self._for_workers(), 1.0)
        encoder.model.class_weight = None
        n_shards = min(self.n_shards_, len(partitions))
        data.make_shards(n_shards, [one.n_rows for one in partitions], encoder, state.preparation, dtype)
        fields = data, self._prediction_plan(state.published_layout, state), self._score_rule(state)
        return *fields, described_rows(statistics, partitions)

    def _epoch_function(self, config):
        """A function that calls the callbacks with a copy of the model after an epoch, or None."""
        functions = callback_functions(config.callbacks)
        if not functions:
            return None

        def end_epoch(driver):
            model = self._snapshot_with_lists()
            model._show(driver.state.copy(), driver.result())
            logs = {name: entries[-1] for name, entries in model.history_.items()}
            answers = [function(model.to_local(), driver.n_epochs, logs) for function in functions]
            return any(isinstance(answer, (bool, np.bool_)) and bool(answer) for answer in answers)

        return end_epoch

    def _show(self, state, result):
        """Set the fitted attributes for a state after an epoch."""
        state.publish()
        self._set_result(state, result, Publication())

    def _checkpoint_file(self, config, statistics, data, rows_of_validation):
        if self.checkpoint is None:
            return None
        names = [name for name in default_params(type(self)) if name not in _NOT_IN_FILE]
        description = {name: described_value(getattr(self, name)) for name in names}
        description |= {"random_state": described_value(self.random_state), "eval_set": rows_of_validation}
        description |= {"the number of features": str(statistics.n_features), "the class": type(self).__name__}
        description |= {"the numbers of rows of the shards": described_value(data.rows_of_shards)}
        description |= {"the classes": described_value(vars(self).get("classes_"))}
        description |= {HORIZON: described_schedules(config)}
        return DriverFile(self.checkpoint, self.checkpoint_every, description)

    def _warn_of_data(self, executor, config, state, statistics, partitions):
        n_rows = max(sum(one.n_rows for one in partitions[shard :: self.n_shards_]) for shard in range(self.n_shards_))
        if self.local_steps is not None:
            n_rows = min(n_rows, self.local_steps * rows_per_batch(config.batch_size, n_rows))
        if executor.is_remote and 3 * state.params.size * n_rows < _MIN_WORK_OF_ROUND:
            warn_user(
                f"The data or the network are too small to gain from a cluster: in each round, a shard trains on at most {n_rows} "
                f"rows, which takes less time than the tasks and transfers of the round. fastbp.{self._local_class.__name__} in "
                "one process is probably faster. For large data, increase local_steps or use fewer shards."
            )
        if statistics.labels is not None and self.n_shards_ > 1:
            deviation = class_deviation(partitions, statistics.labels, self.n_shards_)
            if deviation > _MAX_CLASS_DEVIATION:
                warn_user(
                    f"The classes are not evenly distributed: in one shard, more than {deviation:.0%} of the rows would have to "
                    "get another class to have the frequencies of all rows. Averages of networks that were trained on different "
                    "classes are less accurate. Shuffle the rows before they are divided into partitions, use more and smaller "
                    "partitions, or decrease local_steps."
                )

    # ------------------------------------------------------------------ predictions

    def _predicted(self, X, method, **options):
        """The lazy result of a method for a Dask collection, or None for X in memory."""
        if not is_lazy(X):
            return None
        check_is_fitted(self)
        require_dask()
        self._check_columns(X)
        return lazy_prediction(X, self._without_names(), self._reader, method, options)

    def _check_columns(self, X):
        columns = TableReader.columns_of(X)
        if columns != self._reader.columns:
            raise ValueError(
                f"X must have the columns of fit, {self._reader.columns or 'a Dask array without names'}, got "
                f"{columns or 'a Dask array without names'}."
            )

    def _without_names(self):
        model = self.to_local()
        vars(model).pop("feature_names_in_", None)
        return model

    def _features(self, X):
        """X in memory with columns of 0 and 1 in place of category columns."""
        reader = self._reader
        if not reader.categories or TableReader.columns_of(X) != reader.columns:
            return X
        from pandas import DataFrame

        return DataFrame(reader.read(X), index=X.index, columns=reader.names)

    def _score_of_parts(self, X, y, sample_weight):
        """The score of Dask collections, or None for X in memory."""
        if not is_lazy(X):
            return None
        check_is_fitted(self)
        self._check_columns(X)
        executor = open_executor(self.client, self.worker_timeout)
        parts, _ = lazy_parts(1, X, y, sample_weight)
        model, reader = self._without_names(), self._reader

        def run(attempt):
            loaded = iter(executor.load([value for part in parts for value in part if value is not None]))
            groups = [[None if value is None else next(loaded) for value in part] for part in parts]
            held = executor.put(model)
            return executor.gather([executor.submit(score_part, group, held, reader) for group in groups])

        return merged_scores(executor.repeated(run)).value()

    # ------------------------------------------------------------------ copies

    def transform(self, X: Any, layer: int = -2) -> Any:
        """Return the activations of one layer of units.

        Parameters
        ----------
        X : Dask array, Dask DataFrame or array-like of shape (n_samples, n_features)
            The input data.
        layer : int, default=-2
            The index of the layer, as for `fastbp.MLPClassifier`: -2 is the last hidden layer.

        Returns
        -------
        activations : Dask array, Dask DataFrame or ndarray of shape (n_samples, n_units)
            The activations, lazy if X is a Dask collection.
        """
        lazy = self._predicted(X, "transform", layer=layer)
        return super().transform(self._features(X), layer) if lazy is None else lazy

    def to_local(self) -> Any:
        """Return the fitted model as an estimator that does not use Dask.

        Returns
        -------
        estimator : MLPClassifier or MLPRegressor
            A new estimator of `fastbp` with the same parameters and fitted attributes. It predicts the same values. If the model
            was fitted to a data frame with category columns, its X are the results of ``pandas.get_dummies``.
        """
        own = {*DISTRIBUTED_DEFAULTS, "n_shards_", "n_rounds_", "_reader"}
        attributes = {name: value for name, value in self.__getstate__().items() if name not in own}
        local = self._local_class.__new__(self._local_class)
        local.__setstate__(attributes)
        return local

    def __getstate__(self):
        return super().__getstate__() | {"client": None}

    def __sklearn_clone__(self):
        without_client = self._snapshot()
        without_client.client = None
        clone = super(DistributedFit, without_client).__sklearn_clone__()
        clone.client = self.client
        return clone


def _seed_of(random_state, rng):
    """The seed of the random numbers of the shards."""
    return int(random_state) if isinstance(random_state, Integral) else int(rng.randint(np.iinfo(np.int32).max))
