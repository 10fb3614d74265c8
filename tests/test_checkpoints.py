"""Checkpoint files and pickles that are damaged, incomplete or left over: they cause errors, and compiled code never reads them."""

import io
import os
import pickle
import signal
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastbp import Checkpoint, MLPClassifier, MLPRegressor, load_checkpoint
from fastbp._training import checkpoint_file
from fastbp._training.checkpoint_file import read_checkpoint, write_checkpoint
from fastbp._training.resume import ResumePoint

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
on_windows = sys.platform == "win32"

X = np.random.RandomState(3).normal(size=(60, 4))
Y = X[:, 0] - 2 * X[:, 1] ** 2
SMALL = {"hidden_layer_sizes": (6,), "batch_size": 8, "max_iter": 3, "random_state": 0}
REJECTED = r"model.* must be a file written by a fastbp\.Checkpoint"


@pytest.fixture
def path(tmp_path):
    """The path of a valid checkpoint."""
    path = tmp_path / "model"
    MLPRegressor(**SMALL, callbacks=Checkpoint(path)).fit(X, Y)
    return path


@pytest.fixture(params=["safetensors", "pickle"])
def path_of_format(tmp_path, request):
    """The path of a valid checkpoint of each format."""
    path = tmp_path / "model"
    MLPRegressor(**SMALL, callbacks=Checkpoint(path, format=request.param)).fit(X, Y)
    return path


# ====================================================================== damaged files


def test_any_flipped_bit_is_found(path_of_format):
    """Before, a bit in the order of the rows caused a segmentation fault in the next fit."""
    content = path_of_format.read_bytes()
    assert load_checkpoint(path_of_format).n_iter_ == 3
    for at in np.linspace(0, len(content) - 1, 200).astype(int):
        damaged = bytearray(content)
        damaged[at] ^= 1 << at % 8
        path_of_format.write_bytes(damaged)
        with pytest.raises(ValueError, match=REJECTED):
            load_checkpoint(path_of_format)


def test_empty_and_incomplete_files_are_rejected(path_of_format):
    content = path_of_format.read_bytes()
    for size in (0, 1, 40, len(content) // 2, len(content) - 33, len(content) - 1):
        path_of_format.write_bytes(content[:size])
        with pytest.raises(ValueError, match=REJECTED + (", but it is empty" if size == 0 else ", but it is incomplete")):
            load_checkpoint(path_of_format)


def test_files_of_other_programs_are_rejected_before_they_are_loaded(path_of_format, monkeypatch):
    content = path_of_format.read_bytes()
    array = io.BytesIO()
    np.save(array, X)
    joblib.dump(MLPRegressor(**SMALL).fit(X, Y), path_of_format)
    contents = [pickle.dumps({"a": 1}), b"not a pickle", array.getvalue(), path_of_format.read_bytes(), content + b"more"]
    monkeypatch.setattr(pickle, "load", lambda file: pytest.fail("the pickle was loaded"))
    for other in contents:
        path_of_format.write_bytes(other)
        with pytest.raises(ValueError, match=REJECTED):
            load_checkpoint(path_of_format)


def test_checkpoints_of_other_objects_are_rejected(path):
    for thing in ({"a": 1}, MLPRegressor(**SMALL).fit(X, Y), MLPRegressor(**SMALL, solver="lbfgs").fit(X, Y)):
        write_checkpoint(path, thing)
        with pytest.raises(ValueError, match=REJECTED):
            load_checkpoint(path)


@pytest.mark.parametrize("format", ["safetensors", "pickle"])
def test_a_path_without_a_folder_is_an_error_in_the_first_epoch(tmp_path, format):
    epochs = []
    checkpoint = Checkpoint(tmp_path / "none" / "model", every=2, format=format)
    model = MLPRegressor(**SMALL, callbacks=[checkpoint, lambda estimator, epoch, logs: epochs.append(epoch)])
    with pytest.raises(FileNotFoundError, match=r"path must be in an existing folder; got .*model'\. Create the folder '.*none'"):
        model.fit(X, Y)
    assert epochs == []


def test_missing_files_raise_the_error_of_open(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "none")


def test_a_checkpoint_of_the_older_format_is_also_a_pickle(path):
    MLPRegressor(**SMALL, callbacks=Checkpoint(path, format="pickle")).fit(X, Y)
    assert_array_equal(pickle.loads(path.read_bytes()).coefs_[0], load_checkpoint(path).coefs_[0])


def test_large_checkpoints_are_read_in_parts(tmp_path):
    array = np.random.RandomState(0).normal(size=400_000)
    write_checkpoint(tmp_path / "model", array)
    assert_array_equal(read_checkpoint(tmp_path / "model"), array)


# ====================================================================== indices in pickles


def set_order(resume, value):
    resume.order = resume.order.astype(np.int64)
    resume.order[5] = value


def set_position(resume, value):
    state = resume.rng.get_state(legacy=False)
    state["state"]["pos"] = value
    resume.rng.set_state(state)


DAMAGES = {
    "large row number": lambda resume: set_order(resume, 2**40),
    "row number = n_rows": lambda resume: set_order(resume, 60),
    "negative row number": lambda resume: set_order(resume, -1),
    "no order": lambda resume: setattr(resume, "order", resume.order[:0]),
    "real order": lambda resume: setattr(resume, "order", resume.order.astype(float)),
    "held-out row": lambda resume: resume.held_out.__setitem__(0, -70),
    "row of the batch": lambda resume: resume.progress.update(row=48),
    "negative row of the batch": lambda resume: resume.progress.update(row=-8),
    "negative epoch": lambda resume: resume.progress.update(epoch=-1),
    "position": lambda resume: set_position(resume, 10**6),
    "negative position": lambda resume: set_position(resume, -3),
}


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("with_joblib", [False, True])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_wrong_indices_in_pickles_are_an_error(kind, with_joblib, damage, tmp_path):
    y = Y > 0 if kind is MLPClassifier else Y
    model = kind(**SMALL, warm_start="resume", early_stopping=True, validation_fraction=0.2).fit(X, y)
    assert model._state.resume.order.size == 48
    damage(model._state.resume)
    if with_joblib:
        joblib.dump(model, tmp_path / "model")
        loaded = joblib.load(tmp_path / "model", mmap_mode="c")
    else:
        loaded = pickle.loads(pickle.dumps(model))
    for _ in range(2):
        with pytest.raises(ValueError, match=r"damaged"):
            loaded.set_params(random_state=None).fit(X, y)
    loaded.set_params(warm_start=True, random_state=0).fit(X, y)  # the weights can still be used


def test_indices_are_checked_only_after_loading(monkeypatch):
    calls, original = [], ResumePoint._check_indices
    monkeypatch.setattr(ResumePoint, "_check_indices", lambda resume: calls.append(1) or original(resume))
    model = MLPRegressor(**SMALL, warm_start="resume").fit(X, Y).fit(X, Y)
    assert not calls
    pickle.loads(pickle.dumps(model)).fit(X, Y).fit(X, Y)
    assert len(calls) == 1


def test_random_state_with_a_wrong_position_is_an_error():
    """NumPy accepts any position in ``set_state`` and in a pickle."""
    random_state = np.random.RandomState(0)
    state = random_state.get_state(legacy=False)
    state["state"]["pos"] = 700
    random_state.set_state(state)
    model = MLPRegressor(**SMALL).fit(X, Y).set_params(random_state=random_state)
    with pytest.raises(ValueError, match=r"random_state must be a valid generator.*700.*damaged"):
        model.partial_fit(X, Y)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_sizes_that_do_not_agree_are_an_error(batch_norm):
    """A damaged pickle may have other layer sizes than weights."""
    model = MLPRegressor(**SMALL, warm_start=True, batch_norm=batch_norm).fit(X, Y)
    object.__setattr__(model._state.layout, "sizes", (4, 60, 1))
    for name in ("n_coefs", "n_hidden", "n_params"):  # cached properties
        vars(model._state.layout).pop(name, None)
    loaded = pickle.loads(pickle.dumps(model))
    for call in (loaded.fit, loaded.partial_fit):
        if batch_norm:
            with pytest.raises(ValueError, match="damaged"):
                call(X, Y)
        else:  # the weights determine the layout
            call(X, Y)
            assert [W.shape for W in loaded.coefs_] == [(4, 6), (6, 1)]


@pytest.mark.slow
def test_damaged_groups_of_classes_are_an_error():
    """A damaged pickle may have other numbers of classes than output units."""
    y = np.column_stack([np.arange(60) % 3, np.arange(60) % 2])
    model = MLPClassifier(**SMALL, warm_start=True).fit(X, y)
    model._groups = (3, 200)
    loaded = pickle.loads(pickle.dumps(model))
    for call in (lambda: loaded.predict(X), lambda: loaded.fit(X, y)):
        with pytest.raises(ValueError, match=r"\(3, 200\), must add up to the 5 units.*damaged"):
            call()


# ====================================================================== temporary files


@pytest.mark.slow
@pytest.mark.skipif(on_windows, reason="Windows has no SIGKILL")
def test_temporary_files_of_killed_processes_are_removed(path):
    before = path.read_bytes()
    code = """
import os, pathlib, pickle, signal, sys
from fastbp._training.checkpoint_file import write_checkpoint
class Kill:
    def __reduce__(self):
        os.kill(os.getpid(), signal.SIGKILL)
write_checkpoint(pathlib.Path(sys.argv[1]), [bytes(10**6), Kill()])
"""
    process = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert process.returncode == -signal.SIGKILL
    leftovers = set(path.parent.iterdir()) - {path}
    assert [file.suffix for file in leftovers] == [".tmp"]
    assert path.read_bytes() == before
    other = path.with_name("model.tmp")
    other.write_text("a file of the user")
    MLPRegressor(**SMALL, callbacks=Checkpoint(path)).fit(X, Y)
    assert set(path.parent.iterdir()) == {path, other}


@pytest.mark.slow
def test_temporary_files_that_are_being_written_are_kept(path):
    """Another process writes the same checkpoint at the same time."""
    code = """
import pathlib, sys
from fastbp._training.checkpoint_file import write_checkpoint
class Wait:
    def __reduce__(self):
        print("writing", flush=True)
        sys.stdin.readline()
        return str, ("other",)
write_checkpoint(pathlib.Path(sys.argv[1]), Wait())
"""
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "writing\n"
        write_checkpoint(path, "mine")
        assert len(list(path.parent.iterdir())) == 2
        assert read_checkpoint(path) == "mine"
        process.communicate("go on\n")
    assert process.returncode == 0
    assert read_checkpoint(path) == "other"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(on_windows, reason="Windows does not remove a file while it is open")
def test_a_file_that_was_removed_before_it_was_locked_is_created_again(path, monkeypatch):
    lock, removed = checkpoint_file._lock, []

    def remove_and_lock(file):
        if not removed:
            removed.append(file.name)
            os.unlink(file.name)
        lock(file)

    monkeypatch.setattr(checkpoint_file, "_lock", remove_and_lock)
    write_checkpoint(path, "text")
    assert read_checkpoint(path) == "text"
    assert len(removed) == 1
    assert list(path.parent.iterdir()) == [path]


def test_threads_that_write_the_same_file(path):
    def write(rank):
        for _ in range(50):
            write_checkpoint(path, rank)

    joblib.Parallel(n_jobs=4, prefer="threads")(joblib.delayed(write)(rank) for rank in range(4))
    assert read_checkpoint(path) in range(4)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(on_windows, reason="Windows does not remove a file while it is open")
def test_new_file_of_another_writer_is_kept(path, monkeypatch):
    """Another writer finishes a file after it was opened, but before it is locked, and begins a new file with the same name."""
    temporary, flock = path.with_name(f"{path.name}.1-1.tmp"), checkpoint_file.fcntl.flock
    temporary.write_bytes(b"first")

    def finish_and_lock(file, kind):
        if kind & checkpoint_file.fcntl.LOCK_NB:
            os.replace(temporary, path)
            temporary.write_bytes(b"second")
        flock(file, kind)

    monkeypatch.setattr(checkpoint_file.fcntl, "flock", finish_and_lock)
    write_checkpoint(path, "text")
    assert temporary.read_bytes() == b"second"


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege on Windows")
def test_the_target_of_a_symbolic_link_is_replaced(tmp_path):
    folder, link = tmp_path / "large disk", tmp_path / "model.checkpoint"
    folder.mkdir()
    link.symlink_to(folder / "model.checkpoint")
    for number in range(2):
        write_checkpoint(link, number)
        assert link.is_symlink()
        assert read_checkpoint(folder / "model.checkpoint") == number
    assert [path.name for path in folder.iterdir()] == ["model.checkpoint"]


def test_the_file_is_on_the_disk_before_it_is_renamed(path, monkeypatch):
    calls = []

    def record(name):
        original = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *arguments: calls.append(name) or original(*arguments))

    record("fsync")
    record("replace")
    write_checkpoint(path, "text")
    assert calls == ["fsync", "replace"] + ["fsync"] * (not on_windows)


def test_file_systems_without_locks(path, monkeypatch):
    """Some network file systems do not support locks. Checkpoints are written, and nothing is removed."""
    if on_windows:
        return

    def fail(*arguments):
        raise OSError("not supported")

    monkeypatch.setattr(checkpoint_file.fcntl, "flock", fail)
    leftover = path.with_name("model.123-456.tmp")
    leftover.write_text("half")
    write_checkpoint(path, "text")
    assert read_checkpoint(path) == "text"
    assert leftover.exists()
    monkeypatch.undo()
    write_checkpoint(path, "text")
    assert not leftover.exists()


# ====================================================================== weights of another network


@pytest.mark.parametrize("sizes", [(9,), (5, 4), ()])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_weights_of_another_network_are_trained(sizes, solver):
    """After a fit, the user may set the weights of a network with other hidden layers."""
    random = np.random.RandomState(0)
    shapes = list(zip((4, *sizes), (*sizes, 1), strict=True))
    coefs, intercepts = [random.normal(size=shape) for shape in shapes], [random.normal(size=shape[1]) for shape in shapes]
    params = SMALL | {"hidden_layer_sizes": sizes, "solver": solver}
    expected = MLPRegressor(**params, coefs_init=coefs, intercepts_init=intercepts)
    model = MLPRegressor(**SMALL | {"hidden_layer_sizes": (30,)}).fit(X, Y)
    model.coefs_, model.intercepts_, model.n_layers_ = coefs, intercepts, len(sizes) + 2
    activation = X
    for W, b in zip(coefs, intercepts, strict=True):
        activation = activation @ W + b
        activation = activation if W is coefs[-1] else activation.clip(min=0)
    np.testing.assert_allclose(model.predict(X), activation.ravel(), rtol=1e-10)
    with pytest.raises(ValueError, match="this state belongs to a network with another number"):
        model.partial_fit(X, Y)
    with warnings.catch_warnings(action="ignore"):
        model.set_params(solver=solver, warm_start=True, shuffle=False).fit(X, Y)
        expected.set_params(shuffle=False).fit(X, Y)
    for one, other in zip(model.coefs_, expected.coefs_, strict=True):
        assert_array_equal(one, other)
