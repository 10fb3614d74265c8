"""Periodic embeddings of numeric columns: cosines, or cosines and sines, followed by a linear layer for each column.

`pbld` is the embedding of RealMLP (Holzmüller, Grinsztajn and Steinwart 2024), `plr` that of Gorishniy, Rubachev and Babenko
(2022). `plr` with one linear layer for all columns is that of TabR (Gorishniy and others 2023). The rows of a block are processed
in parts of at most `PART_ROWS` rows. The values of a part are stored in `scratch` so that the rows are contiguous, because all
loops over rows can then be vectorized, for any number of frequencies and outputs. The unused rows of the last vectors are 0. The
backward pass computes cosines again, so that they need not be stored for all rows. This module does not know about other encoders.
"""

import numpy as np

from ..elementary import cos_turns, sin_turns
from ..integers import maximum, minimum
from ..jit import kernel, lazy_entry
from ..tiles import lanes_of
from ..views import vector

PART_ROWS = 192  # a multiple of `_UNROLLED` vectors of each size, and more than the 132 rows of most blocks
_UNROLLED = 4  # the number of vectors that LLVM processes in one iteration; rows that remain would take as long as whole vectors
_TERMS = 4  # the number of frequencies, or of outputs, that are added at once
_TURN = 2 * np.pi


def periodic_scratch_size(n_outputs):
    """Return the size of the scratch memory of an encoder with `n_outputs` outputs per column."""
    return PART_ROWS * (1 + n_outputs + 2 * _TERMS)


@kernel()
def _read_column(M, first_row, n_rows, column, x):
    """Copy a column of n_rows rows of M to x, and fill the rest of x with 0."""
    zero = x.dtype.type(0)
    for i in range(n_rows):
        x[i] = M[first_row + i, column]
    for i in range(n_rows, x.size):
        x[i] = zero


@kernel()
def _write_column(M, first_row, n_rows, column, x):
    """Copy the first n_rows elements of x to a column of M."""
    for i in range(n_rows):
        M[first_row + i, column] = x[i]


@kernel()
def _rows_of_parts(n_rows):
    """Return the number of rows in each part of a block, except the last part, which may have fewer rows."""
    n_parts = maximum((n_rows + PART_ROWS - 1) // PART_ROWS, 1)
    return maximum((n_rows + n_parts - 1) // n_parts, 1)


@kernel()
def _whole_vectors(n_rows, array):
    """Return n_rows, rounded up to a multiple of `_UNROLLED` vectors."""
    lanes = _UNROLLED * lanes_of(array)
    return (n_rows + lanes - 1) // lanes * lanes


@kernel()
def _weight_or_zero(W, at, number, n_terms):
    """Return W[at], or 0 if there are not more than `number` terms."""
    return W[at] if number < n_terms else W.dtype.type(0)


@kernel()
def _add_weighted(z, H, n_terms, W, at, stride):
    """Compute z += Σ_p W[at + p · stride] H_p for the first n_terms ≤ 4 rows H_p (size of z) of the flat matrix H."""
    n = z.size
    w0, w1 = _weight_or_zero(W, at, 0, n_terms), _weight_or_zero(W, at + stride, 1, n_terms)
    w2, w3 = _weight_or_zero(W, at + 2 * stride, 2, n_terms), _weight_or_zero(W, at + 3 * stride, 3, n_terms)
    last = n_terms - 1  # missing rows are replaced by the last one, times 0
    h0, h1 = vector(H, 0, n), vector(H, minimum(1, last) * n, n)
    h2, h3 = vector(H, minimum(2, last) * n, n), vector(H, minimum(3, last) * n, n)
    for i in range(n):
        z[i] += (w0 * h0[i] + w1 * h1[i]) + (w2 * h2[i] + w3 * h3[i])


@kernel()
def _add_products(h, D, n_terms, g, at):
    """Compute g[at + p] += Σ h D_p for the first n_terms ≤ 4 rows D_p (size of h) of the flat matrix D."""
    n, last, zero = h.size, n_terms - 1, h.dtype.type(0)
    d0, d1 = vector(D, 0, n), vector(D, minimum(1, last) * n, n)
    d2, d3 = vector(D, minimum(2, last) * n, n), vector(D, minimum(3, last) * n, n)
    s0, s1, s2, s3 = zero, zero, zero, zero
    for i in range(n):
        s0 += h[i] * d0[i]
        s1 += h[i] * d1[i]
        s2 += h[i] * d2[i]
        s3 += h[i] * d3[i]
    g[at] += s0
    if n_terms > 1:
        g[at + 1] += s1
    if n_terms > 2:
        g[at + 2] += s2
    if n_terms > 3:
        g[at + 3] += s3


@kernel()
def _cosines(x, frequency, phase, h):
    """Compute h = cos(2π (frequency x + phase))."""
    for i in range(x.size):
        h[i] = cos_turns(frequency * x[i] + phase)


@kernel()
def _cosines_and_sines(x, frequency, phase, cosines, sines):
    """Compute the cosines and sines of 2π (frequency x + phase)."""
    for i in range(x.size):
        t = frequency * x[i] + phase
        cosines[i] = cos_turns(t)
        sines[i] = sin_turns(t)


@kernel()
def _sum_of(x):
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i]
    return total


# ---------------------------------------------------------------------- PBLD


@lazy_entry
def pbld(X, A, params, saved, scratch, constants, encoders, index):
    """Compute cos(2π x w₁ + b₁)·W₂ + b₂ for each column, followed by the columns themselves, as in RealMLP.

    params contains w₁ (n_columns, n_units), b₁ (n_columns, n_units), W₂ (n_columns, n_units, d) and b₂ (n_columns, d) with
    d = n_out / n_columns − 1. The outputs are the d outputs of the first column, those of the second column and so on, and then x
    of all columns. saved and constants are not used.
    """
    encoder, real = encoders[index], X.dtype.type
    n_columns, k = encoder.n_columns, encoder.n_units
    d, to_turns = encoder.n_out // n_columns - 1, real(1 / _TURN)
    phases_at, weights_at = n_columns * k, 2 * n_columns * k
    biases_at, part = weights_at + n_columns * k * d, _rows_of_parts(X.shape[0])
    for first in range(0, X.shape[0], part):
        n_rows = minimum(part, X.shape[0] - first)
        n = _whole_vectors(n_rows, X)
        x, Z, H = vector(scratch, 0, n), vector(scratch, n, d * n), vector(scratch, n + d * n, _TERMS * n)
        for c in range(n_columns):
            _read_column(X, first, n_rows, encoder.column_at + c, x)
            _write_column(A, first, n_rows, encoder.output_at + n_columns * d + c, x)
            for j in range(d):
                vector(Z, j * n, n)[:] = params[biases_at + c * d + j]
            for q in range(c * k, c * k + k, _TERMS):
                n_terms = minimum(_TERMS, c * k + k - q)
                for p in range(n_terms):
                    _cosines(x, params[q + p], params[phases_at + q + p] * to_turns, vector(H, p * n, n))
                for j in range(d):
                    _add_weighted(vector(Z, j * n, n), H, n_terms, params, weights_at + q * d + j, d)
            for j in range(d):
                _write_column(A, first, n_rows, encoder.output_at + c * d + j, vector(Z, j * n, n))


@lazy_entry
def pbld_back(X, D, params, saved, scratch, g, constants, encoders, index, add):
    """Compute the gradients of the parameters of `pbld` from D = ∂/∂A; g has the layout of params."""
    encoder, real = encoders[index], X.dtype.type
    n_columns, k = encoder.n_columns, encoder.n_units
    d, to_turns, turn, zero = encoder.n_out // n_columns - 1, real(1 / _TURN), real(_TURN), real(0)
    phases_at, weights_at = n_columns * k, 2 * n_columns * k
    biases_at, part = weights_at + n_columns * k * d, _rows_of_parts(X.shape[0])
    if add == 0:
        g[:] = zero
    for first in range(0, X.shape[0], part):
        n_rows = minimum(part, X.shape[0] - first)
        n = _whole_vectors(n_rows, X)
        x, delta = vector(scratch, 0, n), vector(scratch, n, d * n)
        rest = (d + 1) * n
        cosines, sines, slopes = vector(scratch, rest, n), vector(scratch, rest + n, n), vector(scratch, rest + 2 * n, n)
        for c in range(n_columns):
            _read_column(X, first, n_rows, encoder.column_at + c, x)
            for j in range(d):
                row = vector(delta, j * n, n)
                _read_column(D, first, n_rows, encoder.output_at + c * d + j, row)
                g[biases_at + c * d + j] += _sum_of(row)
            for q in range(c * k, c * k + k):
                _cosines_and_sines(x, params[q], params[phases_at + q] * to_turns, cosines, sines)
                slopes[:] = zero
                for j in range(0, d, _TERMS):
                    n_terms, at = minimum(_TERMS, d - j), weights_at + q * d + j
                    rows = vector(delta, j * n, n_terms * n)
                    _add_products(cosines, rows, n_terms, g, at)
                    _add_weighted(slopes, rows, n_terms, params, at, 1)
                of_phase, of_frequency = zero, zero
                for i in range(n):
                    slope = sines[i] * slopes[i]
                    of_phase += slope
                    of_frequency += slope * x[i]
                g[q] -= turn * of_frequency
                g[phases_at + q] -= of_phase


# ---------------------------------------------------------------------- PLR


@lazy_entry
def plr(X, A, params, saved, scratch, constants, encoders, index):
    """Compute max(0, [cos(2π c x), sin(2π c x)]·W + b) for each column.

    params contains c (n_columns, n_units), W (n_columns, 2 n_units, d) and b (n_columns, d) with d = n_out / n_columns. If all
    columns have the same linear layer, W has the shape (2 n_units, d) and b the shape (d,); n_params shows this. Unless saved is
    empty, the slopes of the outputs are written to its columns, from saved_at. constants is not used.
    """
    encoder, zero, one = encoders[index], X.dtype.type(0), X.dtype.type(1)
    n_columns, k = encoder.n_columns, encoder.n_units
    d = encoder.n_out // n_columns
    n_layers, part = (encoder.n_params - n_columns * k) // (2 * k * d + d), _rows_of_parts(X.shape[0])
    for first in range(0, X.shape[0], part):
        n_rows = minimum(part, X.shape[0] - first)
        n = _whole_vectors(n_rows, X)
        x, Z, rest = vector(scratch, 0, n), vector(scratch, n, d * n), (d + 1) * n
        cosines, sines = vector(scratch, rest, _TERMS * n), vector(scratch, rest + _TERMS * n, _TERMS * n)
        for c in range(n_columns):
            layer = c if n_layers > 1 else 0
            weights_at, biases_at = n_columns * k + layer * 2 * k * d, n_columns * k + n_layers * 2 * k * d + layer * d
            _read_column(X, first, n_rows, encoder.column_at + c, x)
            for j in range(d):
                vector(Z, j * n, n)[:] = params[biases_at + j]
            for q in range(0, k, _TERMS):
                n_terms = minimum(_TERMS, k - q)
                for p in range(n_terms):
                    _cosines_and_sines(x, params[c * k + q + p], zero, vector(cosines, p * n, n), vector(sines, p * n, n))
                for j in range(d):
                    z, at = vector(Z, j * n, n), weights_at + q * d + j
                    _add_weighted(z, cosines, n_terms, params, at, d)
                    _add_weighted(z, sines, n_terms, params, at + k * d, d)
            for j in range(d):
                z = vector(Z, j * n, n)
                if saved.shape[0]:
                    for i in range(n):
                        x[i] = one if z[i] > zero else zero
                    _write_column(saved, first, n_rows, encoder.saved_at + c * d + j, x)
                for i in range(n):
                    z[i] = zero if z[i] < zero else z[i]
                _write_column(A, first, n_rows, encoder.output_at + c * d + j, z)


@lazy_entry
def plr_back(X, D, params, saved, scratch, g, constants, encoders, index, add):
    """Compute the gradients of the parameters of `plr` from D = ∂/∂A; g has the layout of params."""
    encoder, zero, turn = encoders[index], X.dtype.type(0), X.dtype.type(_TURN)
    n_columns, k = encoder.n_columns, encoder.n_units
    d = encoder.n_out // n_columns
    n_layers, part = (encoder.n_params - n_columns * k) // (2 * k * d + d), _rows_of_parts(X.shape[0])
    if add == 0:
        g[:] = zero
    for first in range(0, X.shape[0], part):
        n_rows = minimum(part, X.shape[0] - first)
        n = _whole_vectors(n_rows, X)
        x, delta, rest = vector(scratch, 0, n), vector(scratch, n, d * n), (d + 1) * n
        cosines, sines = vector(scratch, rest, n), vector(scratch, rest + n, n)
        of_cosines, of_sines = vector(scratch, rest + 2 * n, n), vector(scratch, rest + 3 * n, n)
        for c in range(n_columns):
            layer = c if n_layers > 1 else 0
            weights_at, biases_at = n_columns * k + layer * 2 * k * d, n_columns * k + n_layers * 2 * k * d + layer * d
            for j in range(d):
                row = vector(delta, j * n, n)
                _read_column(D, first, n_rows, encoder.output_at + c * d + j, row)
                _read_column(saved, first, n_rows, encoder.saved_at + c * d + j, x)
                for i in range(n):
                    row[i] *= x[i]
                g[biases_at + j] += _sum_of(row)
            _read_column(X, first, n_rows, encoder.column_at + c, x)
            for q in range(k):
                _cosines_and_sines(x, params[c * k + q], zero, cosines, sines)
                of_cosines[:] = zero
                of_sines[:] = zero
                for j in range(0, d, _TERMS):
                    n_terms, at = minimum(_TERMS, d - j), weights_at + q * d + j
                    rows = vector(delta, j * n, n_terms * n)
                    _add_products(cosines, rows, n_terms, g, at)
                    _add_products(sines, rows, n_terms, g, at + k * d)
                    _add_weighted(of_cosines, rows, n_terms, params, at, 1)
                    _add_weighted(of_sines, rows, n_terms, params, at + k * d, 1)
                total = zero
                for i in range(n):
                    total += (cosines[i] * of_sines[i] - sines[i] * of_cosines[i]) * x[i]
                g[c * k + q] += turn * total
