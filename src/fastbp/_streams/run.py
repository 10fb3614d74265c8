"""A fit by stochastic gradient descent on the segments of a stream.

The training state, the parameters of the estimator, a ``Prefetcher`` of segments and optional validation rows go in; the state is
trained in place, and a ``FitResult`` comes out. An epoch is the same as in ``SGDRun``, but its rows are in memory one segment after
another. If the source fails, the result contains the exception and a state from which training can be resumed. This module does not
know about estimators and sources.
"""

from .._data.row_numbers import row_numbers
from .._data.training_arrays import training_arrays
from .._training.context import TrainingRows
from .._training.epochs import EpochRunner
from .._training.progress import Standing
from .._training.resume import ResumePoint
from .._training.sgd import SGDRun
from .prefetch import SourceFailure

# While the next segment is not ready, Python checks time limits after so many seconds.
_SECONDS_TO_WAIT = 0.05


class SegmentRunner(EpochRunner):
    """An ``EpochRunner`` that trains one segment after another.

    ``segments`` is the ``Prefetcher``, ``first`` its first segment, ``n_expected`` the number of rows of an epoch or 0, and
    ``use_order`` a function that is called with the order of the rows of each segment.
    """

    def __init__(self, segments, first, n_expected, use_order, *arguments, **options):
        super().__init__(*arguments, **options)
        self._segments, self._segment, self._use_order, self._is_finished = segments, first, use_order, False
        self.progress["n_expected"] = n_expected
        self._use(first)
        self._n_counted = self._n_blocks()

    def run_kernel(self, n_epochs=1):
        """Train for one kernel call, and return whether an epoch ended; do nothing if the next segment is not ready yet."""
        if self._is_finished and not self._load():
            return False
        has_ended = super().run_kernel(1)
        segment, row = self._segment, self.progress["row"].item(0)
        self._is_finished = has_ended or row == segment.first_row + segment.order.size
        return has_ended

    def _load(self):
        """Use the next segment; return False if it is not ready."""
        segment = self._segments.get(_SECONDS_TO_WAIT)
        if segment is None:
            return False
        self._segments.release(self._segment.buffer)
        self._use(segment)
        return True

    def _use(self, segment):
        problem, dtype = self.problem, self.state.params.dtype
        problem.rows, problem.y, problem.weight = training_arrays(dtype, *segment.rows)
        problem.data = segment.rows
        self.order, self._segment, self._is_finished = segment.order, segment, False
        self.progress["first_row"], self.progress["has_more"] = segment.first_row, not segment.is_last
        self._use_order(segment.order)

    def _n_blocks(self):
        """The number of blocks that each thread has processed, up to a constant."""
        values = self.values
        return (values.rows_seen + values.row) / (self.settings["block_size"][0] * self.crew.n_threads) + values.blocks_done


class StreamRun(SGDRun):
    """A fit on a stream, which ``train`` runs once.

    ``segments`` is a ``Prefetcher`` and ``shuffling`` the ``Shuffling`` of its segments. ``n_expected`` is the number of rows of an
    epoch, or 0 if it is not known. ``warns`` is False if the user has chosen the number of epochs for this call.
    """

    def __init__(self, state, config, plan, segments, shuffling, validation, context, *, n_expected=0, warns=True):
        try:
            first = segments.get()
        except SourceFailure as failure:
            raise failure.error from None
        self.failure, self._shuffling, self._warns = None, shuffling, warns
        self._segments, self._first, self._n_expected = segments, first, n_expected
        self._start_row = 0 if context.resume is None else context.resume.progress["row"]
        super().__init__(state, config, plan, first.rows, TrainingRows(first.order.size, first.order), validation, context)
        self._rows_before = self.runner.values.rows_seen

    def _new_runner(self, *arguments, **options):
        return SegmentRunner(self._segments, self._first, self._n_expected, self._use_order, *arguments, **options)

    def _use_order(self, order):
        self.rows = TrainingRows(order.size, order)

    def _n_planned(self, n_epochs_before):
        return n_epochs_before + self.config.max_iter  # the same number if a call continues another one that was interrupted

    # ------------------------------------------------------------------ epochs

    def run(self):
        """Train; return what ``SGDRun.run`` returns, or 'failed' if the source has failed."""
        try:
            return super().run()
        except SourceFailure as failure:
            self.failure = failure.error
            return "failed"

    def _standing(self):
        values, (losses, rates) = self.runner.values, self.runner.read_epochs()
        n_done = values.rows_seen - self._rows_before
        n_rows = self._n_expected or (n_done / len(losses) if losses else 0)
        part = min(1.0, values.row / n_rows) if n_rows else 0.0
        latest = (entries[-1] if entries else None for entries in (losses, self.scores, rates))
        return Standing(len(losses) + part, n_done + values.row, *latest)

    # ------------------------------------------------------------------ end

    def finish(self, ended_by, progress):
        """Publish the trained state and return the result, with the ``failure`` of the source.

        Raise this exception if no batch was trained.
        """
        if self.failure is not None:
            if (progress.rows_seen, progress.row) == (self._rows_before, self._start_row):
                raise self.failure
            n_left = self.config.max_iter - len(self.runner.losses)
            self.failure.add_note(
                f"The model keeps the weights after {progress.row} rows of epoch {progress.epoch + 1}. To train the rest with the "
                "same result as without this error, set warm_start='resume' with set_params and call fit_batches again with "
                f"epochs={n_left}."
            )
        return super().finish(ended_by, progress)._replace(failure=self.failure)

    def _resume_point(self, order):
        self.runner.write_back()
        no_rows = TrainingRows(0, row_numbers(0))
        point = ResumePoint.of(self.state, no_rows, self.runner.progress[0], self.runner.problem.seed)
        point.segments = {"capacity": self._shuffling.capacity, "seed": self._shuffling.seed}
        return point

    def _warn(self, ended_by):
        if ended_by == "failed" or (ended_by is None and not self._warns):
            return
        super()._warn(ended_by)
