"""The architecture of the processor, as LLVM names it."""

import llvmlite.binding as llvm

ARCHITECTURE = llvm.get_process_triple().partition("-")[0]
IS_X86, IS_ARM = ARCHITECTURE in ("x86_64", "i386", "i686"), ARCHITECTURE in ("aarch64", "arm64")
