"""Starting weights: a layer's sizes and a source of random numbers enter; W and b leave.

The source is the estimator's ``random_state``, so that NumPy alone decides what is drawn.
"""

import numpy as np

INITIALIZERS = ("auto",)


def glorot_uniform(random_state, n_in, n_out, activation):
    """W (n_in, n_out) and b (n_out,) from U(±√(6 / (n_in + n_out))), or 2 for 6 with "logistic"; Glorot and Bengio 2010.

    As in scikit-learn, the biases are drawn too, after the weights.
    """
    bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / (n_in + n_out))
    W = random_state.uniform(-bound, bound, (n_in, n_out))
    return W, random_state.uniform(-bound, bound, n_out)
