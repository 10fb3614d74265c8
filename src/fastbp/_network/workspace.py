"""The buffers that kernels work in, and what steers them, made once for a fit or a prediction.

A plan of a network enters, with the size of a block of rows; a table, `SETTINGS` filled in, and a `Scratch` for each thread leave.
What a network does not need is empty. Nothing is computed here.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .._kernels import N_NUMBERS, VECTOR_BYTES, Scratch, Team
from .._kernels.lazy import penalties
from .architecture import Architecture, Objective
from .layout import Layout, aligned_zeros

# How many parameters a norm has for each unit; that of a batch shifts by the layer's biases.
N_NORM_PARAMETERS = {None: 0, "batch_norm": 1, "layer_norm": 2}


@dataclass(frozen=True)
class Plan:
    """A network's sizes and where its parameters lie, and what it does between its products; what it minimises, if anything."""

    layout: Layout
    architecture: Architecture
    objective: Objective | None = None

    def table(self, settings, block_size, dtype):
        """The table for blocks of so many rows, with `SETTINGS` filled in for it."""
        dtype = np.dtype(dtype)
        settings["block_size"] = block_size
        table = self.layout.table(block_size, dtype.itemsize, VECTOR_BYTES)
        self.architecture.write_into(settings, table, dtype)
        if self.objective is not None:
            self.objective.write_into(settings, self.architecture, dtype)
        return table


class ScratchTemplate(NamedTuple):
    """What a `Scratch` for prediction is made from, again and again: what all may share, and the `sizes` of what each has alone."""

    shared: Scratch
    sizes: dict

    @classmethod
    def for_prediction(cls, plan, block_size, dtype, *, gathered, with_loss=False):
        """The template for one thread that only goes forward, and takes the loss `with_loss`."""
        layout, nothing, numbers = plan.layout, aligned_zeros(0, dtype), np.empty(0)
        made = {
            "activations": layout.activations(block_size, dtype, VECTOR_BYTES, gathered=gathered),
            "strip": layout.strip(block_size, dtype, VECTOR_BYTES),
        }
        if with_loss:
            made["deltas"] = layout.activations(block_size, dtype, VECTOR_BYTES, gathered=False)
            made["targets"] = aligned_zeros(block_size * layout.strides(dtype.itemsize, VECTOR_BYTES)[-1], dtype)
            made["weights"] = aligned_zeros(block_size, dtype)
        shared = dict.fromkeys(Scratch._fields, nothing) | dict.fromkeys(("asked", "penalties", "rates", "moving"), numbers)
        shared["of_loss"] = plan.architecture.numbers_for(plan.objective)
        shared |= {"drawn": np.zeros(6, np.int64), "exchange": np.empty((0, 0)), "barrier": np.empty(0, np.int64)}
        return cls(Scratch(**shared), {name: array.size for name, array in made.items()})

    def scratch(self):
        """A new `Scratch`."""
        shared, dtype = self.shared, self.shared.activations.dtype
        # the sum of the losses is left among the numbers of the loss
        return shared._replace(
            of_loss=shared.of_loss.copy(), **{name: aligned_zeros(size, dtype) for name, size in self.sizes.items()}
        )


@dataclass
class Moving:
    """The moving means and variances of a batch's norm, (2 n_units,) of each layer in turn: means, then variances."""

    statistics: np.ndarray

    @classmethod
    def fresh(cls, layout):
        return cls(np.concatenate([np.repeat([0.0, 1.0], n) for n in layout.sizes[1:-1]] or [np.empty(0)]))

    def views(self, layout):
        """The (means, variances) of each hidden layer."""
        ends = np.cumsum((0, *(2 * n for n in layout.sizes[1:-1])))
        return [self.statistics[start:stop].reshape(2, -1) for start, stop in pairwise(ends)]


def workspace(plan, block_size, dtype, n_threads, *, gathered, moving=None, numbers=None, rates=None, seed=0):
    """What threads share, and the `Scratch` of each, for training; moving statistics where a batch is normed.

    numbers are those of `penalties`, rates those of a schedule, seed that of what is drawn.
    """
    layout, architecture, itemsize = plan.layout, plan.architecture, np.dtype(dtype).itemsize
    nothing = aligned_zeros(0, dtype)

    def rows(wanted):
        return layout.activations(block_size, dtype, VECTOR_BYTES, gathered=False) if wanted else nothing

    gradients = aligned_zeros(n_threads * layout.gradient_stride(itemsize), dtype).reshape(n_threads, -1)
    team = Team(np.zeros(2, np.int64), np.zeros((n_threads, 4)), gradients)
    per_unit = architecture.norm == "batch_norm"
    n_spread = 3 * layout.n_hidden if per_unit else len(layout.sizes) * block_size * (architecture.norm is not None)
    exchange = np.zeros((n_threads, (4 * layout.n_hidden + len(layout.sizes)) * per_unit))
    barrier = np.zeros(2, np.int64)
    scratches = [
        Scratch(
            activations=layout.activations(block_size, dtype, VECTOR_BYTES, gathered=gathered),
            slopes=rows(architecture.keeps_slopes),
            normed=rows(architecture.norm is not None),
            deltas=rows(True),
            targets=aligned_zeros(block_size * layout.strides(itemsize, VECTOR_BYTES)[-1], dtype),
            weights=aligned_zeros(block_size, dtype),
            transposed=layout.transposed(dtype, VECTOR_BYTES),
            strip=layout.strip(block_size, dtype, VECTOR_BYTES, panels=True),
            gradient=gradient[: layout.n_params],
            spread=aligned_zeros(n_spread, dtype),
            asked=np.zeros(N_NUMBERS),
            penalties=np.zeros(penalties.N_NUMBERS) if numbers is None else numbers.copy(),
            rates=np.empty(0) if rates is None else rates.copy(),
            of_loss=architecture.numbers_for(plan.objective),
            drawn=np.array([seed, 0, 0, rank, 0, 0]),
            moving=moving.statistics if per_unit else np.empty(0),
            exchange=exchange,
            barrier=barrier,
        )
        for rank, gradient in enumerate(gradients)
    ]
    return team, scratches
