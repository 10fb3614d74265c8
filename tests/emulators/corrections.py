"""A correction of an instruction in Bochs, as the package `bochscpu-python` contains it.

vcvtne2ps2bf16 converts two vectors of float32 numbers. For the second half of its result, Bochs reads the first operand at the
positions of the result, 16 to 31, which are those of the other operand in memory. The correction moves the address from which they
are read, in the memory of this process. Only vectors of 512 bits are correct then. This module does not know what is computed.
"""

import ctypes
import mmap

_FUNCTION = "_ZN8BX_CPU_C32VCVTNE2PS2BF16_MASK_Vbf16HpsWpsREP15bxInstruction_c"
# lea 0x10(%rsp), %r14, which must be lea -0x30(%rsp), %r14
_OFFSET, _WRONG, _RIGHT = 0x12D, bytes([0x4C, 0x8D, 0x74, 0x24, 0x10]), bytes([0x4C, 0x8D, 0x74, 0x24, 0xD0])
_READ, _WRITE, _EXECUTE = 1, 2, 4


def correct_conversion(library):
    """Correct vcvtne2ps2bf16 in the library of the emulator, unless the library has other code."""
    function = getattr(library, _FUNCTION, None)
    if function is None:
        return
    address = ctypes.cast(function, ctypes.c_void_p).value + _OFFSET
    if ctypes.string_at(address, len(_WRONG)) != _WRONG:
        return
    start = address // mmap.PAGESIZE * mmap.PAGESIZE
    mprotect = ctypes.CDLL(None, use_errno=True).mprotect
    mprotect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    size = address + len(_RIGHT) - start
    if mprotect(start, size, _READ | _WRITE | _EXECUTE):
        raise OSError(ctypes.get_errno(), "The memory of the emulator cannot be changed.")
    ctypes.memmove(address, _RIGHT, len(_RIGHT))
    mprotect(start, size, _READ | _EXECUTE)
