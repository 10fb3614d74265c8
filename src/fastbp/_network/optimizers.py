"""The optimizer: its hyperparameters, and its state between two calls of the training kernel.

The parameters of an estimator go in; fields of `SETTINGS` and records for functions that are called by their address come out. The
formulas are defined in the kernels. This module does not know about the epochs of a fit.
"""

from dataclasses import dataclass, replace
from operator import attrgetter

import numpy as np

from .._kernels.codes import SolverCode
from .._kernels.lazy.addresses import lazy_address
from .._kernels.lazy.solvers import N_MOMENTS, SOLVERS
from .._kernels.scratch import PENALTY_NUMBERS
from .._kernels.settings import SETTINGS, record
from .schedules import write_schedules

_SOLVER_NUMBERS = ("learning_rate_init", "power_t", "momentum", "beta_1", "beta_2", "epsilon", "rho")
_SCHEDULE_PARAMETERS = ("learning_rate", "learning_rate_decay", "learning_rate_step", "learning_rate_horizon", "warmup_fraction")
# The parameters of the estimator that an optimizer reads only when it is created.
_HYPERPARAMETERS = ("solver", "nesterovs_momentum", "n_iter_no_change", *_SOLVER_NUMBERS, *_SCHEDULE_PARAMETERS)
# The fields that an optimizer and `PROGRESS` share.
_PROGRESS_FIELDS = ("learning_rate", "factor", "step", "product")
_progress_values = attrgetter(*_PROGRESS_FIELDS)


@dataclass
class Optimizer:
    """The hyperparameters and the state of an optimizer.

    The state consists of the learning rate, the factor of its schedule, the numbers of updates and epochs, the product of Nadam's
    momenta, and the moments (n_moments · n_params,), followed by the average of the parameters if ema_decay is set. As in
    scikit-learn, if training continues with an optimizer, its hyperparameters stay the same even if the parameters of the estimator
    have changed.
    """

    hyperparams: dict
    learning_rate: float
    factor: float
    step: int
    epochs: int
    product: float
    moments: np.ndarray

    @property
    def learning_rate_init(self):
        """The initial learning rate. An assigned value acts on later calls of `partial_fit`, as in scikit-learn."""
        return self.hyperparams["learning_rate_init"]

    @learning_rate_init.setter
    def learning_rate_init(self, value):
        # the copies of an optimizer share the dict
        self.hyperparams = self.hyperparams | {"learning_rate_init": value}
        if self.hyperparams["solver"] not in ("sgd", "adam"):  # the kernels read the initial rate for these two solvers only
            self.learning_rate = float(value)

    @classmethod
    def fresh(cls, config, params):
        """Return a new optimizer; config has the parameters of the estimator as attributes."""
        hyperparams = {name: getattr(config, name) for name in _HYPERPARAMETERS}
        moments = np.zeros(N_MOMENTS[hyperparams["solver"]] * params.size, params.dtype)
        if config.ema_decay is not None:
            moments = np.concatenate([moments, params])
        return cls(hyperparams, float(hyperparams["learning_rate_init"]), 1.0, 0, 0, 1.0, moments)

    def continued(self, params, averaged):
        """Return a copy that continues with params; raise a ValueError if params has another size than the moments."""
        n_moments = N_MOMENTS[self.hyperparams["solver"]] + averaged
        if self.moments.size == (n_moments - averaged) * params.size and averaged:
            return replace(self, moments=np.concatenate([self.moments, params]).astype(params.dtype, copy=False))
        n_stored, rest = divmod(self.moments.size, params.size)
        if rest or n_stored not in (n_moments, n_moments + 1):  # an average that is not used any more may follow the moments
            raise ValueError(
                "partial_fit continues with the state of the optimizer, but this state belongs to a network with another number of "
                f"weights and biases than {params.size}. Call fit, or restore the shapes of coefs_ and intercepts_."
            )
        return replace(self, moments=self.moments[: n_moments * params.size].astype(params.dtype, copy=False))

    def settings(self, n_epochs, strength_schedule=None):
        """Return `SETTINGS` with the hyperparameters, and the `SCHEDULE_NUMBERS` for a fit of n_epochs.

        ``strength_schedule`` is the name of the schedule of the dropout rates and the weight decay, or None.
        """
        settings, hyperparams = record(SETTINGS), self.hyperparams
        settings["nesterov"] = hyperparams["nesterovs_momentum"]
        write_solver(settings, hyperparams["solver"], self.moments.dtype)
        for name in _SOLVER_NUMBERS:
            settings[name] = hyperparams[name]
        # a subnormal epsilon would be flushed to 0, and 0 / 0 is NaN
        settings["epsilon"] = max(hyperparams["epsilon"], np.finfo(self.moments.dtype).tiny)
        return settings, write_schedules(settings, hyperparams, strength_schedule, n_epochs, self.moments.dtype)

    def write_progress(self, progress):
        """Write the state to `PROGRESS`; its field `epoch` is not 0 if the fit is resumed."""
        # the fields are accessed by name, because attributes of a record take ten times as long, which matters in a small fit
        for name, value in self.progress().items():
            progress[name] = value
        progress["epochs_before"] -= progress["epoch"]

    def progress(self):
        """Return the state before the first epoch of a fit, as a dict by the fields of `PROGRESS`."""
        return dict(zip(_PROGRESS_FIELDS, _progress_values(self), strict=True), epochs_before=self.epochs)

    def read_progress(self, progress):
        """Read the state from an object with the fields of `PROGRESS` as attributes."""
        for name in _PROGRESS_FIELDS:
            setattr(self, name, getattr(progress, name))
        self.epochs = progress.epochs_before + progress.epoch

    @property
    def is_adaptive(self):
        """Whether the learning rate schedule is scikit-learn's "adaptive"."""
        return self.hyperparams["solver"] == "sgd" and self.hyperparams["learning_rate"] == "adaptive"


def write_solver(settings, name, dtype):
    """Write the code of a solver to `SETTINGS`, and its address if it has one."""
    if name in SOLVERS:
        settings["solver"], settings["solver_address"] = SolverCode.by_address, lazy_address("solver", name, np.dtype(dtype))
    else:
        settings["solver"] = SolverCode[name]


def write_penalties(settings, config, dtype):
    """Write penalties and limits to `SETTINGS`, and return `PENALTY_NUMBERS`; config is the same as for `Optimizer.fresh`."""
    dtype, numbers = np.dtype(dtype), record(PENALTY_NUMBERS)
    for name in ("alpha", "l1", "max_norm", "ema_decay"):
        numbers[name] = getattr(config, name) or 0
    for name in ("alpha", "weight_decay", "l1", "clip_norm"):
        settings[name] = getattr(config, name) or 0
    if config.l1:
        settings["absolute_sum_address"] = lazy_address("penalty", "absolute_sum", dtype)
    if config.l1 or config.clip_norm:
        settings["penalty_gradient_address"] = lazy_address("penalty", "add_penalty_gradient", dtype)
        settings["square_sum_address"] = lazy_address("penalty", "square_sum", dtype)
    if config.max_norm:
        settings["limit_weight_norms_address"] = lazy_address("weight_norm_limit", "limit_weight_norms", dtype)
    if config.ema_decay is not None:
        settings["average_address"] = lazy_address("penalty", "update_average", dtype)
    return numbers
