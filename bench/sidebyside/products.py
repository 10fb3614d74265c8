"""Measure the matrix products of a training step, with NumPy's BLAS and with fastbp's tiles, and the peak speed of one core.

All measurements use one thread. The products are A·W, Aᵀ·delta and delta·Wᵀ of each layer, except delta·Wᵀ of the first layer. The
output arrays are allocated in advance. The peak speed is measured with independent fused multiply-adds on registers, without memory
access.
"""

import time
from functools import cache
from itertools import pairwise

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from fastbp._kernels.jit import FASTMATH
from fastbp._kernels.products import backward_product, forward_product, pack_strips, transpose, weight_gradient
from fastbp._kernels.targets import VECTOR_BYTES
from fastbp._kernels.views import matrix, vector
from fastbp._network.layout import Layout, aligned_zeros

_CHAINS = 12  # at least as many as latency times number of units, which is 8 to 10; 12 chains fit into 16 registers


class Products:
    """The matrix products of one `Work`."""

    def __init__(self, work):
        self.work = work
        self.n_steps = 1

    def calibrate(self, seconds):
        """Compile, and find a number of steps that takes about `seconds` seconds."""
        _own_products(1, *self._tiled())
        taken = 0.0
        while taken < seconds / 2:
            self.n_steps *= 2
            taken = self.seconds_by_blas() * self.n_steps

    def seconds_by_blas(self):
        """Seconds per step with NumPy's BLAS."""
        random = np.random.RandomState(0)

        def rows(n_columns):
            return random.normal(size=(self.work.batch_size, n_columns)).astype(self.work.dtype)

        layers = []
        for n_in, n_out in pairwise(self.work.sizes):
            A, delta, W = rows(n_in), rows(n_out), random.normal(size=(n_in, n_out)).astype(self.work.dtype)
            layers.append((A, W, delta, np.empty_like(delta), np.empty_like(W), np.empty_like(A)))
        dot = np.dot
        start = time.perf_counter()
        for _ in range(self.n_steps):
            for A, W, _, Z, _, _ in layers:
                dot(A, W, Z)
            for A, _, delta, _, G, _ in layers:
                dot(A.T, delta, G)
            for _, W, delta, _, _, D in layers[1:]:
                dot(delta, W.T, D)
        return (time.perf_counter() - start) / self.n_steps

    def seconds_by_tiles(self):
        """Seconds per step with fastbp's tiles. The copies of the weights are included."""
        arguments = self._tiled()
        start = time.perf_counter()
        _own_products(self.n_steps, *arguments)
        return (time.perf_counter() - start) / self.n_steps

    def peak(self):
        """Multiply-adds per second with the fastest vector width."""
        return max(self._fma_rate(width) for width in (16, 32, 64))

    def _fma_rate(self, n_bytes, n_rounds=2_000_000):
        lanes = n_bytes // np.dtype(self.work.dtype).itemsize
        one = np.dtype(self.work.dtype).type(1)
        chains = _multiply_add(lanes)
        chains(10, one)  # compiles
        start = time.perf_counter()
        chains(n_rounds, one)
        return n_rounds * _CHAINS * lanes / (time.perf_counter() - start)

    def _tiled(self):
        """Layer sizes and buffers as in a fit: rows are padded to whole vectors, and a block of rows fits into a cache."""
        work, layout = self.work, Layout(self.work.sizes)
        dtype = np.dtype(work.dtype)
        block = layout.block_size(work.batch_size, dtype.itemsize)
        strides = np.array(layout.strides(dtype.itemsize, VECTOR_BYTES))
        table, packed = layout.layer_table(block, dtype.itemsize, VECTOR_BYTES), layout.packed(block, dtype, VECTOR_BYTES)
        random = np.random.RandomState(0)

        def filled(n):
            room = aligned_zeros(n, dtype)
            room[:] = random.normal(size=room.size)
            return room

        params = filled(layout.n_params)
        gradients = filled(layout.n_params)
        activations, deltas = filled(int(block * strides.sum())), filled(int(block * strides.sum()))
        transposed = filled(int(max(n_in * s for n_in, s in zip(work.sizes[1:], strides[:-1], strict=True))))
        strip = layout.strip(block, dtype, VECTOR_BYTES, panels=True)
        buffers = params, gradients, activations, deltas, transposed, packed, strip
        return np.array(work.sizes), strides, table, block, -(-work.batch_size // block), *buffers


@njit(nogil=True, error_model="numpy", fastmath=set(FASTMATH))
def _own_products(
    n_steps, sizes, strides, table, block, n_blocks, params, gradients, activations, deltas, transposed, packed, strip
):
    n_layers, lanes = sizes.size - 1, VECTOR_BYTES // params.itemsize
    zero = params.dtype.type(0)
    for _ in range(n_steps):
        for at_block in range(n_blocks):
            w_at, a_at = 0, 0
            for layer in range(n_layers):
                n_in, n_out, s_in, s_out = sizes[layer], sizes[layer + 1], strides[layer], strides[layer + 1]
                A = matrix(activations, a_at, block, s_in)
                a_at += block * s_in
                Z = matrix(activations, a_at, block, s_out)
                D = matrix(deltas, a_at, block, s_out)
                W = matrix(params, w_at, n_in, n_out)
                G = matrix(gradients, w_at, n_in, n_out)
                copy = vector(packed, table[layer].packed_at, table[layer].n_packed)
                if at_block == 0 and copy.size:
                    pack_strips(W, copy, 0, 1)
                forward_product(A, W, copy, vector(params, 0, n_out), Z, zero, strip)
                weight_gradient(A, D, G, at_block > 0, strip)
                if layer > 0:
                    W_T = matrix(transposed, 0, n_out, (n_in + lanes - 1) // lanes * lanes if n_in > 1 else 1)
                    if at_block == 0:
                        transpose(W, W_T, 0, 1)
                    out = matrix(deltas, a_at - block * s_in, block, s_in)
                    backward_product(D, W_T, A, out, True)
                w_at += n_in * n_out


@intrinsic
def _fma_chains(typing, n_rounds, x, lanes):
    """Compute n_rounds of independent chains a = a·x + x in vectors of `lanes` numbers; return one lane of their sum."""
    if not isinstance(lanes, types.IntegerLiteral):
        return None
    n_lanes = lanes.literal_value

    def build(context, builder, signature, arguments):
        n_rounds, x, _ = arguments
        vector, index = ir.VectorType(x.type, n_lanes), ir.IntType(64)
        name = f"llvm.fma.v{n_lanes}f{32 if x.type == ir.FloatType() else 64}"
        fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
        splat = ir.Constant(vector, ir.Undefined)
        for lane in range(n_lanes):
            splat = builder.insert_element(splat, x, ir.IntType(32)(lane))
        before, body, after = builder.block, builder.append_basic_block("body"), builder.append_basic_block("after")
        # the starting values differ, because LLVM would merge equal chains
        starts = [builder.fmul(splat, ir.Constant(vector, [float(2 + chain)] * n_lanes)) for chain in range(_CHAINS)]
        builder.branch(body)
        builder.position_at_end(body)
        i = builder.phi(index)
        sums = [builder.phi(vector) for _ in range(_CHAINS)]
        nexts = [builder.call(fma, [value, splat, splat]) for value in sums]
        i_next = builder.add(i, index(1))
        i.add_incoming(index(0), before)
        i.add_incoming(i_next, body)
        for value, first, following in zip(sums, starts, nexts, strict=True):
            value.add_incoming(first, before)
            value.add_incoming(following, body)
        builder.cbranch(builder.icmp_signed("<", i_next, n_rounds), body, after)
        builder.position_at_end(after)
        total = nexts[0]
        for value in nexts[1:]:
            total = builder.fadd(total, value)
        return builder.extract_element(total, ir.IntType(32)(0))

    return x(types.int64, x, lanes), build


@cache
def _multiply_add(lanes):
    """The compiled loop for vectors of `lanes` numbers."""

    @njit(nogil=True)
    def chains(n_rounds, x):
        return _fma_chains(n_rounds, x, lanes)

    return chains
