"""What lies between the data of a user and the network: starting weights, weights of rows, missing values, scaling, precision.

`Preparation` is the part of the estimators that heeds the parameters for these. Where data are scaled, batches normed or parameters
averaged, two sets of these are kept: `_training_params`, that training goes on from, and the folded ones that `coefs_` and
`intercepts_` show; else there is one, and nothing here takes time. What is trained, and when, is not known here.
"""

from hashlib import blake2b

import numpy as np
from scipy.sparse import issparse

from ._compat import _check_sample_weight
from ._data import missing
from ._data.scaling import Folding, fold_norms
from ._network.initializers import draw_into, put_into
from ._network.layout import Layout, aligned_zeros
from ._training.epochs import zero_weights_error

# What must stay as it was while training goes on, and how it is by default.
_KEPT = ("missing", "scale", "scale_y", "batch_norm", "layer_norm", "ema_decay")
_PLAIN = ("error", None, None, False, False, False)


class Preparation:
    """The part of an estimator that prepares data and parameters for training, and shows what came of them."""

    # what only some fits have
    _prepared_as = _PLAIN
    _imputer = None
    _norm = None
    _moving = None
    _folding = None
    _training_params = None
    _digest = None  # of the parameters as they were shown

    # ------------------------------------------------------------------ data

    def _weights(self, X, y, sample_weight, incremental):
        """The weights of the rows, by whatever gives them some, or None."""
        return None if sample_weight is None else _check_sample_weight(sample_weight, X)

    def _relative_weights(self, sample_weight, rows=None):
        """Weights as training wants them: with weight_norm="global", of mean 1 over the rows that are trained on.

        They are added up in one order, however rows are shuffled, so that a fit that resumes finds the same mean.
        """
        if sample_weight is None or self.weight_norm == "batch":
            return sample_weight
        trained_on = sample_weight if rows is None else sample_weight[np.sort(rows)]
        mean = np.mean(trained_on, dtype=np.float64)
        if mean == 0:
            raise zero_weights_error()
        return sample_weight / mean

    def _prepare(self, X, y, out_activation, going_on):
        """X and y as the network is trained on them, by what is learned of them here, or was at the first of several fits."""
        asked = *(getattr(self, name, None) for name in _KEPT[:-1]), self.ema_decay is not None
        if going_on:
            self._check_going_on(asked)
        else:
            for name in ("_prepared_as", "_imputer", "_folding", "_training_params", "_digest"):
                vars(self).pop(name, None)
            if asked != _PLAIN:
                self._learn_preparation(X, y, asked, out_activation)
        return self._prepared(X, y)

    def _learn_preparation(self, X, y, asked, out_activation):
        self._prepared_as = asked
        if self.missing == "indicator":
            self._imputer = missing.learned(X)
            X = self._imputer.transform(X)
        dtype = X.dtype if self.dtype == "auto" else np.dtype(self.dtype)
        self._folding = Folding.learned(X, y, *asked[1:3], out_activation, dtype)

    def _check_going_on(self, asked):
        for name, now, before in zip(_KEPT, asked, self._prepared_as, strict=True):
            if now != before:
                raise ValueError(
                    f"{name} must stay what it was when training began, as the network was made for that; it was {before!r} then "
                    f"and is {now!r} now. Set it back, or fit anew with warm_start=False."
                )
        if self._training_params is None:
            return
        shown = self._flat_params()
        if digest(shown) != self._digest:
            raise ValueError(
                "coefs_ and intercepts_ were changed since training, which cannot go on from them, as scaling, norms or means are "
                "folded into them: fit anew with warm_start=False, or without scale, scale_y, batch_norm and ema_decay."
            )
        if shown is not self._params:  # somebody put copies there
            self._hold(self._layout(), shown)

    def _prepared(self, X, y=None):
        """X, and y as codes or values, as the network is trained on them; for validation rows too."""
        X = self._imputed(X)
        if self._folding is not None:
            X = self._folding.scale_inputs(X)
            y = y if y is None else self._folding.scale_targets(y)
        if self.dtype != "auto" and X.dtype != self.dtype:
            X = _cast(X, self.dtype)
        return X, y

    def _imputed(self, X):
        """X as the network that is shown takes it."""
        return X if self._imputer is None else self._imputer.transform(X)

    @property
    def _n_inputs(self):
        return self.n_features_in_ if self._imputer is None else missing.n_outputs(self._imputer)

    # ------------------------------------------------------------------ parameters

    def _draw(self, activations):
        """Fill the parameters that training starts from; one activation for each layer."""
        layout = self._training_layout()
        coefs, intercepts = layout.views(self._trained)
        for values, start in zip(layout.norms(self._trained), (1, 0), strict=False):
            for value in values:
                value[...] = start
        shifts = self._norm == "batch_norm"  # by biases
        draw_into(coefs, intercepts, activations, self._random_state, self.weight_init, self.bias_init, normalized=shifts)
        if self.coefs_init is not None:
            put_into(coefs, self.coefs_init, "coefs_init")
        if self.intercepts_init is not None:
            put_into(intercepts, self.intercepts_init, "intercepts_init")

    @property
    def _trained(self):
        """The flat buffer that training goes on from, as it was held last."""
        return self._params if self._training_params is None else self._training_params

    def _hold_trained(self, layout, params):
        """Take a flat buffer for the parameters that training goes on from, with those that are shown beside it, or the same."""
        if self._folding is None and self._norm != "batch_norm" and not self._prepared_as[-1]:
            self._hold(layout, params)
            return
        dtype = params.dtype if self._folding is None else np.result_type(self._folding.dtype, params.dtype)
        if self._training_params is None or self._params.dtype != dtype:
            shown = Layout(layout.sizes, 0 if self._norm == "batch_norm" else layout.n_norms)
            self._hold(shown, aligned_zeros(shown.n_params, dtype))
        self._training_params = params

    def _params_to_train(self):
        """The flat buffer that training writes into: what `coefs_` show, or what it is folded from."""
        if self._training_params is None:
            params, held = self._flat_params(), getattr(self, "_params", None)
        else:
            params = held = self._training_params
        if self.dtype != "auto" and params.dtype != self.dtype:
            params = padded_copy(params, self.dtype)
        if params is not held:
            self._hold_trained(self._training_layout(), params)
        return params

    def _params_that_predict(self):
        """What training has reached, as a network for prepared data that needs no norms over batches: means, with ema_decay.

        These stand behind the solver's moments.
        """
        if self._training_params is None:
            return self._params
        params = self._training_params
        layout, shown = self._training_layout(), self._layout()
        if self._prepared_as[-1]:
            params = padded_copy(self._optimizer.moments[-layout.n_params :], params.dtype)
        if self._norm != "batch_norm":
            return params
        folded = aligned_zeros(shown.n_params, params.dtype)
        _write(shown.views(folded), fold_norms(*layout.views(params), layout.norms(params)[0], self._moving.views(layout)))
        return folded

    def _publish(self):
        """Show what training has reached; where it is not folded, it is shown already."""
        if self._training_params is None:
            return
        params, layout = self._params_that_predict(), self._layout()
        self._params[...] = params  # of which the fold changes the first and the last layer
        if self._folding is not None:
            _write(layout.views(self._params), self._folding.fold(*layout.views(params), self.out_activation_))

    def _shown(self, params):
        """The attributes that would show other parameters."""
        layout = self._layout()
        coefs, intercepts = layout.views(params)
        norms = dict(zip(("norm_scales_", "norm_shifts_"), layout.norms(params), strict=False))
        return {"coefs_": coefs, "intercepts_": intercepts, "_digest": digest(params), **norms}

    def _publish_for_good(self):
        """Show what a fit ended with, and remember it, to know it again."""
        if self._training_params is not None:
            self._publish()
            self._digest = digest(self._params)


def padded_copy(values, dtype):
    """A copy of flat values, with the room behind it that kernels want."""
    copy = aligned_zeros(values.size, dtype)
    copy[...] = values
    return copy


def digest(params):
    """What tells whether parameters are still the same."""
    return blake2b(np.ascontiguousarray(params).data, digest_size=16).digest()


def _cast(X, dtype):
    with np.errstate(over="ignore"):
        X = X.astype(dtype)
    if not np.isfinite(X.data if issparse(X) else X).all():
        raise ValueError(f"X holds numbers too large for dtype={dtype!r}: take dtype='float64', or scale='standard'.")
    return X


def _write(views, values):
    """Put lists of arrays into lists of views."""
    for into, arrays in zip(views, values, strict=True):
        for view, array in zip(into, arrays, strict=True):
            view[...] = array
