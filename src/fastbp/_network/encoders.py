"""Descriptions of the encoders, which compute the inputs of the first dense layer from columns of X.

Numbers of columns and units go in; immutable descriptions, the records for kernels, and initial parameters come out. The formulas
and the order of the parameters are those of `_kernels.lazy.encoders`. This module does not know what the columns mean.
"""

from dataclasses import dataclass

import numpy as np

from .._kernels.lazy.addresses import lazy_address, lazy_functions
from .._kernels.tables import ENCODER


@dataclass(frozen=True)
class ColumnEncoder:
    """A group of adjacent columns of X that are replaced by ``n_out`` inputs.

    ``kind`` is a name in `ENCODERS`. ``n_units`` is the number of frequencies of a column for "pbld", and the number of codes for
    "embedding".
    """

    kind: str
    n_columns: int
    n_out: int
    n_units: int = 0
    n_params: int = 0
    n_saved: int = 0

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


def encoder_table(encoders, params_at, dtype):
    """Return the records (n_encoders,) of `ENCODER` for encoders whose columns, inputs and parameters follow each other."""
    table = np.zeros(len(encoders), ENCODER)
    column_at = output_at = saved_at = 0
    for record, encoder in zip(table, encoders, strict=True):
        record["forward_address"] = lazy_address("encoder", encoder.kind, dtype)
        if encoder.kind in lazy_functions("encoder_back"):
            record["back_address"] = lazy_address("encoder_back", encoder.kind, dtype)
        record["column_at"], record["n_columns"] = column_at, encoder.n_columns
        record["output_at"], record["n_out"] = output_at, encoder.n_out
        record["params_at"], record["n_params"], record["n_units"] = params_at, encoder.n_params, encoder.n_units
        record["saved_at"], record["n_saved"] = saved_at, encoder.n_saved
        column_at, output_at = column_at + encoder.n_columns, output_at + encoder.n_out
        params_at, saved_at = params_at + encoder.n_params, saved_at + encoder.n_saved
    return table
