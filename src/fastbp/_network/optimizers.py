"""What an update of the parameters is asked, and what it keeps from one to the next.

Parameters of an estimator enter; fields of `SETTINGS`, addresses, and numbers for what is called leave. The formulas are the
kernels' matter, the course of training that of `training`.
"""

from dataclasses import dataclass, replace

import numpy as np

from .._kernels import N_MOMENTS, SETTINGS, SOLVERS, SolverCode, find, record
from .._kernels.lazy import penalties
from . import schedules

_NUMBERS = ("learning_rate_init", "power_t", "momentum", "beta_1", "beta_2", "epsilon", "rho")
_OF_SCHEDULES = ("learning_rate", "learning_rate_decay", "learning_rate_step", "learning_rate_horizon", "warmup_fraction")
# What a solver is asked when it is made, by the names of the estimators' parameters.
_ASKED_ONCE = ("solver", "nesterovs_momentum", "n_iter_no_change", *_NUMBERS, *_OF_SCHEDULES)
_PENALTIES = {"alpha": penalties.L2, "l1": penalties.L1, "max_norm": penalties.MAX_NORM, "ema_decay": penalties.EMA}


@dataclass
class Optimizer:
    """What a solver keeps between calls.

    That is what it was asked, its learning rate and the factor of a schedule, its steps and the epochs they took, Nadam's product
    of momenta, its moments (n_moments · n_params,), and behind these the mean of the parameters, if any is wanted. As in
    scikit-learn, a solver that goes on heeds none of the parameters in `asked` that were changed since it was made.
    """

    asked: dict
    learning_rate: float
    factor: float
    step: int
    epochs: int
    product: float
    moments: np.ndarray

    @classmethod
    def fresh(cls, estimator, params):
        asked = {name: getattr(estimator, name) for name in _ASKED_ONCE}
        moments = np.zeros(N_MOMENTS[asked["solver"]] * params.size, params.dtype)
        if estimator.ema_decay is not None:
            moments = np.concatenate([moments, params])
        return cls(asked, float(asked["learning_rate_init"]), 1.0, 0, 0, 1.0, moments)

    def going_on(self, params, averaged):
        """A copy for the same network, so that a failure can go back to what was."""
        n_moments = N_MOMENTS[self.asked["solver"]] + averaged
        if self.moments.size == (n_moments - averaged) * params.size and averaged:
            return replace(self, moments=np.concatenate([self.moments, params]).astype(params.dtype, copy=False))
        if self.moments.size < n_moments * params.size or self.moments.size % params.size:
            raise ValueError(
                f"partial_fit goes on from the state of its solver, which is that of another network than the present one of "
                f"{params.size} weights and biases: call fit, or give coefs_ and intercepts_ the shapes they had."
            )
        return replace(self, moments=self.moments[: n_moments * params.size].astype(params.dtype, copy=False))

    def settings(self, n_epochs):
        """`SETTINGS` with what was asked in them, and the numbers of the schedule, for a course of n_epochs."""
        settings, asked = record(SETTINGS), self.asked
        settings["nesterov"] = asked["nesterovs_momentum"]
        write_solver(settings, asked["solver"], self.moments.dtype)
        for name in _NUMBERS:
            settings[name] = asked[name]
        # a smaller one would be flushed, and 0 / 0 be left
        settings["epsilon"] = max(asked["epsilon"], np.finfo(self.moments.dtype).tiny)
        return settings, schedules.write_into(settings, asked, n_epochs, self.moments.dtype)

    def start(self, progress):
        """Put what was reached into `PROGRESS`, of which a fit that resumes has its epochs already."""
        # by field, as an attribute of a record takes ten times as long, and a small fit is short
        for name in ("learning_rate", "factor", "step", "product"):
            progress[name] = getattr(self, name)
        progress["epochs_before"] = self.epochs - progress["epoch"]

    def stop(self, progress):
        """Take what was reached from `PROGRESS`."""
        for name in ("learning_rate", "factor", "step", "product"):
            setattr(self, name, progress[name][0].item())
        self.epochs = (progress["epochs_before"][0] + progress["epoch"][0]).item()

    @property
    def is_adaptive(self):
        return self.asked["solver"] == "sgd" and self.asked["learning_rate"] == "adaptive"


def write_solver(settings, name, dtype):
    """Put a solver's code, or its address, into `SETTINGS`."""
    if name in SOLVERS:
        settings["solver"], settings["solver_at"] = SolverCode.called, find("solver", name, np.dtype(dtype))
    else:
        settings["solver"] = SolverCode[name]


def write_penalties(settings, asked, dtype):
    """Put penalties and limits, by the estimators' parameters, into `SETTINGS`; returns the numbers they are called with."""
    dtype, numbers = np.dtype(dtype), np.zeros(penalties.N_NUMBERS)
    for name, place in _PENALTIES.items():
        numbers[place] = asked[name] or 0
    settings["alpha"], settings["weight_decay"], settings["l1"] = asked["alpha"], asked["weight_decay"], asked["l1"]
    settings["clip_norm"] = asked["clip_norm"] or 0
    if asked["l1"]:
        settings["absolute_sum_at"] = find("penalty", "absolute_sum", dtype)
    if asked["l1"] or asked["clip_norm"]:
        settings["penalise_at"], settings["square_sum_at"] = (
            find("penalty", "penalise", dtype),
            find("penalty", "square_sum", dtype),
        )
    if asked["max_norm"]:
        settings["hold_norms_at"] = find("hold_norms", "hold_norms", dtype)
    if asked["ema_decay"] is not None:
        settings["average_at"] = find("penalty", "average", dtype)
    return numbers
