"""Where everything lies: each part of each buffer is somebody's, and nobody's twice.

Sizes are drawn; the views are filled one after another and counted, in the flat buffer of the parameters, in the activations and
deltas of a block and in the transposed weights, as the table lays them out, with rows of whole vectors and room behind. What
kernels compute there is tested elsewhere.
"""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbp._kernels.network import B_AT, GAMMA_AT, IN_AT, IN_STRIDE, N_IN, N_OUT, OUT_AT, OUT_STRIDE, T_AT, W_AT
from fastbp._network.layout import Layout, aligned_zeros

some_sizes = st.lists(st.integers(1, 40), min_size=2, max_size=6).map(tuple)
some_dtype = st.sampled_from([np.float32, np.float64])
some_width = st.sampled_from([16, 32, 64])


@given(sizes=some_sizes)
def test_views_tile_the_buffer(sizes):
    layout = Layout(sizes)
    buffer = np.full(layout.n_params, -1)
    coefs, intercepts = layout.views(buffer)
    assert [W.shape for W in coefs] == list(pairwise(sizes))
    assert [b.shape for b in intercepts] == [(n_out,) for n_out in sizes[1:]]
    at = 0
    for view in coefs + intercepts:
        assert view.base is not None
        assert view.flags.c_contiguous
        view[...] = np.arange(at, at + view.size).reshape(view.shape)
        at += view.size
        assert at <= layout.n_coefs or view.ndim == 1
    # weights before biases, layer after layer, rows first: no gap, no overlap
    np.testing.assert_array_equal(buffer, np.arange(layout.n_params))


@given(sizes=some_sizes, block_size=st.integers(1, 9), itemsize=st.sampled_from([4, 8]), width=some_width)
def test_the_table_says_where_views_start(sizes, block_size, itemsize, width):
    layout = Layout(sizes, n_norms=2)
    table = layout.table(block_size, itemsize, width)
    assert (table.dtype, table.shape, table.flags.c_contiguous) == (np.int64, (len(sizes) - 1, 16), True)
    coefs, intercepts = layout.views(np.arange(layout.n_params))
    for row, W, b in zip(table, coefs, intercepts, strict=True):
        assert W.shape == (row[N_IN], row[N_OUT])
        assert (W.flat[0], b[0]) == (row[W_AT], row[B_AT])
    scales, shifts = layout.norms(np.arange(layout.n_params))
    assert [(scale[0], scale.size) for scale in scales] == [(row[GAMMA_AT], row[N_OUT]) for row in table[:-1]]
    assert [shift[0] for shift in shifts] == [row[GAMMA_AT] + layout.n_hidden for row in table[:-1]]
    assert Layout(sizes).norms(np.arange(layout.n_params)) == []
    assert sum(map(np.size, (*coefs, *intercepts, *scales, *shifts))) == layout.n_params


@given(sizes=some_sizes, block_size=st.integers(1, 9), gathered=st.booleans(), dtype=some_dtype, width=some_width)
def test_activations_and_deltas_of_a_block_fill_their_buffers(sizes, block_size, gathered, dtype, width):
    layout = Layout(sizes)
    table = layout.table(block_size, np.dtype(dtype).itemsize, width)
    activations = layout.activations(block_size, dtype, width, gathered=gathered)
    deltas = layout.activations(block_size, dtype, width, gathered=False)
    assert activations.dtype == deltas.dtype == dtype
    for values, with_inputs in ((activations, gathered), (deltas, False)):
        users = np.zeros(values.size, int)
        for row in table:
            users[row[OUT_AT] : row[OUT_AT] + block_size * row[OUT_STRIDE]] += 1
        if with_inputs:
            users[table[0, IN_AT] : table[0, IN_AT] + block_size * table[0, IN_STRIDE]] += 1
        np.testing.assert_array_equal(users, 1)
    # the output of a layer is the input of the next
    np.testing.assert_array_equal(table[1:, IN_AT], table[:-1, OUT_AT])
    np.testing.assert_array_equal(table[1:, IN_STRIDE], table[:-1, OUT_STRIDE])
    assert table[0, IN_AT] == deltas.size


@given(sizes=some_sizes, block_size=st.integers(1, 9), dtype=some_dtype, width=some_width)
def test_transposed_weights_fill_their_buffer(sizes, block_size, dtype, width):
    layout = Layout(sizes)
    table, transposed = layout.table(block_size, np.dtype(dtype).itemsize, width), layout.transposed(dtype, width)
    users = np.zeros(transposed.size, int)
    for row in table[1:]:
        users[row[T_AT] : row[T_AT] + row[N_OUT] * row[IN_STRIDE]] += 1
    np.testing.assert_array_equal(users, 1)
    assert transposed.dtype == dtype


@given(sizes=st.lists(st.integers(1, 1200), min_size=2, max_size=5).map(tuple), itemsize=st.sampled_from([4, 8]), width=some_width)
def test_rows_are_the_fewest_whole_vectors_that_do_not_compete_for_the_cache(sizes, itemsize, width):
    strides, lanes = Layout(sizes).strides(itemsize, width), width // itemsize
    table = Layout(sizes).table(1, itemsize, width)
    np.testing.assert_array_equal(strides, [*table[:, IN_STRIDE], table[-1, OUT_STRIDE]])
    assert strides[0] == sizes[0]  # as the data are
    for n, stride in zip(sizes[1:], strides[1:], strict=True):
        vectors = [k for k in range(lanes, n + 2 * lanes + 1, lanes) if k >= n and k * itemsize % 1024]
        assert stride == (1 if n == 1 else vectors[0])


@given(size=st.integers(1, 300), dtype=some_dtype)
def test_buffers_are_zero_aligned_and_have_room_behind(size, dtype):
    made = aligned_zeros(size, dtype)
    assert (made.shape, made.dtype, made.flags.c_contiguous, made.flags.writeable) == ((size,), dtype, True, True)
    address, whole = made.ctypes.data, made.base
    assert address % 64 == 0
    # two of the widest vectors
    assert whole.ctypes.data <= address
    assert address + made.nbytes + 128 <= whole.ctypes.data + whole.nbytes
    assert not whole.any()


@given(sizes=some_sizes, block_size=st.integers(1, 90), dtype=some_dtype, width=some_width)
def test_a_strip_holds_three_vectors_of_any_factor(sizes, block_size, dtype, width):
    strip = Layout(sizes).strip(block_size, dtype, width)
    assert (strip.dtype, strip.nbytes) == (dtype, max(block_size, *sizes) * 3 * width)


@given(sizes=some_sizes, itemsize=st.sampled_from([4, 8]))
def test_gradients_of_threads_share_no_cache_line(sizes, itemsize):
    layout = Layout(sizes)
    apart = layout.gradient_stride(itemsize) * itemsize
    assert apart % 64 == 0
    # a vector behind the parameters is still the thread's own
    assert apart >= layout.n_params * itemsize + 64


@given(
    sizes=st.lists(st.integers(1, 10**5), min_size=2, max_size=6).map(tuple),
    batch_size=st.integers(1, 10**7),
    itemsize=st.sampled_from([4, 8]),
)
def test_block_sizes_are_bounded(sizes, batch_size, itemsize):
    block_size = Layout(sizes).block_size(batch_size, itemsize)
    assert 1 <= block_size <= min(batch_size, 1024)
    # fewer than 128 only where a product over them would take long
    assert block_size >= min(batch_size, 128) or (block_size + 1) * Layout(sizes).n_params > 2**29
    # above the fewest rows, the widest layer's part of a block fits into a mebibyte
    assert block_size <= 128 or block_size * max(sizes) * itemsize <= 2**20


@pytest.mark.parametrize("block_size", [1, 1024])
def test_offsets_beyond_32_bits(block_size):
    table = Layout((100_000, 50_000, 100_000, 10)).table(block_size, 4, 64)
    assert table[1, W_AT] == 5 * 10**9
    assert table[0, B_AT] == 10 * 10**9 + 1_000_000
    assert table[2, T_AT] == 100_000 * table[1, IN_STRIDE] > 2**32
