"""``summary``: the sizes of the layers of a fitted network, as text, as a data frame and as a part of the estimator's HTML."""

import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import sklearn
import sklearn.neural_network
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import Activation, MLPClassifier, MLPRegressor
from fastbp.inspection import LayerSummary, Summary, summary

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.RandomState(0)
X = RANDOM.normal(size=(40, 4))
GAPS = np.where(RANDOM.uniform(size=X.shape) < [0.2, 0, 0.2, 0], np.nan, X)
VALUES = X[:, 0] - X[:, 1]
CODES = 1 * (X[:, 0] > 0) + (X[:, 1] > 0.3)
SMALL = {"hidden_layer_sizes": (6, 5), "max_iter": 2, "random_state": 0}

# (class, parameters, X, y)
CASES = {
    "one layer": (MLPClassifier, {"hidden_layer_sizes": 7}, X, CODES),
    "linear": (MLPRegressor, {"hidden_layer_sizes": ()}, X, VALUES),
    "binary": (MLPClassifier, {}, X, CODES > 0),
    "several outputs": (MLPRegressor, {}, X, X[:, :3]),
    "multioutput": (MLPClassifier, {}, X, np.column_stack([CODES, CODES > 0])),
    "quantiles": (MLPRegressor, {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]}, X, VALUES),
    "batch_norm": (MLPClassifier, {"batch_norm": True}, X, CODES),
    "layer_norm": (MLPClassifier, {"layer_norm": True}, X, CODES),
    "sparse": (MLPClassifier, {}, csr_array(X * (X > 0)), CODES),
    "scale": (MLPRegressor, {"scale": "standard", "scale_y": "standard"}, X, VALUES),
    "float32": (MLPRegressor, {}, X.astype(np.float32), VALUES),
    "float32 parameter": (MLPRegressor, {"dtype": "float32", "scale": "standard"}, X, VALUES),
    "missing": (MLPRegressor, {"missing": "indicator"}, GAPS, VALUES),
    "lbfgs": (MLPRegressor, {"solver": "lbfgs"}, X.astype(np.float32), VALUES),
    "ema_decay": (MLPRegressor, {"ema_decay": 0.9, "batch_norm": True}, X, VALUES),
}


def fitted(case="one layer", **params):
    kind, own, rows, y = CASES[case]
    return kind(**SMALL | own | params).fit(rows, y)


# ---------------------------------------------------------------------- numbers


@pytest.mark.parametrize("case", CASES)
def test_numbers_are_those_of_the_weights(case):
    model = fitted(case)
    found = summary(model)
    n_hidden = len(model.coefs_) - 1
    norms = [*zip(getattr(model, "norm_scales_", []), getattr(model, "norm_shifts_", []), strict=True), *[()] * (n_hidden + 1)]
    for layer, W, b, norm in zip(found.layers, model.coefs_, model.intercepts_, norms, strict=False):
        arrays = [W, b, *norm]
        assert (layer.n_in, layer.n_out) == W.shape
        assert layer.n_params == sum(array.size for array in arrays)
        assert layer.n_bytes == sum(array.nbytes for array in arrays)
        assert layer.n_multiply_adds == W.size
    assert len(found.layers) == len(model.coefs_)
    assert found.dtype == model.coefs_[0].dtype.name
    assert found.n_features == 4
    for name in ("n_params", "n_bytes", "n_multiply_adds"):
        assert getattr(found, name) == sum(getattr(layer, name) for layer in found.layers)
    assert [layer.name for layer in found.layers] == [*(f"hidden {n + 1}" for n in range(n_hidden)), "output"]
    assert found.layers[-1].activation == model.out_activation_


def test_cases_differ_in_the_ways_that_they_name():
    assert summary(fitted("missing")).layers[0].n_in == 6
    assert summary(fitted("lbfgs")).dtype == "float64"
    assert summary(fitted("float32")).dtype == "float32"
    assert hasattr(fitted("layer_norm"), "norm_scales_")


@pytest.mark.parametrize(("case", "n_more"), [("batch_norm", 6 + 5), ("layer_norm", 0), ("one layer", 0), ("missing", 0)])
def test_number_of_trained_parameters(case, n_more):
    found = summary(fitted(case))
    assert found.n_trained_params == found.n_params + n_more


def test_parameters_of_training_are_those_that_the_solver_changes():
    model = fitted("batch_norm")
    assert summary(model).n_trained_params == model._optimizer.moments.size // 2


@pytest.mark.slow
def test_functions_of_the_layers():
    def ramp(z):
        return max(z, 0.0)

    model = fitted(activation=["tanh", Activation(ramp)], hidden_layer_sizes=(6, 5), layer_norm=True, dropout=[0.1, 0.2, 0])
    found = summary(model)
    assert [layer.activation for layer in found.layers] == ["tanh", "Activation(ramp)", "softmax"]
    assert [layer.norm for layer in found.layers] == ["layer_norm", "layer_norm", None]
    assert [layer.dropout for layer in found.layers] == [0.2, 0.0, 0.0]
    assert found.input_dropout == 0.1


def test_activation_is_that_of_the_fit():
    model = fitted(activation="tanh").set_params(activation="relu")
    assert summary(model).layers[0].activation == "tanh"


def test_weights_that_the_user_has_set():
    model = MLPRegressor(activation="tanh")
    model.coefs_, model.intercepts_ = [np.ones((3, 2)), np.ones((2, 1))], [np.ones(2), np.ones(1)]
    model.out_activation_ = "identity"
    found = summary(model)
    assert (found.n_params, found.n_trained_params, found.n_features) == (11, 11, 3)
    assert "n_layers_" not in vars(model)


# ---------------------------------------------------------------------- errors


def test_error_if_the_estimator_is_not_fitted():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        summary(MLPClassifier())


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (make_pipeline(StandardScaler(), MLPClassifier()), r"type Pipeline of scikit-learn\. .*pipeline\[-1\]"),
        (GridSearchCV(MLPClassifier(), {}), r"type GridSearchCV of scikit-learn\. .*best_estimator_"),
        (sklearn.neural_network.MLPClassifier(), r"type MLPClassifier of scikit-learn\. Fit fastbp\.MLPClassifier"),
        (MLPClassifier, r"the class MLPClassifier\. Pass an estimator on which fit was called"),
        (None, r"None\. Pass an estimator on which fit was called"),
    ],
)
def test_error_for_other_objects(other, message):
    with pytest.raises(TypeError, match=f"got (an object of )?{message}"):
        summary(other)


def test_error_if_dropout_was_set_to_an_invalid_value():
    model = fitted()
    with pytest.raises(ValueError, match="dropout must be"):
        summary(model.set_params(dropout=[0.1, 0.2, 0.3]))


# ---------------------------------------------------------------------- text and data frame


def test_text_is_an_aligned_table():
    model = fitted("missing", batch_norm=True, hidden_layer_sizes=(300, 5), dropout=[0.1, 0.25, 0])
    assert repr(summary(model)).splitlines() == [
        "MLPRegressor 6-300-5-1: 3,611 parameters in float64 (28.2 KiB), 3,305 multiply-adds per row",
        "layer     shape     activation  norm        dropout  parameters  multiply-adds   bytes",
        "hidden 1  (6, 300)  relu        batch_norm     0.25       2,100          1,800  16,800",
        "hidden 2  (300, 5)  relu        batch_norm                1,505          1,500  12,040",
        "output    (5, 1)    identity                                  6              5      48",
        "total                                                     3,611          3,305  28,888",
        "Inputs: 4 features and 2 indicators of missing values.",
        "The dropout rate of the inputs is 0.1.",
        "Batch normalization is folded into the weights and biases; training has 3,916 parameters.",
    ]


def test_columns_without_values_are_left_out():
    title = repr(summary(fitted())).splitlines()[1]
    assert title.split() == ["layer", "shape", "activation", "parameters", "multiply-adds", "bytes"]


def test_heading_in_the_singular():
    model = MLPRegressor(())
    model.coefs_, model.intercepts_, model.out_activation_ = [np.ones((1, 1), np.float32)], [np.ones(1, np.float32)], "identity"
    assert repr(summary(model)).startswith("MLPRegressor 1-1: 2 parameters in float32 (8 bytes), 1 multiply-add per row\n")


def test_data_frame_has_the_numbers():
    found = summary(fitted("layer_norm"))
    frame = found.to_frame()
    assert list(frame.index) == ["hidden 1", "hidden 2", "output"]
    for layer in found.layers:
        row = frame.loc[layer.name].to_dict() | {"name": layer.name}
        row["norm"] = row["norm"] if isinstance(row["norm"], str) else None  # pandas stores NaN
        assert row == vars(layer)


def test_error_of_data_frame_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"fastbp\[datasets\]"):
        summary(fitted()).to_frame()


def test_summary_is_comparable():
    model = fitted()
    assert summary(model) == summary(model)
    assert isinstance(summary(model).layers[0], LayerSummary)
    assert isinstance(summary(model), Summary)


# ---------------------------------------------------------------------- HTML


class Table(HTMLParser):
    """The rows of the HTML table of a summary, as lists of texts, and the text before it."""

    def __init__(self, html):
        super().__init__()
        self.rows, self.about, self.open = [], "", []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag != "br":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += text
        elif self.open and self.open[-1] == "p":
            self.about += text


def test_html_has_the_cells_of_the_text():
    found = summary(fitted("missing", dropout=0.1))
    table = Table(found._repr_html_())
    heading, *lines, note = repr(found).splitlines()
    assert table.about == heading + note
    assert [" ".join(filter(None, row)).split() for row in table.rows] == [line.split() for line in lines]
    assert len({len(row) for row in table.rows}) == 1


def test_html_of_the_estimator_contains_the_summary():
    model = fitted()
    with sklearn.config_context(display="diagram"):
        html = model._repr_html_()
        assert html == model._repr_mimebundle_()["text/html"] or "sk-container-id" in html  # each call has new ids
    assert html.endswith(summary(model).to_html())
    assert "sk-estimator" in html


def test_html_of_an_estimator_that_is_not_fitted():
    assert "fastbp-table" not in MLPClassifier()._repr_html_()


def test_html_of_other_estimators_contains_no_summary():
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(**SMALL)).fit(X, CODES)
    html = pipeline._repr_html_()
    assert "fastbp-table" not in html
    assert "MLPClassifier" in html
    assert "fastbp-table" in pipeline[-1]._repr_html_()


def test_text_display_has_no_html():
    with sklearn.config_context(display="text"):
        assert not hasattr(fitted(), "_repr_html_")
        assert list(fitted()._repr_mimebundle_()) == ["text/plain"]


@pytest.mark.slow
def test_html_of_names_is_escaped():
    def ramp(z):
        return max(z, 0.0)

    ramp.__name__ = "<b>"
    html = summary(fitted(activation=Activation(ramp)))._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<b>" not in html


@pytest.mark.parametrize("change", [{"dropout": "much"}, {"coefs_": [np.ones((2, 2))]}, {"intercepts_": []}], ids=str)
def test_html_without_a_summary_if_the_model_was_changed_to_an_invalid_one(change):
    model = fitted()
    vars(model).update(change)
    html = model._repr_html_()
    assert "fastbp-table" not in html
    assert "sk-estimator" in html


@pytest.mark.slow
def test_import_of_fastbp_imports_neither_summary_nor_display():
    names = ("fastbp._summary", "fastbp._training.progress_display", "fastbp.inspection")
    code = f"import sys, fastbp; print([name for name in sys.modules if name in {names}])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
