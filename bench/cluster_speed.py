"""Measure and project the duration of the rounds of `fastbp.dask` on a cluster.

The script first measures rounds on a real cluster of two worker processes on this machine, for several numbers of local steps and
of shards. It fits the model

    seconds of a round = fixed + per_task · tasks + steps of a worker · per_step + transfers,

in which transfers are 0, because the workers share one machine. Then it measures rounds of the same cluster with an injected
network: each task waits for its inputs, and the driver waits for its messages, as long as a network with the given latency and
bandwidth would need. The measured durations are printed beside those of the model. At last, it prints projected speed-ups for more
machines with one thread each, relative to one thread without a cluster. These are projections and no measurements. ``--epochs``
takes how many times as many epochs the averaged networks need, as ``bench/averaging.py`` measures it.

Example: ``python bench/cluster_speed.py --epochs 4,64=1.5 16,64=4`` for 4 and 16 machines and 64 local steps. It needs the extra
`dask`.
"""

import argparse
import math
import statistics
import time
import warnings
from itertools import pairwise
from typing import NamedTuple
from unittest import mock

import numpy as np
from distributed import Client, LocalCluster

import fastbp._distributed.model as distributed_model
from fastbp._distributed.averaging import FAN_IN, WeightedSum, added, weighted_sum
from fastbp._distributed.dask_executor import DaskExecutor
from fastbp._distributed.local_training import local_train
from fastbp._distributed.rounds import LocalState
from fastbp.dask import DaskMLPClassifier

BATCH_SIZE = 256


class Network(NamedTuple):
    """A network between machines: seconds of latency of a message, and bytes per second of each machine."""

    name: str
    latency: float
    bandwidth: float

    def seconds(self, n_bytes):
        """The duration of one message."""
        return self.latency + n_bytes / self.bandwidth


NETWORKS = (
    Network("10 Gbit/s, 0.1 ms", 1e-4, 1.25e9),
    Network("1 Gbit/s, 0.5 ms", 5e-4, 1.25e8),
    Network("100 Mbit/s, 5 ms", 5e-3, 1.25e7),
)
NO_NETWORK = Network("no injection", 0.0, math.inf)


# ====================================================================== the model


class Costs(NamedTuple):
    """Seconds of a round, of a task and of a step, and the bytes of parameters and optimizer state in the type of training."""

    fixed: float
    per_task: float
    per_step: float
    n_bytes: int

    def round(self, network, n_shards, n_workers, n_steps):
        """The seconds of a round in which each worker trains its shards for n_steps steps each."""
        steps = -(-n_shards // n_workers) * n_steps
        local = self.fixed + self.per_task * n_tasks(n_shards) + steps * self.per_step
        return local + transfers(network, self.n_bytes, n_shards)


def n_tasks(n_shards):
    """The number of tasks of a round: one for each shard, and those that add up at most FAN_IN results."""
    total, level = n_shards, n_shards
    while level > 1 or total == n_shards:
        level = -(-level // FAN_IN)
        total += level
    return total


def transfers(network, n_bytes, n_shards):
    """The seconds of the transfers of a round that follow one another.

    The driver sends the parameters to one worker, and each worker passes them on to one other worker at a time. A task that adds up
    results receives them one after another. Sums are in float64, so they have twice the bytes of float32.
    """
    seconds = network.seconds(n_bytes) * (1 + max(1, math.ceil(math.log2(n_shards))))
    size, level = n_bytes, n_shards
    while True:
        seconds += min(level, FAN_IN) * network.seconds(size)
        size, level = 2 * n_bytes, -(-level // FAN_IN)
        if level == 1:
            return seconds + network.seconds(size)


# ====================================================================== measured rounds


def _delayed(seconds, function, *arguments):
    """Run a function in a worker after the time that its inputs would need."""
    time.sleep(seconds)
    return function(*arguments)


class InjectedExecutor(DaskExecutor):
    """An executor whose messages take as long as in a given network; it records the time of each round."""

    def __init__(self, client, network, n_bytes):
        super().__init__(client, 30.0)
        self.network, self.n_bytes, self.starts = network, n_bytes, []

    def put(self, value):
        if isinstance(value, LocalState):
            self.starts.append(time.perf_counter())
        time.sleep(self.network.seconds(self.n_bytes))
        return super().put(value)

    def submit(self, function, *arguments):
        if function is local_train:
            seconds = self.network.seconds(self.n_bytes)
        elif function in (weighted_sum, added):
            size = self.n_bytes if function is weighted_sum else 2 * self.n_bytes
            seconds = len(arguments[0]) * self.network.seconds(size)
        else:
            return super().submit(function, *arguments)
        return super().submit(_delayed, seconds, function, *arguments)

    def gather(self, handles):
        results = super().gather(handles)
        if results and isinstance(results[0], WeightedSum):
            time.sleep(self.network.seconds(2 * self.n_bytes))
        return results


def round_seconds(client, arguments, network, n_shards, n_steps):
    """The median duration of a round, and the number of steps of a shard in it."""
    n_rounds = arguments.rounds + 1
    n_rows = n_shards * n_steps * BATCH_SIZE * n_rounds
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, arguments.features)).astype(np.float32)
    y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(int)
    sizes = (arguments.features, *arguments.hidden, 1)
    n_bytes = 3 * 4 * sum((before + 1) * after for before, after in pairwise(sizes))  # Adam has two moments
    executor = InjectedExecutor(client, network, n_bytes)
    model = DaskMLPClassifier(
        tuple(arguments.hidden), batch_size=BATCH_SIZE, max_iter=1, random_state=0, n_shards=n_shards, local_steps=n_steps
    )
    with mock.patch.object(distributed_model, "open_executor", return_value=executor), warnings.catch_warnings(action="ignore"):
        model.fit(X, y)
    durations = np.diff(executor.starts)
    return statistics.median(durations.tolist()), n_bytes


def measured_costs(client, arguments):
    """The `Costs` that least squares give for rounds without injection."""
    rows, seconds, n_bytes = [], [], 0
    for n_shards, n_steps in [(2, 1), (2, 32), (2, 128), (8, 1), (32, 1), (8, 16)]:
        duration, n_bytes = round_seconds(client, arguments, NO_NETWORK, n_shards, n_steps)
        rows.append([1, n_tasks(n_shards), -(-n_shards // 2) * n_steps])
        seconds.append(duration)
        print(f"{n_shards} shards, {n_steps} steps: {1000 * duration:.1f} ms per round", flush=True)
    weights = 1 / np.array(seconds)  # relative errors
    solution = np.linalg.lstsq(np.array(rows) * weights[:, None], np.ones(len(seconds)), rcond=None)[0]
    return Costs(*(max(0.0, float(one)) for one in solution), n_bytes)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--features", type=int, default=28)
    parser.add_argument("--hidden", type=int, nargs="+", default=[300, 300])
    parser.add_argument("--rounds", type=int, default=6, help="rounds of each measurement")
    parser.add_argument("--steps", type=int, nargs="+", default=[16, 64, 256], help="local steps of the checks")
    parser.add_argument("--machines", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument("--projected-steps", type=int, nargs="+", default=[16, 64, 256, 1024])
    parser.add_argument("--epochs", nargs="*", default=[], metavar="MACHINES,STEPS=RATIO", help="epochs relative to one network")
    arguments = parser.parse_args()
    ratios = {tuple(map(int, key.split(","))): float(ratio) for key, _, ratio in (text.partition("=") for text in arguments.epochs)}
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        round_seconds(client, arguments, NO_NETWORK, 2, 4)  # compiles
        costs = measured_costs(client, arguments)
        print(
            f"\nfixed {1000 * costs.fixed:.1f} ms, {1000 * costs.per_task:.2f} ms per task, {1000 * costs.per_step:.2f} ms per "
            f"step of {BATCH_SIZE} rows, {costs.n_bytes / 1e6:.1f} MB per message"
        )
        print("\n### Two workers with an injected network: measured ÷ model\n")
        print("| network | " + " | ".join(f"{n} steps" for n in arguments.steps) + " |")
        print("|---|" + "---|" * len(arguments.steps))
        for network in (NO_NETWORK, *NETWORKS):
            cells = []
            for n_steps in arguments.steps:
                duration, _ = round_seconds(client, arguments, network, 2, n_steps)
                expected = costs.round(network, 2, 2, n_steps)
                cells.append(f"{1000 * duration:.0f} ÷ {1000 * expected:.0f} ms = {duration / expected:.2f}")
            print(f"| {network.name} | " + " | ".join(cells) + " |", flush=True)
    print("\n### Projected speed-up over one thread without a cluster (not measured)\n")
    print("The ratio of the rows per second, and in brackets that of the times until the same score, if --epochs was given.\n")
    print("| network | local steps | " + " | ".join(f"{n} machines" for n in arguments.machines) + " |")
    print("|---|---|" + "---|" * len(arguments.machines))
    for network in NETWORKS:
        for n_steps in arguments.projected_steps:
            cells = []
            for n in arguments.machines:
                speed = n * n_steps * costs.per_step / costs.round(network, n, n, n_steps)
                cells.append(f"{speed:.1f}" + (f" ({speed / ratios[n, n_steps]:.1f})" if (n, n_steps) in ratios else ""))
            print(f"| {network.name} | {n_steps} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
