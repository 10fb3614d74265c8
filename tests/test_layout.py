"""Where everything lies: each part of each buffer is somebody's, and nobody's twice.

Sizes are drawn; the views are filled one after another and counted, in the flat buffer of the parameters and in the activations
and deltas of a block, as the table lays them out. What kernels compute there is tested elsewhere.
"""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbp.kernels import A_IN, A_OUT, B_AT, N_IN, N_OUT, W_AT
from fastbp.layout import Layout

some_sizes = st.lists(st.integers(1, 12), min_size=2, max_size=6).map(tuple)


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


@given(sizes=some_sizes, block_size=st.integers(1, 9))
def test_the_table_says_where_views_start(sizes, block_size):
    layout = Layout(sizes)
    table = layout.table(block_size)
    assert (table.dtype, table.shape, table.flags.c_contiguous) == (np.int64, (len(sizes) - 1, 6), True)
    coefs, intercepts = layout.views(np.arange(layout.n_params))
    for row, W, b in zip(table, coefs, intercepts, strict=True):
        assert W.shape == (row[N_IN], row[N_OUT])
        assert (W.flat[0], b[0]) == (row[W_AT], row[B_AT])


@given(sizes=some_sizes, block_size=st.integers(1, 9), gathered=st.booleans(), dtype=st.sampled_from([np.float32, np.float64]))
def test_activations_and_deltas_of_a_block_fill_their_buffers(sizes, block_size, gathered, dtype):
    layout = Layout(sizes)
    table = layout.table(block_size)
    activations, deltas = layout.activations(block_size, dtype, gathered), layout.deltas(block_size, dtype)
    assert activations.dtype == deltas.dtype == dtype
    for buffer, with_inputs in ((activations, gathered), (deltas, False)):
        users = np.zeros(buffer.size, int)
        for row in table:
            users[row[A_OUT] : row[A_OUT] + block_size * row[N_OUT]] += 1
        if with_inputs:
            users[table[0, A_IN] : table[0, A_IN] + block_size * sizes[0]] += 1
        np.testing.assert_array_equal(users, 1)
    # the output of a layer is the input of the next
    np.testing.assert_array_equal(table[1:, A_IN], table[:-1, A_OUT])
    assert table[0, A_IN] == deltas.size


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
    table = Layout((100_000, 50_000, 10)).table(block_size)
    assert table[1, W_AT] == 5 * 10**9
    assert table[0, B_AT] == 5 * 10**9 + 500_000
