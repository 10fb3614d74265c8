"""The bfloat16 instructions of 64-bit Arm processors agree with `bfloat16_reference` in all bits."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from bfloat16_reference import dot_pairs_of_arm, matrix_product_of_arm, round_to_bfloat16

from emulators import EmulatedFault, arm
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

pytestmark = pytest.mark.skipif(bool(arm.unavailable()), reason=arm.unavailable() or "the emulator is available")

# the code of an instruction with two operands of 8 bfloat16 and one of 4 float32
PRODUCT = """
    %c_at = getelementptr <4 x float>, ptr %C, i64 %i
    %a_at = getelementptr <8 x bfloat>, ptr %A, i64 %i
    %b_at = getelementptr <8 x bfloat>, ptr %B, i64 %i
    %c = load <4 x float>, ptr %c_at, align 4
    %a = load <8 x bfloat>, ptr %a_at, align 2
    %b = load <8 x bfloat>, ptr %b_at, align 2
    %sum = call <4 x float> @INSTRUCTION(<4 x float> %c, <8 x bfloat> %a, <8 x bfloat> %b)
    store <4 x float> %sum, ptr %c_at, align 4"""

ROUND = """
    %x_at = getelementptr <4 x float>, ptr %X, i64 %i
    %out_at = getelementptr <4 x bfloat>, ptr %out, i64 %i
    %x = load <4 x float>, ptr %x_at, align 4
    %rounded = fptrunc <4 x float> %x to <4 x bfloat>
    store <4 x bfloat> %rounded, ptr %out_at, align 2"""


def dot(C, A, B):
    return dot_pairs_of_arm(C, A.reshape(-1, 2), B.reshape(-1, 2))


def matrix_product(C, A, B):
    return matrix_product_of_arm(C.reshape(-1, 2, 2), A.reshape(-1, 2, 4), B.reshape(-1, 2, 4)).ravel()


INSTRUCTIONS = {"llvm.aarch64.neon.bfdot.v4f32.v8bf16": dot, "llvm.aarch64.neon.bfmmla": matrix_product}


def check_products(C, A, B):
    for instruction, formula in INSTRUCTIONS.items():
        declaration = f"<4 x float> @{instruction}(<4 x float>, <8 x bfloat>, <8 x bfloat>)"
        result = C.copy()
        code = loop(PRODUCT.replace("INSTRUCTION", instruction), "ptr %C, ptr %A, ptr %B", declaration)
        arm.call(code, "f", result, A, B, C.size // 4)
        agrees(result, formula(C, A, B))


@pytest.mark.parametrize("magnitudes", MAGNITUDES)
def test_products_of_random_numbers(magnitudes):
    check_products(*random_products(magnitudes))


def test_products_of_random_bits():
    check_products(*products_of_random_bits())


def test_products_of_special_values():
    check_products(*special_products())


def test_rounding_to_bfloat16():
    x = random_bits(np.random.default_rng(0), np.uint32, 1 << 14)
    x[: len(SPECIAL_BITS)] = SPECIAL_BITS
    x, out = x.view(np.float32), np.zeros(x.size, np.uint16)
    arm.call(loop(ROUND, "ptr %out, ptr %X", "void @llvm.donothing()"), "f", out, x, x.size // 4)
    agrees(out, round_to_bfloat16(x, keep_subnormals=True))


def test_instructions_of_the_processor_are_used():
    declaration = "<4 x float> @llvm.aarch64.neon.bfmmla(<4 x float>, <8 x bfloat>, <8 x bfloat>)"
    code = loop(PRODUCT.replace("INSTRUCTION", "llvm.aarch64.neon.bfmmla"), "ptr %C, ptr %A, ptr %B", declaration)
    compiled = arm.object_file(code, "f")
    words = np.frombuffer(compiled[: len(compiled) // 4 * 4], np.uint32)
    assert np.any(words & 0xFFE0FC00 == 0x6E40EC00)  # bfmmla (Arm Architecture Reference Manual, C7.2)


# ---------------------------------------------------------------------- calls


def test_arguments_and_results():
    code = """
        define double @f(i64 %a, double %x, i64 %b, float %y, i64 %c, i64 %d, i64 %e, i64 %g, i64 %h, i64 %i, i64 %j) {
          %ab = add i64 %a, %j
          %hi = shl i64 %i, 1
          %sum = add i64 %ab, %hi
          %converted = sitofp i64 %sum to double
          %z = fpext float %y to double
          %xz = fmul double %x, %z
          %result = fadd double %xz, %converted
          ret double %result
        }"""
    assert arm.call(code, "f", 1, 0.5, 2, np.float32(3), 4, 5, 6, 7, 8, 900, 9, returns=np.float64) == 1.5 + 10 + 1800
    assert arm.call("define i64 @g(i64 %x) { ret i64 %x }", "g", -5, returns=int) == -5
    assert arm.call("define float @h(float %x) { ret float %x }", "h", np.float32(1.5), returns=np.float32) == 1.5


@pytest.mark.parametrize(
    ("statements", "message"),
    [("call void @llvm.trap()", "exit code"), ("%end = getelementptr i64, ptr %x, i64 8\nstore i64 1, ptr %end", "exit code")],
)
def test_faults(statements, message):
    with pytest.raises(EmulatedFault, match=message):
        arm.call(f"declare void @llvm.trap()\ndefine void @f(ptr %x) {{ {statements}\nret void }}", "f", np.zeros(8, np.int64))


# ---------------------------------------------------------------------- kernels

KERNEL = """
import sys
import numpy as np
from emulators import arm
from fastbp._kernels.lazy.activations import ACTIVATIONS
from fastbp._kernels.lazy.addresses import lazy_address, signature

z = np.linspace(-30, 30, 1003, dtype=np.float32)
slopes = np.zeros_like(z)
lazy_address("activation", "silu", np.float32)
arm.run_numba(ACTIVATIONS["silu"].entry.overloads[signature("activation", np.float32)], z, slopes)
np.savez(sys.argv[1], z=z, slopes=slopes)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the variables of Numba are for x86-64")
def test_compiled_activation(tmp_path):
    # the machine code is not read from a cache, so that Numba knows its LLVM code
    variables = {**arm.ENVIRONMENT, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", KERNEL, str(tmp_path / "emulated.npz")], env={**os.environ, **variables}, check=True)
    emulated, z = np.load(tmp_path / "emulated.npz"), np.linspace(-30, 30, 1003, dtype=np.float32).astype(float)
    sigmoid = 1 / (1 + np.exp(-z))
    np.testing.assert_allclose(emulated["z"], z * sigmoid, rtol=1e-6)
    np.testing.assert_allclose(emulated["slopes"], sigmoid * (1 + z * (1 - sigmoid)), rtol=1e-5, atol=1e-9)
