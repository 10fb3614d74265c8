"""For plain arrays, some of scikit-learn's validation is skipped to save time. The results must be the same as with validation."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import LabelBinarizer

from fastbp import MLPClassifier, MLPRegressor
from fastbp._data.inputs import is_plain
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
