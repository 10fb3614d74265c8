"""The functions of the generated C code: activations, output activations and the steps of a forward pass.

A name goes in; C code comes out, in which ``real`` is the floating-point type, ``@_`` the prefix of functions and ``@@_`` that of
macros. `typed_code` replaces them. The functions of math.h have their names for double. A formula overflows only if its result is
too large for the type. This module does not know the network.
"""

import re

# The activation g(z) of one unit by name: the formula for the comment, and the statements that compute it.
ACTIVATIONS_IN_C: dict[str, tuple[str, ...]] = {
    "identity": ("z", "return z;"),
    "logistic": ("1 / (1 + e^-z)", "const real e = exp(-fabs(z));", "return (z < 0.0 ? e : 1.0) / (1.0 + e);"),
    "tanh": ("the hyperbolic tangent", "return tanh(z);"),
    "relu": ("the larger of 0 and z", "return z < 0.0 ? 0.0 : z;"),
    "leaky_relu": ("z, or z / 100 below zero", "return z < 0.0 ? 0.01 * z : z;"),
    "elu": ("z, or e^z - 1 below zero", "return z < 0.0 ? @_expm1_below(z) : z;"),
    "selu": (
        "L z, or L A (e^z - 1) below zero, with the constants L and L A",
        "return z < 0.0 ? 1.7580993408473766 * @_expm1_below(z) : 1.0507009873554805 * z;",
    ),
    "silu": ("z times the logistic function", "const real e = exp(-fabs(z));", "return z * (z < 0.0 ? e : 1.0) / (1.0 + e);"),
    "gelu": ("z times the normal distribution function", "return 0.5 * z * erfc(-0.7071067811865476 * z);"),
    "mish": (
        "z times the hyperbolic tangent of softplus",
        "const real e = exp(-fabs(z)), p = 2.0 * e, r = e * e;",
        "return z * (z < 0.0 ? (p + r) / (2.0 + p + r) : (1.0 + p) / (1.0 + p + 2.0 * r));",
    ),
    "softplus": (
        "ln(1 + e^z); the last term corrects the rounding error of u",
        "const real e = exp(-fabs(z)), u = 1.0 + e;",
        "return (z < 0.0 ? 0.0 : z) + log(u) + (e - (u - 1.0)) / u;",
    ),
    "hard_sigmoid": (
        "(z + 3) / 6, limited to [0, 1]",
        "const real a = z / 6.0 + 0.5;",
        "return a < 0.0 ? 0.0 : a > 1.0 ? 1.0 : a;",
    ),
    "hard_swish": (
        "z times hard_sigmoid",
        "const real a = z / 6.0 + 0.5;",
        "return z * (a < 0.0 ? 0.0 : a > 1.0 ? 1.0 : a);",
    ),
}

# The functions of the output layer by name: those of single outputs have the form of an activation. The others are calls for one
# group of outputs, whose first output is at {start} and whose size is {size}.
LINKS_IN_C = {name: ACTIVATIONS_IN_C[name] for name in ("identity", "logistic", "relu", "softplus")} | {
    "exp": ("e^z", "return exp(z);"),
}
GROUP_LINKS_IN_C = {
    "softmax": "@_softmax({start}, {size});",
    "grouped_softmax": "@_softmax({start}, {size});",
    "ordered_quantiles": "@_order_quantiles({start}, {size});",
}

_EXPM1_BELOW = """
/* e^z - 1 for z <= 0, also accurate near 0 */
static real @_expm1_below(const real z)
{
    const real t = tanh(0.5 * z);
    return 2.0 * t / (1.0 - t);
}
"""
_STEPS = {
    "smooth_clip": """
/* v / sqrt(1 + (v / 3)^2), for v limited to values whose squares do not overflow */
static real @_smooth_clip(real v)
{
    v = v > 1.0e9 ? 1.0e9 : v < -1.0e9 ? -1.0e9 : v;
    return v / sqrt(1.0 + v / 3.0 * (v / 3.0));
}
""",
    "limited": """
/* z, limited to the range from low to high */
static real @_limited(real z, real low, real high)
{
    return z < low ? low : z > high ? high : z;
}
""",
    "dense": """
/* out = weights in + biases; the weights have one row for each unit */
static void @_dense(const real *in, int n_in, real *out, int n_out, const real *weights, const real *biases)
{
    for (int j = 0; j < n_out; ++j) {
        real sum = @@_READ(biases + j);
        for (int i = 0; i < n_in; ++i)
            sum += in[i] * @@_READ(weights++);
        out[j] = sum;
    }
}
""",
    "layer_norm": """
/* subtracts the mean, divides by the standard deviation, scales and shifts */
static void @_layer_norm(real *z, int n, const real *scales, const real *shifts, real epsilon)
{
    real mean = 0.0, variance = 0.0;
    for (int j = 0; j < n; ++j)
        mean += z[j];
    mean /= (real)n;
    for (int j = 0; j < n; ++j)
        variance += (z[j] - mean) * (z[j] - mean);
    const real inverse = 1.0 / sqrt(variance / (real)n + epsilon);
    for (int j = 0; j < n; ++j)
        z[j] = (z[j] - mean) * inverse * @@_READ(scales + j) + @@_READ(shifts + j);
}
""",
    "softmax": """
/* e^z divided by the sum of e^z; the largest z is subtracted first, so that nothing overflows */
static void @_softmax(real *z, int n)
{
    real largest = z[0], sum = 0.0;
    for (int j = 1; j < n; ++j)
        largest = z[j] > largest ? z[j] : largest;
    for (int j = 0; j < n; ++j) {
        z[j] = exp(z[j] - largest);
        sum += z[j];
    }
    for (int j = 0; j < n; ++j)
        z[j] /= sum;
}
""",
    "order_quantiles": """
/* each quantile is the one before plus softplus, so that the quantiles are in order */
static void @_order_quantiles(real *z, int n)
{
    for (int j = 1; j < n; ++j)
        z[j] = z[j - 1] + @_softplus(z[j]);
}
""",
    "argmax": """
/* the index of the largest of n numbers; the first one if several are equal */
static int @_argmax(const real *z, int n)
{
    int best = 0;
    for (int j = 1; j < n; ++j)
        best = z[j] > z[best] ? j : best;
    return best;
}
""",
    "clip": """
/* limits n outputs to [0, 1] */
static void @_clip(real *p, int n)
{
    for (int j = 0; j < n; ++j)
        p[j] = p[j] < 0.0 ? 0.0 : p[j] > 1.0 ? 1.0 : p[j];
}
""",
    "divide_by_sum": """
/* divides n outputs by their sum; if the sum is 0, all become 1 / n */
static void @_divide_by_sum(real *p, int n)
{
    real sum = 0.0;
    for (int j = 0; j < n; ++j)
        sum += p[j];
    for (int j = 0; j < n; ++j)
        p[j] = sum > 0.0 ? p[j] / sum : 1.0 / (real)n;
}
""",
}
_MATH_CALL = re.compile(r"\b(exp|log|tanh|sqrt|fabs|erfc)\(")
_DECIMAL_NUMBER = re.compile(r"\b\d+\.\d+(?:e[-+]?\d+)?\b")


def _scalar_function(name, formula, *statements):
    """The code of a function of one number."""
    body = "".join(f"    {statement}\n" for statement in statements)
    return f"\n/* {formula} */\nstatic real @_{name}(const real z)\n{{\n{body}}}\n"


# Each function is after those that it calls.
_DEFINITIONS = {
    "expm1_below": _EXPM1_BELOW,
    **{name: _scalar_function(name, *texts) for name, texts in (ACTIVATIONS_IN_C | LINKS_IN_C).items()},
    **_STEPS,
}


def definitions_for(code):
    """Return the code of all functions of this module that the code calls, directly or not, each before its first use."""
    found = ""
    for name, definition in reversed(_DEFINITIONS.items()):
        if f"@_{name}(" in found + code:
            found = definition + found
    return found


def typed_code(code, prefix, real):
    """Return C code for a floating-point type, with the names that start with a prefix."""
    if real == "float":  # without the suffix f, parts would be computed in double
        code = _DECIMAL_NUMBER.sub(r"\g<0>f", _MATH_CALL.sub(r"\1f(", code))
    return re.sub(r"\breal\b", real, code).replace("@@_", f"{prefix.upper()}_").replace("@_", f"{prefix}_")
