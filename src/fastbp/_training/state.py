"""All values that training changes: parameters, optimizer, moving statistics, random numbers, best weights.

A fit creates a new ``TrainingState`` or copies the state of the previous fit, trains it in place, and passes it to the estimator.
After that, the state is not trained any more, so that predictions in other threads always use a finished model. This module does
not know about estimators.
"""

from dataclasses import dataclass, replace
from hashlib import blake2b
from operator import is_
from typing import Any

import numpy as np
from scipy.sparse import issparse

from .._data.preparation import Preparation
from .._network.activations import per_layer
from .._network.folding import fold_batch_norm, fold_input_scale
from .._network.initializers import DATA, draw_from_rows, draw_into, put_into
from .._network.layer_kinds import LayerKinds
from .._network.layout import N_NORM_PARAMETERS, Layout, aligned_zeros, padded, padded_copy
from .._network.optimizers import Optimizer
from .._network.workspace import MovingStatistics
from .resume import ResumePoint

# The parameters of the estimator that must not change between fits if training continues.
_FIXED = ("missing", "scale", "scale_y", "batch_norm", "layer_norm", "ema_decay")
# The fields of a state that are plain values or tuples of them.
_PLAIN = ("norm", "is_averaged", "out_activation", "rng")
_PLAIN_TUPLES = ("fixed", "link", "activations")
_UNSET = ("error", None, None, False, False, False)  # the values of these parameters if they are not used
# So many rows are used for initial values that depend on the training rows. The error of a standard deviation is about 1.1 %.
_MAX_INITIAL_ROWS = 4096


class PublishedParams:
    """The flat parameters of the network that predicts, with the views in ``coefs_`` and ``intercepts_``."""

    def __init__(self, layout, params):
        self.layout, self.params = layout, padded(params)
        coefs, intercepts = layout.views(self.params)
        self.views = {"coefs_": coefs, "intercepts_": intercepts}
        self.views |= dict(zip(("norm_scales_", "norm_shifts_"), layout.norms(self.params), strict=False))
        self._shapes = [(name, views, [view.shape for view in views]) for name, views in self.views.items()]

    def attributes(self):
        """New lists of the views, as a dict by the names of the attributes."""
        return {name: list(views) for name, views in self.views.items()}

    def are_in(self, attributes):
        """Whether the attributes of an estimator still contain these views, with unchanged shapes, and no other arrays."""
        for name, views, shapes in self._shapes:
            arrays = attributes.get(name, ())
            if len(arrays) != len(views) or not all(map(is_, arrays, views)) or [view.shape for view in views] != shapes:
                return False
        return "norm_scales_" in self.views or "norm_scales_" not in attributes


@dataclass
class TrainingState:
    """The state of training.

    ``params`` (n_params,) are the parameters that are trained; an array without padding is copied when it is assigned.
    ``published`` are the parameters of the network that predicts; they are in the same buffer, unless scaling, batch normalization
    or averaging is folded into them. ``link`` identifies the function of the output layer, and ``activations`` are those of the
    hidden layers in the last fit. ``fixed`` are the values of the parameters in ``_FIXED``. During a fit with early stopping,
    ``best`` contains copies of the arrays in ``trained`` after the best epoch; a fit that continues starts with the arrays
    themselves.
    """

    layout: Layout
    params: np.ndarray
    preparation: Preparation
    norm: str | None
    is_averaged: bool
    fixed: tuple
    link: tuple
    out_activation: str
    activations: tuple = ()
    rng: np.random.RandomState | None = None
    optimizer: Optimizer | None = None
    moving: MovingStatistics | None = None
    published: PublishedParams | None = None
    published_hash: bytes | None = None
    best: list | None = None
    resume: ResumePoint | None = None
    kinds: LayerKinds | None = None

    def __setattr__(self, name, value):
        super().__setattr__(name, padded(value) if name == "params" else value)

    def __setstate__(self, attributes):
        for name, value in attributes.items():
            setattr(self, name, value)  # which adds the padding that a pickled array does not have

    @classmethod
    def drawn(cls, config, preparation, sizes, X, *, link, out_activation, rng):
        """A state with new parameters, drawn from ``rng``, for a network of these layer sizes and prepared training rows X."""
        norm = "batch_norm" if config.batch_norm else "layer_norm" if config.layer_norm else None
        n_norms, kinds = N_NORM_PARAMETERS[norm], config.kinds
        layout = Layout(sizes, n_norms) if kinds is None else kinds.layout(sizes, n_norms)
        state = cls(
            layout,
            aligned_zeros(layout.n_params, X.dtype),
            preparation,
            norm,
            config.ema_decay is not None,
            _fixed_values(config),
            link,
            out_activation,
            rng=rng,
            moving=MovingStatistics.fresh(layout) if norm == "batch_norm" else None,
            kinds=kinds,
        )
        state._draw(config, X)
        if kinds is not None:
            activations = per_layer(config.activation, len(sizes) - 2)
            kinds.initialize(layout, state.params, activations, rng, _some_rows(X, rng))
        return state

    @classmethod
    def untrained(cls, layout, params, link, out_activation):
        """The state of an estimator that was never fitted and whose weights were set by the user."""
        return cls(layout, params, Preparation(), None, False, _UNSET, link, out_activation)

    def _draw(self, config, X):
        coefs, intercepts = self.layout.views(self.params)
        for vectors, start in zip(self.layout.norms(self.params), (1, 0), strict=False):
            for vector in vectors:
                vector[...] = start
        # scikit-learn uses the activation of the hidden units for the weights of the last layer, too
        activations = per_layer(config.activation, len(coefs) - 1)
        activations += activations[-1:] or ("" if isinstance(config.activation, (list, tuple)) else config.activation,)
        arguments = coefs, intercepts, activations, self.rng, config.weight_init, config.bias_init
        if DATA in (config.weight_init, config.bias_init):
            given = {"coefs_init": config.coefs_init, "intercepts_init": config.intercepts_init}
            draw_from_rows(*arguments, given, rows=_some_rows(X, self.rng), norm=self.norm)
        elif self.kinds is None or self.kinds.initialization is None:
            draw_into(*arguments, normalized=self.norm == "batch_norm")
        if config.coefs_init is not None:
            put_into(coefs, config.coefs_init, "coefs_init")
        if config.intercepts_init is not None:
            put_into(intercepts, config.intercepts_init, "intercepts_init")

    # ------------------------------------------------------------------ continuing

    def continued(self, config, shown, layout, rng):
        """A copy of this state, to continue training.

        ``shown`` are the published parameters, including changes by the user, who may also have replaced them by the parameters of
        another network, with this ``layout``.
        """
        self._check_fixed(config)
        if self.is_folded and params_hash(shown) != self.published_hash:
            raise ValueError(
                "coefs_ and intercepts_ must not be changed between fits of a model with scale, scale_y, batch_norm or ema_decay, "
                "because training continues from the weights before scaling, normalization and averages were folded into them. "
                "Call fit with warm_start=False, or do not set these parameters."
            )
        params = self.params if self.is_folded else shown
        state = self.copy(params if config.dtype == "auto" else params.astype(config.dtype, copy=False))
        state.rng, state.layout = rng, self.layout if self.is_folded else layout
        state._check_sizes()
        return state

    def _check_sizes(self):
        """Raise a ValueError if the buffers have other sizes than the layout, because the file of the model was damaged."""
        moving_size = 2 * self.layout.n_hidden
        if self.params.size != self.layout.n_params or (self.moving is not None and self.moving.statistics.size != moving_size):
            raise ValueError(
                f"The training state must have {self.layout.n_params} parameters for the layer sizes {self.layout.sizes}, got "
                f"{self.params.size}. The file from which the model was loaded is damaged; load another copy, or call fit with "
                "warm_start=False."
            )

    def _check_fixed(self, config):
        for name, now, before in zip(_FIXED, _fixed_values(config), self.fixed, strict=True):
            if now != before:
                raise ValueError(
                    f"{name} must not change while training continues; it was {before!r} in the first fit and is {now!r} now. Set "
                    f"it to {before!r}, or call fit with warm_start=False."
                )

    def copy(self, params=None):
        """A copy of the state and its buffers without ``resume``; if ``params`` are given, they are copied instead of its own."""
        params = self.params if params is None else params
        optimizer, moving = self.optimizer, self.moving
        return replace(
            self,
            params=padded_copy(params, params.dtype),
            optimizer=None if optimizer is None else replace(optimizer, moments=np.array(optimizer.moments)),
            moving=None if moving is None else MovingStatistics(np.array(moving.statistics)),
            published=None,
            best=None,
            resume=None,
        )

    # ------------------------------------------------------------------ training

    @property
    def averaged_params(self):
        """The moving average of the parameters (n_params,), which follows the moments of the optimizer in the same buffer."""
        assert self.optimizer is not None
        return self.optimizer.moments[-self.layout.n_params :]

    @property
    def trained(self):
        """All arrays of the model that training changes."""
        arrays = [self.params]
        if self.moving is not None:
            arrays.append(self.moving.statistics)
        if self.is_averaged and self.optimizer is not None:
            arrays.append(self.averaged_params)
        return arrays

    def keep_best(self):
        """Copy the arrays of the model to ``best``."""
        self.best = [array.copy() for array in self.trained]

    def restore(self, arrays):
        """Copy arrays, in the order of ``trained``, to the arrays of the model."""
        for array, value in zip(self.trained, arrays, strict=True):
            array[...] = value

    # ------------------------------------------------------------------ publishing

    @property
    def is_folded(self):
        """Whether the network that predicts has other parameters than the network that is trained."""
        has_input_scale = self.kinds is not None and self.kinds.has_input_scale
        return self.preparation.scaling is not None or self.norm == "batch_norm" or self.is_averaged or has_input_scale

    @property
    def published_norm(self):
        """The norm of the network that predicts; batch normalization is folded into its weights."""
        return "layer_norm" if self.norm == "layer_norm" else None

    @property
    def published_layout(self):
        layout = Layout(self.layout.sizes, 0) if self.norm == "batch_norm" else self.layout
        return layout if self.kinds is None else self.kinds.published(layout)

    def predicting_params(self):
        """The parameters of a network for prepared rows: averages if ``is_averaged``, with other layers folded into the weights."""
        if not self.is_folded:
            return self.params
        params = padded_copy(self.averaged_params, self.params.dtype) if self.is_averaged else self.params
        if self.kinds is not None:
            return fold_input_scale(self.layout, params, self.published_layout)
        if self.moving is None:
            return params
        layout = self.published_layout
        folded = aligned_zeros(layout.n_params, params.dtype)
        coefs, intercepts = self.layout.views(params)
        gammas, statistics = self.layout.norms(params)[0], self.moving.views(self.layout)
        _write_views(layout.views(folded), fold_batch_norm(coefs, intercepts, gammas, statistics))
        return folded

    def publish(self):
        """Compute ``published``, the parameters of a network for rows that are not prepared."""
        if not self.is_folded and self.published is not None and self.published.params is self.params:
            return
        params, layout = self.predicting_params(), self.published_layout
        if self.is_folded:
            scaling, predicting = self.preparation.scaling, params
            params = aligned_zeros(
                layout.n_params, params.dtype if scaling is None else np.result_type(scaling.dtype, params.dtype)
            )
            params[...] = predicting
            if scaling is not None:
                coefs, intercepts = layout.views(predicting)
                _write_views(layout.views(params), scaling.fold(coefs, intercepts, self.out_activation))
            self.published_hash = params_hash(params)
        self.published = PublishedParams(layout, params)

    # ------------------------------------------------------------------ pickling

    def to_plain(self):
        """The state without ``published`` and ``kinds`` as a dict of plain values and arrays, for files and pickles.

        Without classes of fastbp, a pickle does not depend on their names, and skops needs to trust the estimator only.
        """
        optimizer, moving, resume, digest = self.optimizer, self.moving, self.resume, self.published_hash
        return {
            "sizes": list(map(int, self.layout.sizes)),
            "n_norms": self.layout.n_norms,
            "params": self.params if self.is_folded else self.params[:0].copy(),  # otherwise, they are in coefs_ and intercepts_
            "preparation": self.preparation.to_plain(),
            **{name: getattr(self, name) for name in _PLAIN},
            **{name: list(getattr(self, name)) for name in _PLAIN_TUPLES},
            "optimizer": None if optimizer is None else vars(optimizer).copy(),
            "moving": None if moving is None else moving.statistics,
            "published_hash": None if digest is None else digest.hex(),
            "resume": None if resume is None else resume.to_plain(),
        }

    @classmethod
    def from_plain(cls, plain):
        """The state in the result of ``to_plain``."""
        optimizer, moving, resume, digest = (plain[name] for name in ("optimizer", "moving", "resume", "published_hash"))
        fields: dict[str, Any] = {name: plain[name] for name in _PLAIN} | {name: tuple(plain[name]) for name in _PLAIN_TUPLES}
        return cls(
            Layout(tuple(plain["sizes"]), plain["n_norms"]),
            plain["params"],
            Preparation.from_plain(plain["preparation"]),
            **fields,
            optimizer=None if optimizer is None else Optimizer(**optimizer),
            moving=None if moving is None else MovingStatistics(moving),
            published_hash=None if digest is None else bytes.fromhex(digest),
            resume=None if resume is None else ResumePoint.from_plain(resume),
        )

    def with_published(self, params):
        """A copy of an unpickled state with ``params`` as published parameters and with writable buffers."""
        if params.size != self.published_layout.n_params:
            raise ValueError("coefs_ and intercepts_ do not have the sizes of this state.")
        state = self.copy()
        if not self.is_folded:
            state.params = params = padded(params)
        state.published, state.resume = PublishedParams(self.published_layout, params), self.resume
        return state


def _some_rows(X, rng):
    """X, or a sample of its rows without replacement, so that the memory for initial values does not grow with the rows."""
    n_rows = X.shape[0]
    if n_rows <= _MAX_INITIAL_ROWS:
        return X
    X = X.tocsr() if issparse(X) else X
    return X[np.sort(rng.choice(n_rows, _MAX_INITIAL_ROWS, replace=False))]


def params_hash(params):
    """A hash of parameters that detects changes."""
    return blake2b(np.ascontiguousarray(params).data, digest_size=16).digest()


def _fixed_values(config):
    return (*(getattr(config, name) for name in _FIXED[:-1]), config.ema_decay is not None)


def _write_views(views, values):
    """Copy lists of arrays into lists of views."""
    for targets, arrays in zip(views, values, strict=True):
        for target, array in zip(targets, arrays, strict=True):
            target[...] = array
