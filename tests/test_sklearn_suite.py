"""scikit-learn's own tests of its multilayer perceptrons, run with fastbp's classes.

First, the installed ``test_mlp.py`` is imported with fastbp's classes in place of scikit-learn's, and pytest collects each of its
tests. Then scikit-learn's estimator checks run for every solver. `LEFT_OUT` gives a reason for each test that is left out, and no
check is expected to fail.
"""

import importlib
import sys
from unittest.mock import patch

import pytest
import sklearn.neural_network
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastbp

# scikit-learn does not turn warnings into errors in its own test runs. The last filter takes precedence and avoids hundreds of
# ConvergenceWarnings.
pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]

LEFT_OUT = {"test_gradient": "calls the private _loss_grad_lbfgs; fastbp's gradients are compared with finite differences instead"}


def load_suite():
    """Import scikit-learn's test module again with fastbp's estimators in place of scikit-learn's; return its tests by name."""
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
    """The default seed of scikit-learn's own test runs."""
    return 42


def test_tests_that_are_left_out_exist():
    assert set(LEFT_OUT) < set(SUITE)


# ---------------------------------------------------------------------- estimator checks

# scikit-learn's own classes pass all checks with these parameters, so fastbp's classes must pass them, too
SOLVERS = ["adam", "sgd", "lbfgs"]
VARIANTS = [kind(max_iter=100, solver=solver) for kind in (fastbp.MLPClassifier, fastbp.MLPRegressor) for solver in SOLVERS]


@pytest.mark.slow
@parametrize_with_checks(VARIANTS)
def test_checks(estimator, check):
    check(estimator)
