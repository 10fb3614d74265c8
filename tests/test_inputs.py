"""The validation of inputs.

For plain arrays, some of scikit-learn's validation is skipped to save time. The results must be the same as with validation.
Malformed sparse matrices are rejected before compiled code reads them.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.preprocessing import LabelBinarizer

from fastbp import MLPClassifier, MLPRegressor
from fastbp._data.inputs import is_plain
from fastbp._data.sparse import check_indices
from fastbp._data.targets import learn_labels

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(12, 3))
LABELS = {
    "two": [0, 1] * 6,
    "three": [5, 7, 5] * 4,
    "negative": [-1, 3, -1] * 4,
    "one": [4] * 12,
    "bool": [True, False] * 6,
    "many": list(range(12)),
    "more than half of many rows": list(range(30)),
    "float": [0.0, 1.0, 2.0] * 4,
    "strings": ["a", "b", "c"] * 4,
    "foreign integers": np.array([1, 2] * 6, ">i8"),
    "small integers": np.array([1, 2] * 6, np.int8),
    "a column": np.array([[1], [2]] * 6),
    "multilabel": np.tile([[0, 1], [1, 1]], (6, 1)),
}


@pytest.mark.parametrize("y", LABELS.values(), ids=LABELS.keys())
def test_learned_labels_agree_with_label_binarizer(y):
    y = np.asarray(y)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        got = learn_labels(y)
    with warnings.catch_warnings(record=True) as expected:
        warnings.simplefilter("always")
        want = LabelBinarizer().fit(y)
    assert [str(warning.message) for warning in caught] == [str(warning.message) for warning in expected]
    assert (got.y_type_, got.sparse_input_) == (want.y_type_, want.sparse_input_)
    np.testing.assert_array_equal(got.classes_, want.classes_)
    assert got.classes_.dtype == want.classes_.dtype
    np.testing.assert_array_equal(got.transform(y), want.transform(y))


def test_plain_arrays_are_recognized():
    for dtype in (np.float32, np.float64):
        assert is_plain(X.astype(dtype), 2)
        assert is_plain(X[:, 0].astype(dtype), 1)
    assert is_plain(np.arange(3), 1)
    not_plain = [X.tolist(), X[0], X[:0], X.astype(int), X.astype(">f8"), X.astype(np.float16), np.where(X > 0, X, np.nan)]
    not_plain += [np.where(X > 0, X, np.inf), X.astype(object), np.ma.array(X), np.ones((1000, 101)), pd.DataFrame(X)]
    for other in not_plain:
        assert not is_plain(other, 2)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_fit_to_a_plain_array_removes_the_feature_names(kind):
    model = kind(hidden_layer_sizes=(2,), max_iter=2, random_state=0)
    y = [0, 1] * 6
    model.fit(pd.DataFrame(X, columns=["a", "b", "c"]), y)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)
    model.fit(X, np.array(y))
    assert not hasattr(model, "feature_names_in_")
    model.predict(X)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_plain_arrays_with_wrong_lengths_or_features_are_rejected(kind):
    model = kind(hidden_layer_sizes=(2,), max_iter=2, random_state=0)
    y = np.array([0, 1] * 6)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X, y[:11])
    model.partial_fit(X, y, **({"classes": [0, 1]} if kind is MLPClassifier else {}))
    with pytest.raises(ValueError, match=r"X has 2 features, but MLP.* is expecting 3 features"):
        model.partial_fit(X[:, :2].copy(), y)


# ====================================================================== malformed sparse matrices


# {name: (array, position, new value, the error message)}; n is the number of rows or columns, and there are 36 values
MALFORMED = {
    "index too large": ("indices", 4, None, r"indices must contain {kind} numbers from 0 to {last}, got {n}\."),
    "index very large": ("indices", 4, 2**31 - 1, r"indices must contain {kind} numbers from 0 to {last}, got 2147483647\."),
    "negative index": ("indices", 4, -1, r"indices must contain {kind} numbers from 0 to {last}, got -1\."),
    "decreasing": ("indptr", 1, 36, r"indptr must not decrease, got 36 followed by"),
    "negative pointer": ("indptr", 2, -5, r"indptr must not decrease, got \d+ followed by -5\."),
    "first pointer": ("indptr", 0, 1, r"indptr must start with 0, got 1\."),
    "last pointer": ("indptr", -1, 37, r"The last entry of {name}\.indptr must be at most 36, .*got 37\."),
}
each_format = pytest.mark.parametrize("make", [sp.csr_array, sp.csr_matrix, sp.csc_array])
each_defect = pytest.mark.parametrize("defect", MALFORMED)


def malformed(make, defect, index_dtype=np.int32, name="X"):
    """A matrix with one wrong number in its index arrays, and the expected error message."""
    matrix = make(X)
    matrix.indices, matrix.indptr = matrix.indices.astype(index_dtype), matrix.indptr.astype(index_dtype)
    array, at, value, message = MALFORMED[defect]
    kind, n = ("column", 3) if matrix.format == "csr" else ("row", 12)
    getattr(matrix, array)[at] = n if value is None else value
    message = message.format(kind=kind, last=n - 1, n=n, name=name)
    return matrix, message if message.startswith("The") else rf"{name}\.{message}"


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@each_format
@each_defect
def test_malformed_sparse_matrices_are_rejected(kind, make, defect):
    y = np.array([0, 1] * 6)
    model = kind(hidden_layer_sizes=(2,), max_iter=2, random_state=0, solver="sgd").fit(X, y)
    calls = [model.fit, model.partial_fit, clone(model).fit, clone(model).set_params(solver="lbfgs").fit, model.score]
    matrix, message = malformed(make, defect)
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call(matrix, y)
    predictions = [model.predict, model.transform, lambda X: model.transform(X, layer=0)]
    predictions += [model.predict_proba, model.predict_log_proba] if kind is MLPClassifier else []
    for call in predictions:
        with pytest.raises(ValueError, match=message):
            call(matrix)
    with pytest.raises(ValueError, match=f"X_val and y_val cannot be used: {message}"):
        model.fit(X, y, X_val=matrix, y_val=y)


@each_format
@each_defect
@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
def test_check_of_index_arrays(make, defect, index_dtype):
    matrix, message = malformed(make, defect, index_dtype, name="Z")
    with pytest.raises(ValueError, match=message):
        check_indices(matrix, "Z")


def blocks(X):
    return sp.bsr_array(X, blocksize=(2, 1))


@pytest.mark.parametrize(
    ("make", "array", "value", "message"),
    [
        (
            lambda X: sp.bsr_array(X, blocksize=(2, 1)),
            "indices",
            3,
            "X.indices must contain numbers of block columns from 0 to 2, got 3",
        ),
        (
            lambda X: sp.bsr_array(X, blocksize=(2, 1)),
            "indices",
            -1,
            "X.indices must contain numbers of block columns from 0 to 2, got -1",
        ),
        (lambda X: sp.bsr_array(X, blocksize=(2, 1)), "indptr", 100, "X.indptr must not decrease, got 100 followed by"),
        (sp.coo_array, "row", 12, "X.row must contain row numbers from 0 to 11, got 12"),
        (sp.coo_array, "col", -1, "X.col must contain column numbers from 0 to 2, got -1"),
    ],
)
def test_malformed_matrices_of_other_formats_are_rejected(make, array, value, message):
    """These formats are converted to CSR, which would access memory outside the arrays, or copy the wrong indices."""
    y, matrix = np.array([0, 1] * 6), make(X)
    model = MLPClassifier(hidden_layer_sizes=(2,), max_iter=2, random_state=0, solver="sgd").fit(matrix, y)
    getattr(matrix, array)[1] = value
    for call in [lambda: model.fit(matrix, y), lambda: model.partial_fit(matrix, y), lambda: model.predict(matrix)]:
        with pytest.raises(ValueError, match=message):
            call()


def test_malformed_lists_of_rows_are_rejected():
    """SciPy converts a LIL matrix to CSR without a check of its column numbers."""
    y, matrix = np.array([0, 1] * 6), sp.lil_array(X)
    model = MLPClassifier(hidden_layer_sizes=(2,), max_iter=2, random_state=0, solver="sgd").fit(matrix, y)
    matrix.rows[0], matrix.data[0] = [10**6], [1.0]
    for call in [lambda: model.fit(matrix, y), lambda: model.partial_fit(matrix, y), lambda: model.predict(matrix)]:
        with pytest.raises(ValueError, match=r"X\.indices must contain column numbers from 0 to 2, got 1000000"):
            call()


def test_index_arrays_of_wrong_shape_are_rejected():
    matrix = sp.csr_array(X)
    matrix.indptr = matrix.indptr[:-1]
    with pytest.raises(ValueError, match=r"X\.indptr must have shape \(13,\) for this matrix, got \(12,\)"):
        check_indices(matrix, "X")
    matrix = sp.csr_array(X)
    matrix.indices = matrix.indices[:-2]
    with pytest.raises(ValueError, match=r"must be at most 34, .*got 36"):
        check_indices(matrix, "X")


def test_valid_sparse_matrices_are_accepted():
    """Rows may be empty, and arrays may have unused entries, which may contain any number."""
    matrices = [sp.csr_array(X * (X > 1)), sp.csr_array((4, 0)), sp.csc_array((0, 3)), sp.csr_array((0, 0)), sp.coo_array(X), X]
    matrices += [sp.bsr_array(X, blocksize=(4, 3)), sp.bsr_array((4, 3)), sp.lil_array(X), sp.dok_array(X), sp.dia_array(X)]
    unused = sp.csr_array(X)
    unused.data, unused.indices = np.append(unused.data, np.nan), np.append(unused.indices, -7).astype(np.int32)
    for matrix in [*matrices, unused]:
        check_indices(matrix, "X")
