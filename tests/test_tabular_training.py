"""The kernels train RealMLP with the same losses as the NumPy reference, from equal starting weights, batches and masks."""

import numpy as np
import pytest
import tabular_reference as reference
from tabular_training import kernel_losses

N_STEPS = 20
SIZES = [5, 12]  # codes of the columns with embeddings


class Draws:
    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.normal, self.uniform = (lambda shape: rng.normal(size=shape)), (lambda shape: rng.random(shape))
        self.integers, self.exponential = (lambda n, shape: rng.integers(0, n, shape)), (lambda shape: rng.exponential(size=shape))


def realmlp_problem(preset, task, *, with_codes, with_numbers=True, hidden=(7, 9, 8), residuals=False):
    """A problem with the hyperparameters of a preset, in which all layers are small."""
    rng = np.random.default_rng(1)
    n_rows, n_numbers, is_td = 60, 3 * with_numbers, preset == "td"
    sizes = SIZES if with_codes and is_td else []
    X = np.column_stack([rng.normal(size=(n_rows, n_numbers + 2)), *(rng.integers(0, size, n_rows) for size in sizes)])
    signal = X[:, :2].sum(axis=1) + (X[:, -1] > 1)
    n_classes = {"binary": 2, "multiclass": 4}.get(task)
    if n_classes:
        y, activation, smoothing = np.digitize(signal, [-0.5, 0.5, 1.5][: n_classes - 1]), "selu", 0.1
    else:
        y, activation, smoothing = np.column_stack([signal, signal**2])[:, : 1 + (task == "two targets")], "mish", 0.0
    shapes = hidden, n_classes or y.shape[1]
    weights = reference.initial_realmlp(X, n_numbers * is_td, sizes, *shapes, activation, preset=preset, draws=Draws(2))
    batches = [rng.permutation(n_rows)[:32] for _ in range(N_STEPS)]
    numbers = {"learning_rate": {"td-s": 0.07, "td": 0.2}[preset], "weight_decay": 0.02 * is_td, "dropout": 0.15 * is_td}
    masks = [[] for _ in batches]
    others = {"smoothing": smoothing, "activation": activation, "residuals": residuals}
    return reference.Problem("realmlp", weights, X, y, batches, masks, N_STEPS, **numbers, **others)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "two targets"])
@pytest.mark.parametrize(
    ("preset", "columns"),
    [("td-s", {}), ("td", {}), ("td", {"with_codes": True}), ("td", {"with_codes": True, "with_numbers": False})],
    ids=["td-s", "td", "td with codes", "td with codes only"],
)
def test_losses_of_steps(preset, columns, task, n_threads):
    problem = realmlp_problem(preset, task, **{"with_codes": False, **columns})
    losses, problem = kernel_losses(problem, n_threads)
    expected, _ = reference.train(problem)
    np.testing.assert_allclose(losses, expected, rtol=1e-7 if problem.dropout else 1e-10)  # kernels store rates in units of 2⁻³²
    assert len(set(losses.round(12))) >= N_STEPS - 1


def test_losses_in_float32():
    losses, problem = kernel_losses(realmlp_problem("td", "multiclass", with_codes=True), dtype=np.float32)
    expected, _ = reference.train(problem)
    np.testing.assert_allclose(losses, expected, rtol=2e-3)


# the layers 2 and 4 have residual connections; the first has none, although it has as many units as inputs in "td-s"
RESIDUAL = {"hidden": (5, 5, 7, 7), "residuals": True}


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("task", ["multiclass", "regression"])
@pytest.mark.parametrize("preset", ["td-s", "td"])
def test_losses_with_residual_connections(preset, task, n_threads):
    problem = realmlp_problem(preset, task, with_codes=preset == "td", **RESIDUAL)
    layers = reference.build(problem).sequence
    assert sum(isinstance(layer, reference.Residual) for layer in layers) == 2
    losses, problem = kernel_losses(problem, n_threads)
    expected, _ = reference.train(problem)
    np.testing.assert_allclose(losses, expected, rtol=1e-7 if problem.dropout else 1e-10)
    assert len(set(losses.round(12))) >= N_STEPS - 1
    others, _ = reference.train(problem._replace(residuals=False))
    assert (abs(others - expected) > 1e-3 * expected)[N_STEPS // 2 :].all()  # "td-s" starts with zeros in the last layer


@pytest.mark.parametrize("preset", ["td-s", "td"])
def test_losses_with_residual_connections_in_float32(preset):
    losses, problem = kernel_losses(realmlp_problem(preset, "multiclass", with_codes=preset == "td", **RESIDUAL), dtype=np.float32)
    expected, _ = reference.train(problem)
    np.testing.assert_allclose(losses[:12], expected[:12], rtol=1e-3)  # rounding errors grow with each step
