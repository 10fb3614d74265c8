"""The products of a layer with bfloat16 instructions of 64-bit Arm processors are compared with NumPy, in qemu-aarch64.

Factors are small integers, which are bfloat16 numbers, so that sums are exact in every order and the results must be equal exactly.
A process of its own generates the code for Arm. Numba compiles it for x86-64 as well, where the instructions are calls of functions
that do not exist; the code is never run there.
"""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from emulators import arm

pytestmark = [
    pytest.mark.compiled,
    pytest.mark.skipif(bool(arm.unavailable()), reason=arm.unavailable() or "the emulator is available"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the variables of Numba are for x86-64"),
]

# The modules that generate code import these values, so they are set before fastbp is imported.
PROGRAM = """
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

path = Path(find_spec("fastbp").submodule_search_locations[0], "_kernels", "targets.py")
spec = spec_from_file_location("fastbp._kernels.targets", path)
targets = sys.modules[spec.name] = module_from_spec(spec)
spec.loader.exec_module(targets)
targets.IS_X86, targets.IS_ARM, targets.HAS_NEON, targets.HAS_BFLOAT16 = False, True, True, True
from emulators import test_arm_products
test_arm_products.check_all()
"""
BFMMLA = "llvm.aarch64.neon.bfmmla"
# (n_rows, n_in, n_out) around the sizes of tiles and of blocks.
SIZES = [
    (1, 1, 1),
    (2, 3, 5),
    (3, 4, 4),
    (5, 7, 9),
    (8, 8, 12),
    (9, 13, 27),
    (13, 16, 31),
    (24, 30, 8),
    (25, 33, 34),
    (11, 62, 300),
]


def padded(values, stride=None):
    """Return a matrix whose rows have `stride` elements, in memory with NaN in all other elements and after the matrix."""
    values = np.atleast_2d(values).astype(np.float32)
    n_rows, n_columns = values.shape
    stride = stride or n_columns
    matrix = np.full(n_rows * stride + 64, np.nan, np.float32)[: n_rows * stride].reshape(n_rows, stride)
    matrix[:, :n_columns] = values
    return matrix


def whole_vectors(n):
    return -(-n // 4) * 4


def integers(random, *shape):
    return random.integers(-8, 9, shape).astype(np.float32)


def compiled(kind, name):
    """Return what Numba compiled for a function of a layer."""
    from fastbp._kernels.lazy.addresses import lazy_address, lazy_functions, signature

    lazy_address(kind, name, np.dtype(np.float32))
    return lazy_functions(kind)[name].entry.overloads[signature(kind, np.float32)]


def buffers(n_rows, n_in, n_out):
    """Return memory for the words of W, of Wᵀ and of rows, with the sizes of `mixed_precision`."""
    from fastbp._kernels.tables import LAYER
    from fastbp._network import mixed_precision

    table = np.zeros(1, LAYER).view(np.recarray)
    table["n_in"], table["n_out"], table["n_features"] = n_in, n_out, 1  # so that there are transposed weights
    sizes = mixed_precision.use_bfloat16(table, n_rows)
    # two more vectors follow each of them
    return [
        np.full(int(n) + 8, 0x7FC07FC0, np.uint32)[: int(n)] for n in (table[0].n_words, table[0].n_transposed_words, sizes.rows)
    ]


def stored_rows(A):
    """Return the rows of `store_rows` for a matrix of numbers that bfloat16 can represent."""
    halves = np.zeros((len(A), 2 * whole_vectors(-(-A.shape[1] // 2))), np.uint16)
    halves[:, : A.shape[1]] = A.view(np.uint32) >> 16
    return padded(halves.view(np.float32))


def check_layer(n_rows, n_in, n_out):
    random, (packed, transposed, words) = np.random.default_rng(n_rows), buffers(n_rows, n_in, n_out)
    A, W, b, delta = (integers(random, *shape) for shape in ((n_rows, n_in), (n_in, n_out), (1, n_out), (n_rows, n_out)))
    A[random.random(A.shape) < 0.3] = 0
    for share in range(2):  # two threads write the copies of W
        arm.run_numba(compiled("bfloat16_weights", "weights"), padded(W), packed, transposed, words, share, 2)
    columns, rows = whole_vectors(n_out), whole_vectors(n_in)
    Z, biases = padded(np.zeros((n_rows, n_out)), columns), padded(b)[0]
    for relu in (0, 1):
        arm.run_numba(compiled("bfloat16_forward", "forward"), padded(A), packed, biases, Z, n_in, relu, words)
        np.testing.assert_array_equal(Z[:, :n_out], np.maximum(A @ W + b, 0 if relu else -np.inf))
    stored = stored_rows(A)
    arm.run_numba(compiled("bfloat16_forward", "stored_forward"), stored, packed, biases, Z, n_in, 0, words)
    np.testing.assert_array_equal(Z[:, :n_out], A @ W + b)
    for add, name, inputs in ((0, "gradient", padded(A, rows)), (1, "gradient", padded(A)), (1, "stored_gradient", stored)):
        G = padded(W)
        arm.run_numba(compiled("bfloat16_gradient", name), inputs, padded(delta, columns), G, add, words)
        np.testing.assert_array_equal(G, A.T @ delta + (W if add else 0))
    for relu in (0, 1):
        out, activations = padded(np.zeros((n_rows, n_in)), rows), padded(A, rows)
        arguments = padded(delta, columns), transposed, activations, out, n_in, n_out, relu, words
        arm.run_numba(compiled("bfloat16_backward", "backward"), *arguments)
        expected = delta @ W.T
        np.testing.assert_array_equal(out[:, :n_in], np.where(A == 0, 0, expected) if relu else expected)


def use_absent_instructions():
    """Let Numba compile the code for x86-64 as well, and let small layers use bfloat16."""
    import llvmlite.binding as llvm

    from fastbp._kernels.vector_code import PairProducts
    from fastbp._network import mixed_precision

    def call_absent(self, name, *arguments):
        return call(self, name.replace("llvm.aarch64", f"{arm.ABSENT}llvm.aarch64"), *arguments)

    call, PairProducts._call = PairProducts._call, call_absent
    llvm.add_symbol(f"{arm.ABSENT}{BFMMLA}", 1)
    mixed_precision.multiplies_bfloat16 = lambda *sizes: True


def check_all():
    """Check the products of all sizes; this runs in a process that generates code for Arm."""
    from fastbp._kernels import tiles, vector_code

    use_absent_instructions()
    assert (tiles.TILE_VECTORS, tiles.TILE_ROWS, vector_code.PairProducts.multiplies_blocks) == (3, (8, 4, 2, 1), True)
    for sizes in SIZES:
        check_layer(*sizes)
    for name in ("forward", "gradient", "backward"):
        assert BFMMLA in compiled(f"bfloat16_{name}", name).library.get_llvm_str()


@pytest.mark.long
def test_products_of_a_layer(tmp_path):
    # The machine code is not read from a cache, so that Numba knows its LLVM code.
    variables = {**arm.ENVIRONMENT, "FASTBP_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**os.environ, **variables}, text=True, capture_output=True, check=False
    )
    assert process.returncode == 0, process.stderr[-3000:]
