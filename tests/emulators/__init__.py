"""Emulators of processors that have instructions for bfloat16, and tests of these instructions; see CONTRIBUTING.md."""

import numpy as np


class EmulatedFault(Exception):
    """The emulated processor stopped because of an invalid instruction or a wrong address, for example."""


def numba_arguments(*arguments):
    """Return the arguments that a function compiled by Numba receives; an array in the result stands for its address.

    Numba passes an array as its fields: the address of its memory manager and of its owner, which are 0 here, the number of
    elements, the size of an element, the address of the data, the shape and the strides. Other arguments are numbers.
    """
    fields = []
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            fields += [0, 0, argument.size, argument.itemsize, argument, *argument.shape, *argument.strides]
        else:
            fields.append(argument)
    return fields
