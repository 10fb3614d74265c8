"""Dropout and noise have the right distribution, are independent, and do not depend on blocks and threads.

The functions are called with arrays and with the position of a block in the sequence of random numbers, as in the kernels. Bounds
are five standard deviations of the tested statistic; all seeds are fixed.
"""

from math import sqrt

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from fastbp import MLPClassifier, MLPRegressor
from fastbp._kernels.lazy.draws import add_noise, drop
from fastbp._kernels.scratch import DRAW_STATE

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N_SIGMAS, SHARES = 5, [0.02, 0.3, 0.5, 0.9]
NO_SLOPES = {dtype: np.empty((0, 0), dtype) for dtype in (np.float32, np.float64)}


def draw_state(seed=0, step=0, first_row=0):
    return np.array([(seed, step, first_row, 1.0)], DRAW_STATE)


def ones_dropped(share, n_rows=100, n_units=200, layer=0, dtype=np.float64, **where):
    A = np.ones((n_rows, n_units), dtype)
    drop(A, NO_SLOPES[dtype], NO_SLOPES[dtype], n_units, draw_state(**where), layer, int(share * 2**32))
    return A


def noise(n_rows=100, n_units=1000, layer=-1, dtype=np.float64, deviation=1.0, **where):
    A = np.zeros((n_rows, n_units), dtype)
    add_noise(A, NO_SLOPES[dtype], NO_SLOPES[dtype], n_units, draw_state(**where), layer, int(deviation * 2**32))
    return A


def assert_uncorrelated(one, other):
    one, other = np.asarray(one, float).ravel(), np.asarray(other, float).ravel()
    assert abs(np.corrcoef(one, other)[0, 1]) < N_SIGMAS / sqrt(one.size)


# ---------------------------------------------------------------------- dropout


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("share", SHARES)
def test_fraction_of_dropped_units(share, dtype):
    steps = np.array([ones_dropped(share, layer=layer, step=step, dtype=dtype) for layer in (-1, 0, 1, 7) for step in range(25)])
    dropped = steps == 0
    assert_allclose(steps[~dropped], 1 / (1 - share), rtol=1e-6)
    for axes in [(0, 1, 2), (1, 2), (0, 1), (0, 2)]:  # overall, and for each step, unit and row
        shares = dropped.mean(axis=axes)
        n = dropped.size / shares.size
        assert (np.abs(shares - share) < (N_SIGMAS + 0.5) * sqrt(share * (1 - share) / n)).all()
        # the variance of independent draws: this sum of squares is approximately normal
        if shares.size > 50:
            chi_square = ((shares - share) ** 2).sum() * n / (share * (1 - share))
            assert abs(chi_square - shares.size) < N_SIGMAS * sqrt(2 * shares.size)
    assert abs(steps.mean(dtype=float) - 1) < N_SIGMAS * sqrt(share / (1 - share) / steps.size)


@pytest.mark.parametrize("share", SHARES)
def test_dropout_is_independent(share):
    base = ones_dropped(share, 300, 400, seed=5, step=3)
    others = {
        "step": ones_dropped(share, 300, 400, seed=5, step=4),
        "seed": ones_dropped(share, 300, 400, seed=6, step=3),
        "seed and step": ones_dropped(share, 300, 400, seed=3, step=5),
        "layer": ones_dropped(share, 300, 400, seed=5, step=3, layer=1),
        "inputs": ones_dropped(share, 300, 400, seed=5, step=3, layer=-1),
        "high bits of the seed": ones_dropped(share, 300, 400, seed=5 + 2**32, step=3),
    }
    for other in others.values():
        assert not np.array_equal(base, other)
        assert_uncorrelated(base, other)
    for lag in (1, 2, 3, 4, 8, 16, 64, 128):
        assert_uncorrelated(base[lag:], base[:-lag])
        assert_uncorrelated(base[:, lag:], base[:, :-lag])
        assert_uncorrelated(base[lag:, lag:], base[:-lag, :-lag])
        assert_uncorrelated(base[lag:, :-lag], base[:-lag, lag:])
    correlations = np.corrcoef(base.T) - np.eye(400)
    if share > 0.1:  # the maximum of 80,000 values that are approximately normal
        assert np.abs(correlations).max() < 6.5 / sqrt(300)
    assert abs((correlations**2).sum() / (400 * 399) - 1 / 299) < 5e-4


def test_rows_of_neighboring_layers_and_steps_are_independent():
    """A shift by a few rows does not reproduce the numbers of the previous or next layer or step."""
    base = ones_dropped(0.5, 300, 400, seed=1, step=10, layer=2)
    for step, layer in [(9, 2), (11, 2), (10, 1), (10, 3), (9, 3), (11, 1)]:
        other = ones_dropped(0.5, 300, 400, seed=1, step=step, layer=layer)
        for lag in (1, 2, 5):
            assert_uncorrelated(base[lag:], other[:-lag])
            assert_uncorrelated(base[:-lag], other[lag:])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("blocks", [[1] * 40, [7, 13, 20], [39, 1]])
def test_draws_do_not_depend_on_blocks(blocks, dtype):
    for draw in (lambda **where: ones_dropped(0.4, n_units=9, dtype=dtype, **where), lambda **where: noise(n_units=9, **where)):
        whole, at = draw(n_rows=40, seed=2, step=8), 0
        for n_rows in blocks:
            assert_array_equal(draw(n_rows=n_rows, seed=2, step=8, first_row=at), whole[at : at + n_rows])
            at += n_rows


def test_slopes_are_dropped_like_activations_and_padding_is_unchanged():
    random = np.random.default_rng(0)
    A, slopes = random.normal(size=(2, 30, 12))
    a, s = A.copy(), slopes.copy()
    drop(a, s, NO_SLOPES[np.float64], 10, draw_state(3, 4), 0, int(0.25 * 2**32))
    kept = a[:, :10] != 0
    assert_allclose(a[:, :10], np.where(kept, A[:, :10] / 0.75, 0))
    assert_allclose(s[:, :10], np.where(kept, slopes[:, :10] / 0.75, 0))
    assert_array_equal(a[:, 10:], A[:, 10:])
    assert_array_equal(s[:, 10:], slopes[:, 10:])


def test_dropout_does_not_depend_on_the_number_of_units():
    assert_array_equal(ones_dropped(0.4, n_units=50)[:, :20], ones_dropped(0.4, n_units=20))


# ---------------------------------------------------------------------- noise


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_is_standard_normal(dtype):
    drawn = np.array([noise(step=step, dtype=dtype) for step in range(10)], float).ravel()
    n = drawn.size
    assert abs(drawn.mean()) < N_SIGMAS / sqrt(n)
    assert abs(drawn.var() - 1) < N_SIGMAS * sqrt(2 / n)
    assert abs(stats.skew(drawn)) < N_SIGMAS * sqrt(6 / n)
    assert abs(stats.kurtosis(drawn)) < N_SIGMAS * sqrt(24 / n)
    for part in np.split(drawn, 10):  # 100,000 values each
        assert stats.kstest(part, "norm").pvalue > 1e-3
    assert 4.2 < np.abs(drawn).max() < 6.8  # the maximum of a million values
    tail = (np.abs(drawn) > 3).sum()
    assert abs(tail - n * 2 * stats.norm.sf(3)) < N_SIGMAS * sqrt(n * 2 * stats.norm.sf(3))


def test_noise_is_independent():
    base = noise(seed=5, step=3)
    for other in (noise(seed=5, step=4), noise(seed=6, step=3), noise(seed=5, step=3, layer=0), noise(seed=3, step=5)):
        assert_uncorrelated(base, other)
        assert_uncorrelated(base**2, other**2)
    for power in (1, 2, 3):
        powers = base**power
        for lag in (1, 2, 3, 16, 50):
            assert_uncorrelated(powers[lag:], powers[:-lag])
            assert_uncorrelated(powers[:, lag:], powers[:, :-lag])
    assert_uncorrelated(base, ones_dropped(0.5, 100, 1000, seed=5, step=3, layer=-1))  # at the same positions


def test_noise_is_added_and_scaled():
    A = np.random.default_rng(0).normal(size=(20, 8))
    noisy = A.copy()
    add_noise(noisy, NO_SLOPES[np.float64], NO_SLOPES[np.float64], 6, draw_state(1, 2), -1, int(0.3 * 2**32))
    assert_allclose(noisy[:, :6] - A[:, :6], 0.3 * noise(20, 6, seed=1, step=2), rtol=1e-8, atol=1e-12)
    assert_array_equal(noisy[:, 6:], A[:, 6:])


@pytest.mark.parametrize("deviation", [0.5, 3.0, 1e4])
def test_standard_deviation_of_noise(deviation):
    assert_allclose(noise(deviation=deviation).std(), deviation, rtol=0.02)


# ---------------------------------------------------------------------- in training

RANDOM = np.random.RandomState(0)
X = RANDOM.normal(size=(64, 5))
Y = {MLPClassifier: (X[:, 0] > X[:, 1] ** 2 - 0.5).astype(int), MLPRegressor: X[:, 0] - X[:, 1]}
SMALL = {"hidden_layer_sizes": (12, 7), "random_state": 0, "max_iter": 5, "tol": 0, "n_iter_no_change": np.inf}
each_kind = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
RANDOM = [{"dropout": 0.4}, {"dropout": [0.2, 0.0, 0.5]}, {"input_noise": 0.7}, {"dropout": [0.3] * 3, "input_noise": 0.2}]


@each_kind
@pytest.mark.parametrize("random", RANDOM, ids=str)
def test_threads_do_not_change_the_draws(kind, random):
    one, two = (kind(**SMALL, **random, batch_size=20, n_threads=n).fit(X, Y[kind]) for n in (1, 2))
    assert_allclose(one.loss_curve_, two.loss_curve_, rtol=1e-9)
    for W, V in zip(one.coefs_, two.coefs_, strict=True):
        assert_allclose(W, V, rtol=1e-7, atol=1e-10)


@each_kind
@pytest.mark.parametrize("random", RANDOM, ids=str)
def test_draws_depend_only_on_the_seed(kind, random):
    start = kind(**SMALL | {"max_iter": 1, "learning_rate_init": 1e-12}).fit(X, Y[kind])
    starts = {"coefs_init": start.coefs_, "intercepts_init": start.intercepts_, "shuffle": False, "n_threads": 1}
    one, again, other = (kind(**SMALL | {"random_state": seed}, **random, **starts).fit(X, Y[kind]) for seed in (1, 1, 2))
    assert one.loss_curve_ == again.loss_curve_
    assert not np.isclose(one.loss_curve_, other.loss_curve_, rtol=1e-6).any()


@each_kind
@pytest.mark.parametrize("off", [{"dropout": 0}, {"dropout": [0, 0.0]}, {"dropout": [0.0] * 3}, {"input_noise": 0}], ids=str)
def test_rates_of_zero_do_not_change_the_result(kind, off):
    plain, same = kind(**SMALL).fit(X, Y[kind]), kind(**SMALL, **off).fit(X, Y[kind])
    for W, V in zip(plain.coefs_, same.coefs_, strict=True):
        assert_array_equal(W, V)


@pytest.mark.parametrize("options", [{"dropout": [0.3]}, {"input_noise": 0.6}], ids=str)
def test_dropout_and_noise_are_penalties_of_linear_models(options):
    """For linear models, dropout and noise are equivalent to ridge penalties.

    The penalty of dropout of inputs is p / (1 − p) x² (Wager and others 2013), the penalty of noise its variance (Bishop 1995).
    """
    random = np.random.default_rng(1)
    X = random.normal(size=(200, 3)) @ np.array([[1, 0.5, 0], [0, 1, -0.4], [0, 0, 1]])
    y = X @ [1.0, -2.0, 0.5] + random.normal(0, 0.1, 200)
    model = MLPRegressor(
        hidden_layer_sizes=(),
        solver="sgd",
        momentum=0,
        alpha=0,
        learning_rate="linear_warmup_cosine",
        learning_rate_init=0.05,
        max_iter=4000,
        batch_size=200,
        tol=0,
        n_iter_no_change=np.inf,
        ema_decay=0.997,
        random_state=0,
        **options,
    ).fit(X, y)
    ones = np.column_stack([X, np.ones(200)])
    diagonal = 0.3 / 0.7 * np.diag([*(X**2).mean(axis=0), 0]) if "dropout" in options else 0.36 * np.diag([1, 1, 1, 0])
    expected = np.linalg.solve(ones.T @ ones / 200 + diagonal, ones.T @ y / 200)
    assert np.abs(expected[:3] - [1, -2, 0.5]).max() > 0.1
    assert_allclose(np.append(model.coefs_[0], model.intercepts_[0]), expected, atol=0.02)
