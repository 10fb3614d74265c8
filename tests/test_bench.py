"""Tests that the benchmarks, the demo and README's examples run and have the expected output. Speed is not tested.

The tests find benchmarks by their names, as asv does, and call them as asv does, with the first and the last combination of their
parameters.
"""

import importlib
import itertools
import json
import os
import re
import subprocess
import sys
from functools import cache
from importlib import metadata, util
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"
SUITE = BENCH / "suite"
IS_BENCHMARK = re.compile(r"(time|timeraw|track|mem|peakmem)_")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setenv("FASTBP_BENCH", "quick")
    monkeypatch.syspath_prepend(BENCH)


def classes():
    """(module, class) of every class with benchmarks. The source files are searched, not imported."""
    modules = sorted(SUITE.glob("bench_*.py"))
    return [(path.stem, name) for path in modules for name in re.findall(r"^class (\w+)", path.read_text(), re.MULTILINE)]


def find(module, name):
    return getattr(importlib.import_module(f"suite.{module}"), name)


@cache
def cached(cls):
    """The result of `setup_cache` in a tuple, or an empty tuple. As in asv, `setup_cache` is called once per class."""
    value = cls().setup_cache() if hasattr(cls, "setup_cache") else None
    return () if value is None else (value,)


def parameters(cls):
    """The first and the last of all parameter combinations."""
    lists = getattr(cls, "params", [])
    lists = lists if lists and isinstance(lists[0], list) else [lists] if lists else []
    every = list(itertools.product(*lists))
    return [every[0], every[-1]]


def call(cls, benchmark, values):
    """Run one benchmark as asv does: on a new instance, after its setup."""
    instance, arguments = cls(), (*cached(cls), *values)
    if hasattr(instance, "setup"):
        instance.setup(*arguments)
    return getattr(instance, benchmark)(*arguments)


def run(*command, **environment):
    result = subprocess.run(
        [sys.executable, *map(str, command)], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.long
@pytest.mark.parametrize(("module", "name"), classes())
def test_every_benchmark_runs(module, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # as in asv, setup_cache may write files to the current folder
    cls = find(module, name)
    benchmarks = [attribute for attribute in dir(cls) if IS_BENCHMARK.match(attribute)]
    assert benchmarks
    for benchmark, values in itertools.product(benchmarks, parameters(cls)):
        result = call(cls, benchmark, values)
        if benchmark.startswith("track_"):
            assert isinstance(result, float)
        if benchmark.startswith("timeraw_"):
            run("-c", result)


def test_folders_of_the_asv_configuration_exist_or_are_ignored_by_git():
    lines = (BENCH / "asv.conf.json").read_text().splitlines()
    conf = json.loads("\n".join(line for line in lines if not line.lstrip().startswith("//")))
    assert (BENCH / conf["repo"]).resolve() == BENCH.parent
    assert (BENCH / conf["benchmark_dir"]).resolve() == SUITE
    assert "--no-deps" in conf["build_command"][0]
    ignored = (BENCH.parent / ".gitignore").read_text().splitlines()
    assert {f"bench/{conf['env_dir']}/", f"bench/{conf['html_dir']}/", f"bench/{conf['results_dir']}/**/*.json"} <= set(ignored)


@pytest.mark.slow
@pytest.mark.skipif(
    not util.find_spec("asv") or not any(metadata.distributions(name="fastbp")),
    reason="needs asv from the extra `bench`, which `make bench` installs, and an installed fastbp, because asv hides PYTHONPATH",
)
def test_asv_check_passes(tmp_path):
    run("-m", "asv", "check", "--python=same", "--config", BENCH / "asv.conf.json", HOME=str(tmp_path))


def test_unknown_profile_is_an_error(monkeypatch):
    from suite import common

    monkeypatch.setenv("FASTBP_BENCH", "fast")
    with pytest.raises(ValueError, match=r"FASTBP_BENCH must be one of .*'fast'"):
        common.profile()


@pytest.mark.slow
def test_ratios_prints_its_table():
    lines = run(BENCH / "ratios.py", "--quick").splitlines()
    assert lines[0].startswith("| work")
    assert set(lines[1]) <= set("|-:")
    works = [line.split("|")[1].strip() for line in lines[2:8]]
    assert works == [
        "an epoch of 10-16-1 b10 sgd",
        "an epoch of 20-100-1 b200 adam",
        "an epoch of 32-64-64-3 b32 adam",
        "a default fit of iris",
        "a default fit of wine",
        "a default fit of diabetes",
    ]
    assert {line.count("|") for line in lines[:8]} == {6}
    assert "numba" in lines[-1]
    assert "sklearn" in lines[-1]


@pytest.mark.long
def test_serving_prints_calls_and_requests():
    """The servers answer all requests; `measured_calls` compares the probabilities of all ways of prediction."""
    lines = run(BENCH / "serving.py", "--quick").splitlines()
    names = [line.split("|")[1].strip() for line in lines if line.startswith("| ") and "onnxruntime" not in line]
    ways = ["compile_predict", "fastbp predict_proba", "scikit-learn"]
    calls = [f"{way}, {dtype}" for dtype in ("float32", "float64") for way in ways]
    assert names == ["call for one row", *calls, "requests for one row, float32", *ways]
    assert all(float(line.split("|")[-2]) > 0 for line in lines if line.split(",")[0].strip("| ") in ways)


@pytest.mark.long
def test_peers_reach_equal_losses_and_write_the_page(tmp_path):
    pytest.importorskip("matplotlib")
    parts = ["10-16-1 b10 sgd", "20-100-1 b200 adam float64", "CSR", "wine", "growth over depth"]
    options = [word for part in parts for word in ("--only", part)]
    printed = run(BENCH / "peers.py", "--quick", *options, "--output", tmp_path)
    page = (tmp_path / "peers.md").read_text(encoding="utf-8")
    assert printed in page
    training = page.partition("\n## Training")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in training.splitlines() if line.startswith("| ")]
    trained = {row[0]: row for row in rows[2:]}
    assert list(trained)[:2] == parts[:2]
    assert len(trained) == 3
    for row in trained.values():
        losses = [float(cell.split(" · ")[1]) for cell in row[3:7] if " · " in cell]
        assert len(losses) >= 2
        assert max(losses) - min(losses) < 1e-4  # the peers did equal work
    assert str(BENCH.parent) not in page
    assert "(peers.png)" in page
    assert "(linear.png)" in page
    for name in ("peers.png", "linear.png", "speed.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.long
def test_peers_measure_everyday_use():
    parts = [
        "partial_fit of 1 row",
        "2-100-100",
        "one row of diabetes",
        "30-32-4 b200",
        "BLAS of NumPy",
        "in turns with scikit-learn",
    ]
    printed = run(BENCH / "peers.py", "--quick", *(word for part in parts for word in ("--only", part)))
    section = printed.partition("\n## Everyday use")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| ")]
    first = [row[0] for row in rows if not row[0].startswith("-")]
    assert first == [
        "call, default number of threads",
        "partial_fit of 1 row, MLPRegressor 20-50",
        "partial_fit of 1 row, MLPClassifier 20-50",
        "iteration of lbfgs, 100 rows, 2-100-100",
        "predict of one row of diabetes",
        "fit",
        "threads of 30-32-4 b200, quiet machine",
        "threads of 30-32-4 b200, two busy processes",
        "fit of 30-256-256-4 b64",
        "two threads after a call of BLAS of NumPy",
        "training of an epoch",
        "training in turns with scikit-learn",
    ]
    head, turns = rows[-3], rows[-1]
    assert len(head) == len(turns) == 8
    apart, together, change = (float(turns[head.index(name)].split()[0]) for name in (head[3], head[6], head[7]))
    assert (head[3], head[6], head[7]) == ("ratio, own processes", "ratio, one process", "change of the ratio")
    assert 100 * (together / apart - 1) == pytest.approx(change, abs=3 + 0.05 * abs(change))


def test_busy_processes_end_with_their_context():
    from sidebyside.everyday import BusyProcesses

    with BusyProcesses(2) as busy:
        assert [process.poll() for process in busy.processes] == [None, None]
    assert None not in [process.poll() for process in busy.processes]


def test_everyday_calls_do_the_same_work_in_both_libraries():
    from sidebyside import everyday_calls
    from sidebyside.everyday import CALLS

    for name in ("partial_fit of 32 rows, MLPClassifier 20-50", "iteration of lbfgs, 100 rows, 2-100-100"):
        assert name in CALLS
        both = [everyday_calls.prepare(library, name) for library in ("fastbp", "scikit-learn")]
        for prepared in both:
            prepared.call()
        ours, theirs = (prepared.estimator.loss_ for prepared in both)
        assert ours == pytest.approx(theirs, rel=1e-7)


def cells_of(printed):
    """The cells of all lines of Markdown tables, without the lines below the heads."""
    lines = [line for line in printed.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


@pytest.mark.long
def test_mixed_precision_compares_errors_losses_and_gradients(tmp_path):
    records = tmp_path / "fits.jsonl"
    options = ["--only", "vowel", "--only", "california", "--seeds", "2", "--rows", "600", "--steps", "30", "--late-steps", "30"]
    of_methods = ["--method-rows", "300", "--method-seeds", "1", "--realmlp-epochs", "3", "--tabm-epochs", "2"]
    command = [BENCH / "mixed_precision.py", "--accuracy", *options, *of_methods, "--output", records]
    printed = run(*command, "--gradients", "--only", "784-128-10", "--batches", "1")
    rows = cells_of(printed)
    assert [row[0] for row in rows[:3]] == ["table", "california_housing", "vowel"]
    kinds = ("loss, final weights", "loss, last epoch", "test error, %")
    assert [row[0] for row in rows[3:7]] == ["table", *(f"california_housing, {kind}" for kind in kinds)]
    for row in rows[1:3]:
        float32, mixed, _, difference = (float(cell.split()[0]) for cell in row[2:6])
        assert mixed - float32 == pytest.approx(difference, abs=0.002)
        assert abs(difference) < 0.2 * float32
    for at in (7, 10):  # RealMLP and TabM
        assert [row[0] for row in rows[at : at + 3]] == ["table", "california_housing", "vowel"]
        assert all(abs(float(row[5].split()[0])) < 0.3 * float(row[2]) for row in rows[at + 1 : at + 3])
    gradients = rows[14:]
    assert [row[0] for row in gradients] == ["784-128-10 b256"] * 4
    assert [row[2] for row in gradients[:2]] == ["784 × 128", "128 × 10"]
    for float32, mixed in ((float(cell) for cell in row[3:5]) for row in gradients[:2]):
        assert float32 < 1e-5
        assert 1e-4 < mixed < 0.2
    fits = [json.loads(line) for line in records.read_text().splitlines()]
    assert len(fits) == 2 * 2 * 3 + 2 * 2 * 2
    fits = [fit for fit in fits if fit["result"]["loss"] is not None]
    pairs = {tuple(fit["case"][:3]): fit["result"]["loss"] for fit in fits if fit["case"][3] == "float32"}
    assert len(fits) == 2 * 2 * 3
    assert all(fit["result"]["loss"] != pairs[tuple(fit["case"][:3])] for fit in fits if fit["case"][3] != "float32")
    assert cells_of(run(*command, "--report")) == rows[:13]


def test_mixed_precision_does_not_measure_the_speed_of_the_emulation():
    result = subprocess.run(
        [sys.executable, str(BENCH / "mixed_precision.py"), "--speed"],
        env={**os.environ, "FASTBP_EMULATE_BF16": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert "The emulation is slower than float32" in result.stderr


@pytest.mark.long
def test_steps_of_mixed_precision_are_measured_and_reach_the_same_losses(monkeypatch):
    from precision import speed
    from sidebyside.works import Work

    monkeypatch.setenv("FASTBP_EMULATE_BF16", "1")
    monkeypatch.setattr(speed, "NETWORKS", {"40-48-40-3": Work((40, 48, 40, 3), 64, "adam", {}, n_rows=512)})
    monkeypatch.setattr(speed, "names_here", lambda n_threads: [speed.OURS, "fastbp float32"])
    steps = speed.measure("40-48-40-3", 1, speed.Effort(2, 0.0, 1, 10))
    mixed, float32 = steps[speed.OURS], steps["fastbp float32"]
    assert mixed.loss != float32.loss
    assert mixed.loss == pytest.approx(float32.loss, rel=1e-2)
    row = speed.speed_row("40-48-40-3", 1, steps, ["fastbp mixed", "torch float32", "fastbp float32"])
    assert row[:2] == ["40-48-40-3", "1"]
    assert row[3] == "–"
    assert [cell.count(" · ") for cell in row[2:]] == [1, 0, 2]


def test_p_values_are_corrected_by_the_method_of_holm():
    from precision.accuracy import Paired, holm

    assert holm([0.04, 0.01, 0.03, 0.5]) == pytest.approx([0.09, 0.04, 0.09, 0.5])
    assert holm([0.4, 0.6]) == [0.8, 0.8]
    paired = Paired.of([1.0, 2.0, 4.0], [1.5, 2.0, 5.0])
    assert paired[:4] == pytest.approx((7 / 3, 8.5 / 3, 0.5, 0.5 / 3**0.5))
    assert paired.p == pytest.approx(0.225403, abs=1e-6)  # t = √3 with two degrees of freedom: p = 1 − √(3 / 5)
    assert Paired.of([1.0, 2.0], [1.0, 2.0]) == (1.5, 1.5, 0.0, 0.0, 1.0)


@pytest.mark.slow
def test_readme_has_the_table_of_the_latest_results(tmp_path):
    """README has the table that `peers.py` makes from `bench/results/peers.md`, and no row is missing."""
    pytest.importorskip("matplotlib")
    page = BENCH / "results" / "peers.md"
    (tmp_path / "peers.md").write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
    table = run(BENCH / "peers.py", "--redraw", "--output", tmp_path)
    assert len(table.splitlines()) == 17
    assert table in (BENCH.parent / "README.md").read_text(encoding="utf-8")
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")


def test_unknown_row_is_an_error():
    result = subprocess.run(
        [sys.executable, str(BENCH / "peers.py"), "--only", "tensorflow"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "no row has 'tensorflow' in its name" in result.stderr


def test_loss_of_peers_agrees_with_scikit_learn():
    from sidebyside import works
    from sklearn.metrics import log_loss
    from sklearn.neural_network import MLPClassifier

    for name in ("10-16-1 b10 sgd", "32-64-64-3 b32 adam"):
        work = works.WORKS[name]
        X, y = works.data(work)
        start = works.Start(work, len(y))
        oracle = MLPClassifier(work.sizes[1:-1], solver=work.solver, batch_size=work.batch_size, random_state=0)
        oracle.partial_fit(X, y, classes=sorted(set(y)))
        oracle.coefs_, oracle.intercepts_ = start.coefs, start.intercepts
        expected = log_loss(y, oracle.predict_proba(X))
        assert works.loss(work, (start.coefs, start.intercepts), X, y) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_demo_prints_its_table_and_saves_its_picture(tmp_path):
    for name in ("pandas", "matplotlib", "rich"):
        pytest.importorskip(name)
    picture = tmp_path / "new" / "curves.png"
    printed = run(BENCH / "demo.py", "--quick", "--picture", picture, COLUMNS="100")
    assert "first use" in printed
    for name in ("Adult census", "MNIST", "California housing"):
        rows = [line for line in printed.splitlines() if name in line]
        assert len(rows) == 3  # two progress bars, one row of the table
    assert str(picture) in printed
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_examples_in_readme_have_the_printed_output():
    assert run("-m", "doctest", BENCH.parent / "README.md") == ""
