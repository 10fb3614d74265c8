"""Predictions and scores of a large X in blocks of rows.

X and a function that predicts rows go in; the predictions of all rows, or a score, come out. A block of rows is validated,
converted and predicted before the next one is read, so that temporary arrays do not grow with the number of rows. X can also be an
object that is not an array but of which blocks of rows can be read (``array_likes``). This module does not know how predictions
are computed.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ._data.array_likes import blocks_of, in_file, is_sliced, is_table
from ._data.streamed import is_readable, is_small, row_slices

_PREDICTED_ELEMENTS = 1 << 19  # of all temporary arrays of a block


class LargeInputs:
    """The methods of the estimators that predict and score blocks of rows."""

    # defined by the other base classes of the estimators
    _snapshot: Callable[[], Any]
    _state: Any
    n_outputs_: int

    def _by_blocks(self, X, predict, n_temporary=0):
        """The result of predict(model, X), an array or a list of arrays; of a large X, from the results for blocks of rows.

        ``n_temporary`` is the number of elements of each row in temporary arrays, without those of a converted X.
        """
        if type(X) is np.ndarray and X.ndim == 2 and is_small(X.size + len(X) * n_temporary):
            return predict(self, X)  # at once, because the following lines take as long as a prediction of one row
        n_elements = n_temporary + self._n_converted(X)
        if not is_sliced(X) or is_small(X.shape[0] * n_elements):
            return predict(self, X)
        results: list[np.ndarray] = []
        is_list = False
        for rows, part in self._parts(X, predict, n_elements):
            is_list = isinstance(part, list)
            parts = part if is_list else [part]
            if not results:
                results = [np.empty((X.shape[0], *array.shape[1:]), array.dtype) for array in parts]
            for result, array in zip(results, parts, strict=True):
                result[rows] = array
        return results if is_list else results[0]

    def _parts(self, X, predict, n_elements):
        """Yield (rows, predict(model, X[rows])) for blocks of rows with about n_elements temporary elements for each row."""
        model = self._snapshot()
        for rows, block in blocks_of(X, n_elements, _PREDICTED_ELEMENTS):
            yield rows, predict(model, block)
            del block  # a view of rows that are no longer needed when the next ones are read
            if not is_table(X):
                vars(model).pop("feature_names_in_", None)  # the names, which X does not have, were checked for the first block

    def _n_converted(self, X):
        """The number of columns of X that are converted for predictions, or 0 if the kernels can read X itself."""
        if not is_sliced(X):
            return 0
        state, coefs = self._state, vars(self).get("coefs_")
        is_read_directly = (
            isinstance(X, np.ndarray)
            and X.flags.c_contiguous
            and coefs
            and all(np.result_type(X, W) == X.dtype for W in coefs)
            and X.dtype.kind == "f"
            and (state is None or state.preparation.is_folded)
        )
        return 0 if is_read_directly else X.shape[1]

    def _score_in_blocks(self, X, y, sample_weight, predict, n_columns, running_score):
        """The score of predict(model, X), which has n_columns columns, as y must have; None for rows that must be scored at once.

        ``running_score`` creates an object that adds up blocks, from a function that yields blocks of (y, sample_weight).
        """
        y, sample_weight = in_file(y), in_file(sample_weight)
        if not is_sliced(X) or is_small(X.shape[0]) or not _are_scorable(y, sample_weight, X.shape[0], n_columns):
            return None

        def rows_of(part):
            return y[part].reshape(part.stop - part.start, -1), None if sample_weight is None else sample_weight[part]

        def blocks():
            return (rows_of(part) for part in row_slices(X.shape[0], 1))

        running = running_score(blocks)
        for rows, predictions in self._parts(X, predict, self.n_outputs_ + max(4, self._n_converted(X))):
            values, weight = rows_of(rows)
            running.add(values, predictions.reshape(values.shape[0], -1), weight)
        return running.result()


def _are_scorable(y, sample_weight, n_rows, n_columns):
    """Whether y and the weights are arrays of n_rows finite numbers; otherwise, scikit-learn's metrics raise their errors."""
    if not is_readable(y) or y.shape not in ((n_rows,), (n_rows, n_columns)) or y.size != n_rows * n_columns:
        return False
    if sample_weight is not None and (not is_readable(sample_weight) or sample_weight.shape != (n_rows,)):
        return False
    arrays = (array for array in (y, sample_weight) if array is not None and array.dtype.kind == "f")
    if not all(np.isfinite(array[rows]).all() for array in arrays for rows in row_slices(n_rows, array[0].size)):
        return False
    return sample_weight is None or bool(sample_weight.any())
