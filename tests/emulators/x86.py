"""Run machine code of this process in the emulator Bochs, whose x86-64 processor has instructions that this machine may lack.

The address of a compiled function and its arguments go in; the function runs on the memory of this process, and its result comes
out. The processor is a Sapphire Rapids, with AVX512_BF16. The package `bochscpu-python` has no AMX, so `amx` executes the
instructions for tiles. Addresses without memory, invalid instructions and other faults raise `EmulatedFault`; but if the function
writes to memory that this process can only read, this process ends. The package is imported when a function is called, because it
is available for Linux on x86-64 only. This module does not know what the functions compute.
"""

import atexit
import ctypes
import mmap
import struct
from functools import cache
from types import SimpleNamespace

import numpy as np

from emulators import EmulatedFault, numba_arguments
from emulators.amx import Tiles
from emulators.corrections import correct

# The emulated processor, for LLVM. Without the last feature, LLVM would use vectors of 256 bits.
CPU = "sapphirerapids"
FEATURES = ",".join(
    [
        *("+sse2", "+sse3", "+ssse3", "+sse4.1", "+sse4.2", "+popcnt", "+cx16", "+sahf", "+movbe", "+xsave", "+lzcnt"),
        *("+avx", "+avx2", "+fma", "+f16c", "+bmi", "+bmi2", "+avx512f", "+avx512bw", "+avx512cd", "+avx512dq", "+avx512vl"),
        *("+avx512bf16", "+amx-tile", "+amx-bf16", "-prefer-256-bit"),
    ]
)
# With these variables, Numba and fastbp compile for the emulated processor. The process can call compiled functions only with
# `run_numba`, because its own processor may not have their instructions.
ENVIRONMENT = {"NUMBA_CPU_NAME": CPU, "NUMBA_CPU_FEATURES": FEATURES}

_PAGE, _GIB = 1 << 12, 1 << 30
_STACK_SIZE = 1 << 20
_CODE, _DATA = 0x08, 0x10  # selectors of the segments
_INVALID_OPCODE, _PAGE_FAULT = 6, 14
_FAULTS = {0: "division by zero", 6: "invalid opcode", 7: "device not available", 13: "general protection", 14: "page fault"}
_WITH_ERROR_CODE = {8, 10, 11, 12, 13, 14, 17, 21}
_N_VECTORS = 32
_SAPPHIRE_RAPIDS = 28  # the index in the list of processors of Bochs
_FIRST_SLOT = 4  # the first 4 GiB of physical memory contain the registers of the interrupt controller
_MAX_REGIONS = 15
_N_SLOTS = 1 << 10  # the emulator has 40 bits of physical addresses


def unavailable():
    """Return why the emulator cannot be used, or an empty string."""
    try:
        import bochscpu  # noqa: F401
    except ImportError as error:
        return f"the emulator for x86-64 cannot be imported ({error}): install the package bochscpu-python on Linux on x86-64"
    return ""


def call(address, *arguments, returns=int):
    """Call the function at an address with arguments of the System V ABI, and return its result.

    An argument is an int (an integer or an address), a NumPy scalar of float32 or float64, a Python float (float64), or a NumPy
    array (the address of its first element). `returns` is int, np.float32, np.float64 or None.
    """
    integers, floats = [], []
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            integers.append(argument.ctypes.data)
        elif isinstance(argument, (float, np.floating)):
            floats.append(int.from_bytes(np.asarray(argument).tobytes(), "little"))
        else:
            integers.append(int(argument) % (1 << 64))
    if len(floats) > 8:
        raise ValueError(f"A function must have at most 8 arguments that are floating-point numbers, got {len(floats)}.")
    processor = _Processor(address, integers[:6], integers[6:], floats)
    processor.run()
    state = _package().session.cpu.state
    if returns is None:
        return None
    if returns is int:
        return ctypes.c_int64(state.rax).value
    low = np.array(state.zmm[0].q[:1], np.uint64)
    return low.view(returns)[0]


def run_numba(address, *arguments):
    """Call a function that Numba compiled and that returns nothing, by its address from `address_of` of `function_pointers`."""
    call(address, *numba_arguments(*arguments), returns=None)


class _Memory:
    """Whole pages of this process, as an array of 64-bit numbers with its address."""

    def __init__(self, n_bytes):
        self._map = mmap.mmap(-1, -(-n_bytes // _PAGE) * _PAGE)
        self.words = np.frombuffer(self._map, np.uint64)
        self.address = self.words.ctypes.data

    def write(self, offset, data):
        self.words.view(np.uint8)[offset : offset + len(data)] = np.frombuffer(data, np.uint8)


def _mapped_ranges():
    """Return the ranges of addresses of this process that can be read, as an array (n, 2)."""
    with open("/proc/self/maps", encoding="ascii") as lines:
        fields = [line.split(maxsplit=2) for line in lines]
    ranges = [[int(end, 16) for end in field[0].split("-")] for field in fields if field[1].startswith("r")]
    return np.array([limits for limits in ranges if limits[1] < 1 << 47], np.int64)


class _PhysicalMemory:
    """The physical memory of the emulator: each GiB of addresses of this process has a slot of 1 GiB.

    Virtual addresses in the emulator are the addresses of this process. Its physical addresses are shorter, so that they differ.
    """

    def __init__(self):
        self._slots, self._starts, self._pages = {}, {}, {}
        self._ranges = np.zeros((1, 2), np.int64)

    def of(self, address):
        """Return the physical address of an address of this process."""
        start = address & -_GIB
        if start not in self._slots:
            slot = _FIRST_SLOT + len(self._slots)
            if slot >= _N_SLOTS:
                raise EmulatedFault(f"This process uses memory in more than {_N_SLOTS - _FIRST_SLOT} GiB of addresses.")
            self._slots[start], self._starts[slot * _GIB] = slot * _GIB, start
        return self._slots[start] + address - start

    def insert(self, physical):
        """Make a page of this process available to the emulator; return its address, and whether this process has the page."""
        page = physical & -_PAGE
        start = self._starts.get(page & -_GIB)
        address = page if start is None else start + page % _GIB
        if not self._are_mapped([address])[0]:
            self._ranges = _mapped_ranges()  # this process may have allocated memory since the last call
        is_mapped = start is not None and self._are_mapped([address])[0]
        if is_mapped:
            _package().memory.page_insert(page, address)
            self._pages[page] = address
        return address, is_mapped

    def remove_unmapped(self):
        """Remove the pages that this process no longer has."""
        self._ranges = _mapped_ranges()
        mapped = self._are_mapped(list(self._pages.values()))
        for page, is_mapped in zip(list(self._pages), mapped, strict=True):
            if not is_mapped:
                _package().memory.page_remove(page)
                del self._pages[page]

    def _are_mapped(self, addresses):
        low, high = self._ranges.T
        last = np.searchsorted(low, addresses, side="right") - 1
        return (last >= 0) & (np.asarray(addresses, np.int64) < high[last])


_physical = _PhysicalMemory()


class _Processor:
    """A processor that is ready to call a function."""

    def __init__(self, address, integers, stacked, floats):
        self._package = _package()
        self._error, self.tiles = None, Tiles()
        self._stack, self._fault_stack = _Memory(_STACK_SIZE), _Memory(_PAGE)
        self._stubs, self._tables = _Memory(_PAGE), _Memory(_PAGE)
        self._write_stubs()
        self._start(address, integers, stacked, floats)

    def _write_stubs(self):
        """Write the handler of each fault, which calls `_on_fault` by clflush, and the instruction after the function."""
        idt = b""
        for vector in range(_N_VECTORS):
            # clflush -7(%rip), with the address of this instruction; add $8, %rsp; iretq
            pop = b"\x48\x83\xc4\x08" if vector in _WITH_ERROR_CODE else b""
            code = b"\x0f\xae\x3d\xf9\xff\xff\xff" + pop + b"\x48\xcf"
            self._stubs.write(16 * vector, code)
            handler = self._stubs.address + 16 * vector
            idt += struct.pack("<HHBBHII", handler & 0xFFFF, _CODE, 1, 0x8E, handler >> 16 & 0xFFFF, handler >> 32, 0)
        self._stubs.write(16 * _N_VECTORS, b"\xf4")  # hlt
        self._exit = self._stubs.address + 16 * _N_VECTORS
        self._tables.write(0, idt)
        self._tables.write(1024, struct.pack("<QQQ", 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF))
        self._tables.write(2048 + 36, struct.pack("<Q", self._fault_stack.address + _PAGE))  # the first stack of the task segment

    def _page_table(self):
        """Map all GiB of addresses that this process uses; return the physical address of the table."""
        self._pages, starts = _Memory(_PAGE * (1 + _MAX_REGIONS)), set()
        for low, high in _mapped_ranges().tolist():
            starts.update(range(low & -_GIB, high, _GIB))
        regions = sorted({start >> 39 for start in starts})
        if len(regions) > _MAX_REGIONS:
            raise EmulatedFault(
                f"This process uses memory in {len(regions)} regions of 512 GiB, but at most {_MAX_REGIONS} are possible."
            )
        for number, region in enumerate(regions, 1):
            self._pages.words[region] = _physical.of(self._pages.address + _PAGE * number) | 3
            for start in starts:
                if start >> 39 == region:
                    self._pages.words[512 * number + (start >> 30) % 512] = _physical.of(start) | 0x83
        return _physical.of(self._pages.address)

    def _start(self, address, integers, stacked, floats):
        bochs = self._package.module
        self._package.flush_instructions()
        session = self._package.session
        state = bochs.State()
        self._package.cpu.set_long_mode(state)
        state.cr0 &= ~(1 << 18)  # unaligned accesses are allowed
        state.cr4 |= 1 << 9 | 1 << 10 | 1 << 18  # SSE and XSAVE
        state.xcr0 = 0b111 | 0b111 << 5 | 0b11 << 17  # x87, SSE and AVX, AVX-512, AMX
        _physical.remove_unmapped()
        state.cr3 = self._page_table()
        state.fpcw, state.mxcsr, state.mxcsr_mask, state.rflags = 0x37F, 0x1F80, 0xFFFF, 2
        state.cs = self._segment(_CODE, 0xA09B)
        state.ds = state.es = state.ss = state.gs = self._segment(_DATA, 0xC093)
        state.fs = self._segment(_DATA, 0xC093, self._package.thread_pointer())
        state.tr = self._segment(0x18, 0x8B, self._tables.address + 2048, 103)
        state.idtr, state.gdtr = self._descriptors(0, 16 * _N_VECTORS), self._descriptors(1024, 24)
        self._set_arguments(state, integers, stacked, floats)
        state.rip = address
        session.cpu.state = state

    def _segment(self, selector, attributes, base=0, limit=0xFFFFFFFF):
        segment = self._package.module.Segment()
        segment.present, segment.selector, segment.attr = True, selector, attributes
        segment.base, segment.limit = base, limit
        return segment

    def _descriptors(self, offset, n_bytes):
        table = self._package.module.GlobalSegment()
        table.base, table.limit = self._tables.address + offset, n_bytes - 1
        return table

    def _set_arguments(self, state, integers, stacked, floats):
        words = [self._exit, *stacked]
        top = self._stack.address + _STACK_SIZE - _PAGE
        state.rsp = (top - 8 * len(words)) // 16 * 16 + 8  # a multiple of 16 before the call
        self._stack.write(state.rsp - self._stack.address, struct.pack(f"<{len(words)}Q", *words))
        for name, value in zip(("rdi", "rsi", "rdx", "rcx", "r8", "r9"), integers, strict=False):
            setattr(state, name, value)
        registers = state.zmm
        for register, bits in zip(registers, floats, strict=False):
            register.q = [bits, *[0] * 7]
        state.zmm = registers

    def run(self):
        """Run until the function returns or a fault occurs."""
        hook = self._package.module.Hook()
        hook.hlt, hook.clflush = self._on_exit, self._on_fault
        self._package.processors.append(self)
        try:
            self._package.session.run([hook])
        finally:
            self._package.processors.pop()
            hook.hlt = hook.clflush = _ignore  # the hook would otherwise keep this object
        if self._error is not None:
            raise self._error

    def _on_exit(self, session, processor):
        session.stop()

    def on_missing_page(self, physical):
        """Insert the page of this process that has a physical address, or stop."""
        address, is_mapped = _physical.insert(physical)
        if not is_mapped:
            self._stop(
                EmulatedFault(f"The function accesses memory at {address:#x} or later, but this process has no memory there.")
            )

    def _stop(self, error):
        self._error = self._error or error
        self._package.session.stop()

    def _on_fault(self, session, processor, handler, physical):
        """Execute an instruction for tiles, or stop."""
        vector = (handler - self._stubs.address) // 16
        if not 0 <= vector < _N_VECTORS:  # the function itself contains clflush
            return
        rip, _, _, rsp, _ = self._fault_stack.words[-5:].tolist()
        if vector == _INVALID_OPCODE:
            registers = SimpleNamespace(cpu=session.cpu, rsp=rsp)
            try:
                length = self.tiles.execute(rip, registers)
            except ValueError as error:
                self._stop(EmulatedFault(str(error)))
                return
            if length:
                self._fault_stack.words[-5] = rip + length
                return
        self._stop(self._fault(vector, rip))

    def _fault(self, vector, rip):
        code = ctypes.string_at(rip, 16 if rip % _PAGE <= _PAGE - 16 else _PAGE - rip % _PAGE).hex(" ")
        name = _FAULTS.get(vector, f"exception {vector}")
        detail = f", accessing address {self._package.session.cpu.cr2:#x}" if vector == _PAGE_FAULT else ""
        return EmulatedFault(f"The emulated processor stopped with {name} at address {rip:#x}{detail}; the code there is {code}.")


def _ignore(*arguments):
    pass


@cache
def _package():
    """Import the package, select the processor, and return the parts of the package that are used."""
    import bochscpu
    import bochscpu.cpu
    import bochscpu.memory

    library = ctypes.CDLL(bochscpu._bochscpu.__file__)
    correct(library)
    library.sim_get_param_enum.restype = ctypes.c_void_p
    set_parameter = library._ZN15bx_param_enum_c3setEl  # bx_param_enum_c::set(long)
    set_parameter.argtypes = ctypes.c_void_p, ctypes.c_long
    set_parameter(library.sim_get_param_enum(b"cpu.model"), _SAPPHIRE_RAPIDS)
    pthread_self = ctypes.CDLL(None).pthread_self
    pthread_self.restype = ctypes.c_size_t
    session, processors = bochscpu.Session(), []
    session.missing_page_handler = lambda physical: processors[-1].on_missing_page(physical)
    atexit.register(_package.cache_clear)  # the package fails if its session is deleted later
    return SimpleNamespace(
        module=bochscpu,
        session=session,  # a second session would end this process
        processors=processors,  # that run at present
        cpu=bochscpu.cpu,
        memory=bochscpu.memory,
        flush_instructions=library._Z12flushICachesv,  # code at the same address may have changed
        thread_pointer=pthread_self,
    )
