"""Remedies: the first of several that applies, as text with the parameter and its value.

Conditions, parameters and values go in; the last three fields of an ``Advice`` come out. This module does not know problems.
"""

NO_VALUE = object()


def first_remedy(*remedies):
    """Return (text, parameter, value) of the first remedy (applies, parameter, value, text) that applies.

    A remedy that is in use already must not apply. The value ``NO_VALUE``, returned as None, is for remedies that are only a text.
    """
    parameter, value, text = next(remedy[1:] for remedy in remedies if remedy[0])
    if value is NO_VALUE:
        return f"{text}.", parameter, None
    return f"{text}: set {parameter}={_as_code(value)}.", parameter, value


def without(activations, is_replaced, replacement):
    """Return the parameter `activation` in which some of the activations of the hidden layers are replaced."""
    names = [replacement if is_replaced(name) else name for name in activations]
    return names[0] if len(set(names)) == 1 else names


def _as_code(value):
    return f"{value:g}" if isinstance(value, float) else repr(value)
