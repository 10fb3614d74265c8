"""Draw many parameters at once, and check the properties that every combination must have.

If the documentation excludes a combination, the error message must name one of the parameters. With every other combination, a fit
must succeed, a second fit must be bitwise identical, resumed training must be exact, and the predictions must agree with a NumPy
forward pass through coefs_ and intercepts_. The rules and the forward pass are implemented here a second time, from the
documentation.
"""

import pickle
from dataclasses import dataclass, field

import numpy as np
import pytest
from exported import ACTIVATIONS as NAMED_ACTIVATIONS
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from schedule_names import OF_LOSSES, OF_PROGRESS, OF_SGD
from scipy.sparse import csr_array, issparse
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.impute import SimpleImputer

from fastbp import Activation, Loss, MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N_ROWS, N_VAL, N_FEATURES, N_EPOCHS = 40, 14, 4, 4


def bent(z):
    return (np.sqrt(z * z + 1) - 1) / 2 + z


def slope_of_bent(z):
    return z / (2 * np.sqrt(z * z + 1)) + 1


def log_cosh(y, a):
    return np.log(np.cosh(a - y))


def slope_of_log_cosh(y, a):
    return np.tanh(a - y)


def slower(epoch, progress):
    return 1 / (1 + epoch) + 0.1 * (1 - progress)


def small_weights(random_state, shape):
    return random_state.normal(0, 0.3, shape)


BENT, LOG_COSH, LOG_COSH_ALONE = Activation(bent, slope_of_bent), Loss(log_cosh, slope_of_log_cosh), Loss(log_cosh)
ACTIVATIONS = NAMED_ACTIVATIONS | {BENT: bent}
LINKS = {
    "identity": lambda z: z,
    "logistic": expit,
    "relu": lambda z: np.maximum(z, 0),
    "softplus": lambda z: np.logaddexp(0, z),
    "exp": np.exp,
    "softmax": lambda z: softmax(z, axis=1),
}
SOLVERS = ["sgd", "adam", "adagrad", "adadelta", "rmsprop", "adamw", "nadam", "adamax", "lion", "lbfgs"]
SCHEDULES = [*OF_SGD, *OF_PROGRESS, *OF_LOSSES, slower]
INITIALIZERS = ["auto", "glorot_normal", "he_uniform", "lecun_normal", "orthogonal", "data", small_weights]
DEVIANCES = ["poisson", "gamma", "tweedie"]
TARGETS = {
    MLPClassifier: ["binary", "multiclass", "multilabel", "multioutput"],
    MLPRegressor: ["one", "several"],
}
LOSSES = {
    MLPClassifier: ["log_loss", "log_loss", "squared_error", LOG_COSH],
    MLPRegressor: ["squared_error", "absolute_error", "huber", "quantile", *DEVIANCES, LOG_COSH, LOG_COSH_ALONE],
}


@dataclass(repr=False)
class Case:
    """The parameters of an estimator, its data, and the names of the parameters that must be rejected."""

    kind: type
    target: str
    params: dict
    X: object
    y: np.ndarray
    weight: np.ndarray | None
    validation: dict
    refused: list = field(default_factory=list)

    def __repr__(self):
        """Only the parameters that differ from their defaults, without the data."""
        options, X = {name: value for name, value in self.params.items() if value not in (None, False, 0, "auto")}, self.X
        return (
            f"{self.kind.__name__}, {self.target}, {type(X).__name__} of {X.dtype}, {len(self.validation)} to validate: {options}"
        )

    def _repr_pretty_(self, printer, cycle):
        printer.text(repr(self))

    def model(self, **params):
        return self.kind(**self.params | params)

    def fit(self, **params):
        return self.model(**params).fit(self.X, self.y, self.weight, **self.validation)

    @property
    def is_single(self):
        """Whether training computes in float32."""
        return self.params["dtype"] == "float32" or (self.params["dtype"] == "auto" and self.X.dtype == np.float32)


def sometimes(draw, values, default):
    """Draw the default in two of three cases, so that few cases are rejected for several reasons at once."""
    return draw(st.sampled_from(values)) if draw(st.integers(0, 2)) == 0 else default


def drawn_targets(random, target, loss, n_rows):
    if target == "binary":
        return np.array(["no", "yes"])[np.arange(n_rows) % 2]
    if target == "multiclass":
        return np.arange(n_rows) % 3 + 5
    if target == "multilabel":
        return np.column_stack([np.arange(n_rows) % 2, np.arange(n_rows) // 2 % 2, random.integers(0, 2, n_rows)])
    if target == "multioutput":
        return np.column_stack([np.arange(n_rows) % 3, np.arange(n_rows) % 2, np.arange(n_rows) // 3 % 4])
    shape = n_rows if target == "one" else (n_rows, 2)
    return random.gamma(2, 1, shape) if loss in DEVIANCES else random.normal(1, 2, shape)


@st.composite
def cases(draw, solvers=SOLVERS, **fixed):
    kind = draw(st.sampled_from([MLPClassifier, MLPRegressor]))
    target, loss = draw(st.sampled_from(TARGETS[kind])), draw(st.sampled_from(LOSSES[kind]))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    sizes = draw(st.sampled_from([(), (5,), (3,), (4, 6), (9, 3)]))
    n_hidden = len(sizes)
    names = st.sampled_from(list(ACTIVATIONS))
    params = {
        "loss": loss,
        "hidden_layer_sizes": sizes,
        "activation": draw(st.one_of(names, st.lists(names, min_size=n_hidden, max_size=n_hidden))),
        "out_activation": sometimes(draw, ["identity", "logistic", "relu", "softplus", "exp", "softmax"], "auto"),
        "solver": draw(st.sampled_from(solvers)),
        "learning_rate": sometimes(draw, SCHEDULES, "constant"),
        "learning_rate_init": 0.01,
        "learning_rate_step": 2,
        "learning_rate_horizon": N_EPOCHS,
        "batch_size": draw(st.sampled_from([7, 16, "auto"])),
        "max_iter": N_EPOCHS,
        "tol": 0.0,
        "n_iter_no_change": np.inf,
        "random_state": draw(st.integers(0, 9)),
        "dropout": sometimes(draw, [0.2, [0.3] * n_hidden or 0.3, [0.1] + [0.25] * n_hidden], 0.0),
        "input_noise": sometimes(draw, [0.1], 0.0),
        "l1": sometimes(draw, [0.01], 0.0),
        "alpha": draw(st.sampled_from([0, 1e-4, 0.1])),
        "max_norm": sometimes(draw, [0.7], None),
        "clip_norm": sometimes(draw, [0.3], None),
        "batch_norm": sometimes(draw, [True], False),
        "layer_norm": sometimes(draw, [True], False),
        "ema_decay": sometimes(draw, [0.6, 0.0], None),
        "weight_decay": sometimes(draw, [0.1], 0.0),
        "weight_init": sometimes(draw, INITIALIZERS, "auto"),
        "bias_init": sometimes(draw, ["zeros", *INITIALIZERS], "auto"),
        "sample_weight_norm": draw(st.sampled_from(["batch", "global"])),
        "scale": sometimes(draw, ["standard", "robust", "smooth_clip"], None),
        "missing": sometimes(draw, ["indicator"], "error"),
        "dtype": draw(st.sampled_from(["auto", "auto", "float32", "float64"])),
        "early_stopping": sometimes(draw, [True], False),
        "validation_fraction": 0.2,
        "scoring": sometimes(draw, ["loss"], None),
        "n_threads": draw(st.sampled_from([1, 2])),
        "regularization_schedule": sometimes(draw, OF_PROGRESS, None),
        "learning_rate_factors": sometimes(draw, [{"intercepts": 0.1}, {"coefs": [0.5] + [2] * n_hidden, "norms": 0}], None),
    }
    if kind is MLPClassifier:
        params["label_smoothing"] = sometimes(draw, [0.2], 0.0)
        params["class_weight"] = sometimes(draw, ["balanced"], None)
    else:
        params["quantile"] = draw(st.sampled_from([0.5, 0.2, [0.3], [0.1, 0.5, 0.8]]))
        params["tweedie_power"] = draw(st.sampled_from([1, 1.5, 2]))
        params["huber_delta"] = 0.8
        params["clip_predictions"] = draw(st.booleans())
        params["scale_y"] = sometimes(draw, ["standard", "robust"], None)
    params |= fixed
    X = random.normal(1, 2, (N_ROWS + N_VAL, N_FEATURES)) * (random.random((N_ROWS + N_VAL, N_FEATURES)) < 0.8)
    if params["missing"] == "indicator":
        X[random.random(X.shape) < 0.1] = np.nan
        X[0, 1] = np.nan
    X = X.astype(draw(st.sampled_from([np.float32, np.float64])))
    y = drawn_targets(random, target, loss, len(X))
    weight = random.uniform(0, 3, len(X)) if draw(st.booleans()) else None
    form = csr_array if draw(st.booleans()) else np.array
    validation = {}
    if draw(st.booleans()):
        validation = {"X_val": form(X[N_ROWS:]), "y_val": y[N_ROWS:]}
        if weight is not None:
            validation["sample_weight_val"] = weight[N_ROWS:]
    X, y, weight = form(X[:N_ROWS]), y[:N_ROWS], None if weight is None else weight[:N_ROWS]
    case = Case(kind, target, params, X, y, weight, validation)
    case.refused = rejected_parameters(case)
    return case


def possible_links(case):
    loss, several = case.params["loss"], case.kind is MLPRegressor and np.size(case.params["quantile"]) > 1
    if case.kind is MLPRegressor:
        if loss in DEVIANCES:
            return {"exp", "softplus"}
        return {"identity"} if loss == "quantile" and several else set(LINKS) - {"softmax"}
    exclusive = case.target in ("multiclass", "multioutput")
    if loss == "log_loss":
        return {"softmax"} if exclusive else {"logistic"}
    return set(LINKS) if exclusive else set(LINKS) - {"softmax"}


def rejected_parameters(case):
    """The names of the parameters that must be rejected according to the documentation."""
    params = case.params
    refused = []
    rates = params["dropout"] if isinstance(params["dropout"], list) else [params["dropout"]] * len(params["hidden_layer_sizes"])
    if params["solver"] == "lbfgs":
        never = ("input_noise", "max_norm", "clip_norm", "batch_norm", "weight_decay")
        refused += [name for name in never if params[name]]
        refused += ["ema_decay"] if params["ema_decay"] is not None else []
        refused += [name for name in ("regularization_schedule", "learning_rate_factors") if params[name] is not None]
        refused += ["learning_rate"] if params["learning_rate"] not in OF_SGD else []
        refused += ["dropout"] if any(rates) else []
        refused += ["X_val"] if case.validation else []
    if params["batch_norm"] and params["layer_norm"]:
        refused.append("batch_norm")
    if issparse(case.X):
        refused += ["input_noise"] if params["input_noise"] else []
        refused += ["dropout"] if len(rates) > len(params["hidden_layer_sizes"]) and rates[0] else []
    link = params["out_activation"]
    if link != "auto" and link not in possible_links(case):
        refused.append("out_activation")
    if case.kind is MLPClassifier:
        if params["class_weight"] is not None and case.target in ("multilabel", "multioutput"):
            refused.append("class_weight")
    elif params["scale_y"] is not None:
        several = params["loss"] == "quantile" and np.size(params["quantile"]) > 1
        signed = params["loss"] not in DEVIANCES and link == "exp" and (np.mean(case.y, axis=0) < 0).any()
        if several or link in ("logistic", "softplus") or signed:
            refused.append("scale_y")
    return refused


valid_cases = cases().filter(lambda case: not case.refused)
going_on = cases(solvers=SOLVERS[:-1]).filter(lambda case: not case.refused)


# ---------------------------------------------------------------------- checks


def bits(model):
    arrays = [*model.coefs_, *model.intercepts_, *getattr(model, "norm_scales_", []), *getattr(model, "norm_shifts_", [])]
    return [array.tobytes() for array in arrays]


def predicted(model, X):
    """All predictions of a model for X, as a list of arrays."""
    if isinstance(model, MLPRegressor):
        return [model.predict(X)]
    probabilities = model.predict_proba(X)
    return [*(probabilities if isinstance(probabilities, list) else [probabilities]), model.predict(X)]


def forward(case, model):
    """The outputs of the network in coefs_ and intercepts_ for unscaled X, computed with NumPy."""
    X = case.X
    if case.params["missing"] == "indicator":
        X = SimpleImputer(add_indicator=True, keep_empty_features=True).fit_transform(X)
    is_centered, X = not issparse(X), X.toarray() if issparse(X) else X
    if case.params["scale"] == "smooth_clip":
        X = smoothly_clipped(X, is_centered)
    A, activation = X.astype(np.float64), case.params["activation"]
    n_hidden = len(model.coefs_) - 1
    activations = activation if isinstance(activation, list) else [activation] * n_hidden
    for layer, (W, b) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        A = A @ np.asarray(W, np.float64) + b
        if layer < n_hidden:
            if case.params["layer_norm"]:
                A = (A - A.mean(axis=1, keepdims=True)) / np.sqrt(A.var(axis=1, keepdims=True) + 1e-5)
                A = A * model.norm_scales_[layer] + model.norm_shifts_[layer]
            A = ACTIVATIONS[activations[layer]](A)
    if case.params["loss"] == "quantile" and np.size(case.params["quantile"]) > 1:
        parts = np.split(A, A.shape[1] // 3, axis=1)
        return np.hstack([np.cumsum(np.hstack([Z[:, :1], np.logaddexp(0, Z[:, 1:])]), axis=1) for Z in parts])
    if case.target == "multioutput":
        return np.hstack([LINKS[model.out_activation_](Z) for Z in np.split(A, [3, 5], axis=1)])
    return LINKS[model.out_activation_](A)


def smoothly_clipped(X, is_centered):
    """The inputs of the network for the rows of the fit."""
    X = X.copy()
    for column in X.T:
        low, center, high = np.quantile(column, [0.25, 0.5, 0.75])
        width = high - low if high > low else np.ptp(column) / 2
        column -= center * is_centered
        column *= 1 / width if width > 0 else 0
        column /= np.sqrt(1 + (column / 3) ** 2)
    return X


def expected_predictions(case, model, outputs):
    """The expected result of `predicted` for these outputs."""
    if case.kind is MLPRegressor and case.params["clip_predictions"]:
        y = case.y[np.flatnonzero(np.ones(N_ROWS) if case.weight is None else case.weight)].reshape(-1, case.y.size // N_ROWS)
        n_each = outputs.shape[1] // y.shape[1]
        outputs = outputs.clip(np.repeat(y.min(axis=0), n_each), np.repeat(y.max(axis=0), n_each))
    if case.kind is MLPRegressor:
        three = case.params["loss"] == "quantile" and np.size(case.params["quantile"]) == 3
        shape = {("one", False): (-1,), ("several", False): (-1, 2), ("one", True): (-1, 3), ("several", True): (-1, 2, 3)}
        return [outputs.reshape(shape[case.target, three])]
    groups = np.split(outputs, [3, 5], axis=1) if case.target == "multioutput" else [outputs]
    if case.target == "binary":
        groups = [np.clip(outputs, 0, 1)]
        return [np.hstack([1 - groups[0], groups[0]])]
    if case.target == "multilabel":
        return [np.clip(outputs, 0, 1)]
    held = [np.clip(group, 0, 1) for group in groups]
    sums = [group.sum(axis=1, keepdims=True) for group in held]
    return [np.where(s > 0, group / np.where(s > 0, s, 1), 1 / group.shape[1]) for group, s in zip(held, sums, strict=True)]


def assert_sound(case, model):
    """Check that weights and predictions are finite, have the right shapes, and do not depend on how rows are grouped."""
    assert all(np.isfinite(array).all() for array in [*model.coefs_, *model.intercepts_])
    predictions = predicted(model, case.X)
    wide = np.result_type(case.X.dtype, model.coefs_[0].dtype)
    for array in predictions:
        assert len(array) == N_ROWS
        assert array.dtype.kind != "f" or (np.isfinite(array).all() and array.dtype == wide)
    assert predictions[-1].shape[:2] == case.y.shape or (case.y.ndim == 1 and predictions[-1].shape[0] == N_ROWS)
    for part in (slice(0, 1), slice(1, 18), slice(18, None)):
        for whole, array in zip(predictions, predicted(model, case.X[part]), strict=True):
            if array.dtype.kind == "f":  # for the last rows of a block, the terms of a sum are added in another order
                assert_allclose(
                    array, whole[part], rtol=1e-5 if wide == np.float32 else 1e-13, atol=1e-6 if wide == np.float32 else 1e-14
                )
    expected = expected_predictions(case, model, forward(case, model))
    rtol = 3e-4 if wide == np.float32 else 1e-9
    for array, other in zip(predictions, expected, strict=False):
        assert_allclose(array, other, rtol=rtol, atol=rtol * np.abs(other).max())


@pytest.mark.slow
@given(cases())
def test_fit_succeeds_or_the_error_names_a_rejected_parameter(case):
    model = case.model()
    before = dict(vars(model))
    if case.refused:
        with pytest.raises((ValueError, TypeError)) as raised:
            model.fit(case.X, case.y, case.weight, **case.validation)
        assert any(name in str(raised.value) for name in case.refused), (case.refused, raised.value)
        assert vars(model) == before
        return
    model.fit(case.X, case.y, case.weight, **case.validation)
    assert_sound(case, model)


@pytest.mark.slow
@given(valid_cases)
def test_second_fit_clone_and_pickle_are_bitwise_identical(case):
    model = case.fit()
    assert bits(case.fit()) == bits(model)
    assert bits(clone(model).fit(case.X, case.y, case.weight, **case.validation)) == bits(model)
    copied = pickle.loads(pickle.dumps(model))
    assert bits(copied) == bits(model)
    for one, other in zip(predicted(copied, case.X), predicted(model, case.X), strict=True):
        assert_array_equal(one, other)


@pytest.mark.slow
@given(going_on)
def test_one_and_two_threads_agree(case):
    if case.params["solver"] == "lion" and case.params["batch_norm"]:
        return  # lion uses only signs; with batch_norm, some exact gradients are 0 and get random signs from rounding errors
    one, two = case.fit(n_threads=1), case.fit(n_threads=2)
    rtol = 1e-2 if case.is_single else 1e-6
    assert_allclose(one.loss_curve_, two.loss_curve_, rtol=rtol, atol=rtol)
    if case.validation:
        assert_allclose(one.history_["val_loss"], two.history_["val_loss"], rtol=rtol, atol=rtol)


@pytest.mark.slow
@given(going_on)
def test_score_in_history_equals_the_score_of_the_fitted_model(case):
    """Scores during a fit use scaled data and unfolded parameters. Scores after the fit use unscaled data and folded parameters."""
    params = {"early_stopping": False, "scoring": None}
    if case.kind is MLPRegressor:
        params["quantile"] = 0.3
    rows = {"X_val": case.X[:N_VAL], "y_val": case.y[:N_VAL]}
    weight = None if case.weight is None else case.weight[:N_VAL]
    model = case.model(**params).fit(case.X, case.y, case.weight, **rows, sample_weight_val=weight)
    # float32 X is scaled in float32, independent of the dtype of training
    rtol = 1e-3 if case.is_single else 1e-5 if case.X.dtype == np.float32 else 1e-8
    assert_allclose(model.history_["val_score"][-1], model.score(*rows.values(), weight), rtol=rtol, atol=rtol)


@pytest.mark.slow
@given(going_on, st.integers(1, N_EPOCHS - 1), st.booleans())
def test_resumed_training_is_bitwise_identical(case, n, pickled):
    whole, parts = case.fit(warm_start="resume"), case.fit(warm_start="resume", max_iter=n)
    if pickled:
        parts = pickle.loads(pickle.dumps(parts))
    parts.set_params(max_iter=N_EPOCHS - n).fit(case.X, case.y, case.weight, **case.validation)
    assert bits(parts) == bits(whole)
    assert_array_equal(parts.loss_curve_, whole.loss_curve_)
    for name, entries in whole.history_.items():
        assert_array_equal(parts.history_[name], entries)
    assert bits(case.fit()) == bits(whole)


@pytest.mark.slow
@given(going_on, st.integers(1, N_EPOCHS - 1))
def test_partial_fit_continues_exactly_after_a_pickle(case, n):
    params, more = {"early_stopping": False}, {}
    if case.kind is MLPClassifier:
        params["class_weight"] = None
        if case.target != "multilabel":
            more["classes"] = [np.unique(column) for column in case.y.T] if case.y.ndim == 2 else np.unique(case.y)
    whole, parts = case.model(**params), case.model(**params)
    for epoch in range(N_EPOCHS):
        whole.partial_fit(case.X, case.y, sample_weight=case.weight, **more)
        parts.partial_fit(case.X, case.y, sample_weight=case.weight, **more)
        if epoch == n:
            parts = pickle.loads(pickle.dumps(parts))
    assert bits(parts) == bits(whole)
    assert_array_equal(parts.loss_curve_, whole.loss_curve_)
    assert_sound(case, whole)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_resume_with_global_sample_weight_norm_is_bitwise_identical(early_stopping, n_threads):
    """Rounding errors of the mean weight must not depend on the order of the rows, which the previous fit has shuffled."""
    random = np.random.default_rng(0)
    X, y, weight = random.normal(size=(61, 4)), random.normal(size=61), random.uniform(0, 3, 61)
    options = {"sample_weight_norm": "global", "warm_start": "resume", "early_stopping": early_stopping, "n_threads": n_threads}
    for seed in range(5):
        models = [MLPRegressor(hidden_layer_sizes=(5,), **options, batch_size=9, random_state=seed, max_iter=n) for n in (4, 1)]
        whole, parts = (model.fit(X, y, weight) for model in models)
        assert bits(parts.set_params(max_iter=3).fit(X, y, weight)) == bits(whole)
