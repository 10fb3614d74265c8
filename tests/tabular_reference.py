"""A plain NumPy implementation of RealMLP and TabM: layers, losses, optimizer, schedules and preprocessing, in float64.

The input is prepared rows, targets, starting weights by name and the rows of each batch. The output is losses, gradients and
trained networks. The tests compare the kernels with this module, so it imports nothing from fastbp, and every gradient is
written by hand. The formulas are those of Holzmüller et al. (2024), "Better by default" (RealMLP), and Gorishniy et al. (2025),
"TabM", with the details of their code: pytabkit 1.7.3, tabm 0.0.3 and rtdl_num_embeddings 0.0.12. tests/test_tabular_torch.py
compares them.

Shapes: a layer maps (..., n_in) to (..., n_out). The last axis holds columns or units; TabM has an axis of members before it.
"""

from typing import Any, NamedTuple

import numpy as np

SELU, ALPHA = 1.0507009873554805, 1.6732632423543772


def sigmoid(z):
    return np.exp(-np.logaddexp(0, -z))


def mish_slope(z):
    t = np.tanh(np.logaddexp(0, z))
    return t + z * sigmoid(z) * (1 - t * t)


# name: (f(z), f'(z))
ACTIVATIONS = {
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    "selu": (
        lambda z: SELU * np.where(z > 0, z, ALPHA * np.expm1(np.minimum(z, 0))),
        lambda z: SELU * np.where(z > 0, 1, ALPHA * np.exp(np.minimum(z, 0))),
    ),
    "mish": (lambda z: z * np.tanh(np.logaddexp(0, z)), mish_slope),
}


class Layer:
    """A layer with a label and parameters by name.

    `forward` stores what `backward` needs. `backward` stores the gradients of the parameters and returns the delta of the input.
    """

    factors: dict[str, tuple[float, float]] = {}  # name: (factor of the learning rate, factor of the decay), by default (1, 1)

    def __init__(self, label="", **parameters):
        self.label = label
        self.parameters = {name: np.array(value, float) for name, value in parameters.items()}
        self.gradients = {}

    def layers(self):
        return [self]

    def set(self, **gradients):
        for name, gradient in gradients.items():
            shape = self.parameters[name].shape
            leading = gradient.ndim - len(shape)
            self.gradients[name] = gradient.sum(axis=tuple(range(leading)))


class Network(Layer):
    """Layers, one after the other."""

    def __init__(self, layers):
        super().__init__()
        self.sequence = layers

    def layers(self):
        return [inner for layer in self.sequence for inner in layer.layers()]

    def forward(self, x):
        for layer in self.sequence:
            x = layer.forward(x)
        return x

    def backward(self, delta):
        for layer in reversed(self.sequence):
            delta = layer.backward(delta)
        return delta


class Residual(Network):
    """x + g(x), where g is a sequence of layers."""

    def forward(self, x):
        return x + super().forward(x)

    def backward(self, delta):
        return delta + super().backward(delta)


class Columns(Layer):
    """Parts (columns, layer): each layer gets its columns, and their outputs are concatenated."""

    def __init__(self, parts):
        super().__init__()
        self.parts = parts

    def layers(self):
        return [inner for _, layer in self.parts for inner in layer.layers()]

    def forward(self, x):
        self.shape = x.shape
        outputs = [layer.forward(x[..., columns]) for columns, layer in self.parts]
        self.ends = np.cumsum([output.shape[-1] for output in outputs])
        return np.concatenate(outputs, axis=-1)

    def backward(self, delta):
        back = np.zeros(self.shape)
        for (columns, layer), part in zip(self.parts, np.split(delta, self.ends[:-1], axis=-1), strict=True):
            back[..., columns] += layer.backward(part)
        return back


class Identity(Layer):
    def forward(self, x):
        return x

    def backward(self, delta):
        return delta


class Diagonal(Layer):
    """x ⊙ s, where s has shape (n_in,), or (k, n_in) as the adapter of TabM-mini."""

    factors = {"s": (6.0, 1.0)}

    def forward(self, x):
        self.x = x
        return x * self.parameters["s"]

    def backward(self, delta):
        self.set(s=delta * self.x)
        return delta * self.parameters["s"]


class Adapter(Diagonal):
    """The adapter of TabM-mini: a diagonal layer (k, n_in) without a factor."""

    factors: dict[str, tuple[float, float]] = {}


def outer(x, delta):
    """Return Σ xᵀ·delta over all leading axes: (n_in, n_out)."""
    return x.reshape(-1, x.shape[-1]).T @ delta.reshape(-1, delta.shape[-1])


class Dense(Layer):
    """x·W + b."""

    factors = {"b": (1.0, 0.0)}
    gain = 1.0

    def forward(self, x):
        self.x = x
        return self.gain * (x @ self.parameters["W"]) + self.parameters["b"]

    def backward(self, delta):
        self.set(W=self.gain * outer(self.x, delta), b=delta)
        return self.gain * (delta @ self.parameters["W"].T)


class NTPDense(Dense):
    """x·W / √n_in + b, the neural tangent parametrization: the factor applies to W and not to b."""

    factors = {"b": (0.1, 0.0)}

    def __init__(self, label="", **parameters):
        super().__init__(label, **parameters)
        self.gain = 1 / np.sqrt(len(self.parameters["W"]))


class Activation(Layer):
    """f(z)."""

    def __init__(self, function, label="", **parameters):
        super().__init__(label, **parameters)
        self.f, self.slope = ACTIVATIONS[function]

    def forward(self, x):
        self.x = x
        return self.f(x)

    def backward(self, delta):
        return delta * self.slope(self.x)


class ParametricActivation(Activation):
    """z + α ⊙ (f(z) - z)."""

    factors = {"alpha": (0.1, 1.0)}

    def forward(self, x):
        self.x, self.change = x, self.f(x) - x
        return x + self.parameters["alpha"] * self.change

    def backward(self, delta):
        self.set(alpha=delta * self.change)
        return delta * (1 + self.parameters["alpha"] * (self.slope(self.x) - 1))


class Dropout(Layer):
    """x ⊙ keep / (1 - rate). `keep` is None outside training."""

    keep, rate = None, 0.0

    def forward(self, x):
        self.multiplier = 1.0 if self.keep is None or self.rate == 0 else self.keep / (1 - self.rate)
        return x * self.multiplier

    def backward(self, delta):
        return delta * self.multiplier


class PBLD(Layer):
    """Embed numeric columns: cos(2π·w1·x + b1)·W2 + b2 of each column, and then the columns themselves.

    Shapes: w1 (n_in, h), b1 (n_in, h), W2 (n_in, h, o), b2 (n_in, o); the output has n_in·o + n_in columns.
    """

    factors = {name: (0.1, 1.0) for name in ("w1", "b1", "W2", "b2")}

    def forward(self, x):
        w1, b1, W2, b2 = (self.parameters[name] for name in ("w1", "b1", "W2", "b2"))
        self.x, self.angle = x, 2 * np.pi * x[..., None] * w1 + b1
        e = np.einsum("...jh,jho->...jo", np.cos(self.angle), W2) + b2
        return np.concatenate([e.reshape(*x.shape[:-1], -1), x], axis=-1)

    def backward(self, delta):
        w1, W2, n = self.parameters["w1"], self.parameters["W2"], self.x.shape[-1]
        d = delta[..., :-n].reshape(*self.x.shape, -1)
        by_angle = -np.sin(self.angle) * np.einsum("...jo,jho->...jh", d, W2)
        self.set(b2=d, b1=by_angle, w1=2 * np.pi * self.x[..., None] * by_angle, W2=np.cos(self.angle)[..., None] * d[..., None, :])
        return delta[..., -n:] + 2 * np.pi * (by_angle * w1).sum(-1)


class PLR(Layer):
    """Embed numeric columns: relu(h·W + b) with h = [cos(2π·w·x), sin(2π·w·x)] of each column.

    Shapes: w (n_in, h), W (n_in, 2h, o), b (n_in, o); the output has n_in·o columns. `relu=False` gives PL.
    """

    factors = {"w": (1.0, 0.0), "b": (1.0, 0.0)}
    relu = True

    def forward(self, x):
        w, W, b = (self.parameters[name] for name in ("w", "W", "b"))
        self.x, self.angle = x, 2 * np.pi * x[..., None] * w
        self.h = np.concatenate([np.cos(self.angle), np.sin(self.angle)], axis=-1)
        self.z = np.einsum("...jh,jho->...jo", self.h, W) + b
        return (np.maximum(self.z, 0) if self.relu else self.z).reshape(*x.shape[:-1], -1)

    def backward(self, delta):
        d = delta.reshape(self.z.shape)
        d = d * (self.z > 0) if self.relu else d
        by_cos, by_sin = np.split(np.einsum("...jo,jho->...jh", d, self.parameters["W"]), 2, axis=-1)
        by_angle = by_sin * np.cos(self.angle) - by_cos * np.sin(self.angle)
        self.set(b=d, w=2 * np.pi * self.x[..., None] * by_angle, W=self.h[..., None] * d[..., None, :])
        return 2 * np.pi * (by_angle * self.parameters["w"]).sum(-1)


class PiecewiseLinearEncoding(Layer):
    """Encode column j by its edges b[0] < ... < b[T]: u[t] = (x - b[t-1]) / (b[t] - b[t-1]), clipped to [0, 1].

    The first u has no lower limit and the last u no upper limit; with `means`, they have, and `means` are subtracted. Without
    `width`, the output has ΣT columns. With `width`, each column has that many components (..., n_in, width), the last of them zero
    if T is smaller.
    """

    def __init__(self, edges, width=None, means=None):
        super().__init__()
        self.edges, self.width, self.means = [np.asarray(b, float) for b in edges], width, means

    def forward(self, x):
        parts, self.slopes = [], []
        for j, b in enumerate(self.edges):
            u = (x[..., j, None] - b[:-1]) / np.diff(b)
            low, high = np.zeros(len(b) - 1), np.ones(len(b) - 1)
            if self.means is None:
                low[0], high[-1] = -np.inf, np.inf
            parts.append(np.clip(u, low, high))
            self.slopes.append(((low < u) & (u < high)) / np.diff(b))
        if self.width is None:
            return np.concatenate(parts, axis=-1) - (0 if self.means is None else self.means)
        padded = np.zeros((*x.shape, self.width))
        for j, part in enumerate(parts):
            padded[..., j, : part.shape[-1]] = part
        return padded

    def backward(self, delta):
        if self.width is None:
            parts = np.split(delta, np.cumsum([len(b) - 1 for b in self.edges])[:-1], axis=-1)
        else:
            parts = [delta[..., j, : len(b) - 1] for j, b in enumerate(self.edges)]
        return np.stack([(part * slope).sum(-1) for part, slope in zip(parts, self.slopes, strict=True)], axis=-1)


class PiecewiseLinearEmbedding(Layer):
    """Embed numeric columns: w0·x + b0 + u·W of each column, where u is its piecewise-linear encoding.

    Shapes: w0 (n_in, o), b0 (n_in, o), W (n_in, T, o), where T is the largest number of bins; the output has n_in·o columns.
    """

    factors = {"w0": (1.0, 0.0), "b0": (1.0, 0.0)}

    def __init__(self, edges, label="", **parameters):
        super().__init__(label, **parameters)
        self.encoding = PiecewiseLinearEncoding(edges, width=self.parameters["W"].shape[1])

    def forward(self, x):
        w0, b0, W = (self.parameters[name] for name in ("w0", "b0", "W"))
        self.x, self.u = x, self.encoding.forward(x)
        e = x[..., None] * w0 + b0 + np.einsum("...jt,jto->...jo", self.u, W)
        return e.reshape(*x.shape[:-1], -1)

    def backward(self, delta):
        d = delta.reshape(*self.x.shape, -1)
        self.set(w0=self.x[..., None] * d, b0=d, W=self.u[..., None] * d[..., None, :])
        return (d * self.parameters["w0"]).sum(-1) + self.encoding.backward(np.einsum("...jo,jto->...jt", d, self.parameters["W"]))


class CategoricalEmbedding(Layer):
    """Replace a column of codes (..., 1) by the rows of the table E (n_codes, o)."""

    def forward(self, x):
        self.codes = x[..., 0].astype(int)
        return self.parameters["E"][self.codes]

    def backward(self, delta):
        gradient = np.zeros(self.parameters["E"].shape)
        np.add.at(gradient, self.codes, delta)
        self.set(E=gradient)
        return np.zeros((*self.codes.shape, 1))


class Members(Layer):
    """Repeat rows (n_rows, n_in) for k members: (n_rows, k, n_in). Rows that differ between members remain as they are."""

    def __init__(self, k):
        super().__init__()
        self.k = k

    def forward(self, x):
        self.shared = x.ndim == 2
        return np.repeat(x[:, None], self.k, axis=1) if self.shared else x

    def backward(self, delta):
        return delta.sum(axis=1) if self.shared else delta


class MemberDense(Layer):
    """((x ⊙ r)·W) ⊙ s + b, where W (n_in, n_out) is shared, and r (k, n_in), s and b (k, n_out) belong to the members."""

    factors = {"b": (1.0, 0.0)}

    def forward(self, x):
        self.x, self.input = x, x * self.parameters["r"]
        self.product = self.input @ self.parameters["W"]
        return self.product * self.parameters["s"] + self.parameters["b"]

    def backward(self, delta):
        by_product = delta * self.parameters["s"]
        by_input = by_product @ self.parameters["W"].T
        self.set(W=outer(self.input, by_product), r=by_input * self.x, s=delta * self.product, b=delta)
        return by_input * self.parameters["r"]


class Heads(Layer):
    """x·V + c for each member, with V (k, n_in, n_out) and c (k, n_out)."""

    factors = {"c": (1.0, 0.0)}

    def forward(self, x):
        self.x = x
        return np.einsum("nki,kio->nko", x, self.parameters["V"]) + self.parameters["c"]

    def backward(self, delta):
        self.set(V=np.einsum("nki,nko->kio", self.x, delta), c=delta)
        return np.einsum("nko,kio->nki", delta, self.parameters["V"])


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def cross_entropy(z, codes, smoothing=0.0):
    """Return the mean cross-entropy of logits (..., n_classes) and codes (...), and its gradient by the logits."""
    n_classes = z.shape[-1]
    targets = (1 - smoothing) * np.eye(n_classes)[codes] + smoothing / n_classes
    log_sum = z.max(-1, keepdims=True) + np.log(np.exp(z - z.max(-1, keepdims=True)).sum(-1, keepdims=True))
    losses = (targets * (log_sum - z)).sum(-1)
    return losses.mean(), (softmax(z) - targets) / losses.size


def squared_error(z, y):
    """Return the mean squared error over rows and outputs, without a factor 1/2, and its gradient."""
    return ((z - y) ** 2).mean(), 2 * (z - y) / z.size


def coslog(t, n_cycles=4):
    """The learning-rate schedule of RealMLP: `n_cycles` cosine cycles, each twice as long as the one before."""
    return 0.5 * (1 - np.cos(2 * np.pi * np.log2(1 + (2**n_cycles - 1) * t)))


def flat_cos(t):
    """The schedule of dropout and weight decay of RealMLP: 1 in the first half, then half a cosine wave to 0."""
    return 1.0 if t < 0.5 else 0.5 * (1 + np.cos(np.pi * (2 * t - 1)))


class Adam:
    """Adam (Kingma & Ba, 2015) with decoupled decay before the step, and factors for parameters.

    `twice` multiplies the factors into the decay a second time, as pytabkit does. With factors of 1, this is torch's AdamW.
    """

    def __init__(self, network, *, beta_2, epsilon=1e-8, twice=False):
        self.beta_1, self.beta_2, self.epsilon, self.power = 0.9, beta_2, epsilon, 1 + twice
        self.entries = [(layer, name) for layer in network.layers() for name in layer.parameters]
        self.moments = [np.zeros((2, *layer.parameters[name].shape)) for layer, name in self.entries]
        self.n_steps = 0

    def step(self, learning_rate, weight_decay):
        self.n_steps += 1
        for (layer, name), (m, v) in zip(self.entries, self.moments, strict=True):
            p, g = layer.parameters[name], layer.gradients[name]
            of_rate, of_decay = layer.factors.get(name, (1.0, 1.0))
            p *= 1 - weight_decay * learning_rate * (of_rate * of_decay) ** self.power
            m[...] = self.beta_1 * m + (1 - self.beta_1) * g
            v[...] = self.beta_2 * v + (1 - self.beta_2) * g * g
            m_hat, v_hat = m / (1 - self.beta_1**self.n_steps), v / (1 - self.beta_2**self.n_steps)
            p -= learning_rate * of_rate * m_hat / (np.sqrt(v_hat) + self.epsilon)


def one_hot(codes, size):
    """Encode codes 0..size-1 as RealMLP does. Code 0 stands for missing and unknown values.

    Two categories become one column with +1 and -1, and 0 for code 0. One category becomes +1, and -1 for code 0. Otherwise, code c
    is a one in column c - 1, and code 0 is a row of zeros.
    """
    codes = np.asarray(codes)
    if size in (2, 3):
        return np.array([[-1.0, 1.0], [0.0, 1.0, -1.0]][size - 2])[codes][:, None]
    return np.eye(size)[codes][:, 1:]


def robust_scaling(X):
    """Return the medians and the factors 1 / (q75 - q25) of columns; 2 / (max - min) if q75 = q25; 0 for constant columns."""
    median = np.quantile(X, 0.5, axis=0)
    span = np.quantile(X - median, 0.75, axis=0) - np.quantile(X - median, 0.25, axis=0)
    span = np.where(span == 0, 0.5 * (X.max(axis=0) - X.min(axis=0)), span)
    return median, np.divide(1, span, out=np.zeros_like(span), where=span != 0)


def smooth_clip(x):
    """Limit values to (-3, 3)."""
    return x / np.sqrt(1 + (x / 3) ** 2)


def realmlp(weights, activation, residuals=False):
    """Build RealMLP from weights by name. The input columns are numeric, one-hot, and one column of codes for each embedding.

    Names: pbld.w1, pbld.b1, pbld.W2, pbld.b2 and embedding.<i>.E (TD); scale.s; dense.<i>.W, dense.<i>.b; activation.<i>.alpha
    (TD). With `residuals`, each hidden layer after the first that has as many units as inputs adds its inputs, which dropout does
    not change, to its outputs.
    """
    tables = sum(name.startswith("embedding.") for name in weights)
    parts: list[tuple[slice, Layer]] = [(slice(None, -tables or None), Identity())]
    if "pbld.w1" in weights:
        n_numeric = len(weights["pbld.w1"])
        pbld = PBLD("pbld", **{name: weights[f"pbld.{name}"] for name in ("w1", "b1", "W2", "b2")})
        parts = [(slice(n_numeric), pbld), (slice(n_numeric, -tables or None), Identity())]
    parts += [
        (slice(i - tables, i - tables + 1 or None), CategoricalEmbedding(f"embedding.{i}", E=weights[f"embedding.{i}.E"]))
        for i in range(tables)
    ]
    layers: list[Layer] = [Columns(parts), Diagonal("scale", s=weights["scale.s"])]
    n_layers = sum(name.startswith("dense.") and name.endswith("W") for name in weights)
    for i in range(n_layers):
        W = weights[f"dense.{i}.W"]
        block: list[Layer] = [NTPDense(f"dense.{i}", W=W, b=weights[f"dense.{i}.b"])]
        if i < n_layers - 1 and f"activation.{i}.alpha" in weights:
            alpha = weights[f"activation.{i}.alpha"]
            block += [ParametricActivation(activation, f"activation.{i}", alpha=alpha), Dropout()]
        elif i < n_layers - 1:
            block.append(Activation(activation))
        is_residual = residuals and 0 < i < n_layers - 1 and len(W) == len(W.T)
        layers += [Residual(block)] if is_residual else block
    return Network(layers)


def tabm(weights, edges=None):
    """Build TabM or TabM-mini from weights by name. The input columns are numeric and one-hot, (n_rows, n_in) or (n_rows, k, n_in).

    Names: ple.w0, ple.b0, ple.W with `edges`, or plr.w, plr.W, plr.b; adapter.s (TabM-mini); block.<i>.W, block.<i>.b, and in TabM
    block.<i>.r, block.<i>.s; head.V, head.c.
    """
    layers: list[Layer] = []
    if "ple.W" in weights:
        embedding: Layer = PiecewiseLinearEmbedding(edges, "ple", **{name: weights[f"ple.{name}"] for name in ("w0", "b0", "W")})
        layers = [Columns([(slice(len(edges)), embedding), (slice(len(edges), None), Identity())])]
    elif "plr.W" in weights:
        embedding, n_numeric = PLR("plr", **{name: weights[f"plr.{name}"] for name in ("w", "W", "b")}), len(weights["plr.w"])
        layers = [Columns([(slice(n_numeric), embedding), (slice(n_numeric, None), Identity())])]
    layers.append(Members(len(weights["head.c"])))
    if "adapter.s" in weights:
        layers.append(Adapter("adapter", s=weights["adapter.s"]))
    for i in range(sum(name.startswith("block.") and name.endswith("W") for name in weights)):
        own = {name: weights[f"block.{i}.{name}"] for name in ("W", "r", "s", "b") if f"block.{i}.{name}" in weights}
        layers.append(MemberDense(f"block.{i}", **own) if "r" in own else Dense(f"block.{i}", **own))
        layers += [Activation("relu"), Dropout()]
    return Network([*layers, Heads("head", V=weights["head.V"], c=weights["head.c"])])


class Problem(NamedTuple):
    """What an implementation needs in order to train and to return the loss of each step.

    X holds prepared rows: scaled numeric columns, one-hot columns, codes. y holds class codes (n_rows,) or standardized targets
    (n_rows, n_outputs). batches[step] holds the rows of a batch, (n_batch,) or (n_batch, k). masks[step][i] tells which values the
    i-th dropout layer keeps. Schedules end after `n_steps` steps.
    """

    model: str  # "realmlp" or "tabm"
    weights: dict[str, np.ndarray]
    X: np.ndarray
    y: np.ndarray
    batches: list[np.ndarray]
    masks: list[list[np.ndarray]]
    n_steps: int
    learning_rate: float
    weight_decay: float = 0.0
    dropout: float = 0.0
    smoothing: float = 0.0
    activation: str = "relu"
    edges: Any = None
    residuals: bool = False


def build(problem):
    if problem.model == "tabm":
        return tabm(problem.weights, problem.edges)
    return realmlp(problem.weights, problem.activation, problem.residuals)


def weights_of(network):
    """Return the parameters of a network by the names that `realmlp` and `tabm` read."""
    return {f"{layer.label}.{name}": value for layer in network.layers() for name, value in layer.parameters.items()}


def train(problem, after_step=lambda step, network: None):
    """Return the loss of each batch before its step, and the trained network."""
    network = build(problem)
    is_realmlp = problem.model == "realmlp"
    optimizer = Adam(network, beta_2=0.95 if is_realmlp else 0.999, twice=is_realmlp)
    dropouts = [layer for layer in network.layers() if isinstance(layer, Dropout)]
    losses = []
    for step, rows in enumerate(problem.batches):
        t = step / problem.n_steps
        rate, flat = (coslog(t), flat_cos(t)) if is_realmlp else (1.0, 1.0)
        for layer, keep in zip(dropouts, problem.masks[step], strict=True):
            layer.keep, layer.rate = keep, problem.dropout * flat
        z, y = network.forward(problem.X[rows]), problem.y[rows]
        if not is_realmlp and rows.ndim == 1:  # members that share their rows also share the targets
            y = np.repeat(y[:, None], z.shape[1], axis=1)
        loss, delta = squared_error(z, y) if problem.y.ndim == 2 else cross_entropy(z, y, problem.smoothing)
        network.backward(delta)
        optimizer.step(problem.learning_rate * rate, problem.weight_decay * flat)
        losses.append(loss)
        for layer in dropouts:
            layer.keep = None
        after_step(step, network)
    return np.array(losses), network


def members_prediction(z, is_classification):
    """Return the mean over the members (axis 1) of TabM, of probabilities for classes."""
    return (softmax(z) if is_classification else z).mean(axis=1)


def best_epoch(errors, ties):
    """Return the index of the least error: the last of equal errors in RealMLP (ties="last"), the first in TabM."""
    errors = np.asarray(errors)
    return int(len(errors) - 1 - np.argmin(errors[::-1]) if ties == "last" else np.argmin(errors))


def initial_realmlp(X, n_numeric, sizes, hidden, n_outputs, activation, *, preset, draws):
    """Return the starting weights of RealMLP.

    `sizes` are the numbers of codes of the columns with embeddings. `draws` has the methods normal(shape), uniform(shape) from
    [0, 1), integers(n, shape) and exponential(shape), and they are called in the order of pytabkit. In the preset "td", the
    scale of W gives pre-activations with standard deviation 1 on the rows of X, and b is minus a random convex combination of
    five of them.
    """
    weights, width = {}, X.shape[1] - len(sizes)
    if preset == "td" and n_numeric:
        weights["pbld.w1"] = 0.1 * draws.normal((n_numeric, 16))
        weights["pbld.b1"] = np.pi * (2 * draws.uniform((n_numeric, 16)) - 1)
        weights["pbld.W2"] = (2 * draws.uniform((n_numeric, 16, 3)) - 1) / 4
        weights["pbld.b2"] = (2 * draws.uniform((n_numeric, 3)) - 1) / 4
        width += 3 * n_numeric
    for i, size in enumerate(sizes):
        weights[f"embedding.{i}.E"] = draws.normal((size, 8))
        width += 8
    weights["scale.s"] = np.ones(width)
    x = realmlp(weights, activation).forward(X)
    for i, n_out in enumerate((*hidden, n_outputs)):
        last = i == len(hidden)
        if preset == "td":
            W = draws.normal((width, n_out))
            W /= (x @ W / np.sqrt(width)).std(axis=0)
            z = x @ W / np.sqrt(width)
            rows = draws.integers(len(X), (n_out, 5))
            shares = draws.exponential((n_out, 5))
            shares /= shares.sum(axis=1, keepdims=True)
            b = -(shares * z[rows, np.arange(n_out)[:, None]]).sum(axis=1)
            x = ACTIVATIONS[activation][0](z + b)
        else:
            W = np.zeros((width, n_out)) if last else draws.normal((width, n_out))
            b = np.zeros(n_out) if last else draws.normal((n_out,))
        weights |= {f"dense.{i}.W": W, f"dense.{i}.b": b}
        if preset == "td" and not last:
            weights[f"activation.{i}.alpha"] = np.ones(n_out)
        width = n_out
    return weights
