"""Products with factors that are rounded to bfloat16, and training with ``dtype="mixed_bfloat16"``.

The functions of one layer are compared with `bfloat16_reference`, bit by bit. Whole fits are compared with a training loop in NumPy
whose products round in the same places. `test_emulation` runs most tests in a process with FASTBP_EMULATE_BF16=1, which is possible
on every processor. Tests with `emulators` run the instructions themselves.
"""

import itertools
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import bfloat16_reference as reference
import numpy as np
import pytest
from scipy.sparse import csr_array
from test_tiles import GuardedPages

import fastbp
from fastbp import MLPClassifier, MLPRegressor, load, save
from fastbp._kernels.jit import is_interpreted
from fastbp._kernels.lazy import bfloat16
from fastbp._kernels.targets import EMULATES_BFLOAT16, HAS_AMX, HAS_BFLOAT16, VECTOR_BYTES
from fastbp._network import mixed_precision
from fastbp._network.layout import Layout, aligned_zeros
from fastbp._network.mixed_precision import multiplies_bfloat16, use_bfloat16
from fastbp._training import epochs

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

MIXED = "mixed_bfloat16"
LANES = VECTOR_BYTES // 4
IS_AVAILABLE = HAS_BFLOAT16 or EMULATES_BFLOAT16
if_available = pytest.mark.skipif(not IS_AVAILABLE, reason="runs in a process that emulates bfloat16")
# The numbers of rows, inputs and outputs around the sizes of tiles and vectors, odd numbers and numbers with several strips.
SIZES = [1, 2, 7, 13, LANES - 1, LANES, LANES + 1, 2 * LANES + 1, 3 * LANES, 5 * LANES + 3]
# (n_rows, n_in, n_out) for which gradients copy strips and panels to scratch memory.
WIDE = [(50, 270, 60), (13, 60, 300), (50, 259, 290)]

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(96, 50)).astype(np.float32)
Y = np.tanh(X[:, :4]).sum(axis=1) + X[:, 0] * X[:, 1]
LABELS = np.digitize(Y, [-1, 1])


def rounded(values):
    return reference.widen(reference.round_to_bfloat16(values))


def product(A, B, start):
    """Return start + A·B, where each sum has the order and the rounding of the instructions."""
    n, total = A.shape[1], np.broadcast_to(start, (len(A), B.shape[1])).astype(np.float32)
    pairs_of_A, pairs_of_B = (np.zeros((len(M), 2 * (-(-n // 2))), np.float32) for M in (A, B.T))
    pairs_of_A[:, :n], pairs_of_B[:, :n] = A, B.T
    a, b = (reference.round_to_bfloat16(M).reshape(len(M), -1, 2) for M in (pairs_of_A, pairs_of_B))
    for k in range(a.shape[1]):
        total = reference.dot_pairs(total, a[:, None, k], b[None, :, k])
    return total


def padded(values, stride=None):
    """Return a matrix in memory with a padding of NaN; its rows have `stride` elements."""
    n_rows, n_columns = values.shape
    stride = stride or n_columns
    flat = aligned_zeros(n_rows * stride + 4 * LANES, np.float32)
    flat[:] = np.nan
    matrix = flat[: n_rows * stride].reshape(n_rows, stride)
    matrix[:, :n_columns] = values
    return matrix


def whole_vectors(n):
    return -(-n // LANES) * LANES


class Words:
    """The buffers of a layer with the sizes of `mixed_precision`, filled with pairs of NaN; words after them must not change."""

    NAN, GUARD = 0x7FC07FC0, 0xA5A5A5A5

    def __init__(self, n_in, n_out, n_rows):
        table = Layout((n_in, n_out)).layer_table(n_rows, 4, VECTOR_BYTES)
        table["n_features"] = 1  # so that there are transposed weights
        sizes = use_bfloat16(table, n_rows)
        self.memory = [self._guarded(int(n)) for n in (*table[["n_words", "n_transposed_words"]][0], sizes.rows)]
        self.packed, self.transposed, self.rows = (memory[: -2 * LANES] for memory in self.memory)

    def _guarded(self, n):
        memory = np.full(n + 2 * LANES, self.NAN, np.uint32)
        memory[n:] = self.GUARD
        return memory

    def assert_guards_unchanged(self):
        for memory in self.memory:
            np.testing.assert_array_equal(memory[-2 * LANES :], self.GUARD)


# ---------------------------------------------------------------------- without the instructions


@pytest.mark.skipif(IS_AVAILABLE, reason="the processor has instructions for bfloat16")
def test_error_without_instructions():
    model = MLPRegressor(hidden_layer_sizes=(40, 40), max_iter=2, random_state=0).fit(X, Y)
    before = model.predict(X)
    with pytest.raises(ValueError, match=r"needs a processor with the instructions AVX512_BF16 .* Set dtype='float32'\."):
        model.set_params(dtype=MIXED).fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), before)


def test_error_for_lbfgs(monkeypatch):
    monkeypatch.setattr(mixed_precision, "EMULATES_BFLOAT16", True)
    with pytest.raises(ValueError, match="dtype='mixed_bfloat16' is not supported for solver='lbfgs', whose line searches"):
        MLPRegressor(dtype=MIXED, solver="lbfgs").fit(X, Y)


def run(code, **environment):
    """Run code in a new process; return what it prints."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]), **environment}
    process = subprocess.run([sys.executable, "-c", code], env=environment, text=True, capture_output=True, check=False)
    assert process.returncode == 0, process.stderr[-2000:]
    return process.stdout


def test_value_of_the_environment_variable():
    code = (
        "import pytest\nwith pytest.raises(ValueError, match=\"FASTBP_EMULATE_BF16 must be '0' or '1', got 'yes'\"): import fastbp"
    )
    run(code, FASTBP_EMULATE_BF16="yes")


@pytest.mark.slow
@pytest.mark.skipif(EMULATES_BFLOAT16, reason="this process emulates bfloat16")
def test_emulation():
    """The other tests of this file pass in a process that emulates the instructions."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", __file__]
    environment = {**os.environ, "FASTBP_EMULATE_BF16": "1", "PYTEST_ADDOPTS": ""}
    process = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
    assert process.returncode == 0, process.stdout[-4000:]
    assert int(re.search(r"(\d+) passed", process.stdout)[1]) >= 15


# ---------------------------------------------------------------------- products


@pytest.fixture
def every_layer(monkeypatch):
    """Small layers use bfloat16, too."""
    monkeypatch.setattr(mixed_precision, "multiplies_bfloat16", lambda *sizes: True)


@if_available
@pytest.mark.compiled
def test_products_of_a_layer(every_layer):
    """Forward, gradient and backward products have exactly the bits of the reference, for sizes around those of tiles.

    The words of the weights are written in one or more shares.
    """
    random, options = np.random.default_rng(0), itertools.cycle(itertools.product((False, True), repeat=2))
    for n_rows, n_in, n_out in [*itertools.product((1, 2, 13, 24), SIZES, SIZES), *WIDE]:
        relu, add = next(options)
        shapes = (n_rows, n_in), (n_in, n_out), (1, n_out), (n_rows, n_out), (n_in, n_out)
        A, W, b, D, G = (random.normal(size=shape).astype(np.float32) for shape in shapes)
        A[random.random(A.shape) < 0.3] = 0
        words = Words(n_in, n_out, n_rows)
        for share in range(n_rows):
            bfloat16.bfloat16_weights(padded(W), words.packed, words.transposed, words.rows, share, n_rows)
        Z = padded(np.full((n_rows, n_out), np.nan), whole_vectors(n_out))
        bfloat16.bfloat16_forward(padded(A), words.packed, padded(b)[0], Z, n_in, int(relu), words.rows)
        expected = product(A, W, b)
        np.testing.assert_array_equal(Z[:, :n_out], np.maximum(expected, 0) if relu else expected)
        g = padded(G)
        bfloat16.bfloat16_gradient(padded(A, whole_vectors(n_in)), padded(D, whole_vectors(n_out)), g, int(add), words.rows)
        np.testing.assert_array_equal(g, product(A.T, D, G if add else 0))
        stored, of_Z, of_G = padded(np.zeros((n_rows, whole_vectors((n_in + 1) // 2)))), np.full_like(Z, np.nan), padded(G)
        bfloat16.store_rows(padded(A), stored.view(np.uint32))
        bfloat16.stored_forward(stored, words.packed, padded(b)[0], of_Z, n_in, int(relu), words.rows)
        bfloat16.stored_gradient(stored, padded(D, whole_vectors(n_out)), of_G, int(add), words.rows)
        np.testing.assert_array_equal(of_Z[:, :n_out], Z[:, :n_out])
        np.testing.assert_array_equal(of_G, g)
        out = padded(np.full((n_rows, n_in), np.nan), whole_vectors(n_in))
        activations = padded(A, whole_vectors(n_in))
        bfloat16.bfloat16_backward(
            padded(D, whole_vectors(n_out)), words.transposed, activations, out, n_in, n_out, int(relu), words.rows
        )
        expected = product(D, W.T, 0)
        np.testing.assert_array_equal(out[:, :n_in], np.where(A == 0, 0, expected) if relu else expected)
        words.assert_guards_unchanged()


@if_available
def test_rounding(every_layer):
    """Special values, ties and random bits are rounded as by the instructions."""
    special = [
        0.0,
        -0.0,
        np.inf,
        -np.inf,
        np.nan,
        -np.nan,
        1e-40,
        -1e-40,
        3.4e38,
        -3.4e38,
        1.17549435e-38,
        1 + 2**-8,
        1 + 3 * 2**-8,
    ]
    bits = np.random.default_rng(1).integers(0, 1 << 32, 6 * 33 - len(special), dtype=np.uint32).view(np.float32)
    W = np.concatenate([np.array(special, np.float32), bits]).reshape(6, 33)
    words = Words(6, 33, 16)
    bfloat16.bfloat16_weights(padded(W), words.packed, words.transposed, words.rows, 0, 1)
    rounded_bits = np.append(reference.round_to_bfloat16(W), np.zeros((6, 1), np.uint16), axis=1)
    got = {int(word) for word in words.transposed} - {Words.NAN, 0}
    assert {int(word) for word in rounded_bits.view(np.uint32).ravel()} - {0} <= got
    pairs = (rounded_bits[1::2, :33].astype(np.uint32) << 16) | rounded_bits[::2, :33]
    assert {int(word) for word in pairs.ravel()} - {0} <= {int(word) for word in words.packed}


@if_available
@pytest.mark.compiled
@pytest.mark.skipif(sys.platform != "linux", reason="protects pages of memory")
def test_rows_at_the_end_of_memory(every_layer):
    """Only activations, deltas and weights are followed by space for one more vector; the user's rows are not."""
    edge = GuardedPages()
    for n_rows, n_in in itertools.product((1, 2, 7), (1, 3, LANES, LANES + 1, 2 * LANES - 1, 3 * LANES + 5)):
        A, W, b = np.ones((n_rows, n_in)), np.ones((n_in, 33), np.float32), np.zeros((1, 33), np.float32)
        words, Z = Words(n_in, 33, 16), padded(np.zeros((n_rows, 33)), whole_vectors(33))
        bfloat16.bfloat16_weights(padded(W), words.packed, words.transposed, words.rows, 0, 1)
        bfloat16.bfloat16_forward(edge.put(A, np.float32, 0), words.packed, padded(b)[0], Z, n_in, 0, words.rows)
        np.testing.assert_array_equal(Z[:, :33], n_in)
        G = padded(np.zeros((n_in, 33)))
        bfloat16.bfloat16_gradient(edge.put(A, np.float32, 0), padded(np.ones((n_rows, 33)), whole_vectors(33)), G, 0, words.rows)
        np.testing.assert_array_equal(G, n_rows)


def test_small_layers_use_float32():
    assert multiplies_bfloat16(32, 32, 16)
    for sizes in ((31, 400, 200), (400, 31, 200), (400, 400, 15)):
        assert not multiplies_bfloat16(*sizes)
    table = Layout((8, 64, 64, 1)).layer_table(64, 4, VECTOR_BYTES)
    use_bfloat16(table, 64)
    np.testing.assert_array_equal(table["bfloat16_forward_address"] != 0, [False, True, False])


# ---------------------------------------------------------------------- training


ACTIVATIONS = {
    "relu": (lambda z: np.maximum(z, 0), lambda a: a > 0),
    "tanh": (np.tanh, lambda a: 1 - a * a),
    "identity": (lambda z: z, np.ones_like),
}


def gradients(coefs, intercepts, activation, round_=rounded):
    """Return the gradients of all W and b of the mean squared error / 2, with rounded factors in layers of at least 32 × 32."""
    g, slope = ACTIVATIONS[activation]
    rounds = [round_ if min(W.shape) >= 32 else np.float32 for W in coefs]
    A = [X]
    for layer, (W, b) in enumerate(zip(coefs, intercepts, strict=True)):
        z = rounds[layer](A[-1]) @ rounds[layer](W) + b
        A.append(g(z) if layer < len(coefs) - 1 else z)
    delta, of_W, of_b = A[-1] - Y[:, None].astype(np.float32), [], []  # the kernels divide the sums over the rows by their number
    for layer in reversed(range(len(coefs))):
        of_W.insert(0, rounds[layer](A[layer]).T @ rounds[layer](delta))
        of_b.insert(0, delta.sum(axis=0))
        if layer:
            delta = rounds[layer](delta) @ rounds[layer](coefs[layer]).T * slope(A[layer])
    return [G / len(X) for G in of_W], [g / len(X) for g in of_b]


@if_available
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient(activation):
    """One step of gradient descent has the gradient of a network in NumPy that rounds the same factors."""
    options = {"hidden_layer_sizes": (70, 33, 20), "activation": activation, "solver": "sgd", "momentum": 0, "alpha": 0}
    options |= {"learning_rate_init": 1.0, "batch_size": 96, "shuffle": False, "random_state": 0}
    start = MLPRegressor(**options | {"learning_rate_init": 1e-30}, max_iter=1, dtype=MIXED).fit(X, Y)
    after = MLPRegressor(**options, max_iter=1, dtype=MIXED).fit(X, Y)
    expected, exact = (gradients(start.coefs_, start.intercepts_, activation, round_) for round_ in (rounded, np.float32))
    for name, want, float32 in zip(("coefs_", "intercepts_"), expected, exact, strict=True):
        for W, W_after, G, G_32 in zip(getattr(start, name), getattr(after, name), want, float32, strict=True):
            got, tolerance = W - W_after, 1e-3 * np.abs(G).max()
            np.testing.assert_allclose(got, G, atol=0.1 * tolerance)
            if G.ndim == 2 and min(G.shape) >= 32:  # the tolerance separates rounded factors from exact ones
                assert np.abs(got - G_32).max() > tolerance


FEATURES = [
    {"batch_norm": True},
    {"layer_norm": True},
    {"dropout": 0.1},
    {"input_noise": 0.1},
    {"activation": "gelu"},
    {"solver": "lion", "learning_rate_init": 1e-4},
    {"clip_norm": 1.0, "max_norm": 3.0},
    {"early_stopping": True},
    {"ema_decay": 0.9},
]


@if_available
@pytest.mark.parametrize("parameters", FEATURES, ids=[next(iter(parameters)) for parameters in FEATURES])
def test_features(parameters):
    """Training with each feature is close to training with float32, but not equal to it."""
    options = {"hidden_layer_sizes": (64, 48), "max_iter": 6, "random_state": 0, "batch_size": 32, **parameters}
    mixed, single = (MLPClassifier(**options, dtype=dtype).fit(X, LABELS) for dtype in (MIXED, "float32"))
    np.testing.assert_allclose(mixed.loss_curve_, single.loss_curve_, rtol=0.03)
    assert not np.array_equal(mixed.coefs_[1], single.coefs_[1])
    assert mixed.coefs_[0].dtype == np.float32
    assert mixed.predict_proba(X).dtype == np.float32


@if_available
@pytest.mark.compiled
@pytest.mark.parametrize("max_iter", [4, 12])  # with 12 epochs, X is rounded once
def test_numbers_of_threads_give_the_same_bits(max_iter):
    options = {"hidden_layer_sizes": (140, 48), "random_state": 0, "dtype": MIXED, "n_shares": 2}
    one, two = (MLPClassifier(**options, max_iter=max_iter, n_threads=n).fit(X, LABELS) for n in (1, 2))
    assert one.loss_curve_ == two.loss_curve_
    for array, other in zip((*one.coefs_, *one.intercepts_), (*two.coefs_, *two.intercepts_), strict=True):
        np.testing.assert_array_equal(array, other)


@pytest.fixture
def stored(monkeypatch):
    """A list of the numbers of words of a row, for each fit that could round X once for all steps."""
    calls = []

    def use_stored_rows(*arguments):
        calls.append(mixed_precision.use_stored_rows(*arguments))
        return calls[-1]

    monkeypatch.setattr(epochs, "use_stored_rows", use_stored_rows)
    return calls


@if_available
@pytest.mark.skipif(HAS_AMX, reason="X is not rounded once for AMX instructions")
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("n_features", [32, 33, 50, 512])
def test_rows_that_are_rounded_once_give_the_same_bits(n_features, shuffle, stored, monkeypatch):
    inputs = np.random.default_rng(0).normal(size=(75, n_features)).astype(np.float32)
    options = {"hidden_layer_sizes": (40,), "batch_size": 31, "random_state": 0, "shuffle": shuffle, "dtype": MIXED, "max_iter": 10}
    model = MLPRegressor(**options).fit(inputs, Y[:75])
    assert stored[0] >= n_features / 2
    monkeypatch.setattr(mixed_precision, "_MAX_STORED_BYTES", 75 * 4 * stored[0] - 1)
    reference_model = MLPRegressor(**options).fit(inputs, Y[:75])
    assert stored[1:] == [0]
    assert model.loss_curve_ == reference_model.loss_curve_
    for W, expected in zip(model.coefs_, reference_model.coefs_, strict=True):
        np.testing.assert_array_equal(W, expected)


@if_available
def test_rows_are_not_rounded_once_if_this_would_change_results_or_save_no_time(stored):
    options = {"hidden_layer_sizes": (40,), "random_state": 0, "dtype": MIXED, "max_iter": 10}
    MLPRegressor(**{**options, "max_iter": 9}).fit(X, Y)
    MLPRegressor(**options).partial_fit(X, Y)
    assert stored == []
    for parameters in ({"input_noise": 0.1}, {"dropout": (0.2, 0.0)}, {"dtype": "float32"}, {"hidden_layer_sizes": (31,)}):
        MLPRegressor(**{**options, **parameters}).fit(X, Y)
    assert stored == [0, 0, 0, 0]
    MLPRegressor(**options).fit(csr_array(X), Y)
    assert stored == [0, 0, 0, 0]


@if_available
def test_sparse_rows():
    """The first layer of sparse rows uses float32, because it multiplies only the stored elements."""
    options = {"hidden_layer_sizes": (64, 48), "max_iter": 4, "random_state": 0}
    mixed, single = (MLPClassifier(**options, dtype=dtype).fit(csr_array(X), LABELS) for dtype in (MIXED, "float32"))
    np.testing.assert_allclose(mixed.loss_curve_, single.loss_curve_, rtol=0.01)
    assert not np.array_equal(mixed.coefs_[1], single.coefs_[1])


@if_available
def test_training_that_continues():
    """Several calls train as one, and models keep the parameter in pickles and files."""
    options = {"hidden_layer_sizes": (64, 48), "random_state": 0, "dtype": MIXED, "warm_start": "resume", "tol": 0}
    model, whole = MLPClassifier(**options, max_iter=2).fit(X, LABELS), MLPClassifier(**options, max_iter=5).fit(X, LABELS)
    copy = pickle.loads(pickle.dumps(model)).set_params(max_iter=3).fit(X, LABELS)
    np.testing.assert_array_equal(copy.coefs_[1], whole.coefs_[1])


@if_available
def test_files(tmp_path):
    model = MLPClassifier(hidden_layer_sizes=(64, 48), max_iter=2, random_state=0, dtype=MIXED).fit(X, LABELS)
    save(model, tmp_path / "model.fastbp")
    loaded = load(tmp_path / "model.fastbp")
    assert loaded.dtype == MIXED
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


@if_available
def test_float64_inputs():
    """X and the parameters are converted to float32."""
    model = MLPRegressor(hidden_layer_sizes=(64, 48), max_iter=2, random_state=0, dtype=MIXED)
    np.testing.assert_array_equal(model.fit(X.astype(float), Y).coefs_[0], model.fit(X, Y).coefs_[0])


@if_available
@pytest.mark.slow
@pytest.mark.skipif(is_interpreted(), reason="this process does not compile")
def test_without_compilation():
    """Without compilation, NumPy computes the same products, with other rounding errors of the sums."""
    code = """
import numpy as np, warnings
warnings.simplefilter("ignore")
from test_bfloat16 import *
model = MLPClassifier(hidden_layer_sizes=(100, 40), max_iter=2, random_state=0, dtype=MIXED).fit(X, LABELS)
print(*map(float, model.loss_curve_))
"""
    interpreted = run(code, NUMBA_DISABLE_JIT="1", FASTBP_EMULATE_BF16="1")
    model = MLPClassifier(hidden_layer_sizes=(100, 40), max_iter=2, random_state=0, dtype=MIXED).fit(X, LABELS)
    np.testing.assert_allclose([float(loss) for loss in interpreted.split()], model.loss_curve_, rtol=1e-4)


TABLE_MODELS = {
    "RealMLPClassifier": {"preset": "td", "max_iter": 3},
    "RealMLPRegressor": {"preset": "td-s", "max_iter": 3, "residual_connections": True},
    "TabMClassifier": {"n_submodels": 4, "max_iter": 3, "hidden_layer_sizes": (64, 64)},
    "TabMRegressor": {"n_submodels": 4, "max_iter": 3, "architecture": "tabm-mini", "numeric_embedding": "periodic"},
}


@if_available
@pytest.mark.parametrize("name", TABLE_MODELS)
def test_estimators_for_tables(name, tmp_path):
    """Networks with scaled inputs, encoders, parametric activations, residual connections and submodels use bfloat16, too."""
    options = TABLE_MODELS[name] | {"random_state": 0, "validation_fraction": 0}
    y = LABELS if name.endswith("Classifier") else Y
    mixed, single = (getattr(fastbp, name)(**options, dtype=dtype).fit(X, y) for dtype in (MIXED, "float32"))
    np.testing.assert_allclose(mixed.members_[0].loss_curve_, single.members_[0].loss_curve_, rtol=0.02)
    assert mixed.members_[0].loss_curve_ != single.members_[0].loss_curve_
    save(mixed, tmp_path / "model.fastbp")
    for copy in (pickle.loads(pickle.dumps(mixed)), load(tmp_path / "model.fastbp")):
        assert copy.dtype == MIXED
        np.testing.assert_array_equal(copy.predict(X), mixed.predict(X))
