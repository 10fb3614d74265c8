"""The public functions of a generated program.

A ``CProgram`` goes in; the code of its functions and their declarations with comments come out. This module does not know how the
outputs of the network are computed.
"""


def parameters_of(result):
    """The parameters of a function of one row."""
    return f"const real x[@@_N_FEATURES], {result}"


def public_functions(program):
    """Return the code of the functions of a classifier. Those of a regressor consist of the forward pass only."""
    return "" if program.kind == "regressor" else _PREDICT[program.kind](program) + _proba_function(program)


def _c_function(head, *lines):
    body = "".join(f"    {line}\n" for line in lines)
    return f"\n{head}\n{{\n{body}}}\n"


def _predict_binary(program):
    lines = "real outputs[1];", "@_outputs(x, outputs);", "return outputs[0] > 0.5;"
    return _c_function("int @_predict(const real x[@@_N_FEATURES])", *lines)


def _predict_single_class(program):
    return _c_function("int @_predict(const real x[@@_N_FEATURES])", "(void)x;", "return 0;")


def _predict_multiclass(program):
    lines = f"real outputs[{program.n_outputs}];", "@_outputs(x, outputs);", f"return @_argmax(outputs, {program.n_outputs});"
    return _c_function("int @_predict(const real x[@@_N_FEATURES])", *lines)


def _predict_multilabel(program):
    return _c_function(
        f"void @_predict({parameters_of('int out[@@_N_LABELS]')})",
        f"real outputs[{program.n_outputs}];",
        "@_outputs(x, outputs);",
        f"for (int j = 0; j < {program.n_outputs}; ++j)",
        "    out[j] = outputs[j] > 0.5;",
    )


def _predict_multioutput(program):
    return _c_function(
        f"void @_predict({parameters_of('int out[@@_N_TARGETS]')})",
        f"real outputs[{program.n_outputs}];",
        "@_outputs(x, outputs);",
        *(f"out[{k}] = @_argmax({start}, {size});" for k, (start, size) in enumerate(_groups(program, "outputs"))),
    )


_PREDICT = {
    "binary": _predict_binary,
    "single class": _predict_single_class,
    "multiclass": _predict_multiclass,
    "multilabel": _predict_multilabel,
    "multioutput": _predict_multioutput,
}


def _groups(program, array):
    """Yield the C expression of the start and the size of each group of outputs."""
    start = 0
    for size in program.group_sizes:
        yield f"{array} + {start}" if start else array, size
        start += size


def _proba_function(program):
    """The function that computes probabilities from outputs; one output is the probability of the second class."""
    labels, n_outputs = program.network.labels, program.n_outputs
    target = "out + 1" if n_outputs == 1 else "out"
    lines = [f"@_outputs(x, {target});"]
    if labels.is_clipped:
        lines.append(f"@_clip({target}, {n_outputs});")
    if labels.is_divided:
        lines += [f"@_divide_by_sum({start}, {size});" for start, size in _groups(program, "out")]
    if n_outputs == 1:
        lines.append("out[0] = 1.0 - out[1];")
    return _c_function(f"void @_predict_proba({parameters_of('real out[@@_N_PROBABILITIES]')})", *lines)


# ---------------------------------------------------------------------- declarations

_INDEX = "int @_predict(const real x[@@_N_FEATURES]);"
_PROBABILITIES_IN_C = f"void @_predict_proba({parameters_of('real out[@@_N_PROBABILITIES]')});"
_OF_CLASSES = "Computes the probabilities of the classes in the order of @_classes."
_DECLARATIONS = {
    "binary": (("Returns the index of the most probable class in @_classes.", _INDEX), (_OF_CLASSES, _PROBABILITIES_IN_C)),
    "multiclass": (("Returns the index of the most probable class in @_classes.", _INDEX), (_OF_CLASSES, _PROBABILITIES_IN_C)),
    "single class": (
        ("Returns 0, because the model was trained with a single class.", _INDEX),
        ("Computes the two probabilities that predict_proba returns for a single class.", _PROBABILITIES_IN_C),
    ),
    "multilabel": (
        (
            "Computes 1 for each label with a probability above 0.5, and 0 for the others.",
            f"void @_predict({parameters_of('int out[@@_N_LABELS]')});",
        ),
        ("Computes the probability of each label.", _PROBABILITIES_IN_C),
    ),
    "multioutput": (
        (
            "Computes the index of the most probable class for each column of y: out[k] is an index in @_classes_k.",
            f"void @_predict({parameters_of('int out[@@_N_TARGETS]')});",
        ),
        (
            "Computes the probabilities of the classes: those of the first column of y, then those of the second, ...",
            _PROBABILITIES_IN_C,
        ),
    ),
}


def declarations(program):
    """Return the comments and the declarations of the public functions."""
    if program.kind != "regressor":
        return _DECLARATIONS[program.kind]
    quantiles = program.network.quantiles
    text = "Computes the prediction for each column of y."
    if len(quantiles) > 1:
        values = ", ".join(f"{value:g}" for value in quantiles)
        text = f"Computes the quantiles {values} of the first column of y, then those of the second, ..."
    elif quantiles:
        text = f"Computes the quantile {quantiles[0]:g} for each column of y."
    return ((text, f"void @_predict({parameters_of('real out[@@_N_OUTPUTS]')});"),)
