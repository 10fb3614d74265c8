"""The kernels train TabM and TabM-mini with the same losses as the NumPy reference, from equal starting weights and batches."""

import numpy as np
import pytest
import tabular_reference as reference
from tabular_training import tabm_losses

N_STEPS, K = 20, 5


def tabm_problem(architecture, task, *, shares_batches=False, dropout=0.1, weight_decay=0.0, sizes=(9, 8), n_rows=60):
    """A problem of TabM or TabM-mini with small layers."""
    rng = np.random.default_rng(3)
    X = np.column_stack([rng.normal(size=(n_rows, 4)), rng.integers(0, 2, (n_rows, 3))])
    signal = X[:, :2].sum(axis=1) + X[:, -1]
    n_classes = {"binary": 2, "multiclass": 4}.get(task)
    y = np.digitize(signal, [0.0, 0.7, 1.5][: n_classes - 1]) if n_classes else np.column_stack([signal, signal**2])
    y = y[:, :1] if task == "regression" else y
    weights, n_in = {}, X.shape[1]
    if architecture == "tabm-mini":
        weights["adapter.s"] = rng.normal(size=(K, n_in))
    for i, n_out in enumerate(sizes):
        own = (K,) if architecture == "tabm" else ()
        weights[f"block.{i}.W"] = rng.uniform(-1, 1, (n_in, n_out)) / np.sqrt(n_in)
        weights[f"block.{i}.b"] = rng.uniform(-1, 1, (*own, n_out)) / np.sqrt(n_in)
        if own:
            weights[f"block.{i}.r"], weights[f"block.{i}.s"] = rng.normal(size=(K, n_in)), rng.normal(1, 0.2, (K, n_out))
        n_in = n_out
    weights["head.V"] = rng.uniform(-1, 1, (K, n_in, n_classes or y.shape[1])) / np.sqrt(n_in)
    weights["head.c"] = rng.uniform(-1, 1, (K, n_classes or y.shape[1])) / np.sqrt(n_in)
    if shares_batches:
        batches = [rng.permutation(n_rows)[:16] for _ in range(N_STEPS)]
    else:
        batches = [np.column_stack([rng.permutation(n_rows)[:16] for _ in range(K)]) for _ in range(N_STEPS)]
    numbers = {"learning_rate": 0.01, "weight_decay": weight_decay, "dropout": dropout}
    masks = [[None] * len(sizes)] * N_STEPS
    return reference.Problem("tabm", weights, X, y, batches, masks, N_STEPS, **numbers)


def assert_same_losses(problem, rtol=1e-10, **options):
    losses, problem = tabm_losses(problem, **options)
    expected, _ = reference.train(problem)
    np.testing.assert_allclose(losses, expected, rtol=rtol)
    assert len(set(losses.round(12))) >= N_STEPS - 1


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "two targets"])
@pytest.mark.parametrize("architecture", ["tabm", "tabm-mini"])
def test_losses_of_steps(architecture, task, n_threads):
    assert_same_losses(tabm_problem(architecture, task), 1e-7, n_threads=n_threads)  # kernels store rates in units of 2⁻³²


@pytest.mark.parametrize("architecture", ["tabm", "tabm-mini"])
@pytest.mark.parametrize(
    "options",
    [{"shares_batches": True}, {"dropout": 0.0}, {"weight_decay": 0.1, "dropout": 0.0}, {"sizes": (1,)}, {"sizes": (40, 3, 20)}],
    ids=["shared batches", "no dropout", "weight decay", "one unit", "three blocks"],
)
def test_options(architecture, options):
    assert_same_losses(tabm_problem(architecture, "multiclass", **options), 1e-7)


@pytest.mark.parametrize("architecture", ["tabm", "tabm-mini"])
def test_losses_in_float32(architecture):
    assert_same_losses(tabm_problem(architecture, "multiclass"), 2e-3, dtype=np.float32)
