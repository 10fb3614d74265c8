"""The activations of hidden units and of the output layer as expressions of ONNX tensors.

A tensor of weighted sums goes in; a tensor of activations comes out. The expressions keep their relative accuracy where the value
is small, overflow nowhere and propagate NaN. This module does not know about layers.
"""

from functools import cache

import numpy as np
from scipy.special import erfcx

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.7580993408473766  # λ and λ α
_DEGREE = 25


def _identity_nodes(z):
    """z."""
    return z


def _logistic_nodes(z):
    """1 / (1 + e^−z)."""
    return 1.0 / ((-z).exp() + 1.0)


def _tanh_nodes(z):
    """tanh z."""
    return z.apply("Tanh")


def _relu_nodes(z):
    """max(0, z)."""
    return z.apply("Relu")


def _leaky_relu_nodes(z):
    """z, or 0.01 z below zero."""
    return z.maximum(z * 0.01)


def _elu_nodes(z):
    """z, or e^z − 1 below zero."""
    return (z > 0.0).where(z, _exp_minus_one(z))


def _selu_nodes(z):
    """λ z, or λ α (e^z − 1) below zero (Klambauer and others 2017)."""
    return (z > 0.0).where(z * _SELU_SCALE, _exp_minus_one(z) * _SELU_ALPHA)


def _silu_nodes(z):
    """z σ(z)."""
    return z * _logistic_nodes(z)


def _gelu_nodes(z):
    """z Φ(z), where onnxruntime has the operator Erf for float32 only."""
    if z.graph.dtype == np.float32:
        return z * 0.5 * ((z * np.sqrt(0.5)).apply("Erf") + 1.0)
    below = _upper_tail(z.apply("Abs"))
    return z * (z > 0.0).where(1.0 - below, below)


def _mish_nodes(z):
    """z tanh(ln(1 + e)) with e = e^z, which is z (e² + 2e) / (e² + 2e + 2)."""
    e = z.apply("Min", 20.0).exp()  # the quotient is rounded to 1 for z above 20
    p = e * (e + 2.0)
    return z * (p / (p + 2.0))


def _softplus_nodes(z):
    """max(z, 0) + ln(1 + e) with e = e^−|z|; the rounding error of u = 1 + e is added to its logarithm."""
    e = (-z.apply("Abs")).exp()
    u = e + 1.0
    return z.maximum(0.0) + (u.apply("Log") + (e - (u - 1.0)) / u)


def _hard_sigmoid_nodes(z):
    """z / 6 + 1 / 2, limited to [0, 1]."""
    return (z * (1 / 6) + 0.5).apply("Clip", 0.0, 1.0)


def _hard_swish_nodes(z):
    """z times `hard_sigmoid`."""
    return z * _hard_sigmoid_nodes(z)


ACTIVATION_EXPRESSIONS = {
    "identity": _identity_nodes,
    "logistic": _logistic_nodes,
    "tanh": _tanh_nodes,
    "relu": _relu_nodes,
    "leaky_relu": _leaky_relu_nodes,
    "elu": _elu_nodes,
    "selu": _selu_nodes,
    "silu": _silu_nodes,
    "gelu": _gelu_nodes,
    "mish": _mish_nodes,
    "softplus": _softplus_nodes,
    "hard_sigmoid": _hard_sigmoid_nodes,
    "hard_swish": _hard_swish_nodes,
}


def _softmax_nodes(z):
    """e^z, divided by the sum of each row."""
    return z.apply("Softmax", axis=1)


# The functions of the output layer, except those that depend on groups of outputs.
LINK_EXPRESSIONS = {name: ACTIVATION_EXPRESSIONS[name] for name in ("identity", "logistic", "relu", "softplus")} | {
    "exp": lambda z: z.exp(),
    "softmax": _softmax_nodes,
    "grouped_softmax": _softmax_nodes,
}


def ordered_quantile_nodes(z, n_columns, n_quantiles):
    """The quantiles (n_rows, n_columns, n_quantiles): a[0] = z[0] and a[j] = a[j − 1] + softplus(z[j]) in each column of y."""
    z = z.apply("Reshape", np.array([0, n_columns, n_quantiles]))  # 0 keeps the number of rows
    return z.graph.constant(np.arange(n_quantiles) == 0).where(z, _softplus_nodes(z)).apply("CumSum", np.array(2))


def _exp_minus_one(z):
    """e^z − 1 for z ≤ 0, else 0: 2t / (1 − t) with t = tanh(z/2)."""
    t = (z.apply("Min", 0.0) * 0.5).apply("Tanh")
    return t * 2.0 / (1.0 - t)


def _upper_tail(z):
    """1 − Φ(z) for z ≥ 0: erfc(x) / 2 with x = z / √2 and erfc(x) = t P(2t − 1) exp(−x²), t = 2 / (2 + x)."""
    x = z * np.sqrt(0.5)
    t = 2.0 / (x + 2.0)
    s = t * 2.0 - 1.0
    *others, p = _tail_polynomial()
    p = s * p + others.pop()
    while others:
        p = p * s + others.pop()
    return t * 0.5 * p * (-(x * x)).exp()


@cache
def _tail_polynomial():
    """The coefficients of P in ``_upper_tail``, by interpolation of SciPy's erfcx(x) = erfc(x) exp(x²) at Chebyshev points."""

    def polynomial(s):
        t = (s + 1) / 2
        return erfcx(2 / t - 2) / t

    series = np.polynomial.Chebyshev.interpolate(polynomial, _DEGREE)
    return tuple(series.convert(kind=np.polynomial.Polynomial).coef.tolist())
