"""Fold batch normalization into weights and biases.

Trained weights with their normalization parameters and moving statistics go in; the weights of a network without normalization,
which makes the same predictions, come out. Scaling of data is folded in ``fastbp._data.scaling``.
"""

import numpy as np

from .._kernels.lazy.norms import VARIANCE_EPSILON


def fold_batch_norm(coefs, intercepts, gammas, statistics):
    """The (coefs, intercepts) of the network without batch normalization.

    W γ / √(v + ε) and b − m γ / √(v + ε), for the moving means m and variances v of A·W (Ioffe and Szegedy 2015, algorithm 2).
    """
    coefs, intercepts = list(coefs), list(intercepts)
    for layer, (gamma, (means, variances)) in enumerate(zip(gammas, statistics, strict=True)):
        scale = gamma / np.sqrt(variances + VARIANCE_EPSILON)
        coefs[layer], intercepts[layer] = coefs[layer] * scale, intercepts[layer] - means * scale
    return coefs, intercepts
