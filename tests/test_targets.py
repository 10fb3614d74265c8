"""Labels of several outputs, multilabel targets and single classes, compared with scikit-learn's estimators."""

import pickle
import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn import neural_network
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score

from fastbp import Loss, MLPClassifier
from fastbp._data.scores import accuracy
from fastbp._data.targets import GroupedLabels, count_outputs, decode_labels, encode_labels, learn_labels, split_groups

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 3))
THREE, TWO, ONE = np.digitize(X[:, 0], [-0.5, 0.5]) * 2 + 3, (X[:, 1] > 0).astype(int), np.full(40, 7)
MULTIOUTPUT = {
    "integers": np.column_stack([THREE, TWO, ONE]),
    "strings": np.column_stack([np.array(list("abcdefghij"))[THREE], np.array(["no", "yes"])[TWO]]),
    "objects": np.column_stack([np.array(list("abcdefghij"))[THREE], np.array(["no", "yes"])[TWO]]).astype(object),
    "floats": np.column_stack([THREE, TWO]).astype(float),
}
MULTILABEL = (X[:, :2] > 0).astype(int)
SMALL = {"hidden_layer_sizes": (4,), "max_iter": 4, "random_state": 0}
each_y = pytest.mark.parametrize("y", MULTIOUTPUT.values(), ids=MULTIOUTPUT.keys())


def bent_error(y, a):
    return (y - a) ** 2 / 2


# ---------------------------------------------------------------------- several outputs


@each_y
def test_encoding_and_decoding_of_several_outputs(y):
    labels = learn_labels(y)
    codes = encode_labels(labels, y)
    assert codes.shape == y.shape
    assert codes.dtype.kind == "i"
    for column, classes, some in zip(codes.T, labels.classes_, y.T, strict=True):
        np.testing.assert_array_equal(classes, np.unique(some))
        np.testing.assert_array_equal(classes[column], some)
    groups = labels.groups
    assert count_outputs(labels, codes) == sum(groups)
    certain = np.hstack([np.eye(n)[column] for n, column in zip(groups, codes.T, strict=True)])
    decoded = decode_labels(labels, certain)
    np.testing.assert_array_equal(decoded, y)
    assert decoded.dtype.kind == y.dtype.kind
    assert accuracy(codes, certain, None, groups) == 1


def test_accuracy_of_several_outputs():
    """The score is the mean of the accuracies of all outputs, with and without sample weights."""
    labels, y = learn_labels(MULTIOUTPUT["integers"]), MULTIOUTPUT["integers"]
    outputs, weight = RANDOM.random((40, 6)), RANDOM.random(40)
    predicted = decode_labels(labels, outputs)
    for weights in (None, weight):
        expected = np.mean([accuracy_score(y[:, k], predicted[:, k], sample_weight=weights) for k in range(3)])
        assert accuracy(encode_labels(labels, y), outputs, weights, labels.groups) == pytest.approx(expected)


def test_split_groups():
    parts = split_groups(np.arange(12.0).reshape(2, 6), (3, 2, 1))
    assert [part.tolist() for part in parts] == [[[0, 1, 2], [6, 7, 8]], [[3, 4], [9, 10]], [[5], [11]]]


@each_y
def test_attributes_and_predictions_of_several_outputs(y):
    """Classes, shapes and types are those of scikit-learn's forests. The values are tested in `test_kernels.py`."""
    model, forest = MLPClassifier(**SMALL).fit(X, y), RandomForestClassifier(n_estimators=3, random_state=0).fit(X, y)
    for got, expected in zip(model.classes_, forest.classes_, strict=True):
        np.testing.assert_array_equal(got, expected)
    assert model._groups == tuple(len(classes) for classes in forest.classes_)
    assert (model.n_outputs_, model.out_activation_) == (sum(model._groups), "softmax")
    assert model.predict(X).shape == forest.predict(X).shape
    assert [part.shape for part in model.predict_proba(X)] == [part.shape for part in forest.predict_proba(X)]
    for logarithms, part in zip(model.predict_log_proba(X), model.predict_proba(X), strict=True):
        np.testing.assert_array_equal(logarithms, np.log(part))
    expected = np.mean([accuracy_score(y[:, k].astype(str), model.predict(X)[:, k].astype(str)) for k in range(y.shape[1])])
    assert model.score(X, y) == pytest.approx(expected)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    model.set_params(warm_start=True).fit(X, y)


def test_fit_to_one_output_after_several_outputs():
    model = MLPClassifier(**SMALL).fit(X, MULTIOUTPUT["integers"]).fit(X, THREE)
    assert model._groups == ()
    expected = MLPClassifier(**SMALL).fit(X, THREE)
    np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
    assert model.score(X, THREE) == expected.score(X, THREE)


def test_partial_fit_of_several_outputs():
    y, classes = MULTIOUTPUT["integers"][:, :2], [[3, 5, 7], [1, 0]]
    model = MLPClassifier(**SMALL)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, y)
    few = TWO[:, None] * 0 + [[3, 1]]
    model.partial_fit(X, few, classes=classes).partial_fit(X, y).partial_fit(X, y, classes=classes)
    assert [some.tolist() for some in model.classes_] == [[3, 5, 7], [0, 1]]
    with pytest.raises(ValueError, match="is not the same as on last call to partial_fit"):
        model.partial_fit(X, y, classes=[[3, 5], [0, 1]])
    with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`. `self.classes_` has \[3 5 7\]"):
        model.partial_fit(X, y + np.array([1, 0]))
    for other in (THREE, MULTIOUTPUT["integers"]):
        with pytest.raises(ValueError, match="y must have 2 columns, one for each output"):
            model.partial_fit(X, other)
        with pytest.raises(ValueError, match="y must have 2 columns, one for each output"):
            model.score(X, other)
    with pytest.raises(ValueError, match="warm_start can only be used where `y` has the same classes"):
        model.set_params(warm_start=True).fit(X, few)


def test_unsupported_targets_of_several_outputs_are_rejected():
    with pytest.raises(ValueError, match="class_weight must be None for a y of several columns"):
        MLPClassifier(**SMALL, class_weight="balanced").fit(X, MULTIOUTPUT["integers"])
    with pytest.raises(ValueError, match=r"[Mm]ultioutput target data is not supported|Unknown label type"):
        MLPClassifier(**SMALL).fit(X, X[:, :2])
    assert isinstance(learn_labels(MULTIOUTPUT["integers"]), GroupedLabels)


# ---------------------------------------------------------------------- multilabel partial_fit


@pytest.mark.parametrize("form", [np.asarray, csr_array, np.ndarray.tolist])
@pytest.mark.parametrize("classes", [None, [0, 1]])
def test_partial_fit_of_multilabel_targets(form, classes):
    model, theirs = MLPClassifier(**SMALL), neural_network.MLPClassifier(**SMALL)
    for rows in (slice(0, 15), slice(15, 40), slice(39, 40)):
        model.partial_fit(X[rows], form(MULTILABEL[rows]), classes=classes)
        theirs.partial_fit(X[rows], form(MULTILABEL[rows]), classes=[0, 1])
        classes = None
    np.testing.assert_allclose(model.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)
    np.testing.assert_array_equal(model.classes_, theirs.classes_)
    got, expected = model.predict(X), theirs.predict(X)
    assert type(got) is type(expected)
    assert (got != expected).sum() == 0


def test_other_numbers_of_labels_are_rejected():
    model = MLPClassifier(**SMALL).partial_fit(X, MULTILABEL)
    before = model.predict_proba(X)
    for other in (MULTILABEL[:, [0, 1, 1]], MULTILABEL[:, [0, 0, 0, 1]], THREE, MULTIOUTPUT["integers"][:, :2]):
        with pytest.raises(ValueError, match=r"."):
            model.partial_fit(X, other)
        np.testing.assert_array_equal(model.predict_proba(X), before)
    with pytest.raises(ValueError, match=r"classes \[0 1 2\] mismatch with the labels \[0 1\] found in the data"):
        MLPClassifier(**SMALL).partial_fit(X, MULTILABEL[:, [0, 1, 1]]).partial_fit(X, MULTILABEL)


def test_partial_fit_of_multiclass_targets_needs_classes():
    for kind in (MLPClassifier, neural_network.MLPClassifier):
        with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
            kind(**SMALL).partial_fit(X, THREE)


# ---------------------------------------------------------------------- one class


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("y", [np.zeros(40, int), ONE, np.full(40, "same"), np.full(40, True)], ids=["0", "7", "same", "True"])
def test_single_class(y, solver):
    model, theirs = MLPClassifier(**SMALL, solver=solver).fit(X, y), neural_network.MLPClassifier(**SMALL, solver=solver).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), theirs.predict(X))
    np.testing.assert_allclose(model.predict_proba(X), theirs.predict_proba(X), rtol=1e-6)
    np.testing.assert_array_equal(model.classes_, theirs.classes_)
    assert model.score(X, y) == theirs.score(X, y) == 1


@pytest.mark.parametrize("loss", ["log_loss", "squared_error", Loss(bent_error)], ids=["log-loss", "squares", "own"])
@pytest.mark.parametrize("out_activation", ["softmax", "auto"])
def test_outputs_of_one_class_each(loss, out_activation):
    """With one class per output, the number of output units equals the number of columns of y."""
    if loss == "log_loss":
        out_activation = "auto"
    y, X = np.tile([1, 5, 7], (60, 1)), np.random.default_rng(0).normal(size=(60, 4))
    model = MLPClassifier(4, max_iter=40, batch_size=25, learning_rate_init=0.05, loss=loss, out_activation=out_activation)
    with warnings.catch_warnings(action="ignore"):
        model.fit(X, y)
    np.testing.assert_array_equal(model.predict(X), y)
    assert all(np.isfinite(W).all() for W in model.coefs_)
    if out_activation == "auto" and loss == "squared_error":
        assert model._outputs(X).min() > 0.5  # the targets are 1; the class codes are 0
