"""Learning rate schedules.

Each function reads a `SCHEDULE_NUMBERS` record and writes its field `factor`, by which the learning rate is multiplied. The
functions are called once per step. A new schedule is added as a function in this module and an entry in `SCHEDULES`. This module
does not know about solvers.
"""

import numpy as np

from ..jit import lazy_entry


@lazy_entry
def cosine(numbers):
    """(1 + cos(π p)) / 2 for the progress p (Loshchilov and Hutter 2017)."""
    n = numbers[0]
    n.factor = 0.5 * (1 + np.cos(np.pi * min(n.progress, 1.0)))


@lazy_entry
def linear_warmup_cosine(numbers):
    """p / w for p below the warm-up fraction w (Goyal and others 2017), then the schedule cosine over the remaining progress."""
    n = numbers[0]
    p, w = min(n.progress, 1.0), n.warmup
    n.factor = p / w if p < w else 0.5 * (1 + np.cos(np.pi * (p - w) / (1 - w)))


@lazy_entry
def one_cycle(numbers):
    """Cosines from 1/25 to 1 at the warm-up fraction w, then to 1/250,000 (Smith and Topin 2018, with PyTorch's end values)."""
    n = numbers[0]
    p, w = min(n.progress, 1.0), n.warmup
    low, end = 1 / 25, 1 / 250_000
    if p < w:
        n.factor = low + (1 - low) * 0.5 * (1 - np.cos(np.pi * p / w))
    else:
        n.factor = end + (1 - end) * 0.5 * (1 + np.cos(np.pi * (p - w) / (1 - w)))


@lazy_entry
def exponential(numbers):
    """dᵖ for the decay d and the progress p."""
    numbers[0].factor = numbers[0].decay ** min(numbers[0].progress, 1.0)


@lazy_entry
def step(numbers):
    """d^⌊e / s⌋ for the decay d after e epochs, with a decay every s epochs."""
    n = numbers[0]
    n.factor = n.decay ** np.floor(n.epoch / n.decay_step)


@lazy_entry
def coslog4(numbers):
    """(1 − cos(2π log₂(1 + 15 p))) / 2: four cycles, each about twice as long (Holzmüller, Grinsztajn and Steinwart 2024)."""
    n = numbers[0]
    n.factor = 0.5 * (1 - np.cos(2 * np.pi * np.log2(1 + 15 * min(n.progress, 1.0))))


@lazy_entry
def flat_cosine(numbers):
    """1 for p below 1/2, then (1 + cos(π (2p − 1))) / 2."""
    n = numbers[0]
    n.factor = 0.5 * (1 + np.cos(np.pi * max(2 * min(n.progress, 1.0) - 1, 0.0)))


SCHEDULES = {
    function.__name__: function for function in (cosine, linear_warmup_cosine, one_cycle, exponential, step, coslog4, flat_cosine)
}
