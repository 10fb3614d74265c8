"""The AMX instructions for bfloat16, executed in Python: tiles are arrays, and the memory is that of this process.

The address of an instruction and the registers go in; its effect on the tiles and on the memory comes out. The source is the
Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2. This module does not know how the other instructions are
executed.
"""

import ctypes

import numpy as np
from bfloat16_reference import tile_product

_NAMES = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *(f"r{i}" for i in range(8, 16)))
_N_TILES, _MAX_ROWS, _MAX_BYTES = 8, 16, 64
_NONE, _66, _F3, _F2 = range(4)  # the prefixes of an instruction


class Tiles:
    """The configuration and the contents of the eight tiles."""

    def __init__(self):
        self._configured = False

    def execute(self, rip, registers):
        """Execute the instruction at an address; return its length, or 0 if it is not an AMX instruction for bfloat16."""
        instruction = _Instruction(rip, registers)
        return instruction.length if instruction.is_vex and self._execute(instruction) else 0

    def _execute(self, instruction):
        key = instruction.opcode, instruction.prefix, instruction.is_memory
        if instruction.opcode == 0x4B and not instruction.has_sib:
            return False
        if key == (0x49, _NONE, True):
            self._configure(_bytes_at(instruction.address(), 64))
        elif key == (0x49, _NONE, False):
            self._configured = False
        elif key == (0x49, _F2, False):
            self._tile(instruction.register)[...] = 0
        elif key in ((0x4B, _F2, True), (0x4B, _66, True)):
            self._move(instruction, load=True)
        elif key == (0x4B, _F3, True):
            self._move(instruction, load=False)
        elif key == (0x5C, _F3, False):
            self._multiply(instruction.register, instruction.other, instruction.third)
        else:
            return False
        return True

    def _configure(self, data):
        palette, start_row = data[:2].tolist()
        row_bytes, rows = data[16:32].view(np.uint16).tolist(), data[48:56].tolist()
        if palette == 0:
            self._configured = False
            return
        if palette != 1 or start_row or data[2:16].any() or data[32:48].any() or data[56:].any():
            raise ValueError(
                f"ldtilecfg needs palette 1 and start row 0, and zeros in all other bytes, got {data.tobytes().hex(' ')}."
            )
        for number, (n_rows, n_bytes) in enumerate(zip(rows, row_bytes, strict=True)):
            if n_rows > _MAX_ROWS or n_bytes > _MAX_BYTES or bool(n_rows) != bool(n_bytes):
                raise ValueError(
                    f"ldtilecfg: tile {number} must have 1 to 16 rows of 1 to 64 bytes, got {n_rows} rows of {n_bytes} bytes."
                )
        self._configured = True
        self._tiles = [np.zeros((n_rows, n_bytes), np.uint8) for n_rows, n_bytes in zip(rows, row_bytes, strict=True)]

    def _tile(self, number):
        if not self._configured or number >= _N_TILES or self._tiles[number].size == 0:
            raise ValueError(f"An instruction uses tile {number}, which is not configured: call ldtilecfg first.")
        if self._tiles[number].shape[1] % 4:
            raise ValueError(f"The rows of tile {number} must have a multiple of 4 bytes, got {self._tiles[number].shape[1]}.")
        return self._tiles[number]

    def _move(self, instruction, load):
        tile, address = self._tile(instruction.register), instruction.address(with_index=False)
        for row, values in enumerate(tile):
            memory = _bytes_at(address + row * instruction.index(), values.size)
            if load:
                values[...] = memory
            else:
                memory[...] = values

    def _multiply(self, number, a, b):
        C, A, B = (self._tile(i) for i in (number, a, b))
        if len({number, a, b}) < 3 or A.shape != (len(C), 4 * len(B)) or B.shape[1] != C.shape[1]:
            raise ValueError(
                f"tdpbf16ps needs three different tiles C (m, 4n), A (m, 4k) and B (k, 4n), got {C.shape}, {A.shape}, {B.shape}."
            )
        C[...] = tile_product(C.view(np.float32), A.view(np.uint16), B.view(np.uint16)).view(np.uint8)


class _Instruction:
    """The fields of an instruction with a VEX prefix of three bytes in the map 0F38, for vectors of 128 bits."""

    def __init__(self, rip, registers):
        self._rip, self._registers = rip, registers
        first, inverted, second, self.opcode, modrm = ctypes.string_at(rip, 5)
        self.is_vex = first == 0xC4 and inverted & 0x1F == 2 and not second & 0x84
        self._r, self._x, self._b = (8 * (~inverted >> bit & 1) for bit in (7, 6, 5))
        self.prefix, self.third = second & 3, ~second >> 3 & 15
        self._mode, self.register, self._rm = modrm >> 6, (modrm >> 3 & 7) + self._r, modrm & 7
        self.is_memory, self.other = self._mode != 3, self._rm + self._b
        self.has_sib = self.is_memory and self._rm == 4
        self._sib = ctypes.string_at(rip + 5, 1)[0] if self.has_sib else 0
        self._is_relative = self._mode == 0 and self._rm == 5
        no_base = self._mode == 0 and self.has_sib and self._sib & 7 == 5
        self._base = None if no_base or self._is_relative else (self._sib & 7 if self.has_sib else self._rm) + self._b
        n_bytes = {0: 4 if no_base or self._is_relative else 0, 1: 1, 2: 4, 3: 0}[self._mode]
        start = rip + 5 + self.has_sib
        self._displacement = int.from_bytes(ctypes.string_at(start, n_bytes), "little", signed=True)
        self.length = 5 + self.has_sib + n_bytes

    def _value(self, number):
        name = _NAMES[number]
        return self._registers.rsp if name == "rsp" else getattr(self._registers.cpu, name)

    def index(self):
        """Return the value of the index register times its scale, as a signed number."""
        number = (self._sib >> 3 & 7) + self._x
        value = 0 if not self.has_sib or number == 4 else self._value(number) << (self._sib >> 6)
        return ctypes.c_int64(value).value

    def address(self, with_index=True):
        """Return the address of the operand in memory."""
        base = self._rip + self.length if self._is_relative else 0 if self._base is None else self._value(self._base)
        return (base + self._displacement + (self.index() if with_index else 0)) % (1 << 64)


def _bytes_at(address, n_bytes):
    return np.frombuffer((ctypes.c_uint8 * n_bytes).from_address(address), np.uint8)
