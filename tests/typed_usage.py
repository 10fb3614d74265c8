"""Uses of the public API that a type checker must accept or reject. `make lint` runs mypy on this file; nothing executes it.

Each line that must be rejected ends with a `type: ignore` comment that names the error. mypy reports a comment that is not needed,
so the check fails when a public parameter or result loses its type.
"""

from pathlib import Path
from typing import Any, assert_type

import numpy as np

from fastbp import Activation, Checkpoint, Loss, MLPClassifier, MLPRegressor, from_sklearn, graph, load_checkpoint
from fastbp.datasets import load_mnist
from fastbp.inspection import GradientCheck, Summary, Trace, check_gradients, summary, trace
from fastbp.playground import serve
from fastbp.warmup import warmup


def quartic(y: float, a: float) -> float:
    return (a - y) ** 4


def accepted(X: np.ndarray, y: np.ndarray) -> None:
    classifier = MLPClassifier((20, 10), "tanh", solver="adamw", weight_decay=0.01, random_state=0, dropout=[0.1, 0.2])
    assert_type(classifier, MLPClassifier)
    assert_type(classifier.fit(X, y, X_val=X, y_val=y), MLPClassifier)
    assert_type(classifier.partial_fit(X, y, classes=[0, 1]), MLPClassifier)
    assert_type(classifier.fit_batches([(X, y)], classes=[0, 1], epochs=2, validation=(X, y)), MLPClassifier)
    assert_type(classifier.predict(X), np.ndarray)
    assert_type(classifier.score(X, y), float)
    checkpoint = Checkpoint(Path("model.safetensors"), every=10)
    assert_type(checkpoint.path, Path)
    regressor = MLPRegressor(Loss(quartic), 50, Activation(np.sin, np.cos), callbacks=checkpoint)
    assert_type(regressor.predict(X), np.ndarray)
    MLPRegressor(loss="quantile", quantile=[0.1, 0.9], learning_rate=lambda epoch, progress: 1 - progress, max_time=60)
    load_checkpoint("model.safetensors", allow_pickle=False).predict(X)
    from_sklearn(regressor.to_sklearn()).predict(X)
    assert_type(classifier.get_sklearn_params(), dict[str, Any])
    assert_type(trace(regressor, X, y, sample_weight=y), Trace)
    assert_type(trace(regressor, X, y).delta, list[np.ndarray])
    assert_type(check_gradients(classifier, X, y, max_params=100), GradientCheck)
    assert_type(check_gradients(classifier, X, y).passed, bool)
    assert_type(summary(MLPClassifier(verbose="bar").fit(X, y)), Summary)
    assert_type(summary(classifier).layers[0].n_params, int)
    load_mnist(data_home=Path("datasets"), return_X_y=True)
    assert_type(warmup(["float32"], everything=True), dict[str, float])
    loss = graph.mean((X @ graph.Variable([1.0, 2.0], "w") - y) ** 2)
    assert_type(loss, graph.Variable)
    assert_type(2 / graph.exp(-loss[0]), graph.Variable)
    loss.backward()
    assert_type(loss.render(), graph.Drawing)
    assert_type(graph.from_estimator(classifier, X, y).coefs, list[graph.Variable])


def rejected(X: np.ndarray, y: np.ndarray) -> None:
    MLPClassifier(hidden_layer_size=20)  # type: ignore[call-arg]
    MLPClassifier(alpha="small")  # type: ignore[arg-type]
    MLPClassifier((20,), "relu", "adam")  # type: ignore[call-arg]
    MLPClassifier().fit(X)  # type: ignore[call-arg]
    MLPClassifier().predict()  # type: ignore[call-arg]
    MLPRegressor(max_iter="many")  # type: ignore[arg-type]
    MLPRegressor(loss=None)  # type: ignore[arg-type]
    MLPRegressor(class_weight="balanced")  # type: ignore[call-arg]
    Activation(np.sin, derivative=np.cos)  # type: ignore[call-arg]
    Loss("squared_error")  # type: ignore[arg-type]
    Checkpoint()  # type: ignore[call-arg]
    load_mnist("datasets")  # type: ignore[call-arg]
    trace(MLPRegressor(), X)  # type: ignore[call-arg]
    check_gradients(MLPRegressor(), X, y, None, 1e-3)  # type: ignore[call-arg]
    serve(8765, False)  # type: ignore[call-arg]
    warmup(["float32"], True)  # type: ignore[call-arg]
    graph.Variable(1.0, 2)  # type: ignore[arg-type]
    graph.relu(1.0).value = 2.0  # type: ignore[misc]
    graph.from_estimator("model", X, y)  # type: ignore[arg-type]
