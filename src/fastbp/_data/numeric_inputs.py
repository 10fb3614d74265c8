"""Inputs of a network from numbers and category codes: scaling, missing values and one-hot columns, learned from the training rows.

A float matrix with NaN and a matrix of codes go in, as ``ColumnReader.encode`` returns them. A float matrix without NaN comes out:
numbers, then indicators of missing numbers, then one-hot columns, or codes from which a network computes them. ``RobustInputs`` is
the preparation of RealMLP, and ``QuantileInputs`` that of TabM. This module does not know about tables and networks.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sklearn.preprocessing import QuantileTransformer

SMOOTH_LIMIT = 3.0  # the limit of the smooth clipping
LARGEST_INPUT = 1e9  # larger values have the same clipped value, in both dtypes, and their squares do not overflow
_BLOCK_SIZE = 1 << 18  # so many elements are prepared at a time, which limits the size of temporary arrays
# Indicators of missing numbers are small, because they add noise if numbers are missing at random. With the factors 1, 0.5, 0.25
# and 0, the geometric mean of the errors of networks of 128-128 units on 5 tables with missing numbers was 1.03, 0.98, 0.94 and 1.
_INDICATOR_SCALE = 0.25
_NO_COLUMNS = np.empty(0, np.int64)
_MIN_QUANTILES, _MAX_QUANTILES, _ROWS_PER_QUANTILE = 10, 1000, 30
_MAX_BINS = 512  # of all numbers together in `centered_bins`, which limits the size of the first layer


@dataclass(frozen=True)
class CodeTables:
    """Columns of codes that are replaced by numbers.

    ``tables[n]`` belongs to column ``columns[n]``. A table of shape (n_values, 1) replaces code c by the number in row c. A wider
    table has two rows: the first has the numbers of all columns but column c − ``first_code``, whose number is in the second row.
    """

    columns: np.ndarray
    tables: tuple[np.ndarray, ...]
    first_code: int = 1

    @property
    def widths(self):
        """The numbers of columns (n_tables,) of the tables."""
        return np.array([table.shape[1] for table in self.tables], np.int64)

    @property
    def filled(self):
        """The columns and tables with at least one output, as a list of pairs."""
        return [(j, table) for j, table in zip(self.columns, self.tables, strict=True) if table.shape[1]]

    def write(self, codes, out):
        """Write the numbers for the codes (n_rows, n_columns) to ``out`` (n_rows, sum of the widths)."""
        start = 0
        for j, table in zip(self.columns, self.tables, strict=True):
            end = start + table.shape[1]
            self._write_table(codes[:, j], table, out[:, start:end])
            start = end

    def write_codes(self, codes, out):
        """Do the same, but write the codes of wide tables instead of their numbers: one column of ``out`` for each filled table."""
        for n, (j, table) in enumerate(self.filled):
            out[:, n] = table[codes[:, j], 0] if table.shape[1] == 1 else codes[:, j]

    def _write_table(self, codes, table, out):
        if table.shape[1] == 1:
            out[:] = table[codes]
            return
        out[:] = table[0]
        rows = np.flatnonzero(codes >= self.first_code)
        places = codes[rows] - self.first_code
        out[rows, places] = table[1, places]

    def to_plain(self):
        return {"columns": self.columns, "tables": list(self.tables)}

    @classmethod
    def from_plain(cls, plain):
        return cls(plain["columns"], tuple(plain["tables"]))


@dataclass(frozen=True)
class _Inputs(ABC):
    """The parts that both preparations have: the missing numbers and the one-hot columns.

    ``medians`` (n_numeric,) replace missing numbers. ``indicators`` are the numbers of the numeric columns that have an indicator,
    and ``indicator_tables`` has a table of two rows for each of them: for present and for missing numbers.
    """

    medians: np.ndarray
    indicators: CodeTables
    one_hot: CodeTables

    @property
    def n_numbers(self):
        """The number of outputs that are numbers; indicators and one-hot columns follow."""
        return len(self.medians)

    @property
    def n_outputs(self):
        """The number of columns of the result of ``transform``."""
        return self._n_single + self._n_coded

    @property
    def _n_single(self):
        return self.n_numbers + len(self.indicators.columns)

    @property
    @abstractmethod
    def _n_coded(self):
        """The number of outputs for the columns of codes."""

    @property
    def wide_tables(self):
        """The outputs that are codes: a tuple of the number of the output, and the table of `CodeTables` with two rows."""
        return ()

    @abstractmethod
    def _write_coded(self, codes, out):
        """Write the outputs for the codes (n_rows, n_categorical)."""

    @abstractmethod
    def _write_numbers(self, numbers, is_missing, out):
        """Write the prepared ``numbers`` (n_rows, n_numeric) to ``out`` (n_rows, n_numbers)."""

    def transform(self, numeric, codes, embedded=_NO_COLUMNS):
        """The inputs of the network, of shape (n_rows, n_outputs + n_embedded) and the dtype of ``numeric``.

        Parameters
        ----------
        numeric : array of shape (n_rows, n_numeric), of float32 or float64, with NaN for missing values
        codes : array of shape (n_rows, n_categorical)
        embedded : array of shape (n_embedded,), default=[]
            The numbers of columns of codes that follow the outputs without a change.
        """
        n_outputs = self.n_outputs
        out = np.empty((len(numeric), n_outputs + len(embedded)), numeric.dtype)
        n_rows, n_single = max(1, _BLOCK_SIZE // max(1, n_outputs)), self._n_single
        for start in range(0, len(numeric), n_rows):
            rows = slice(start, start + n_rows)
            is_missing = np.isnan(numeric[rows])
            self._write_numbers(numeric[rows], is_missing, out[rows, : self.n_numbers])
            self.indicators.write(is_missing.view(np.int8), out[rows, self.n_numbers : n_single])
            self._write_coded(codes[rows], out[rows, n_single:n_outputs])
            out[rows, n_outputs:] = codes[rows][:, embedded]
        return out


@dataclass(frozen=True)
class RobustInputs(_Inputs):
    """The preparation of RealMLP: median centering, robust scaling and smooth clipping, also of one-hot columns.

    A number x becomes v / √(1 + (v/3)²) with v = f (x − median). The factor f is 1 / (q75 − q25); if both quartiles are equal, it
    is 2 / (max − min), and 0 for a constant column (Holzmüller, Grinsztajn and Steinwart, 2024, "Better by default"). A missing
    number becomes 0, the value of the median. A column with missing numbers in the training rows has an indicator of 0 and 1, which
    is scaled like a one-hot column and then multiplied by 0.25. A categorical column has one output: a number if it has at most two
    codes, otherwise the code, from which the network computes the one-hot columns of ``wide_tables``.
    """

    factors: np.ndarray

    @classmethod
    def learned(cls, numeric, codes, n_codes, sources, max_one_hot_size=None):
        """The preparation of the training rows.

        Parameters
        ----------
        numeric : array of shape (n_rows, n_numeric), with NaN for missing values
        codes : array of shape (n_rows, n_categorical)
        n_codes : array of shape (n_categorical,)
            The numbers of codes without code 0.
        sources : array of shape (n_numeric,)
            Numeric columns with the same number are missing in the same rows, and have one indicator (``numeric_sources``).
        max_one_hot_size : int, default=None
            Only columns with at most so many codes, including 0, become one-hot columns: 9 in RealMLP-TD. None means all columns,
            as in RealMLP-TD-S. The others are in ``embedded``.
        """
        statistics = np.array([median_and_factor(column) for column in numeric.T], numeric.dtype).reshape(-1, 2)
        limit = np.inf if max_one_hot_size is None else max_one_hot_size
        columns = np.flatnonzero(np.asarray(n_codes) + 1 <= limit)
        tables = tuple(_scaled_one_hot(np.bincount(codes[:, j], minlength=n_codes[j] + 1)) for j in columns)
        indicators = _indicators(numeric, sources, _scaled_values)
        return cls(statistics[:, 0].copy(), indicators, CodeTables(columns, tables), statistics[:, 1].copy())

    @property
    def _n_coded(self):
        return len(self.one_hot.filled)

    @property
    def wide_tables(self):
        return tuple((self._n_single + n, table) for n, (_, table) in enumerate(self.one_hot.filled) if table.shape[1] > 1)

    def _write_coded(self, codes, out):
        self.one_hot.write_codes(codes, out)

    def embedded(self, n_categorical):
        """The numbers of the categorical columns that are not one-hot columns, whose codes need embeddings."""
        return np.setdiff1d(np.arange(n_categorical), self.one_hot.columns)

    def _write_numbers(self, numbers, is_missing, out):
        with np.errstate(over="ignore"):  # infinite values are clipped
            np.subtract(numbers, self.medians, out=out)
            out *= self.factors
        out[is_missing] = 0
        clip_smoothly(out)

    def to_plain(self):
        """The learned state as a dict of plain values and arrays."""
        tables = {"indicators": self.indicators.to_plain(), "one_hot": self.one_hot.to_plain()}
        return {"medians": self.medians, **tables, "factors": self.factors}

    @classmethod
    def from_plain(cls, plain):
        """The preparation in the result of ``to_plain``."""
        indicators, one_hot = CodeTables.from_plain(plain["indicators"]), CodeTables.from_plain(plain["one_hot"])
        return cls(plain["medians"], indicators, one_hot, plain["factors"])


@dataclass(frozen=True)
class QuantileInputs(_Inputs):
    """The preparation of TabM: quantiles of the training rows are mapped to those of the normal distribution.

    The transformation is scikit-learn's ``QuantileTransformer``, learned from the training rows plus a little noise, which
    separates equal values (Gorishniy et al., 2024, "TabR"). A missing number becomes the median, and a column with missing numbers
    in the training rows has an indicator of 0 and 0.25. Numbers that are constant in the training rows are left out. One-hot
    columns are 0 and 1, and the first column of a group belongs to code 0, as in pytabkit's TabM.
    """

    kept: np.ndarray
    quantiles: np.ndarray

    @classmethod
    def learned(cls, numeric, codes, n_codes, sources, seed=0, noise=1e-3):
        """The preparation of the training rows; ``seed`` is the seed of the noise, and the arrays are as in ``RobustInputs``."""
        medians = np.array([median_and_factor(column)[0] for column in numeric.T], numeric.dtype)
        indicators = _indicators(numeric, sources, lambda values, counts: values)
        quantiles = _quantiles(np.where(np.isnan(numeric), medians, numeric), seed, noise)
        result = cls(medians, indicators, _plain_one_hot(n_codes), np.arange(numeric.shape[1]), quantiles)
        numbers = result.transform(numeric, codes)[:, : numeric.shape[1]]
        kept = np.flatnonzero((numbers != numbers[:1]).any(axis=0))
        return cls(medians, indicators, result.one_hot, kept, quantiles)

    @property
    def n_numbers(self):
        return len(self.kept)

    @property
    def _n_coded(self):
        return int(self.one_hot.widths.sum())

    def _write_coded(self, codes, out):
        self.one_hot.write(codes, out)

    def _write_numbers(self, numbers, is_missing, out):
        if len(self.kept):
            present = np.where(is_missing, self.medians, numbers)[:, self.kept]
            with np.errstate(over="ignore", invalid="ignore"):  # scikit-learn adds all numbers to find NaN
                out[:] = _transformer(self.quantiles[:, self.kept]).transform(present)

    def to_plain(self):
        """The learned state as a dict of plain values and arrays."""
        tables = {"indicators": self.indicators.to_plain(), "n_codes": self.one_hot.widths - 1}
        return {"medians": self.medians, **tables, "kept": self.kept, "quantiles": self.quantiles}

    @classmethod
    def from_plain(cls, plain):
        """The preparation in the result of ``to_plain``."""
        indicators, one_hot = CodeTables.from_plain(plain["indicators"]), _plain_one_hot(plain["n_codes"])
        return cls(plain["medians"], indicators, one_hot, plain["kept"], plain["quantiles"])


def clip_smoothly(values):
    """Replace each element v of an array of floats by v / √(1 + (v/3)²), which is between −3 and 3."""
    np.clip(values, -LARGEST_INPUT, LARGEST_INPUT, out=values)
    squares = values / SMOOTH_LIMIT
    squares *= squares
    squares += 1
    values /= np.sqrt(squares, out=squares)


def bin_edges(numbers, n_bins=48):
    """The edges of the bins of a piecewise-linear encoding: a list of sorted arrays, one for each column of ``numbers``.

    The edges are the different values among the quantiles 0, 1/n_bins, …, 1 of the training rows (Gorishniy, Rubachev and Babenko,
    2022, "On embeddings for numerical features"). A column must have at least two different values, so that it has two edges.
    """
    if not 1 < n_bins < len(numbers):
        raise ValueError(
            f"n_bins must be more than 1 and less than the number of rows, got n_bins={n_bins} and {len(numbers)} rows. "
            "Use fewer bins."
        )
    shares = np.linspace(0, 1, n_bins + 1)
    # different quantiles can be equal after the conversion, and a bin without a width would divide by 0
    return [np.unique(np.quantile(column, shares).astype(numbers.dtype)) for column in numbers.T]


def centered_bins(numbers, n_bins):
    """The edges of ``bin_edges``, and the means of the encoding of the rows, which is limited to [0, 1]: two tuples of arrays.

    A column that would have one bin has one edge and no mean, because its encoding is a linear function. All columns together have
    at most 512 bins, or two bins each. The tuples are empty if no column has bins.
    """
    n_bins = min(max(2, min(n_bins, _MAX_BINS // max(1, numbers.shape[1]))), len(numbers) - 1)
    edges = bin_edges(numbers, n_bins) if n_bins > 1 else []
    if all(len(one) <= 2 for one in edges):
        return (), ()
    edges = tuple(one if len(one) > 2 else one[:1] for one in edges)
    return edges, tuple(_means_of_encoding(column, one) for column, one in zip(numbers.T, edges, strict=True))


def _means_of_encoding(column, edges):
    shares = (((column - low) / (high - low)).clip(0, 1) for low, high in pairwise(edges))
    return np.array([share.mean(dtype=np.float64) for share in shares])


def median_and_factor(column):
    """The median and the factor f of ``RobustInputs`` for the numbers in an array (n_rows,)."""
    present = column[~np.isnan(column)]
    if len(present) == 0:
        return 0.0, 0.0
    with np.errstate(over="ignore"):
        low, median, high = np.quantile(present, [0.25, 0.5, 0.75])
        return median, _factor(high - low, present.max() - present.min())


def _factor(quartile_range, value_range):
    """1 / ``quartile_range``, or 2 / ``value_range``, or 0; a range counts as 0 if its inverse is too large for its dtype."""
    smallest = 4 / np.finfo(value_range.dtype).max
    for width, numerator in ((quartile_range, 1.0), (value_range, 2.0)):
        if width > smallest:
            return numerator / width
    return 0.0


def _plain_one_hot(n_codes):
    """One-hot columns of 0 and 1 for the codes 0 to n of each column."""
    tables = (np.stack([np.zeros(n + 1), np.ones(n + 1)]) for n in n_codes)
    return CodeTables(np.arange(len(n_codes)), tuple(tables), first_code=0)


def _scaled_one_hot(counts):
    """The table of one-hot columns for the codes 1, 2, …, scaled and clipped; ``counts`` are those of all codes, including 0.

    Two codes have one column of 1 and −1, and 0 for code 0. Otherwise, each code has a column, and code 0 has zeros in all of them.
    """
    if len(counts) == 3:
        return _scaled_values(np.array([[0.0], [1.0], [-1.0]]), counts)
    n_rows, n_ones = counts.sum(), counts[1:]
    # the quantiles of a column that has zeros and then ones
    low, median, high = (np.clip((n_rows - 1) * q - (n_rows - n_ones - 1), 0, 1) for q in (0.25, 0.5, 0.75))
    is_varying = (n_ones > 0) & (n_ones < n_rows)
    factors = np.where(high > low, 1 / np.where(high > low, high - low, 1), np.where(is_varying, 2.0, 0.0))
    table = np.stack([-median * factors, (1 - median) * factors])
    clip_smoothly(table)
    return table


def _scaled_values(values, counts):
    """The column ``values`` (n_values, 1), scaled and clipped; the training rows have each of them ``counts`` (n_values,) times."""
    median, factor = median_and_factor(np.repeat(values[:, 0], counts))
    scaled = (values - median) * factor
    clip_smoothly(scaled)
    return scaled


def _indicators(numeric, sources, table_of):
    """The indicators of the columns with missing numbers in the training rows, one for each source, unless all are missing."""
    n_missing = np.isnan(numeric).sum(axis=0)
    is_varying = (n_missing > 0) & (n_missing < len(numeric))
    _, first = np.unique(sources, return_index=True)
    columns = first[is_varying[first]]
    values = np.array([[0.0], [1.0]])
    counts = (np.array([len(numeric) - n, n]) for n in n_missing[columns])
    return CodeTables(columns, tuple(_INDICATOR_SCALE * table_of(values, one) for one in counts))


def _quantiles(numbers, seed, noise):
    """The quantiles (n_quantiles, n_numeric) of a matrix plus noise, whose standard deviation is noise / max(std, noise)."""
    n_rows = len(numbers)
    n_quantiles = min(n_rows, max(_MIN_QUANTILES, min(n_rows // _ROWS_PER_QUANTILE, _MAX_QUANTILES)))
    if numbers.shape[1] == 0:
        return np.empty((n_quantiles, 0))
    if noise > 0:
        with np.errstate(over="ignore", invalid="ignore"):  # very large numbers have no noise
            scale = np.nan_to_num(noise / np.maximum(numbers.std(axis=0), noise))
        numbers = numbers + scale * np.random.default_rng(seed).standard_normal(numbers.shape)
    transformer = QuantileTransformer(n_quantiles=n_quantiles, output_distribution="normal", subsample=None)
    with np.errstate(over="ignore", invalid="ignore"):
        return transformer.fit(numbers).quantiles_


def _transformer(quantiles):
    """A fitted transformer with these quantiles."""
    transformer = QuantileTransformer(n_quantiles=len(quantiles), output_distribution="normal", subsample=None)
    transformer.n_features_in_, transformer.n_quantiles_ = quantiles.shape[1], len(quantiles)
    transformer.quantiles_, transformer.references_ = quantiles, np.linspace(0, 1, len(quantiles))
    return transformer.set_output(transform="default")
