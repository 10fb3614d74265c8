"""Compare dtype="mixed_bfloat16" with float32: accuracy, gradients and speed.

``--accuracy`` trains the same networks with both values of `dtype` and equal seeds, and compares the errors of test rows and,
after fits with a cosine schedule, the losses of training rows. ``--gradients`` compares the gradients of both with those of
float64. ``--speed`` measures training steps of fastbp, torch and JAX in float32 and with products of bfloat16 numbers. Without
any of them, the program runs the first two parts.

Markdown is printed to the standard output, and the progress to the standard error. On a processor without instructions for
bfloat16, the first two parts emulate them, which gives the same results; the third part refuses to measure the emulation, unless
``--emulated`` is given.

Examples: ``python bench/mixed_precision.py --accuracy --only vowel --seeds 3 --steps 200``; ``--help`` lists all options.
"""

import argparse
import sys
from itertools import product
from pathlib import Path

from precision import instructions
from tabular import tables


def main():
    arguments = parse_arguments()
    if not (arguments.accuracy or arguments.gradients or arguments.speed):
        arguments.accuracy = arguments.gradients = True
    emulated = instructions.is_emulated()
    if emulated and arguments.speed and not arguments.emulated:
        sys.exit(
            "This processor has no instructions for bfloat16, or FASTBP_EMULATE_BF16=1 is set. The emulation is slower than "
            "float32, so its times say nothing about processors with the instructions. Use another processor, or pass --emulated "
            "to print the times of the emulation for information."
        )
    if emulated:
        instructions.emulate()
    print(INTRODUCTION)
    if emulated:
        print("\n**The instructions for bfloat16 were emulated.**")
    for name in ("accuracy", "gradients", "speed"):
        if getattr(arguments, name):
            PARTS[name](arguments)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--accuracy", action="store_true", help="compare errors and losses of fits")
    parser.add_argument("--gradients", action="store_true", help="compare gradients with those of float64")
    parser.add_argument("--speed", action="store_true", help="measure training steps")
    parser.add_argument("--emulated", action="store_true", help="measure the speed of the emulation")
    parser.add_argument("--tables", type=Path, default=tables.FOLDER, metavar="FOLDER", help="folder of NAME.tsv.gz")
    parser.add_argument("--only", action="append", metavar="NAME", help="only tables and networks with this in their names")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rows", type=int, default=20_000, help="use at most this number of training rows")
    parser.add_argument("--steps", type=int, default=1000, help="steps of a fit, rounded to whole epochs")
    parser.add_argument("--late-steps", type=int, default=4000, help="steps of a fit with the cosine schedule")
    parser.add_argument("--batch-size", type=int, default=256, help="half of it for tables with fewer than 5,000 training rows")
    parser.add_argument("--learning-rate", type=float, default=0.001)
    parser.add_argument("--hidden", type=int, nargs="+", default=[256, 128, 64], help="sizes of the hidden layers")
    parser.add_argument("--method-rows", type=int, default=2000, help="training rows of RealMLP and TabM, which are slower")
    parser.add_argument("--realmlp-epochs", type=int, default=256, help="epochs of RealMLP")
    parser.add_argument("--tabm-epochs", type=int, default=20, help="epochs of TabM")
    parser.add_argument("--method-seeds", type=int, help="number of seeds of RealMLP and TabM; default: as --seeds")
    parser.add_argument("--threads", type=int, default=1, help="number of threads of the fits of --accuracy")
    parser.add_argument("--batches", type=int, default=5, help="number of batches for --gradients")
    parser.add_argument("--step-threads", type=int, nargs="+", default=[1, 2], help="numbers of threads for --speed")
    parser.add_argument("--rounds", type=int, default=7, help="number of rounds for --speed")
    parser.add_argument("--seconds", type=float, default=0.4, help="seconds of each timing of --speed")
    parser.add_argument("--output", type=Path, help="a file of JSON lines for the fits of --accuracy")
    parser.add_argument("--report", action="store_true", help="print the tables of stored fits only")
    arguments = parser.parse_args()
    arguments.is_wanted = lambda name: any(part in name for part in arguments.only or [""])
    return arguments


def table(head, rows):
    """Print a Markdown table."""
    for line in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(line) + " |", flush=True)


def accuracy(arguments):
    from precision.accuracy import DTYPES, LATE, METHODS, MNIST, Case, Fits, accuracy_rows, late_rows

    fits, seeds = Fits(arguments, arguments.output, arguments.report), range(arguments.seeds)
    method_seeds = seeds if arguments.method_seeds is None else range(arguments.method_seeds)
    names = [name for name in [MNIST, *tables.names(arguments.tables)] if arguments.is_wanted(name)]
    late, of_methods = [name for name in LATE if arguments.is_wanted(name)], [name for name in names if name != MNIST]
    # all tables with one seed before the next seed, so that an interrupted run has results for all of them
    cases = [
        Case(name, kind, seed, dtype)
        for seed in range(max(len(seeds), len(method_seeds)))
        for kind, wanted, known in (
            ("constant", names, seeds),
            ("cosine", late, seeds),
            *((m, of_methods, method_seeds) for m in METHODS),
        )
        for name in wanted
        for dtype in DTYPES
        if seed in known
    ]
    for progress in fits.run(cases):
        print(progress, file=sys.stderr, flush=True)
    if names:
        rows, summary = accuracy_rows(fits, names, "constant", seeds)
        print(ACCURACY.format_map(vars(arguments) | {"sizes": "-".join(map(str, arguments.hidden))}))
        table(ACCURACY_HEAD, rows)
        print(f"\n{summary}")
    if late:
        print(LATE_TEXT.format_map(vars(arguments)))
        table(["table", "epochs", "float32", "mixed", "ratio or difference", "p"], late_rows(fits, late, seeds))
    for method in METHODS if of_methods else ():
        rows, summary = accuracy_rows(fits, of_methods, method, method_seeds)
        print(METHOD_TEXT.format_map(vars(arguments) | {"method": method, "n_seeds": len(method_seeds)}))
        table(ACCURACY_HEAD, rows)
        print(f"\n{summary}")


def gradients(arguments):
    from precision.gradients import NETWORKS, gradient_rows

    print(GRADIENTS.format_map(vars(arguments)))
    names = [name for name in NETWORKS if arguments.is_wanted(name)]
    rows = (row for name in names for row in gradient_rows(name, NETWORKS[name], arguments.batches))
    table(["network", "weights", "layer", "float32", "mixed", "one batch"], rows)


def speed(arguments):
    from precision.speed import NETWORKS, REALMLP, Effort, measure, measure_realmlp, names_here, speed_row
    from suite.common import environment

    threads = arguments.step_threads
    names = names_here(max(threads))
    print(SPEED)
    if instructions.is_emulated():
        print("**mixed_bfloat16 was emulated.** Its times say nothing about processors with the instructions.\n")
    print(f"{environment()}.\n")
    effort = Effort(arguments.rounds, arguments.seconds)
    cases, of_tables = (list(product(filter(arguments.is_wanted, known), threads)) for known in (NETWORKS, REALMLP))
    if cases:
        table(["network", "threads", *names], (speed_row(*case, measure(*case, effort), names) for case in cases))
    if of_tables:
        print(SPEED_OF_TABLES)
        rows = ([case[0], str(case[1]), *measure_realmlp(*case, effort).row()[1:]] for case in of_tables)
        table(["estimator", "threads", "s per epoch, mixed", "s per epoch, float32", "ratio per epoch", "ratio of fits"], rows)


INTRODUCTION = """\
# Mixed precision with bfloat16

Comparisons of `dtype="mixed_bfloat16"` with float32. This page was written by `python bench/mixed_precision.py`."""
ACCURACY = """
## Errors of test rows

Networks with hidden layers {sizes}, Adam with a learning rate of {learning_rate:g}, batches of {batch_size} rows, or half of that
with fewer than 5,000 training rows, about {steps} steps, at most {rows:,} training rows, {seeds} seeds. The two fits of a seed
have the same split, the same starting weights and the same shuffles. An error is 1 − accuracy, or the root mean squared error
divided by the standard deviation of the test targets, in percent. `deviation` is the standard deviation of the errors of float32
over the seeds, which change the split, the weights and the shuffles. `difference` is the mean of mixed_bfloat16 minus float32
with its standard error, and p the p-value of a paired t-test.
"""
ACCURACY_HEAD = ["table", "epochs", "float32", "mixed", "deviation", "difference", "p", "p, Holm"]
METHOD_TEXT = """
## Errors of test rows: {method}

The same comparison for an estimator for tables: at most {method_rows:,} training rows, {n_seeds} seeds. A fifth of the training
rows are validation rows, which select the epoch.
"""
LATE_TEXT = """
## The end of a long fit

About {late_steps} steps, in which the learning rate decreases to 0 along a cosine. The losses are those of the training rows, the
mean log-loss or half of the mean squared error of standardized targets: with the final weights, computed in float32, and as the
mean of the last epoch, as training computed it, which includes the penalty. The values and ratios (mixed_bfloat16 ÷ float32) are
geometric means over {seeds} seeds, with standard errors; errors of test rows have their difference. p is the p-value of a paired
t-test, of the logarithms of losses. "friedman without noise" has 10,000 generated rows of the function of Friedman (1991), which a
network can fit to several digits.
"""
GRADIENTS = """
## Errors of gradients

‖g − g₆₄‖ / ‖g₆₄‖ for the gradient of each weight matrix, where g₆₄ is the gradient of float64 for the same weights and the same
batch, as root mean squares over {batches} batches. The weights are those before training, and those after a fit in float32 with
Adam. `one batch` is ‖g₆₄ − g‖ / ‖g‖ for the gradient g of all rows: how much the gradient of a batch differs from it because a
batch is a sample. ReLU has a kink: a rounding error near it turns a unit on or off, which changes gradients more than the
rounding of their factors does; compare the network with tanh. Layers with fewer than 32 inputs or outputs have products of
float32 numbers, but their inputs and deltas come from layers with rounded factors.
"""
SPEED = """
## Training steps

The time of a step with Adam, the loss after equal numbers of epochs, and the time divided by that of fastbp with mixed_bfloat16:
medians of rounds, in which the libraries take turns, each in its own process. Shuffling is included. torch uses torch.compile, or
is marked as eager if that fails; its bfloat16 is autocast. JAX rounds the factors of all products; it uses its default number of
threads, and is not compared with one thread.
"""
SPEED_OF_TABLES = """
The seconds per epoch of an estimator for tables, and the times of float32 divided by those of mixed_bfloat16.
"""
PARTS = {"accuracy": accuracy, "gradients": gradients, "speed": speed}

if __name__ == "__main__":
    main()
