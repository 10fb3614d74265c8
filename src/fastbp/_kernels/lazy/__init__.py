"""Functions that few networks use: each is compiled on first use, stored on disk, and called by the other kernels by its address.

Each file defines one kind of function and its registry of names; a new function is added there and nowhere else. ``addresses``
finds the address of a function by its kind and name. The callers are the modules one folder up.
"""
