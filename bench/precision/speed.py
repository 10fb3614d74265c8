"""The time of a training step in float32 and with products of bfloat16 numbers: fastbp, and torch and JAX where they are installed.

Each library and type has a process of its own. The processes take turns, and ratios are computed within a round, so that a slow
phase of the machine affects all of them. Rows of a Markdown table come out. This module does not know which instructions are used.
"""

from contextlib import ExitStack
from dataclasses import replace
from statistics import median
from typing import NamedTuple

from sidebyside.measure import peers_here
from sidebyside.remote import Remote
from sidebyside.works import Work, data, loss
from tabular import speed as tabular_speed

OURS = "fastbp mixed"
NETWORKS = {
    "784-128-10 b128": Work((784, 128, 10), 128, "adam", {}, n_rows=6400),
    "50-256-256-256-5 b256": Work((50, 256, 256, 256, 5), 256, "adam", {}, n_rows=4096),
    "50-256-256-256-256-256-1 b256": Work((50, *[256] * 5, 1), 256, "adam", {}, n_rows=4096),
    "500-1024-1024-10 b512": Work((500, 1024, 1024, 10), 512, "adam", {}, n_rows=2048),
    # the network of a benchmark of OpenNN, https://opennn.net/blog/higgs-cpu-opennn-pytorch/
    "28-300-300-300-300-300-1 b100 tanh": Work((28, *[300] * 5, 1), 100, "adam", {}, activation="tanh", n_rows=4000),
}
# {name: (library, classes in the order in which they are tried)}
TRAINERS = {
    OURS: ("fastbp", ["train_sklearn:MixedFastbpTrainer"]),
    "fastbp float32": ("fastbp", ["train_sklearn:FastbpTrainer"]),
    "torch float32": ("torch", ["train_torch:CompiledTorchTrainer", "train_torch:TorchTrainer"]),
    "torch bfloat16": ("torch", ["train_torch:CompiledAutocastTrainer", "train_torch:AutocastTrainer"]),
    "JAX float32": ("JAX", ["train_jax:JaxTrainer"]),
    "JAX bfloat16": ("JAX", ["train_jax:MixedJaxTrainer"]),
}


# The rows of RealMLP: the table, and the number of epochs of the longer of two fits.
REALMLP = {"RealMLP TD-S on covtype": ("covtype", 22)}
_REALMLP_METHOD = "fastbp-realmlp-td-s"


class Effort(NamedTuple):
    """Rounds, seconds of each timing, the most epochs of each timing, and updates before the losses are compared."""

    rounds: int = 7
    seconds: float = 0.4
    most_epochs: int = 3000
    loss_updates: int = 200


class Steps(NamedTuple):
    """The seconds of a step in each round, the loss after equal numbers of epochs, and the class that trained."""

    seconds: list[float]
    loss: float
    trainer: str


def names_here(n_threads):
    """The trainers that can be measured. JAX always uses its default number of threads, so it is not compared with one thread."""
    libraries = set(peers_here()) - ({"JAX"} if n_threads == 1 else set())
    return [name for name, (library, _) in TRAINERS.items() if library in libraries]


def measure(network, n_threads, effort):
    """Return {name: `Steps`} of all trainers."""
    work = replace(NETWORKS[network], n_threads=n_threads)
    X, y = data(work)
    n_epochs = max(1, effort.loss_updates * work.batch_size // len(y))
    with ExitStack() as stack:
        remotes, about = {}, {}
        for name in names_here(n_threads):
            remotes[name], weights, about[name] = _started(stack, name, work, X, y, n_epochs)
            about[name] = loss(work, weights, X, y), about[name]
        for remote in remotes.values():
            remote.call("calibrate", effort.seconds, effort.most_epochs)
        seconds = {name: [] for name in remotes}
        for _ in range(effort.rounds):
            for name, remote in remotes.items():
                seconds[name].append(remote.call("seconds_per_step"))
    return {name: Steps(seconds[name], *about[name]) for name in remotes}


def _started(stack, name, work, X, y, n_epochs):
    """Start the first class that can train; return its process, the trained weights and the name of the class."""
    library, trainers = TRAINERS[name]
    for trainer in trainers:
        remote = Remote(f"sidebyside.{trainer}", work, X, y, n_threads=None if library == "JAX" else work.n_threads)
        try:
            weights = remote.call("train", n_epochs)
        except RuntimeError:
            remote.close()
            if trainer == trainers[-1]:  # torch.compile needs a compiler, so the next class does not use it
                raise
            continue
        stack.callback(remote.close)
        return remote, weights, trainer.partition(":")[2]
    raise ValueError(f"No trainer is known for {name!r}.")


def measure_realmlp(name, n_threads, effort):
    """A `tabular.speed.Pair`: fits of equal numbers of epochs with mixed_bfloat16, and with float32 as the reference."""
    table, n_epochs = REALMLP[name]
    work = tabular_speed.Work(n_threads=n_threads, rounds=effort.rounds)
    return tabular_speed.measure_pair(work, table, f"{_REALMLP_METHOD}[dtype='mixed_bfloat16']", _REALMLP_METHOD, n_epochs)


def speed_row(network, n_threads, steps, names):
    """A row of the table: microseconds, loss and ratio of each trainer."""
    cells = [network, str(n_threads)]
    for name in names:
        if name not in steps:
            cells.append("–")
            continue
        one = steps[name]
        text = f"{1e6 * median(one.seconds):,.0f} µs · {one.loss:.4f}"
        if name != OURS:
            text += f" · {median(theirs / ours for theirs, ours in zip(one.seconds, steps[OURS].seconds, strict=True)):.2f}"
        cells.append(text + " (eager)" * (one.trainer in ("TorchTrainer", "AutocastTrainer")))
    return cells
