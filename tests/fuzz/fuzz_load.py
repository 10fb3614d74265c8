"""Coverage-guided fuzzing of ``fastbp.load`` with atheris: ``make fuzz`` runs it for FUZZ_SECONDS seconds.

Changed files go in; nothing comes out, unless ``load`` raises another exception than ValueError or the process crashes. Each input
is loaded as a file, and once more with a correct checksum, so that the checks behind the checksum are reached. It also chooses
changes of the parts of a valid file, which is loaded, too. Estimators that can be loaded predict and continue training, where every
Python exception is allowed, but no crash. ``--replay FOLDER`` loads the inputs in a folder again, without atheris.
"""

import copy
import pickle
import random
import sys
import tempfile
import warnings
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pandas as pd

import fastbp

if "--replay" not in sys.argv:
    import atheris

    with atheris.instrument_imports(include=["fastbp._files"]):
        import fastbp._files.models
    for name in ("load", "read_model"):
        setattr(fastbp._saving, name, atheris.instrument_func(getattr(fastbp._saving, name)))

from fastbp._files.container import file_parts, read_parts

X = np.random.RandomState(0).normal(size=(30, 3))
WITH_NAN = np.where(X > 1.5, np.nan, X)
Y = X[:, 0] - X[:, 1] ** 2
CODES = np.tile([0, 1, 2], 10)
SMALL = {
    "hidden_layer_sizes": (3,),
    "max_iter": 2,
    "batch_size": 8,
    "random_state": np.random.RandomState(1),
    "warm_start": "resume",
}
SMALL_TABLE = {"hidden_layer_sizes": (3,), "max_iter": 2, "batch_size": 8, "max_one_hot_size": 4, "n_frequencies": 2}
DAYS = np.datetime64("2020-01-01") + 20 * np.arange(30)
TABLE = pd.DataFrame({"a": WITH_NAN[:, 0], "b": np.tile(["x", "y", None], 10), "c": np.tile([*"uvwxy"], 6), "d": DAYS})
NAMES = np.array(["low", "middle", "high"])
SEEDS = [
    (fastbp.MLPRegressor(**SMALL), X, Y),
    (fastbp.MLPRegressor(**SMALL, scale="standard", scale_y="robust", batch_norm=True, ema_decay=0.9, early_stopping=True), X, Y),
    (fastbp.MLPRegressor(**SMALL, loss="quantile", quantile=[0.1, 0.9], missing="indicator", layer_norm=True), WITH_NAN, Y),
    (fastbp.MLPRegressor(**SMALL | {"warm_start": False}, solver="lbfgs", dtype="float32"), X, Y),
    (fastbp.MLPClassifier(**SMALL, dropout=[0.1], class_weight={0: 1.0, 1: 2}, activation=["tanh"]), X, CODES),
    (fastbp.MLPClassifier(**SMALL, early_stopping=True, solver="sgd"), X, NAMES[CODES].astype(object)),
    (fastbp.MLPClassifier(**SMALL), X, np.column_stack([CODES, CODES > 0])),
    (fastbp.MLPClassifier(**SMALL), X, NAMES[CODES]),
    (fastbp.RealMLPClassifier(**SMALL_TABLE, n_cv=2, calibrate="temperature"), TABLE, NAMES[CODES]),
    (fastbp.RealMLPRegressor(**SMALL_TABLE, max_time=1e-6, warm_start="resume"), TABLE, Y),
    (fastbp.RealMLPRegressor(**SMALL_TABLE, loss="quantile", quantile=[0.1, 0.9]), WITH_NAN, Y),
]
WRONG_VALUES = [
    *(None, True, 0, 1, -1, 3, 624, 625, 2**31, 2**62, 2**63, -(2**63), 10**250, 0.0, 0.5, -1e300, "", "relu", "lbfgs", "resume"),
    *([], {}, [None], [[]], {"tuple": []}, {"dict": []}, {"float": "nan"}, {"float": "1"}, {"scalar": 1, "dtype": "int8"}),
    *({"scalar": 300, "dtype": "uint8"}, {"same_random_state": 0}, {"objects": [1], "shape": [1]}, {"dict": [[[], 1]]}),
    *("coefs_.0", "ordered_quantiles", "grouped_softmax", "multiclass-multioutput", "float16", [1.0] * 9, "\ud800", "\x00"),
]
DTYPES = ("bool", "int8", "int64", "uint8", "uint32", "uint64", "float16", "float32", "float64")
WRONG_ELEMENTS = (0, 1, -1, 29, 30, 31, 2**31, 2**62, -(2**63), 2**64 - 1, 0x110000, np.nan, np.inf, -np.inf, 1e-310)
_folder = tempfile.TemporaryDirectory()
_path = Path(_folder.name) / "model.safetensors"


def write_seeds(folder):
    """Write a valid file for each of SEEDS; return pickles of their trees and arrays."""
    parts = []
    for n, (est, rows, y) in enumerate(SEEDS):
        path = folder / f"seed{n}"
        fastbp.save(est.fit(rows, y), path)
        parts.append(pickle.dumps(read_parts(path)))
    return parts


def seal(data):
    """The file with a correct checksum, or None if it has no place for a checksum."""
    mark = rb"\"checksum\":\""
    start = data.find(mark) + len(mark)
    if start < len(mark) or len(data) < start + 64:
        return None
    blank = data[:start] + b"0" * 64 + data[start + 64 :]
    return data[:start] + blake2b(blank, digest_size=32).hexdigest().encode() + data[start + 64 :]


def changed(data, parts):
    """The bytes of a file whose parts differ from a valid file as ``data`` says, or None if they cannot be written."""
    draw = random.Random(data)
    tree, tensors = pickle.loads(parts[draw.randrange(len(parts))])  # a copy that takes less time than deepcopy
    for _ in range(draw.choice([0, 1, 1, 2, 3])):
        change_tree(tree, draw)
    for _ in range(draw.choice([0, 1, 1, 2])):
        change_tensor(tensors, draw)
    try:
        return b"".join(file_parts(tree, tensors))
    except (ValueError, OverflowError, UnicodeError):
        return None


def change_tree(node, draw):
    """Change one entry at a random place of a tree."""
    keys = list(node) if isinstance(node, dict) else range(len(node))
    if not keys:
        return
    key = draw.choice(keys)
    if isinstance(node[key], dict | list) and node[key] and draw.random() < 0.85:
        change_tree(node[key], draw)
        return
    kind = draw.randrange(4)
    if kind == 0 and isinstance(node, dict):
        node[draw.choice(["x", "_x", "predict", "coefs_", "_state", "max_iter"])] = node.pop(key)
    elif kind == 1:
        del node[key]
    elif kind == 2:
        node[key] = copy.deepcopy(node[draw.choice(keys)])
    else:
        node[key] = draw.choice(WRONG_VALUES)


def change_tensor(tensors, draw):
    """Replace an array, one of its elements, its dtype or its shape."""
    if not tensors:
        return
    name, kind = draw.choice(sorted(tensors)), draw.randrange(5)
    array = np.array(tensors[name])
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        if kind == 0:
            tensors[name] = array.astype(draw.choice(DTYPES))
        elif kind == 1:
            tensors[name] = array.reshape(draw.choice([(-1,), (1, -1), (-1, 1), (*array.shape, 1)]))
        elif kind == 2:
            tensors[name] = np.resize(array, draw.choice([(0,), (1,), (2,), (3, 3), (624,), (0, 2**20)]))
        elif kind == 3:
            tensors[name + "x"] = tensors.pop(name)
        elif array.size:
            wrong = np.array(draw.choice(WRONG_ELEMENTS))
            array.reshape(-1)[draw.randrange(array.size)] = wrong.astype(array.dtype)
            tensors[name] = array


def use(est, chosen):
    """Predict or continue training; exceptions are allowed."""
    if isinstance(est, fastbp.RealMLPClassifier | fastbp.RealMLPRegressor):
        use_table(est, chosen)
        return
    n_features, state = vars(est).get("n_features_in_", 0), vars(est).get("_state")
    n_rows = 30 if state is None or state.resume is None else min(state.resume.n_rows, 1000)
    if not 0 < n_features < 100:
        return
    rows, y = np.resize(X, (n_rows, n_features)), np.resize(Y if isinstance(est, fastbp.MLPRegressor) else CODES, n_rows)
    est.set_params(max_iter=1, max_time=1, n_threads=1, verbose=False, callbacks=None)
    calls = (est.predict, est.transform, lambda rows: est.fit(rows, y), lambda rows: est.partial_fit(rows, y))
    with suppress(Exception):
        calls[chosen % 4](rows)


def use_table(est, chosen):
    """Do the same with an estimator for tables."""
    rows = TABLE if vars(est).get("n_features_in_") == TABLE.shape[1] else WITH_NAN
    with suppress(Exception):
        est.predict(rows)
        if chosen % 2:
            est.set_params(max_time=1, n_threads=1, verbose=False, callbacks=None, warm_start="resume")
            est.fit(rows, Y if isinstance(est, fastbp.RealMLPRegressor) else NAMES[CODES])


def load_bytes(data):
    """Load a file with this content; raise if the error is not a ValueError that names the file."""
    _path.write_bytes(data)
    try:
        est = fastbp._saving.load(_path)
    except ValueError as error:
        if str(_path) not in str(error):
            raise
    else:
        use(est, sum(data))


def test_one_input(data):
    """Load an input as it is, with a correct checksum, and as the choice of changes."""
    for content in (data, seal(data), changed(data, _parts)):
        if content is not None:
            load_bytes(content)


def main():
    if "--replay" in sys.argv:
        for path in sorted(Path(sys.argv[-1]).iterdir()):
            test_one_input(path.read_bytes())
    else:
        atheris.Setup(sys.argv, test_one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    _seeds = Path(_folder.name) / "seeds"
    _seeds.mkdir()
    _parts = write_seeds(_seeds)
    if "--replay" not in sys.argv:
        sys.argv.append(str(_seeds))  # a further folder of inputs; new inputs are written to the first one
    main()
