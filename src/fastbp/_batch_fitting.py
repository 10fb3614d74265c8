"""The method ``fit_batches`` of the estimators, which trains on rows that are read one block after another.

A source and the parameters of the estimator go in; attributes with scikit-learn's names come out, as in ``fit``. ``_streams`` reads
the source and trains; this module validates blocks, encodes them for the network and chooses what has to be known before the first
epoch. It does not know how a network is trained.
"""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_classifier
from sklearn.utils.multiclass import type_of_target

from ._block_encoding import BlockEncoding, RowEncoding, all_rows
from ._compat import fit_method
from ._config import FitConfig, check_config, hidden_sizes
from ._network.initializers import DATA
from ._streams.arrow_source import ENCODINGS, ColumnNames, arrow_source, is_dataset
from ._streams.first_pass import Wanted
from ._streams.prefetch import Prefetcher
from ._streams.segments import RowBuffer, SegmentReader, Shuffling, whole_batches
from ._streams.sources import StreamSource, is_block, is_path, source_of_blocks
from ._training.context import FitContext, TrainingData
from ._training.generators import generator_of

_MAX_SEED = 2**31 - 1
_N_ROWS_OF_DATA = 4096  # so many rows are used for initial values that depend on the rows
# The learning rate schedules that do not depend on the position in the epoch.
_RATES_OF_EPOCHS = ("constant", "invscaling", "adaptive", "reduce_on_plateau")
_N_BUFFERS = 2  # one is trained while the other one is filled


@dataclass(frozen=True)
class Batches:
    """The arguments of ``fit_batches``."""

    source: Any
    classes: Any
    epochs: int | None
    shuffle_buffer: int
    validation: Any
    columns: ColumnNames

    def check(self):
        """Raise a ValueError or a TypeError if an argument is wrong."""
        for name in ("epochs", "shuffle_buffer"):
            value = getattr(self, name)
            if value is None and name == "epochs":
                continue
            if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
                unit = "rows" if name == "shuffle_buffer" else "epochs"
                raise ValueError(f"{name} must be an integer of at least 1, the number of {unit}; got {value!r}.")
        if self.columns.encoding not in ENCODINGS:
            raise ValueError(f"categories must be 'one_hot' or 'codes', got {self.columns.encoding!r}.")

    def train(self, estimator: Any, hooks: Any) -> tuple:
        """Train an estimator, which is a snapshot, and return its training state and the ``FitResult``."""
        return estimator._train_batches(self, hooks)

    def open(self, source: Any, categories: dict | None = None, argument: str = "source") -> StreamSource:
        """The ``StreamSource`` of the training source or of the validation source, which is named in errors."""
        if is_path(source) or is_dataset(source):
            return arrow_source(source, self.columns, categories)
        columns = self.columns
        given = {"target_column": columns.target, "weight_column": columns.weight, "feature_columns": columns.features}
        for name, value in given.items():
            if value is not None:
                raise ValueError(
                    f"{name}={value!r} needs a source of named columns, such as Parquet files; for other sources, the blocks "
                    "contain X, y and the weights. Leave it out."
                )
        return source_of_blocks(source, argument)

    def open_validation(self, trained: StreamSource) -> StreamSource | None:
        """The ``StreamSource`` of the validation rows, or None; they have the categories of the training source."""
        rows = self.validation
        if rows is None:
            return None
        if is_block(rows):
            return source_of_blocks([tuple(rows)])
        return self.open(rows, getattr(trained, "categories", None), "validation")


class BatchFitting(BlockEncoding):
    """The method ``fit_batches`` of the estimators."""

    # defined by the other base classes of the estimators
    _check_sgd: Callable[..., None]
    _complete: Callable[[], None]
    _continued: Callable[..., Any]
    _drawn_state: Callable[..., Any]
    _fit: Callable[..., Any]
    _learn_classes: Callable[..., None]
    _learn_range: Callable[..., None]
    _output_layer: Callable[..., Any]
    _resume_point: Callable[..., Any]
    _run_training: Callable[..., Any]
    _start_epochs: Callable[..., Any]
    _training_plan: Callable[..., Any]
    _kept_run: Any
    _state: Any
    shuffle: bool

    @fit_method
    def fit_batches(
        self,
        source: Any,
        *,
        classes: ArrayLike | None = None,
        epochs: int | None = None,
        shuffle_buffer: int = 65536,
        validation: Any = None,
        target_column: str | list[str] | None = None,
        weight_column: str | None = None,
        feature_columns: list[str] | None = None,
        categories: str = "one_hot",
    ) -> Self:
        """Fit the model to rows that are read one block after another, for data that do not fit into memory.

        Blocks may have any number of rows, and batches do not depend on where a block ends. While a part of the rows is trained, a
        thread reads the next rows. Callbacks, `max_time`, `early_stopping`, learning rate schedules, `verbose` and `warm_start`
        have the same effects as in `fit`.

        Parameters
        ----------
        source : callable, list, iterable, path, list of paths, pyarrow.dataset.Dataset or DataIter
            The source of the rows:

            - a function without arguments that returns an iterator of tuples (X, y) or (X, y, sample_weight). It is called once for
              each epoch, and once more if something about all rows has to be known first. An iterator, such as a generator, can be
              read only once, so it needs ``epochs=1``.
            - a list of such tuples, or another object that ``for`` can run through several times, such as a ``DataLoader``
            - one or several paths of Parquet or CSV files, or a pyarrow dataset; this needs pyarrow
            - an object with the methods ``next(input_data)`` and ``reset()``, as the ``DataIter`` of XGBoost.
        classes : array-like of shape (n_classes,) or list of these, default=None
            For classifiers, the classes of all blocks. By default, they are found by reading the targets of all rows once. Must be
            None for regressors.
        epochs : int, default=None
            The largest number of epochs of this call; None means `max_iter`. With a number, there is no warning if training has not
            converged.
        shuffle_buffer : int, default=65536
            The number of rows that are in memory and shuffled together, rounded up to a multiple of the batch size. Twice as many
            rows need memory, because the next ones are read at the same time. The order of Parquet row groups, of files and of the
            blocks of a list is shuffled, too [1]_. Nothing is shuffled with ``shuffle=False``.
        validation : tuple (X, y) or (X, y, sample_weight), or a source, default=None
            Validation rows. After every epoch, their loss and score are added to `history_`. Required for `early_stopping`. The
            rows of a source are read once and kept in memory.
        target_column : str or list of str, default=None
            The name of the column with the targets, or of several such columns. Required for files and datasets.
        weight_column : str, default=None
            The name of the column with sample weights, for files and datasets.
        feature_columns : list of str, default=None
            The names of the columns of X, for files and datasets. By default, these are all other columns.
            Each file must have all columns that are used.
        categories : {'one_hot', 'codes'}, default='one_hot'
            The encoding of texts and dictionaries in files and datasets. The categories of a column are its sorted values, which
            are found by reading the column once. 'one_hot' makes a column of 0 and 1 for each category, with the name that
            ``pandas.get_dummies`` gives it; missing and unknown categories are 0 in all of them. 'codes' makes one column with the
            number of the category; missing and unknown categories are NaN.

        Returns
        -------
        self : estimator
            The fitted estimator.

        Raises
        ------
        ValueError
            If an argument or a block is wrong, or if training diverges; the message names the block.
        TypeError
            If source is none of the objects above.
        ImportError
            If source consists of files, and pyarrow is not installed.

        Notes
        -----
        If the source raises an exception, the exception is raised after the weights of the last batch have been stored. If the
        parameter `warm_start` is "resume", another call continues with the next batch and gives the same bits as a call without the
        exception. It reads the epoch from its beginning and leaves out the rows that were trained, so the source must return the
        same rows again. The same is true for a call that `max_time` or Ctrl-C has ended. `max_time` has an effect after the first
        rows have been read.

        With ``shuffle=False``, an epoch gives the same bits as `fit` with all rows in memory. The order of the rows depends on
        `random_state` and, except for sources with an order of blocks that can be shuffled, not on the sizes of the blocks.

        Scaling with ``scale="standard"`` and ``scale_y="standard"``, ``missing="indicator"``, ``class_weight="balanced"``,
        ``sample_weight_norm="global"`` and `clip_predictions` need a first pass over all rows. So do schedules that depend on the
        position in the epoch, unless the number of rows is known from Parquet files. Other values of `scale` and `scale_y` are not
        available.

        References
        ----------
        .. [1] Xu et al., "In-Database Machine Learning with CorgiPile: Stochastic Gradient Descent without Full Data Shuffle",
           SIGMOD 2022.

        Examples
        --------
        >>> import numpy as np
        >>> from fastbp import MLPClassifier
        >>> def blocks():
        ...     for seed in range(20):
        ...         X = np.random.default_rng(seed).normal(size=(500, 3))
        ...         yield X, X[:, 0] > X[:, 1]
        >>> model = MLPClassifier(random_state=0).fit_batches(blocks, classes=[False, True], epochs=3)
        >>> model.predict([[1, 0, 0], [0, 1, 0]])
        array([ True, False])
        """
        columns = ColumnNames(feature_columns, target_column, weight_column, categories)
        batches = Batches(source, classes, epochs, shuffle_buffer, validation, columns)
        batches.check()
        return self._fit(source, None, None, batches=batches)

    # ------------------------------------------------------------------ the fit, on a snapshot

    def _train_batches(self, batches, hooks):
        """Train a new state, or a copy of the current state, on a stream; return it with a ``FitResult``."""
        from ._streams.run import StreamRun  # the other fits do not need it

        config = _batch_config(self, batches)
        is_first = not hasattr(self, "coefs_")
        continues = not is_first and bool(config.warm_start)
        self._kept_run = None
        if continues:
            self._complete()
        else:
            self._forget_labels()
        source = batches.open(batches.source)
        held_out = batches.open_validation(source)
        blocks = source.peek(_N_ROWS_OF_DATA if DATA in (config.weight_init, config.bias_init) else 1)
        if not blocks:
            raise ValueError(f"source must return at least one block of rows, but {source.kind} returned none. Check the source.")
        self._learn_features(source, blocks[0], is_new=not continues)
        wanted = self._wanted(config, batches, source, blocks[0])
        _check_one_shot(source, wanted, config)
        first_pass = self._first_pass(source, wanted)
        if is_classifier(self):
            finds_classes = wanted.labels and self._has_no_labels(batches)
            self._learn_classes(self._raw_targets(source, blocks[0]), first_pass.classes() if finds_classes else batches.classes)
        if first_pass.y_range is not None:
            self._learn_range(first_pass.y_range, None, continues)
        first = self._first_rows(source, blocks, _N_ROWS_OF_DATA)
        check_config(config, first.X)
        state = self._stream_state(config, first, first_pass, continues)
        start = self._start_epochs(config, is_fresh=not continues)
        self._check_sgd(config, False)
        data = TrainingData(None, np.empty(0), None, (None, None), (None, None, None) if held_out is None else all_rows(held_out))
        shuffling, resume = self._shuffling(state, config, batches, data, continues)
        validation = self._stream_validation(source, state, config, data)
        context = FitContext(hooks, start, False, is_first, not continues, True, resume)
        mean = self._mean_weight(first_pass) if wanted.weights else 1.0
        encoding = RowEncoding(state.preparation, config.dtype, first.y.shape[1], first.weight is not None, mean)
        epoch, row = (0, 0) if resume is None else (resume.progress["epoch"], resume.progress["row"])
        encode = self._block_encoder(source, encoding, first_pass)
        segments = SegmentReader(source, encode, shuffling, range(epoch, epoch + config.max_iter), row)
        n_rows = source.n_rows or first_pass.n_rows
        buffers = [RowBuffer(shuffling.capacity, state.params.dtype, n_rows) for _ in range(_N_BUFFERS)]
        plan = self._training_plan(state, config)
        with Prefetcher(segments, buffers) as prefetched:
            arguments = state, config, plan, prefetched, shuffling, validation, context
            run = StreamRun(*arguments, n_expected=n_rows, warns=batches.epochs is None)
            return state, self._run_training(run)

    def _forget_labels(self):
        for name in ("classes_", "_label_binarizer", "_groups"):
            vars(self).pop(name, None)

    def _has_no_labels(self, batches):
        """Whether the classes have to be found in the targets."""
        return batches.classes is None and not hasattr(self, "classes_")

    def _wanted(self, config, batches, source, block):
        """What has to be known about all rows."""
        has_no_labels = is_classifier(self) and self._has_no_labels(batches)
        is_multilabel = has_no_labels and np.ndim(block.y) == 2 and type_of_target(block.y).startswith("multilabel")
        is_new = self._state is None or not self.warm_start
        is_continued = self._state is not None and isinstance(self.warm_start, str)
        rate = config.learning_rate
        if is_continued and self._state.optimizer is not None:
            rate = self._state.optimizer.hyperparams["learning_rate"]
        has_schedule = (isinstance(rate, str) and rate not in _RATES_OF_EPOCHS) or config.strength_schedule is not None
        of_classes, is_global = self._weights_of_classes, config.sample_weight_norm == "global"
        return Wanted(
            labels=(has_no_labels and not is_multilabel) or of_classes == "balanced" or (is_global and of_classes is not None),
            inputs=is_new and (config.scale is not None or config.missing == "indicator"),
            targets=(is_new and config.scale_y is not None) or bool(vars(self).get("clip_predictions")),
            weights=is_global and (block.sample_weight is not None or of_classes is not None),
            n_rows=has_schedule and source.n_rows is None,
        )

    def _stream_state(self, config, first, first_pass, continues):
        """A new state, or a copy of the current state, for validated rows of the stream."""
        rng = generator_of(config.random_state)
        if continues:
            return self._continued(config, first.X, first.y, rng)[0]
        n_outputs, out_activation = self._output_layer(first.y)
        preparation = first_pass.preparation(config, out_activation, first.X.dtype)
        X, _ = preparation.prepared(first.X, first.y, config.dtype)
        return self._drawn_state(config, preparation, X, n_outputs, out_activation, rng)

    def _shuffling(self, state, config, batches, data, continues):
        """The ``Shuffling`` of the rows, and the ``ResumePoint`` or None."""
        capacity = whole_batches(batches.shuffle_buffer, 200 if config.batch_size == "auto" else config.batch_size)
        if continues and isinstance(config.warm_start, str):
            resume = self._resume_point(config, data, capacity)
            state.rng = resume.stream(config.random_state)
            return Shuffling(capacity, resume.segments["seed"]), resume
        return Shuffling(capacity, int(state.rng.randint(_MAX_SEED)) if self.shuffle else None), None


def _batch_config(estimator, batches):
    """The parameters of an estimator for ``fit_batches``; raise a ValueError if one of them is not supported."""
    config = FitConfig.of(estimator)
    remedies = {
        "solver": (config.solver == "lbfgs", "which needs all rows at the same time. Use another solver, such as 'adam'"),
        "scale": (
            config.scale not in (None, "standard"),
            "which needs the quartiles of all rows. Set it to 'standard', or scale X in the source",
        ),
        "scale_y": (
            config.scale_y not in (None, "standard"),
            "which needs the quartiles of all rows. Set it to 'standard', or scale y in the source",
        ),
        "early_stopping": (
            config.early_stopping and batches.validation is None,
            "which needs validation rows, because fit_batches does not hold out rows of a stream. Pass validation",
        ),
    }
    for name, (is_wrong, text) in remedies.items():
        if is_wrong:
            raise ValueError(f"fit_batches does not support {name}={getattr(config, name)!r}, {text}.")
    if batches.classes is not None and not is_classifier(estimator):
        raise ValueError(f"classes must be None for a regressor, got {batches.classes!r}. Leave it out.")
    hidden_sizes(config)
    return config._replace(max_iter=config.max_iter if batches.epochs is None else batches.epochs, shuffle=False)


def _check_one_shot(source, wanted, config):
    """Raise a ValueError if a source that can be read once has to be read more often."""
    if not source.is_one_shot or not (wanted or config.max_iter > 1):
        return
    reasons = {
        "the classes or their weights": (wanted.labels, "classes, and class_weight as a dict"),
        "the scale of X": (wanted.inputs, "scale=None and missing='error'"),
        "the scale or the range of y": (wanted.targets, "scale_y=None and clip_predictions=False"),
        "the mean of the weights": (wanted.weights, "sample_weight_norm='batch'"),
        "the number of rows": (wanted.n_rows, "learning_rate='constant'"),
    }
    needed = [f"{name} (or pass {remedy})" for name, (is_wanted, remedy) in reasons.items() if is_wanted]
    if config.max_iter > 1:
        needed.append(f"{config.max_iter} epochs (or pass epochs=1)")
    raise ValueError(
        f"source is an iterator, which can be read only once, but it has to be read again for {', and for '.join(needed)}. Pass a "
        "function that returns a new iterator: for a generator function read(), pass read instead of read()."
    )
