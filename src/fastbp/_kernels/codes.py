"""The integer codes by which kernels select a function, and the reasons why training stops.

Activations, losses, solvers and schedules that are compiled into every fit have codes of their own. The code `by_address` stands
for any other one: it is compiled on first use, and the kernels call it by its address. All links have codes. The functions are
defined in other modules.
"""

from enum import IntEnum


class ActivationCode(IntEnum):
    """The activation of a hidden layer."""

    identity = 0
    logistic = 1
    tanh = 2
    relu = 3
    by_address = 4


class LinkCode(IntEnum):
    """The function of the output units; the first four are compiled into every fit, the others are called by address."""

    identity = 0
    logistic = 1
    softmax = 2
    exp = 3
    relu = 4
    softplus = 5
    grouped_softmax = 6
    ordered_quantiles = 7

    @property
    def is_compiled_in(self):
        """Whether the link is compiled into every fit."""
        return self <= LinkCode.exp


class LossCode(IntEnum):
    """The loss; the first three are combined with their canonical link, so that delta = A − y."""

    squared_error = 0
    log_loss = 1
    poisson = 2
    by_address = 3


class SolverCode(IntEnum):
    """The stochastic solver."""

    sgd = 0
    adam = 1
    by_address = 2


class ScheduleCode(IntEnum):
    """The learning rate schedule; invscaling and adaptive have an effect with "sgd" only."""

    constant = 0
    invscaling = 1
    adaptive = 2
    reduce_on_plateau = 3
    by_address = 4


class Status(IntEnum):
    """Whether training continues, or the reason why it stopped."""

    running = 0
    converged = 1  # no improvement for more than `patience` epochs
    exhausted = 2  # max_epochs epochs are finished
    zero_weights = 3  # the sample weights of a batch sum to zero
    aborted = 4  # another thread of the team failed
    diverged = 5  # the loss of a batch is NaN; `row` is still the start of that batch
