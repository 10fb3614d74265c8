"""`regularization_schedule` and `learning_rate_factors`: steps with different rates and strengths.

The reference is the loop-level trainer of ``tests/reference.py`` with these options added. Where a factor becomes 0 or 1, results
are compared bitwise with fits that do not have the options.
"""

import math
import pickle
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference import SOLVERS, Trainer, gradient
from schedule_names import OF_LOSSES, OF_PROGRESS, OF_SGD
from sklearn.base import clone

import fastbp
from fastbp import MLPClassifier, MLPRegressor
from fastbp._kernels.lazy.solvers import N_MOMENTS
from fastbp._network.schedules import SCHEDULE_NAMES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(24, 3))
Y = np.column_stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]])
SIZES = (3, 4, 5, 2)
COEFS = [RANDOM.normal(0, 0.6, shape) for shape in pairwise(SIZES)]
INTERCEPTS = [RANDOM.normal(0, 0.3, n_out) for n_out in SIZES[1:]]
N_EPOCHS, BATCH_SIZE = 4, 10
OPTIONS = {
    "hidden_layer_sizes": SIZES[1:-1],
    "activation": "tanh",
    "learning_rate_init": 0.05,
    "batch_size": BATCH_SIZE,
    "max_iter": N_EPOCHS,
    "tol": 0.0,
    "n_iter_no_change": np.inf,
    "random_state": 0,
}
each_kind = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])


def targets(kind):
    return np.arange(len(X)) % 3 if kind is MLPClassifier else Y


def weights(model):
    return [*model.coefs_, *model.intercepts_, *getattr(model, "norm_scales_", []), *getattr(model, "norm_shifts_", [])]


def bits(model):
    return [array.tobytes() for array in weights(model)]


# the factor for the progress p and the number of finished epochs e, with the parameters of `fitted_and_reference`
FACTORS = {
    "cosine": lambda p, e: (1 + math.cos(math.pi * p)) / 2,
    "linear_warmup_cosine": lambda p, e: p / 0.1 if p < 0.1 else (1 + math.cos(math.pi * (p - 0.1) / 0.9)) / 2,
    "one_cycle": lambda p, e: (
        0.04 + 0.96 * (1 - math.cos(math.pi * p / 0.3)) / 2
        if p < 0.3
        else 4e-6 + (1 - 4e-6) * (1 + math.cos(math.pi * (p - 0.3) / 0.7)) / 2
    ),
    "coslog4": lambda p, e: (1 - math.cos(2 * math.pi * math.log2(1 + 15 * p))) / 2,
    "flat_cosine": lambda p, e: 1 if p < 0.5 else (1 + math.cos(math.pi * (2 * p - 1))) / 2,
    "exponential": lambda p, e: 0.3**p,
    "step": lambda p, e: 0.3 ** (e // 2),
}


class TrainerWithOptions(Trainer):
    """The reference with a factor of the learning rate for each array, and weight decay that follows a schedule."""

    def batch(self, X, y, weight):
        names = self.activation, self.loss, self.out_activation
        loss, weight_sum, by_coefs, by_intercepts = gradient(X, y, weight, self.coefs, self.intercepts, *names)
        progress = self.epochs + self.rows_of_epoch / self.n_rows
        base = self.base_rate * (1 if self.rate_schedule is None else FACTORS[self.rate_schedule](progress / N_EPOCHS, progress))
        strength = 1 if self.decay_schedule is None else FACTORS[self.decay_schedule](progress / N_EPOCHS, progress)
        self.rows_of_epoch = (self.rows_of_epoch + len(X)) % self.n_rows
        self.step += 1
        arrays, n_layers = self.coefs + self.intercepts, len(self.coefs)
        for number, (array, G, moments) in enumerate(zip(arrays, by_coefs + by_intercepts, self.moments, strict=True)):
            rate = base * self.factors[number]
            if number < n_layers:
                array *= 1 - rate * self.weight_decay * strength
            self.learning_rate = self.learning_rate_init = rate
            for q, g in enumerate(G.flat):
                array.flat[q], moments[q] = SOLVERS[self.solver][0](self, float(array.flat[q]), g / weight_sum, moments[q])
        return loss / weight_sum


def fitted_and_reference(solver="adam", factors=(1,) * 6, weight_decay=0.0, rate_schedule=None, decay_schedule=None, **options):
    """A fitted estimator, and the reference after the same epochs."""
    rates = {"adadelta": 1.0, "lion": 1e-3}
    options = OPTIONS | {"learning_rate_init": rates.get(solver, 0.05)} | options
    model = MLPRegressor(
        **options,
        solver=solver,
        alpha=0.0,
        shuffle=False,
        coefs_init=COEFS,
        intercepts_init=INTERCEPTS,
        weight_decay=weight_decay,
        learning_rate=rate_schedule or "constant",
        regularization_schedule=decay_schedule,
        learning_rate_decay=0.3,
        learning_rate_step=2,
    ).fit(X, Y)
    trainer = TrainerWithOptions(
        COEFS,
        INTERCEPTS,
        solver=solver,
        activation="tanh",
        loss="squared_error",
        out_activation="identity",
        alpha=0.0,
        batch_size=BATCH_SIZE,
        base_rate=options["learning_rate_init"],
        learning_rate_init=options["learning_rate_init"],
        momentum=0.9,
        nesterov=True,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        rho=0.9,
        schedule="constant",
        tol=0.0,
        patience=math.inf,
        max_epochs=N_EPOCHS,
        factors=factors,
        weight_decay=weight_decay,
        rate_schedule=rate_schedule,
        decay_schedule=decay_schedule,
        n_rows=len(X),
        rows_of_epoch=0,
    )
    for _ in range(N_EPOCHS):
        trainer.epoch(X, Y, None, np.arange(len(X)))
    return model, trainer


def assert_agree(model, trainer):
    assert_allclose(model.loss_curve_, trainer.losses, rtol=1e-8)
    for array, other in zip([*model.coefs_, *model.intercepts_], trainer.coefs + trainer.intercepts, strict=True):
        assert_allclose(array, other, rtol=1e-6, atol=1e-9)


# ---------------------------------------------------------------------- learning_rate_factors


@pytest.mark.parametrize("weight_decay", [0.0, 0.4])
@pytest.mark.parametrize("solver", N_MOMENTS)
def test_factors_of_the_learning_rate_agree_with_the_reference(solver, weight_decay):
    given = {"coefs": [0.3, 1, 2.5], "intercepts": 0.1}
    model, trainer = fitted_and_reference(solver, (0.3, 1, 2.5, 0.1, 0.1, 0.1), weight_decay, learning_rate_factors=given)
    assert_agree(model, trainer)


def test_factors_and_schedules_are_multiplied():
    given = {"coefs": 0.5, "intercepts": [2, 0, 1]}
    options = {"rate_schedule": "cosine", "decay_schedule": "flat_cosine", "learning_rate_factors": given}
    model, trainer = fitted_and_reference("adamw", (0.5, 0.5, 0.5, 2, 0, 1), 0.4, **options)
    assert_agree(model, trainer)
    assert_array_equal(model.intercepts_[1], INTERCEPTS[1])
    assert model.history_["learning_rate"][0] < 0.05  # the rate without factors


@each_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("solver", N_MOMENTS)
def test_parameters_with_factor_0_do_not_change(kind, solver, n_threads, dtype):
    options = OPTIONS | {"solver": solver, "layer_norm": True, "weight_decay": 0.3, "n_threads": n_threads, "alpha": 0.1}
    frozen = {"coefs": [0, 1, 0], "intercepts": [1, 0, 1], "norms": 0}
    rows, y = X.astype(dtype), targets(kind)
    start = kind(**OPTIONS | {"max_iter": 1}, layer_norm=True, learning_rate_factors=dict.fromkeys(frozen, 0)).fit(rows, y)
    model = kind(**options, learning_rate_factors=frozen).fit(rows, y)
    is_equal = [array.tobytes() == other.tobytes() for array, other in zip(weights(model), weights(start), strict=True)]
    assert is_equal == [True, False, True, False, True, False, True, True, True, True]


@each_kind
@pytest.mark.parametrize("params", [{}, {"batch_norm": True}, {"layer_norm": True, "weight_decay": 0.1}], ids=str)
def test_factors_of_1_change_nothing(kind, params):
    ones = {"coefs": [1, 1.0, 1], "intercepts": 1, "norms": np.float32(1)}
    models = [kind(**OPTIONS, **params, learning_rate_factors=factors) for factors in (None, {}, ones)]
    first, *others = [bits(model.fit(X, targets(kind))) for model in models]
    assert others == [first, first]


@each_kind
def test_norms_have_their_own_factor(kind):
    options = OPTIONS | {"solver": "sgd", "momentum": 0, "max_iter": 1, "batch_size": len(X), "layer_norm": True}
    start, half, whole = (
        kind(**options, learning_rate_factors={"coefs": 0, "intercepts": 0, "norms": factor}).fit(X, targets(kind))
        for factor in (0, 0.5, 1)
    )
    for name in ("norm_scales_", "norm_shifts_"):
        for before, one, other in zip(getattr(start, name), getattr(half, name), getattr(whole, name), strict=True):
            assert np.abs(other - before).max() > 1e-6
            assert_allclose(other - before, 2 * (one - before), rtol=1e-9, atol=1e-12)


def test_changed_factors_act_in_the_next_call_of_partial_fit():
    """Also if the dict is changed in place."""
    for in_place in (False, True):
        model = MLPRegressor(**OPTIONS, learning_rate_factors={"coefs": 1})
        for _ in range(2):
            model.partial_fit(X, Y)
        before = model.coefs_[0].copy()
        if in_place:
            model.learning_rate_factors["coefs"] = 0
        else:
            model.set_params(learning_rate_factors={"coefs": 0})
        model.partial_fit(X, Y)
        assert_array_equal(model.coefs_[0], before)


INVALID_FACTORS = [
    *({"weights": 1}, {1: 1}, {"coefs": -0.1}, {"coefs": np.nan}, {"coefs": np.inf}, {"coefs": "one"}, {"coefs": None}),
    *({"coefs": [1, 1]}, {"intercepts": [1] * 4}, {"intercepts": [1, 1, -1]}, {"coefs": [[1], [1], [1]]}, {"norms": [1]}),
    *({"norms": "one"}, {"coefs": [1, None, 1]}, {"coefs": []}),
]


@each_kind
@pytest.mark.parametrize("given", INVALID_FACTORS, ids=str)
def test_invalid_factors_are_rejected(kind, given):
    model = kind(**OPTIONS, learning_rate_factors=given)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=r"^learning_rate_factors must be a dict that .* 3 such numbers.*; got \{"):
        model.fit(X, targets(kind))
    assert vars(model) == before


# ---------------------------------------------------------------------- regularization_schedule


def test_lists_of_names_are_complete():
    assert {*OF_SGD, *OF_PROGRESS, *OF_LOSSES} == set(SCHEDULE_NAMES)
    assert set(FACTORS) == set(OF_PROGRESS)


@pytest.mark.parametrize("schedule", OF_PROGRESS)
@pytest.mark.parametrize("solver", ["sgd", "adam", "rmsprop"])
def test_weight_decay_follows_its_schedule(solver, schedule):
    model, trainer = fitted_and_reference(solver, weight_decay=0.8, decay_schedule=schedule)
    assert_agree(model, trainer)
    constant, _ = fitted_and_reference(solver, weight_decay=0.8)
    assert np.abs(constant.coefs_[0] - model.coefs_[0]).max() > 1e-3


@pytest.mark.parametrize(
    ("rate_schedule", "decay_schedule"), [("one_cycle", "linear_warmup_cosine"), ("linear_warmup_cosine", "one_cycle")]
)
def test_schedules_with_different_default_warmups(rate_schedule, decay_schedule):
    model, trainer = fitted_and_reference("adam", weight_decay=0.8, rate_schedule=rate_schedule, decay_schedule=decay_schedule)
    assert_agree(model, trainer)


# with this schedule, the factor is 1 in the first epoch and so small in the others that it has no effect
ONLY_FIRST = {"regularization_schedule": "step", "learning_rate_step": 1, "learning_rate_decay": 1e-300}


@each_kind
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "params",
    [
        {"dropout": 0.3},
        {"dropout": [0.2, 0, 0.3]},
        {"weight_decay": 0.5},
        {"dropout": 0.3, "weight_decay": 0.5, "batch_norm": True},
    ],
    ids=str,
)
def test_without_strength_training_is_that_without_regularization(kind, params, dtype, n_threads):
    options = OPTIONS | {"warm_start": "resume", "n_threads": n_threads, "solver": "adamw", "learning_rate_horizon": N_EPOCHS}
    rows, y = X.astype(dtype), targets(kind)
    model = kind(**options, **params, **ONLY_FIRST).fit(rows, y)
    parts = kind(**options | {"max_iter": 1}, **params, **ONLY_FIRST | {"regularization_schedule": None}).fit(rows, y)
    off = {name: 0.0 for name in params if name != "batch_norm"}
    parts.set_params(max_iter=N_EPOCHS - 1, **off).fit(rows, y)
    assert bits(parts) == bits(model)
    assert_array_equal(parts.loss_curve_, model.loss_curve_)
    assert bits(kind(**options, **params).fit(rows, y)) != bits(model)


@each_kind
@pytest.mark.parametrize("schedule", OF_PROGRESS)
def test_schedule_without_regularization_changes_nothing(kind, schedule):
    plain = kind(**OPTIONS).fit(X, targets(kind))
    assert bits(kind(**OPTIONS, regularization_schedule=schedule).fit(X, targets(kind))) == bits(plain)


def test_penalties_and_noise_do_not_follow_the_schedule():
    options = OPTIONS | {"alpha": 0.3, "l1": 0.1, "input_noise": 0.2, "max_norm": 1.0}
    assert bits(MLPRegressor(**options).fit(X, Y)) == bits(MLPRegressor(**options, **ONLY_FIRST).fit(X, Y))


@pytest.mark.parametrize("name", ["constant", "invscaling", "adaptive", "reduce_on_plateau", "linear", True])
def test_other_schedules_of_regularization_are_rejected(name):
    with pytest.raises(ValueError, match="The 'regularization_schedule' parameter of MLPRegressor must be"):
        MLPRegressor(**OPTIONS, regularization_schedule=name).fit(X, Y)


# ---------------------------------------------------------------------- both, with other features

BOTH = {
    "weight_decay": 0.3,
    "dropout": 0.2,
    "regularization_schedule": "coslog4",
    "learning_rate_factors": {"coefs": [0.5, 1, 2], "intercepts": 0.1},
}


@each_kind
@pytest.mark.parametrize("n_threads", [1, 2])
def test_resumed_training_is_bitwise_identical(kind, n_threads, tmp_path):
    options = OPTIONS | BOTH | {"n_threads": n_threads, "warm_start": "resume", "learning_rate_horizon": N_EPOCHS}
    whole = kind(**options).fit(X, targets(kind))
    parts = kind(**options).set_params(max_iter=1).fit(X, targets(kind))
    fastbp.save(parts, tmp_path / "model")
    for model in (parts, pickle.loads(pickle.dumps(parts)), fastbp.load(tmp_path / "model")):
        assert model.learning_rate_factors == BOTH["learning_rate_factors"]
        model.set_params(max_iter=N_EPOCHS - 1).fit(X, targets(kind))
        assert bits(model) == bits(whole)


@each_kind
def test_partial_fit_counts_epochs_for_the_schedule(kind):
    options = OPTIONS | {
        "weight_decay": 0.5,
        "learning_rate_horizon": N_EPOCHS,
        "shuffle": False,
        "regularization_schedule": "cosine",
    }
    whole, parts = kind(**options).fit(X, targets(kind)), kind(**options)
    for _ in range(N_EPOCHS):
        parts.partial_fit(X, targets(kind), **({"classes": [0, 1, 2]} if kind is MLPClassifier else {}))
    assert bits(parts) == bits(whole)


@each_kind
def test_clones_and_warm_starts(kind):
    model = kind(**OPTIONS, **BOTH)
    assert clone(model).get_params() == model.get_params()
    assert bits(clone(model).fit(X, targets(kind))) == bits(model.fit(X, targets(kind)))
    before = bits(model)
    model.set_params(warm_start=True, learning_rate_factors={"coefs": 0, "intercepts": 0}).fit(X, targets(kind))
    assert bits(model) == before


@each_kind
@pytest.mark.parametrize("name", ["regularization_schedule", "learning_rate_factors"])
def test_lbfgs_is_refused(kind, name):
    with pytest.raises(ValueError, match=rf"^{name}=.* is not supported for solver='lbfgs'.*do not set {name}"):
        kind(**OPTIONS | {"solver": "lbfgs"}, **{name: BOTH[name]}).fit(X, targets(kind))
