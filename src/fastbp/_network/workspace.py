"""The buffers that kernels use, allocated once for a fit or a prediction.

A `Plan` and a block size go in; a `Scratch` for each thread and a `Team` come out. Buffers that the network does not need are
empty. This module does not know what the kernels compute.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .._kernels.barrier import BARRIER_SIZE
from .._kernels.scratch import (
    DRAW_STATE,
    HYPERPARAMS,
    LOSS_NUMBERS,
    NORM_STATE,
    PENALTY_NUMBERS,
    SCHEDULE_NUMBERS,
    Scratch,
)
from .._kernels.settings import record
from .._kernels.tables import ENCODER
from .._kernels.targets import VECTOR_BYTES
from .._kernels.team import N_SUMS, Team
from .encoders import encoder_constants, encoder_table
from .layout import aligned_buffers, aligned_zeros


class ScratchTemplate(NamedTuple):
    """A template for the `Scratch` of predictions.

    `shared` contains the buffers that all predictions share, `sizes` the sizes of the buffers that each prediction allocates.
    """

    shared: Scratch
    sizes: dict

    @classmethod
    def for_prediction(cls, plan, block_size, dtype, *, gathered, sparse, with_loss=False):
        """Return the template for a forward pass in one thread, with buffers for the loss if `with_loss`."""
        layout = plan.layout
        own = {
            "activations": layout.activations(block_size, dtype, VECTOR_BYTES, gathered=gathered or layout.n_features > 0),
            "packed": layout.packed(block_size, dtype, VECTOR_BYTES, sparse),
            "strip": layout.strip(block_size, dtype, VECTOR_BYTES),
        }
        if layout.n_features:
            own |= _encoder_buffers(plan, block_size, dtype, gathered)
        if plan.architecture.has_slopes:
            own["differences"] = layout.activations(block_size, dtype, VECTOR_BYTES, gathered=False)
        if plan.architecture.adapters == "all":
            own["zeros"] = _zero_biases(plan, dtype)
        if with_loss:
            own["deltas"] = layout.activations(block_size, dtype, VECTOR_BYTES, gathered=False)
            own["targets"] = aligned_zeros(block_size * layout.strides(dtype.itemsize, VECTOR_BYTES)[-1], dtype)
            own["weights"] = aligned_zeros(block_size, dtype)
        empty = _empty_scratch(dtype)
        loss_numbers, output_numbers = plan.loss_numbers()
        numbers = {"loss_numbers": loss_numbers, "output_numbers": output_numbers}
        shared = empty._replace(**numbers, **_encoder_records(plan, dtype))
        return cls(shared, {name: array.size for name, array in own.items()})

    @property
    def nbytes(self):
        """The size of the buffers that each prediction allocates, in bytes."""
        return sum(self.sizes.values()) * self.shared.activations.itemsize

    def scratch(self):
        """Return a new `Scratch`."""
        dtype = self.shared.activations.dtype
        buffers = dict(zip(self.sizes, aligned_buffers(self.sizes.values(), dtype), strict=True))
        # the kernels write the sum of the losses to loss_numbers
        return self.shared._replace(loss_numbers=self.shared.loss_numbers.copy(), **buffers)


def _empty_scratch(dtype):
    """Return a `Scratch` of empty buffers."""
    records = {
        "hyperparams": HYPERPARAMS,
        "penalties": PENALTY_NUMBERS,
        "schedule": SCHEDULE_NUMBERS,
        "loss_numbers": LOSS_NUMBERS,
        "draw_state": DRAW_STATE,
        "norm_state": NORM_STATE,
        "encoders": ENCODER,
    }
    buffers = dict.fromkeys(Scratch._fields, aligned_zeros(0, dtype))
    buffers |= {name: np.empty(0, dtype) for name, dtype in records.items()}
    buffers |= dict.fromkeys(("output_numbers", "moving_statistics"), np.empty(0))
    buffers |= dict.fromkeys(("weight_words", "words"), np.empty(0, np.uint32))
    return Scratch(**buffers | {"exchange": np.empty((0, 0)), "barrier": np.empty(0, np.int64)})


@dataclass
class MovingStatistics:
    """The moving means and variances of batch normalization: for each hidden layer, first the means, then the variances."""

    statistics: np.ndarray

    @classmethod
    def fresh(cls, layout):
        """Return statistics with means of 0 and variances of 1."""
        return cls(np.concatenate([np.repeat([0.0, 1.0], n) for n in layout.sizes[1:-1]] or [np.empty(0)]))

    def views(self, layout):
        """Return a view (2, n_units) of each hidden layer's means and variances."""
        ends = np.cumsum((0, *(2 * n for n in layout.sizes[1:-1])))
        return [self.statistics[start:stop].reshape(2, -1) for start, stop in pairwise(ends)]


def workspace(
    plan,
    block_size,
    dtype,
    n_threads,
    n_shares,
    *,
    gathered,
    shares_weights,
    moving=None,
    penalties=None,
    schedule=None,
    seed=0,
    words=(0, 0),
):
    """Return the `Team` that the threads share in training, and a list with the `Scratch` of each thread.

    With `shares_weights`, the threads share the buffers for copies of weights, which `train` requires. `moving` are the
    `MovingStatistics` of batch normalization, `penalties` the `PENALTY_NUMBERS`, and `schedule` the `SCHEDULE_NUMBERS`. `seed` is
    the seed of dropout and noise, and `words` are the `WordSizes` for products of bfloat16 numbers.
    """
    layout, per_unit = plan.layout, plan.architecture.norm == "batch_norm"
    gradients = aligned_zeros(n_shares * layout.gradient_stride(np.dtype(dtype).itemsize), dtype).reshape(n_shares, -1)
    shared = _empty_scratch(dtype)._replace(
        moving_statistics=moving.statistics if per_unit else np.empty(0),
        exchange=np.zeros((n_threads, layout.exchange_size * per_unit)),
        barrier=np.zeros(BARRIER_SIZE, np.int64),
    )
    scratches: list[Scratch] = []
    for rank in range(n_threads):
        buffers = _training_buffers(plan, block_size, dtype, gathered)
        numbers = _training_numbers(plan, penalties, schedule, seed, rank)
        buffers |= numbers | dict(zip(("weight_words", "words"), aligned_buffers(words, np.uint32), strict=True))
        if shares_weights and rank:
            buffers |= {name: getattr(scratches[0], name) for name in ("packed", "transposed", "weight_words")}
        scratches.append(shared._replace(**buffers))
    return Team(np.zeros(BARRIER_SIZE, np.int64), np.zeros((n_shares, N_SUMS)), gradients), scratches


def _training_buffers(plan, block_size, dtype, gathered):
    """Return the buffers of one thread for a block of rows, as a dict by the fields of `Scratch`."""
    layout, architecture, norm = plan.layout, plan.architecture, plan.architecture.norm
    n_statistics = 3 * layout.n_hidden if norm == "batch_norm" else len(layout.sizes) * block_size * (norm is not None)

    def rows(needed, inputs=False):
        return layout.activations(block_size, dtype, VECTOR_BYTES, gathered=inputs) if needed else aligned_zeros(0, dtype)

    n_scaled = layout.sizes[0] * layout.sizes[1] * architecture.has_input_scale

    return {
        "activations": layout.activations(block_size, dtype, VECTOR_BYTES, gathered=gathered or layout.n_features > 0),
        **_encoder_buffers(plan, block_size, dtype, gathered),
        "saved": aligned_zeros(block_size * layout.n_saved, dtype),
        **_encoder_records(plan, dtype),
        "slopes": rows(architecture.keeps_slopes),
        "normalized": rows(norm is not None),
        "differences": rows(architecture.has_slopes),
        "residuals": rows(architecture.has_residuals),
        "products": rows(architecture.adapters == "all"),
        "unscaled": rows(architecture.adapters is not None, inputs=True),
        "zeros": _zero_biases(plan, dtype),
        "deltas": rows(True, inputs=layout.n_features > 0),
        "targets": aligned_zeros(block_size * layout.strides(np.dtype(dtype).itemsize, VECTOR_BYTES)[-1], dtype),
        "weights": aligned_zeros(block_size, dtype),
        "scaled_weights": aligned_zeros(n_scaled, dtype),
        "scaled_gradient": aligned_zeros(n_scaled, dtype),
        "transposed": layout.transposed(dtype, VECTOR_BYTES),
        "packed": layout.packed(block_size, dtype, VECTOR_BYTES, sparse=not gathered),
        "strip": layout.strip(block_size, dtype, VECTOR_BYTES, panels=True),
        "inv_std": aligned_zeros(n_statistics, dtype),
    }


def _zero_biases(plan, dtype):
    """Return the biases for the products of layers whose members add their own biases."""
    return aligned_zeros(max(plan.layout.sizes) if plan.architecture.adapters == "all" else 0, dtype)


def _encoder_buffers(plan, block_size, dtype, gathered):
    """Return the buffers for the encoders of a network, as a dict by the fields of `Scratch`."""
    size = max((encoder.scratch_size for encoder in plan.architecture.encoders), default=0)
    n_features = plan.layout.n_features * gathered
    return {"columns": aligned_zeros(block_size * n_features, dtype), "encoding": aligned_zeros(size, dtype)}


def _encoder_records(plan, dtype):
    """Return the `ENCODER` records and the constants of a network, as a dict by the fields of `Scratch`.

    The parameters of the encoders are the last parameters of the layout.
    """
    encoders, layout = plan.architecture.encoders, plan.layout
    params_at = layout.n_params - sum(encoder.n_params for encoder in encoders)
    return {"encoders": encoder_table(encoders, params_at, np.dtype(dtype)), "constants": encoder_constants(encoders, dtype)}


def _training_numbers(plan, penalties, schedule, seed, rank):
    """Return the records of one thread, as a dict by the fields of `Scratch`."""
    loss_numbers, output_numbers = plan.loss_numbers()
    draw_state, norm_state = record(DRAW_STATE), record(NORM_STATE)
    draw_state["seed"], draw_state["strength"], norm_state["rank"] = seed, 1.0, rank
    return {
        "hyperparams": record(HYPERPARAMS),
        "penalties": record(PENALTY_NUMBERS) if penalties is None else penalties.copy(),
        "schedule": record(SCHEDULE_NUMBERS, 2) if schedule is None else schedule.copy(),
        "loss_numbers": loss_numbers,
        "output_numbers": output_numbers,
        "draw_state": draw_state,
        "norm_state": norm_state,
    }


def rows_of_layer(row, n_rows, buffer):
    """Return rows of a layer in a scratch buffer as a view (n_rows, n_out); ``row`` is the row of the layer in the layer table."""
    at, stride = int(row["outputs_at"]), int(row["output_stride"])
    return buffer[at : at + n_rows * stride].reshape(n_rows, stride)[:, : int(row["n_out"])]
