"""The instructions of the emulator that are corrected agree with `bfloat16_reference`."""

import llvmlite.binding as llvm
import numpy as np
import pytest
from bfloat16_reference import dot_pairs, round_to_bfloat16

from emulators import x86

pytestmark = pytest.mark.skipif(bool(x86.unavailable()), reason=x86.unavailable() or "the emulator is available")

BOTH = """
    declare <32 x bfloat> @llvm.x86.avx512bf16.cvtne2ps2bf16.512(<16 x float>, <16 x float>)
    define void @f(ptr %out, ptr %upper, ptr %lower) {
      %second = load <16 x float>, ptr %upper, align 4
      %first = load <16 x float>, ptr %lower, align 4
      %words = call <32 x bfloat> @llvm.x86.avx512bf16.cvtne2ps2bf16.512(<16 x float> %second, <16 x float> %first)
      store <32 x bfloat> %words, ptr %out, align 2
      ret void
    }"""


def test_conversion_of_two_vectors():
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(cpu=x86.CPU, features=x86.FEATURES, jit=True)
    module = llvm.parse_assembly(BOTH)
    assert "vcvtne2ps2bf16" in machine.emit_assembly(module)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    numbers = np.random.default_rng(0).integers(0, 1 << 32, 32, np.uint32)
    numbers[[0, 3, 17, 20]] = 1, 0x7F800001, 0xFFC12345, 0x80000001  # subnormal numbers and NaN
    numbers, out = numbers.view(np.float32), np.zeros(32, np.uint16)
    x86.call(engine.get_function_address("f"), out, numbers[16:], numbers[:16], returns=None)
    np.testing.assert_array_equal(out, round_to_bfloat16(numbers))


@pytest.mark.parametrize("is_repeated", [False, True], ids=["vector", "one pair"])
@pytest.mark.parametrize("length", [0, 1, 2], ids=["128 bits", "256 bits", "512 bits"])
def test_dot_products_with_a_displacement(length, is_repeated):
    """The displacement counts vectors, or pairs of numbers if one pair is repeated."""
    n_lanes, middle = 4 << length, 32
    n_pairs = 1 if is_repeated else n_lanes
    pairs = round_to_bfloat16(np.random.default_rng(0).normal(size=(80, 2)).astype(np.float32))
    factors = round_to_bfloat16(np.random.default_rng(1).normal(size=(16, 2)).astype(np.float32))
    for displacement in (0, 1, -1, -2, 2):
        code = np.array(
            [
                *(0x62, 0xF1, 0x7D, 0x48, 0xEF, 0xC0),  # vpxord %zmm0, %zmm0, %zmm0
                *(0x62, 0xF1, 0x7C, 0x48, 0x10, 0x0A),  # vmovups (%rdx), %zmm1
                # vdpbf16ps of a displacement from %rsi, the lower lanes of %zmm1 and those of %zmm0
                *(0x62, 0xF2, 0x76, 0x08 | is_repeated << 4 | length << 5, 0x52, 0x46, displacement % 256),
                *(0x62, 0xF1, 0x7C, 0x48, 0x11, 0x07, 0xC3),  # vmovups %zmm0, (%rdi); ret
            ],
            np.uint8,
        )
        sums, start = np.full(16, np.nan, np.float32), middle + displacement * n_pairs
        x86.call(code.ctypes.data, sums, pairs[middle:], factors, returns=None)
        operand = np.resize(pairs[start : start + n_pairs], (n_lanes, 2))
        np.testing.assert_array_equal(sums[:n_lanes], dot_pairs(np.zeros(n_lanes, np.float32), factors[:n_lanes], operand))
        np.testing.assert_array_equal(sums[n_lanes:], 0)
