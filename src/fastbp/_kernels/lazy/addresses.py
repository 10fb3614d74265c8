"""The addresses of lazily compiled functions, and the types of their arguments.

A kind, a name and a dtype go in; an address that is valid in this process comes out. The modules that define the functions are
imported on first use, because most networks need none of them. ``signature`` contains the only list of argument types; the calls in
the kernels and the functions of a kind must have the same order. This module does not know what the functions compute.
"""

from functools import cache
from importlib import import_module

import numpy as np
from numba import from_dtype, types

from ..function_pointers import address_of
from ..jit import is_interpreted
from ..scratch import DRAW_STATE, HYPERPARAMS, LOSS_NUMBERS, NORM_STATE, PENALTY_NUMBERS, SCHEDULE_NUMBERS
from ..tables import ENCODER, LAYER, ROW_LAYER, SOURCE

# for each kind, the module and the name of its registry
_REGISTRIES = {
    "activation": ("activations", "ACTIVATIONS"),
    "adapter": ("members", "ADAPTERS"),
    "adapter_back": ("members", "ADAPTERS_BACK"),
    "bfloat16_backward": ("bfloat16", "BFLOAT16_BACKWARD"),
    "bfloat16_forward": ("bfloat16", "BFLOAT16_FORWARD"),
    "bfloat16_gradient": ("bfloat16", "BFLOAT16_GRADIENT"),
    "bfloat16_weights": ("bfloat16", "WEIGHTS_TO_BFLOAT16"),
    "draw": ("draws", "DRAWS"),
    "encoder": ("encoders", "ENCODERS"),
    "encoder_back": ("encoders", "ENCODERS_BACK"),
    "heads": ("members", "HEADS"),
    "heads_back": ("members", "HEADS_BACK"),
    "link": ("links", "LINKS"),
    "loss": ("losses", "LOSSES"),
    "output_delta": ("links", "OUTPUT_DELTAS"),
    "member_shuffle": ("members", "MEMBER_SHUFFLES"),
    "norm": ("norms", "NORMS"),
    "parametric": ("parametric", "PARAMETRIC"),
    "parametric_back": ("parametric", "PARAMETRIC_BACK"),
    "penalty": ("penalties", "PENALTIES"),
    "weight_norm_limit": ("penalties", "WEIGHT_NORM_LIMITS"),
    "rows": ("rows", "ROWS"),
    "schedule": ("schedules", "SCHEDULES"),
    "solver": ("solvers", "SOLVERS"),
    "source": ("sources", "SOURCES"),
}


def lazy_functions(kind):
    """Return the functions of a kind, as a dict from name to function."""
    module, registry = _REGISTRIES[kind]
    return getattr(import_module(f".{module}", __package__), registry)


def all_lazy_functions():
    """Return the (kind, name) of every lazily compiled function."""
    return [(kind, name) for kind in _REGISTRIES for name in lazy_functions(kind)]


@cache
def lazy_address(kind, name, dtype):
    """Return the address of a function for parameters of a dtype; compile the function if necessary."""
    return address_of(lazy_functions(kind)[name].entry, signature(kind, dtype))


@cache
def lazy_version(kind, name, dtype):
    """Return the compiled version of a function for calls from Python, which must have arguments of exactly these types."""
    function, arguments = lazy_functions(kind)[name], signature(kind, dtype)
    if is_interpreted():
        return function
    function.entry.compile(arguments)
    return function.entry.overloads[arguments].entry_point


def signature(kind, dtype):
    """Return the argument types of the functions of a kind, for parameters of a dtype."""
    real = types.float32 if np.dtype(dtype) == np.float32 else types.float64
    vector, matrix, integers, n = types.Array(real, 1, "C"), types.Array(real, 2, "C"), _array_of(np.int64), types.int64
    doubles, exchange = _array_of(np.float64), types.Array(types.float64, 2, "C")
    user_vector = types.Array(real, 1, "A", readonly=True, aligned=False)
    loss_numbers, penalties, encoders = _array_of(LOSS_NUMBERS), _array_of(PENALTY_NUMBERS), _array_of(ENCODER)
    layers = _array_of(LAYER)
    # products of bfloat16 numbers exist only in networks with parameters in float32
    single, words = types.Array(types.float32, 1, "C"), _array_of(np.uint32)
    singles = types.Array(types.float32, 2, "C")
    return {
        # (z, slopes)
        "activation": (vector, vector),
        # (table, layer, params, Z, values before, start)
        "adapter": (layers, n, vector, matrix, matrix, n),
        # (table, layer, params, D, values before, gradient, start, add)
        "adapter_back": (layers, n, vector, matrix, matrix, vector, n, n),
        # (delta, transposed words of W, A, out, n_in, n_out, relu, words)
        "bfloat16_backward": (singles, words, singles, singles, n, n, n, words),
        # (A, words of W, b, Z, n_in, relu, words)
        "bfloat16_forward": (singles, words, single, singles, n, n, words),
        # (A, delta, G, add, words)
        "bfloat16_gradient": (singles, singles, singles, n, words),
        # (W, words of W, transposed words of W, words, share, n_shares)
        "bfloat16_weights": (singles, words, words, words, n, n),
        # (A, slopes, differences, n_units, draw_state, layer, rate or deviation)
        "draw": (matrix, vector, vector, n, _array_of(DRAW_STATE), n, n),
        # (X, A, params, saved, scratch, constants, encoders, index)
        "encoder": (matrix, matrix, vector, matrix, vector, vector, encoders, n),
        # (X, D, params, saved, scratch, g, constants, encoders, index, add)
        "encoder_back": (matrix, matrix, vector, matrix, vector, vector, vector, encoders, n, n),
        # (table, layer, params, A, Z, start)
        "heads": (layers, n, vector, matrix, matrix, n),
        # (table, layer, params, A, delta, D, gradient, start, add)
        "heads_back": (layers, n, vector, matrix, matrix, matrix, vector, n, n),
        # (Z, n_outputs, output_numbers)
        "link": (matrix, n, doubles),
        # (a, y, slopes, numbers, output_numbers)
        "loss": (vector, vector, vector, loss_numbers, doubles),
        # (A, y, n_codes, weight, delta, n_outputs, numbers, output_numbers, loss_address)
        "output_delta": (matrix, vector, n, vector, matrix, n, loss_numbers, doubles, n),
        # (order, key and position of the generator, n_members, shares_batches)
        "member_shuffle": (_array_of(np.int32), _array_of(np.uint32), integers, n, n),
        # (Z, normalized, gamma, beta, inv_std, moving, exchange, barrier, state, exchange_at, add)
        "norm": (matrix, matrix, vector, vector, vector, doubles, exchange, integers, _array_of(NORM_STATE), n, n),
        # (Z, differences, slopes, alphas, activation_address)
        "parametric": (matrix, matrix, vector, vector, n),
        # (D, differences, slopes, gradient, add)
        "parametric_back": (matrix, matrix, vector, vector, n),
        # (w, g, numbers)
        "penalty": (vector, vector, penalties),
        # (table, params, sums, numbers, rank, n_threads)
        "weight_norm_limit": (layers, vector, vector, penalties, n, n),
        # (table, params, output_numbers, X, scratch, out)
        "rows": (_array_of(ROW_LAYER), vector, doubles, user_vector, vector, vector),
        # (numbers,)
        "schedule": (_array_of(SCHEDULE_NUMBERS),),
        # (w, g, first moment, second moment, hyperparams)
        "solver": (vector, vector, vector, vector, _array_of(HYPERPARAMS)),
        # (sources, index, numbers, positions, out)
        "source": (_array_of(SOURCE), n, doubles, integers, matrix),
    }[kind]


def _array_of(dtype):
    return types.Array(from_dtype(np.dtype(dtype)), 1, "C")
