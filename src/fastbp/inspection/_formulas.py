"""The formulas of activations, losses and solvers as text, for the HTML view of a trace.

Names go in; text comes out. The kernels implement the formulas and name their sources. A test checks that every name has a formula.
"""

# g(z) and g'(z) of each activation of hidden layers; σ is the logistic function and Φ the normal distribution function
OF_ACTIVATIONS = {
    "identity": ("z", "1"),
    "logistic": ("σ(z) = 1 / (1 + e⁻ᶻ)", "σ(z) (1 − σ(z))"),
    "tanh": ("tanh z", "1 − tanh² z"),
    "relu": ("max(0, z)", "1 if z > 0, otherwise 0"),
    "leaky_relu": ("z if z > 0, otherwise 0.01 z", "1 if z > 0, otherwise 0.01"),
    "elu": ("z if z > 0, otherwise eᶻ − 1", "1 if z > 0, otherwise eᶻ"),
    "selu": ("λ z if z > 0, otherwise λ α (eᶻ − 1), with λ = 1.0507 and α = 1.6733", "λ if z > 0, otherwise λ α eᶻ"),
    "silu": ("z σ(z)", "σ(z) + z σ(z) (1 − σ(z))"),
    "gelu": ("z Φ(z)", "Φ(z) + z Φ′(z)"),
    "mish": ("z t, with t = tanh(ln(1 + eᶻ))", "t + z (1 − t²) σ(z)"),
    "softplus": ("ln(1 + eᶻ)", "σ(z)"),
    "hard_sigmoid": ("(z + 3) / 6, limited to [0, 1]", "1/6 if −3 < z < 3, otherwise 0"),
    "hard_swish": ("z h, with h = (z + 3) / 6, limited to [0, 1]", "h + z/6 if −3 < z < 3, otherwise h"),
}

# A in terms of Z for each output activation
OF_LINKS = {
    "identity": "Z",
    "logistic": "1 / (1 + e^−Z)",
    "softmax": "e^Z / Σ e^Z, with the sum over the units of a row",
    "exp": "e^Z",
    "relu": "max(0, Z)",
    "softplus": "ln(1 + e^Z)",
    "grouped_softmax": "e^Z / Σ e^Z, with the sum over the units of each output",
    "ordered_quantiles": "Z for the first quantile; for the others, the quantile before plus ln(1 + e^Z)",
}

# the loss of one output a for its target y
OF_LOSSES = {
    "squared_error": "(a − y)² / 2",
    "log_loss": "−y ln a with a softmax, −y ln a − (1 − y) ln(1 − a) with a logistic output",
    "absolute_error": "|a − y|",
    "huber": "d²/2 if |d| ≤ δ, otherwise δ (|d| − δ/2), with d = a − y and δ = huber_delta",
    "quantile": "max(q d, (q − 1) d), with d = y − a",
    "poisson": "y ln(y / a) − y + a",
    "gamma": "ln(a / y) + y / a − 1",
    "tweedie": "y²⁻ᵖ / ((1−p)(2−p)) − y a¹⁻ᵖ / (1−p) + a²⁻ᵖ / (2−p)",
}

# one step of each solver with the gradient g, for each parameter w; η is the learning rate and t the number of the step
OF_SOLVERS = {
    None: "w ← w − η g",
    "sgd": "v ← μ v − η g, w ← w + v or, with Nesterov's momentum, w ← w + μ v − η g",
    "adam": "m ← β₁ m + (1−β₁) g, v ← β₂ v + (1−β₂) g², w ← w − η √(1−β₂ᵗ) / (1−β₁ᵗ) · m / (√v + ε)",
    "adagrad": "s ← s + g², w ← w − η g / (√s + ε)",
    "adadelta": "v ← ρ v + (1−ρ) g², Δ = g √(u+ε) / √(v+ε), u ← ρ u + (1−ρ) Δ², w ← w − η Δ",
    "rmsprop": "v ← ρ v + (1−ρ) g², w ← w − η g / (√v + ε)",
    "adamw": "m ← β₁ m + (1−β₁) g, v ← β₂ v + (1−β₂) g², w ← w − η m̂ / (√v̂ + ε), with m̂ = m / (1−β₁ᵗ), v̂ = v / (1−β₂ᵗ)",
    "nadam": "w ← w − η (μₜ₊₁ m / (1 − Πₜ₊₁) + (1 − μₜ) g / (1 − Πₜ)) / (√v̂ + ε), with μₜ = β₁ (1 − ½ 0.96^(t/250))",
    "adamax": "m ← β₁ m + (1−β₁) g, u ← max(β₂ u, |g| + ε), w ← w − η m / ((1 − β₁ᵗ) u)",
    "lion": "w ← w − η sign(β₁ m + (1−β₁) g), m ← β₂ m + (1−β₂) g",
}


def activation_formulas(name):
    """Return the formulas of an activation and of its slope; a user-defined function has only its name."""
    return OF_ACTIVATIONS.get(name, (f"{name}, a user-defined function", "its derivative"))


def loss_formula(name):
    """Return the formula of a loss; a user-defined function has only its name."""
    return OF_LOSSES.get(name, f"{name}, a user-defined function")
