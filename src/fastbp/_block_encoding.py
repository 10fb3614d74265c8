"""The validation and encoding of the blocks of a stream, as methods of the estimators.

A block as the user's source returned it goes in; rows for the network come out, or an error that names the block. While the network
is trained, these methods are called on a snapshot of the estimator that only the thread that reads ahead uses. This module does not
know how blocks are read and trained.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
from scipy.sparse import issparse, vstack
from sklearn.base import is_classifier

from ._compat import _check_sample_weight
from ._data.preparation import Preparation
from ._streams.first_pass import PIECE_ROWS, FirstPass
from ._streams.segments import EncodedRows, rechunked


@dataclass(frozen=True)
class RowEncoding:
    """How validated rows become rows for the network; ``n_columns`` is the number of columns of y."""

    preparation: Preparation
    dtype: str
    n_columns: int
    is_weighted: bool
    mean_weight: float


class BlockEncoding:
    """The methods of the estimators that validate and encode blocks."""

    # defined by the other base classes of the estimators
    _row_weights: Callable[..., Any]
    _snapshot: Callable[[], Any]
    _validate_input: Callable[..., Any]
    _validated: Callable[..., Any]
    _validation: Callable[..., Any]
    feature_names_in_: np.ndarray
    warm_start: bool | str

    @property
    def _weights_of_classes(self):
        """The parameter `class_weight`, which regressors do not have."""
        return vars(self).get("class_weight")

    def _block_reader(self, source):
        """A snapshot that validates the blocks of a source; it has no feature names if the source checks them itself."""
        reader = self._snapshot()
        reader.warm_start = False  # otherwise, each block would have to contain all classes
        if source.names is not None:
            vars(reader).pop("feature_names_in_", None)
        return reader

    def _learn_features(self, source, block, *, is_new):
        """Learn the number and the names of the features from the first block, or compare them with those of the last fit."""
        if is_new:
            self._checked_block(block, reset=True)
        names, known = source.names, vars(self).get("feature_names_in_")
        if names is None:
            return
        if is_new:
            self.feature_names_in_ = np.array(names, object)
        elif known is not None and list(known) != names:
            raise ValueError(
                f"source must have the features of the previous fit, {list(known)}, while training continues; got {names}. Pass "
                "feature_columns in the same order, or set warm_start=False with set_params."
            )

    def _checked_block(self, block, *, reset=False, encoded=False):
        """The validated rows of a block; the labels of classes are encoded only if ``encoded`` is True."""
        try:
            if block.n_rows == 0 and hasattr(block.X, "__len__"):
                raise ValueError("X must have at least one row, but it is empty. Leave empty blocks out.")
            if is_classifier(self) and not encoded:
                X, y = self._validated(block.X, block.y, reset)
            else:
                X, y = self._validate_input(block.X, block.y, incremental=True, reset=reset)
            weight = block.sample_weight
            if weight is not None:  # not all rows of a batch may have the weight 0, but all rows of a block
                weight = _check_sample_weight(weight, X, allow_all_zero_weights=True)
            return EncodedRows(X.tocsr() if issparse(X) else X, y, weight)
        except (ValueError, TypeError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{block.place} cannot be used: {error}") from error

    def _first_pass(self, source, wanted):
        """The ``FirstPass`` over all rows of a source; no row is read if nothing is wanted."""
        result, reader = FirstPass(wanted), self._block_reader(source)
        if not wanted:
            return result
        if wanted.only_targets:  # files with columns need not read the others
            blocks = (reader._block_of_targets(block) for block in source.read(with_features=False))
        else:
            blocks = (reader._checked_block(block, encoded=not wanted.labels) for block in source.read())
        for rows in rechunked(blocks, PIECE_ROWS):
            result.add(rows)
        return result

    def _block_of_targets(self, block):
        return self._checked_block(block) if block.X is not None else EncodedRows(None, np.asarray(block.y), block.sample_weight)

    def _raw_targets(self, source, block):
        """The validated targets of a block, with the labels of the user."""
        return self._block_reader(source)._checked_block(block).y

    def _first_rows(self, source, blocks, n_rows):
        """The first n_rows rows of some blocks, validated and with encoded labels."""
        reader = self._block_reader(source)
        return next(rechunked((reader._checked_block(block, encoded=True) for block in blocks), n_rows))

    def _mean_weight(self, first_pass):
        """The mean of the sample weights, multiplied by the weights of the classes."""
        if self._weights_of_classes is None:
            return first_pass.weight_sum / first_pass.n_rows
        of_classes = self._class_weights(first_pass)
        return sum(total * of_classes.get(label, 1) for label, total in first_pass.label_sums().items()) / first_pass.n_rows

    def _class_weights(self, first_pass):
        """The weights of the classes as a dict, or None."""
        given = self._weights_of_classes
        return first_pass.balanced_weights() if isinstance(given, str) else given

    def _block_encoder(self, source, encoding, first_pass):
        """A function that encodes a block, for the thread that reads ahead."""
        reader = self._block_reader(source)
        if self._weights_of_classes is not None:
            reader.class_weight = self._class_weights(first_pass)
        return lambda block: reader._encoded_block(block, encoding)

    def _stream_validation(self, source, state, config, data):
        """The ``Validation`` of a fit on a stream, or None."""
        if not data.is_validated:
            return None
        try:  # a snapshot without feature names accepts the arrays of files
            return self._block_reader(source)._validation(state, config, data, None, None)
        except ValueError as error:
            raise ValueError(str(error).replace("X_val and y_val", "The validation rows")) from error

    def _encoded_block(self, block, encoding):
        """The rows of a block for the network, as ``RowEncoding`` says."""
        X, y, weight = self._checked_block(block, encoded=True)
        if y.shape[1] != encoding.n_columns:
            raise ValueError(
                f"{block.place} cannot be used: y has {y.shape[1]} columns, but {encoding.n_columns} in the first block. Pass the "
                "same columns in each block."
            )
        try:
            of_classes = None if self._weights_of_classes is None else self._row_weights(X, y, None, True)
            X, y = encoding.preparation.prepared(X, y, encoding.dtype)
        except ValueError as error:
            raise ValueError(f"{block.place} cannot be used: {error}") from error
        if (weight is not None) != encoding.is_weighted:
            has = (
                "has no sample weights, but the first block has" if weight is None else "has sample weights, but the first has none"
            )
            raise ValueError(f"{block.place} cannot be used: it {has}. Pass weights in each block, or in none.")
        if of_classes is not None:
            weight = of_classes if weight is None else weight * of_classes
        return EncodedRows(X, y, weight if weight is None or encoding.mean_weight == 1 else weight / encoding.mean_weight)


def all_rows(source):
    """The X, y and sample weights of all blocks of a source together, as the user passed them."""
    blocks = list(source.read())
    if not blocks:
        raise ValueError("validation must have at least one row, but its source returned no blocks. Leave validation out.")
    if len(blocks) == 1:
        return blocks[0].X, blocks[0].y, blocks[0].sample_weight
    weights = [block.sample_weight for block in blocks]
    if any(weight is None for weight in weights) != all(weight is None for weight in weights):
        raise ValueError("validation must have sample weights in each block, or in none. Add the missing weights.")
    y = np.concatenate([np.asarray(block.y) for block in blocks])
    return _stacked_blocks([block.X for block in blocks]), y, None if weights[0] is None else np.concatenate(weights)


def _stacked_blocks(parts):
    if issparse(parts[0]):
        return vstack(parts, format="csr")
    if hasattr(parts[0], "columns"):
        return nw.concat([nw.from_native(part) for part in parts]).to_native()
    return np.concatenate([np.asarray(part) for part in parts])
