"""How a learning rate goes on: what may stand for `learning_rate`.

Its names enter by `parameters`; factors by which kernels multiply the rate of a step leave. The schedules of scikit-learn are the
kernels' own matter.
"""

from .kernels import Schedule

SCHEDULES = [
    *(member.name for member in Schedule),
    *("cosine", "linear_warmup_cosine", "one_cycle", "exponential", "step", "reduce_on_plateau"),
]
