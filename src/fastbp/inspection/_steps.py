"""The steps of the algorithm of backpropagation on a trace, with formulas, shapes and arrays.

A ``Trace`` goes in; a list of ``Step`` comes out, in the order of the algorithm. This module does not know how steps are shown.
"""

from typing import Any, NamedTuple

import numpy as np

from ._formulas import OF_LINKS, OF_SOLVERS, activation_formulas, loss_formula

_ROW_SIGN, _UNIT_SIGN = "row", "unit"


class Step(NamedTuple):
    """One step: a title, lists of formulas, shapes and notes as plain text, and (name, array, labels) of the arrays to show.

    The labels are those of the rows and the columns of the array.
    """

    title: str
    formulas: list[str]
    shapes: list[str]
    notes: list[str]
    arrays: list[Any]


def steps_of(trace):
    """Return all steps: inputs, forward pass, cost, output delta, recursion, gradients and update."""
    n_layers = len(trace.coefs)
    layers = range(1, n_layers + 1)
    return [
        _inputs(trace),
        *(_forward(trace, layer) for layer in layers),
        _cost(trace),
        _output_delta(trace),
        *(_hidden_delta(trace, layer) for layer in range(n_layers - 1, 0, -1)),
        *(_gradients(trace, layer) for layer in layers),
        *(_update(trace, layer) for layer in layers),
    ]


# ---------------------------------------------------------------------- shapes and arrays


def _shape(name, array):
    return f"{name}: {' × '.join(map(str, array.shape))}"


def _of_rows(name, array):
    return name, array, (_ROW_SIGN, _UNIT_SIGN)


def _of_weights(name, array):
    return name, array, ("input", _UNIT_SIGN)


def _of_units(name, array):
    return name, array.reshape(1, -1), ("", _UNIT_SIGN)


def _length(name, array):
    return f"Euclidean norm of {name}: {np.linalg.norm(array.astype(np.float64)):.4g}"


def _place(trace, layer):
    return "output layer" if layer == len(trace.coefs) else f"hidden layer {layer}"


# ---------------------------------------------------------------------- forward pass


def _inputs(trace):
    notes = ["The inputs are those of the network: scaled if the parameter scale is set, and without missing values."]
    arrays = [("A[0]", trace.A[0], (_ROW_SIGN, "input")), ("Y", trace.y, (_ROW_SIGN, "column"))]
    if trace.sample_weight is not None:
        arrays.append(("weights of the rows", trace.sample_weight.reshape(-1, 1), (_ROW_SIGN, "")))
        notes.append(f"The weights of the rows sum to {trace.weight_sum:.6g}.")
    return Step("inputs and targets", ["A[0] = X"], [_shape("A[0]", trace.A[0]), _shape("Y", trace.y)], notes, arrays)


def _forward(trace, layer):
    W, b, Z, A = trace.coefs[layer - 1], trace.intercepts[layer - 1], trace.Z[layer - 1], trace.A[layer]
    normed = bool(trace.norm) and layer < len(trace.coefs)
    shifted = not (normed and trace.norm == "batch_norm")
    formulas = [f"Z[{layer}] = A[{layer - 1}] W[{layer}]" + f" + b[{layer}]" * shifted]
    arrays = [_of_weights(f"W[{layer}]", W), _of_units(f"b[{layer}]", b), _of_rows(f"Z[{layer}]", Z)]
    if normed:
        formulas.append(_norm_formula(trace, layer))
        arrays.append(_of_rows(f"N[{layer}]", trace.norm_Z[layer - 1]))
    arrays.append(_of_rows(f"A[{layer}]", A))
    shapes = [_shape(f"A[{layer - 1}]", trace.A[layer - 1]), *(_shape(name, array) for name, array, _ in arrays)]
    shapes[2] = _shape(f"b[{layer}]", b)
    formulas.append(_activation_formula(trace, layer, normed))
    return Step(f"forward pass, {_place(trace, layer)}", formulas, shapes, [], arrays)


def _norm_formula(trace, layer):
    over = "the rows" if trace.norm == "batch_norm" else "the units of each row"
    beta = f"b[{layer}]" if trace.norm == "batch_norm" else f"β[{layer}]"
    return f"N[{layer}] = γ[{layer}] (Z[{layer}] − μ) / √(σ² + 10⁻⁵) + {beta}, with the mean μ and the variance σ² over {over}"


def _activation_formula(trace, layer, normed):
    if layer == len(trace.coefs):
        return f"A[{layer}] = {OF_LINKS[trace.about['link']]}".replace("Z", f"Z[{layer}]")
    value, _ = activation_formulas(trace.about["activations"][layer - 1])
    return f"A[{layer}] = g({'N' if normed else 'Z'}[{layer}]), with g(z) = {value}"


# ---------------------------------------------------------------------- cost and deltas


def _divisor(trace):
    return "m" if trace.sample_weight is None else "Σ wᵢ"


def _cost(trace):
    last, about = len(trace.coefs), trace.about
    weight = "" if trace.sample_weight is None else "wᵢ "
    formulas = [
        f"C = (1/{_divisor(trace)}) Σᵢ {weight}c(yᵢ, aᵢ) + penalty, with c the sum over the outputs",
        f"c(y, a) = {loss_formula(about['loss'])}",
        f"penalty = (α/2 Σ W² + λ Σ |W|) / {_divisor(trace)}, with α = alpha = {about['alpha']:g} and λ = l1 = {about['l1']:g}",
    ]
    notes = [f"{_divisor(trace)} = {trace.weight_sum:.6g}."]
    if about["smoothing"]:
        notes.append(f"Label smoothing of {about['smoothing']:g} moves the targets y from 0 and 1 towards 1/K for K classes.")
    if about["is_mean"]:
        notes.append("As in scikit-learn, the loss is the mean over the outputs, but its gradient is that of the sum.")
    values = np.array([[trace.data_loss, trace.penalty, trace.loss]])
    arrays = [("C", values, ("", ["loss of the rows", "penalty", "C"])), _of_rows(f"A[{last}]", trace.A[last])]
    arrays.append(("Y", trace.y, (_ROW_SIGN, "column")))
    return Step("cost", formulas, [_shape(f"A[{last}]", trace.A[last]), _shape("Y", trace.y), "C: a number"], notes, arrays)


def _output_delta(trace):
    last, delta = len(trace.coefs), trace.delta[-1]
    weight = "" if trace.sample_weight is None else "wᵢ "
    if trace.about["is_canonical"]:
        formulas = [f"δ[{last}] = {weight}(A[{last}] − Y) / {_divisor(trace)}"]
        notes = ["This is the derivative of the cost and of the output activation together."]
    else:
        formulas = [f"δ[{last}] = ∂C/∂A[{last}] · ∂A[{last}]/∂Z[{last}]"]
        notes = ["If each output depends on its own sum z only, this is the product of the two derivatives."]
    if trace.y.shape != delta.shape:
        notes.append("Y contains the number of the class, which stands for 1 in the column of the class and 0 in the others.")
    name = f"δ[{last}]"
    arrays = [_of_rows(name, delta), _of_rows(f"A[{last}]", trace.A[last]), ("Y", trace.y, (_ROW_SIGN, "column"))]
    return Step("output delta", formulas, [_shape(name, delta)], [*notes, _length(name, delta)], arrays)


def _hidden_delta(trace, layer):
    name, delta, slopes = f"δ[{layer}]", trace.delta[layer - 1], trace.slopes[layer - 1]
    _, slope = activation_formulas(trace.about["activations"][layer - 1])
    source, target = ("N", f"∂C/∂N[{layer}]") if trace.norm else ("Z", name)
    formulas = [f"{target} = (δ[{layer + 1}] W[{layer + 1}]ᵀ) ⊙ g′({source}[{layer}])", f"g′(z) = {slope}"]
    above = [_of_rows(f"δ[{layer + 1}]", trace.delta[layer]), _of_weights(f"W[{layer + 1}]", trace.coefs[layer])]
    arrays = [*above, _of_rows(f"g′({source}[{layer}])", slopes), _of_rows(name, delta)]
    if trace.norm:
        over = "rows" if trace.norm == "batch_norm" else "units"
        formulas.append(f"{name} = (D − mean D − x̂ mean(D x̂)) / √(σ² + 10⁻⁵), with D = γ ∂C/∂N[{layer}] and means over the {over}")
        arrays.insert(-1, _of_rows(target, trace.norm_delta[layer - 1]))
    shapes = [
        _shape(f"δ[{layer + 1}]", trace.delta[layer]),
        _shape(f"W[{layer + 1}]ᵀ", trace.coefs[layer].T),
        _shape(f"g′({source}[{layer}])", slopes),
        _shape(name, delta),
    ]
    notes = ["The weights are those before the update.", _length(f"δ[{layer + 1}]", trace.delta[layer]), _length(name, delta)]
    return Step(f"delta of {_place(trace, layer)}", formulas, shapes, notes, arrays)


# ---------------------------------------------------------------------- gradients and update


def _gradients(trace, layer):
    about, of_W, of_b = trace.about, f"∂C/∂W[{layer}]", f"∂C/∂b[{layer}]"
    terms = [f"α W[{layer}]"] * bool(about["alpha"]) + [f"λ sign W[{layer}]"] * bool(about["l1"])
    penalty = f" + ({' + '.join(terms)}) / {_divisor(trace)}" if terms else ""
    hidden = bool(trace.norm) and layer < len(trace.coefs)
    summed = f"∂C/∂N[{layer}]" if hidden and trace.norm == "batch_norm" else f"δ[{layer}]"
    formulas = [f"{of_W} = A[{layer - 1}]ᵀ δ[{layer}]{penalty}", f"{of_b} = Σ over rows of {summed}"]
    grads = trace.coef_grads[layer - 1], trace.intercept_grads[layer - 1]
    factors = [_of_rows(f"A[{layer - 1}]", trace.A[layer - 1]), _of_rows(f"δ[{layer}]", trace.delta[layer - 1])]
    arrays = [*factors, _of_weights(of_W, grads[0]), _of_units(of_b, grads[1])]
    shapes = [f"A[{layer - 1}]ᵀ: {trace.A[layer - 1].shape[1]} × {trace.A[layer - 1].shape[0]}"]
    shapes += [_shape(f"δ[{layer}]", trace.delta[layer - 1]), _shape(of_W, grads[0]), _shape(of_b, grads[1])]
    if hidden:
        arrays += _norm_arrays(trace, layer, "grads", "∂C/∂")
        formulas.append(f"∂C/∂γ[{layer}] = Σ over rows of ∂C/∂N[{layer}] ⊙ x̂")
    notes = [_length(of_W, grads[0])]
    if terms:
        notes.append("The gradient contains the penalties, which the attribute coef_penalty_grads lists separately.")
    return Step(f"gradients of {_place(trace, layer)}", formulas, shapes, notes, arrays)


def _norm_arrays(trace, layer, kind, sign):
    """Return the arrays of γ and, with layer normalization, of β."""
    lists = ("γ", getattr(trace, f"norm_scale_{kind}")), ("β", getattr(trace, f"norm_shift_{kind}"))
    return [_of_units(f"{sign}{name}[{layer}]", arrays[layer - 1]) for name, arrays in lists if len(arrays)]


def _update(trace, layer):
    W, b = trace.coefs[layer - 1], trace.intercepts[layer - 1]
    steps = trace.coef_updates[layer - 1], trace.intercept_updates[layer - 1]
    formulas = [f"W[{layer}] ← W[{layer}] + ΔW[{layer}]", f"b[{layer}] ← b[{layer}] + Δb[{layer}]"]
    formulas.append(f"For each parameter w with the gradient g: {OF_SOLVERS[trace.about['solver']]}")
    notes = [f"Solver: {trace.update_rule}."]
    if trace.about["has_limits"]:
        notes.append("The step also contains weight_decay, clip_norm or max_norm, because they are set.")
    arrays = [
        _of_weights(f"∂C/∂W[{layer}]", trace.coef_grads[layer - 1]),
        _of_weights(f"ΔW[{layer}]", steps[0]),
        _of_units(f"Δb[{layer}]", steps[1]),
        _of_weights(f"W[{layer}] after the update", W + steps[0]),
        _of_units(f"b[{layer}] after the update", b + steps[1]),
    ]
    if trace.norm and layer < len(trace.coefs):
        arrays += _norm_arrays(trace, layer, "updates", "Δ")
    return Step(f"update of {_place(trace, layer)}", formulas, [_shape(f"W[{layer}]", W), _shape(f"b[{layer}]", b)], notes, arrays)
