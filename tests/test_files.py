"""Files without pickle: the loaded estimator has the same state, and other files raise a ValueError that names the path."""

import json
import pickle
import sys
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import ShuffleSplit
from sklearn.neural_network import MLPRegressor as MLPRegressorOfScikitLearn
from sklearn.pipeline import make_pipeline

import fastbp
from fastbp import Activation, Checkpoint, Loss, MLPClassifier, MLPRegressor, load, load_checkpoint, save
from fastbp._files.container import file_parts, read_parts
from fastbp._files.values import DamagedValueError, Decoder, Encoder
from fastbp.inspection import WeightRecorder

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.RandomState(0)
X = RNG.normal(2, 3, size=(60, 4))
WITH_NAN = np.where(RNG.uniform(size=X.shape) < [0.3, 0, 0.2, 0], np.nan, X)
CODES = np.tile([0, 1, 2], 20)
NAMES = np.array(["low", "middle", "high"])
VALUES = X[:, 0] - 2 * X[:, 1] ** 2
SMALL = {"hidden_layer_sizes": (5, 3), "batch_size": 16, "max_iter": 3, "random_state": 0}

TARGETS = {
    "int": CODES,
    "bool": CODES > 0,
    "float": CODES + 0.0,
    "int8": CODES.astype(np.int8),
    "str": NAMES[CODES],
    "object": NAMES[CODES].astype(object),
    "bytes order": CODES.astype(">i4"),
    "single class": np.full(60, "only"),
    "multilabel": np.column_stack([CODES == 1, CODES > 0]).astype(int),
    "multioutput": np.column_stack([CODES, np.arange(60) % 4]),
    "multioutput of strings": np.column_stack([NAMES[CODES], NAMES[CODES[::-1]]]),
}
PARAMS = {
    "default": {},
    "folded": {"scale": "standard", "batch_norm": True, "ema_decay": 0.9},
    "layer_norm": {"layer_norm": True, "scale": "robust"},
    "no hidden layer": {"hidden_layer_sizes": ()},
    "activations": {"activation": ["gelu", "tanh"], "dropout": [0.1, 0.2], "input_noise": 0.1},
    "missing": {"missing": "indicator", "scale": "standard"},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.2, "scoring": "loss", "solver": "sgd"},
    "schedule": {"solver": "nadam", "learning_rate": "one_cycle", "learning_rate_horizon": 20},
    "plateau": {"solver": "lion", "learning_rate": "reduce_on_plateau", "clip_norm": 1.0, "max_norm": 2.0},
    "float32": {"dtype": "float32", "solver": "adagrad"},
    "RandomState": {"random_state": np.random.RandomState(3)},
    "Philox": {"random_state": np.random.RandomState(np.random.Philox(3))},
    "SFC64": {"random_state": np.random.RandomState(np.random.SFC64(3))},
}


def rows_of(params):
    return WITH_NAN if "missing" in params else X


def copied(est, path):
    """The estimator after saving and loading."""
    save(est, path)
    return load(path)


def assert_same_values(one, other, where="estimator"):
    """Compare two values with their types, also the parts of lists, dicts and objects."""
    assert type(one) is type(other), where
    if isinstance(one, np.ndarray):
        assert one.dtype.newbyteorder("=") == other.dtype.newbyteorder("="), where
        assert_array_equal(one, other, err_msg=where, strict=False)
    elif isinstance(one, np.random.RandomState):
        assert_same_values(one.get_state(legacy=False), other.get_state(legacy=False), where)
    elif isinstance(one, dict):
        assert list(one) == list(other), where
        for name in one:
            assert_same_values(one[name], other[name], f"{where}.{name}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for n, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same_values(a, b, f"{where}.{n}")
    elif hasattr(one, "__dict__"):
        assert_same_values(*(dict(sorted(vars(value).items())) for value in (one, other)), where)
    else:
        assert one == other or (one != one and other != other), where


def assert_same(one, other):
    """Compare all parameters and attributes of two estimators; the order of the attributes is not compared."""
    assert_same_values(*(dict(sorted(est.__getstate__().items())) for est in (one, other)))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


# ====================================================================== complete state


@pytest.mark.parametrize("params", PARAMS.values(), ids=PARAMS)
@pytest.mark.parametrize("kind", [pytest.param(MLPClassifier, marks=pytest.mark.slow), MLPRegressor])
def test_training_continues_with_the_same_bits(kind, params, path):
    """``fit`` that resumes, ``fit`` from the weights and ``partial_fit`` do the same as without the file."""
    rows, y = rows_of(params), CODES if kind is MLPClassifier else VALUES
    model = clone(kind(**SMALL | params, warm_start="resume")).fit(rows, y)
    loaded = copied(model, path)
    assert_same(loaded, model)
    assert_array_equal(loaded.predict(rows), model.predict(rows))
    assert_array_equal(loaded.transform(rows), model.transform(rows))
    for warm_start in ("resume", True):
        for est in (loaded, model):
            est.set_params(warm_start=warm_start).fit(rows, y)
        assert_same(loaded, model)
    if not model.early_stopping:
        loaded = copied(model, path)
        for _ in range(2):
            assert_same(loaded.partial_fit(rows, y), model.partial_fit(rows, y))


@pytest.mark.parametrize("y", TARGETS.values(), ids=TARGETS)
def test_labels(y, path):
    model = MLPClassifier(**SMALL).fit(X, y)
    loaded = copied(model, path)
    assert_same(loaded, model)
    assert_same_values(loaded.predict(X), model.predict(X).astype(model.predict(X).dtype.newbyteorder("=")))
    assert_same_values(loaded.predict_proba(X), model.predict_proba(X))
    assert_same(loaded.partial_fit(X, y), model.partial_fit(X, y))


@pytest.mark.parametrize(
    "params",
    [
        {"solver": "lbfgs"},
        {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]},
        {"loss": "quantile", "quantile": np.array([0.25, 0.75]), "hidden_layer_sizes": np.array([4, 3])},
        {"loss": "huber", "huber_delta": np.float32(0.5), "scale_y": "robust", "alpha": np.float64(0.01), "max_iter": np.int64(2)},
        {"loss": "tweedie", "n_iter_no_change": np.inf, "out_activation": "softplus"},
        {
            "coefs_init": [np.ones((4, 2), order="F"), np.ones((2, 1), np.float32)],
            "hidden_layer_sizes": 2,
            "intercepts_init": [[0, 0], [1]],
        },
    ],
    ids=lambda params: next(iter(params)),
)
def test_regressors(params, path):
    y = np.column_stack([np.abs(VALUES), np.exp(-X[:, 2])]) if "quantile" in params else np.abs(VALUES)
    model = MLPRegressor(**SMALL | params).fit(X, y)
    loaded = copied(model, path)
    assert_same(loaded, model)
    assert_array_equal(loaded.predict(X), model.predict(X))
    assert_same(clone(loaded).fit(X, y), clone(model).fit(X, y))


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix])
def test_sparse_rows_with_missing_values(container, path):
    rows = container(np.where(X > 0, WITH_NAN, 0))
    model = MLPRegressor(**SMALL, missing="indicator", scale="robust", dtype="float32").fit(rows, VALUES)
    loaded = copied(model, path)
    assert_same(loaded, model)
    assert_array_equal(loaded.predict(rows), model.predict(rows))
    assert_same(loaded.partial_fit(rows, VALUES), model.partial_fit(rows, VALUES))


def test_class_weights_with_keys_of_several_types(path):
    for y, weights in (
        (CODES, {0: 1, 1: 2.5, np.int64(2): np.float32(3)}),
        (NAMES[CODES], {"low": 1.0, "high": 2.0}),
        (CODES > 0, {True: 2, False: 1}),
    ):
        model = MLPClassifier(**SMALL, class_weight=weights).fit(X, y)
        assert_same(copied(model, path), model)


def test_feature_names_and_output_containers(path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b.c", "é", "💡"])
    model = MLPRegressor(**SMALL).set_output(transform="pandas").fit(frame, VALUES)
    loaded = copied(model, path)
    assert_same(loaded, model)
    pandas.testing.assert_frame_equal(loaded.transform(frame), model.transform(frame))
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(frame.rename(columns={"a": "z"}))


def test_metadata_requests(path):
    with config_context(enable_metadata_routing=True):
        model = MLPRegressor().set_fit_request(sample_weight=True).set_score_request(sample_weight="weights")
        loaded = copied(model, path)
        for method in ("fit", "score"):
            assert getattr(loaded.get_metadata_routing(), method).requests == getattr(model.get_metadata_routing(), method).requests


def test_one_generator_stays_one_object(path):
    model = MLPRegressor(**SMALL | {"random_state": np.random.RandomState(0)}).fit(X, VALUES)
    loaded = copied(model, path)
    assert loaded._state.rng is loaded.random_state


def test_unfitted_estimators_and_attributes_of_the_user(path):
    model = MLPRegressor(hidden_layer_sizes=[3, np.int32(2)], random_state=None, alpha=float("inf"))
    model.note, model.means = "trained on Monday", X.mean(axis=0)
    loaded = copied(model, path)
    assert_same(loaded, model)
    assert not hasattr(loaded, "coefs_")


def test_estimators_built_from_weights(path):
    model, rebuilt = MLPRegressor(**SMALL).fit(X, VALUES), MLPRegressor(hidden_layer_sizes=(5, 3))
    for name in ("coefs_", "intercepts_", "n_layers_", "out_activation_"):
        setattr(rebuilt, name, getattr(model, name))
    assert_array_equal(copied(rebuilt, path).predict(X), model.predict(X))
    rebuilt.intercepts_ = rebuilt.intercepts_[:1]
    with pytest.raises(ValueError, match="coefs_ and intercepts_ must form a network"):
        save(rebuilt, path)
    del rebuilt.intercepts_
    with pytest.raises(ValueError, match=r"coefs_ needs other attributes.*intercepts_"):
        save(rebuilt, path)


def test_weights_that_the_user_replaced(path):
    model = MLPRegressor(**SMALL, warm_start=True).fit(X, VALUES)
    model.coefs_, model.intercepts_, model.n_layers_ = [X[:4].copy(), np.ones((4, 1))], [np.zeros(4), np.ones(1)], 3
    loaded = copied(model, path)
    assert_array_equal(loaded.predict(X), model.predict(X))
    assert_same(loaded.set_params(solver="lbfgs").fit(X, VALUES), model.set_params(solver="lbfgs").fit(X, VALUES))


def test_saving_does_not_change_the_estimator_and_replaces_the_file(path):
    model = MLPRegressor(**SMALL, warm_start="resume").fit(X, VALUES)
    before = pickle.dumps(model)
    path.write_text("an earlier file")
    save(model, str(path))
    content = path.read_bytes()
    save(model, path)
    assert path.read_bytes() == content  # the same bytes for the same estimator
    assert pickle.dumps(model) == before
    assert list(path.parent.iterdir()) == [path]


def test_the_file_is_readable_with_safetensors(path):
    from safetensors import safe_open

    model = MLPRegressor(**SMALL).fit(X, VALUES)
    save(model, path)
    with safe_open(path, framework="np") as file:
        assert_array_equal(file.get_tensor("coefs_.0"), model.coefs_[0])
        content = json.loads(file.metadata()["fastbp"])
    assert (content["format_version"], content["fastbp_version"]) == (1, fastbp.__version__)
    assert content["model"]["params"]["hidden_layer_sizes"] == {"tuple": [5, 3]}


# ====================================================================== subclasses


class WithName(MLPRegressor):
    def __init__(self, name, max_iter=3, warm_start=False):
        super().__init__(max_iter=max_iter, random_state=0, warm_start=warm_start)
        self.name = name


def test_subclasses_are_loaded_with_their_class(path):
    model = WithName("mine").fit(X, VALUES)
    save(model, path)
    loaded = load(path, cls=WithName)
    assert type(loaded) is WithName
    assert_same(loaded, model)
    with pytest.raises(ValueError, match=r"model.safetensors'.*'\S*WithName', a subclass of MLPRegressor. Import this class"):
        load(path)
    for cls in (MLPRegressor, MLPClassifier):
        with pytest.raises(ValueError, match=r"WithName', and cls is 'fastbp"):
            load(path, cls=cls)
    with pytest.raises(TypeError, match="cls must be None or a subclass of an estimator of fastbp, got 'WithName'"):
        load(path, cls="WithName")
    save(MLPRegressor(), path)
    assert type(load(path, cls=MLPRegressor)) is MLPRegressor
    with pytest.raises(ValueError, match="Pass the class of the file"):
        load(path, cls=WithName)


# ====================================================================== refused values


def softsign(z):
    return z / (1 + abs(z))


def squared(y, a):
    return (y - a) ** 2


def halved(epoch, progress):
    return 0.5**epoch


def drawn(random_state, shape):
    return random_state.normal(size=shape)


REFUSED = {
    "activation": (Activation(softsign), "'softsign'"),
    "loss": (Loss(squared), "'squared'"),
    "learning_rate": (halved, "'halved'"),
    "weight_init": (drawn, "'drawn'"),
    "bias_init": (partial(drawn), "type partial"),
    "scoring": (lambda est, X, y: 0.0, "'<lambda>'"),
    "validation_splitter": (ShuffleSplit(), "type ShuffleSplit"),
    "callbacks": (WeightRecorder(), "type WeightRecorder"),
    "coefs_init": ([np.ones(2, complex)], "dtype complex128"),
    "hidden_layer_sizes": (range(3), "type range"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_values_that_need_code_are_refused(name, path):
    value, description = REFUSED[name]
    path.write_text("an earlier file")
    with pytest.raises(ValueError, match=f"^{name} must not contain .*{description}.*no code.*pickle or joblib"):
        save(MLPRegressor(**{name: value}), path)
    assert path.read_text() == "an earlier file"


def test_functions_of_the_last_fit_are_refused(path):
    model = MLPRegressor(**SMALL, activation=["relu", Activation(softsign)]).fit(X, VALUES).set_params(activation="relu")
    with pytest.raises(ValueError, match=r"^activation \(of the last fit\) must not contain the function 'softsign'"):
        save(model, path)
    model = MLPRegressor(**SMALL, learning_rate=halved).fit(X, VALUES).set_params(learning_rate="constant")
    with pytest.raises(ValueError, match=r"^learning_rate \(of the last fit\) must not contain the function 'halved'"):
        save(model, path)


def test_other_objects_are_refused(path):
    for other, message in (
        (make_pipeline(MLPRegressor()), r"an object of type Pipeline of scikit-learn\. Save its last step, pipeline\[-1\]"),
        (MLPRegressor, r"the class MLPRegressor\. Pass an instance, for example MLPRegressor\(\)\."),
        (MLPRegressorOfScikitLearn(), r"Convert it with fastbp\.from_sklearn first\."),
        (3, r"3\. Use another tool"),
    ):
        with pytest.raises(TypeError, match=f"^est must be an estimator of fastbp, got .*{message}"):
            save(other, path)
    model = MLPRegressor()
    model._secret = 1
    with pytest.raises(ValueError, match=r"The attribute _secret is not one that MLPRegressor.fit sets.*Delete or rename it"):
        save(model, path)
    model = MLPClassifier(**SMALL).fit(X, CODES)
    model.classes_ = [0, 1, 2]
    with pytest.raises(ValueError, match="classes_ has a wrong type"):
        save(model, path)
    with pytest.raises(ValueError, match="max_iter must have at most 300 digits"):
        save(MLPRegressor(max_iter=10**300), path)
    with pytest.raises(FileNotFoundError, match=r"^path must be in an existing folder; got '.*model'\. Create the folder '.*none'"):
        save(MLPRegressor(), path.parent / "none" / "model")
    with pytest.raises(IsADirectoryError, match=r"^path must name a file, but '.*' is a folder"):
        save(MLPRegressor(), path.parent)
    assert list(path.parent.iterdir()) == []


def test_scikit_learns_callbacks_are_refused(path):
    from sklearn.callback import ProgressBar

    model = MLPRegressor().set_callbacks(ProgressBar())
    with pytest.raises(ValueError, match=r"^callbacks must not contain an object of type ProgressBar.*set_callbacks\(\)"):
        save(model, path)
    save(model.set_callbacks(), path)


# ====================================================================== checkpoints


def test_checkpoints_contain_no_pickle(path, monkeypatch):
    monkeypatch.setattr(pickle, "dump", lambda *_: pytest.fail("a pickle was written"))
    monkeypatch.setattr(pickle, "load", lambda *_: pytest.fail("a pickle was loaded"))
    model = MLPRegressor(**SMALL, callbacks=[Checkpoint(path, every=2)]).fit(X, VALUES)
    loaded, checkpoint = load_checkpoint(path, allow_pickle=False), load(path)
    assert (loaded.warm_start, checkpoint.warm_start, loaded.n_iter_) == ("resume", False, 2)
    assert_same(loaded.set_params(warm_start=False), checkpoint)
    assert repr(loaded.callbacks) == f"Checkpoint({str(path)!r}, every=2)"
    loaded.set_params(max_iter=1, warm_start="resume").fit(X, VALUES)
    assert_array_equal(loaded.coefs_[0], model.coefs_[0])


def test_other_callbacks_are_named_after_loading(path):
    epochs = []
    callbacks = [Checkpoint(path), lambda est, epoch, logs: epochs.append(epoch), WeightRecorder()]
    MLPRegressor(**SMALL, callbacks=callbacks).fit(X, VALUES)
    with pytest.warns(
        UserWarning, match=r"does not contain the callbacks .*<lambda>'.*WeightRecorder.*set_params\(callbacks="
    ) as caught:
        loaded = load_checkpoint(path)
    assert Path(caught[0].filename).name == Path(__file__).name
    assert isinstance(loaded.callbacks, Checkpoint)
    with pytest.warns(UserWarning, match="callbacks"):
        load(path)


def test_path_of_a_checkpoint_is_not_in_the_file(tmp_path):
    """A file must not decide where the program writes."""
    before, after = tmp_path / "secret-name", tmp_path / "renamed"
    MLPRegressor(**SMALL, callbacks=Checkpoint(before)).fit(X, VALUES)
    assert b"secret-name" not in before.read_bytes()
    before.rename(after)
    load_checkpoint(after).fit(X, VALUES)
    assert list(tmp_path.iterdir()) == [after]
    assert load(after).n_iter_ == 3
    model = MLPRegressor(**SMALL, callbacks=[Checkpoint(before)]).fit(X, VALUES)
    save(model, after)
    assert load(after).callbacks is None


@pytest.mark.parametrize("every", [1, 2, 50])
def test_functions_are_refused_in_the_first_epoch(every, path):
    epochs = []
    model = MLPRegressor(**SMALL, learning_rate=halved)
    model.set_params(callbacks=[lambda est, epoch, logs: epochs.append(epoch), Checkpoint(path, every=every)])
    with pytest.raises(
        ValueError, match=r"learning_rate must not contain the function 'halved'.*Checkpoint\(path, format='pickle'\)"
    ):
        model.fit(X, VALUES)
    assert epochs == [1]


def test_pickles_are_an_option(path):
    model = MLPRegressor(**SMALL, learning_rate=halved, callbacks=Checkpoint(path, format="pickle", every=2)).fit(X, VALUES)
    assert repr(model.callbacks) == f"Checkpoint({str(path)!r}, every=2, format='pickle')"
    with pytest.raises(ValueError, match=r"model.safetensors' must be .*fastbp.save, but it contains a pickle.*load_checkpoint"):
        load(path)
    with pytest.raises(ValueError, match=r"model.safetensors' must not contain a pickle with allow_pickle=False"):
        load_checkpoint(path, allow_pickle=False)
    loaded = load_checkpoint(path).set_params(max_iter=1).fit(X, VALUES)
    assert_array_equal(loaded.coefs_[0], model.coefs_[0])
    with pytest.raises(ValueError, match="format must be 'safetensors' or 'pickle', got 'json'"):
        Checkpoint(path, format="json")


def test_checkpoints_of_subclasses(path):
    model = WithName("mine")
    model.callbacks = Checkpoint(path)
    model.fit(X, VALUES)
    loaded = load_checkpoint(path, cls=WithName)
    assert (type(loaded), loaded.name) == (WithName, "mine")


# ====================================================================== changed files


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """The bytes of a file with most features."""
    path = tmp_path_factory.mktemp("files") / "model"
    params = {"missing": "indicator", "scale": "standard", "batch_norm": True, "early_stopping": True, "warm_start": "resume"}
    save(MLPClassifier(**SMALL, **params, class_weight={"low": 2.0}).fit(WITH_NAN, NAMES[CODES]), path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def parts(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("parts") / "model"
    path.write_bytes(content)
    return read_parts(path)


def assert_rejected(path, content, match=""):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"'.*{path.name}' must be a file written by .*, but {match}"):
        load(path)


def with_header(content, change):
    """The file with a changed header of the right size."""
    n = int.from_bytes(content[:8], "little")
    header = change(content[8 : 8 + n])
    return len(header).to_bytes(8, "little") + header + content[8 + n :]


def sealed(content):
    """The file with a correct checksum."""
    mark = rb"\"checksum\":\""
    start = content.index(mark) + len(mark)
    blank = content[:start] + b"0" * 64 + content[start + 64 :]
    return content[:start] + blake2b(blank, digest_size=32).hexdigest().encode() + content[start + 64 :]


@pytest.mark.parametrize("step", [311, pytest.param(13, marks=pytest.mark.slow)])
def test_every_flipped_bit_is_found(content, path, step):
    for at in range(0, len(content), step):
        changed = bytearray(content)
        changed[at] ^= 1 << at % 8
        assert_rejected(path, bytes(changed))


def test_truncated_and_extended_files_are_rejected(content, path):
    assert_rejected(path, b"", "it is empty")
    for size in (1, 7, 8, 9, 100, len(content) // 2, len(content) - 1):
        assert_rejected(path, content[:size], "it is incomplete")
    assert_rejected(path, content + b"\0", "it is incomplete or damaged: its size")


def test_files_of_other_programs_are_rejected(content, path, tmp_path):
    from safetensors.numpy import save as save_tensors

    for other in (b"text", b"\x93NUMPY" + bytes(200), b"PK\x03\x04" + bytes(100), pickle.dumps(MLPRegressor()), bytes(64)):
        assert_rejected(path, other, "it is incomplete or was written by another program")
    for metadata in (None, {"format": "pt"}, {"fastbp": "{"}):
        assert_rejected(path, save_tensors({"x": X}, metadata), "it was written by another program|its header is damaged")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none")
    with pytest.raises(OSError, match="path must name a file"):
        load(tmp_path)


def test_pickles_are_never_loaded(path, monkeypatch):
    class Code:
        def __reduce__(self):
            return pytest.fail, ("code was run",)

    for protocol in range(6):
        assert_rejected(path, pickle.dumps(Code(), protocol=protocol))


def test_newer_formats_say_that_fastbp_must_be_updated(content, path):
    newer = with_header(content, lambda header: header.replace(rb"format_version\":1", rb"format_version\":2"))
    assert_rejected(path, newer, r"it has version 2 of the format.*versions up to 1\. Update fastbp; .*0\.1\.0")
    newer = sealed(content.replace(rb"\"alpha\":0.0001", rb"\"alphb\":0.0001"))
    assert_rejected(path, newer, r"it has the unknown parameters \['alphb'\]\. Update fastbp")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda header: header.replace(b'"shape":[3]', b'"shape":[9999999999999]'), "shape of an array does not agree"),
        (lambda header: header.replace(b'"shape":[3]', b'"shape":[-3]'), "no valid shape"),
        (lambda header: header.replace(b'"shape":[3]', b'"shape":[3.0]'), "no valid shape"),
        (lambda header: header.replace(b'"shape":[3]', b'"shape":[1,1,1,1,1,1,1,1,3]'), "no valid shape"),
        (lambda header: header.replace(b'"F64"', b'"F80"'), "unknown dtype"),
        (lambda header: header.replace(b'"data_offsets":[0,', b'"data_offsets":[8,'), "does not agree with its offsets"),
        (lambda header: header.replace(b"{", b'{"__metadata__":{},', 1), "a name occurs twice"),
        (lambda header: b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (lambda header: b'{"a":' + b"9" * 5000 + b"}", "too many digits"),
        (lambda header: b'{"a":1e999}', "too large"),
        (lambda header: b'{"a":NaN}', "NaN is not valid"),
        (lambda header: b"{\xff}", "header is damaged"),
        (lambda header: b"[]", "incomplete or was written by another"),
    ],
)
def test_wrong_headers(content, path, change, problem):
    changed = with_header(content, change)
    assert changed != content
    assert_rejected(path, changed, f".*{problem}")


def test_wrong_number_of_quantiles(path):
    save(MLPRegressor(**SMALL, loss="quantile", quantile=[0.1, 0.5, 0.9]).fit(X, VALUES), path)
    tree, tensors = read_parts(path)
    tree["attributes"]["_quantiles"] = {"tuple": [0.1, 0.9]}
    assert_rejected(
        path, b"".join(file_parts(tree, tensors)), "its model is damaged .*3 units .* must be a multiple of the 2 quantiles"
    )


def test_new_parameters_get_their_defaults(parts, path):
    """A file of an earlier version does not have the parameters of later versions."""
    tree, tensors = json.loads(json.dumps(parts[0])), dict(parts[1])
    for name in ("tol", "n_shares", "class_weight"):
        del tree["params"][name]
    path.write_bytes(b"".join(file_parts(tree, tensors)))
    loaded = load(path)
    assert (loaded.tol, loaded.n_shares, loaded.class_weight, loaded.scale) == (1e-4, None, None, "standard")


def test_overlapping_arrays(content, path):
    """Two arrays of the same size share their bytes; the sizes agree, but a part of the file is unused."""

    def overlap(header):
        tables = json.loads(header)
        same = [name for name, table in tables.items() if name != "__metadata__" and table["shape"] == [624]]
        tables[same[0]]["data_offsets"] = tables[same[1]]["data_offsets"]
        return json.dumps(tables, separators=(",", ":")).encode()

    assert_rejected(path, sealed(with_header(content, overlap)), "its header is damaged")


def test_sizes_are_checked_before_memory_is_allocated(content, path):
    import tracemalloc

    huge = [
        (2**62).to_bytes(8, "little") + content[8:],
        (10**8).to_bytes(8, "little") + content[8:],
        with_header(content, lambda header: header.replace(b'"shape":[3]', b'"shape":[200000000000]')),
    ]
    for changed in huge:
        path.write_bytes(changed)
        tracemalloc.start()
        with pytest.raises(ValueError, match="must be a file written by"):
            load(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3_000_000


def at(tree, *keys):
    for key in keys:
        tree = dict(tree["dict"])[key] if isinstance(tree, dict) and "dict" in tree else tree[key]
    return tree


def replace_entry(tree, name, value):
    """Replace an entry of an encoded dict."""
    next(pair for pair in tree["dict"] if pair[0] == name)[1] = value


STATE = ("attributes", "_state")
WRONG_PARTS = {
    "class": (lambda tree, tensors: tree.update({"class": "SVC"}), "class is unknown"),
    "missing part": (lambda tree, tensors: tree.pop("params"), "a part of the model is missing"),
    "attribute": (lambda tree, tensors: tree["attributes"].update(predict=1), "'predict' is not the name of an attribute"),
    "private attribute": (lambda tree, tensors: tree["attributes"].update(__class__=1), "'__class__' is not the name"),
    "type": (lambda tree, tensors: tree["attributes"].update(n_iter_="3"), "n_iter_ has a wrong type"),
    "unknown type": (lambda tree, tensors: tree["attributes"].update(n_iter_={"eval": "1"}), "'eval' is not the name of a type"),
    "link": (lambda tree, tensors: tree["attributes"].update(out_activation_="tan"), "out_activation_ has a wrong"),
    "array used twice": (lambda tree, tensors: tree["attributes"].update(classes_={"array": "coefs_.0"}), "missing or used twice"),
    "array not used": (lambda tree, tensors: tensors.update(more=X), "'more' is not used"),
    "weights": (lambda tree, tensors: tensors.update({"coefs_.0": tensors["coefs_.0"][:-1]}), "must form a network"),
    "groups": (lambda tree, tensors: tree["attributes"].update(_groups={"tuple": [3, 200]}), r"\(3, 200\), must add up"),
    "negative groups": (lambda tree, tensors: tree["attributes"].update(_groups={"tuple": [5, -2]}), "_groups has a wrong"),
    "sizes": (lambda tree, tensors: replace_entry(at(tree, *STATE), "sizes", [4, -1, 1]), "state.sizes has a wrong"),
    "activation": (lambda tree, tensors: replace_entry(at(tree, *STATE), "activations", ["eval", "relu"]), "state.activations has"),
    "indicators": (
        lambda tree, tensors: tensors.update({"_state.preparation.imputer.indicators": np.array([0, 9])}),
        "imputer does not belong",
    ),
    "scaling": (
        lambda tree, tensors: tensors.update({"_state.preparation.scaling.inputs.scale": np.ones(3)}),
        "scaling of the inputs",
    ),
    "generator": (
        lambda tree, tensors: replace_entry(dict(at(tree, *STATE)["dict"])["rng"]["random_state"]["dict"][1][1], "pos", 625),
        "a generator is damaged",
    ),
    "callbacks": (lambda tree, tensors: tree.update(callbacks={"every": 0, "others": []}), "the callbacks are damaged"),
    "requests": (lambda tree, tensors: tree.update(requests={"set": {"a": True}}), "the metadata requests are damaged"),
}


@pytest.mark.parametrize("name", WRONG_PARTS)
def test_wrong_parts_with_a_correct_checksum(name, parts, path):
    change, problem = WRONG_PARTS[name]
    tree, tensors = json.loads(json.dumps(parts[0])), dict(parts[1])
    change(tree, tensors)
    assert_rejected(path, b"".join(file_parts(tree, tensors)), f"its model is damaged .*{problem}")


@contextmanager
def suppress_named(path):
    """Suppress a ValueError that names the path."""
    try:
        yield
    except ValueError as error:
        if str(path) not in str(error):
            raise


@pytest.mark.slow
@given(
    changes=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=12), st.integers(0, 12)), min_size=1, max_size=4),
    is_sealed=st.booleans(),
)
def test_random_changes_raise_only_value_errors(content, tmp_path_factory, changes, is_sealed):
    """Bytes are replaced, inserted and removed; with a correct checksum, the parts of the file are decoded."""
    path, changed = tmp_path_factory.getbasetemp() / "changed", bytearray(content)
    for position, new, n_removed in changes:
        start = int(position * len(changed))
        changed[start : start + n_removed] = new
    if is_sealed and rb"\"checksum\":\"" in changed:
        changed = sealed(bytes(changed))
    path.write_bytes(changed)
    with suppress_named(path):
        assert type(load(path)) is MLPClassifier
        assert is_sealed or bytes(changed) == content


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.text(max_size=3), children, max_size=2)
        | st.builds(
            lambda kind, child: {kind: child},
            st.sampled_from(["float", "floats", "tuple", "dict", "array", "random_state", "same_random_state", "labels"]),
            children,
        )
        | st.builds(lambda child, dtype: {"scalar": child, "dtype": dtype}, children, children | st.sampled_from(["int8", "str"]))
        | st.builds(lambda child, shape: {"objects": child, "shape": shape}, children, children)
    ),
    max_leaves=12,
)


@pytest.mark.slow
@given(value=JSON_VALUES, keys=st.lists(st.integers(0, 80), max_size=8))
def test_random_trees_raise_only_value_errors(parts, tmp_path_factory, value, keys):
    """A part of the tree of a valid file is replaced by a random value."""
    path, tree = tmp_path_factory.getbasetemp() / "tree", json.loads(json.dumps(parts[0]))
    node = tree
    for key in keys:
        names = list(node) if isinstance(node, dict) else range(len(node))
        name = names[key % len(names)]
        if not isinstance(node[name], dict | list) or not node[name]:
            break
        node, name = node[name], None
    names = list(node) if isinstance(node, dict) else range(len(node))
    node[names[sum(keys) % len(names)]] = value
    path.write_bytes(b"".join(file_parts(tree, parts[1])))
    with suppress_named(path):
        load(path)


# ====================================================================== values


VALUES_TO_ENCODE = [
    *(None, True, 0, -(10**299), 0.1, -0.0, np.inf, -np.inf, np.nan, "", "é💡\ud800\x00", (), [], {}, (1, [2.0, (None,)])),
    *({1: 2, "1": 3.0}, {True: "a"}, {0.5: [1]}, {None: 1}, [0.5] * 20, [1.0] * 8 + [np.nan], [np.float64(1)] * 9, [1] * 20),
    *(np.float16(0.1), np.float32(0.1), np.float64(np.nan), np.int8(-5), np.uint64(2**64 - 1), np.bool_(True), np.str_("a")),
    *(
        np.arange(6).reshape(2, 3),
        np.ones((2, 3), order="F"),
        np.array(3.5),
        np.empty((0, 4)),
        np.arange(10)[::-3],
        np.ones(3, ">f4"),
    ),
    *(np.array([True]), np.array(["a", "bcd"]), np.array([["", "é"]]), np.array([b"ab", b""]), np.array("x"), np.array([], "U3")),
    *(np.array(["a", "bc"], object), np.array([1, None, "x", 2.5], object), np.array([], object), np.array([[True]], object)),
    *(np.random.RandomState(0), np.array([np.str_("a")], object), np.array(["a"], ">U2")),
]


@pytest.mark.parametrize("value", VALUES_TO_ENCODE, ids=lambda value: repr(value).partition(" at 0x")[0][:40])
def test_values_keep_their_types(value, path):
    encoder = Encoder()
    path.write_bytes(b"".join(file_parts({"value": encoder.encode(value, "value")}, encoder.tensors)))
    tree, tensors = read_parts(path)
    decoder = Decoder(tensors)
    assert_same_values(value, decoder.decode(tree["value"]))
    decoder.finish()


@pytest.mark.parametrize(
    "tree", [{}, {"a": 1}, {"float": []}, {"dict": [[[], 1]]}, {"dict": [[1, 1], [1, 2]]}, {"same_random_state": 0}], ids=str
)
def test_wrong_trees(tree):
    with pytest.raises(DamagedValueError):
        Decoder({}).decode(tree)


def test_damaged_strings():
    with pytest.raises(DamagedValueError, match="invalid character"):
        Decoder({"a": np.array([[0x110000]], np.uint32)}).decode({"text": "a", "kind": "U"})


# ====================================================================== pickles


def contains_rows(data, rows):
    """Whether a pickle contains the bytes of one of the rows of an array, in one of the two orders of memory."""
    return any(row.tobytes() in data for row in rows) or any(column[:8].tobytes() in data for column in rows.T)


def kept_run():
    return MLPClassifier(**SMALL).partial_fit(X, CODES, classes=[0, 1, 2]).partial_fit(X, CODES)


FITTED = {
    "fit": lambda: MLPClassifier(**SMALL).fit(X, CODES),
    "partial_fit": kept_run,
    "resume": lambda: MLPClassifier(**SMALL, warm_start="resume").fit(X, CODES),
    "stream": lambda: MLPClassifier(**SMALL).fit_batches([(X, CODES)], epochs=2),
    "early stopping": lambda: MLPRegressor(**SMALL, early_stopping=True, scoring="r2", validation_fraction=0.2).fit(X, VALUES),
    "scaled": lambda: MLPRegressor(**SMALL, scale="standard", batch_norm=True, ema_decay=0.9).fit(X, VALUES),
    "callbacks": lambda: MLPRegressor(**SMALL, callbacks=Checkpoint("model", every=99)).fit(X, VALUES),
    "lbfgs": lambda: MLPRegressor(**SMALL, solver="lbfgs").fit(X, VALUES),
    "predicted": lambda: [model := kept_run(), model.predict(X), model.score(X, CODES)][0],
}


@pytest.mark.parametrize("name", FITTED)
def test_pickles_contain_no_data_and_no_scratch(name, path):
    """They have the size of the weights, the moments and the parameters, and no rows of X."""
    model = FITTED[name]()
    for data in (pickle.dumps(model), pickle.dumps(model.predict)):
        assert not contains_rows(data, X)
        assert len(data) < 20_000
    save(model, path)
    assert not contains_rows(path.read_bytes(), X)


def test_size_of_a_pickle_is_that_of_weights_and_moments(path):
    rows = np.random.RandomState(0).normal(size=(3000, 50))
    y, sizes = rows[:, 0], {}
    for n_calls in (1, 3):
        model = MLPRegressor(hidden_layer_sizes=100, random_state=0)
        for _ in range(n_calls):
            model.partial_fit(rows, y)
        sizes[n_calls] = len(pickle.dumps(model))
    n_bytes = 3 * 8 * (50 * 100 + 100 + 100 + 1)  # the weights and two moments of each
    save(model, path)
    for size in (*sizes.values(), path.stat().st_size):
        assert n_bytes < size < n_bytes + 12_000


def test_pickles_contain_no_classes_of_fastbp_except_the_estimator():
    """skops and other tools that check the types in a pickle need to trust one type only."""
    model = MLPRegressor(**SMALL, scale="standard", missing="indicator", batch_norm=True, warm_start="resume").fit(WITH_NAN, VALUES)
    data = pickle.dumps(model, protocol=0)
    assert set(part.split(b"\n")[0] for part in data.split(b"cfastbp.")[1:]) | {b"_regressor"} == {b"_regressor"}
    assert b"fastbp._training" not in data
    assert b"fastbp._network" not in data


# ====================================================================== cost and fixtures


@pytest.mark.slow
def test_importing_fastbp_does_not_import_safetensors():
    import subprocess

    code = "import sys, fastbp; sys.exit(any(name.startswith(('safetensors', 'fastbp._files')) for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
