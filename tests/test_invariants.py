"""Properties of every fit: one compilation, a disk cache, no allocation, no GIL, timely returns to Python, reproducible results.

Most tests need compiled code. Tests of the disk cache use `update_early_stopping`, which compiles quickly. The few tests that start
processes with an empty cache are marked slow.
"""

import gc
import json
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numba
import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys
from scipy.sparse import csc_array, csr_array, csr_matrix
from sklearn.base import clone

import fastbp
from fastbp import MLPClassifier, MLPRegressor
from fastbp._data.inputs import as_rows, as_targets
from fastbp._kernels import disk_cache, dispatchers, inline, jit, user_warnings
from fastbp._kernels.epochs import train, update_early_stopping
from fastbp._kernels.lazy.solvers import N_MOMENTS
from fastbp._kernels.network import loss_and_gradient, predict
from fastbp._kernels.settings import PROGRESS, SETTINGS, record
from fastbp._network import optimizers as updates
from fastbp._network import turns
from fastbp._network.activations import ACTIVATION_NAMES
from fastbp._network.architecture import Architecture, Objective, Plan
from fastbp._network.layout import Layout
from fastbp._network.losses import REGRESSION
from fastbp._network.schedules import SCHEDULE_NAMES
from fastbp._training import epochs as training
from fastbp._training.context import EarlyStoppingStart
from fastbp._training.state import TrainingState

PACKAGE = Path(fastbp.__file__).parent
ENTRIES = {entry.__name__: entry for entry in (train, update_early_stopping, loss_and_gradient, predict)}
SOLVERS = ["lbfgs", *N_MOMENTS]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
compiled = pytest.mark.compiled


def data(dtype=np.float64, n_rows=60):
    """Return inputs with many zeros, class codes of three classes, and two columns of counts."""
    random = np.random.default_rng(0)
    X = (random.normal(size=(n_rows, 4)) * (random.random((n_rows, 4)) < 0.7)).astype(dtype)
    return X, np.arange(n_rows) % 3, random.poisson(2.0, (n_rows, 2)).astype(float)


def classifier(**parameters):
    return MLPClassifier(**{"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0, **parameters})


def regressor(**parameters):
    return MLPRegressor(**{"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0, **parameters})


def bits(estimator):
    return [array.tobytes() for array in estimator.coefs_ + estimator.intercepts_]


# ---------------------------------------------------------------------- compiled once


def containers_of(X, folder):
    """Return the same inputs in every form that scikit-learn accepts, by name."""
    np.save(folder / "X.npy", X)
    locked = X.copy()
    locked.flags.writeable = False
    shifted = np.frombuffer(b"\0" + X.tobytes(), np.uint8)[1:].view(X.dtype).reshape(X.shape)
    wide = csr_array(X)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    return {
        "Fortran order": np.asfortranarray(X),
        "every second column": np.repeat(X, 2, axis=1)[:, ::2],
        "rows backwards": X[::-1],
        "read-only": locked,
        "memory map": np.load(folder / "X.npy", mmap_mode="r"),
        "unaligned": shifted,
        "other endian": X.astype(X.dtype.newbyteorder()),
        "list": X.tolist() if X.dtype == np.float64 else X,
        "integers": X.astype(int),
        "CSR": csr_array(X),
        "CSR matrix": csr_matrix(X),
        "CSR with wide indices": wide,
        "CSC": csc_array(X),
    }


@pytest.mark.slow
@compiled
def test_all_fits_of_a_dtype_use_the_same_compiled_code(tmp_path):
    for dtype in (np.float32, np.float64):
        X, codes, values = data(dtype)
        for solver in SOLVERS:
            classifier(solver=solver, early_stopping=solver != "lbfgs").fit(X, codes).predict(X)
    before = {name: set(entry.signatures) for name, entry in ENTRIES.items()}
    weight = np.linspace(0.5, 2, len(X))
    for dtype in (np.float32, np.float64):
        X, codes, values = data(dtype)
        for solver in SOLVERS:
            for sizes, activation in zip([(), (3,), (7, 5), (4, 3, 2)], ACTIVATION_NAMES, strict=False):
                parameters = {"solver": solver, "hidden_layer_sizes": sizes, "activation": activation}
                classifier(**parameters).fit(X, codes == 1, sample_weight=weight).predict_proba(X)
                regressor(**parameters, loss="poisson").fit(X, values).predict(X)
                regressor(**parameters, batch_size=7, shuffle=False).fit(X, values[:, 0], sample_weight=weight)
        for loss in REGRESSION:
            regressor(loss=loss).fit(X, np.abs(values) + 0.1)
        for schedule in SCHEDULE_NAMES:
            classifier(solver="sgd", learning_rate=schedule, early_stopping=True).fit(X, codes)
        multilabel = classifier().fit(X, np.eye(3, dtype=int)[codes])
        multilabel.partial_fit(X, np.eye(3, dtype=int)[codes])
        for form in containers_of(X, tmp_path).values():
            regressor(early_stopping=True).fit(form, values, sample_weight=weight).predict(form)
        classifier(random_state=None).fit(X, codes.astype(str))
        for n_threads in (2, 3):
            classifier(n_threads=n_threads, batch_size=7).fit(X, codes, sample_weight=weight)
            regressor(n_threads=n_threads, early_stopping=True).fit(csr_array(X), values)
    for name, entry in ENTRIES.items():
        assert set(entry.signatures) == before[name], f"{name} was compiled again"


@compiled
def test_kernel_is_compiled_once_per_type_and_counts_no_references():
    @jit.kernel(optimize=False)  # otherwise its code would be simplified
    def element(array, index):
        view = array
        return view[index]

    @numba.njit
    def sum_of_elements(array, n):
        return element(array, 0) + element(array, 1) + element(array, n)

    assert sum_of_elements(np.arange(3.0), 2) == 3
    ((_, index),) = element.signatures
    assert index == numba.types.intp
    (library,) = {overload.library for overload in element.overloads.values()}
    assert "NRT_" not in str(library._final_module)


# ---------------------------------------------------------------------- no allocation, no GIL, timely returns to Python


@pytest.fixture
def count_allocations():
    """Return a function that runs another function and returns the number of allocations by Numba's runtime."""
    _nrt_python.memsys_enable_stats()

    def count(function):
        before = rtsys.get_allocation_stats()
        function()
        after = rtsys.get_allocation_stats()
        return after.alloc - before.alloc

    yield count
    _nrt_python.memsys_disable_stats()


@compiled
def test_training_allocates_nothing(network, count_allocations):
    @numba.njit
    def allocate():
        return np.empty(3).size

    allocate()
    assert count_allocations(allocate) > 0
    pairs = [("squared_error", "identity"), ("log_loss", "logistic"), ("log_loss", "softmax"), ("poisson", "exp")]
    for dtype in (np.float32, np.float64):
        for (loss, link), activation in zip(pairs, ACTIVATION_NAMES, strict=False):
            for solver in N_MOMENTS:
                for changes in (
                    {},
                    {"sparse": True},
                    {"weighted": True},
                    {"sizes": (3, 1), "block_size": 2},
                    {"batch_size": 1},
                    {"n_threads": 2},
                ):
                    parameters = {"loss": loss, "out_activation": link, "activation": activation, "solver": solver}
                    net = network(dtype=dtype, shuffle=True, learning_rate_init=1e-3, **parameters, **changes)
                    net.train(1)
                    # Numba wraps the arguments once per call, for any number of epochs
                    assert count_allocations(lambda net=net: net.train(40)) == count_allocations(lambda net=net: net.train(1))


@compiled
@pytest.mark.parametrize("name", ENTRIES)
def test_entries_release_the_gil(name):
    assert ENTRIES[name].targetoptions["nogil"]


@compiled
def test_other_threads_run_while_one_call_trains(network):
    """Another thread reads the number of epochs. If training held the GIL, it would read only the first and the last number."""
    net = network((20, 50, 50, 1), n_rows=500, batch_size=20, max_epochs=300, learning_rate_init=1e-3)
    net.train(1)
    seen, done = set(), threading.Event()

    def watch():
        while not done.is_set():
            seen.add(int(net.progress[0].epoch))

    watcher = threading.Thread(target=watch)
    watcher.start()
    net.train()
    done.set()
    watcher.join()
    assert net.progress[0].epoch == 300
    assert len(seen - {0, 1, 300}) >= 3


class Machine:
    """A simulated computer. Its clock counts only the time of kernels: a microsecond per block, and the time of multiply-adds."""

    def __init__(self, layout, speed):
        self.layout, self.speed, self.now, self.turns = layout, speed, 0.0, []

    def perf_counter(self):
        return self.now

    def work(self, n_rows, block_size):
        # three products: one in the forward pass, two in the backward pass
        seconds = 1e-6 * n_rows / block_size + 3 * self.layout.n_params * n_rows / self.speed
        self.now += seconds
        self.turns.append(seconds)


each_speed = pytest.mark.parametrize("speed", [5e8, 1e10, 1e11], ids="{:.0e} multiply-adds per second".format)


@each_speed
@pytest.mark.parametrize(
    ("n_rows", "batch_size", "sizes", "n_epochs"),
    [
        (10**7, 10**7, (100, 100, 10), 1),
        (10**6, 200, (100, 100, 10), 2),
        (50, 10, (4, 8, 3), 30_000),
        (10**7, 1, (2, 1), 1),
    ],
    ids=["one huge batch", "many batches", "tiny data", "batches of one row"],
)
@pytest.mark.parametrize("n_threads", [1, 2], ids=["alone", "two threads"])
def test_kernels_return_to_python_in_time(n_rows, batch_size, sizes, n_epochs, speed, n_threads, monkeypatch):
    """No kernel call lasts longer than 0.1 seconds, and there are not many more calls than this requires."""
    layout, y = Layout(sizes), np.broadcast_to(0.0, (n_rows, 1))
    machine = Machine(layout, speed)

    def train(settings, progress, rank, *others):
        n_epochs, n_rounds, block_size = others[-2].losses.size, others[-1], settings[0].block_size
        state = progress[rank]
        start = state.epoch * n_rows + state.row
        stop = min(start + n_rounds * block_size * n_threads, (state.epoch + n_epochs) * n_rows)
        state.epoch, state.row = divmod(stop, n_rows)
        if rank == 0:  # the other threads run at the same time, so only the first thread advances the clock
            machine.work((stop - start) / n_threads, block_size)

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(training, "time", machine)
    params = np.zeros(layout.n_params)
    plan = Plan(layout, Architecture(("relu",) * (len(sizes) - 2)), Objective("squared_error"))
    problem = training.Problem(plan, as_rows(np.zeros((1, sizes[0])), float), y, as_targets(None, float))
    settings, shuffles = record(SETTINGS), training.Shuffles(np.random.RandomState(0), wanted=True, shared=False)
    settings[0].batch_size = batch_size
    optimizer = updates.Optimizer.fresh(MLPRegressor(solver="sgd"), params)
    state = TrainingState.untrained(layout, params, ("identity", 0), "identity")
    state.optimizer = optimizer
    progress = training.start_progress(EarlyStoppingStart())
    descent = training.EpochRunner(problem, state, settings, None, progress, y[:, 0], shuffles, n_threads, n_threads)
    while descent.progress[0].epoch < n_epochs:
        descent.run_kernel()
    descent.close()
    assert max(machine.turns) <= 0.1
    assert len(machine.turns) <= 40 + machine.now / 0.02 + n_epochs / 500


@each_speed
@pytest.mark.parametrize("n_rows", [1, 10, 1000, 10**8])
def test_timed_ranges_cover_all_rows_and_last_at_most_a_tenth_of_a_second(n_rows, speed, monkeypatch):
    layout = Layout((20, 30, 1))
    machine, block_size, at = Machine(layout, speed), layout.block_size(n_rows, 8), 0
    monkeypatch.setattr(turns, "time", machine)
    for start, stop in turns.timed_ranges(n_rows, turns.BlockPacer(layout, block_size), block_size):
        assert start == at < stop <= n_rows
        assert start % block_size == 0
        machine.work(stop - start, block_size)
        at = stop
    assert at == n_rows
    assert max(machine.turns) <= 0.1
    assert len(machine.turns) <= 40 + machine.now / 0.02


# ---------------------------------------------------------------------- reproducible results


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("form", [np.asarray, csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_same_seed_gives_bitwise_identical_results(solver, form, dtype):
    X, codes, _ = data(dtype)
    once, again, other = (classifier(solver=solver, random_state=seed).fit(form(X), codes) for seed in (1, 1, 2))
    assert bits(once) == bits(again)
    assert bits(once) != bits(other)
    assert once.predict_proba(form(X)).tobytes() == again.predict_proba(form(X)).tobytes()


def estimators(random_states):
    """Yield a classifier for each random state, solver and activation; some of them use early stopping."""
    for random_state in random_states:
        for solver in SOLVERS:
            for place, activation in enumerate(ACTIVATION_NAMES[:4]):
                stop = solver != "lbfgs" and place % 2 == 0
                yield classifier(solver=solver, activation=activation, early_stopping=stop, random_state=random_state)


def test_concurrent_fits_equal_sequential_fits():
    X, codes, _ = data(n_rows=200)
    models = list(estimators([0, 1]))
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(lambda model: clone(model).fit(X, codes), models))
    assert [bits(model) for model in at_once] == [bits(model.fit(X, codes)) for model in models]


def test_concurrent_fits_can_share_a_random_state():
    X, codes, _ = data(n_rows=200)
    for shared in (None, np.random.RandomState(0)):
        with ThreadPoolExecutor(4) as pool:
            fitted = list(pool.map(lambda model: model.fit(X, codes), estimators([shared] * 2)))
        assert all(np.isfinite(W).all() for model in fitted for W in model.coefs_)
        assert len({tuple(bits(model)) for model in fitted}) == len(fitted)


@pytest.mark.slow
@compiled
@pytest.mark.parametrize("method", sorted({"fork", "spawn"} & set(multiprocessing.get_all_start_methods())))
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fit_in_another_process_gives_the_same_result(method):
    X, codes, _ = data()
    model = classifier().fit(X, codes)
    # another thread of the parent process trains at the moment of the fork
    with ThreadPoolExecutor(1) as threads, ProcessPoolExecutor(1, multiprocessing.get_context(method)) as processes:
        threads.submit(classifier(max_iter=200, tol=0).fit, X, codes)
        fitted = processes.submit(clone(model).fit, X, codes).result(timeout=300)
    assert bits(fitted) == bits(model)


# ---------------------------------------------------------------------- the disk cache, in this process


@compiled
def test_compiled_kernels_are_stored_in_numba_cache_dir():
    assert os.environ["NUMBA_CACHE_DIR"] == numba.config.CACHE_DIR
    folder = Path(numba.config.CACHE_DIR).resolve()
    assert all(folder in Path(entry.stats.cache_path).resolve().parents for entry in ENTRIES.values())


@pytest.fixture
def new_entry(tmp_path, monkeypatch):
    """Return a function that creates the entry `update_early_stopping` as a new process does, with a cache folder for this test."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))

    def make():
        monkeypatch.setattr(user_warnings, "_given", set())
        return jit.entry(update_early_stopping.py_func)

    return make


def warnings_of(update_early_stopping, n_calls=1):
    """Call `update_early_stopping`, check its result, and return the texts of its warnings."""
    settings, progress = record(SETTINGS), record(PROGRESS)
    progress[0].best = 5
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(n_calls):
            update_early_stopping(settings, progress, 3.0)
    assert progress[0].best == 3
    assert all(warning.category is RuntimeWarning for warning in caught)
    return [str(warning.message) for warning in caught]


def hits_and_misses(dispatcher):
    return sum(dispatcher.stats.cache_hits.values()), sum(dispatcher.stats.cache_misses.values())


def files(folder, suffix):
    return sorted(Path(folder).rglob(f"*.{suffix}"))


DAMAGES = {
    "empty": lambda content: b"",
    "cut short": lambda content: content[: len(content) // 2],
    "cut by a byte": lambda content: content[:-1],
    "garbage": lambda content: bytes(range(256)) * 8,
    "text": lambda content: b"not a pickle",
    "another pickle": lambda content: pickle.dumps("not what was expected"),
    "a pickle of missing classes": lambda content: b"cfastbp.nowhere\nNothing\n.",
}


@pytest.fixture
def package(tmp_path):
    """Return the path of a copy of the package without compiled files."""
    return shutil.copytree(PACKAGE, tmp_path / "copy" / "fastbp", ignore=shutil.ignore_patterns("__pycache__"))


@pytest.mark.slow
@compiled
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_cache_causes_one_warning_and_is_repaired(damage, new_entry, tmp_path):
    first = new_entry()
    assert warnings_of(first) == []
    assert hits_and_misses(first) == (0, 1)
    (path,) = files(tmp_path, "nbc")
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    second = new_entry()
    messages = warnings_of(second, n_calls=2)
    assert len(messages) == 1
    assert all("set FASTBP_CACHE_DIR to another folder" in message for message in messages)
    third = new_entry()
    assert warnings_of(third) == []
    assert hits_and_misses(third) == (1, 0)


@compiled
def test_missing_cache_files_are_written_again(new_entry, tmp_path):
    warnings_of(new_entry())
    files(tmp_path, "nbc")[0].unlink()
    assert warnings_of(new_entry()) == []
    last = new_entry()
    assert warnings_of(last) == []
    assert hits_and_misses(last) == (1, 0)


@compiled
def test_cache_folder_that_becomes_unusable_causes_one_warning(new_entry, tmp_path):
    update_early_stopping = new_entry()
    folder = Path(update_early_stopping.stats.cache_path)
    folder.rmdir()
    folder.touch()  # a file with this name prevents the folder from being created again
    assert len(warnings_of(update_early_stopping, n_calls=2)) == 1


@compiled
def test_code_of_another_version_is_not_loaded(new_entry, monkeypatch):
    warnings_of(new_entry())
    monkeypatch.setattr(disk_cache, "_stamp_of_this_copy", lambda: "stamp of other sources")
    other = new_entry()
    assert warnings_of(other) == []
    assert hits_and_misses(other) == (0, 1)


@compiled
def test_code_of_different_types_is_stored_in_different_files(tmp_path, monkeypatch):
    """Two processes that start with an empty cache at the same time choose file names independently of each other."""
    names = []
    for value in (3.0, np.float32(3), 3):
        folder = tmp_path / str(len(names))
        monkeypatch.setattr(numba.config, "CACHE_DIR", str(folder))
        jit.entry(update_early_stopping.py_func)(record(SETTINGS), record(PROGRESS), value)
        names += [path.name for path in files(folder, "nbc")]
    assert len(set(names)) == 3


def test_the_stamp_covers_compat_and_every_kernel_file(package):
    folder = package / "_kernels"
    stamps = [disk_cache.source_stamp(package)]
    assert stamps == [disk_cache.source_stamp()]
    paths = [package / "_compat.py", *sorted(folder.rglob("*.py"))]
    assert len(paths) > 10
    for path in paths:
        text = path.read_bytes()
        path.write_bytes(text + b"#")
        stamps.append(disk_cache.source_stamp(package))
        path.write_bytes(text)
    paths[-1].rename(folder / "zzz.py")
    stamps.append(disk_cache.source_stamp(package))
    assert len(set(stamps)) == len(stamps)
    (package / "_classifier.py").write_text("")
    assert disk_cache.source_stamp(package) == stamps[-1]


@compiled
def test_compiler_modes_do_not_share_machine_code(new_entry, tmp_path, monkeypatch):
    warnings_of(new_entry())
    monkeypatch.setattr(jit, "COMPILER_MODE", "plain")
    plain = new_entry()
    assert warnings_of(plain) == []
    assert hits_and_misses(plain) == (0, 1)
    # a file of one mode is not valid for the other mode, even if it has the same name
    file_of_fast, file_of_plain = sorted(files(tmp_path, "nbc"), key=lambda path: "plain" in path.name)
    shutil.copy(file_of_fast, file_of_plain)
    again = new_entry()
    assert warnings_of(again) == []
    assert hits_and_misses(again) == (0, 1)


# ---------------------------------------------------------------------- the disk cache, in other processes


SCRIPT = """
import json, sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import numpy as np
    from numba.core import event
    from fastbp import MLPClassifier
    from fastbp._kernels.epochs import train, update_early_stopping
    from fastbp._kernels.network import loss_and_gradient, predict
    from fastbp._kernels.settings import PROGRESS, SETTINGS, record
    task, *dtypes = sys.argv[1:]
    results = {}
    with event.install_recorder("numba:compile") as recorder:
        for dtype in dtypes:
            X = np.linspace(-1, 1, 80).reshape(40, 2).astype(dtype)
            model = MLPClassifier((4,), max_iter=2, random_state=0)
            if task == "update_early_stopping":
                progress = record(PROGRESS)
                progress[0].best = 5
                update_early_stopping(record(SETTINGS), progress, 3.0)
                results[dtype] = progress[0].best
            elif task == "fit":
                model.set_params(early_stopping=True).fit(X, X[:, 0] > 0)
                model.set_params(early_stopping=False, solver="lbfgs").fit(X, X[:, 0] > 0)
            else:
                from fastbp._network.architecture import Architecture, Plan
                from fastbp._data.inputs import as_rows
                from fastbp._network.layout import Layout, aligned_zeros
                from fastbp._network.prediction import outputs
                params = aligned_zeros(13, dtype)
                params[...] = np.linspace(-1, 1, 13)
                out = outputs(Plan(Layout((2, 3, 1)), Architecture(("relu",))), params, as_rows(X, dtype), 40)
                results[dtype] = out.ravel().tolist()
    entries = [train, update_early_stopping, loss_and_gradient, predict]
print(json.dumps({
    "results": results,
    "compilations": sum(record.is_start for _, record in recorder.buffer),
    "hits": sum(sum(entry.stats.cache_hits.values()) for entry in entries),
    "warnings": [str(w.message) for w in caught if w.category is RuntimeWarning],
}))
"""


def start(task, *dtypes, package=PACKAGE, **environment):
    """Start a process that fits or predicts with these dtypes; a variable with the value None is unset."""
    environment = {**os.environ, "PYTHONPATH": str(package.parent), **environment}
    environment = {name: str(value) for name, value in environment.items() if value is not None}
    command = [sys.executable, "-c", SCRIPT, task, *dtypes]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=package)


def report(process):
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    return SimpleNamespace(**json.loads(out))


def run(*arguments, **options):
    return report(start(*arguments, **options))


@pytest.mark.slow
@compiled
def test_code_with_a_block_of_zeros_is_not_run(new_entry, tmp_path):
    """After a crash of the computer, a file may have the right length but contain a block of zeros."""
    warnings_of(new_entry())
    (path,) = files(tmp_path, "nbc")
    code = path.read_bytes()
    start = code.index(b"\x7fELF") + 64 if b"\x7fELF" in code else 98
    path.write_bytes(code[:start] + bytes(512) + code[start + 512 :])
    got = run("update_early_stopping", "float64", NUMBA_CACHE_DIR=tmp_path / "cache")
    assert got.results == {"float64": 3}
    assert len(got.warnings) == 1


@pytest.fixture(scope="session")
def outputs():
    """Return the results of task "predict" in SCRIPT."""
    X, params = np.linspace(-1, 1, 80).reshape(40, 2), np.linspace(-1, 1, 13)
    (W1, W2), (b1, b2) = Layout((2, 3, 1)).views(params)
    return pytest.approx((np.maximum(X @ W1 + b1, 0) @ W2 + b2).ravel(), rel=1e-5)


@pytest.mark.slow
@compiled
def test_second_process_compiles_nothing():
    first = run("fit", "float64")  # compiles what the cache of this test run does not contain
    second = run("fit", "float64")
    assert (second.compilations, second.hits) == (0, 3)  # train, update_early_stopping and evaluate
    assert first.warnings == second.warnings == []


@pytest.mark.long
@compiled
def test_change_of_a_called_function_causes_a_new_compilation(package, outputs):
    """The file of the entry is unchanged, but the file of a function that the entry calls has changed."""
    options = {"package": package, "NUMBA_CACHE_DIR": None}
    assert run("predict", "float64", **options).results["float64"] == outputs
    assert files(package / "_kernels" / "__pycache__", "nbc")
    with (package / "_kernels" / "activations.py").open("a") as file:
        file.write("\n\n@kernel()\ndef activate(code, z):\n    z[:] = 0\n")
    changed = run("predict", "float64", **options)
    assert changed.results["float64"] == [1.0] * 40  # the outputs are the last bias
    assert changed.warnings == []


@pytest.mark.slow
@compiled
def test_cache_without_a_writable_folder_causes_one_warning(package, outputs, tmp_path):
    (tmp_path / "file").touch()
    (package / "_kernels" / "__pycache__").touch()
    nowhere = tmp_path / "file" / "below"
    options = {"package": package, "HOME": nowhere, "XDG_CACHE_HOME": nowhere, "NUMBA_CACHE_DIR": nowhere}
    got = run("predict", "float64", **options)
    assert got.results["float64"] == outputs
    assert len(got.warnings) == 1
    assert "NUMBA_CACHE_DIR" in got.warnings[0]


@pytest.mark.long
@compiled
def test_concurrent_compilations_in_processes_leave_a_valid_cache(outputs, tmp_path):
    processes = [start("predict", dtype, NUMBA_CACHE_DIR=tmp_path) for dtype in ("float32", "float64")]
    for process, dtype in zip(processes, ("float32", "float64"), strict=True):
        got = report(process)
        assert got.results[dtype] == outputs
        assert got.compilations > 0
        assert got.warnings == []
    third = run("predict", "float32", "float64", NUMBA_CACHE_DIR=tmp_path)
    assert third.results == {"float32": outputs, "float64": outputs}
    assert (third.compilations, third.hits, third.warnings) == (0, 2, [])


# ---------------------------------------------------------------------- compiler modes


FITS = """
import json, sys, warnings
import numpy as np
from scipy.sparse import csr_array
random = np.random.default_rng(0)
X = random.normal(size=(70, 5)) * (random.random((70, 5)) < 0.7)
codes, values = np.arange(70) % 3, X @ random.normal(size=(5, 2))
results = []
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from fastbp import MLPClassifier, MLPRegressor
    from fastbp._kernels import jit
    parameters = {"hidden_layer_sizes": (19, 3), "max_iter": 5, "batch_size": 20, "random_state": 0, "tol": 0}
    for model, inputs, targets in [
        (MLPClassifier(**parameters), X, codes),
        (MLPClassifier(solver="sgd", activation="tanh", **parameters), csr_array(X), codes == 1),
        (MLPClassifier(batch_norm=True, n_threads=2, **parameters), X, codes),
        (MLPClassifier(solver="lbfgs", activation="logistic", **parameters), X, codes),
        (MLPRegressor(activation="silu", solver="adamw", **parameters), X, values),
        (MLPRegressor(loss="poisson", early_stopping=True, alpha=0.1, **parameters), X, np.exp(values[:, 0])),
    ]:
        model.fit(inputs, targets)
        outputs = model.predict_proba(inputs) if isinstance(model, MLPClassifier) else model.predict(inputs)
        results.append([model.loss_, *np.ravel(outputs)])
print(json.dumps({
    "mode": jit.COMPILER_MODE,
    "results": results,
    "warnings": [str(warning.message) for warning in caught if warning.category is RuntimeWarning],
}))
"""
# The first lines of the program of a process in which a private name of Numba is missing.
WITHOUT_PRIVATE_NAME = "import numba.core.compiler_machinery\ndel numba.core.compiler_machinery.register_pass\n"


def run_fits(prelude="", **environment):
    """Run FITS in a process, with the disk cache of this test run."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), **environment}
    command = [sys.executable, "-c", prelude + FITS]
    return report(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))


@pytest.mark.slow
@compiled
@pytest.mark.skipif(os.environ.get("FASTBP_COMPILER") != "plain", reason="compiles for a minute; make test-plain runs it")
def test_compiler_modes_give_the_same_results():
    """The results may differ by rounding errors. On all processors tested so far, they are bitwise identical."""
    fast, plain, without_name = (
        run_fits(FASTBP_COMPILER="fast"),
        run_fits(FASTBP_COMPILER="plain"),
        run_fits(WITHOUT_PRIVATE_NAME, FASTBP_COMPILER="fast"),
    )
    assert (fast.mode, plain.mode, without_name.mode) == ("fast", "plain", "plain")
    assert fast.warnings == plain.warnings == []
    (message,) = without_name.warnings
    assert "cannot import name 'register_pass'" in message
    assert "FASTBP_COMPILER=plain" in message
    for want, got in zip(fast.results, plain.results, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)
    assert without_name.results == plain.results


@pytest.mark.slow
def test_other_compiler_modes_are_rejected():
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), "FASTBP_COMPILER": "Fast"}
    command = [sys.executable, "-c", "import fastbp"]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 1
    assert "ValueError: The environment variable FASTBP_COMPILER must be 'fast' or 'plain', got 'Fast'" in process.stderr


def fail(*arguments):
    raise AttributeError("made up")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (inline._LightEntryLibrary, "_optimize_final_module"),
        (inline._TunedLibrary, "add_ir_module"),
        (inline._LowerUnoptimizedKernel, "libraries_for_callers"),
        (inline.EntryCompiler, "define_pipelines"),
    ],
    ids=["entry", "kernel", "unoptimized kernel", "pipeline"],
)
@compiled
def test_failing_pipeline_causes_one_warning(owner, name, new_entry, tmp_path, monkeypatch):
    def entry_with_kernels():
        @jit.kernel()
        def doubled(x):
            return x + x

        @jit.kernel(optimize=False)
        def quadrupled(x):
            return doubled(doubled(x))

        def quadrupled_and_doubled(x):
            return doubled(quadrupled(x))

        return jit.entry(quadrupled_and_doubled)

    monkeypatch.setattr(user_warnings, "_given", set())
    monkeypatch.setattr(dispatchers.InlineKernel, "pipeline_works", True)
    monkeypatch.setattr(owner, name, fail)
    first, second = entry_with_kernels(), entry_with_kernels()
    with pytest.warns(RuntimeWarning, match="AttributeError: made up.*, so kernels are compiled with numba.njit") as caught:
        assert first(3.0) == 24
    assert len(caught) == 1
    assert second(2.0) == 16
    assert first(5) == 40  # an argument of another type
    monkeypatch.undo()
    assert second(1) == 8


@compiled
def test_code_compiled_after_a_failure_of_the_pipeline_is_stored_on_disk(new_entry, tmp_path, monkeypatch):
    first, second = new_entry(), new_entry()
    monkeypatch.setattr(dispatchers.InlineKernel, "pipeline_works", True)
    monkeypatch.setattr(inline._LightEntryLibrary, "_optimize_final_module", fail)
    assert len(warnings_of(first)) == 1
    assert all("plain" in path.name for path in files(tmp_path, "nbc"))
    assert warnings_of(second) == []
    assert hits_and_misses(second) == (1, 0)


@compiled
def test_error_in_a_function_is_not_an_error_of_the_pipeline(new_entry):
    function = jit.entry(lambda x: x.no_such_attribute)
    with pytest.raises(numba.TypingError, match="no_such_attribute"):
        function(1.0)
    assert dispatchers.InlineKernel.pipeline_works
    assert jit.entry(lambda x: x + 1)(1.0) == 2


@compiled
def test_without_the_disk_cache_kernels_are_compiled(new_entry, tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "StampedCache", None)
    with pytest.warns(RuntimeWarning, match="compiled kernels cannot be kept on disk with Numba .* install a version of Numba"):
        entry = new_entry()
    assert warnings_of(entry) == []
    assert files(tmp_path, "nbc") == []


# ---------------------------------------------------------------------- the garbage collector during compilation


@pytest.fixture
def pause():
    yield inline._PausedGarbageCollection()
    gc.enable()


def test_garbage_collector_is_enabled_after_the_last_thread(pause):
    inside, leave = threading.Barrier(2, timeout=20), threading.Event()

    def compile_longer():
        with pause:
            inside.wait()
            assert leave.wait(20)

    with ThreadPoolExecutor(1) as pool:
        with pause:
            other = pool.submit(compile_longer)
            inside.wait()
            with pause:
                pass
            assert not gc.isenabled()
        assert not gc.isenabled()  # the other thread is still compiling
        leave.set()
        other.result()
    assert gc.isenabled()


def test_disabled_garbage_collector_stays_disabled(pause):
    gc.disable()
    with pause:
        assert not gc.isenabled()
    assert not gc.isenabled()


def test_garbage_collector_is_enabled_after_an_error_in_the_compilation(pause):
    with pytest.raises(ValueError, match="made up"), pause:
        raise ValueError("made up")
    assert gc.isenabled()


def test_garbage_collector_is_enabled_after_a_fork_during_a_compilation(pause):
    pause.__enter__()
    pause.after_fork()
    assert gc.isenabled()
    with pause:
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    pause.after_fork()
    assert not gc.isenabled()


@compiled
def test_garbage_collector_is_enabled_after_compilations_in_threads(new_entry):
    successor = jit.entry(lambda x: x + 1)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(successor, [1, 1.0, np.float32(1), 1j])) == [2, 2, 2, 1 + 1j]
    assert len(successor.signatures) == 4
    assert gc.isenabled()


# ---------------------------------------------------------------------- subnormal numbers


@pytest.mark.compiled
def test_subnormal_numbers_are_zero_only_in_training(network):
    """In float32, a gradient of 1e-40 is treated as zero. After training, the thread computes with subnormal numbers again."""
    net = network(
        (1, 1), np.float32, n_rows=1, alpha=0.0, momentum=0.0, learning_rate_init=1.0, activation="identity", max_epochs=1
    )
    net.params[:] = [0.0, 1e-20]
    net.rows.dense.flags.writeable = True
    net.rows.dense[:] = 1e-20
    net.rows.dense.flags.writeable = False  # `train` is compiled for arrays that are read-only
    net.y[:] = 0
    net.train(100)
    assert net.params[0] == 0
    tiny = np.float32(1e-30) * np.float32([1e-10])
    assert tiny[0] > 0


@pytest.mark.slow
@pytest.mark.compiled
def test_predictions_can_be_subnormal(network):
    net = network((1, 1), np.float32, n_rows=1, activation="identity")
    net.params[:] = [1e-20, 0.0]
    net.rows.dense.flags.writeable = True
    net.rows.dense[:] = 1e-20
    assert 0 < net.predict()[0, 0] < 1e-38


@pytest.mark.parametrize(("dtype", "epsilon"), [(np.float32, 1e-40), (np.float64, 1e-310)])
def test_subnormal_epsilon_keeps_weights_finite(dtype, epsilon):
    X = np.random.default_rng(0).normal(size=(30, 5)).astype(dtype)
    X[:, 4] = 0  # the gradient of the weights of this input is zero
    model = MLPRegressor(hidden_layer_sizes=(4,), epsilon=epsilon, alpha=0.0, max_iter=5, random_state=0)
    model.fit(X, X[:, 0])
    assert np.isfinite(model.loss_)
