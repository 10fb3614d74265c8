"""Functions that few networks use.

Each function is compiled on first use and stored on disk; the other kernels call it by its address. Each file defines one kind of
function and a registry of their names, and a new function is added only there. ``addresses`` returns the address of a function for
a kind and a name. The functions are called by the modules in the parent folder.
"""
