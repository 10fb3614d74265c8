"""What `fastbp.inspection` and other tools do with estimators for tables."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from fastbp import MLPClassifier, RealMLPClassifier, RealMLPRegressor, graph, inspection
from fastbp.inspection import LossCurveDisplay, summary

matplotlib.use("Agg")
RNG = np.random.default_rng(0)
X = pd.DataFrame({"size": RNG.normal(size=80), "price": RNG.normal(size=80), "color": RNG.choice(list("abcdefghijklmnop"), 80)})
X["code"] = RNG.choice(["u", "v", "w"], 80)
X.loc[:5, "size"] = np.nan
LABELS = np.where(X["price"] > 0, "yes", "no")
SMALL = {"hidden_layer_sizes": (16, 8), "max_iter": 3, "random_state": 0}


def fitted(preset="td", kind=RealMLPClassifier, **options):
    return kind(preset, **SMALL, **options).fit(X, LABELS if kind is RealMLPClassifier else X["price"])


def note_on_scale(n_params, layer="hidden 1"):
    return f"Each input has a scale, which is folded into the weights of the layer {layer!r}; training has {n_params:,} parameters."


@pytest.mark.parametrize("preset", ["td", "td-s"])
def test_summary_counts_all_parameters(preset):
    model = fitted(preset, n_cv=2)
    found = summary(model)
    network = model.members_[0].network
    assert found.n_params == network.params.size
    assert found.n_bytes == network.params.nbytes
    assert found.n_trained_params == network.params.size + network.plan.layout.sizes[0]
    assert found.n_multiply_adds == sum(layer.n_multiply_adds for layer in found.layers)
    assert [layer.name for layer in found.layers][-3:] == ["hidden 1", "hidden 2", "output"]
    assert repr(found).splitlines()[-3:] == [
        f"Inputs: {network.plan.layout.sizes[0]}, computed from 4 columns.",
        note_on_scale(found.n_trained_params),
        "Each of the 2 members has such a network.",
    ]
    assert found.to_frame().shape == (len(found.layers), 8)
    assert "hidden 1" in found.to_html()


def test_summary_shows_embeddings():
    text = repr(summary(fitted()))
    assert text.startswith("RealMLPClassifier 20-16-8-2: ")
    lines = text.splitlines()
    assert lines[2].split() == ["embedding", "of", "numbers", "(2,", "8)", "pbld", "166", "128", "664"]
    assert lines[3].split() == ["embedding", "of", "'color'", "(17,", "8)", "embedding", "136", "0", "544"]
    assert lines[4].split() == ["hidden", "1", "(20,", "16)", "selu,", "parametric", "0.15", "352", "320", "1,408"]
    assert lines[-1] == "There is one member."


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["selu, parametric"] * 4),
        ({"residual_connections": True}, ["selu, parametric", "selu, parametric + inputs", *["selu, parametric"] * 2]),
        ({"parametric_activation": False}, ["selu"] * 4),
        ({"parametric_activation": False, "residual_connections": True}, ["selu", "selu + inputs", "selu", "selu"]),
    ],
    ids=["parametric", "both", "plain", "residual"],
)
def test_summary_shows_parametric_activations_and_residual_connections(options, expected):
    """A layer adds its inputs only if it has as many units as inputs, and never in the first layer."""
    model = RealMLPClassifier(**SMALL | {"hidden_layer_sizes": (6, 6, 4, 5)} | options).fit(X, LABELS)
    found = summary(model)
    shown = [layer.activation for layer in found.layers if layer.name.startswith("hidden")]
    assert shown == expected
    assert all(activation in str(found) for activation in expected)
    assert found.to_frame()["activation"].tolist()[-5:] == [*expected, "softmax"]


def test_summary_of_equal_sizes_of_inputs_and_first_layer():
    model = RealMLPRegressor("td-s", residual_connections=True, hidden_layer_sizes=(2, 2), max_iter=1)
    found = summary(model.fit(X[["price", "price"]].to_numpy(), X["price"]))
    assert [layer.activation for layer in found.layers] == ["mish", "mish + inputs", "identity"]


def test_summary_names_members_of_other_sizes():
    model = fitted("best")
    sizes = [(member.network.plan.layout.sizes[0], member.network.params.size) for member in model.members_]
    (n_inputs, n_params), (more_inputs, more_params) = sizes[:2]
    assert sizes == 3 * [(n_inputs, n_params), (more_inputs, more_params)]
    assert more_inputs > n_inputs
    found = summary(model)
    assert found.n_params == n_params
    assert found.notes == (
        f"Inputs: {n_inputs}, computed from 4 columns.",
        note_on_scale(n_params + n_inputs),
        f"Members 1, 3 and 5 have such a network; members 2, 4 and 6 have {more_inputs} inputs and {more_params:,} parameters.",
    )
    assert found.notes[-1] in found.to_html()


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (7, "Member 1 has such a network; members 2 and 3 have 2 inputs and 13 parameters."),
        (8, "Members 1 and 3 have such a network; member 2 has 1 input and 10 parameters."),
    ],
    ids=["first", "second"],
)
def test_summary_of_a_single_member_of_another_size(row, expected):
    """One member has no missing value in its training rows, so that its network has no indicator."""
    values = np.where(np.arange(60) == row, np.nan, np.arange(60.0))
    model = RealMLPRegressor("td-s", **SMALL | {"hidden_layer_sizes": 3}, n_cv=3).fit(values[:, None], np.arange(60.0))
    assert summary(model).notes[-1] == expected


def test_summary_of_a_network_without_hidden_layers():
    notes = summary(RealMLPRegressor("td-s", hidden_layer_sizes=(), max_iter=1).fit(np.eye(9), np.arange(9.0))).notes
    assert notes[1] == note_on_scale(19, "output")


def test_summary_of_models_without_networks():
    with pytest.raises(NotFittedError):
        summary(RealMLPClassifier())
    with pytest.raises(ValueError, match="y has a single class"):
        summary(RealMLPClassifier("td-s").fit(X, ["a"] * 80))


def test_loss_curves_of_members():
    model = fitted("td-s", n_cv=3)
    display = LossCurveDisplay.from_estimator(model, score=True, learning_rate=True)
    assert [line.get_ydata().tolist() for line in display.train_lines_] == [member.loss_curve_ for member in model.members_]
    assert [line.get_ydata().tolist() for line in display.score_lines_] == [member.validation_scores_ for member in model.members_]
    assert display.best_epoch == [member.best_epoch_ for member in model.members_]
    assert display.names == ["member 1", "member 2", "member 3"]
    assert display.loss_name == "log_loss"
    single = LossCurveDisplay.from_estimator(fitted("td-s", validation_fraction=0))
    assert single.names is None
    assert single.best_epoch == [None]


def test_loss_curves_of_several_estimators():
    network = MLPClassifier((4,), max_iter=30, random_state=0, tol=1).fit(X[["price"]], LABELS)
    display = LossCurveDisplay.from_estimator({"table": fitted("td-s", n_ensemble=2), "network": network})
    assert display.names == ["table, member 1", "table, member 2", "network"]
    assert display.loss_name == "log_loss"
    assert LossCurveDisplay.from_estimator([fitted("td-s"), network]).names == ["model 1", "model 2"]
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(RealMLPRegressor())
    with pytest.raises(ValueError, match="y has a single class"):
        LossCurveDisplay.from_estimator(RealMLPClassifier("td-s").fit(X, ["a"] * 80))


@pytest.mark.parametrize("name", ["trace", "check_gradients", "diagnose"])
def test_other_functions_name_those_that_support_tables(name):
    with pytest.raises(
        TypeError, match=r"Estimators for tables have several networks .* summary and LossCurveDisplay support them"
    ):
        getattr(inspection, name)(fitted("td-s"), X, LABELS)


def test_other_displays_and_graphs_name_those_that_support_tables():
    model = fitted("td-s")
    displays = [inspection.WeightsDisplay, inspection.NetworkDisplay]
    for function in (*(display.from_estimator for display in displays), lambda est: graph.from_estimator(est, X, LABELS)):
        with pytest.raises(TypeError, match="Estimators for tables have several networks"):
            function(model)
