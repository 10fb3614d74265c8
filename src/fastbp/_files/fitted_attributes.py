"""The names and types of the attributes of fitted estimators, with which files are checked.

The attributes that were read from a file go in; an error comes out if one of them cannot be the result of a fit. Numbers from which
kernels compute addresses are compared with the sizes of the arrays. This module does not know how attributes are stored.
"""

import numpy as np
from sklearn.preprocessing import LabelBinarizer

from .._kernels.codes import LinkCode
from .._kernels.lazy.solvers import N_MOMENTS
from .._network.activations import ACTIVATION_NAMES
from .values import DamagedValueError

# ---------------------------------------------------------------------- types


def _is_count(value):
    return type(value) is int and 0 <= value < 2**63


def _is_real(value):
    return type(value) in (int, float) or isinstance(value, np.floating | np.integer)


def _is_flag(value):
    return isinstance(value, bool | np.bool_)


def _is_string(value):
    return isinstance(value, str)


def _is_digest(value):
    return isinstance(value, str) and len(value) == 32


def _is_reals(value):
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiub"


def _is_vector(value):
    """Whether a value is a flat array of floats, as kernels use it."""
    return isinstance(value, np.ndarray) and value.dtype in (np.float32, np.float64) and value.ndim == 1


def _is_indices(value):
    return isinstance(value, np.ndarray) and value.dtype.kind == "i" and value.ndim == 1


def _is_labels(value):
    return isinstance(value, np.ndarray) and value.ndim == 1


def _is_generator(value):
    return isinstance(value, np.random.RandomState)


def _list_of(is_valid, *types):
    types = types or (list,)
    return lambda value: type(value) in types and all(map(is_valid, value))


def _optional(is_valid):
    return lambda value: value is None or is_valid(value)


def _one_of(*values):
    return lambda value: isinstance(value, str | None) and value in values


def _anything(value):
    return True


_NUMBERS = _list_of(_is_real)
_ARRAYS = _list_of(_is_reals)


def _check_types(values, types, place):
    """Raise a ``DamagedValueError`` if a dict has other names, or values of other types."""
    if type(values) is not dict or set(values) != set(types):
        raise DamagedValueError(f"{place} must have the entries {sorted(types)}")
    for name, is_valid in types.items():
        if not is_valid(values[name]):
            raise DamagedValueError(f"{place}.{name} has a wrong type or value")


# ---------------------------------------------------------------------- attributes

FITTED = {
    "coefs_": _list_of(_anything, list, tuple),  # the user may have set these lists
    "intercepts_": _list_of(_anything, list, tuple),
    "norm_scales_": _ARRAYS,
    "norm_shifts_": _ARRAYS,
    "loss_": _is_real,
    "best_loss_": _optional(_is_real),
    "loss_curve_": _NUMBERS,
    "history_": lambda value: type(value) is dict and all(_is_string(name) and _NUMBERS(value[name]) for name in value),
    "t_": _is_count,
    "n_iter_": _is_count,
    "validation_scores_": _optional(_NUMBERS),
    "best_validation_score_": _optional(_is_real),
    "n_features_in_": _is_count,
    "feature_names_in_": lambda value: _is_labels(value) and value.dtype == object and all(map(_is_string, value)),
    "n_layers_": _is_count,
    "n_outputs_": _is_count,
    "out_activation_": _one_of(*LinkCode.__members__),
    "y_range_": lambda value: _is_reals(value) and value.ndim == 2 and len(value) == 2,
    "classes_": lambda value: _is_labels(value) or _list_of(_is_labels)(value),
    "_state": _optional(lambda value: type(value) is dict),
    "_no_improvement_count": _is_count,
    "_label_binarizer": lambda value: isinstance(value, LabelBinarizer) or _list_of(_is_labels)(value),
    "_groups": _list_of(lambda value: _is_count(value) and value > 0, tuple),
    "_quantiles": _list_of(lambda value: _is_real(value) and 0 < value < 1, tuple),
}
_STATE = {
    "sizes": _list_of(_is_count),
    "n_norms": _is_count,
    "params": _is_vector,
    "preparation": _anything,
    "norm": _one_of(None, "batch_norm", "layer_norm"),
    "is_averaged": _is_flag,
    "out_activation": _is_string,
    "rng": _optional(_is_generator),
    "fixed": _list_of(lambda value: _is_flag(value) or isinstance(value, str | None)),
    "link": lambda value: _list_of(_anything)(value) and len(value) == 2,
    "activations": _list_of(_one_of(*ACTIVATION_NAMES)),
    "optimizer": _anything,
    "moving": _optional(_is_vector),
    "published_hash": _optional(_is_digest),
    "resume": _anything,
}
_OPTIMIZER = {
    "hyperparams": lambda value: type(value) is dict and isinstance(value.get("solver"), str) and value["solver"] in N_MOMENTS,
    "learning_rate": _is_real,
    "factor": _is_real,
    "step": _is_count,
    "epochs": _is_count,
    "product": _is_real,
    "moments": _is_vector,
}
_RESUME = {
    "n_rows": _is_count,
    "order": _is_indices,
    "held_out": _optional(_is_indices),
    "early_stopping": _is_flag,
    "progress": lambda value: type(value) is dict and all(type(value[name]) is float or abs(value[name]) < 2**63 for name in value),
    "rng": _is_generator,
    "trained": _optional(_list_of(_is_vector)),
    "best": _optional(_list_of(_is_vector)),
    "seed": lambda value: type(value) is int and abs(value) < 2**64,
    "published_hash": _optional(_is_digest),
}
_PREPARATION = {"imputer": _anything, "scaling": _anything}
_IMPUTER = {"means": _is_vector, "indicators": _is_indices}
_SCALING = {"inputs": _anything, "targets": _anything, "dtype": _one_of("float32", "float64")}
_AFFINE = {"center": _is_vector, "scale": _is_vector}
_CLIPPING = {"center": _is_vector, "factor": _is_vector}


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
    _check_types(state, _STATE, "state")
    if state["resume"] is not None:
        _check_types(state["resume"], _RESUME, "resume")
    if state["optimizer"] is not None:
        _check_types(state["optimizer"], _OPTIMIZER, "optimizer")
    _check_preparation(state["preparation"], attributes)


def _check_preparation(preparation, attributes):
    """Raise a ``DamagedValueError`` if the imputer or a scaling does not belong to the features."""
    has_clipping = type(preparation) is dict and "clipping" in preparation
    _check_types(preparation, _PREPARATION | ({"clipping": _anything} if has_clipping else {}), "preparation")
    imputer, scaling = preparation["imputer"], preparation["scaling"]
    n_inputs = attributes["n_features_in_"]
    if imputer is not None:
        _check_types(imputer, _IMPUTER, "imputer")
        means, indicators = imputer["means"], imputer["indicators"]
        if len(means) != n_inputs or not np.isin(indicators, np.arange(n_inputs)).all() or (np.diff(indicators) <= 0).any():
            raise DamagedValueError("the imputer does not belong to the features")
        n_inputs += len(indicators)
    if has_clipping:
        _check_types(preparation["clipping"], _CLIPPING, "clipping")
        if {len(preparation["clipping"][part]) for part in _CLIPPING} != {n_inputs}:
            raise DamagedValueError("the clipping of the inputs has a wrong size")
    if scaling is None:
        return
    _check_types(scaling, _SCALING, "scaling")
    for name, size in (("inputs", n_inputs), ("targets", attributes["n_outputs_"])):
        if scaling[name] is not None:
            _check_types(scaling[name], _AFFINE, name)
            if {len(scaling[name][part]) for part in _AFFINE} != {size}:
                raise DamagedValueError(f"the scaling of the {name} has a wrong size")
