"""The set-up of all tests: the folder for compiled kernels, the number of threads, and a small network for tests of the kernels.

The environment variables are set before NumPy and Numba are imported, and subprocesses inherit them. Compiled kernels are stored in
``.pytest_cache`` in the checkout. The workers of a test run share the compiled kernels, and later runs use them again. If a source
file of the kernels has changed, they are compiled again.
"""

import os
import signal
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace

os.environ["NUMBA_CACHE_DIR"] = os.environ.get("NUMBA_CACHE_DIR") or str(Path(__file__).parents[1] / ".pytest_cache" / "numba")
os.environ.pop("FASTBP_CACHE_DIR", None)  # it would be used instead of NUMBA_CACHE_DIR
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # one core per worker

import hypothesis
import numpy as np
import pytest
from scipy.sparse import csr_array

from fastbp._data.inputs import IN_ORDER, as_rows, as_targets
from fastbp._data.row_numbers import row_numbers
from fastbp._kernels import epochs
from fastbp._kernels import network as passes
from fastbp._kernels.codes import ScheduleCode, Status
from fastbp._kernels.lazy.solvers import N_MOMENTS
from fastbp._kernels.settings import PROGRESS, SETTINGS, record
from fastbp._kernels.shuffles import MT19937State
from fastbp._kernels.solvers import Source
from fastbp._network import threads
from fastbp._network.activations import per_layer
from fastbp._network.architecture import Architecture, Objective, Plan
from fastbp._network.kernel_settings import configure_network
from fastbp._network.layout import N_NORM_PARAMETERS, Layout, aligned_zeros
from fastbp._network.optimizers import write_penalties, write_solver
from fastbp._network.segments import segment_table
from fastbp._network.threads import ThreadCrew
from fastbp._network.workspace import MovingStatistics, workspace

# Tests of several threads train small networks, for which one thread would be used even if n_threads is given.
_MIN_WORK, threads._MIN_WORK = threads._MIN_WORK, 1

# A shell that is not interactive starts background processes with SIGINT ignored, but some tests send this signal.
signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("fastbp", derandomize=True, deadline=None, database=None, max_examples=40)
hypothesis.settings.load_profile("fastbp")


@pytest.fixture
def default_min_work(monkeypatch):
    """The minimum work of a thread is the value that users have."""
    monkeypatch.setattr(threads, "_MIN_WORK", _MIN_WORK)


@pytest.fixture(scope="session")
def network():
    """The class `Network`, with which tests create small networks."""
    return Network


# PLAN_OPTIONS belong to the layout, the architecture and the objective, PENALTY_OPTIONS to `write_penalties`. All other options are
# fields of `SETTINGS`.
PLAN_OPTIONS = {"activation", "out_activation", "loss", "norm", "dropout", "input_noise", "numbers", "objective", "factors"}
PLAN_OPTIONS |= {"has_input_scale", "has_slopes", "has_residuals", "kinds"}
PENALTY_OPTIONS = ("alpha", "weight_decay", "l1", "clip_norm", "max_norm", "ema_decay")
DEFAULTS = {
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
    """A small random network with its data and buffers, and methods that call the compiled entry functions.

    The options are those of the plan and of the penalties, fields of `SETTINGS`, with names instead of codes, and a `LayerKinds`
    `kinds`. The data `X`, `y`
    and `weight`, which may be None, are float64 arrays whose values are exact in dtype. Scratch buffers, and the unused space after
    each buffer, initially contain `fill`. Each of the n_threads threads has its own scratch buffers; `scratch` has those of the
    first thread. By default, the number of shares of a batch is the number of threads.
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
        n_shares=None,
        **options,
    ):
        self.dtype, self.fill = np.dtype(dtype), fill
        self.n_threads, self.n_shares = n_threads, n_threads if n_shares is None else n_shares
        n_norms, kinds = N_NORM_PARAMETERS[options.get("norm")], options.get("kinds")
        self.layout = Layout(sizes, n_norms, self._extras(sizes, options)) if kinds is None else kinds.layout(sizes, n_norms)
        self.options = {**DEFAULTS, "batch_size": n_rows, "block_size": n_rows, **options}
        random = np.random.default_rng(seed)
        self.params = self._filled(aligned_zeros(self.layout.n_params, dtype))
        self.params[...] = random.normal(0, 0.7, self.layout.n_params)
        self.X = self._exact(self._inputs(random, n_rows, () if kinds is None else kinds.encoders))
        self.y = self._exact(self._targets(random, n_rows, sizes[-1]))
        self.weight = self._exact(random.uniform(0, 2, n_rows) * (np.arange(n_rows) != 1)) if weighted else None
        self.rows = as_rows(csr_array(self.X) if sparse else self.X, self.dtype)
        self.order = row_numbers(n_rows)
        self.losses, self.rates = np.full((2, self.options["max_epochs"]), np.nan)
        self.best = self.params[:0]
        _, key, position, *_ = np.random.RandomState(seed).get_state()
        self.twister = MT19937State(key.copy(), np.array([position]))

    def _extras(self, sizes, options):
        extras = {
            "input_scale": sizes[0] * options.get("has_input_scale", 0),
            "slopes": sum(sizes[1:-1]) * options.get("has_slopes", 0),
        }
        return tuple((name, size) for name, size in extras.items() if size)

    def _inputs(self, random, n_rows, encoders):
        shape = n_rows, self.layout.n_features or self.layout.sizes[0]
        X, at = random.normal(size=shape) * (random.random(shape) < 0.6), 0
        for encoder in encoders:
            if encoder.kind in ("one_hot", "embedding"):
                X[:, at : at + encoder.n_columns] = random.integers(0, encoder.n_units, (n_rows, encoder.n_columns))
            at += encoder.n_columns
        return X

    def _filled(self, buffer):
        buffer.base[...] = self.fill
        return buffer

    def _exact(self, values):
        return values.astype(self.dtype).astype(np.float64)

    def _targets(self, random, n_rows, n_outputs):
        if self.options["out_activation"] == "softmax":
            return random.integers(0, n_outputs, (n_rows, 1))
        if self.options["loss"] == "log_loss":
            return random.integers(0, 2, (n_rows, n_outputs))
        if self.options["loss"] == "poisson":
            return random.poisson(1.5, (n_rows, n_outputs))
        return random.normal(size=(n_rows, n_outputs))

    @property
    def plan(self):
        options = self.options
        activations = per_layer(options["activation"], len(self.layout.sizes) - 2)
        names = "norm", "dropout", "input_noise", "numbers", "has_input_scale", "has_slopes", "has_residuals"
        more = {name: options[name] for name in names if name in options}
        architecture = Architecture(activations, options["out_activation"], **more)
        if "kinds" in options:
            architecture = options["kinds"].added_to(architecture)
        return Plan(self.layout, architecture, Objective(options["loss"], **options.get("objective", {})))

    @cached_property
    def settings(self):
        settings = record(SETTINGS)
        write_solver(settings, self.options["solver"], self.dtype)
        self._write_penalties(settings)
        configure_network(settings, self.plan, self.options["block_size"], self.dtype)
        settings[0].schedule, settings[0].n_threads = ScheduleCode[self.options["schedule"]], self.n_threads
        for name, value in self.options.items():
            if name not in ("solver", "schedule", *PLAN_OPTIONS, *PENALTY_OPTIONS):
                setattr(settings[0], name, value)
        return settings

    def _write_penalties(self, settings):
        return write_penalties(settings, SimpleNamespace(**{name: self.options[name] for name in PENALTY_OPTIONS}), self.dtype)

    @cached_property
    def progress(self):
        progress = record(PROGRESS, self.n_threads)
        progress["best"], progress["learning_rate"] = np.inf, self.options["learning_rate_init"]
        progress["product"] = progress["factor"] = 1
        return progress

    @cached_property
    def moments(self):
        moments = np.zeros(N_MOMENTS[self.options["solver"]] * self.params.size, self.dtype)
        return moments if self.options["ema_decay"] is None else np.concatenate([moments, self.params])

    @property
    def segments(self):
        return segment_table(self.layout, self.options.get("factors"))

    @cached_property
    def table(self):
        return configure_network(self.settings, self.plan, self.options["block_size"], self.dtype)

    @cached_property
    def _workspace(self):
        penalties, moving = self._write_penalties(record(SETTINGS)), MovingStatistics.fresh(self.layout)
        sizes = self.options["block_size"], self.dtype, self.n_threads, self.n_shares
        team, scratches = workspace(self.plan, *sizes, gathered=True, shares_weights=True, moving=moving, penalties=penalties)
        for scratch in scratches:
            scratch.hyperparams[...] = self.fill
            for name in (
                "activations",
                "slopes",
                "normalized",
                "differences",
                "residuals",
                "products",
                "unscaled",
                "scaled_weights",
                "scaled_gradient",
                "deltas",
                "targets",
                "weights",
                "transposed",
                "packed",
                "strip",
                "inv_std",
                "columns",
                "saved",
                "encoding",
            ):
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
        return Status(self.progress[0].status).name

    @property
    def state(self):
        """Everything that training changes, as bytes, for exact comparisons."""
        arrays = self.params, self.moments, self.order, self.losses, self.progress, *self.twister
        return [array.tobytes() for array in arrays]

    def loss_and_gradient(self, start=0, stop=None):
        """Return Σ loss and Σ weight of rows start to stop, and a copy of the gradient."""
        stop = len(self.X) if stop is None else stop
        loss, weight_sum = passes.loss_and_gradient(
            self.settings,
            self.table,
            self.params,
            self.rows,
            *self.targets,
            start,
            stop,
            self.scratch,
            self.team.gradients[0],
            start == 0,
        )
        return loss, weight_sum, self.gradient.copy()

    @property
    def gradient(self):
        return self.team.gradients[0, : self.params.size]

    def predict(self, order=IN_ORDER, start=0, stop=None):
        """Return the outputs (n_rows, n_outputs). Rows outside the range from start to stop are -1."""
        out = np.full((order.size or len(self.X), self.layout.sizes[-1]), -1, self.dtype)
        stop = len(out) if stop is None else stop
        passes.predict(self.settings, self.table, self.params, self.rows, order, start, stop, self.scratch, out, True)
        return out

    def train(self, n_epochs=None, n_blocks=10**9):
        """Call `epochs.train` once in each thread. Append its losses to those of earlier calls; return the number of epochs."""
        done = int(self.progress[0].epoch)
        stop = None if n_epochs is None else done + n_epochs
        trace = epochs.EpochTrace(self.losses[done:stop], self.rates[done:stop], self.best)
        source = Source(self.params, self.moments)
        data = self.rows, *self.targets, self.order, self.twister
        shared = self.team, self.table, self.segments, self.params, self.moments, source, *data
        scratches = self.scratches
        self.progress["n_barriers"] = 0
        self.team.barrier[:] = 0
        if self.n_threads == 1:
            return epochs.train(self.settings, self.progress, 0, *shared, scratches[0], trace, n_blocks)
        counts, crew = [None] * self.n_threads, ThreadCrew(self.n_threads)

        def work(rank):
            counts[rank] = epochs.train(self.settings, self.progress, rank, *shared, scratches[rank], trace, n_blocks)

        crew.run(work, lambda: self.team.barrier.fill(1))
        crew.close()
        assert crew.n_threads == self.n_threads
        assert len(set(counts)) == 1
        return counts[0]

    def update_early_stopping(self, value):
        epochs.update_early_stopping(self.settings, self.progress, float(value))
