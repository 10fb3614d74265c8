"""Training of RealMLP by the kernels, for a ``Problem`` of tests/tabular_reference.py: starting weights, batches and masks are
given."""

import numpy as np
import tabular_reference as reference

from fastbp._config import FitConfig
from fastbp._kernels.lazy.draws import DRAWS
from fastbp._kernels.scratch import DRAW_STATE
from fastbp._kernels.settings import record
from fastbp._network.architecture import Architecture, Objective, Plan
from fastbp._network.encoders import copy_encoder, embedding_encoder, pbld_encoder
from fastbp._tabular.networks import new_network
from fastbp._tabular.presets import NetworkSettings, realmlp_kinds
from fastbp._training.context import EarlyStoppingStart, EpochHooks, FitContext, TrainingRows
from fastbp._training.sgd import SGDRun
from fastbp._training.state import TrainingState


def encoders_of(problem):
    """The encoders for the columns of a problem."""
    weights = problem.weights
    tables = [weights[f"embedding.{i}.E"] for i in range(sum(name.startswith("embedding") for name in weights))]
    n_numbers, n_codes = len(weights.get("pbld.w1", ())), len(tables)
    if not n_numbers and not n_codes:
        return ()
    numbers = [pbld_encoder(n_numbers, weights["pbld.w1"].shape[1])] if n_numbers else []
    others = [copy_encoder(problem.X.shape[1] - n_numbers - n_codes), *(embedding_encoder(*table.shape) for table in tables)]
    return tuple(encoder for encoder in [*numbers, *others] if encoder.n_columns)


def put_weights(problem, kinds, layout, params):
    """Write the starting weights of a problem to the flat parameters."""
    weights = problem.weights
    coefs, intercepts = layout.views(params)
    for i, (W, b) in enumerate(zip(coefs, intercepts, strict=True)):
        W[...], b[...] = weights[f"dense.{i}.W"] / np.sqrt(len(W)), weights[f"dense.{i}.b"]
    layout.extra(params, "input_scale")[...] = weights["scale.s"]
    slopes = [weights[name] for name in sorted(weights) if name.endswith("alpha")]
    layout.extra(params, "slopes")[...] = np.concatenate(slopes) if slopes else []
    parts = [weights[f"pbld.{name}"].ravel() for name in ("w1", "b1", "W2", "b2") if "pbld.w1" in weights]
    parts += [weights[name].ravel() for name in sorted(weights) if name.startswith("embedding")]
    n = sum(encoder.n_params for encoder in kinds.encoders)
    params[layout.n_params - n :] = np.concatenate(parts) if parts else []


def masks_of(problem, sizes, seed):
    """The units that the kernels keep in each step, by the dropout functions of the kernels."""
    masks = []
    for step, rows in enumerate(problem.batches):
        rate = int(int(problem.dropout * 2**32) * reference.flat_cos(step / problem.n_steps))
        state, of_step = record(DRAW_STATE), []
        state["seed"], state["step"] = seed, step
        for layer, n_units in enumerate(sizes):
            A = np.ones((len(rows), n_units))
            DRAWS["drop"](A, np.empty(0), n_units, state, layer, rate)
            of_step.append(A > 0)
        masks.append(of_step)
    return masks


def kernel_losses(problem, n_threads=1, dtype=np.float64):
    """The loss of each step, and the problem with the masks of the kernels."""
    is_regression = problem.y.ndim == 2
    n_layers = sum(name.startswith("dense") and name.endswith("W") for name in problem.weights)
    shapes = [problem.weights[f"dense.{i}.W"].shape for i in range(n_layers)]
    sizes = (shapes[0][0], *(n_out for _, n_out in shapes))
    has_slopes = "activation.0.alpha" in problem.weights
    settings = NetworkSettings(
        hidden_layer_sizes=sizes[1:-1],
        activation=problem.activation,
        parametric_activation=has_slopes,
        learning_rate_init=problem.learning_rate,
        weight_decay=problem.weight_decay,
        dropout=problem.dropout,
        label_smoothing=problem.smoothing,
        max_iter=problem.n_steps,
        batch_size=len(problem.batches[0]),
    )
    y = problem.y if is_regression else problem.y[:, None]
    kinds = realmlp_kinds(settings, encoders_of(problem))
    network = new_network(settings, y, is_regression, False, {"random_state": 0, "n_threads": n_threads, "n_shares": None})
    network.kinds = kinds
    config = FitConfig.of(network)
    layout = kinds.layout(sizes, 0)
    params = np.zeros(layout.n_params, dtype)
    put_weights(problem, kinds, layout, params)
    link = "identity" if is_regression else "softmax"
    state = TrainingState.untrained(layout, params, (link, 0), link)
    state.rng, state.kinds, state.activations = np.random.RandomState(0), kinds, (problem.activation,) * (n_layers - 1)
    rates = (0.0, *(problem.dropout,) * (n_layers - 1)) if problem.dropout else ()
    architecture = kinds.added_to(Architecture(state.activations, link, dropout=rates))
    objective = Objective("squared_error") if is_regression else Objective("log_loss", smoothing=problem.smoothing, of_classes=True)
    data = problem.X.astype(dtype), y.astype(dtype), None
    context = FitContext(EpochHooks(), EarlyStoppingStart(), False, False, True, False, None)
    rows = TrainingRows(len(y), problem.batches[0].copy())
    runner = SGDRun(state, config._replace(shuffle=False), Plan(layout, architecture, objective), data, rows, None, context).runner
    losses = []
    for batch in problem.batches:
        runner.order[...] = batch
        while not runner.run_kernel(1):
            pass
    losses = np.array(runner.losses) * (2 if is_regression else 1)  # the kernels compute half the squared error
    runner.close()
    masks = masks_of(problem, sizes[1:-1] if has_slopes else (), runner.problem.seed)
    return losses, problem._replace(masks=masks)
