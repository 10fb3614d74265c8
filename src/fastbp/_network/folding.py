"""Fold batch normalization, or the scaling of the inputs, into weights and biases.

The trained parameters, and the moving statistics of batch normalization, go in; the parameters of a network without these layers
that gives the same predictions come out. The scaling of data is folded by ``fastbp._data.scaling``. This module does not know how
these values were trained.
"""

import numpy as np

from .._kernels.lazy.norms import VARIANCE_EPSILON
from .layout import aligned_zeros


def fold_batch_norm(coefs, intercepts, gammas, statistics):
    """Return the (coefs, intercepts) of the network without batch normalization.

    They are W γ / √(v + ε) and b − m γ / √(v + ε), for the moving means m and variances v of A·W (Ioffe and Szegedy 2015,
    algorithm 2).
    """
    coefs, intercepts = list(coefs), list(intercepts)
    for layer, (gamma, (means, variances)) in enumerate(zip(gammas, statistics, strict=True)):
        scale = gamma / np.sqrt(variances + VARIANCE_EPSILON)
        coefs[layer], intercepts[layer] = coefs[layer] * scale, intercepts[layer] - means * scale
    return coefs, intercepts


def fold_input_scale(layout, params, folded_layout):
    """Return the parameters of a network without the scaling of its inputs, which is included in the weights of the first layer."""
    folded, scale = aligned_zeros(folded_layout.n_params, params.dtype), layout.extra(params, "input_scale")
    at, n = layout.extra_at("input_scale"), scale.size
    folded[...] = np.delete(params, slice(at, at + n)) if n else params
    if n:
        folded_layout.views(folded)[0][0][...] *= scale[:, None]
    return folded
