"""Corrections of two instructions in Bochs, as the package `bochscpu-python` contains it.

vcvtne2ps2bf16 converts two vectors of float32 numbers. For the second half of its result, Bochs reads the first operand at the
positions of the result, 16 to 31, which are those of the other operand in memory. The correction moves the address from which they
are read. Only vectors of 512 bits are correct then.

vdpbf16ps can have an operand in memory, with a displacement of one byte. The processor multiplies it by the size of the operand: a
vector, or one pair of bfloat16 numbers that is repeated. Bochs multiplies it by the size of a pair always, because its table of
instructions says that the operand is a pair. The correction changes the table.

Both corrections are made in the memory of this process. This module does not know what is computed.
"""

import ctypes
import mmap

_CONVERSION = "_ZN8BX_CPU_C32VCVTNE2PS2BF16_MASK_Vbf16HpsWpsREP15bxInstruction_c"
# lea 0x10(%rsp), %r14, which must be lea -0x30(%rsp), %r14
_OFFSET, _WRONG, _RIGHT = 0x12D, bytes([0x4C, 0x8D, 0x74, 0x24, 0x10]), bytes([0x4C, 0x8D, 0x74, 0x24, 0xD0])
_READ, _WRITE, _EXECUTE = 1, 2, 4

_DOT = "_ZN8BX_CPU_C25VDPBF16PS_MASK_VpsHdqWdqREP15bxInstruction_c"
# An entry of the table has the addresses of two functions, the kinds of 4 operands, and flags.
_TABLE, _ENTRY, _ENTRY_SIZE = "BxOpcodesTable", 2363, 24
# The operand in memory is the third: a number of 32 bits, which must be a vector.
_WRONG_OPERANDS, _RIGHT_OPERANDS = bytes([0x82, 0x85, 0x34, 0]), bytes([0x82, 0x85, 0x04, 0])


def correct(library):
    """Correct both instructions in the library of the emulator, except where the library has other code."""
    _correct_conversion(library)
    _correct_dot(library)


def _address(library, name):
    """Return the address of a symbol, or None."""
    symbol = getattr(library, name, None)
    return None if symbol is None else ctypes.cast(symbol, ctypes.c_void_p).value


def _correct_conversion(library):
    function = _address(library, _CONVERSION)
    if function is None or ctypes.string_at(function + _OFFSET, len(_WRONG)) != _WRONG:
        return
    address = function + _OFFSET
    start = address // mmap.PAGESIZE * mmap.PAGESIZE
    mprotect = ctypes.CDLL(None, use_errno=True).mprotect
    mprotect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    size = address + len(_RIGHT) - start
    if mprotect(start, size, _READ | _WRITE | _EXECUTE):
        raise OSError(ctypes.get_errno(), "The memory of the emulator cannot be changed.")
    ctypes.memmove(address, _RIGHT, len(_RIGHT))
    mprotect(start, size, _READ | _EXECUTE)


def _correct_dot(library):
    function, table = _address(library, _DOT), _address(library, _TABLE)
    if function is None or table is None:
        return
    entry = table + _ENTRY_SIZE * _ENTRY
    expected = function.to_bytes(8, "little") + _WRONG_OPERANDS
    if ctypes.string_at(entry + 8, len(expected)) == expected:
        ctypes.memmove(entry + 16, _RIGHT_OPERANDS, len(_RIGHT_OPERANDS))
