"""Piecewise-linear encoding of numbers: several columns for each number, which are linear between two quantiles.

A float matrix goes in; a float matrix with more columns comes out. This module does not know about tables and networks.
"""

from dataclasses import dataclass

import numpy as np

_MAX_PIECES = 512  # of all numbers together, which limits the size of the first layer


@dataclass(frozen=True)
class Pieces:
    """The piecewise-linear encoding of the columns of a matrix of numbers.

    The column j with the edges e₀ < e₁ < … becomes one column for each k: (x − eₖ) / (eₖ₊₁ − eₖ), limited to the range from 0 to 1,
    minus the mean of the training rows (Gorishniy, Rubachev and Babenko, 2022, "On embeddings for numerical features", without
    targets). The edges are the different values among equally spaced quantiles of the training rows. A column with only two edges
    is left out, because its encoding is a linear function of x. ``medians`` (n_numeric,) replace missing numbers.
    """

    columns: np.ndarray
    edges: tuple[np.ndarray, ...]
    means: np.ndarray
    medians: np.ndarray

    @classmethod
    def learned(cls, numeric, medians, n_bins):
        """The encoding of the training rows (n_rows, n_numeric) with NaN, with at most ``n_bins`` columns for each number."""
        n_bins = max(2, min(n_bins, _MAX_PIECES // max(1, numeric.shape[1])))
        levels, columns, edges = np.linspace(0, 1, n_bins + 1), [], []
        for j, column in enumerate(numeric.T):
            present = column[np.isfinite(column)].astype(np.float64)
            of_column = np.unique(np.quantile(present, levels)) if len(present) else np.zeros(1)
            if len(of_column) > 2 and np.isfinite(np.diff(of_column)).all():
                columns.append(j)
                edges.append(of_column)
        widths = sum(len(of_column) - 1 for of_column in edges)
        pieces = cls(np.array(columns, np.int64), tuple(edges), np.zeros(widths), medians)
        out = np.empty((len(numeric), widths), numeric.dtype)
        pieces.write(numeric, out)
        return cls(pieces.columns, pieces.edges, out.mean(axis=0, dtype=np.float64), medians)

    @property
    def n_outputs(self):
        """The number of columns of the encoding."""
        return len(self.means)

    @property
    def widths(self):
        """The numbers of columns (n_encoded,) of the encoded numbers."""
        return np.array([len(edges) - 1 for edges in self.edges], np.int64)

    def write(self, numeric, out):
        """Write the encoding of the numbers (n_rows, n_numeric), with NaN, to ``out`` (n_rows, n_outputs)."""
        start = 0
        for j, edges in zip(self.columns, self.edges, strict=True):
            end = start + len(edges) - 1
            x = np.where(np.isnan(numeric[:, j]), self.medians[j], numeric[:, j])[:, None].astype(np.float64)
            out[:, start:end] = np.clip((x - edges[:-1]) / np.diff(edges), 0, 1) - self.means[start:end]
            start = end

    def to_plain(self):
        """The encoding as a dict of plain values and arrays."""
        return {"columns": self.columns, "edges": list(self.edges), "means": self.means, "medians": self.medians}

    @classmethod
    def from_plain(cls, plain):
        """The encoding in the result of ``to_plain``."""
        return cls(plain["columns"], tuple(plain["edges"]), plain["means"], plain["medians"])
