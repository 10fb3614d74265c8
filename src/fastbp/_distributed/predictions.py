"""Predictions of Dask collections, which are computed when they are needed, and scores of partitions.

A fitted model, which is held once in the graph, and a collection go in; a lazy collection with the same partitions comes out. Data
frames keep their index. Empty partitions are predicted, too. This module does not know about networks.
"""

import numpy as np

from .evaluation import BlockScore, r2_block
from .partitions import checked_length
from .statistics import check_no_missing_targets


def predict_part(X, model, reader, method, options):
    """The result of a method of the model for one partition; a data frame or a series for a data frame."""
    rows = reader.read(X)
    n_rows = rows.shape[0]
    if n_rows == 0:  # scikit-learn's validation needs a row
        rows = np.zeros((1, rows.shape[1]), rows.dtype)
    out = getattr(model, method)(rows, **options)[:n_rows]
    if reader.columns is None:
        return out
    from pandas import DataFrame, Series

    if out.ndim == 1:
        return Series(out, index=X.index)
    return DataFrame(out, index=X.index, columns=_column_names(model, method, out.shape[1]))


def _column_names(model, method, n_columns):
    names = getattr(model, "classes_", range(n_columns)) if method.startswith("predict_") else range(n_columns)
    return list(names) if len(names) == n_columns else list(range(n_columns))


def lazy_prediction(X, model, reader, method, options):
    """The lazy result of a method of the model for a Dask array or a Dask data frame X."""
    from dask import delayed

    arguments = {"model": delayed(model), "reader": reader, "method": method, "options": options}
    if reader.columns is not None:
        from dask.dataframe import from_delayed

        example = predict_part(getattr(X, "_meta", X), model, reader, method, options)
        # map_partitions of dask before 2025.5 does not compute delayed arguments
        parts = [delayed(predict_part)(part, **arguments) for part in X.to_delayed()]
        return from_delayed(parts, meta=example, divisions=X.divisions, verify_meta=False)
    if X.ndim != 2:
        raise ValueError(f"X must have two dimensions, got a Dask array of shape {X.shape}.")
    X = X.rechunk({1: -1}) if X.numblocks[1] > 1 else X
    example = predict_part(np.zeros((0, X.shape[1]), X.dtype), model, reader, method, options)
    if example.ndim == 1:
        return X.map_blocks(predict_part, **arguments, dtype=example.dtype, drop_axis=1, meta=example)
    chunks = (X.chunks[0], *((n,) for n in example.shape[1:]))
    new_axis = list(range(2, example.ndim))
    return X.map_blocks(predict_part, **arguments, dtype=example.dtype, chunks=chunks, new_axis=new_axis or None, meta=example)


def score_part(part, model, reader):
    """The `BlockScore` of the predictions of a model for a loaded partition (X, y, weight)."""
    X, y, weight = part
    X = reader.read(X)
    y, weight = checked_length(X.shape[0], y, "y"), checked_length(X.shape[0], weight, "sample_weight")
    if len(y) == 0 or (weight is not None and not weight.any()):
        return BlockScore(0.0)
    check_no_missing_targets(y)
    predicted = model.predict(X)
    if predicted.shape == y.shape and not hasattr(model, "classes_"):
        rows = len(y), -1
        return r2_block(y.reshape(rows), predicted.reshape(rows), weight)
    total = float(len(y)) if weight is None else float(np.sum(weight, dtype=np.float64))
    return BlockScore(total, mean=float(model.score(X, y, weight)))
