"""The update of the parameters, over flat buffers.

The parameters and the moments of the solver are updated in place from the gradient. scikit-learn's two solvers are compiled into
every fit; the other solvers are called by their address and are defined in `lazy.solvers`. This module does not know about layers.
"""

import math
from typing import NamedTuple

import numpy as np

from .adam import adam_step_of_vectors, sum_of_squares_of_vectors
from .codes import SolverCode
from .function_pointers import call
from .integers import maximum, minimum
from .jit import EXACT, kernel
from .views import vector


class Source(NamedTuple):
    """The parameters (n_params,) and the moments (n_moments · n_params,) before the first update, if `PROGRESS` has `from_source`.

    The first update reads them and writes the new values to other buffers. A call of `partial_fit` therefore does not change the
    model before it has succeeded, and does not copy it in advance.
    """

    params: np.ndarray
    moments: np.ndarray


_MAX_MULTIPLIED = 0x10000  # the largest exponent for which Numba multiplies; a larger one is passed to `pow` of the C library


@kernel(fastmath=EXACT)
def _power(base, exponent):
    """Return base^exponent for an exponent ≥ 0, by repeated squaring, with the bits of Numba's operator."""
    if exponent > _MAX_MULTIPLIED:
        return math.pow(base, np.float64(exponent))
    result = 1.0
    while exponent != 0:
        if exponent & 1:
            result *= base
        exponent >>= 1
        base *= base
    return result


@kernel()
def begin_step(settings, progress, scale, hyperparams):
    """Count a step; return its learning rate, and the learning rate from which the weight decay is computed.

    `hyperparams` is written for solvers that are called by address.
    """
    progress.step += 1
    base = progress.learning_rate * progress.factor
    rate = base
    if settings.solver == SolverCode.adam:
        base = settings.learning_rate_init * progress.factor
        progress.learning_rate = rate = (
            base * np.sqrt(1 - _power(settings.beta_2, progress.step)) / (1 - _power(settings.beta_1, progress.step))
        )
    elif settings.solver == SolverCode.by_address:
        _write_hyperparams(settings, progress, rate, scale, hyperparams[0])
    return rate, base


@kernel(optimize=False)
def update(settings, rate, base, source, from_source, params, gradient, moments, hyperparams, segments, alpha, scale, low, high):
    """Update parameters low to high by one step; return their Σ (factor of alpha) w² after a step of Adam, or 0.

    params (n_params,), gradient (≥ n_params,), moments (n_moments · n_params,). If `from_source`, the values before the step are
    those of `source`. `segments` are records of `SEGMENT`. gradient contains Σ_rows ∂loss/∂params, and the solver receives
    (gradient + alpha · w) · scale. `rate` and `base` are the results of `begin_step`. epsilon must be a normal number.
    """
    old_params, old_moments = params, moments
    if from_source and settings.solver == SolverCode.adam and settings.weight_decay == 0:
        old_params, old_moments = source.params, source.moments
    elif from_source:  # the other solvers, and the weight decay, change values in place
        copy_part(source.params, params, low, high - low)
        for at in range(low, moments.size, params.size):
            copy_part(source.moments, moments, at, high - low)
    squares = 0.0
    for number in range(segments.size):
        segment = segments[number]
        start, stop = maximum(segment.start, low), minimum(segment.stop, high)
        if start < stop:
            if settings.weight_decay * segment.decay > 0:
                _decay(vector(params, start, stop - start), base * settings.weight_decay * segment.decay)
            of_part = _step(
                settings,
                segment,
                rate * segment.rate,
                scale,
                alpha * segment.alpha,
                old_params,
                old_moments,
                params,
                gradient,
                moments,
                hyperparams,
                start,
                stop - start,
            )
            if segment.alpha > 0:
                squares += segment.alpha * of_part
    return squares


@kernel()
def penalized_squares(segments, params, low, high):
    """Return Σ (factor of alpha) w² over parameters low to high, with the same bits as a step of Adam."""
    squares = 0.0
    for number in range(segments.size):
        segment = segments[number]
        start, stop = maximum(segment.start, low), minimum(segment.stop, high)
        if segment.alpha > 0 and start < stop:
            squares += segment.alpha * _squared_norm(vector(params, start, stop - start))
    return squares


@kernel()
def copy_part(source, target, at, size):
    """Compute target[at : at + size] ← source[at : at + size]."""
    source, target = vector(source, at, size), vector(target, at, size)
    for q in range(size):
        target[q] = source[q]


@kernel()
def _write_hyperparams(settings, progress, rate, scale, hyperparams):
    """Write the hyperparameters of this step for a solver that is called by address."""
    t, mu = progress.step, settings.beta_1
    hyperparams.scale, hyperparams.rho = scale, settings.rho
    hyperparams.beta_1, hyperparams.beta_2 = settings.beta_1, settings.beta_2
    hyperparams.correction_1, hyperparams.correction_2 = 1 - _power(settings.beta_1, t), 1 - _power(settings.beta_2, t)
    hyperparams.momentum = mu * (1 - 0.5 * 0.96 ** (t / 250))
    hyperparams.next_momentum = mu * (1 - 0.5 * 0.96 ** ((t + 1) / 250))
    hyperparams.momentum_product = progress.product * hyperparams.momentum
    hyperparams.next_momentum_product = hyperparams.momentum_product * hyperparams.next_momentum
    progress.product = hyperparams.momentum_product


@kernel()
def _decay(w, share):
    """Compute w ← (1 − share) w: weight decay, decoupled from the gradient (Loshchilov and Hutter 2019)."""
    kept = w.dtype.type(1 - share)
    for q in range(w.size):
        w[q] *= kept


@kernel(optimize=False)
def _step(
    settings, segment, learning_rate, scale, alpha, old_params, old_moments, params, gradient, moments, hyperparams, at, size
):
    """Update parameters `at` to `at + size` of a segment; return Σ w² after a step of Adam, or 0 for other solvers."""
    w, g, m = vector(params, at, size), vector(gradient, at, size), vector(moments, at, size)
    n_second = size if moments.size > params.size else 0
    second = vector(moments, params.size + at, n_second)
    if settings.solver == SolverCode.adam:
        old_w, old_m = vector(old_params, at, size), vector(old_moments, at, size)
        old_v = vector(old_moments, params.size + at, n_second)
        epsilon = settings.epsilon * segment.epsilon
        return float(_adam(settings, learning_rate, scale, alpha, epsilon, old_w, old_m, old_v, g, w, m, second))
    if settings.solver == SolverCode.sgd:
        _sgd(settings, learning_rate, scale, alpha, w, g, m)
    else:
        hyperparams[0].learning_rate, hyperparams[0].alpha = learning_rate, alpha
        hyperparams[0].epsilon = settings.epsilon * segment.epsilon
        call(settings.solver_address, w, g, m, second, hyperparams)
    return 0.0


@kernel(fastmath=EXACT)
def _squared_norm(w):
    """Return Σ w², with the same bits as the sum that a step of Adam returns."""
    n_done, total = sum_of_squares_of_vectors(w, w.size)
    return _with_rest(total, w, n_done)


@kernel(fastmath=EXACT)
def _with_rest(total, w, n_done):
    for q in range(n_done, w.size):
        total += w[q] * w[q]
    return total


@kernel(fastmath=EXACT)  # a squared gradient that overflows must be infinite, so that the step is 0, as in `adam`
def _adam(settings, learning_rate, scale, alpha, epsilon, old_w, old_m, old_v, g, w, m, v):
    """m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², w ← w − η m / (√v + ε); Kingma and Ba 2014, with ε added to the uncorrected root."""
    real = w.dtype.type
    lr, scale, alpha = real(learning_rate), real(scale), real(alpha)
    beta_1, beta_2, epsilon = real(settings.beta_1), real(settings.beta_2), real(epsilon)
    rest_1, rest_2 = real(1 - settings.beta_1), real(1 - settings.beta_2)
    n_done, squares = adam_step_of_vectors(
        w, m, v, g, old_w, old_m, old_v, lr, scale, alpha, beta_1, rest_1, beta_2, rest_2, epsilon, w.size
    )
    for q in range(n_done, w.size):
        slope = (g[q] + alpha * old_w[q]) * scale
        m[q] = beta_1 * old_m[q] + rest_1 * slope
        v[q] = beta_2 * old_v[q] + rest_2 * (slope * slope)
        w[q] = old_w[q] - lr * m[q] / (np.sqrt(v[q]) + epsilon)
    return _with_rest(squares, w, n_done)


@kernel()
def _sgd(settings, learning_rate, scale, alpha, w, g, v):
    """v ← μv − ηg, w ← w + v or, with Nesterov's momentum, w ← w + μv − ηg."""
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
