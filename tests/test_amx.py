"""The choice between AMX and AVX512_BF16 for products of bfloat16 numbers, and the permission of the operating system.

The products themselves run in `emulators.test_amx_products`.
"""

import os
import platform
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from fastbp._kernels.tables import LAYER
from fastbp._network import amx_permission, mixed_precision

AMX_FUNCTIONS = {"amx_weights", "amx_forward", "amx_gradient", "amx_backward"}
OTHER_FUNCTIONS = {"weights", "forward", "gradient", "backward"}


@pytest.mark.parametrize(
    ("has_amx", "is_permitted", "names"),
    [(True, True, AMX_FUNCTIONS), (True, False, OTHER_FUNCTIONS), (False, True, OTHER_FUNCTIONS)],
)
def test_choice_of_the_functions_of_a_layer(monkeypatch, has_amx, is_permitted, names):
    used = []

    def address(kind, name, dtype):
        used.append((kind, name, dtype))
        return len(used)

    monkeypatch.setattr(mixed_precision, "HAS_AMX", has_amx)
    monkeypatch.setattr(mixed_precision, "may_use_tiles", lambda: is_permitted)
    monkeypatch.setattr(mixed_precision, "lazy_address", address)
    monkeypatch.setattr(mixed_precision, "_LANES", 16)
    table = np.zeros(2, LAYER).view(np.recarray)
    table["n_in"], table["n_out"] = (40, 33), (33, 50)
    sizes = mixed_precision.use_bfloat16(table, 100)
    assert {name for _, name, _ in used} == names
    assert all(kind == f"bfloat16_{name.removeprefix('amx_')}" for kind, name, _ in used)
    assert {dtype for *_, dtype in used} == {np.dtype(np.float32)}
    fields = ["bfloat16_forward_address", "bfloat16_gradient_address", "bfloat16_backward_address", "round_weights_address"]
    assert all(table[field].all() for field in fields)
    if names is AMX_FUNCTIONS:
        # whole tiles: 32 positions of the sum are 16 words, and the columns are multiples of 16
        assert table["n_words"].tolist() == [32 * 48, 32 * 64]
        assert table["n_transposed_words"].tolist() == [0, 32 * 48]
        assert sizes.rows >= 48 * 64 + 64 * 64  # Aᵀ and the deltas for the gradient of the second layer, with 100 rows


@pytest.fixture
def requests(monkeypatch):
    """Replace the system call; return a list of the arguments of all calls, and a list with their result."""
    made = []

    def syscall(*arguments):
        made.append(arguments)
        return result[0]

    result = [0]
    monkeypatch.setattr(amx_permission.ctypes, "CDLL", lambda name: SimpleNamespace(syscall=syscall))
    monkeypatch.setattr(amx_permission.sys, "platform", "linux")
    amx_permission.may_use_tiles.cache_clear()
    yield made, result
    amx_permission.may_use_tiles.cache_clear()


@pytest.mark.parametrize(("result", "is_permitted"), [(0, True), (-1, False)])
def test_permission_is_requested_once(requests, result, is_permitted):
    made, results = requests
    results[0] = result
    assert [amx_permission.may_use_tiles() for _ in range(3)] == [is_permitted] * 3
    assert made == [(158, 0x1023, 18)]


@pytest.mark.usefixtures("requests")
def test_other_systems_are_not_asked(monkeypatch, requests):
    for system in ("win32", "darwin"):
        monkeypatch.setattr(amx_permission.sys, "platform", system)
        amx_permission.may_use_tiles.cache_clear()
        assert not amx_permission.may_use_tiles()
    assert requests[0] == []


@pytest.mark.skipif(sys.platform != "linux" or platform.machine() != "x86_64", reason="requires Linux on x86-64")
def test_answer_of_the_operating_system():
    """In a process of its own, because a permission cannot be returned."""
    code = "from fastbp._network.amx_permission import may_use_tiles; print(may_use_tiles())"
    with open("/proc/cpuinfo", encoding="ascii") as lines:
        has_amx = any("amx_tile" in line.split() for line in lines)
    answer = run(code)
    assert answer in (("True", "False") if has_amx else ("False",))


# ---------------------------------------------------------------------- targets and compilation

REGISTERED = """
from fastbp._kernels.lazy.addresses import all_lazy_functions
print(*sorted(name for kind, name in all_lazy_functions() if name.startswith("amx_")))
"""
COMPILED = """
import numpy as np
from fastbp._kernels.lazy.addresses import all_lazy_functions, lazy_address, lazy_functions, signature
for kind, name in all_lazy_functions():
    if name.startswith("amx_"):
        lazy_address(kind, name, np.dtype(np.float32))
        code = lazy_functions(kind)[name].entry.overloads[signature(kind, np.float32)].library.get_asm_str()
        print(name, code.count("ldtilecfg"), code.count("tilerelease"), "tdpbf16ps" in code)
"""
on_x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="requires an x86 processor")


def run(code, **environment):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    process = subprocess.run([sys.executable, "-c", code], env=environment, text=True, capture_output=True, check=False)
    assert process.returncode == 0, process.stderr[-2000:]
    return process.stdout.strip()


@on_x86
@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "environment", "names"),
    [
        ("x86-64-v4-amx", {}, AMX_FUNCTIONS),
        ("x86-64-v4-amx", {"NUMBA_DISABLE_JIT": "1"}, set()),
        ("x86-64-v4-bf16", {}, set()),
        ("host", {"NUMBA_CPU_FEATURES": "+avx512f,+avx512bf16,+amx-tile,+amx-bf16"}, AMX_FUNCTIONS),
        ("host", {"NUMBA_CPU_FEATURES": "+avx512f,+avx512bf16,+amx-tile,+amx-bf16", "FASTBP_EMULATE_BF16": "1"}, set()),
    ],
)
def test_functions_are_registered_for_targets_that_can_compile_them(target, environment, names):
    environment = {"NUMBA_DISABLE_JIT": "0", "FASTBP_TARGET": target, "FASTBP_COMPILE_ONLY": "1", **environment}
    assert set(run(REGISTERED, **environment).split()) == names


@on_x86
@pytest.mark.slow
@pytest.mark.compiled
def test_functions_are_compiled_in_advance_on_any_processor(tmp_path):
    environment = {"FASTBP_TARGET": "x86-64-v4-amx", "FASTBP_COMPILE_ONLY": "1", "FASTBP_CACHE_DIR": str(tmp_path)}
    assert sorted(run(COMPILED, **environment).splitlines()) == [
        "amx_backward 1 1 True",
        "amx_forward 1 1 True",
        "amx_gradient 1 1 True",
        "amx_weights 0 0 False",
    ]
