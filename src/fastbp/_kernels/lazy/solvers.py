"""The stochastic solvers other than scikit-learn's "sgd" and "adam".

Each function takes one step over flat arrays of equal length: the parameters w, the gradient g, and up to two moments.
`hyperparams` is a `HYPERPARAMS` record. In the formulas, g is (g + alpha w) · scale, as for scikit-learn's solvers. The formulas
are those of PyTorch. A new solver is added as a function in this module and an entry in `_SOLVERS`. This module does not know about
layers.
"""

import numpy as np

from ..jit import EXACT, lazy_entry


@lazy_entry(fastmath=EXACT)
def adagrad(w, g, s, unused, hyperparams):
    """s ← s + g², w ← w − η g / (√s + ε); Duchi, Hazan and Singer 2011."""
    real, h = w.dtype.type, hyperparams[0]
    lr, scale, alpha, epsilon = real(h.learning_rate), real(h.scale), real(h.alpha), real(h.epsilon)
    for q in range(w.size):
        slope = (g[q] + alpha * w[q]) * scale
        s[q] += slope * slope
        w[q] -= lr * slope / (np.sqrt(s[q]) + epsilon)


@lazy_entry(fastmath=EXACT)
def adadelta(w, g, v, u, hyperparams):
    """v ← ρ v + (1−ρ) g², Δ = g √(u+ε) / √(v+ε), u ← ρ u + (1−ρ) Δ², w ← w − η Δ; Zeiler 2012."""
    real, h = w.dtype.type, hyperparams[0]
    lr, scale, alpha, epsilon = real(h.learning_rate), real(h.scale), real(h.alpha), real(h.epsilon)
    rho, rest = real(h.rho), real(1 - h.rho)
    for q in range(w.size):
        slope = (g[q] + alpha * w[q]) * scale
        v[q] = rho * v[q] + rest * (slope * slope)
        step = slope * np.sqrt(u[q] + epsilon) / np.sqrt(v[q] + epsilon)
        u[q] = rho * u[q] + rest * (step * step)
        w[q] -= lr * step


@lazy_entry(fastmath=EXACT)
def rmsprop(w, g, v, unused, hyperparams):
    """v ← ρ v + (1−ρ) g², w ← w − η g / (√v + ε); Tieleman and Hinton 2012."""
    real, h = w.dtype.type, hyperparams[0]
    lr, scale, alpha, epsilon = real(h.learning_rate), real(h.scale), real(h.alpha), real(h.epsilon)
    rho, rest = real(h.rho), real(1 - h.rho)
    for q in range(w.size):
        slope = (g[q] + alpha * w[q]) * scale
        v[q] = rho * v[q] + rest * (slope * slope)
        w[q] -= lr * slope / (np.sqrt(v[q]) + epsilon)


@lazy_entry(fastmath=EXACT)
def adamw(w, g, m, v, hyperparams):
    """w ← w − η m̂ / (√v̂ + ε), Adam with ε added to the corrected root; Loshchilov and Hutter 2019, with decoupled weight decay."""
    real, h = w.dtype.type, hyperparams[0]
    scale, alpha, epsilon = real(h.scale), real(h.alpha), real(h.epsilon)
    beta_1, rest_1, beta_2, rest_2 = real(h.beta_1), real(1 - h.beta_1), real(h.beta_2), real(1 - h.beta_2)
    lr, root = real(h.learning_rate / h.correction_1), real(1 / np.sqrt(h.correction_2))
    for q in range(w.size):
        slope = (g[q] + alpha * w[q]) * scale
        m[q] = beta_1 * m[q] + rest_1 * slope
        v[q] = beta_2 * v[q] + rest_2 * (slope * slope)
        w[q] -= lr * m[q] / (np.sqrt(v[q]) * root + epsilon)


@lazy_entry(fastmath=EXACT)
def nadam(w, g, m, v, hyperparams):
    """w ← w − η (μₜ₊₁ m / (1 − Πₜ₊₁) + (1 − μₜ) g / (1 − Πₜ)) / (√v̂ + ε), with μₜ = β₁ (1 − ½ 0.96^(t/250)); Dozat 2016."""
    real, h = w.dtype.type, hyperparams[0]
    scale, alpha, epsilon, root = real(h.scale), real(h.alpha), real(h.epsilon), real(1 / np.sqrt(h.correction_2))
    beta_1, rest_1, beta_2, rest_2 = real(h.beta_1), real(1 - h.beta_1), real(h.beta_2), real(1 - h.beta_2)
    of_m = real(h.learning_rate * h.next_momentum / (1 - h.next_momentum_product))
    of_slope = real(h.learning_rate * (1 - h.momentum) / (1 - h.momentum_product))
    for q in range(w.size):
        slope = (g[q] + alpha * w[q]) * scale
        m[q] = beta_1 * m[q] + rest_1 * slope
        v[q] = beta_2 * v[q] + rest_2 * (slope * slope)
        w[q] -= (of_m * m[q] + of_slope * slope) / (np.sqrt(v[q]) * root + epsilon)


@lazy_entry(fastmath=EXACT)
def adamax(w, g, m, u, hyperparams):
    """u ← max(β₂ u, |g| + ε), w ← w − η m / ((1 − β₁ᵗ) u); Kingma and Ba 2015, section 7."""
    real, h = w.dtype.type, hyperparams[0]
    scale, alpha, epsilon = real(h.scale), real(h.alpha), real(h.epsilon)
    beta_1, rest_1, beta_2, lr = real(h.beta_1), real(1 - h.beta_1), real(h.beta_2), real(h.learning_rate / h.correction_1)
    for q in range(w.size):
        slope = (g[q] + alpha * w[q]) * scale
        m[q] = beta_1 * m[q] + rest_1 * slope
        size, kept = abs(slope) + epsilon, beta_2 * u[q]
        u[q] = size if size > kept else kept
        w[q] -= lr * m[q] / u[q]


@lazy_entry(fastmath=EXACT)
def lion(w, g, m, unused, hyperparams):
    """w ← w − η sign(β₁ m + (1−β₁) g), m ← β₂ m + (1−β₂) g; Chen and others 2023."""
    real, h = w.dtype.type, hyperparams[0]
    lr, scale, alpha, zero = real(h.learning_rate), real(h.scale), real(h.alpha), real(0)
    beta_1, rest_1, beta_2, rest_2 = real(h.beta_1), real(1 - h.beta_1), real(h.beta_2), real(1 - h.beta_2)
    for q in range(w.size):
        slope = (g[q] + alpha * w[q]) * scale
        direction = beta_1 * m[q] + rest_1 * slope
        m[q] = beta_2 * m[q] + rest_2 * slope
        w[q] -= lr if direction > zero else (-lr if direction < zero else direction)  # 0 and NaN are kept


# each solver, with the number of its moments
_SOLVERS = ((adagrad, 1), (adadelta, 2), (rmsprop, 1), (adamw, 2), (nadam, 2), (adamax, 2), (lion, 1))
SOLVERS = {function.__name__: function for function, _ in _SOLVERS}
N_MOMENTS = {"sgd": 1, "adam": 2} | {function.__name__: n_moments for function, n_moments in _SOLVERS}
