"""Labels and targets as kernels take them, and the scores of predictions.

A validated y enters and leaves as numbers (n_rows, n_columns): values in regression; in classification 0 and 1 for a binary y, one
such column per label for a multilabel y, one column of class codes for a multiclass y, and one such for each output of a y of
several, whose output units lie in groups. Scores are scikit-learn's accuracy and R², taken over what a network returns, without the
checks of its input.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import type_of_target, unique_labels

from .inputs import is_plain


@dataclass
class GroupedLabels:
    """What a ``LabelBinarizer`` is to one output, for a y of several outputs of any classes: a sorted array of them for each."""

    classes_: list
    y_type_ = "multiclass-multioutput"
    sparse_input_ = False

    @property
    def groups(self):
        """How many output units each output has."""
        return tuple(len(classes) for classes in self.classes_)

    def encode(self, y):
        return np.column_stack([np.searchsorted(classes, column) for classes, column in zip(self.classes_, y.T, strict=True)])

    def decode(self, outputs):
        parts = split_groups(outputs, self.groups)
        return np.column_stack([classes.take(part.argmax(axis=1)) for classes, part in zip(self.classes_, parts, strict=True)])


def split_groups(outputs, groups):
    """The output units of each group: arrays (n_rows, n_classes), which are views."""
    return np.split(outputs, np.cumsum(groups)[:-1], axis=1)


def are_grouped(classes):
    """Whether these are the classes of several outputs, an array-like for each."""
    return isinstance(classes, (list, tuple)) and len(classes) > 0 and all(np.ndim(some) == 1 for some in classes)


def learn_labels(y):
    """A scikit-learn ``LabelBinarizer`` that knows the labels in y; its own ``fit`` takes longer than many a small network."""
    binarizer = LabelBinarizer()
    if is_plain(y, 1) and y.dtype.kind in "iub":
        binarizer.classes_, binarizer.sparse_input_ = np.unique(y), False
        binarizer.y_type_ = "binary" if binarizer.classes_.size <= 2 else "multiclass"
        return binarizer
    if y.ndim == 2 and not issparse(y) and type_of_target(y) == "multiclass-multioutput":
        return GroupedLabels([np.unique(column) for column in y.T])
    return binarizer.fit(y)


def labels_in(y, known):
    """The labels in y, sorted, beside those known: a list of such pairs, one for each output that has classes of its own."""
    if not are_grouped(known):
        return [(unique_labels(y), known)]
    if y.ndim != 2 or y.shape[1] != len(known):
        raise ValueError(f"y must have {len(known)} columns, one for each output of the network; got an array of shape {y.shape}.")
    return [(np.unique(column), classes) for column, classes in zip(y.T, known, strict=True)]


def encode_labels(binarizer, y):
    """Codes (n_rows, n_columns) of labels that a fitted scikit-learn ``LabelBinarizer``, or `GroupedLabels`, knows."""
    if isinstance(binarizer, GroupedLabels):
        return binarizer.encode(y)
    if y.ndim == 2 or binarizer.y_type_.startswith("multilabel"):
        indicators = binarizer.transform(y)
        return indicators.toarray() if issparse(indicators) else indicators
    return np.searchsorted(binarizer.classes_, y).reshape(-1, 1)


def decode_labels(binarizer, outputs):
    """The labels that outputs (n_rows, n_outputs) speak for; of a multilabel y, an array or sparse matrix as y was."""
    if isinstance(binarizer, GroupedLabels):
        return binarizer.decode(outputs)
    classes = binarizer.classes_
    if binarizer.sparse_input_ or binarizer.y_type_.startswith("multilabel"):
        return binarizer.inverse_transform(outputs.ravel() if outputs.shape[1] == 1 else outputs)
    if binarizer.y_type_ == "multiclass":
        return classes.take(outputs.argmax(axis=1))
    return classes.take((outputs[:, 0] > 0.5) & (len(classes) > 1))


def count_outputs(binarizer, codes):
    """How many output units these codes need: one per class above two classes, or in groups; one per label; else one."""
    if isinstance(binarizer, GroupedLabels):
        return sum(binarizer.groups)
    return len(binarizer.classes_) if binarizer.y_type_ == "multiclass" else codes.shape[1]


def check_values(y):
    """Real targets (n_rows, n_columns) from a validated y, or a TypeError."""
    if y.dtype.kind not in "biuf":
        raise TypeError(f"y must hold real numbers for regression, got an array of dtype {y.dtype}: convert it first.")
    return y.reshape(len(y), -1)


def class_weights(class_weight, codes, classes, sample_weight):
    """The weight of each row by its class (n_rows,), for codes of a binary or multiclass y; scikit-learn's."""
    labels = classes.take(codes[:, 0])
    return compute_class_weight(class_weight, classes=classes, y=labels, sample_weight=sample_weight).take(codes[:, 0])


def accuracy(codes, outputs, sample_weight, groups=()):
    """The weighted share of rows whose codes (n_rows, n_columns) are what outputs (n_rows, n_outputs) say.

    Where outputs lie in groups, one for each column of codes, it is the mean of the shares of each.
    """
    if groups:
        hits = [part.argmax(axis=1) == column for part, column in zip(split_groups(outputs, groups), codes.T, strict=True)]
        return float(np.average(np.mean(hits, axis=0), weights=sample_weight))
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


def negative_pinball(values, outputs, quantiles, sample_weight):
    """Minus the mean of max(q d, (q − 1) d), d = values − outputs (n_rows, n_outputs), for a quantile q of each output."""
    errors = values - outputs
    rows = np.maximum(quantiles * errors, (quantiles - 1) * errors).mean(axis=1)
    return -float(np.average(rows, weights=sample_weight))
