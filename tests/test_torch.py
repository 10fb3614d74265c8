"""Activations, solvers, losses, norms, penalties and schedules are compared with PyTorch in several full-batch steps.

fastbp and PyTorch start from equal weights. PyTorch computes gradients and updates. If PyTorch has no module for a function, the
formula of its value is in this file, but not the formula of its gradient. All comparisons are in float64, with relative tolerances
of at most 2e-5.
"""

from itertools import pairwise

import numpy as np
import pytest

from fastbp import MLPClassifier, MLPRegressor

torch = pytest.importorskip("torch", reason="PyTorch is an optional oracle: pip install torch")
nn, functional = torch.nn, torch.nn.functional
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:.*:DeprecationWarning")

SIZES, N_ROWS, N_STEPS = (4, 6, 5), 30, 6
X = np.random.default_rng(0).normal(size=(N_ROWS, 4))
VALUES = np.sin(X[:, :1]) + 0.5 * X[:, 1:2]
POSITIVE = np.random.default_rng(1).gamma(2, 1, (N_ROWS, 1))
CLASSES = np.random.default_rng(2).permutation(np.arange(N_ROWS) % 3)
WEIGHT = np.random.default_rng(3).uniform(0.2, 3, N_ROWS)
FULL = {"batch_size": N_ROWS, "shuffle": False, "tol": 0, "n_iter_no_change": np.inf, "alpha": 0.0, "max_iter": N_STEPS}
ACTIVATIONS = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "mish": nn.Mish,
    "softplus": nn.Softplus,
    "hard_sigmoid": nn.Hardsigmoid,
    "hard_swish": nn.Hardswish,
}


def starting_weights(n_outputs, seed=4):
    random, sizes = np.random.default_rng(seed), (*SIZES, n_outputs)
    pairs = list(pairwise(sizes))
    return [random.normal(0, 0.6, pair) for pair in pairs], [random.normal(0, 0.3, n_out) for _, n_out in pairs]


def tensor(values):
    return torch.as_tensor(np.asarray(values, np.float64))


def build(coefs, intercepts, activation="tanh", norm=None):
    """Return a PyTorch network with the given weights. With batch normalization, the hidden biases become its shifts."""
    layers = []
    for layer, (W, b) in enumerate(zip(coefs, intercepts, strict=True)):
        hidden = layer < len(coefs) - 1
        shifted_by = norm is nn.BatchNorm1d and hidden
        linear = nn.Linear(*W.shape, bias=not shifted_by, dtype=torch.float64)
        linear.weight.data = tensor(W.T).clone()
        layers.append(linear)
        if norm is not None and hidden:
            layers.append(norm(len(b), dtype=torch.float64))
        (layers[-1] if shifted_by else linear).bias.data = tensor(b).clone()
        if hidden:
            layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers)


def train(net, loss, optimizer, scheduler=None, after_backward=None, after_step=None):
    """Train the PyTorch network, and return the loss of each step."""
    losses = []
    for _ in range(N_STEPS):
        optimizer.zero_grad()
        value = loss(net(tensor(X)))
        value.backward()
        if after_backward is not None:
            after_backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        if after_step is not None:
            after_step()
        losses.append(value.item())
    return losses


def half_squares(out, y=VALUES):
    return ((out - tensor(y)) ** 2).sum(dim=1).mean() / 2


def sgd(net, lr=0.1, momentum=0.0, **options):
    return torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum, **options)


def assert_same_weights(model, net, rtol=1e-6):
    linears = [layer for layer in net if isinstance(layer, nn.Linear)]
    for W, linear in zip(model.coefs_, linears, strict=True):
        np.testing.assert_allclose(W, linear.weight.detach().numpy().T, rtol=rtol, atol=rtol * 1e-2)
    for b, linear in zip(model.intercepts_, linears, strict=True):
        np.testing.assert_allclose(b, linear.bias.detach().numpy(), rtol=rtol, atol=rtol * 1e-2)


def fit(kind, y, n_outputs, sample_weight=None, **options):
    coefs, intercepts = starting_weights(n_outputs)
    options = {"solver": "sgd", "momentum": 0, "learning_rate_init": 0.1, "activation": "tanh", **FULL, **options}
    model = kind(hidden_layer_sizes=SIZES[1:], coefs_init=coefs, intercepts_init=intercepts, **options)
    return model.fit(X, y, sample_weight), build(coefs, intercepts, options["activation"])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation):
    model, net = fit(MLPRegressor, VALUES.ravel(), 1, activation=activation)
    losses = train(net, half_squares, sgd(net))
    np.testing.assert_allclose(model.loss_curve_, losses, rtol=1e-9)
    assert_same_weights(model, net)


OPTIMIZERS = {
    "adagrad": lambda params: torch.optim.Adagrad(params, lr=0.02, eps=1e-8),
    "adadelta": lambda params: torch.optim.Adadelta(params, lr=0.02, rho=0.8, eps=1e-8),
    "rmsprop": lambda params: torch.optim.RMSprop(params, lr=0.02, alpha=0.8, eps=1e-8),
    "adamw": lambda params: torch.optim.AdamW(params, lr=0.02, betas=(0.8, 0.95), eps=1e-8, weight_decay=0),
    "nadam": lambda params: torch.optim.NAdam(params, lr=0.02, betas=(0.8, 0.95), eps=1e-8),
    "adamax": lambda params: torch.optim.Adamax(params, lr=0.02, betas=(0.8, 0.95), eps=1e-8),
    "sgd": lambda params: torch.optim.SGD(params, lr=0.02, momentum=0.7, nesterov=True),
}


@pytest.mark.parametrize("solver", OPTIMIZERS)
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_solvers(solver, weight_decay):
    betas = {"beta_1": 0.8, "beta_2": 0.95, "rho": 0.8, "momentum": 0.7}
    model, net = fit(MLPRegressor, VALUES.ravel(), 1, solver=solver, learning_rate_init=0.02, weight_decay=weight_decay, **betas)
    optimizer = OPTIMIZERS[solver](net.parameters())

    def decay():  # as in AdamW, the decay applies only to the weights and happens before the step
        for layer in net:
            if isinstance(layer, nn.Linear):
                layer.weight.data *= 1 - 0.02 * weight_decay

    train(net, half_squares, optimizer, after_backward=decay)
    assert_same_weights(model, net)


def test_weight_decay_agrees_with_adamw():
    model, net = fit(MLPRegressor, VALUES.ravel(), 1, solver="adamw", learning_rate_init=0.02, weight_decay=0.3)
    weights, biases = [[p for p in net.parameters() if p.dim() == n] for n in (2, 1)]
    groups = [{"params": weights, "weight_decay": 0.3}, {"params": biases, "weight_decay": 0}]
    train(net, half_squares, torch.optim.AdamW(groups, lr=0.02))
    assert_same_weights(model, net)


def deviance(power):
    def mean(out, y):
        return (
            y ** (2 - power) / ((1 - power) * (2 - power)) - y * out ** (1 - power) / (1 - power) + out ** (2 - power) / (2 - power)
        )

    return lambda out: mean(out, tensor(POSITIVE)).sum(dim=1).mean()


def pinball(q):
    return lambda out: torch.maximum(q * (tensor(VALUES) - out), (q - 1) * (tensor(VALUES) - out)).mean()


LINKS = {
    "identity": lambda z: z,
    "logistic": torch.sigmoid,
    "relu": torch.relu,
    "softplus": functional.softplus,
    "exp": torch.exp,
    "softmax": lambda z: torch.softmax(z, dim=1),
}
REGRESSION = {
    "squared_error": half_squares,
    "absolute_error": lambda out: functional.l1_loss(out, tensor(VALUES)),
    "huber": lambda out: functional.huber_loss(out, tensor(VALUES), delta=0.4),
    "quantile": pinball(0.3),
}


@pytest.mark.parametrize("loss", REGRESSION)
@pytest.mark.parametrize("link", ["identity", "logistic", "relu", "softplus", "exp"])
def test_losses_of_regressors(loss, link):
    model, net = fit(MLPRegressor, VALUES.ravel(), 1, loss=loss, out_activation=link, huber_delta=0.4, quantile=0.3)
    losses = train(net, lambda z: REGRESSION[loss](LINKS[link](z)), sgd(net))
    np.testing.assert_allclose(model.loss_curve_, losses, rtol=1e-9)
    assert_same_weights(model, net)


@pytest.mark.parametrize("link", ["exp", "softplus"])
@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie"])
def test_deviances(loss, link):
    model, net = fit(MLPRegressor, POSITIVE.ravel(), 1, loss=loss, out_activation=link, tweedie_power=1.4, learning_rate_init=0.02)
    y = tensor(POSITIVE)
    losses = {
        "poisson": lambda out: (y * torch.log(y / out) - y + out).mean(),
        "gamma": lambda out: (torch.log(out / y) + y / out - 1).mean(),
        "tweedie": deviance(1.4),
    }
    curve = train(net, lambda z: losses[loss](LINKS[link](z)), sgd(net, 0.02))
    np.testing.assert_allclose(model.loss_curve_, curve, rtol=1e-9)
    assert_same_weights(model, net)


def test_several_quantiles():
    quantiles = [0.1, 0.5, 0.8]
    model, net = fit(MLPRegressor, VALUES.ravel(), 3, loss="quantile", quantile=quantiles)

    def loss(z):
        out = torch.cumsum(torch.cat([z[:, :1], functional.softplus(z[:, 1:])], dim=1), dim=1)
        d, q = tensor(VALUES) - out, tensor(quantiles)
        return torch.maximum(q * d, (q - 1) * d).sum(dim=1).mean()

    np.testing.assert_allclose(model.loss_curve_, train(net, loss, sgd(net)), rtol=1e-9)
    assert_same_weights(model, net)
    assert (np.diff(model.predict(X), axis=1) > 0).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_log_loss_of_several_classes(smoothing, weighted):
    weight = WEIGHT if weighted else None
    model, net = fit(MLPClassifier, CLASSES, 3, weight, label_smoothing=smoothing)

    def loss(z):
        rows = functional.cross_entropy(z, torch.as_tensor(CLASSES), label_smoothing=smoothing, reduction="none")
        return rows.mean() if weight is None else (rows * tensor(weight)).sum() / weight.sum()

    np.testing.assert_allclose(model.loss_curve_, train(net, loss, sgd(net)), rtol=1e-9)
    assert_same_weights(model, net)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_log_loss_of_two_classes(smoothing):
    model, net = fit(MLPClassifier, CLASSES == 1, 1, label_smoothing=smoothing)
    targets = tensor((CLASSES == 1) * (1 - smoothing) + smoothing / 2).reshape(-1, 1)
    losses = train(net, lambda z: functional.binary_cross_entropy_with_logits(z, targets), sgd(net))
    np.testing.assert_allclose(model.loss_curve_, losses, rtol=1e-9)
    assert_same_weights(model, net)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_squared_error_of_classes_and_links(link, smoothing):
    model, net = fit(MLPClassifier, CLASSES, 3, loss="squared_error", out_activation=link, label_smoothing=smoothing)
    targets = np.eye(3)[CLASSES] * (1 - smoothing) + smoothing / 3
    losses = train(net, lambda z: half_squares(LINKS[link](z), targets), sgd(net))
    np.testing.assert_allclose(model.loss_curve_, losses, rtol=1e-9)
    assert_same_weights(model, net)


@pytest.mark.parametrize("clip_norm", [0.05, 0.3, 100.0])
def test_clip_norm(clip_norm):
    model, net = fit(MLPRegressor, VALUES.ravel(), 1, clip_norm=clip_norm, learning_rate_init=0.5)
    optimizer = sgd(net, 0.5)
    train(net, half_squares, optimizer, after_backward=lambda: nn.utils.clip_grad_norm_(net.parameters(), clip_norm))
    assert_same_weights(model, net, rtol=2e-5)  # before the division, PyTorch adds 1e-6 to the norm


def test_penalties():
    model, net = fit(MLPRegressor, VALUES.ravel(), 1, alpha=2.0, l1=0.7, clip_norm=0.2)
    weights = [p for p in net.parameters() if p.dim() == 2]

    def loss(out):
        return half_squares(out) + sum((2.0 / 2 * (W**2).sum() + 0.7 * W.abs().sum()) / N_ROWS for W in weights)

    losses = train(net, loss, sgd(net), after_backward=lambda: nn.utils.clip_grad_norm_(net.parameters(), 0.2))
    np.testing.assert_allclose(model.loss_curve_, losses, rtol=1e-6)
    assert_same_weights(model, net, rtol=2e-5)


def test_max_norm():
    model, net = fit(MLPRegressor, VALUES.ravel(), 1, max_norm=0.8)

    def hold():
        for layer in net:
            if isinstance(layer, nn.Linear):  # each row of layer.weight belongs to one unit
                layer.weight.data = torch.renorm(layer.weight.data, 2, 0, 0.8)

    train(net, half_squares, sgd(net), after_step=hold)
    assert_same_weights(model, net)
    assert max(np.linalg.norm(W, axis=0).max() for W in model.coefs_) <= 0.8 * (1 + 1e-12)


def test_moving_averages_of_parameters():
    model, net = fit(MLPRegressor, VALUES.ravel(), 1, ema_decay=0.7)
    means = [p.detach().clone() for p in net.parameters()]

    def average():
        for mean, p in zip(means, net.parameters(), strict=True):
            mean.mul_(0.7).add_(p.detach(), alpha=0.3)

    train(net, half_squares, sgd(net), after_step=average)
    for mean, p in zip(means, net.parameters(), strict=True):
        p.data = mean
    assert_same_weights(model, net)
    np.testing.assert_allclose(model.predict(X), net(tensor(X)).detach().numpy().ravel(), rtol=1e-6)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize(("name", "norm"), [("batch_norm", nn.BatchNorm1d), ("layer_norm", nn.LayerNorm)])
def test_norms(name, norm, activation, n_threads):
    options = {"activation": activation, "n_threads": n_threads, "solver": "adamw", "learning_rate_init": 0.02, name: True}
    model, _ = fit(MLPRegressor, VALUES.ravel(), 1, **options)
    net = build(*starting_weights(1), activation, norm)
    losses = train(net, half_squares, torch.optim.AdamW(net.parameters(), lr=0.02, weight_decay=0))
    np.testing.assert_allclose(model.loss_curve_, losses, rtol=1e-8)
    net.eval()
    np.testing.assert_allclose(model.predict(X), net(tensor(X)).detach().numpy().ravel(), rtol=1e-6)


def scheduled(name, net, optimizer):
    schedulers, total = torch.optim.lr_scheduler, N_STEPS

    def one_cycle(step):
        p, cosine = step / total, lambda share: (1 - np.cos(np.pi * share)) / 2
        return 0.04 + 0.96 * cosine(p / 0.3) if p < 0.3 else 4e-6 + (1 - 4e-6) * (1 - cosine((p - 0.3) / 0.7))

    def warm(step):
        p = step / total
        return p / 0.4 if p < 0.4 else (1 + np.cos(np.pi * (p - 0.4) / 0.6)) / 2

    return {
        "cosine": lambda: schedulers.CosineAnnealingLR(optimizer, total),
        "exponential": lambda: schedulers.ExponentialLR(optimizer, 0.3 ** (1 / total)),
        "step": lambda: schedulers.StepLR(optimizer, 2, 0.3),
        "one_cycle": lambda: schedulers.LambdaLR(optimizer, one_cycle),
        "linear_warmup_cosine": lambda: schedulers.LambdaLR(optimizer, warm),
        "function": lambda: schedulers.LambdaLR(optimizer, inverse_root),
    }[name]()


def inverse_root(epoch, progress=None):
    return 1 / np.sqrt(epoch + 1)


@pytest.mark.parametrize("solver", ["adamw", "sgd", "adagrad"])
@pytest.mark.parametrize("schedule", ["cosine", "exponential", "step", "one_cycle", "linear_warmup_cosine", "function"])
def test_schedules(schedule, solver):
    more = {"learning_rate_decay": 0.3, "learning_rate_step": 2, "solver": solver, "learning_rate_init": 0.02}
    if schedule == "linear_warmup_cosine":
        more["warmup_fraction"] = 0.4
    model, net = fit(MLPRegressor, VALUES.ravel(), 1, learning_rate=inverse_root if schedule == "function" else schedule, **more)
    optimizer = {
        "adamw": lambda: torch.optim.AdamW(net.parameters(), lr=0.02, weight_decay=0),
        "sgd": lambda: sgd(net, 0.02),
        "adagrad": lambda: torch.optim.Adagrad(net.parameters(), lr=0.02, eps=1e-8),
    }[solver]()
    train(net, half_squares, optimizer, scheduled(schedule, net, optimizer))
    assert_same_weights(model, net)


def test_reduce_on_plateau():
    options = {"learning_rate": "reduce_on_plateau", "learning_rate_decay": 0.2, "learning_rate_step": 3, "tol": 0.001}
    model, net = fit(MLPRegressor, VALUES.ravel(), 1, **options, learning_rate_init=0.9, max_iter=60)
    optimizer = sgd(net, 0.9)
    best, bad, rates = np.inf, 0, []
    for _ in range(60):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.zero_grad()
        loss = half_squares(net(tensor(X)))
        loss.backward()
        optimizer.step()
        # PyTorch's rule, except that the reference is the lowest loss so far
        bad, best = (bad + 1 if loss.item() > best - 0.001 else 0), min(best, loss.item())
        if bad > 3:
            optimizer.param_groups[0]["lr"], bad = optimizer.param_groups[0]["lr"] * 0.2, 0
    assert rates[-1] < 0.9
    assert_same_weights(model, net, rtol=1e-5)


def test_global_sample_weight_norm():
    model, net = fit(MLPRegressor, VALUES.ravel(), 1, WEIGHT, sample_weight_norm="global", batch_size=10, max_iter=2)
    optimizer = sgd(net)
    for _ in range(2):
        for at in (0, 10, 20):
            optimizer.zero_grad()
            rows = slice(at, at + 10)
            squares = ((net(tensor(X[rows])) - tensor(VALUES[rows])) ** 2 / 2).ravel()
            (squares * tensor(WEIGHT[rows] / WEIGHT.mean())).mean().backward()
            optimizer.step()
    assert_same_weights(model, net)
