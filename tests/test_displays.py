"""The displays of ``fastbp.inspection``: the data that they draw, the axes that they use, and their errors.

The drawn data are compared with attributes, predictions and traces of the estimators. Every figure is laid out, with warnings as
errors.
"""

import subprocess
import sys
from functools import cache

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn.neural_network
from matplotlib.colors import Normalize, to_rgb
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import MLPClassifier, MLPRegressor
from fastbp.inspection import (
    ActivationDisplay,
    DecisionSurfaceDisplay,
    DiagnosticsMonitor,
    GradientFlowDisplay,
    LossCurveDisplay,
    LossLandscapeDisplay,
    NetworkDisplay,
    WeightRecorder,
    WeightsDisplay,
    diagnose,
    trace,
)
from fastbp.inspection._displays._figures import PALETTE

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.RandomState(0)
X = RANDOM.normal(size=(60, 2))
WIDE = RANDOM.normal(size=(60, 12))
BINARY = np.where(X[:, 0] + X[:, 1] ** 2 > 0.5, "yes", "no")
CODES = np.digitize(X[:, 0], [-0.5, 0.5])
VALUES = X[:, 0] * X[:, 1]


@pytest.fixture(autouse=True)
def closed_figures():
    """Each test begins and ends without open figures."""
    plt.close("all")
    yield
    plt.close("all")


def fitted(kind, X, y, **params):
    defaults = {"hidden_layer_sizes": (6, 5), "max_iter": 8, "learning_rate_init": 0.01, "random_state": 0, "n_threads": 1}
    validation = {name: params.pop(name) for name in ("X_val", "y_val") if name in params}
    return kind(**defaults | params).fit(X, y, **validation)


@cache
def classifier(**params):
    return fitted(MLPClassifier, WIDE, CODES, activation="tanh", **params)


@cache
def plane(kind="classes"):
    """An estimator of two features."""
    y = {"binary": BINARY, "classes": CODES, "labels": 1 * (X > 0), "outputs": np.column_stack([CODES, BINARY == "yes"])}
    if kind in y:
        return fitted(MLPClassifier, X, y[kind], activation="tanh", hidden_layer_sizes=(3, 2))
    y = VALUES if kind == "value" else np.column_stack([VALUES, X[:, 0]])
    return fitted(MLPRegressor, X, y, activation="logistic", hidden_layer_sizes=(3, 2))


@cache
def monitored():
    """An estimator that was recorded after each epoch, and the monitor."""
    monitor = DiagnosticsMonitor()
    return fitted(MLPClassifier, WIDE, CODES, activation="relu", callbacks=monitor), monitor


@cache
def path():
    """An estimator and the recorder of its weights."""
    recorder = WeightRecorder()
    return fitted(MLPClassifier, X, CODES, activation="tanh", callbacks=recorder), recorder


DISPLAYS = {
    "loss_curves": lambda **options: LossCurveDisplay.from_estimator(classifier(), **options),
    "gradient_flow": lambda **options: GradientFlowDisplay.from_estimator(classifier(), WIDE, CODES, **options),
    "gradient_flow_over_epochs": lambda **options: GradientFlowDisplay.from_monitor(monitored()[1], **options),
    "activations": lambda **options: ActivationDisplay.from_estimator(classifier(), WIDE, layers=1, **options),
    "weights": lambda **options: WeightsDisplay.from_estimator(classifier(), **options),
    "images": lambda **options: WeightsDisplay.from_estimator(classifier(), image_shape=(3, 4), **options),
    "network": lambda **options: NetworkDisplay.from_estimator(classifier(), **options),
    "landscape": lambda **options: LossLandscapeDisplay.from_estimator(path()[0], X, CODES, grid_resolution=4, **options),
    "surface": lambda **options: DecisionSurfaceDisplay.from_estimator(plane(), X, CODES, grid_resolution=9, **options),
}
PANELS = {
    "loss_curves": (2, lambda **options: LossCurveDisplay.from_estimator(classifier(), learning_rate=True, **options)),
    "activations": (2, lambda **options: ActivationDisplay.from_estimator(classifier(), WIDE, **options)),
    "activations_over_epochs": (2, lambda **options: ActivationDisplay.from_monitor(monitored()[1], **options)),
    "surface": (2, lambda **options: DecisionSurfaceDisplay.from_estimator(plane(), X, layer=2, grid_resolution=9, **options)),
}


# ---------------------------------------------------------------------- axes


@pytest.mark.slow
@pytest.mark.parametrize("name", DISPLAYS)
def test_one_panel_uses_the_axes_that_are_passed(name):
    figure, (left, right) = plt.subplots(1, 2, layout="constrained")
    display = DISPLAYS[name](ax=right)
    assert display.ax_ is right
    assert display.figure_ is figure
    assert plt.get_fignums() == [1]
    assert right.has_data()
    assert not left.has_data()
    figure.draw_without_rendering()
    assert display.plot(ax=left) is display
    assert left.has_data()


@pytest.mark.slow
@pytest.mark.parametrize("name", DISPLAYS)
def test_a_new_figure_is_created_without_axes(name):
    display = DISPLAYS[name]()
    assert plt.get_fignums() == [1]
    assert display.figure_ is plt.gcf()
    assert display.ax_ in display.figure_.axes
    display.figure_.draw_without_rendering()
    display.plot().figure_.draw_without_rendering()
    assert plt.get_fignums() == [1, 2]


@pytest.mark.slow
@pytest.mark.parametrize("name", PANELS)
@pytest.mark.parametrize("layout", [None, "constrained"])
def test_several_panels_divide_one_axes(name, layout):
    n_panels, draw = PANELS[name]
    figure, ax = plt.subplots(layout=layout)
    place = ax.get_position()
    display = draw(ax=ax)
    assert display.bounding_ax_ is ax
    assert display.axes_.shape == (n_panels,)
    assert all(panel.figure is figure and panel.has_data() for panel in display.axes_)
    assert not ax.axison
    figure.draw_without_rendering()
    if layout is None and name != "surface":  # its color bar needs space
        assert all(
            panel.get_position().x0 >= place.x0 - 0.01 and panel.get_position().x1 <= place.x1 + 0.01 for panel in display.axes_
        )
    loose = plt.figure().add_axes((0.2, 0.2, 0.6, 0.6))
    assert draw(ax=loose).axes_.shape == (n_panels,)


@pytest.mark.parametrize("name", PANELS)
def test_several_panels_use_the_axes_that_are_passed(name):
    n_panels, draw = PANELS[name]
    figure, axes = plt.subplots(2, n_panels // 2)
    display = draw(ax=axes)
    assert display.bounding_ax_ is None
    assert display.axes_.tolist() == axes.ravel().tolist()
    assert display.ax_ is axes.ravel()[0]
    assert plt.get_fignums() == [figure.number]
    with pytest.raises(ValueError, match=rf"ax must be None, one matplotlib Axes, or an array of {n_panels} Axes.*got 1 Axes\."):
        draw(ax=axes.ravel()[1:])
    with pytest.raises(ValueError, match=r"ax must be None, .*got 'left'\."):
        draw(ax="left")
    with pytest.raises(ValueError, match=r"ax must be None or a matplotlib Axes; got 2 Axes\."):
        WeightsDisplay.from_estimator(classifier(), ax=axes)


def test_keyword_arguments_are_passed_to_matplotlib():
    assert LossCurveDisplay.from_estimator(classifier(), linewidth=7).train_lines_[0].get_linewidth() == 7
    assert GradientFlowDisplay.from_monitor(monitored()[1], color="red").lines_[0].get_color() == "red"
    assert ActivationDisplay.from_estimator(classifier(), WIDE, color="red").patches_[0].get_facecolor()[:3] == (1, 0, 0)
    assert ActivationDisplay.from_monitor(monitored()[1], linewidth=7).lines_[0][0].get_linewidth() == 7
    image = WeightsDisplay.from_estimator(classifier(), cmap="PuOr", vmax=9).image_
    assert (image.get_cmap().name, image.norm.vmax) == ("PuOr", 9)
    norm = mpl.colors.CenteredNorm(1)
    assert WeightsDisplay.from_estimator(classifier(), image_shape=(3, 4), norm=norm, colorbar=False).image_.norm is norm
    norm = mpl.colors.CenteredNorm(1)
    lines = NetworkDisplay.from_estimator(classifier(), alpha=0.3, norm=norm).lines_
    assert {(one.get_alpha(), one.norm) for one in lines} == {(0.3, norm)}
    largest = max(np.abs(one.get_array() - 1).max() for one in lines)
    assert norm.halfrange >= largest  # of all layers
    lines = NetworkDisplay.from_estimator(classifier(), norm="symlog").lines_
    assert len({one.norm for one in lines}) == 1
    surface = LossLandscapeDisplay.from_estimator(
        path()[0], X, CODES, grid_resolution=4, plot_method="contour", colors="red", levels=3
    )
    assert_array_equal(surface.surface_.get_edgecolor()[0][:3], [1, 0, 0])
    assert DecisionSurfaceDisplay.from_estimator(plane(), X, alpha=0.3).images_[0].get_alpha() == 0.3
    assert DecisionSurfaceDisplay.from_estimator(plane("binary"), X, cmap="PuOr").images_[0].get_cmap().name == "PuOr"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"train_loss": [1.0, 2.0]},
            r"train_loss must contain one list of numbers for each fit, got 1.0 for fit 0. For one fit, pass",
        ),
        ({"train_loss": [["a"]]}, r"train_loss\[0\] must contain only numbers"),
        (
            {"train_loss": [[1.0]], "val_loss": [[1.0], None]},
            "val_loss must have one list for each of the 1 fits in train_loss, got 2",
        ),
        ({"train_loss": [[1.0]], "val_score": [0.5]}, "val_score must contain one list of numbers"),
    ],
)
def test_invalid_losses(params, message):
    with pytest.raises(ValueError, match=message):
        LossCurveDisplay(**params).plot()


def test_without_matplotlib(monkeypatch):
    displays = [
        LossCurveDisplay(train_loss=[[1.0]]),
        LossLandscapeDisplay(xx0=X, xx1=X, loss=X),
        WeightsDisplay(weights=WIDE),
        NetworkDisplay(coefs=[np.ones((1, 1))], intercepts=[np.ones(1)]),
        DecisionSurfaceDisplay(xx0=X, xx1=X, response=[X], kind="prediction"),
        ActivationDisplay(counts=[np.ones(1)], bin_edges=[np.arange(2)]),
        GradientFlowDisplay(coef_grad_norm=X, intercept_grad_norm=X, update_ratio=X, layer_names=["a", "b"]),
    ]
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    for display in displays:
        with pytest.raises(ImportError, match=rf'{type(display).__name__}.plot needs matplotlib.*pip install "fastbp\[plot\]"'):
            display.plot()


@pytest.mark.slow
def test_importing_the_package_does_not_import_matplotlib():
    code = "import sys, fastbp.inspection; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---------------------------------------------------------------------- estimators that are not accepted

NEEDS_ESTIMATOR = {
    "loss_curves": LossCurveDisplay.from_estimator,
    "gradient_flow": lambda est: GradientFlowDisplay.from_estimator(est, X, CODES),
    "activations": lambda est: ActivationDisplay.from_estimator(est, X),
    "weights": WeightsDisplay.from_estimator,
    "network": NetworkDisplay.from_estimator,
    "landscape": lambda est: LossLandscapeDisplay.from_estimator(est, X, CODES),
    "surface": lambda est: DecisionSurfaceDisplay.from_estimator(est, X),
}


@pytest.mark.parametrize("name", NEEDS_ESTIMATOR)
def test_estimators_that_are_not_accepted(name):
    draw = NEEDS_ESTIMATOR[name]
    with pytest.raises(NotFittedError, match="This MLPClassifier instance is not fitted yet"):
        draw(MLPClassifier())
    rule = "est must be a fitted MLPClassifier or MLPRegressor of fastbp, got "
    pipeline, search = make_pipeline(StandardScaler(), MLPClassifier()), GridSearchCV(MLPClassifier(), {"alpha": [0, 1]})
    with pytest.raises(
        TypeError, match=rule + r"an object of type Pipeline of scikit-learn\..* pipeline\[-1\] and pipeline\[:-1\]"
    ):
        draw(pipeline)
    with pytest.raises(TypeError, match=rule + r"an object of type GridSearchCV of scikit-learn\..* best_estimator_"):
        draw(search)
    with pytest.raises(TypeError, match=rule + r"an object of type MLPRegressor of scikit-learn\. Fit fastbp.MLPRegressor"):
        draw(sklearn.neural_network.MLPRegressor())
    with pytest.raises(TypeError, match=rule + "the class MLPClassifier"):
        draw(MLPClassifier)
    with pytest.raises(TypeError, match=rule + "'a model'"):
        draw("a model")
    assert not plt.get_fignums()


# ---------------------------------------------------------------------- loss curves


def test_loss_curves_are_those_of_the_history():
    model = fitted(MLPClassifier, WIDE, CODES, X_val=WIDE[:20], y_val=CODES[:20], learning_rate="cosine")
    display = LossCurveDisplay.from_estimator(model, score=True, learning_rate=True, log_scale=True)
    lines = [*display.train_lines_, *display.val_lines_, *display.score_lines_, *display.rate_lines_]
    for line, name in zip(lines, ["loss", "val_loss", "val_score", "learning_rate"], strict=True):
        assert_array_equal(line.get_xdata(), np.arange(1, 9))
        assert_array_equal(line.get_ydata(), model.history_[name])
    assert [line.axes for line in lines] == [display.ax_, display.ax_, *display.axes_[1:]]
    assert display.ax_.get_yscale() == "log"
    assert [ax.get_ylabel() for ax in display.axes_] == ["Loss (log_loss)", "Validation score", "Learning rate"]
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["training", "validation"]
    assert (lines[0].get_linestyle(), lines[1].get_linestyle()) == ("-", "--")
    assert lines[0].get_color() == lines[1].get_color()


def test_loss_curves_of_several_fits():
    models = {"small": classifier(), "validated": fitted(MLPClassifier, WIDE, CODES, X_val=WIDE[:20], y_val=CODES[:20], max_iter=3)}
    display = LossCurveDisplay.from_estimator(models, learning_rate=True)
    assert [line.get_ydata().tolist() for line in display.train_lines_] == [model.loss_curve_ for model in models.values()]
    assert display.val_lines_[0] is None
    assert_array_equal(display.val_lines_[1].get_ydata(), models["validated"].history_["val_loss"])
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["small", "validated", "training", "validation"]
    assert len({line.get_color() for line in display.train_lines_}) == 2
    for names, expected in [(None, ["model 1", "model 2"]), (["a", "b"], ["a", "b"])]:
        display = LossCurveDisplay.from_estimator([classifier(), classifier()], names=names)
        assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == expected


@pytest.mark.slow
def test_many_models_have_different_colors_and_a_legend_outside_the_axes():
    n_models = 12
    display = LossCurveDisplay.from_estimator([classifier()] * n_models)
    assert len({line.get_color() for line in display.train_lines_}) == n_models
    display.figure_.draw_without_rendering()
    assert display.ax_.get_legend().get_window_extent().x0 > display.ax_.get_window_extent().x1


def test_the_epoch_whose_weights_were_kept_is_marked():
    model = fitted(MLPClassifier, WIDE, CODES, early_stopping=True, max_iter=20)
    (point,) = LossCurveDisplay.from_estimator(model).best_points_
    best = int(np.argmax(model.validation_scores_))
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (best + 1, model.history_["val_loss"][best])
    assert LossCurveDisplay.from_estimator(classifier()).best_points_ == [None]


def test_loss_curve_of_one_epoch_is_visible():
    line = LossCurveDisplay.from_estimator(fitted(MLPRegressor, X, VALUES, max_iter=1)).train_lines_[0]
    assert line.get_marker() == "."


def test_errors_of_loss_curves():
    lbfgs = fitted(MLPRegressor, X, VALUES, solver="lbfgs")
    with pytest.raises(ValueError, match=r"est must have the losses.*solver='lbfgs'.*LossCurveDisplay\(train_loss=\["):
        LossCurveDisplay.from_estimator(lbfgs)
    with pytest.raises(ValueError, match=r"est\[1\] must have the losses"):
        LossCurveDisplay.from_estimator([classifier(), lbfgs])
    with pytest.raises(TypeError, match=r"est\['b'\] must be a fitted"):
        LossCurveDisplay.from_estimator({"a": classifier(), "b": None})
    with pytest.raises(ValueError, match=r"est must contain at least one fitted estimator, got \[\]"):
        LossCurveDisplay.from_estimator([])
    with pytest.raises(ValueError, match=r"names must have one name for each of the 1 estimators, got \['a', 'b'\]"):
        LossCurveDisplay.from_estimator(classifier(), names=["a", "b"])
    with pytest.raises(ValueError, match=r"score must be False, because no fit has these numbers; got True\. Pass X_val and y_val"):
        LossCurveDisplay.from_estimator(classifier(), score=True)
    assert not plt.get_fignums()


# ---------------------------------------------------------------------- gradients


def test_gradient_flow_draws_the_norms_of_a_trace():
    model, values = classifier(), trace(classifier(), WIDE, CODES)
    weights = [np.linalg.norm(g) for g in values.coef_grads]
    display = GradientFlowDisplay.from_estimator(model, WIDE, CODES)
    assert_array_equal(display.lines_[0].get_xdata(), [1, 2, 3])
    assert_allclose(display.lines_[0].get_ydata(), weights, rtol=1e-10)
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == ["hidden\n1", "hidden\n2", "output"]
    assert display.ax_.get_yscale() == "log"
    biases = [np.linalg.norm(g) for g in values.intercept_grads]
    assert_allclose(display.plot(quantity="intercept_grad_norm").lines_[0].get_ydata(), biases, rtol=1e-10)
    ratios = [np.linalg.norm(step) / np.linalg.norm(W) for step, W in zip(values.coef_updates, values.coefs, strict=True)]
    assert_allclose(display.plot(quantity="update_ratio").lines_[0].get_ydata(), ratios, rtol=1e-10)


def test_gradient_flow_over_epochs():
    model, monitor = monitored()
    display = GradientFlowDisplay.from_monitor(monitor, quantity="intercept_grad_norm")
    assert len(display.lines_) == 3
    for number, line in enumerate(display.lines_):
        assert_array_equal(line.get_xdata(), np.arange(1, 9))
        assert_array_equal(line.get_ydata(), [record.layers[number].intercept_grad_norm for record in monitor.records])
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["hidden layer 1", "hidden layer 2", "output layer"]
    last = trace(model, WIDE, CODES).intercept_grads
    assert_allclose([line.get_ydata()[-1] for line in display.lines_], [np.linalg.norm(g) for g in last], rtol=1e-10)


def test_gradients_that_are_zero_are_marked():
    model = fitted(MLPClassifier, WIDE, CODES, activation="relu", alpha=0)
    model.intercepts_ = [model.intercepts_[0] - 1e3, *model.intercepts_[1:]]  # all units of the first layer are dead
    display = GradientFlowDisplay.from_estimator(model, WIDE, CODES)
    assert_array_equal(display.zeros_.get_xdata(), [1, 2])
    assert_array_equal(display.lines_[0].get_ydata()[:2], 0)
    display.figure_.draw_without_rendering()
    assert GradientFlowDisplay.from_estimator(classifier(), WIDE, CODES).zeros_ is None


def test_gradients_that_are_all_zero():
    zeros = np.zeros((3, 2))
    display = GradientFlowDisplay(
        coef_grad_norm=zeros, intercept_grad_norm=zeros, update_ratio=zeros, layer_names=["a", "b"], epochs=[1, 2, 3]
    ).plot()
    assert display.ax_.get_yscale() == "linear"
    display.figure_.draw_without_rendering()


def test_errors_of_gradient_flow():
    with pytest.raises(
        ValueError, match="quantity must be one of 'coef_grad_norm', 'intercept_grad_norm', 'update_ratio'; got 'W'"
    ):
        GradientFlowDisplay.from_estimator(classifier(), WIDE, CODES, quantity="W")
    lbfgs = fitted(MLPRegressor, X, VALUES, solver="lbfgs")
    with pytest.raises(ValueError, match=r"quantity must be a statistic that was computed, got 'update_ratio'.*lbfgs"):
        GradientFlowDisplay.from_estimator(lbfgs, X, VALUES, quantity="update_ratio")
    assert not plt.get_fignums()


@pytest.mark.parametrize("kind", [GradientFlowDisplay, ActivationDisplay])
def test_errors_of_monitors(kind):
    with pytest.raises(TypeError, match=r"monitor must be a DiagnosticsMonitor, got an object of type MLPC.*use from_estimator"):
        kind.from_monitor(classifier())
    with pytest.raises(ValueError, match=r"monitor must have at least one record.*callbacks=monitor"):
        kind.from_monitor(DiagnosticsMonitor())
    assert not plt.get_fignums()


# ---------------------------------------------------------------------- activations


def test_histograms_of_activations():
    display = ActivationDisplay.from_estimator(classifier(), WIDE, bins=7)
    assert len(display.patches_) == 2
    for layer, patch in enumerate(display.patches_, start=1):
        counts, edges, _ = patch.get_data()
        expected = np.histogram(classifier().transform(WIDE, layer), 7, range=(-1, 1))  # the range of tanh
        assert_array_equal(counts, expected[0])
        assert_array_equal(edges, expected[1])
        assert counts.sum() == WIDE.shape[0] * (6, 5)[layer - 1]
    assert [ax.get_title() for ax in display.axes_] == ["hidden layer 1 (tanh)", "hidden layer 2 (tanh)"]


def test_histograms_of_chosen_layers():
    display = ActivationDisplay.from_estimator(plane("value"), X, layers=[-1, 2])
    assert [ax.get_title() for ax in display.axes_] == ["output layer (identity)", "hidden layer 2 (logistic)"]
    assert_array_equal(display.counts[0], np.histogram(plane("value").predict(X), 30)[0])
    assert display.bin_edges[1][[0, -1]].tolist() == [0, 1]
    linear = fitted(MLPClassifier, X, CODES, hidden_layer_sizes=())
    assert ActivationDisplay.from_estimator(linear, X, layers=-1).counts[0].sum() == 180


def test_titles_of_histograms_contain_the_shares():
    model = fitted(MLPClassifier, WIDE, CODES, activation=["relu", "tanh"])
    model.intercepts_ = [model.intercepts_[0] - [0, 0, 0, 1e3, 1e3, 1e3], model.intercepts_[1] + [0, 0, 0, 0, 1e3]]
    model.intercepts_.append(fitted(MLPClassifier, WIDE, CODES).intercepts_[-1])
    display = ActivationDisplay.from_estimator(model, WIDE, CODES)
    layers = diagnose(model, WIDE, CODES).layers
    assert layers[0].dead_share == 0.5
    assert display.axes_[0].get_title() == "hidden layer 1 (relu)\n50 % dead"
    saturated = f"{100 * layers[1].saturated_share:.0f} % saturated"
    assert display.axes_[1].get_title() == f"hidden layer 2 (tanh)\n20 % dead, {saturated}"
    # half of the values of the first layer are zeros, so that the counts have a logarithmic axis
    assert [ax.get_yscale() for ax in display.axes_] == ["log", "log"]
    assert ActivationDisplay.from_estimator(model, WIDE, log_scale=False).ax_.get_yscale() == "linear"


def test_shares_over_epochs():
    _, monitor = monitored()
    display = ActivationDisplay.from_monitor(monitor)
    assert [len(lines) for lines in display.lines_] == [2, 2]  # the hidden layers
    for number, line in enumerate(display.lines_[0]):
        assert_array_equal(line.get_xdata(), np.arange(1, 9))
        assert_array_equal(line.get_ydata(), [100 * record.layers[number].dead_share for record in monitor.records])
    assert [ax.get_ylabel() for ax in display.axes_] == ["Dead units (%)", "Saturated activations (%)"]
    assert display.axes_[1].texts[0].get_text() == "no layer has an activation\nthat saturates on both sides"  # relu
    monitor = DiagnosticsMonitor(every=5)
    fitted(MLPClassifier, 9 * WIDE, CODES, activation="tanh", callbacks=monitor)
    display = ActivationDisplay.from_monitor(monitor)
    assert monitor.records[0].layers[0].saturated_share > 0
    assert display.lines_[1][0].get_ydata().tolist() == [100 * monitor.records[0].layers[0].saturated_share]
    assert not display.axes_[1].texts


def test_errors_of_activations():
    rule = r"layers must be an integer from 1 to 3 or from -3 to -1, because the network has 3 layers of weights.*got "
    for wrong in (0, 4, -4, 1.0, True, "1"):
        with pytest.raises(ValueError, match=rule + repr(wrong)):
            ActivationDisplay.from_estimator(classifier(), WIDE, layers=wrong)
    with pytest.raises(ValueError, match=r"layers must contain at least one layer, got \[\]"):
        ActivationDisplay.from_estimator(classifier(), WIDE, layers=[])
    with pytest.raises(ValueError, match="layers must be -1, the output layer, because the network has no hidden layers; got None"):
        ActivationDisplay.from_estimator(fitted(MLPClassifier, X, CODES, hidden_layer_sizes=()), X)
    with pytest.raises(ValueError, match="bins must be an integer >= 1, got 0"):
        ActivationDisplay.from_estimator(classifier(), WIDE, bins=0)
    diverged = fitted(MLPClassifier, X, CODES)
    diverged.intercepts_ = [np.full(6, np.inf), *diverged.intercepts_[1:]]
    with pytest.raises(ValueError, match=r"activations in layer 1.*scale X"):
        ActivationDisplay.from_estimator(diverged, X)
    linear = DiagnosticsMonitor()
    fitted(MLPClassifier, X, CODES, hidden_layer_sizes=(), callbacks=linear)
    with pytest.raises(ValueError, match="monitor must have records of a network with hidden layers"):
        ActivationDisplay.from_monitor(linear)
    assert not plt.get_fignums()


# ---------------------------------------------------------------------- weights


def test_heat_map_draws_the_weights():
    for layer, number in ((1, 0), (2, 1), (3, 2), (-1, 2), (-3, 0)):
        display = WeightsDisplay.from_estimator(classifier(), layer=layer)
        assert_array_equal(display.image_.get_array(), classifier().coefs_[number])
        limit = np.abs(classifier().coefs_[number]).max()
        assert display.image_.get_clim() == (-limit, limit)
    assert display.ax_.get_title() == "Weights of hidden layer 1"
    assert WeightsDisplay.from_estimator(classifier(), layer=-1).ax_.get_title() == "Weights of the output layer"


def test_heat_map_of_some_units():
    display = WeightsDisplay.from_estimator(classifier(), units=[4, 1])
    assert_array_equal(display.image_.get_array(), classifier().coefs_[0][:, [4, 1]])
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == ["4", "1"]
    assert display.ax_.get_title() == "Weights of hidden layer 1, 2 units of 6"
    assert WeightsDisplay.from_estimator(classifier(), units=5).ax_.get_title() == "Weights of hidden layer 1, unit 5 of 6"


def test_heat_map_has_names():
    frame = pd.DataFrame(X, columns=["width", "height"])
    model = fitted(MLPClassifier, frame, np.array(["low", "middle", "high"])[CODES])
    names = [text.get_text() for text in WeightsDisplay.from_estimator(model).ax_.get_yticklabels()]
    assert names == ["width", "height"]
    names = [text.get_text() for text in WeightsDisplay.from_estimator(model, layer=-1).ax_.get_xticklabels()]
    assert names == ["high", "low", "middle"]


@pytest.mark.parametrize("n_units", [1, 5, 64, 100])
def test_images_of_units_contain_their_weights(n_units):
    model = fitted(MLPClassifier, WIDE, CODES, hidden_layer_sizes=n_units, max_iter=1)
    display = WeightsDisplay.from_estimator(model, image_shape=(3, 4))
    array, covered = display.image_.get_array(), 0
    assert len(display.tiles_) == min(n_units, 64)
    for unit, tile in enumerate(display.tiles_):
        assert_array_equal(array[tile], model.coefs_[0][:, unit].reshape(3, 4))
        covered += array[tile].size
    assert array.count() == covered  # everything else is masked, so that images do not overlap
    assert display.ax_.get_aspect() == 1
    display.figure_.draw_without_rendering()
    if n_units == 100:
        assert display.ax_.get_title() == "Weights of hidden layer 1, units 0 to 63 of 100"
        rows = [text.get_text() for text in display.ax_.get_yticklabels()]
        firsts = [str(unit) for unit, (_, columns) in enumerate(display.tiles_) if columns.start == 0]
        assert rows == firsts


def test_images_of_chosen_units():
    display = WeightsDisplay.from_estimator(classifier(), image_shape=(4, 3), units=[5, 0])
    assert_array_equal(display.image_.get_array()[display.tiles_[0]], classifier().coefs_[0][:, 5].reshape(4, 3))
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == ["5", "0"]


@pytest.mark.slow
def test_weights_that_are_zero_or_not_finite():
    for weights in (np.zeros((4, 3)), np.full((4, 3), np.nan)):
        display = WeightsDisplay(weights=weights).plot()
        assert display.image_.get_clim() == (-1, 1)
        display.figure_.draw_without_rendering()


def test_errors_of_weights():
    message = r"image_shape must be the \(height, width\) of an image with as many pixels as layer 1 has features, 12; got "
    with pytest.raises(ValueError, match=message + r"\(4, 4\), which has 16 pixels\. For example, pass image_shape=\(3, 4\)"):
        WeightsDisplay.from_estimator(classifier(), image_shape=(4, 4))
    for wrong in (12, (12,), (3, 4, 1), (-3, -4), (3.0, 4.0), "3x4"):
        with pytest.raises(ValueError, match=message):
            WeightsDisplay.from_estimator(classifier(), image_shape=wrong)
    with pytest.raises(ValueError, match="layer 3 has inputs, 5; got"):
        WeightsDisplay.from_estimator(classifier(), image_shape=(3, 4), layer=3)
    with pytest.raises(ValueError, match=r"layer must be an integer from 1 to 3 or from -3 to -1, .* got 4"):
        WeightsDisplay.from_estimator(classifier(), layer=4)
    with pytest.raises(ValueError, match="layer must be 1 or -1, because the network has only an output layer; got 2"):
        WeightsDisplay.from_estimator(fitted(MLPClassifier, X, CODES, hidden_layer_sizes=()), layer=2)
    for wrong in (6, -1, [0, 6], [], 0.5, "0", [[0]]):
        with pytest.raises(
            ValueError, match="units must be one or several integers from 0 to 5, because hidden layer 1 has 6 units"
        ):
            WeightsDisplay.from_estimator(classifier(), units=wrong)
    with pytest.raises(ValueError, match="max_units must be an integer >= 1, got 0"):
        WeightsDisplay.from_estimator(classifier(), image_shape=(3, 4), max_units=0)
    assert not plt.get_fignums()


# ---------------------------------------------------------------------- diagrams of networks


def positions(display):
    """The layer and the unit of each circle, by its rounded center."""
    found = {}
    for layer, (circles, units) in enumerate(zip(display.circles_, display.units_, strict=True)):
        paths = circles.get_paths()
        assert len(paths) == len(units)
        for unit, outline in zip(units, paths, strict=True):
            box = outline.get_extents()
            found[tuple(np.round([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2], 6))] = layer, unit
    assert len(found) == sum(map(len, display.units_))  # no two circles have the same center
    return found


@pytest.mark.parametrize(("sizes", "max_units"), [((6, 5), 12), ((40, 3), 7), ((), 2), ((1,), 2)])
def test_lines_have_the_weights_of_their_ends(sizes, max_units):
    model = fitted(MLPClassifier, WIDE, CODES, hidden_layer_sizes=sizes, max_iter=1)
    display = NetworkDisplay.from_estimator(model, max_units=max_units)
    units = positions(display)
    assert len(display.lines_) == len(display.limits_) == len(model.coefs_)
    for layer, (lines, limit) in enumerate(zip(display.lines_, display.limits_, strict=True)):
        weights, ends = lines.get_array(), set()
        for (start, end), weight in zip(lines.get_segments(), weights, strict=True):
            (below, i), (above, j) = units[tuple(np.round(start, 6))], units[tuple(np.round(end, 6))]
            assert (below, above) == (layer, layer + 1)
            assert weight == model.coefs_[layer][i, j]
            ends.add((i, j))
        assert len(ends) == len(weights) == len(display.units_[layer]) * len(display.units_[layer + 1])
        # the scale of a layer depends on the weights that are drawn
        assert np.abs(weights).max() == limit == lines.norm.vmax == -lines.norm.vmin
        assert_allclose(lines.get_linewidths(), 0.25 + 3.25 * np.abs(weights) / limit)
        circles = display.circles_[layer + 1]
        assert_array_equal(circles.get_array(), model.intercepts_[layer][display.units_[layer + 1]])
        assert circles.norm is lines.norm
        (text,) = [text.get_text() for text in display.ax_.texts if f"|w| ≤ {limit:.2g}" in text.get_text()]
        assert ("outputs" if lines is display.lines_[-1] else f"hidden {layer + 1}") in text
    assert display.circles_[0].get_array() is None
    assert display.colorbar_.mappable.get_clim() == (-1, 1)
    assert display.colorbar_.ax.get_ylabel() == "Relative weight or bias"


def test_weights_that_are_not_drawn_do_not_change_the_colors():
    """With `scale`, the weights of almost constant features are large; they are often not among the units that are drawn."""
    random = np.random.RandomState(0)
    coefs, intercepts = [random.normal(size=(50, 4)), random.normal(size=(4, 2))], [np.zeros(4), np.array([9.0, 0])]
    display = NetworkDisplay(coefs=coefs, intercepts=intercepts).plot()
    coefs[0][25] = 1000
    other = NetworkDisplay(coefs=coefs, intercepts=intercepts).plot()
    for lines, same in zip(display.lines_, other.lines_, strict=True):
        assert lines.get_clim() == same.get_clim()
        assert_array_equal(lines.get_linewidths(), same.get_linewidths())
    assert display.colorbar_.extend == "both"  # a bias is outside the limits


@pytest.mark.parametrize("options", [{"vmin": -3, "vmax": 3}, {"norm": Normalize(-3, 3)}])
def test_one_color_scale_for_all_layers(options):
    display = NetworkDisplay.from_estimator(classifier(), **options)
    assert [lines.get_clim() for lines in display.lines_] == [(-3, 3)] * 3
    assert display.colorbar_.mappable is display.lines_[0]
    assert not [text for text in display.ax_.texts if "|w|" in text.get_text()]
    for lines in display.lines_:
        assert_allclose(lines.get_linewidths(), 0.25 + 3.25 * np.abs(lines.get_array()) / display.limits_.max())


def test_large_layers_show_their_first_and_last_units():
    model = fitted(MLPClassifier, WIDE, CODES, hidden_layer_sizes=(1000, 12, 13), max_iter=1)
    display = NetworkDisplay.from_estimator(model)
    assert_array_equal(display.units_[1], [*range(6), *range(994, 1000)])
    assert_array_equal(display.units_[2], np.arange(12))
    assert_array_equal(display.units_[3], [*range(6), *range(7, 13)])
    assert_array_equal(NetworkDisplay.from_estimator(model, max_units=5).units_[3], [0, 1, 2, 11, 12])
    texts = [text.get_text() for text in display.ax_.texts]
    assert f"hidden 1\n1000 units\nrelu\n|w| ≤ {display.limits_[0]:.2g}" in texts
    assert "inputs\n12 units" in texts


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(), (1,), (30,) * 4, (1,) * 10, (1000, *[20] * 9)])
@pytest.mark.parametrize("is_new", [True, False])
def test_texts_and_circles_do_not_overlap(sizes, is_new):
    frame = pd.DataFrame(WIDE, columns=[f"feature number {number}" for number in range(12)])
    activation = "hard_sigmoid"
    model = fitted(
        MLPClassifier,
        frame,
        np.array(["low", "middle", "high"])[CODES],
        hidden_layer_sizes=sizes,
        max_iter=1,
        activation=activation,
    )
    display = NetworkDisplay.from_estimator(model, ax=None if is_new else plt.subplots(2, 2)[1][0, 0])
    display.figure_.draw_without_rendering()
    boxes = [text.get_window_extent().padded(-1) for text in display.ax_.texts]
    assert not [(n, m) for n, box in enumerate(boxes) for m in range(n) if box.overlaps(boxes[m])]
    if is_new:
        figure = display.figure_.bbox.padded(2)
        assert all(figure.x0 <= box.x0 and box.x1 <= figure.x1 and figure.y0 <= box.y0 and box.y1 <= figure.y1 for box in boxes)
    transform = display.ax_.transData
    for number, circles in enumerate(display.circles_):
        for outline in circles.get_paths():
            circle = outline.transformed(transform).get_extents()
            assert not any(box.overlaps(circle.padded(-1)) for box in boxes), number


def test_names_of_inputs_and_outputs():
    frame = pd.DataFrame(X, columns=["$width$", "height_cm"])
    model = fitted(MLPClassifier, frame, np.array(["low", "middle", "high"])[CODES])
    texts = [text.get_text() for text in NetworkDisplay.from_estimator(model).ax_.texts]
    assert {"$width$", "height_cm", "high", "low", "middle"} <= set(texts)


def test_errors_of_networks():
    for wrong in (1, 0, 2.0, None, True):
        with pytest.raises(ValueError, match=f"max_units must be an integer >= 2, got {wrong!r}"):
            NetworkDisplay.from_estimator(classifier(), max_units=wrong)
    assert not plt.get_fignums()


# ---------------------------------------------------------------------- loss landscapes


def flat(model):
    return np.concatenate([array.ravel() for array in (*model.coefs_, *model.intercepts_)])


def objective_at(model, params, X, y):
    """The objective of a copy of an estimator with other parameters."""
    copy, start, arrays = clone(model).set_params(callbacks=None, max_iter=1).fit(X, y), 0, []
    for array in (*copy.coefs_, *copy.intercepts_):
        arrays.append(params[start : start + array.size].reshape(array.shape))
        start += array.size
    copy.coefs_, copy.intercepts_ = arrays[: len(copy.coefs_)], arrays[len(copy.coefs_) :]
    return trace(copy, X, y).loss


def test_surface_is_the_objective_at_the_points_of_the_grid():
    model, recorder = path()
    for options in ({}, {"path": recorder}):
        display = LossLandscapeDisplay.from_estimator(model, X, CODES, grid_resolution=3, **options)
        assert_array_equal(display.center, flat(model))
        for at in ((0, 0), (1, 2), (2, 1)):
            params = display.center + display.xx0[at] * display.directions[0] + display.xx1[at] * display.directions[1]
            assert_allclose(display.loss[at], objective_at(model, params, X, CODES), rtol=1e-12)
    assert display.surface_.get_array() is not None
    assert display.center_point_.get_xydata().tolist() == [[0, 0]]


def test_random_directions_are_normalized_by_filter():
    model = path()[0]
    display = LossLandscapeDisplay.from_estimator(model, X, CODES, grid_resolution=2, random_state=3)
    assert (display.xx0.min(), display.xx0.max(), display.xx1.min(), display.xx1.max()) == (-1, 1, -1, 1)
    for direction in display.directions:
        start = 0
        for W in model.coefs_:
            D = direction[start : start + W.size].reshape(W.shape)
            assert_allclose(np.linalg.norm(D, axis=0), np.linalg.norm(W, axis=0), rtol=1e-12)
            start += W.size
        assert not direction[start:].any()  # biases
    again = LossLandscapeDisplay.from_estimator(model, X, CODES, grid_resolution=2, random_state=3)
    other = LossLandscapeDisplay.from_estimator(model, X, CODES, grid_resolution=2, random_state=4, extent=0.5)
    assert_array_equal(again.directions, display.directions)
    assert (other.directions != display.directions).any()
    assert other.xx0.max() == 0.5


def test_recorder_has_the_weights_of_each_epoch():
    seen, recorder = [], WeightRecorder(every=2)
    model = fitted(MLPClassifier, X, CODES, callbacks=[recorder, lambda est, epoch, logs: seen.append(flat(est))])
    assert recorder.epochs == [2, 4, 6, 8]
    for params, epoch in zip(recorder.params, recorder.epochs, strict=True):
        assert_array_equal(params, seen[epoch - 1])
    assert_array_equal(recorder.params[-1], flat(model))
    assert repr(recorder) == "WeightRecorder(every=2) with 4 records"
    model.set_params(max_iter=2).fit(X, CODES)
    assert recorder.epochs == [2]  # of the last fit
    model.set_params(warm_start=True, max_iter=3).fit(X, CODES)
    assert recorder.epochs == [2, 4]  # a warm start continues the record
    model.set_params(warm_start=False, max_iter=2)
    model.fit(X, CODES)
    assert repr(recorder) == "WeightRecorder(every=2) with 1 record"
    for wrong in (0, 1.5, None, True):
        with pytest.raises(ValueError, match=f"every must be an integer >= 1, got {wrong!r}"):
            WeightRecorder(wrong)
    with pytest.raises(ValueError, match="A WeightRecorder must be called by a fit of fastbp: pass it as callbacks="):
        WeightRecorder()(model, 1, {})


def test_path_is_the_projection_of_the_weights():
    model, recorder = path()
    display = LossLandscapeDisplay.from_estimator(model, X, CODES, path=recorder, grid_resolution=4)
    differences = np.array(recorder.params) - flat(model)
    assert_allclose(display.directions @ display.directions.T, np.eye(2), atol=1e-12)
    assert_allclose(display.path, differences @ display.directions.T, atol=1e-12)
    _, sizes, vectors = np.linalg.svd(differences, full_matrices=False)
    assert_allclose(np.abs(vectors[:2] @ display.directions.T), np.eye(2), atol=1e-7)
    assert_allclose(display.path_shares, sizes[:2] ** 2 / (sizes**2).sum(), rtol=1e-9)
    assert_array_equal(display.path_line_.get_xydata(), display.path)
    assert_array_equal(display.start_point_.get_xydata(), display.path[:1])
    assert_array_equal(display.path_epochs, np.arange(1, 9))
    for epoch in (1, 5, 8):
        stopped = clone(model).set_params(callbacks=None, max_iter=epoch).fit(X, CODES)
        assert_allclose(display.path_loss[epoch - 1], trace(stopped, X, CODES).loss, rtol=1e-12)
    # the drawing contains the path and the center, and its scale is the same in both directions
    low, high = display.xx0.min(), display.xx0.max()
    assert low < min(0, display.path[:, 0].min())
    assert high > max(0, display.path[:, 0].max())
    assert_allclose(high - low, np.ptp(display.xx1), rtol=1e-12)
    assert display.ax_.get_aspect() == 1
    assert display.ax_.get_xlabel() == f"Direction 1 of the path ({100 * display.path_shares[0]:.0f} %)"


@pytest.mark.parametrize(
    "params", [{"batch_norm": True}, {"scale": "standard"}, {"ema_decay": 0.9}, {"layer_norm": True}, {"solver": "lbfgs"}]
)
def test_path_of_folded_networks(params):
    """The recorder has the parameters that are trained, which differ from coefs_."""
    recorder = WeightRecorder()
    rows = 3 + 2 * X.astype(np.float32 if params.get("scale") else np.float64)
    model = fitted(MLPClassifier, rows, CODES, callbacks=recorder, **params)
    display = LossLandscapeDisplay.from_estimator(model, rows, CODES, path=recorder, grid_resolution=3)
    assert_allclose(display.path[-1], 0, atol=1e-12)
    loss = trace(model, rows, CODES).loss
    assert_allclose(display.path_loss[-1], loss, rtol=1e-6)
    random = LossLandscapeDisplay.from_estimator(model, rows, CODES, grid_resolution=3)
    assert_allclose(random.loss[1, 1], loss, rtol=1e-6)


@pytest.mark.parametrize("params", [{"early_stopping": True, "max_iter": 40}, {"solver": "lbfgs"}], ids=str)
def test_path_of_a_fit_whose_last_weights_are_not_recorded(params):
    """With early stopping, the weights are those of the best epoch; the last epoch may be between two records."""
    recorder, others = WeightRecorder(every=3), WeightRecorder()
    model = fitted(MLPClassifier, X, CODES, callbacks=recorder, **params)
    display = LossLandscapeDisplay.from_estimator(model, X, CODES, path=recorder, grid_resolution=3)
    assert_array_equal(display.path_epochs, recorder.epochs)
    fitted(MLPClassifier, X, CODES, callbacks=others, **params | {"random_state": 1, "max_iter": model.n_iter_})
    with pytest.raises(ValueError, match="of another fit"):
        LossLandscapeDisplay.from_estimator(model, X, CODES, path=others, grid_resolution=3)


def test_path_of_a_fit_that_was_continued():
    recorder = WeightRecorder()
    model = fitted(MLPClassifier, X, CODES, callbacks=recorder, warm_start=True, max_iter=3).fit(X, CODES)
    assert recorder.epochs == [1, 2, 3, 4, 5, 6]
    assert recorder.losses == model.loss_curve_
    model.partial_fit(X, CODES)
    display = LossLandscapeDisplay.from_estimator(model, X, CODES, path=recorder, grid_resolution=3)
    assert len(display.path) == len(recorder.epochs)


@pytest.mark.slow
def test_paths_of_one_point_and_of_one_direction():
    model, recorder = path()
    for params in (recorder.params[-1:], recorder.params[:1], [0.5 * flat(model), 0.7 * flat(model)]):
        display = LossLandscapeDisplay.from_estimator(model, X, CODES, path=params, grid_resolution=3)
        assert_allclose(display.directions @ display.directions.T, np.eye(2), atol=1e-12)
        assert_allclose(display.path[:, 1], 0, atol=1e-6)
        display.figure_.draw_without_rendering()


@pytest.mark.slow
@pytest.mark.parametrize("plot_method", ["contourf", "contour", "pcolormesh"])
@pytest.mark.parametrize("values", ["small", "large", "constant", "infinite", "negative"])
def test_surfaces_of_all_ranges(plot_method, values):
    xx0, xx1 = np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 5))
    loss = {
        "small": 1 + xx0**2,
        "large": np.exp(9 * xx0),
        "constant": np.ones_like(xx0),
        "infinite": np.where(xx0 > 0.8, np.inf, xx1**2 + 1),
        "negative": xx0,
    }[values]
    display = LossLandscapeDisplay(xx0=xx0, xx1=xx1, loss=loss).plot(plot_method=plot_method)
    assert type(display.surface_.norm).__name__ == ("LogNorm" if values == "large" else "Normalize")
    display.figure_.draw_without_rendering()
    if plot_method == "pcolormesh":
        assert_array_equal(display.surface_.get_array(), np.ma.masked_invalid(loss))


def test_errors_of_landscapes():
    model, recorder = path()
    draw = LossLandscapeDisplay.from_estimator
    with pytest.raises(
        ValueError, match=r"path must have at least one record, got WeightRecorder\(every=1\) with 0 records.*callbacks"
    ):
        draw(model, X, CODES, path=WeightRecorder())
    with pytest.raises(
        ValueError, match=rf"path must be a WeightRecorder or an array .* of shape \(n_records, {flat(model).size}\).*got shape"
    ):
        draw(model, X, CODES, path=np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"because the network has \d+ parameters; got shape \(8, "):
        draw(classifier(), WIDE, CODES, path=recorder)
    for params in ({"activation": "relu"}, {"scale": "standard"}, {"random_state": 1}, {"alpha": 0.1}):
        other = clone(model).set_params(callbacks=None, **params).fit(X, CODES)
        with pytest.raises(
            ValueError, match=r"path must be the recorder of the fit of this estimator, got Weight.* of another fit"
        ):
            draw(other, X, CODES, path=recorder)
    with pytest.raises(ValueError, match="path must contain only numbers, got 'abc'"):
        draw(model, X, CODES, path="abc")
    with pytest.raises(ValueError, match="path must contain only numbers, got an object of type MLPClassifier"):
        draw(model, X, CODES, path=model)
    with pytest.raises(ValueError, match="grid_resolution must be an integer >= 2, got 1"):
        draw(model, X, CODES, grid_resolution=1)
    for wrong in (0, -1, np.inf, "1"):
        with pytest.raises(ValueError, match=f"extent must be None or a finite number > 0, got {wrong!r}"):
            draw(model, X, CODES, extent=wrong)
    with pytest.raises(ValueError, match="plot_method must be one of 'contourf', 'contour', 'pcolormesh'; got 'surface'"):
        draw(model, X, CODES, plot_method="surface")
    with pytest.raises(ValueError, match="X has 12 features"):
        draw(model, WIDE, CODES)
    with pytest.raises(ValueError, match="loss must be finite at some points"):
        LossLandscapeDisplay(xx0=X, xx1=X, loss=np.full_like(X, np.nan)).plot()
    with pytest.raises(ValueError, match=r"log_scale must be False or None if losses are <= 0, got True and a smallest loss of -"):
        LossLandscapeDisplay(xx0=X, xx1=X, loss=X).plot(log_scale=True)
    assert not plt.get_fignums()


# ---------------------------------------------------------------------- decision surfaces


def grid_of(display):
    return np.column_stack([display.xx0.ravel(), display.xx1.ravel()])


def test_probability_of_the_second_class():
    model = plane("binary")
    display = DecisionSurfaceDisplay.from_estimator(model, X, BINARY, grid_resolution=20)
    expected = model.predict_proba(grid_of(display))[:, 1].reshape(20, 20)
    assert_array_equal(display.images_[0].get_array(), expected)
    assert display.images_[0].get_clim() == (0, 1)
    assert display.colorbars_[0].ax.get_ylabel() == "Probability of class yes"
    assert_array_equal(display.boundaries_[0].levels, [0.5])
    assert_array_equal(display.points_[0].get_offsets(), X)
    assert_array_equal(display.points_[0].get_array(), BINARY == "yes")


def test_the_pixels_are_at_the_points_of_the_grid():
    display = DecisionSurfaceDisplay.from_estimator(plane("value"), X, grid_resolution=11, margin=0.25)
    low, high = X.min(axis=0), X.max(axis=0)
    assert_allclose(display.xx0[0, [0, -1]], [low[0] - 0.25 * (high - low)[0], high[0] + 0.25 * (high - low)[0]])
    left, right, bottom, top = display.images_[0].get_extent()
    assert_allclose(np.diff(display.xx0[0])[0], (right - left) / 11)
    assert_allclose(display.xx0[0, 0], left + (right - left) / 22)
    assert_allclose(display.xx1[-1, 0], top - (top - bottom) / 22)
    assert display.images_[0].origin == "lower"
    assert not display.points_


def test_colors_of_the_most_probable_class():
    model = plane("classes")
    display = DecisionSurfaceDisplay.from_estimator(model, X, CODES, grid_resolution=20)
    P = model.predict_proba(grid_of(display)).reshape(20, 20, 3)
    assert_array_equal(display.response[0], P)
    image = np.asarray(display.images_[0].get_array())
    colors = np.array([to_rgb(color) for color in PALETTE[:3]])
    opacity = 0.75 * (3 * P.max(axis=2) - 1) / 2
    assert_allclose(image, 1 - opacity[..., None] * (1 - colors[P.argmax(axis=2)]), atol=1e-12)
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["0", "1", "2"]
    assert_allclose(display.points_[0].get_facecolor()[:, :3], colors[CODES])
    assert display.boundaries_
    assert not display.colorbars_


@pytest.mark.parametrize("kind", ["value", "values"])
def test_predictions_of_regressors(kind):
    model = plane(kind)
    y = VALUES if kind == "value" else np.column_stack([VALUES, X[:, 0]])
    display = DecisionSurfaceDisplay.from_estimator(model, X, y, grid_resolution=9)
    expected = model.predict(grid_of(display)).reshape(9, 9, -1)
    assert len(display.images_) == len(display.colorbars_) == expected.shape[2]
    for output, image in enumerate(display.images_):
        assert_array_equal(image.get_array(), expected[..., output])
        assert image.get_clim() == (expected[..., output].min(), expected[..., output].max())
        assert_array_equal(display.points_[output].get_array(), y.reshape(60, -1)[:, output])
        assert display.points_[output].norm is image.norm


def test_quantiles_have_the_same_points():
    model = fitted(MLPRegressor, X, VALUES, loss="quantile", quantile=[0.1, 0.9], hidden_layer_sizes=3)
    display = DecisionSurfaceDisplay.from_estimator(model, X, VALUES, grid_resolution=5)
    assert [ax.get_title() for ax in display.axes_] == ["quantile 0.1", "quantile 0.9"]
    assert all((points.get_array() == VALUES).all() for points in display.points_)


@pytest.mark.slow
def test_several_labels_and_several_outputs():
    model = plane("labels")
    display = DecisionSurfaceDisplay.from_estimator(model, X, 1 * (X > 0), grid_resolution=9)
    expected = model.predict_proba(grid_of(display)).reshape(9, 9, 2)
    for label in (0, 1):
        assert_array_equal(display.images_[label].get_array(), expected[..., label])
        assert_array_equal(display.points_[label].get_array(), X[:, label] > 0)
    assert [ax.get_title() for ax in display.axes_] == ["label 0", "label 1"]
    model = plane("outputs")
    y = np.column_stack([CODES, BINARY == "yes"])
    display = DecisionSurfaceDisplay.from_estimator(model, X, y, grid_resolution=9)
    for response, expected in zip(display.response, model.predict_proba(grid_of(display)), strict=True):
        assert_array_equal(response, expected.reshape(9, 9, -1))
    assert [ax.get_title() for ax in display.axes_] == ["output 0", "output 1"]
    DecisionSurfaceDisplay.from_estimator(model, X, y, layer=1, grid_resolution=9).figure_.draw_without_rendering()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["binary", "classes", "value"])
@pytest.mark.parametrize("layer", [1, 2, -1])
def test_activations_of_units(kind, layer):
    model, y = plane(kind), {"binary": BINARY, "classes": CODES, "value": VALUES}[kind]
    display = DecisionSurfaceDisplay.from_estimator(model, X, y, layer=layer, grid_resolution=9)
    expected = model.transform(grid_of(display), layer)
    assert len(display.images_) == expected.shape[1]
    for unit, image in enumerate(display.images_):
        assert_array_equal(image.get_array(), expected[:, unit].reshape(9, 9))
    assert len({image.get_clim() for image in display.images_}) == 1  # one color scale
    if layer > 0:
        limits, level = ((-1, 1), 0) if kind != "value" else ((0, 1), 0.5)
        assert display.images_[0].get_clim() == limits
        assert all(boundary.levels.tolist() == [level] for boundary in display.boundaries_)
    display.figure_.draw_without_rendering()


def test_chosen_units():
    display = DecisionSurfaceDisplay.from_estimator(plane(), X, layer=1, units=[2, 0], grid_resolution=5)
    expected = plane().transform(grid_of(display), 1)
    assert_array_equal(display.images_[0].get_array(), expected[:, 2].reshape(5, 5))
    assert [ax.get_title() for ax in display.axes_] == ["unit 2", "unit 0"]
    assert len(DecisionSurfaceDisplay.from_estimator(plane(), X, layer=1, max_units=2, grid_resolution=5).images_) == 2


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_data_frames_give_the_names_of_the_axes(frame):
    data = frame({"width": X[:, 0], "height": X[:, 1]})
    model = fitted(MLPClassifier, data, CODES, hidden_layer_sizes=3)
    display = DecisionSurfaceDisplay.from_estimator(model, data, CODES, grid_resolution=5)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("width", "height")
    assert DecisionSurfaceDisplay.from_estimator(model, data, layer=1, grid_resolution=5).axes_.size == 3
    transforming = clone(model).set_output(transform="pandas").fit(data, CODES)
    assert DecisionSurfaceDisplay.from_estimator(transforming, data, layer=1, grid_resolution=5).axes_.size == 3


def test_errors_of_decision_surfaces():
    draw, model = DecisionSurfaceDisplay.from_estimator, plane()
    with pytest.raises(ValueError, match=r"est must have been fitted with 2 features.*got 12 features"):
        draw(classifier(), WIDE)
    for wrong in (WIDE, X[:, :1], X[0], X[:0]):
        with pytest.raises(ValueError, match=r"X must have shape \(n_samples, 2\) with at least one row.*got shape"):
            draw(model, wrong)
    with pytest.raises(ValueError, match=r"y must have one target for each of the 60 rows of X, got shape \(59,\)"):
        draw(model, X, CODES[1:])
    with pytest.raises(ValueError, match=r"y must contain only the classes of est, .*Pass the labels of the fit"):
        draw(model, X, CODES + 1)
    with pytest.raises(ValueError, match=r"y must contain only the classes of est, .*Pass the labels of the fit"):
        draw(model, X, BINARY)
    with pytest.raises(ValueError, match="y must contain only numbers"):
        draw(plane("value"), X, BINARY)
    with pytest.raises(ValueError, match=r"layer must be an integer from 1 to 3 or from -3 to -1.*got 0"):
        draw(model, X, layer=0)
    with pytest.raises(ValueError, match="units must be one or several integers from 0 to 1, because hidden layer 2 has 2 units"):
        draw(model, X, layer=2, units=5)
    with pytest.raises(ValueError, match="grid_resolution must be an integer >= 2, got 1"):
        draw(model, X, grid_resolution=1)
    for wrong in (-0.1, np.inf, "0"):
        with pytest.raises(ValueError, match=f"margin must be a finite number >= 0, got {wrong!r}"):
            draw(model, X, margin=wrong)
    one_class = fitted(MLPClassifier, X, np.zeros(60))
    with pytest.raises(ValueError, match="est must have at least two classes"):
        draw(one_class, X)
    with pytest.raises(ValueError, match=r"X must contain only numbers, got \[\['a', 'b'\]\] \(could not convert"):
        draw(model, [["a", "b"]])
    with pytest.raises(ValueError, match="y must have one column for each of the 2 outputs of est, got 3 columns"):
        draw(plane("values"), X, np.zeros((60, 3)))
    with pytest.raises(ValueError, match="X must have finite values in both columns"):
        draw(model, X * np.inf)
    assert not plt.get_fignums()
