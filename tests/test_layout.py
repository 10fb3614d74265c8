"""The memory layout: each element of each buffer belongs to exactly one view.

For random layer sizes, the tests fill and count the views that the layer table defines: of the parameters, of the activations and
deltas of a block, and of the transposed and packed weights. Strides, alignment and the unused space after each buffer are tested,
too. The computations in these buffers are tested elsewhere.
"""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbp._kernels.tables import LAYER
from fastbp._network.layout import Layout, aligned_zeros

some_sizes = st.lists(st.integers(1, 40), min_size=2, max_size=6).map(tuple)
some_dtype = st.sampled_from([np.float32, np.float64])
some_width = st.sampled_from([16, 32, 64])


@given(sizes=some_sizes)
def test_views_of_parameters_fill_the_buffer(sizes):
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
    # weights before biases, layer after layer, row after row, without gaps or overlaps
    np.testing.assert_array_equal(buffer, np.arange(layout.n_params))


@given(sizes=some_sizes, block_size=st.integers(1, 9), itemsize=st.sampled_from([4, 8]), width=some_width)
def test_layer_table_has_the_offsets_of_views(sizes, block_size, itemsize, width):
    layout = Layout(sizes, n_norms=2)
    table = layout.layer_table(block_size, itemsize, width)
    assert (table.dtype, table.shape, table.flags.c_contiguous) == (LAYER, (len(sizes) - 1,), True)
    coefs, intercepts = layout.views(np.arange(layout.n_params))
    for row, W, b in zip(table, coefs, intercepts, strict=True):
        assert W.shape == (row.n_in, row.n_out)
        assert (W.flat[0], b[0]) == (row.weights_at, row.biases_at)
    scales, shifts = layout.norms(np.arange(layout.n_params))
    assert [(scale[0], scale.size) for scale in scales] == [(row.gamma_at, row.n_out) for row in table[:-1]]
    assert [shift[0] for shift in shifts] == [row.gamma_at + layout.n_hidden for row in table[:-1]]
    assert Layout(sizes).norms(np.arange(layout.n_params)) == []
    assert sum(map(np.size, (*coefs, *intercepts, *scales, *shifts))) == layout.n_params


@given(sizes=some_sizes, block_size=st.integers(1, 9), gathered=st.booleans(), dtype=some_dtype, width=some_width)
def test_activations_and_deltas_of_a_block_fill_their_buffers(sizes, block_size, gathered, dtype, width):
    layout = Layout(sizes)
    table = layout.layer_table(block_size, np.dtype(dtype).itemsize, width)
    activations = layout.activations(block_size, dtype, width, gathered=gathered)
    deltas = layout.activations(block_size, dtype, width, gathered=False)
    assert activations.dtype == deltas.dtype == dtype
    for values, with_inputs in ((activations, gathered), (deltas, False)):
        users = np.zeros(values.size, int)
        for row in table:
            users[row.outputs_at : row.outputs_at + block_size * row.output_stride] += 1
        if with_inputs:
            users[table[0].inputs_at : table[0].inputs_at + block_size * table[0].input_stride] += 1
        np.testing.assert_array_equal(users, 1)
    # the output of a layer is the input of the next
    np.testing.assert_array_equal(table["inputs_at"][1:], table["outputs_at"][:-1])
    np.testing.assert_array_equal(table["input_stride"][1:], table["output_stride"][:-1])
    assert table[0].inputs_at == deltas.size


@pytest.mark.parametrize(
    "sizes", [(3, 4, 1), (784, 128, 10), (500, 1024, 1024, 10), (3000, 3000, 10), (6600, 6600, 10), (20_000, 20_000, 1)]
)
@pytest.mark.parametrize("itemsize", [4, 8])
def test_blocks_of_a_batch_are_similar(sizes, itemsize):
    layout = Layout(sizes)
    limit = layout.block_size(10**9, itemsize)
    for batch_size in [*range(1, 2000), 10**5]:
        n = layout.block_size(batch_size, itemsize)
        n_blocks = -(-batch_size // n)
        assert n <= min(batch_size, 1.25 * limit)
        assert (n_blocks - 1) * limit < batch_size  # no more blocks than blocks of the largest size
        if n_blocks <= n / 2:
            assert batch_size - (n_blocks - 1) * n >= n / 4


def test_block_of_a_few_rows_is_avoided():
    layout = Layout((500, 1024, 1024, 10))  # with at most 252 rows of 1024 float32 numbers
    assert layout.block_size(256, 4) == 256
    assert layout.block_size(512, 4) == 264


@given(sizes=some_sizes, block_size=st.integers(1, 9), dtype=some_dtype, width=some_width)
def test_transposed_weights_fill_their_buffer(sizes, block_size, dtype, width):
    layout = Layout(sizes)
    table, transposed = layout.layer_table(block_size, np.dtype(dtype).itemsize, width), layout.transposed(dtype, width)
    users = np.zeros(transposed.size, int)
    for row in table[1:]:
        users[row.transposed_at : row.transposed_at + row.n_out * row.input_stride] += 1
    np.testing.assert_array_equal(users, 1)
    assert transposed.dtype == dtype


@given(
    sizes=st.lists(st.integers(1, 400), min_size=2, max_size=5).map(tuple),
    block_size=st.integers(45, 50),
    dtype=some_dtype,
    width=some_width,
    sparse=st.booleans(),
)
def test_packed_weights_of_wide_layers_fill_their_buffer(sizes, block_size, dtype, width, sparse):
    layout, itemsize = Layout(sizes), np.dtype(dtype).itemsize
    table, packed = layout.layer_table(block_size, itemsize, width), layout.packed(block_size, dtype, width, sparse)
    users = np.zeros(packed.size, int)
    for row in table[1:] if sparse else table:
        is_packed = block_size >= 48 and row.n_out * itemsize >= 1024
        n_columns = -(-row.n_out * itemsize // width) * (width // itemsize)
        assert row.n_packed == (row.n_in * n_columns if is_packed else 0)
        users[row.packed_at : row.packed_at + row.n_packed] += 1
    np.testing.assert_array_equal(users, 1)
    assert packed.dtype == dtype


@given(sizes=st.lists(st.integers(1, 1200), min_size=2, max_size=5).map(tuple), itemsize=st.sampled_from([4, 8]), width=some_width)
def test_strides_are_the_smallest_whole_vectors_without_cache_conflicts(sizes, itemsize, width):
    strides, lanes = Layout(sizes).strides(itemsize, width), width // itemsize
    table = Layout(sizes).layer_table(1, itemsize, width)
    np.testing.assert_array_equal(strides, [*table["input_stride"], table[-1].output_stride])
    assert strides[0] == sizes[0]  # the stride of X
    for n, stride in zip(sizes[1:], strides[1:], strict=True):
        vectors = [k for k in range(lanes, n + 2 * lanes + 1, lanes) if k >= n and k * itemsize % 1024]
        assert stride == (1 if n == 1 else vectors[0])


@given(sizes=some_sizes)
def test_sums_of_batch_normalization_do_not_overlap(sizes):
    """For each hidden layer, threads exchange a count, two sums per unit in the forward pass, and two in the backward pass."""
    layout = Layout(sizes)
    users = np.zeros(layout.exchange_size, int)
    for row in layout.layer_table(1, 8, 32)[:-1]:
        for start, size in ((row.exchange_at, 2 * row.n_out + 1), (row.exchange_back_at, 2 * row.n_out)):
            assert start + size <= users.size
            users[start : start + size] += 1
    assert users.max(initial=0) <= 1


@given(size=st.integers(1, 300), dtype=some_dtype)
def test_buffers_are_zero_aligned_and_followed_by_unused_space(size, dtype):
    made = aligned_zeros(size, dtype)
    assert (made.shape, made.dtype, made.flags.c_contiguous, made.flags.writeable) == ((size,), dtype, True, True)
    address, whole = made.ctypes.data, made.base
    assert address % 64 == 0
    # space for two of the widest vectors
    assert whole.ctypes.data <= address
    assert address + made.nbytes + 128 <= whole.ctypes.data + whole.nbytes
    assert not whole.any()


@given(sizes=some_sizes, block_size=st.integers(1, 90), dtype=some_dtype, width=some_width)
def test_strip_has_space_for_three_vectors_of_any_factor(sizes, block_size, dtype, width):
    strip = Layout(sizes).strip(block_size, dtype, width)
    assert (strip.dtype, strip.nbytes) == (dtype, max(block_size, *sizes) * 3 * width)


@given(sizes=some_sizes, itemsize=st.sampled_from([4, 8]))
def test_gradients_of_threads_do_not_share_cache_lines(sizes, itemsize):
    layout = Layout(sizes)
    apart = layout.gradient_stride(itemsize) * itemsize
    assert apart % 64 == 0
    # the gradient of a thread includes one vector after the parameters
    assert apart >= layout.n_params * itemsize + 64


@given(
    sizes=st.lists(st.integers(1, 10**5), min_size=2, max_size=6).map(tuple),
    batch_size=st.integers(1, 10**7),
    itemsize=st.sampled_from([4, 8]),
)
def test_block_sizes_are_bounded(sizes, batch_size, itemsize):
    block_size = Layout(sizes).block_size(batch_size, itemsize)
    assert 1 <= block_size <= min(batch_size, 1.25 * 3072 + 12)
    # half of a batch of more than 72 rows may be smaller; all other smaller blocks are those whose product would take too long
    assert block_size >= min(batch_size, 45) or (block_size + 1) * Layout(sizes).n_params > 2**29
    # a block that is more than a quarter larger than 132 rows of the widest layer fits into 1.25 MiB, and 11 rows more
    assert block_size <= 1.25 * 132 + 11 or (block_size - 11) * max(sizes) * itemsize <= 1.25 * 2**20


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((4, 100, 3), 72), ((10, 16, 1), 96), ((20, 100, 100, 1), 132), ((30, 300, 300, 1), 252), ((9, 900, 100, 1), 144)],
    ids=["first-level cache", "narrow", "second-level cache", "larger than the second-level cache", "wide"],
)
def test_block_sizes_follow_the_caches(sizes, expected):
    assert Layout(sizes).block_size(1000, 8) == expected


@pytest.mark.parametrize("block_size", [1, 1024])
def test_offsets_beyond_32_bits(block_size):
    table = Layout((100_000, 50_000, 100_000, 10)).layer_table(block_size, 4, 64)
    assert table[1].weights_at == 5 * 10**9
    assert table[0].biases_at == 10 * 10**9 + 1_000_000
    assert table[2].transposed_at == 100_000 * table[1].input_stride > 2**32
