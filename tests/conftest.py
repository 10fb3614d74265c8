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

from fastbp import activations, kernels, training
from fastbp.inputs import IN_ORDER, as_rows, as_targets
from fastbp.kernels.network import OUT_STRIDE
from fastbp.layout import Layout, buffer
from fastbp.threads import Crew

hypothesis.settings.register_profile("fastbp", derandomize=True, deadline=None, database=None, max_examples=40)
hypothesis.settings.load_profile("fastbp")


@pytest.fixture(scope="session")
def network():
    """The class `Network`, to make small networks from."""
    return Network


CODES = {
    "out_activation": kernels.OutActivation,
    "loss": kernels.Loss,
    "schedule": kernels.Schedule,
}
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
        self.dtype, self.fill, self.layout, self.n_threads = np.dtype(dtype), fill, Layout(sizes), n_threads
        self.asked = {**ASKED, "batch_size": n_rows, "block_size": n_rows, **asked}
        random = np.random.default_rng(seed)
        self.params = self._filled(buffer(self.layout.n_params, dtype))
        self.params[...] = random.normal(0, 0.7, self.layout.n_params)
        self.X = self._exact(random.normal(size=(n_rows, sizes[0])) * (random.random((n_rows, sizes[0])) < 0.6))
        self.y = self._exact(self._targets(random, n_rows, sizes[-1]))
        self.weight = self._exact(random.uniform(0, 2, n_rows) * (np.arange(n_rows) != 1)) if weighted else None
        self.rows = as_rows(csr_array(self.X) if sparse else self.X, self.dtype)
        self.order = np.arange(n_rows)
        self.losses, self.rates = np.full((2, self.asked["max_epochs"]), np.nan)
        self.best = self.params[:0]
        _, key, position, *_ = np.random.RandomState(seed).get_state()
        self.twister = kernels.Twister(key.copy(), np.array([position]))

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

    @cached_property
    def settings(self):
        settings = kernels.record(kernels.SETTINGS)
        for name, value in self.asked.items():
            if name == "activation":
                continue  # which is in the table
            if name == "solver":
                training.write_solver(settings, value, self.dtype)
                continue
            setattr(settings[0], name, CODES[name][value] if name in CODES else value)
        return settings

    @cached_property
    def progress(self):
        progress = kernels.record(kernels.PROGRESS, self.n_threads)
        progress["best"], progress["learning_rate"] = np.inf, self.asked["learning_rate_init"]
        progress["product"] = 1
        return progress

    @cached_property
    def moments(self):
        return np.zeros(kernels.N_MOMENTS[self.asked["solver"]] * self.params.size, self.dtype)

    @cached_property
    def table(self):
        table = self.layout.table(self.asked["block_size"], self.dtype.itemsize, kernels.VECTOR_BYTES)
        activations.write_into(table, self.activations, self.dtype)
        return table

    @property
    def activations(self):
        return activations.per_layer(self.asked["activation"], len(self.layout.sizes) - 2)

    @cached_property
    def team(self):
        stride = self.layout.gradient_stride(self.dtype.itemsize)
        gradients = buffer(self.n_threads * stride, self.dtype)
        gradients.base[...] = self.fill
        return kernels.Team(np.zeros(2, np.int64), np.zeros((self.n_threads, 3)), gradients.reshape(self.n_threads, stride))

    @cached_property
    def scratches(self):
        n, dtype, layout, vector_bytes = self.asked["block_size"], self.dtype, self.layout, kernels.VECTOR_BYTES
        called = activations.any_called(self.activations)
        return [
            kernels.Scratch(
                self._filled(layout.activations(n, dtype, vector_bytes, gathered=True)),
                self._filled(buffer(0, dtype) if not called else layout.activations(n, dtype, vector_bytes, gathered=False)),
                self._filled(layout.activations(n, dtype, vector_bytes, gathered=False)),
                self._filled(buffer(n * int(self.table[-1, OUT_STRIDE]), dtype)),
                self._filled(buffer(n, dtype)),
                self._filled(layout.transposed(dtype, vector_bytes)),
                self._filled(layout.strip(n, dtype, vector_bytes)),
                gradient[: layout.n_params],
                np.full(kernels.N_NUMBERS, self.fill, float),
            )
            for gradient in self.team.gradients
        ]

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
        buffers = self.scratch.activations, self.scratch.strip, out
        kernels.predict(self.settings, self.table, self.params, self.rows, order, start, stop, *buffers)
        return out

    def train(self, n_epochs=None, n_blocks=10**9):
        """One call of the kernel in each thread, its losses put after those of the calls before; returns how many epochs ended."""
        done = int(self.progress[0].epoch)
        stop = None if n_epochs is None else done + n_epochs
        trace = kernels.Trace(self.losses[done:stop], self.rates[done:stop], self.best)
        where = self.team, self.table, self.params, self.moments, self.rows, *self.targets, self.order, self.twister
        scratches = self.scratches
        self.progress["meeting"] = 0
        self.team.gate[:] = 0
        if self.n_threads == 1:
            return kernels.train(self.settings, self.progress, 0, *where, scratches[0], trace, n_blocks)
        counts, crew = [None] * self.n_threads, Crew(self.n_threads)

        def work(rank):
            counts[rank] = kernels.train(self.settings, self.progress, rank, *where, scratches[rank], trace, n_blocks)

        crew.run(work, lambda: self.team.gate.fill(1))
        crew.close()
        assert crew.n_threads == self.n_threads
        assert len(set(counts)) == 1
        return counts[0]

    def judge(self, value):
        kernels.judge(self.settings, self.progress, float(value))
