"""The compiled version of an entry for given arguments.

In each call of an entry, Numba finds the version from the types of all arguments. With a hundred arrays, this takes as long as a
step of a small network. This module does not know what the kernels compute.
"""

from numba import typeof


def version_for(entry, arguments):
    """Return the compiled version of an entry for these arguments, or the entry itself if there is none.

    The version must be called with arguments of the same types only, because it does not check them.
    """
    version = getattr(entry, "overloads", {}).get(tuple(map(typeof, arguments)))
    return entry if version is None else version.entry_point
