"""Labels and targets as kernels take them, and the scores of predictions.

A validated y enters and leaves as numbers (n_rows, n_columns): values in regression; in classification 0 and 1 for a binary y, one
such column per label for a multilabel y, and one column of class codes for a multiclass y. Scores are scikit-learn's accuracy and
R², taken over what a network returns, without the checks of its input.
"""

import numpy as np
from scipy.sparse import issparse
from sklearn.preprocessing import LabelBinarizer

from .inputs import is_plain


def learn_labels(y):
    """A scikit-learn ``LabelBinarizer`` that knows the labels in y; its own ``fit`` takes longer than many a small network."""
    binarizer = LabelBinarizer()
    if is_plain(y, 1) and y.dtype.kind in "iub":
        binarizer.classes_, binarizer.sparse_input_ = np.unique(y), False
        binarizer.y_type_ = "binary" if binarizer.classes_.size <= 2 else "multiclass"
        return binarizer
    return binarizer.fit(y)


def encode_labels(binarizer, y):
    """Codes (n_rows, n_columns) of labels that a fitted scikit-learn ``LabelBinarizer`` knows."""
    if y.ndim == 2 or binarizer.y_type_.startswith("multilabel"):
        indicators = binarizer.transform(y)
        return indicators.toarray() if issparse(indicators) else indicators
    return np.searchsorted(binarizer.classes_, y).reshape(-1, 1)


def decode_labels(binarizer, outputs):
    """The labels that outputs (n_rows, n_outputs) speak for; of a multilabel y, an array or sparse matrix as y was."""
    classes = binarizer.classes_
    if binarizer.sparse_input_ or binarizer.y_type_.startswith("multilabel"):
        return binarizer.inverse_transform(outputs.ravel() if outputs.shape[1] == 1 else outputs)
    if binarizer.y_type_ == "multiclass":
        return classes.take(outputs.argmax(axis=1))
    return classes.take((outputs[:, 0] > 0.5) & (len(classes) > 1))


def count_outputs(binarizer, codes):
    """How many output units these codes need: one per class above two classes, one per label, else one."""
    return len(binarizer.classes_) if binarizer.y_type_ == "multiclass" else codes.shape[1]


def check_values(y):
    """Real targets (n_rows, n_columns) from a validated y, or a TypeError."""
    if y.dtype.kind not in "biuf":
        raise TypeError(f"y must hold real numbers for regression, got an array of dtype {y.dtype}: convert it first.")
    return y.reshape(len(y), -1)


def accuracy(codes, outputs, sample_weight):
    """The weighted share of rows whose codes (n_rows, n_columns) are what outputs (n_rows, n_outputs) say."""
    if codes.shape[1] < outputs.shape[1]:
        hits = outputs.argmax(axis=1) == codes[:, 0]
    else:
        hits = ((outputs > 0.5) == (codes > 0.5)).all(axis=1)
    return float(np.average(hits, weights=sample_weight))


def r2(values, outputs, sample_weight):
    """R² of outputs (n_rows, n_outputs) for values of that shape, the mean over outputs; NaN where an output is not finite.

    A constant column counts 1 where it is met exactly, else 0, as in scikit-learn.
    """
    if not np.isfinite(outputs).all():
        return float("nan")
    weight = np.ones(len(values)) if sample_weight is None else sample_weight
    residual = weight @ (values - outputs) ** 2
    spread = weight @ (values - np.average(values, axis=0, weights=weight)) ** 2
    met = residual == 0
    known = spread != 0
    scores = np.where(met, 1.0, 0.0)
    scores[known & ~met] = 1 - residual[known & ~met] / spread[known & ~met]
    return float(scores.mean())
