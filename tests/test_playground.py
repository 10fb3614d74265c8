"""The playground without a browser: settings, files, rows, sessions, views, threads, requests and the command.

``tests/browser`` tests the page itself.
"""

import base64
import contextlib
import http.client
import json
import re
import socket
import sys
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from playground_server import running_server, wait_until, worker_threads

import fastbp
from fastbp.playground import serve
from fastbp.playground._command import bound_socket, run_command
from fastbp.playground._points import make_dataset
from fastbp.playground._server import static_files
from fastbp.playground._session import Session, shown_estimator
from fastbp.playground._settings import RANGES, Settings, checked_settings, choices, options
from fastbp.playground._uploads import MAX_BYTES, UploadError, read_table, target_values
from fastbp.playground._views import data_message, frame_message, grid
from fastbp.playground._worker import Worker

SMALL = {"rows": 60, "layers": ((3, "tanh"),), "batch_size": 8, "epochs": 20, "speed": 0}


def settings_with(**values):
    return Settings(**{**SMALL, **values})


# ---------------------------------------------------------------------- settings


def test_defaults_are_valid():
    assert checked_settings(options()["defaults"]) == (Settings(), [])
    assert checked_settings({}) == (Settings(), [])


@pytest.mark.parametrize("name", RANGES)
def test_numbers_have_limits(name):
    limit = RANGES[name]
    low = limit.low if not limit.is_open else 1e-9
    for value in (low, limit.high, limit.example):
        settings, problems = checked_settings({name: value})
        assert (getattr(settings, name), problems) == (value, [])
    wrong = [limit.low - 1, limit.high + 1, "abc", "", None, True, float("nan"), float("inf"), 10**400, [1]]
    wrong += [limit.low + 0.5] * limit.is_integer + [limit.low] * limit.is_open
    for value in wrong:
        settings, ((field, message),) = checked_settings({name: value})
        assert getattr(settings, name) == getattr(Settings(), name)
        assert field == name
        assert message.startswith(f"{limit.label} must be ")
        assert repr(value)[:50] in message
        assert "Enter, for example" in message


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("data", "iris", "Data must be one of circles, xor, moons, spirals, regression, csv, got 'iris'"),
        ("solver", "lbfgs", "Solver must be one of sgd, adam"),
        ("target", 1, "Target must be one of auto, classes, numbers, got 1"),
        ("scale", "yes", "Scale must be on or off, got 'yes'"),
        ("speed", 3, "Speed must be one of 1, 5, 20, 100, 0, got 3"),
        ("layers", "4-tanh", "Layers must be a list"),
        ("layers", [{"units": 4, "activation": "tanh"}] * 6, "at most 5 hidden layers, got 6"),
        ("layers", [{"units": 17, "activation": "tanh"}], "Units of hidden layer 1 must be an integer from 1 to 16, got 17"),
        ("layers", [{"units": 4, "activation": "sin"}], "Activation of hidden layer 1 must be one of"),
        ("layers", [{}], "got None"),
        ("color", 1, "'color' is not a setting"),
    ],
)
def test_other_settings_are_checked(name, value, text):
    settings, ((_, message),) = checked_settings({name: value})
    assert text in message
    assert settings == Settings()


def test_all_problems_are_reported():
    settings, problems = checked_settings({"noise": 2, "alpha": -1, "rows": 50})
    assert [problem.field for problem in problems] == ["alpha", "noise"]
    assert settings == Settings(rows=50)
    assert checked_settings([1])[1][0].field == "settings"


def test_settings_that_do_not_change_numbers():
    assert Settings(epochs=9, speed=0).of_training == Settings().of_training
    assert Settings(seed=1).of_training != Settings().of_training


# ---------------------------------------------------------------------- files


def csv_text(rows=30, header="a,b,kind\n", delimiter=",", classes=2, decimal="."):
    lines = (delimiter.join([f"{row / 4:.2f}".replace(".", decimal), f"{-row}", f"c{row % classes}"]) for row in range(rows))
    return header + "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        csv_text(),
        "\ufeff" + csv_text(),
        csv_text().replace("\n", "\r\n\r\n"),
        csv_text(header="a;b;kind\n", delimiter=";"),
        csv_text(header="a;b;kind\n", delimiter=";", decimal=","),
        csv_text(header="a\tb\tkind\n", delimiter="\t"),
        csv_text(header='"a","b","kind"\n'),
    ],
)
def test_files_are_read(text):
    table = read_table(text)
    assert table.names == ("a", "b", "kind")
    assert_array_equal(table.X, np.column_stack([np.arange(30) / 4, -np.arange(30.0)]))
    y, labels = target_values(table, "auto")
    assert labels == ["c0", "c1"]
    assert_array_equal(y, np.arange(30) % 2)


def test_file_without_header():
    table = read_table(csv_text(header=""))
    assert table.names == ("x1", "x2", "target")
    assert len(table.X) == 30


def numbers_text(target):
    return "\n".join(f"{row},1,{target(row)}" for row in range(30))


def test_kind_of_target():
    assert target_values(read_table(numbers_text(lambda row: row)), "auto")[1] is None
    assert target_values(read_table(numbers_text(lambda row: 10 * (row % 3))), "auto")[1] == ["0", "10", "20"]
    y, labels = target_values(read_table(numbers_text(lambda row: row % 3)), "numbers")
    assert labels is None
    assert_array_equal(y, np.arange(30) % 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The file must have 20 to 5,000 rows of data, got 0. Add rows"),
        (csv_text(19), "got 19. Add rows"),
        (csv_text(5001), "got 5,001. Remove rows"),
        (csv_text().replace("0.50", "half"), "Row 4, column 'a' must be a finite number, got 'half'. Correct the value"),
        (csv_text().replace(",-7,", ",inf,"), "Row 9, column 'b' must be a finite number, got 'inf'"),
        (csv_text().replace(",-7,", ",,"), "Row 9, column 'b' must be a finite number, got ''"),
        (csv_text().replace(",-7,", ",1_0,"), "got '1_0'"),
        (csv_text().replace("-7,c1", "-7,"), "Row 9, column 'kind' must not be empty"),
        (csv_text().replace("-7,c1", "-7"), "Row 9 must have 3 columns (two inputs and the target), got 2. Keep exactly three"),
        (csv_text() + "x" * MAX_BYTES, "The file must have at most 1,000,000 bytes, got 1,000,"),
        ("PK\x00\x01", "must be text in the encoding UTF-8. Save it as 'CSV UTF-8'"),
        ("a,b,\ufffd", "must be text in the encoding UTF-8"),
        ('"' + "x" * 200_000, "Row 1 cannot be read as CSV"),
        (7, "The file must be text, got int"),
    ],
)
def test_files_that_cannot_be_used(text, message):
    with pytest.raises(UploadError) as error:
        read_table(text)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (csv_text(classes=7), "auto", "must contain 2 to 6 classes, got 7: 'c0', 'c1', 'c2', 'c3', .... Merge classes"),
        (csv_text(classes=1), "classes", "got 1: 'c0'"),
        (csv_text().replace("c1", "c0", 14), "auto", "must have at least 2 rows, got 1 for 'c1'"),
        (csv_text(), "numbers", "Row 2, column 'kind' must be a finite number for a regression, got 'c0'. Correct it"),
        (numbers_text(lambda row: 3), "numbers", "must contain different values, got only '3'"),
    ],
)
def test_targets_that_cannot_be_used(text, kind, message):
    with pytest.raises(UploadError) as error:
        target_values(read_table(text), kind)
    assert message in str(error.value)


# ---------------------------------------------------------------------- rows


def test_built_in_problems_without_noise():
    X, y = rows_of("circles")
    assert_allclose(np.hypot(*X.T), np.where(y == 0, 1, 0.5))
    X, y = rows_of("xor")
    assert_array_equal(y, X[:, 0] * X[:, 1] < 0)
    X, y = rows_of("moons")
    assert_allclose(np.hypot(X[:, 0] + 0.5 - y, X[:, 1] + 0.25 - y / 2), 1)
    X, y = rows_of("spirals")
    radius, angle = np.hypot(*X.T), np.arctan2(X[:, 1], X[:, 0])
    assert_allclose(np.cos(angle - np.pi * (3 * radius + y)), 1)
    X, y = rows_of("regression")
    assert_allclose(y, np.sin(np.pi * X[:, 0]) * (1 + X[:, 1]) / 2)


def rows_of(name):
    dataset = make_dataset(Settings(data=name, noise=0.0, rows=100))
    assert dataset.X.shape == (100, 2)
    return dataset.X, dataset.y


@pytest.mark.parametrize("name", sorted(set(choices()["data"]) - {"csv"}))
def test_noise_seed_and_test_share(name):
    first = make_dataset(Settings(data=name, rows=100, test_share=0.4))
    again, other = (make_dataset(Settings(data=name, rows=100, test_share=0.4, seed=seed)) for seed in (0, 1))
    assert_array_equal(first.X, again.X)
    assert_array_equal(first.is_test, again.is_test)
    assert not np.array_equal(first.X, other.X)
    assert first.is_test.sum() == 40
    more = make_dataset(Settings(data=name, rows=100, noise=0.5))
    assert not np.allclose(first.y if name == "regression" else first.X, more.y if name == "regression" else more.X)


def test_standardized_rows():
    dataset = make_dataset(Settings(data="csv", scale=True), read_table(numbers_text(lambda row: 50 + row * row)))
    X, y = dataset.part(test=False)
    assert_allclose([X[:, 0].mean(), X[:, 0].std(), y.mean(), y.std()], [0, 1, 0, 1], atol=1e-12)
    assert_array_equal(X[:, 1], 0)  # a constant column
    X, y = dataset.part(test=True)
    assert_allclose(y * dataset.y_spread + dataset.y_offset, dataset.y[dataset.is_test])


def test_small_classes_are_split_without_error():
    text = csv_text(20, classes=1).replace("c0", "rare", 2)
    dataset = make_dataset(Settings(data="csv", test_share=0.1), read_table(text))
    assert dataset.is_test.sum() == 2


def test_missing_file_is_an_error():
    with pytest.raises(UploadError, match="A CSV file must be chosen"):
        make_dataset(Settings(data="csv"))


# ---------------------------------------------------------------------- sessions


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "values",
    [{"data": "xor"}, {"data": "regression", "solver": "sgd", "alpha": 0.1}, {"layers": (), "scale": True}, {"batch_size": 5000}],
)
def test_epochs_give_the_numbers_of_fit(values):
    session = Session(settings_with(**values, epochs=5))
    for _ in range(5):
        session.train_epoch()
    names = {}
    exec(shown_estimator(session), names)  # the code needs no other names
    fitted = names["model"].fit(session.X, session.y)
    assert fitted.n_iter_ == session.epoch == 5
    for mine, other in zip(session.model.coefs_ + session.model.intercepts_, fitted.coefs_ + fitted.intercepts_, strict=True):
        assert_array_equal(mine, other)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_steps_give_the_numbers_of_epochs(dropout):
    epochs, steps, mixed, replayed = (Session(settings_with(dropout=dropout)) for _ in range(4))
    assert epochs.n_batches == 6  # 42 training rows, batches of 8
    for _ in range(3):
        epochs.train_epoch()
    for _ in range(18):
        steps.train_step()
    for _ in range(2):
        mixed.train_step()
    for _ in range(3):
        mixed.train_epoch()
    list(replayed.advance_to(3, 0))
    for session in (epochs, steps, mixed, replayed):
        assert (session.epoch, session.step) == (3, 0)
        assert session.record == epochs.record
        assert_array_equal(session.model.coefs_[0], epochs.model.coefs_[0])


def test_initial_network_is_not_trained():
    session = Session(settings_with())
    fitted = fastbp.MLPClassifier((3,), activation="tanh", random_state=0, learning_rate_init=1e-300)
    fitted.partial_fit(session.X, session.y, classes=[0, 1])
    assert_array_equal(session.model.coefs_[0], fitted.coefs_[0])
    assert session.n_steps == 0


def test_advance_to_a_step():
    session = Session(settings_with())
    list(session.advance_to(2, 3))
    assert (session.epoch, session.step) == (2, 3)
    session = Session(settings_with(epochs=4))
    list(session.advance_to(9, 3))
    assert (session.epoch, session.step, session.is_finished) == (4, 0, True)
    session.train_step()
    session.train_epoch()
    assert session.n_steps == 4 * session.n_batches


@pytest.mark.slow
def test_xor_is_learned():
    session = Session(Settings(data="xor", noise=0.0, layers=((6, "tanh"),), learning_rate=0.03, epochs=200))
    list(session.advance_to(200, 0))
    measures = session.measures()
    assert measures["train"]["score"] > 0.97
    assert measures["test"]["score"] > 0.95
    assert session.record.losses["train"][-1] == measures["train"]["loss"] < 0.2 * session.record.losses["train"][0]


def test_measures_are_those_of_the_predictions():
    session = Session(settings_with(data="regression"))
    session.train_epoch()
    errors = session.model.predict(session.X_test) - session.y_test
    assert_allclose(session.measures()["test"]["loss"], np.mean(errors**2) / 2)
    assert_allclose(session.measures()["test"]["score"], session.model.score(session.X_test, session.y_test))
    session = Session(settings_with())
    probabilities = session.model.predict_proba(session.X)[np.arange(len(session.y)), session.y]
    assert_allclose(session.measures()["train"]["loss"], -np.log(probabilities).mean())
    assert_allclose(session.measures()["train"]["score"], session.model.score(session.X, session.y))


def test_record_is_thinned(monkeypatch):
    monkeypatch.setattr("fastbp.playground._session._N_RECORDS", 8)
    session = Session(settings_with(epochs=40))
    list(session.advance_to(40, 0))
    record = session.record
    assert record.epochs == list(range(0, 41, 8))
    assert len(record.losses["train"]) == len(record.losses["test"]) == len(record.gradients) == 6
    assert record.losses["train"][-1] == session.measures()["train"]["loss"]


def diverged_session():
    session = Session(settings_with(data="regression", solver="sgd", learning_rate=100.0, layers=((4, "relu"),)))
    list(session.advance_to(20, 0))
    return session


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_divergence_ends_the_training():
    session = diverged_session()
    assert "Select a smaller learning rate (now 100)" in session.failure
    assert session.is_finished
    before = session.n_steps
    session.train_step()
    assert session.n_steps == before < 20 * session.n_batches


@pytest.mark.slow
@pytest.mark.parametrize("solver", choices()["solver"])
def test_every_solver_trains(solver):
    rate = {"adadelta": 10.0, "lion": 0.005}.get(solver, 0.05)
    session = Session(settings_with(solver=solver, learning_rate=rate, epochs=50))
    list(session.advance_to(50, 0))
    assert session.record.losses["train"][-1] < 0.95 * session.record.losses["train"][0]


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, len(choices()["activation"]), 5))
def test_every_activation_trains(first):
    layers = tuple((5, activation) for activation in choices()["activation"][first : first + 5])
    session = Session(settings_with(layers=layers, data="moons", epochs=50))
    list(session.advance_to(50, 0))
    assert session.record.losses["train"][-1] < 0.8 * session.record.losses["train"][0]
    json.dumps(frame_message(session, "paused", session.diagnosis()), allow_nan=False)


# ---------------------------------------------------------------------- views


def bytes_of(text):
    return np.frombuffer(base64.b64decode(text), np.uint8).astype(float)


def test_grid_covers_the_rows_from_the_top_left():
    dataset = make_dataset(Settings())
    centers = grid(dataset, 4)
    (left, right), (bottom, top) = dataset.limits
    assert_allclose(centers[0], [left + (right - left) / 8, top - (top - bottom) / 8])
    assert_allclose(centers[-1], [right - (right - left) / 8, bottom + (top - bottom) / 8])
    assert centers[1, 0] > centers[0, 0]
    assert left < dataset.X[:, 0].min() < dataset.X[:, 0].max() < right


@pytest.mark.parametrize("is_scaled", [False, True])
def test_surfaces_are_the_predictions(is_scaled):
    session = Session(settings_with(scale=is_scaled, layers=((3, "tanh"), (2, "relu"))))
    list(session.advance_to(3, 0))
    frame = frame_message(session, "paused", session.diagnosis())
    X = session.dataset.inputs(grid(session.dataset, 64))
    probabilities = session.model.predict_proba(X)
    assert_array_equal(bytes_of(frame["surface"]["classes"]), probabilities.argmax(axis=1))
    assert_allclose(bytes_of(frame["surface"]["confidence"]) / 255, np.abs(probabilities[:, 1] - probabilities[:, 0]), atol=0.002)
    X = session.dataset.inputs(grid(session.dataset, 32))
    for layer, n_units in ((1, 3), (2, 2)):
        activations, units = session.model.transform(X, layer=layer), frame["units"][layer - 1]
        assert len(units) == n_units
        for unit, values in zip(units, activations.T, strict=True):
            assert (unit["low"], unit["high"]) == (values.min(), values.max())
            largest = np.abs(values).max()
            assert_allclose((bytes_of(unit["cells"]) - 128) / 127 * largest, values, atol=largest / 200)


def test_surface_of_a_regression():
    session = Session(settings_with(data="regression", scale=True))
    list(session.advance_to(20, 0))
    surface = frame_message(session, "paused", session.diagnosis())["surface"]
    values = (
        session.model.predict(session.dataset.inputs(grid(session.dataset, 64))) * session.dataset.y_spread
        + session.dataset.y_offset
    )
    shown = surface["low"] + bytes_of(surface["values"]) / 255 * (surface["high"] - surface["low"])
    assert_allclose(shown, np.clip(values, surface["low"], surface["high"]), atol=0.01)


def test_frame_has_the_values_of_the_diagnosis():
    session = Session(settings_with(layers=((3, "relu"),)))
    assert frame_message(session, "paused", session.diagnosis())["advice"] == []  # nothing is known before the first step
    list(session.advance_to(4, 2))
    frame, diagnosis = frame_message(session, "running", session.diagnosis()), session.diagnosis()
    assert (frame["state"], frame["epoch"], frame["step"], frame["n_epochs"]) == ("running", 4, 2, 20)
    assert [layer["coef_grad_norm"] for layer in frame["layers"]] == [layer.coef_grad_norm for layer in diagnosis.layers]
    assert [advice["problem"] for advice in frame["advice"]] == [advice.problem for advice in diagnosis.advice]
    assert frame["history"]["epochs"] == [0, 1, 2, 3, 4]
    gradients = fastbp.inspection.trace(session.model, session.X, session.y).coef_grads
    list(session.advance_to(5, 0))
    assert_allclose(frame["layers"][0]["coef_grad_norm"], np.linalg.norm(gradients[0]))
    gradients = fastbp.inspection.trace(session.model, session.X, session.y).coef_grads
    assert_allclose(session.record.gradients[-1], [np.linalg.norm(gradient) for gradient in gradients])


@pytest.mark.slow
def test_advice_during_training_is_to_train_for_more_epochs():
    session = Session(Settings(data="moons", epochs=300))
    list(session.advance_to(60, 0))
    (advice,) = frame_message(session, "paused", session.diagnosis())["advice"]
    assert (advice["problem"], advice["parameter"]) == ("underfitting", "partial_fit")
    assert advice["remedy"] == "Train for more epochs (now 60); each call of partial_fit is one epoch."


@pytest.mark.slow
def test_advice_names_a_learning_rate_that_is_too_small():
    session = Session(settings_with(solver="sgd", learning_rate=1e-6, epochs=50))
    list(session.advance_to(50, 0))
    advice = frame_message(session, "finished", session.diagnosis())["advice"]
    assert "learning_rate_init" in [entry["parameter"] for entry in advice]
    assert all(entry["symptom"] and entry["evidence"] and entry["remedy"] for entry in advice)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_messages_are_json_also_after_divergence():
    session = diverged_session()
    frame = json.loads(json.dumps(frame_message(session, "diverged", session.diagnosis()), allow_nan=False))
    assert "Training has diverged" in frame["failure"]


def test_data_message_describes_the_rows():
    session = Session(settings_with(data="csv"), read_table(csv_text(classes=3)))
    message = json.loads(json.dumps(data_message(session), allow_nan=False))
    assert message["labels"] == ["c0", "c1", "c2"]
    assert message["names"] == ["a", "b", "kind"]
    assert (message["n_train"], message["n_test"]) == (21, 9)
    assert_array_equal(message["points"], session.dataset.X)
    assert_array_equal(message["is_test"], session.dataset.is_test)
    assert checked_settings(message["settings"]) == (session.settings, [])


# ---------------------------------------------------------------------- threads


class Receiver:
    """Stores the messages of a worker."""

    def __init__(self):
        self.messages, self.is_ready = [], True
        self.worker = Worker(lambda kind, message: self.messages.append(message), lambda: self.is_ready)

    def last(self, kind):
        return next((message for message in reversed(self.messages) if message["type"] == kind), None)

    def wait(self, condition):
        wait_until(lambda: (frame := self.last("frame")) is not None and condition(frame))
        return self.last("frame")


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.worker.close()
    receiver.worker.thread.join(60)
    assert not receiver.worker.thread.is_alive()


def test_worker_trains_to_the_end(receiver):
    receiver.worker.configure(settings_with())
    frame = receiver.wait(lambda frame: True)
    assert (frame["state"], frame["epoch"]) == ("paused", 0)
    receiver.worker.start()
    frame = receiver.wait(lambda frame: frame["state"] == "finished")
    assert (frame["epoch"], frame["history"]["epochs"]) == (20, list(range(21)))
    assert "max_iter=20" in receiver.last("data")["code"]
    receiver.worker.configure(settings_with(epochs=25))  # continues
    receiver.worker.start()
    assert receiver.wait(lambda frame: frame["state"] == "finished" and frame["n_epochs"] == 25)["epoch"] == 25
    assert "max_iter=25" in receiver.last("data")["code"]


def test_worker_pauses_and_advances(receiver):
    receiver.worker.configure(settings_with(epochs=10000))
    receiver.worker.start()
    receiver.wait(lambda frame: frame["epoch"] > 3)
    receiver.worker.pause()
    paused = receiver.wait(lambda frame: frame["state"] == "paused" and frame["epoch"] > 3)
    receiver.worker.advance("step")
    frame = receiver.wait(lambda frame: frame["step"] == 1)
    assert frame["epoch"] == paused["epoch"]
    receiver.worker.advance("epoch")
    frame = receiver.wait(lambda frame: frame["step"] == 0)
    assert (frame["epoch"], frame["state"]) == (paused["epoch"] + 1, "paused")


def test_changed_settings_restart_the_training(receiver):
    receiver.worker.configure(settings_with(), epoch=7, step=2)
    frame = receiver.wait(lambda frame: frame["state"] == "paused")
    assert (frame["epoch"], frame["step"]) == (7, 2)
    receiver.worker.configure(settings_with(speed=1))
    wait_until(lambda: receiver.last("data")["settings"]["speed"] == 1)
    assert receiver.wait(lambda frame: True)["epoch"] == 7
    receiver.worker.configure(settings_with(alpha=0.5))
    assert receiver.wait(lambda frame: frame["epoch"] == 0)["history"]["epochs"] == [0]
    assert receiver.last("data")["settings"]["alpha"] == 0.5


def test_training_up_to_a_position_is_paused_and_continued(receiver, monkeypatch):
    trained = slow_steps(monkeypatch, 0.01)
    receiver.worker.configure(settings_with(epochs=10000), epoch=9, step=2)
    frame = receiver.wait(lambda frame: frame["epoch"] > 1)
    assert (frame["state"], frame["target"]) == ("replaying", {"epoch": 9, "step": 2})
    receiver.worker.pause()
    frame = receiver.wait(lambda frame: frame["state"] == "paused")
    assert frame["target"] == {"epoch": 9, "step": 2}
    n_trained = len(trained)
    assert frame["epoch"] == n_trained < 9
    receiver.worker.configure(settings_with(epochs=10000, speed=1))  # does not change the numbers
    wait_until(lambda: receiver.last("data")["settings"]["speed"] == 1)
    time.sleep(0.05)
    assert len(trained) == n_trained
    receiver.worker.start()
    frame = receiver.wait(lambda frame: frame["state"] == "paused" and frame["target"] is None)
    assert (frame["epoch"], frame["step"]) == (9, 2)


def test_one_epoch_ends_the_training_up_to_a_position(receiver, monkeypatch):
    slow_steps(monkeypatch, 0.01)
    receiver.worker.configure(settings_with(epochs=10000), epoch=9000, step=2)
    receiver.wait(lambda frame: frame["epoch"] > 1)
    receiver.worker.advance("epoch")
    frame = receiver.wait(lambda frame: frame["target"] is None)
    assert (frame["state"], frame["step"]) == ("paused", 0)
    assert 2 < frame["epoch"] < 100


def slow_steps(monkeypatch, seconds=0.03):
    """Make each step slow, as with many rows; return the list of steps that were trained."""
    trained, train = [], Session._train

    def train_slowly(session, n_batches):
        time.sleep(seconds)
        trained.append(n_batches)
        train(session, n_batches)

    monkeypatch.setattr(Session, "_train", train_slowly)
    return trained


def test_start_is_shown_before_the_first_epoch(receiver):
    receiver.worker.configure(settings_with(epochs=10000))
    receiver.wait(lambda frame: True)
    receiver.worker.start()
    assert next_state(receiver, "running")["epoch"] == 0


def next_state(receiver, state):
    """The first frame with a state."""
    frames = (message for message in receiver.messages if message["type"] == "frame" and message["state"] == state)
    receiver.wait(lambda frame: frame["state"] == state)
    return next(frames)


@pytest.mark.slow
def test_slow_epoch_is_paused_and_continued(receiver, monkeypatch):
    trained = slow_steps(monkeypatch)
    receiver.worker.configure(settings_with(dropout=0.2, batch_size=1))  # 42 steps
    receiver.worker.start()
    wait_until(lambda: len(trained) >= 2)
    receiver.worker.pause()
    frame = receiver.wait(lambda frame: frame["state"] == "paused" and frame["step"] > 0)
    assert (frame["epoch"], frame["step"]) == (0, len(trained))
    assert len(trained) < 42
    receiver.worker.advance("epoch")
    assert receiver.wait(lambda frame: frame["epoch"] == 1)["step"] == 0
    assert len(trained) == 42


@pytest.mark.parametrize("epoch", [0, 3])
def test_slow_epoch_ends_with_the_page(receiver, monkeypatch, epoch):
    trained = slow_steps(monkeypatch)
    receiver.worker.configure(settings_with(dropout=0.2, batch_size=1), epoch=epoch)
    receiver.worker.start()
    wait_until(lambda: trained)
    receiver.worker.close()
    receiver.worker.thread.join(60)
    assert len(trained) < 42


@pytest.mark.slow
def test_advice_is_that_of_the_last_frame(receiver):
    receiver.worker.configure(settings_with(solver="sgd", learning_rate=1e-6, epochs=30))
    assert receiver.wait(lambda frame: True)["advice"] == []
    receiver.worker.start()
    frame = receiver.wait(lambda frame: frame["state"] == "finished")
    session = Session(settings_with(solver="sgd", learning_rate=1e-6, epochs=30))
    list(session.advance_to(30, 0))
    advice = session.diagnosis().advice
    assert [entry["problem"] for entry in frame["advice"]] == [entry.problem for entry in advice] != []
    assert [layer["update_ratio"] for layer in frame["layers"]] == [layer.update_ratio for layer in session.diagnosis().layers]


@pytest.mark.slow
def test_speed_limits_the_epochs_per_second(receiver):
    receiver.worker.configure(settings_with(epochs=10000, speed=100))
    receiver.worker.start()
    receiver.wait(lambda frame: frame["epoch"] >= 1)
    first, start = receiver.last("frame")["epoch"], time.monotonic()
    receiver.wait(lambda frame: frame["epoch"] >= first + 20)
    assert time.monotonic() - start > 0.1  # without a limit, 20 epochs take a few milliseconds


def test_page_that_is_not_ready_receives_no_frames(receiver):
    receiver.worker.configure(settings_with(epochs=10000))
    receiver.wait(lambda frame: True)
    receiver.is_ready, before = False, len(receiver.messages)
    receiver.worker.start()
    time.sleep(0.15)
    receiver.worker.pause()
    assert len(receiver.messages) == before
    receiver.is_ready = True
    receiver.worker.wake()
    assert receiver.wait(lambda frame: frame["epoch"] > 0)["state"] == "paused"


def test_file_with_an_invalid_target_keeps_the_training(receiver):
    receiver.worker.configure(settings_with(), epoch=3)
    receiver.wait(lambda frame: frame["epoch"] == 3)
    receiver.worker.configure(settings_with(data="csv", target="numbers"), read_table(csv_text()))
    wait_until(lambda: receiver.last("problem") is not None)
    (problem,) = receiver.last("problem")["problems"]
    assert problem["field"] == "csv"
    receiver.worker.advance("epoch")
    assert receiver.wait(lambda frame: frame["epoch"] == 4)


def test_unexpected_error_is_reported(receiver, monkeypatch, caplog):
    monkeypatch.setattr("fastbp.playground._worker.Session", lambda *arguments: 1 / 0)
    receiver.worker.configure(settings_with())
    wait_until(lambda: receiver.last("problem") is not None)
    assert "division by zero" in receiver.last("problem")["problems"][0]["message"]
    assert "ZeroDivisionError" in caplog.text


# ---------------------------------------------------------------------- requests


@pytest.fixture(scope="module")
def port():
    with running_server() as port:
        yield port


def get(port, path, headers=(), method="GET"):
    """Return the status, the headers and the text of a response; without a Host header in headers, that of the server is sent."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = list(dict(headers).items()) if isinstance(headers, dict) else list(headers)
    with contextlib.closing(connection):
        connection.putrequest(method, path, skip_host=any(name == "host" for name, _ in headers))
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read().decode()


def test_page_and_its_files_are_served(port):
    status, headers, page = get(port, "/")
    assert status == 200
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    for name, kind in (("main.js", "text/javascript"), ("style.css", "text/css"), ("icon.svg", "image/svg+xml")):
        assert get(port, f"/{name}")[1]["content-type"] == f"{kind}; charset=utf-8"
        assert f'"{name}"' in page
    for path in ("/../_server.py", "/index.htm", "/%2e%2e/_server.py", "/session"):
        assert get(port, path)[0] == 404
    assert get(port, "/", method="POST")[0] == 405


def test_page_uses_only_its_own_files(port):
    for path, content, _ in static_files():
        text = content.decode().replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text
        assert "https:" not in text
        for name in re.findall(r'(?:from|src=|href=)\s*"\.?/?([a-z]+\.[a-z]+)"', text):
            assert get(port, f"/{name}")[0] == 200, f"{path} uses {name}"


def own_headers(port, **changed):
    """The headers that the page sends, as a dict; None leaves a header out."""
    headers = {"host": f"127.0.0.1:{port}", "origin": f"http://127.0.0.1:{port}"} | changed
    return {name: value.replace("PORT", str(port)) for name, value in headers.items() if value is not None}


def status_of_upgrade(port, headers):
    """The status of the response to a request for a WebSocket; 101 if it is opened."""
    upgrade = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "A" * 22 + "=="}
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers | upgrade).items())
        connection.sendall(f"GET /session HTTP/1.1\r\n{lines}\r\n".encode())
        return int(connection.recv(12).split()[1])


FOREIGN_HOSTS = ["example.com", "example.com:PORT", "127.0.0.1", "127.0.0.1:80", "127.0.0.1.example.com:PORT", "0.0.0.0:PORT", ""]


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_foreign_host_is_refused(port, host):
    headers = own_headers(port, host=host, origin=None)
    for path in ("/", "/main.js", "/nothing"):
        status, answer, text = get(port, path, headers)
        assert status == 403
        assert f"127.0.0.1:{port}" in text
        assert answer["x-frame-options"] == "DENY"
    assert status_of_upgrade(port, own_headers(port, host=host)) == 403


FOREIGN_ORIGINS = [
    "http://example.com",
    "https://127.0.0.1:PORT",
    "http://127.0.0.1:1",
    "null",
    "http://127.0.0.1:PORT.example.com",
    "",
]


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_foreign_origin_is_refused(port, origin):
    headers = own_headers(port, origin=origin)
    assert get(port, "/", headers)[0] == 403
    assert get(port, "/", headers, method="POST")[0] == 403
    assert status_of_upgrade(port, headers) == 403


@pytest.mark.parametrize("host", ["127.0.0.1:PORT", "localhost:PORT", "LOCALHOST:PORT"])
def test_headers_of_the_page_are_accepted(port, host):
    headers = own_headers(port, host=host, origin=f"http://{host}")
    assert get(port, "/", headers)[0] == get(port, "/", headers | {"origin": headers["origin"]})[0] == 200
    assert status_of_upgrade(port, headers) == 101


def test_headers_that_are_missing_or_repeated(port):
    assert status_of_upgrade(port, own_headers(port, origin=None)) == 403  # browsers always send it
    assert get(port, "/", own_headers(port, origin=None))[0] == 200
    host, origin = own_headers(port).items()
    assert get(port, "/", [host, origin, ("origin", "http://example.com")])[0] == 403
    assert get(port, "/", [host, ("host", "example.com")])[0] in (400, 403)  # the HTTP parser can refuse it, too


class OpenPage:
    """A WebSocket as the page opens it."""

    def __init__(self, socket):
        self.socket = socket

    def send(self, kind, **fields):
        self.socket.send(json.dumps({"type": kind, **fields}))

    def configure(self, settings, **fields):
        self.send("configure", settings=settings.as_dict(), **fields)

    def receive(self, kind, condition=lambda message: True):
        """Return the next message of a kind that meets the condition; confirm all frames before it."""
        while True:
            message = json.loads(self.socket.recv(timeout=60))
            if message["type"] == "frame":
                self.send("drawn")
            if message["type"] == kind and condition(message):
                return message


@contextlib.contextmanager
def open_page(port):
    from websockets.sync.client import connect

    with connect(f"ws://127.0.0.1:{port}/session", origin=f"http://127.0.0.1:{port}", compression=None) as socket:
        yield OpenPage(socket)


def test_page_trains(port):
    with open_page(port) as page:
        assert page.receive("options")["defaults"] == Settings().as_dict()
        page.configure(settings_with())
        assert page.receive("data")["n_train"] == 42
        page.send("epoch")
        assert page.receive("frame", lambda frame: frame["epoch"] == 1)["state"] == "paused"
        page.send("step")
        page.receive("frame", lambda frame: frame["step"] == 1)
        page.send("start")
        assert page.receive("frame", lambda frame: frame["state"] == "finished")["epoch"] == 20
        page.send("restart", settings=settings_with().as_dict())
        assert page.receive("frame", lambda frame: frame["epoch"] == 0)["state"] == "paused"
        page.send("start")
        page.send("pause")
        page.receive("frame", lambda frame: frame["state"] == "paused")


def test_two_pages_are_independent(port):
    with open_page(port) as one, open_page(port) as two:
        one.configure(settings_with(), epoch=5)
        two.configure(settings_with(data="regression"), epoch=2)
        assert "values" in two.receive("frame", lambda frame: frame["epoch"] == 2)["surface"]
        assert "classes" in one.receive("frame", lambda frame: frame["epoch"] == 5)["surface"]


def test_closing_a_page_ends_its_thread(port):
    wait_until(lambda: not worker_threads())
    with open_page(port) as page:
        page.configure(settings_with(epochs=10000))
        page.send("start")
        page.receive("frame", lambda frame: frame["epoch"] > 0)
        assert len(worker_threads()) == 1
    wait_until(lambda: not worker_threads())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "A message must be JSON, got '{'"),
        ("[" * 100_000, "A message must be JSON"),
        ("[1]", "The type of a message must be one of configure, restart"),
        ('{"type": "delete"}', "got 'delete'"),
        ('{"type": ["step"]}', "got \"['step']\""),
        ('{"type": "configure", "csv": "a,b"}', "Row 1 must have 3 columns"),
    ],
)
def test_invalid_messages_are_answered(port, text, problem):
    with open_page(port) as page:
        page.socket.send(text)
        assert problem in page.receive("problem")["problems"][0]["message"]
        page.configure(settings_with())
        page.receive("frame")


def test_binary_message_ends_the_connection(port):
    from websockets.exceptions import ConnectionClosed

    with open_page(port) as page:
        page.socket.send(b"start")
        with pytest.raises(ConnectionClosed):
            page.receive("frame")
    wait_until(lambda: not worker_threads())


def test_invalid_settings_keep_the_training(port):
    with open_page(port) as page:
        page.configure(settings_with(), epoch=3)
        page.receive("frame", lambda frame: frame["epoch"] == 3)
        page.send("configure", settings=settings_with().as_dict() | {"noise": "much"})
        (problem,) = page.receive("problem")["problems"]
        assert problem["field"] == "noise"
        assert "got 'much'" in problem["message"]
        page.send("epoch")
        page.receive("frame", lambda frame: frame["epoch"] == 4)


def test_invalid_settings_of_an_address_are_replaced(port):
    with open_page(port) as page:
        page.send("configure", settings=settings_with().as_dict() | {"learning_rate": 0})
        message = page.receive("data")
        assert message["settings"] == settings_with().as_dict()
        assert "Learning rate must be a number greater than 0" in message["problems"][0]["message"]


@pytest.mark.parametrize("value", [-1, "x", True, 10**7, 1.5, None])
def test_invalid_position_of_an_address_is_replaced(port, value):
    with open_page(port) as page:
        page.configure(settings_with(), epoch=value, step=value)
        epoch, step = page.receive("data")["problems"]
        assert f"The epoch in the address must be an integer from 0 to 1,000,000, got '{value}'" in epoch["message"]
        assert "The step in the address must be" in step["message"]
        assert page.receive("frame")["epoch"] == 0


def test_file_is_used_and_kept(port):
    with open_page(port) as page:
        page.configure(settings_with(data="csv"))
        assert "A CSV file must be chosen" in page.receive("problem")["problems"][0]["message"]
        page.configure(settings_with(data="csv"), csv=csv_text())
        assert page.receive("data")["names"] == ["a", "b", "kind"]
        page.configure(settings_with(data="csv", alpha=0.5))
        assert page.receive("data")["settings"]["alpha"] == 0.5


def test_rejected_file_keeps_the_last_file(port):
    with open_page(port) as page:
        page.configure(settings_with(data="csv"), csv=csv_text())
        assert page.receive("data")["names"] == ["a", "b", "kind"]
        page.configure(settings_with(data="csv"), csv=csv_text(classes=1, header="c,d,kind\n"))
        assert "got 1: 'c0'" in page.receive("problem")["problems"][0]["message"]
        page.configure(settings_with(data="csv", alpha=0.5))
        assert page.receive("data")["names"] == ["a", "b", "kind"]


def test_answers_name_the_file(port):
    """The page can choose another file before the answer arrives."""
    with open_page(port) as page:
        page.configure(settings_with(data="csv"), csv=csv_text(), file=3)
        assert page.receive("data")["file"] == 3
        page.configure(settings_with(data="csv"), csv=csv_text(classes=1), file=4)
        assert page.receive("problem")["file"] == 4
        page.configure(settings_with(data="csv"), csv="a,b", file=5)
        assert page.receive("problem")["file"] == 5
        page.configure(settings_with(data="csv", alpha=0.5))
        assert page.receive("data")["file"] == 3
        page.configure(settings_with())
        assert page.receive("data")["file"] is None
        page.configure(settings_with(data="csv"), csv=csv_text(), file="3")
        assert page.receive("data")["file"] is None


def test_unconfirmed_frames_are_bounded(port):
    """A page that draws nothing receives two frames, however long it trains."""
    with open_page(port) as page:
        page.configure(settings_with(epochs=10000))
        page.send("start")
        kinds = []
        while kinds.count("frame") < 2:
            kinds.append(json.loads(page.socket.recv(timeout=60))["type"])
        time.sleep(0.2)
        page.send("delete")  # answered after all frames that were sent
        while "problem" not in kinds:
            kinds.append(json.loads(page.socket.recv(timeout=60))["type"])
        assert kinds.count("frame") == 2
        page.send("drawn")
        assert page.receive("frame")["epoch"] > 0


def test_number_of_pages_is_limited(port, monkeypatch):
    wait_until(lambda: not worker_threads())
    monkeypatch.setattr("fastbp.playground._server._MAX_PAGES", 1)
    with open_page(port) as one:
        one.receive("options")
        with open_page(port) as two:
            assert "At most 1 pages" in two.receive("problem")["problems"][0]["message"]

    def is_page_accepted():
        # the server counts the closed page for a short time after its thread has ended
        with open_page(port) as three:
            return json.loads(three.socket.recv(timeout=60))["type"] == "options"

    wait_until(is_page_accepted)


# ---------------------------------------------------------------------- the command


def test_port_that_is_in_use():
    with bound_socket(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        port = listener.getsockname()[1]
        with pytest.raises(SystemExit) as error:
            run_command(["--no-browser", "--port", str(port)])
    assert f"port {port} on 127.0.0.1 is in use" in str(error.value)
    assert "--port 0" in str(error.value)


@pytest.mark.parametrize("port", [-1, 65536, "80", 1.5, True])
def test_invalid_port(port):
    with pytest.raises(ValueError, match="port must be an integer from 0 to 65535, got"):
        serve(port)


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "websockets"])
def test_missing_extra_is_named(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError) as error:
        serve(0, open_browser=False)
    assert 'pip install "fastbp[playground]"' in str(error.value)
    assert missing in str(error.value)
    with pytest.raises(SystemExit, match="pip install"):
        run_command(["--port", "0", "--no-browser"])


def test_server_opens_the_browser_and_stops(monkeypatch, capsys):
    opened, served = [], []
    monkeypatch.setattr("webbrowser.open", opened.append)

    class Server:
        def __init__(self, port):
            self.port = port

        def run(self, sockets):
            with socket.create_connection(("127.0.0.1", self.port)):
                served.append(sockets[0].getsockname())
            wait_until(lambda: opened)
            raise KeyboardInterrupt

    monkeypatch.setattr("fastbp.playground._command.server_factory", lambda: Server)
    run_command(["--port", "0"])
    url = f"http://127.0.0.1:{served[0][1]}/"
    assert opened == [url]
    assert url in capsys.readouterr().out
