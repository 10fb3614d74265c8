"""The columns of the matrix that a network of an estimator for tables reads.

Numbers of columns, of codes and edges of bins go in; a ``NetworkColumns`` comes out, from which the settings of an estimator derive
the encoders of its networks. This module does not know how columns are prepared and encoded.
"""

from typing import NamedTuple

import numpy as np


class NetworkColumns(NamedTuple):
    """The columns: ``n_numbers`` numbers, then others that are no codes, ``n_plain`` in all, then columns of codes.

    ``n_codes`` are the numbers of codes of the columns of codes, without code 0. ``edges`` is empty or has the edges of the bins of
    each number, as `bin_edges` returns them.
    """

    n_numbers: int
    n_plain: int
    n_codes: np.ndarray
    edges: tuple = ()
