"""By what a learning rate is multiplied in the course of training.

Each reads progress and what was asked off an array of numbers, by the places named below, and leaves the factor in it. They are
looked at once per step.
"""

import numpy as np

from ..jit import lazy_entry

# The progress from 0 to 1, the epochs done, the decay, the epochs between two decays, the share of the warm-up; and the factor.
PROGRESS, EPOCH, DECAY, STEP, WARMUP, FACTOR = range(6)
N_NUMBERS = 6


@lazy_entry
def cosine(numbers):
    """(1 + cos(π p)) / 2 (Loshchilov and Hutter 2017)."""
    numbers[FACTOR] = 0.5 * (1 + np.cos(np.pi * min(numbers[PROGRESS], 1.0)))


@lazy_entry
def linear_warmup_cosine(numbers):
    """p / w up to the warm-up's share w, from there the cosine of what is left (Goyal and others 2017 for the warm-up)."""
    p, w = min(numbers[PROGRESS], 1.0), numbers[WARMUP]
    numbers[FACTOR] = p / w if p < w else 0.5 * (1 + np.cos(np.pi * (p - w) / (1 - w)))


@lazy_entry
def one_cycle(numbers):
    """By cosines from 1/25 up to 1 at the warm-up's share w, and down to 1/250,000 (Smith and Topin 2018, with PyTorch's ends)."""
    p, w = min(numbers[PROGRESS], 1.0), numbers[WARMUP]
    low, end = 1 / 25, 1 / 250_000
    if p < w:
        numbers[FACTOR] = low + (1 - low) * 0.5 * (1 - np.cos(np.pi * p / w))
    else:
        numbers[FACTOR] = end + (1 - end) * 0.5 * (1 + np.cos(np.pi * (p - w) / (1 - w)))


@lazy_entry
def exponential(numbers):
    """dᵖ, for the decay d."""
    numbers[FACTOR] = numbers[DECAY] ** min(numbers[PROGRESS], 1.0)


@lazy_entry
def step(numbers):
    """d^⌊e / s⌋, for the decay d, after e epochs, every s of them."""
    numbers[FACTOR] = numbers[DECAY] ** np.floor(numbers[EPOCH] / numbers[STEP])


SCHEDULES = {function.__name__: function for function in (cosine, linear_warmup_cosine, one_cycle, exponential, step)}
