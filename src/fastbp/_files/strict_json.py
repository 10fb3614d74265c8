"""JSON as RFC 8259 defines it, without what Python's parser accepts in addition.

A text goes in; dicts, lists, strings, numbers, booleans and None come out. Repeated names, NaN, infinite numbers, integers of many
digits and deep nesting raise a ValueError. This module does not know what the values mean.
"""

import json
import math

MAX_DIGITS = 300  # larger integers cannot be converted to floats


def parse(text):
    """Return the value of a JSON text; raise a ValueError if it is not valid."""
    try:
        return json.loads(
            text, object_pairs_hook=_unique, parse_int=_integer, parse_float=_finite_number, parse_constant=_no_constant
        )
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def dump(value):
    """Return a value as an ASCII text."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _unique(pairs):
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a name occurs twice in a JSON object")
    return result


def _integer(text):
    if len(text.lstrip("-")) > MAX_DIGITS:
        raise ValueError("an integer in the JSON has too many digits")
    return int(text)


def _finite_number(text):
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number in the JSON is too large")
    return number


def _no_constant(text):
    raise ValueError(f"{text} is not valid JSON")
