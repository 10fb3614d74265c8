"""The bfloat16 instructions of x86-64 processors agree with `bfloat16_reference`, and compiled kernels run in the emulator.

Random numbers and all combinations of special values are compared in all bits.
"""

import ctypes
import os
import subprocess
import sys

import llvmlite.binding as llvm
import numpy as np
import pytest
from bfloat16_reference import dot_pairs, round_to_bfloat16, tile_product

from emulators import EmulatedFault, numba_arguments, x86
from emulators.cases import (
    MAGNITUDES,
    SPECIAL_BITS,
    agrees,
    loop,
    products_of_random_bits,
    random_bits,
    random_products,
    special_products,
)
from fastbp._kernels.lazy.addresses import lazy_address

pytestmark = pytest.mark.skipif(bool(x86.unavailable()), reason=x86.unavailable() or "the emulator is available")

_compiled = []  # keeps the machine code of all tests


def machine_code(text):
    """Compile LLVM code with a function f for a processor with AVX512_BF16 and AMX; return the address of f in this process."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(cpu=x86.CPU, features=x86.FEATURES, opt=2, jit=True)
    module = llvm.parse_assembly(text)
    module.triple = llvm.get_default_triple()
    _compiled.append(llvm.create_mcjit_compiler(module, machine))
    _compiled[-1].finalize_object()
    return _compiled[-1].get_function_address("f")


def raw_code(*code):
    """Return the address of bytes of machine code."""
    _compiled.append(np.array(code, np.uint8))
    return _compiled[-1].ctypes.data


DOT = loop(
    """
    %c_at = getelementptr <16 x float>, ptr %C, i64 %i
    %a_at = getelementptr <32 x bfloat>, ptr %A, i64 %i
    %b_at = getelementptr <32 x bfloat>, ptr %B, i64 %i
    %c = load <16 x float>, ptr %c_at, align 4
    %a = load <32 x bfloat>, ptr %a_at, align 2
    %b = load <32 x bfloat>, ptr %b_at, align 2
    %sum = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float> %c, <32 x bfloat> %a, <32 x bfloat> %b)
    store <16 x float> %sum, ptr %c_at, align 4""",
    "ptr %C, ptr %A, ptr %B",
    "<16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(<16 x float>, <32 x bfloat>, <32 x bfloat>)",
)

ROUND = loop(
    """
    %x_at = getelementptr <16 x float>, ptr %X, i64 %i
    %out_at = getelementptr <16 x bfloat>, ptr %out, i64 %i
    %x = load <16 x float>, ptr %x_at, align 4
    %rounded = call <16 x bfloat> @llvm.x86.avx512bf16.cvtneps2bf16.512(<16 x float> %x)
    store <16 x bfloat> %rounded, ptr %out_at, align 2""",
    "ptr %out, ptr %X",
    "<16 x bfloat> @llvm.x86.avx512bf16.cvtneps2bf16.512(<16 x float>)",
)

TILES = """
    declare void @llvm.x86.ldtilecfg(ptr)
    declare void @llvm.x86.tileloadd64(i8, ptr, i64)
    declare void @llvm.x86.tileloaddt164(i8, ptr, i64)
    declare void @llvm.x86.tilestored64(i8, ptr, i64)
    declare void @llvm.x86.tilezero(i8)
    declare void @llvm.x86.tdpbf16ps(i8, i8, i8)
    declare void @llvm.x86.tilerelease()
    define void @f(ptr %config, ptr %C, i64 %c_step, ptr %A, i64 %a_step, ptr %B, i64 %b_step, ptr %product) {
      call void @llvm.x86.ldtilecfg(ptr %config)
      call void @llvm.x86.tileloadd64(i8 5, ptr %C, i64 %c_step)
      call void @llvm.x86.tileloadd64(i8 1, ptr %A, i64 %a_step)
      call void @llvm.x86.tileloaddt164(i8 7, ptr %B, i64 %b_step)
      call void @llvm.x86.tdpbf16ps(i8 5, i8 1, i8 7)
      call void @llvm.x86.tilestored64(i8 5, ptr %C, i64 %c_step)
      call void @llvm.x86.tilezero(i8 5)
      call void @llvm.x86.tdpbf16ps(i8 5, i8 1, i8 7)
      call void @llvm.x86.tilestored64(i8 5, ptr %product, i64 64)
      call void @llvm.x86.tilerelease()
      ret void
    }"""


def test_rounding_to_bfloat16():
    x = random_bits(np.random.default_rng(0), np.uint32, 1 << 14)
    x[: len(SPECIAL_BITS)] = SPECIAL_BITS
    x, out = x.view(np.float32), np.zeros(x.size, np.uint16)
    x86.call(machine_code(ROUND), out, x, x.size // 16, returns=None)
    agrees(out, round_to_bfloat16(x))


def dot(C, A, B):
    """Check one call of vdpbf16ps for each 16 elements of C."""
    expected = dot_pairs(C, A.reshape(-1, 2), B.reshape(-1, 2))
    x86.call(machine_code(DOT), C, A, B, C.size // 16, returns=None)
    agrees(C, expected)


@pytest.mark.parametrize("magnitudes", MAGNITUDES)
def test_dot_products_of_random_pairs(magnitudes):
    dot(*random_products(magnitudes))


def test_dot_products_of_random_bits():
    dot(*products_of_random_bits())


def test_dot_products_of_special_values():
    dot(*special_products())


def configuration(**shapes):
    """Return the operand of ldtilecfg for tiles t0, …, t7 with (rows, bytes of a row)."""
    data = np.zeros(64, np.uint8)
    data[0] = 1
    for name, (n_rows, n_bytes) in shapes.items():
        number = int(name[1:])
        data[16:32].view(np.uint16)[number], data[48 + number] = n_bytes, n_rows
    return data


@pytest.mark.parametrize(("m", "n", "k"), [(16, 16, 16), (1, 1, 1), (5, 7, 3), (16, 3, 9)])
def test_tile_products(m, n, k):
    random = np.random.default_rng(0)
    C, A, B = (random.normal(size=shape).astype(np.float32) for shape in ((m, n + 3), (m, 2 * k + 4), (k, 2 * n)))
    A, B, products = round_to_bfloat16(A), round_to_bfloat16(B), np.full((m, 16), np.nan, np.float32)
    expected, expected_products = C.copy(), products.copy()
    expected[:, :n] = tile_product(C[:, :n], A[:, : 2 * k], B)
    expected_products[:, :n] = tile_product(np.zeros((m, n), np.float32), A[:, : 2 * k], B)
    tiles = configuration(t5=(m, 4 * n), t1=(m, 4 * k), t7=(k, 4 * n))
    x86.call(machine_code(TILES), tiles, C, C.strides[0], A, A.strides[0], B, B.strides[0], products, returns=None)
    agrees(C, expected)
    agrees(products, expected_products)


@pytest.mark.parametrize(
    ("tiles", "message"),
    [
        (np.zeros(64, np.uint8), "uses tile 5, which is not configured"),
        (configuration(t5=(16, 64), t1=(17, 64), t7=(16, 64)), "tile 1 must have 1 to 16 rows of 1 to 64 bytes, got 17 rows of 64"),
        (configuration(t5=(16, 64), t1=(15, 64), t7=(16, 64)), "needs three different tiles"),
        (configuration(t5=(16, 62), t1=(16, 64), t7=(16, 62)), "must have a multiple of 4 bytes, got 62"),
        (np.arange(1, 65, dtype=np.uint8), "needs palette 1"),
    ],
)
def test_wrong_configurations_of_tiles(tiles, message):
    memory = np.zeros((16, 64), np.uint8)
    with pytest.raises(EmulatedFault, match=message):
        x86.call(machine_code(TILES), tiles, *[memory, 64] * 3, memory)


# ---------------------------------------------------------------------- calls


@pytest.mark.parametrize(
    ("code", "argument", "message"),
    [
        ((0x0F, 0x0B), 0, "invalid opcode at address 0x[0-9a-f]+; the code there is 0f 0b c3"),
        ((0x48, 0x8B, 0x07), 64, "page fault at address 0x[0-9a-f]+, accessing address 0x40;"),  # mov (%rdi), %rax
        ((0x48, 0x8B, 0x07), 1 << 63, "general protection"),
        ((0x31, 0xC9, 0xF7, 0xF1), 0, "division by zero"),  # xor %ecx, %ecx; div %ecx
    ],
)
def test_faults(code, argument, message):
    with pytest.raises(EmulatedFault, match=message):
        x86.call(raw_code(*code, 0xC3), argument)


def test_memory_that_is_not_mapped():
    read = raw_code(0x48, 0x8B, 0x07, 0xC3)  # mov (%rdi), %rax; ret
    number = np.array([7])
    assert x86.call(read, number) == 7
    libc = ctypes.CDLL(None)
    libc.mmap.restype, libc.mmap.argtypes = ctypes.c_size_t, (ctypes.c_size_t, *[ctypes.c_size_t] * 5)
    address = libc.mmap(0, 1 << 12, 0, 0x22, 2**64 - 1, 0)  # PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS
    with pytest.raises(EmulatedFault, match=f"accesses memory at {address:#x} or later, but this process has no memory there"):
        x86.call(read, address)
    assert x86.call(read, number) == 7


def test_arguments_and_results():
    sums = machine_code("""
        define double @f(i64 %a, double %x, i64 %b, float %y, i64 %c, i64 %d, i64 %e, i64 %g, i64 %h, i64 %i) {
          %ab = add i64 %a, %b
          %hi = shl i64 %i, 1
          %sum = add i64 %ab, %hi
          %converted = sitofp i64 %sum to double
          %z = fpext float %y to double
          %xz = fmul double %x, %z
          %result = fadd double %xz, %converted
          ret double %result
        }""")
    assert x86.call(sums, 1, 0.5, 2, np.float32(3), 4, 5, 6, 7, 8, 900, returns=np.float64) == 1.5 + 3 + 1800
    assert x86.call(raw_code(0x48, 0x89, 0xF8, 0xC3), -5) == -5  # mov %rdi, %rax; ret


def test_changed_code_runs():
    address = raw_code(0xB8, 1, 0, 0, 0, 0xC3)  # mov $1, %eax; ret
    assert x86.call(address) == 1
    _compiled[-1][1] = 9
    assert x86.call(address) == 9


def test_call_leaves_the_memory_below_the_stack_pointer():
    """A function may use 128 bytes below its stack pointer. An instruction for tiles must not overwrite them."""
    # mov %rdi, -8(%rsp); tilerelease; mov -8(%rsp), %rax; ret
    code = (0x48, 0x89, 0x7C, 0x24, 0xF8, 0xC4, 0xE2, 0x78, 0x49, 0xC0, 0x48, 0x8B, 0x44, 0x24, 0xF8, 0xC3)
    assert x86.call(raw_code(*code), 1234567) == 1234567


# ---------------------------------------------------------------------- kernels

KERNEL = """
import sys
import numpy as np
from emulators import x86
from fastbp._kernels.lazy.activations import ACTIVATIONS
from fastbp._kernels.lazy.addresses import lazy_address, signature
from fastbp._kernels.targets import VECTOR_BYTES

z = np.linspace(-30, 30, 1003, dtype=np.float32)
slopes = np.zeros_like(z)
x86.run_numba(lazy_address("activation", "silu", np.float32), z, slopes)
code = ACTIVATIONS["silu"].entry.overloads[signature("activation", np.float32)].library.get_asm_str()
np.savez(sys.argv[1], z=z, slopes=slopes, vector_bytes=VECTOR_BYTES, has_avx512="zmm" in code)
"""


@pytest.mark.slow
def test_compiled_activation(tmp_path):
    # the machine code is not read from a cache, so that Numba knows its text
    variables = {**x86.ENVIRONMENT, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", KERNEL, str(tmp_path / "emulated.npz")], env={**os.environ, **variables}, check=True)
    emulated = np.load(tmp_path / "emulated.npz")
    assert emulated["vector_bytes"] == 64
    assert emulated["has_avx512"]
    z = np.linspace(-30, 30, 1003, dtype=np.float32)
    slopes, expected = np.zeros_like(z), z / (1 + np.exp(-z.astype(float)))
    fields = [field.ctypes.data if isinstance(field, np.ndarray) else field for field in numba_arguments(z, slopes)]
    ctypes.CFUNCTYPE(None, *[ctypes.c_size_t] * len(fields))(lazy_address("activation", "silu", np.float32))(*fields)
    np.testing.assert_allclose(emulated["z"], expected, rtol=1e-6)
    np.testing.assert_allclose(emulated["z"], z, rtol=1e-6)
    np.testing.assert_allclose(emulated["slopes"], slopes, rtol=1e-6, atol=1e-9)
