"""Print a Markdown table of how many times faster fastbp is than scikit-learn.

Both libraries train in this process on one thread and take turns. Each ratio is the median of the ratios of nine rounds. The
networks and the timing functions are those of the asv suite (`suite/common.py`). README's table is made by `peers.py` instead. With
`--quick`, the work is reduced to a check that the script runs.
"""

import argparse
import os

COLUMNS = ("work, float32, one thread", "fastbp", "scikit-learn", "times faster", "lowest and highest round")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="check that the script runs; the figures are meaningless")
    parser.add_argument("--all", action="store_true", help="measure all networks of the suite, also in float64")
    arguments = parser.parse_args()
    if arguments.quick:
        os.environ["FASTBP_BENCH"] = "quick"
    print_table(rows(everything=arguments.all))


def rows(everything):
    """Yield the cells of each row of the table."""
    from suite.common import DTYPES, NETWORKS, TABLES, compare_default_fits, compare_epochs

    names = list(NETWORKS) if everything else ["10-16-1 b10 sgd", "20-100-1 b200 adam", "32-64-64-3 b32 adam"]
    for dtype in DTYPES if everything else DTYPES[:1]:
        mark = "" if dtype == "float32" else f", {dtype}"
        for name in names:
            yield cells(f"an epoch of {name}{mark}", compare_epochs(NETWORKS[name], dtype))
        for name in TABLES:
            yield cells(f"a default fit of {name}{mark}", compare_default_fits(name, dtype))


def cells(work, seconds):
    """The cells of the row for a `Comparison`."""
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
