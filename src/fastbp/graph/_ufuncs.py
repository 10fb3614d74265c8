"""The error for a function of NumPy that is called with a variable.

The ufunc goes in; a TypeError that names the function of ``fastbp.graph`` to use comes out. This module does not know about
variables.
"""

# the functions of fastbp.graph that replace a ufunc, or its method `reduce`
_REPLACEMENTS = {"exp": "exp", "log": "log", "tanh": "tanh", "expit": "sigmoid", "maximum": "maximum", "add.reduce": "sum"}
_CALLERS = {"add.reduce": "np.sum", "maximum.reduce": "np.max", "minimum.reduce": "np.min", "multiply.reduce": "np.prod"}
_COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")


def ufunc_error(ufunc, method):
    """Return the error for a method of a ufunc, "__call__" for the ufunc itself."""
    name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
    if name in _COMPARISONS:
        return TypeError("A Variable cannot be compared, because the graph records no conditions. Use its attribute value.")
    caller = _CALLERS.get(name, name if name == "expit" else f"np.{name}")
    remedy = "Use the operators and the functions of fastbp.graph"
    if name in _REPLACEMENTS:
        remedy = f"Use fastbp.graph.{_REPLACEMENTS[name]}"
    return TypeError(f"{caller} cannot be called with a Variable, because its derivative would not be recorded. {remedy} instead.")
