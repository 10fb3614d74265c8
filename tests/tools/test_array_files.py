"""Fits on datasets of h5py, arrays of zarr and arrays of Dask: the same bits as with the rows in memory, and little memory."""

import os
import re
import select
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastbp._data.array_likes as array_likes
from fastbp import MLPClassifier, MLPRegressor

N_ROWS, N_COLUMNS = 120_000, 20  # X has more bytes than arrays that are converted at once
CASES = ["h5py", "h5py-chunks", "h5py-compressed", "h5py-float64", "h5py-open-for-writing", "zarr", "dask"]
SMALL = {"hidden_layer_sizes": (8,), "batch_size": 4000, "max_iter": 2, "tol": 0.0, "random_state": 0, "scale": "standard"}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def rows():
    X = np.random.default_rng(0).normal(2, 3, size=(N_ROWS, N_COLUMNS)).astype("float32")
    return X, (X[:, 0] + X[:, 1] > 4) + 2 * (X[:, 2] > 2)


def stored(case, X, folder):
    """The same matrix in a file."""
    if case.startswith("h5py"):
        h5py = pytest.importorskip("h5py")
        options = {"chunks": (7000, 20)} if "chunks" in case else {"compression": "lzf"} if "compressed" in case else {}
        file = h5py.File(folder / "X.h5", "w")
        file.create_dataset("before", data=np.arange(7))
        file.create_dataset("X", data=X, dtype="float64" if "float64" in case else None, **options)
        if "writing" not in case:
            file.close()
            file = h5py.File(folder / "X.h5", "r")
        return file["X"]
    if case == "zarr":
        return pytest.importorskip("zarr").create_array(store=str(folder / "X.zarr"), data=X, chunks=(9000, 10))
    return pytest.importorskip("dask.array").from_array(X, chunks=(11_000, 20))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_fits_have_the_same_bits_as_in_memory(kind, case, rows, tmp_path, monkeypatch):
    X, y = rows
    options = SMALL | {"early_stopping": kind is MLPClassifier, "dtype": "float32"}
    want = kind(**options).fit(X.astype("float64") if "float64" in case else X, y)
    copied = []
    original = array_likes._copy_in_file

    def copy_in_file(values):
        copied.append(values)
        return original(values)

    monkeypatch.setattr(array_likes, "_copy_in_file", copy_in_file)
    X_stored = stored(case, X, tmp_path)
    model = kind(**options).fit(X_stored, y)
    assert_array_equal(model.coefs_[0], want.coefs_[0])
    assert model.history_ == want.history_
    assert len(copied) == (case not in ("h5py", "h5py-float64"))  # these are mapped
    assert_allclose(model.predict(X_stored), model.predict(X), rtol=1e-5, atol=1e-6)
    assert_allclose(model.score(X_stored, y), want.score(X, y), rtol=1e-6)


@pytest.mark.parametrize("change", ["replaced", "removed", "folder"])
def test_rows_of_an_open_file_do_not_depend_on_its_name(change, rows, tmp_path, monkeypatch):
    h5py = pytest.importorskip("h5py")
    X, y = rows
    monkeypatch.chdir(tmp_path)
    for name, values in {"X.h5": X, "other.h5": X[::-1]}.items():
        with h5py.File(name, "w") as file:
            file["X"] = values
    want = MLPClassifier(**SMALL).fit(X, y)
    with h5py.File("X.h5", "r") as file:
        try:
            if change == "replaced":
                os.replace("other.h5", "X.h5")
            elif change == "removed":
                os.remove("X.h5")
        except PermissionError:
            pytest.skip("this system does not change the names of open files")
        if change == "folder":
            (tmp_path / "empty").mkdir()
            monkeypatch.chdir(tmp_path / "empty")
        model = MLPClassifier(**SMALL).fit(file["X"], y)
    assert_array_equal(model.coefs_[0], want.coefs_[0])


@pytest.mark.parametrize("compression", [None, "lzf"])
@pytest.mark.parametrize("chunks", [(7000, 3), (N_ROWS, 1), (N_ROWS, N_COLUMNS)])
def test_pieces_of_chunks_have_limited_sizes(chunks, compression, rows, tmp_path, monkeypatch):
    """A piece is not larger than a block, or than a chunk that has to be decoded as a whole."""
    h5py = pytest.importorskip("h5py")
    X, y = rows
    read = []

    class Dataset(h5py.Dataset):
        def __getitem__(self, *key):
            read.append(super().__getitem__(*key))
            return read[-1]

    Dataset.__module__ = h5py.Dataset.__module__
    want = MLPClassifier(**SMALL).fit(X, y)
    monkeypatch.setattr(array_likes, "_COPIED_ELEMENTS", 1 << 17)
    with h5py.File(tmp_path / "X.h5", "w") as file:
        file.create_dataset("X", data=X, chunks=chunks, compression=compression)
        model = MLPClassifier(**SMALL).fit(Dataset(file["X"].id), y)
        assert_array_equal(np.concatenate(read), X)
        assert max(part.size for part in read) <= max(1 << 17, np.prod(chunks) if compression else 0)
        read.clear()
        assert_array_equal(model.predict(Dataset(file["X"].id)), model.predict(X))
        assert_array_equal(np.concatenate(read), X)
    assert_array_equal(model.coefs_[0], want.coefs_[0])


SCRIPT = """
import sys, warnings
import h5py, numpy as np
from fastbp import MLPRegressor
warnings.simplefilter("ignore")
file = h5py.File(sys.argv[1], "r")
small = np.zeros((2000, 20), "float32")
model = MLPRegressor(hidden_layer_sizes=(8,), batch_size=20_000, max_iter=1, random_state=0, scale="standard")
model.fit(small, small[:, 0]).predict(small)
print("ready", flush=True)
input()
model.fit(file["X"], file["y"])
print("end", flush=True)
"""


def anonymous_megabytes(pid):
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"RssAnon:\s+(\d+) kB", status).group(1)) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="RssAnon is in /proc")
@pytest.mark.parametrize("chunks", [None, (20_000, 20), (2_000_000, 1), (2_000_000, 20)])
def test_fit_on_a_file_needs_little_memory(chunks, tmp_path):
    h5py = pytest.importorskip("h5py")
    n_rows = 2_000_000  # 160 MB
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        X = file.create_dataset("X", (n_rows, N_COLUMNS), "float32", chunks=chunks)
        for start in range(0, n_rows, 100_000):
            X[start : start + 100_000] = np.random.default_rng(start).normal(size=(100_000, N_COLUMNS))
        file.create_dataset("y", data=np.zeros(n_rows, "float32"))
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "rows.h5")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdout.readline() == "ready\n"
        before = peak = anonymous_megabytes(process.pid)
        process.stdin.write("\n")
        while not select.select([process.stdout], [], [], 0.002)[0]:
            peak = max(peak, anonymous_megabytes(process.pid))
        assert process.stdout.readline() == "end\n"
    assert peak - before < 4 * n_rows / 2**20 + 30  # the order of the rows has 4 bytes for each row
