"""Fold batch normalization into weights and biases.

The trained weights, the normalization parameters and the moving statistics go in; the weights of a network without normalization
that gives the same predictions come out. The scaling of data is folded by ``fastbp._data.scaling``. This module does not know how
these values were trained.
"""

import numpy as np

from .._kernels.lazy.norms import VARIANCE_EPSILON


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
