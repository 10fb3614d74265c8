"""Each kernel is compared with the loops of `reference` in both dtypes, and gradients with finite differences.

Most tests are parametrized over the registries of activations, losses, links and solvers, so that a new component is tested as soon
as `reference` has an entry for it. Without an entry, `test_reference_is_complete` fails. All networks are tiny, because this file
also runs with NUMBA_DISABLE_JIT=1, where kernels are plain Python functions whose coverage is measured.
"""

import itertools

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from scipy.sparse import csr_array

from fastbp._data.inputs import IN_ORDER, as_rows
from fastbp._kernels import activations, losses, products, shuffles, solvers, team, views
from fastbp._kernels.codes import ActivationCode, LinkCode, LossCode
from fastbp._kernels.lazy import penalties
from fastbp._kernels.lazy.activations import ACTIVATIONS
from fastbp._kernels.lazy.losses import LOSSES
from fastbp._kernels.lazy.schedules import SCHEDULES as LAZY_SCHEDULES
from fastbp._kernels.lazy.solvers import N_MOMENTS
from fastbp._kernels.network import evaluate
from fastbp._kernels.scratch import PENALTY_NUMBERS, SCHEDULE_NUMBERS
from fastbp._kernels.settings import record
from fastbp._kernels.sources import gather_targets
from fastbp._kernels.tables import SEGMENT
from fastbp._kernels.targets import VECTOR_BYTES
from fastbp._network.activations import ACTIVATION_NAMES
from fastbp._network.layout import Layout, aligned_zeros

PAIRS = [("squared_error", "identity"), ("log_loss", "logistic"), ("log_loss", "softmax"), ("poisson", "exp")]
PAIRS = [pytest.param(*pair, id="-".join(pair)) for pair in PAIRS]

SCHEDULES = ["constant", "invscaling", "adaptive"]

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
each_activation = pytest.mark.parametrize("activation", ACTIVATION_NAMES)
each_pair = pytest.mark.parametrize(("loss", "out_activation"), PAIRS)
each_solver = pytest.mark.parametrize("solver", N_MOMENTS)
dense_or_sparse = pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
with_weights_or_without = pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])


def close(got, want, slack=1):
    """Assert that values are equal up to a few rounding errors in the dtype of `got`."""
    rtol = slack * {"float32": 4e-6, "float64": 2e-14}[got.dtype.name]
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol)


def drawn(shape, dtype, seed=0, scale=1.0):
    return np.random.default_rng(seed).normal(0, scale, shape).astype(dtype)


def padded(values, stride=None):
    """Return a copy of an array in a buffer of NaN that is followed by NaN. The rows of a matrix are `stride` elements apart."""
    shape = values.shape if stride is None else (len(values), stride)
    buffer = aligned_zeros(int(np.prod(shape)), values.dtype)
    buffer.base[...] = np.nan
    copy = buffer.reshape(shape)
    copy[..., : values.shape[-1]] = values
    return copy


def with_nan_columns(values, n_columns):
    """Return a copy of a matrix with n_columns additional columns of NaN."""
    return np.concatenate([values, np.full((len(values), n_columns), np.nan, values.dtype)], axis=1)


def flat(*parts):
    """Return all arrays of some lists as one flat vector, in the order of the parameters."""
    return np.concatenate([np.ravel(array) for part in parts for array in part])


def expected(network, rows=slice(None)):
    """Return Σ loss, Σ weight and the flat gradient over some rows, computed by `reference`."""
    weight = None if network.weight is None else network.weight[rows]
    names = network.options["activation"], network.options["loss"], network.options["out_activation"]
    loss, weight_sum, *gradients = reference.gradient(
        network.X[rows], network.y[rows], weight, network.coefs, network.intercepts, *names
    )
    return loss, weight_sum, flat(*gradients)


@pytest.mark.parametrize(
    ("registry", "known"),
    [
        (ACTIVATION_NAMES, reference.ACTIVATIONS),
        (LinkCode.__members__, reference.LINKS),
        ({*LossCode.__members__, *LOSSES} - {"by_address"}, {loss for loss, *_ in reference.LOSSES}),
        (N_MOMENTS, reference.SOLVERS),
    ],
    ids=["activations", "links", "losses", "solvers"],
)
def test_reference_is_complete(registry, known):
    assert set(registry) == set(known), "add an entry to tests/reference.py"


# ---------------------------------------------------------------------- views


@njit
def _write_views(buffer, at, n_rows, n_columns, square):
    matrix, vector, whole = views.matrix(buffer, at, n_rows, n_columns), views.vector(buffer, at, n_rows), views.flat(square)
    for i in range(n_rows):
        for j in range(n_columns):
            matrix[i, j] += 100 + 10 * i + j
        vector[i] += 1000
    for q in range(whole.size):
        whole[q] = q
    return matrix.shape, vector.shape, whole.shape


@each_dtype
@pytest.mark.parametrize(("at", "n_rows", "n_columns"), [(0, 3, 4), (2, 3, 4), (5, 1, 1), (3, 0, 4), (3, 4, 0), (0, 2, 7)])
def test_views_equal_slices(dtype, at, n_rows, n_columns):
    buffer, want, square = np.zeros(16, dtype), np.zeros(16, dtype), np.zeros((2, 3), dtype)
    want[at : at + n_rows * n_columns] += np.add.outer(100 + 10 * np.arange(n_rows), np.arange(n_columns)).ravel()
    want[at : at + n_rows] += 1000
    assert _write_views(buffer, at, n_rows, n_columns, square) == ((n_rows, n_columns), (n_rows,), (6,))
    np.testing.assert_array_equal(buffer, want)
    np.testing.assert_array_equal(square, [[0, 1, 2], [3, 4, 5]])


# ---------------------------------------------------------------------- activations, links and losses


def some_sums(dtype):
    z = drawn(45, dtype, scale=3)
    z[0], z[5:10] = 0, np.linspace(-40, 40, 5)
    return z


@each_dtype
@pytest.mark.parametrize("activation", [member.name for member in ActivationCode if member != ActivationCode.by_address])
def test_activation_and_slope(activation, dtype):
    """The matrix products apply ReLU: as a lower bound in the forward pass, and as a slope in the backward pass."""
    value, slope = reference.ACTIVATIONS[activation]
    z, delta, code = some_sums(dtype), drawn(45, dtype, 2), ActivationCode[activation]
    floor, relu = activations.floor_of(code), activation == "relu"
    assert floor == (0 if relu else -np.inf)
    a = np.maximum(z, dtype(floor))
    activations.activate(code, a)
    close(a, [value(x) for x in z.tolist()])
    got = np.where(a == 0, 0, delta) if relu else delta.copy()
    activations.multiply_by_slope(code, a, got)
    close(got, delta * [slope(x) for x in z.tolist()])


@each_dtype
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_lazy_activation_and_its_slope(activation, dtype):
    value, slope = reference.ACTIVATIONS[activation]
    z = some_sums(dtype)
    a, alone, slopes = z.copy(), z.copy(), np.full_like(z, np.nan)
    ACTIVATIONS[activation](a, slopes)
    ACTIVATIONS[activation](alone, np.empty(0, dtype))
    close(a, [value(x) for x in z.tolist()])
    close(slopes, [slope(x) for x in z.tolist()])
    close(alone, a)  # if no slopes are computed, LLVM may round differently


@each_dtype
@pytest.mark.parametrize("link", [member.name for member in LinkCode if member.is_compiled_in])
@pytest.mark.parametrize("n_outputs", [1, 4, 16, 37])
def test_link(link, n_outputs, dtype):
    Z = drawn((6, n_outputs), dtype, scale=5)
    lanes = VECTOR_BYTES // Z.itemsize
    A = with_nan_columns(Z, -n_outputs % lanes)
    losses.link(LinkCode[link], A, n_outputs)
    want = np.array([reference.LINKS[link](row) for row in Z.astype(float)])
    np.testing.assert_allclose(A[:, :n_outputs], want, rtol=4e-6 if dtype == np.float32 else 1e-14)


@each_dtype
@pytest.mark.parametrize("n_outputs", [1, 2, 5])
def test_softmax_of_finite_numbers_sums_to_one(n_outputs, dtype):
    Z = drawn((20, n_outputs), dtype, scale=float(np.finfo(dtype).max) / 100)
    Z = with_nan_columns(Z, -n_outputs % (VECTOR_BYTES // Z.itemsize))
    losses.link(LinkCode.softmax, Z, n_outputs)
    Z = Z[:, :n_outputs]
    close(Z.sum(axis=1), np.ones(20))
    assert Z.min() >= 0


@each_dtype
@each_pair
@with_weights_or_without
@pytest.mark.parametrize("n_extra", [0, 3], ids="{} extra columns".format)
def test_loss_and_delta(loss, out_activation, n_extra, weighted, dtype, network):
    net = network((3, 4), dtype, loss=loss, out_activation=out_activation, weighted=weighted)
    y, weight = net.targets
    A, delta = net.predict(), with_nan_columns(np.full((7, 4), np.nan, dtype), n_extra)
    used_up = y.copy() if out_activation == "softmax" else with_nan_columns(y, n_extra)
    got = losses.loss_and_delta(LossCode[loss], LinkCode[out_activation], with_nan_columns(A, n_extra), used_up, weight, delta, 4)
    delta = delta[:, :4]
    weights = np.ones(7) if net.weight is None else net.weight
    row_loss, row_delta = reference.LOSSES[loss, out_activation]
    pairs = list(zip(net.y.tolist(), A.tolist(), strict=True))
    want = sum(w * row_loss(t, a, np.finfo(dtype).eps) for w, (t, a) in zip(weights, pairs, strict=True))
    close(np.array(got, dtype), want)
    close(delta, weights[:, None] * [row_delta(t, a) for t, a in pairs])


@each_dtype
@pytest.mark.parametrize("out_activation", ["logistic", "softmax"])
def test_log_loss_of_a_wrong_class_with_probability_one_is_finite(out_activation, dtype):
    A, y, delta = np.array([[1, 0], [0, 1]], dtype), np.array([[0, 1], [1, 0]], dtype), np.zeros((2, 2), dtype)
    if out_activation == "softmax":
        y = np.array([[1], [0]], dtype)
    loss = losses.loss_and_delta(LossCode.log_loss, LinkCode[out_activation], A.copy(), y.copy(), np.empty(0, dtype), delta, 2)
    row_loss, row_delta = reference.LOSSES["log_loss", out_activation]
    pairs = list(zip(y.tolist(), A.tolist(), strict=True))
    close(np.array(loss, dtype), sum(row_loss(t, a, float(np.finfo(dtype).eps)) for t, a in pairs))
    close(delta, [row_delta(t, a) for t, a in pairs])


# ---------------------------------------------------------------------- products


@pytest.mark.slow
@each_dtype
@pytest.mark.parametrize(
    ("n_rows", "n_in", "n_out"), [(1, 1, 1), (1, 5, 3), (1, 5, 1), (6, 1, 3), (6, 1, 1), (6, 5, 1), (6, 5, 3), (17, 9, 33)]
)
def test_dense_products(n_rows, n_in, n_out, dtype):
    """Rows have the strides of a layer's buffers; all other elements of the buffers, and the space after them, are NaN."""
    layout, itemsize = Layout((1, n_in, n_out)), np.dtype(dtype).itemsize
    _, in_stride, out_stride = layout.strides(itemsize, VECTOR_BYTES)
    A, b, W = (
        padded(drawn((n_rows, n_in), dtype), in_stride),
        padded(drawn(n_out, dtype, 4)),
        padded(drawn((n_in, n_out), dtype, 1)),
    )
    D = padded(drawn((n_rows, n_out), dtype, 2), out_stride)
    A[0, 0] = 0
    a, d = A[:, :n_in], D[:, :n_out]
    W_T, strip = padded(np.full((n_out, n_in), np.nan, dtype), in_stride), padded(np.full(2 * VECTOR_BYTES * 33, np.nan, dtype))
    products.transpose(W, W_T, 0, 1)
    packed = padded(np.full(n_in * (n_out + VECTOR_BYTES), np.nan, dtype))
    products.pack_strips(W, packed, 0, 1)
    sums = np.array([np.add(reference.product(row, W.tolist()), b) for row in a.tolist()])
    back = np.array([reference.product(row, W.T.tolist()) for row in d.tolist()])
    for floor, relu, copy in ((-np.inf, False, packed), (0.0, True, packed[:0]), (-0.25, True, packed)):
        Z, out = padded(np.full_like(d, np.nan), out_stride), padded(np.full_like(a, np.nan), in_stride)
        products.forward_product(A, W, copy, b, Z, floor, strip)
        products.backward_product(D, W_T, A, out, relu)
        close(Z[:, :n_out], np.maximum(sums, floor))
        close(out[:, :n_in], np.where(a == 0, 0, back) if relu else back)
    G, g = padded(np.full_like(W, np.nan)), np.full(n_out, np.nan, dtype)
    for times in (1, 2):
        products.weight_gradient(A, D, G, times > 1, strip)
        products.column_sums(D, g, times > 1, strip)
        close(G, [times * np.array(reference.product(column, d.tolist())) for column in a.T.tolist()])
        close(g, [times * sum(column) for column in d.T.tolist()])


@each_dtype
def test_strips_are_packed_for_many_rows_with_a_large_stride(dtype):
    strip, far = np.empty(0, dtype), 1024 // np.dtype(dtype).itemsize
    assert products.should_pack(48, far, strip)
    assert not products.should_pack(47, far, strip)
    assert not products.should_pack(48, far - 1, strip)


def ragged(dtype):
    """A CSR matrix (6, 4) with empty rows, an element that is stored twice, explicit zeros and unsorted indices."""
    values, indices = [1.5, -2, 3, 0.5, 4, 0, -1, 2], [3, 0, 2, 2, 1, 0, 3, 1]
    return csr_array((np.array(values, dtype), indices, [0, 0, 2, 4, 4, 8, 8]), shape=(6, 4))


@each_dtype
@pytest.mark.parametrize("order", [[], [4, 1, 0, 2, 2], [5, 4, 3, 2, 1, 0]], ids=["as they come", "some", "all"])
@pytest.mark.parametrize("n_out", [1, 3])
def test_sparse_products(n_out, order, dtype):
    X, start = ragged(dtype), 1
    rows, order = as_rows(X, dtype), np.array(order, np.int64)
    picked = X.toarray()[order if order.size else np.arange(6)][start:]
    W, D = drawn((4, n_out), dtype), drawn((len(picked), n_out), dtype, 1)
    b, G = drawn(n_out, dtype, 2), np.full_like(W, np.nan)
    assert products.is_sparse(rows)
    sums = np.array([np.add(reference.product(a, W.tolist()), b) for a in picked.tolist()])
    for n_extra, floor in itertools.product([0, 5], [-np.inf, 0.0]):
        Z = with_nan_columns(np.full_like(D, np.nan), n_extra)
        products.sparse_forward_product(rows, order, start, W, b, Z, floor)
        close(Z[:, :n_out], np.maximum(sums, floor))
        assert np.isnan(Z[:, n_out:]).all()
        for times in (1, 2):
            products.sparse_weight_gradient(rows, order, start, with_nan_columns(D, n_extra), G, times > 1)
            close(G, [times * np.array(reference.product(a, D.tolist())) for a in picked.T.tolist()])


@each_dtype
@with_weights_or_without
@pytest.mark.parametrize("order", [[], [4, 1, 0, 2, 2]], ids=["as they come", "some"])
def test_gathered_rows_and_targets(order, weighted, dtype, network):
    net, order, start = network(dtype=dtype, weighted=weighted), np.array(order, np.int64), 2
    picked = (order if order.size else np.arange(7))[start : start + 3]
    y, weight = np.full((3, 2), np.nan, dtype), np.full(3, np.nan, dtype)
    assert not products.is_sparse(net.rows)
    gather_targets(net.rows, *net.targets, order, start, y, weight)
    if order.size:  # without an order, the first layer reads the rows directly from the data
        X = padded(np.full((3, 3), np.nan, dtype))
        products.gather(net.rows, order, start, X)
        np.testing.assert_array_equal(X, net.X[picked])
    np.testing.assert_array_equal(y, net.y[picked])
    np.testing.assert_array_equal(weight, net.weight[picked] if weighted else np.full(3, np.nan))


# ---------------------------------------------------------------------- shuffles


LENGTHS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 700, 1023, 1024, 1025]


@pytest.mark.parametrize("burnt", [0, 1, 623, 624], ids="{} words drawn before".format)
def test_shuffles_agree_with_numpy(burnt):
    random_state = np.random.RandomState(5)
    for _ in range(burnt):
        random_state.randint(2**32, dtype=np.uint32)
    by_loops = np.random.RandomState()
    by_loops.set_state(random_state.get_state())
    _, key, position, *_ = random_state.get_state()
    twister = shuffles.MT19937State(key.copy(), np.array([position]))
    for length in LENGTHS * 2:
        got, want, slow = np.arange(length), np.arange(length), list(range(length))
        shuffles.shuffle(got, twister)
        random_state.shuffle(want)
        reference.shuffle(slow, by_loops)
        np.testing.assert_array_equal(got, want)
        assert slow == want.tolist()
        _, key, position, *_ = random_state.get_state()
        np.testing.assert_array_equal(twister.key, key)
        assert twister.position == position


# ---------------------------------------------------------------------- solvers


@each_dtype
@each_solver
@pytest.mark.parametrize("nesterov", [False, True], ids=["plain", "nesterov"])
@pytest.mark.parametrize(
    ("sizes", "cuts"),
    [
        *[((2, 3, 1), cuts) for cuts in ((0, 13), (0, 4, 13), (0, 9, 13), (0, 0, 11, 13), (0, 2, 7, 9, 9, 13))],
        *[((6, 9, 3), cuts) for cuts in ((0, 93), (0, 48, 93))],
    ],
    ids=str,
)
def test_updates_of_each_solver(solver, nesterov, sizes, cuts, dtype, network):
    net = network(sizes, dtype, solver=solver, nesterov=nesterov)
    n_coefs, weight_sum, w = net.layout.n_coefs, 1.75, net.params.astype(float).tolist()
    trainer = reference.Trainer([], [], **net.options)
    moments, hyperparams = [(0.0,) * reference.SOLVERS[solver][1]] * len(w), net.scratch.hyperparams
    for step in range(1, 5):
        gradient = drawn(len(w) + 3, dtype, step)  # the gradient may be longer than the parameters
        rate, base = solvers.begin_step(net.settings[0], net.progress[0], 1 / weight_sum, hyperparams)
        for low, high in itertools.pairwise(cuts):
            squares = solvers.update(
                *(net.settings[0], rate, base, solvers.Source(net.params, net.moments), False),
                *(net.params, gradient, net.moments, hyperparams),
                *(net.segments, net.options["alpha"], 1 / weight_sum, low, high),
            )
            if solver == "adam":
                assert squares == solvers.penalized_squares(net.segments, net.params, low, high)
            else:
                assert squares == 0
        trainer.step = step
        gradient = gradient[: len(w)]
        for q, g in enumerate(gradient.tolist()):
            slope = (g + (net.options["alpha"] * w[q] if q < n_coefs else 0)) / weight_sum
            w[q], moments[q] = reference.SOLVERS[solver][0](trainer, w[q], slope, moments[q])
        close(net.params, w)
        close(net.moments, np.array(moments).T.ravel())
        assert net.progress[0].step == step


@each_dtype
@each_solver
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_update_from_source(solver, dtype, weight_decay, network):
    """The first update of `partial_fit` gives the bits of an update in place, and does not change the arrays that it reads."""
    net = network((6, 9, 3), dtype, solver=solver, weight_decay=weight_decay)
    gradient, hyperparams = drawn(net.params.size, dtype, 1), net.scratch.hyperparams
    net.moments[:] = abs(drawn(net.moments.size, dtype, 2))
    source = solvers.Source(net.params.copy(), net.moments.copy())
    params, moments = np.full_like(net.params, np.nan), np.full_like(net.moments, np.nan)
    rate, base = solvers.begin_step(net.settings[0], net.progress[0], 0.5, hyperparams)

    def update(*arrays):
        cuts = itertools.pairwise((0, 32, 93))
        return [solvers.update(net.settings[0], rate, base, *arrays, hyperparams, net.segments, 0.01, 0.5, *cut) for cut in cuts]

    squares = update(source, True, params, gradient, moments)
    np.testing.assert_array_equal(source.params, net.params)
    np.testing.assert_array_equal(source.moments, net.moments)
    assert update(source, False, net.params, gradient, net.moments) == squares
    np.testing.assert_array_equal(params, net.params)
    np.testing.assert_array_equal(moments, net.moments)


SEGMENTS = np.array([(0, 20, 0.5, 1.0, 0.7, 3.0), (20, 29, 6.0, 0.0, 0.0, 1.0), (29, 37, 0.1, 2.0, 36.0, 0.25)], SEGMENT)


@each_dtype
def test_penalized_squares(dtype):
    w = drawn(37, dtype)
    expected = sum(float(value) ** 2 * (q < 20) + 2 * float(value) ** 2 * (q >= 29) for q, value in enumerate(w))
    close(np.array(solvers.penalized_squares(SEGMENTS, w, 0, 37), dtype), expected)
    parts = [solvers.penalized_squares(SEGMENTS, w, low, high) for low, high in itertools.pairwise((0, 3, 24, 37, 37))]
    close(np.array(sum(parts), dtype), expected)


@each_dtype
@each_solver
def test_factors_of_segments(solver, dtype, network):
    """Each segment is updated like a network with the same factors in its hyperparameters."""
    net = network((5, 5, 1), dtype, solver=solver, weight_decay=0.1)
    n, alpha = net.params.size, 0.3
    assert n <= SEGMENTS["stop"][-1]
    segments = SEGMENTS.copy()
    segments["stop"][-1] = n
    gradient, start = drawn(n, dtype, 1), net.params.copy()
    net.moments[:] = abs(drawn(net.moments.size, dtype, 2))
    moments = net.moments.copy()
    hyperparams, source = net.scratch.hyperparams, solvers.Source(net.params, net.moments)
    rate, base = solvers.begin_step(net.settings[0], net.progress[0], 0.5, hyperparams)
    for low, high in itertools.pairwise((0, 16, 32, n)):
        cut = hyperparams, segments, alpha, 0.5, low, high
        solvers.update(net.settings[0], rate, base, source, False, net.params, gradient, net.moments, *cut)
    for segment in segments:
        other, part = start.copy(), slice(segment["start"], segment["stop"])
        settings = net.settings.copy()
        settings["epsilon"] *= segment["epsilon"]
        settings["weight_decay"] *= segment["decay"]
        whole, others = np.array([(0, n, 1.0, 1.0, 1.0, 1.0)], SEGMENT), moments.copy()
        cut = hyperparams, whole, alpha * segment["alpha"], 0.5, 0, n
        arrays = solvers.Source(other, others), False, other, gradient, others
        solvers.update(settings[0], rate * segment["rate"], base, *arrays, *cut)
        close(net.params[part], other[part])
        for at in range(0, moments.size, n):
            close(net.moments[at:][part], others[at:][part])


# ---------------------------------------------------------------------- work and sums of threads


@given(n=st.integers(0, 10**6), n_threads=st.integers(1, 70))
def test_shares_are_in_order_and_differ_by_at_most_one(n, n_threads):
    cuts = [team.start_of_share(n, rank, n_threads) for rank in range(n_threads + 1)]
    assert (cuts[0], cuts[-1]) == (0, n)
    assert set(np.diff(cuts)) <= {n // n_threads, -(-n // n_threads)}
    # no thread needs more blocks than its share of a batch, rounded up
    assert max(np.diff(cuts)) == -(-n // n_threads)


@given(n=st.integers(0, 10**5), n_threads=st.integers(1, 70))
def test_shares_of_a_line_are_whole_cache_lines(n, n_threads):
    cuts = [team.start_of_line_share(n, rank, n_threads) for rank in range(n_threads + 1)]
    assert (cuts[0], cuts[-1]) == (0, n)
    assert min(np.diff(cuts)) >= 0
    # 64 bytes of the smaller dtype
    assert all(cut % 16 == 0 or cut == n for cut in cuts)
    n_lines = (n + 15) // 16
    assert max(np.diff(cuts)) <= 16 * -(-n_lines // n_threads)


@each_dtype
@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_sums_over_threads(n_threads, dtype):
    crew = team.Team(np.zeros(3, np.int64), drawn((n_threads, 3), float), drawn((n_threads, 48), dtype, 1))
    before, sums = crew.gradients.copy(), crew.sums.copy()
    for column in range(3):
        want = 0.0
        for value in sums[:, column].tolist():  # the order of the terms matters, because the sums must be bitwise identical
            want += value
        assert team.total(crew, column) == want
    team.add_gradients(crew, 5, 31)
    close(crew.gradients[0, 5:31], before.astype(float).sum(axis=0)[5:31])
    np.testing.assert_array_equal(crew.gradients[0, :5], before[0, :5])
    np.testing.assert_array_equal(crew.gradients[0, 31:], before[0, 31:])
    np.testing.assert_array_equal(crew.gradients[1:], before[1:])


# ---------------------------------------------------------------------- penalties, limits and averages


def penalty_numbers(**values):
    numbers = record(PENALTY_NUMBERS)
    for name, value in values.items():
        numbers[name] = value
    return numbers


@each_dtype
@pytest.mark.parametrize("size", [0, 1, 37])
def test_penalties_and_moving_average(size, dtype):
    w, g = drawn(size, dtype), drawn(size, dtype, 1)
    w[:1] = 0
    numbers = penalty_numbers(alpha=0.3, l1=0.7, ema_decay=0.9)
    penalties.absolute_sum(w, w, numbers)
    close(np.array([numbers[0].total], dtype), [np.abs(w).sum()])
    want = g + 0.3 * w + 0.7 * np.sign(w)
    penalties.add_penalty_gradient(w, g, numbers)
    close(g, want)
    penalties.square_sum(g, g, numbers)
    close(np.array([numbers[0].total], dtype), [(g.astype(float) ** 2).sum()])
    mean = drawn(size, dtype, 2)
    want = 0.9 * mean + 0.1 * w
    penalties.update_average(mean, w, numbers)
    close(mean, want)


@each_dtype
@pytest.mark.parametrize("n_threads", [1, 2, 3, 7])
def test_weight_norms_are_limited(n_threads, dtype, network):
    net = network((3, 5, 4, 1), dtype)
    coefs = [W.copy() for W in net.coefs]
    biases = [b.copy() for b in net.intercepts]
    for rank in range(n_threads):
        penalties.limit_weight_norms(net.table, net.params, net.scratch.strip, penalty_numbers(max_norm=0.9), rank, n_threads)
    for W, before in zip(net.coefs, coefs, strict=True):
        norms = np.linalg.norm(before, axis=0)
        close(W, before * np.minimum(1, 0.9 / norms))
    assert any((np.linalg.norm(before, axis=0) < 0.9).any() for before in coefs)
    for b, before in zip(net.intercepts, biases, strict=True):
        np.testing.assert_array_equal(b, before)


@pytest.mark.parametrize("name", LAZY_SCHEDULES)
def test_factors_of_schedules(name):
    numbers = record(SCHEDULE_NUMBERS)
    numbers["warmup"], numbers["decay"], numbers["decay_step"] = 0.25, 0.5, 3
    cosine = {0: 1, 0.25: (1 + np.sqrt(0.5)) / 2, 0.5: 0.5, 1: 0}
    warmed = {0: 0, 0.125: 0.5, 0.25: 1, 0.625: 0.5, 1: 0, 1.5: 0}
    cycle = {0: 0.04, 0.125: 0.52, 0.25: 1, 0.625: 0.5 + 2e-6, 1: 4e-6}
    decayed = {0: 1, 0.5: np.sqrt(0.5), 1: 0.5}
    steps = {0: 1, 0.29: 1, 0.3: 0.5, 0.59: 0.5, 0.6: 0.25, 1: 0.125}
    cycles = {0: 0, (np.sqrt(2) - 1) / 15: 1, 1 / 15: 0, 3 / 15: 0, 7 / 15: 0, (8 * np.sqrt(2) - 1) / 15: 1, 1: 0}
    flat = {0: 1, 0.5: 1, 0.625: (1 + np.sqrt(0.5)) / 2, 0.75: 0.5, 1: 0, 2: 0}
    known = {"cosine": cosine, "linear_warmup_cosine": warmed, "one_cycle": cycle, "exponential": decayed, "step": steps}
    known |= {"coslog4": cycles, "flat_cosine": flat}
    for progress, factor in known[name].items():
        numbers["progress"], numbers["epoch"] = progress, 10 * progress
        LAZY_SCHEDULES[name](numbers)
        assert numbers[0].factor == pytest.approx(factor, rel=1e-12, abs=1e-15 if factor else 1e-28)


# ---------------------------------------------------------------------- gradients


@each_dtype
@each_pair
@dense_or_sparse
@with_weights_or_without
@pytest.mark.parametrize("activation", ["identity", "relu", "tanh", "logistic", "silu"])
def test_gradient_agrees_with_the_reference(activation, loss, out_activation, dtype, sparse, weighted, network):
    options = {"activation": activation, "loss": loss, "out_activation": out_activation, "sparse": sparse, "weighted": weighted}
    net = network(dtype=dtype, **options)
    loss, weight_sum, gradient = net.loss_and_gradient()
    want_loss, want_weight_sum, want_gradient = expected(net)
    close(np.array([loss, weight_sum], dtype), [want_loss, want_weight_sum], slack=3)
    close(gradient, want_gradient, slack=3)

    # blocks smaller than the batch, of equal or unequal size
    for block_size in (1, 3):
        blocks = network(dtype=dtype, block_size=block_size, **options)
        blocks_loss, blocks_weight_sum, blocks_gradient = blocks.loss_and_gradient()
        close(np.array([blocks_loss, blocks_weight_sum], dtype), [loss, weight_sum])
        close(blocks_gradient, gradient, slack=3)

    # the initial content of scratch buffers, NaN or zeros, does not matter
    clean = network(dtype=dtype, fill=0, **options)
    assert clean.loss_and_gradient()[:2] == (loss, weight_sum)
    np.testing.assert_array_equal(clean.gradient, gradient)


@each_activation
@each_pair
@dense_or_sparse
@with_weights_or_without
def test_gradient_agrees_with_finite_differences(activation, loss, out_activation, sparse, weighted, network):
    options = {"activation": activation, "loss": loss, "out_activation": out_activation, "sparse": sparse, "weighted": weighted}
    net = network((2, 3, 3, 2), n_rows=5, seed=1, **options)
    # scikit-learn's squared error is a mean over the outputs, but its delta is not
    slopes = by_differences(net) * (2 if loss == "squared_error" else 1)
    np.testing.assert_allclose(net.loss_and_gradient()[2], slopes, rtol=1e-7, atol=2e-9)

    # float32, with parameters and data that are exact in both dtypes
    single = network((2, 3, 3, 2), np.float32, n_rows=5, seed=1, **options)
    net = network((2, 3, 3, 2), n_rows=5, seed=1, **options)
    net.params[...] = single.params
    net.X, net.y, net.weight = single.X, single.y, single.weight
    net.rows = as_rows(csr_array(single.X) if sparse else single.X, net.dtype)
    close(single.loss_and_gradient()[2], net.loss_and_gradient()[2], slack=3)


@given(
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=5),
    n_rows=st.integers(1, 9),
    block_size=st.integers(1, 9),
    cut=st.integers(0, 9),
    sparse=st.booleans(),
    weighted=st.booleans(),
    seed=st.integers(0, 99),
    activation=st.sampled_from(list(reference.ACTIVATIONS)),
    pair=st.sampled_from(list(reference.LOSSES)[:4]),
)
def test_gradient_of_drawn_networks_in_two_calls(network, sizes, n_rows, block_size, cut, sparse, weighted, seed, activation, pair):
    options = {"activation": activation, "loss": pair[0], "out_activation": pair[1], "seed": seed}
    net = network(tuple(sizes), n_rows=n_rows, block_size=block_size, sparse=sparse, weighted=weighted, **options)
    cut = min(cut, n_rows)
    first = net.loss_and_gradient(0, cut)[:2]
    second = net.loss_and_gradient(cut, n_rows)[:2]
    want_loss, want_weight_sum, want_gradient = expected(net)
    close(np.add(first, second), [want_loss, want_weight_sum], slack=10)
    close(net.gradient, want_gradient, slack=10)


OF_CLASSES = [(*pair, share) for pair in reference.OF_CODES for share in (0.0, 0.2)]


def lazy_network(network, loss, link, dtype=float, smoothing=None, **options):
    """Return a network of four outputs whose loss or link is called by address, and the label smoothing in a tuple."""
    objective = {"delta": 0.6, "power": 1.3, "of_classes": smoothing is not None, "smoothing": smoothing or 0.0}
    numbers = {"quantile": (0.3,)}.get(loss, (2, 2) if link == "grouped_softmax" else ())
    net = network((3, 3, 4), dtype, loss=loss, out_activation=link, objective=objective, numbers=numbers, **options)
    random = np.random.default_rng(5)
    if smoothing is not None:
        net.y = random.integers(
            0, 2 if link == "grouped_softmax" else 4, (len(net.X), 2 if link == "grouped_softmax" else 1)
        ).astype(float)
    elif loss in ("poisson", "gamma", "tweedie"):
        net.y = net._exact(random.gamma(2, 1, net.y.shape))
    return net, () if smoothing is None else (smoothing,)


@pytest.mark.slow
@each_dtype
@with_weights_or_without
@pytest.mark.parametrize(("loss", "link", "smoothing"), [(*pair, None) for pair in reference.BY_ADDRESS] + OF_CLASSES)
def test_losses_and_links_called_by_address(loss, link, smoothing, dtype, weighted, network):
    net, smoothing = lazy_network(network, loss, link, dtype, smoothing, weighted=weighted, block_size=3)
    got_loss, got_weight, got = net.loss_and_gradient()
    names = net.options["activation"], loss, link
    eps = np.finfo(dtype).eps
    want_loss, want_weight, *want = reference.gradient(
        net.X, net.y, net.weight, net.coefs, net.intercepts, *names, eps=eps, smoothing=smoothing
    )
    close(np.array([got_loss, got_weight], dtype), [want_loss, want_weight], slack=5)
    close(got, flat(*want), slack=10)
    close(net.predict(), reference.predict(net.X, net.coefs, net.intercepts, "tanh", link), slack=3)
    rows, sums, out = [4, 1, 1], np.empty((1, 2)), np.empty((3, net.coefs[-1].shape[1]), dtype)
    evaluate(net.settings, net.table, net.params, net.rows, *net.targets, np.array(rows), 0, 3, net.scratch, sums, out, True)
    weight = None if net.weight is None else net.weight[rows]
    want = reference.gradient(net.X[rows], net.y[rows], weight, net.coefs, net.intercepts, *names, eps=eps, smoothing=smoothing)
    close(sums[0].astype(dtype), want[:2], slack=5)
    close(out, reference.predict(net.X[rows], net.coefs, net.intercepts, "tanh", link), slack=3)


def test_binary_labels_are_smoothed(network):
    options = {"loss": "log_loss", "out_activation": "logistic", "objective": {"of_classes": True, "smoothing": 0.2}}
    net = network((3, 3, 4), **options)
    outputs = net.predict()
    targets = 0.8 * net.y + 0.1
    want = -(targets * np.log(outputs) + (1 - targets) * np.log(1 - outputs)).sum()
    assert net.loss_and_gradient()[0] == pytest.approx(want, rel=1e-12)
    slopes = by_differences(net)
    np.testing.assert_allclose(net.loss_and_gradient()[2], slopes, rtol=1e-6, atol=1e-8)


def by_differences(net, h=1e-5):
    """Return the gradient of Σ loss by central differences."""
    params, slopes = net.params.copy(), np.empty(net.params.size)
    for q in range(params.size):
        ends = []
        for shifted in (params[q] + h, params[q] - h):
            net.params[q] = shifted
            ends.append(net.loss_and_gradient()[0])
        net.params[q] = params[q]
        slopes[q] = (ends[0] - ends[1]) / (2 * h)
    return slopes


@pytest.mark.parametrize("norm", ["batch_norm", "layer_norm"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@dense_or_sparse
def test_gradient_through_norms(norm, activation, sparse, network):
    net = network((3, 4, 5, 2), n_rows=9, norm=norm, activation=activation, sparse=sparse, seed=3)
    gradient = net.loss_and_gradient()[2]
    np.testing.assert_allclose(gradient, by_differences(net) * 2, rtol=2e-6, atol=2e-8)  # 2: the squared error, as above
    if norm == "layer_norm":
        blocks = network((3, 4, 5, 2), n_rows=9, norm=norm, activation=activation, sparse=sparse, seed=3, block_size=4)
        close(blocks.loss_and_gradient()[2], gradient, slack=10)


def test_gradient_through_several_quantiles(network):
    net = network((3, 4, 6), n_rows=9, loss="quantile", out_activation="ordered_quantiles", numbers=(0.2, 0.5, 0.9), seed=3)
    net.y = np.repeat(net.y[:, :2], 3, axis=1)
    outputs = net.predict()
    assert (np.diff(outputs.reshape(9, 2, 3)) > 0).all()
    share, d = np.tile([0.2, 0.5, 0.9], 2), net.y - outputs
    assert net.loss_and_gradient()[0] == pytest.approx(np.maximum(share * d, (share - 1) * d).sum(), rel=1e-12)
    np.testing.assert_allclose(net.loss_and_gradient()[2], by_differences(net), rtol=1e-6, atol=1e-8)
    close(outputs, reference_quantiles(net), slack=3)


def reference_quantiles(net):
    z = reference.predict(net.X, net.coefs, net.intercepts, "tanh", "identity")
    return np.concatenate(
        [np.array([reference.LINKS["ordered_quantiles"](row[at : at + 3]) for row in z.tolist()]) for at in (0, 3)], axis=1
    )


# ---------------------------------------------------------------------- prediction


@each_dtype
@each_activation
@dense_or_sparse
@pytest.mark.parametrize(("loss", "out_activation"), [("squared_error", "identity"), ("log_loss", "softmax")])
def test_predictions_agree_with_the_reference(activation, loss, out_activation, dtype, sparse, network):
    options = {"activation": activation, "loss": loss, "out_activation": out_activation, "sparse": sparse}
    net = network(dtype=dtype, block_size=3, **options)
    want = reference.predict(net.X, net.coefs, net.intercepts, activation, out_activation)
    close(net.predict(), want, slack=3)
    order = np.array([6, 0, 0, 3, 5])
    close(net.predict(order), want[order], slack=3)
    part = net.predict(order, 1, 3)
    close(part[1:3], want[order][1:3], slack=3)
    np.testing.assert_array_equal(part[[0, 3, 4]], -1)


@pytest.mark.slow
@each_dtype
@each_activation
@dense_or_sparse
@pytest.mark.parametrize(("loss", "out_activation"), [("squared_error", "identity"), ("log_loss", "softmax")])
def test_nan_in_a_row_gives_nan_outputs(activation, loss, out_activation, dtype, sparse, network):
    net = network(dtype=dtype, activation=activation, loss=loss, out_activation=out_activation)
    net.X[2, 1] = np.nan
    net.rows = as_rows(csr_array(net.X) if sparse else net.X, dtype)
    outputs = net.predict()
    assert np.isnan(outputs[2]).all()
    assert np.isfinite(np.delete(outputs, 2, axis=0)).all()
    loss, _, gradient = net.loss_and_gradient()
    assert np.isnan(loss)
    assert all(np.isnan(array).any() for part in net.layout.views(gradient) for array in part)


@pytest.mark.slow
@each_dtype
@each_activation
@each_pair
def test_nan_in_a_weight_gives_nan_outputs(activation, loss, out_activation, dtype, network):
    net = network(dtype=dtype, activation=activation, loss=loss, out_activation=out_activation)
    net.params[net.layout.n_coefs - 1] = np.nan
    assert np.isnan(net.predict()[:, -1]).all()
    assert np.isnan(net.loss_and_gradient()[0])


# ---------------------------------------------------------------------- epochs


def train_both(network, n_epochs, shuffle=False, **options):
    """Train a network for n_epochs with the kernel and with the reference; return both."""
    net = network(n_rows=11, batch_size=4, shuffle=shuffle, **options)
    trainer = reference.Trainer(net.coefs, net.intercepts, **net.options)
    weight, order, random_state = net.weight, np.arange(11), np.random.RandomState(0)
    while trainer.status == "running" and trainer.epochs < n_epochs:
        if shuffle:
            reference.shuffle(order, random_state)
        trainer.epoch(net.X, net.y, weight, order)
    assert net.train(n_epochs) == trainer.epochs
    return net, trainer


def assert_same_training(net, trainer, slack):
    close(net.params, flat(trainer.coefs, trainer.intercepts), slack)
    close(net.losses[: trainer.epochs].astype(net.dtype), trainer.losses, slack)
    close(net.moments, np.concatenate(list(map(np.array, trainer.moments))).T.ravel(), slack)
    state = net.progress[0]
    assert (net.status, state.epoch, state.step, state.rows_seen) == (
        trainer.status,
        trainer.epochs,
        trainer.step,
        trainer.rows_seen,
    )
    assert (state.row, state.blocks_done, state.bad_epochs) == (0, 0, trainer.bad_epochs)
    assert state.best == pytest.approx(trainer.best, rel=1e-5)
    if net.options["solver"] == "sgd":
        assert state.learning_rate == pytest.approx(trainer.learning_rate, rel=1e-12)


@pytest.mark.slow
@each_dtype
@each_solver
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("nesterov", [False, True], ids=["plain", "nesterov"])
@pytest.mark.parametrize("shuffle", [False, True], ids=["in order", "shuffled"])
def test_epochs_of_each_solver(solver, schedule, nesterov, shuffle, dtype, network):
    options = {"solver": solver, "schedule": schedule, "nesterov": nesterov, "block_size": 3}
    assert_same_training(*train_both(network, 3, shuffle=shuffle, dtype=dtype, **options), slack=100)


@each_dtype
@each_pair
@dense_or_sparse
@with_weights_or_without
def test_epochs_of_each_loss(loss, out_activation, dtype, sparse, weighted, network):
    options = {"loss": loss, "out_activation": out_activation, "sparse": sparse, "weighted": weighted, "learning_rate_init": 0.02}
    assert_same_training(*train_both(network, 2, shuffle=True, dtype=dtype, **options), slack=100)


@each_solver
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(
    ("tol", "patience", "max_epochs"), [(0, np.inf, 6), (1e3, 1, 20), (1e3, 0, 20), (1e-2, 2, 40), (1e3, 1, 4)]
)
def test_training_stops_as_in_the_reference(solver, schedule, tol, patience, max_epochs, network):
    limits = {"tol": tol, "patience": patience, "max_epochs": max_epochs}
    net, trainer = train_both(network, max_epochs, sizes=(3, 2), solver=solver, schedule=schedule, learning_rate_init=0.2, **limits)
    assert_same_training(net, trainer, slack=100)
    assert net.train() == 0 or net.status == "running"


@each_solver
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_trace_has_the_learning_rates_and_the_best_parameters(solver, schedule, network):
    options = {"solver": solver, "schedule": schedule, "tol": 1e3, "patience": 1, "learning_rate_init": 0.5, "momentum": 0.0}
    net = network(sizes=(3, 6, 2), n_rows=8, batch_size=3, **options)
    net.best = np.full_like(net.params, np.nan)
    best = rates = ()
    while net.status == "running" and len(rates) < 6:
        rates += (net.progress[0].learning_rate if solver == "sgd" else 0.5,)
        net.train(1)
        if net.losses[len(rates) - 1] == np.nanmin(net.losses):
            best = net.params.copy()
    if solver in ("sgd", "adam"):  # the schedules affect only "sgd"; all other solvers have a constant learning rate
        assert net.rates[: len(rates)].tolist() == list(rates)
    np.testing.assert_array_equal(net.best, best)
    assert net.progress[0].kept_epoch == 1 + np.nanargmin(net.losses)


def test_adaptive_learning_rate_below_a_millionth_ends_training(network):
    options = {"schedule": "adaptive", "learning_rate_init": 1e-4, "tol": 1e3, "patience": 0}
    net, trainer = train_both(network, 100, sizes=(3, 2), **options)
    assert_same_training(net, trainer, slack=100)
    assert net.status == "converged"
    assert net.progress[0].learning_rate == pytest.approx(1e-4 / 5**3)


@given(
    values=st.lists(st.floats(-10, 10) | st.sampled_from([0.0, 1.0, np.inf, np.nan]), max_size=30),
    solver=st.sampled_from(list(N_MOMENTS)),
    schedule=st.sampled_from(SCHEDULES),
    tol=st.sampled_from([0.0, 1e-4, 1.0]),
    patience=st.sampled_from([0.0, 1.0, 3.0, np.inf]),
    max_epochs=st.integers(1, 30),
)
def test_early_stopping_rule(network, values, solver, schedule, tol, patience, max_epochs):
    options = {
        "solver": solver,
        "schedule": schedule,
        "tol": tol,
        "patience": patience,
        "max_epochs": max_epochs,
        "validated": True,
    }
    net = network((1, 1), n_rows=2, **options)
    trainer = reference.Trainer(net.coefs, net.intercepts, **net.options)
    for value in values:
        if trainer.status != "running":
            break
        net.progress[0].epoch += 1
        net.progress[0].rows_seen += 2
        trainer.epochs += 1
        trainer.rows_seen += 2
        net.update_early_stopping(value)
        trainer.update_early_stopping(value)
        assert (net.status, net.progress[0].bad_epochs) == (trainer.status, trainer.bad_epochs)
        assert (net.progress[0].best, net.progress[0].learning_rate) == pytest.approx((trainer.best, trainer.learning_rate))


def test_early_stopping_needs_a_validation_score(network):
    net = network(validated=True, tol=1e3, patience=0)
    assert net.train(5) == 5
    assert (net.status, net.progress[0].best) == ("running", np.inf)
    net.update_early_stopping(2.0)
    net.update_early_stopping(1.0)
    assert (net.status, net.progress[0].best) == ("converged", 1.0)


@pytest.mark.slow
@each_dtype
@each_solver
@dense_or_sparse
@pytest.mark.parametrize("step", ["one block", "two blocks", "one epoch"])
def test_training_in_several_calls_is_bitwise_identical(step, solver, sparse, dtype, network):
    options = {"solver": solver, "sparse": sparse, "dtype": dtype, "weighted": True, "n_rows": 13, "batch_size": 5, "block_size": 2}
    whole, pieces, clean = (network(shuffle=True, max_epochs=4, fill=fill, **options) for fill in (np.nan, np.nan, 0))
    assert whole.train() == 4
    sizes = {"one block": {"n_blocks": 1}, "two blocks": {"n_blocks": 2}, "one epoch": {"n_epochs": 1}}[step]
    n_epochs = n_calls = 0
    while pieces.status == "running":
        n_epochs += pieces.train(**sizes)
        n_calls += 1
    assert n_epochs == 4
    # 3 + 3 + 2 blocks per epoch
    assert n_calls == {"one block": 32, "two blocks": 16, "one epoch": 4}[step]
    assert pieces.state == whole.state
    clean.train()
    assert clean.state == whole.state


@pytest.mark.parametrize(("n_epochs", "n_blocks"), [(0, 5), (5, 0)])
def test_zero_epochs_or_blocks_change_nothing(n_epochs, n_blocks, network):
    net = network(shuffle=True)
    before = net.state
    assert net.train(n_epochs, n_blocks) == 0
    assert net.state == before


@each_solver
def test_batch_with_zero_weights_ends_training_before_the_update(solver, network):
    net = network(n_rows=6, batch_size=2, weighted=True, solver=solver)
    net.weight[2:4] = 0
    one_batch = network(n_rows=6, batch_size=2, weighted=True, solver=solver)
    one_batch.train(n_blocks=1)
    assert net.train() == 0
    assert (net.status, net.progress[0].epoch, net.progress[0].step) == ("zero_weights", 0, 1)
    np.testing.assert_array_equal(net.params, one_batch.params)
    assert net.train() == 0


def test_order_selects_the_rows_of_a_batch(network):
    """Without shuffling, the second batch consists of the second three rows in `order`."""
    for sparse, weighted in itertools.product([False, True], repeat=2):
        net = network(sparse=sparse, weighted=weighted, batch_size=3, momentum=0.0)
        net.order = np.array([5, 6, 2, 0, 0, 3])
        net.train(n_blocks=1)
        want = expected(net, [0, 0, 3])[2]
        net.train(n_blocks=1)
        close(net.gradient, want, slack=3)


def test_predict_in_order_is_the_default(network):
    np.testing.assert_array_equal(network().predict(IN_ORDER), network().predict(np.arange(7)))
