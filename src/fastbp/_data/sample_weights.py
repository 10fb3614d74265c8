"""The normalization of sample weights for training.

Validated sample weights go in; the weights that the kernels use come out. The division by the sum of the weights of a batch is part
of the kernels. This module does not know about classes and their weights.
"""

import numpy as np


def relative_weights(sample_weight, norm, rows=None):
    """Sample weights for ``sample_weight_norm``: unchanged for 'batch', divided by their mean over ``rows`` for 'global'.

    The mean is computed in the order of the row numbers, so that it is the same if a fit is resumed with shuffled rows.
    """
    if sample_weight is None or norm == "batch":
        return sample_weight
    trained = sample_weight if rows is None else sample_weight[np.sort(rows)]
    mean = np.mean(trained, dtype=np.float64)
    if mean == 0:
        raise zero_weights_error()
    return sample_weight / mean


def zero_weights_error():
    """The error for sample weights that sum to zero."""
    return ZeroDivisionError(
        "Weights sum to zero, can't be normalized: the sample weights of a batch must not sum to 0. Remove the rows of "
        "weight 0, or increase batch_size."
    )
