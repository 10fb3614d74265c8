"""The private methods of scikit-learn's estimators that subclasses override, but that compiled kernels never call.

An estimator goes in; a TypeError is raised if its class overrides such a method, because the override would be ignored. This module
does not know how a network is trained.
"""

from functools import cache
from typing import Any

# for each method, the parameters and public methods to use instead
_INITIALIZERS = "the parameters weight_init and bias_init, which may be functions, or coefs_init and intercepts_init"
_VALUES = "the parameter activation with a fastbp.Activation, or out_activation, or override the method predict"
_SCORES = "the parameters scoring and validation_splitter, or pass X_val and y_val to fit"
_GRADIENTS = "the parameters loss with a fastbp.Loss, activation with a fastbp.Activation, alpha, l1, clip_norm or max_norm"
_STOPPING = "the parameters tol, n_iter_no_change and scoring, or a function in callbacks that returns True to end training"
_REMEDIES = {
    "_init_coef": _INITIALIZERS,
    "_initialize": _INITIALIZERS,
    "_unpack": _INITIALIZERS,
    "_forward_pass": _VALUES,
    "_forward_pass_fast": _VALUES,
    "_predict": "the method predict, which may be overridden",
    "_backprop": _GRADIENTS,
    "_compute_loss_grad": _GRADIENTS,
    "_loss_grad_lbfgs": _GRADIENTS,
    "_fit_stochastic": "the parameters solver, learning_rate and callbacks, or override the method fit",
    "_fit_lbfgs": "the parameters callbacks and max_time, or override the method fit",
    "_update_no_improvement_count": _STOPPING,
    "_score": _SCORES,
    "_score_with_function": _SCORES,
    "_check_solver": "the method partial_fit, which may be overridden",
}


def check_no_overridden_hooks(estimator, base):
    """Raise a TypeError if an estimator overrides a method of scikit-learn that ``base`` defines, or that no class defines."""
    cls: Any = type(estimator)
    if not any(map(_defines_hook, (estimator, *_classes_below(cls, base)))):
        return  # comparing all methods takes longer, and partial_fit does this in every call
    own = [name for name in _REMEDIES if name in vars(estimator)]
    inherited = [name for name in _REMEDIES if getattr(cls, name, None) is not getattr(base, name, None)]
    if own or inherited:
        overridden = [*own, *inherited][0]
        raise TypeError(
            f"{cls.__name__} must not override {overridden}, because compiled code trains the network and never calls this method "
            f"of scikit-learn's estimators. Use {_REMEDIES[overridden]}. If only your own code calls the method, rename it."
        )


def _defines_hook(owner):
    """Return whether an estimator or a class itself defines one of the methods; not cached, because methods can be replaced."""
    return any(map(vars(owner).__contains__, _REMEDIES))


@cache
def _classes_below(cls, base):
    """Return the classes from which ``cls`` inherits, but ``base`` does not."""
    return [owner for owner in cls.__mro__ if owner not in base.__mro__]
