"""Conversion of estimators to and from scikit-learn's ``MLPClassifier`` and ``MLPRegressor``.

An ``ExportedNetwork`` and the attributes of the estimator go in, and an estimator of scikit-learn comes out; or an estimator of
scikit-learn goes in, and an estimator of fastbp comes out. All arrays are copied, including the moments of the solver. This module
does not know how a network is trained.
"""

import copy
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state

from ._base import BaseMLP
from ._config import FitConfig
from ._kernels.lazy.solvers import N_MOMENTS
from ._network.activations import per_layer
from ._network.layout import Layout
from ._network.optimizers import Optimizer
from ._network.parameters import broadcast_intercepts, gathered, published_layout
from ._parameters import default_params
from ._training.history import start_history
from ._training.state import TrainingState
from ._wrong_estimator import described

# The values of scikit-learn for the parameters that have more values in fastbp.
SKLEARN_VALUES: dict[str, tuple] = {
    "activation": ("identity", "logistic", "relu", "tanh"),
    "solver": ("adam", "lbfgs", "sgd"),
    "learning_rate": ("adaptive", "constant", "invscaling"),
    "loss": ("poisson", "squared_error"),
    "warm_start": (False, True),
    "verbose": (),  # any number or bool
}
# These parameters do not change the results of a fit by more than rounding errors.
_WITHOUT_EFFECT = ("n_threads", "n_shares")
# The fitted attributes that both estimators have, except for the weights.
_SHARED_ATTRIBUTES = (
    *("loss_", "best_loss_", "loss_curve_", "t_", "n_iter_", "validation_scores_", "best_validation_score_", "n_features_in_"),
    *("feature_names_in_", "n_layers_", "n_outputs_", "out_activation_", "classes_", "_label_binarizer", "_no_improvement_count"),
)
# The lists of moments of scikit-learn's optimizers, and the names of their hyperparameters.
_MOMENT_LISTS = {"adam": ("ms", "vs"), "sgd": ("velocities",)}
_HYPERPARAMETERS_OF = {
    "adam": {name: name for name in ("learning_rate_init", "beta_1", "beta_2", "epsilon")},
    "sgd": {
        "learning_rate_init": "learning_rate_init",
        "learning_rate": "lr_schedule",
        "momentum": "momentum",
        "nesterovs_momentum": "nesterov",
        "power_t": "power_t",
    },
}
_LOSS_OF_LINK = {"identity": "squared_error", "exp": "poisson"}


# ---------------------------------------------------------------------- parameters


def sklearn_params(est):
    """Return the parameters for scikit-learn's class; raise a ValueError if it does not have some of them."""
    cls = next(cls for cls in _fastbp_classes() if isinstance(est, cls))
    defaults, known = default_params(cls), _sklearn_class(cls.__name__)().get_params()
    params = {name: value for name, value in vars(est).items() if name in defaults}
    translated = {name: _translated(name, value) for name, value in params.items()}
    unsupported = [
        name
        for name, value in translated.items()
        if not (_has_value(name, value) if name in known else name in _WITHOUT_EFFECT or _are_equal(value, defaults[name]))
    ]
    if unsupported:
        given = ", ".join(f"{name}={params[name]!r:.60}" for name in unsupported)
        remedy = ", ".join(f"{name}={defaults[name]!r}" for name in unsupported)
        raise ValueError(
            f"scikit-learn's {cls.__name__} does not have the parameters or values {given}. Call set_params({remedy}) first, or "
            "convert the fitted model with to_sklearn(), which leaves out parameters that only training uses."
        )
    return {name: value for name, value in translated.items() if name in known}


def _translated(name, value):
    """The value of a parameter for scikit-learn, if it has one with the same meaning, otherwise the value itself."""
    if name == "verbose" and isinstance(value, str):
        return True
    if name == "activation" and isinstance(value, (list, tuple)) and value and all(one == value[0] for one in value):
        return value[0]
    return value


def _has_value(name, value):
    """Whether scikit-learn has this value of one of its parameters."""
    values = SKLEARN_VALUES.get(name)
    return not values or (isinstance(value, (str, bool, np.bool_)) and value in values)


def _are_equal(value, default):
    return value is default or np.array_equal(value, default)


def _fitted_params(network, params, known):
    """The parameters of a converted estimator; ``known`` are the defaults of scikit-learn's class."""
    translated = {name: _translated(name, params[name]) for name in known if name in params}
    translated["warm_start"] = bool(params.get("warm_start"))
    kept = {name: value for name, value in translated.items() if _has_value(name, value)}
    hidden = network.sizes[1:-1]
    if hidden != tuple(np.ravel(params.get("hidden_layer_sizes", ())).tolist()):  # a user has set other weights
        kept["hidden_layer_sizes"] = hidden
    if network.activations:
        kept["activation"] = network.activations[0]
    if network.labels is None:
        kept["loss"] = _LOSS_OF_LINK[network.link]
    return {name: clone(value, safe=False) for name, value in kept.items()}


# ---------------------------------------------------------------------- to scikit-learn


def sklearn_estimator(network, attributes):
    """Return the estimator of scikit-learn for an ``ExportedNetwork``; ``attributes`` are those of the estimator of fastbp."""
    check_expressible(network, attributes)
    cls = _sklearn_class(network.estimator)
    converted = cls(**_fitted_params(network, attributes, cls().get_params()))
    shared = copy.deepcopy({name: attributes[name] for name in _SHARED_ATTRIBUTES if name in attributes})
    fitted = {"coefs_": _copies(network.coefs), "intercepts_": _copies(network.intercepts), **shared}
    if network.labels is not None:
        fitted.setdefault("_label_binarizer", _label_binarizer(network.labels))
    fitted |= _training_attributes(converted, attributes.get("_state"), network)
    vars(converted).update(_first_attributes(converted) | fitted | _best_weights(converted, fitted))
    return converted


def check_expressible(network, params):
    """Raise a ValueError if scikit-learn cannot compute the predictions of an ``ExportedNetwork``."""
    problem = _problem(network) or _problem_of_outputs(network, params.get("loss"))
    if problem:
        given, reason, remedy = problem
        if all(isinstance(activation, str) for activation in network.activations):  # the other formats contain no functions
            remedy = f"export the model with to_onnx() or export_c(), or {remedy}"
        raise ValueError(f"{given} is not supported by scikit-learn. {reason} {remedy[0].upper()}{remedy[1:]}")


def _problem(network):
    """The unsupported value, the reason and the remedy; None if scikit-learn can compute the hidden layers."""
    if network.norm_scales:
        reason = "It cannot be folded into the weights, because it is different for each row."
        return "layer_norm=True", reason, "train with batch_norm=True or without normalization."
    if network.fill_values is not None:
        remedy = "set missing='error' and put SimpleImputer(add_indicator=True) before the network in a Pipeline."
        return "missing='indicator'", "Its networks do not accept NaN in X.", remedy
    if network.clip_factors is not None:
        remedy = "train with scale='robust' or scale='standard'."
        return "scale='smooth_clip'", "The clipping cannot be folded into the weights, because it is not linear.", remedy
    activations = list(dict.fromkeys(network.activations))
    known = SKLEARN_VALUES["activation"]
    if len(activations) > 1 or any(activation not in known for activation in activations):
        given = list(network.activations) if len(activations) > 1 else activations[0]
        reason = f"All hidden layers must have the same activation: {' or '.join(map(repr, known))}."
        return f"activation={given!r}", reason, "train with one of these activations."
    return None


def _problem_of_outputs(network, loss):
    """The same for the output layer of a model with this loss."""
    link, labels = network.link, network.labels
    if labels is None:
        if network.output_range is not None:
            return "clip_predictions=True", "Its regressor does not limit predictions.", "train with clip_predictions=False."
        if len(network.quantiles) > 1:
            reason = "Its regressor has one output for each column of y."
            return f"quantile={list(network.quantiles)}", reason, "train one model for each quantile."
        if link not in _LOSS_OF_LINK:
            reason = "Its regressor has the output activation 'identity', or 'exp' with loss='poisson'."
            return f"out_activation={link!r}", reason, "train with one of these output activations."
    elif labels.kind == "multioutput":
        reason = "Its classifier accepts only one multiclass column."
        remedy = "train one classifier for each column with sklearn.multioutput.MultiOutputClassifier."
        return "A y of several multiclass columns", reason, remedy
    elif loss != "log_loss" or labels.is_clipped or labels.is_divided:
        given = f"loss={loss!r}" if loss != "log_loss" else f"out_activation_={link!r} of a {labels.kind} classifier"
        reason = "Its classifier always has the log-loss, and its outputs are the probabilities."
        return given, reason, "train with loss='log_loss'."
    return None


def _training_attributes(converted, state, network):
    """The attributes with which scikit-learn continues training: the generator, the optimizer and the layout for L-BFGS."""
    training = {}
    random = converted.random_state
    if not isinstance(random, np.random.RandomState):
        random = check_random_state(random) if state is None or state.rng is None else copy.deepcopy(state.rng)
    training["_random_state"] = random
    if state is not None and not state.is_folded and _is_convertible(state.optimizer, network):
        training["_optimizer"] = _sklearn_optimizer(state.optimizer, Layout(network.sizes))
    if converted.solver == "lbfgs":
        starts = list(accumulate((W.size for W in network.coefs), initial=0))
        shapes = [W.shape for W in network.coefs]
        training["_coef_indptr"] = [(*bounds, shape) for bounds, shape in zip(pairwise(starts), shapes, strict=True)]
        training["_intercept_indptr"] = list(pairwise(accumulate((b.size for b in network.intercepts), initial=starts[-1])))
    return training


def _is_convertible(optimizer, network):
    """Whether scikit-learn has the solver of an optimizer, and its moments belong to this network."""
    if optimizer is None or optimizer.hyperparams["solver"] not in _MOMENT_LISTS:
        return False
    return optimizer.moments.size == N_MOMENTS[optimizer.hyperparams["solver"]] * Layout(network.sizes).n_params


def _sklearn_optimizer(optimizer, layout):
    """scikit-learn's optimizer with the state of a fastbp ``Optimizer``.

    ``partial_fit`` of scikit-learn creates it, for a network of one unit, because its class is private.
    """
    hyperparams, solver = optimizer.hyperparams, optimizer.hyperparams["solver"]
    is_known = _has_value("learning_rate", hyperparams["learning_rate"])
    creator = _sklearn_class("MLPRegressor")(hidden_layer_sizes=(1,), solver=solver, random_state=0)
    theirs = vars(creator.partial_fit([[0.0]], [0.0]))["_optimizer"]
    for name, attribute in _HYPERPARAMETERS_OF[solver].items():
        if name != "learning_rate" or is_known:
            setattr(theirs, attribute, hyperparams[name])
    theirs.learning_rate = float(optimizer.learning_rate if is_known else hyperparams["learning_rate_init"])
    if solver == "adam":
        theirs.t = int(optimizer.step)
    for name, moments in zip(_MOMENT_LISTS[solver], optimizer.moments.reshape(-1, layout.n_params), strict=True):
        coefs, intercepts = layout.views(moments)
        setattr(theirs, name, _copies([*coefs, *intercepts]))
    return theirs


def _first_attributes(converted):
    """The attributes that scikit-learn's stochastic solvers set before the first epoch."""
    if converted.solver == "lbfgs":
        return {}
    if converted.early_stopping:
        scores = {"validation_scores_": [], "best_validation_score_": -np.inf, "best_loss_": None}
    else:
        scores = {"validation_scores_": None, "best_validation_score_": None, "best_loss_": np.inf}
    return {"loss_curve_": [], "_no_improvement_count": 0} | scores


def _best_weights(converted, fitted):
    """The best weights; as in scikit-learn, these are the weights themselves after a fit with early stopping."""
    coefs, intercepts = fitted["coefs_"], fitted["intercepts_"]
    if not converted.early_stopping:
        coefs, intercepts = _copies(coefs), _copies(intercepts)
    return {"_best_coefs": coefs, "_best_intercepts": intercepts}


def _label_binarizer(labels):
    """The encoder of the labels of an estimator that is built from weights."""
    binarizer = LabelBinarizer()
    binarizer.classes_, binarizer.sparse_input_ = np.array(labels.classes[0]), False
    binarizer.y_type_ = "multilabel-indicator" if labels.kind == "multilabel" else labels.kind
    return binarizer


# ---------------------------------------------------------------------- from scikit-learn


def from_sklearn(est: Any) -> BaseMLP:
    """Return a fastbp estimator with the parameters and the fitted attributes of an estimator of scikit-learn.

    Training continues with the same numbers as in scikit-learn: ``partial_fit`` with the moments of the solver, and a fit with
    ``warm_start=True`` with the weights, the best loss or validation score, and the number of epochs without improvement. All
    arrays are copied, and so is a ``RandomState`` in `random_state`, so that both estimators draw the same numbers. Metadata
    requests are not copied.

    Parameters
    ----------
    est : sklearn.neural_network.MLPClassifier or sklearn.neural_network.MLPRegressor
        The estimator, fitted or not. It is not changed.

    Returns
    -------
    estimator : MLPClassifier or MLPRegressor
        The estimator of fastbp; fitted if `est` is fitted. The entries of `history_` contain the losses of `loss_curve_`; earlier
        learning rates are not known and are NaN.

    Raises
    ------
    TypeError
        If `est` is another object, for example a ``Pipeline``, or an instance of a subclass, whose methods would be ignored.
    ValueError
        If a parameter that a later version of scikit-learn has added is not supported and does not have its default value.

    See Also
    --------
    MLPClassifier.to_sklearn : The conversion in the other direction.

    Examples
    --------
    >>> import fastbp
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> theirs = MLPClassifier(max_iter=500, random_state=0).fit(X, y)
    >>> ours = fastbp.from_sklearn(theirs)
    >>> bool((ours.predict(X) == theirs.predict(X)).all())
    True
    >>> bool(abs(ours.partial_fit(X, y).loss_ - theirs.partial_fit(X, y).loss_) < 1e-9)
    True
    """
    cls = {_sklearn_class(ours.__name__): ours for ours in _fastbp_classes()}.get(type(est))
    if cls is None:
        raise TypeError(
            f"est must be an MLPClassifier or MLPRegressor of scikit-learn, got {described(est)}. {_remedy_for_type(est)}"
        )
    converted = cls(**_supported_params(est, default_params(cls)))
    if hasattr(est, "coefs_"):
        converted.__setstate__({**vars(converted), **_fastbp_attributes(est, converted)})
    return converted


def _remedy_for_type(est):
    """The sentence that says what to pass to ``from_sklearn`` instead."""
    if isinstance(est, type):
        return f"Pass an instance, {est.__name__}()."
    if isinstance(est, BaseMLP):
        return "It is an estimator of fastbp already; use it directly."
    if isinstance(est, Pipeline):
        return "Convert its last step, from_sklearn(pipeline[-1]), and use the other steps unchanged."
    if hasattr(est, "best_estimator_") or hasattr(est, "param_distributions") or hasattr(est, "param_grid"):
        return "Fit the search with refit=True and pass its attribute best_estimator_."
    if isinstance(est, tuple(map(_sklearn_class, ("MLPClassifier", "MLPRegressor")))):
        return "It is an instance of a subclass, whose methods compiled code would ignore. Convert an instance of the class itself."
    return "Pass the network itself if it is part of another estimator."


def _supported_params(est, defaults):
    """Copies of the parameters of an estimator of scikit-learn."""
    params, theirs = est.get_params(deep=False), type(est)().get_params(deep=False)
    unknown = {name: value for name, value in params.items() if name not in defaults and not _are_equal(value, theirs[name])}
    if unknown:
        given = ", ".join(f"{name}={value!r}" for name, value in unknown.items())
        raise ValueError(
            f"{given} cannot be converted, because fastbp does not have parameters of scikit-learn that were added after version "
            f"1.9. Set them to their default values with set_params, or update fastbp."
        )
    return {name: clone(value, safe=False) for name, value in params.items() if name in defaults}


def _fastbp_attributes(est, converted):
    """The fitted attributes of fastbp, including the training state."""
    theirs, coefs = vars(est), _copies(est.coefs_)
    intercepts = _copies(broadcast_intercepts(coefs, est.intercepts_))
    derived = {"n_features_in_": coefs[0].shape[0], "n_outputs_": coefs[-1].shape[1], "n_layers_": len(coefs) + 1}
    derived |= {"n_iter_": 0, "t_": 0, "_no_improvement_count": 0}  # a user may have set only the weights
    attributes = derived | copy.deepcopy({name: theirs[name] for name in _SHARED_ATTRIBUTES if name in theirs})
    attributes |= {"coefs_": coefs, "intercepts_": intercepts}
    if "loss_curve_" in attributes:
        attributes["history_"] = start_history(attributes["loss_curve_"])
    if "out_activation_" in attributes:
        layout = published_layout(coefs, attributes["n_features_in_"], None)
        params, link = gathered({"coefs_": coefs, "intercepts_": intercepts}), attributes["out_activation_"]
        state = TrainingState.untrained(layout, params, (link, 0), link)
        state.activations = per_layer(converted.activation, len(coefs) - 1)
        state.optimizer = _fastbp_optimizer(theirs.get("_optimizer"), FitConfig.of(converted), params)
        attributes["_state"] = state
    return attributes


def _fastbp_optimizer(theirs, config, params):
    """A fastbp ``Optimizer`` with the hyperparameters and the state of scikit-learn's optimizer; None without one."""
    if theirs is None:
        return None
    solver = "adam" if hasattr(theirs, "ms") else "sgd"
    hyperparams = {name: getattr(theirs, attribute) for name, attribute in _HYPERPARAMETERS_OF[solver].items()}
    ours = Optimizer.fresh(config._replace(solver=solver, **hyperparams), params)
    moments = [np.ravel(array) for name in _MOMENT_LISTS[solver] for array in getattr(theirs, name)]
    return replace(
        ours,
        learning_rate=float(theirs.learning_rate),
        step=int(getattr(theirs, "t", 0)),
        moments=np.concatenate(moments).astype(params.dtype, copy=False),
    )


# ---------------------------------------------------------------------- parts


def _fastbp_classes():
    from ._classifier import MLPClassifier  # imported here, because a module-level import would make chains of imports longer
    from ._regressor import MLPRegressor

    return MLPClassifier, MLPRegressor


def _sklearn_class(name):
    from sklearn import neural_network  # imported here, because `import fastbp` does not need it

    return getattr(neural_network, name)


def _copies(arrays):
    """Copies of arrays in C order, each with its own memory."""
    return [np.array(array, order="C") for array in arrays]
