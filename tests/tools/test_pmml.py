"""PMML files that nyoka and sklearn2pmml write, evaluated by JPMML: they predict the same as the model, or there is an error.

The packages are nyoka, lxml, sklearn2pmml, dill, jpmml_evaluator and jpype1. sklearn2pmml and jpmml_evaluator need Java. Version
0.133 of sklearn2pmml supports scikit-learn 1.9.0, but not 1.9.1.
"""

import jpmml_evaluator
import numpy as np
import nyoka
import pandas as pd
import pytest
import sklearn2pmml
from sklearn import neural_network
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import Activation, MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore")  # the warnings of these packages

X, SPECIES = load_iris(return_X_y=True)
X = pd.DataFrame(X, columns=["a", "b", "c", "d"])
LENGTH = X["a"].to_numpy() * 2
SMALL = {"hidden_layer_sizes": (6, 4), "max_iter": 30, "learning_rate_init": 0.01, "random_state": 0}
MODELS = [
    (MLPClassifier, SPECIES, {}),
    (MLPClassifier, SPECIES, {"scale": "standard", "batch_norm": True, "ema_decay": 0.9, "solver": "adamw", "dropout": 0.1}),
    (MLPClassifier, (SPECIES > 0).astype(int), {"activation": "tanh", "scale": "robust"}),
    (MLPRegressor, LENGTH, {"activation": "logistic"}),
    (MLPRegressor, LENGTH, {"scale": "standard", "scale_y": "standard", "loss": "huber", "activation": "identity"}),
]
NAMES = ["plain", "folded", "binary", "regressor", "folded regressor"]
each_model = pytest.mark.parametrize(("cls", "y", "params"), MODELS, ids=NAMES)


def evaluated(path, rows=X):
    """The outputs of the model in a PMML file, by name: probabilities of a classifier, or predictions of a regressor."""
    results = jpmml_evaluator.make_evaluator(str(path), backend="jpype").evaluateAll(rows)
    probabilities = [name for name in results if name.startswith("probability")]
    names = probabilities or [name for name in results if not name.startswith("predicted")]
    return results[names].to_numpy(float)


def expected(model, rows=X):
    return model.predict_proba(rows) if isinstance(model, MLPClassifier) else model.predict(rows).reshape(len(rows), -1)


def write_with_nyoka(model, path, *steps):
    nyoka.skl_to_pmml(make_pipeline(*steps, model), list(X.columns), "y", str(path))


def write_with_sklearn2pmml(model, path, *steps):
    sklearn2pmml.sklearn2pmml(make_pipeline(*steps, model), str(path))


# ---------------------------------------------------------------------- files with the right predictions


@each_model
def test_nyoka(tmp_path, cls, y, params):
    model = cls(**SMALL | params).fit(X, y)
    for one in (model, model.to_sklearn()):
        write_with_nyoka(one, tmp_path / "model.pmml")
        np.testing.assert_allclose(evaluated(tmp_path / "model.pmml"), expected(model), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(("cls", "y", "params"), MODELS[1:4], ids=NAMES[1:4])  # each call starts Java, which takes seconds
def test_sklearn2pmml(tmp_path, cls, y, params):
    model = cls(**SMALL | params).fit(X, y)
    write_with_sklearn2pmml(model.to_sklearn(), tmp_path / "model.pmml")
    np.testing.assert_allclose(evaluated(tmp_path / "model.pmml"), expected(model), rtol=1e-10, atol=1e-13)


def test_sklearn2pmml_with_several_outputs(tmp_path):
    model = MLPRegressor(**SMALL, scale_y="standard").fit(X, np.column_stack([LENGTH, SPECIES]))
    write_with_sklearn2pmml(model.to_sklearn(), tmp_path / "model.pmml")
    np.testing.assert_allclose(evaluated(tmp_path / "model.pmml"), expected(model), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("write", [write_with_nyoka, write_with_sklearn2pmml])
def test_pipelines(tmp_path, write):
    """The last step of a fitted Pipeline is replaced by the estimator of scikit-learn."""
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(**SMALL)).fit(X, SPECIES)
    pipeline.set_params(mlpclassifier=pipeline[-1].to_sklearn())
    write(pipeline[-1], tmp_path / "model.pmml", pipeline[0])
    np.testing.assert_allclose(evaluated(tmp_path / "model.pmml"), pipeline.predict_proba(X), rtol=1e-10, atol=1e-13)


# ---------------------------------------------------------------------- errors


def softsign(z):
    return z / (1 + abs(z))


UNSUPPORTED = [
    (MLPClassifier, SPECIES, {"layer_norm": True}, "layer_norm=True is not supported"),
    (MLPClassifier, SPECIES, {"missing": "indicator"}, "missing='indicator' is not supported"),
    (MLPClassifier, SPECIES, {"activation": "gelu"}, "activation='gelu' is not supported"),
    (MLPClassifier, SPECIES, {"activation": ["tanh", "relu"]}, "is not supported"),
    (MLPRegressor, LENGTH, {"activation": Activation(softsign)}, r"Activation\(softsign\) is not supported"),
    (MLPClassifier, SPECIES, {"loss": "squared_error"}, "loss='squared_error' is not supported"),
    (MLPClassifier, SPECIES > 0, {"loss": "squared_error", "out_activation": "identity"}, "loss='squared_error' is not supported"),
    (MLPRegressor, LENGTH, {"loss": "quantile", "quantile": [0.1, 0.9]}, r"quantile=\[0.1, 0.9\] is not supported"),
    (MLPRegressor, LENGTH, {"out_activation": "softplus"}, "out_activation='softplus' is not supported"),
    (MLPRegressor, LENGTH, {"loss": "poisson"}, "ignores the output activation 'exp'"),
    (MLPRegressor, np.column_stack([LENGTH, SPECIES]), {}, "only the first of 2 outputs"),
    (MLPClassifier, np.column_stack([SPECIES > 0, SPECIES > 1]).astype(int), {}, "only one column of labels"),
    (MLPClassifier, np.column_stack([SPECIES, SPECIES]), {}, "several multiclass columns is not supported"),
    (MLPClassifier, SPECIES, {"activation": ["tanh", "tanh"]}, r"cannot read activation=\['tanh', 'tanh'\]"),
]


@pytest.mark.parametrize(("cls", "y", "params", "message"), UNSUPPORTED)
def test_nyoka_writes_no_wrong_file(tmp_path, cls, y, params, message):
    model = cls(**SMALL | params).fit(X, y)
    with pytest.raises(ValueError, match=r"nyoka cannot export this model.*" + message):
        write_with_nyoka(model, tmp_path / "model.pmml")
    assert not (tmp_path / "model.pmml").exists()


@pytest.mark.parametrize("write", [write_with_nyoka, write_with_sklearn2pmml])
def test_poisson_regressors_of_scikit_learn_become_wrong_files(tmp_path, write):
    """Both packages ignore the exponential, as the documentation says. If this test fails, one of them supports it now."""
    model = neural_network.MLPRegressor(**SMALL, loss="poisson").fit(X, LENGTH)
    write(model, tmp_path / "model.pmml")
    np.testing.assert_allclose(np.exp(evaluated(tmp_path / "model.pmml")[:, 0]), model.predict(X), rtol=1e-10)


def test_sklearn2pmml_recognizes_classes(tmp_path):
    with pytest.raises(RuntimeError, match="application has failed"):
        write_with_sklearn2pmml(MLPClassifier(**SMALL).fit(X, SPECIES), tmp_path / "model.pmml")
