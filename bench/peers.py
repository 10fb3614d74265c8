"""fastbp beside scikit-learn, JAX and torch: `make bench-peers`.

Each peer trains in a process of its own, as those who know it would write it; the processes take turns, and each figure is the
median of the rounds. Ratios stand beside the goals, and losses after equal epochs beside the times. The page and two pictures go
to `results/`, unless only a part was asked for: then they are made only where `--output` says so. Peers that are not installed
are left out.
"""

import argparse
import os
from dataclasses import replace
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
FITS = {"iris": 14, "wine": 14, "diabetes": 8}
PREDICTIONS = {1: 3, 100_000: 2}
MEMORY_ROWS = (100_000, 400_000)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="measure next to nothing: only show that it runs")
    parser.add_argument("--only", action="append", metavar="NAME", help="only rows with this in their name; may be given again")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds to take the median of (default: 7)")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where peers.md and the pictures go")
    parser.add_argument("--jax-shuffles", action="store_true", help="let JAX shuffle by jax.random.permutation, inside the epoch")
    parser.add_argument("--list", action="store_true", help="print the names of all rows")
    arguments = parser.parse_args()
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


class Page:
    """The page, printed as it is measured and saved at the end."""

    def __init__(self, effort, parts):
        self.effort, self.parts = effort, parts
        self.text, self.results, self.curves = [], [], []

    def names(self):
        """Of everything that can be measured, in order."""
        from sidebyside.works import SPARSE_WORKS, WORKS

        fits = [f"default fit of {table}" for table in FITS]
        return [*WORKS, *SPARSE_WORKS, *fits, *map(_predict_name, PREDICTIONS), "memory of predict", "cross_val_score", *CURVES]

    def wanted(self, name):
        return any(part in name for part in self.parts)

    def write(self):
        from sidebyside.measure import versions
        from sidebyside.works import is_quick
        from suite.common import environment

        self.where = ", ".join([environment(), *versions()])
        rounds = f"{self.effort.rounds} rounds" if self.effort.rounds > 1 else "one round"
        self.say("# fastbp beside its peers\n")
        if is_quick():
            self.say("**A quick run, which measures next to nothing: no figure here means anything.**\n")
        self.say(
            f"Medians of {rounds}, in which all take turns; `a ≥ b` is a ratio and the goal that it reaches, `a < b` one that "
            "misses it. Made by `make bench-peers`; `bench/README.md` says how to read it.\n"
        )
        self.say(f"{self.where}.\n")
        for section in (self.training, self.calls, self.memory, self.cross_validation, self.growth):
            section()

    def training(self):
        from sidebyside import report
        from sidebyside.measure import JAX_SHUFFLES, TRAINERS, train
        from sidebyside.works import SPARSE_WORKS, WORKS

        names = [name for name in [*WORKS, *SPARSE_WORKS] if self.wanted(name)]
        if not names:
            return
        self.say("## Training: microseconds per step, and the loss after equal epochs\n")
        limits = []

        def rows():
            for name in names:
                result, limit = train(name, self.effort)
                self.results.append(result)
                limits.extend([limit] if limit else [])
                yield report.training_row(result)

        self.table(report.training_head(), rows())
        shuffles = "`jax.random.permutation`" if TRAINERS["JAX"] == JAX_SHUFFLES else "NumPy, as for torch"
        self.say("float32 unless said; `× peer` is the peer's time ÷ fastbp's. Shuffling counts for all; for JAX it is done by")
        self.say(f"{shuffles}. JAX uses its default threads throughout.\n")
        if limits:
            self.say("## The physical limit: a step's matrix products alone\n")
            self.table(report.LIMIT_HEAD, map(report.limit_row, limits))
            peaks = {dtype: max(max(limit.peak) for limit in limits if limit.dtype == dtype) for dtype in _dtypes(limits)}
            shown = " and ".join(f"{2e-9 * peak:.0f} GFLOP/s in {dtype}" for dtype, peak in peaks.items())
            self.say(f"The peak of one core, by a loop of fused multiply-adds on registers: {shown}.\n")

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

    def memory(self):
        from sidebyside import report
        from sidebyside.measure import memory_of_predict

        if not self.wanted("memory of predict"):
            return
        self.say("## Memory that `predict` takes on top of its input\n")
        libraries = ("fastbp", "scikit-learn")
        rows = ((n, {library: memory_of_predict(library, n) for library in libraries}) for n in MEMORY_ROWS)
        self.table(report.MEMORY_HEAD, (report.memory_row(n, growth) for n, growth in rows))
        self.say("Labels take 8 bytes a row, and the four outputs that they come from 16; the rest is working memory.\n")

    def cross_validation(self):
        from sidebyside import report
        from sidebyside.measure import cross_validation

        if not self.wanted("cross_val_score"):
            return
        self.say("## Cross-validation of 50-256-256-4 on 12,000 rows, from a fresh process on\n")
        self.table(report.CROSS_HEAD, report.cross_rows(cross_validation(self.effort)))

    def growth(self):
        from sidebyside import measure, report

        names = [name for name in CURVES if self.wanted(name)]
        if not names:
            return
        self.say("## How cost grows\n")

        def rows():
            for name in names:
                self.curves.append(getattr(measure, CURVES[name])(self.effort))
                yield report.curve_row(self.curves[-1])

        self.table(report.CURVE_HEAD, rows())

    def say(self, line):
        print(line, flush=True)
        self.text.append(line)

    def table(self, head, rows):
        """Print each row as soon as it is there."""
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
            pictures.append("![How many times sooner fastbp is done](peers.png)")
        if self.curves:
            report.draw_curves(self.curves, folder / "linear.png", self.where)
            pictures.append("![Seconds per epoch over rows and over depth](linear.png)")
        (folder / "peers.md").write_text("\n".join([*self.text, *pictures]) + "\n", encoding="utf-8")


CURVES = {"growth over rows": "curve_over_rows", "growth over depth": "curve_over_depth"}


def _dtypes(limits):
    return sorted({limit.dtype for limit in limits})


def _predict_name(n_rows):
    return "predict of one row" if n_rows == 1 else f"predict of {n_rows:,} rows"


if __name__ == "__main__":
    main()
