"""exp, log, tanh, sigmoid, and sine and cosine of turns.

The tests check accuracy, special values, and bitwise identical results in every calling function.
"""

import functools
import re

import numpy as np
import pytest
from numba import config, njit
from numba.core.errors import TypingError

from fastbp._kernels import elementary
from fastbp._kernels.jit import EXACT, FASTMATH
from fastbp._kernels.lazy.activations import ACTIVATIONS
from fastbp._kernels.lazy.links import LINKS

WIDE = {"float32": np.float64, "float64": np.longdouble}
PI = np.longdouble("3.14159265358979323846264338327950288")


def exact_sin_turns(x):
    r = x - np.rint(x)
    return np.copysign(np.sin(2 * PI.astype(x.dtype) * np.minimum(abs(r), 0.5 - abs(r))), r)


def exact_cos_turns(x):
    a = abs(x - np.rint(x))
    pi = PI.astype(x.dtype)
    return np.where(a < 0.125, np.cos(2 * pi * a), np.sin(2 * pi * (0.25 - a)))


REFERENCES = {
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "cos_turns": exact_cos_turns,
    "sin_turns": exact_sin_turns,
}
# Largest errors in units in the last place. In scipy.special.expit, the rounding of 1 / (1 + exp(-x)) alone causes an error of
# 2.49.
BOUNDS = {"exp": 1.6, "log": 0.9, "tanh": 1.6, "tanh float32": 4.5, "sigmoid": 2.6, "cos_turns": 1.7, "sin_turns": 1.6}
# Without fused multiply-add.
PYTHON_BOUNDS = {"exp": 1.8, "log": 1.2, "tanh": 2.0, "tanh float32": 6.0, "sigmoid": 2.7, "cos_turns": 2.5, "sin_turns": 2.5}
N_POINTS = 1_000 if config.DISABLE_JIT else 200_000


def bound(name, dtype, bounds):
    return bounds.get(f"{name} {dtype}", bounds[name])


each_function = pytest.mark.parametrize("name", REFERENCES)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


@functools.cache
def compiled_loop(name, fastmath=FASTMATH):
    function = getattr(elementary, name)

    @njit(nogil=True, error_model="numpy", fastmath=set(fastmath))
    def loop(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    return loop


@functools.cache
def compiled_alone(name):
    function = getattr(elementary, name)

    @njit
    def alone(x):
        return function(x)

    return alone


def apply(name, x, fastmath=FASTMATH):
    out = np.full_like(x, np.nan)
    compiled_loop(name, fastmath)(x, out)
    return out


def in_python(name, x):
    function = getattr(elementary, name)
    return np.array([function(value) for value in x])


def ulps(name, x, got):
    """Return the errors of `got` in units in the last place of the exact values."""
    info, wide = np.finfo(x.dtype), WIDE[x.dtype.name]
    if np.finfo(wide).nmant < info.nmant + 10:
        # on ARM and Windows, the widest type is often float64; then only float32 is checked
        pytest.skip("this machine has no wider type for the exact values")  # the reference would be as inexact as the result
    with np.errstate(all="ignore"):
        want = REFERENCES[name](x.astype(wide))
        unit = np.ldexp(wide(1), np.maximum(np.frexp(want)[1] - 1, info.minexp) - info.nmant)
        both_infinite = np.isinf(want.astype(x.dtype)) & (got == want.astype(x.dtype))
        return np.where(both_infinite, 0, np.abs(got - want) / unit).astype(float)


def grids(name, dtype, n_points=N_POINTS):
    """Return dense grids over all regions in which errors are possible."""
    info = np.finfo(dtype)
    tiny, smallest, largest = float(info.tiny), float(info.smallest_subnormal), float(info.max)
    powers = 2.0 ** np.arange(np.log2(smallest), info.maxexp)
    subnormals = np.linspace(0, tiny, n_points)[1:]
    if name == "log":
        regions = [powers, subnormals, np.linspace(0.4, 2.5, n_points), 1 + np.linspace(-1e-3, 1e-3, n_points)]
        regions.append(np.geomspace(tiny, largest * 0.999, n_points))
    elif name.endswith("turns"):
        regions = [powers, -powers, subnormals]
        regions += [np.linspace(-a, a, n_points) for a in (1e-3, 0.3, 2, 100, 1e4)]
        # on both sides of the zeros, the extreme values and the points where the rounding error of 1/4 - |r| begins
        regions.append(np.add.outer(np.arange(-20, 21) / 8, np.linspace(-1e-5, 1e-5, n_points // 40)).ravel())
    else:
        regions = [powers, -powers, subnormals]
        regions += [np.linspace(-a, a, n_points) for a in (1e-3, 0.6, 5, 40, 0.999 * np.log(largest))]
        # on both sides of every point where the rounded exponent changes
        regions.append(np.add.outer(np.arange(-100, 101) * np.log(2) / 8, np.linspace(-1e-5, 1e-5, n_points // 200)).ravel())
        if name != "sigmoid":  # if exp(-x) overflows, the formula of the sigmoid gives 0
            regions.append(np.linspace(1.01 * np.log(smallest), 1.01 * np.log(largest), n_points))
    return [np.ascontiguousarray(region, dtype) for region in regions]


@pytest.mark.slow
@each_dtype
@each_function
def test_errors_in_units_in_the_last_place(name, dtype):
    for x in grids(name, dtype):
        off = ulps(name, x, apply(name, x))
        worst = np.argmax(off)  # if `off` contains NaN, argmax returns its index
        assert off[worst] <= bound(name, x.dtype, PYTHON_BOUNDS if config.DISABLE_JIT else BOUNDS), f"at {x[worst]!r}"


@pytest.mark.slow
@each_dtype
@each_function
def test_plain_python_agrees_with_compiled_code(name, dtype):
    x = np.concatenate(grids(name, dtype, 400))
    got = in_python(name, x)
    assert got.dtype == dtype
    assert ulps(name, x, got).max() <= bound(name, x.dtype, PYTHON_BOUNDS)
    # an error of one unit in exp(-x) may be two units in its reciprocal; each fused operation may change the result by one unit
    apart = bound(name, x.dtype, {"exp": 1, "log": 1, "tanh": 1, "tanh float32": 5, "sigmoid": 2, "cos_turns": 2, "sin_turns": 2})
    np.testing.assert_array_max_ulp(got, apply(name, x), maxulp=apart, dtype=dtype)


NAN, INF = np.nan, np.inf
SPECIAL = {
    "exp": [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (1e4, INF), (-1e4, 0.0)],
    "log": [(1.0, 0.0), (0.0, -INF), (-0.0, -INF), (-1.0, NAN), (-1e-40, NAN), (-INF, NAN), (INF, INF)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (30.0, 1.0), (-30.0, -1.0), (1e-40, 1e-40), (-1e-310, -1e-310)],
    "sigmoid": [(0.0, 0.5), (-0.0, 0.5), (INF, 1.0), (-INF, 0.0), (-1e4, 0.0), (1e4, 1.0)],
    "cos_turns": [(0.0, 1.0), (-0.0, 1.0), (0.25, 0.0), (-0.75, 0.0), (0.5, -1.0), (1e9, 1.0), (INF, NAN), (-INF, NAN)],
    "sin_turns": [(0.0, 0.0), (-0.5, -0.0), (0.25, 1.0), (0.75, -1.0), (-2.25, -1.0), (-1e9, 0.0), (INF, NAN), (-INF, NAN)],
}


@each_dtype
@each_function
def test_special_values(name, dtype):
    x, want = np.array([*SPECIAL[name], (NAN, NAN)]).astype(dtype).T
    for got in (apply(name, np.ascontiguousarray(x)), in_python(name, x)):
        np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(np.signbit(got[want == 0]), np.signbit(want[want == 0]))


@each_dtype
def test_exp_near_overflow_and_underflow(dtype):
    info = np.finfo(dtype)
    last = dtype(np.log(WIDE[np.dtype(dtype).name](info.max)))
    last = last if float(last) <= np.log(float(info.max)) else np.nextafter(last, dtype(0))
    first = dtype(np.log(float(info.smallest_subnormal)))
    got = apply("exp", np.array([last, last * dtype(1.0001), first, first - dtype(0.6), first - dtype(0.8)]))
    assert np.isfinite(got[0])
    assert got[0] > info.max * dtype(0.9999)
    assert got[1] == np.inf
    np.testing.assert_array_equal(got[2:], [info.smallest_subnormal, info.smallest_subnormal, 0])


@each_dtype
def test_tanh_is_odd_and_at_most_one(dtype):
    x = np.concatenate(grids("tanh", dtype))
    got = apply("tanh", x)
    assert np.abs(got).max() == 1
    np.testing.assert_array_equal(apply("tanh", -x), -got)


@each_dtype
def test_sigmoid_equals_its_formula(dtype):
    x = np.concatenate(grids("sigmoid", dtype))
    np.testing.assert_array_equal(apply("sigmoid", x), 1 / (1 + apply("exp", -x)))


@pytest.mark.slow
@pytest.mark.compiled
@each_dtype
@each_function
def test_results_are_identical_in_every_caller(name, dtype):
    x = np.concatenate(grids(name, dtype, 4000))
    in_fast_loop = apply(name, x)
    np.testing.assert_array_equal(apply(name, x, EXACT), in_fast_loop)
    alone = compiled_alone(name)
    np.testing.assert_array_equal([alone(value) for value in x], in_fast_loop)
    assert alone.nopython_signatures[-1].return_type.name == np.dtype(dtype).name


@each_dtype
@each_function
def test_results_do_not_depend_on_the_length_of_the_array(name, dtype):
    x = np.linspace(0.01, 3, 67).astype(dtype)
    one_by_one = np.concatenate([apply(name, x[i : i + 1]) for i in range(67)])
    for length in range(1, 68):
        np.testing.assert_array_equal(apply(name, x[:length]), one_by_one[:length])
        np.testing.assert_array_equal(apply(name, x[-length:]), one_by_one[-length:])


@pytest.mark.compiled
@each_dtype
@each_function
def test_loops_are_vectorized(name, dtype):
    loop = compiled_loop(name)
    loop(np.ones(3, dtype), np.ones(3, dtype))
    (code,) = (loop.inspect_llvm(signature) for signature in loop.signatures if signature[0].dtype.name == np.dtype(dtype).name)
    kind = {"float32": "float", "float64": "double"}[np.dtype(dtype).name]
    assert re.search(rf"fmul contract <\d+ x {kind}>", code)


@njit(nogil=True, error_model="numpy", fastmath=set(FASTMATH))
def cosines_and_sines(x, cosines, sines):
    for i in range(x.size):
        turns = x[i]
        cosines[i] = elementary.cos_turns(turns)
        sines[i] = elementary.sin_turns(turns)


@pytest.mark.compiled
@pytest.mark.parametrize(("dtype", "kind"), [(np.float32, "float"), (np.float64, "double")], ids=["float32", "float64"])
def test_sine_and_cosine_share_the_reduction(dtype, kind):
    x = np.ones(3, dtype)
    cosines_and_sines(x, x.copy(), x.copy())
    (code,) = (code for signature, code in cosines_and_sines.inspect_llvm().items() if signature[0].dtype.name == x.dtype.name)
    rounded, stored = re.findall(rf"call .*<\d+ x {kind}> @llvm.rint", code), re.findall(rf"store <\d+ x {kind}>", code)
    assert rounded
    assert len(stored) == 2 * len(rounded)


@pytest.mark.compiled
@pytest.mark.parametrize("value", [1, True, 1j, np.ones(3)], ids=["int", "bool", "complex", "array"])
@each_function
def test_other_types_are_rejected(name, value):
    with pytest.raises(TypingError):
        compiled_alone(name)(value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["activation", "link"])
def test_softplus_keeps_its_left_tail(kind, dtype):
    """The correction of the rounding error of 1 + e^z must not be reordered by the compiler, because it is the result for z ≪ 0."""
    z = np.concatenate([np.linspace(-80, 80, 4001), [-0.0, 1e-8, -1e-8]]).astype(dtype)
    got = np.zeros((1, -(-z.size // 16) * 16), dtype)
    got[0, : z.size] = z
    if kind == "activation":
        ACTIVATIONS["softplus"](got[0], np.zeros_like(got[0]))
    else:
        LINKS["softplus"](got, z.size, np.zeros(0))
    exact = np.logaddexp(WIDE[z.dtype.name](0), z.astype(WIDE[z.dtype.name]))
    np.testing.assert_allclose(got[0, : z.size], exact, rtol=5 * np.finfo(dtype).eps)
