"""The parameter ``verbose``: the lines of scikit-learn, and the progress bar.

The tests of the bar replace stderr by a ``Terminal``, which interprets the control sequences and has the text of the screen. The
text that ``verbose=True`` prints during ``fit`` is compared with scikit-learn's in ``test_drop_in.py``.
"""

import builtins
import io
import os
import re
import subprocess
import sys
import textwrap
import threading
import time
import types
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest
import sklearn.neural_network
from numpy.testing import assert_array_equal
from rich.console import Console
from rich.progress import Progress
from sklearn.callback import ProgressBar
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils._param_validation import InvalidParameterError

from fastbp import MLPClassifier, MLPRegressor
from fastbp._training import progress, progress_display
from fastbp._training.epochs import EpochRunner
from fastbp._training.progress import Standing

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.RandomState(0)
X = RANDOM.normal(size=(60, 4))
Y = {MLPClassifier: 1 * (X[:, 0] * X[:, 1] > 0), MLPRegressor: X[:, 0] - 2 * X[:, 1] ** 2}
SMALL = {"hidden_layer_sizes": (5,), "batch_size": 10, "learning_rate_init": 0.01, "max_iter": 8, "tol": 0.0, "random_state": 0}
PARAMS = {
    "adam": {},
    "validated": {"early_stopping": True, "validation_fraction": 0.3},
    "callback": {"callbacks": lambda estimator, epoch, logs: False},
    "schedule": {"learning_rate": lambda epoch, p: 1 - p / 2},
    "two threads": {"n_threads": 2},
    "limited": {"max_time": 100},
    "lbfgs": {"solver": "lbfgs"},
}
each_kind = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
each_params = pytest.mark.parametrize("params", PARAMS.values(), ids=PARAMS)


def fit(kind=MLPClassifier, **params):
    return kind(**SMALL | params).fit(X, Y[kind])


class Terminal(io.StringIO):
    """A stream that claims to be a terminal, and whose ``screen`` is the text that a terminal would show."""

    encoding = "utf-8"

    def isatty(self):
        return True

    @property
    def screen(self):
        """The lines on the screen, without empty ones."""
        lines, row, column = [""], 0, 0
        for text in re.split(r"(\x1b\[\??\d*(?:;\d+)*[a-zA-Z]|[\r\n])", self.getvalue()):
            control = re.fullmatch(r"\x1b\[(\d*)([A-Z])", text)
            if text == "\r":
                column = 0
            elif text == "\n":
                row, column = row + 1, 0
                lines += [""] * (row >= len(lines))
            elif control and control[2] == "A":
                row -= int(control[1] or 1)
            elif control and control[2] == "K":
                lines[row] = ""
            elif not text.startswith("\x1b"):
                lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
                column += len(text)
        return [line.rstrip() for line in lines if line.strip()]

    @property
    def shows_cursor(self):
        """Whether the cursor is visible."""
        return self.getvalue().rfind("\x1b[?25l") <= self.getvalue().rfind("\x1b[?25h")


@pytest.fixture
def clean_environment(monkeypatch):
    """The variables that rich reads have their usual values."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "110")
    monkeypatch.setenv("LINES", "30")


@pytest.fixture
def terminal(request, monkeypatch, clean_environment):
    """stderr is a terminal during the test, and the bar is drawn after every kernel call."""
    stream, test = Terminal(), request.node.obj

    def run_test(**arguments):  # pytest replaces stderr after it has set up the fixtures
        with redirect_stderr(stream):
            test(**arguments)
            assert sys.stderr is stream

    request.node.obj = run_test
    monkeypatch.setattr(progress, "_UPDATE_SECONDS", 0.0)
    yield stream
    assert stream.shows_cursor
    assert progress_display._on_screen.acquire(blocking=False)
    progress_display._on_screen.release()


# ====================================================================== the lines of scikit-learn


def printed_by(function):
    with redirect_stdout(io.StringIO()) as out:
        function()
    return out.getvalue()


PAIRS = [(sklearn.neural_network.MLPClassifier, MLPClassifier), (sklearn.neural_network.MLPRegressor, MLPRegressor)]


@pytest.mark.parametrize("pair", PAIRS, ids=["classifier", "regressor"])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"solver": "sgd", "learning_rate": "adaptive"},
        {"solver": "sgd", "learning_rate_init": 1e-6, "learning_rate": "adaptive"},
    ],
    ids=["adam", "adaptive", "too small"],
)
def test_partial_fit_prints_the_lines_of_scikit_learn(pair, params):
    def train(kind):
        model = kind(**SMALL | {"n_iter_no_change": 2, "tol": 1.0, "verbose": True} | params)
        classes = {"classes": [0, 1]} if hasattr(model, "predict_proba") else {}
        for _ in range(8):
            model.partial_fit(X, Y[pair[1]], **classes)

    theirs, ours = (printed_by(lambda kind=kind: train(kind)) for kind in pair)
    assert ours == theirs
    assert "did not improve" in theirs


@pytest.mark.parametrize("verbose", [True, 1, 2, np.int64(3), np.True_, False, 0, np.False_], ids=repr)
@pytest.mark.parametrize("pair", PAIRS, ids=["classifier", "regressor"])
def test_all_values_of_scikit_learn(pair, verbose):
    theirs, ours = (printed_by(lambda kind=kind: kind(**SMALL, verbose=verbose).fit(X, Y[pair[1]])) for kind in pair)
    assert ours == theirs
    assert ("Iteration 8, loss = " in ours) == bool(verbose)


def test_two_fits_with_warm_start_print_the_lines_of_scikit_learn():
    def train(kind):
        model = kind(**SMALL, verbose=True, warm_start=True)
        model.fit(X, Y[MLPClassifier]).fit(X, Y[MLPClassifier])

    theirs, ours = (printed_by(lambda kind=kind: train(kind)) for kind in PAIRS[0])
    assert ours == theirs


def test_lbfgs_prints_the_loss_of_each_iteration():
    losses = []
    params = {"solver": "lbfgs", "callbacks": lambda estimator, epoch, logs: losses.append(estimator.loss_)}
    text = printed_by(lambda: fit(verbose=True, **params))
    assert text.splitlines() == [f"Iteration {n + 1}, loss = {loss:.8f}" for n, loss in enumerate(losses)]
    assert len(losses) == 8


@each_kind
@pytest.mark.parametrize("verbose", ["loud", "", -1, 1.5, None, ["bar"]], ids=repr)
def test_other_values_are_rejected(kind, verbose):
    model = fit(kind)
    with pytest.raises(InvalidParameterError, match=rf"The 'verbose' parameter of {kind.__name__} must be .*'bar'.* Got "):
        model.set_params(verbose=verbose).fit(X, Y[kind])
    assert model.n_iter_ == 8


# ====================================================================== the bar in a terminal


@each_kind
@each_params
def test_bar_does_not_change_results(kind, params, terminal):
    with_bar, without = fit(kind, verbose="bar", **params), fit(kind, **params)
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(with_bar, name), getattr(without, name), strict=True):
            assert_array_equal(a, b)
    for name in ("n_iter_", "loss_", "t_"):
        assert getattr(with_bar, name) == getattr(without, name)
    assert getattr(with_bar, "history_", None) == getattr(without, "history_", None)
    assert len(terminal.screen) == 1


@each_params
def test_values_of_the_last_line(params, terminal):
    model = fit(verbose="bar", **params)
    (line,) = terminal.screen
    unit = "Iteration" if "solver" in params else "Epoch"
    assert re.match(rf"{unit} {model.n_iter_}/8 [━╸╺]+ \w+ after 0:0\d  loss ", line)
    assert re.search(r"loss (\S+)", line)[1] == f"{model.loss_:.4g}"
    if unit == "Epoch":
        assert re.search(r"lr (\S+)", line)[1] == f"{model.history_['learning_rate'][-1]:.4g}"
    scores = re.findall(r"score (\S+)", line)
    assert scores == ([f"{model.validation_scores_[-1]:.4g}"] if "early_stopping" in params else [])
    assert re.search(r"\d[kMG]? rows/s$", line)
    assert "━" in line


def test_line_during_training(terminal):
    lines = []
    fit(verbose="bar", callbacks=lambda estimator, epoch, logs: lines.append((epoch, logs, terminal.screen)))
    for epoch, _, before in lines:
        if epoch > 1:  # the callback of an epoch runs before the bar shows the epoch
            assert before[0].startswith(f"Epoch {epoch - 1}/8 ")
            assert f"loss {lines[epoch - 2][1]['loss']:.4g} " in before[0]
    assert re.search(r" (0:0\d|-:--) left  loss", lines[-1][2][0])
    assert lines[0][2] == ["Epoch 0/8 " + lines[0][2][0].split()[-1]]


def end_by(error):
    def callback(estimator, epoch, logs):
        if epoch == 3:
            raise error
        return False

    return callback


# (outcome, parameters, number of epochs or iterations on the bar, error)
ENDS = [
    ("finished", {}, 8, None),
    ("converged", {"tol": 1e9, "n_iter_no_change": 2}, 4, None),
    ("stopped early", {"tol": 1e9, "n_iter_no_change": 2, "early_stopping": True, "validation_fraction": 0.3}, 4, None),
    ("interrupted", {"callbacks": end_by(KeyboardInterrupt())}, 3, None),
    ("stopped by a callback", {"callbacks": lambda estimator, epoch, logs: epoch == 5}, 5, None),
    ("out of time", {"callbacks": lambda estimator, epoch, logs: time.sleep(0.02), "max_time": 0.01}, 1, None),
    ("failed", {"callbacks": end_by(ZeroDivisionError())}, 3, ZeroDivisionError),
    ("diverged", {"solver": "sgd", "learning_rate_init": 1e200}, 0, ValueError),
    ("diverged", {"solver": "sgd", "learning_rate_init": 10.0, "hidden_layer_sizes": ()}, 8, None),
    ("finished", {"solver": "lbfgs"}, 8, None),
    ("converged", {"solver": "lbfgs", "tol": 0.1, "max_iter": 100}, None, None),
    ("interrupted", {"solver": "lbfgs", "callbacks": end_by(KeyboardInterrupt())}, 3, None),
    ("stopped by a callback", {"solver": "lbfgs", "callbacks": lambda estimator, epoch, logs: epoch == 5}, 5, None),
    ("failed", {"solver": "lbfgs", "callbacks": end_by(ZeroDivisionError())}, 3, ZeroDivisionError),
]


@pytest.mark.parametrize(
    ("outcome", "params", "n_epochs", "error"), ENDS, ids=[f"{end[0]}, {end[1].get('solver', 'adam')}" for end in ENDS]
)
@pytest.mark.filterwarnings("ignore:Training interrupted", "ignore:.*Training diverged")
def test_bar_ends_cleanly(outcome, params, n_epochs, error, terminal):
    """The fixture also checks the cursor, stderr, and that the next bar can be shown."""
    model = MLPRegressor(**SMALL | params, verbose="bar")
    if error is None:
        model.fit(X, Y[MLPRegressor])
        assert n_epochs in (None, model.n_iter_)
    else:
        with pytest.raises(error):
            model.fit(X, Y[MLPRegressor])
    (line,) = terminal.screen
    unit = "Iteration" if model.solver == "lbfgs" else "Epoch"
    done = model.n_iter_ if n_epochs is None else n_epochs
    assert re.match(rf"{unit} +{done}/{model.max_iter} .* {outcome} after 0:00", line)
    fit(verbose="bar")
    assert len(terminal.screen) == 2


def test_resumed_fit_counts_its_own_epochs(terminal):
    model = fit(verbose="bar", warm_start="resume")
    model.fit(X, Y[MLPClassifier])
    assert [line.split()[1] for line in terminal.screen] == ["8/8", "8/8"]
    assert len(model.loss_curve_) == 16


def test_part_of_an_epoch(terminal, monkeypatch):
    """The bar moves during a long epoch, which consists of several kernel calls."""
    monkeypatch.setattr("fastbp._network.turns._FIRST_CALL_WORK", 0.0)
    monkeypatch.setattr("fastbp._network.turns._CALL_SECONDS", 0.0)
    seen, show = [], progress.ProgressBar.show
    monkeypatch.setattr(progress.ProgressBar, "show", lambda bar: (seen.append(bar._standing()), show(bar)))
    fit(verbose="bar", max_iter=2)
    assert [(standing.done, standing.n_rows) for standing in seen[:3]] == [(n / 6, 10 * n) for n in (1, 2, 3)]
    assert seen[0].loss is None
    assert terminal.screen[0].startswith("Epoch 2/2 ")


def test_bar_does_not_cause_more_kernel_calls(terminal, monkeypatch):
    calls, run_kernel = [], EpochRunner.run_kernel
    monkeypatch.setattr(EpochRunner, "run_kernel", lambda *arguments: (calls.append(1), run_kernel(*arguments))[1])
    fit(verbose="bar", max_iter=100)
    assert len(calls) < 50


def test_updates_are_limited(terminal, monkeypatch):
    clock = iter(np.arange(0, 1000, 0.01))
    monkeypatch.setattr(progress, "time", types.SimpleNamespace(monotonic=lambda: float(next(clock))))
    monkeypatch.setattr(progress, "_UPDATE_SECONDS", 0.15)
    fit(verbose="bar", max_iter=100, callbacks=lambda estimator, epoch, logs: None)
    n_drawn = terminal.getvalue().count("left")
    assert 3 < n_drawn < 12  # the clock advances by about 1.2 seconds


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 200])
def test_bar_takes_one_line_of_any_width(columns, terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    fit(verbose="bar", early_stopping=True, validation_fraction=0.3)
    (line,) = terminal.screen
    assert len(line) <= columns
    assert ("rows/s" in line) == (columns == 200)
    assert line.startswith("Epoch 8/8 ")
    assert "…" not in line or columns < 40  # values without space are left out as a whole


def test_all_values_are_shown_in_80_columns():
    bar, sample = 4, Standing(142.5, 10**6, 0.0123456, 0.97333, 0.001)
    facts = "  ".join(["0:03 left", *progress_display.facts_of(sample, 20, 1)])
    assert facts == "0:03 left  loss 0.01235  score 0.9733  lr 0.001  140k rows/s"
    assert len(f"Epoch 143/200 {'━' * bar} {facts}") <= 80


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_terminal_without_control_sequences(term, terminal, monkeypatch):
    monkeypatch.setenv("TERM", term)
    fit(verbose="bar")
    assert terminal.getvalue() == ""


def test_ascii_terminal(terminal):
    terminal.encoding = "ascii"
    fit(verbose="bar")
    assert terminal.getvalue().isascii()
    assert terminal.screen[0].startswith("Epoch 8/8 --")


# ---------------------------------------------------------------------- other output, and errors


def printing(estimator, epoch, logs):
    print(f"epoch [b]{epoch}[/b]")


def test_text_of_callbacks_is_above_the_bar(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stdout", terminal)
    fit(verbose="bar", callbacks=printing)
    assert terminal.screen[:-1] == [f"epoch [b]{epoch}[/b]" for epoch in range(1, 9)]
    assert terminal.screen[-1].startswith("Epoch 8/8 ")
    assert sys.stdout is terminal


def test_stdout_that_is_a_file_is_not_redirected(terminal):
    text = printed_by(lambda: fit(verbose="bar", callbacks=printing))
    assert text == "".join(f"epoch [b]{epoch}[/b]\n" for epoch in range(1, 9))
    assert len(terminal.screen) == 1


@pytest.mark.parametrize("at", [1, 3, 6, 9])
def test_error_of_the_terminal_does_not_end_training(at, terminal, monkeypatch):
    calls = iter(range(1, 1000))

    def write(text):
        if next(calls) >= at:
            raise OSError("Input/output error")
        return io.StringIO.write(terminal, text)

    monkeypatch.setattr(terminal, "write", write)
    model = fit(verbose="bar", callbacks=lambda estimator, epoch, logs: None)
    assert next(calls) > at
    assert model.loss_curve_ == fit().loss_curve_
    terminal.write = lambda text: io.StringIO.write(terminal, text)
    terminal.write("\x1b[?25h")  # what the terminal did not receive


@pytest.mark.parametrize("stream", [io.StringIO(), None], ids=["file", "none"])
def test_no_output_if_stderr_is_not_a_terminal(stream, clean_environment, monkeypatch, capfd):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys, "stderr", stream)
    fit(verbose="bar")
    fit(verbose="bar", solver="lbfgs")
    assert capfd.readouterr() == ("", "")
    assert stream is None or stream.getvalue() == ""


def test_no_output_if_stderr_is_closed(clean_environment, monkeypatch):
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    fit(verbose="bar")


def test_partial_fit_shows_no_bar(terminal, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich", None)
    model = MLPClassifier(**SMALL, verbose="bar")
    for _ in range(3):
        model.partial_fit(X, Y[MLPClassifier], classes=[0, 1])
    assert terminal.getvalue() == ""
    assert model._kept_run is not None  # the preparation of the first call is used again


def test_error_without_rich(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich", None)
    called, model = [], fit()
    with pytest.raises(ImportError, match=r"verbose='bar' needs rich.*fastbp\[progress\].*verbose=True"):
        model.set_params(verbose="bar", callbacks=lambda *arguments: called.append(1)).fit(X, Y[MLPClassifier])
    assert not called
    assert model.predict(X).shape == (60,)


# ---------------------------------------------------------------------- several fits


def test_bars_in_a_cross_validation_are_removed(terminal):
    scores = cross_val_score(MLPClassifier(**SMALL, verbose="bar"), X, Y[MLPClassifier], cv=3)
    assert terminal.screen == []
    assert terminal.getvalue().count("finished after") == 3
    assert_array_equal(scores, cross_val_score(MLPClassifier(**SMALL), X, Y[MLPClassifier], cv=3))


def test_only_the_final_bar_of_a_parameter_search_remains(terminal):
    GridSearchCV(MLPClassifier(**SMALL, verbose="bar"), {"alpha": [0.1, 1]}, cv=2).fit(X, Y[MLPClassifier])
    assert terminal.getvalue().count("finished after") == 5
    assert len(terminal.screen) == 1
    assert terminal.screen[0].startswith("Epoch 8/8 ")


def test_fits_in_a_loop_have_one_line_each(terminal):
    for _ in range(3):
        fit(verbose="bar")
    assert [line.split()[:2] for line in terminal.screen] == [["Epoch", "8/8"]] * 3


def test_fit_in_a_callback_shows_no_bar(terminal):
    fit(verbose="bar", callbacks=lambda estimator, epoch, logs: fit(verbose="bar", max_iter=2) and False)
    (line,) = terminal.screen
    assert line.startswith("Epoch 8/8 ")


def test_fits_in_several_threads(terminal):
    models, together = [], threading.Barrier(4)

    def train():
        together.wait()
        models.append(fit(verbose="bar", max_iter=50))

    threads = [threading.Thread(target=train) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [model.loss_curve_ for model in models] == [fit(max_iter=50).loss_curve_] * 4
    assert 1 <= len(terminal.screen) <= 4
    assert all(line.startswith("Epoch 50/50 ") for line in terminal.screen)


def test_no_bar_while_rich_shows_another_display(terminal):
    with Progress(console=Console(stderr=True), auto_refresh=False) as other:
        other.add_task("other", total=1)
        fit(verbose="bar")
        other.refresh()
    assert "Epoch" not in terminal.getvalue()
    assert len(terminal.screen) == 1


def test_together_with_the_progress_bar_of_scikit_learn(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stdout", terminal)
    model = MLPClassifier(**SMALL, verbose="bar").set_callbacks(ProgressBar())
    assert model.fit(X, Y[MLPClassifier]).loss_curve_ == fit().loss_curve_
    assert sys.stdout is terminal


def test_no_bar_in_child_processes(terminal, monkeypatch):
    monkeypatch.setattr(progress_display, "parent_process", lambda: object())
    fit(verbose="bar")
    assert terminal.getvalue() == ""


SEARCH = """
    import sys, warnings
    import numpy as np
    from sklearn.model_selection import GridSearchCV
    from fastbp import MLPClassifier
    warnings.simplefilter("ignore")
    X = np.random.RandomState(0).normal(size=(60, 4))
    model = MLPClassifier((5,), batch_size=10, max_iter=8, random_state=0, verbose="bar")
    search = GridSearchCV(model, {"alpha": [0.1, 1]}, cv=2, n_jobs=2).fit(X, 1 * (X[:, 0] > 0))
    print(search.best_estimator_.n_iter_)
"""


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="no pseudo-terminals")
def test_worker_processes_of_joblib_show_no_bar(clean_environment):
    """stderr is a pseudo-terminal, which the worker processes inherit."""
    import pty

    primary, secondary = pty.openpty()
    command = [sys.executable, "-c", textwrap.dedent(SEARCH)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=secondary) as process:
        os.close(secondary)
        received = Terminal()
        while chunk := read_from(primary):
            received.write(chunk.decode())
        assert process.stdout.read() == b"8\n"
    os.close(primary)
    assert received.getvalue().count("after") == 1
    (line,) = received.screen
    assert line.startswith("Epoch 8/8 ")
    assert received.shows_cursor


def read_from(file):
    try:
        return os.read(file, 4096)
    except OSError:  # the other end is closed
        return b""


# ====================================================================== the bar in a notebook


class FakeHandle:
    """A display of IPython: ``texts`` are the texts that it has shown."""

    def __init__(self, value):
        self.texts = []
        self.update(value)

    def update(self, value, raw=False):
        bundle = value if raw else value._repr_mimebundle_(include=None, exclude=None)
        assert raw or bundle["text/html"].startswith("<pre")
        self.texts.append(re.sub(r"\x1b\[[\d;]*m", "", bundle["text/plain"]).rstrip())


@pytest.fixture
def notebook(monkeypatch, terminal):
    """The process runs in a notebook, whose displays are listed; ``shell.execution_count`` is the number of the cell."""
    displays, shell = [], type("ZMQInteractiveShell", (), {"execution_count": 1})()

    def display(value, display_id):
        assert display_id is True
        displays.append(FakeHandle(value))
        return displays[-1]

    ipython = types.ModuleType("IPython")
    ipython.get_ipython, ipython.display = lambda: shell, types.ModuleType("IPython.display")
    ipython.display.display = display
    for name, module in (("IPython", ipython), ("IPython.display", ipython.display)):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(builtins, "get_ipython", lambda: shell, raising=False)
    monkeypatch.setattr(progress_display, "_reusable", [])
    yield types.SimpleNamespace(displays=displays, shell=shell)
    assert terminal.getvalue() == ""


def test_notebook_updates_one_display(notebook):
    model = fit(verbose="bar", callbacks=lambda estimator, epoch, logs: None)
    (shown,) = notebook.displays
    assert len(shown.texts) >= 8
    assert re.search(rf"Epoch 8/8 ━+ finished after 0:00  loss {model.loss_:.4g} ", shown.texts[-1])


def test_parameter_search_in_a_notebook_uses_one_display(notebook):
    GridSearchCV(MLPClassifier(**SMALL, verbose="bar"), {"alpha": [0.1, 1]}, cv=2).fit(X, Y[MLPClassifier])
    (shown,) = notebook.displays
    assert shown.texts.count("") == 4
    assert shown.texts[-1].startswith("Epoch 8/8 ")


def test_fit_in_a_callback_has_no_display_in_a_notebook(notebook):
    fit(verbose="bar", callbacks=lambda estimator, epoch, logs: fit(verbose="bar", max_iter=2) and False)
    assert len(notebook.displays) == 1


def test_another_cell_has_its_own_display(notebook):
    for cell in (1, 2):
        notebook.shell.execution_count = cell
        cross_val_score(MLPClassifier(**SMALL, verbose="bar"), X, Y[MLPClassifier], cv=2)
    assert [shown.texts[-1] for shown in notebook.displays] == ["", ""]


def test_bar_that_fails_in_a_notebook(notebook):
    with pytest.raises(ZeroDivisionError):
        fit(verbose="bar", callbacks=end_by(ZeroDivisionError()))
    assert "Epoch 3/8" in notebook.displays[0].texts[-1]
    assert "failed after" in notebook.displays[0].texts[-1]


# ====================================================================== text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.9, "0:07"), (60, "1:00"), (3599, "59:59"), (3723, "1:02:03"), (360000, "100:00:00")]
)
def test_durations(seconds, text):
    assert progress_display.as_duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.5"), (950, "950"), (999.6, "1k"), (12345, "12.3k"), (999_700, "1M"), (1_234_000, "1.23M"), (2.5e9, "2.5G")],
)
def test_rates(value, text):
    assert progress_display.as_rate(value) == text


def test_time_left_is_limited_by_max_time(terminal):
    display = progress_display.open_display("Epoch", 1000)
    try:
        display.draw(Standing(0.1, 10), 100.0)
        time.sleep(0.02)
        display.draw(Standing(0.2, 20), 90.2)  # about 200 seconds until the last epoch
        assert "1:31 left" in terminal.screen[0]
        display.draw(Standing(0.3, 30), float("inf"))
        assert re.search(r"[1-9]\d*:\d\d left", terminal.screen[0])
    finally:
        display.close()
