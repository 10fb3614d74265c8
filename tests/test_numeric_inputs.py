"""The preparation of numbers and codes for RealMLP and TabM, compared with scikit-learn and with RealMLP's formulas."""

import pickle

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer, RobustScaler

from fastbp._data.numeric_inputs import QuantileInputs, RobustInputs, bin_edges, centered_bins, clip_smoothly
from fastbp._files.values import Decoder, Encoder

NO_CODES = np.empty(0, np.int64)


def without_codes(numeric):
    return np.empty((len(numeric), 0), np.int32)


def naive_robust(column):
    """One column as RealMLP prepares it: median centering, scaling by quartiles and smooth clipping."""
    column = column - np.quantile(column, 0.5)
    width = np.quantile(column, 0.75) - np.quantile(column, 0.25)
    if width == 0:
        width = (column.max() - column.min()) / 2
    column = column / width if width else column * 0
    return column / np.sqrt(1 + (column / 3) ** 2)


def naive_one_hot(codes, n_codes):
    """One column of codes as RealMLP's one-hot columns, before the scaling; code 0 has zeros."""
    if n_codes == 2:
        return np.array([0.0, 1.0, -1.0])[codes][:, None]
    return np.stack([codes == code for code in range(1, n_codes + 1)], axis=1).astype(float)


def example(n_rows=500, dtype=np.float64):
    random_state = np.random.RandomState(0)
    numeric = random_state.randn(n_rows, 4).astype(dtype)
    numeric[:, 1] = np.exp(3 * numeric[:, 1])
    numeric[:, 2] = numeric[:, 2] > 1.5  # the quartiles are equal
    numeric[:, 3] = 7
    n_codes = np.array([1, 2, 3, 12])
    codes = np.stack([random_state.randint(0, n + 1, n_rows) for n in n_codes], axis=1).astype(np.int32)
    return numeric, codes, n_codes, np.arange(4)


# ---------------------------------------------------------------------- RealMLP


def expanded(inputs, X):
    """The inputs of the network for the columns X: codes of one-hot columns are replaced by the numbers in their tables."""
    columns = list(X.T[:, :, None])
    for at, table in inputs.wide_tables:
        columns[at] = np.where(X[:, [at]] == np.arange(1, table.shape[1] + 1), table[1], table[0])
    return np.hstack(columns)


def test_robust_inputs_agree_with_formulas_on_whole_columns():
    numeric, codes, n_codes, sources = example()
    inputs = RobustInputs.learned(numeric, codes, n_codes, sources)
    one_hot = np.hstack([naive_one_hot(codes[:, j], n) for j, n in enumerate(n_codes)])
    expected = np.apply_along_axis(naive_robust, 0, np.hstack([numeric, one_hot]))
    X = inputs.transform(numeric, codes)
    np.testing.assert_allclose(expanded(inputs, X), expected, rtol=1e-12, atol=1e-14)
    assert inputs.n_outputs == X.shape[1] == 8
    assert [at for at, _ in inputs.wide_tables] == [6, 7]
    np.testing.assert_array_equal(X[:, 6:], codes[:, 2:])
    with_codes = inputs.transform(numeric, codes, np.array([3, 0]))
    np.testing.assert_array_equal(with_codes, np.hstack([X, codes[:, [3, 0]]]))
    assert not expected[:, 3].any()


def test_robust_inputs_agree_with_scikit_learn():
    numeric, codes, n_codes, sources = example()
    numeric = numeric[:, :2]
    scaled = RobustScaler().fit_transform(numeric)
    encoder = OneHotEncoder(categories=[range(1, 4)], handle_unknown="ignore", sparse_output=False)
    is_on = encoder.fit_transform(codes[:, [2]]) > 0
    inputs = RobustInputs.learned(numeric, codes[:, [2]], n_codes[[2]], sources[:2])
    outputs = expanded(inputs, inputs.transform(numeric, codes[:, [2]]))
    np.testing.assert_allclose(outputs[:, :2], scaled / np.sqrt(1 + (scaled / 3) ** 2), rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(outputs[:, 2:] > outputs[codes[:, 2] == 0][0, 2:], is_on)


@settings(max_examples=20)
@given(counts=st.lists(st.integers(0, 40), min_size=2, max_size=6).filter(any))
def test_one_hot_columns_agree_with_scaled_columns_for_all_counts(counts):
    codes = np.repeat(np.arange(len(counts)), counts)[:, None].astype(np.int32)
    n_codes = np.array([len(counts) - 1])
    inputs, numeric = RobustInputs.learned(np.empty((len(codes), 0)), codes, n_codes, NO_CODES), np.empty((len(codes), 0))
    outputs = expanded(inputs, inputs.transform(numeric, codes))
    expected = np.apply_along_axis(naive_robust, 0, naive_one_hot(codes[:, 0], n_codes[0]))
    np.testing.assert_allclose(outputs, expected, rtol=1e-13, atol=1e-15)


@settings(max_examples=20)
@given(arrays(np.float64, st.tuples(st.integers(1, 30), st.just(1)), elements=st.floats(-1e6, 1e6).map(lambda x: round(x, 3))))
def test_scaling_agrees_with_the_formula_for_all_columns(numeric):
    outputs = RobustInputs.learned(numeric, without_codes(numeric), NO_CODES, [0]).transform(numeric, without_codes(numeric))
    np.testing.assert_allclose(outputs[:, 0], naive_robust(numeric[:, 0]), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("limit", "one_hot", "embedded"), [(None, [0, 1, 2, 3], []), (9, [0, 1, 2], [3]), (2, [0], [1, 2, 3])])
def test_only_small_columns_become_one_hot_columns(limit, one_hot, embedded):
    inputs = RobustInputs.learned(*example(), max_one_hot_size=limit)
    assert inputs.one_hot.columns.tolist() == one_hot
    assert inputs.embedded(4).tolist() == embedded


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_missing_numbers_become_medians_with_indicators(dtype):
    numeric, _, _, _ = example(dtype=dtype)
    numeric[:100, 1] = np.nan
    numeric[:, 2] = numeric[:, 1] ** 2  # missing in the same rows and computed from the same column of a table
    numeric[:, 3] = np.nan
    codes = without_codes(numeric)
    inputs = RobustInputs.learned(numeric, codes, NO_CODES, [0, 1, 1, 2])
    outputs = inputs.transform(numeric, codes)
    assert outputs.dtype == dtype
    assert outputs.shape == (500, 5)
    assert not outputs[:100, 1:3].any()
    assert not outputs[:, 3].any()
    np.testing.assert_allclose(outputs[100:, 1], naive_robust(numeric[100:, 1].astype(float)), rtol=1e-5, atol=1e-6)
    indicator = naive_robust(np.isnan(numeric[:, 1]).astype(float))
    np.testing.assert_allclose(outputs[:, 4], 0.25 * indicator, rtol=1e-6)
    assert len(np.unique(outputs[:, 4])) == 2
    new = inputs.transform(np.array([[np.nan, 1, 2, 3]], dtype), codes[:1])  # missing only in the new row
    assert new[0, 0] == 0
    assert np.isfinite(new).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_smooth_clipping_does_not_overflow(dtype):
    large = np.finfo(dtype).max
    values = np.array([0, 1, -3, 1e5, 1e9, 1e15, large, -large], dtype)
    expected = values.astype(np.longdouble) / np.sqrt(1 + (values.astype(np.longdouble) / 3) ** 2)
    clip_smoothly(values)
    np.testing.assert_allclose(values, expected.astype(float), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_columns_of_extreme_scales_are_finite(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    large = np.finfo(dtype).max / 4
    numeric = np.array([[0, 0, -large], [tiny, 0, 0], [2 * tiny, 0, large], [3 * tiny, tiny, 1]], dtype)
    outputs = RobustInputs.learned(numeric, without_codes(numeric), NO_CODES, np.arange(3)).transform(
        numeric, without_codes(numeric)
    )
    assert np.isfinite(outputs).all()
    assert np.abs(outputs).max() <= 3


def test_ten_thousand_one_hot_columns_have_small_tables():
    codes = np.arange(1, 10_001, dtype=np.int32)[:, None]
    numeric = np.empty((10_000, 0))
    inputs = RobustInputs.learned(numeric, codes, np.array([10_000]), NO_CODES)
    assert sum(table.nbytes for table in inputs.one_hot.tables) <= 16 * 10_000
    outputs = expanded(inputs, inputs.transform(numeric[:3], codes[:3]))
    assert outputs.shape == (3, 10_000)
    np.testing.assert_allclose(outputs[:, :3], np.eye(3) * 2 / np.sqrt(1 + 4 / 9))


def test_blocks_of_rows_do_not_change_the_result(monkeypatch):
    numeric, codes, n_codes, sources = example(40)
    numeric[::7, 0] = np.nan
    for kind in (RobustInputs, QuantileInputs):
        inputs = kind.learned(numeric, codes, n_codes, sources)
        expected = inputs.transform(numeric, codes)
        monkeypatch.setattr("fastbp._data.numeric_inputs._BLOCK_SIZE", 100)
        np.testing.assert_array_equal(inputs.transform(numeric, codes), expected)
        monkeypatch.undo()


# ---------------------------------------------------------------------- TabM


@pytest.mark.parametrize("n_rows", [5, 200, 900])
def test_quantile_inputs_agree_with_scikit_learn(n_rows):
    numeric, codes, n_codes, sources = example(n_rows)
    inputs = QuantileInputs.learned(numeric, codes, n_codes, sources, seed=3)
    noise = 1e-3 / np.maximum(numeric.std(axis=0), 1e-3) * np.random.default_rng(3).standard_normal(numeric.shape)
    n_quantiles = min(n_rows, max(min(n_rows // 30, 1000), 10))
    transformer = QuantileTransformer(n_quantiles=n_quantiles, output_distribution="normal", subsample=10**9)
    expected = transformer.fit(numeric + noise).transform(numeric)
    kept = [j for j in range(4) if len(np.unique(expected[:, j])) > 1]
    outputs = inputs.transform(numeric, codes)
    np.testing.assert_allclose(outputs[:, : len(kept)], expected[:, kept], rtol=1e-12, atol=1e-12)
    encoder = OneHotEncoder(categories=[range(n + 1) for n in n_codes], sparse_output=False)
    np.testing.assert_array_equal(outputs[:, len(kept) :], encoder.fit_transform(codes))


def test_quantile_inputs_with_missing_numbers():
    numeric, codes, n_codes, sources = example()
    numeric[:50, 0] = np.nan
    numeric[:, 3] = np.nan
    inputs = QuantileInputs.learned(numeric, codes, n_codes, sources)
    outputs = inputs.transform(numeric, codes)
    assert inputs.kept.tolist() == [0, 1, 2]
    np.testing.assert_allclose(outputs[:50, 0], 0, atol=0.2)  # the median
    np.testing.assert_array_equal(outputs[:, 3], 0.25 * np.isnan(numeric[:, 0]))
    assert np.isfinite(outputs).all()


def test_quantile_inputs_without_numbers():
    _, codes, n_codes, _ = example()
    outputs = QuantileInputs.learned(np.empty((500, 0)), codes, n_codes, NO_CODES).transform(np.empty((500, 0)), codes)
    assert outputs.shape == (500, 22)


# ---------------------------------------------------------------------- bins


@settings(max_examples=20)
@given(
    arrays(np.float64, st.tuples(st.integers(5, 60), st.integers(1, 3)), elements=st.integers(-9, 9).map(float)), st.integers(2, 4)
)
def test_bin_edges_are_the_different_quantiles(numbers, n_bins):
    for column, edges in zip(numbers.T, bin_edges(numbers, n_bins), strict=True):
        expected = sorted({float(np.quantile(column, n / n_bins)) for n in range(n_bins + 1)})
        np.testing.assert_allclose(edges, expected, atol=1e-12)
        assert (edges[0], edges[-1]) == (column.min(), column.max())


def test_bin_edges_of_float32():
    assert bin_edges(np.arange(100, dtype=np.float32)[:, None])[0].dtype == np.float32


def test_bin_edges_of_float32_are_different():
    """The quantiles between two neighboring numbers of float32 are rounded to one of them."""
    low, high = np.float32(1), np.nextafter(np.float32(1), np.float32(2))
    (edges,) = bin_edges(np.repeat([low, high], [24, 26])[:, None], 48)
    assert edges.tolist() == [low, high]


@pytest.mark.parametrize("n_bins", [1, 10])
def test_wrong_number_of_bins(n_bins):
    with pytest.raises(ValueError, match=f"less than the number of rows, got n_bins={n_bins} and 10 rows. Use fewer bins"):
        bin_edges(np.ones((10, 1)), n_bins)


def test_columns_with_one_bin_have_one_of_the_centered_bins():
    numbers = np.column_stack([np.arange(41.0), np.arange(41) < 25, np.ones(41), np.arange(41) ** 2.0])
    edges, means = centered_bins(numbers, 4)
    assert [len(one) for one in edges] == [5, 1, 1, 5]
    assert [len(one) for one in means] == [4, 0, 0, 4]
    np.testing.assert_array_equal(edges[3], bin_edges(numbers, 4)[3])
    np.testing.assert_allclose(means[0], [5.5 + 30, 5.5 + 20, 5.5 + 10, 5.5] / np.float64(41))
    assert centered_bins(numbers[:, 1:3], 4) == centered_bins(numbers[:, :0], 4) == ((), ())


def test_number_of_centered_bins_is_limited():
    def n_bins(*arguments):
        return [len(one) for one in centered_bins(*arguments)[1]]

    numbers = np.random.default_rng(0).normal(size=(100, 200))
    assert n_bins(numbers, 16) == [2] * 200
    assert n_bins(numbers[:, :60], 16) == [8] * 60
    assert n_bins(numbers[:, :2], 1000) == [99] * 2  # fewer bins than rows
    assert n_bins(numbers[:3, :2], 16) == [2, 2]
    assert n_bins(numbers[:2], 16) == n_bins(numbers[:1], 16) == []


# ---------------------------------------------------------------------- state


@pytest.mark.parametrize("kind", [RobustInputs, QuantileInputs])
def test_the_state_survives_files_and_pickles(kind):
    numeric, codes, n_codes, sources = example()
    numeric[::5, 0] = np.nan
    inputs = kind.learned(numeric, codes, n_codes, sources)
    expected = inputs.transform(numeric, codes)
    encoder = Encoder()
    tree = encoder.encode(inputs.to_plain(), "inputs")
    for copy in (kind.from_plain(Decoder(encoder.tensors).decode(tree)), pickle.loads(pickle.dumps(inputs))):
        np.testing.assert_array_equal(copy.transform(numeric, codes), expected)
        np.testing.assert_equal(copy.wide_tables, inputs.wide_tables)
