"""The error for an argument that is not an estimator of fastbp.

The argument goes in; a TypeError that says what to pass instead comes out. The functions of ``fastbp.graph`` and
``fastbp.inspection`` use this module. It does not know what they compute.
"""

from sklearn.pipeline import Pipeline


def wrong_estimator_error(est, name="est"):
    """Return the error for the argument ``name``."""
    return TypeError(f"{name} must be a fitted MLPClassifier or MLPRegressor of fastbp, got {described(est)}. {_remedy(est)}")


def described(value):
    """Return a short text about a value of the wrong type."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    package, name = type(value).__module__.partition(".")[0], type(value).__name__
    if package == "builtins":
        return f"{value!r:.60}"
    return f"an object of type {name}" + " of scikit-learn" * (package == "sklearn")


def _remedy(est):
    """Return the sentence that says what to pass instead."""
    if isinstance(est, Pipeline):
        return "Pass the last step and the X that the other steps return: pipeline[-1] and pipeline[:-1].transform(X)."
    if hasattr(est, "best_estimator_") or hasattr(est, "param_distributions") or hasattr(est, "param_grid"):
        return "Fit the search with refit=True and pass its attribute best_estimator_."
    from ._tabular.base import BaseTableEstimator  # imported here, because the chain of module-level imports would become too long

    if isinstance(est, BaseTableEstimator):
        return (
            "Estimators for tables have several networks with other kinds of layers, which this function does not support. Of "
            "fastbp.inspection, summary and LossCurveDisplay support them, and members_ has the losses of each network."
        )
    if type(est).__name__ in ("MLPClassifier", "MLPRegressor") and not isinstance(est, type):
        return f"Fit fastbp.{type(est).__name__}, which has the same parameters, and pass it."
    return "Pass an estimator on which fit was called."
