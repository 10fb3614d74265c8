"""Digests of many small fits, to show that a change of the code does not change a single bit of any fit.

    python bench/fit_digests.py --write FILE                # fit everything, write {name: SHA-256} as JSON
    python bench/fit_digests.py --check FILE                # fit everything, compare with FILE
    python bench/fit_digests.py --check FILE --only REGEX   # only the fits whose names match
    python bench/fit_digests.py --show --only REGEX         # one line for each value that is hashed

A digest covers the fitted attributes, the predictions and the score, with their types. Only the public API is used. Compare digests
only on the same processor and with the same versions of Python, NumPy, SciPy, scikit-learn and Numba.
"""

import argparse
import copy
import hashlib
import inspect
import json
import pickle
import re
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.model_selection import KFold, ShuffleSplit
from threadpoolctl import threadpool_limits

import fastbp
from fastbp import Activation, Checkpoint, Loss, MLPClassifier, MLPRegressor, load_checkpoint

KINDS = {"classifier": MLPClassifier, "regressor": MLPRegressor}
DTYPES = ("float64", "float32")
# The parameters of every fit, unless a fit says otherwise.
DEFAULTS = {
    "hidden_layer_sizes": (16, 8),
    "batch_size": 32,
    "learning_rate_init": 0.01,
    "max_iter": 8,
    "tol": 0.0,
    "n_iter_no_change": np.inf,
    "random_state": 0,
    "n_threads": 1,
}
# With L-BFGS, and for validation rows, the order in which losses are added up depends on the run time where there are more than two
# blocks of rows. These fits must therefore have few rows and narrow layers: a block has at least 24 rows, and 96 with 16 units in
# float64.
LBFGS_ROWS = 60
N_PREDICTED = 20
ATTRIBUTES = (
    "coefs_",
    "intercepts_",
    "norm_scales_",
    "norm_shifts_",
    "loss_curve_",
    "loss_",
    "best_loss_",
    "validation_scores_",
    "best_validation_score_",
    "history_",
    "n_iter_",
    "t_",
    "n_features_in_",
    "n_layers_",
    "n_outputs_",
    "out_activation_",
    "classes_",
)


# ====================================================================== functions that are given to the estimators
# They are defined in this module, so that pickle can write them.


def bent(z):
    return (np.sqrt(z * z + 1) - 1) / 2 + z


def slope_of_bent(z):
    return z / (2 * np.sqrt(z * z + 1)) + 1


def log_cosh(y, a):
    return np.log(np.cosh(a - y))


def slope_of_log_cosh(y, a):
    return np.tanh(a - y)


def slower(epoch, progress):
    return 1 / (1 + epoch) + 0.1 * abs(1 - progress)


def small_weights(random_state, shape):
    return random_state.normal(0, 0.3, shape)


def first_outputs(estimator, X, y):
    """A scorer that looks at the weights and at the predictions."""
    return float(np.mean(estimator.predict(X[:5]) == y[:5]) - abs(estimator.coefs_[0]).mean())


def weighted_score(estimator, X, y, sample_weight=None):
    """A scorer that takes weights."""
    return estimator.score(X, y, sample_weight)


def stop_after_three(estimator, epoch, logs):
    return epoch == 3


class Record:
    """A callback that keeps what it sees after each epoch, and optionally a pickle of the estimator after one of them."""

    def __init__(self, X, pickle_at=None):
        self.X, self.pickle_at, self.seen, self.pickled = X, pickle_at, [], None

    def __call__(self, estimator, epoch, logs):
        weights = [array.copy() for array in [*estimator.coefs_, *estimator.intercepts_]]
        self.seen.append((epoch, dict(logs), weights, estimator.n_iter_, estimator.loss_, estimator.predict(self.X)))
        if epoch == self.pickle_at:
            self.pickled = pickle.dumps(estimator)


class SklearnRecord:
    """The same for the callback protocol of scikit-learn; `last` is the epoch after which training is to stop."""

    def __init__(self, X, last=None):
        self.X, self.last, self.seen = X, last, []

    def setup(self, estimator, context):
        self.seen.append("setup")

    def teardown(self, estimator, context):
        self.seen.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.seen.append(("begin", context.task_name, context.task_id, context.max_subtasks))

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.seen.append(("end", context.task_name, context.task_id))
        if fitted_estimator is not None:
            self.seen.append((fitted_estimator.coefs_, fitted_estimator.predict(self.X)))
        return context.task_name == "epoch" and context.task_id == self.last


BENT, BENT_ALONE = Activation(bent, slope_of_bent), Activation(bent)
LOG_COSH, LOG_COSH_ALONE = Loss(log_cosh, slope_of_log_cosh), Loss(log_cosh)


# ====================================================================== digests


class Digest:
    """The SHA-256 of a list of named values."""

    def __init__(self):
        self.items = []

    def add(self, name, value):
        """Append one value: arrays, numbers, strings, None, or lists, tuples and dicts of these."""
        self.items.append((name, hashlib.sha256(encode(value)).hexdigest()))

    def add_model(self, model, data, stage="fit"):
        """Append all that a fitted estimator shows, and what it predicts."""
        for name in ATTRIBUTES:
            self.add(f"{stage}.{name}", getattr(model, name, "absent"))
        X = data.X[:N_PREDICTED]
        for name in ("predict", "predict_proba", "predict_log_proba"):
            if hasattr(model, name):
                self.add(f"{stage}.{name}", getattr(model, name)(X))
        self.add(f"{stage}.transform", model.transform(X))
        for layer in range(model.n_layers_):
            self.add(f"{stage}.transform.{layer}", model.transform(X, layer=layer))
        self.add(f"{stage}.score", model.score(data.X, data.y))
        if data.weight is not None:
            self.add(f"{stage}.score.weighted", model.score(data.X, data.y, data.weight))
        if isinstance(model.random_state, np.random.RandomState):
            self.add(f"{stage}.random_state", model.random_state.get_state(legacy=False))

    def hexdigest(self):
        return hashlib.sha256(encode(self.items)).hexdigest()


def encode(value):
    """The bytes of a value, with its type; unequal values have unequal bytes."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "O":
            return encode([f"object {value.shape}", value.ravel().tolist()])
        return _with_length(f"array {value.dtype.str} {value.shape} ".encode() + value.tobytes())
    if isinstance(value, np.generic):
        content = float(value).hex() if value.dtype.kind == "f" else repr(value.item())
        return _with_length(f"scalar {value.dtype.str} {content}".encode())
    if isinstance(value, float):  # NaN has one form here, whatever its sign
        return _with_length(f"float {value.hex()}".encode())
    if value is None or isinstance(value, (bool, int, str)):
        return _with_length(f"{type(value).__name__} {value!r}".encode())
    if isinstance(value, (list, tuple)):
        return _with_length(f"{type(value).__name__} ".encode() + b"".join(encode(part) for part in value))
    if isinstance(value, dict):
        return _with_length(b"dict " + b"".join(encode(key) + encode(value[key]) for key in sorted(value)))
    raise TypeError(f"no digest of a {type(value).__name__}")


def _with_length(content):
    return f"{len(content)}:".encode() + content


# ====================================================================== data


@dataclass
class Data:
    """What a fit is given."""

    X: object
    y: np.ndarray
    weight: np.ndarray | None = None
    validation: dict = field(default_factory=dict)

    def fit(self, model):
        return model.fit(self.X, self.y, self.weight, **self.validation)

    def rows(self, start, stop):
        return self.X[start:stop], self.y[start:stop]


def make_data(
    kind,
    target=None,
    n_rows=120,
    n_features=6,
    dtype="float64",
    form="dense",
    missing=False,
    weights=False,
    validation=0,
    seed=0,
):
    """Random data of one kind of target; `validation` is the number of further rows for validation."""
    random, n_all = np.random.RandomState(seed), n_rows + validation
    shape = n_all, max(n_features, 4)  # targets depend on four features
    X = random.normal(0.3, 1.5, shape) * (random.uniform(size=shape) < 0.8)
    y = make_target(target or {"classifier": "binary", "regressor": "one"}[kind], X, random)
    X = X[:, :n_features]
    weight = random.uniform(0, 3, n_all)
    if missing:
        X[random.uniform(size=X.shape) < 0.1] = np.nan
        X[0, -1] = np.nan
    convert = {
        "dense": np.array,
        "fortran": np.asfortranarray,
        "csr": sp.csr_array,
        "csc": sp.csc_array,
        "csr_matrix": sp.csr_matrix,
    }
    X, form = X.astype(dtype), convert[form]
    data = Data(form(X[:n_rows]), y[:n_rows], weight[:n_rows] if weights else None)
    if validation:
        data.validation = {"X_val": form(X[n_rows:]), "y_val": y[n_rows:]}
        if weights:
            data.validation["sample_weight_val"] = weight[n_rows:]
    return data


def make_target(target, X, random):
    """The y of that name for such inputs."""
    noise, n_rows = random.uniform(-1, 1, len(X)), len(X)
    signal = X[:, 0] * X[:, 1] + X[:, 2] + noise
    if target == "binary":
        return np.array(["no", "yes"])[1 * (signal > 0)]
    if target == "numbers":
        return 1 * (signal > 0)
    if target == "multiclass":
        return np.digitize(signal, [-0.7, 0.7]) + 5
    if target == "one class":
        return np.full(n_rows, 3)
    if target == "multilabel":
        return np.column_stack([signal > 0, X[:, 3] + noise > 0, noise > 0.2]).astype(np.int64)
    if target == "multioutput":
        return np.column_stack([np.digitize(signal, [-0.7, 0.7]), 1 * (X[:, 3] > 0), np.arange(n_rows) % 4])
    if target == "one":
        return signal
    if target == "column":
        return signal.reshape(-1, 1)
    if target == "several":
        return np.column_stack([signal, 5 + 2 * X[:, 3] - noise])
    if target == "counts":
        return np.floor(np.abs(signal))
    if target == "counts of several":
        return np.floor(np.abs(np.column_stack([signal, X[:, 3] - noise])))
    if target == "positive":
        return np.abs(signal) + 0.1
    raise ValueError(target)


def new(kind, **params):
    """An estimator with these parameters, each of which is a copy; `sample_weight_norm` may still be called `weight_norm`."""
    params = copy.deepcopy(DEFAULTS | params)
    if "sample_weight_norm" in params and "sample_weight_norm" not in inspect.signature(KINDS[kind]).parameters:
        params["weight_norm"] = params.pop("sample_weight_norm")
    return KINDS[kind](**params)


def classes_of(kind, target, y):
    """The argument `classes` of the first call of ``partial_fit``."""
    if kind == "regressor" or target == "multilabel":
        return {}
    return {"classes": [np.unique(column) for column in y.T] if y.ndim == 2 else np.unique(y)}


# ====================================================================== the ways to fit
# Each returns a function that fits and adds to a digest.


def one_fit(kind, options=None, **params):
    """One call of ``fit``."""

    def run(digest):
        data = make_data(kind, **(options or {}))
        digest.add_model(data.fit(new(kind, **params)), data)

    return run


def several_fits(kind, options=None, changes=(), **params):
    """A call of ``fit``, and a further one after each of these calls of ``set_params``."""

    def run(digest):
        data = make_data(kind, **(options or {}))
        model = new(kind, **params)
        digest.add_model(data.fit(model), data)
        for n, change in enumerate(changes):
            digest.add_model(data.fit(model.set_params(**change)), data, f"fit {n + 2}")

    return run


def resumed(kind, options=None, counts=(3, 5), pickled=False, **params):
    """Several calls of ``fit`` with warm_start="resume", of so many epochs each."""

    def run(digest):
        data = make_data(kind, **(options or {}))
        model = new(kind, **params | {"warm_start": "resume"})
        for n, n_epochs in enumerate(counts):
            data.fit(model.set_params(max_iter=n_epochs))
            digest.add_model(model, data, f"fit {n + 1}")
            if pickled:
                model = pickle.loads(pickle.dumps(model))

    return run


def partial_fits(kind, options=None, n_calls=6, in_parts=False, pickled=False, **params):
    """Several calls of ``partial_fit``, on all rows or on a third of them each."""
    options = options or {}

    def run(digest):
        data = make_data(kind, **options)
        model, third = new(kind, **params), len(data.y) // 3
        more = classes_of(kind, options.get("target"), data.y)
        for n in range(n_calls):
            rows = slice(n % 3 * third, (n % 3 + 1) * third) if in_parts else slice(None)
            weight = None if data.weight is None else data.weight[rows]
            model.partial_fit(data.X[rows], data.y[rows], sample_weight=weight, **more)
            more = {}
            digest.add_model(model, data, f"call {n + 1}")
            if pickled and n == 2:
                model = pickle.loads(pickle.dumps(model))

    return run


def fit_then_partial_fits(kind, options=None, **params):
    """``fit``, two calls of ``partial_fit``, and ``fit`` again."""

    def run(digest):
        data = make_data(kind, **(options or {}))
        model = data.fit(new(kind, **params))
        for n in range(2):
            digest.add_model(model.partial_fit(data.X, data.y), data, f"call {n + 1}")
        digest.add_model(data.fit(model), data, "fit again")

    return run


def checkpoint(kind, options=None, every=4, n_epochs=10, **params):
    """A fit with a `Checkpoint`, and a fit that goes on from the file."""

    def run(digest):
        data = make_data(kind, **(options or {}))
        with tempfile.TemporaryDirectory() as folder:
            has_functions = any(callable(value) for value in params.values()) or "activation" in params
            saver = Checkpoint(Path(folder) / "model", every=every, format="pickle" if has_functions else "safetensors")
            digest.add_model(data.fit(new(kind, **params | {"max_iter": n_epochs, "callbacks": saver})), data, "whole")
            loaded = load_checkpoint(saver.path).set_params(callbacks=None, max_iter=n_epochs % every)
        digest.add_model(loaded, data, "loaded")
        digest.add_model(data.fit(loaded), data, "resumed")

    return run


def pickled_in_callback(kind, options=None, pickle_at=3, n_epochs=7, then="resume", **params):
    """A fit in which a callback pickles the estimator, and a fit that goes on from the pickle."""

    def run(digest):
        data = make_data(kind, **(options or {}))
        record = Record(data.X[:N_PREDICTED], pickle_at)
        # set afterwards, as parameters are copied
        model = new(kind, **params | {"max_iter": n_epochs}).set_params(callbacks=record)
        digest.add_model(data.fit(model), data, "whole")
        digest.add("seen", record.seen)
        loaded = pickle.loads(record.pickled).set_params(callbacks=None)
        digest.add_model(loaded, data, "loaded")
        data.fit(loaded.set_params(warm_start=then, max_iter=n_epochs - pickle_at))
        digest.add_model(loaded, data, "resumed")

    return run


def recorded(kind, options=None, stop=False, **params):
    """A fit with a callback that records each epoch, and optionally one that ends training after three."""

    def run(digest):
        data = make_data(kind, **(options or {}))
        record = Record(data.X[:N_PREDICTED])
        model = new(kind, **params).set_params(callbacks=[record, stop_after_three] if stop else record)
        digest.add_model(data.fit(model), data)
        digest.add("seen", record.seen)

    return run


def recorded_by_sklearn(kind, options=None, last=None, **params):
    """A fit with a callback of scikit-learn's protocol."""

    def run(digest):
        data = make_data(kind, **(options or {}))
        record = SklearnRecord(data.X[:N_PREDICTED], last)
        digest.add_model(data.fit(new(kind, **params).set_callbacks(record)), data)
        digest.add("seen", record.seen)

    return run


def diverging(kind, options=None, fitted=False, **params):
    """A fit that diverges: the start of its message, the weights that the estimator keeps, and what it does afterwards."""
    # deep and linear: weights grow until products overflow, after some epochs that went well
    params = {
        "hidden_layer_sizes": (5, 5),
        "activation": "identity",
        "solver": "sgd",
        "learning_rate_init": 0.04,
        "batch_size": 10,
        "max_iter": 300,
    } | params

    def run(digest):
        data = make_data(kind, **{"n_rows": 60} | (options or {}))
        model = new(kind, **params)
        if fitted:
            data.fit(model.set_params(max_iter=2, learning_rate_init=1e-3))
            model.set_params(max_iter=300, learning_rate_init=params["learning_rate_init"], warm_start=True)
        try:
            data.fit(model)
        except ValueError as error:
            digest.add("message", str(error)[:60])
        else:
            raise AssertionError("the fit did not diverge")
        digest.add("has weights", hasattr(model, "coefs_"))
        if hasattr(model, "coefs_"):
            digest.add_model(model, data, "kept")
            model.set_params(learning_rate_init=1e-6, max_iter=3)
            digest.add_model(model.partial_fit(data.X, data.y), data, "partial_fit")
            digest.add_model(data.fit(model.set_params(warm_start=True)), data, "warm start")

    return run


def edited(kind, options=None, how="in place", then="warm start", **params):
    """A fit, weights that are changed by hand, and a further fit."""

    def run(digest):
        data = make_data(kind, **(options or {}))
        model = data.fit(new(kind, **params))
        if how == "in place":
            model.coefs_[0] *= 0.5
            model.intercepts_[-1][...] = 0.25
        elif how == "replaced":
            model.coefs_ = [np.asfortranarray(W * 0.5) for W in model.coefs_]
            model.intercepts_ = [b + 0.125 for b in model.intercepts_]
        elif how == "other dtype":
            model.coefs_ = [W.astype(np.float32) for W in model.coefs_]
            model.intercepts_ = [b.astype(np.float32) for b in model.intercepts_]
        elif how == "one list entry":
            model.coefs_[0] = model.coefs_[0] * 0.5
        digest.add_model(model, data, "edited")
        if then == "partial_fit":
            model.partial_fit(data.X, data.y).partial_fit(data.X, data.y)
        elif then == "pickle":
            model = pickle.loads(pickle.dumps(model)).set_params(warm_start=True)
            data.fit(model)
        elif then == "warm start":
            data.fit(model.set_params(warm_start=True))
        else:
            data.fit(model.set_params(warm_start=then))
        digest.add_model(model, data, then)

    return run


def given_start(kind, options=None, names=("coefs_init", "intercepts_init"), **params):
    """A fit that starts from given weights or biases; layers are of 6, 16, 8 and n_outputs units."""

    def run(digest):
        data = make_data(kind, **(options or {}))
        random, sizes = np.random.RandomState(5), (6, 16, 8, 2 if data.y.ndim == 2 else 1)
        start = {
            "coefs_init": [random.normal(0, 0.4, shape) for shape in pairwise(sizes)],
            "intercepts_init": [random.normal(0, 0.1, n).tolist() for n in sizes[1:]],
        }
        model = new(kind, **params | {name: start[name] for name in names})
        digest.add_model(data.fit(model), data)

    return run


def shared_stream(kind, options=None, make=lambda: np.random.RandomState(3), n_models=2, **params):
    """Fits that draw from the same RandomState, one after the other."""

    def run(digest):
        data = make_data(kind, **(options or {}))
        stream = make()
        for n in range(n_models):
            model = new(kind, **params).set_params(random_state=stream)
            digest.add_model(data.fit(model), data, f"fit {n + 1}")
        if model.solver != "lbfgs" and not model.early_stopping:
            digest.add_model(model.partial_fit(data.X, data.y), data, "partial_fit")
        digest.add("next", stream.uniform(size=4))

    return run


def global_stream(kind, options=None, **params):
    """A fit with random_state=None, which draws from the global random numbers of NumPy."""

    def run(digest):
        data = make_data(kind, **(options or {}))
        before = np.random.get_state()
        np.random.seed(5)
        try:
            model = data.fit(new(kind, **params | {"random_state": None}))
            digest.add_model(model, data)
            digest.add("global stream", np.random.get_state(legacy=False))
        finally:
            np.random.set_state(before)

    return run


def array_likes(kind, convert, **params):
    """A fit on inputs and targets in another form."""

    def run(digest):
        data = make_data(kind, "numbers" if kind == "classifier" else "one")
        X, y = convert(data.X, data.y)
        model = new(kind, **params).fit(X, y)
        digest.add_model(model, data)
        digest.add("predict", model.predict(X))

    return run


def cloned(kind, options=None, **params):
    """A fit of a clone of a fitted estimator."""

    def run(digest):
        data = make_data(kind, **(options or {}))
        digest.add_model(data.fit(clone(data.fit(new(kind, **params)))), data)

    return run


def two_data_sets(kind, first, then, **params):
    """A fit on one set of rows, and one on another, with warm_start or without."""

    def run(digest):
        model = new(kind, **params)
        for n, options in enumerate((first, then)):
            data = make_data(kind, **options)
            digest.add_model(data.fit(model), data, f"fit {n + 1}")

    return run


# ====================================================================== what is fitted
# Each function yields pairs of a name and a function as above.

SOLVERS = {
    "sgd": {"solver": "sgd"},
    "sgd_without_nesterov": {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.7},
    "sgd_without_momentum": {"solver": "sgd", "momentum": 0.0},
    "adam": {"solver": "adam"},
    "adam_betas": {"solver": "adam", "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-5},
    "adagrad": {"solver": "adagrad"},
    "adadelta": {"solver": "adadelta", "learning_rate_init": 1.0, "rho": 0.95, "epsilon": 1e-6},
    "rmsprop": {"solver": "rmsprop", "rho": 0.8},
    "adamw": {"solver": "adamw", "weight_decay": 0.1},
    "nadam": {"solver": "nadam"},
    "adamax": {"solver": "adamax"},
    "lion": {"solver": "lion", "learning_rate_init": 1e-3},
}
BUILT_IN = ["identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "selu", "silu", "gelu", "mish", "softplus"]
BUILT_IN += ["hard_sigmoid", "hard_swish"]
SCHEDULES = {
    "sgd_invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3},
    "sgd_adaptive": {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 0.05, "max_iter": 30},
    "cosine": {"learning_rate": "cosine"},
    "linear_warmup_cosine": {"learning_rate": "linear_warmup_cosine"},
    "linear_warmup_cosine_horizon": {"learning_rate": "linear_warmup_cosine", "warmup_fraction": 0.4, "learning_rate_horizon": 12},
    "one_cycle": {"learning_rate": "one_cycle"},
    "one_cycle_sgd": {"learning_rate": "one_cycle", "solver": "sgd", "warmup_fraction": 0.5},
    "exponential": {"learning_rate": "exponential", "learning_rate_decay": 0.2},
    "step": {"learning_rate": "step", "learning_rate_step": 3},
    "step_default": {"learning_rate": "step", "max_iter": 12},
    "reduce_on_plateau": {"learning_rate": "reduce_on_plateau", "learning_rate_step": 2, "tol": 0.02, "max_iter": 20},
    "reduce_on_plateau_default": {"learning_rate": "reduce_on_plateau", "n_iter_no_change": 4, "tol": 0.02, "max_iter": 30},
    "reduce_on_plateau_early_stopping": {
        "learning_rate": "reduce_on_plateau",
        "learning_rate_step": 2,
        "early_stopping": True,
        "max_iter": 20,
    },
    "callable": {"learning_rate": slower},
    "callable_sgd": {"learning_rate": slower, "solver": "sgd"},
    "callable_two_threads": {"learning_rate": slower, "n_threads": 2},
}
REGULARIZATION = {
    "alpha_0": {"alpha": 0.0},
    "alpha": {"alpha": 0.5},
    "l1": {"l1": 0.05},
    "l1_alpha": {"l1": 0.02, "alpha": 0.3, "solver": "sgd"},
    "weight_decay": {"weight_decay": 0.5},
    "weight_decay_sgd": {"weight_decay": 0.5, "solver": "sgd"},
    "dropout": {"dropout": 0.3},
    "dropout_list": {"dropout": [0.4, 0.1]},
    "dropout_inputs": {"dropout": [0.1, 0.4, 0.0]},
    "input_noise": {"input_noise": 0.2},
    "input_noise_dropout": {"input_noise": 0.1, "dropout": [0.2, 0.2, 0.2]},
    "max_norm": {"max_norm": 0.7},
    "clip_norm": {"clip_norm": 0.1},
    "clip_norm_max_norm_sgd": {"clip_norm": 0.3, "max_norm": 1.0, "solver": "sgd"},
    "batch_norm": {"batch_norm": True},
    "layer_norm": {"layer_norm": True},
    "ema_decay": {"ema_decay": 0.8},
    "ema_decay_0": {"ema_decay": 0.0},
    "batch_norm_ema_decay": {"batch_norm": True, "ema_decay": 0.6},
    "layer_norm_ema_decay": {"layer_norm": True, "ema_decay": 0.6, "dropout": 0.1},
    "batch_norm_scale_max_norm": {"batch_norm": True, "scale": "standard", "max_norm": 1.0},
    "everything": {
        "alpha": 0.1,
        "l1": 0.01,
        "weight_decay": 0.1,
        "dropout": [0.1, 0.2, 0.1],
        "input_noise": 0.05,
        "max_norm": 2.0,
        "clip_norm": 1.0,
        "batch_norm": True,
        "ema_decay": 0.7,
        "scale": "standard",
    },
}
NETWORKS = {
    "no_hidden_layer": {"hidden_layer_sizes": ()},
    "int": {"hidden_layer_sizes": 7},
    "5": {"hidden_layer_sizes": (5,)},
    "1": {"hidden_layer_sizes": (1,)},
    "1_1_1": {"hidden_layer_sizes": (1, 1, 1)},
    "40_30_20": {"hidden_layer_sizes": (40, 30, 20)},
    "3_17_33": {"hidden_layer_sizes": (3, 17, 33)},
    "13_5_7_11_9": {"hidden_layer_sizes": [13, 5, 7, 11, 9]},
    "default_100": {"hidden_layer_sizes": (100,)},
    "257_65": {"hidden_layer_sizes": (257, 65), "max_iter": 3},
}
BATCHES = {
    "1": {"batch_size": 1, "max_iter": 5},
    "7": {"batch_size": 7},
    "7_sgd": {"batch_size": 7, "solver": "sgd"},
    "larger_than_n": {"batch_size": 1000},
    "auto": {"batch_size": "auto"},
    "not_shuffled": {"shuffle": False},
    "not_shuffled_7": {"shuffle": False, "batch_size": 7},
}
STARTS = {
    **{f"weight_{name}": {"weight_init": name} for name in ("glorot_uniform", "glorot_normal", "he_uniform", "he_normal")},
    **{f"weight_{name}": {"weight_init": name} for name in ("lecun_uniform", "lecun_normal", "orthogonal", "standard_normal")},
    "weight_callable": {"weight_init": small_weights},
    "weight_auto_logistic": {"activation": "logistic"},
    "weight_auto_list": {"activation": ["logistic", "tanh"]},
    "weight_auto_batch_norm": {"batch_norm": True, "weight_init": "he_normal"},
    **{f"bias_{name}": {"bias_init": name} for name in ("zeros", "glorot_normal", "he_uniform", "lecun_normal", "orthogonal")},
    "bias_callable": {"bias_init": small_weights},
    "both": {"weight_init": "orthogonal", "bias_init": "zeros"},
}
EARLY = {"early_stopping": True, "validation_fraction": 0.2, "max_iter": 12}
STOPPING = {
    "default_score": EARLY,
    "loss": EARLY | {"scoring": "loss"},
    "stops": EARLY | {"n_iter_no_change": 2, "max_iter": 60, "learning_rate_init": 0.05, "tol": 1e-3},
    "stops_loss": EARLY | {"scoring": "loss", "n_iter_no_change": 3, "max_iter": 60, "learning_rate_init": 0.05},
    "callable": EARLY | {"scoring": first_outputs},
    "sgd_adaptive": EARLY | {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "max_iter": 25},
    "ema_decay": EARLY | {"ema_decay": 0.7},
    "batch_norm": EARLY | {"batch_norm": True},
    "layer_norm": EARLY | {"layer_norm": True},
    "scale": EARLY | {"scale": "robust"},
    "batch_norm_ema_decay_scale": EARLY | {"batch_norm": True, "ema_decay": 0.5, "scale": "standard", "scoring": first_outputs},
    "shuffle_split": EARLY | {"validation_splitter": ShuffleSplit(1, test_size=0.3, random_state=2)},
    "k_fold": EARLY | {"validation_splitter": KFold(4)},
    "two_threads": EARLY | {"n_threads": 2},
}


def fits_of_solvers():
    for kind, target in (("classifier", "multiclass"), ("regressor", "several")):
        for dtype in DTYPES:
            for name, params in SOLVERS.items():
                yield f"{kind}/solver/{name}/{dtype}", one_fit(kind, {"target": target, "dtype": dtype}, **params)
        for name, params in SOLVERS.items():
            options = {"target": target, "n_rows": 300}
            params = params | {"n_threads": 2, "batch_size": 100, "l1": 0.01, "max_norm": 3.0, "clip_norm": 1.0}
            yield f"{kind}/solver/{name}/two_threads_with_limits", one_fit(kind, options, **params)
        for dtype in DTYPES:
            options = {"target": target, "n_rows": 600, "dtype": dtype}
            params = {"hidden_layer_sizes": (64, 32), "batch_size": 256, "n_threads": 2, "max_iter": 5}
            yield f"{kind}/solver/adam/two_threads/{dtype}", one_fit(kind, options, **params)
            yield f"{kind}/solver/sgd/two_threads/{dtype}", one_fit(kind, options, **params, solver="sgd", momentum=0.5)
            yield f"{kind}/solver/adam/one_thread_large_batch/{dtype}", one_fit(kind, options, **params | {"n_threads": 1})
            params |= {"hidden_layer_sizes": (33, 9), "batch_size": 51, "max_iter": 4}
            yield f"{kind}/solver/adam/two_threads_odd/{dtype}", one_fit(kind, options, **params)
            yield f"{kind}/solver/adam/two_threads_sparse/{dtype}", one_fit(kind, options | {"form": "csr"}, **params)
        yield f"{kind}/solver/adam/patience", one_fit(kind, n_iter_no_change=2, tol=0.01, max_iter=80, learning_rate_init=0.05)
        yield f"{kind}/solver/sgd/patience", one_fit(kind, solver="sgd", n_iter_no_change=1, tol=0.02, max_iter=80)
        yield f"{kind}/solver/adam/max_time", one_fit(kind, max_time=10_000.0)
        yield f"{kind}/solver/adam/defaults", one_fit(kind, hidden_layer_sizes=(100,), batch_size="auto", learning_rate_init=1e-3)


def fits_of_lbfgs():
    cases = {
        "plain": {},
        "tol": {"tol": 0.05, "max_iter": 100},
        "l1": {"l1": 0.02},
        "l1_alpha": {"l1": 0.02, "alpha": 0.2},
        "max_iter": {"max_iter": 4},
        "max_fun": {"max_fun": 7, "max_iter": 50},
        "max_fun_l1": {"max_fun": 12, "l1": 0.1, "max_iter": 50},
        "no_hidden_layer": {"hidden_layer_sizes": ()},
        "layer_norm": {"layer_norm": True},
        "scale": {"scale": "standard"},
        "scale_robust_float32": {"scale": "robust", "dtype": "float32"},
        "list_of_activations": {"activation": ["gelu", BENT]},
        "orthogonal": {"weight_init": "orthogonal"},
        "max_time": {"max_time": 10_000.0},
    }
    small = {"n_rows": LBFGS_ROWS}
    for kind, target in (("classifier", "multiclass"), ("regressor", "several")):
        params = {"solver": "lbfgs", "max_iter": 20}
        for name, more in cases.items():
            yield f"{kind}/lbfgs/{name}", one_fit(kind, small | {"target": target}, **params | more)
        for options in ({"n_rows": 120}, {"dtype": "float32"}, {"form": "csr"}, {"form": "csc"}, {"weights": True}):
            name = "_".join(f"{key}_{value}" for key, value in options.items())
            yield f"{kind}/lbfgs/data/{name}", one_fit(kind, small | options | {"target": target}, **params)
        options = small | {"weights": True}
        yield f"{kind}/lbfgs/sample_weight_norm_global", one_fit(kind, options, **params, sample_weight_norm="global", alpha=0.3)
        options = small | {"missing": True}
        yield f"{kind}/lbfgs/missing", one_fit(kind, options, **params, missing="indicator", scale="standard")
        changes = [{"max_iter": 5}, {"warm_start": False}]
        yield f"{kind}/lbfgs/warm_start", several_fits(kind, small, changes, **params | {"warm_start": True, "max_iter": 6})
        yield f"{kind}/lbfgs/callbacks", recorded(kind, small, **params | {"max_iter": 8})
        yield f"{kind}/lbfgs/callbacks/float32", recorded(kind, small | {"dtype": "float32"}, **params | {"max_iter": 8})
        yield f"{kind}/lbfgs/callback_stops", recorded(kind, small, stop=True, **params | {"scale": "standard"})
        yield f"{kind}/lbfgs/sklearn_callback", recorded_by_sklearn(kind, small, **params | {"max_iter": 5})
        yield f"{kind}/lbfgs/edited", edited(kind, small, **params | {"max_iter": 5})
        yield f"{kind}/lbfgs/random_state", shared_stream(kind, small, **params | {"max_iter": 3})
        pickled = {"pickle_at": 3, "n_epochs": 6, "then": True}
        yield f"{kind}/lbfgs/pickled_in_callback", pickled_in_callback(kind, small, **pickled, **params)
        changes = [{"solver": "adam"}, {"solver": "lbfgs", "max_iter": 4}, {"solver": "sgd"}]
        yield f"{kind}/lbfgs/other_solver_next", several_fits(kind, small, changes, **params | {"warm_start": True, "max_iter": 5})


def fits_of_activations():
    for kind, target in (("classifier", "multiclass"), ("regressor", "one")):
        for dtype in DTYPES:
            for name in BUILT_IN:
                yield f"{kind}/activation/{name}/{dtype}", one_fit(kind, {"target": target, "dtype": dtype}, activation=name)
            for name, activation in (("own", BENT), ("own_without_slope", BENT_ALONE), ("list", ["silu", "tanh"])):
                yield f"{kind}/activation/{name}/{dtype}", one_fit(kind, {"target": target, "dtype": dtype}, activation=activation)
        lists = {"logistic_relu": ["logistic", "relu"], "own_gelu": [BENT, "gelu"], "identity_own": ["identity", BENT_ALONE]}
        for name, activation in lists.items():
            yield f"{kind}/activation/list/{name}", one_fit(kind, activation=activation)
            options = {"n_rows": 300, "dtype": "float32"}
            params = {"activation": activation, "n_threads": 2, "batch_size": 100}
            yield f"{kind}/activation/list/{name}/two_threads_float32", one_fit(kind, options, **params)
        yield f"{kind}/activation/tanh/layer_norm", one_fit(kind, activation="tanh", layer_norm=True)
        yield f"{kind}/activation/mish/batch_norm", one_fit(kind, activation="mish", batch_norm=True)


def fits_of_losses():
    for dtype in DTYPES:
        for target in ("binary", "numbers", "multiclass", "multilabel", "multioutput"):
            options = {"target": target, "dtype": dtype}
            losses = {"log_loss": {}, "squared_error": {"loss": "squared_error"}, "own": {"loss": LOG_COSH}}
            for name, params in losses.items():
                yield f"classifier/loss/{name}/{target}/{dtype}", one_fit("classifier", options, **params)
            yield f"classifier/loss/label_smoothing/{target}/{dtype}", one_fit("classifier", options, label_smoothing=0.1)
            small = options | {"n_rows": LBFGS_ROWS}
            yield f"classifier/loss/lbfgs/{target}/{dtype}", one_fit("classifier", small, solver="lbfgs", max_iter=10)
            params = {"n_threads": 2, "batch_size": 100, "max_iter": 4}
            yield f"classifier/loss/two_threads/{target}/{dtype}", one_fit("classifier", options | {"n_rows": 300}, **params)
    yield "classifier/loss/log_loss/one_class", one_fit("classifier", {"target": "one class"})
    yield "classifier/loss/own_without_gradient/multiclass", one_fit("classifier", {"target": "multiclass"}, loss=LOG_COSH_ALONE)
    for link in ("identity", "logistic", "softmax", "relu", "softplus", "exp"):
        targets = ("multiclass", "multioutput") if link == "softmax" else ("binary", "multiclass", "multilabel")
        for target in targets:
            name, params = f"classifier/out_activation/{link}/{target}", {"loss": "squared_error", "out_activation": link}
            yield name, one_fit("classifier", {"target": target}, **params)
    yield (
        "classifier/out_activation/softmax/own_loss",
        one_fit("classifier", {"target": "multiclass"}, loss=LOG_COSH, out_activation="softmax"),
    )
    yield (
        "classifier/out_activation/squared_error_label_smoothing",
        one_fit("classifier", {"target": "multiclass"}, loss="squared_error", label_smoothing=0.2, out_activation="softmax"),
    )
    yield from fits_of_regression_losses()


def fits_of_regression_losses():
    losses = {
        "squared_error": ("one", {}),
        "squared_error_several": ("several", {}),
        "column": ("column", {}),
        "absolute_error": ("one", {"loss": "absolute_error"}),
        "absolute_error_several": ("several", {"loss": "absolute_error"}),
        "huber": ("one", {"loss": "huber"}),
        "huber_delta": ("several", {"loss": "huber", "huber_delta": 0.3}),
        "quantile": ("one", {"loss": "quantile", "quantile": 0.8}),
        "quantile_list_of_one": ("one", {"loss": "quantile", "quantile": [0.3]}),
        "quantiles": ("one", {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]}),
        "quantiles_several": ("several", {"loss": "quantile", "quantile": [0.2, 0.7]}),
        "quantile_several": ("several", {"loss": "quantile", "quantile": 0.4}),
        "poisson": ("counts", {"loss": "poisson"}),
        "poisson_several": ("counts of several", {"loss": "poisson"}),
        "gamma": ("positive", {"loss": "gamma"}),
        "tweedie": ("counts", {"loss": "tweedie"}),
        "tweedie_1": ("counts", {"loss": "tweedie", "tweedie_power": 1}),
        "tweedie_2": ("positive", {"loss": "tweedie", "tweedie_power": 2}),
        "tweedie_1.2": ("counts", {"loss": "tweedie", "tweedie_power": 1.2}),
        "own": ("one", {"loss": LOG_COSH}),
        "own_without_gradient": ("several", {"loss": LOG_COSH_ALONE}),
    }
    for name, (target, params) in losses.items():
        for dtype in DTYPES:
            yield f"regressor/loss/{name}/{dtype}", one_fit("regressor", {"target": target, "dtype": dtype}, **params)
        options, more = {"target": target, "n_rows": LBFGS_ROWS}, {"solver": "lbfgs", "max_iter": 10, "alpha": 0.1}
        yield f"regressor/loss/{name}/lbfgs", one_fit("regressor", options, **params, **more)
        options, more = {"target": target, "n_rows": 300, "weights": True}, {"n_threads": 2, "batch_size": 100, "max_iter": 4}
        yield f"regressor/loss/{name}/two_threads_weights", one_fit("regressor", options, **params, **more)
        yield f"regressor/loss/{name}/early_stopping", one_fit("regressor", {"target": target}, **params, **EARLY)
    for link in ("identity", "logistic", "relu", "softplus", "exp"):
        for loss in ("squared_error", "huber", LOG_COSH):
            name = loss if isinstance(loss, str) else "own"
            yield f"regressor/out_activation/{link}/{name}", one_fit("regressor", loss=loss, out_activation=link)
    for loss in ("poisson", "gamma", "tweedie"):
        options, params = {"target": "positive"}, {"loss": loss, "out_activation": "softplus"}
        yield f"regressor/out_activation/softplus/{loss}", one_fit("regressor", options, **params)


def fits_of_schedules():
    for kind in KINDS:
        for name, params in SCHEDULES.items():
            yield f"{kind}/learning_rate/{name}", one_fit(kind, **params)
        yield f"{kind}/learning_rate/one_cycle/float32", one_fit(kind, {"dtype": "float32"}, learning_rate="one_cycle")


def fits_of_regularization():
    for kind, target in (("classifier", "multiclass"), ("regressor", "several")):
        for name, params in REGULARIZATION.items():
            for dtype in DTYPES:
                yield f"{kind}/regularization/{name}/{dtype}", one_fit(kind, {"target": target, "dtype": dtype}, **params)
            options, more = {"target": target, "n_rows": 300, "weights": True}, {"n_threads": 2, "batch_size": 100, "max_iter": 4}
            yield f"{kind}/regularization/{name}/two_threads_weights", one_fit(kind, options, **params | more)
    for target in ("binary", "multiclass"):
        labels = ["no", "yes"] if target == "binary" else [5, 6]
        for name, class_weight in (("balanced", "balanced"), ("dict", {labels[0]: 0.5, labels[1]: 3.0})):
            for weights in (False, True):
                name_of_fit = f"classifier/class_weight/{name}/{target}" + ("/sample_weight" if weights else "")
                yield name_of_fit, one_fit("classifier", {"target": target, "weights": weights}, class_weight=class_weight)
        params = {"class_weight": "balanced", "sample_weight_norm": "global"}
        yield f"classifier/class_weight/balanced_global/{target}", one_fit("classifier", {"target": target}, **params)
        params = {"class_weight": "balanced", **EARLY}
        yield f"classifier/class_weight/early_stopping/{target}", one_fit("classifier", {"target": target}, **params)
        params = {"class_weight": "balanced", "solver": "lbfgs"}
        options = {"target": target, "n_rows": LBFGS_ROWS, "dtype": "float32"}
        yield f"classifier/class_weight/lbfgs/{target}", one_fit("classifier", options, **params)


def fits_of_networks():
    for kind, target in (("classifier", "binary"), ("classifier", "multiclass"), ("regressor", "one"), ("regressor", "several")):
        for name, params in NETWORKS.items():
            for dtype in DTYPES if target in ("multiclass", "one") else DTYPES[:1]:
                yield f"{kind}/network/{name}/{target}/{dtype}", one_fit(kind, {"target": target, "dtype": dtype}, **params)
        for name, params in BATCHES.items():
            yield f"{kind}/batch_size/{name}/{target}", one_fit(kind, {"target": target}, **params)
        yield (
            f"{kind}/batch_size/larger_than_n_two_threads/{target}",
            one_fit(kind, {"target": target}, batch_size=1000, n_threads=2),
        )
        yield f"{kind}/batch_size/7_two_threads/{target}", one_fit(kind, {"target": target}, batch_size=7, n_threads=2)
    for kind in KINDS:
        for n_features in (1, 3, 31):
            yield f"{kind}/network/features/{n_features}", one_fit(kind, {"n_features": n_features}, activation="tanh")
        yield f"{kind}/network/wide_sparse", one_fit(kind, {"n_features": 50, "form": "csr"}, hidden_layer_sizes=(24,))


def fits_of_starts():
    for kind in KINDS:
        for name, params in STARTS.items():
            yield f"{kind}/init/{name}", one_fit(kind, **params)
        for names in (("coefs_init",), ("intercepts_init",), ("coefs_init", "intercepts_init")):
            name = "_".join(names)
            yield f"{kind}/init/{name}", given_start(kind, names=names)
            yield f"{kind}/init/{name}/float32", given_start(kind, {"dtype": "float32"}, names=names)
            yield f"{kind}/init/{name}/scale", given_start(kind, names=names, scale="standard")
        yield f"{kind}/init/coefs_init/lbfgs", given_start(kind, {"n_rows": LBFGS_ROWS}, solver="lbfgs")
        yield f"{kind}/init/coefs_init/layer_norm", given_start(kind, layer_norm=True)
        yield f"{kind}/init/coefs_init/batch_norm", given_start(kind, batch_norm=True)
    for seed in (1, 42):
        yield f"classifier/init/seed_{seed}", one_fit("classifier", {"target": "multioutput"}, random_state=seed)


def fits_of_data():
    for kind, target in (("classifier", "multiclass"), ("regressor", "several")):
        weighted = {"target": target, "weights": True}
        for norm in ("batch", "global"):
            for dtype in DTYPES:
                options, params = weighted | {"dtype": dtype}, {"sample_weight_norm": norm}
                yield f"{kind}/sample_weight/{norm}/{dtype}", one_fit(kind, options, **params)
            yield f"{kind}/sample_weight/{norm}/early_stopping", one_fit(kind, weighted, sample_weight_norm=norm, **EARLY)
            options, params = weighted | {"n_rows": 300}, {"sample_weight_norm": norm, "n_threads": 2, "batch_size": 100}
            yield f"{kind}/sample_weight/{norm}/two_threads", one_fit(kind, options, **params)
            yield (
                f"{kind}/sample_weight/{norm}/sgd_alpha",
                one_fit(kind, weighted, sample_weight_norm=norm, solver="sgd", alpha=0.5),
            )
            params = {"sample_weight_norm": norm, "batch_norm": True}
            yield f"{kind}/sample_weight/{norm}/batch_norm", one_fit(kind, weighted, **params)
        for scale in ("standard", "robust"):
            for form in ("dense", "csr", "csc"):
                for dtype in DTYPES:
                    options = {"target": target, "form": form, "dtype": dtype}
                    yield f"{kind}/scale/{scale}/{form}/{dtype}", one_fit(kind, options, scale=scale)
        for form in ("dense", "csr", "csc"):
            for dtype in DTYPES:
                options = {"target": target, "form": form, "dtype": dtype, "missing": True}
                yield f"{kind}/missing/{form}/{dtype}", one_fit(kind, options, missing="indicator")
            options = {"target": target, "form": form, "missing": True, "validation": 20}
            yield f"{kind}/missing/{form}/scale", one_fit(kind, options, missing="indicator", scale="standard")
            yield f"{kind}/missing/{form}/early_stopping", one_fit(kind, options, missing="indicator", early_stopping=True)
        yield f"{kind}/missing/nothing_missing", one_fit(kind, {"target": target}, missing="indicator")
        for dtype in DTYPES:
            for asked in DTYPES:
                name = f"{kind}/dtype/{asked}_for_{dtype}"
                yield name, one_fit(kind, {"target": target, "dtype": dtype}, dtype=asked)
                yield f"{name}/scale", one_fit(kind, {"target": target, "dtype": dtype}, dtype=asked, scale="standard")
                params = {"dtype": asked, "solver": "lbfgs"}
                yield f"{name}/lbfgs", one_fit(kind, {"target": target, "dtype": dtype, "n_rows": LBFGS_ROWS}, **params)
        for form in ("csr", "csc", "csr_matrix", "fortran"):
            for dtype in DTYPES:
                options = {"target": target, "form": form, "dtype": dtype}
                yield f"{kind}/form/{form}/{dtype}", one_fit(kind, options)
            options = {"target": target, "form": form}
            yield f"{kind}/form/{form}/early_stopping", one_fit(kind, options, **EARLY)
            yield f"{kind}/form/{form}/dropout", one_fit(kind, options, dropout=0.3, solver="sgd")
            yield f"{kind}/form/{form}/batch_norm_l1", one_fit(kind, options, batch_norm=True, l1=0.01)
            yield f"{kind}/form/{form}/not_shuffled", one_fit(kind, options, shuffle=False)
        likes = {
            "lists": lambda X, y: (X.tolist(), y.tolist()),
            "integers": lambda X, y: (np.round(X * 3).astype(np.int64), y),
            "float16": lambda X, y: (X.astype(np.float16), y),
            "every_other_row": lambda X, y: (X[::2], y[::2]),
            "float32_y": lambda X, y: (X, y.astype(np.float32)),
            "read_only": _read_only,
        }
        for name, convert in likes.items():
            yield f"{kind}/array_like/{name}", array_likes(kind, convert)
    for how in ("standard", "robust"):
        for name, options, params in (
            ("one", {}, {}),
            ("several", {"target": "several"}, {}),
            ("float32", {"target": "several", "dtype": "float32"}, {}),
            ("both", {"target": "several"}, {"scale": how}),
            ("relu", {"target": "positive"}, {"out_activation": "relu"}),
            ("exp", {"target": "positive"}, {"out_activation": "exp"}),
            ("poisson", {"target": "counts of several"}, {"loss": "poisson"}),
            ("gamma", {"target": "positive"}, {"loss": "gamma", "scale": how}),
            ("quantile", {}, {"loss": "quantile", "quantile": 0.3}),
            ("huber", {"weights": True}, {"loss": "huber"}),
            ("early_stopping", {}, EARLY),
            ("lbfgs", {"n_rows": LBFGS_ROWS}, {"solver": "lbfgs", "scale": how}),
            ("no_hidden_layer", {}, {"hidden_layer_sizes": (), "scale": how}),
        ):
            yield f"regressor/scale_y/{how}/{name}", one_fit("regressor", options, **params, scale_y=how)


def _read_only(X, y):
    X.flags.writeable = y.flags.writeable = False
    return X, y


def fits_of_validation():
    scorers = {
        "classifier": ("accuracy", "neg_log_loss", "roc_auc", "neg_brier_score"),
        "regressor": ("r2", "neg_mean_absolute_error", "neg_root_mean_squared_error"),
    }
    for kind in KINDS:
        for name, params in STOPPING.items():
            yield f"{kind}/early_stopping/{name}", one_fit(kind, **params)
            given = {"validation": 20}
            if "splitter" not in str(params):
                yield f"{kind}/X_val/early_stopping_{name}", one_fit(kind, given, **params)
        for dtype in DTYPES:
            for name in scorers[kind]:
                options = {"target": "numbers"} if kind == "classifier" else {}
                yield f"{kind}/adam/early_stopping/{name}/{dtype}", one_fit(kind, options | {"dtype": dtype}, **EARLY, scoring=name)
            yield f"{kind}/adam/early_stopping/default_score/{dtype}", one_fit(kind, {"dtype": dtype}, **EARLY)
        for name, options, params in (
            ("plain", {}, {}),
            ("float32", {"dtype": "float32"}, {}),
            ("sparse", {"form": "csr"}, {}),
            ("sparse_csc", {"form": "csc"}, {}),
            ("loss", {}, {"scoring": "loss"}),
            ("sample_weight", {"weights": True}, {}),
            ("sample_weight_early_stopping", {"weights": True}, {"early_stopping": True}),
            ("sample_weight_global", {"weights": True}, {"sample_weight_norm": "global"}),
            ("sample_weight_scorer", {"weights": True}, {"scoring": weighted_score, "early_stopping": True}),
            ("scale", {}, {"scale": "standard"}),
            ("scale_ema_decay_batch_norm", {}, {"scale": "robust", "ema_decay": 0.7, "batch_norm": True}),
            ("layer_norm", {}, {"layer_norm": True, "scoring": first_outputs}),
            ("two_threads", {"n_rows": 300}, {"n_threads": 2, "batch_size": 100}),
            ("sgd_adaptive", {}, {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 0.01}),
            ("plateau", {}, {"learning_rate": "reduce_on_plateau", "learning_rate_step": 1, "tol": 0.5}),
        ):
            yield f"{kind}/X_val/{name}", one_fit(kind, {"validation": 20} | options, **params)
    for target in ("multiclass", "multilabel", "multioutput"):
        yield f"classifier/early_stopping/{target}", one_fit("classifier", {"target": target}, **EARLY)
        yield f"classifier/X_val/{target}", one_fit("classifier", {"target": target, "validation": 20}, label_smoothing=0.1)
        yield f"classifier/early_stopping/loss/{target}", one_fit("classifier", {"target": target}, **EARLY, scoring="loss")
    yield "regressor/early_stopping/several", one_fit("regressor", {"target": "several"}, **EARLY)
    yield "regressor/early_stopping/scale_y", one_fit("regressor", {"target": "several"}, **EARLY, scale_y="robust", scoring="r2")


def fits_of_warm_starts():
    for kind, target in (("classifier", "multiclass"), ("regressor", "several")):
        for name, params in (
            ("adam", {}),
            ("sgd", {"solver": "sgd"}),
            ("sgd_adaptive", {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 0.05}),
            ("sgd_invscaling", {"solver": "sgd", "learning_rate": "invscaling"}),
            ("nadam", {"solver": "nadam"}),
            ("cosine", {"learning_rate": "cosine", "learning_rate_horizon": 16}),
            ("early_stopping", EARLY),
            ("scale", {"scale": "standard"}),
            ("ema_decay", {"ema_decay": 0.6}),
            ("batch_norm", {"batch_norm": True}),
            ("layer_norm", {"layer_norm": True}),
            ("dropout", {"dropout": 0.2}),
            ("float32", {"dtype": "float32"}),
            ("missing", {"missing": "indicator"}),
        ):
            options = {"target": target, "missing": name == "missing"}
            changes = [{"max_iter": 5}, {"alpha": 0.1}]
            yield f"{kind}/warm_start/{name}", several_fits(kind, options, changes, **params, warm_start=True)
        changes = [{"solver": "sgd"}, {"solver": "rmsprop", "batch_size": 11}, {"random_state": 7}]
        yield f"{kind}/warm_start/other_solvers", several_fits(kind, {"target": target}, changes, warm_start=True)
        changes = [{"early_stopping": True}, {"early_stopping": False}]
        yield f"{kind}/warm_start/early_stopping_later", several_fits(kind, {"target": target}, changes, warm_start=True)
        both = {"target": target}, {"target": target, "seed": 9, "n_rows": 90}
        yield f"{kind}/warm_start/other_rows", two_data_sets(kind, *both, warm_start=True)
        both = {"target": target}, {"target": target, "dtype": "float32"}
        yield f"{kind}/warm_start/float32_after_float64", two_data_sets(kind, *both, warm_start=True)
        yield f"{kind}/warm_start/float64_after_float32", two_data_sets(kind, *both[::-1], warm_start=True)
        changes = [
            {"hidden_layer_sizes": (5,)},
            {"activation": "tanh", "solver": "sgd"},
            {"batch_norm": True},
            {"batch_norm": False},
        ]
        yield f"{kind}/refit/set_params", several_fits(kind, {"target": target}, changes)
        changes = [{"scale": None}, {"ema_decay": 0.5}, {"ema_decay": None, "early_stopping": True}, {"early_stopping": False}]
        yield f"{kind}/refit/scale", several_fits(kind, {"target": target}, changes, scale="standard")
        yield f"{kind}/refit/equal", several_fits(kind, {"target": target}, [{}])
        both = {"n_features": 6}, {"n_features": 9, "dtype": "float32", "target": target}
        yield f"{kind}/refit/other_features", two_data_sets(kind, *both)
        yield f"{kind}/refit/clone", cloned(kind, {"target": target}, activation=["gelu", BENT])
        for how in ("in place", "replaced", "other dtype", "one list entry"):
            for then in ("warm start", "partial_fit", "pickle"):
                name = f"{how}/{then}".replace(" ", "_")
                yield f"{kind}/edited/{name}", edited(kind, {"target": target}, how, then)
        yield f"{kind}/edited/in_place/resume", edited(kind, {"target": target}, "in place", "resume", warm_start="resume")
        yield f"{kind}/edited/in_place/early_stopping", edited(kind, {"target": target}, **EARLY)
        yield f"{kind}/edited/in_place/layer_norm", edited(kind, {"target": target}, layer_norm=True)


def fits_that_resume():
    for kind, target in (("classifier", "multiclass"), ("regressor", "several")):
        for name, options, params in (
            ("adam", {}, {}),
            ("sgd", {}, {"solver": "sgd"}),
            ("sgd_adaptive", {}, {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 0.3}),
            ("sgd_invscaling", {}, {"solver": "sgd", "learning_rate": "invscaling"}),
            ("nadam", {}, {"solver": "nadam"}),
            ("one_cycle", {}, {"learning_rate": "one_cycle", "learning_rate_horizon": 8}),
            ("plateau", {}, {"learning_rate": "reduce_on_plateau", "learning_rate_step": 1, "tol": 0.5}),
            ("not_shuffled", {}, {"shuffle": False}),
            ("early_stopping", {}, {"early_stopping": True, "validation_fraction": 0.3}),
            ("early_stopping_loss", {}, {"early_stopping": True, "scoring": "loss"}),
            ("early_stopping_all", {}, {"early_stopping": True, "scale": "standard", "batch_norm": True, "ema_decay": 0.5}),
            ("splitter", {}, {"early_stopping": True, "validation_splitter": ShuffleSplit(1, test_size=0.3, random_state=2)}),
            ("X_val", {"validation": 20}, {}),
            ("X_val_early_stopping", {"validation": 20}, {"early_stopping": True}),
            ("two_threads", {"n_rows": 300}, {"n_threads": 2, "batch_size": 100}),
            ("ema_decay", {}, {"ema_decay": 0.7}),
            ("batch_norm", {}, {"batch_norm": True}),
            ("layer_norm", {}, {"layer_norm": True}),
            ("dropout_noise", {}, {"dropout": 0.3, "input_noise": 0.1}),
            ("sparse", {"form": "csr"}, {}),
            ("float32", {"dtype": "float32"}, {}),
            ("scale_missing", {"missing": True}, {"scale": "standard", "missing": "indicator"}),
            ("sample_weight_global", {"weights": True}, {"sample_weight_norm": "global"}),
            ("random_state_instance", {}, {"random_state": np.random.RandomState(4)}),
        ):
            options = {"target": target} | options
            yield f"{kind}/resume/{name}", resumed(kind, options, **params)
            yield f"{kind}/resume/{name}/one_fit", resumed(kind, options, (8,), **params)
            if name != "random_state_instance":  # which a callback would share with the fit under way
                yield f"{kind}/pickled_in_callback/{name}", pickled_in_callback(kind, options, **params)
        for name, params in (("adam", {}), ("early_stopping", {"early_stopping": True}), ("ema_decay", {"ema_decay": 0.7})):
            yield f"{kind}/resume/{name}/pickled", resumed(kind, {"target": target}, (2, 1, 4), pickled=True, **params)
        for seed in range(4):  # the mean of the weights depends on the order in which they are added up
            options = {"target": target, "weights": True, "n_rows": 97, "seed": seed}
            params = {"sample_weight_norm": "global", "early_stopping": True, "random_state": seed}
            yield f"{kind}/resume/sample_weight_global_early_stopping/{seed}", resumed(kind, options, (2, 2, 2), **params)
        changes = [{"alpha": 0.5}, {"batch_size": 20}, {"learning_rate_init": 5.0, "n_threads": 2}, {"warm_start": True}]
        yield f"{kind}/resume/changed_parameters", several_fits(kind, {"target": target}, changes, warm_start="resume", max_iter=3)
        params = {"n_iter_no_change": 3, "tol": 0.02, "learning_rate_init": 0.1}
        yield f"{kind}/resume/patience", resumed(kind, {"target": target}, (3, 5, 30, 30), **params)
        yield f"{kind}/resume/patience_early_stopping", resumed(kind, {}, (3, 5, 30, 30), **params, early_stopping=True)
        for name, params in (
            ("adam", {}),
            ("sgd", {"solver": "sgd"}),
            ("early_stopping", {"early_stopping": True}),
            ("batch_norm_ema_decay_scale", {"batch_norm": True, "ema_decay": 0.5, "scale": "standard"}),
            ("two_threads", {"n_threads": 2}),
            ("own_functions", {"activation": BENT, "learning_rate": slower, "weight_init": small_weights}),
            ("random_state_instance", {"random_state": np.random.RandomState(4)}),
        ):
            yield f"{kind}/checkpoint/{name}", checkpoint(kind, {"target": target}, **params)


def fits_of_partial_fit():
    for kind, targets in (("classifier", ("binary", "multiclass", "multilabel", "multioutput")), ("regressor", ("one", "several"))):
        for target in targets:
            for dtype in DTYPES:
                options = {"target": target, "dtype": dtype}
                yield f"{kind}/partial_fit/{target}/{dtype}", partial_fits(kind, options)
                yield f"{kind}/partial_fit/{target}/{dtype}/in_parts", partial_fits(kind, options, in_parts=True)
        for name, options, params in (
            ("sgd", {}, {"solver": "sgd"}),
            ("sgd_invscaling", {}, {"solver": "sgd", "learning_rate": "invscaling"}),
            ("sgd_adaptive", {}, {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 0.05}),
            ("nadam", {}, {"solver": "nadam"}),
            ("cosine", {}, {"learning_rate": "cosine", "learning_rate_horizon": 10}),
            ("callable", {}, {"learning_rate": slower}),
            ("scale", {}, {"scale": "standard"}),
            ("scale_robust_float32", {"dtype": "float32"}, {"scale": "robust"}),
            ("missing", {"missing": True}, {"missing": "indicator"}),
            ("ema_decay", {}, {"ema_decay": 0.6}),
            ("batch_norm", {}, {"batch_norm": True}),
            ("layer_norm", {}, {"layer_norm": True}),
            ("dropout", {}, {"dropout": 0.3}),
            ("sample_weight", {"weights": True}, {}),
            ("sample_weight_global", {"weights": True}, {"sample_weight_norm": "global"}),
            ("sparse", {"form": "csr"}, {}),
            ("two_threads", {"n_rows": 300}, {"n_threads": 2, "batch_size": 50}),
            ("random_state_instance", {}, {"random_state": np.random.RandomState(4)}),
        ):
            yield f"{kind}/partial_fit/{name}", partial_fits(kind, options, in_parts=True, **params)
            yield f"{kind}/partial_fit/{name}/pickled", partial_fits(kind, options, pickled=True, **params)
        yield f"{kind}/partial_fit/after_fit", fit_then_partial_fits(kind)
        yield f"{kind}/partial_fit/after_fit/warm_start", fit_then_partial_fits(kind, warm_start=True, solver="sgd")
        yield f"{kind}/partial_fit/after_fit/scale_ema_decay", fit_then_partial_fits(kind, scale="standard", ema_decay=0.5)
    yield "classifier/partial_fit/class_weight", partial_fits("classifier", class_weight={"yes": 2.5})
    yield "regressor/partial_fit/scale_y", partial_fits("regressor", scale_y="standard")


def fits_with_callbacks():
    for kind, target in (("classifier", "multiclass"), ("regressor", "several")):
        for name, options, params in (
            ("adam", {}, {}),
            ("sgd", {}, {"solver": "sgd"}),
            ("early_stopping", {}, EARLY),
            ("X_val", {"validation": 20}, {}),
            ("ema_decay", {}, {"ema_decay": 0.6}),
            ("batch_norm", {}, {"batch_norm": True}),
            ("scale", {}, {"scale": "standard"}),
            ("early_stopping_all", {}, EARLY | {"scale": "standard", "batch_norm": True, "ema_decay": 0.6}),
            ("two_threads", {"n_rows": 300}, {"n_threads": 2, "batch_size": 100}),
            ("float32", {"dtype": "float32"}, {"layer_norm": True}),
        ):
            options = {"target": target} | options
            yield f"{kind}/callbacks/record/{name}", recorded(kind, options, **params)
            yield f"{kind}/callbacks/stop/{name}", recorded(kind, options, stop=True, **params)
            yield f"{kind}/callbacks/sklearn/{name}", recorded_by_sklearn(kind, options, **params)
            yield f"{kind}/callbacks/sklearn_stop/{name}", recorded_by_sklearn(kind, options, last=2, **params)
        yield f"{kind}/callbacks/stop/resume", resumed(kind, {"target": target}, (10, 2, 10), callbacks=stop_after_three)


def fits_that_diverge():
    yield "regressor/diverges/sgd", diverging("regressor")
    yield "regressor/diverges/sgd/float32", diverging("regressor", {"dtype": "float32"})
    yield "regressor/diverges/sgd/two_threads", diverging("regressor", n_threads=2)
    yield "regressor/diverges/sgd/after_29_epochs", diverging("regressor", learning_rate_init=0.03)
    yield "regressor/diverges/sgd/first_epoch", diverging("regressor", learning_rate_init=0.3)
    yield "regressor/diverges/sgd/several", diverging("regressor", {"target": "several"}, learning_rate_init=0.024)
    yield "regressor/diverges/sgd/fitted_before", diverging("regressor", fitted=True)
    yield "regressor/diverges/sgd/scale", diverging("regressor", scale="standard", learning_rate_init=0.06)
    yield "regressor/diverges/sgd/ema_decay", diverging("regressor", ema_decay=0.5)
    # early stopping goes on without an error, and keeps the best weights
    params = {"activation": "identity", "solver": "sgd", "learning_rate_init": 1.0, "early_stopping": True}
    yield "regressor/diverges/sgd/early_stopping", one_fit("regressor", **params)
    yield "regressor/diverges/adam/first_epoch", diverging("regressor", learning_rate_init=1e200, solver="adam")
    params = {"loss": "squared_error", "out_activation": "identity", "learning_rate_init": 0.08}
    yield "classifier/diverges/sgd", diverging("classifier", {"target": "multiclass"}, **params)
    yield "classifier/diverges/sgd/float32", diverging("classifier", {"target": "multiclass", "dtype": "float32"}, **params)


def fits_with_streams():
    streams = {
        "mt19937": lambda: np.random.RandomState(3),
        "pcg64": lambda: np.random.RandomState(np.random.PCG64(3)),
    }
    for kind, target in (("classifier", "multiclass"), ("regressor", "several")):
        for name, make in streams.items():
            for label, options, params in (
                ("adam", {}, {}),
                ("early_stopping", {}, {"early_stopping": True}),
                ("X_val", {"validation": 20}, {"early_stopping": True}),
                ("dropout_noise", {}, {"dropout": 0.3, "input_noise": 0.1}),
                ("not_shuffled", {}, {"shuffle": False, "weight_init": "orthogonal"}),
                ("batch_norm", {}, {"batch_norm": True}),
                ("two_threads", {}, {"n_threads": 2}),
                ("warm_start", {}, {"warm_start": True}),
                ("patience", {}, {"n_iter_no_change": 2, "tol": 0.05, "max_iter": 30}),
                ("callbacks", {}, {"callbacks": stop_after_three}),
                ("bias_callable", {}, {"bias_init": small_weights}),
            ):
                yield f"{kind}/random_state/{name}/{label}", shared_stream(kind, {"target": target} | options, make, **params)
        yield f"{kind}/random_state/none", global_stream(kind, {"target": target})
        yield f"{kind}/random_state/none/early_stopping", global_stream(kind, {"target": target}, early_stopping=True)


def fits_of_combinations(n_fits=60):
    """Many parameters at once, drawn at random with fixed seeds."""
    activations = [*BUILT_IN, BENT, BENT_ALONE]
    targets = {"classifier": ["binary", "multiclass", "multilabel", "multioutput"], "regressor": ["one", "several"]}
    losses = {
        "classifier": ["log_loss", "log_loss", "squared_error", LOG_COSH],
        "regressor": ["squared_error", "absolute_error", "huber", "quantile", "poisson", "gamma", "tweedie", LOG_COSH],
    }
    schedules = ["cosine", "one_cycle", "linear_warmup_cosine", "exponential", "step", "reduce_on_plateau", slower]
    for kind in KINDS:
        for seed in range(n_fits):
            random = np.random.RandomState(1000 + seed)

            def choose(values, random=random):
                return values[random.randint(len(values))]

            def sometimes(values, default, random=random):
                return values[random.randint(len(values))] if random.randint(3) == 0 else default

            target, loss = choose(targets[kind]), choose(losses[kind])
            if loss in ("poisson", "gamma", "tweedie"):
                target = "positive"
            options = {
                "target": target,
                "n_rows": choose([60, 97, 250]),
                "n_features": choose([4, 6, 13]),
                "dtype": choose(DTYPES),
                "form": choose(["dense", "dense", "csr", "csc"]),
                "missing": choose([False, False, True]),
                "weights": choose([False, True]),
                "validation": choose([0, 0, 15]),
            }
            sizes = choose([(), (5,), (3, 9), (9, 3), (17, 11, 6), (24,)])
            norm = choose([None, None, None, "batch_norm", "layer_norm"])
            dense = options["form"] == "dense"
            params = {
                "loss": loss,
                "hidden_layer_sizes": sizes,
                "activation": [choose(activations) for _ in sizes] if choose([False, True]) else choose(activations),
                "max_iter": choose([3, 6]),
                "batch_size": choose([1, 7, 16, 50, "auto"]),
                "random_state": choose([0, 1, 2]),
                "n_threads": choose([1, 2]),
                "learning_rate": sometimes(schedules, "constant"),
                "learning_rate_step": 2,
                "alpha": choose([0, 1e-4, 0.1]),
                "l1": sometimes([0.01], 0.0),
                "weight_decay": sometimes([0.1], 0.0),
                "dropout": sometimes([0.2, [0.1] * (len(sizes) + 1) if dense else 0.3], 0.0),
                "input_noise": sometimes([0.1], 0.0) if dense else 0.0,
                "max_norm": sometimes([0.7], None),
                "clip_norm": sometimes([0.3], None),
                "ema_decay": sometimes([0.6, 0.0], None),
                "weight_init": sometimes(["glorot_normal", "he_uniform", "orthogonal", small_weights], "auto"),
                "bias_init": sometimes(["zeros", "lecun_normal"], "auto"),
                "sample_weight_norm": choose(["batch", "global"]),
                "scale": sometimes(["standard", "robust"], None),
                "missing": "indicator" if options["missing"] else "error",
                "dtype": choose(["auto", "auto", "float32", "float64"]),
                "early_stopping": sometimes([True], False),
                "validation_fraction": 0.2,
                "scoring": sometimes(["loss"], None),
                "shuffle": sometimes([False], True),
                **choose(list(SOLVERS.values())),
            }
            if norm is not None:
                params[norm] = True
            if kind == "classifier":
                params["label_smoothing"] = sometimes([0.2], 0.0)
                params["class_weight"] = sometimes(["balanced"], None) if target in ("binary", "multiclass") else None
            else:
                params["quantile"] = choose([0.5, 0.2])
                params["scale_y"] = sometimes(["standard", "robust"], None)
            yield f"{kind}/combination/{seed:02}", one_fit(kind, options, **params)


SECTIONS = [
    fits_of_solvers,
    fits_of_lbfgs,
    fits_of_activations,
    fits_of_losses,
    fits_of_schedules,
    fits_of_regularization,
    fits_of_networks,
    fits_of_starts,
    fits_of_data,
    fits_of_validation,
    fits_of_warm_starts,
    fits_that_resume,
    fits_of_partial_fit,
    fits_with_callbacks,
    fits_that_diverge,
    fits_with_streams,
    fits_of_combinations,
]


def all_fits(only=""):
    """A dict of the functions of all fits whose names match, by name."""
    fits = {}
    for section in SECTIONS:
        for name, run in section():
            if name in fits:
                raise ValueError(f"two fits have the name {name!r}")
            fits[name] = run
    return {name: run for name, run in fits.items() if re.search(only, name)}


# ====================================================================== the command line

FAILED = "failed: "


def digest_of(run):
    """The `Digest` of one fit and its hexadecimal form, or the error in the place of the latter."""
    digest = Digest()
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"), threadpool_limits(1):
            warnings.simplefilter("ignore")
            run(digest)
    except Exception as error:  # whatever goes wrong is reported
        return digest, f"{FAILED}{type(error).__name__}: {error}"
    return digest, digest.hexdigest()


def compare(found, expected):
    """One line for each difference between two dicts of digests."""
    for name in sorted(found | expected):
        if name not in expected:
            yield f"{name}: not in the file"
        elif name not in found:
            yield f"{name}: in the file, but not fitted"
        elif found[name].startswith(FAILED):
            yield f"{name}: {found[name]}"
        elif found[name] != expected[name]:
            yield f"{name}: the digests differ"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", metavar="FILE", type=Path, help="write the digests")
    action.add_argument("--check", metavar="FILE", type=Path, help="compare with the digests in a file")
    action.add_argument("--show", action="store_true", help="print a short digest of each value")
    parser.add_argument("--only", metavar="REGEX", default="", help="only the fits whose names match")
    arguments = parser.parse_args()
    expected = json.loads(arguments.check.read_text()) if arguments.check else {}

    start, found = time.perf_counter(), {}
    for name, run in all_fits(arguments.only).items():
        digest, found[name] = digest_of(run)
        if arguments.show:
            print("\n".join(f"{name} {item} {value[:16]}" for item, value in digest.items))
        if found[name].startswith(FAILED) and not arguments.check:
            print(f"{name}: {found[name]}")
    print(f"fastbp of {Path(fastbp.__file__).parent}, {time.perf_counter() - start:.0f} s")

    if arguments.check:
        lines = list(compare(found, {name: value for name, value in expected.items() if re.search(arguments.only, name)}))
        print(*lines, f"{len(found)} fits: " + (f"{len(lines)} differ" if lines else "all digests are equal"), sep="\n")
        return 1 if lines else 0
    n_failed = sum(value.startswith(FAILED) for value in found.values())
    if arguments.write:
        arguments.write.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    print(f"{len(found)} fits: {n_failed} failed")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
