"""Compare the estimators for tables with gradient boosting and with pytabkit: `make bench-tables`.

Each fit runs in its own process with two threads, and its record is stored in `results/tables/`. If the script is interrupted, the
next call continues. The page of results is printed; if all tables and methods were selected, it is also saved as
`results/tables.md`. `--ablation` (`make bench-ablation`) measures the configurations of `tabular/ablation.py` instead and prints
their page. `--time` compares the speed with equal numbers of epochs, and `--memory` the memory of large fits; both print their
results and store nothing. Methods whose package or class does not exist are left out.
"""

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

from sidebyside.remote import Remote
from sidebyside.report import table
from tabular import ablation, methods, report, speed, tables
from tabular.fit import digest_of_source
from tabular.records import FOLDER, Job, Records, Settings

RESULTS = Path(__file__).parent / "results"
FOLDER_VARIABLE = "FASTBP_TABLES"
SEEDS, SEEDS_OF_CALIFORNIA = 2, 5
LONG_EPOCHS = 10
REPEATS = 10


def main():
    arguments, parser = parse()
    try:
        selected = select_tables(arguments.only, tables.names(arguments.tables))
        chosen = select_methods(arguments.method)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    if arguments.list:
        print("\n".join(["tables:", *(f"  {name}" for name in selected), "methods:", *(f"  {name}" for name in chosen)]))
        return
    if arguments.time:
        failures = time_mode(arguments, selected, chosen)
    elif arguments.memory:
        failures = memory_mode(arguments, selected, chosen)
    elif arguments.ablation:
        failures = ablation_mode(arguments, selected)
    else:
        failures = accuracy_mode(arguments, selected, chosen)
    if failures:
        sys.exit("These measurements failed:\n" + "\n".join(failures))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    folder = os.environ.get(FOLDER_VARIABLE, tables.FOLDER)
    number = {"type": int, "metavar": "N"}
    parser.add_argument("--tables", type=Path, default=folder, metavar="FOLDER", help=f"folder of NAME.tsv.gz ({FOLDER_VARIABLE})")
    parser.add_argument("--only", action="append", metavar="TABLE", help="only tables whose name contains this; repeatable")
    parser.add_argument("--method", action="append", metavar="NAME", help="only this method, or NAME[parameter=value]; repeatable")
    parser.add_argument("--seeds", **number, help=f"seeds 0 to N − 1 (default: {SEEDS}; California housing: {SEEDS_OF_CALIFORNIA})")
    parser.add_argument("--epochs", **number, help="number of epochs, or of trees; for --time, that of the long fits")
    parser.add_argument("--rows", **number, help="use at most N training rows")
    parser.add_argument("--largest", **number, help="leave out tables with more rows than N")
    parser.add_argument("--threads", **number, default=2, help="number of threads (default: 2)")
    parser.add_argument("--rounds", **number, default=3, help="rounds of --time (default: 3)")
    parser.add_argument("--repeats", **number, default=REPEATS, help=f"repeat the training rows for --memory (default: {REPEATS})")
    parser.add_argument("--again", action="store_true", help="measure the selected fits again and replace their records")
    parser.add_argument("--report", action="store_true", help="print the page from the stored records without new measurements")
    parser.add_argument("--time", action="store_true", help="compare the speed with the reference of each method")
    parser.add_argument("--memory", action="store_true", help="compare the memory of fits with many rows")
    parser.add_argument("--ablation", action="store_true", help="compare the configurations of tabular/ablation.py")
    parser.add_argument("--list", action="store_true", help="print the selected tables and methods and exit")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="folder of the page and the records")
    return parser.parse_args(), parser


def select_tables(parts, known):
    """The names of the tables that contain one of `parts`, or all names."""
    selected = [name for name in known if not parts or any(part in name for part in parts)]
    if not selected:
        raise ValueError(f"--only must be a part of the name of a table: {', '.join(known)}; got {parts}.")
    return selected


def select_methods(names):
    """The methods to measure: `names`, or all that are available."""
    known = methods.methods()
    chosen = names or list(known)
    parsed = {name: known[methods.parse(name)[0]] for name in chosen}
    missing = [name for name in chosen if not parsed[name].is_available()]
    if names and missing:
        raise ValueError(f"--method must be a method whose package is installed and whose class exists; got {missing}.")
    return [name for name in chosen if name not in missing]


# ---------------------------------------------------------------------- accuracy


def accuracy_mode(arguments, selected, chosen):
    from suite.common import environment  # limits the threads of BLAS in this process

    found, failures = records_of(list(jobs_of(selected, chosen, arguments.seeds)), arguments)
    page = report.page(found, f"{environment()}, {packages(found)}")
    print(page)
    parts = (arguments.only, arguments.method, arguments.rows, arguments.epochs, arguments.largest, arguments.seeds, failures)
    if arguments.output or not any(parts):
        folder = arguments.output or RESULTS
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tables.md").write_text(page, encoding="utf-8")
    return failures


def records_of(jobs, arguments):
    """The records of the jobs, after those without a record were measured, and the errors as lines."""
    records = Records(Settings(arguments.rows, arguments.epochs, arguments.threads), arguments.output or FOLDER)
    failures = [] if arguments.report else measure(jobs, records, arguments)
    found = records.find(jobs)
    for line in old_code(found):
        say(line)
    return found, failures


def ablation_mode(arguments, selected):
    from suite.common import environment

    tasks = tables.names(arguments.tables)
    needed = {task: ablation.methods_of_task(task) for task in tables.TASKS}
    every = dict.fromkeys(method for of_task in needed.values() for method in of_task)
    jobs = [job for job in jobs_of(selected, every, arguments.seeds) if job.method in needed[tasks[job.table]]]
    found, failures = records_of(jobs, arguments)
    print(ablation.ablation_page(found, f"{environment()}, {packages(found)}"))
    return failures


def jobs_of(selected, chosen, n_seeds):
    """All jobs. Those of one table and seed follow each other, so that their times can be compared."""
    counts = {name: n_seeds or (SEEDS_OF_CALIFORNIA if name == tables.CALIFORNIA else SEEDS) for name in selected}
    for seed in range(max(counts.values())):
        for name in selected:
            if seed < counts[name]:
                yield from (Job(name, method, seed) for method in chosen)


def measure(jobs, records, arguments):
    """Measure the jobs that have no record. Return the errors as lines."""
    run, failures = time.strftime("%Y-%m-%d %H:%M:%S"), []
    todo = [job for job in jobs if arguments.again or records.get(job) is None]
    too_large = large_tables({job.table for job in todo}, arguments)
    todo = [job for job in todo if job.table not in too_large]
    options = {"folder": arguments.tables, "most_rows": arguments.rows, "threads": arguments.threads}
    for i, job in enumerate(todo):
        say(f"[{i + 1}/{len(todo)}] {job.table}, {job.method}, seed {job.seed}")
        try:
            with Remote("tabular.fit:Fit", job.table, job.method, job.seed, n_threads=arguments.threads, **options) as process:
                record = process.call("measure", arguments.epochs)
        except (RuntimeError, EOFError, OSError) as error:
            failures.append(failure(job.table, job.method, error))
            continue
        records.put(job, {"run": run, **record})
        say(f"    error {record['error']:.4f}, {record['fit_seconds']:.1f} s")
    return failures


def large_tables(names, arguments):
    if arguments.largest is None:
        return set()
    return {name for name in names if len(tables.load(name, arguments.tables).y) > arguments.largest}


def failure(name, method, error):
    lines = str(error).strip().splitlines() or [type(error).__name__]
    say(f"    failed: {lines[-1]}")
    return f"{name}, {method}: {lines[-1]}"


def packages(found):
    """The versions of the packages that were measured, except those in `environment`."""
    import sklearn

    import fastbp

    versions = {(record["method"].split("-")[0], record["version"]) for record in found}
    versions -= {("fastbp", fastbp.__version__), ("sklearn", sklearn.__version__)}  # in `environment`
    return ", ".join(f"{name} {version}" for name, version in sorted(versions)) or "no other packages"


def old_code(found):
    """Lines about records of fastbp that were measured with other source files."""
    present = digest_of_source()
    old = [record for record in found if record["code"] not in (None, present)]
    if old:
        names = sorted({record["method"] for record in old})
        yield f"{len(old)} records of {', '.join(names)} are of earlier source files; --again replaces them."


# ---------------------------------------------------------------------- time and memory


def time_mode(arguments, selected, chosen):
    work, failures = work_of(arguments), []
    selected = [name for name in selected if name not in large_tables(selected, arguments)]
    pairs = {ours: theirs for ours, theirs in speed.references().items() if ours in chosen}
    for ours, theirs in pairs.items():
        measured = []
        for name in selected:
            say(f"{name}: {ours} and {theirs}")
            try:
                measured.append(speed.measure_pair(work, name, ours, theirs, arguments.epochs or LONG_EPOCHS))
            except (RuntimeError, EOFError, OSError) as error:
                failures.append(failure(name, ours, error))
        if measured:
            print(f"## {ours}: time of {theirs} ÷ time of {ours}, {arguments.epochs or LONG_EPOCHS} epochs\n")
            print(table(speed.PAIR_HEAD, [*(pair.row() for pair in measured), speed.pair_summary(ours, measured)]), flush=True)
    return failures + boosting_times(work, selected, [name for name in ("fastbp-realmlp-td-s",) if name in chosen])


def boosting_times(work, selected, names):
    """The times of default fits, compared with CatBoost, on the tables that have enough rows."""
    if not names or not methods.methods()["catboost"].is_available():
        return []
    rows, failures, ratios = [], [], []
    enough = speed.ROWS_FOR_BOOSTING / (1 - tables.TEST_SHARE)
    for name in selected:
        if len(tables.load(name, work.folder).y) < enough:
            continue
        say(f"{name}: default fits of catboost and {', '.join(names)}")
        try:
            seconds = speed.compare_with_boosting(replace(work, epochs=None), name, ["catboost", *names])
        except (RuntimeError, EOFError, OSError) as error:
            failures.append(failure(name, "catboost", error))
            continue
        ratios.append([seconds[method] / seconds["catboost"] for method in names])
        rows.append([name, *(f"{value:.3g}" for value in seconds.values()), *(f"{ratio:.2f}" for ratio in ratios[-1])])
    if rows:
        middle = [median(column) for column in zip(*ratios, strict=True)]
        limit = speed.BOOSTING_GOAL
        shown = [f"**{value:.2f}** {'≤' if value <= limit else '>'} {limit}" for value in middle]
        rows.append(["median", *[""] * (1 + len(names)), *shown])
        print(f"## Seconds of a default fit on {speed.ROWS_FOR_BOOSTING:,} rows\n")
        print(table(["table", "catboost", *names, *(f"{name} ÷ catboost" for name in names)], rows), flush=True)
    return failures


def memory_mode(arguments, selected, chosen):
    work, rows, failures = work_of(arguments), [], []
    for name in selected if arguments.only else tables.LARGE:
        for method in chosen:
            say(f"{name}: memory of {method}")
            try:
                record = speed.measure_memory(work, name, method, arguments.repeats)
            except (RuntimeError, EOFError, OSError) as error:
                failures.append(failure(name, method, error))
                continue
            rows.append(speed.memory_row(name, method, record))
    if rows:
        print(f"## Memory, training rows repeated {arguments.repeats} times, {arguments.epochs or 1} epochs\n")
        print(table(speed.MEMORY_HEAD, rows, left=2))
    return failures


def work_of(arguments):
    return speed.Work(arguments.tables, arguments.threads, arguments.rounds, arguments.rows, arguments.epochs)


def say(line):
    """Progress goes to the standard error, so that the standard output is the page."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
