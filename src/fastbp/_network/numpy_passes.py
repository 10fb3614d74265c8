"""The forward pass and the backward pass of one layer in NumPy, for code that calls scikit-learn's private methods.

Weighted sums, activations and deltas of a layer go in and are changed in place. The formulas for scikit-learn's activations, links
and losses are those of scikit-learn; all others call the compiled functions that training uses. Fitting and predicting do not use
this module. It does not know about estimators.
"""

import numpy as np
from scipy.special import expit, xlogy

from .._kernels.lazy.addresses import lazy_address, lazy_functions
from .._kernels.lazy.norms import VARIANCE_EPSILON
from .architecture import Plan
from .layout import Layout
from .user_functions import user_function_address


def _softmax_of_rows(Z):
    np.exp(Z - Z.max(axis=1, keepdims=True), out=Z)
    Z /= Z.sum(axis=1, keepdims=True)


_HIDDEN = {
    "identity": lambda Z: None,
    "logistic": lambda Z: expit(Z, out=Z),
    "tanh": lambda Z: np.tanh(Z, out=Z),
    "relu": lambda Z: np.maximum(Z, 0, out=Z),
}
_OUTPUT = {name: _HIDDEN[name] for name in ("identity", "logistic")}
_OUTPUT |= {"softmax": _softmax_of_rows, "exp": lambda Z: np.exp(Z, out=Z)}


def _logistic_back(A, delta):
    delta *= A
    delta *= 1 - A


def _tanh_back(A, delta):
    delta *= 1 - A**2


def _relu_back(A, delta):
    delta[A == 0] = 0


_SLOPES = {"identity": lambda A, delta: None, "logistic": _logistic_back, "tanh": _tanh_back, "relu": _relu_back}


# ---------------------------------------------------------------------- hidden layers


def activate_layer(Z, activation, norm):
    """Replace the weighted sums Z (n_rows, n_out) by activations; ``norm`` is (γ, β) of layer normalization, or None."""
    if norm is not None:
        Z[...] = _standardized(Z)[0] * norm[0] + norm[1]
    if _is_named(activation):
        _HIDDEN[activation](Z)
    else:
        _compiled(activation)(Z.reshape(-1), np.empty(0, Z.dtype))


def multiply_by_slopes(delta, Z, A, activation, norm):
    """Replace delta = ∂loss/∂A of a hidden layer by ∂loss/∂Z, for weighted sums Z and activations A (n_rows, n_out)."""
    if norm is None and _is_named(activation):
        _SLOPES[activation](A, delta)
        return
    inputs, slopes = Z if norm is None else _standardized(Z)[0] * norm[0] + norm[1], np.empty_like(A)
    _compiled(activation)(inputs.reshape(-1).copy(), slopes.reshape(-1))
    delta *= slopes
    if norm is not None:
        x, inverse = _standardized(Z)
        delta *= norm[0]
        delta -= delta.mean(axis=1, keepdims=True) + x * (delta * x).mean(axis=1, keepdims=True)
        delta *= inverse


def _standardized(Z):
    """Return x̂ = (z − μ) / √(σ² + ε) for μ and σ² of each row, and 1 / √(σ² + ε)."""
    inverse = 1 / np.sqrt(Z.var(axis=1, keepdims=True) + Z.dtype.type(VARIANCE_EPSILON))
    return (Z - Z.mean(axis=1, keepdims=True)) * inverse, inverse


def _is_named(activation):
    return isinstance(activation, str) and activation in _HIDDEN


def _compiled(activation):
    return lazy_functions("activation")[activation] if isinstance(activation, str) else activation.compiled


# ---------------------------------------------------------------------- output layer


def apply_link(Z, architecture):
    """Replace the weighted sums Z (n_rows, n_outputs) of the output layer by outputs."""
    if architecture.link in _OUTPUT:
        _OUTPUT[architecture.link](Z)
    else:
        lazy_functions("link")[architecture.link](Z, Z.shape[1], np.array(architecture.numbers, np.float64))


def loss_and_delta_of_outputs(architecture, objective, y, A, sample_weight, *, exclusive):
    """Return the mean loss for outputs A and targets y (n_rows, n_outputs), and its derivative ∂(Σ weight · loss)/∂Z.

    ``exclusive`` says whether exactly one of the outputs is 1 in each row of y.
    """
    if y.shape != A.shape:
        raise ValueError(
            f"y must have one column for each output, shape {A.shape}, got {y.shape}. Encode class labels by sklearn.preprocessing."
            "LabelBinarizer."
        )
    link = architecture.link
    if not objective.is_compiled_in(link):
        n_classes = y.shape[1] if exclusive else 2
        if architecture.numbers and objective.of_classes:  # the numbers of classes of several outputs
            n_classes = np.repeat(architecture.numbers, architecture.numbers)
        targets = (1 - objective.smoothing) * y + objective.smoothing / n_classes
        return _compiled_loss(Plan(Layout(A.shape[1:]), architecture, objective), targets.astype(A.dtype), A, sample_weight)
    delta = A - y
    if sample_weight is not None:
        delta *= sample_weight.reshape(-1, 1)
    losses = np.average(_losses(objective.loss, link, y, A), weights=sample_weight, axis=0)
    return losses.mean() if objective.loss == "squared_error" else losses.sum(), delta


def _losses(loss, link, y, A):
    """Return the loss of each output, with the clipping of scikit-learn."""
    if loss == "squared_error":
        return 0.5 * (A - y) ** 2
    if loss == "poisson":
        return xlogy(y, y / A) - y + A
    low = np.finfo(A.dtype).eps
    P = np.clip(A, low, 1 - low)
    return -(xlogy(y, P) + xlogy(1 - y, 1 - P) if link == "logistic" else xlogy(y, P))


def _compiled_loss(plan, targets, A, sample_weight):
    """Compute the same as ``loss_and_delta_of_outputs`` by the compiled functions that training uses."""
    numbers, output_numbers = plan.loss_numbers()
    numbers["smoothing"] = numbers["n_groups"] = 0  # the targets have one column for each class and are smoothed already
    loss, dtype, delta = plan.objective.loss, A.dtype, np.empty_like(A)
    address = lazy_address("loss", loss, dtype) if isinstance(loss, str) else user_function_address(loss, dtype)
    weight = np.empty(0, dtype) if sample_weight is None else np.array(sample_weight, dtype)
    compute = lazy_functions("output_delta")["loss_and_output_delta"]
    n_outputs = A.shape[1]
    compute(A.copy(), targets.reshape(-1), n_outputs, weight, delta, n_outputs, numbers, output_numbers, address)
    return numbers["loss"].item() / (len(A) if sample_weight is None else weight.sum()), delta
