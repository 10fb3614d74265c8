"""Compile LLVM code for 64-bit Arm processors, and run it with qemu-aarch64.

LLVM code with a function and its arguments go in; the function runs in a new process on copies of the arrays, which are then copied
back. The function is linked with a program in C that reads the arguments and the arrays from a file. This module does not know what
the functions compute.
"""

import re
import shutil
import struct
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import llvmlite.binding as llvm
import numpy as np

from emulators import EmulatedFault, numba_arguments

EMULATOR, COMPILER = "qemu-aarch64", "aarch64-linux-gnu-gcc"
TRIPLE = "aarch64-unknown-linux-gnu"
FEATURES = "+neon,+bf16,+fullfp16"
# With these variables, Numba compiles for vectors as long as those of Arm. See `run_numba`.
ENVIRONMENT = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse2"}
# Numba cannot compile an intrinsic of Arm for x86-64. A function with this before its name stands for it.
ABSENT = "absent."
_NAME = "emulated_function"
_N_REGISTERS, _N_STACKED = 8, 56  # arguments in registers of each kind, and integers on the stack

# The first eight integers and the first eight floating-point numbers are passed in registers, independently of their order, and all
# further integers on the stack. So one call passes the arguments of every function. Each array ends at a page that cannot be read.
_PROGRAM = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef int64_t i;
typedef double d;
#define EIGHT i, i, i, i, i, i, i, i
#define ARGUMENTS EIGHT, d, d, d, d, d, d, d, d, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT
#define PASS(p) p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]
#define VALUES PASS(n), PASS(x), PASS((n + 8)), PASS((n + 16)), PASS((n + 24)), PASS((n + 32)), PASS((n + 40)), PASS((n + 48)), \\
    PASS((n + 56))
void emulated_function(void);
void (*volatile function)(void) = emulated_function;

static void check(int ok)
{
    if (!ok) {
        perror("driver");
        exit(100);
    }
}

int main(int argc, char **argv)
{
    FILE *in = fopen(argv[1], "rb"), *out = fopen(argv[2], "wb");
    const size_t page = 4096;
    int64_t n[64], header[2], at[64], size[64];
    double x[8];
    check(in && out && fread(header, 8, 2, in) == 2 && fread(n, 8, 64, in) == 64 && fread(x, 8, 8, in) == 8);
    for (int64_t k = 0; k < header[1]; k++) {
        check(fread(&at[k], 8, 1, in) == 1 && fread(&size[k], 8, 1, in) == 1);
        size_t used = (size[k] + 63) / 64 * 64, whole = (used + page - 1) / page * page + page;
        char *memory = mmap(0, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        check(memory != MAP_FAILED && mprotect(memory + whole - page, page, PROT_NONE) == 0);
        n[at[k]] = (int64_t)(memory + whole - page - used);
        check(fread((void *)n[at[k]], 1, size[k], in) == (size_t)size[k]);
    }
    int64_t result = 0;
    if (header[0]) {
        double number = ((double (*)(ARGUMENTS))function)(VALUES);
        memcpy(&result, &number, 8);
    } else
        result = ((int64_t (*)(ARGUMENTS))function)(VALUES);
    check(fwrite(&result, 8, 1, out) == 1);
    for (int64_t k = 0; k < header[1]; k++)
        check(fwrite((void *)n[at[k]], 1, size[k], out) == (size_t)size[k]);
    check(fclose(out) == 0);
    return 0;
}
"""


def unavailable():
    """Return why code cannot be run, or an empty string."""
    missing = [name for name in (EMULATOR, COMPILER) if shutil.which(name) is None]
    if not missing:
        return ""
    return f"{' and '.join(missing)} not found: on Debian and Ubuntu, install the packages qemu-user and gcc-aarch64-linux-gnu"


def call(code, name, *arguments, returns=None, features=FEATURES):
    """Compile LLVM code, call its function with this name, and return the result.

    An argument is an int, a NumPy scalar of float32 or float64, a Python float (float64), or an array, of which the function
    receives the address. Arrays are changed as by a call in this process. `returns` is int, np.float32, np.float64 or None.
    """
    integers, floats, arrays = [], [], []
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            arrays.append((len(integers), argument))
            integers.append(0)
        elif isinstance(argument, (float, np.floating)):
            floats.append(np.asarray(argument).tobytes().ljust(8, b"\0"))
        else:
            integers.append(int(argument))
    if len(floats) > _N_REGISTERS or len(integers) > _N_REGISTERS + _N_STACKED:
        raise ValueError(
            f"A function must have at most {_N_REGISTERS} floating-point numbers and {_N_REGISTERS + _N_STACKED} integers and "
            f"arrays as arguments, got {len(floats)} and {len(integers)}."
        )
    with TemporaryDirectory() as folder:
        return _run(Path(folder), object_file(code, name, features), integers, floats, arrays, returns)


def run_numba(compiled, *arguments):
    """Compile a function that Numba compiled (`overloads[signature]` of a dispatcher) for Arm and call it; it must return nothing.

    Numba compiles for x86-64 in this process, so that its LLVM code must not contain instructions of x86. An array that is the
    start of a longer array is passed with the memory that follows it.
    """
    code, name = compiled.library.get_llvm_str().replace(f"@{ABSENT}", "@"), compiled.fndesc.llvm_cfunc_wrapper_name
    fields = numba_arguments(*arguments)
    whole = [field.base if isinstance(field, np.ndarray) and field.base is not None else field for field in fields]
    call(_without_x86(code), name, *whole)


def _without_x86(code):
    """Replace the functions that contain instructions of x86, which count references, by functions that do nothing."""
    head, *functions = re.split(r"(?m)^(?=define )", code)
    for i, text in enumerate(functions):
        body, _, rest = text.partition("\n}\n")
        if "@llvm.x86." in body:
            name = re.search(r"@([\w.$]+|\"[^\"]+\")\(", body)[1]
            if not name.startswith("NRT_"):
                raise ValueError(f"The function {name} contains instructions of x86, so that it cannot be compiled for Arm.")
            functions[i] = f"define linkonce_odr void @{name}(ptr %x) {{\nret void\n}}\n{rest}"
    return re.sub(r"(?m)^declare .*@llvm\.x86\..*\n", "", head + "".join(functions))


def object_file(code, name, features=FEATURES):
    """Compile LLVM code, in which the function with this name receives the name that the program in C calls."""
    module = llvm.parse_assembly(str(code))
    machine = _target().create_target_machine(cpu="generic", features=features, opt=2, reloc="static")
    module.triple, module.data_layout = TRIPLE, str(machine.target_data)
    module.get_function(name).name = _NAME
    return machine.emit_object(module)


@cache
def _target():
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return llvm.Target.from_triple(TRIPLE)


@cache
def _program():
    """Return the compiled program in C, without the function that it calls."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "program.o")
        command = [COMPILER, "-O1", "-c", "-x", "c", "-o", str(path), "-"]
        subprocess.run(command, input=_PROGRAM, text=True, check=True)
        return path.read_bytes()


def _run(folder, compiled, integers, floats, arrays, returns):
    for name, data in (("program.o", _program()), ("function.o", compiled), ("in", _input(integers, floats, arrays, returns))):
        (folder / name).write_bytes(data)
    program, objects = folder / "program", [folder / "program.o", folder / "function.o"]
    # functions for errors, which Numba provides, are missing
    subprocess.run([COMPILER, "-static", "-Wl,--unresolved-symbols=ignore-all", "-o", program, *objects, "-lm"], check=True)
    done = subprocess.run([EMULATOR, "-cpu", "max", program, folder / "in", folder / "out"], capture_output=True, text=True)
    if done.returncode:
        raise EmulatedFault(f"The emulated program stopped with exit code {done.returncode}: {done.stderr.strip()}")
    output, offset = (folder / "out").read_bytes(), 8
    for _, array in arrays:
        array[...] = np.frombuffer(output, array.dtype, array.size, offset).reshape(array.shape)
        offset += array.nbytes
    return None if returns is None else np.frombuffer(output, np.int64 if returns is int else returns, 1)[0]


def _input(integers, floats, arrays, returns):
    header = struct.pack("<2q", returns in (np.float32, np.float64), len(arrays))
    words = np.array([*integers, *[0] * (_N_REGISTERS + _N_STACKED - len(integers))], np.int64).tobytes()
    blocks = b"".join(struct.pack("<2q", at, array.nbytes) + array.tobytes() for at, array in arrays)
    return header + words + b"".join(floats).ljust(8 * _N_REGISTERS, b"\0") + blocks
