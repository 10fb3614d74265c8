"""The parameters of an estimator as one frozen record, and the rules for their combinations.

The parameters of an estimator go in; a ``FitConfig`` comes out, which is passed through training. It is made from the snapshot that
a fit trains, so that ``set_params`` in another thread cannot change a running fit. The constraints on single parameters are in
``fastbp._parameters``. This module does not know how a fit uses the parameters.
"""

from collections import namedtuple
from numbers import Integral, Real

import numpy as np
from scipy.sparse import issparse

from ._parameters import CONSTRAINTS


class FitConfig(namedtuple("FitConfig", (*CONSTRAINTS, "scale_y"))):  # type: ignore[misc]
    """The parameters that both estimators share, and ``scale_y``, which is None for classifiers."""

    __slots__ = ()

    @classmethod
    def of(cls, estimator):
        values = vars(estimator)
        return cls(*(values[name] for name in CONSTRAINTS), values.get("scale_y"))


def hidden_sizes(config):
    """The number of units of each hidden layer, as a list of ints."""
    sizes = config.hidden_layer_sizes
    sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
    if not all(isinstance(size, Integral) and not isinstance(size, bool) for size in sizes):
        raise TypeError(f"hidden_layer_sizes must hold integers > 0, the number of units of each hidden layer; got {sizes}.")
    if any(size <= 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def dropout_rates(config, n_hidden):
    """The dropout rate of the inputs and of each hidden layer, or () if all are 0."""
    rates = config.dropout
    if isinstance(rates, Real):
        return (0.0, *(float(rates),) * n_hidden) if rates else ()
    rates = _as_rates(rates)
    if len(rates) not in (n_hidden, n_hidden + 1) or not all(0 <= rate < 1 for rate in rates):
        raise ValueError(
            f"dropout must be a number >= 0 and < 1, a list of {n_hidden} such numbers, one for each hidden layer, or a list of "
            f"{n_hidden + 1} with the rate of the inputs first; got {config.dropout!r}."
        )
    rates = (0.0, *rates) if len(rates) == n_hidden else rates
    return rates if any(rates) else ()


def _as_rates(rates):
    """The numbers in a flat list as a tuple of floats, or (nan,) for anything else."""
    try:
        rates = np.asarray(rates, np.float64)
    except (TypeError, ValueError):
        return (np.nan,)
    return tuple(rates.tolist()) if rates.ndim == 1 else (np.nan,)


def check_config(config, X):
    """Raise a ValueError if parameters cannot be combined with each other or with this X."""
    if config.batch_norm and config.layer_norm:
        raise ValueError("batch_norm and layer_norm must not both be True. Set one of them to False.")
    if not issparse(X):
        return
    rates = () if isinstance(config.dropout, Real) else _as_rates(config.dropout)
    of_inputs = rates[0] if len(rates) > len(hidden_sizes(config)) else 0
    for name, is_set in (("input_noise", config.input_noise), ("dropout", of_inputs)):
        if is_set:
            raise ValueError(
                f"{name}={getattr(config, name)!r} changes the inputs, which is not supported for sparse X. Pass a dense X, or set "
                f"{name} to 0 for the inputs."
            )


def check_lbfgs(config, dropout):
    """Raise a ValueError if L-BFGS does not support a parameter; ``dropout`` are the rates of all layers."""
    if isinstance(config.warm_start, str):
        raise ValueError(
            "warm_start='resume' is not supported for solver='lbfgs', because SciPy does not return the past gradients of L-BFGS. "
            "Set warm_start=True to continue from the weights, or use another solver."
        )
    is_set = {
        "learning_rate": config.learning_rate not in ("constant", "invscaling", "adaptive"),
        "dropout": any(dropout),
        "ema_decay": config.ema_decay is not None,
    }
    is_set |= {name: getattr(config, name) for name in ("input_noise", "batch_norm", "clip_norm", "max_norm", "weight_decay")}
    for name, value in is_set.items():
        if value:
            raise ValueError(
                f"{name}={getattr(config, name)!r} is not supported for solver='lbfgs', which minimizes one function of all rows. "
                f"Use another solver such as 'adam', or do not set {name}."
            )
