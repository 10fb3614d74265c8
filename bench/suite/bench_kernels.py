"""The parts of a step, each separately: the three products of a layer, elementwise functions and their accuracy, shuffles, updates.

Every benchmark makes one call of compiled code that runs a part many times, so that the time of the call itself is negligible.
"""

import numpy as np
from numba import njit

from fastbp._kernels import elementary, products
from fastbp._kernels.codes import SolverCode
from fastbp._kernels.jit import FASTMATH
from fastbp._kernels.lazy.solvers import N_MOMENTS
from fastbp._kernels.scratch import HYPERPARAMS
from fastbp._kernels.settings import PROGRESS, SETTINGS, record
from fastbp._kernels.shuffles import MT19937State, shuffle
from fastbp._kernels.solvers import Source, begin_step, update
from fastbp._kernels.tables import SEGMENT
from fastbp._kernels.targets import VECTOR_BYTES
from fastbp._network.layout import Layout, aligned_zeros

from .common import DTYPES, profile, rounded, seconds_of

# (rows, inputs, outputs) of a layer: layers of the networks in `common`, of a wider network, and of a network for single rows
SHAPES = [(200, 20, 100), (200, 100, 1), (32, 64, 64), (128, 784, 128), (256, 256, 256), (256, 1024, 1024), (1, 10, 16)]
_WORK = 20_000_000  # multiply-adds or elements per benchmark
_compiled = njit(nogil=True, error_model="numpy", fastmath=set(FASTMATH))


@_compiled
def _forward(n, A, W, packed, W_T, b, Z, D, out, G, strip):
    for _ in range(n):
        products.forward_product(A, W, packed, b, Z, 0.0, strip)


@_compiled
def _gradient(n, A, W, packed, W_T, b, Z, D, out, G, strip):
    for _ in range(n):
        products.weight_gradient(A, D, G, False, strip)


@_compiled
def _backward(n, A, W, packed, W_T, b, Z, D, out, G, strip):
    for _ in range(n):
        products.backward_product(D, W_T, A, out, True)


@_compiled
def _pack(W, packed):
    products.pack_strips(W, packed, 0, 1)


class Products:
    """One matrix product of a layer, with the copies of the weights that a fit also makes once per batch."""

    params = [["forward", "gradient", "backward"], SHAPES, DTYPES]
    param_names = ["product", "shape", "dtype"]

    def setup(self, product, shape, dtype):
        n_rows, n_in, n_out = shape
        layout = Layout((n_in, n_in, n_out))
        _, a_stride, z_stride = layout.strides(np.dtype(dtype).itemsize, VECTOR_BYTES)
        random = np.random.default_rng(0)

        def filled(*shape):
            array = aligned_zeros(int(np.prod(shape)), dtype)
            array[:] = random.normal(size=array.size)
            return array.reshape(shape)

        strip = layout.strip(n_rows, np.dtype(dtype), VECTOR_BYTES, panels=True)
        lanes = VECTOR_BYTES // np.dtype(dtype).itemsize
        W = filled(n_in, n_out)
        packed = aligned_zeros(layout.layer_table(n_rows, W.itemsize, VECTOR_BYTES)["n_packed"][-1], dtype)
        if packed.size:
            _pack(W, packed)
        self.arrays = (
            filled(n_rows, a_stride),
            W,
            packed,
            filled(n_out, -(-n_in // lanes) * lanes),
            filled(n_out),
            filled(n_rows, z_stride),
            filled(n_rows, z_stride),
            filled(n_rows, a_stride),
            filled(n_in, n_out),
            strip,
        )
        self.call = {"forward": _forward, "gradient": _gradient, "backward": _backward}[product]
        self.work = n_rows * n_in * n_out
        self.n = max(1, int(_WORK * profile().row_share) // self.work)
        self.call(1, *self.arrays)  # compiles

    def time_products(self, product, shape, dtype):
        self.call(self.n, *self.arrays)

    def track_gflops(self, product, shape, dtype):
        seconds = min(seconds_of(lambda: self.call(self.n, *self.arrays)) for _ in range(5))
        return rounded(2 * self.work * self.n / seconds / 1e9, 3)

    track_gflops.unit = "GFLOP/s"


# For each function: the reference for its accuracy, and the range of arguments.
FUNCTIONS = {
    "exp": (np.exp, (-80, 80)),
    "log": (np.log, (1e-30, 10)),
    "tanh": (np.tanh, (-10, 10)),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), (-30, 30)),
}


def _loop(function):
    @_compiled
    def loop(n, x, out):
        for _ in range(n):
            for i in range(x.size):
                out[i] = function(x[i])

    return loop


class Elementwise:
    """A function applied to 20,000 numbers, and its maximum error in units in the last place."""

    params = [list(FUNCTIONS), DTYPES]
    param_names = ["function", "dtype"]

    def setup(self, name, dtype):
        self.x = np.linspace(*FUNCTIONS[name][1], 20_000).astype(dtype)
        self.out = np.empty_like(self.x)
        self.n = max(1, int(_WORK * profile().row_share) // self.x.size)
        self.loop = _loop(getattr(elementary, name))
        self.loop(1, self.x, self.out)  # compiles

    def time_function(self, name, dtype):
        self.loop(self.n, self.x, self.out)

    def track_ulps(self, name, dtype):
        wide = np.float64 if dtype == "float32" else np.longdouble
        exact = FUNCTIONS[name][0](self.x.astype(wide))
        unit = np.spacing(np.abs(exact).astype(dtype)).astype(wide)
        return rounded(np.max(np.abs(self.out - exact) / unit), 2)

    track_ulps.unit = "ULP"


@_compiled
def _shuffle(n, order, twister):
    for _ in range(n):
        shuffle(order, twister)


class Shuffle:
    """A shuffle of `n_rows` rows that uses the same random numbers as scikit-learn."""

    params = [[150, 20_000, 1_000_000]]
    param_names = ["rows"]

    def setup(self, n_rows):
        self.order = np.arange(max(2, int(n_rows * profile().row_share)))
        state = np.random.RandomState(0).get_state(legacy=False)["state"]
        self.twister = MT19937State(state["key"], np.array([state["pos"]]))
        self.n = max(1, int(_WORK * profile().row_share) // 20 // self.order.size)
        _shuffle(1, self.order, self.twister)  # compiles

    def time_shuffle(self, n_rows):
        _shuffle(self.n, self.order, self.twister)


@_compiled
def _update(n, settings, progress, source, params, gradient, moments, hyperparams, segments):
    for _ in range(n):
        rate, base = begin_step(settings[0], progress[0], 1e-2, hyperparams)
        update(settings[0], rate, base, source, 0, params, gradient, moments, hyperparams, segments, 1e-4, 1e-2, 0, params.size)


class Update:
    """An update of `n_params` parameters by each of the two solvers that are always compiled."""

    params = [["sgd", "adam"], [1_000, 100_000, 1_000_000], DTYPES]
    param_names = ["solver", "parameters", "dtype"]

    def setup(self, solver, n_params, dtype):
        settings, progress = record(SETTINGS), record(PROGRESS)
        for name, value in {"solver": SolverCode[solver], "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "momentum": 0.9}.items():
            settings[name] = value
        settings["learning_rate_init"], progress["learning_rate"], progress["factor"] = 1e-6, 1e-6, 1
        params, gradient, moments = (aligned_zeros(n, dtype) for n in (n_params, n_params, N_MOMENTS[solver] * n_params))
        gradient[:] = np.random.default_rng(0).normal(size=n_params)
        source = Source(params, moments)
        segments = np.array([(0, n_params, 1.0, 1.0, 1.0, 1.0)], SEGMENT)
        self.arguments = settings, progress, source, params, gradient, moments, record(HYPERPARAMS), segments
        self.n = max(1, int(_WORK * profile().row_share) // n_params)
        _update(1, *self.arguments)  # compiles

    def time_update(self, solver, n_params, dtype):
        _update(self.n, *self.arguments)
