"""A slow reference implementation of backpropagation: loops over rows, units and weights with Python numbers.

The input is rows, targets and lists of W (n_in, n_out) and b (n_out,). The output is predictions, losses, gradients and trained
networks. The tests compare the kernels with this module, so it imports nothing from fastbp, and its formulas are those of
textbooks. To add an activation, link, loss or solver, add one line to `ACTIVATIONS`, to `SOLVERS` or to one of the other
dictionaries. Functions return sums over rows, not means, unless their docstring says otherwise.
"""

import math

import numpy as np


def sigmoid(z):
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


def softplus(z):
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def normal(z):
    return 0.5 * math.erfc(-z / math.sqrt(2))


SELU, ALPHA = 1.0507009873554805, 1.6732632423543772

# name: (g(z), g'(z))
ACTIVATIONS = {
    "identity": (lambda z: z, lambda z: 1.0),
    "logistic": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "tanh": (math.tanh, lambda z: 1 - math.tanh(z) ** 2),
    "relu": (lambda z: max(z, 0.0), lambda z: 1.0 if z > 0 else 0.0),
    "leaky_relu": (lambda z: z if z > 0 else 0.01 * z, lambda z: 1.0 if z > 0 else 0.01),
    "elu": (lambda z: z if z > 0 else math.expm1(z), lambda z: 1.0 if z > 0 else math.exp(z)),
    "selu": (lambda z: SELU * (z if z > 0 else ALPHA * math.expm1(z)), lambda z: SELU * (1.0 if z > 0 else ALPHA * math.exp(z))),
    "silu": (lambda z: z * sigmoid(z), lambda z: sigmoid(z) * (1 + z * (1 - sigmoid(z)))),
    "gelu": (lambda z: z * normal(z), lambda z: normal(z) + z * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)),
    "mish": (lambda z: z * math.tanh(softplus(z)), lambda z: math.tanh(softplus(z)) + z * sigmoid(z) / math.cosh(softplus(z)) ** 2),
    "softplus": (lambda z: softplus(z), sigmoid),
    "hard_sigmoid": (lambda z: min(max(z / 6 + 0.5, 0.0), 1.0), lambda z: 1 / 6 if -3 < z < 3 else 0.0),
    "hard_swish": (
        lambda z: z * min(max(z / 6 + 0.5, 0.0), 1.0),
        lambda z: z / 3 + 0.5 if -3 < z < 3 else float(z >= 3),
    ),
}


def softmax(z):
    e = [math.exp(value - max(z)) for value in z]
    return [value / sum(e) for value in e]


# the outputs of one row, computed from its weighted sums
LINKS = {
    "identity": list,
    "logistic": lambda z: [sigmoid(value) for value in z],
    "softmax": softmax,
    "exp": lambda z: [math.exp(value) for value in z],
    "relu": lambda z: [max(value, 0.0) for value in z],
    "softplus": lambda z: [softplus(value) for value in z],
    "grouped_softmax": lambda z: softmax(z[:2]) + softmax(z[2:]),  # two outputs: one with two classes, one with the rest
    "ordered_quantiles": lambda z: [z[0] + sum(softplus(value) for value in z[1 : j + 1]) for j in range(len(z))],
}


def clipped(p, eps):
    return min(max(p, eps), 1 - eps)


def half_squared_error(y, a, eps):
    return 0.5 * sum((p - t) ** 2 for t, p in zip(y, a, strict=True)) / len(a)


def binary_log_loss(y, a, eps):
    return -sum(math.log(clipped(p, eps) if t else 1 - clipped(p, eps)) for t, p in zip(y, a, strict=True))


def multinomial_log_loss(y, a, eps):
    return -math.log(clipped(a[int(y[0])], eps))


def half_poisson_deviance(y, a, eps):
    return sum((t * math.log(t / p) if t else 0.0) - t + p for t, p in zip(y, a, strict=True))


def difference(y, a):
    return [p - t for t, p in zip(y, a, strict=True)]


def difference_from_one_hot(y, a):
    return [p - (j == int(y[0])) for j, p in enumerate(a)]


# (loss, link) or (loss, link, smoothing): the loss of one row and its delta. As in scikit-learn, the squared error is a mean over
# the outputs, but its delta is not: the gradient is n_outputs times the gradient of the loss.
LOSSES = {
    ("squared_error", "identity"): (half_squared_error, difference),
    ("log_loss", "logistic"): (binary_log_loss, difference),
    ("log_loss", "softmax"): (multinomial_log_loss, difference_from_one_hot),
    ("poisson", "exp"): (half_poisson_deviance, difference),
}


def tweedie(y, a, p=1.3):
    return (y ** (2 - p) / ((1 - p) * (2 - p)) if y else 0.0) - y * a ** (1 - p) / (1 - p) + a ** (2 - p) / (2 - p)


# the loss of one output, and its derivative by the output
OF_OUTPUTS = {
    "squared_error": (lambda y, a: (a - y) ** 2 / 2, lambda y, a: a - y),
    "absolute_error": (lambda y, a: abs(a - y), lambda y, a: math.copysign(1, a - y)),
    "huber": (
        lambda y, a: (a - y) ** 2 / 2 if abs(a - y) < 0.6 else 0.6 * (abs(a - y) - 0.3),
        lambda y, a: max(-0.6, min(0.6, a - y)),
    ),
    "quantile": (lambda y, a: max(0.3 * (y - a), -0.7 * (y - a)), lambda y, a: -0.3 if y > a else 0.7),
    "poisson": (lambda y, a: (y * math.log(y / a) if y else 0.0) - y + a, lambda y, a: 1 - y / a),
    "gamma": (lambda y, a: math.log(a / y) + y / a - 1, lambda y, a: (a - y) / a**2),
    "tweedie": (tweedie, lambda y, a: (a - y) * a**-1.3),
}
# the derivative of a link, as a function of the output a
LINK_SLOPES = {
    "identity": lambda a: 1.0,
    "logistic": lambda a: a * (1 - a),
    "exp": lambda a: a,
    "relu": lambda a: float(a > 0),
    "softplus": lambda a: -math.expm1(-a),
}
# the pairs (loss, link) that kernels call by address: BY_ADDRESS for regressors, OF_CODES for class codes
BY_ADDRESS = [(loss, link) for loss in OF_OUTPUTS for link in LINK_SLOPES if loss not in ("poisson", "gamma", "tweedie")]
BY_ADDRESS += [(loss, link) for loss in ("poisson", "gamma", "tweedie") for link in ("exp", "softplus")]
BY_ADDRESS = [pair for pair in BY_ADDRESS if pair not in LOSSES]
OF_CODES = [("squared_error", link) for link in (*LINK_SLOPES, "softmax")] + [
    ("log_loss", "softmax"),
    ("log_loss", "grouped_softmax"),
]


def of_outputs(loss, link):
    """Return functions for the loss of one row, summed over the outputs, and for its delta."""
    value, slope = OF_OUTPUTS[loss]
    return (
        lambda y, a, eps: sum(value(t, p) for t, p in zip(y, a, strict=True)),
        lambda y, a: [slope(t, p) * LINK_SLOPES[link](p) for t, p in zip(y, a, strict=True)],
    )


def one_hot(y, n, smoothing, link):
    """Return the smoothed one-hot targets of a row of class codes: one group of n classes, or groups of 2 and n − 2 classes."""
    targets = []
    for code, size in zip(y, (2, n - 2) if link == "grouped_softmax" else (n,), strict=True):
        targets += [(1 - smoothing) * (j == int(code)) + smoothing / size for j in range(size)]
    return targets


def of_codes(loss, link, smoothing):
    def row_loss(y, a, eps):
        t = one_hot(y, len(a), smoothing, link)
        if loss == "log_loss":
            return -sum(s * math.log(clipped(p, eps)) for s, p in zip(t, a, strict=True))
        return sum((p - s) ** 2 / 2 for s, p in zip(t, a, strict=True))

    def delta(y, a):
        d = [p - s for s, p in zip(one_hot(y, len(a), smoothing, link), a, strict=True)]
        if loss == "log_loss":
            return d
        if link == "softmax":
            mean = sum(p * e for p, e in zip(a, d, strict=True))
            return [p * (e - mean) for p, e in zip(a, d, strict=True)]
        return [e * LINK_SLOPES[link](p) for e, p in zip(d, a, strict=True)]

    return row_loss, delta


LOSSES |= {(loss, link): of_outputs(loss, link) for loss, link in BY_ADDRESS}
LOSSES |= {(loss, link, share): of_codes(loss, link, share) for loss, link in OF_CODES for share in (0.0, 0.2)}


def product(a, W):
    return [sum(a[i] * W[i][j] for i in range(len(a))) for j in range(len(W[0]))]


def of_layer(activation, layer):
    """Return the activation function of a hidden layer and its derivative; `activation` is a name, or a list of names."""
    return ACTIVATIONS[activation if isinstance(activation, str) else activation[layer]]


def forward(x, coefs, intercepts, activation, link):
    """Return the weighted sums Z[1..L] and the activations A[0..L] of one row."""
    sums, activations = [], [[float(value) for value in x]]
    for layer, (W, b) in enumerate(zip(coefs, intercepts, strict=True)):
        z = [value + float(bias) for value, bias in zip(product(activations[-1], W), b, strict=True)]
        sums.append(z)
        last = layer == len(coefs) - 1
        activations.append(LINKS[link](z) if last else [of_layer(activation, layer)[0](value) for value in z])
    return sums, activations


def predict(X, coefs, intercepts, activation, link):
    """Return the outputs (n_rows, n_outputs)."""
    return np.array([forward(x, coefs, intercepts, activation, link)[1][-1] for x in X])


def gradient(X, y, weight, coefs, intercepts, activation, loss, link, eps=2.0**-52, smoothing=()):
    """Return Σ weight · loss, Σ weight, and the gradients of Σ weight · loss for each W and b. weight=None means 1 for all rows."""
    coefs, intercepts = [np.asarray(W, float).tolist() for W in coefs], [np.asarray(b, float).tolist() for b in intercepts]
    total, weight_sum = 0.0, 0.0
    by_coefs, by_intercepts = [np.zeros(np.shape(W)) for W in coefs], [np.zeros(np.shape(b)) for b in intercepts]
    for i in range(len(X)):
        w = 1.0 if weight is None else float(weight[i])
        t = [float(value) for value in y[i]]
        sums, activations = forward(X[i], coefs, intercepts, activation, link)
        row_loss, output_delta = LOSSES[(loss, link, *smoothing)]
        total += w * row_loss(t, activations[-1], eps)
        weight_sum += w
        delta = [w * value for value in output_delta(t, activations[-1])]
        for layer in range(len(coefs) - 1, -1, -1):
            for k, d in enumerate(delta):
                by_intercepts[layer][k] += d
                for j, a in enumerate(activations[layer]):
                    by_coefs[layer][j, k] += a * d
            if layer > 0:
                slopes = [of_layer(activation, layer - 1)[1](z) for z in sums[layer - 1]]
                back = [sum(d * W for d, W in zip(delta, row, strict=True)) for row in coefs[layer]]
                delta = [d * slope for d, slope in zip(back, slopes, strict=True)]
    return total, weight_sum, by_coefs, by_intercepts


def sgd(trainer, w, g, moments):
    (v,) = moments
    v = trainer.momentum * v - trainer.learning_rate * g
    step = trainer.momentum * v - trainer.learning_rate * g if trainer.nesterov else v
    return w + step, (v,)


def adam(trainer, w, g, moments):
    m, v = moments
    m = trainer.beta_1 * m + (1 - trainer.beta_1) * g
    v = trainer.beta_2 * v + (1 - trainer.beta_2) * g * g
    rate = trainer.learning_rate_init * math.sqrt(1 - trainer.beta_2**trainer.step) / (1 - trainer.beta_1**trainer.step)
    return w - rate * m / (math.sqrt(v) + trainer.epsilon), (m, v)


def adagrad(trainer, w, g, moments):
    s = moments[0] + g * g
    return w - trainer.learning_rate * g / (math.sqrt(s) + trainer.epsilon), (s,)


def adadelta(trainer, w, g, moments):
    v, u = moments
    v = trainer.rho * v + (1 - trainer.rho) * g * g
    step = math.sqrt(u + trainer.epsilon) / math.sqrt(v + trainer.epsilon) * g
    return w - trainer.learning_rate * step, (v, trainer.rho * u + (1 - trainer.rho) * step * step)


def rmsprop(trainer, w, g, moments):
    v = trainer.rho * moments[0] + (1 - trainer.rho) * g * g
    return w - trainer.learning_rate * g / (math.sqrt(v) + trainer.epsilon), (v,)


def corrected(trainer, g, moments):
    """Return the two moments of Adam, without and with bias correction."""
    m, v = (b * moment + (1 - b) * value for b, moment, value in zip(betas(trainer), moments, (g, g * g), strict=True))
    return m, v, m / (1 - trainer.beta_1**trainer.step), v / (1 - trainer.beta_2**trainer.step)


def betas(trainer):
    return trainer.beta_1, trainer.beta_2


def adamw(trainer, w, g, moments):
    m, v, mean, square = corrected(trainer, g, moments)
    return w - trainer.learning_rate * mean / (math.sqrt(square) + trainer.epsilon), (m, v)


def nadam(trainer, w, g, moments):
    m, v, _, square = corrected(trainer, g, moments)
    mu = [trainer.beta_1 * (1 - 0.5 * 0.96 ** (0.004 * t)) for t in range(1, trainer.step + 2)]
    mean = mu[-1] * m / (1 - math.prod(mu)) + (1 - mu[-2]) * g / (1 - math.prod(mu[:-1]))
    return w - trainer.learning_rate * mean / (math.sqrt(square) + trainer.epsilon), (m, v)


def adamax(trainer, w, g, moments):
    m, u = moments
    m, u = trainer.beta_1 * m + (1 - trainer.beta_1) * g, max(trainer.beta_2 * u, abs(g) + trainer.epsilon)
    return w - trainer.learning_rate / (1 - trainer.beta_1**trainer.step) * m / u, (m, u)


def lion(trainer, w, g, moments):
    (m,) = moments
    c = trainer.beta_1 * m + (1 - trainer.beta_1) * g
    return w - trainer.learning_rate * float(np.sign(c)), (trainer.beta_2 * m + (1 - trainer.beta_2) * g,)


# name: (function that returns the updated parameter and its updated moments, number of moments)
SOLVERS = {
    "sgd": (sgd, 1),
    "adam": (adam, 2),
    "adagrad": (adagrad, 1),
    "adadelta": (adadelta, 2),
    "rmsprop": (rmsprop, 1),
    "adamw": (adamw, 2),
    "nadam": (nadam, 2),
    "adamax": (adamax, 2),
    "lion": (lion, 1),
}


def shuffle(order, random_state):
    """Fisher–Yates shuffle from the end. A random index is masked to the necessary bits, and drawn again if it is too large."""
    for i in range(len(order) - 1, 0, -1):
        mask = 2 ** i.bit_length() - 1
        j = i + 1
        while j > i:
            j = int(random_state.randint(2**32, dtype=np.uint32)) & mask
        order[i], order[j] = order[j], order[i]


class Trainer:
    """Train a network: call ``epoch`` while ``status`` is "running". Hyperparameters have the same names as in `SETTINGS`."""

    def __init__(self, coefs, intercepts, **hyperparameters):
        vars(self).update(hyperparameters)
        self.coefs = [np.array(W, float) for W in coefs]
        self.intercepts = [np.array(b, float) for b in intercepts]
        n_moments = SOLVERS[self.solver][1]
        self.moments = [[(0.0,) * n_moments] * array.size for array in self.coefs + self.intercepts]
        self.step, self.epochs, self.rows_seen, self.learning_rate = 0, 0, 0, self.learning_rate_init
        self.best, self.bad_epochs, self.status, self.losses = math.inf, 0, "running", []

    def epoch(self, X, y, weight, order):
        total = 0.0
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            total += len(rows) * self.batch(X[rows], y[rows], None if weight is None else weight[rows])
        self.epochs += 1
        self.rows_seen += len(order)
        self.losses.append(total / len(order))
        self.update_early_stopping(self.losses[-1])

    def batch(self, X, y, weight):
        """Update once; return the mean loss and penalty of the parameters before the update."""
        names = self.activation, self.loss, self.out_activation
        loss, weight_sum, by_coefs, by_intercepts = gradient(X, y, weight, self.coefs, self.intercepts, *names)
        penalty = 0.5 * self.alpha * sum(float(w) ** 2 for W in self.coefs for w in W.flat)
        gradients = [G + self.alpha * W for G, W in zip(by_coefs, self.coefs, strict=True)] + by_intercepts
        self.step += 1
        for array, G, moments in zip(self.coefs + self.intercepts, gradients, self.moments, strict=True):
            for q, g in enumerate(G.flat):
                array.flat[q], moments[q] = SOLVERS[self.solver][0](self, float(array.flat[q]), g / weight_sum, moments[q])
        return (loss + penalty) / weight_sum

    def update_early_stopping(self, value):
        """Apply scikit-learn's rule after an epoch: patience, then the schedule, then the decision to stop."""
        self.bad_epochs = self.bad_epochs + 1 if value > self.best - self.tol else 0
        self.best = min(self.best, value)
        sgd = self.solver == "sgd"
        if sgd and self.schedule == "invscaling":
            self.learning_rate = self.learning_rate_init / (self.rows_seen + 1) ** self.power_t
        if self.bad_epochs > self.patience:
            if sgd and self.schedule == "adaptive" and self.learning_rate > 1e-6:
                self.learning_rate /= 5
                self.bad_epochs = 0
            else:
                self.status = "converged"
        if self.status == "running" and self.epochs == self.max_epochs:
            self.status = "exhausted"
