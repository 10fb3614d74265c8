"""The columns of the matrix that a network of an estimator for tables reads.

Numbers of columns, of codes and edges of bins go in; a ``NetworkColumns`` comes out, from which the settings of an estimator derive
the encoders of its networks. This module does not know how columns are prepared and encoded.
"""

from typing import NamedTuple

import numpy as np


class NetworkColumns(NamedTuple):
    """The columns: ``n_numbers`` numbers, then others, ``n_plain`` in all, then columns of codes that need embeddings.

    ``n_codes`` are the numbers of codes of the columns that need embeddings, without code 0. ``edges`` is empty or has the edges of
    the bins of each number, as `bin_edges` or `centered_bins` returns them, and ``means`` is empty or has the means that the latter
    returns. ``wide_tables`` are those columns among the others that are codes of
    one-hot columns, as a tuple of the number of a column and its table (2, n_codes), which has the numbers for all other codes and
    the number for the code itself.
    """

    n_numbers: int
    n_plain: int
    n_codes: np.ndarray
    edges: tuple = ()
    means: tuple = ()
    wide_tables: tuple = ()
