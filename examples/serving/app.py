"""A web service that predicts one row per request.

``python examples/serving/app.py`` trains a model of the irises and serves it on http://127.0.0.1:8000. Send it a flower:

    curl -d '{"features": [5.1, 3.5, 1.4, 0.2]}' http://127.0.0.1:8000/predict

The answer has the probability of each species. The script needs the packages starlette and uvicorn, which
``pip install 'fastbp[playground]'`` installs.
"""

import json

import numpy as np
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


def create_app(predict_proba, classes):
    """Return an application that answers with the probabilities of the classes.

    ``predict_proba`` is a function of one row of shape (n_features,), for example a result of ``compile_predict``. It takes
    microseconds, so it is called in the event loop: a thread pool would take longer.
    """

    async def predict(request):
        try:
            row = features_of(await request.body())
            probabilities = predict_proba(row)
        except ValueError as problem:
            return JSONResponse({"error": str(problem)}, status_code=400)
        return JSONResponse(dict(zip(classes, probabilities.tolist(), strict=True)))

    return Starlette(routes=[Route("/predict", predict, methods=["POST"])])


def features_of(body):
    """Return the features in the body of a request as an array; raise a ValueError if it is not valid."""
    try:
        with np.errstate(over="ignore"):
            row = np.array(json.loads(body)["features"], np.float32)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise ValueError('the body must be JSON such as {"features": [5.1, 3.5, 1.4, 0.2]}') from None
    # compile_predict checks the shape, but not the values
    if row.ndim != 1 or not np.isfinite(row).all():
        raise ValueError("features must be a list of finite numbers")
    return row


def main():
    import uvicorn
    from sklearn.datasets import load_iris

    from fastbp import MLPClassifier

    iris = load_iris()
    X = iris.data.astype(np.float32)
    model = MLPClassifier(solver="lbfgs", alpha=1.0, scale="standard", random_state=0).fit(X, iris.target)
    app = create_app(model.compile_predict("predict_proba"), iris.target_names.tolist())
    uvicorn.run(app, host="127.0.0.1", port=8000, access_log=False)


if __name__ == "__main__":
    main()
