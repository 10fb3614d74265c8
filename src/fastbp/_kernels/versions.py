"""The compiled version of an entry for given arguments.

In each call of an entry, Numba finds the version from the types of all arguments. With a hundred arrays, this takes as long as a
step of a small network. This module does not know what the kernels compute.
"""

from numba import typeof


def version_for(entry, arguments):
    """Return the compiled version of an entry for these arguments, or the entry itself if it is an ordinary function.

    The entry must have been called with arguments of these types. The version must be called with arguments of the same types only,
    because it does not check them.
    """
    versions = getattr(entry, "overloads", None)
    return entry if versions is None else versions[tuple(map(typeof, arguments))].entry_point
