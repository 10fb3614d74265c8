"""Padding: kernels access elements after the end of some buffers, and only after the end of buffers that have unused space there.

Guard pages detect every other access: the data of the user, the moments of the optimizer and all buffers with padding are placed
directly before a page that the process must not access. A kernel that accesses one byte too many ends the process with a
segmentation fault, so these tests run in a separate process. The other tests check that every path gives padded parameters.
"""

import ast
import copy
import itertools
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csc_array, csr_array

import fastbp
from fastbp import MLPClassifier, MLPRegressor
from fastbp._kernels.network import predict
from fastbp._network import prediction
from fastbp._network.layout import PaddedMemory, aligned_buffers, aligned_zeros, padded
from fastbp._training.state import TrainingState

PACKAGE = Path(fastbp.__file__).parent
# The modules that call each entry of the kernels that reads or writes parameters.
CALLERS = {
    "train": "_training/epochs.py",
    "loss_and_gradient": "_training/lbfgs.py",
    "predict": "_network/prediction.py",
    "evaluate": "_network/prediction.py",
}
INSPECTION = {entry: "inspection/_evaluation.py" for entry in ("loss_and_gradient", "evaluate")}
X = np.random.RandomState(0).normal(size=(30, 3))
Y = X[:, 0] - X[:, 1]


def is_padded(array):
    return type(array.base) is PaddedMemory


# ====================================================================== the type


def test_slices_and_copies_are_not_padded():
    made = aligned_zeros(9, np.float64)
    assert is_padded(made)
    assert padded(made) is made
    for other in (made[:9], made[:8], made.reshape(9), made.copy(), pickle.loads(pickle.dumps(made)), np.arange(9.0)):
        assert not is_padded(other)
        repaired = padded(other)
        assert is_padded(repaired)
        assert_array_equal(repaired, other)
        assert repaired.dtype == other.dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_buffers_in_one_memory_do_not_overlap(dtype):
    sizes = (5, 0, 64, 17)
    buffers = aligned_buffers(sizes, dtype)
    assert [buffer.size for buffer in buffers] == list(sizes)
    memory = buffers[0].base
    last = memory.ctypes.data + memory.nbytes
    for buffer, after in zip(buffers, [*(buffer.ctypes.data for buffer in buffers[1:]), last], strict=True):
        assert buffer.base is memory
        assert buffer.ctypes.data % 64 == 0
        assert buffer.ctypes.data + buffer.nbytes + 128 <= after


def test_parameters_of_a_state_are_always_padded():
    state = MLPRegressor(hidden_layer_sizes=4, max_iter=1, solver="lbfgs", tol=1e9).fit(X, Y)._state
    unpadded = state.params.copy()
    state.params = unpadded
    assert is_padded(state.params)
    for other in (copy.deepcopy(state), pickle.loads(pickle.dumps(state)), state.copy(), state.copy(unpadded)):
        assert is_padded(other.params)
        assert_array_equal(other.params, unpadded)
    values = {name: getattr(state, name) for name in TrainingState.__dataclass_fields__}
    assert is_padded(TrainingState(**values | {"params": unpadded}).params)


# ====================================================================== the callers


def test_entries_of_kernels_are_called_in_one_place():
    """Each entry that takes parameters is called by one module, which takes them from a state or from ``padded``.

    `warmup.py` compiles the entries without calling them. `inspection` calls two of them, with parameters from ``padded``.
    """
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith("_kernels/") or name == "warmup.py":
            continue
        tree = ast.parse(path.read_text())
        imported = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and "_kernels" in (node.module or "")
            for alias in node.names
        }
        for entry in imported & set(CALLERS):
            found[entry] = [*found.get(entry, []), name]
    assert found == {entry: [module, *filter(None, [INSPECTION.get(entry)])] for entry, module in CALLERS.items()}


def layout_of(argument):
    """What compiled code depends on in an argument of an entry: the form of arrays, not whether they may be written."""
    if isinstance(argument, tuple):
        return tuple(map(layout_of, argument))
    if isinstance(argument, np.ndarray):
        return argument.dtype, argument.ndim, argument.flags.c_contiguous, argument.flags.aligned
    return type(argument)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_predictions_with_equal_dtypes_have_arguments_of_equal_types(monkeypatch, dtype):
    """`_predict` calls a compiled version for three dtypes without checking the types of the arguments."""
    found = {}

    def recording(*arguments):
        params, rows, order = arguments[2:5]
        found.setdefault((params.dtype, rows.dense.dtype, order.dtype), set()).add(layout_of(arguments))
        return predict(*arguments)

    monkeypatch.setattr(prediction, "predict", recording)
    monkeypatch.setattr(prediction, "_versions", {})
    data, labels = X.astype(dtype), 1 * (Y > 0)
    read_only, misaligned = data.copy(), np.empty(data.nbytes + 1, np.uint8)[1:].view(dtype).reshape(data.shape)
    read_only.flags.writeable, misaligned[...] = False, data
    forms = [
        data,
        data[:1],
        np.asfortranarray(data),
        data[::2],
        data[:, ::-1],
        read_only,
        misaligned,
        csr_array(data),
        csc_array(data),
    ]
    forms += [data.astype(int), data.astype(np.float64), data.astype(np.float32)]
    few = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}
    for params in ({}, {"solver": "lbfgs"}, {"batch_norm": True}, {"early_stopping": True}, {"scale": "standard"}):
        models = [MLPRegressor(**few, **params).fit(data, Y), MLPClassifier(**few, **params).fit(data, labels)]
        models.append(MLPRegressor(**few, **params).fit(csr_array(data), Y))
        for model, form in itertools.product(models, forms):
            prediction._versions.clear()  # so that `predict` is called
            model.predict(form)
    with pytest.raises(ValueError, match="non-finite"), np.errstate(all="ignore"):
        MLPRegressor(**few | {"max_iter": 50}, solver="sgd", activation="identity", learning_rate_init=1e30).fit(data * 1e10, Y)
    assert found
    assert {dtypes: layouts for dtypes, layouts in found.items() if len(layouts) > 1} == {}


@pytest.fixture
def passed(monkeypatch):
    """The parameters that Python passes to the entries, as a list of (name of the entry, array)."""
    arrays = []

    def recording(name, entry, position):
        def call(*arguments):
            arrays.append((name, arguments[position]))
            return entry(*arguments)

        return call

    for name, module in CALLERS.items():
        path = "fastbp." + module.removesuffix(".py").replace("/", ".")
        entry = getattr(sys.modules[path], name)
        monkeypatch.setattr(sys.modules[path], name, recording(name, entry, 6 if name == "train" else 2))
    monkeypatch.setattr(prediction, "_versions", {})  # otherwise, predictions call compiled versions of earlier predictions
    return arrays


def print_nothing(*arguments, **options):
    pass


OPTIONS = [
    {},
    {"solver": "lbfgs"},
    {"early_stopping": True},
    {"early_stopping": True, "scoring": "loss"},
    {"batch_norm": True},
    {"layer_norm": True},
    {"ema_decay": 0.5},
    {"scale": "standard"},
    {"warm_start": "resume"},
    {"dtype": "float32"},
    {"callbacks": print_nothing},
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: next(iter(options), "default"))
def test_every_path_passes_padded_parameters(kind, options, passed):
    y = Y if kind is MLPRegressor else Y > 0
    model = kind(hidden_layer_sizes=4, max_iter=2, random_state=0, **options).fit(X, y)
    if options.get("solver") != "lbfgs" and not options.get("early_stopping") and "warm_start" not in options:
        model.partial_fit(X, y).partial_fit(X, y)
    model.set_params(warm_start=options.get("warm_start", True)).fit(X, y)
    for other in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        other.predict(X)
        other.predict(X.astype(np.float32))
        other.transform(X)
        other.coefs_ = [W.copy() for W in other.coefs_]
        other.predict(X)
        if not other._state.is_folded and options.get("warm_start") is None:
            other.fit(X, y)
    entries = {name for name, _ in passed}
    assert "predict" in entries
    assert ("loss_and_gradient" if options.get("solver") == "lbfgs" else "train") in entries
    for name, params in passed:
        assert is_padded(params), name


# ====================================================================== guard pages

GUARDED = """
import ctypes, itertools, mmap, sys, warnings
import numpy as np, scipy.sparse as sp
from numpy.testing import assert_array_equal
from fastbp import MLPClassifier, MLPRegressor
from fastbp._network import layout, workspace
from fastbp._network.optimizers import Optimizer
from fastbp._training import state as states

warnings.simplefilter("ignore")
libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
PAGE = mmap.PAGESIZE


def before_a_guard_page(size, dtype, n_after=0, kind=np.ndarray):
    "A zero array; after n_after bytes of unused space, there is a page that must not be accessed. Another one precedes the array."
    n_bytes = size * np.dtype(dtype).itemsize + n_after
    n_pages = -(-max(n_bytes, 1) // PAGE)
    memory = mmap.mmap(-1, (n_pages + 2) * PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for page in (0, n_pages + 1):
        assert libc.mprotect(address + page * PAGE, PAGE, mmap.PROT_READ * 0) == 0
    start = (n_pages + 1) * PAGE - n_bytes
    whole = np.ndarray.__new__(kind, size + n_after // np.dtype(dtype).itemsize, dtype, memory, start)
    return np.ndarray((size,), dtype, whole) if n_after else whole


def guarded_buffers(sizes, dtype):
    return [before_a_guard_page(size, dtype, 2 * 64, layout.PaddedMemory) for size in sizes]


def guarded(array):
    copy = before_a_guard_page(array.size, array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def guard_everything():
    layout.aligned_buffers = workspace.aligned_buffers = guarded_buffers
    fresh = Optimizer.fresh.__func__

    def fresh_with_guard(cls, config, params):
        optimizer = fresh(cls, config, params)
        optimizer.moments = guarded(optimizer.moments)
        return optimizer

    Optimizer.fresh = classmethod(fresh_with_guard)


def results(kind, form, dtype, n_rows, n_features, sizes, options):
    random = np.random.RandomState(0)
    X = random.normal(size=(n_rows, n_features)).astype(dtype)
    y = random.randint(0, 3, n_rows) if kind is MLPClassifier else random.normal(size=n_rows).astype(dtype)
    weight = random.uniform(1, 2, n_rows).astype(dtype)
    if form == "sparse":
        X[X < 0.5] = 0
        X = sp.csr_array(X)
        if GUARD:
            X.data, X.indices, X.indptr = guarded(X.data), guarded(X.indices), guarded(X.indptr)
    elif GUARD:
        X = guarded(X)
    if GUARD:
        y, weight = guarded(y), guarded(weight)
    model = kind(hidden_layer_sizes=sizes, max_iter=3, random_state=0, **options).fit(X, y, weight)
    out = [model.predict(X)] if kind is MLPRegressor else [model.predict_proba(X)]
    if options.get("solver") != "lbfgs" and not options.get("early_stopping"):
        model.partial_fit(X, y).partial_fit(X, y)
    out.append(model.transform(X))
    for row in range(3):
        out.append(model.transform(X[row : row + 1] if form == "sparse" or not GUARD else guarded(X[row : row + 1])))
    return out + [np.array(model.loss_curve_ if hasattr(model, "loss_curve_") else [model.loss_])]


SHAPES = [(1, (1,)), (2, (7,)), (3, (8, 5)), (5, (16, 17)), (8, (33,)), (16, (3, 2, 1)), (17, (4,)), (31, ())]
OPTIONS = [
    {}, {"solver": "lbfgs"}, {"solver": "sgd"}, {"early_stopping": True}, {"batch_norm": True}, {"layer_norm": True},
    {"dropout": 0.3, "activation": "silu"}, {"n_threads": 2, "batch_size": 20}, {"l1": 0.1, "clip_norm": 0.1, "max_norm": 1.0},
    {"ema_decay": 0.9, "solver": "nadam"}, {"scale": "standard"}, {"batch_size": 1},
]
cases = [
    (kind, form, dtype, 41, *shape, options)
    for number, (shape, options) in enumerate(itertools.product(SHAPES, OPTIONS))
    for kind in (MLPClassifier, MLPRegressor)
    for form, dtype in [(("dense", "sparse")[number % 2], (np.float32, np.float64)[number // 2 % 2])]
    if not (form == "sparse" and options.get("input_noise"))
]
GUARD = False
cases = cases[: int(sys.argv[1])]
expected = [results(*case) for case in cases]
guard_everything()
GUARD = True
for case, values in zip(cases, expected):
    print(case, flush=True)
    for a, b in zip(values, results(*case), strict=True):
        assert_array_equal(a, b)
print("all values agree")
"""


def run_guarded(program, n_cases):
    return subprocess.run([sys.executable, "-c", program, str(n_cases)], capture_output=True, text=True)


on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="uses mprotect")


@pytest.mark.slow
@on_linux
def test_kernels_access_only_padding_after_the_end_of_arrays():
    """No kernel accesses an element after the end of the user's arrays and of the moments, or after the padding of a buffer."""
    done = run_guarded(GUARDED, 10**6)
    assert done.returncode == 0, (done.returncode, done.stdout[-300:], done.stderr[-2000:])
    assert done.stdout.endswith("all values agree\n")


@pytest.mark.slow
@on_linux
def test_guard_pages_detect_a_buffer_without_padding():
    """With buffers that are followed by a guard page, without padding, a signal ends the process."""
    without_padding = GUARDED
    for old, new in (("2 * 64, layout", "0, layout"), ("whole) if n_after else whole", "whole)")):
        assert old in without_padding
        without_padding = without_padding.replace(old, new)
    done = run_guarded(without_padding, 1)
    assert done.returncode < 0
    assert "MLPClassifier" in done.stdout
