"""skops stores fastbp's estimators, and needs no more trusted types than for those of scikit-learn."""

import numpy as np
import pytest
import skops.io
from numpy.testing import assert_array_equal
from sklearn import neural_network

from fastbp import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.RandomState(0)
X = RNG.normal(size=(60, 4))
WITH_NAN = np.where(RNG.uniform(size=X.shape) < 0.1, np.nan, X)
CODES = np.tile([0, 1, 2], 20)
SMALL = {"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0}
MODELS = {
    "classifier": (MLPClassifier(**SMALL), X, np.array(["a", "b", "c"])[CODES]),
    "regressor": (MLPRegressor(**SMALL), X, X[:, 0]),
    "lbfgs": (MLPRegressor(**SMALL, solver="lbfgs"), X, X[:, 0]),
    "multioutput": (MLPClassifier(**SMALL), X, np.column_stack([CODES, CODES > 0])),
    "all parts": (
        MLPClassifier(**SMALL, scale="standard", missing="indicator", batch_norm=True, ema_decay=0.9, warm_start="resume"),
        WITH_NAN,
        CODES,
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_only_the_estimator_must_be_trusted(name):
    est, rows, y = MODELS[name]
    est.fit(rows, y)
    data = skops.io.dumps(est)
    untrusted = skops.io.get_untrusted_types(data=data)
    assert untrusted == [f"{type(est).__module__}.{type(est).__name__}"]
    loaded = skops.io.loads(data, trusted=untrusted)
    assert_array_equal(loaded.predict(rows), est.predict(rows))
    for one in (est, loaded):
        one.set_params(warm_start=est.warm_start or True).fit(rows, y)
    assert_array_equal(loaded.coefs_[0], est.coefs_[0])


def test_scikit_learn_needs_as_many_types():
    est = neural_network.MLPClassifier(**SMALL).fit(X, CODES)
    assert len(skops.io.get_untrusted_types(data=skops.io.dumps(est))) == 1
