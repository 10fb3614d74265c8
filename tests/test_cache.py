"""The target processor of compiled kernels, the folders of the cache, and the lock between processes that compile the same code.

Tests of damaged files and of the stamp are in `test_invariants.py`. Tests that start processes are marked slow.
"""

import contextlib
import importlib.util
import json
import os
import platform
import subprocess
import sys
import threading
import time
import types
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import pytest

import fastbp
from fastbp import warmup
from fastbp._kernels import cache_folders, disk_cache, file_lock, inline, jit, targets, user_warnings
from fastbp._kernels.epochs import update_early_stopping
from fastbp._kernels.settings import PROGRESS, SETTINGS, record

PACKAGE = Path(fastbp.__file__).parent
compiled = pytest.mark.compiled
on_x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="requires an x86 processor")

# ---------------------------------------------------------------------- targets

V1 = {"sse2"}
V2 = V1 | {"cx16", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3"}
V3 = V2 | {"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave"}
V4 = V3 | {"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"}
BF16 = V4 | {"avx512bf16"}


@pytest.fixture
def x86(monkeypatch):
    monkeypatch.setattr(targets, "LEVELS", targets._X86_LEVELS)
    monkeypatch.setattr(numba.config, "CPU_NAME", None)
    monkeypatch.setattr(numba.config, "CPU_FEATURES", None)


@pytest.mark.parametrize(
    ("features", "target"),
    [
        (V1, "x86-64"),
        (V2, "x86-64-v2"),
        (V2 | {"avx", "fma"}, "x86-64-v2"),
        (V3, "x86-64-v3"),
        (V3 | {"vaes", "sha"}, "x86-64-v3"),
        (V4 | {"avx512vnni"}, "x86-64-v4"),
        (BF16 | {"amx-tile", "amx-int8"}, "x86-64-v4-bf16"),
        (BF16 | {"amx-tile", "amx-bf16"}, "x86-64-v4-amx"),
        (V4 | {"amx-tile", "amx-bf16"}, "x86-64-v4"),
        (V3 - {"movbe"}, "host"),  # the vectors of level 2 are shorter
        (V4 - {"avx512bw"}, "host"),
        (set(), "host"),
    ],
)
@pytest.mark.usefixtures("x86")
def test_default_target_is_the_highest_level_with_the_same_vectors(features, target):
    assert targets.choose_target(None, features) == targets.choose_target("", features) == target


@pytest.mark.usefixtures("x86")
def test_settings_of_numba_select_exactly_this_processor(monkeypatch):
    monkeypatch.setattr(numba.config, "CPU_NAME", "haswell")
    assert targets.choose_target(None, V3) == "host"
    assert targets.choose_target("x86-64-v3", V3) == "x86-64-v3"


@pytest.mark.usefixtures("x86")
def test_levels_that_the_processor_does_not_support_are_rejected():
    assert [targets.choose_target(name, V3) for name in ("host", "x86-64", "x86-64-v3")] == ["host", "x86-64", "x86-64-v3"]
    for value in ("x86-64-v4", "aarch64", "v3"):
        with pytest.raises(
            ValueError, match=rf"FASTBP_TARGET must be one of 'host', .*'x86-64-v3', got '{value}'. Change or unset"
        ):
            targets.choose_target(value, V3)
    assert targets.choose_target("x86-64-v4", V3, any_level=True) == "x86-64-v4"


def test_every_arm_processor_has_neon(monkeypatch):
    monkeypatch.setattr(targets, "LEVELS", targets._ARM_LEVELS)
    monkeypatch.setattr(numba.config, "CPU_NAME", None)
    assert targets.choose_target(None, set()) == "aarch64"


PRINT_TARGET = """
import json, warnings
import numpy as np
warnings.simplefilter("ignore")
from fastbp import MLPRegressor
from fastbp._kernels import targets
from fastbp._kernels.inline import target_context
from fastbp._kernels.epochs import train
X = np.linspace(-1, 1, 150).reshape(50, 3)
model = MLPRegressor(hidden_layer_sizes=(19, 3), max_iter=5, batch_size=20, random_state=0).fit(X, X[:, 0])
codegen = target_context(train.targetctx).codegen()
print(json.dumps([targets.TARGET, targets.VECTOR_BYTES, codegen.magic_tuple()[1:], model.loss_curve_]))
"""


def run(script, *arguments, **environment):
    """Run a script in a process, and return the values in the last line that it prints."""
    process = start(script, *arguments, **environment)
    out, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors[-3000:]
    return json.loads(out.splitlines()[-1])


def start(script, *arguments, **environment):
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), **{name: str(value) for name, value in environment.items()}}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.long
@compiled
@on_x86
def test_code_is_generated_for_the_target():
    default, host = (run(PRINT_TARGET, FASTBP_TARGET=target) for target in ("", "host"))
    assert default[:2] == [targets.TARGET, targets.VECTOR_BYTES]
    assert host[0] == "host"
    assert host[2][1] != ""
    assert host[3] == pytest.approx(default[3], rel=1e-9)


@pytest.mark.slow
def test_other_targets_raise_an_error_at_import():
    process = start("import fastbp", FASTBP_TARGET="pentium")
    assert "ValueError: On this processor, the environment variable FASTBP_TARGET must be one of" in process.communicate()[1]
    assert process.returncode == 1


@compiled
@pytest.mark.usefixtures("x86")
def test_without_a_code_generator_for_levels_exactly_this_processor_is_used(monkeypatch):
    def fail():
        raise AttributeError("made up")

    context = update_early_stopping.targetctx
    monkeypatch.setattr(user_warnings, "_given", set())
    monkeypatch.setattr(inline, "TARGET", "x86-64-v3")
    monkeypatch.setattr(inline, "_level_codegen", fail)
    with pytest.warns(RuntimeWarning, match=r"'x86-64-v3' cannot be generated .*made up.* FASTBP_TARGET=host"):
        assert inline.target_context(context) is context
    monkeypatch.setattr(inline, "COMPILE_ONLY", True)
    with pytest.raises(AttributeError, match="made up"):
        inline.target_context(context)


def test_features_of_the_processor_follow_the_variables_of_numba(monkeypatch):
    monkeypatch.setattr(targets.llvm, "get_host_cpu_features", lambda: {"avx2": True, "sse2": True, "avx512f": False})
    assert targets._host_features() == {"avx2", "sse2"}
    monkeypatch.setattr(numba.config, "ENABLE_AVX", 0)
    assert targets._host_features() == {"sse2"}
    monkeypatch.setattr(numba.config, "CPU_FEATURES", "+sse2,-avx,+fma")
    assert targets._host_features() == {"sse2", "fma"}


# ---------------------------------------------------------------------- folders


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Set all folders of the cache to folders of this test, of which all can be written; return their set of read-only folders."""
    read_only = set()
    monkeypatch.setenv("FASTBP_CACHE_DIR", str(tmp_path / "fastbp"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "numba"))
    monkeypatch.setattr(cache_folders, "COMPILED", tmp_path / "wheel")
    monkeypatch.setattr(user_warnings, "_given", set())
    can_be_written = cache_folders.can_be_written.__wrapped__

    def is_writable(folder):
        return not any(folder.is_relative_to(tmp_path / name) for name in read_only) and can_be_written(folder)

    monkeypatch.setattr(disk_cache, "can_be_written", is_writable)
    return read_only


def call(entry):
    """Call `update_early_stopping`, and return the numbers of loaded and compiled versions and the texts of warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        entry(record(SETTINGS), record(PROGRESS), 3.0)
    hits, misses = sum(entry.stats.cache_hits.values()), sum(entry.stats.cache_misses.values())
    return hits, misses, [str(warning.message) for warning in caught]


def new_entry():
    return jit.entry(update_early_stopping.py_func)


def stored(tmp_path):
    return [path.relative_to(tmp_path) for path in sorted(tmp_path.rglob("*.nbc"))]


@pytest.mark.usefixtures("folders")
def test_order_of_the_folders(monkeypatch):
    source = PACKAGE / "_kernels" / "lazy" / "norms.py"
    names = [(folder, is_written) for folder, is_written in cache_folders.folders_for(source)]
    assert [is_written for _, is_written in names] == [True, False, True, True, True]
    assert [folder.name for folder, _ in names[:2]] == ["lazy", "lazy"]
    assert names[3][0] == source.parent / "__pycache__"
    monkeypatch.delenv("FASTBP_CACHE_DIR")
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    assert list(cache_folders.folders_for(source)) == [names[1], names[3], names[4]]


def test_the_user_may_have_no_home_folder(monkeypatch):
    def fail():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", fail)
    assert list(cache_folders.folders_for(PACKAGE / "_kernels" / "epochs.py"))[-1][0].name == "__pycache__"


@compiled
def test_code_in_a_read_only_folder_is_used(folders, tmp_path):
    assert call(new_entry()) == (0, 1, [])
    (path,) = stored(tmp_path)
    assert path.parts[:2] == ("fastbp", "_kernels")
    folders.add("fastbp")
    assert call(new_entry()) == (1, 0, [])
    (tmp_path / "fastbp").rename(tmp_path / "wheel")
    folders.add("wheel")
    assert call(new_entry()) == (1, 0, [])
    assert len(stored(tmp_path)) == 1
    assert not list(tmp_path.rglob("*.lock"))


@compiled
def test_code_is_stored_in_the_first_folder_that_can_be_written(folders, tmp_path):
    folders.update(["fastbp", "wheel"])
    assert call(new_entry()) == (0, 1, [])
    (path,) = stored(tmp_path)
    assert path.parts[0] == "numba"
    folders.clear()  # a folder that can be written hides all that follow, so that an empty folder means an empty cache
    assert call(new_entry()) == (0, 1, [])
    assert len(stored(tmp_path)) == 2


@compiled
def test_damaged_code_in_a_read_only_folder_is_compiled_again(folders, tmp_path, monkeypatch):
    call(new_entry())
    path = tmp_path / stored(tmp_path)[0]
    path.write_bytes(b"damaged")
    monkeypatch.setattr(Path, "unlink", lambda self: (_ for _ in ()).throw(OSError("read-only")))
    folders.add("fastbp")
    hits, misses, (message,) = call(new_entry())
    assert (hits, misses) == (0, 1)
    assert f"the cached kernels in {path.parent} cannot be used" in message
    assert message.endswith("delete that folder or set FASTBP_CACHE_DIR to another folder.")
    assert [name.parts[0] for name in stored(tmp_path)] == ["fastbp", "numba"]


@compiled
def test_failed_write_is_one_warning(folders, tmp_path, monkeypatch):
    def fail(path, stamp, content):
        raise OSError("disk full")

    monkeypatch.setattr(disk_cache, "_write_stamped", fail)
    hits, misses, (message,) = call(new_entry())
    assert (hits, misses) == (0, 1)
    assert f"compiled kernels cannot be stored in {tmp_path / 'fastbp'}" in message
    assert "(OSError: disk full)" in message
    assert message.endswith("delete that folder or set FASTBP_CACHE_DIR to another folder.")
    assert call(new_entry()) == (0, 1, [])


@compiled
def test_code_for_another_target_is_not_loaded(folders, tmp_path, monkeypatch):
    call(new_entry())
    monkeypatch.setattr(disk_cache, "TARGET", "another")
    assert call(new_entry())[:2] == (0, 1)
    assert len(stored(tmp_path)) == 2


# ---------------------------------------------------------------------- locks between processes

HOLD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from file_lock import FileLock
lock = FileLock(Path(sys.argv[2]), 60)
assert lock.acquired
print("held", flush=True)
time.sleep(60)
"""


@contextlib.contextmanager
def holding(path):
    """Run a process that holds the lock; it is killed at the end of the context."""
    process = start(HOLD, PACKAGE / "_kernels", path)
    assert process.stdout.readline() == "held\n", process.stderr.read()
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_lock_excludes_other_processes_until_a_time_limit(tmp_path):
    path = tmp_path / "lock"
    with holding(path):
        assert not file_lock.FileLock(path, 0.1).acquired


def test_lock_of_a_killed_process_is_released(tmp_path):
    path = tmp_path / "lock"
    with holding(path) as process, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(file_lock.FileLock, path, 60)
        time.sleep(0.2)
        assert not waiting.done()
        process.kill()
        assert waiting.result(timeout=60).acquired
        waiting.result().release()


def test_lock_is_passed_on_and_its_file_is_deleted(tmp_path):
    path = tmp_path / "lock"
    first = file_lock.FileLock(path, 0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(file_lock.FileLock, path, 60)
        time.sleep(0.2)
        assert not waiting.done()
        first.release()
        second = waiting.result(timeout=60)
    assert second.acquired
    second.release()
    second.release()
    assert not first.acquired
    assert not second.acquired
    assert not path.exists()


def test_lock_is_not_acquired_where_files_cannot_be_locked(tmp_path, monkeypatch):
    assert not file_lock.FileLock(tmp_path / "missing" / "lock", 60).acquired

    def fail(descriptor):
        raise OSError("No locks available")

    monkeypatch.setattr(file_lock, "_try_to_lock", fail)
    lock = file_lock.FileLock(tmp_path / "lock", 60)
    assert not lock.acquired
    lock.release()


@compiled
@pytest.mark.usefixtures("folders")
def test_entry_waits_until_another_process_has_compiled(tmp_path, monkeypatch):
    reads, read = [], disk_cache._read_stamped
    monkeypatch.setattr(disk_cache, "_read_stamped", lambda path, stamp: reads.append(path) or read(path, stamp))
    call(new_entry())
    path = tmp_path / stored(tmp_path)[0]
    content = path.read_bytes()
    path.unlink()
    reads.clear()

    def store():
        while not reads:
            time.sleep(0.01)
        time.sleep(0.3)
        path.write_bytes(content)
        process.kill()

    with holding(path.with_name(f"{path.name}.lock")) as process:
        other = threading.Thread(target=store)
        other.start()
        assert call(new_entry()) == (1, 0, [])
        other.join()


@compiled
@pytest.mark.usefixtures("folders")
def test_entry_compiles_if_another_process_takes_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr(disk_cache, "PATIENCE", 0.2)
    call(new_entry())
    path = tmp_path / stored(tmp_path)[0]
    path.unlink()
    with holding(path.with_name(f"{path.name}.lock")):
        assert call(new_entry()) == (0, 1, [])
    assert path.exists()


@compiled
@pytest.mark.usefixtures("folders")
def test_lock_is_released_if_the_compilation_fails(tmp_path):
    with pytest.raises(numba.TypingError, match="no_such_attribute"):
        jit.entry(lambda x: x.no_such_attribute)(1.0)
    assert list((tmp_path / "fastbp").rglob("*.lock")) == []
    assert (tmp_path / "fastbp").exists()


COMPILE_TOGETHER = """
import json, sys, time
from pathlib import Path
from fastbp._kernels.epochs import update_early_stopping
from fastbp._kernels.settings import PROGRESS, SETTINGS, record
Path(sys.argv[1], f"ready {sys.argv[2]}").touch()
while len(list(Path(sys.argv[1]).glob("ready *"))) < 3:
    time.sleep(0.01)
update_early_stopping(record(SETTINGS), record(PROGRESS), 3.0)
print(json.dumps(sum(update_early_stopping.stats.cache_misses.values())))
"""


@pytest.mark.slow
@compiled
def test_processes_that_start_together_compile_once(tmp_path):
    with ThreadPoolExecutor(3) as pool:
        misses = list(pool.map(lambda n: run(COMPILE_TOGETHER, tmp_path, n, FASTBP_CACHE_DIR=tmp_path), range(3)))
    assert sorted(misses) == [0, 0, 1]


# ---------------------------------------------------------------------- compiling in advance for several levels

FIT = """
import json
import numpy as np
from numba.core import event
from fastbp import MLPClassifier, MLPRegressor
X = np.linspace(-1, 1, 80).reshape(40, 2)
with event.install_recorder("numba:compile") as recorder:
    MLPClassifier((4,), early_stopping=True, max_iter=2, tol=1e9).fit(X, X[:, 0] > 0).predict(X)
    MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", max_iter=50).fit(X, X[:, 0])
print(json.dumps(len(recorder.buffer)))
"""


@pytest.mark.long
@compiled
@on_x86
def test_kernels_are_compiled_for_other_levels_without_running_them(tmp_path):
    names = list(targets._X86_LEVELS)
    other = names[(names.index(targets.TARGET) + 1) % len(names)] if targets.TARGET in names else "x86-64-v4"
    command = [sys.executable, "-m", "fastbp.warmup", "float64", "--into", str(tmp_path / "code"), "--target", "x86-64-v2", other]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), "NUMBA_CACHE_DIR": str(tmp_path / "numba")}
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("compiled versions, stored in") == 10
    versions = [path.name.split(".nbc")[0].rpartition(".")[0] for path in (tmp_path / "code" / "_kernels").glob("*.nbc")]
    assert len(versions) >= 8
    assert all(versions.count(name) % 2 == 0 for name in versions)  # each entry is compiled for both targets
    compiled_before = {"FASTBP_TARGET": "x86-64-v2", "FASTBP_CACHE_DIR": tmp_path / "code"}
    assert run(FIT, **compiled_before, PYTHONWARNINGS="ignore") == 0
    lower = run(PRINT_TARGET, **compiled_before)
    assert lower[:3] == ["x86-64-v2", 16, ["x86-64-v2", ""]]
    assert lower[3] == pytest.approx(run(PRINT_TARGET)[3], rel=1e-9)


@on_x86
@pytest.mark.parametrize("more", [[], ["--all"]], ids=str)
def test_only_code_for_the_given_levels_is_stored(tmp_path, monkeypatch, capfd, more):
    """Without a supported level, the process that determines the argument types stores its code in a temporary folder."""
    started = []

    def note(command, env, **options):
        started.append((command, env))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(warmup, "HOST_FEATURES", set())
    monkeypatch.setattr(warmup, "COMPILER_MODE", "fast")
    monkeypatch.setattr(warmup.subprocess, "run", note)
    warmup._main(["--target", "x86-64-v4", "--into", str(tmp_path), *more, "float32"])
    (first, its), (second, other) = started
    assert (its["FASTBP_TARGET"], other["FASTBP_TARGET"]) == (targets.TARGET, "x86-64-v4")
    assert (its["FASTBP_CACHE_DIR"] == str(tmp_path), other["FASTBP_CACHE_DIR"]) == (False, str(tmp_path))
    assert not Path(its["FASTBP_CACHE_DIR"]).parent.exists()
    assert first[first.index("--signatures") + 1] == second[second.index("--signatures") + 1]
    assert ("--all" in first, "--all" in second) == (False, bool(more))
    printed = capfd.readouterr().out
    assert [line for line in printed.splitlines() if line.endswith(":")] == ["x86-64-v4:"]


def test_wrong_arguments_of_the_command_are_rejected(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match=r"--target must be followed by some of .* got \['pentium'\]"):
        warmup._main(["--target", "pentium"])
    with pytest.raises(SystemExit, match=r"got \['float16'\]"):
        warmup._main(["float16", "--into", str(tmp_path)])
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"--into must be a folder that this user can write; got .*file.*Choose another folder"):
        warmup._main(["--into", str(tmp_path / "file" / "below")])
    monkeypatch.setattr(warmup, "COMPILER_MODE", "plain")
    with pytest.raises(SystemExit, match="--target needs FASTBP_COMPILER=fast; got 'plain'"):
        warmup._main(["--target", "host"])


# ---------------------------------------------------------------------- the wheel


@pytest.fixture
def hook(monkeypatch):
    """Return the build hook for a wheel, and the list of the commands that it runs; hatchling need not be installed."""
    interface = types.ModuleType("hatchling.builders.hooks.plugin.interface")
    interface.BuildHookInterface = object
    monkeypatch.setitem(sys.modules, interface.__name__, interface)
    spec = importlib.util.spec_from_file_location("hatch_build", PACKAGE.parents[1] / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    commands = []
    monkeypatch.setattr(module.subprocess, "run", lambda command, **options: commands.append(command))
    hook = module.CompiledKernels()
    hook.root = str(PACKAGE.parents[1])
    hook.metadata = types.SimpleNamespace(core=types.SimpleNamespace(dependencies=["numba"]))
    return hook, commands


def test_wheel_contains_compiled_kernels_only_on_demand(hook, monkeypatch):
    hook, commands = hook
    monkeypatch.delenv("FASTBP_BUILD_TARGETS", raising=False)
    data = {"force_include": {}}
    hook.initialize("standard", data)
    hook.finalize("standard", data, "")
    assert (data, commands, hook.dependencies()) == ({"force_include": {}}, [], [])
    monkeypatch.setenv("FASTBP_BUILD_TARGETS", "x86-64-v3  x86-64-v4")
    hook.initialize("editable", data)
    assert commands == []
    hook.initialize("standard", data)
    assert commands[0][-2:] == ["x86-64-v3", "x86-64-v4"]
    assert data["force_include"] == {hook.folder: f"fastbp/{cache_folders.COMPILED.name}"}
    assert (data["pure_python"], data["infer_tag"]) == (False, True)
    assert hook.dependencies() == ["numba"]
    hook.finalize("standard", data, "")
    assert not Path(hook.folder).exists()
