"""Compare training on Parquet files that do not fit into memory: `make bench-streams`.

A generated table of float32 numbers and a binary target is written to Parquet files. fastbp's ``fit_batches``, a loop around
scikit-learn's ``partial_fit`` and a loop around torch's ``DataLoader`` train the same network for one epoch. Each runs in a process
of its own; the processes take turns, and each figure is the median of the rounds. Memory is the peak of the process minus its
peak after a first fit on a small file. The processor time includes all threads, and the process with which a
``DataLoader`` reads; unlike the speed, it depends little on other programs that run at the same time. Libraries that are not
installed are left out.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np

N_FEATURES, BATCH_SIZE, BUFFER, GROUP = 28, 200, 65536, 65536
REFERENCES = {"scikit-learn partial_fit": 10, "torch DataLoader": 5, "torch DataLoader, rows": 5}  # with the goal of the ratio
FEATURES = [f"x{n}" for n in range(N_FEATURES)]
ROWS_OF_FILE = 1_000_000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000, help="number of rows (default: 10,000,000)")
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds (default: 3)")
    parser.add_argument("--only", action="append", metavar="NAME", help="measure only names that contain this; repeatable")
    parser.add_argument("--hidden", type=int, nargs="+", default=[100], help="sizes of the hidden layers (default: 100)")
    parser.add_argument("--threads", type=int, help="number of threads that train (default: fastbp's choice, one for the others)")
    parser.add_argument("--folder", type=Path, help="folder for the files, which are kept (default: a temporary folder)")
    parser.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        trainer = WORKERS[arguments.worker](arguments.hidden, arguments.threads)
        print(json.dumps(measured(*trainer, arguments.folder)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        write_files(folder, arguments.rows)
        names = [name for name in WORKERS if any(part in name for part in arguments.only or [""]) and is_installed(name)]
        rounds = [{name: in_process(name, folder, arguments) for name in names} for _ in range(arguments.rounds)]
        report(rounds, arguments)


def is_installed(name):
    return find_spec("torch" if name.startswith("torch") else "sklearn") is not None


def in_process(name, folder, arguments):
    command, n_threads = [sys.executable, __file__, "--worker", name, "--folder", str(folder)], arguments.threads
    command += ["--hidden", *map(str, arguments.hidden)]
    command += [] if n_threads is None else ["--threads", str(n_threads)]
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    threads = {} if name == "fastbp" else dict.fromkeys(names, str(n_threads or 1))  # for so small products, one is the fastest
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | threads)
    return json.loads(result.stdout.splitlines()[-1])


def report(rounds, arguments):
    network, threads = "-".join(map(str, [N_FEATURES, *arguments.hidden, 1])), arguments.threads or "default"
    print(f"{arguments.rows:,} rows of {N_FEATURES} columns, network {network}, Adam, float32, batches of {BATCH_SIZE} rows.")
    print(f"{os.cpu_count()} processors, threads: {threads}, medians of {len(rounds)} rounds.\n")
    print("| method | rows per second | ratio | processor time of 1,000,000 rows | ratio | peak memory | held-out log-loss |")
    print("|---|---|---|---|---|---|---|")
    for name in rounds[0]:
        keys = ("rows_per_second", "processor", "megabytes", "loss")
        speed, processor, memory, loss = (median(one[name][key] for one in rounds) for key in keys)
        ratios = ["", ""]
        if name != "fastbp" and "fastbp" in rounds[0]:
            faster = median(one["fastbp"]["rows_per_second"] / one[name]["rows_per_second"] for one in rounds)
            less = median(one[name]["processor"] / one["fastbp"]["processor"] for one in rounds)
            ratios = [f"{faster:.1f} (goal {REFERENCES[name]})", f"{less:.1f}"]
        print(f"| {name} | {speed:,.0f} | {ratios[0]} | {processor:.2f} s | {ratios[1]} | {memory:.0f} MB | {loss:.4f} |")


# ---------------------------------------------------------------------- data


def rows_of(number, n_rows):
    """Rows of the table: X (n_rows, 28) and y (n_rows,), whose classes are not linearly separable."""
    random = np.random.default_rng([1, number])
    X = random.standard_normal((n_rows, N_FEATURES), np.float32)
    score = X[:, 0] * X[:, 1] + np.sin(2 * X[:, 2]) + X[:, 3:6].sum(axis=1) * 0.3
    return X, (score + 0.5 * random.standard_normal(n_rows) > 0).astype(np.int8)


def write_files(folder, n_rows):
    """Write the table to files of a million rows, unless they exist already."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, n_rows, ROWS_OF_FILE)):
        path = folder / f"part-{number:04}.parquet"
        if not path.exists():
            X, y = rows_of(number, min(ROWS_OF_FILE, n_rows - start))
            table = pa.table(dict(zip(FEATURES, X.T, strict=True)) | {"y": y})
            pq.write_table(table, path, row_group_size=GROUP, compression="none", use_dictionary=False)


def blocks_of(folder):
    """Yield X and y of one row group after another, in float32."""
    import pyarrow.dataset as ds

    # with the default options, pyarrow reads ahead so much that it would need more memory than the libraries
    options = {"batch_readahead": 1, "fragment_readahead": 1, "use_threads": False}
    scan = ds.ParquetFragmentScanOptions(pre_buffer=False, use_buffered_stream=True, buffer_size=1 << 16)
    batches = ds.dataset(folder).to_batches(columns=[*FEATURES, "y"], batch_size=GROUP, fragment_scan_options=scan, **options)
    for batch in batches:
        columns = [batch.column(name).to_numpy() for name in FEATURES]
        yield np.stack(columns, axis=1), batch.column("y").to_numpy()


# ---------------------------------------------------------------------- the three libraries


def measured(train, probability, folder):
    """The speed, the memory and the loss of an epoch, measured in this process."""
    warnings.simplefilter("ignore")  # arrays without names are predicted by models with the names of columns
    with tempfile.TemporaryDirectory() as small:
        write_files(Path(small), 2000)
        train(Path(small))  # imports, compilation and threads
    before, used, start = peak_megabytes(), processor_seconds(), time.perf_counter()
    n_rows = train(folder)
    seconds, memory = time.perf_counter() - start, peak_megabytes() - before
    processor = (processor_seconds() - used) / n_rows * 1e6
    X, y = rows_of(10**6 + 1, 100_000)
    p = np.clip(probability(X).astype(float), 1e-6, 1 - 1e-6)
    loss = -np.mean(np.where(y == 1, np.log(p), np.log(1 - p)))
    return {"rows_per_second": n_rows / seconds, "processor": processor, "megabytes": memory, "loss": loss}


def processor_seconds():
    """The processor time of this process and of its child processes that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def peak_megabytes():
    """The peak of the memory of this process so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def in_fastbp(hidden, n_threads):
    from fastbp import MLPClassifier

    model = MLPClassifier(hidden, batch_size=BATCH_SIZE, random_state=0, n_threads=n_threads)

    def train(folder):
        return model.fit_batches(folder, classes=[0, 1], epochs=1, shuffle_buffer=BUFFER, target_column="y").t_

    return train, lambda X: model.predict_proba(X)[:, 1]


def in_sklearn(hidden, n_threads):
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(hidden, batch_size=BATCH_SIZE, random_state=0)

    def train(folder):
        n_rows = 0
        for X, y in blocks_of(folder):
            model.partial_fit(X, y, classes=[0, 1])
            n_rows += len(y)
        return n_rows

    return train, lambda X: model.predict_proba(X)[:, 1]


def in_torch(hidden, n_threads, max_rows=None):
    """A loop as in torch's tutorials; the data set yields batches, which is much faster than rows."""
    import torch
    from torch.utils.data import DataLoader, IterableDataset

    torch.manual_seed(0)
    torch.set_num_threads(n_threads or 1)
    sizes, layers = [N_FEATURES, *hidden, 1], []
    for n_in, n_out in pairwise(sizes):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(network.parameters(), weight_decay=0.0)
    loss = torch.nn.BCEWithLogitsLoss()

    class Batches(IterableDataset):
        def __init__(self, folder):
            self.folder = folder

        def __iter__(self):
            random, n_rows = np.random.default_rng(0), 0
            for X, y in blocks_of(self.folder):
                order = random.permutation(len(y))
                X, y = torch.from_numpy(X[order]), torch.from_numpy(y[order].astype(np.float32)[:, None])
                if max_rows is None:
                    yield from zip(X.split(BATCH_SIZE), y.split(BATCH_SIZE), strict=True)
                    continue
                yield from zip(X, y, strict=True)
                n_rows += len(y)
                if n_rows >= max_rows:
                    return

    def train(folder):
        n_rows = 0
        # a process of its own reads the rows, like the thread of fastbp
        for X, y in DataLoader(Batches(folder), batch_size=None if max_rows is None else BATCH_SIZE, num_workers=1):
            optimizer.zero_grad()
            loss(network(X), y).backward()
            optimizer.step()
            n_rows += len(y)
        return n_rows

    def probability(X):
        with torch.no_grad():
            return torch.sigmoid(network(torch.from_numpy(X)))[:, 0].numpy()

    return train, probability


WORKERS = {
    "fastbp": in_fastbp,
    "scikit-learn partial_fit": in_sklearn,
    "torch DataLoader": in_torch,
    "torch DataLoader, rows": lambda hidden, n_threads: in_torch(hidden, n_threads, max_rows=200_000),
}

if __name__ == "__main__":
    main()
