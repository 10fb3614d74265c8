"""The piecewise-linear encoding of numbers."""

import numpy as np
import pytest

from fastbp._data.numeric_inputs import RobustInputs
from fastbp._data.pieces import Pieces


def encoded(pieces, numeric):
    out = np.full((len(numeric), pieces.n_outputs), np.nan)
    pieces.write(numeric, out)
    return out


def test_columns_are_parts_of_the_number():
    numeric = np.random.default_rng(0).normal(size=(400, 3))
    pieces = Pieces.learned(numeric, np.median(numeric, axis=0), 8)
    values = encoded(pieces, numeric)
    assert pieces.widths.tolist() == [8, 8, 8]
    assert np.abs(values.mean(axis=0)).max() < 1e-12
    raw = values + pieces.means
    assert raw.min() == 0
    assert raw.max() == 1
    for j, edges in enumerate(pieces.edges):  # the number is a linear function of its columns
        np.testing.assert_allclose(edges[0] + raw[:, 8 * j : 8 * j + 8] @ np.diff(edges), numeric[:, j], atol=1e-12)


def test_missing_infinite_and_constant_numbers():
    numeric = np.array([[0.0, 1, 0, np.nan], [1, 1, 1, np.nan], [2, 1, 0, np.nan], [3, 1, 1, np.nan], [np.nan, 1, 0, np.nan]])
    pieces = Pieces.learned(numeric, np.array([1.5, 1, 0, 0]), 4)
    assert pieces.columns.tolist() == [0]
    new = np.array([[np.nan, 1, 1, 1], [1.5, 1, 1, 1], [np.inf, 1, 1, 1], [-np.inf, 1, 1, 1]])
    values = encoded(pieces, new) + pieces.means
    np.testing.assert_array_equal(values[0], values[1])
    np.testing.assert_allclose(values[2:], [[1, 1, 1, 1], [0, 0, 0, 0]])


def test_number_of_columns_is_limited():
    numeric = np.random.default_rng(0).normal(size=(100, 200))
    assert Pieces.learned(numeric, np.zeros(200), 16).n_outputs == 400


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_robust_inputs_with_pieces(dtype):
    rng = np.random.default_rng(0)
    numeric, codes = rng.normal(size=(300, 2)).astype(dtype), rng.integers(0, 4, (300, 1))
    numeric[::7, 1] = np.nan
    rows = numeric, codes, np.array([3]), np.arange(2)
    plain, inputs = RobustInputs.learned(*rows), RobustInputs.learned(*rows, n_bins=4)
    X = inputs.transform(numeric, codes)
    assert X.shape == (300, inputs.n_outputs) == (300, plain.n_outputs + 8)
    assert X.dtype == dtype
    assert np.isfinite(X).all()
    np.testing.assert_array_equal(X[:, : plain.n_outputs], plain.transform(numeric, codes))
    np.testing.assert_array_equal(RobustInputs.from_plain(inputs.to_plain()).transform(numeric, codes), X)
