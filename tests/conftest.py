"""What all tests share: where compiled kernels are kept, how many threads there are, and a small network to call kernels with.

The environment is set before anything imports NumPy or Numba. Compiled kernels stay in the checkout's ``.pytest_cache``, which the
workers of a run share and the next run finds; the stamp over the sources sees to it that none is out of date. Subprocesses inherit
all this.
"""

import os
from functools import cached_property
from pathlib import Path

os.environ["NUMBA_CACHE_DIR"] = os.environ.get("NUMBA_CACHE_DIR") or str(Path(__file__).parents[1] / ".pytest_cache" / "numba")
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # a core per worker

import hypothesis
import numpy as np
import pytest
from scipy.sparse import csr_array

from fastbp import _kernels as kernels
from fastbp._data.inputs import IN_ORDER, as_rows, as_targets
from fastbp._network import optimizers as updates
from fastbp._network.activations import per_layer
from fastbp._network.architecture import Architecture, Objective
from fastbp._network.layout import Layout, aligned_zeros
from fastbp._network.workspace import N_NORM_PARAMETERS, Moving, Plan, workspace
from fastbp._training.threads import ThreadCrew

hypothesis.settings.register_profile("fastbp", derandomize=True, deadline=None, database=None, max_examples=40)
hypothesis.settings.load_profile("fastbp")


@pytest.fixture(scope="session")
def network():
    """The class `Network`, to make small networks from."""
    return Network


# what a layout, an architecture and an objective are made from, rather than fields of `SETTINGS`
OF_THE_PLAN = {"activation", "out_activation", "loss", "norm", "dropout", "input_noise", "numbers", "objective"}
OF_PENALTIES = ("alpha", "weight_decay", "l1", "clip_norm", "max_norm", "ema_decay")
ASKED = {
    "activation": "tanh",
    "loss": "squared_error",
    "out_activation": "identity",
    "solver": "sgd",
    "schedule": "constant",
    "max_epochs": 100,
    "alpha": 0.03,
    "learning_rate_init": 0.05,
    "power_t": 0.5,
    "momentum": 0.8,
    "nesterov": False,
    "beta_1": 0.85,
    "beta_2": 0.95,
    "epsilon": 1e-3,
    "rho": 0.7,
    "weight_decay": 0.0,
    "l1": 0.0,
    "clip_norm": None,
    "max_norm": None,
    "ema_decay": None,
    "tol": 0.0,
    "patience": float("inf"),
}


class Network:
    """A network with data and buffers of its own, all drawn from a seed and small, and the four entries called with them.

    What is asked for, beside the data, are the fields of `SETTINGS`, codes by their names. The data are float64 (`X`, `y`, `weight`
    or None), but hold no more digits than dtype has. Scratch buffers, and the room behind each buffer, start out as `fill`.
    Each of n_threads has its own scratch, of which `scratch` is the first's.
    """

    def __init__(
        self,
        sizes=(3, 4, 3, 2),
        dtype=float,
        n_rows=7,
        *,
        sparse=False,
        weighted=False,
        seed=0,
        fill=np.nan,
        n_threads=1,
        **asked,
    ):
        self.dtype, self.fill, self.n_threads = np.dtype(dtype), fill, n_threads
        self.layout = Layout(sizes, N_NORM_PARAMETERS[asked.get("norm")])
        self.asked = {**ASKED, "batch_size": n_rows, "block_size": n_rows, **asked}
        random = np.random.default_rng(seed)
        self.params = self._filled(aligned_zeros(self.layout.n_params, dtype))
        self.params[...] = random.normal(0, 0.7, self.layout.n_params)
        self.X = self._exact(random.normal(size=(n_rows, sizes[0])) * (random.random((n_rows, sizes[0])) < 0.6))
        self.y = self._exact(self._targets(random, n_rows, sizes[-1]))
        self.weight = self._exact(random.uniform(0, 2, n_rows) * (np.arange(n_rows) != 1)) if weighted else None
        self.rows = as_rows(csr_array(self.X) if sparse else self.X, self.dtype)
        self.order = np.arange(n_rows)
        self.losses, self.rates = np.full((2, self.asked["max_epochs"]), np.nan)
        self.best = self.params[:0]
        _, key, position, *_ = np.random.RandomState(seed).get_state()
        self.twister = kernels.MT19937State(key.copy(), np.array([position]))

    def _filled(self, buffer):
        buffer.base[...] = self.fill
        return buffer

    def _exact(self, values):
        return values.astype(self.dtype).astype(np.float64)

    def _targets(self, random, n_rows, n_outputs):
        if self.asked["out_activation"] == "softmax":
            return random.integers(0, n_outputs, (n_rows, 1))
        if self.asked["loss"] == "log_loss":
            return random.integers(0, 2, (n_rows, n_outputs))
        if self.asked["loss"] == "poisson":
            return random.poisson(1.5, (n_rows, n_outputs))
        return random.normal(size=(n_rows, n_outputs))

    @property
    def plan(self):
        asked = self.asked
        activations = per_layer(asked["activation"], len(self.layout.sizes) - 2)
        more = {name: asked[name] for name in ("norm", "dropout", "input_noise", "numbers") if name in asked}
        architecture = Architecture(activations, asked["out_activation"], **more)
        return Plan(self.layout, architecture, Objective(asked["loss"], **asked.get("objective", {})))

    @cached_property
    def settings(self):
        settings = kernels.record(kernels.SETTINGS)
        updates.write_solver(settings, self.asked["solver"], self.dtype)
        updates.write_penalties(settings, {name: self.asked[name] for name in OF_PENALTIES}, self.dtype)
        self.plan.table(settings, self.asked["block_size"], self.dtype)
        settings[0].schedule = kernels.ScheduleCode[self.asked["schedule"]]
        for name, value in self.asked.items():
            if name not in ("solver", "schedule", *OF_THE_PLAN, *OF_PENALTIES):
                setattr(settings[0], name, value)
        return settings

    @cached_property
    def progress(self):
        progress = kernels.record(kernels.PROGRESS, self.n_threads)
        progress["best"], progress["learning_rate"] = np.inf, self.asked["learning_rate_init"]
        progress["product"] = progress["factor"] = 1
        return progress

    @cached_property
    def moments(self):
        moments = np.zeros(kernels.N_MOMENTS[self.asked["solver"]] * self.params.size, self.dtype)
        return moments if self.asked["ema_decay"] is None else np.concatenate([moments, self.params])

    @cached_property
    def table(self):
        return self.plan.table(self.settings, self.asked["block_size"], self.dtype)

    @cached_property
    def _workspace(self):
        asked = {name: self.asked[name] for name in OF_PENALTIES}
        numbers = updates.write_penalties(kernels.record(kernels.SETTINGS), asked, self.dtype)
        where = self.asked["block_size"], self.dtype, self.n_threads
        team, scratches = workspace(self.plan, *where, gathered=True, moving=Moving.fresh(self.layout), numbers=numbers)
        for scratch in scratches:
            scratch.asked[...] = self.fill
            for name in ("activations", "slopes", "normed", "deltas", "targets", "weights", "transposed", "strip", "spread"):
                self._filled(getattr(scratch, name))
        team.gradients.base[...] = self.fill
        return team, scratches

    @property
    def team(self):
        return self._workspace[0]

    @property
    def scratches(self):
        return self._workspace[1]

    @property
    def scratch(self):
        return self.scratches[0]

    @property
    def targets(self):
        return as_targets(self.y, self.dtype), as_targets(self.weight, self.dtype)

    @property
    def coefs(self):
        return self.layout.views(self.params)[0]

    @property
    def intercepts(self):
        return self.layout.views(self.params)[1]

    @property
    def status(self):
        return kernels.Status(self.progress[0].status).name

    @property
    def state(self):
        """All that training leaves behind, as bytes, to be compared bit by bit."""
        arrays = self.params, self.moments, self.order, self.losses, self.progress, *self.twister
        return [array.tobytes() for array in arrays]

    def loss_and_gradient(self, start=0, stop=None):
        """Σ loss and Σ weight of these rows, and a copy of what scratch.gradient holds after them."""
        stop = len(self.X) if stop is None else stop
        loss, weight_sum = kernels.loss_and_gradient(
            self.settings, self.table, self.params, self.rows, *self.targets, start, stop, self.scratch
        )
        return loss, weight_sum, self.scratch.gradient.copy()

    def predict(self, order=IN_ORDER, start=0, stop=None):
        """Outputs (n_rows, n_outputs), -1 where none were asked for."""
        out = np.full((order.size or len(self.X), self.layout.sizes[-1]), -1, self.dtype)
        stop = len(out) if stop is None else stop
        kernels.predict(self.settings, self.table, self.params, self.rows, order, start, stop, self.scratch, out)
        return out

    def train(self, n_epochs=None, n_blocks=10**9):
        """One call of the kernel in each thread, its losses put after those of the calls before; returns how many epochs ended."""
        done = int(self.progress[0].epoch)
        stop = None if n_epochs is None else done + n_epochs
        trace = kernels.Trace(self.losses[done:stop], self.rates[done:stop], self.best)
        where = self.team, self.table, self.params, self.moments, self.rows, *self.targets, self.order, self.twister
        scratches = self.scratches
        self.progress["meeting"] = 0
        self.team.barrier[:] = 0
        if self.n_threads == 1:
            return kernels.train(self.settings, self.progress, 0, *where, scratches[0], trace, n_blocks)
        counts, crew = [None] * self.n_threads, ThreadCrew(self.n_threads)

        def work(rank):
            counts[rank] = kernels.train(self.settings, self.progress, rank, *where, scratches[rank], trace, n_blocks)

        crew.run(work, lambda: self.team.barrier.fill(1))
        crew.close()
        assert crew.n_threads == self.n_threads
        assert len(set(counts)) == 1
        return counts[0]

    def update_early_stopping(self, value):
        kernels.update_early_stopping(self.settings, self.progress, float(value))
