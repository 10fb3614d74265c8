"""The compiled matrix products are compared with NumPy, for all sizes near the size of a tile and for several kinds of processors.

Factors are small integers, so that sums are exact in both dtypes and in every order, and the results must be equal exactly. The
memory around an array is filled with a pattern and must not change. `sweep` and `at_the_edge_of_memory` also run in other
processes, which compile for processors with narrower vectors or use arrays at the end of the accessible memory.
"""

import ctypes
import itertools
import json
import mmap
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastbp._kernels import products, solvers
from fastbp._kernels.scratch import HYPERPARAMS
from fastbp._kernels.settings import PROGRESS, SETTINGS, record
from fastbp._kernels.tables import SEGMENT
from fastbp._kernels.targets import VECTOR_BYTES
from fastbp._kernels.tiles import TILE_VECTORS

pytestmark = pytest.mark.compiled

DTYPES = [np.float32, np.float64]
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
# Numbers of terms in a sum: 0, as for a thread without rows; 1 and 2; and more than the rows of a tile.
DEPTHS = (0, 1, 2, 17)


def lanes(dtype):
    return VECTOR_BYTES // np.dtype(dtype).itemsize


def whole_vectors(n, dtype):
    """Return n, rounded up to a whole number of vectors."""
    return -(-n // lanes(dtype)) * lanes(dtype)


class GuardedArray:
    """An array between two regions with a pattern. Only its first `owned` columns, and `behind` elements after it, may change."""

    PATTERN = 0xA5
    AROUND = 128

    def __init__(self, values, dtype, stride=None, owned=None, behind=0):
        values = np.asarray(values)
        shape = values.shape if stride is None else (len(values), stride)
        self.n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        self.bytes = np.full(self.n_bytes + 2 * self.AROUND, self.PATTERN, np.uint8)
        self.array = self.bytes[self.AROUND : self.AROUND + self.n_bytes].view(dtype).reshape(shape)
        self.array[..., : values.shape[-1]] = values
        self.before = self.bytes.copy()
        self.free = np.zeros(self.bytes.size, bool)
        if owned is not None:
            self.free[self.AROUND : self.AROUND + self.n_bytes].reshape(*shape, np.dtype(dtype).itemsize)[..., :owned, :] = True
        self.free[self.AROUND + self.n_bytes :][: behind * np.dtype(dtype).itemsize] = True

    def assert_rest_unchanged(self):
        np.testing.assert_array_equal(self.bytes[~self.free], self.before[~self.free])


def integers(random, shape, zeros=0.2):
    return random.integers(-8, 9, shape) * (random.random(shape) >= zeros)


def as_strips(M, dtype):
    """Return the elements of a matrix strip by strip, with NaN after the last column. A strip has up to TILE_VECTORS vectors."""
    n = whole_vectors(M.shape[1], dtype) // lanes(dtype)
    n_twos = -n % 3 if TILE_VECTORS == 3 else n // 2
    n_threes = (n - 2 * n_twos) // 3 if TILE_VECTORS == 3 else 0
    widths = [1] if n == 1 else [3] * n_threes + [2] * n_twos + [1] * (n - 3 * n_threes - 2 * n_twos)
    wide = np.full((len(M), n * lanes(dtype)), np.nan)
    wide[:, : M.shape[1]] = M
    return np.concatenate([strip.ravel() for strip in np.split(wide, np.cumsum(widths)[:-1] * lanes(dtype), axis=1)])


def transposed(W, dtype):
    """Return a `GuardedArray` with the result of `transpose` in memory of NaN."""
    w = GuardedArray(W, dtype)
    w_t = GuardedArray(np.full((W.shape[1], 1 if len(W) == 1 else whole_vectors(len(W), dtype)), np.nan), dtype)
    products.transpose(w.array, w_t.array, 0, 1)
    np.testing.assert_array_equal(w_t.array.ravel(), W.ravel() if len(W) == 1 else as_strips(W.T, dtype))
    w.assert_rest_unchanged()
    return GuardedArray(w_t.array, dtype)


@each_dtype
@pytest.mark.compiled
@pytest.mark.parametrize("n_shares", [2, 3])
def test_shares_of_copies(n_shares, dtype):
    """Each share of a copy of W consists of every n_shares-th strip, and the shares together are the whole copy."""
    n = lanes(dtype)
    for n_in, n_out in itertools.product((1, 7, 3 * n, 11 * n + 1), repeat=2):
        W = np.arange(1.0, 1 + n_in * n_out).reshape(n_in, n_out)
        n_columns = 1 if n_in == 1 else whole_vectors(n_in, dtype)
        for function, shape, n_strip_columns in (
            (products.pack_strips, (n_in * whole_vectors(n_out, dtype),), n_out),
            (products.transpose, (n_out, n_columns), n_in if n_out > 1 else 1),
        ):
            whole, *shares = (GuardedArray(np.zeros(shape), dtype, owned=shape[-1]) for _ in range(1 + n_shares))
            source = GuardedArray(W, dtype)
            function(source.array, whole.array, 0, 1)
            for share, copy in enumerate(shares):
                function(source.array, copy.array, share, n_shares)
                copy.assert_rest_unchanged()
            written = np.array([copy.array.ravel() != 0 for copy in shares])
            assert written.sum(axis=0).max() == 1
            assert written[1].any() == (n_strip_columns > TILE_VECTORS * n)
            np.testing.assert_array_equal(sum(copy.array for copy in shares), whole.array)


def packed_strips(w, dtype):
    """Return a `GuardedArray` with the result of `pack_strips`; elements after the last column are set to NaN."""
    n_in, n_out = w.array.shape
    n = n_in * whole_vectors(n_out, dtype)
    packed = GuardedArray(np.full(n, np.nan), dtype, owned=n)
    products.pack_strips(w.array, packed.array, 0, 1)
    packed.assert_rest_unchanged()
    want = as_strips(w.array, dtype)
    packed.array[np.isnan(want)] = np.nan
    np.testing.assert_array_equal(packed.array, want)
    return GuardedArray(packed.array, dtype)


def scratch(dtype, *sizes, panels=0):
    """Return scratch memory for a product, filled with NaN."""
    n = TILE_VECTORS * lanes(dtype) * max(1, *sizes) + panels
    return GuardedArray(np.full(n, np.nan), dtype, owned=n, behind=GuardedArray.AROUND // np.dtype(dtype).itemsize)


def check_forward(random, dtype, n_rows, n_in, n_out, floor, a_wider=0, z_wider=0):
    A, W, b = integers(random, (n_rows, n_in)), integers(random, (n_in, n_out)), integers(random, n_out)
    # the values of a single unit are contiguous
    written = 1 if n_out == 1 else whole_vectors(n_out, dtype)
    a, w, bias = GuardedArray(A, dtype, n_in + a_wider), GuardedArray(W, dtype), GuardedArray(b, dtype)
    for packed in (GuardedArray(np.empty(0), dtype), packed_strips(w, dtype)):
        z = GuardedArray(np.full((n_rows, n_out), np.nan), dtype, written + (n_out > 1) * z_wider, written)
        strip = scratch(dtype, n_in, n_out)
        products.forward_product(a.array, w.array, packed.array, bias.array, z.array, floor, strip.array)
        np.testing.assert_array_equal(z.array[:, :n_out], np.maximum(A @ W + b, floor))
        for array in (z, a, w, packed, bias, strip):
            array.assert_rest_unchanged()


def check_gradient(random, dtype, n_in, n_rows, n_out, add, a_wider=0, d_wider=0, panels=None):
    A, D, G = integers(random, (n_rows, n_in)), integers(random, (n_rows, n_out)), integers(random, (n_in, n_out))
    g = GuardedArray(G if add else np.full(G.shape, np.nan), dtype, owned=n_out)
    a, d = GuardedArray(A, dtype, n_in + a_wider), GuardedArray(D, dtype, n_out + (n_out > 1) * d_wider)
    strip = scratch(dtype, n_rows, n_in) if panels is None else scratch(dtype, n_rows, panels=panels)
    products.weight_gradient(a.array, d.array, g.array, add, strip.array)
    np.testing.assert_array_equal(g.array, A.T @ D + (G if add else 0))
    for array in (g, a, d, strip):
        array.assert_rest_unchanged()
    return strip.array[: TILE_VECTORS * lanes(dtype) * n_rows] if panels is None else strip.array


def check_backward(random, dtype, n_rows, n_out, n_in, relu, d_wider=0, wider=0):
    stride = 1 if n_in == 1 else whole_vectors(n_in, dtype) + wider
    D, W, A = integers(random, (n_rows, n_out)), integers(random, (n_in, n_out)), integers(random, (n_rows, stride), 0.5)
    # for a single unit, a vector is stored that extends beyond the array
    written = 1 if n_in == 1 else whole_vectors(n_in, dtype)
    out = GuardedArray(np.full(A.shape, np.nan), dtype, owned=written, behind=lanes(dtype) if n_in == 1 else 0)
    d, w_t, a = GuardedArray(D, dtype, n_out + (n_out > 1) * d_wider), transposed(W, dtype), GuardedArray(A, dtype)
    products.backward_product(d.array, w_t.array, a.array, out.array, relu)
    want = D @ W.T
    np.testing.assert_array_equal(out.array[:, :n_in], np.where(A[:, :n_in] == 0, 0, want) if relu else want)
    for array in (out, d, w_t, a):
        array.assert_rest_unchanged()


def sweep(dtype, step=1):
    """Check every `step`-th pair of numbers of rows and columns near the sizes of tiles, with alternating lengths of sums."""
    random, line = np.random.default_rng(0), 64 // np.dtype(dtype).itemsize
    # the last factor makes the cycle longer, so that an option is not always combined with the same sizes
    options = itertools.cycle(itertools.product((False, True), (0, 3), (0, 1), DEPTHS, (0,) * 3))
    for n_rows, n_columns in list(itertools.product(range(31), range(1, 71)))[::step]:
        flag, wider, lines, depth, _ = next(options)
        check_forward(random, dtype, n_rows, depth, n_columns, (-np.inf, 0.0)[flag], wider, lines * line)
        if n_rows:  # here n_rows is the number of rows of the gradient
            check_gradient(random, dtype, n_rows, depth, n_columns, flag, wider, wider)
        if depth:
            check_backward(random, dtype, n_rows, depth, n_columns, flag, wider, lines * line)


def sweep_far_apart(dtype, step=1):
    """Check sizes for which strips are packed, because there are many rows with a large stride, and slightly smaller sizes."""
    random, far = np.random.default_rng(1), 1024 // np.dtype(dtype).itemsize
    columns = [far - 1, far, far + 1, far + lanes(dtype) - 1, far + lanes(dtype) + 1, far + 2 * lanes(dtype) + 3]
    for n_tiled, n_columns, depth in list(itertools.product([47, 48, 53, 60], columns, DEPTHS))[::step]:
        packed = n_tiled >= 48 and n_columns >= far and depth > 0
        for flag in (False, True):
            check_forward(random, dtype, n_tiled, depth, n_columns, (-np.inf, 0.0)[flag], 3)
            strip = check_gradient(random, dtype, n_tiled, depth, n_columns, flag, 3)
            assert (not np.isnan(strip).any()) == (packed or depth == 0)
            assert np.isnan(strip).all() == (not packed or depth == 0)
            if depth:
                check_backward(random, dtype, n_tiled, depth, n_columns, flag, 3, lanes(dtype))
    # a gradient with few columns, computed from deltas with a large stride
    check_gradient(random, dtype, 50, 9, 3 * lanes(dtype) + 1, True, 0, far)
    # inputs with a large stride, for gradients with many columns and with too few; panels are used if they fit into the memory
    for n_in, n_out, add in itertools.product((far, far + 1, far + 11, far + 23), (47, 48, 70), (False, True)):
        for n_rows, spare in ((0, 0), (1, 0), (9, 0), (9, -1)):
            strip = check_gradient(random, dtype, n_in, n_rows, n_out, add, 0, 0, panels=n_in * n_rows + spare)
            in_panels = strip[TILE_VECTORS * lanes(dtype) * n_rows :]
            assert np.isnan(in_panels).any() == (n_out < 48 or spare < 0 or n_rows == 0)


def sweep_few(dtype, step=1):
    """Check products with few columns, for rows of whole vectors with NaN after the last column."""
    random = np.random.default_rng(5)
    rows, depths = (0, 1, 2, 7, 8, 9, 16, 17, 33), (1, 2, 7, 8, 9, 16, 17, 100, 129)
    for n_rows, depth, n_columns in list(itertools.product(rows, depths, range(1, 6)))[::step]:
        wider = whole_vectors(depth, dtype) - depth
        for more in (0, lanes(dtype)):
            check_forward(random, dtype, n_rows, depth, n_columns, (-np.inf, 0.0)[n_rows % 2], wider + more)
            check_gradient(random, dtype, depth, n_rows, n_columns, n_rows % 2 == 0, wider + more)
        D = GuardedArray(integers(random, (n_rows, depth)), dtype, depth + wider)
        for add in (False, True):
            g, strip = GuardedArray(np.full(depth, 3.0 if add else np.nan), dtype, owned=depth), scratch(dtype, depth)
            products.column_sums(D.array, g.array, add, strip.array)
            np.testing.assert_array_equal(g.array, D.array[:, :depth].sum(axis=0) + 3 * add)
            for array in (g, D, strip):
                array.assert_rest_unchanged()


@pytest.mark.slow
@each_dtype
def test_products_near_the_sizes_of_tiles(dtype):
    sweep(dtype)


@pytest.mark.slow
@each_dtype
def test_products_with_few_columns(dtype):
    sweep_few(dtype)


@pytest.mark.slow
@each_dtype
def test_products_with_packed_strips(dtype):
    sweep_far_apart(dtype)


@each_dtype
@pytest.mark.parametrize(("n_rows", "n_in", "n_out"), [(1, 300, 1), (37, 300, 1), (37, 1, 29), (61, 211, 267), (200, 100, 100)])
def test_rounding_errors_of_products(n_rows, n_in, n_out, dtype):
    """Rounding errors are within the bound for a sum whose terms are added one after another."""
    random = np.random.default_rng(2)
    A, W, D = random.normal(size=(n_rows, n_in)), random.normal(size=(n_in, n_out)), random.normal(size=(n_rows, n_out))
    b = random.normal(size=n_out)
    A, W, D, b = (values.astype(dtype).astype(float) for values in (A, W, D, b))
    in_stride, out_stride = (1 if n == 1 else whole_vectors(n, dtype) for n in (n_in, n_out))
    a, d, w, bias = (
        GuardedArray(A, dtype, in_stride),
        GuardedArray(D, dtype, out_stride),
        GuardedArray(W, dtype),
        GuardedArray(b, dtype),
    )
    z, g, out = (GuardedArray(np.full(s, np.nan), dtype) for s in ((n_rows, out_stride), (n_in, n_out), (n_rows, in_stride)))
    strip, none = GuardedArray(np.zeros(300 * TILE_VECTORS * lanes(dtype)), dtype), GuardedArray(np.empty(0), dtype)
    products.forward_product(a.array, w.array, none.array, bias.array, z.array, -np.inf, strip.array)
    products.weight_gradient(a.array, d.array, g.array, False, strip.array)
    products.backward_product(d.array, transposed(W, dtype).array, a.array, out.array, False)
    for got, left, right, start in [
        (z.array[:, :n_out], A, W, b),
        (g.array, A.T, D, np.zeros(1)),
        (out.array[:, :n_in], D, W.T, np.zeros(1)),
    ]:
        bound = (left.shape[1] + 1) * np.finfo(dtype).eps * (np.abs(left) @ np.abs(right) + np.abs(start))
        assert (np.abs(got - (left @ right + start)) <= bound).all()


# ---------------------------------------------------------------------- values that are not finite


def special(n_rows, stride, values):
    A = np.ones((n_rows, stride))
    A[: len(values), 0] = values
    return A


@each_dtype
@pytest.mark.parametrize("n_out", [1, 2, 33])
def test_forward_keeps_nan_and_infinities(n_out, dtype):
    values = [np.nan, np.inf, -np.inf, 0.0, -5.0, 5.0]
    A, W = special(9, 2, values), np.ones((2, n_out))
    for floor in (-np.inf, 0.0):
        z = GuardedArray(np.zeros((9, 1 if n_out == 1 else whole_vectors(n_out, dtype))), dtype)
        arrays = [GuardedArray(array, dtype).array for array in (A, W, np.empty(0), np.zeros(n_out))]
        products.forward_product(*arrays, z.array, floor, scratch(dtype, 64).array)
        want = np.maximum([np.nan, np.inf, -np.inf, 1.0, -4.0, 6.0, 2.0, 2.0, 2.0], floor)  # np.maximum keeps NaN
        np.testing.assert_array_equal(z.array[:, :n_out], np.repeat(want[:, None], n_out, axis=1))
    W[0] = 0  # ∞ · 0 is NaN
    z = GuardedArray(np.zeros((9, 1 if n_out == 1 else whole_vectors(n_out, dtype))), dtype)
    arrays = [GuardedArray(array, dtype).array for array in (A, W, np.empty(0), np.zeros(n_out))]
    products.forward_product(*arrays, z.array, 0.0, scratch(dtype, 64).array)
    np.testing.assert_array_equal(np.isnan(z.array[:, :n_out]).all(axis=1), np.isin(np.arange(9), [0, 1, 2]))
    np.testing.assert_array_equal(np.isnan(z.array[:, :n_out]).any(axis=1), np.isin(np.arange(9), [0, 1, 2]))


@each_dtype
@pytest.mark.parametrize("n_out", [1, 2, 33])
def test_forward_keeps_biases_that_are_not_finite(n_out, dtype):
    for value in (np.nan, np.inf, -np.inf):
        b = np.zeros(n_out)
        b[-1] = value
        z = GuardedArray(np.zeros((4, 1 if n_out == 1 else whole_vectors(n_out, dtype))), dtype)
        arrays = [GuardedArray(array, dtype).array for array in (np.ones((4, 2)), np.ones((2, n_out)), np.empty(0), b)]
        products.forward_product(*arrays, z.array, 0.0, scratch(dtype, 64).array)
        np.testing.assert_array_equal(z.array[:, :n_out], np.tile(np.maximum(2 + b, 0), (4, 1)))


@pytest.mark.slow
@each_dtype
@pytest.mark.parametrize("n_out", [1, 2, 17])
@pytest.mark.parametrize("n_in", [1, 2, 33])
def test_backward_keeps_nan_and_infinities_except_for_inactive_units(n_in, n_out, dtype):
    values = [np.nan, np.inf, -np.inf, 3.0]
    stride = 1 if n_in == 1 else whole_vectors(n_in, dtype)
    D, W = special(4, n_out, values), np.zeros((n_in, n_out))
    W[:, 0] = 1
    # a unit is inactive for both signs of zero, and active for NaN
    for activation, active in ((0.0, False), (-0.0, False), (1e-30, True), (np.nan, True), (np.inf, True), (-1.0, True)):
        for relu in (False, True):
            a, out = GuardedArray(np.full((4, stride), activation), dtype), GuardedArray(np.full((4, stride), 7.0), dtype)
            products.backward_product(GuardedArray(D, dtype).array, transposed(W, dtype).array, a.array, out.array, relu)
            want = values if active or not relu else [0.0] * 4
            np.testing.assert_array_equal(out.array[:, :n_in], np.repeat(np.array(want)[:, None], n_in, axis=1))


@pytest.mark.slow
@each_dtype
@pytest.mark.parametrize("n_out", [1, 2, 33])
def test_gradient_keeps_nan_and_infinities(n_out, dtype):
    for n_rows in (1, 5):  # the last row has the special value
        D = np.ones((n_rows, n_out))
        for value in (np.nan, np.inf, -np.inf):
            D[-1] = value
            for add in (False, True):
                g = GuardedArray(np.full((3, n_out), 4.0), dtype)
                products.weight_gradient(
                    GuardedArray(np.ones((n_rows, 3)), dtype).array,
                    GuardedArray(D, dtype).array,
                    g.array,
                    add,
                    scratch(dtype, 64).array,
                )
                np.testing.assert_array_equal(g.array, np.full((3, n_out), value))
        g = GuardedArray(np.full((3, n_out), np.nan), dtype)
        D[-1] = 1
        arrays = GuardedArray(np.ones((n_rows, 3)), dtype).array, GuardedArray(D, dtype).array, g.array
        products.weight_gradient(*arrays, True, scratch(dtype, 64).array)
        assert np.isnan(g.array).all()
        products.weight_gradient(*arrays, False, scratch(dtype, 64).array)
        np.testing.assert_array_equal(g.array, np.full((3, n_out), n_rows))


@pytest.mark.slow
@each_dtype
def test_alignment_of_arrays_does_not_change_the_result(dtype):
    random, results = np.random.default_rng(3), {}
    A, W, b, D = (random.normal(size=size).astype(dtype) for size in ((29, 19), (19, 37), 37, (29, 37)))
    for shift in range(lanes(dtype) + 1):

        def shifted(values, stride=None, shift=shift):
            shape = values.shape if stride is None else (len(values), stride)
            array = np.full(int(np.prod(shape)) + 3 * lanes(dtype) + shift, np.nan, dtype)[shift:][: int(np.prod(shape))].reshape(
                shape
            )
            array[..., : values.shape[-1]] = values
            return array

        wide = whole_vectors(37, dtype)
        Z, G, strip = shifted(D * 0, wide), shifted(W * 0), scratch(dtype, 64).array
        products.forward_product(shifted(A), shifted(W), np.empty(0, dtype), shifted(b), Z, 0.0, strip)
        products.weight_gradient(shifted(A), shifted(D, wide), G, False, strip)
        results[shift] = Z[:, :37].tobytes(), G.tobytes()
    assert len(set(results.values())) == 1


# ---------------------------------------------------------------------- the end of accessible memory


class GuardedPages:
    """Memory pages, the last of which is not accessible. `put` returns an array that ends n_room elements before the last page."""

    def __init__(self, n_pages=64):
        self.pages = mmap.mmap(-1, (n_pages + 1) * mmap.PAGESIZE)
        self.size = n_pages * mmap.PAGESIZE
        self.bytes = np.frombuffer(self.pages, np.uint8)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mprotect(ctypes.c_void_p(self.bytes.ctypes.data + self.size), ctypes.c_size_t(mmap.PAGESIZE), 0):
            raise OSError(ctypes.get_errno(), "mprotect")

    def put(self, values, dtype, n_room):
        values = np.asarray(values, dtype)
        stop = self.size - n_room * values.itemsize
        array = self.bytes[stop - values.nbytes : stop].view(dtype).reshape(values.shape)
        array[...] = values
        return array


def at_the_edge_of_memory(dtype):
    """Check products of arrays at the end of accessible memory. Only the arrays that require it have space for one more vector."""
    random, edges, padding = np.random.default_rng(4), [GuardedPages() for _ in range(6)], lanes(dtype)
    for n_rows, depth, n_columns in itertools.product(
        (1, 2, 5, 12, 13), (1, 2, 17), (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 49)
    ):
        stride = 1 if n_columns == 1 else whole_vectors(n_columns, dtype)
        A, W, D = integers(random, (n_rows, depth)), integers(random, (depth, n_columns)), integers(random, (n_rows, n_columns))
        b, back, mask = integers(random, n_columns), integers(random, (n_columns, depth)), integers(random, (n_rows, stride))
        n_strip = max(depth, n_columns) * TILE_VECTORS * padding
        for wider in (0, whole_vectors(depth, dtype) - depth):
            wide_A = np.pad(A.astype(dtype), ((0, 0), (0, wider)), constant_values=np.nan)
            a, w, bias, z, strip = (
                edge.put(values, dtype, n_room)
                for edge, values, n_room in zip(
                    edges[:5],
                    (wide_A, W, b, np.zeros((n_rows, stride)), np.zeros(n_strip)),
                    (0, padding, padding, 0, 0),
                    strict=True,
                )
            )
            for packed in (np.empty(0, dtype), edges[5].put(np.zeros(depth * whole_vectors(n_columns, dtype)), dtype, 0)):
                if packed.size:
                    products.pack_strips(w, packed, 0, 1)
                z[...] = 0
                products.forward_product(a, w, packed, bias, z, 0.0, strip)
                np.testing.assert_array_equal(z[:, :n_columns], np.maximum(A @ W + b, 0))
            d = edges[1].put(D, dtype, padding)
            g = edges[2].put(np.zeros((depth, n_columns)), dtype, padding)
            products.weight_gradient(a, d, g, True, edges[3].put(np.zeros(n_strip), dtype, 0))
            np.testing.assert_array_equal(g, A.T @ D)
        behind = padding if stride == 1 else 0
        d, w_t, a, out = (
            edge.put(values, dtype, n_room)
            for edge, values, n_room in zip(
                edges, (A, np.full((depth, stride), np.nan), mask, mask), (0, behind, behind, behind), strict=False
            )
        )
        order, none = np.arange(n_rows)[::-1].copy(), np.empty(0, dtype)
        gathered = edges[4].put(np.zeros_like(A), dtype, padding)
        products.gather(products.Rows(d, none, order[:0], order[:0]), order, 0, gathered)
        np.testing.assert_array_equal(gathered, A[::-1])
        products.transpose(edges[5].put(back, dtype, 0), w_t, 0, 1)
        products.backward_product(d, w_t, a, out, True)
        np.testing.assert_array_equal(out[:, :n_columns], np.where(mask[:, :n_columns] == 0, 0, A @ back.T))


# ---------------------------------------------------------------------- Adam


def adam_steps(dtype):
    """Compare Adam's step with its formula in longdouble, for numbers of all magnitudes. The size is not a multiple of a vector."""
    random, n, info = np.random.default_rng(7), 40 * lanes(dtype) + 5, np.finfo(dtype)
    settings, progress = record(SETTINGS), record(PROGRESS)
    for name, value in {"solver": 1, "learning_rate_init": 0.01, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}.items():
        settings[name] = value
    progress["factor"] = 1
    half = np.log10(float(info.tiny)) / 2 + 2  # the square of a number above 10**half is not subnormal
    g = (np.sign(random.normal(size=n)) * 10 ** random.uniform(half, -half, n)).astype(dtype)
    m = (np.sign(g) * 10 ** random.uniform(half, -half, n)).astype(dtype)
    v = (10 ** random.uniform(2 * half + 3, -2 * half - 3, n)).astype(dtype)
    g[::7] = m[::7] = v[::7] = 0
    # gradients whose square overflows, infinite gradients, and NaN
    g[[3, -3]], g[[5, -5]], g[[9, -9]] = info.max / 4, np.inf, np.nan
    params, moments = np.zeros(n, dtype), np.concatenate([m, v])
    rate, base = solvers.begin_step(settings[0], progress[0], 1.0, record(HYPERPARAMS))
    arrays = solvers.Source(params, moments), False, params, g, moments
    segments = np.array([(0, n, 1.0, 0.0, 0.0, 1.0)], SEGMENT)
    solvers.update(settings[0], rate, base, *arrays, record(HYPERPARAMS), segments, 0.0, 1.0, 0, n)
    share = [np.longdouble(dtype(value)) for value in (0.9, 1 - 0.9, 0.999, 1 - 0.999, 1e-8, 0.01 * np.sqrt(1 - 0.999) / (1 - 0.9))]
    beta_1, rest_1, beta_2, rest_2, epsilon, rate = share
    G, M, V = (array.astype(np.longdouble) for array in (g, m, v))
    with np.errstate(invalid="ignore"):
        want = -rate * (beta_1 * M + rest_1 * G) / (np.sqrt(beta_2 * V + rest_2 * G * G) + epsilon)
    want[[3, -3]], want[[5, -5, 9, -9]] = 0, np.nan
    np.testing.assert_allclose(params.astype(np.longdouble), want, rtol=8 * info.eps, atol=0)


@pytest.mark.slow
@each_dtype
def test_steps_of_adam(dtype):
    adam_steps(dtype)


SCRIPT = """
import json, sys
import numpy as np
import test_tiles
for call in sys.argv[1:]:
    for dtype in test_tiles.DTYPES:
        eval("test_tiles." + call, {"test_tiles": test_tiles, "dtype": dtype})
from fastbp._kernels import tiles
from fastbp._kernels.tables import SEGMENT
from fastbp._kernels.targets import VECTOR_BYTES
print(json.dumps([VECTOR_BYTES, tiles.TILE_ROWS[0]]))
"""


def run_in_process(*calls, script=SCRIPT, **environment):
    """Run some functions of this module for each dtype in a process, and return the values in the last line that it prints."""
    here = Path(__file__).parent
    path = os.pathsep.join([str(Path(products.__file__).parents[2]), str(here)])
    process = subprocess.run(
        [sys.executable, "-c", script, *calls],
        env={**os.environ, "PYTHONPATH": path, **environment},
        cwd=here,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return json.loads(process.stdout.splitlines()[-1])


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="no mprotect")
def test_no_access_beyond_the_required_memory():
    run_in_process("at_the_edge_of_memory(dtype)")


# ---------------------------------------------------------------------- other processors

AVX2 = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma,+avx,+sse4.2,+sse4.1,+ssse3,+sse3,+sse2,+popcnt,+bmi,+bmi2"}
NO_AVX = {"NUMBA_ENABLE_AVX": "0"}
SSE2 = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse2"}
has_avx2 = pytest.mark.skipif(VECTOR_BYTES < 32, reason="without AVX2, its code would stop with an illegal instruction")
on_x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="requires an x86 processor")


@on_x86
@pytest.mark.parametrize(
    ("processor", "shape"),
    [
        pytest.param(AVX2, [32, 6], marks=[has_avx2, pytest.mark.long]),
        pytest.param(SSE2, [16, 6], marks=pytest.mark.slow),
    ],
    ids=["AVX2", "SSE2"],
)
def test_processors_with_narrower_vectors(processor, shape):
    calls = (
        "sweep(dtype, 3)",
        "sweep_few(dtype, 5)",
        "sweep_far_apart(dtype, 5)",
        "at_the_edge_of_memory(dtype)",
        "adam_steps(dtype)",
    )
    assert run_in_process(*calls, **processor) == shape


@pytest.mark.long
@on_x86
def test_avx_can_be_disabled():
    """The vectors are those of SSE2, for which the test above checks all products."""
    assert run_in_process("sweep_few(dtype, 5)", "adam_steps(dtype)", **NO_AVX) == [16, 6]


FIT = """
import json
import numpy as np
from fastbp import MLPRegressor
random = np.random.default_rng(0)
X = random.normal(size=(50, 5))
y = np.sin(X @ random.normal(size=(5, 2)))
model = MLPRegressor(hidden_layer_sizes=(19, 3), alpha=0.01, max_iter=5, tol=0, batch_size=20, random_state=0, n_threads=1)
model.fit(X, y)
print(json.dumps([model.loss_curve_, model.predict(X).ravel().tolist()]))
"""


@pytest.mark.long
@on_x86
@pytest.mark.skipif(VECTOR_BYTES < 32, reason="this processor has no AVX2")
def test_fit_with_narrower_vectors():
    quiet = {"PYTHONWARNINGS": "ignore::UserWarning"}
    (losses, outputs), (want_losses, want_outputs) = (
        run_in_process(script=FIT, **AVX2, **quiet),
        run_in_process(script=FIT, **quiet),
    )
    np.testing.assert_allclose(losses, want_losses, rtol=1e-12)
    np.testing.assert_allclose(outputs, want_outputs, rtol=1e-9)
