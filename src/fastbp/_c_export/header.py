"""The header of a generated program.

A ``CProgram`` goes in; the text of the header comes out: a description of the network and its memory, sizes as macros, the class
labels and the public functions. C++ programs can include it. This module does not know the code of the functions.
"""

from .literals import block_comment, comment_text, label_array
from .public_functions import declarations
from .source import label_names


def header_text(program):
    """Return the text of the header."""
    guard = f"{program.prefix.upper()}_H"
    return (
        block_comment([*_network_lines(program), "", *_memory_lines(program), "", *_feature_lines(program)])
        + f"#ifndef {guard}\n#define {guard}\n\n"
        + "".join(f"#define {program.prefix.upper()}_{name} {value}\n" for name, value in _macros(program))
        + '\n#ifdef __cplusplus\nextern "C" {\n#endif\n'
        + "".join(_label_declarations(program))
        + "".join(program.code(f"\n/* {text} */\n{code}\n") for text, code in declarations(program))
        + "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n"
    )


def _network_lines(program):
    """The lines that describe the network."""
    network, sizes = program.network, "-".join(map(str, program.network.sizes))
    yield f"{network.estimator} of fastbp with layers {sizes} in {program.real}. This file is generated."
    functions = [*network.activations, network.link]
    for name, size, function in zip(program.layer_names, network.sizes[1:], functions, strict=True):
        norm = ", layer norm" if network.norm_scales and name != "output layer" else ""
        yield f"  {name}: {size} units{norm}, {function}"


def _memory_lines(program):
    """The lines about memory."""
    source = program.header_name.removesuffix(".h")
    yield f"Constants: {program.constant_bytes} bytes of weights and other parameters, which can be in read-only memory."
    yield f"Stack: {_stack_bytes(program)} bytes for arrays, and the frames of a few functions."
    yield "There are no variables outside of functions, and no memory is allocated: several threads can call the functions."
    yield "Machine code: 260 to 690 bytes with gcc 12 and -Os on x86-64, for typical networks, besides the functions of math.h. The"
    yield "size depends on the compiler. This prints it, including the constants, in the column 'text':"
    yield f"  cc -std=c99 -Os -c {source}.c && size {source}.o"


def _stack_bytes(program):
    """The largest number of bytes on the stack that a public function uses for arrays."""
    predict = 0 if program.kind in ("regressor", "single class") else program.n_outputs
    return program.stack_bytes(predict)


def _feature_lines(program):
    """The lines about the features."""
    network = program.network
    missing = "finite" if network.fill_values is None else "finite, or NaN for missing values"
    yield f"x has the {network.n_features} features of one row, without scaling. They must be {missing}."
    yield "x and out must not overlap."
    if network.feature_names:
        yield "The features:"
        yield from (f"  x[{number}]: {comment_text(name)}" for number, name in enumerate(network.feature_names))
    for name, labels in zip(label_names(program), program.labels or (), strict=True):
        yield f"The labels in {program.prefix}_{name}:"
        yield from (f"  {number}: {comment_text(label)}" for number, label in enumerate(labels))


def _macros(program):
    """Yield the names and the values of the macros."""
    yield "N_FEATURES", program.network.n_features
    if program.kind == "regressor":
        yield "N_OUTPUTS", program.n_outputs
        if program.network.n_quantiles > 1:
            yield "N_QUANTILES", program.network.n_quantiles
    elif program.kind == "multilabel":
        yield "N_LABELS", program.n_outputs
    elif program.kind == "multioutput":
        yield "N_TARGETS", len(program.labels)
        yield from ((f"N_CLASSES_{column}", len(labels)) for column, labels in enumerate(program.labels))
    else:
        yield "N_CLASSES", len(program.labels[0])
    if program.kind != "regressor":
        yield "N_PROBABILITIES", program.n_probabilities
    yield "CONSTANT_BYTES", program.constant_bytes
    yield "STACK_BYTES", _stack_bytes(program)


def _label_declarations(program):
    """Yield the declarations of the arrays of class labels."""
    for name, labels in zip(label_names(program), program.labels or (), strict=True):
        kind, _ = label_array(labels)
        yield f"\nextern {kind} {program.prefix}_{name}[{len(labels)}];\n"
