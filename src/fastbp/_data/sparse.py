"""The check of the index arrays of a sparse matrix.

A CSR or CSC matrix goes in; a ValueError is raised if its indices or index pointers are malformed. Compiled code of fastbp and of
SciPy uses these arrays without further checks and would otherwise access memory outside the arrays. This module does not know about
networks.
"""

from scipy.sparse import issparse

_REMEDY = "Correct this array, or create the matrix again from the values and their row and column numbers (coo_array)."


def check_indices(X, name):
    """Raise a ValueError if X, the argument ``name``, is a CSR or CSC matrix with malformed index arrays; ignore other types."""
    if not issparse(X) or X.format not in ("csr", "csc") or X.ndim != 2:
        return
    n_lines, n_positions = X.shape if X.format == "csr" else X.shape[::-1]
    n_values = _checked_pointers(X.indptr, n_lines, min(X.indices.size, X.data.size), name)
    indices = X.indices[:n_values]
    # as unsigned numbers, negative indices are larger than all others, so that one pass over the array is sufficient
    unsigned = indices.view(indices.dtype.str.replace("i", "u"))
    if unsigned.size and unsigned.max() >= n_positions:
        wrong = indices[unsigned.argmax()]
        raise ValueError(
            f"{name}.indices must contain {'column' if X.format == 'csr' else 'row'} numbers from 0 to {n_positions - 1}, got "
            f"{wrong}. {_REMEDY}"
        )


def _checked_pointers(indptr, n_lines, n_stored, name):
    """Return the last index pointer, which is the number of values in use, after a check of all index pointers."""
    if indptr.shape != (n_lines + 1,):
        raise ValueError(f"{name}.indptr must have shape ({n_lines + 1},) for this matrix, got {indptr.shape}. {_REMEDY}")
    if indptr[0] != 0:
        raise ValueError(f"{name}.indptr must start with 0, got {indptr[0]}. {_REMEDY}")
    is_less = indptr[1:] < indptr[:-1]
    if is_less.any():
        at = int(is_less.argmax())
        raise ValueError(f"{name}.indptr must not decrease, got {indptr[at]} followed by {indptr[at + 1]}. {_REMEDY}")
    if indptr[-1] > n_stored:
        raise ValueError(
            f"The last entry of {name}.indptr must be at most {n_stored}, the number of stored values and indices, got "
            f"{indptr[-1]}. {_REMEDY}"
        )
    return int(indptr[-1])
