"""The estimators for tables after a fit and in the middle of one: files, copies, callbacks, checkpoints, and fits that continue."""

import copy
import os
import pickle
import signal
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fastbp import Checkpoint, MLPClassifier, RealMLPClassifier, RealMLPRegressor, load, load_checkpoint, save
from fastbp._files.container import file_parts, read_parts
from fastbp._tabular import member_training
from fastbp.callbacks import MLflowLogger

SMALL = {"hidden_layer_sizes": (16, 8), "max_iter": 6, "random_state": 0, "preset": "td-s"}
KINDS = [RealMLPClassifier, RealMLPRegressor]
each_kind = pytest.mark.parametrize("kind", KINDS)
RNG = np.random.default_rng(0)
N_ROWS = 90
X = pd.DataFrame(
    {
        "number": RNG.normal(size=N_ROWS),
        "few": pd.Categorical(RNG.choice(["x", "y", "ä"], N_ROWS)),
        "many": RNG.choice(list("abcdefghijklmnop"), N_ROWS),
        "code": pd.Categorical(RNG.choice([3, 1, 8], N_ROWS)),
        "date": pd.date_range("2020-01-01", periods=N_ROWS, freq="9D", tz="Europe/Lisbon"),
        "flag": RNG.random(N_ROWS) > 0.5,
        "identifier": [f"id{i}" for i in range(N_ROWS)],
        "empty": [None] * N_ROWS,
    }
)
X.loc[3, "number"], X.loc[4, "few"], X.loc[5, "date"] = np.nan, None, pd.NaT
NEW = X.assign(few="new", number=np.nan, many=None, date=pd.NaT)
LABELS = np.where(X["few"] == "x", "yes", "no")
VALUES = X["number"].fillna(0).to_numpy() + 2 * (X["few"] == "y").to_numpy()


def target(kind):
    return LABELS if kind is RealMLPClassifier else VALUES


def small(kind=RealMLPClassifier, **options):
    return kind(**{**SMALL, **options})


def fitted(kind=RealMLPClassifier, **options):
    return small(kind, **options).fit(X, target(kind))


def outputs_of(model, rows):
    return model.predict_proba(rows) if isinstance(model, RealMLPClassifier) else model.predict(rows)


def assert_same_model(one, other):
    """Compare predictions with new values, too, and the fitted attributes."""
    for rows in (X, NEW):
        np.testing.assert_array_equal(outputs_of(one, rows), outputs_of(other, rows))
    for a, b in zip(one.members_, other.members_, strict=True):
        assert a.network.plan == b.network.plan
        np.testing.assert_array_equal(a.network.params, b.network.params)
        assert a.network.history == b.network.history
    names = [name for name in vars(one) if name.endswith("_") and name != "members_"]
    assert names == [name for name in vars(other) if name.endswith("_") and name != "members_"]
    for name in names:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def saved(model, path):
    save(model, path)
    return load(path)


def dumped(model, path):
    joblib.dump(model, path)
    return joblib.load(path)


COPIES = {
    "pickle": lambda model, path: pickle.loads(pickle.dumps(model)),
    "joblib": dumped,
    "deepcopy": lambda model, path: copy.deepcopy(model),
    "save": saved,
}
OPTIONS = {
    "td": {"preset": "td", "n_cv": 2},
    "best": {"preset": "best", "n_cv": 2, "n_bins": 4},
    "td-s": {"n_ensemble": 2},
    "no validation rows": {"validation_fraction": 0},
    "residual connections": {"residual_connections": True, "hidden_layer_sizes": (8, 8, 4)},
    "no hidden layer": {"hidden_layer_sizes": ()},
    "array": {"hidden_layer_sizes": np.array([8, 4]), "batch_size": np.int64(16), "random_state": np.random.RandomState(0)},
}


# ---------------------------------------------------------------------- files and copies


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("way", COPIES.values(), ids=COPIES)
@each_kind
def test_copies_have_the_same_bits(kind, way, options, path):
    model = fitted(kind, **options)
    assert_same_model(way(model, path), model)
    unfitted = way(small(kind, **options), path)
    assert unfitted.get_params().keys() == model.get_params().keys()
    assert str(unfitted.hidden_layer_sizes) == str(small(kind, **options).hidden_layer_sizes)
    assert not hasattr(unfitted, "members_")


@pytest.mark.parametrize(
    ("kind", "options", "y"),
    [
        (RealMLPClassifier, {"calibrate": "temperature", "class_weight": "balanced"}, LABELS),
        (RealMLPClassifier, {"calibrate": "temperature"}, ["only"] * N_ROWS),
        (RealMLPClassifier, {"class_weight": {1: 2.0, 7: 1, -2: 1}}, np.tile([1, 7, -2], N_ROWS // 3)),
        (RealMLPRegressor, {"loss": "quantile", "quantile": [0.1, 0.9]}, np.column_stack([VALUES, -VALUES])),
        (RealMLPRegressor, {"loss": "quantile", "quantile": 0.3}, VALUES),
        (RealMLPRegressor, {"clip_predictions": True}, VALUES),
    ],
)
def test_files_of_other_targets(kind, options, y, path):
    model = small(kind, **options).fit(X, y)
    loaded = saved(model, path)
    assert_same_model(loaded, model)
    assert loaded.score(X, y) == model.score(X, y)
    first = path.read_bytes()
    save(loaded, path)
    assert path.read_bytes() == first


def test_files_of_arrays(path):
    rows = np.column_stack([X["number"].fillna(0), X["code"].astype(int)])
    model = small(categorical_features=[1]).fit(rows, LABELS)
    np.testing.assert_array_equal(saved(model, path).predict_proba(rows), model.predict_proba(rows))


def test_copies_do_not_share_parameters():
    model = fitted()
    copied = copy.deepcopy(model)
    before = model.predict_proba(X)
    copied.members_[0].network.params[:] = 0
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_clones_are_not_fitted():
    model = fitted(warm_start="resume", callbacks=print_nothing)
    assert not hasattr(clone(model), "members_")
    assert clone(model).get_params() == model.get_params()


def print_nothing(estimator, epoch, logs):
    return None


def test_requests_for_metadata_are_stored(path):
    import sklearn

    with sklearn.config_context(enable_metadata_routing=True):
        model = fitted(RealMLPRegressor).set_fit_request(sample_weight=True, X_val=True).set_predict_request(return_std=True)
        routing = saved(model, path).get_metadata_routing()
        assert routing.fit.requests == model.get_metadata_routing().fit.requests
        assert routing.predict.requests == {"return_std": True}


class OwnRegressor(RealMLPRegressor):
    pass


def test_subclasses(path):
    model = OwnRegressor(**SMALL).fit(X, VALUES)
    save(model, path)
    assert_same_model(load(path, OwnRegressor), model)
    with pytest.raises(ValueError, match="subclass of RealMLPRegressor"):
        load(path)


def test_values_without_a_place_in_a_file_are_refused(path):
    with pytest.raises(ValueError, match="callbacks must not contain the function 'print_nothing'"):
        save(fitted(callbacks=print_nothing), path)
    model = fitted()
    model._extra = 1
    with pytest.raises(ValueError, match=r"_extra is not one that RealMLPClassifier\.fit sets"):
        save(model, path)
    del model._extra
    model.temperature_ = "hot"
    with pytest.raises(ValueError, match="temperature_ has a wrong type"):
        save(model, path)


def test_folders_are_refused(tmp_path):
    for function in (load, load_checkpoint):
        with pytest.raises(IsADirectoryError, match="path must name a file"):
            function(tmp_path)


@pytest.mark.parametrize("name", ["m" * 240, "ö" * 120])
def test_long_file_names(name, tmp_path):
    path = tmp_path / name
    assert_same_model(saved(fitted(), path), fitted())
    leftover = next(iter(tmp_path.glob("*.tmp")), None)
    assert leftover is None


# ---------------------------------------------------------------------- damaged files


def members(tree):
    return decoded(tree, "_ensemble")["members"]


def decoded(tree, *names):
    """The part of a tree at these names, which can be changed."""
    node = tree["attributes"][names[0]]
    for name in names[1:]:
        node = node[name] if isinstance(name, int) else entry(node, name)[1]
    return node


def entry(node, name):
    node = node.get("tuple", node.get("dict")) if isinstance(node, dict) else node
    return next(pair for pair in node if pair[0] == name)


def set_value(*names):
    *place, last, value = names

    def change(tree, tensors):
        entry(decoded(tree, *place), last)[1] = value

    return change


def set_array(name, change_of):
    def change(tree, tensors):
        (key,) = [key for key in tensors if key.endswith(name)]
        tensors[key] = change_of(np.array(tensors[key]))

    return change


MEMBER = ("_ensemble", "members", 0)
DAMAGES = {
    "fewer parameters": set_array("network.params", lambda array: array[:-1]),
    "float64": set_array("network.params", lambda array: array.astype(np.float64)),
    "more units": set_value("_ensemble", "kind", "settings", "hidden_layer_sizes", {"tuple": [17, 8]}),
    "huge layers": set_value("_ensemble", "kind", "settings", "hidden_layer_sizes", {"tuple": [2**30, 2**30]}),
    "no activation": set_value("_ensemble", "kind", "settings", "activation", "other"),
    "more codes": set_value("_ensemble", "kind", "settings", "embedding_size", 9),
    "other outputs": set_value("_ensemble", "kind", "n_outputs", 3),
    "another link": set_value("_ensemble", "kind", "link", "exp"),
    "no members": set_value("_ensemble", "members", []),
    "other medians": set_array("inputs.medians", lambda array: array[1:]),
    "other one-hot columns": set_array("one_hot.columns", lambda array: array[::-1].copy()),
    "a missing column": lambda tree, tensors: decoded(tree, "_ensemble", "columns").pop(),
    "an unknown column": set_value("_ensemble", "columns", 0, "kind", "other"),
    "a text as origin": set_value("_ensemble", "columns", 0, "origin", "0"),
    "fewer categories": lambda tree, tensors: entry(decoded(tree, "_ensemble", "columns", 2), "categories")[1].pop(),
    "numbers as categories": set_value("_ensemble", "columns", 2, "categories", [1, 2]),
    "another history": set_value(*MEMBER, "network", "history", {"dict": [["loss", [1.0]], ["val_score", []]]}),
    "a missing part": lambda tree, tensors: decoded(tree, "_ensemble")["dict"].pop(),
    "no ensemble": lambda tree, tensors: tree["attributes"].pop("_ensemble"),
    "other labels": set_value("_ensemble", "constant", [1.0]),
    "another class": lambda tree, tensors: tree.update({"class": "RealMLPRegressor"}),
    "an MLP": lambda tree, tensors: tree.update({"class": "MLPClassifier"}),
    "a paused fit": lambda tree, tensors: tree["attributes"].update(_paused={"dict": []}),
    "a wrong temperature": lambda tree, tensors: tree["attributes"].update(temperature_=-1.0),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_models_are_refused(name, path):
    save(fitted(preset="td"), path)
    tree, tensors = read_parts(path)
    tensors = {key: np.array(array) for key, array in tensors.items()}
    DAMAGES[name](tree, tensors)
    path.write_bytes(b"".join(file_parts(tree, tensors)))
    with pytest.raises(ValueError, match=r"must be a file written by fastbp\.save or a fastbp\.Checkpoint, but"):
        load(path)


BINS = ("_ensemble", "members", 1)
DAMAGED_BINS = {
    "a missing column": lambda tree, tensors: entry(decoded(tree, *BINS), "edges")[1].pop(),
    "missing means": lambda tree, tensors: entry(decoded(tree, *BINS), "means")[1].pop(),
    "no bins": lambda tree, tensors: [entry(decoded(tree, *BINS), name)[1].clear() for name in ("edges", "means")],
    "fewer means": set_array("members.1.means.0", lambda array: array[1:]),
    "fewer bins": set_array("members.1.edges.0", lambda array: array[1:]),
    "other edges": set_array("members.1.edges.0", lambda array: array[::-1].copy()),
}


@pytest.mark.parametrize("name", DAMAGED_BINS)
def test_damaged_bins_are_refused(name, path):
    save(fitted(preset="best", n_cv=2), path)
    tree, tensors = read_parts(path)
    tensors = {key: np.array(array) for key, array in tensors.items()}
    DAMAGED_BINS[name](tree, tensors)
    path.write_bytes(b"".join(file_parts(tree, tensors)))
    with pytest.raises(ValueError, match=r"must be a file written by fastbp\.save or a fastbp\.Checkpoint, but"):
        load(path)


def test_changed_bytes_are_refused(path):
    save(fitted(), path)
    data = bytearray(path.read_bytes())
    for place in range(100, len(data), len(data) // 20):
        changed = data.copy()
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"model\.safetensors"):
            load(path)
    path.write_bytes(data[:-1])
    with pytest.raises(ValueError, match="incomplete"):
        load(path)


DAMAGED_PAUSES = {
    "a row number": (set_array("splits.0.0", lambda array: array + 50), "row number"),
    "no rows": (set_value("_paused", "splits", []), "model is damaged"),
    "another size": (set_value("_paused", "n_rows", -1), "paused.n_rows"),
    "a moment": (set_array("0.network.training.state.optimizer.moments", lambda array: array[1:]), None),
    "a parameter": (set_array("0.network.training.state.params", lambda array: array[1:]), None),
    "the order": (set_array("0.network.training.state.resume.order", lambda array: array + 1000), None),
}


@pytest.mark.parametrize("name", DAMAGED_PAUSES)
def test_damaged_pauses_are_refused(name, path):
    """Sizes of a paused training are checked when it is loaded or when it continues."""
    damage, message = DAMAGED_PAUSES[name]
    save(paused_model(), path)
    tree, tensors = read_parts(path)
    tensors = {key: np.array(array) for key, array in tensors.items()}
    damage(tree, tensors)
    path.write_bytes(b"".join(file_parts(tree, tensors)))
    if message is None:
        with pytest.raises(ValueError, match=r"damaged|state of the optimizer"):
            load(path).fit(X, LABELS)
    else:
        with pytest.raises(ValueError, match=message):
            load(path)


# ---------------------------------------------------------------------- callbacks


@pytest.mark.parametrize("n_threads", [1, 2])
@each_kind
def test_callbacks_receive_each_epoch_of_each_member(kind, n_threads):
    calls = []

    def record(estimator, epoch, logs):
        calls.append((logs["member"], epoch))
        (member,) = estimator.members_
        assert type(estimator) is kind
        assert estimator.n_iter_ == member.n_iter_ == len(member.loss_curve_) == epoch
        assert logs["loss"] == member.loss_curve_[-1]
        assert logs["val_score"] == member.validation_scores_[-1]
        assert {"learning_rate", "val_loss"} < set(logs)
        assert np.isfinite(outputs_of(estimator, X)).all()
        estimator.set_params(max_iter=1)
        member.network.params[:] = np.nan

    model = fitted(kind, n_cv=3, n_threads=n_threads, callbacks=[record])
    assert sorted(calls) == [(n, epoch) for n in range(3) for epoch in range(1, 7)]
    assert_same_model(model, fitted(kind, n_cv=3))
    assert model.max_iter == 6


def test_callbacks_see_the_current_weights():
    scores = []

    def score(estimator, epoch, logs):
        errors = estimator.predict(X.head(40)) - VALUES[:40]
        scores.append((-np.sqrt(np.mean(errors**2)), logs["val_score"]))

    small(RealMLPRegressor, callbacks=score).fit(X, VALUES, X_val=X.head(40), y_val=VALUES[:40])
    assert len({given for given, _ in scores}) > 1
    for given, expected in scores:
        assert given == pytest.approx(expected, rel=1e-4)


def test_a_callback_ends_the_training_of_its_member():
    with warnings.catch_warnings(action="error"):
        model = fitted(n_ensemble=3, callbacks=lambda estimator, epoch, logs: logs["member"] == 1 and epoch == 2)
    assert [member.n_iter_ for member in model.members_] == [6, 2, 6]
    complete = fitted(n_ensemble=3)
    assert model.members_[1].loss_curve_ == complete.members_[1].loss_curve_[:2]
    np.testing.assert_array_equal(model.members_[2].network.params, complete.members_[2].network.params)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_exception_of_a_callback_leaves_the_model_unchanged(n_threads):
    model = fitted()
    before = pickle.dumps(model)
    n_active = threading.active_count()

    def fail(estimator, epoch, logs):
        if epoch == 3:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        model.set_params(n_ensemble=3, callbacks=fail, n_threads=n_threads).fit(X, LABELS)
    assert threading.active_count() <= n_active  # threads of predictions may have ended
    assert pickle.dumps(model.set_params(n_ensemble=1, callbacks=None, n_threads=None)) == before


def test_estimators_of_callbacks_can_be_kept():
    kept = []
    fitted(n_ensemble=2, callbacks=lambda estimator, epoch, logs: kept.append(estimator))
    assert [len(one.members_) for one in kept] == [1] * 12
    copied = copy.deepcopy(kept[-1].set_params(callbacks=None))
    np.testing.assert_array_equal(copied.predict_proba(X), kept[-1].predict_proba(X))


def test_other_values_are_no_callbacks():
    with pytest.raises(TypeError, match="callbacks must be functions of"):
        fitted(callbacks=[3])
    with pytest.raises(TypeError, match="Estimators for tables do not support") as error:
        fitted(callbacks=[MLflowLogger()])
    assert "set_callbacks" not in str(error.value)


# ---------------------------------------------------------------------- checkpoints


@pytest.mark.parametrize("format", ["safetensors", "pickle"])
@pytest.mark.parametrize("options", [{"n_cv": 3, "n_threads": 2}, {"n_ensemble": 3, "n_threads": 1}, {"calibrate": "temperature"}])
def test_training_continues_after_a_checkpoint(options, format, path, monkeypatch):
    complete = fitted(**options)
    checkpoint = Checkpoint(path, every=4, format=format)
    assert_same_model(fitted(callbacks=checkpoint, **options), complete)
    with warnings.catch_warnings(action="error"):
        again = load_checkpoint(path)
    assert again.warm_start == "resume"
    assert_same_model(again.set_params(callbacks=None).fit(X, LABELS), complete)


def test_checkpoint_after_the_last_epoch(path):
    complete = fitted(callbacks=Checkpoint(path, every=6), n_cv=2)
    assert_same_model(load_checkpoint(path).set_params(callbacks=None).fit(X, LABELS), complete)


def test_checkpoint_of_a_killed_fit(path):
    """Whatever epoch each member has reached when a checkpoint is written, the fit ends with the same bits."""

    def fail(estimator, epoch, logs):
        if logs["member"] == 2 and epoch == 3:
            raise SystemError("killed")

    with pytest.raises(SystemError):
        fitted(n_ensemble=4, n_threads=2, callbacks=[Checkpoint(path), fail])
    with pytest.warns(UserWarning, match="does not contain the callbacks"):
        again = load_checkpoint(path)
    assert 1 <= len(again.members_) <= 4
    assert_same_model(again.set_params(callbacks=None).fit(X, LABELS), fitted(n_ensemble=4))


def test_saved_models_are_no_checkpoints(path):
    save(fitted(), path)
    with pytest.raises(ValueError, match="cannot be resumed"):
        load_checkpoint(path)


# ---------------------------------------------------------------------- fits that continue


def fail_at(epoch_of_failure, member=0, error=OSError):
    def fail(estimator, epoch, logs):
        if logs["member"] == member and epoch == epoch_of_failure:
            raise error("stopped")

    return fail


def paused_model(kind=RealMLPClassifier, epoch=3, member=0, rows=X, y=None, **options):
    model = small(kind, warm_start="resume", callbacks=fail_at(epoch, member), **options)
    with pytest.raises(OSError, match="stopped"):
        model.fit(rows, target(kind) if y is None else y)
    return model.set_params(callbacks=None)


RESIDUAL = {"preset": "td", "residual_connections": True, "hidden_layer_sizes": (8, 8)}


@pytest.mark.parametrize("way", [None, *COPIES])
@pytest.mark.parametrize(
    "options", [{}, RESIDUAL, {"preset": "best", "n_cv": 3, "n_bins": 4}, {"validation_fraction": 0, "n_ensemble": 2}]
)
@each_kind
def test_training_continues_after_an_exception(kind, options, way, path):
    model = paused_model(kind, member=options.get("n_cv", 1) - 1, **options)
    assert np.isfinite(outputs_of(model, X)).all()
    if way is not None:
        model = COPIES[way](model, path)
    epochs = {member.n_iter_ for member in model.members_}
    assert min(epochs) < 6
    assert_same_model(model.fit(X, target(kind)), fitted(kind, **options))


@pytest.mark.parametrize("way", COPIES)
def test_copies_of_a_paused_model_need_the_same_data(way, path):
    model = COPIES[way](paused_model(), path)
    with pytest.raises(ValueError, match="rows have another order"):
        model.fit(X, LABELS[::-1])
    with pytest.raises(ValueError, match="values in X, y, sample_weight"):
        model.fit(X, LABELS, sample_weight=np.arange(N_ROWS) + 1)


def test_a_paused_model_of_an_older_version_continues(path):
    save(paused_model(), path)
    tree, tensors = read_parts(path)
    paused = decoded(tree, "_paused")
    paused["dict"].remove(entry(paused, "digest"))
    path.write_bytes(b"".join(file_parts(tree, tensors)))
    assert_same_model(load(path).fit(X, LABELS), fitted())


def test_training_continues_several_times():
    model = small(warm_start="resume", n_ensemble=2)
    for epoch in (2, 3, 5):
        with pytest.raises(OSError, match="stopped"):
            model.set_params(callbacks=fail_at(epoch, member=1)).fit(X, LABELS)
    assert_same_model(model.set_params(callbacks=None).fit(X, LABELS), fitted(n_ensemble=2))


def test_training_continues_with_validation_rows():
    weights = {"sample_weight": np.arange(N_ROWS) % 5}
    given = {"X_val": X.head(30), "y_val": VALUES[:30]}
    model = small(RealMLPRegressor, warm_start="resume", callbacks=fail_at(4))
    with pytest.raises(OSError, match="stopped"):
        model.fit(X, VALUES, **weights, **given)
    model.set_params(callbacks=None)
    with pytest.raises(ValueError, match="X_val and y_val must be passed in both fits or in none"):
        model.fit(X, VALUES, **weights)
    assert_same_model(model.fit(X, VALUES, **weights, **given), small(RealMLPRegressor).fit(X, VALUES, **weights, **given))


@pytest.fixture
def is_interrupted():
    """An event that is set when the main thread receives SIGINT, the signal of Ctrl-C."""
    event, default = threading.Event(), signal.getsignal(signal.SIGINT)

    def handle(number, frame):
        event.set()
        default(number, frame)

    signal.signal(signal.SIGINT, handle)
    yield event
    signal.signal(signal.SIGINT, default)


@pytest.mark.parametrize("options", [{"n_threads": 1}, {"n_threads": 1, "n_ensemble": 3}, {"n_threads": 2, "n_ensemble": 3}])
def test_training_continues_after_ctrl_c(options, is_interrupted):
    first = threading.Lock()

    def interrupt(estimator, epoch, logs):
        if epoch == 3 and first.acquire(blocking=False):  # a second signal would interrupt the test
            os.kill(os.getpid(), signal.SIGINT)
            if threading.current_thread() is not threading.main_thread():
                is_interrupted.wait(60)
                time.sleep(1)  # until the main thread has told all members to end

    complete = fitted(**options)
    model = small(warm_start="resume", callbacks=interrupt, **options)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, LABELS)
    assert 0 < min(member.n_iter_ for member in model.members_) < 6
    assert_same_model(model.set_params(callbacks=None).fit(X, LABELS), complete)


def test_ctrl_c_without_resume_leaves_the_model_unfitted():
    def interrupt(estimator, epoch, logs):
        os.kill(os.getpid(), signal.SIGINT)

    model = small(callbacks=interrupt, n_threads=1)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, LABELS)
    assert not hasattr(model, "members_")


def test_no_member_trains_before_all_threads_have_started(monkeypatch):
    """Otherwise Ctrl-C can end ``fit`` while a thread that the pool does not know is training."""

    class Pool(ThreadPoolExecutor):
        def submit(self, function, place):
            if place == 2:
                time.sleep(0.5)
                raise KeyboardInterrupt
            return super().submit(function, place)

    monkeypatch.setattr(member_training, "ThreadPoolExecutor", Pool)
    epochs = []
    model = small(n_threads=2, n_ensemble=3, callbacks=lambda estimator, epoch, logs: epochs.append(epoch))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, LABELS)
    assert not epochs
    assert not hasattr(model, "members_")


@pytest.mark.parametrize("n_threads", [1, 2])
def test_training_continues_after_max_time(n_threads):
    """The limit of time ends training in the middle of epochs."""
    options = {"n_ensemble": 2, "max_iter": 800, "n_threads": n_threads}
    model = small(warm_start="resume", max_time=0.05, **options)
    with pytest.warns(ConvergenceWarning, match=r"max_time=0\.05"):
        model.fit(X, LABELS)
    epochs = [member.n_iter_ for member in model.members_]
    assert max(epochs) < 800
    with pytest.warns(ConvergenceWarning, match=r"max_time=0\.05"):
        model.fit(X, LABELS)
    assert all(before < member.n_iter_ for before, member in zip(epochs, model.members_, strict=True))
    assert_same_model(model.set_params(max_time=None).fit(X, LABELS), fitted(**options))


def test_a_member_that_a_callback_ended_does_not_continue():
    def end(estimator, epoch, logs):
        return logs["member"] == 0 and epoch == 2

    options = {"n_ensemble": 2, "n_threads": 1}
    model = small(warm_start="resume", callbacks=[end, fail_at(3, member=1)], **options)
    with pytest.raises(OSError, match="stopped"):
        model.fit(X, LABELS)
    model.set_params(callbacks=end).fit(X, LABELS)
    assert_same_model(model, fitted(callbacks=end, **options))
    assert [member.n_iter_ for member in model.members_] == [2, 6]


def test_complete_training_does_not_continue():
    model = fitted(warm_start="resume")
    expected = fitted()
    assert_same_model(model, expected)
    with pytest.warns(ConvergenceWarning, match="complete, and warm_start='resume' did nothing"):
        model.fit(X, LABELS)
    assert_same_model(model, expected)
    ended = fitted(callbacks=lambda estimator, epoch, logs: epoch == 2)
    with pytest.raises(ValueError, match="needs a model whose training stopped early in a fit with warm_start='resume'"):
        ended.set_params(warm_start="resume").fit(X, LABELS)


CHANGES = {
    "max_iter": ({"max_iter": 7}, X, LABELS, "max_iter must not change"),
    "learning_rate_init": ({"learning_rate_init": 0.5}, X, LABELS, "learning_rate_init must not change"),
    "preset": ({"preset": "td"}, X, LABELS, "must not change"),
    "n_ensemble": ({"n_ensemble": 2}, X, LABELS, "n_ensemble must not change"),
    "rows": ({}, X.head(80), LABELS[:80], "which had 90 rows"),
    "columns": ({}, X[["few"]], LABELS, "feature names"),
    "other order": ({}, X.iloc[::-1], LABELS, "values in X, y, sample_weight or the validation rows differ"),
    "other order of labels": ({}, X, LABELS[::-1], "values in X, y, sample_weight or the validation rows differ"),
    "labels": ({}, X, np.where(LABELS == "yes", "ja", "nein"), "y has other classes"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_fit_that_continues_needs_the_same_data_and_parameters(name):
    changes, rows, y, message = CHANGES[name]
    model = paused_model()
    before = model.get_params()
    with pytest.raises(ValueError, match=message):
        model.set_params(**changes).fit(rows, y)
    assert_same_model(model.set_params(**before).fit(X, LABELS), fitted())


def test_parameters_that_may_change_while_training_continues():
    model = paused_model(n_ensemble=2)
    model.set_params(n_threads=1, verbose=False, random_state=5, max_time=100.0, calibrate="temperature")
    model.fit(X, LABELS)
    expected = fitted(n_ensemble=2, calibrate="temperature")
    np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))


def test_estimates_of_an_earlier_part_of_a_fit_are_replaced():
    model = paused_model(calibrate="temperature", n_ensemble=2, n_threads=1)
    assert model.temperature_ > 0
    seen = []
    model.set_params(calibrate=None, callbacks=lambda estimator, epoch, logs: seen.append(hasattr(estimator, "temperature_")))
    assert_same_model(model.fit(X, LABELS), fitted(n_ensemble=2))
    assert not any(seen)


def test_a_fit_that_diverges_can_be_repeated():
    model = small(RealMLPRegressor, warm_start="resume", validation_fraction=0, learning_rate_init=1e30)
    with pytest.raises(ValueError, match="weighted sums"), warnings.catch_warnings(action="ignore"):
        model.fit(X, VALUES)
    assert not hasattr(model, "members_")
    model.set_params(learning_rate_init=0.01).fit(X, VALUES)
    assert model.n_iter_ == 6


def test_paused_training_needs_no_memory_after_its_end():
    model = fitted(warm_start="resume", hidden_layer_sizes=(64, 64))
    assert len(pickle.dumps(model)) == pytest.approx(len(pickle.dumps(fitted(hidden_layer_sizes=(64, 64)))), rel=0.01)
    assert len(pickle.dumps(paused_model(hidden_layer_sizes=(64, 64)))) > 3 * len(pickle.dumps(model))


# ---------------------------------------------------------------------- advice


def test_advice_after_divergence_names_only_parameters_of_the_estimator():
    with pytest.raises(ValueError, match="weighted sums") as error, warnings.catch_warnings(action="ignore"):
        fitted(RealMLPRegressor, validation_fraction=0, learning_rate_init=1e30)
    assert "Try a smaller learning_rate_init (now 1e+30)." in str(error.value)
    assert "clip_norm" not in str(error.value)
    assert "scale" not in str(error.value)
    with pytest.raises(ValueError, match="clip_norm"), warnings.catch_warnings(action="ignore"):
        MLPClassifier(learning_rate_init=1e300, random_state=0).fit(np.eye(3), [0, 1, 0])
