"""Initial weights and biases: layer sizes, parameters and a random state go in; W and b come out.

All random numbers are drawn from the ``random_state`` of the estimator. Each distribution is a function of (random_state, shape,
n_in, n_out, activation) and an entry in ``INITIALIZERS``. It is used for weights and for biases; in both cases, n_in and n_out are
the sizes of the layer. With "data", the values depend on training rows instead. This module does not know how the network is
used.
"""

import numpy as np


def auto(random_state, shape, n_in, n_out, activation):
    """scikit-learn's U(±√(6 / (n_in + n_out))), with 2 instead of 6 for "logistic" (Glorot and Bengio 2010)."""
    bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / (n_in + n_out))
    return random_state.uniform(-bound, bound, shape)


def glorot_uniform(random_state, shape, n_in, n_out, activation):
    """Uniform with variance 2 / (n_in + n_out) (Glorot and Bengio 2010)."""
    bound = np.sqrt(6.0 / (n_in + n_out))
    return random_state.uniform(-bound, bound, shape)


def glorot_normal(random_state, shape, n_in, n_out, activation):
    """Normal with variance 2 / (n_in + n_out) (Glorot and Bengio 2010)."""
    return random_state.normal(0.0, np.sqrt(2.0 / (n_in + n_out)), shape)


def he_uniform(random_state, shape, n_in, n_out, activation):
    """Uniform with variance 2 / n_in (He and others 2015)."""
    bound = np.sqrt(6.0 / n_in)
    return random_state.uniform(-bound, bound, shape)


def he_normal(random_state, shape, n_in, n_out, activation):
    """Normal with variance 2 / n_in (He and others 2015)."""
    return random_state.normal(0.0, np.sqrt(2.0 / n_in), shape)


def lecun_uniform(random_state, shape, n_in, n_out, activation):
    """Uniform with variance 1 / n_in (LeCun and others 1998)."""
    bound = np.sqrt(3.0 / n_in)
    return random_state.uniform(-bound, bound, shape)


def lecun_normal(random_state, shape, n_in, n_out, activation):
    """Normal with variance 1 / n_in (LeCun and others 1998)."""
    return random_state.normal(0.0, np.sqrt(1.0 / n_in), shape)


def orthogonal(random_state, shape, n_in, n_out, activation):
    """A random matrix with orthonormal columns, or orthonormal rows if it has fewer rows than columns; for biases, a unit vector.

    Saxe and others 2014. The choice of signs makes the distribution uniform (Mezzadri 2007).
    """
    normal = random_state.normal(size=(max(shape), min(shape)) if len(shape) == 2 else (*shape, 1))
    Q, R = np.linalg.qr(normal)
    Q *= np.where(np.diagonal(R) < 0, -1.0, 1.0)
    return Q if Q.shape == shape else Q.T.reshape(shape)


def standard_normal(random_state, shape, n_in, n_out, activation):
    """Normal with variance 1."""
    return random_state.normal(size=shape)


def zeros(random_state, shape, n_in, n_out, activation):
    """Zeros."""
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
DATA = "data"  # the initializer for which values depend on the training rows
_RELATIVE_TOLERANCE = 100
_UNITS_AT_A_TIME = 64


def draw_into(coefs, intercepts, activations, random_state, weight_init, bias_init, *, normalized=False):
    """Draw the weights and biases of a network in the order of scikit-learn: layer by layer, W before b.

    `activations` has one entry for each layer, including the last. With `normalized`, the biases of hidden units are the shifts of
    batch normalization, and "auto" sets them to 0. The biases are drawn in this case, too, so that the weights are the same as
    without batch normalization.
    """
    for layer, (W, b, activation) in enumerate(zip(coefs, intercepts, activations, strict=True)):
        W[...] = _draw_array("weight_init", weight_init, random_state, W.shape, W.shape, activation)
        b[...] = _draw_array("bias_init", bias_init, random_state, b.shape, W.shape, activation)
        if normalized and bias_init == "auto" and layer < len(coefs) - 1:
            b[...] = 0


def _draw_array(parameter, init, random_state, shape, fans, activation):
    if not callable(init):
        return BIAS_INITIALIZERS[init](random_state, shape, fans[0], fans[1], activation)
    return _checked(init(random_state, shape), shape, f"{parameter} must return a finite array of shape {shape}")


def draw_from_rows(coefs, intercepts, activations, random_state, weight_init, bias_init, given, *, rows, norm):
    """Draw the weights and biases of a network if some of them are initialized by "data": layer by layer, W before b.

    `rows` (n_rows, n_features) are prepared training rows, and `norm` is the name of the norm of hidden layers or None. `given` has
    the lists `coefs_init` and `intercepts_init`, or None. They replace drawn values before the next ones are drawn.
    """
    weights_given, biases_given = (_copies_of(given, name, arrays) for name, arrays in zip(given, (coefs, intercepts), strict=True))
    bias_init, A = DATA if bias_init == "auto" and weight_init == DATA else bias_init, rows
    for layer, (W, b, activation) in enumerate(zip(coefs, intercepts, activations, strict=True)):
        is_hidden, is_normalized = layer < len(coefs) - 1, layer < len(coefs) - 1 and norm == "batch_norm"
        if weight_init == DATA:
            draw_fitted_weights(W, A, random_state)
        else:
            W[...] = _draw_array("weight_init", weight_init, random_state, W.shape, W.shape, activation)
        if weights_given is not None:
            W[...] = weights_given[layer]
        Z = _sums_for_data(A, W, is_normalized)
        if bias_init == DATA:
            draw_fitted_biases(b, Z, random_state)
        else:
            b[...] = _draw_array("bias_init", bias_init, random_state, b.shape, W.shape, activation)
            b *= not (is_normalized and bias_init == "auto")
        if biases_given is not None:
            b[...] = biases_given[layer]
        if is_hidden:
            A = _activations_for_data(Z + b, activation, norm)


def _copies_of(given, parameter, arrays):
    """The arrays of `coefs_init` or `intercepts_init` with the shapes and dtypes of the arrays of a network, or None."""
    if given[parameter] is None:
        return None
    copies = [np.empty_like(array) for array in arrays]
    put_into(copies, given[parameter], parameter)
    return copies


def _sums_for_data(A, W, is_normalized):
    """A·W (n_rows, n_out), with batch normalization if `is_normalized`."""
    from .._kernels.lazy.norms import VARIANCE_EPSILON  # imported on first use, as all lazily compiled functions

    Z = np.ascontiguousarray(A @ W)
    return (Z - Z.mean(axis=0)) / np.sqrt(Z.var(axis=0) + Z.dtype.type(VARIANCE_EPSILON)) if is_normalized else Z


def _activations_for_data(Z, activation, norm):
    """The activations of a hidden layer (n_rows, n_out)."""
    from .numpy_passes import activate_layer  # imported here, because the chain of module-level imports would become too long

    activate_layer(Z, activation, (1.0, 0.0) if norm == "layer_norm" else None)
    return Z


def draw_fitted_weights(W, A, random_state):
    """Set W to random values for which the weighted sums of the rows A have unit variance; return the weighted sums.

    The values are normal. The scale of a unit whose weighted sums are equal is not changed (Holzmüller, Grinsztajn and Steinwart
    2024).
    """
    drawn = random_state.normal(size=W.shape).astype(A.dtype)
    Z = A @ drawn
    parts = np.array_split(Z, max(1, Z.shape[1] // _UNITS_AT_A_TIME), axis=1)  # because temporary arrays have the size of a part
    deviations = np.concatenate([part.std(axis=0) for part in parts])
    largest = np.maximum(Z.max(axis=0), -Z.min(axis=0))
    is_varying = deviations > _RELATIVE_TOLERANCE * np.finfo(A.dtype).eps * largest  # otherwise, only rounding errors differ
    scales = np.divide(1, deviations, out=np.ones_like(deviations), where=is_varying)
    W[...] = drawn * scales
    Z *= scales
    return Z


def draw_fitted_biases(b, Z, random_state):
    """Set each bias to minus a random weighted mean of five weighted sums of its unit (Holzmüller and others 2024)."""
    rows, shares = random_state.randint(len(Z), size=(len(b), 5)), random_state.exponential(size=(len(b), 5))
    shares /= shares.sum(axis=1, keepdims=True)
    b[...] = -(shares * Z[rows, np.arange(len(b))[:, None]]).sum(axis=1)


def put_into(arrays, given, parameter):
    """Copy the arrays of `coefs_init` or `intercepts_init` to the arrays of a network."""
    if len(given) != len(arrays):
        shapes = [array.shape for array in arrays]
        raise ValueError(
            f"{parameter} must have one array for each of the {len(arrays)} layers, with shapes {shapes}; got {len(given)} arrays."
        )
    for layer, (array, start) in enumerate(zip(arrays, given, strict=True)):
        array[...] = _checked(start, array.shape, f"{parameter}[{layer}] must be a finite array of shape {array.shape}")


def _checked(values, shape, rule):
    try:
        values = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{rule}, got {values!r}: {error}.") from error
    if values.shape != shape:
        raise ValueError(f"{rule}, got shape {values.shape}.")
    if not np.isfinite(values).all():
        raise ValueError(f"{rule}, got {(~np.isfinite(values)).sum()} entries that are NaN or infinite.")
    return values
