"""The names and types of the attributes of fitted estimators for tables, with which files are checked.

The attributes that were read from a file go in; an error comes out if one of them cannot be the result of a fit. The sizes of the
parameters are checked where the networks are built. This module does not know how attributes are stored.
"""

import numpy as np

from .._network.activations import ACTIVATION_NAMES
from .._network.mixed_precision import MIXED_BFLOAT16
from .._network.schedules import SCHEDULE_NAMES
from .fitted_attributes import FITTED, check_state
from .type_checks import (
    check_types,
    is_count,
    is_flag,
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


def _is_positive(value):
    return (is_count(value) or isinstance(value, np.integer)) and 0 < value < 2**31


def _is_count_or_scalar(value):
    return _is_positive(value) or (is_real(value) and value == 0)


def _is_dict(value):
    return type(value) is dict


def _are_categories(value):
    """Whether a value is a list of texts, or a sorted array of numbers."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and value.dtype.kind in "fiub" and not (value[1:] <= value[:-1]).any()
    return list_of(is_string)(value)


FITTED_TABLES = {
    "_ensemble": _is_dict,
    "_paused": _is_dict,
    "_shape": _is_dict,
    "n_iter_": is_count,
    "n_features_in_": is_count,
    "feature_names_in_": FITTED["feature_names_in_"],
    "classes_": is_labels,
    "temperature_": lambda value: is_real(value) and value > 0,
    "oob_score_": is_real,
    "oob_decision_function_": is_reals,
    "oob_prediction_": is_reals,
}
_ENSEMBLE = {
    "columns": list_of(_is_dict),
    "kind": optional(_is_dict),
    "members": list_of(_is_dict),
    "constant": optional(is_vector),
}
_COLUMN_TYPES = {
    "ignored": {"name": is_string},
    "number": {"name": is_string, "origin": is_real},
    "date": {
        "name": is_string,
        "measured": one_of("date", "time", "duration"),
        "origin": is_real,
        "zone": optional(is_string),
        "cycles": list_of(one_of("year", "week", "day"), tuple),
    },
    "category": {"name": is_string, "categories": _are_categories, "has_rare": is_flag},
}
_KIND = {
    "family": one_of("RealMLP", "TabM"),
    "settings": _is_dict,
    "n_outputs": _is_positive,
    "link": one_of("softmax", "identity", "ordered_quantiles"),
    "numbers": list_of(is_real, tuple),
}
_SETTINGS_OF_ALL = {
    "hidden_layer_sizes": list_of(_is_positive, tuple),
    "activation": one_of(*ACTIVATION_NAMES),
    "learning_rate": one_of(*SCHEDULE_NAMES),
    "clip_predictions": is_flag,
    "clip_norm": optional(is_real),
    **dict.fromkeys(("learning_rate_init", "beta_1", "beta_2", "epsilon", "weight_decay", "dropout", "label_smoothing"), is_real),
    **dict.fromkeys(("n_iter_no_change", "tolerance"), is_real),
    **dict.fromkeys(("n_frequencies", "max_one_hot_size", "n_submodels"), _is_count_or_scalar),
    "scoring": one_of("accuracy", "neg_brier_score"),
    "dtype": one_of("float32", MIXED_BFLOAT16),
    **dict.fromkeys(("embedding_size", "max_iter", "n_cv"), _is_positive),
}
_SETTINGS = {
    "RealMLP": {
        **_SETTINGS_OF_ALL,
        **dict.fromkeys(("parametric_activation", "residual_connections"), is_flag),
        "weight_init": one_of("normal", "data"),
        "batch_size": _is_positive,
        "n_bins": _is_count_or_scalar,
    },
    "TabM": {
        **_SETTINGS_OF_ALL,
        "architecture": one_of("tabm", "tabm-mini"),
        "numeric_embedding": one_of("piecewise_linear", "periodic", "periodic_lite", None),
        "frequency_scale": is_real,
        "shares_batches": is_flag,
        "batch_size": lambda value: _is_positive(value) or one_of("auto")(value),
        **dict.fromkeys(("n_submodels", "n_bins"), _is_positive),
        "numeric_embedding_size": _is_count_or_scalar,
    },
}
_MEMBER = {
    "inputs": _is_dict,
    "edges": list_of(is_reals),
    "means": list_of(is_vector),
    "target": optional(_is_dict),
    "network": _is_dict,
}
_TABLES = {"columns": is_indices, "tables": list_of(is_reals)}
_ROBUST_INPUTS = {"medians": is_vector, "factors": is_vector, "indicators": _is_dict, "one_hot": _is_dict}
_QUANTILE_INPUTS = {"medians": is_vector, "kept": is_indices, "quantiles": is_reals, "indicators": _is_dict, "n_codes": is_indices}
_TARGET = {"mean": is_vector, "scale": is_vector, "limits": optional(list_of(is_vector, tuple))}
_NETWORK = {
    "params": lambda value: is_vector(value) and value.dtype == np.float32,
    "history": lambda value: FITTED["history_"](value) and "loss" in value and len(set(map(len, value.values()))) == 1,
    "training": optional(_is_dict),
}
_TRAINING = {"state": _is_dict, "attributes": _is_dict}
_OF_TRAINING = {
    "loss_": optional(is_real),
    "best_loss_": optional(is_real),
    "t_": is_count,
    "n_iter_": is_count,
    "best_validation_score_": optional(is_real),
    "_no_improvement_count": is_count,
}
_PAUSED = {
    "n_rows": _is_positive,
    "splits": list_of(list_of(optional(is_indices))),
    "seeds": is_indices,
    "members": list_of(is_flag),
    "is_validated": is_flag,
    "fixed": _is_dict,
}
_SHAPE = {"n_targets": optional(_is_positive), "quantiles": list_of(lambda value: is_real(value) and 0 < value < 1, tuple)}


def check_fitted_table(attributes):
    """Raise a ``DamagedValueError`` if fitted attributes have wrong types, or sizes that do not belong together."""
    for name, value in attributes.items():
        if name in FITTED_TABLES and not FITTED_TABLES[name](value):
            raise DamagedValueError(f"{name} has a wrong type or value")
    ensemble = attributes.get("_ensemble")
    if ensemble is None:
        if set(attributes) & set(FITTED_TABLES):
            raise DamagedValueError("the ensemble is missing")
        return
    check_types(ensemble, _ENSEMBLE, "ensemble")
    n_codes = _checked_columns(ensemble["columns"])
    if len(ensemble["columns"]) != attributes["n_features_in_"]:
        raise DamagedValueError("the number of columns is wrong")
    n_outputs = _n_outputs(attributes)
    if (ensemble["kind"] is None) == (ensemble["constant"] is None) or bool(ensemble["members"]) == (ensemble["kind"] is None):
        raise DamagedValueError("the ensemble must have either members or constant outputs")
    if ensemble["kind"] is None:
        if len(ensemble["constant"]) != n_outputs:
            raise DamagedValueError("the constant outputs have a wrong size")
    else:
        _check_kind(ensemble["kind"], n_outputs)
        for member in ensemble["members"]:
            _check_member(member, ensemble["kind"]["family"], n_codes, n_outputs, is_regression="_shape" in attributes)
    if "_paused" in attributes:
        _check_paused(attributes["_paused"], len(ensemble["members"]))


def _n_outputs(attributes):
    if "_shape" not in attributes:
        return len(attributes["classes_"])
    shape = attributes["_shape"]
    check_types(shape, _SHAPE, "shape")
    return (shape["n_targets"] or 1) * max(1, len(shape["quantiles"]))


def _checked_columns(columns):
    """The numbers of codes of the categorical columns; raises an error for damaged columns."""
    for column in columns:
        if column.get("kind") not in _COLUMN_TYPES:
            raise DamagedValueError("the kind of a column is unknown")
        check_types(column, {"kind": is_string, **_COLUMN_TYPES[column["kind"]]}, "column")
    return [len(column["categories"]) + bool(column["has_rare"]) for column in columns if column["kind"] == "category"]


def _check_kind(kind, n_outputs):
    check_types(kind, _KIND, "kind")
    check_types(kind["settings"], _SETTINGS[kind["family"]], "settings")
    numbers = kind["numbers"]
    is_ordered = kind["link"] == "ordered_quantiles"
    if kind["n_outputs"] != n_outputs or (is_ordered and (not numbers or n_outputs % len(numbers))):
        raise DamagedValueError("the number of outputs is wrong")


def _check_robust_inputs(inputs, edges, means, n_codes):
    check_types(inputs, _ROBUST_INPUTS, "inputs")
    n_numbers = len(inputs["medians"])
    if len(inputs["factors"]) != n_numbers:
        raise DamagedValueError("the scaling of the inputs has a wrong size")
    _check_tables(inputs["indicators"], "indicators", [1] * n_numbers)
    _check_tables(inputs["one_hot"], "one_hot", n_codes)
    _check_edges(edges, n_numbers, least=1)
    if [len(one) for one in means] != [len(one) - 1 for one in edges]:
        raise DamagedValueError("the means of the bins have a wrong size")


def _check_quantile_inputs(inputs, edges):
    check_types(inputs, _QUANTILE_INPUTS, "inputs")
    n_numbers, kept, quantiles = len(inputs["medians"]), inputs["kept"], inputs["quantiles"]
    if (np.diff(kept) <= 0).any() or not np.isin(kept, np.arange(n_numbers)).all() or len(inputs["n_codes"]):
        raise DamagedValueError("the columns of the inputs are wrong")
    if len(kept) and (quantiles.ndim != 2 or len(quantiles) < 2 or quantiles.shape[1] != n_numbers):
        raise DamagedValueError("the quantiles of the inputs have a wrong size")
    _check_edges(edges, len(kept), least=2)
    _check_tables(inputs["indicators"], "indicators", [1] * n_numbers)


def _check_edges(edges, n_columns, least):
    """Raise an error unless ``edges`` is empty or has at least ``least`` increasing numbers for each column."""
    if edges and (len(edges) != n_columns or any(one.ndim != 1 or len(one) < least or (np.diff(one) <= 0).any() for one in edges)):
        raise DamagedValueError("the bins of the inputs are wrong")


def _check_member(member, family, n_codes, n_outputs, is_regression):
    check_types(member, _MEMBER, "member")
    inputs, edges, means, target, network = (member[name] for name in _MEMBER)
    if family == "TabM":
        _check_quantile_inputs(inputs, edges)
    else:
        _check_robust_inputs(inputs, edges, means, n_codes)
    if (target is not None) != is_regression:
        raise DamagedValueError("the scale of the targets does not belong to the estimator")
    if target is not None:
        check_types(target, _TARGET, "target")
        if {len(one) for one in (target["mean"], target["scale"], *(target["limits"] or ()))} != {n_outputs}:
            raise DamagedValueError("the scale of the targets has a wrong size")
    check_types(network, _NETWORK, "network")
    if network["training"] is not None:
        check_types(network["training"], _TRAINING, "training")
        check_types(network["training"]["attributes"], _OF_TRAINING, "attributes")
        check_state(network["training"]["state"])


def _check_tables(tables, name, n_codes):
    """Raise an error if tables of numbers for codes do not belong to columns with these numbers of codes."""
    check_types(tables, _TABLES, name)
    columns = tables["columns"]
    if (
        len(columns) != len(tables["tables"])
        or (np.diff(columns) <= 0).any()
        or not np.isin(columns, np.arange(len(n_codes))).all()
    ):
        raise DamagedValueError(f"the columns of {name} are wrong")
    for column, table in zip(columns, tables["tables"], strict=True):
        n = n_codes[column]
        is_single = name == "indicators" or n == 2
        if table.shape != ((n + 1, 1) if is_single else (2, n)):
            raise DamagedValueError(f"a table of {name} has a wrong shape")


def _check_paused(paused, n_members):
    check_types(paused, _PAUSED | ({"digest": optional(is_string)} if "digest" in paused else {}), "paused")
    n_all = len(paused["members"])
    if len(paused["splits"]) != n_all or len(paused["seeds"]) != n_all or sum(paused["members"]) != n_members:
        raise DamagedValueError("the number of members is wrong")
    for split in paused["splits"]:
        for rows in split:
            if rows is not None and (not len(rows) or rows.min() < 0 or rows.max() >= paused["n_rows"]):
                raise DamagedValueError("a row number is wrong")
        if len(split) != 2 or split[0] is None:
            raise DamagedValueError("the rows of a member are wrong")
