"""Compare fastbp's estimators with scikit-learn's: with the same parameters and data, all public results must agree.

The first part draws combinations of parameters, targets, containers and calls. Few rows, few epochs and moderate learning rates
keep rounding errors small. The second part tests features that the drawn fits do not cover: printed text, interruption, failures,
replaced weights, copies, unusual inputs, metadata routing and searches.
"""

import copy
import dataclasses
import inspect
import io
import pickle
import re
import signal
import warnings
from contextlib import redirect_stdout
from dataclasses import dataclass, field

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
from drawn_cases import drawn
from hypothesis import reject
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import neural_network
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

import fastbp
from fastbp._kernels.codes import ActivationCode
from fastbp._training import epochs as training
from fastbp._training import lbfgs

PAIRS = {name: (getattr(neural_network, name), getattr(fastbp, name)) for name in ("MLPClassifier", "MLPRegressor")}
each_pair = pytest.mark.parametrize(("theirs", "ours"), PAIRS.values(), ids=PAIRS)
each_kind = pytest.mark.parametrize("kind", [fastbp.MLPClassifier, fastbp.MLPRegressor])
few_epochs = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
THEIR_ACTIVATIONS = next(iter(neural_network.MLPClassifier._parameter_constraints["activation"])).options
ACTIVATIONS = [member.name for member in ActivationCode if member.name in THEIR_ACTIVATIONS]


def test_all_activations_of_scikit_learn_exist():
    assert set(ACTIVATIONS) == THEIR_ACTIVATIONS


# ====================================================================== drawn combinations

LABELS = {
    "int": [0, 1, 2, 3],
    "other int": [-7, -1, 4, 1000],
    "str": ["no", "yes", "perhaps", "never"],
    "object": np.array(["no", "yes", "perhaps", "never"], object),
    "float": [0.0, 1.0, 2.0, 5.0],
    "bool": [False, True],
}
CONTAINERS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "csr_array": sp.csr_array,
    "csr_matrix": sp.csr_matrix,
    "csc_array": sp.csc_array,
    "csc_matrix": sp.csc_matrix,
    "coo_array": sp.coo_array,
}
WEIGHTS = {
    "positive": [0.5, 1.0, 2.5, 4.0],
    "integers": [1, 2, 3],
    "some zero": [0.0, 1.0, 1.0, 2.0],
    "some negative": [-0.25, 1.0, 2.0],
}


@dataclass(frozen=True)
class Call:
    """One call of fit or partial_fit, with data generated from `seed`."""

    method: str
    n_rows: int
    seed: int


@dataclass(frozen=True)
class Case:
    """The parameters, data and calls for both estimators. It has only names and numbers, so that failing cases can be copied."""

    kind: str
    target: str
    labels: str
    n_classes: int
    container: str
    weights: str | None
    n_features: int
    source: str  # how random_state is given: "int", "instance" or "global"
    seed: int
    calls: tuple
    params: dict = field(hash=False)

    def data(self, call, nudge=0.0):
        """X, y and sample_weight of a call. X is changed by a relative error of about `nudge`."""
        rng = np.random.RandomState(call.seed)
        X = rng.standard_normal((call.n_rows, self.n_features))
        if self.container not in "CF":
            X[rng.random_sample(X.shape) < 0.5] = 0
        y = self.targets(X, rng)
        weight = None if self.weights is None else rng.choice(WEIGHTS[self.weights], call.n_rows)
        X *= 1 + nudge * rng.standard_normal(X.shape)
        return CONTAINERS[self.container](X), y, weight

    def targets(self, X, rng):
        n = len(X)
        values = X @ rng.standard_normal((self.n_features, 3)) + rng.standard_normal((n, 3)) / 4
        if self.target == "classes":
            return rng.permutation(np.resize(LABELS[self.labels][: self.n_classes], n))
        if self.target == "labelsets":
            y = (values[:, : max(self.n_classes, 2)] > 0).astype(bool if self.labels == "bool" else int)
            return sp.csr_array(y) if self.labels == "other int" else y
        if self.target == "counts":
            return rng.poisson(np.exp(np.clip(values, -2, 2))).astype(float)[:, 0]
        return {"one value": values[:, 0], "column": values[:, :1], "values": values}[self.target]

    def all_classes(self):
        return LABELS[self.labels][: self.n_classes] if self.target == "classes" else np.arange(max(self.n_classes, 2))

    def random_state(self):
        """The parameter random_state, and the random number generator whose state is compared after the calls."""
        if self.source == "int":
            return self.seed, None
        if self.source == "global":
            np.random.seed(self.seed)
            return None, np.random.mtrand._rand
        stream = np.random.RandomState(self.seed)
        return stream, stream


def powers(*exponents):
    return st.sampled_from([10.0**e for e in exponents])


SOLVERS = {
    "sgd": {
        "learning_rate": st.sampled_from(["constant", "invscaling", "adaptive"]),
        "learning_rate_init": powers(-1.5, -2, -3),
        "power_t": st.sampled_from([0.5, 0.25, 1.0, 0]),
        "momentum": st.sampled_from([0, 0.0, 0.5, 0.9]),
        "nesterovs_momentum": st.booleans(),
    },
    "adam": {
        "learning_rate_init": powers(-1.5, -2, -3),
        "learning_rate": st.sampled_from(["constant", "adaptive"]),
        "beta_1": st.sampled_from([0.9, 0.5, 0.0]),
        "beta_2": st.sampled_from([0.999, 0.9]),
        "epsilon": powers(-8, -4),
    },
    # tol is never 0, because rounding errors would then decide when training ends
    "lbfgs": {"max_fun": st.sampled_from([15000, 7]), "tol": powers(-4, -2, -1)},
}
DESCENT = {
    "batch_size": st.sampled_from(["auto", 1, 3, 8, 16, 1000]),
    "shuffle": st.booleans(),
    "early_stopping": st.sampled_from([False, False, True]),
    "validation_fraction": st.sampled_from([0.1, 0.3, 0.5]),
    "n_iter_no_change": st.sampled_from([1, 2, 5, np.inf]),
}
GENERAL = {
    "hidden_layer_sizes": st.sampled_from([(), 3, (4,), [5, 3], (2, 3, 2), np.array([3, 1])]),
    "activation": st.sampled_from(ACTIVATIONS),
    "alpha": st.sampled_from([1e-4, 0, 0.1, 3.0]),
    "max_iter": st.integers(1, 20),
    "tol": powers(-4, -2, -1) | st.just(0),
}


@st.composite
def cases(draw, solver, methods=(("fit",),)):
    kind = draw(st.sampled_from(list(PAIRS)))
    params = {"solver": solver} | draw(st.fixed_dictionaries(GENERAL | SOLVERS[solver] | (DESCENT if solver != "lbfgs" else {})))
    methods = draw(st.sampled_from(methods))
    if methods[-1] == "partial_fit":
        params["early_stopping"] = False
    params["warm_start"] = methods.count("fit") > 1 or draw(st.booleans())
    target = draw(
        st.sampled_from(
            ["classes", "classes", "labelsets"] if kind == "MLPClassifier" else ["one value", "column", "values", "counts"]
        )
    )
    if kind == "MLPRegressor":
        params["loss"] = "poisson" if target == "counts" else "squared_error"
    labels = draw(st.sampled_from(list(LABELS)))
    n_rows = st.integers(12, 40) | st.integers(1, 40)
    return Case(
        kind=kind,
        target=target,
        labels=labels,
        n_classes=draw(st.sampled_from([2, 3, 3, 4, 1] if labels != "bool" else [2, 1])),
        container=draw(st.sampled_from(list(CONTAINERS))),
        weights=draw(st.sampled_from([None, None, *WEIGHTS])),
        n_features=draw(st.integers(1, 6)),
        source=draw(st.sampled_from(["int", "instance", "global"])),
        seed=draw(st.integers(0, 999)),
        calls=tuple(Call(method, draw(n_rows), draw(st.integers(0, 999))) for method in methods),
        params=params,
    )


@dataclass
class Seen:
    """The result of one call: the type of the error, or attributes and predictions, and the categories of the warnings."""

    error: type | None
    warned: list
    attributes: dict
    predictions: dict


def predictions(estimator, X):
    methods = ["predict", "predict_proba", "predict_log_proba"] if is_classifier(estimator) else ["predict"]
    with np.errstate(all="ignore"):
        return {method: getattr(estimator, method)(X) for method in methods}


def attributes(estimator):
    """A copy of all public fitted attributes and of the counter that decides when training stops."""
    return {
        name: copy.deepcopy(value)
        for name, value in vars(estimator).items()
        if (name.endswith("_") and not name.startswith("_")) or name == "_no_improvement_count"
    }


def fingerprint(estimator, ignored=("random_state", "_random_state")):
    """Hashes of all attributes of an estimator, including private attributes, to detect changes.

    A generator that the user passed as `random_state`, and the global one, are not part of them: a call that fails may have drawn
    from them.
    """
    values = {name: value for name, value in vars(estimator).items() if name not in ignored}
    state = values.get("_state")
    if "random_state" in ignored and state is not None and not isinstance(estimator.random_state, int):
        values["_state"] = dataclasses.replace(state, rng=None)
    return {name: joblib.hash(value) for name, value in values.items()}


def error_and_warnings(function, *args, **kwargs):
    """The exception of a call, or None, and the sorted categories of its warnings, without NumPy's RuntimeWarning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            function(*args, **kwargs)
            error = None
        except Exception as raised:
            error = raised
    return error, sorted(w.category.__name__ for w in caught if w.category is not RuntimeWarning)


def observe(kind, case, nudge=0.0):
    """Run the calls of a case on a new estimator until the first error; return the results and the state of the random numbers."""
    random_state, stream = case.random_state()
    estimator = kind(**case.params, random_state=random_state)
    seen = []
    for call in case.calls:
        X, y, weight = case.data(call, nudge)
        options = {"sample_weight": weight}
        if call.method == "partial_fit" and is_classifier(estimator) and not seen:
            options["classes"] = case.all_classes()
        before = fingerprint(estimator)
        error, warned = error_and_warnings(getattr(estimator, call.method), X, y, **options)
        if error is not None:
            if kind.__module__.startswith("fastbp"):
                assert fingerprint(estimator) == before
            seen.append(Seen(type(error), warned, {}, {}))
            return seen, None
        seen.append(Seen(None, warned, attributes(estimator), predictions(estimator, X)))
    return seen, stream and stream.get_state(legacy=False)


EPS = np.finfo(float).eps


def assert_agree(ours, theirs):
    """Check that two results agree: losses to 1e-9 over 20 epochs, weights to 1e-6, and values that are not floats exactly.

    scikit-learn computes the log-loss from probabilities that are clipped to [eps, 1 - eps]. A probability near 1 has a rounding
    error of eps, and therefore the loss of each row has this error, too. For this reason, the losses have an absolute tolerance.
    """
    assert ours.error == theirs.error
    # if both fail, scikit-learn may have issued warnings before the error; fastbp raises the error at once
    assert ours.warned == theirs.warned or theirs.error
    # a small loss of L-BFGS depends on the rounding errors of all previous line searches
    by_lbfgs, n_epochs = "loss_curve_" not in theirs.attributes, len(theirs.attributes.get("loss_curve_", ()))
    near = {"rtol": 1e-9 if n_epochs <= 20 and not by_lbfgs else 1e-6, "atol": 1e-9 if by_lbfgs else 8 * EPS}
    for name, value in theirs.attributes.items():
        mine = ours.attributes[name]
        if name in ("coefs_", "intercepts_"):
            assert [a.shape for a in mine] == [a.shape for a in value]
            for a, b in zip(mine, value, strict=True):
                assert_allclose(a, b, rtol=1e-6, atol=1e-6, err_msg=name)
        elif name == "loss_curve_":
            assert_allclose(mine[:20], value[:20], rtol=1e-9, atol=8 * EPS, err_msg=name)
            assert_allclose(mine, value, rtol=1e-6, atol=8 * EPS, err_msg=name)
        elif isinstance(value, list | np.ndarray | float):
            assert_values(mine, value, **near, err_msg=name)
        else:
            assert mine == value, name
    for method, value in theirs.predictions.items():
        mine = ours.predictions[method]
        assert mine.dtype == value.dtype
        assert mine.shape == value.shape
        assert type(mine) is type(value)
        if sp.issparse(value):
            mine, value = mine.toarray(), value.toarray()
        assert_values(mine, value, rtol=1e-6, atol=1e-6, err_msg=method)


def assert_values(ours, theirs, **tolerance):
    """Compare floats with a tolerance, and other values exactly."""
    compare = assert_allclose if np.asarray(theirs).dtype.kind == "f" else assert_array_equal
    compare(ours, theirs, **(tolerance if compare is assert_allclose else {}))


def assert_same_course(case):
    """Compare both estimators in one case.

    If a change of the data in the last digits changes scikit-learn's results by more than the tolerances, the case is skipped.
    """
    theirs, their_stream = observe(PAIRS[case.kind][0], case)
    ours, our_stream = observe(PAIRS[case.kind][1], case)
    try:
        assert_all_agree(ours, theirs)
    except AssertionError:
        witness, _ = observe(PAIRS[case.kind][0], case, nudge=1e-13)
        try:
            assert_all_agree(witness, theirs)
        except AssertionError:
            reject()
        raise
    assert joblib.hash(our_stream) == joblib.hash(their_stream)


def assert_all_agree(ours, theirs):
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert_agree(mine, other)


@pytest.mark.slow
@drawn(200, cases("sgd"))
def test_drawn_sgd(case):
    assert_same_course(case)


@pytest.mark.slow
@drawn(200, cases("adam"))
def test_drawn_adam(case):
    assert_same_course(case)


@pytest.mark.slow
@drawn(120, cases("lbfgs"))
def test_drawn_lbfgs(case):
    assert_same_course(case)


AGAIN = [("fit", "fit"), ("fit", "fit", "fit")]
INCREMENTAL = [("partial_fit",) * 3, ("partial_fit",) * 8, ("fit", "partial_fit", "partial_fit")]


@pytest.mark.long
@drawn(120, st.sampled_from(["sgd", "adam", "lbfgs"]).flatmap(lambda solver: cases(solver, AGAIN)))
def test_drawn_warm_start(case):
    assert_same_course(case)


@pytest.mark.slow
@drawn(120, st.sampled_from(["sgd", "adam"]).flatmap(lambda solver: cases(solver, INCREMENTAL)))
def test_drawn_partial_fit(case):
    assert_same_course(case)


# ====================================================================== data for all other tests

X = np.random.RandomState(0).standard_normal((30, 4))
Y = {"MLPClassifier": np.resize(["a", "b", "c"], 30), "MLPRegressor": X @ [1.0, -2.0, 0.5, 0.0]}
SMALL = {"hidden_layer_sizes": (5, 3), "random_state": 3, "max_iter": 4, "batch_size": 7}


def y_for(kind):
    return Y[kind.__name__]


def fitted(kind, method="fit", **params):
    """A small model, trained on X."""
    options = {"classes": ["a", "b", "c"]} if method == "partial_fit" and is_classifier(kind()) else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return getattr(kind(**SMALL | params), method)(X, y_for(kind), **options)


def assert_same_weights(one, other, rtol=1e-6, atol=1e-6):
    for a, b in zip([*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True):
        assert_allclose(a, b, rtol=rtol, atol=atol)


def error_of(function, *args, **kwargs):
    error, _ = error_and_warnings(function, *args, **kwargs)
    assert error is not None
    return error


# ====================================================================== the interface


@each_pair
def test_signatures_extend_those_of_scikit_learn(theirs, ours):
    """scikit-learn's parameters come first and are unchanged. fastbp's own parameters follow and are keyword-only."""
    for method in ("__init__", "fit", "partial_fit", "predict", "score"):
        expected = [(p.name, p.kind, p.default) for p in inspect.signature(getattr(theirs, method)).parameters.values()]
        got = [(p.name, p.kind, p.default) for p in inspect.signature(getattr(ours, method)).parameters.values()]
        assert got[: len(expected)] == expected
        assert all(kind is inspect.Parameter.KEYWORD_ONLY for _, kind, _ in got[len(expected) :])
    assert theirs().get_params().items() <= ours().get_params().items()
    assert {name for name in dir(theirs) if not name.startswith("_")} <= set(dir(ours))


@pytest.mark.parametrize(
    ("load", "kind"), [(load_iris, "MLPClassifier"), (load_breast_cancer, "MLPClassifier"), (load_diabetes, "MLPRegressor")]
)
@pytest.mark.parametrize("hidden_layer_sizes", [(100,), (30, 30)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_first_iterations_of_lbfgs_agree(load, kind, hidden_layer_sizes):
    """The user guide promises this for 10 iterations. Later iterations amplify rounding errors."""
    X, y = load(return_X_y=True)
    params = {"hidden_layer_sizes": hidden_layer_sizes, "solver": "lbfgs", "max_iter": 10, "random_state": 0}
    theirs, ours = (model(**params).fit(X, y) for model in PAIRS[kind])
    assert ours.n_iter_ == theirs.n_iter_ == 10
    assert_allclose(ours.loss_, theirs.loss_, rtol=1e-12)


@each_pair
@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
def test_the_same_solvers_have_partial_fit(theirs, ours, solver):
    assert hasattr(theirs(solver=solver), "partial_fit") == hasattr(ours(solver=solver), "partial_fit")


@few_epochs
def test_partial_fit_by_lbfgs_continues_from_the_weights():
    pair = [kind(**SMALL, solver="lbfgs") for kind in PAIRS["MLPRegressor"]]
    for rows in (slice(0, 20), slice(5, 30), slice(0, 30)):
        for model in pair:
            model.partial_fit(X[rows], y_for(fastbp.MLPRegressor)[rows])
        assert_same_weights(*pair)
        assert pair[0].n_iter_ == pair[1].n_iter_


@each_pair
def test_tags_agree_with_scikit_learn(theirs, ours):
    """The tags are scikit-learn's, except that fastbp's estimators are transformers and support multioutput classification."""
    got, want = ours().__sklearn_tags__(), theirs().__sklearn_tags__()
    want.target_tags.multi_output = want.estimator_type == "classifier"
    assert got.transformer_tags is not None
    want.transformer_tags = got.transformer_tags
    assert got == want


INVALID = {name: [object(), "not a valid value", -1, 1.5, None, np.nan] for name in neural_network.MLPRegressor().get_params()}


@pytest.mark.parametrize(
    ("theirs", "ours", "name"), [(*pair, name) for pair in PAIRS.values() for name in INVALID if name in pair[0]().get_params()]
)
def test_invalid_parameters_raise_the_errors_of_scikit_learn(theirs, ours, name):
    """fastbp rejects the same values as scikit-learn, with the same message."""
    n_refused = 0
    for value in INVALID[name]:
        expected, got = (error_and_warnings(kind(**{"max_iter": 1, name: value}).fit, X, y_for(kind))[0] for kind in (theirs, ours))
        assert type(got) is type(expected), value
        if isinstance(expected, InvalidParameterError):
            n_refused += 1
            # the allowed strings are listed in arbitrary order, and fastbp may allow more
            assert str(got).startswith(str(expected).partition(" must be ")[0] + " must be ")
            assert set(re.findall(r"'\w+'", str(expected))) <= set(re.findall(r"'\w+'", str(got)))
            assert str(got).endswith(str(expected).rpartition(" Got ")[2])
    assert n_refused


@pytest.mark.parametrize("sizes", [(0,), (3, -1), [2, 0, 2]])
@each_pair
def test_error_for_layers_without_units_agrees_with_scikit_learn(theirs, ours, sizes):
    expected, got = (error_of(kind(hidden_layer_sizes=sizes).fit, X, y_for(kind)) for kind in (theirs, ours))
    assert (type(got), str(got)) == (type(expected), str(expected))


@each_kind
def test_html_representation(kind):
    # batch_size is not the integer of SMALL, because with NumPy 2.0 and 2.1 scikit-learn's own HTML fails for integers
    for estimator in (kind(), fitted(kind, batch_size="auto")):
        with sklearn.config_context(display="diagram"):
            html = estimator._repr_html_()
        assert kind.__name__ in html
        assert "hidden_layer_sizes" in html
    assert repr(kind(alpha=0.5)) == f"{kind.__name__}(alpha=0.5)"


# ====================================================================== printed text and warnings

LOUD = {
    "sgd": {"solver": "sgd"},
    "adam": {"solver": "adam"},
    "patience": {"solver": "sgd", "tol": 1.0, "n_iter_no_change": 2},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 1},
    "too small": {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 1e-5, "tol": 0.5, "n_iter_no_change": 1},
    "validated": {"early_stopping": True, "n_iter_no_change": 3, "tol": 0.1, "validation_fraction": 0.4},
    "validated, adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "early_stopping": True,
        "n_iter_no_change": 1,
        "validation_fraction": 0.4,
    },
}


@few_epochs
@each_pair
@pytest.mark.parametrize("params", LOUD.values(), ids=LOUD)
def test_verbose_prints_the_text_of_scikit_learn(theirs, ours, params):
    printed = []
    for kind in (theirs, ours):
        with redirect_stdout(io.StringIO()) as out:
            kind(**SMALL | {"max_iter": 25} | params, verbose=True).fit(X, y_for(kind))
        printed.append(out.getvalue())
    assert printed[1] == printed[0]
    assert "Iteration 1, loss = " in printed[0]


@each_pair
@pytest.mark.parametrize(
    ("params", "shape", "category"),
    [
        ({}, (-1,), ConvergenceWarning),
        ({"batch_size": 31}, (-1,), UserWarning),
        ({"max_iter": 200, "tol": 1}, (-1, 1), DataConversionWarning),
    ],
    ids=["too few epochs", "batch too large", "column"],
)
def test_warnings_agree_with_scikit_learn(theirs, ours, params, shape, category):
    messages = []
    for kind in (theirs, ours):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            kind(**SMALL | params).fit(X, y_for(kind).reshape(shape))
        messages.append([(w.category, str(w.message)) for w in caught])
    assert messages[1] == messages[0]
    assert category in [kind for kind, _ in messages[0]]


# ====================================================================== interruption


def interrupting(function, at):
    """Wrap a function so that the process receives SIGINT, the signal of Ctrl-C, after call number `at`."""
    calls = iter(range(1, at + 1))

    def wrapper(*args, **kwargs):
        result = function(*args, **kwargs)
        if next(calls, 0) == at:
            signal.raise_signal(signal.SIGINT)
        return result

    return wrapper


@few_epochs
@each_kind
@pytest.mark.parametrize(
    ("params", "name", "at"),
    [({"solver": "sgd"}, "train", 1), ({"solver": "adam"}, "train", 1), ({"early_stopping": True}, "update_early_stopping", 3)],
    ids=["sgd", "adam", "validated"],
)
def test_interruption_of_sgd_and_adam(monkeypatch, kind, params, name, at):
    """After Ctrl-C, the model is the same as after a fit with that number of epochs."""
    params |= {"tol": 0, "n_iter_no_change": np.inf}
    monkeypatch.setattr(training, name, interrupting(getattr(training, name), at))
    with pytest.warns(UserWarning, match="interrupted by user"):
        stopped = fitted(kind, **params, max_iter=10**7)
    monkeypatch.undo()
    whole = fitted(kind, **params, max_iter=stopped.n_iter_)
    assert attributes(stopped).keys() == attributes(whole).keys()
    assert stopped.loss_curve_ == whole.loss_curve_
    assert stopped.validation_scores_ == whole.validation_scores_
    assert (stopped.n_iter_, stopped.t_, stopped.loss_) == (whole.n_iter_, whole.t_, whole.loss_)
    assert_array_equal(stopped.predict(X), whole.predict(X))
    assert_same_weights(stopped, whole, rtol=0, atol=0)


@few_epochs
@each_kind
def test_interruption_within_an_epoch(monkeypatch, kind):
    """After Ctrl-C in the third of five batches, the completed updates are kept, and only complete epochs are counted."""
    train = training.train
    monkeypatch.setattr(training, "train", interrupting(lambda *args: train(*args[:-1], 1), 8))
    with pytest.warns(UserWarning, match="interrupted by user"):
        stopped = fitted(kind)
    monkeypatch.undo()
    one, two = (fitted(kind, max_iter=n) for n in (1, 2))
    assert (stopped.n_iter_, stopped.t_, stopped.loss_curve_) == (1, 30, one.loss_curve_)
    assert not any(np.array_equal(stopped.coefs_[0], other.coefs_[0]) for other in (one, two))
    stopped.predict(X)
    stopped.partial_fit(X, y_for(kind))


@each_kind
def test_interruption_of_lbfgs(monkeypatch, kind):
    monkeypatch.setattr(lbfgs, "loss_and_gradient", interrupting(lbfgs.loss_and_gradient, 8))
    with pytest.warns(UserWarning, match="interrupted by user"):
        stopped = fitted(kind, solver="lbfgs", max_iter=100, tol=0)
    monkeypatch.undo()
    assert 0 < stopped.n_iter_ < 8
    whole = fitted(kind, solver="lbfgs", max_iter=stopped.n_iter_, tol=0)
    assert stopped.loss_ == whole.loss_
    assert_same_weights(stopped, whole, rtol=0, atol=0)


# ====================================================================== failures change nothing

NAN, INF = np.full_like(X, np.nan), np.full_like(X, np.inf)
BAD_X = {
    "NaN": NAN,
    "infinite": INF,
    "complex": X + 1j,
    "empty": X[:0],
    "no features": X[:, :0],
    "1-d": X[:, 0],
    "3-d": X[None],
    "words": np.full(X.shape, "word"),
    "objects": np.full(X.shape, {}, object),
    "sparse NaN": sp.csr_array(NAN),
    "coordinates of NaN": sp.coo_array(NAN),
}
BAD_Y = {
    "NaN": [np.nan] * 30,
    "None": None,
    "short": [1.0] * 29,
    "complex": np.ones(30) * 1j,
    "3-d": np.ones((30, 1, 1)),
    "empty": [],
    "ragged": [[1], [1, 2]] * 15,
}


@each_pair
@pytest.mark.parametrize("bad", BAD_X.values(), ids=BAD_X)
def test_errors_for_bad_inputs_agree_with_scikit_learn(theirs, ours, bad):
    for estimators in [(theirs(), ours()), (fitted(theirs), fitted(ours))]:
        for method in ("fit", "predict"):
            y = (y_for(ours),) if method == "fit" else ()
            expected, got = (error_of(getattr(estimator, method), bad, *y) for estimator in estimators)
            assert (type(got), str(got)) == (type(expected), str(expected))


@each_pair
@pytest.mark.parametrize("bad", BAD_Y.values(), ids=BAD_Y)
def test_errors_for_bad_targets_agree_with_scikit_learn(theirs, ours, bad):
    expected, got = (error_of(kind().fit, X, bad) for kind in (theirs, ours))
    assert type(got) is type(expected)


@each_pair
@pytest.mark.parametrize(
    "weight",
    [np.zeros(30), np.full(30, np.nan), np.ones(29), np.ones((30, 2)), ["w"] * 30],
    ids=["zero", "NaN", "short", "2-d", "words"],
)
def test_errors_for_bad_weights_agree_with_scikit_learn(theirs, ours, weight):
    expected, got = (error_of(kind().fit, X, y_for(kind), weight) for kind in (theirs, ours))
    assert (type(got), str(got)) == (type(expected), str(expected))


@each_pair
@pytest.mark.parametrize("zero_weights_error", [[0, 1], [28, 29]], ids=["first batch", "last batch"])
@pytest.mark.parametrize("params", [{}, {"max_iter": 1, "n_iter_no_change": 1, "tol": 10}], ids=["long", "short"])
def test_batch_with_zero_weights_is_an_error(theirs, ours, zero_weights_error, params):
    weight = np.ones(30)
    weight[zero_weights_error] = 0
    for kind in (theirs, ours):
        model = kind(**SMALL | params | {"batch_size": 2, "shuffle": False})
        assert type(error_of(model.fit, X, y_for(kind), weight)) is ZeroDivisionError


@each_pair
def test_single_row_with_nonzero_weight_is_an_error(theirs, ours):
    """Either the training rows or the validation rows have zero weight. The two cases raise different errors."""
    errors = []
    for row in range(30):
        params = SMALL | {"batch_size": "auto", "early_stopping": True, "validation_fraction": 0.3}
        weight = np.eye(30)[row]
        errors.append([type(error_of(kind(**params).fit, X, y_for(kind), weight)) for kind in (theirs, ours)])
    expected, got = zip(*errors, strict=True)
    assert set(expected) == {ValueError, ZeroDivisionError}
    assert got == expected


@few_epochs
@each_pair
@pytest.mark.parametrize("early_stopping", [False, True])
def test_targets_with_a_single_class_or_value(theirs, ours, early_stopping):
    y = np.full(30, "a") if ours is fastbp.MLPClassifier else np.full(30, 2.5)
    pair = [kind(**SMALL, early_stopping=early_stopping).fit(X, y) for kind in (theirs, ours)]
    assert_agree(*(Seen(None, [], attributes(model), predictions(model, X)) for model in reversed(pair)))


def failing_calls(kind):
    """{name: arguments} of calls that must fail on a model that was trained on X."""
    y = y_for(kind)
    return {
        "NaN": (NAN, y),
        "wrong width": (X[:, :3], y),
        "wide y": (X, np.ones((30, 2), int)),
        "unseen class": (X, np.full(30, "z")),
        "no weight": (X, y, np.zeros(30)),
        "no weight in the first batch": (X, y, np.r_[0, 0, np.ones(28)]),
        "no weight in the last batch": (X, y, np.r_[np.ones(28), 0, 0]),
        "divergence": (np.full_like(X, 1.7e308), y),
    }


@few_epochs
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid:RuntimeWarning")
@each_kind
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("name", failing_calls(fastbp.MLPRegressor))
@pytest.mark.parametrize("before", ["fit", "partial_fit"])
def test_failed_partial_fit_leaves_the_estimator_unchanged(kind, solver, name, before):
    model = fitted(kind, before, solver=solver, batch_size=2, shuffle=False, activation="identity", n_iter_no_change=1, tol=10)
    witness = copy.deepcopy(model)
    state, predicted = fingerprint(model, ignored=()), model.predict(X)
    with pytest.raises((ValueError, TypeError, ZeroDivisionError)):
        model.partial_fit(*failing_calls(kind)[name])
    assert fingerprint(model, ignored=()) == state
    assert_array_equal(model.predict(X), predicted)
    for estimator in (model, witness):
        estimator.partial_fit(X, y_for(kind))
    assert_same_weights(model, witness, rtol=0, atol=0)


@few_epochs
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid:RuntimeWarning")
@each_kind
@pytest.mark.parametrize(
    "params", [{"solver": "sgd"}, {"solver": "adam", "early_stopping": True}, {"solver": "lbfgs"}], ids=lambda p: p["solver"]
)
@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize("bad", ["NaN", "one row", "hidden_layer_sizes", "alpha", "interrupted"])
def test_failed_fit_leaves_the_estimator_unchanged(monkeypatch, kind, params, warm_start, bad):
    """A fitted model is unchanged, and a model that was not fitted stays unfitted."""
    new, old = kind(**SMALL | params, warm_start=warm_start), fitted(kind, **params, warm_start=warm_start)
    for model in (new, old):
        rows = NAN if bad == "NaN" else X
        y = y_for(kind)[:1] if bad == "one row" else y_for(kind)
        if bad in ("hidden_layer_sizes", "alpha"):
            model.set_params(**{bad: (3, 0) if bad == "hidden_layer_sizes" else -1})
        if bad == "interrupted":
            monkeypatch.setattr("fastbp._base.generator_of", interrupting(lambda *a, **k: None, 1))
        state = fingerprint(model, ignored=())
        with pytest.raises((ValueError, KeyboardInterrupt, TypeError)):
            model.fit(rows, y)
        assert fingerprint(model, ignored=()) == state
    monkeypatch.undo()
    with pytest.raises(NotFittedError):
        new.set_params(**SMALL).predict(X)
    assert len(old.predict(X)) == 30


@each_kind
def test_failed_first_partial_fit_sets_no_classes(kind):
    model = kind(**SMALL)
    options = {"classes": ["a", "b", "c"]} if is_classifier(model) else {}
    state = fingerprint(model)
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(NAN, y_for(kind), **options)
    assert fingerprint(model) == state
    model.partial_fit(X, y_for(kind), **options)


# ====================================================================== weights replaced by the user

REPLACED = {
    "whole lists": lambda model: vars(model).update(
        coefs_=[W * 2 for W in model.coefs_], intercepts_=[b + 1 for b in model.intercepts_]
    ),
    "one matrix": lambda model: model.coefs_.__setitem__(1, model.coefs_[1] * -3),
    "one bias": lambda model: model.intercepts_.__setitem__(0, model.intercepts_[0] + 0.5),
    "in place": lambda model: model.coefs_[0].__imul__(0.5),
    "a Fortran matrix": lambda model: model.coefs_.__setitem__(0, np.asfortranarray(model.coefs_[0] + 0.1)),
}


@few_epochs
@each_pair
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("replace", REPLACED.values(), ids=REPLACED)
def test_weights_replaced_by_the_user_are_used(theirs, ours, solver, replace):
    """Prediction, warm starts and partial_fit use the replaced weights."""
    for then in ("fit", "partial_fit") if solver != "lbfgs" else ("fit",):
        pair = [fitted(kind, solver=solver, warm_start=True) for kind in (theirs, ours)]
        for model in pair:
            replace(model)
        assert_agree(*(Seen(None, [], {}, predictions(model, X)) for model in reversed(pair)))
        for model in pair:
            getattr(model, then)(X, y_for(ours))
        assert_same_weights(*pair)
        assert_agree(*(Seen(None, [], {}, predictions(model, X)) for model in reversed(pair)))


@few_epochs
@each_pair
@pytest.mark.parametrize("name", ["coefs_", "intercepts_"])
def test_prediction_without_weights_is_an_attribute_error(theirs, ours, name):
    for kind in (theirs, ours):
        model = fitted(kind)
        delattr(model, name)
        with pytest.raises(AttributeError):
            model.predict(X)


# ====================================================================== copies


def through_joblib(model, tmp_path):
    joblib.dump(model, tmp_path / "model")
    return joblib.load(tmp_path / "model")


def through_joblib_mapped(model, tmp_path):
    joblib.dump(model, tmp_path / "model")
    return joblib.load(tmp_path / "model", mmap_mode="r")


COPIES = {
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
    "deepcopy": lambda model, _: copy.deepcopy(model),
    "joblib": through_joblib,
    "joblib, memory-mapped": through_joblib_mapped,
}


@few_epochs
@each_kind
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("make", COPIES.values(), ids=COPIES)
def test_copies_continue_training_like_the_original(kind, method, solver, make, tmp_path):
    model = fitted(kind, method, solver=solver)
    twin = make(model, tmp_path)
    assert_array_equal(twin.predict(X), model.predict(X))
    before = model.predict(X)
    for _ in range(3):
        twin.partial_fit(X, y_for(kind))
    assert_array_equal(model.predict(X), before)
    for _ in range(3):
        model.partial_fit(X, y_for(kind))
    assert twin.loss_curve_ == model.loss_curve_
    assert_same_weights(twin, model, rtol=0, atol=0)
    twin.coefs_[0][...] = 0
    assert (model.coefs_[0] != 0).any()
    twin.intercepts_[0][...] = 0
    assert_array_equal(twin.predict(X), np.repeat(twin.predict(X[:1]), 30))


@each_kind
def test_clone_is_not_fitted(kind):
    twin = clone(fitted(kind))
    assert twin.get_params() == fitted(kind).get_params()
    with pytest.raises(NotFittedError):
        twin.predict(X)


@few_epochs
@pytest.mark.parametrize(("solver", "n_arrays"), [("lbfgs", 1), ("sgd", 2), ("adam", 3)])
def test_pickle_contains_the_parameters_once(solver, n_arrays):
    """The pickle contains the parameters once and the moments of the solver, but no data and no buffers."""
    model = fitted(fastbp.MLPRegressor, solver=solver, hidden_layer_sizes=(100, 100))
    n_bytes = sum(a.nbytes for a in [*model.coefs_, *model.intercepts_])
    assert len(pickle.dumps(model)) < (n_arrays + 0.5) * n_bytes


# ====================================================================== kinds of input data


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def unsorted_csr(rows):
    """A CSR matrix with unsorted and duplicate indices and with explicit zeros."""
    n, m = rows.shape
    indices = np.tile(np.r_[np.arange(m)[::-1], np.arange(m)], n)
    return sp.csr_array((np.hstack([rows[:, ::-1], rows]).ravel() / 2, indices, np.arange(0, 2 * m * n + 1, 2 * m)), shape=(n, m))


def int64_csr(rows):
    matrix = sp.csr_array(rows)
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    return matrix


WHOLE = np.round(X * 3)
FORMS = {
    "read-only": read_only,
    "F": np.asfortranarray,
    "every second row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "every second column": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "backwards": lambda a: a[::-1].copy()[::-1],
    "big-endian": lambda a: a.astype(">f8"),
    "misaligned": lambda a: np.frombuffer(b"x" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape),
    "int64": lambda a: a.astype(np.int64),
    "int8": lambda a: a.astype(np.int8),
    "bool": lambda a: a > 0,
    "object": lambda a: a.astype(object),
    "list": lambda a: a.tolist(),
    "float16": lambda a: a.astype(np.float16),
    "matrix of int64 indices": int64_csr,
    "unsorted csr": unsorted_csr,
    "int csr": lambda a: sp.csr_array(a.astype(int)),
    "lil": sp.lil_array,
    "pandas": lambda a: pd.DataFrame(a, columns=list("abcd")).astype({"a": int, "b": "float32", "c": "Int64"}),
    "pandas, Fortran": lambda a: pd.DataFrame(np.asfortranarray(a)),
    "polars": lambda a: pl.DataFrame(a, schema=list("abcd")),
    "masked": np.ma.masked_array,
}


@few_epochs
@each_pair
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_containers_of_inputs(theirs, ours, form):
    rows = form(WHOLE)
    pair = [kind(**SMALL).fit(rows, y_for(kind)) for kind in (theirs, ours)]
    assert_same_weights(*pair)
    assert pair[1].coefs_[0].dtype == pair[0].coefs_[0].dtype
    assert getattr(pair[1], "feature_names_in_", None) is None or list(pair[1].feature_names_in_) == list(pair[0].feature_names_in_)
    assert_agree(*(Seen(None, [], {}, predictions(model, rows)) for model in reversed(pair)))


@few_epochs
@each_pair
def test_memory_mapped_data_give_the_same_result(theirs, ours, tmp_path):
    data = X, Y[ours.__name__], np.linspace(1, 2, 30)
    joblib.dump(data, tmp_path / "data")
    mapped = joblib.load(tmp_path / "data", mmap_mode="r")
    assert isinstance(mapped[0], np.memmap)
    pair = [kind(**SMALL).fit(*part) for kind, part in ((ours, data), (ours, mapped))]
    assert_same_weights(*pair, rtol=0, atol=0)
    assert_array_equal(pair[1].predict(mapped[0]), pair[0].predict(X))


TARGET_FORMS = {
    "read-only": read_only,
    "strided": lambda y: np.repeat(y, 2)[::2],
    "backwards": lambda y: y[::-1].copy()[::-1],
    "big-endian": lambda y: y.astype(y.dtype.newbyteorder(">")),
    "list": lambda y: y.tolist(),
    "pandas": pd.Series,
    "pandas, shifted index": lambda y: pd.Series(y, index=np.arange(30)[::-1]),
    "polars": pl.Series,
    "object": lambda y: y.astype(object),
    "categories": lambda y: pd.Series(y).astype("category"),
    "int8": lambda y: np.resize(np.int8([1, 2, 5]), 30),
    "float32": lambda y: np.resize(np.float32([1, 2, 5]), 30),
}


@few_epochs
@each_pair
@pytest.mark.parametrize("form", TARGET_FORMS.values(), ids=TARGET_FORMS)
def test_containers_of_targets(theirs, ours, form):
    pair = []
    for kind in (theirs, ours):
        model = kind(**SMALL)
        error, _ = error_and_warnings(model.fit, X, form(y_for(kind)))
        pair.append(model if error is None else type(error))
    if isinstance(pair[0], type):
        assert pair[1] is pair[0]
    else:
        assert_same_weights(*pair)
        assert_agree(*(Seen(None, [], {}, predictions(model, X)) for model in reversed(pair)))


@few_epochs
@each_pair
@pytest.mark.parametrize(
    "weight",
    [2, 2.5, np.arange(1, 31), list(range(30)), np.linspace(1, 2, 30, dtype=np.float32), pd.Series(np.arange(30))],
    ids=repr,
)
def test_containers_of_sample_weights(theirs, ours, weight):
    pair = [kind(**SMALL).fit(X, y_for(kind), sample_weight=weight) for kind in (theirs, ours)]
    assert_same_weights(*pair)


@few_epochs
@each_pair
@pytest.mark.parametrize("frame", [pd.DataFrame, lambda a, columns: pl.DataFrame(a, schema=columns)], ids=["pandas", "polars"])
def test_feature_names(theirs, ours, frame):
    named, renamed = frame(X, columns=list("abcd")), frame(X, columns=list("abxy"))
    messages = []
    for kind in (theirs, ours):
        model = kind(**SMALL).fit(named, y_for(kind))
        assert list(model.feature_names_in_) == list("abcd")
        with pytest.warns(UserWarning, match="valid feature names") as caught:
            model.predict(X)
        messages.append([str(error_of(model.predict, renamed)), *(str(w.message) for w in caught)])
    assert messages[1] == messages[0]


# ====================================================================== float32

SINGLE = [
    {"solver": "sgd"},
    {"solver": "adam"},
    {"solver": "adam", "early_stopping": True, "validation_fraction": 0.3},
    {"solver": "lbfgs"},
]


@few_epochs
@each_pair
@pytest.mark.parametrize("params", SINGLE, ids=["sgd", "adam", "validated", "lbfgs"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("container", ["C", "csr_array", "csc_matrix"])
def test_float32(theirs, ours, params, activation, container):
    """float32 data give float32 weights, except with L-BFGS, which SciPy computes in float64."""
    rows = CONTAINERS[container](X.astype(np.float32))
    pair = [kind(**SMALL | params, activation=activation).fit(rows, y_for(kind)) for kind in (theirs, ours)]
    for name in ("coefs_", "intercepts_"):
        assert [a.dtype for a in getattr(pair[1], name)] == [a.dtype for a in getattr(pair[0], name)]
    assert_same_weights(*pair, rtol=1e-3, atol=1e-4)
    for data in (rows, CONTAINERS[container](X)):
        theirs_said, ours_said = (predictions(model, data) for model in pair)
        for method, value in theirs_said.items():
            assert ours_said[method].dtype == value.dtype
            assert_values(ours_said[method], value, rtol=1e-3, atol=1e-3)


# ====================================================================== routing and searches


def pipeline(kind):
    return Pipeline([("scale", StandardScaler()), ("mlp", kind(**SMALL | {"max_iter": 6, "solver": "adam"}))])


@few_epochs
@each_pair
def test_metadata_routing(theirs, ours):
    weight, results = np.linspace(0.5, 3, 30), []
    with sklearn.config_context(enable_metadata_routing=True):
        for kind in (theirs, ours):
            steps = pipeline(kind)
            steps["scale"].set_fit_request(sample_weight=False)
            steps["mlp"].set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
            search = GridSearchCV(steps, {"mlp__alpha": [1e-4, 1.0], "mlp__hidden_layer_sizes": [(3,), (4, 2)]}, cv=3)
            results.append(search.fit(X, y_for(kind), sample_weight=weight).cv_results_["mean_test_score"])
            for method in ("fit", "partial_fit", "score"):
                asked = [getattr(routed().get_metadata_routing(), method).requests for routed in (kind, theirs)]
                assert asked[1].items() <= asked[0].items()
        unrequested = error_of(Pipeline([("mlp", ours())]).fit, X, y_for(ours), sample_weight=weight)
    assert_allclose(results[1], results[0], rtol=1e-6)
    assert type(unrequested).__name__ == "UnsetMetadataPassedError"


@few_epochs
@each_pair
def test_cross_validation_agrees_with_scikit_learn(theirs, ours):
    scores = [cross_val_score(pipeline(kind), X, y_for(kind), cv=3) for kind in (theirs, ours)]
    assert_allclose(scores[1], scores[0], rtol=1e-6)


@few_epochs
@each_kind
@pytest.mark.parametrize("backend", [pytest.param("loky", marks=pytest.mark.slow), "threading"])
def test_searches_in_parallel(kind, backend):
    """Two workers (processes or threads) give the same scores and exactly the same best model as one."""
    found = []
    for n_jobs in (1, 2):
        with joblib.parallel_backend(backend, n_jobs=n_jobs):
            search = GridSearchCV(pipeline(kind), {"mlp__solver": ["sgd", "adam", "lbfgs"], "mlp__random_state": [0, 1]}, cv=3)
            found.append(search.fit(X, y_for(kind)))
    # sums in NumPy, from which the scores are computed, can differ in the last bit with the alignment of the arrays in memory
    assert_allclose(found[1].cv_results_["mean_test_score"], found[0].cv_results_["mean_test_score"], rtol=1e-14)
    assert_same_weights(found[1].best_estimator_["mlp"], found[0].best_estimator_["mlp"], rtol=0, atol=0)


@few_epochs
@pytest.mark.parametrize("scale", [1e150, 1e154, 1e200])
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_squared_gradients_may_overflow(scale):
    # if the mean of squares in Adam is infinite, the step is 0, not NaN
    X = np.random.RandomState(0).standard_normal((30, 4)) * scale
    theirs, ours = (
        kind.fit(X, X[:, 0] > 0)
        for kind in (neural_network.MLPClassifier(max_iter=3, random_state=0), fastbp.MLPClassifier(max_iter=3, random_state=0))
    )
    assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)


# ====================================================================== parameters and weights changed between calls


@few_epochs
@each_pair
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate_init": 0.05},
        {"momentum": 0.1, "nesterovs_momentum": False},
        {"learning_rate": "invscaling", "power_t": 0.2},
        {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
        {"solver": "sgd"},
        {"solver": "adam"},
        {"alpha": 1.0, "batch_size": 3, "activation": "tanh", "shuffle": False, "tol": 0.5},
    ],
    ids=lambda change: ", ".join(change),
)
def test_changed_parameters_in_partial_fit_agree_with_scikit_learn(theirs, ours, solver, change):
    models = [fitted(kind, "partial_fit", solver=solver) for kind in (theirs, ours)]
    for model in models:
        model.set_params(**change)
        for _ in range(3):
            model.partial_fit(X, y_for(ours))
    assert_same_weights(*models)
    assert models[0]._optimizer.learning_rate == pytest.approx(models[1]._optimizer.learning_rate, rel=1e-12)


# {name: values that are assigned to attributes of `_optimizer`}
ASSIGNED = {
    "learning_rate_init": {"learning_rate_init": 0.03},
    "learning_rate": {"learning_rate": 0.03},
    "both": {"learning_rate_init": 0.03, "learning_rate": 0.01},
}


@pytest.mark.slow
@few_epochs
@each_pair
@pytest.mark.parametrize(
    "params",
    [
        {"solver": "adam"},
        *(
            {"solver": "sgd", "learning_rate": name, "n_iter_no_change": 1, "tol": 0.5}
            for name in ("constant", "invscaling", "adaptive")
        ),
        {"solver": "sgd", "momentum": 0.0},
    ],
    ids=lambda params: " ".join(map(str, params.values())),
)
@pytest.mark.parametrize("values", ASSIGNED.values(), ids=ASSIGNED)
@pytest.mark.parametrize("n_before", [0, 3])
def test_assigned_learning_rates_agree_with_scikit_learn(theirs, ours, params, values, n_before):
    models = [fitted(kind, "partial_fit", **params) for kind in (theirs, ours)]
    for model in models:
        for _ in range(n_before):
            model.partial_fit(X, y_for(ours))
        for name, value in values.items():
            assert hasattr(model._optimizer, name)
            setattr(model._optimizer, name, value)
        for _ in range(3):
            model.partial_fit(X, y_for(ours))
    assert_same_weights(*models)
    assert models[1].loss_curve_ == pytest.approx(models[0].loss_curve_, rel=1e-9)
    assert models[1]._optimizer.learning_rate == pytest.approx(models[0]._optimizer.learning_rate, rel=1e-12)
    assert models[1]._optimizer.learning_rate_init == models[0]._optimizer.learning_rate_init


@few_epochs
@each_kind
def test_assigned_learning_rate_acts_on_one_estimator_only(kind):
    model, expected = (fitted(kind, "partial_fit") for _ in range(2))
    copy.copy(model)._optimizer.learning_rate_init = 0.5
    for one in (model, expected):
        one.partial_fit(X, y_for(kind))
    assert_array_equal(model.coefs_[0], expected.coefs_[0])


@few_epochs
@each_kind
def test_state_of_a_solver_for_another_network_is_an_error(kind):
    model = fitted(kind, hidden_layer_sizes=(5,))
    model.set_params(solver="lbfgs", hidden_layer_sizes=(300,), max_iter=2).fit(X, y_for(kind))
    model.set_params(solver="adam")
    with pytest.raises(ValueError, match="state of the optimizer"):
        model.partial_fit(X, y_for(kind))


def replaced(model):
    """{name: (coefs_, intercepts_)} that do not form a network, or that form a different one."""
    W, b = model.coefs_, model.intercepts_
    return {
        "short b": (W, [b[0][:-1], *b[1:]]),
        "missing b": (W, b[:-1]),
        "wider W": ([W[0], np.zeros((200, W[1].shape[1])), *W[2:]], b),
        "other inputs": ([W[0][:-1], *W[1:]], b),
        "other outputs": ([*W[:-1], np.zeros((len(W[-1]), 7))], [*b[:-1], np.zeros(7)]),
        "flat W": ([W[0].ravel(), *W[1:]], b),
        "none": ([], []),
    }


@few_epochs
@each_kind
@pytest.mark.parametrize("name", replaced(fitted(fastbp.MLPRegressor)))
def test_weights_that_do_not_form_a_network_are_rejected(kind, name):
    model = fitted(kind)
    model.coefs_, model.intercepts_ = replaced(model)[name]
    for call in (lambda: model.predict(X), lambda: model.partial_fit(X, y_for(kind))):
        with pytest.raises(ValueError, match="coefs_ and intercepts_ must form a network"):
            call()


@few_epochs
@each_kind
def test_weights_reshaped_in_place_are_rejected(kind):
    model = fitted(kind)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # issued by NumPy 2.5
        model.coefs_[0].shape = model.coefs_[0].shape[::-1]
    for call in (lambda: model.predict(X), lambda: model.partial_fit(X, y_for(kind))):
        with pytest.raises(ValueError, match="must form a network"):
            call()
    again = pickle.loads(pickle.dumps(model))  # a copy of the model can be repaired
    again.coefs_[0] = again.coefs_[0].reshape(again.coefs_[0].shape[::-1])
    assert_array_equal(again.predict(X), fitted(kind).predict(X))


@few_epochs
@each_kind
def test_weights_may_be_lists_but_not_complex(kind):
    model = fitted(kind)
    before = model.predict(X)
    model.coefs_[0] = model.coefs_[0].tolist()
    assert_array_equal(model.predict(X), before)
    model.coefs_[0] = np.multiply(model.coefs_[0], 1j)
    with pytest.raises(ValueError, match="must hold real numbers, got complex128"):
        model.predict(X)


@few_epochs
@each_kind
def test_predict_ignores_parameters_of_training(kind):
    model = fitted(kind)
    before = model.predict(X)
    model.set_params(solver="none", learning_rate=3, alpha="much")
    assert_array_equal(model.predict(X), before)


@pytest.mark.parametrize("sizes", [("10",), [[3, 4]], (10.5,), (float("nan"),), (True,)])
def test_hidden_layer_sizes_must_be_integers(sizes):
    with pytest.raises((TypeError, ValueError), match="hidden_layer_sizes"):
        fastbp.MLPRegressor(hidden_layer_sizes=sizes).fit(X, X[:, 0])


@few_epochs
@each_kind
@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
def test_warnings_name_the_file_of_the_caller(kind, solver):
    with pytest.warns(ConvergenceWarning) as caught:
        kind(**SMALL | {"solver": solver, "max_iter": 1}).fit(X, y_for(kind))
    assert {warning.filename for warning in caught} == {__file__}
