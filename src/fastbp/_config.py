"""The parameters of an estimator as one frozen record, and the rules for their combinations.

The parameters of an estimator go in; a ``FitConfig`` comes out, which is passed through training. It is made from the snapshot that
a fit trains, so that ``set_params`` in another thread cannot change a running fit. The constraints on single parameters are in
``fastbp._parameters``. This module does not know how a fit uses the parameters.
"""

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse

from ._network.activations import Activation
from ._network.mixed_precision import MIXED_BFLOAT16, check_bfloat16
from ._network.segments import rate_factors


class FitConfig(NamedTuple):
    """The parameters that both estimators share, and ``scale_y``, which is None for classifiers."""

    hidden_layer_sizes: Sequence[int] | int
    activation: str | Activation | Sequence[str | Activation]
    solver: str
    alpha: float
    batch_size: int | str
    learning_rate: str | Callable[[int, float], float]
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: int | np.random.RandomState | None
    tol: float
    verbose: bool | int | str
    warm_start: bool | str
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    out_activation: str
    rho: float
    weight_decay: float
    learning_rate_decay: float
    learning_rate_step: int | None
    learning_rate_horizon: int | None
    warmup_fraction: float | None
    dropout: float | Sequence[float]
    input_noise: float
    l1: float
    max_norm: float | None
    clip_norm: float | None
    batch_norm: bool
    layer_norm: bool
    ema_decay: float | None
    weight_init: str | Callable[..., ArrayLike]
    bias_init: str | Callable[..., ArrayLike]
    coefs_init: Sequence[ArrayLike] | None
    intercepts_init: Sequence[ArrayLike] | None
    sample_weight_norm: str
    scale: str | None
    missing: str
    dtype: str
    scoring: str | Callable[..., float] | None
    validation_splitter: Any
    max_time: float | None
    callbacks: Callable[..., Any] | Sequence[Callable[..., Any]] | None
    n_threads: int | None
    n_shares: int | None
    regularization_schedule: str | None
    learning_rate_factors: dict | None
    scale_y: str | None = None
    product_dtype: str | None = None  # "bfloat16" for dtype="mixed_bfloat16", for which `dtype` is "float32" here
    kinds: Any = None  # a `LayerKinds` of an estimator for tables

    @classmethod
    def of(cls, estimator: Any) -> "FitConfig":
        """The parameters of an estimator."""
        values = vars(estimator)
        config = cls(*map(values.get, cls._fields))
        return config._replace(dtype="float32", product_dtype="bfloat16") if config.dtype == MIXED_BFLOAT16 else config

    @property
    def strength_schedule(self) -> str | None:
        """The schedule of the dropout rates and of the weight decay."""
        return self.regularization_schedule if self.kinds is None else self.kinds.strength_schedule

    def factors(self, layout: Any) -> dict | None:
        """The factors of groups of parameters, as ``segment_table`` expects them."""
        if self.kinds is not None:
            return self.kinds.factors(layout)
        given = self.learning_rate_factors
        return None if given is None else rate_factors(layout, checked_rate_factors(given, len(layout.sizes) - 1))


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


def checked_rate_factors(given, n_layers):
    """The numbers in `learning_rate_factors`, as a dict of lists with one number for each layer, or for "norms" of one number."""
    lengths, factors = {"coefs": n_layers, "intercepts": n_layers, "norms": 1}, {}
    for name in given:
        is_list = name != "norms" and not isinstance(given[name], Real)
        factors[name] = list(_as_rates(given[name])) if is_list else list(_as_rates([given[name]])) * lengths.get(name, 1)
    has_lengths = all(name in lengths and len(factors[name]) == lengths[name] for name in given)
    if has_lengths and all(0 <= factor < np.inf for name in given for factor in factors[name]):
        return factors
    raise ValueError(
        "learning_rate_factors must be a dict that maps 'coefs' and 'intercepts' to a finite number >= 0, or to a list of "
        f"{n_layers} such numbers, one for each layer including the output layer, and 'norms' to one number; got {given!r}."
    )


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
    if config.batch_norm and config.n_shares is not None:
        raise ValueError(
            f"n_shares={config.n_shares} is not supported with batch_norm=True, which needs the statistics of all rows of a batch "
            "at the same time. Set n_shares to None."
        )
    if config.product_dtype is not None:
        check_bfloat16()
    if not issparse(X):
        return
    rates = [] if isinstance(config.dropout, Real) else list(_as_rates(config.dropout))
    of_inputs = rates[0] if len(rates) > len(hidden_sizes(config)) else 0
    for name, is_set in (("input_noise", config.input_noise), ("dropout", of_inputs)):
        if is_set:
            raise ValueError(
                f"{name}={getattr(config, name)!r} changes the inputs, which is not supported for sparse X. Pass a dense X, or set "
                f"{name} to 0 for the inputs."
            )


def check_output_layer(config, now, before):
    """Raise a ValueError if training cannot continue with this output layer: its (n_outputs, link, out_activation) have changed."""
    (n_outputs, link, out_activation), (n_outputs_before, link_before, out_activation_before) = now, before
    if n_outputs != n_outputs_before:
        raise ValueError(
            f"y needs {n_outputs} output units, but the network that continues training has {n_outputs_before}. Pass y with as "
            "many columns or classes as before, or call fit with warm_start=False."
        )
    if link != link_before:
        raise ValueError(
            "loss and quantile must not change from several quantiles to another objective, or back, while training continues, "
            "because the outputs would have another meaning. Restore both parameters, or call fit with warm_start=False."
        )
    if out_activation != out_activation_before:
        raise ValueError(
            f"out_activation must not change while training continues; it was {out_activation_before!r} in the first fit, but "
            f"out_activation={config.out_activation!r} with the current loss is {out_activation!r} now. Restore both "
            "parameters, or call fit with warm_start=False."
        )


def check_lbfgs(config, dropout):
    """Raise a ValueError if L-BFGS does not support a parameter; ``dropout`` are the rates of all layers."""
    if isinstance(config.warm_start, str):
        raise ValueError(
            "warm_start='resume' is not supported for solver='lbfgs', because SciPy does not return the past gradients of L-BFGS. "
            "Set warm_start=True to continue from the weights, or use another solver."
        )
    if config.product_dtype is not None:
        raise ValueError(
            f"dtype={MIXED_BFLOAT16!r} is not supported for solver='lbfgs', whose line searches need exact gradients. Set "
            "dtype='float32', or use another solver such as 'adam'."
        )
    is_set = {
        "learning_rate": config.learning_rate not in ("constant", "invscaling", "adaptive"),
        "dropout": any(dropout),
        "ema_decay": config.ema_decay is not None,
        "regularization_schedule": config.regularization_schedule is not None,
        "learning_rate_factors": config.learning_rate_factors is not None,
    }
    is_set |= {name: getattr(config, name) for name in ("input_noise", "batch_norm", "clip_norm", "max_norm", "weight_decay")}
    for name, value in is_set.items():
        if value:
            raise ValueError(
                f"{name}={getattr(config, name)!r} is not supported for solver='lbfgs', which minimizes one function of all rows. "
                f"Use another solver such as 'adam', or do not set {name}."
            )
