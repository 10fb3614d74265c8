"""The products of a layer with AVX512_BF16 and with AMX instructions are compared with NumPy, in the emulator.

Factors are small integers, which are bfloat16 numbers, so that sums are exact in every order and the results must be equal exactly.
Each array ends at the end of accessible memory, or there is as much room after it as the functions require. The memory around it
has a pattern that must not change, and all other memory that the functions could read contains NaN.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_tiles import GuardedPages

from emulators import x86
from fastbp._kernels.lazy.addresses import lazy_functions, signature
from fastbp._kernels.tables import LAYER
from fastbp._kernels.targets import HAS_AMX, TARGET
from fastbp._network import mixed_precision

pytestmark = [
    pytest.mark.compiled,
    pytest.mark.skipif(bool(x86.unavailable()), reason=x86.unavailable() or "the emulator is available"),
]

NAN_WORD, PATTERN, NAMES = 0x7FC07FC0, 0xA5, ("weights", "forward", "gradient", "backward")
# (n_rows, n_in, n_out) around the size of a tile, 16, and of a pair of words in a tile, 32; a thread may have no rows.
SIZES = [
    *((1, 1, 1), (0, 32, 32), (15, 16, 17), (16, 17, 15), (17, 15, 16), (31, 32, 33), (32, 33, 31), (33, 31, 32)),
    *((32, 32, 32), (48, 49, 47), (64, 65, 16), (65, 16, 64), (5, 70, 100), (32, 31, 49)),
]


def whole_tiles(n):
    return -(-n // 16) * 16


class Edge:
    """An array at the end of accessible memory, with `room` more elements after it. Only its first `owned` columns may change."""

    def __init__(self, values, dtype=np.float32, owned=0, room=0):
        self.pages, self.owned = GuardedPages(32), owned
        self.bytes = self.pages.bytes[: self.pages.size]  # without the page that is not accessible
        self.bytes[:] = PATTERN
        self.array = self.pages.put(values, dtype, room)
        self.before = self.bytes.copy()
        start = self.array.ctypes.data - self.bytes.ctypes.data
        self.before_array = self.before[start : start + self.array.nbytes].view(dtype).reshape(self.array.shape)

    def assert_rest_unchanged(self):
        self.before_array[..., : self.owned] = self.array[..., : self.owned]
        np.testing.assert_array_equal(self.bytes, self.before)


class Layer:
    """The buffers of a layer with the sizes of `mixed_precision`, and the addresses of its functions."""

    def __init__(self, n_rows, n_in, n_out):
        table = np.zeros(1, LAYER).view(np.recarray)
        table["n_in"], table["n_out"], table["n_features"] = n_in, n_out, 1  # so that there are transposed weights
        sizes = mixed_precision.use_bfloat16(table, n_rows)
        self.row = table[0]
        self.packed, self.transposed, self.words = (
            Edge(np.full(int(n), NAN_WORD), np.uint32, owned=int(n))
            for n in (self.row.n_words, self.row.n_transposed_words, sizes.rows)
        )
        assert sizes.weights == self.packed.array.size + self.transposed.array.size + 64

    def run(self, name, *arrays, numbers=()):
        """Call a function with arrays at the edge of memory and with numbers; check that no other memory has changed.

        `numbers` are the arguments after the words.
        """
        address = self.row["round_weights_address" if name == "weights" else f"bfloat16_{name}_address"]
        edges = [*arrays, self.words, *numbers]
        x86.run_numba(int(address), *(edge.array if isinstance(edge, Edge) else edge for edge in edges))
        for edge in edges:
            if isinstance(edge, Edge):
                edge.assert_rest_unchanged()


def integers(random, *shape):
    return (random.integers(-8, 9, shape) * (random.random(shape) < 0.8)).astype(np.float32)


def with_nan_columns(M, stride):
    return np.pad(M, ((0, 0), (0, stride - M.shape[1])), constant_values=np.nan)


def check_layer(n_rows, n_in, n_out, with_nan, room):
    """Check the four functions of a layer, with `room` more elements after the gradient."""
    random, layer = np.random.default_rng(n_rows), Layer(n_rows, n_in, n_out)
    A, W, b, delta = (integers(random, *shape) for shape in ((n_rows, n_in), (n_in, n_out), (n_out,), (n_rows, n_out)))
    if with_nan:
        A[0, n_in // 2] = delta[-1, 0] = np.nan
    for share in range(2):  # two threads write the copies of W
        layer.run("weights", Edge(W), layer.packed, layer.transposed, numbers=(share, 2))
    n_columns = whole_tiles(n_out)
    for relu, stride in ((0, n_in), (1, n_in + 3)):
        Z = Edge(np.full((n_rows, n_columns + 16 * relu), np.nan), owned=n_columns)
        bias = Edge(b, room=n_columns - n_out)
        layer.run("forward", Edge(with_nan_columns(A, stride)), layer.packed, bias, Z, n_in, relu)
        # np.maximum keeps NaN
        np.testing.assert_array_equal(Z.array[:, :n_out], np.maximum(A @ W + b, 0 if relu else -np.inf))
    for add, stride in ((0, n_out), (1, n_out + 5)):
        before = integers(random, n_in, n_out) if add else np.full((n_in, n_out), np.nan)
        G = Edge(before, owned=n_out, room=room)
        layer.run("gradient", Edge(with_nan_columns(A, n_in + 2 * add)), Edge(with_nan_columns(delta, stride)), G, add)
        np.testing.assert_array_equal(G.array, A.T @ delta + (before if add else 0))
    activations = with_nan_columns(A, whole_tiles(n_in))
    for relu in (0, 1):
        out = Edge(np.full(activations.shape, np.nan), owned=whole_tiles(n_in))
        layer.run("backward", Edge(delta), layer.transposed, Edge(activations), out, n_in, n_out, relu)
        expected = np.where(A == 0, 0, delta @ W.T) if relu else delta @ W.T
        np.testing.assert_array_equal(out.array[:, :n_in], expected)


def check_all(uses_tiles):
    """Check the products of all sizes; this runs in a process that compiles for the emulated processor."""
    assert (TARGET, HAS_AMX) == ("host", True)
    mixed_precision.may_use_tiles = lambda: uses_tiles
    mixed_precision.multiplies_bfloat16 = lambda *sizes: True
    room = 0 if uses_tiles else 16  # other products read and write whole vectors of the gradient
    for sizes in SIZES:
        check_layer(*sizes, with_nan=False, room=room)
    check_layer(18, 33, 35, with_nan=True, room=room)
    for name in NAMES:
        kind, is_product = f"bfloat16_{name}", name != "weights"
        entry = lazy_functions(kind)[f"amx_{name}" if uses_tiles else name].entry
        code = entry.overloads[signature(kind, np.float32)].library.get_asm_str()
        assert ("tdpbf16ps" in code) == (is_product and uses_tiles)
        assert (code.count("ldtilecfg") > 0, code.count("tilerelease") > 0) == (is_product and uses_tiles,) * 2
        assert ("vdpbf16ps" in code) == (is_product and not uses_tiles)
        assert "vcvtne2ps2bf16" in code


@pytest.mark.long
@pytest.mark.parametrize("uses_tiles", [False, True], ids=["AVX512_BF16", "AMX"])
def test_products_of_a_layer(tmp_path, uses_tiles):
    """A process of its own compiles for the emulated processor, whose instructions this one may lack."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    environment = {**os.environ, **x86.ENVIRONMENT, "FASTBP_CACHE_DIR": str(tmp_path), "PYTHONPATH": path}
    code = f"from emulators import test_products; test_products.check_all({uses_tiles})"
    process = subprocess.run([sys.executable, "-c", code], env=environment, text=True, capture_output=True, check=False)
    assert process.returncode == 0, process.stderr[-3000:]
