"""Descriptions of the encoders, which compute the inputs of the first dense layer from columns of X.

Numbers of columns and units, and edges of bins, go in; immutable descriptions, the records and constants for kernels, and initial
parameters come out. The formulas, the constants and the order of the parameters are those of `_kernels.lazy.encoders`. This module
does not know what the columns mean.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from .._kernels.lazy.addresses import lazy_address, lazy_functions
from .._kernels.tables import ENCODER
from .layout import aligned_zeros

_MAX_DEVIATION = 3.0  # the frequencies of "plr" and "plr_lite" are at most so many standard deviations


@dataclass(frozen=True)
class ColumnEncoder:
    """A group of adjacent columns of X that are replaced by ``n_out`` inputs.

    ``kind`` is a name in `ENCODERS`. ``n_units`` is the number of frequencies of a column for "pbld", "plr" and "plr_lite", the
    largest number of bins of a column for the piecewise-linear kinds, and the number of codes for "embedding" and "one_hot".
    ``constants`` are the bytes of a float64 array, because the hash of bytes is computed only once. ``frequency_scale`` is the
    standard deviation of the initial frequencies of "plr" and "plr_lite". With ``reads_again``, the columns are those of the
    encoder before it, which has as many.
    """

    kind: str
    n_columns: int
    n_out: int
    n_units: int = 0
    n_params: int = 0
    n_saved: int = 0
    constants: bytes = b""
    frequency_scale: float = 0.0
    reads_again: bool = False

    @property
    def n_new_columns(self):
        """The number of columns that the encoder before it does not read."""
        return 0 if self.reads_again else self.n_columns

    @property
    def n_constants(self):
        """The number of constants."""
        return len(self.constants) // np.dtype(np.float64).itemsize

    @property
    def scratch_size(self):
        """The size of the scratch memory that kernels need, in elements."""
        from .._kernels.lazy.encoders import encoder_scratch_size  # imported on first use, as all lazily compiled functions

        return encoder_scratch_size(self.kind, self.n_units, self.n_out // self.n_columns)

    def initialize(self, params, rng):
        """Set the initial parameters (n_params,), which are drawn from ``rng``."""
        if self.kind == "embedding":
            params[...] = rng.normal(size=self.n_params)
        elif self.kind == "pbld":
            self._initialize_pbld(params, rng)
        elif self.kind in ("plr", "plr_lite"):
            self._initialize_plr(params, rng)
        elif self.kind == "piecewise_linear_embedding":
            bound = (self.n_out // self.n_columns) ** -0.5
            params[: 2 * self.n_out] = rng.uniform(-bound, bound, 2 * self.n_out)
            params[2 * self.n_out :] = 0

    def _initialize_plr(self, params, rng):
        """Draw frequencies from a normal distribution without its tails, and the linear layers as `torch.nn.Linear` does."""
        n_units, tail = self.n_columns * self.n_units, ndtr(-_MAX_DEVIATION)
        params[:n_units] = self.frequency_scale * ndtri(rng.uniform(tail, 1 - tail, n_units))
        bound = (2 * self.n_units) ** -0.5
        params[n_units:] = rng.uniform(-bound, bound, self.n_params - n_units)

    def _initialize_pbld(self, params, rng):
        n_units, n_weighted = self.n_columns * self.n_units, self.n_out - self.n_columns
        bound = self.n_units**-0.5
        parts = [
            0.1 * rng.normal(size=n_units),
            rng.uniform(-np.pi, np.pi, n_units),
            rng.uniform(-bound, bound, n_weighted * self.n_units),
            rng.uniform(-bound, bound, n_weighted),
        ]
        params[...] = np.concatenate(parts)


def copy_encoder(n_columns):
    """Return the encoder that copies columns."""
    return ColumnEncoder("copy", n_columns, n_columns)


def pbld_encoder(n_columns, n_frequencies, n_out=4):
    """Return the encoder of numbers as periodic functions and the number itself, ``n_out`` inputs for each column."""
    n_params = n_columns * (2 * n_frequencies + (n_frequencies + 1) * (n_out - 1))
    return ColumnEncoder("pbld", n_columns, n_columns * n_out, n_frequencies, n_params)


def embedding_encoder(n_codes, n_out):
    """Return the encoder of one column of codes from 0 to n_codes − 1."""
    return ColumnEncoder("embedding", 1, n_out, n_codes, n_codes * n_out)


def one_hot_encoder(n_codes, n_columns=1):
    """Return the encoder of columns of codes from 0 to n_codes − 1 as 0 and 1, with an output for each code of a column."""
    n_out = n_codes * n_columns
    return ColumnEncoder("one_hot", n_columns, n_out, n_codes, constants=np.repeat([0.0, 1.0], n_out).tobytes())


def one_hot_encoder_of(table):
    """Return the encoder of one column of codes from 0 to n as n inputs.

    The input of a code is ``table[1]`` for this code and ``table[0]`` for all others; ``table`` has the shape (2, n).
    """
    n_out = table.shape[1]
    return ColumnEncoder("one_hot", 1, n_out, n_out + 1, constants=table.astype(np.float64).tobytes())


def plr_encoder(n_columns, n_frequencies=48, n_out=24, *, frequency_scale=0.01, is_lite=False):
    """Return the encoder of numbers as periodic functions, a linear layer and ReLU, with ``n_out`` inputs for each column.

    With ``is_lite``, all columns have the same linear layer.
    """
    n_layers = 1 if is_lite else n_columns
    n_params = n_columns * n_frequencies + n_layers * (2 * n_frequencies + 1) * n_out
    sizes = n_columns, n_columns * n_out, n_frequencies, n_params, n_columns * n_out
    return ColumnEncoder("plr_lite" if is_lite else "plr", *sizes, frequency_scale=float(frequency_scale))


def piecewise_linear_encoder(edges, means, *, reads_again=False):
    """Return the piecewise-linear encoder for a list of sorted arrays, the edges of the bins of each column.

    ``means`` has an array for each column: the numbers that are subtracted from the encoding, one for each bin. A column with one
    edge has no output. With ``reads_again``, the columns are those of the encoder before it.
    """
    n_bins, constants = [len(of_column) - 1 for of_column in edges], _constants_of_edges(edges)
    constants += np.concatenate(means).astype(np.float64).tobytes()
    sizes = len(edges), sum(n_bins), max(n_bins)
    return ColumnEncoder("piecewise_linear", *sizes, constants=constants, reads_again=reads_again)


def piecewise_linear_embedding_encoder(edges, n_out=16):
    """Return the encoder of numbers as linear functions of themselves and of their piecewise-linear encodings.

    ``edges`` is a list of sorted arrays, the edges of the bins of each column. There are ``n_out`` inputs for each column.
    """
    n_bins, n_columns = [len(of_column) - 1 for of_column in edges], len(edges)
    sizes = n_columns, n_columns * n_out, max(n_bins), (2 * n_columns + sum(n_bins)) * n_out
    return ColumnEncoder("piecewise_linear_embedding", *sizes, constants=_constants_of_edges(edges))


def _constants_of_edges(edges):
    """The number of bins and the edges of each column, with zeros after the edges of columns with fewer bins than others."""
    rows = np.zeros((len(edges), max(map(len, edges)) + 1))
    for row, of_column in zip(rows, edges, strict=True):
        row[0], row[1 : len(of_column) + 1] = len(of_column) - 1, of_column
    return rows.tobytes()


def edges_of_encoder(encoder):
    """Return the edges of the bins of each column of a piecewise-linear encoder, as a list of arrays."""
    n = encoder.n_columns
    rows = np.frombuffer(encoder.constants, count=n * (encoder.n_units + 2)).reshape(n, -1)
    return [row[1 : int(row[0]) + 2] for row in rows]


def means_of_encoder(encoder):
    """Return the numbers (n_out,) that a "piecewise_linear" encoder subtracts."""
    return np.frombuffer(encoder.constants)[-encoder.n_out :]


def encoder_constants(encoders, dtype):
    """Return the constants of all encoders, one after the other, in a buffer for kernels."""
    values = np.frombuffer(b"".join(encoder.constants for encoder in encoders))
    buffer = aligned_zeros(values.size, dtype)
    buffer[...] = values
    return buffer


def encoder_table(encoders, params_at, dtype):
    """Return the records (n_encoders,) of `ENCODER` for encoders whose columns, inputs and parameters follow each other."""
    table = np.zeros(len(encoders), ENCODER)
    next_column = output_at = saved_at = constants_at = 0
    for record, encoder in zip(table, encoders, strict=True):
        record["forward_address"] = lazy_address("encoder", encoder.kind, dtype)
        if encoder.kind in lazy_functions("encoder_back"):
            record["back_address"] = lazy_address("encoder_back", encoder.kind, dtype)
        next_column += encoder.n_new_columns
        record["column_at"], record["n_columns"] = next_column - encoder.n_columns, encoder.n_columns
        record["output_at"], record["n_out"] = output_at, encoder.n_out
        record["params_at"], record["n_params"], record["n_units"] = params_at, encoder.n_params, encoder.n_units
        record["saved_at"], record["n_saved"] = saved_at, encoder.n_saved
        record["constants_at"], constants_at = constants_at, constants_at + encoder.n_constants
        output_at += encoder.n_out
        params_at, saved_at = params_at + encoder.n_params, saved_at + encoder.n_saved
    return table
