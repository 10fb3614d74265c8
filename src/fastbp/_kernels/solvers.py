"""How a gradient becomes a step, over flat buffers.

Parameters, gradient and the solver's own moments enter as arrays of one length and are updated in place; which of them are weights
or biases, and of what layer, is not known here. scikit-learn's two are part of the epochs; all others are called, and stand in
`called.solvers`.
"""

from enum import IntEnum

import numpy as np

from .adam import adam_step_of_vectors, sum_of_squares_of_vectors
from .function_pointers import call
from .jit import EXACT, kernel
from .lazy.solvers import (
    ALPHA,
    BETA_1,
    BETA_2,
    EPSILON,
    MU,
    NEXT_MU,
    NEXT_PRODUCT,
    PRODUCT,
    RATE,
    REST_1,
    REST_2,
    RHO,
    SCALE,
    SOLVERS,
)
from .views import vector


class SolverCode(IntEnum):
    """What `solver` may be beside "lbfgs", by scikit-learn's names; `called` is any other, by its address."""

    sgd = 0
    adam = 1
    called = 2


N_MOMENTS = {"sgd": 1, "adam": 2} | {name: n_moments for name, (_, n_moments) in SOLVERS.items()}


@kernel(optimize=False)
def update(settings, progress, params, gradient, moments, asked, n_coefs, alpha, scale, low, high):
    """One step of parameters low to high; params (n_params,), gradient (≥ n_params,), moments (n_moments · n_params,).

    The first n_coefs parameters bear the L2 penalty and the decay. gradient holds Σ_rows ∂loss; the step is taken along
    (gradient + alpha · W) · scale. asked is scratch for the numbers of a solver that is called; epsilon is a normal number.
    """
    progress.step += 1
    base = progress.learning_rate * progress.factor
    rate = base
    if settings.solver == SolverCode.adam:
        base = settings.learning_rate_init * progress.factor
        progress.learning_rate = rate = base * np.sqrt(1 - settings.beta_2**progress.step) / (1 - settings.beta_1**progress.step)
    elif settings.solver == SolverCode.called:
        _ask(settings, progress, rate, scale, asked)
    middle = min(max(n_coefs, low), high)
    if settings.weight_decay > 0:
        _decay(vector(params, low, middle - low), base * settings.weight_decay)
    start, stop = low, middle
    for part in range(2):  # weights, then the rest: a loop, as each call of a kernel is a copy of its code
        squares = _step(settings, rate, scale, alpha, params, gradient, moments, asked, start, stop - start)
        if part == 0:
            progress.squares = squares
        start, stop, alpha = middle, high, 0.0


@kernel()
def _ask(settings, progress, rate, scale, asked):
    """The numbers of a step of a called solver, by their places."""
    t, mu, product = progress.step, settings.beta_1, progress.product
    asked[RATE], asked[SCALE], asked[RHO], asked[EPSILON] = rate, scale, settings.rho, settings.epsilon
    asked[BETA_1], asked[BETA_2] = settings.beta_1, settings.beta_2
    asked[REST_1], asked[REST_2] = 1 - settings.beta_1**t, 1 - settings.beta_2**t
    asked[MU], asked[NEXT_MU] = mu * (1 - 0.5 * 0.96 ** (t / 250)), mu * (1 - 0.5 * 0.96 ** ((t + 1) / 250))
    asked[PRODUCT] = product * asked[MU]
    asked[NEXT_PRODUCT] = asked[PRODUCT] * asked[NEXT_MU]
    progress.product = asked[PRODUCT]


@kernel()
def _decay(w, share):
    """w ← (1 − share) w, as decoupled from the gradient (Loshchilov and Hutter 2019)."""
    kept = w.dtype.type(1 - share)
    for q in range(w.size):
        w[q] *= kept


@kernel(optimize=False)
def _step(settings, learning_rate, scale, alpha, params, gradient, moments, asked, at, size):
    """The step of parameters at to at + size, which share a penalty; returns Σ w² after it, or 0 where that would cost a pass."""
    w, g, m = vector(params, at, size), vector(gradient, at, size), vector(moments, at, size)
    second = vector(moments, params.size + at, size if moments.size > params.size else 0)
    if settings.solver == SolverCode.adam:
        return float(_adam(settings, learning_rate, scale, alpha, w, g, m, second))
    if settings.solver == SolverCode.sgd:
        _sgd(settings, learning_rate, scale, alpha, w, g, m)
    else:
        asked[ALPHA] = alpha
        call(settings.solver_at, w, g, m, second, asked)
    return 0.0


@kernel(fastmath=EXACT)
def squared_norm(w):
    """Σ w², to the bit what a step of Adam makes of the same weights."""
    n_done, total = sum_of_squares_of_vectors(w, w.size)
    return _with_rest(total, w, n_done)


@kernel(fastmath=EXACT)
def _with_rest(total, w, n_done):
    for q in range(n_done, w.size):
        total += w[q] * w[q]
    return total


@kernel(fastmath=EXACT)  # as in `adam`, a squared gradient that overflows must stay ∞, so that its step is 0
def _adam(settings, learning_rate, scale, alpha, w, g, m, v):
    """m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², w ← w − η m / (√v + ε); Kingma and Ba 2014, ε outside the correction."""
    real = w.dtype.type
    lr, scale, alpha = real(learning_rate), real(scale), real(alpha)
    beta_1, beta_2, epsilon = real(settings.beta_1), real(settings.beta_2), real(settings.epsilon)
    rest_1, rest_2 = real(1 - settings.beta_1), real(1 - settings.beta_2)
    n_done, squares = adam_step_of_vectors(w, g, m, v, lr, scale, alpha, beta_1, rest_1, beta_2, rest_2, epsilon, w.size)
    for q in range(n_done, w.size):
        slope = (g[q] + alpha * w[q]) * scale
        m[q] = beta_1 * m[q] + rest_1 * slope
        v[q] = beta_2 * v[q] + rest_2 * (slope * slope)
        w[q] -= lr * m[q] / (np.sqrt(v[q]) + epsilon)
    return _with_rest(squares, w, n_done)


@kernel()
def _sgd(settings, learning_rate, scale, alpha, w, g, v):
    """v ← μv − ηg, then w ← w + v, or with Nesterov's look ahead w ← w + μv − ηg."""
    real = w.dtype.type
    lr, scale, alpha, momentum = real(learning_rate), real(scale), real(alpha), real(settings.momentum)
    if settings.nesterov:
        for q in range(w.size):
            step = lr * ((g[q] + alpha * w[q]) * scale)
            v[q] = momentum * v[q] - step
            w[q] += momentum * v[q] - step
    else:
        for q in range(w.size):
            v[q] = momentum * v[q] - lr * ((g[q] + alpha * w[q]) * scale)
            w[q] += v[q]
