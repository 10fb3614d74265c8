"""The permission of the operating system to use AMX instructions.

Linux saves the 8 KB of a thread's tiles only for processes that have asked for this. The permission holds for all threads of the
process, also for those that exist already, and for processes that it forks. This module does not know what the tiles are used for.
"""

import ctypes
import sys
from functools import cache

# From Documentation/arch/x86/xstate.rst of Linux: the number of the system call `arch_prctl`, the request, and the feature.
_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XFEATURE_XTILEDATA = 158, 0x1023, 18


@cache
def may_use_tiles():
    """Ask for the permission once per process, and return whether it was granted; on other systems than Linux, it never is."""
    return sys.platform == "linux" and _request(_ARCH_REQ_XCOMP_PERM, _XFEATURE_XTILEDATA) == 0


def _request(*arguments):
    """Call `arch_prctl` and return its result, which is -1 after an error, for example if a signal stack is too small."""
    syscall = ctypes.CDLL(None).syscall
    syscall.argtypes, syscall.restype = [ctypes.c_long] * 3, ctypes.c_long
    return syscall(_ARCH_PRCTL, *arguments)
