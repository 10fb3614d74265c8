"""The web service in `examples/serving` answers with the probabilities of the model, and refuses bodies that are not valid."""

import asyncio
import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris

from fastbp import MLPClassifier

SCRIPT = Path(__file__).parents[1] / "examples" / "serving" / "app.py"


@pytest.fixture(scope="module")
def model():
    iris = load_iris()
    return MLPClassifier(solver="lbfgs", alpha=1.0, scale="standard", random_state=0).fit(iris.data.astype(np.float32), iris.target)


@pytest.fixture(scope="module")
def app(model):
    create_app = runpy.run_path(str(SCRIPT))["create_app"]
    return create_app(model.compile_predict("predict_proba"), load_iris().target_names.tolist())


def post(app, body, method="POST"):
    """Send a request to an ASGI application; return the status and the body of the answer."""
    messages = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        messages.append(message)

    scope = {"type": "http", "method": method, "path": "/predict", "query_string": b"", "headers": []}
    asyncio.run(app(scope, receive, send))
    return messages[0]["status"], messages[1]["body"]


def test_answer_has_the_probabilities_of_the_model(app, model):
    flower = [5.1, 3.5, 1.4, 0.2]
    status, body = post(app, json.dumps({"features": flower}).encode())
    answer = json.loads(body)
    assert status == 200
    assert list(answer) == ["setosa", "versicolor", "virginica"]
    np.testing.assert_allclose(list(answer.values()), model.predict_proba(np.array([flower], np.float32))[0], rtol=1e-5)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body must be JSON"),
        (b"[1, 2]", "the body must be JSON"),
        (b'{"feature": [1, 2, 3, 4]}', "the body must be JSON"),
        (b'{"features": ["a", 2, 3, 4]}', "the body must be JSON"),
        (b'{"features": [1' + b"0" * 400 + b", 2, 3, 4]}", "the body must be JSON"),
        (b"[" * 100_000, "the body must be JSON"),
        (b'{"features": [1, 2, 3, NaN]}', "finite numbers"),
        (b'{"features": [1, 2, 3, 1e300]}', "finite numbers"),
        (b'{"features": [[1, 2, 3, 4]]}', "a list of finite numbers"),
        (b'{"features": [1, 2, 3]}', "X must have shape (4,)"),
    ],
)
def test_other_bodies_are_refused(app, body, message):
    status, answer = post(app, body)
    assert status == 400
    assert message in json.loads(answer)["error"]


def test_other_methods_are_refused(app):
    assert post(app, b"", "GET")[0] == 405
