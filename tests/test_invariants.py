"""What must hold whatever is trained: compiled once, kept on disk, no allocation, no GIL, Python back in time, the same bits twice.

Almost all of it is about machine code. What the disk cache survives is tried in this process on `update_early_stopping`, which compiles in no time;
the few tests that start processes of their own, with cold caches, are marked slow.
"""

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
from fastbp._kernels import jit
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

PACKAGE = Path(fastbp.__file__).parent
ENTRIES = {entry.__name__: entry for entry in (train, update_early_stopping, loss_and_gradient, predict)}
SOLVERS = ["lbfgs", *N_MOMENTS]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
compiled = pytest.mark.compiled


def data(dtype=np.float64, n_rows=60):
    """Inputs with many zeros, three classes, and positive values in two columns."""
    random = np.random.default_rng(0)
    X = (random.normal(size=(n_rows, 4)) * (random.random((n_rows, 4)) < 0.7)).astype(dtype)
    return X, np.arange(n_rows) % 3, random.poisson(2.0, (n_rows, 2)).astype(float)


def classifier(**asked):
    return MLPClassifier(**{"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0, **asked})


def regressor(**asked):
    return MLPRegressor(**{"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0, **asked})


def bits(estimator):
    return [array.tobytes() for array in estimator.coefs_ + estimator.intercepts_]


# ---------------------------------------------------------------------- compiled once


def layouts_of(X, folder):
    """The same inputs in every form that scikit-learn takes, by name."""
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


@compiled
def test_one_compilation_serves_every_fit_of_a_dtype(tmp_path):
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
                asked = {"solver": solver, "hidden_layer_sizes": sizes, "activation": activation}
                classifier(**asked).fit(X, codes == 1, sample_weight=weight).predict_proba(X)
                regressor(**asked, loss="poisson").fit(X, values).predict(X)
                regressor(**asked, batch_size=7, shuffle=False).fit(X, values[:, 0], sample_weight=weight)
        for loss in REGRESSION:
            regressor(loss=loss).fit(X, np.abs(values) + 0.1)
        for schedule in SCHEDULE_NAMES:
            classifier(solver="sgd", learning_rate=schedule, early_stopping=True).fit(X, codes)
        multilabel = classifier().fit(X, np.eye(3, dtype=int)[codes])
        multilabel.partial_fit(X, np.eye(3, dtype=int)[codes])
        for form in layouts_of(X, tmp_path).values():
            regressor(early_stopping=True).fit(form, values, sample_weight=weight).predict(form)
        classifier(random_state=None).fit(X, codes.astype(str))
        for n_threads in (2, 3):
            classifier(n_threads=n_threads, batch_size=7).fit(X, codes, sample_weight=weight)
            regressor(n_threads=n_threads, early_stopping=True).fit(csr_array(X), values)
    for name, entry in ENTRIES.items():
        assert set(entry.signatures) == before[name], f"{name} was compiled again"


@compiled
def test_a_part_is_compiled_once_for_all_numbers_of_a_type_and_counts_no_references():
    @jit.kernel(optimize=False)  # whose code is as it was written
    def part(array, index):
        view = array
        return view[index]

    @numba.njit
    def whole(array, n):
        return part(array, 0) + part(array, 1) + part(array, n)

    assert whole(np.arange(3.0), 2) == 3
    ((_, index),) = part.signatures
    assert index == numba.types.intp
    (library,) = {overload.library for overload in part.overloads.values()}
    assert "NRT_" not in str(library._final_module)


# ---------------------------------------------------------------------- no allocation, no GIL, control back


@pytest.fixture
def count_allocations():
    """A function that runs another one and returns how often Numba's runtime allocated in it."""
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
                    asked = {"loss": loss, "out_activation": link, "activation": activation, "solver": solver}
                    net = network(dtype=dtype, shuffle=True, learning_rate_init=1e-3, **asked, **changes)
                    net.train(1)
                    # arguments are wrapped once per call, however many epochs it runs
                    assert count_allocations(lambda net=net: net.train(40)) == count_allocations(lambda net=net: net.train(1))


@compiled
@pytest.mark.parametrize("name", ENTRIES)
def test_entries_release_the_gil(name):
    assert ENTRIES[name].targetoptions["nogil"]


@compiled
def test_other_threads_run_while_one_call_trains(network):
    """A thread watches the epoch from within Python; with the GIL held, it could only see none or all of them."""
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
    """A made-up computer, whose clock shows nothing but the work of kernels: a microsecond per block, and its multiply-adds."""

    def __init__(self, layout, speed):
        self.layout, self.speed, self.now, self.turns = layout, speed, 0.0, []

    def perf_counter(self):
        return self.now

    def work(self, n_rows, block_size):
        # forward, back to the weights, back to the inputs
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
def test_python_gets_control_back(n_rows, batch_size, sizes, n_epochs, speed, n_threads, monkeypatch):
    """No turn of a descent lasts longer than a tenth of a second, and there are not many more of them than that needs."""
    layout, y = Layout(sizes), np.broadcast_to(0.0, (n_rows, 1))
    machine = Machine(layout, speed)

    def train(settings, progress, rank, *others):
        n_epochs, n_rounds, block_size = others[-2].losses.size, others[-1], settings[0].block_size
        state = progress[rank]
        start = state.epoch * n_rows + state.row
        stop = min(start + n_rounds * block_size * n_threads, (state.epoch + n_epochs) * n_rows)
        state.epoch, state.row = divmod(stop, n_rows)
        if rank == 0:  # the others work at the same time
            machine.work((stop - start) / n_threads, block_size)

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(training, "time", machine)
    params = np.zeros(layout.n_params)
    plan = Plan(layout, Architecture(("relu",) * (len(sizes) - 2)), Objective("squared_error"))
    problem = training.Problem(plan, params, as_rows(np.zeros((1, sizes[0])), float), y, as_targets(None, float))
    settings, shuffles = record(SETTINGS), training.Shuffles(np.random.RandomState(0), wanted=True, shared=False)
    settings[0].batch_size = batch_size
    optimizer = updates.Optimizer.fresh(MLPRegressor(solver="sgd"), params)
    progress = training.start_progress(np.inf, 0, 0)
    descent = training.EpochRunner(problem, settings, None, progress, optimizer, y[:, 0], shuffles, n_threads)
    while descent.progress[0].epoch < n_epochs:
        descent.turn()
    descent.close()
    assert max(machine.turns) <= 0.1
    assert len(machine.turns) <= 40 + machine.now / 0.02 + n_epochs / 500


@each_speed
@pytest.mark.parametrize("n_rows", [1, 10, 1000, 10**8])
def test_turns_cover_the_rows_a_tenth_of_a_second_at_a_time(n_rows, speed, monkeypatch):
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


# ---------------------------------------------------------------------- the same bits


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("form", [np.asarray, csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_same_seed_same_bits(solver, form, dtype):
    X, codes, _ = data(dtype)
    once, again, other = (classifier(solver=solver, random_state=seed).fit(form(X), codes) for seed in (1, 1, 2))
    assert bits(once) == bits(again)
    assert bits(once) != bits(other)
    assert once.predict_proba(form(X)).tobytes() == again.predict_proba(form(X)).tobytes()


def estimators(random_states):
    """One of each solver and of each activation for each random state, early stopping now and then."""
    for random_state in random_states:
        for solver in SOLVERS:
            for place, activation in enumerate(ACTIVATION_NAMES[:4]):
                stop = solver != "lbfgs" and place % 2 == 0
                yield classifier(solver=solver, activation=activation, early_stopping=stop, random_state=random_state)


def test_fits_at_once_equal_fits_in_turn():
    X, codes, _ = data(n_rows=200)
    models = list(estimators([0, 1]))
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(lambda model: clone(model).fit(X, codes), models))
    assert [bits(model) for model in at_once] == [bits(model.fit(X, codes)) for model in models]


def test_fits_at_once_may_share_a_source_of_random_numbers():
    X, codes, _ = data(n_rows=200)
    for shared in (None, np.random.RandomState(0)):
        with ThreadPoolExecutor(4) as pool:
            fitted = list(pool.map(lambda model: model.fit(X, codes), estimators([shared] * 2)))
        assert all(np.isfinite(W).all() for model in fitted for W in model.coefs_)
        assert len({tuple(bits(model)) for model in fitted}) == len(fitted)


@compiled
@pytest.mark.parametrize("method", sorted({"fork", "spawn"} & set(multiprocessing.get_all_start_methods())))
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fits_go_on_in_another_process(method):
    X, codes, _ = data()
    model = classifier().fit(X, codes)
    # threads may be at work in the parent when it forks
    with ThreadPoolExecutor(1) as threads, ProcessPoolExecutor(1, multiprocessing.get_context(method)) as processes:
        threads.submit(classifier(max_iter=200, tol=0).fit, X, codes)
        fitted = processes.submit(clone(model).fit, X, codes).result(timeout=300)
    assert bits(fitted) == bits(model)


# ---------------------------------------------------------------------- the disk cache, in this process


@compiled
def test_this_run_keeps_its_kernels_where_it_should():
    assert os.environ["NUMBA_CACHE_DIR"] == numba.config.CACHE_DIR
    folder = Path(numba.config.CACHE_DIR).resolve()
    assert all(folder in Path(entry.stats.cache_path).resolve().parents for entry in ENTRIES.values())


@pytest.fixture
def new_judge(tmp_path, monkeypatch):
    """A function that makes `update_early_stopping` anew, as a new process would, over a cache folder of this test."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))

    def make():
        monkeypatch.setattr(jit, "_warned", False)
        return jit.entry(update_early_stopping.py_func)

    return make


def judged(update_early_stopping, n_times=1):
    """Whether a update_early_stopping works, and the warnings that it gave."""
    settings, progress = record(SETTINGS), record(PROGRESS)
    progress[0].best = 5
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(n_times):
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
    "a pickle of classes that are gone": lambda content: b"cfastbp.nowhere\nNothing\n.",
}


@compiled
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_cache_costs_one_warning_and_is_repaired(damage, suffix, new_judge, tmp_path):
    first = new_judge()
    assert judged(first) == []
    assert hits_and_misses(first) == (0, 1)
    (path,) = files(tmp_path, suffix)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    second = new_judge()
    messages = judged(second, n_times=2)
    assert len(messages) == 1 or (damage == "another pickle" and suffix == "nbi")  # which reads as the index of another version
    assert all("NUMBA_CACHE_DIR" in message for message in messages)
    third = new_judge()
    assert judged(third) == []
    assert hits_and_misses(third) == (1, 0)


@compiled
def test_missing_cache_files_are_made_again(new_judge, tmp_path):
    judged(new_judge())
    for suffix in ("nbc", "nbi"):
        files(tmp_path, suffix)[0].unlink()
        assert judged(new_judge()) == []
        last = new_judge()
        assert judged(last) == []
        assert hits_and_misses(last) == (1, 0)


@compiled
def test_cache_folder_that_vanishes_costs_one_warning(new_judge, tmp_path):
    update_early_stopping = new_judge()
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").touch()  # and cannot come back
    assert len(judged(update_early_stopping, n_times=2)) == 1


@compiled
def test_code_of_another_version_is_not_loaded(new_judge, monkeypatch):
    judged(new_judge())
    monkeypatch.setattr(jit, "_stamp_of_this_folder", lambda: "of other sources")
    other = new_judge()
    assert judged(other) == []
    assert hits_and_misses(other) == (0, 1)


@compiled
def test_processes_do_not_write_the_code_of_different_types_to_one_file(tmp_path, monkeypatch):
    """Two processes that start from an empty cache at once know nothing of each other's files."""
    names = []
    for value in (3.0, np.float32(3), 3):
        folder = tmp_path / str(len(names))
        monkeypatch.setattr(numba.config, "CACHE_DIR", str(folder))
        jit.entry(update_early_stopping.py_func)(record(SETTINGS), record(PROGRESS), value)
        names += [path.name for path in files(folder, "nbc")]
    assert len(set(names)) == 3


@compiled
def test_two_versions_that_write_at_once_do_not_mix(tmp_path, monkeypatch):
    """Between the two files that one version writes, another that still runs writes its own for the same types."""
    old, new = (jit._CacheFile(str(tmp_path), "f", stamp) for stamp in ("old sources", "new sources"))
    save_index = new._save_index

    def save_index_late(overloads):
        old.save("types", "old code")
        save_index(overloads)

    monkeypatch.setattr(new, "_save_index", save_index_late)
    new.save("types", "new code")
    assert new.load("types") in (None, "new code")


def test_the_stamp_covers_every_kernel_file(tmp_path):
    folder = shutil.copytree(PACKAGE / "kernels", tmp_path / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
    stamps = [jit.source_stamp(folder)]
    assert stamps == [jit.source_stamp()]
    paths = sorted(folder.rglob("*.py"))
    assert len(paths) > 10
    for path in paths:
        text = path.read_bytes()
        path.write_bytes(text + b"#")
        stamps.append(jit.source_stamp(folder))
        path.write_bytes(text)
    paths[-1].rename(folder / "zzz.py")
    stamps.append(jit.source_stamp(folder))
    assert len(set(stamps)) == len(stamps)


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
    """A process that fits or predicts with these dtypes; None unsets a variable."""
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


@compiled
def test_code_with_a_hole_is_not_run(new_judge, tmp_path):
    """What a crash of the machine may leave: a file of the right length with a block of zeros in it."""
    judged(new_judge())
    (path,) = files(tmp_path, "nbc")
    code = path.read_bytes()
    start = code.index(b"\x7fELF") + 64 if b"\x7fELF" in code else 98
    path.write_bytes(code[:start] + bytes(512) + code[start + 512 :])
    got = run("update_early_stopping", "float64", NUMBA_CACHE_DIR=tmp_path / "cache")
    assert got.results == {"float64": 3}
    assert len(got.warnings) == 1


@pytest.fixture
def package(tmp_path):
    """A copy of the package, without anything compiled."""
    return shutil.copytree(PACKAGE, tmp_path / "copy" / "fastbp", ignore=shutil.ignore_patterns("__pycache__"))


@pytest.fixture(scope="session")
def outputs():
    """What `predict` gives in SCRIPT, by dtype."""
    X, params = np.linspace(-1, 1, 80).reshape(40, 2), np.linspace(-1, 1, 13)
    (W1, W2), (b1, b2) = Layout((2, 3, 1)).views(params)
    return pytest.approx((np.maximum(X @ W1 + b1, 0) @ W2 + b2).ravel(), rel=1e-5)


@pytest.mark.slow
@compiled
def test_second_process_compiles_nothing(tmp_path):
    first = run("fit", "float64", NUMBA_CACHE_DIR=tmp_path)
    assert first.compilations > 0
    second = run("fit", "float64", NUMBA_CACHE_DIR=tmp_path)
    assert (second.compilations, second.hits) == (0, 4)
    assert first.warnings == second.warnings == []


@pytest.mark.slow
@compiled
def test_changed_callee_is_seen(package, outputs):
    """The file of the entry stays as it is; only a file that it takes a function from changes."""
    options = {"package": package, "NUMBA_CACHE_DIR": None}
    assert run("predict", "float64", **options).results["float64"] == outputs
    assert files(package / "kernels" / "__pycache__", "nbi")
    with (package / "kernels" / "activations.py").open("a") as file:
        file.write("\n\n@kernel()\ndef activate(code, z):\n    z[:] = 0\n")
    changed = run("predict", "float64", **options)
    assert changed.results["float64"] == [1.0] * 40  # the last bias alone
    assert changed.warnings == []


@pytest.mark.slow
@compiled
def test_no_folder_to_write_costs_one_warning(package, outputs, tmp_path):
    (tmp_path / "file").touch()
    (package / "kernels" / "__pycache__").touch()
    nowhere = tmp_path / "file" / "below"
    options = {"package": package, "HOME": nowhere, "XDG_CACHE_HOME": nowhere, "NUMBA_CACHE_DIR": nowhere}
    got = run("predict", "float64", **options)
    assert got.results["float64"] == outputs
    assert len(got.warnings) == 1
    assert "NUMBA_CACHE_DIR" in got.warnings[0]


@pytest.mark.slow
@compiled
def test_processes_that_compile_at_once_leave_a_good_cache(outputs, tmp_path):
    processes = [start("predict", dtype, NUMBA_CACHE_DIR=tmp_path) for dtype in ("float32", "float64")]
    for process, dtype in zip(processes, ("float32", "float64"), strict=True):
        got = report(process)
        assert got.results[dtype] == outputs
        assert got.warnings == []
    # where both wrote the index at once, one entry may be lost and compiled again, but never wrong
    run("predict", "float32", "float64", NUMBA_CACHE_DIR=tmp_path)
    third = run("predict", "float32", "float64", NUMBA_CACHE_DIR=tmp_path)
    assert third.results == {"float32": outputs, "float64": outputs}
    assert (third.compilations, third.hits, third.warnings) == (0, 2, [])


# ---------------------------------------------------------------------- subnormal numbers


@pytest.mark.compiled
def test_subnormals_are_zero_in_training_only(network):
    """A gradient of 1e-40 moves nothing in float32, and afterwards the thread counts as small as ever."""
    net = network(
        (1, 1), np.float32, n_rows=1, alpha=0.0, momentum=0.0, learning_rate_init=1.0, activation="identity", max_epochs=1
    )
    net.params[:] = [0.0, 1e-20]
    net.rows.dense.flags.writeable = True
    net.rows.dense[:] = 1e-20
    net.y[:] = 0
    net.train(100)
    assert net.params[0] == 0  # was 1e-40 off
    tiny = np.float32(1e-30) * np.float32([1e-10])
    assert tiny[0] > 0


@pytest.mark.compiled
def test_predictions_may_be_subnormal(network):
    net = network((1, 1), np.float32, n_rows=1, activation="identity")
    net.params[:] = [1e-20, 0.0]
    net.rows.dense.flags.writeable = True
    net.rows.dense[:] = 1e-20
    assert 0 < net.predict()[0, 0] < 1e-38


@pytest.mark.parametrize(("dtype", "epsilon"), [(np.float32, 1e-40), (np.float64, 1e-310)])
def test_an_epsilon_that_is_subnormal_keeps_weights_finite(dtype, epsilon):
    X = np.random.default_rng(0).normal(size=(30, 5)).astype(dtype)
    X[:, 4] = 0  # whose weights have no gradient at all
    model = MLPRegressor(hidden_layer_sizes=(4,), epsilon=epsilon, alpha=0.0, max_iter=5, random_state=0)
    model.fit(X, X[:, 0])
    assert np.isfinite(model.loss_)
