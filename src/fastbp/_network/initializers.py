"""Starting weights: a layer's sizes, parameters and a source of random numbers enter; W and b leave.

The source is the estimator's ``random_state``, so that NumPy alone decides what is drawn. Each distribution is one function and one
row of ``INITIALIZERS``, of (random_state, shape, n_in, n_out, activation), for weights and biases alike: where biases are drawn,
n_in and n_out are still those of their layer. Which layers are normalised, and what a network is for, is not known here.
"""

import numpy as np


def auto(random_state, shape, n_in, n_out, activation):
    """scikit-learn's: U(±√(6 / (n_in + n_out))), with 2 for 6 below "logistic" (Glorot and Bengio 2010)."""
    bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / (n_in + n_out))
    return random_state.uniform(-bound, bound, shape)


def glorot_uniform(random_state, shape, n_in, n_out, activation):
    """Uniform, of variance 2 / (n_in + n_out) (Glorot and Bengio 2010)."""
    bound = np.sqrt(6.0 / (n_in + n_out))
    return random_state.uniform(-bound, bound, shape)


def glorot_normal(random_state, shape, n_in, n_out, activation):
    """Normal, of variance 2 / (n_in + n_out) (Glorot and Bengio 2010)."""
    return random_state.normal(0.0, np.sqrt(2.0 / (n_in + n_out)), shape)


def he_uniform(random_state, shape, n_in, n_out, activation):
    """Uniform, of variance 2 / n_in (He and others 2015)."""
    bound = np.sqrt(6.0 / n_in)
    return random_state.uniform(-bound, bound, shape)


def he_normal(random_state, shape, n_in, n_out, activation):
    """Normal, of variance 2 / n_in (He and others 2015)."""
    return random_state.normal(0.0, np.sqrt(2.0 / n_in), shape)


def lecun_uniform(random_state, shape, n_in, n_out, activation):
    """Uniform, of variance 1 / n_in (LeCun and others 1998)."""
    bound = np.sqrt(3.0 / n_in)
    return random_state.uniform(-bound, bound, shape)


def lecun_normal(random_state, shape, n_in, n_out, activation):
    """Normal, of variance 1 / n_in (LeCun and others 1998)."""
    return random_state.normal(0.0, np.sqrt(1.0 / n_in), shape)


def orthogonal(random_state, shape, n_in, n_out, activation):
    """Orthonormal rows or columns, whichever are fewer, uniform over all such (Saxe and others 2014); of one row, a unit vector."""
    drawn = random_state.normal(size=(max(shape), min(shape)) if len(shape) == 2 else (*shape, 1))
    Q, R = np.linalg.qr(drawn)
    Q *= np.where(np.diagonal(R) < 0, -1.0, 1.0)  # without which Q is not uniform (Mezzadri 2007)
    return Q if Q.shape == shape else Q.T.reshape(shape)


def standard_normal(random_state, shape, n_in, n_out, activation):
    """Normal, of variance 1."""
    return random_state.normal(size=shape)


def zeros(random_state, shape, n_in, n_out, activation):
    return np.zeros(shape)


INITIALIZERS = {
    "auto": auto,
    "glorot_uniform": glorot_uniform,
    "glorot_normal": glorot_normal,
    "he_uniform": he_uniform,
    "he_normal": he_normal,
    "lecun_uniform": lecun_uniform,
    "lecun_normal": lecun_normal,
    "orthogonal": orthogonal,
    "standard_normal": standard_normal,
}
BIAS_INITIALIZERS = {**INITIALIZERS, "zeros": zeros}


def draw_into(coefs, intercepts, activations, random_state, weight_init, bias_init, *, normalized=False):
    """Fill the arrays of a network, from the inputs on, each layer's weights before its biases, as scikit-learn draws them.

    `activations` has one for each layer, the last included. Where the sums of hidden units are `normalized`, their biases are what
    is added after that, and start at 0; "auto" draws them all the same, so that the weights are those of any other fit.
    """
    for layer, (W, b, activation) in enumerate(zip(coefs, intercepts, activations, strict=True)):
        W[...] = _drawn("weight_init", weight_init, random_state, W.shape, W.shape, activation)
        b[...] = _drawn("bias_init", bias_init, random_state, b.shape, W.shape, activation)
        if normalized and bias_init == "auto" and layer < len(coefs) - 1:
            b[...] = 0


def _drawn(parameter, init, random_state, shape, fans, activation):
    if not callable(init):
        return BIAS_INITIALIZERS[init](random_state, shape, *fans, activation)
    return _checked(init(random_state, shape), shape, f"{parameter} must return a finite array of shape {shape}")


def put_into(arrays, given, parameter):
    """Fill the arrays of a network from those that somebody gave as `coefs_init` or `intercepts_init`."""
    if len(given) != len(arrays):
        shapes = [array.shape for array in arrays]
        raise ValueError(
            f"{parameter} must hold one array for each of the {len(arrays)} layers, of shapes {shapes}; got {len(given)} arrays."
        )
    for layer, (array, start) in enumerate(zip(arrays, given, strict=True)):
        array[...] = _checked(start, array.shape, f"{parameter}[{layer}] must be a finite array of shape {array.shape}")


def _checked(values, shape, rule):
    try:
        values = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{rule}, got {values!r}: {error}.") from error
    if values.shape != shape:
        raise ValueError(f"{rule}, got one of shape {values.shape}.")
    if not np.isfinite(values).all():
        raise ValueError(f"{rule}, got one with {(~np.isfinite(values)).sum()} entries that are NaN or infinite.")
    return values
