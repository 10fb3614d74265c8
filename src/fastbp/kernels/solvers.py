"""How a gradient becomes a step, over flat buffers.

Parameters, gradient and the solver's own moments enter as arrays of one length and are updated in place; which of them are weights
or biases, and of what layer, is not known here. A new solver is one member of `Solver`, its number of moments, and one branch in
``update``.
"""

from enum import IntEnum

import numpy as np

from .jit import EXACT, kernel
from .views import vector


class Solver(IntEnum):
    """What `solver` may be beside "lbfgs"; the names are scikit-learn's."""

    sgd = 0
    adam = 1


N_MOMENTS = {Solver.sgd: 1, Solver.adam: 2}


@kernel(draft=True)
def update(settings, progress, params, gradient, moments, n_coefs, weight_sum, low, high):
    """One step of parameters low to high; params (n_params,), gradient (≥ n_params,), moments (n_moments · n_params,).

    The first n_coefs parameters bear the L2 penalty. gradient holds Σ_rows ∂loss; the step is taken along
    (gradient + alpha · W) / weight_sum.
    """
    progress.step += 1
    scale = 1 / weight_sum
    if settings.solver == Solver.adam:
        correction = np.sqrt(1 - settings.beta_2**progress.step) / (1 - settings.beta_1**progress.step)
        progress.learning_rate = settings.learning_rate_init * correction
    middle = min(max(n_coefs, low), high)
    _step(settings, progress.learning_rate, scale, settings.alpha, params, gradient, moments, low, middle - low)
    _step(settings, progress.learning_rate, scale, 0.0, params, gradient, moments, middle, high - middle)


@kernel(draft=True)
def _step(settings, learning_rate, scale, alpha, params, gradient, moments, at, size):
    """The step of parameters at to at + size, which share a penalty."""
    w, g, m = vector(params, at, size), vector(gradient, at, size), vector(moments, at, size)
    if settings.solver == Solver.adam:
        _adam(settings, learning_rate, scale, alpha, w, g, m, vector(moments, params.size + at, size))
    else:
        _sgd(settings, learning_rate, scale, alpha, w, g, m)


@kernel()
def squared_norm(w):
    """Σ w²."""
    total = w.dtype.type(0)
    for q in range(w.size):
        total += w[q] * w[q]
    return total


@kernel(fastmath=EXACT)  # a squared gradient that overflows must stay ∞, so that its step is 0
def _adam(settings, learning_rate, scale, alpha, w, g, m, v):
    """m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², w ← w − η m / (√v + ε); Kingma and Ba 2014, ε outside the correction."""
    real = w.dtype.type
    lr, scale, alpha = real(learning_rate), real(scale), real(alpha)
    epsilon = real(max(settings.epsilon, float(np.finfo(w.dtype).tiny)))  # a smaller one would be flushed, and 0 / 0 be left
    beta_1, beta_2 = real(settings.beta_1), real(settings.beta_2)
    rest_1, rest_2 = real(1 - settings.beta_1), real(1 - settings.beta_2)
    for q in range(w.size):
        slope = (g[q] + alpha * w[q]) * scale
        m[q] = beta_1 * m[q] + rest_1 * slope
        v[q] = beta_2 * v[q] + rest_2 * (slope * slope)
        w[q] -= lr * m[q] / (np.sqrt(v[q]) + epsilon)


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
