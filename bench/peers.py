"""Compare the speed of fastbp with scikit-learn, JAX and torch: `make bench-peers`.

Each library trains in its own process, with code written as an experienced user would write it. The processes take turns, and each
figure is the median of the rounds. The page `peers.md` shows each ratio with its goal, and the losses after equal numbers of
epochs. The page and its pictures are saved in `results/`. With `--quick` or `--only`, files are written only if `--output` is
given. Libraries that are not installed are left out.
"""

import argparse
import os
from dataclasses import replace
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
FITS = {"iris": 14, "wine": 14, "diabetes": 14}
PREDICTIONS = {1: 3, 100_000: 2}
MEMORY_ROWS = (100_000, 400_000)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="check that the script runs; the figures are meaningless")
    parser.add_argument("--only", action="append", metavar="NAME", help="measure only rows whose name contains this; repeatable")
    parser.add_argument("--rounds", type=int, metavar="N", help="number of rounds (default: 7)")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="folder for peers.md and the pictures")
    parser.add_argument("--jax-shuffles", action="store_true", help="shuffle with jax.random.permutation in JAX")
    parser.add_argument("--list", action="store_true", help="print the names of all rows and exit")
    parser.add_argument(
        "--redraw", action="store_true", help="print README's table and draw speed.png from peers.md, without new measurements"
    )
    arguments = parser.parse_args()
    if arguments.redraw:
        redraw(arguments.output or RESULTS)
        return
    if arguments.quick:
        os.environ["FASTBP_BENCH"] = "quick"
    from sidebyside.measure import JAX_SHUFFLES, QUICK, TRAINERS, Effort

    effort = QUICK if arguments.quick else Effort()
    if arguments.rounds:
        effort = replace(effort, rounds=arguments.rounds)
    if arguments.jax_shuffles:
        TRAINERS["JAX"] = JAX_SHUFFLES
    whole = not (arguments.quick or arguments.only)
    page = Page(effort, arguments.only or [""])
    if arguments.list:
        print("\n".join(page.names()))
        return
    if not any(map(page.wanted, page.names())):
        parser.error(f"no row has {' or '.join(map(repr, arguments.only))} in its name; --list prints the names")
    page.write()
    folder = arguments.output or (RESULTS if whole else None)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        page.save(folder)


def redraw(folder):
    """Print README's table and draw its picture `speed.png` from the page `peers.md` in `folder`."""
    from sidebyside import report

    page = (folder / "peers.md").read_text(encoding="utf-8")
    report.draw_speed(page, folder / "speed.png")
    print(report.readme_table(page), end="")


class Page:
    """The page of results. Each line is printed when it is measured; `save` writes the file at the end."""

    def __init__(self, effort, parts):
        self.effort, self.parts = effort, parts
        self.text, self.results, self.curves = [], [], []

    def names(self):
        """The names of all rows that can be measured, in order."""
        from sidebyside.everyday import BUSY_ROWS, CALLS
        from sidebyside.measure import after_rows_here, turn_rows_here
        from sidebyside.works import SPARSE_WORKS, WORKS

        fits = [f"default fit of {table}" for table in FITS]
        everyday = [*CALLS, *BUSY_ROWS, *after_rows_here(), *turn_rows_here()]
        others = ["memory of predict", "cross_val_score", *CURVES]
        return [*WORKS, *SPARSE_WORKS, *fits, *map(_predict_name, PREDICTIONS), *everyday, *others]

    def wanted(self, name):
        return any(part in name for part in self.parts)

    def write(self):
        from sidebyside.measure import versions
        from sidebyside.works import is_quick
        from suite.common import environment

        self.where = ", ".join([environment(), *versions()])
        rounds = f"{self.effort.rounds} rounds" if self.effort.rounds > 1 else "one round"
        self.say("# fastbp compared with scikit-learn, JAX and torch\n")
        if is_quick():
            self.say("**This was a quick run, which only checks that the script works. The figures are meaningless.**\n")
        self.say(
            f"Medians of {rounds}, in which the libraries take turns. `a ≥ b` means that the ratio a reaches the goal b; `a < b` "
            "means that it does not. This page was written by `make bench-peers`; `bench/README.md` explains the figures.\n"
        )
        self.say(f"{self.where}.\n")
        for section in (self.training, self.calls, self.everyday, self.memory, self.cross_validation, self.growth):
            section()

    def training(self):
        from sidebyside import report
        from sidebyside.measure import JAX_SHUFFLES, TRAINERS, train
        from sidebyside.works import SPARSE_WORKS, WORKS

        names = [name for name in [*WORKS, *SPARSE_WORKS] if self.wanted(name)]
        if not names:
            return
        self.say("## Training: microseconds per step, and the loss after equal numbers of epochs\n")
        limits = []

        def rows():
            for name in names:
                result, limit = train(name, self.effort)
                self.results.append(result)
                limits.extend([limit] if limit else [])
                yield report.training_row(result)

        self.table(report.training_head(), rows())
        shuffles = "`jax.random.permutation`" if TRAINERS["JAX"] == JAX_SHUFFLES else "NumPy, as for torch"
        self.say(
            "The dtype is float32 unless the name of the network includes float64. `× scikit-learn` is scikit-learn's time divided "
            "by fastbp's time."
        )
        self.say(
            f"The time for shuffling is included; for JAX, the rows are shuffled by {shuffles}. JAX uses its default number of "
            "threads.\n"
        )
        if limits:
            self.say("## The matrix products of a step alone\n")
            self.table(report.LIMIT_HEAD, map(report.limit_row, limits))
            peaks = {dtype: max(max(limit.peak) for limit in limits if limit.dtype == dtype) for dtype in _dtypes(limits)}
            shown = " and ".join(f"{2e-9 * peak:.0f} GFLOP/s in {dtype}" for dtype, peak in peaks.items())
            self.say(f"Peak speed of one core, measured with a loop of fused multiply-adds on registers: {shown}.\n")

    def calls(self):
        from sidebyside import report
        from sidebyside.measure import default_fit, predict

        jobs = [(f"default fit of {name}", default_fit, name, goal) for name, goal in FITS.items()]
        jobs += [(_predict_name(n_rows), predict, n_rows, goal) for n_rows, goal in PREDICTIONS.items()]
        jobs = [job for job in jobs if self.wanted(job[0])]
        if not jobs:
            return
        self.say("## Whole fits and predictions\n")

        def rows():
            for _, measure, what, goal in jobs:
                self.results.append(measure(what, goal, self.effort))
                yield report.call_row(self.results[-1])

        self.table(report.CALLS_HEAD, rows())

    def everyday(self):
        from sidebyside.everyday import BUSY_ROWS, CALLS
        from sidebyside.measure import after_rows_here, turn_rows_here

        groups = (CALLS, BUSY_ROWS, after_rows_here(), turn_rows_here())
        names = [[name for name in rows if self.wanted(name)] for rows in groups]
        if any(names):
            self.say("## Everyday use\n")
        for section, wanted in zip((self.everyday_calls, self.busy, self.after_call, self.turns), names, strict=True):
            if wanted:
                section(wanted)

    def everyday_calls(self, names):
        from sidebyside import report
        from sidebyside.measure import everyday_calls

        self.say(
            "Each library runs in its own process with its default number of threads. The dtype is float64 unless the name "
            "includes float32. The time of an iteration of lbfgs is the time of a fit divided by its number of iterations.\n"
        )

        def rows():
            for result in everyday_calls(names, self.effort):
                self.results.append(result)
                yield report.everyday_row(result)

        self.table(report.EVERYDAY_HEAD, rows())

    def busy(self, names):
        from sidebyside import report
        from sidebyside.measure import busy_fits

        self.say(
            "The following ratios are the time of a fit divided by the median time of a fit with one thread under the same "
            "conditions. `slowest quarter` is the mean of the slowest quarter of the fits. A busy process runs a Python loop. The "
            "dtype is float32 unless the name includes float64.\n"
        )
        self.table(report.BUSY_HEAD, (report.busy_row(name, seconds) for name, seconds in busy_fits(names, self.effort)))

    def after_call(self, names):
        from sidebyside import report
        from sidebyside.measure import fits_after_call

        self.say(
            "The threads of other libraries wait actively for some time after a call. Here, a fit with two threads starts right "
            "after a matrix product of the other library in the same process. The ratio compares it with a fit alone.\n"
        )
        self.table(report.AFTER_HEAD, (report.after_row(name, fits_after_call(name, self.effort)) for name in names))

    def turns(self, names):
        from sidebyside import report
        from sidebyside.everyday import WORK_IN_TURNS
        from sidebyside.measure import turns_with_peer

        self.say(
            "The following ratios are the time of the other library divided by the time of fastbp, for an epoch of "
            f"{WORK_IN_TURNS} with two threads, or the default number of threads of JAX. With own processes, each library trains "
            "after a pause. In one process, each library trains right after the other, whose threads still wait actively. "
            "scikit-learn uses the threads of BLAS.\n"
        )
        self.table(report.TURNS_HEAD, (report.turns_row(*turns_with_peer(name, self.effort)) for name in names))

    def memory(self):
        from sidebyside import report
        from sidebyside.measure import memory_of_predict

        if not self.wanted("memory of predict"):
            return
        self.say("## Memory that `predict` uses in addition to its input\n")
        libraries = ("fastbp", "scikit-learn")
        rows = ((n, {library: memory_of_predict(library, n) for library in libraries}) for n in MEMORY_ROWS)
        self.table(report.MEMORY_HEAD, (report.memory_row(n, growth) for n, growth in rows))
        self.say("The labels take 8 bytes per row and the four outputs 16 bytes per row. The rest is working memory.\n")

    def cross_validation(self):
        from sidebyside import report
        from sidebyside.measure import cross_validation

        if not self.wanted("cross_val_score"):
            return
        self.say("## Cross-validation of 50-256-256-4 on 12,000 rows, in a new process\n")
        self.table(report.CROSS_HEAD, report.cross_rows(cross_validation(self.effort)))

    def growth(self):
        from sidebyside import measure, report

        names = [name for name in CURVES if self.wanted(name)]
        if not names:
            return
        self.say("## Time of an epoch for different numbers of rows and layers\n")

        def rows():
            for name in names:
                self.curves.append(getattr(measure, CURVES[name])(self.effort))
                yield report.curve_row(self.curves[-1])

        self.table(report.CURVE_HEAD, rows())

    def say(self, line):
        print(line, flush=True)
        self.text.append(line)

    def table(self, head, rows):
        """Print each row of a table as soon as it is measured."""
        from sidebyside import report

        lines = report.table(head, []).splitlines()
        for line in lines:
            self.say(line)
        for row in rows:
            self.say("| " + " | ".join(row) + " |")
        self.say("")

    def save(self, folder):
        from sidebyside import report

        pictures = []
        if self.results:
            report.draw_ratios(self.results, folder / "peers.png", self.where)
            pictures.append("![How many times faster fastbp is, with goals](peers.png)")
        if self.curves:
            report.draw_curves(self.curves, folder / "linear.png", self.where)
            pictures.append("![Seconds per epoch for different numbers of rows and layers](linear.png)")
        page = "\n".join([*self.text, *pictures]) + "\n"
        (folder / "peers.md").write_text(page, encoding="utf-8")
        report.draw_speed(page, folder / "speed.png")


CURVES = {"growth over rows": "curve_over_rows", "growth over depth": "curve_over_depth"}


def _dtypes(limits):
    return sorted({limit.dtype for limit in limits})


def _predict_name(n_rows):
    return "predict of one row" if n_rows == 1 else f"predict of {n_rows:,} rows"


if __name__ == "__main__":
    main()
