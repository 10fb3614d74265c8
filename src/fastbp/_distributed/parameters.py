"""The parameters that the Dask estimators have in addition to those of the other estimators, and their signatures.

A class of estimators goes in; a decorator comes out, with which a subclass gets the parameters of the class and its own. This
module does not know how a fit uses the parameters.
"""

import os
import re
from inspect import Parameter, cleandoc, signature
from numbers import Integral, Real
from typing import Any

from .._compat import Interval

_ANY_COUNT = Interval(Integral, 1, None, closed="left")

DISTRIBUTED_CONSTRAINTS: dict[str, Any] = {
    "client": "no_validation",
    "n_shards": [_ANY_COUNT, None],
    "local_steps": [_ANY_COUNT, None],
    "outer_learning_rate": [Interval(Real, 0, None, closed="neither")],
    "outer_momentum": [Interval(Real, 0, 1, closed="left")],
    "checkpoint": [str, os.PathLike, None],
    "checkpoint_every": [_ANY_COUNT],
    "worker_timeout": [Interval(Real, 0, None, closed="neither")],
}

DISTRIBUTED_DEFAULTS: dict[str, tuple[Any, Any]] = {
    "client": (None, Any),
    "n_shards": (None, int | None),
    "local_steps": (64, int | None),
    "outer_learning_rate": (1.0, float),
    "outer_momentum": (0.0, float),
    "checkpoint": (None, str | os.PathLike[str] | None),
    "checkpoint_every": (1, int),
    "worker_timeout": (300.0, float),
}

DISTRIBUTED_PARAMETERS = """\
client : distributed.Client, default=None
    The client of the cluster. None means the current client; if there is none, or if ``fit`` is called in a task of Dask, training
    runs in this process, with the same result. The client is not copied by ``clone`` and is not pickled.
n_shards : int, default=None
    The number of shards into which the partitions are divided. In each round, every shard is trained separately. The result
    depends on this number, and not on the number of workers. It should be at least the number of threads of all workers. None
    means the number of partitions that have rows, but at most 8.
local_steps : int or None, default=64
    The maximum number of steps of each shard in a round, after which the parameters are averaged. None means one round for each
    epoch.
outer_learning_rate : float, default=1.0
    The learning rate of the outer step after each round: the factor by which the mean change of the parameters is multiplied.
outer_momentum : float, default=0.0
    Nesterov's momentum of the outer step. With a momentum of 0 and a learning rate of 1, the parameters after a round are the mean
    of those of the shards.
checkpoint : str or path-like, default=None
    A file to which ``fit`` writes the state of the driver after each `checkpoint_every` rounds, and from which
    ``fit(..., resume=True)`` continues. It contains no pickle.
checkpoint_every : int, default=1
    The number of rounds from one checkpoint to the next.
worker_timeout : float, default=300.0
    The number of seconds after which ``fit`` raises an error if the cluster has no worker."""


def with_parameters_of(base):
    """Return a class decorator that adds the parameters of the constructor of ``base`` to the signature of the constructor.

    scikit-learn reads the parameters of an estimator from this signature. In the docstring, {parameters}, {attributes} and
    {references} are replaced by the sections of the docstring of ``base``, and {distributed} by the other parameters.
    """

    def decorate(cls):
        inherited = list(signature(base.__init__).parameters.values())
        own = [
            Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for name, (default, kind) in DISTRIBUTED_DEFAULTS.items()
        ]
        cls.__init__.__signature__ = signature(base.__init__).replace(parameters=[*inherited, *own])
        if cls.__doc__ is not None:  # python -OO removes docstrings
            sections = {name: _section(base.__doc__, name.capitalize()) for name in ("parameters", "attributes", "references")}
            cls.__doc__ = cleandoc(cls.__doc__)
            for name, text in (sections | {"distributed": DISTRIBUTED_PARAMETERS}).items():
                cls.__doc__ = cls.__doc__.replace("{" + name + "}", text)
        return cls

    return decorate


def _section(docstring, title):
    """The text of a section of a docstring in numpydoc style, without its title."""
    text = docstring.partition(f"{title}\n{'-' * len(title)}\n")[2]
    return re.split(r"\n\n[A-Z][A-Za-z ]+\n---+\n", text)[0].strip()
