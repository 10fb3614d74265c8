"""Numba's code generator for the target of `targets`, instead of for exactly this processor.

A target context of Numba goes in; a copy of it that generates machine code for the target comes out. The copy shares all
declarations with the original, and code that the user compiles with Numba is not affected. This module does not know what is
compiled.
"""

from functools import cache

from .._compat import JITCPUCodegen
from .targets import COMPILE_ONLY, HOST, LEVELS, TARGET
from .user_warnings import warn_once


class LevelCodegen(JITCPUCodegen):
    """A code generator for a level. Numba's disk cache uses the name of its processor as a part of its key."""

    def _get_host_cpu_name(self):
        return LEVELS[TARGET].cpu

    def _get_host_cpu_features(self):
        return ""  # LLVM knows the features of a level


@cache
def target_context(context):
    """Return a copy of Numba's context for the target, or the context itself if the target is this processor."""
    if TARGET == HOST:
        return context
    try:
        return context.subtarget(_internal_codegen=LevelCodegen("fastbp"))
    except Exception as error:  # an unknown version of Numba may raise any error
        if COMPILE_ONLY:  # the code would be stored for the wrong processor
            raise
        warn_once(
            "target",
            f"code for {TARGET!r} cannot be generated with this version of Numba ({type(error).__name__}: {error}), so kernels are "
            "compiled for exactly this processor; set the environment variable FASTBP_TARGET=host to do this without this warning",
        )
        return context
