"""The names and types of the attributes of fitted estimators, with which files are checked.

The attributes that were read from a file go in; an error comes out if one of them cannot be the result of a fit. Numbers from which
kernels compute addresses are compared with the sizes of the arrays. This module does not know how attributes are stored.
"""

import numpy as np
from sklearn.preprocessing import LabelBinarizer

from .._kernels.codes import LinkCode
from .._kernels.lazy.solvers import N_MOMENTS
from .._network.activations import ACTIVATION_NAMES
from .type_checks import (
    anything,
    check_types,
    is_count,
    is_digest,
    is_flag,
    is_generator,
    is_indices,
    is_labels,
    is_real,
    is_reals,
    is_string,
    is_vector,
    list_of,
    one_of,
    optional,
)
from .values import DamagedValueError

_NUMBERS = list_of(is_real)
_ARRAYS = list_of(is_reals)

FITTED = {
    "coefs_": list_of(anything, list, tuple),  # the user may have set these lists
    "intercepts_": list_of(anything, list, tuple),
    "norm_scales_": _ARRAYS,
    "norm_shifts_": _ARRAYS,
    "loss_": is_real,
    "best_loss_": optional(is_real),
    "loss_curve_": _NUMBERS,
    "history_": lambda value: type(value) is dict and all(is_string(name) and _NUMBERS(value[name]) for name in value),
    "t_": is_count,
    "n_iter_": is_count,
    "validation_scores_": optional(_NUMBERS),
    "best_validation_score_": optional(is_real),
    "n_features_in_": is_count,
    "feature_names_in_": lambda value: is_labels(value) and value.dtype == object and all(map(is_string, value)),
    "n_layers_": is_count,
    "n_outputs_": is_count,
    "out_activation_": one_of(*LinkCode.__members__),
    "y_range_": lambda value: is_reals(value) and value.ndim == 2 and len(value) == 2,
    "classes_": lambda value: is_labels(value) or list_of(is_labels)(value),
    "_state": optional(lambda value: type(value) is dict),
    "_no_improvement_count": is_count,
    "_label_binarizer": lambda value: isinstance(value, LabelBinarizer) or list_of(is_labels)(value),
    "_groups": list_of(lambda value: is_count(value) and value > 0, tuple),
    "_quantiles": list_of(lambda value: is_real(value) and 0 < value < 1, tuple),
}
_STATE = {
    "sizes": list_of(is_count),
    "n_norms": is_count,
    "params": is_vector,
    "preparation": anything,
    "norm": one_of(None, "batch_norm", "layer_norm"),
    "is_averaged": is_flag,
    "out_activation": is_string,
    "rng": optional(is_generator),
    "fixed": list_of(lambda value: is_flag(value) or isinstance(value, str | None)),
    "link": lambda value: list_of(anything)(value) and len(value) == 2,
    "activations": list_of(one_of(*ACTIVATION_NAMES)),
    "optimizer": anything,
    "moving": optional(is_vector),
    "published_hash": optional(is_digest),
    "resume": anything,
}
_OPTIMIZER = {
    "hyperparams": lambda value: type(value) is dict and isinstance(value.get("solver"), str) and value["solver"] in N_MOMENTS,
    "learning_rate": is_real,
    "factor": is_real,
    "step": is_count,
    "epochs": is_count,
    "product": is_real,
    "moments": is_vector,
}
_RESUME = {
    "n_rows": is_count,
    "order": is_indices,
    "held_out": optional(is_indices),
    "early_stopping": is_flag,
    "progress": lambda value: type(value) is dict and all(type(value[name]) is float or abs(value[name]) < 2**63 for name in value),
    "rng": is_generator,
    "trained": optional(list_of(is_vector)),
    "best": optional(list_of(is_vector)),
    "seed": lambda value: type(value) is int and abs(value) < 2**64,
    "published_hash": optional(is_digest),
}
_SEGMENTS = {"capacity": is_count, "seed": optional(is_count)}
_PREPARATION = {"imputer": anything, "scaling": anything}
_IMPUTER = {"means": is_vector, "indicators": is_indices}
_SCALING = {"inputs": anything, "targets": anything, "dtype": one_of("float32", "float64")}
_AFFINE = {"center": is_vector, "scale": is_vector}
_CLIPPING = {"center": is_vector, "factor": is_vector}


def check_fitted(attributes):
    """Raise a ``DamagedValueError`` if fitted attributes have wrong types, or sizes that do not belong to one network."""
    for name, value in attributes.items():
        if name in FITTED and not FITTED[name](value):
            raise DamagedValueError(f"{name} has a wrong type or value")
    state, y_range = attributes.get("_state"), attributes.get("y_range_")
    if y_range is not None and y_range.shape[1] != attributes.get("n_outputs_"):
        raise DamagedValueError("y_range_ does not have a column for each output")
    if state is None:
        return
    check_state(state)
    _check_preparation(state["preparation"], attributes)


def check_state(state):
    """Raise a ``DamagedValueError`` if the parts of a training state, except its preparation, have wrong types."""
    check_types(state, _STATE, "state")
    resume = state["resume"]
    if resume is not None:
        is_of_stream = type(resume) is dict and "segments" in resume
        check_types(resume, _RESUME | ({"segments": anything} if is_of_stream else {}), "resume")
        if is_of_stream:
            check_types(resume["segments"], _SEGMENTS, "segments")
    if state["optimizer"] is not None:
        check_types(state["optimizer"], _OPTIMIZER, "optimizer")


def _check_preparation(preparation, attributes):
    """Raise a ``DamagedValueError`` if the imputer or a scaling does not belong to the features."""
    has_clipping = type(preparation) is dict and "clipping" in preparation
    check_types(preparation, _PREPARATION | ({"clipping": anything} if has_clipping else {}), "preparation")
    imputer, scaling = preparation["imputer"], preparation["scaling"]
    n_inputs = attributes["n_features_in_"]
    if imputer is not None:
        check_types(imputer, _IMPUTER, "imputer")
        means, indicators = imputer["means"], imputer["indicators"]
        if len(means) != n_inputs or not np.isin(indicators, np.arange(n_inputs)).all() or (np.diff(indicators) <= 0).any():
            raise DamagedValueError("the imputer does not belong to the features")
        n_inputs += len(indicators)
    if has_clipping:
        check_types(preparation["clipping"], _CLIPPING, "clipping")
        if {len(preparation["clipping"][part]) for part in _CLIPPING} != {n_inputs}:
            raise DamagedValueError("the clipping of the inputs has a wrong size")
    if scaling is None:
        return
    check_types(scaling, _SCALING, "scaling")
    for name, size in (("inputs", n_inputs), ("targets", attributes["n_outputs_"])):
        if scaling[name] is not None:
            check_types(scaling[name], _AFFINE, name)
            if {len(scaling[name][part]) for part in _AFFINE} != {size}:
                raise DamagedValueError(f"the scaling of the {name} has a wrong size")
