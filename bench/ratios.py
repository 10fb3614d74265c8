"""How many times faster than scikit-learn: prints the table of the README, as Markdown.

Both libraries train in this process on one thread, taking turns; each figure is the median of the ratios of nine rounds. What is
measured, and how, is in `suite/common.py`, which the asv suite uses too. With `--quick` the figures mean nothing: it only shows
that the script runs.
"""

import argparse
import os

COLUMNS = ("work, float32, one thread", "fastbp", "scikit-learn", "times faster", "lowest and highest round")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="measure next to nothing")
    parser.add_argument("--all", action="store_true", help="all networks of the suite, and float64 too")
    arguments = parser.parse_args()
    if arguments.quick:
        os.environ["FASTBP_BENCH"] = "quick"
    print_table(rows(everything=arguments.all))


def rows(everything):
    """The cells of one line of the table after the other, as they are measured."""
    from suite.common import DTYPES, NETWORKS, TABLES, compare_default_fits, compare_epochs

    names = list(NETWORKS) if everything else ["10-16-1 b10 sgd", "20-100-1 b200 adam", "32-64-64-3 b32 adam"]
    for dtype in DTYPES if everything else DTYPES[:1]:
        mark = "" if dtype == "float32" else f", {dtype}"
        for name in names:
            yield cells(f"an epoch of {name}{mark}", compare_epochs(NETWORKS[name], dtype))
        for name in TABLES:
            yield cells(f"a default fit of {name}{mark}", compare_default_fits(name, dtype))


def cells(work, seconds):
    """A line of the table from a `Comparison`."""
    return (
        work,
        f"{1e3 * seconds.fastbp:.3g} ms",
        f"{1e3 * seconds.sklearn:.3g} ms",
        f"{seconds.ratio:.1f}",
        f"{seconds.lowest:.1f} to {seconds.highest:.1f}",
    )


def print_table(lines):
    from suite.common import environment

    print("| " + " | ".join(COLUMNS) + " |")
    print("|---|" + "---:|" * (len(COLUMNS) - 1))
    for line in lines:
        print("| " + " | ".join(line) + " |", flush=True)
    print(f"\n{environment()}")


if __name__ == "__main__":
    main()
