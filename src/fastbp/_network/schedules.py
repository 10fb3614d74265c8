"""How a learning rate goes on: what may stand for `learning_rate`.

Parameters enter; what kernels need to multiply the rate of each step leaves. scikit-learn's schedules are their own matter; a
function of the user's is called here, before each epoch.
"""

import numpy as np

from .._kernels import SCHEDULES as CALLED
from .._kernels import ScheduleCode, find
from .._kernels.lazy import schedules

SCHEDULES = [*(member.name for member in ScheduleCode if member != ScheduleCode.called), *CALLED]
_WARMUP = {"one_cycle": 0.3}


def write_into(settings, asked, n_epochs, dtype):
    """Put what was asked of a schedule, through so many epochs, into `SETTINGS`; returns the numbers that it is called with."""
    name, numbers = asked["learning_rate"], np.zeros(schedules.N_NUMBERS)
    settings["horizon"] = asked["learning_rate_horizon"] or n_epochs
    step = asked["learning_rate_step"]
    if step is None:
        halved = name == "reduce_on_plateau" and asked["n_iter_no_change"] != np.inf
        step = asked["n_iter_no_change"] // 2 if halved else 10
    settings["decay"], settings["decay_step"] = asked["learning_rate_decay"], step
    if callable(name):
        settings["schedule"] = ScheduleCode.constant
    elif name in CALLED:
        settings["schedule"], settings["schedule_at"] = ScheduleCode.called, find("schedule", name, np.dtype(dtype))
        warmup = asked["warmup_fraction"]
        numbers[schedules.WARMUP] = _WARMUP.get(name, 0.1) if warmup is None else warmup
        numbers[schedules.DECAY], numbers[schedules.STEP] = asked["learning_rate_decay"], step
    else:
        settings["schedule"] = ScheduleCode[name]
    return numbers


def factor_of(function, epoch, horizon):
    """What a function of the user's says for an epoch, or an error that names it."""
    factor = function(epoch, epoch / horizon)
    if not (np.isscalar(factor) and np.isreal(factor) and np.isfinite(factor) and factor >= 0):
        raise ValueError(
            f"learning_rate must be a function of (epoch, progress) that returns a finite factor >= 0; at epoch {epoch} it "
            f"returned {factor!r}."
        )
    return float(factor)
