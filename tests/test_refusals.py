"""Invalid parameters are rejected with a message that names the parameter and the rule, and the estimator is unchanged.

Each case is a combination that the documentation excludes, or a value of the wrong type. Estimators that were fitted before keep
their weights.
"""

import numpy as np
import pytest
from schedule_names import OF_LOSSES, OF_PROGRESS
from scipy.sparse import csr_array
from test_combinations import slower

from fastbp import Activation, Loss, MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.RandomState(0)
X = RANDOM.normal(size=(30, 4))
SPARSE = csr_array(X * (X > 0))
Y = {MLPClassifier: np.arange(30) % 3, MLPRegressor: X[:, 0] - 2 * X[:, 1]}
SMALL = {"hidden_layer_sizes": (5, 3), "max_iter": 3, "random_state": 0}
each_kind = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])


def reject(match, kind, data=X, y=None, before=False, error=ValueError, **params):
    """Check that a fit raises an error and changes no attribute. With `before`, the estimator was fitted before."""
    y = Y[kind] if y is None else y
    model = kind(**SMALL)
    if before:
        model.fit(X, Y[kind])
        weights = [W.copy() for W in model.coefs_]
    model.set_params(**params)
    attributes = dict(vars(model))
    with pytest.raises(error, match=match):
        model.fit(data, y)
    assert vars(model) == attributes
    if before:
        for W, kept in zip(model.coefs_, weights, strict=True):
            np.testing.assert_array_equal(W, kept)


NOT_FOR_LBFGS = {
    "dropout": [0.2, [0.0, 0.1], [0.1, 0.0, 0.0]],
    "input_noise": [0.1],
    "batch_norm": [True],
    "learning_rate": [*OF_PROGRESS, *OF_LOSSES, slower],
    "regularization_schedule": OF_PROGRESS,
    "learning_rate_factors": [{}, {"coefs": 0.5}],
    "clip_norm": [1.0],
    "max_norm": [1.0],
    "ema_decay": [0.9, 0.0],
    "weight_decay": [0.1],
    "warm_start": ["resume"],
}


@each_kind
@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in NOT_FOR_LBFGS.items() for value in values])
def test_parameters_that_lbfgs_does_not_support(kind, name, value, before):
    reject(f"^{name}=.*solver='lbfgs'", kind, before=before, solver="lbfgs", **{name: value})


@each_kind
@pytest.mark.parametrize(
    "params",
    [
        {"dropout": 0},
        {"dropout": [0, 0.0]},
        {"input_noise": 0},
        {"learning_rate": "adaptive"},
        {"learning_rate": "invscaling"},
        {"layer_norm": True},
        {"l1": 0.1},
        {"early_stopping": True},
        {"weight_init": "data"},
        {"bias_init": "data"},
        {"scale": "smooth_clip"},
    ],
    ids=str,
)
def test_parameters_that_lbfgs_supports(kind, params):
    kind(**SMALL, solver="lbfgs", **params).fit(X, Y[kind])


@each_kind
def test_lbfgs_does_not_support_validation_rows(kind):
    with pytest.raises(ValueError, match=r"X_val and y_val .*solver='lbfgs'"):
        kind(**SMALL, solver="lbfgs").fit(X, Y[kind], X_val=X, y_val=Y[kind])


@each_kind
def test_two_norms_are_rejected(kind):
    reject("batch_norm and layer_norm", kind, batch_norm=True, layer_norm=True)


@each_kind
@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("params", [{"input_noise": 0.1}, {"dropout": [0.1, 0, 0]}], ids=str)
def test_noise_and_dropout_of_sparse_inputs_are_rejected(kind, params, before):
    reject(f"^{next(iter(params))}=.*sparse X", kind, SPARSE, before=before, **params)


@each_kind
@pytest.mark.parametrize("dropout", [0.3, [0.3, 0.2], [0, 0.3, 0.2]], ids=str)
def test_dropout_of_hidden_units_with_sparse_inputs(kind, dropout):
    kind(**SMALL, dropout=dropout).fit(SPARSE, Y[kind])
    if not isinstance(dropout, list):
        kind(hidden_layer_sizes=(), max_iter=2, dropout=dropout).fit(SPARSE, Y[kind])


@each_kind
@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize(
    "dropout",
    [
        *(1.0, 1, -0.1, 2, np.nan, [0.1], [0.1] * 4, [], [0.1, 1.0], [-0.1, 0.1], [0.1, np.nan], [[0.1, 0.2]], [[0.1], [0.2]]),
        *(["a", "b"], "half", None, [None, 0.1], [0.1, [0.2]]),
    ],
    ids=str,
)
def test_invalid_dropout_is_rejected(kind, dropout, before):
    reject("dropout", kind, before=before, dropout=dropout)


@each_kind
@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("activation", [["relu"], ["relu"] * 3, [], ["relu", "cube"], ["relu", None], ("tanh", np.tanh)], ids=str)
def test_invalid_lists_of_activations_are_rejected(kind, activation, before):
    reject("activation must", kind, before=before, activation=activation)


@each_kind
@pytest.mark.parametrize("activation", ["cube", np.tanh, 3, None], ids=str)
def test_invalid_activations_are_rejected(kind, activation):
    reject("'activation' parameter", kind, activation=activation)


@each_kind
@pytest.mark.parametrize("result", [np.nan, np.inf, -0.1, None, "half", 1j, [0.5], np.array([0.5, 1.0]), {}], ids=str)
@pytest.mark.parametrize("before", [False, True])
def test_learning_rate_functions_with_invalid_results_are_rejected(kind, result, before):
    reject(
        "learning_rate must be a function of .epoch, progress.", kind, before=before, learning_rate=lambda epoch, progress: result
    )


@each_kind
def test_learning_rate_function_with_an_invalid_result_in_a_later_epoch(kind):
    reject("at epoch 2 it", kind, before=True, learning_rate=lambda epoch, progress: 1 if epoch < 2 else np.nan)


@each_kind
@pytest.mark.parametrize("result", [0, 1, 0.5, np.float32(0.5), np.int64(1), True])
def test_learning_rate_functions_with_valid_results_are_accepted(kind, result):
    kind(**SMALL, learning_rate=lambda epoch, progress: result).fit(X, Y[kind])


# ---------------------------------------------------------------------- losses and outputs

LINKS = ["identity", "logistic", "softmax", "relu", "softplus", "exp"]
ANY = ["identity", "logistic", "relu", "softplus", "exp"]
POSSIBLE = {loss: ANY for loss in ("squared_error", "absolute_error", "huber", "quantile")}
POSSIBLE |= {loss: ["exp", "softplus"] for loss in ("poisson", "gamma", "tweedie")}


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("loss", POSSIBLE)
def test_output_activations_of_regressors(loss, link):
    y = Y[MLPRegressor] if loss in list(POSSIBLE)[:4] else np.abs(Y[MLPRegressor]) + 0.1
    if link in POSSIBLE[loss]:
        model = MLPRegressor(**SMALL, loss=loss, out_activation=link).fit(X, y)
        assert model.out_activation_ == link
        return
    names = " or ".join(["'auto'", *map(repr, POSSIBLE[loss])])
    reject(f"out_activation must be {names} for the loss '{loss}'; got '{link}'", MLPRegressor, y=y, loss=loss, out_activation=link)


@pytest.mark.parametrize("link", LINKS[1:])
def test_output_activations_of_several_quantiles(link):
    reject(
        "out_activation must be 'auto' or 'identity' for several quantiles",
        MLPRegressor,
        loss="quantile",
        quantile=[0.1, 0.9],
        out_activation=link,
    )


@pytest.mark.parametrize(
    ("y", "loss", "possible"),
    [
        (np.arange(30) % 2, "log_loss", ["logistic"]),
        (np.arange(30) % 3, "log_loss", ["softmax"]),
        (np.eye(3, dtype=int)[np.arange(30) % 3], "log_loss", ["logistic"]),
        (np.arange(60).reshape(30, 2) % 3, "log_loss", ["softmax"]),
        (np.arange(30) % 2, "squared_error", ANY),
        (np.arange(30) % 3, "squared_error", LINKS),
        (np.eye(3, dtype=int)[np.arange(30) % 3], "squared_error", ANY),
        (np.arange(60).reshape(30, 2) % 3, "squared_error", LINKS),
    ],
)
@pytest.mark.parametrize("link", LINKS)
def test_output_activations_of_classifiers(y, loss, possible, link):
    if link in possible:
        assert MLPClassifier(**SMALL, loss=loss, out_activation=link).fit(X, y).out_activation_ == link
        return
    reject(f"out_activation must be 'auto' or .*{possible[-1]}.*got '{link}'", MLPClassifier, y=y, loss=loss, out_activation=link)


@pytest.mark.parametrize(
    ("params", "lowest", "rule"),
    [
        ({"loss": "gamma"}, 0.0, "> 0 for the loss 'gamma'"),
        ({"loss": "gamma"}, -1.0, "> 0 for the loss 'gamma'"),
        ({"loss": "tweedie"}, -0.1, ">= 0 for the loss 'tweedie'"),
        ({"loss": "tweedie", "tweedie_power": 1}, -0.1, ">= 0 for the loss 'tweedie'"),
        ({"loss": "tweedie", "tweedie_power": 2}, 0.0, "> 0 for the loss 'tweedie' of tweedie_power=2"),
        ({"loss": "tweedie", "tweedie_power": 2}, -1.0, "> 0 for the loss 'tweedie' of tweedie_power=2"),
    ],
    ids=str,
)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("before", [False, True])
def test_targets_for_which_the_deviance_is_undefined(params, lowest, rule, solver, before):
    y = np.abs(Y[MLPRegressor]) + 0.1
    y[4] = lowest
    reject(f"y must be {rule}.*got {lowest:g}", MLPRegressor, y=y, before=before, solver=solver, **params)


@pytest.mark.parametrize("params", [{"loss": "tweedie"}, {"loss": "tweedie", "tweedie_power": 1}, {"loss": "poisson"}], ids=str)
def test_targets_of_zero_are_accepted(params):
    y = np.maximum(Y[MLPRegressor], 0)
    assert np.isfinite(MLPRegressor(**SMALL, **params).fit(X, y).loss_)


@pytest.mark.parametrize("power", [0.5, 2.5, 3, 0, None, "two"])
def test_invalid_tweedie_powers_are_rejected(power):
    reject("'tweedie_power' parameter", MLPRegressor, loss="tweedie", tweedie_power=power)


@pytest.mark.parametrize(
    "quantile",
    [
        *(0, 1, 0.0, 1.0, -0.1, 1.1, np.nan, None, "half"),
        *([], [0.0, 0.5], [0.5, 1.0], [0.5, 0.1], [0.5, 0.5], [0.1, np.nan], [[0.1, 0.5]], [[0.1], [0.5]], ["a", "b"], [None, 0.5]),
        *([0.1, [0.5]], [1.5], ()),
    ],
    ids=str,
)
@pytest.mark.parametrize("before", [False, True])
def test_invalid_quantiles_are_rejected(quantile, before):
    reject("quantile", MLPRegressor, before=before, loss="quantile", quantile=quantile)


@pytest.mark.parametrize("quantile", [0.3, [0.3], (0.1, 0.5), np.array([0.1, 0.2, 0.95])], ids=str)
def test_valid_quantiles_are_accepted(quantile):
    shape = (30,) if np.size(quantile) == 1 else (30, np.size(quantile))
    assert MLPRegressor(**SMALL, loss="quantile", quantile=quantile).fit(X, Y[MLPRegressor]).predict(X).shape == shape


def test_scale_y_with_several_quantiles_is_rejected():
    reject(
        "^scale_y='standard' is not supported for several quantiles",
        MLPRegressor,
        loss="quantile",
        quantile=[0.1, 0.9],
        scale_y="standard",
    )


@pytest.mark.parametrize("link", ["logistic", "softplus"])
def test_scale_y_with_nonlinear_outputs_is_rejected(link):
    reject("^scale_y='robust' needs", MLPRegressor, scale_y="robust", out_activation=link)


def test_scale_y_with_a_negative_mean_is_rejected():
    reject("^scale_y='robust' divides", MLPRegressor, y=-1 - X[:, 0] ** 2, scale_y="robust", out_activation="exp")


@pytest.mark.parametrize("loss", ["hinge", np.square, None, 1], ids=str)
@each_kind
def test_invalid_losses_are_rejected(kind, loss):
    reject("'loss' parameter", kind, loss=loss)


@pytest.mark.parametrize("y", [np.eye(3, dtype=int)[np.arange(30) % 3], np.arange(60).reshape(30, 2) % 3])
@pytest.mark.parametrize("class_weight", ["balanced", {0: 2.0}], ids=str)
def test_class_weight_for_several_columns_is_rejected(y, class_weight):
    reject("class_weight must be None", MLPClassifier, y=y, class_weight=class_weight)


# ---------------------------------------------------------------------- initial weights


def shapes(*wanted):
    return [np.zeros(shape) for shape in wanted]


RIGHT = {"coefs_init": [(4, 5), (5, 3)], "intercepts_init": [(5,), (3,)]}


@each_kind
@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("name", RIGHT)
def test_invalid_initial_weights_are_rejected(kind, name, before):
    n_outputs = 3 if kind is MLPClassifier else 1
    last = (3, n_outputs) if name == "coefs_init" else (n_outputs,)
    right = [*RIGHT[name], last]
    wrong = [[], right[:-1], [*right, last], [(5, 4), *right[1:]], [*right[:-1], (3, 7)], [(), *right[1:]], [(20,), *right[1:]]]
    for some in wrong:
        reject(f"{name}", kind, before=before, **{name: shapes(*some)})
    for value in (np.nan, np.inf, "a"):
        reject(name, kind, before=before, **{name: [np.full(right[0], value), *shapes(*right[1:])]})
    reject(name, kind, before=before, **{name: [[[1.0], [2.0, 3.0]], *shapes(*right[1:])]})
    reject(f"'{name}' parameter", kind, before=before, **{name: np.zeros(3)})


@each_kind
@pytest.mark.parametrize("name", ["weight_init", "bias_init"])
@pytest.mark.parametrize("result", [None, np.zeros(17), np.nan, "a"], ids=str)
def test_invalid_results_of_initializers_are_rejected(kind, name, result):
    reject(
        f"{name} must return",
        kind,
        **{name: lambda random_state, shape: result if np.ndim(result) else np.full(shape, result)},
    )


@each_kind
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("input_noise", [-0.1, None, "much", [0.1], np.nan, np.inf, 1e10]),
        ("l1", [-0.1, None, "much", np.nan]),
        ("max_norm", [0, -1, "much", np.nan]),
        ("clip_norm", [0, -1, "much", np.nan]),
        ("batch_norm", [None, "yes", 0.5]),
        ("layer_norm", [None, "yes", 0.5]),
        ("ema_decay", [1, -0.1, 1.5, "much", np.nan]),
        ("weight_decay", [-0.1, None, "much", np.nan]),
        ("rho", [1, -0.1, None, np.nan]),
        ("learning_rate", ["linear", None, 0.1]),
        ("learning_rate_decay", [0, 1.5, None, np.nan]),
        ("learning_rate_step", [0, 1.5, "ten"]),
        ("learning_rate_horizon", [0, 1.5, "all"]),
        ("warmup_fraction", [1, -0.1, "some", np.nan]),
        ("weight_init", ["best", None, 1]),
        ("bias_init", ["best", None, 1]),
        ("sample_weight_norm", ["none", None]),
        ("scale", ["minmax", True]),
        ("missing", ["mean", None]),
        ("dtype", ["float16", np.float32, None]),
        ("solver", ["adamax2", None]),
        ("out_activation", ["tanh", None]),
        ("n_threads", [0, -1, 1.5, "all"]),
        ("max_time", [0, -1, "long"]),
        ("warm_start", ["continue", None]),
        ("regularization_schedule", ["linear", 0.1, *OF_LOSSES]),
        ("learning_rate_factors", [0.1, [1, 0.1], "coefs"]),
    ],
)
def test_invalid_values_are_rejected(kind, name, values):
    for value in values:
        reject(f"'{name}' parameter", kind, **{name: value})


@pytest.mark.parametrize(
    ("kind", "name", "values"),
    [
        (MLPClassifier, "label_smoothing", [1, -0.1, None, np.nan]),
        (MLPClassifier, "class_weight", ["even", 2, [1, 2]]),
        (MLPRegressor, "huber_delta", [0, -1, None, np.nan]),
        (MLPRegressor, "scale_y", ["minmax", True]),
        (MLPRegressor, "clip_predictions", [None, "yes", (0, 1)]),
    ],
)
def test_invalid_values_of_one_estimator_are_rejected(kind, name, values):
    for value in values:
        reject(f"'{name}' parameter", kind, **{name: value})


# ---------------------------------------------------------------------- between fits

CHANGES = [
    ({"scale": "standard"}, {"scale": None}, "scale must not change"),
    ({"scale": "standard"}, {"scale": "robust"}, "scale must not change"),
    ({}, {"scale": "standard"}, "scale must not change"),
    ({}, {"scale": "smooth_clip"}, "scale must not change"),
    ({"scale": "smooth_clip"}, {"scale": "robust"}, "scale must not change"),
    ({}, {"learning_rate_factors": {"coefs": [1]}}, "learning_rate_factors must"),
    ({}, {"missing": "indicator"}, "missing must not change"),
    ({}, {"batch_norm": True}, "batch_norm must not change"),
    ({"batch_norm": True}, {"batch_norm": False}, "batch_norm must not change"),
    ({"layer_norm": True}, {"layer_norm": False}, "layer_norm must not change"),
    ({"batch_norm": True}, {"batch_norm": False, "layer_norm": True}, "batch_norm must not change"),
    ({}, {"layer_norm": True}, "layer_norm must not change"),
    ({}, {"ema_decay": 0.9}, "ema_decay must not change"),
    ({"ema_decay": 0.9}, {"ema_decay": None}, "ema_decay must not change"),
    ({}, {"activation": ["relu"]}, "activation must"),
    ({}, {"dropout": [0.1]}, "dropout must"),
]


@each_kind
@pytest.mark.parametrize("go_on", [{"warm_start": True}, {"warm_start": "resume"}, "partial_fit"], ids=str)
@pytest.mark.parametrize(("first", "then", "match"), CHANGES, ids=str)
def test_parameters_that_must_not_change_between_fits(kind, go_on, first, then, match):
    warm = go_on if isinstance(go_on, dict) else {}
    model = kind(**SMALL, **first, **warm).fit(X, Y[kind])
    attributes, weights = dict(vars(model)), [W.copy() for W in model.coefs_]
    model.set_params(**then)
    with pytest.raises(ValueError, match=match):
        model.fit(X, Y[kind]) if warm else model.partial_fit(X, Y[kind])
    model.set_params(**{name: attributes[name] for name in then})
    assert vars(model) == attributes
    for W, kept in zip(model.coefs_, weights, strict=True):
        np.testing.assert_array_equal(W, kept)
    _ = model.fit(X, Y[kind]) if warm else model.partial_fit(X, Y[kind])


@pytest.mark.parametrize("go_on", [{"warm_start": True}, {"warm_start": "resume"}, "partial_fit"], ids=str)
@pytest.mark.parametrize(
    ("first", "then", "match"),
    [
        ({}, {"scale_y": "standard"}, "scale_y must not change"),
        ({}, {"clip_predictions": True}, "clip_predictions must not change"),
        ({}, {"out_activation": "exp"}, "out_activation must not change"),
        ({}, {"loss": "poisson"}, "out_activation must not change while training continues; it was 'identity'"),
        ({"loss": "quantile"}, {"quantile": [0.1, 0.9]}, "output units"),
        ({"loss": "quantile", "quantile": [0.1, 0.9]}, {"loss": "squared_error"}, "output units"),
        ({"loss": "quantile", "quantile": [0.1, 0.9]}, {"quantile": [0.1, 0.5, 0.9]}, "output units"),
    ],
    ids=str,
)
def test_parameters_of_targets_that_must_not_change_between_fits(go_on, first, then, match):
    warm = go_on if isinstance(go_on, dict) else {}
    model = MLPRegressor(**SMALL, **first, **warm).fit(X, Y[MLPRegressor])
    model.set_params(**then)
    with pytest.raises(ValueError, match=match):
        model.fit(X, Y[MLPRegressor]) if warm else model.partial_fit(X, Y[MLPRegressor])


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({}, {"loss": "squared_error"}),
        ({"loss": "squared_error"}, {"loss": "log_loss"}),
        ({"loss": "squared_error", "out_activation": "relu"}, {"loss": "log_loss", "out_activation": "auto"}),
        ({"loss": "squared_error", "out_activation": "relu"}, {"out_activation": "exp"}),
    ],
    ids=str,
)
def test_output_activation_must_not_change_between_fits(first, then):
    model = MLPClassifier(**SMALL, warm_start=True, **first).fit(X, Y[MLPClassifier]).set_params(**then)
    with pytest.raises(ValueError, match="out_activation must not change"):
        model.fit(X, Y[MLPClassifier])


@each_kind
@pytest.mark.parametrize("then", [{"dropout": [0.1] * 5}, {"dropout": [[1]]}, {"batch_norm": True}, {"layer_norm": True}], ids=str)
def test_predictions_ignore_parameters_of_training(kind, then):
    model = kind(**SMALL).fit(X, Y[kind])
    predictions = model.predict(X)
    np.testing.assert_array_equal(model.set_params(**then).predict(X), predictions)


@pytest.mark.parametrize("then", [{"loss": "huber"}, {"quantile": 0.5}, {"quantile": [0.1, 0.2, 0.3]}], ids=str)
def test_predictions_ignore_quantiles_set_after_the_fit(then):
    model = MLPRegressor(**SMALL, loss="quantile", quantile=[0.1, 0.9]).fit(X, Y[MLPRegressor])
    predictions = model.predict(X)
    np.testing.assert_array_equal(model.set_params(**then).predict(X), predictions)


@each_kind
@pytest.mark.parametrize(
    "then",
    [
        {"dropout": 0.2},
        {"input_noise": 0.1},
        {"l1": 0.1},
        {"max_norm": 0.5},
        {"clip_norm": 0.1},
        {"weight_decay": 0.1},
        {"activation": ["tanh", "gelu"]},
        {"learning_rate": "cosine", "learning_rate_init": 0.1},
        {"solver": "sgd"},
        {"solver": "lbfgs"},
        {"dtype": "float32"},
        {"sample_weight_norm": "global"},
        {"n_threads": 2},
        {"regularization_schedule": "cosine", "dropout": 0.1},
        {"learning_rate_factors": {"intercepts": 0}},
        {"weight_init": "data"},
        {"loss": Loss(lambda y, a: (a - y) ** 2), "out_activation": "identity"},
        {"activation": Activation(lambda z: z * z)},
    ],
    ids=str,
)
@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_parameters_that_may_change_between_fits(kind, then, ema_decay):
    if kind is MLPClassifier and "loss" in then:
        then = {**then, "out_activation": "softmax"}
    model = kind(**SMALL, warm_start=True, ema_decay=ema_decay).fit(X, Y[kind]).set_params(**then)
    if ema_decay is not None and then.get("solver") == "lbfgs":
        with pytest.raises(ValueError, match="ema_decay"):
            model.fit(X, Y[kind])
        return
    model.fit(X, Y[kind])
    assert np.isfinite(model.predict(X)).all()


def test_norm_parameters_of_wrong_shapes_are_rejected():
    model = MLPRegressor(**SMALL, layer_norm=True).fit(X, X[:, 0])
    for name in ("norm_scales_", "norm_shifts_"):
        good = getattr(model, name)
        for bad in ([], good[:1], [np.ones(9), *good[1:]]):
            setattr(model, name, bad)
            with pytest.raises(ValueError, match=f"^{name} must hold one vector for each hidden layer"):
                model.predict(X)
        setattr(model, name, good)
    assert np.isfinite(model.predict(X)).all()


def raising(z):
    if z > 100:
        raise ValueError("too much")
    return z


def test_user_functions_that_raise_are_rejected():
    for make in (lambda: Activation(raising), lambda: Activation(abs, raising), lambda: Loss(raising)):
        with pytest.raises(TypeError, match="must not raise or assert"):
            make()


def test_unknown_scorer_is_rejected():
    with pytest.raises(ValueError, match="nope"):
        MLPRegressor(**SMALL, scoring="nope").fit(X, X[:, 0])
