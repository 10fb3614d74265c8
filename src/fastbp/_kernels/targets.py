"""The processor for which kernels are compiled: a level of an architecture, or exactly this processor.

A level is a set of instructions that all newer processors have, for example "x86-64-v3" (AVX2 and FMA). Machine code for a level
runs on every processor of the same or a higher level, so that several machines can share one cache. The environment variable
FASTBP_TARGET selects a level, or "host" for exactly this processor. By default, the highest level that this processor supports is
used, or "host" if the level has shorter vectors than the processor. With FASTBP_EMULATE_BF16=1, levels with instructions for
bfloat16 are not used, and these instructions are emulated. This module does not know how code is generated.
"""

import os
from typing import NamedTuple

import llvmlite.binding as llvm
from numba import config

ARCHITECTURE = llvm.get_process_triple().partition("-")[0].replace("arm64", "aarch64")
IS_X86, IS_ARM = ARCHITECTURE in ("x86_64", "i386", "i686"), ARCHITECTURE == "aarch64"
HOST = "host"


class Level(NamedTuple):
    """A set of processors.

    The fields are LLVM's name of the level, the features that it adds to the level below, the size of its vectors, the processor
    for which LLVM chooses and orders instructions, or None for LLVM's default, and the features that LLVM's name does not include.
    """

    cpu: str
    features: tuple[str, ...]
    vector_bytes: int = 16
    tuning: str | None = None
    unnamed_features: tuple[str, ...] = ()


# From the lowest level to the highest, with LLVM's names of the features. By default, LLVM tunes code for x86-64-v3 for Haswell. On
# Zen 3, predictions in float64 then take up to 6 % longer than with code for exactly the processor if both cores are busy.
_X86_LEVELS = {
    "x86-64": Level("x86-64", ("sse2",)),
    "x86-64-v2": Level("x86-64-v2", ("cx16", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3")),
    "x86-64-v3": Level("x86-64-v3", ("avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave"), 32, "znver3"),
    "x86-64-v4": Level("x86-64-v4", ("avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"), 64, "znver4"),
    "x86-64-v4-bf16": Level("x86-64-v4", ("avx512bf16",), 64, "znver4", ("avx512bf16",)),
    "x86-64-v4-amx": Level("x86-64-v4", ("amx-bf16", "amx-tile"), 64, "znver4", ("avx512bf16", "amx-bf16", "amx-tile")),
}
# Every processor with this architecture has NEON, but LLVM does not list the features of every processor.
_ARM_LEVELS = {"aarch64": Level("generic", ()), "aarch64-bf16": Level("generic", ("bf16",), 16, None, ("bf16",))}
_BFLOAT16_FEATURES = frozenset({"avx512bf16", "bf16"})
_AMX_FEATURES = frozenset({"avx512f", "avx512bf16", "amx-bf16", "amx-tile"})
LEVELS = {"x86_64": _X86_LEVELS, "aarch64": _ARM_LEVELS}.get(ARCHITECTURE, {})


def supported_levels(features):
    """Return the names of the levels that a processor with these features supports, from the lowest to the highest."""
    names = []
    for name, level in LEVELS.items():
        if not set(level.features) <= features:
            break
        names.append(name)
    return names


def widest_vectors(features):
    """Return the size in bytes of the vectors of a processor with these features."""
    return 64 if "avx512f" in features else 32 if "avx2" in features else 16


def _emulates_bfloat16():
    value = os.environ.get("FASTBP_EMULATE_BF16", "0")
    if value not in ("0", "1", ""):
        raise ValueError(f"The environment variable FASTBP_EMULATE_BF16 must be '0' or '1', got {value!r}. Change or unset it.")
    return value == "1"


def _host_features():
    if config.CPU_FEATURES is not None:
        return {flag[1:] for flag in config.CPU_FEATURES.split(",") if flag.startswith("+")}
    try:
        features = llvm.get_host_cpu_features()
    except RuntimeError:  # LLVM does not know the features of this processor
        return set()
    return {name for name, is_available in features.items() if is_available and (config.ENABLE_AVX or not name.startswith("avx"))}


def choose_target(value, features, *, any_level=False):
    """Return the target for a value of FASTBP_TARGET, which may be None, on a processor with these features.

    With `any_level`, a level is accepted that this processor does not support.
    """
    supported = supported_levels(features)
    if not value:
        is_as_wide = supported and LEVELS[supported[-1]].vector_bytes >= widest_vectors(features)
        is_set_for_numba = config.CPU_NAME is not None or config.CPU_FEATURES is not None
        return supported[-1] if is_as_wide and not is_set_for_numba else HOST
    choices = [HOST, *(LEVELS if any_level else supported)]
    if value not in choices:
        raise ValueError(
            f"On this processor, the environment variable FASTBP_TARGET must be one of {', '.join(map(repr, choices))}, "
            f"got {value!r}. Change or unset it."
        )
    return value


def _target_features():
    """Return the features of all processors for which code is generated."""
    if TARGET == HOST:
        return HOST_FEATURES
    names = list(LEVELS)
    return {feature for name in names[: names.index(TARGET) + 1] for feature in LEVELS[name].features}


# Whether products of bfloat16 are computed without special instructions, which is slow, but possible on every processor.
EMULATES_BFLOAT16 = _emulates_bfloat16()
# The features of this processor. Numba's variables, such as NUMBA_ENABLE_AVX, can remove some of them.
HOST_FEATURES = _host_features() - (_BFLOAT16_FEATURES if EMULATES_BFLOAT16 else frozenset())
# `python -m fastbp.warmup` sets FASTBP_COMPILE_ONLY in processes that compile for another processor and do not run the code.
COMPILE_ONLY = bool(os.environ.get("FASTBP_COMPILE_ONLY"))
TARGET = choose_target(os.environ.get("FASTBP_TARGET"), HOST_FEATURES, any_level=COMPILE_ONLY)
VECTOR_BYTES = widest_vectors(HOST_FEATURES) if TARGET == HOST else LEVELS[TARGET].vector_bytes
HAS_AVX512, HAS_AVX2 = VECTOR_BYTES == 64, VECTOR_BYTES >= 32
HAS_NEON = "neon" in HOST_FEATURES or (TARGET != HOST and ARCHITECTURE == "aarch64")
# Whether code for the target may use instructions that multiply pairs of bfloat16 numbers.
HAS_BFLOAT16 = bool(_BFLOAT16_FEATURES & _target_features())
# Whether it may use AMX instructions for these products, which NUMBA_DISABLE_JIT=1 cannot interpret. LLVM lists their features only
# if the operating system can save the tiles; each process needs a permission, too.
HAS_AMX = _target_features() >= _AMX_FEATURES and not config.DISABLE_JIT
