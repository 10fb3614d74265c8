"""The encoders of columns are compared with naive NumPy formulas, and their gradients with finite differences of these formulas.

All buffers are parts of larger buffers of NaN, so that a value that is read or written outside them changes a result or the memory
after the end. This file also runs with NUMBA_DISABLE_JIT=1.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from fastbp._kernels.lazy.addresses import lazy_version
from fastbp._kernels.lazy.encoders import ENCODERS, ENCODERS_BACK, encoder_scratch_size
from fastbp._kernels.tables import ENCODER

N_COLUMNS, N_FEATURES, COLUMN_AT = 3, 5, 1
OUTPUT_AT, N_EXTRA, SAVED_AT = 2, 4, 1
N_BINS = (4, 1, 6)
N_BINS_OF_ENCODING = (4, 0, 6)
N_CODES = 4
OF_CODES = ("one_hot", "embedding")

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
each_encoder = pytest.mark.parametrize("name", ENCODERS)
each_encoder_with_parameters = pytest.mark.parametrize("name", ENCODERS_BACK)


# ---------------------------------------------------------------------- the formulas


def split(params, *shapes):
    """Return consecutive parts of a flat array with the given shapes."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    assert sum(sizes) == params.size
    return [part.reshape(shape) for part, shape in zip(np.split(params, np.cumsum(sizes)[:-1]), shapes, strict=True)]


def encoding(x, edges):
    """The piecewise-linear encoding of a column: (n_rows, n_bins)."""
    low, high = np.full(edges.size - 1, 0.0), np.full(edges.size - 1, 1.0)
    low[0], high[-1] = -np.inf, np.inf
    return np.clip((x[:, None] - edges[:-1]) / np.diff(edges), low, high)


def with_frequencies(x, w):
    return 2 * np.pi * x[:, :, None] * w


def naive_pbld(case, x, params):
    n, k, d = N_COLUMNS, case.n_units, case.n_outputs - 1
    w1, b1, W2, b2 = split(params, (n, k), (n, k), (n, k, d), (n, d))
    embedded = np.einsum("icq,cqj->icj", np.cos(with_frequencies(x, w1) + b1), W2) + b2
    return np.hstack([embedded.reshape(len(x), n * d), x])


def naive_plr(case, x, params, lite=False):
    n, k, d = N_COLUMNS, case.n_units, case.n_outputs
    n_layers = 1 if lite else n
    c, W, b = split(params, (n, k), (n_layers, 2 * k, d), (n_layers, d))
    z = with_frequencies(x, c)
    h = np.concatenate([np.cos(z), np.sin(z)], axis=2)
    return np.maximum(np.einsum("icq,cqj->icj", h, np.broadcast_to(W, (n, 2 * k, d))) + b, 0).reshape(len(x), n * d)


def naive_piecewise_linear(case, x, params):
    return np.hstack([np.clip((x[:, [c]] - edges[:-1]) / np.diff(edges), 0, 1) for c, edges in enumerate(case.edges)]) - case.means


def naive_piecewise_linear_embedding(case, x, params):
    n, d = N_COLUMNS, case.n_outputs
    w, b, *W = split(params, (n, d), (n, d), *((n_bins, d) for n_bins in N_BINS))
    return np.hstack([b[c] + np.outer(x[:, c], w[c]) + encoding(x[:, c], case.edges[c]) @ W[c] for c in range(n)])


def naive_embedding(case, x, params):
    (tables,) = split(params, (N_COLUMNS, N_CODES, case.n_outputs))
    return np.hstack([tables[c][x[:, c].astype(int)] for c in range(N_COLUMNS)])


def naive_one_hot(case, x, params):
    off, on = split(case.constants.astype(float), (N_COLUMNS, case.n_outputs), (N_COLUMNS, case.n_outputs))
    codes = np.arange(N_CODES - case.n_outputs, N_CODES)
    return np.hstack([np.where(x[:, [c]] == codes, on[c], off[c]) for c in range(N_COLUMNS)])


NAIVE = {
    "copy": lambda case, x, params: x,
    "one_hot": naive_one_hot,
    "embedding": naive_embedding,
    "pbld": naive_pbld,
    "plr": naive_plr,
    "plr_lite": lambda case, x, params: naive_plr(case, x, params, lite=True),
    "piecewise_linear": naive_piecewise_linear,
    "piecewise_linear_embedding": naive_piecewise_linear_embedding,
}


def test_all_encoders_are_compared():
    assert set(NAIVE) == set(ENCODERS)
    assert set(ENCODERS_BACK) < set(ENCODERS)


# ---------------------------------------------------------------------- calls of the kernels


def part_of_nan(shape, dtype):
    """Return an uninitialized array, and the elements of NaN that follow it in memory."""
    size = int(np.prod(shape))
    buffer = np.full(size + 40, np.nan, dtype)
    return buffer[:size].reshape(shape), buffer[size:]


@dataclass
class Case:
    """An encoder of three columns with parameters, constants and rows, as arrays for the kernels."""

    name: str
    dtype: type
    n_rows: int
    n_units: int
    n_outputs: int  # per column; for PBLD, the last one is x itself
    n_params: int
    n_out: int

    def __post_init__(self):
        rng = np.random.default_rng(self.n_rows)
        self.X = rng.normal(0, 1.5, (self.n_rows, N_FEATURES)).astype(self.dtype)
        if self.name in OF_CODES:
            self.X = rng.integers(0, N_CODES, self.X.shape).astype(self.dtype)
        self.params = rng.normal(0, 0.7, self.n_params).astype(self.dtype)
        self.constants, self.edges = np.empty(0, self.dtype), []
        if self.name == "one_hot":
            self.constants = rng.normal(size=2 * self.n_out).astype(self.dtype)
        if self.name.startswith("piecewise"):
            self.edges = [np.sort(rng.normal(size=n_bins + 1)).astype(self.dtype) for n_bins in bins_of(self.name)]
            rows = np.full((N_COLUMNS, self.n_units + 2), np.nan, self.dtype)
            for row, edges in zip(rows, self.edges, strict=True):
                row[0], row[1 : edges.size + 1] = edges.size - 1, edges
            self.means = rng.uniform(size=self.n_out * (self.name == "piecewise_linear")).astype(self.dtype)
            self.constants = np.concatenate([rows.ravel(), self.means])
        self.encoders = np.zeros(2, ENCODER)
        self.encoders[1] = self.record()
        self.delta = rng.normal(size=(self.n_rows, self.n_out + N_EXTRA)).astype(self.dtype)
        self.saved = part_of_nan((self.n_rows, SAVED_AT + self.n_out + 1), self.dtype)[0]

    def record(self):
        """The record; the encoder of the tests begins at a constant, a column and an output other than 0."""
        fields = dict.fromkeys(ENCODER.names, 0)
        fields |= {"column_at": COLUMN_AT, "n_columns": N_COLUMNS, "output_at": OUTPUT_AT, "n_out": self.n_out, "constants_at": 3}
        fields |= {"n_params": self.n_params, "n_units": self.n_units, "saved_at": SAVED_AT, "n_saved": self.n_out}
        return tuple(fields.values())

    @property
    def constants_with_offset(self):
        return np.concatenate([np.full(3, np.nan, self.dtype), self.constants.ravel()])

    def rows(self, X=None):
        """The columns of the encoder as float64."""
        return (self.X if X is None else X)[:, COLUMN_AT : COLUMN_AT + N_COLUMNS].astype(float)

    def naive(self, params=None, X=None):
        return NAIVE[self.name](self, self.rows(X), self.params.astype(float) if params is None else params)

    def scratch(self):
        return part_of_nan(encoder_scratch_size(self.name, self.n_units, self.n_outputs), self.dtype)

    def forward(self, X=None, saved=None):
        """Return the outputs; nothing else of A, and no memory after the end, is written."""
        A, after = part_of_nan((self.n_rows, self.n_out + N_EXTRA), self.dtype)
        scratch, after_scratch = self.scratch()
        X, saved = self.X if X is None else X, self.saved if saved is None else saved
        arguments = X, A, self.params, saved, scratch, self.constants_with_offset, self.encoders, 1
        lazy_version("encoder", self.name, self.dtype)(*arguments)
        stop = OUTPUT_AT + self.n_out
        for rest in (A[:, :OUTPUT_AT], A[:, stop:], after, after_scratch, self.saved[:, :SAVED_AT], self.saved[:, -1]):
            assert np.isnan(rest).all()
        return A[:, OUTPUT_AT:stop]

    def backward(self, X=None, start=None):
        """Return the gradient of Σ A·delta, added to `start` if it is given; no memory after the end is written."""
        g, after = part_of_nan(self.n_params, self.dtype)
        scratch, after_scratch = self.scratch()
        if start is not None:
            g[:] = start
        X = self.X if X is None else X
        arguments = X, self.delta, self.params, self.saved, scratch, g, self.constants_with_offset, self.encoders, 1
        lazy_version("encoder_back", self.name, self.dtype)(*arguments, int(start is not None))
        assert np.isnan(after).all()
        assert np.isnan(after_scratch).all()
        return g

    def sum_of(self, params):
        delta = self.delta[:, OUTPUT_AT : OUTPUT_AT + self.n_out].astype(float)
        return (self.naive(params) * delta).sum()


def bins_of(name):
    """The number of bins of each column."""
    return N_BINS_OF_ENCODING if name == "piecewise_linear" else N_BINS


@cache
def sizes(name, n_units, d):
    """Return the number of parameters and of outputs."""
    n = N_COLUMNS
    return {
        "copy": (0, n),
        "one_hot": (0, n * d),
        "embedding": (n * N_CODES * d, n * d),
        "pbld": (n * (2 * n_units + n_units * d + d), n * (d + 1)),
        "plr": (n * (n_units + 2 * n_units * d + d), n * d),
        "plr_lite": (n * n_units + 2 * n_units * d + d, n * d),
        "piecewise_linear": (0, sum(N_BINS_OF_ENCODING)),
        "piecewise_linear_embedding": (2 * n * d + sum(N_BINS) * d, n * d),
    }[name]


def a_case(name, dtype, n_rows=7, n_units=5, d=3):
    """Return a case with d outputs per column."""
    n_units = N_CODES if name in OF_CODES else max(N_BINS) if name.startswith("piecewise") else n_units
    n_params, n_out = sizes(name, n_units, d)
    return Case(name, dtype, n_rows, n_units, d + (name == "pbld"), n_params, n_out)


def tolerance(dtype, n_rows=7):
    return {np.float32: 2e-5, np.float64: 3e-14}[dtype] * max(1, n_rows) ** 0.5


# ---------------------------------------------------------------------- tests


@each_dtype
@pytest.mark.parametrize("n_rows", [0, 1, 7, 132])
@each_encoder
def test_outputs(name, n_rows, dtype):
    case = a_case(name, dtype, n_rows)
    np.testing.assert_allclose(case.forward(), case.naive(), rtol=1e-6, atol=tolerance(dtype))


@each_dtype
@pytest.mark.parametrize("n_rows", [0, 1, 7, 132])
@each_encoder_with_parameters
def test_gradients_equal_finite_differences(name, n_rows, dtype):
    case, step = a_case(name, dtype, n_rows), 1e-5
    case.forward()
    params = case.params.astype(float)
    want = [
        (case.sum_of(params + step * direction) - case.sum_of(params - step * direction)) / (2 * step)
        for direction in np.eye(case.n_params)
    ]
    limit = 1e-4 if dtype == np.float32 else 1e-7
    np.testing.assert_allclose(case.backward(), want, rtol=limit, atol=limit * max(1, n_rows) ** 0.5)


@pytest.mark.parametrize(("n_units", "d"), [(1, 1), (4, 4), (6, 5), (16, 3)])
@pytest.mark.parametrize("name", ["pbld", "plr", "plr_lite"])
def test_other_numbers_of_frequencies_and_outputs(name, n_units, d):
    case = a_case(name, np.float64, 3, n_units, d)
    np.testing.assert_allclose(case.forward(), case.naive(), atol=1e-13)
    params, step, rng = case.params.astype(float), 1e-5, np.random.default_rng(0)
    got = case.backward()
    for _ in range(5):  # directional derivatives
        direction = rng.normal(size=case.n_params)
        want = (case.sum_of(params + step * direction) - case.sum_of(params - step * direction)) / (2 * step)
        np.testing.assert_allclose(got @ direction, want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("d", [1, 8, 9])
@pytest.mark.parametrize("name", ["embedding", "piecewise_linear_embedding"])
def test_other_numbers_of_outputs(name, d):
    case = a_case(name, np.float64, 4, d=d)
    np.testing.assert_allclose(case.forward(), case.naive(), atol=1e-13)


@pytest.mark.slow
@each_dtype
@pytest.mark.parametrize("n_rows", [191, 192, 193, 400])
@pytest.mark.parametrize("name", ["pbld", "plr", "plr_lite"])
def test_blocks_of_several_parts(name, n_rows, dtype):
    """The result does not depend on the part to which a row belongs, except for the rounding of sums."""
    case = a_case(name, dtype, n_rows)
    np.testing.assert_allclose(case.forward(), case.naive(), rtol=1e-6, atol=tolerance(dtype))
    got, total = case.backward(), np.zeros(case.n_params)
    for start in range(0, n_rows, 50):
        part = a_case(name, dtype, len(case.X[start : start + 50]))
        part.X, part.params, part.delta = case.X[start : start + 50], case.params, case.delta[start : start + 50]
        part.forward()
        total += part.backward()
    np.testing.assert_allclose(got, total, rtol=1e-5, atol=tolerance(dtype, n_rows) * 5)


@each_dtype
@pytest.mark.parametrize("n_outputs", [N_CODES - 1, N_CODES])
def test_one_hot_with_and_without_an_output_for_code_0(n_outputs, dtype):
    case = a_case("one_hot", dtype, 9, d=n_outputs)
    np.testing.assert_array_equal(case.forward(), case.naive().astype(dtype))


@each_dtype
@pytest.mark.parametrize("name", OF_CODES)
def test_unknown_codes_are_code_0(name, dtype):
    case = a_case(name, dtype, 10)
    X, zeros = case.X.copy(), case.X.copy()
    unknown = [-1, N_CODES, -0.5, np.nan, np.inf, -np.inf, 1e18, -1e18, np.finfo(dtype).max]
    X[:9, COLUMN_AT], zeros[:9, COLUMN_AT] = unknown, 0
    np.testing.assert_array_equal(case.forward(X), case.forward(zeros))
    if name in ENCODERS_BACK:
        np.testing.assert_array_equal(case.backward(X), case.backward(zeros))


@each_dtype
@pytest.mark.parametrize("name", sorted(set(ENCODERS) - set(OF_CODES)))
def test_nan_propagates(name, dtype):
    """Every output of a missing number is NaN, or at least one of them; other rows and columns do not change."""
    case = a_case(name, dtype)
    want, X = case.forward(), case.X.copy()
    X[3, COLUMN_AT + 2] = np.nan
    got = case.forward(X)
    of_column = np.isnan(case.naive(X=X)[3])
    assert of_column.any()
    np.testing.assert_array_equal(np.isnan(got[3]), of_column)
    np.testing.assert_array_equal(got[3, ~of_column], want[3, ~of_column])
    np.testing.assert_array_equal(np.delete(got, 3, axis=0), np.delete(want, 3, axis=0))
    if name in ENCODERS_BACK:
        assert np.isnan(case.backward(X)).any()


@each_dtype
@each_encoder_with_parameters
def test_the_gradient_is_set_or_added_to(name, dtype):
    case = a_case(name, dtype)
    case.forward()
    alone, start = case.backward(), np.linspace(-1, 1, case.n_params).astype(dtype)
    np.testing.assert_allclose(case.backward(start=start), start + alone, rtol=1e-5, atol=tolerance(dtype))
    np.testing.assert_array_equal(case.backward(), alone)


@each_dtype
@each_encoder
def test_predictions_save_nothing(name, dtype):
    case = a_case(name, dtype)
    np.testing.assert_array_equal(case.forward(saved=np.empty((0, case.saved.shape[1]), dtype)), case.forward())


@each_dtype
def test_bins_of_edges_and_values_outside(dtype):
    case = a_case("piecewise_linear_embedding", dtype, 7)
    for c, edges in enumerate(case.edges):
        inside = edges[: min(edges.size, 5)]
        case.X[: inside.size, COLUMN_AT + c] = inside
        case.X[5:, COLUMN_AT + c] = edges[0] - 2, edges[-1] + 3
    np.testing.assert_allclose(case.forward(), case.naive(), rtol=1e-6, atol=tolerance(dtype))
    encoded = a_case("piecewise_linear", dtype, 7)
    encoded.X[:5, COLUMN_AT] = encoded.edges[0]
    encoded.X[5:, COLUMN_AT : COLUMN_AT + N_COLUMNS] = [[-5], [np.inf]]
    np.testing.assert_allclose(encoded.forward(), encoded.naive(), rtol=1e-6, atol=tolerance(dtype))
    np.testing.assert_array_equal(encoded.forward()[5], -encoded.means)
    np.testing.assert_array_equal(encoded.forward()[6], 1 - encoded.means)
