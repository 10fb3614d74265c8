"""The check of the index arrays of a sparse matrix.

A sparse matrix goes in; a ValueError is raised if its indices or index pointers are malformed. Compiled code of fastbp and of SciPy
uses these arrays without further checks and would otherwise access memory outside the arrays. This module does not know about
networks.
"""

from scipy.sparse import issparse

# The formats with index pointers, and the names of the numbers in their indices.
_COMPRESSED = {"csr": "column numbers", "csc": "row numbers", "bsr": "numbers of block columns"}
_REMEDY = "Correct this array, or create the matrix again from the values and their row and column numbers (coo_array)."


def check_indices(X, name):
    """Raise a ValueError if X, the argument ``name``, is a sparse matrix with malformed index arrays; ignore other types."""
    if not issparse(X) or X.ndim != 2:
        return
    if X.format == "coo":
        for axis, numbers in (("row", X.row), ("col", X.col)):
            _check_range(numbers, X.shape[axis == "col"], f"{name}.{axis}", f"{axis} numbers".replace("col ", "column "))
    elif X.format in _COMPRESSED:
        n_lines, n_positions = X.shape[::-1] if X.format == "csc" else X.shape
        n_stored = min(X.indices.size, X.data.shape[0])
        if X.format == "bsr":
            n_lines, n_positions = n_lines // X.blocksize[0], n_positions // X.blocksize[1]
        n_used = _checked_pointers(X.indptr, n_lines, n_stored, name)
        _check_range(X.indices[:n_used], n_positions, f"{name}.indices", _COMPRESSED[X.format])


def check_converted_indices(X, given, name):
    """Check X if it was converted by SciPy from a sparse matrix ``given`` whose format ``check_indices`` does not check."""
    if issparse(given) and given.format not in (*_COMPRESSED, "coo"):
        check_indices(X, name)


def _check_range(numbers, stop, name, meaning):
    """Raise a ValueError if some of the numbers are not between 0 and stop − 1."""
    # as unsigned numbers, negative numbers are larger than all others, so that one pass over the array is sufficient
    unsigned = numbers.view(numbers.dtype.str.replace("i", "u"))
    if unsigned.size and unsigned.max() >= stop:
        raise ValueError(f"{name} must contain {meaning} from 0 to {stop - 1}, got {numbers[unsigned.argmax()]}. {_REMEDY}")


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
