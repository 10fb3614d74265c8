"""Class labels and regression targets as numbers.

A validated y goes in; an array of shape (n_rows, n_columns) comes out. Regression targets keep their values. A binary y is encoded
as one column of 0 and 1, a multilabel y as one such column for each label, a multiclass y as one column of class codes, and a
multiclass y with several outputs as one column of codes for each output. This module also decodes predicted labels. It does not
know about networks.
"""

from dataclasses import dataclass
from numbers import Real

import numpy as np
from scipy.sparse import issparse
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import type_of_target, unique_labels

from .inputs import is_plain
from .streamed import is_readable, is_small, row_slices

_MAX_CLASSES = 1 << 16  # more classes of a large y are left to scikit-learn


@dataclass
class GroupedLabels:
    """The labels of a y with several multiclass outputs: a sorted array of classes for each output."""

    classes_: list
    y_type_ = "multiclass-multioutput"
    sparse_input_ = False

    @property
    def groups(self):
        """The number of output units of each output."""
        return tuple(len(classes) for classes in self.classes_)

    def encode(self, y):
        return np.column_stack([np.searchsorted(classes, column) for classes, column in zip(self.classes_, y.T, strict=True)])

    def decode(self, outputs):
        parts = split_groups(outputs, self.groups)
        return np.column_stack([classes.take(part.argmax(axis=1)) for classes, part in zip(self.classes_, parts, strict=True)])


def labels_to_plain(labels):
    """The result of ``learn_labels`` without classes of fastbp, for pickles: the list of classes in place of ``GroupedLabels``."""
    return labels.classes_ if isinstance(labels, GroupedLabels) else labels


def labels_from_plain(labels):
    """The labels in the result of ``labels_to_plain``."""
    return GroupedLabels(labels) if isinstance(labels, list) else labels


def split_groups(outputs, groups):
    """The outputs of each group, as a list of views of shape (n_rows, n_classes)."""
    return np.split(outputs, np.cumsum(groups)[:-1], axis=1)


def are_grouped(classes):
    """Whether ``classes`` is a list of array-likes, which are the classes of several outputs."""
    return isinstance(classes, (list, tuple)) and len(classes) > 0 and all(np.ndim(some) == 1 for some in classes)


def learn_labels(y):
    """A ``LabelBinarizer`` fitted to y, or ``GroupedLabels``.

    For a plain y, the attributes are set directly, because ``LabelBinarizer.fit`` takes longer than the fit of a small network.
    """
    binarizer = LabelBinarizer()
    if is_plain(y, 1) and y.dtype.kind in "iub":
        binarizer.classes_, binarizer.sparse_input_ = np.unique(y), False
        binarizer.y_type_ = "binary" if binarizer.classes_.size <= 2 else "multiclass"
        return binarizer
    if (classes := _labels_of_blocks(y)) is not None:
        binarizer.classes_, binarizer.sparse_input_ = classes, False
        binarizer.y_type_ = "binary" if classes.size <= 2 else "multiclass"
        return binarizer
    if y.ndim == 2 and not issparse(y) and type_of_target(y) == "multiclass-multioutput":
        return GroupedLabels([np.unique(column) for column in y.T])
    return binarizer.fit(y)


def _labels_of_blocks(y):
    """The sorted labels of a large y of numbers, found in blocks of rows; None for other y, which scikit-learn examines.

    scikit-learn sorts copies of all labels.
    """
    if not is_readable(y) or y.ndim != 1 or is_small(y.size):
        return None
    classes = np.unique(y[:1])
    for rows in row_slices(len(y), 1):
        block = np.asarray(y[rows])
        if block.dtype.kind == "f" and not (np.isfinite(block) & (block == np.floor(block))).all():
            return None  # an error follows
        if len(classes) > _MAX_CLASSES or not _are_in(block, classes):
            classes = np.union1d(classes, block)
    return None if len(classes) > _MAX_CLASSES else classes


def _are_in(block, classes):
    """Whether all elements of a block are in the sorted classes."""
    return bool((classes.take(classes.searchsorted(block), mode="clip") == block).all())


def learn_first_classes(y, classes):
    """The labels for the first call of ``partial_fit``, from y if it is multilabel, otherwise from ``classes``."""
    if are_grouped(classes):
        return GroupedLabels([np.unique(some) for some in classes])
    return LabelBinarizer().fit(y if type_of_target(y).startswith("multilabel") else classes)


def labels_in(y, known):
    """Pairs of the sorted labels in y and the ``known`` labels: one pair, or one for each output if classes are grouped."""
    if not are_grouped(known):
        labels = _labels_of_blocks(y)
        return [(unique_labels(y) if labels is None else labels, known)]
    if y.ndim != 2 or y.shape[1] != len(known):
        raise ValueError(f"y must have {len(known)} columns, one for each output of the network; got an array of shape {y.shape}.")
    return [(np.unique(column), classes) for column, classes in zip(y.T, known, strict=True)]


def check_same_labels(y, known):
    """Raise scikit-learn's error if y does not have the same classes as in the previous call of ``fit``."""
    for classes, before in labels_in(y, known):
        if set(classes) != set(before):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously got "
                f"{before}, `y` has {classes}"
            )


def check_known_labels(y, known):
    """Raise scikit-learn's error if y has classes that were not passed to the first call of ``partial_fit``."""
    for classes, before in labels_in(y, known):
        if len(np.setdiff1d(classes, before, assume_unique=True)):
            raise ValueError(f"`y` has classes not in `self.classes_`. `self.classes_` has {before}. 'y' has {classes}.")


def known_codes(binarizer, y):
    """The codes (n_rows, 1) of integer labels; None for unknown or other labels, which need scikit-learn's checks."""
    known = binarizer.classes_
    if y.ndim != 1 or y.dtype.kind not in "iub" or not isinstance(known, np.ndarray) or known.dtype.kind not in "iub":
        return None
    if not is_small(y.size):
        return None
    codes = known.searchsorted(y)
    labels = known.take(codes, mode="clip")
    # for a few rows, comparing bytes takes half of the time
    are_known = labels.tobytes() == y.tobytes() if labels.dtype == y.dtype else (labels == y).all()
    return codes.reshape(-1, 1) if are_known and binarizer.y_type_ in ("binary", "multiclass") else None


def check_validation_labels(y, known):
    """Raise a ValueError if the validation targets have labels that are not in the training targets."""
    for labels, before in labels_in(y, known):
        unknown = set(labels) - set(before)
        if unknown:
            raise ValueError(
                f"y_val must contain only labels that are in y, which has {shortened(before)}; got also "
                f"{shortened(sorted(unknown, key=str))}. Remove these rows, or add rows with these labels to X and y."
            )


def check_validation_rows(validation, solver):
    """Raise a ValueError if (X_val, y_val, sample_weight_val) are incomplete, or if the solver does not use them."""
    X_val, y_val, sample_weight_val = validation
    if X_val is None and y_val is None:
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val needs X_val and y_val, which are None. Pass all three.")
        return
    if X_val is None or y_val is None:
        given, missing = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
        raise ValueError(f"{given} was passed without {missing}. Pass both, or none.")
    if solver == "lbfgs":
        raise ValueError(
            "X_val and y_val are evaluated after every epoch, but solver='lbfgs' has no epochs. Leave them out, or use another "
            "solver."
        )


def encode_labels(binarizer, y):
    """The codes (n_rows, n_columns) of labels that a fitted ``LabelBinarizer`` or ``GroupedLabels`` knows."""
    if isinstance(binarizer, GroupedLabels):
        return binarizer.encode(y)
    if y.ndim == 2 or binarizer.y_type_.startswith("multilabel"):
        indicators = binarizer.transform(y)
        return indicators.toarray() if issparse(indicators) else indicators
    if not is_small(y.size) and is_readable(y):
        return _codes_of_blocks(binarizer.classes_, y).reshape(-1, 1)
    return binarizer.classes_.searchsorted(y).reshape(-1, 1)


def _codes_of_blocks(classes, y):
    """The codes of a large y in the smallest integer type, without a copy if the labels are the codes."""
    if y.dtype.kind in "iu" and np.array_equal(classes, np.arange(len(classes))):
        return y
    codes = np.empty(len(y), np.min_scalar_type(len(classes) - 1))
    for rows in row_slices(len(y), 1):
        codes[rows] = classes.searchsorted(y[rows])
    return codes


def decode_labels(binarizer, outputs):
    """The labels predicted by outputs (n_rows, n_outputs); for a multilabel y, a dense or sparse matrix, the same as y."""
    if isinstance(binarizer, GroupedLabels):
        return binarizer.decode(outputs)
    classes = binarizer.classes_
    if binarizer.sparse_input_ or binarizer.y_type_.startswith("multilabel"):
        return binarizer.inverse_transform(outputs.ravel() if outputs.shape[1] == 1 else outputs)
    if binarizer.y_type_ == "multiclass":
        return classes.take(outputs.argmax(axis=1))
    return classes.take((outputs[:, 0] > 0.5) & (len(classes) > 1))


def clipped_probabilities(outputs, exclusive):
    """The outputs (n_rows, n_outputs), clipped to [0, 1], and divided by their sum if the classes are exclusive."""
    outputs = outputs.clip(0, 1)
    if exclusive:
        sums = outputs.sum(axis=1, keepdims=True)
        outputs = np.where(sums > 0, outputs / np.where(sums > 0, sums, 1), 1 / outputs.shape[1])
    return outputs


def count_outputs(binarizer, codes):
    """The number of output units: one for each class of a multiclass y or of a group, one for each label, or 1 for a binary y."""
    if isinstance(binarizer, GroupedLabels):
        return sum(binarizer.groups)
    return len(binarizer.classes_) if binarizer.y_type_ == "multiclass" else codes.shape[1]


def check_values(y):
    """The real targets (n_rows, n_columns) of a validated y; dtypes that are not real raise a TypeError."""
    if y.dtype.kind not in "biuf":
        raise TypeError(f"y must hold real numbers for regression, got an array of dtype {y.dtype}. Convert it to float first.")
    return y.reshape(len(y), -1)


def class_weights(class_weight, codes, classes, sample_weight):
    """The class weight of each row (n_rows,), for codes of a binary or multiclass y; scikit-learn computes it."""
    if isinstance(class_weight, dict):
        _check_weights_of_classes(class_weight, classes)
    labels = classes.take(codes[:, 0])
    try:
        weights = compute_class_weight(class_weight, classes=classes, y=labels, sample_weight=sample_weight)
    except ValueError as error:
        missing = classes[[label not in labels for label in classes]].tolist()
        if isinstance(class_weight, dict) or not missing:
            raise
        raise ValueError(
            f"class_weight={class_weight!r} needs rows of all classes, but y has no row of {missing}. Pass such rows, or set "
            "class_weight to a dict."
        ) from error
    return weights.take(codes[:, 0])


def _check_weights_of_classes(class_weight, classes):
    """Raise a ValueError if a weight is wrong, or if there are other labels than in y and, as in scikit-learn, not all of y."""
    for label, weight in class_weight.items():
        if not isinstance(weight, Real) or not 0 <= float(weight) < np.inf:
            raise ValueError(
                f"class_weight must have finite weights of at least 0, but has the weight {weight!r} for class {label!r}. Change "
                "it; a class of weight 0 is left out."
            )
    missing, known = [label for label in classes if label not in class_weight], set(classes)
    unknown = [label for label in class_weight if label not in known]
    if missing and unknown:
        raise ValueError(
            f"The classes {shortened(missing)} of y are not in class_weight, which has weights for {shortened(unknown)}, but y "
            "does not have these labels. Use the labels of y as the keys of class_weight."
        )


def shortened(labels):
    """The text of a list of labels, of which the first ten are shown."""
    shown = ", ".join(repr(label.item() if isinstance(label, np.generic) else label) for label in labels[:10])
    return f"[{shown}]" if len(labels) <= 10 else f"[{shown}, ...] ({len(labels)} labels)"
