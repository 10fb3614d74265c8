"""The decorator `intrinsic_kernel` for functions that generate LLVM code themselves."""

from numba import config
from numba.extending import intrinsic


def intrinsic_kernel(interpreted):
    """Decorate a function that generates LLVM code for a kernel; with NUMBA_DISABLE_JIT=1, `interpreted` replaces it."""

    def compiled(generator):
        return interpreted if config.DISABLE_JIT else intrinsic(generator)

    return compiled
