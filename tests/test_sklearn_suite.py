"""scikit-learn's own tests of its perceptrons, with our classes in the place of its own.

First its installed ``test_mlp.py``, loaded with the two names replaced; each test is collected here under its own name. Then the
checks that it makes of every estimator, for every solver. A test is left out only for a reason that is written down here, and no
check is expected to fail.
"""

import importlib
import sys
from unittest.mock import patch

import pytest
import sklearn.neural_network
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastbp

# Its own run makes no errors of warnings. That few epochs have not converged would be said hundreds of times; the last filter wins.
pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]

LEFT_OUT = {"test_gradient": "calls the private _loss_grad_lbfgs; our gradients are tested against finite differences instead"}


def load_suite():
    """scikit-learn's test module, made anew with our estimators under the names that it imports."""
    name = "sklearn.neural_network.tests.test_mlp"
    ours = {"MLPClassifier": fastbp.MLPClassifier, "MLPRegressor": fastbp.MLPRegressor}
    with patch.dict(sys.modules), patch.multiple(sklearn.neural_network, **ours):
        sys.modules.pop(name, None)
        suite = importlib.import_module(name)
    assert all(getattr(suite, name) is estimator for name, estimator in ours.items())
    return {name: test for name, test in vars(suite).items() if name.startswith("test_")}


SUITE = load_suite()
globals().update({name: test for name, test in SUITE.items() if name not in LEFT_OUT})


@pytest.fixture
def global_random_seed():
    """The seed that scikit-learn's own run takes where it is not told another."""
    return 42


def test_what_is_left_out_exists():
    assert set(LEFT_OUT) < set(SUITE)


# ---------------------------------------------------------------------- the checks for every estimator

# scikit-learn's own classes pass them all with these parameters, so there is nothing that ours may fail
SOLVERS = ["adam", "sgd", "lbfgs"]
VARIANTS = [kind(max_iter=100, solver=solver) for kind in (fastbp.MLPClassifier, fastbp.MLPRegressor) for solver in SOLVERS]


@parametrize_with_checks(VARIANTS)
def test_checks(estimator, check):
    check(estimator)
