"""Training of RealMLP and TabM by the kernels, for a ``Problem`` of tests/tabular_reference.py: starting weights, batches and masks
are given."""

import numpy as np
import tabular_reference as reference

from fastbp._config import FitConfig
from fastbp._kernels.lazy.draws import DRAWS
from fastbp._kernels.scratch import DRAW_STATE
from fastbp._kernels.settings import record
from fastbp._network.architecture import Architecture, Objective, Plan
from fastbp._network.encoders import copy_encoder, embedding_encoder, pbld_encoder
from fastbp._network.layer_kinds import LayerKinds
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


def masks_of(problem, sizes, seed, strength=reference.flat_cos):
    """The units that the kernels keep in each step, by the dropout functions of the kernels."""
    masks = []
    for step, rows in enumerate(problem.batches):
        rate = int(int(problem.dropout * 2**32) * strength(step / problem.n_steps))
        state, of_step = record(DRAW_STATE), []
        state["seed"], state["step"] = seed, step
        for layer, n_units in enumerate(sizes):
            A = np.ones((len(rows), n_units))
            DRAWS["drop"](A, np.empty(0), np.empty(0), n_units, state, layer, rate)
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
        residual_connections=problem.residuals,
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
    layout = kinds.layout(sizes, 0)
    params = np.zeros(layout.n_params, dtype)
    put_weights(problem, kinds, layout, params)
    losses, seed = losses_of_steps(problem, network, layout, params, [np.asarray(batch) for batch in problem.batches])
    masks = masks_of(problem, sizes[1:-1] if has_slopes else (), seed)
    return losses, problem._replace(masks=masks)


def losses_of_steps(problem, network, layout, params, batches):
    """The loss of each step of a network (an estimator) with these parameters and batches, and the seed of its random numbers."""
    is_regression, n_hidden, kinds = problem.y.ndim == 2, len(layout.sizes) - 2, network.kinds
    link = "identity" if is_regression else "softmax"
    state = TrainingState.untrained(layout, params, (link, 0), link)
    state.rng, state.kinds, state.activations = np.random.RandomState(0), kinds, (problem.activation,) * n_hidden
    rates = (0.0, *(problem.dropout,) * n_hidden) if problem.dropout else ()
    architecture = kinds.added_to(Architecture(state.activations, link, dropout=rates))
    objective = Objective("squared_error") if is_regression else Objective("log_loss", smoothing=problem.smoothing, of_classes=True)
    y = problem.y if is_regression else problem.y[:, None]
    data = problem.X.astype(params.dtype), y.astype(params.dtype), None
    context = FitContext(EpochHooks(), EarlyStoppingStart(), False, False, True, False, None)
    config, rows = FitConfig.of(network)._replace(shuffle=False), TrainingRows(len(y), batches[0].copy())
    runner = SGDRun(state, config, Plan(layout, architecture, objective), data, rows, None, context).runner
    for batch in batches:
        runner.order[...] = batch
        while not runner.run_kernel(1):
            pass
    losses = np.array(runner.losses) * (2 if is_regression else 1)  # the kernels compute half the squared error
    runner.close()
    return losses, runner.problem.seed


# ---------------------------------------------------------------------- TabM


def put_tabm_weights(weights, layout, params):
    """Write the starting weights of TabM by name to the flat parameters."""
    coefs, intercepts = layout.views(params)
    for i, (W, b) in enumerate(zip(coefs[:-1], intercepts[:-1], strict=True)):
        W[...], b[...] = weights[f"block.{i}.W"], weights[f"block.{i}.b"]
    coefs[-1][...], intercepts[-1][...] = weights["head.V"].swapaxes(1, 2), weights["head.c"]
    if "adapter.s" in weights:
        layout.extra(params, "input_adapters")[...] = weights["adapter.s"].ravel()
    else:
        for name, key in (("input_adapters", "r"), ("output_adapters", "s")):
            layout.extra(params, name)[...] = np.concatenate([weights[f"block.{i}.{key}"].ravel() for i in range(len(coefs) - 1)])


def tabm_losses(problem, n_threads=1, dtype=np.float64, shares_batches=False):
    """The loss of each step of TabM, and the problem with the masks of the kernels."""
    weights, is_regression = problem.weights, problem.y.ndim == 2
    blocks = [weights[f"block.{i}.W"] for i in range(sum(name.startswith("block") and name.endswith("W") for name in weights))]
    k, d, n_outputs = weights["head.V"].shape
    sizes = (*(len(W) for W in blocks), d, n_outputs)
    settings = NetworkSettings(
        hidden_layer_sizes=sizes[1:-1],
        activation="relu",
        learning_rate="constant",
        learning_rate_init=problem.learning_rate,
        beta_2=0.999,
        weight_decay=problem.weight_decay,
        dropout=problem.dropout,
        label_smoothing=problem.smoothing,
        max_iter=problem.n_steps,
        batch_size=len(problem.batches[0]),
    )
    y = problem.y if is_regression else problem.y[:, None]
    network = new_network(settings, y, is_regression, False, {"random_state": 0, "n_threads": n_threads, "n_shares": None})
    network.kinds = LayerKinds(
        encoders=(copy_encoder(problem.X.shape[1]),),
        initialization="tabm",
        decays=(("input_adapters", 1.0), ("output_adapters", 1.0)),
        n_members=k,
        adapters="input" if "adapter.s" in weights else "all",
        shares_batches=shares_batches,
    )
    layout = network.kinds.layout(sizes, 0)
    params = np.zeros(layout.n_params, dtype)
    put_tabm_weights(weights, layout, params)
    batches = [batch.ravel() if batch.ndim == 2 else np.repeat(batch, k) for batch in problem.batches]
    losses, seed = losses_of_steps(problem, network, layout, params, batches)
    masks = [
        [mask.reshape(-1, k, mask.shape[1]) for mask in of_step]
        for of_step in masks_of(problem._replace(batches=batches), sizes[1:-1], seed, lambda t: 1.0)
    ]
    return losses, problem._replace(masks=masks)
