"""The solvers that are called: all but scikit-learn's two.

Each takes one step over flat arrays of equal length: the parameters w, the gradient g, up to two moments, and what it was asked, by
the places named below. The slope of a parameter is (g + alpha w) / weight of the batch, as everywhere. The formulas are
PyTorch's.
"""

import numpy as np

from ..jit import EXACT, lazy_entry

# Where a step's numbers stand: the learning rate, 1 / the weight of the batch, the L2 penalty, the decay `rho`, Adam's decays, ε,
# 1 − β₁ᵗ and 1 − β₂ᵗ, and the momenta of Nadam at t and t + 1 with the products of all up to each.
RATE, SCALE, ALPHA, RHO, BETA_1, BETA_2, EPSILON, REST_1, REST_2, MU, NEXT_MU, PRODUCT, NEXT_PRODUCT = range(13)
N_NUMBERS = 16


@lazy_entry(fastmath=EXACT)
def adagrad(w, g, s, unused, asked):
    """s ← s + g², w ← w − η g / (√s + ε); Duchi, Hazan and Singer 2011."""
    real = w.dtype.type
    lr, scale, alpha, epsilon = real(asked[RATE]), real(asked[SCALE]), real(asked[ALPHA]), real(asked[EPSILON])
    for q in range(w.size):
        slope = (g[q] + alpha * w[q]) * scale
        s[q] += slope * slope
        w[q] -= lr * slope / (np.sqrt(s[q]) + epsilon)


@lazy_entry(fastmath=EXACT)
def adadelta(w, g, v, u, asked):
    """v ← ρ v + (1−ρ) g², Δ = g √(u+ε) / √(v+ε), u ← ρ u + (1−ρ) Δ², w ← w − η Δ; Zeiler 2012."""
    real = w.dtype.type
    lr, scale, alpha, epsilon = real(asked[RATE]), real(asked[SCALE]), real(asked[ALPHA]), real(asked[EPSILON])
    rho, rest = real(asked[RHO]), real(1 - asked[RHO])
    for q in range(w.size):
        slope = (g[q] + alpha * w[q]) * scale
        v[q] = rho * v[q] + rest * (slope * slope)
        step = slope * np.sqrt(u[q] + epsilon) / np.sqrt(v[q] + epsilon)
        u[q] = rho * u[q] + rest * (step * step)
        w[q] -= lr * step


@lazy_entry(fastmath=EXACT)
def rmsprop(w, g, v, unused, asked):
    """v ← ρ v + (1−ρ) g², w ← w − η g / (√v + ε); Tieleman and Hinton 2012."""
    real = w.dtype.type
    lr, scale, alpha, epsilon = real(asked[RATE]), real(asked[SCALE]), real(asked[ALPHA]), real(asked[EPSILON])
    rho, rest = real(asked[RHO]), real(1 - asked[RHO])
    for q in range(w.size):
        slope = (g[q] + alpha * w[q]) * scale
        v[q] = rho * v[q] + rest * (slope * slope)
        w[q] -= lr * slope / (np.sqrt(v[q]) + epsilon)


@lazy_entry(fastmath=EXACT)
def adamw(w, g, m, v, asked):
    """Adam with ε beside the corrected root: w ← w − η m̂ / (√v̂ + ε); Loshchilov and Hutter 2019, by whom the decay is decoupled."""
    real = w.dtype.type
    scale, alpha, epsilon = real(asked[SCALE]), real(asked[ALPHA]), real(asked[EPSILON])
    beta_1, rest_1, beta_2, rest_2 = real(asked[BETA_1]), real(1 - asked[BETA_1]), real(asked[BETA_2]), real(1 - asked[BETA_2])
    lr, root = real(asked[RATE] / asked[REST_1]), real(1 / np.sqrt(asked[REST_2]))
    for q in range(w.size):
        slope = (g[q] + alpha * w[q]) * scale
        m[q] = beta_1 * m[q] + rest_1 * slope
        v[q] = beta_2 * v[q] + rest_2 * (slope * slope)
        w[q] -= lr * m[q] / (np.sqrt(v[q]) * root + epsilon)


@lazy_entry(fastmath=EXACT)
def nadam(w, g, m, v, asked):
    """w ← w − η (μₜ₊₁ m / (1 − Πₜ₊₁) + (1 − μₜ) g / (1 − Πₜ)) / (√v̂ + ε), with μₜ = β₁ (1 − ½ 0.96^(t/250)); Dozat 2016."""
    real = w.dtype.type
    scale, alpha, epsilon, root = real(asked[SCALE]), real(asked[ALPHA]), real(asked[EPSILON]), real(1 / np.sqrt(asked[REST_2]))
    beta_1, rest_1, beta_2, rest_2 = real(asked[BETA_1]), real(1 - asked[BETA_1]), real(asked[BETA_2]), real(1 - asked[BETA_2])
    of_m = real(asked[RATE] * asked[NEXT_MU] / (1 - asked[NEXT_PRODUCT]))
    of_slope = real(asked[RATE] * (1 - asked[MU]) / (1 - asked[PRODUCT]))
    for q in range(w.size):
        slope = (g[q] + alpha * w[q]) * scale
        m[q] = beta_1 * m[q] + rest_1 * slope
        v[q] = beta_2 * v[q] + rest_2 * (slope * slope)
        w[q] -= (of_m * m[q] + of_slope * slope) / (np.sqrt(v[q]) * root + epsilon)


@lazy_entry(fastmath=EXACT)
def adamax(w, g, m, u, asked):
    """u ← max(β₂ u, |g| + ε), w ← w − η m / ((1 − β₁ᵗ) u); Kingma and Ba 2015, section 7."""
    real = w.dtype.type
    scale, alpha, epsilon = real(asked[SCALE]), real(asked[ALPHA]), real(asked[EPSILON])
    beta_1, rest_1, beta_2, lr = (
        real(asked[BETA_1]),
        real(1 - asked[BETA_1]),
        real(asked[BETA_2]),
        real(asked[RATE] / asked[REST_1]),
    )
    for q in range(w.size):
        slope = (g[q] + alpha * w[q]) * scale
        m[q] = beta_1 * m[q] + rest_1 * slope
        size, kept = abs(slope) + epsilon, beta_2 * u[q]
        u[q] = size if size > kept else kept
        w[q] -= lr * m[q] / u[q]


@lazy_entry(fastmath=EXACT)
def lion(w, g, m, unused, asked):
    """w ← w − η sign(β₁ m + (1−β₁) g), m ← β₂ m + (1−β₂) g; Chen and others 2023."""
    real = w.dtype.type
    lr, scale, alpha, zero = real(asked[RATE]), real(asked[SCALE]), real(asked[ALPHA]), real(0)
    beta_1, rest_1, beta_2, rest_2 = real(asked[BETA_1]), real(1 - asked[BETA_1]), real(asked[BETA_2]), real(1 - asked[BETA_2])
    for q in range(w.size):
        slope = (g[q] + alpha * w[q]) * scale
        direction = beta_1 * m[q] + rest_1 * slope
        m[q] = beta_2 * m[q] + rest_2 * slope
        w[q] -= lr if direction > zero else (-lr if direction < zero else direction)  # 0 stays, and NaN is passed on


# each with how many moments it keeps
SOLVERS = {
    function.__name__: (function, n_moments)
    for function, n_moments in ((adagrad, 1), (adadelta, 2), (rmsprop, 1), (adamw, 2), (nadam, 2), (adamax, 2), (lion, 1))
}
