"""The instruction of the emulator that is corrected agrees with `bfloat16_reference`."""

import llvmlite.binding as llvm
import numpy as np
import pytest
from bfloat16_reference import round_to_bfloat16

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
