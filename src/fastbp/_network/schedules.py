"""Schedules: the parameters `learning_rate` and `regularization_schedule`.

Hyperparameters go in; the fields of `SETTINGS` and the record from which kernels compute the factor of the learning rate come out.
scikit-learn's schedules and 'reduce_on_plateau' are defined in `_kernels.epochs`, the others in `_kernels.lazy.schedules`. A
user-defined function is called by `user_factor` before each epoch. This module does not know about solvers.
"""

from numbers import Real

import numpy as np

from .._kernels.codes import ScheduleCode
from .._kernels.lazy.addresses import lazy_address
from .._kernels.lazy.schedules import SCHEDULES
from .._kernels.scratch import SCHEDULE_NUMBERS
from .._kernels.settings import record

SCHEDULE_NAMES = [*(member.name for member in ScheduleCode if member != ScheduleCode.by_address), *SCHEDULES]
_DEFAULT_WARMUP = {"one_cycle": 0.3}


def write_schedules(settings, hyperparams, strength_schedule, n_epochs, dtype):
    """Write the schedules of a fit of n_epochs to `SETTINGS`; return their two records of `SCHEDULE_NUMBERS`.

    ``strength_schedule`` is the name of the schedule of the dropout rates and the weight decay, or None.
    """
    name, numbers = hyperparams["learning_rate"], record(SCHEDULE_NUMBERS, 2)
    settings["horizon"] = hyperparams["learning_rate_horizon"] or n_epochs
    settings["decay"], settings["decay_step"] = hyperparams["learning_rate_decay"], _decay_step(name, hyperparams)
    if callable(name):
        settings["schedule"] = ScheduleCode.constant
    elif name in SCHEDULES:
        settings["schedule"] = ScheduleCode.by_address
        settings["schedule_address"] = _lazy_schedule(name, hyperparams, numbers[:1], dtype)
    else:
        settings["schedule"] = ScheduleCode[name]
    if strength_schedule is not None:
        settings["strength_schedule_address"] = _lazy_schedule(strength_schedule, hyperparams, numbers[1:], dtype)
    return numbers


def _lazy_schedule(name, hyperparams, numbers, dtype):
    """Write the hyperparameters of a schedule to its `SCHEDULE_NUMBERS`, and return its address."""
    warmup = hyperparams["warmup_fraction"]
    numbers["warmup"] = _DEFAULT_WARMUP.get(name, 0.1) if warmup is None else warmup
    numbers["decay"], numbers["decay_step"] = hyperparams["learning_rate_decay"], _decay_step(name, hyperparams)
    return lazy_address("schedule", name, np.dtype(dtype))


def _decay_step(name, hyperparams):
    """Return the number of epochs between two decays."""
    step, patience = hyperparams["learning_rate_step"], hyperparams["n_iter_no_change"]
    if step is not None:
        return step
    return patience // 2 if name == "reduce_on_plateau" and patience != np.inf else 10


def user_factor(function, epoch, horizon):
    """Return the factor of a user-defined schedule for an epoch; raise a ValueError if it is not a finite number >= 0."""
    factor = function(epoch, epoch / horizon)
    is_number = isinstance(factor, Real)
    if not (is_number and 0 <= factor < np.inf):
        raise ValueError(
            f"learning_rate must be a function of (epoch, progress) that returns a finite factor >= 0; at epoch {epoch} it "
            f"returned {factor!r}."
        )
    return float(factor)
