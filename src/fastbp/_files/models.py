"""Estimators as JSON trees and arrays.

An estimator goes in; a tree of JSON values and numeric arrays by name come out, and later an estimator of the same class in the
same state: parameters, fitted attributes, optimizer, random numbers, and all that is needed to resume a fit. Names and types of all
parts are checked before it is built. This module does not know the format of the files, and it imports no estimator.
"""

from collections.abc import Callable
from inspect import Parameter
from typing import Any, NamedTuple

from sklearn import config_context

from .container import UnreadableFileError
from .values import DamagedValueError, Decoder, Encoder

_OTHER_ATTRIBUTES = {"_sklearn_output_config"}  # of scikit-learn's estimators
_REQUEST = "_metadata_request"
_SEPARATE = {_REQUEST, "_skl_callbacks"}  # they are not stored as attributes
_METHODS = ("fit", "partial_fit", "score")
_OTHER_METHODS = ("predict",)  # stored only if there are requests, because earlier versions do not know them
_KEYS = ("class", "subclass", "params", "attributes", "requests", "callbacks")
# The errors that a tree with a valid checksum but with wrong types can cause.
_WRONG_TYPES = (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError, RecursionError, DamagedValueError)


class Callbacks(NamedTuple):
    """The callbacks in a file: ``every`` of the ``Checkpoint`` that wrote it, or None, and the names of the others."""

    every: int | None = None
    others: tuple[str, ...] = ()


class Schema(NamedTuple):
    """The attributes of a class of estimators: names with a check of the type, and a check of all attributes together.

    ``check`` raises a ``DamagedValueError`` for a dict of attributes that cannot be the result of a fit.
    """

    types: dict[str, Any]
    check: Callable[[dict], None]


# ---------------------------------------------------------------------- from an estimator


def model_parts(est, names, classes, callbacks):
    """Return the tree and the arrays of an estimator of one of the ``classes``, or of a subclass.

    ``classes`` is a dict with the ``Schema`` of each class. ``names`` are the names of the parameters of the estimator. The
    parameter `callbacks` and the callbacks of scikit-learn are replaced by the description ``callbacks``.
    """
    state, encoder = est.__getstate__() | {"callbacks": None}, Encoder()
    params = {name: encoder.encode(state.get(name), name) for name in names}
    attributes = {name: value for name, value in state.items() if name not in names and name not in _SEPARATE}
    base = next(cls for cls in classes if isinstance(est, cls))
    tree = {
        "class": base.__name__,
        "subclass": None if type(est) is base else _full_name(type(est)),
        "params": params,
        "attributes": _encoded_attributes(type(est), attributes, encoder, classes[base]),
        "requests": _requests(est) if _REQUEST in state else {},
        "callbacks": {"every": callbacks.every, "others": callbacks.others},
    }
    return tree, encoder.tensors


def _encoded_attributes(cls, attributes, encoder, schema):
    """Return a dict of JSON trees; raise a ValueError if the file could not be loaded."""
    for name in attributes:
        _check_attribute(cls, name, schema)
    trees = {name: encoder.encode(value, name) for name, value in attributes.items()}
    try:
        schema.check(attributes)
    except DamagedValueError as error:
        raise ValueError(
            f"The estimator cannot be saved, because an attribute does not have the type that {cls.__name__}.fit sets: {error}. "
            "Assign a value of the same type as after a fit."
        ) from None
    return trees


def _check_attribute(cls, name, schema):
    """Raise a ValueError if an attribute is not set by a fit, and if its name is private or the name of a method."""
    if not _is_known(name, schema) and not _is_free(cls, name):
        raise ValueError(
            f"The attribute {name} is not one that {cls.__name__}.fit sets, and fastbp.save and fastbp.Checkpoint store other "
            "attributes only if their names have no leading underscore and are not names of methods. Delete or rename it."
        )


def _is_known(name, schema):
    return name in schema.types or name in _OTHER_ATTRIBUTES


def _is_free(cls, name):
    """Whether a user may choose the name for an attribute."""
    return name.isidentifier() and not name.startswith("_") and not hasattr(cls, name)


def _requests(est):
    """Return the metadata that the user requested for methods of an estimator, as a dict of dicts."""
    routing = est.get_metadata_routing()
    requests = {method: dict(getattr(routing, method).requests) for method in (*_METHODS, *_OTHER_METHODS)}
    return {method: wanted for method, wanted in requests.items() if wanted or method in _METHODS}


def _full_name(cls):
    return f"{cls.__module__}.{cls.__qualname__}"


# ---------------------------------------------------------------------- to an estimator


def model_from_parts(tree, tensors, classes, cls, defaults_of):
    """Return the estimator in the result of ``model_parts``, and its ``Callbacks``.

    Raise an ``UnreadableFileError`` if the tree or the arrays are damaged. ``cls`` is the subclass that the user expects, or None.
    ``defaults_of`` returns the default parameters of a class.
    """
    try:
        if tuple(tree) != _KEYS:
            raise DamagedValueError("a part of the model is missing")
        cls, schema = _class_of(tree, classes, cls)
        est = _built(cls, defaults_of(cls), tree, Decoder(tensors), schema)
        return est, _checked_callbacks(tree["callbacks"])
    except _WRONG_TYPES as error:
        raise UnreadableFileError(f"its model is damaged ({error})") from error


def _class_of(tree, classes, cls):
    """Return the class of the estimator to build, and its ``Schema``."""
    base, subclass = next((one for one in classes if one.__name__ == tree["class"]), None), tree["subclass"]
    if base is None or not isinstance(subclass, str | None):
        raise DamagedValueError("the class is unknown")
    expected = _full_name(base) if subclass is None else subclass
    if cls is None and subclass is None:
        return base, classes[base]
    if cls is None:
        raise UnreadableFileError(
            f"it contains an estimator of the class {subclass!r:.200}, a subclass of {base.__name__}",
            "Import this class and pass it: fastbp.load(path, cls=...).",
        )
    if not issubclass(cls, base) or _full_name(cls) != expected:
        raise UnreadableFileError(
            f"it contains an estimator of the class {expected!r:.200}, and cls is {_full_name(cls)!r}",
            "Pass the class of the file.",
        )
    return cls, classes[base]


def _built(cls, defaults, tree, decoder, schema):
    """Return a new estimator with the parameters and attributes of a tree, and with the defaults of all other parameters."""
    attributes, given = tree["attributes"], tree["params"]
    unknown = sorted(set(given) - set(defaults))
    if unknown:
        raise UnreadableFileError(f"it has the unknown parameters {unknown!r:.200}", "Update fastbp.")
    for name in attributes:
        if not _is_known(name, schema) and not (_is_free(cls, name) and name not in defaults):
            raise DamagedValueError(f"{name!r:.60} is not the name of an attribute")
    params = {name: value for name, value in defaults.items() if value is not Parameter.empty}
    params |= {name: decoder.decode(value) for name, value in given.items()}
    attributes = {name: decoder.decode(value) for name, value in attributes.items()}
    decoder.finish()
    schema.check(attributes)
    est = cls.__new__(cls)
    est.__setstate__(params | attributes)
    _set_requests(est, tree["requests"])
    return est


def _set_requests(est, requests):
    with config_context(enable_metadata_routing=True):
        for method, wanted in requests.items():
            if method not in (*_METHODS, *_OTHER_METHODS) or not all(
                isinstance(value, bool | str | None) for value in wanted.values()
            ):
                raise DamagedValueError("the metadata requests are damaged")
            if wanted:
                getattr(est, f"set_{method}_request")(**wanted)


def _checked_callbacks(tree):
    every, others = tree["every"], tree["others"]
    is_number = every is None or (type(every) is int and 1 <= every < 2**63)
    if set(tree) != set(Callbacks._fields) or not is_number or not all(isinstance(name, str) for name in others):
        raise DamagedValueError("the callbacks are damaged")
    return Callbacks(every, tuple(others))
