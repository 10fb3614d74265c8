"""The rounds of a fit: the records that go to workers and come back, and the rows that each shard is trained on in a round.

Numbers of rows, seeds and parameters of the estimator go in; ranges and orders of rows come out. They depend on the numbers of the
round and the shard only. This module does not know how a network is trained.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.random import SeedSequence

from .._config import FitConfig
from .._data.row_numbers import row_dtype, row_numbers
from .._network.architecture import Plan


class PreparedRows(NamedTuple):
    """Rows that are prepared for the network: X (n_rows, n_inputs), y (n_rows, n_columns), and weights (n_rows,) or None."""

    X: Any
    y: np.ndarray
    weight: np.ndarray | None


class LocalState(NamedTuple):
    """The values that training changes.

    ``params`` (n_params,), ``moments`` (n_moments · n_params,) and the moving ``statistics`` of batch normalization, which may be
    empty, are flat buffers. ``step`` is the number of updates, ``product`` the product of Nadam's momenta. ``learning_rate`` and
    ``factor`` are those of the next step.
    """

    params: np.ndarray
    moments: np.ndarray
    statistics: np.ndarray
    step: int
    product: float
    learning_rate: float
    factor: float


class LocalResult(NamedTuple):
    """The state after training on ``n_rows`` rows, their mean ``loss``, and the learning ``rate`` of the last step."""

    state: LocalState
    n_rows: int
    loss: float
    rate: float


@dataclass(frozen=True)
class Specification:
    """Everything about a fit that is the same for all shards and rounds.

    ``config`` are the parameters of the estimator as a worker uses them, see `worker_config`. ``hyperparams`` are those of the
    optimizer, ``norm`` and ``is_averaged`` fields of the `TrainingState`.
    """

    config: FitConfig
    plan: Plan
    hyperparams: dict
    norm: str | None
    is_averaged: bool
    seed: int


def worker_config(config):
    """Return the parameters with which a shard is trained: in one thread, and without all that the driver does."""
    schedule = config.learning_rate
    is_of_driver = callable(schedule) or schedule in ("invscaling", "adaptive", "reduce_on_plateau")
    return config._replace(
        learning_rate="constant" if is_of_driver else schedule,
        n_threads=1,
        n_iter_no_change=np.inf,
        early_stopping=False,
        shuffle=config.shuffle,
        verbose=False,
        callbacks=None,
        random_state=0,
        validation_splitter=None,
        max_time=None,
        warm_start=False,
        coefs_init=None,
        intercepts_init=None,
        scoring=None,
    )


# ---------------------------------------------------------------------- the rows of a round


def rows_per_batch(batch_size, n_rows):
    """Return the number of rows of a batch of a shard with n_rows rows."""
    return max(1, min(200 if batch_size == "auto" else int(batch_size), n_rows))


def n_rounds_of_epoch(batch_size, rows_of_shards, local_steps):
    """Return the number of rounds into which an epoch is divided, so that no shard takes more than ``local_steps`` steps in one."""
    n_batches = max(-(-n_rows // rows_per_batch(batch_size, n_rows)) for n_rows in rows_of_shards)
    return 1 if local_steps is None else -(-n_batches // local_steps)


def range_of_round(batch_size, n_rows, part, n_parts):
    """Return the first and the last place, in the order of an epoch, of the rows of one of its parts; all batches are whole."""
    size = rows_per_batch(batch_size, n_rows)
    n_batches = -(-n_rows // size)
    first, last = (n * n_batches // n_parts * size for n in (part, part + 1))
    return first, min(last, n_rows)


def order_of_epoch(seed, epoch, shard, n_rows, shuffle):
    """Return the order (n_rows,) of the rows of a shard in an epoch, in which each row occurs once."""
    if not shuffle:
        return row_numbers(n_rows)
    order = np.random.default_rng(SeedSequence(seed, spawn_key=(epoch, shard))).permutation(n_rows)
    return order.astype(row_dtype(n_rows))
