"""Tests of `bench/tables.py`: splits, tables, methods, stored records, figures of the page, and a run with two small methods."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pandas")

ROOT = Path(__file__).parents[1]
BENCH = ROOT / "bench"
TABLES = ROOT / "datasets" / "tables"
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def path(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)


def run(*arguments, status=0, **environment):
    result = subprocess.run(
        [sys.executable, str(BENCH / "tables.py"), *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert result.returncode == status, result.stdout + result.stderr
    return result


def small_table(task="regression", n_rows=60):
    """Two numeric columns, one of them with a missing value, and a categorical column with a missing value."""
    import pandas
    from tabular.tables import make_table

    rng = np.random.RandomState(0)
    X = pandas.DataFrame({"a": rng.normal(size=n_rows), "b": rng.normal(size=n_rows), "c": rng.randint(3, size=n_rows)})
    y = X["a"] - X["b"] + X["c"]
    X = X.astype({"c": object})
    X.loc[0, "b"] = X.loc[1, "c"] = None
    return make_table("small", task, X, y > 0 if task == "classification" else y, ["c"])


# ---------------------------------------------------------------------- tables


def test_split_has_the_sizes_of_the_papers_for_california_housing():
    from sklearn.model_selection import train_test_split
    from tabular.tables import split

    train, test = split(20_640, 0)
    assert len(test) == 4128
    assert [len(part) for part in train_test_split(train, test_size=0.2)] == [13_209, 3_303]


def test_split_uses_each_row_once_and_depends_on_the_seed_only():
    from tabular.tables import split

    train, test = split(101, 3)
    np.testing.assert_array_equal(np.sort([*train, *test]), np.arange(101))
    np.testing.assert_array_equal(split(101, 3)[0], train)
    assert set(split(101, 4)[1]) != set(test)
    fewer, same = split(101, 3, most_rows=10)
    np.testing.assert_array_equal(fewer, train[:10])
    np.testing.assert_array_equal(same, test)


def test_tables_agree_with_their_readme():
    from tabular import tables

    rows = [line.split("|")[1:-1] for line in (TABLES / "README.md").read_text(encoding="utf-8").splitlines() if line[:2] == "| "]
    expected = [[cell.strip().replace(",", "") for cell in row] for row in rows[1:]]
    found = []
    for name, task in tables.names().items():
        if name not in tables.LARGE:
            table = tables.load(name)
            counts = [*table.X.shape, len(table.categorical)]
            found.append([name, task, *map(str, counts)])
            assert not table.X.isna().any().any()
            assert all(table.X[column].cat.categories.dtype.kind == "i" for column in table.categorical)
            assert max([0, *(table.X[column].nunique() for column in table.categorical)]) <= 15
    assert found == expected
    assert {name for name, task, *_ in found if task == "classification"} == {
        name for name, facts in json.loads((TABLES / "tables.json").read_text()).items() if facts["task"] == "classification"
    }


def test_files_of_tables_have_the_digests_of_their_readme():
    from hashlib import sha256

    lines = (TABLES / "README.md").read_text(encoding="utf-8").splitlines()
    listed = dict(reversed(line.split()) for line in lines if line.endswith(".tsv.gz"))
    assert listed == {path.name: sha256(path.read_bytes()).hexdigest() for path in TABLES.glob("*.gz")}


def test_classes_are_integers_from_zero_also_in_a_part_of_the_rows():
    from tabular.tables import load

    table = load("vowel")
    assert set(table.y) == set(range(11))
    few = table.rows(np.flatnonzero(table.y > 7))
    assert set(few.y) == {0, 1, 2}
    assert list(few.X.index) == list(range(len(few.y)))


def test_tables_of_another_folder_need_their_facts(tmp_path):
    import pandas
    from tabular import tables

    frame = pandas.DataFrame({"x": [0.5, 1.5], "kind": [3, 4], "target": [1.0, 2.0]})
    frame.to_csv(tmp_path / "own.tsv.gz", sep="\t", index=False)
    with pytest.raises(ValueError, match=r"tables\.json must contain .*\['own'\]"):
        tables.names(tmp_path)
    (tmp_path / "tables.json").write_text(json.dumps({"own": {"task": "regression", "categorical": ["kind"]}}))
    assert tables.names(tmp_path) == {**tables.LARGE, "own": "regression"}
    table = tables.load("own", tmp_path)
    assert (table.categorical, table.numeric) == (["kind"], ["x"])
    with pytest.raises(FileNotFoundError, match="--tables must be a folder"):
        tables.names(tmp_path / "missing")


# ---------------------------------------------------------------------- methods


def test_methods_of_fastbp_appear_with_their_classes(monkeypatch):
    from sklearn.utils._param_validation import StrOptions
    from tabular import methods

    import fastbp

    class RealMLPRegressor:
        _parameter_constraints = {"preset": [StrOptions({"td", "td-s", "best"})]}

        def __init__(self, preset="td", random_state=None, n_threads=None, n_epochs=256):
            self.given = preset, random_state, n_threads, n_epochs

    for name in ("RealMLPRegressor", "RealMLPClassifier", "TabMRegressor"):
        monkeypatch.delattr(fastbp, name, raising=False)
    names = ["fastbp-realmlp-td-s", "fastbp-realmlp-td", "fastbp-tabm"]
    assert [methods.methods()[name].is_available() for name in names] == [False, False, False]
    assert "fastbp-realmlp-best" not in methods.methods()
    monkeypatch.setattr(fastbp, "RealMLPRegressor", RealMLPRegressor, raising=False)
    assert [methods.methods()[name].is_available() for name in names] == [True, True, False]
    table = small_table()
    assert methods.make("fastbp-realmlp-td-s", table, 7, epochs=3).given == ("td-s", 7, 2, 3)
    assert methods.make("fastbp-realmlp-best[n_epochs=9]", table, 7, n_threads=1).given == ("best", 7, 1, 9)


def test_parameters_of_a_method_are_parsed():
    from tabular.methods import parse

    assert parse("catboost") == ("catboost", {})
    assert parse("fastbp-mlp[alpha=0.1, solver='sgd']") == ("fastbp-mlp", {"alpha": 0.1, "solver": "sgd"})
    for text in ("tensorflow", "catboost[", "catboost]"):
        with pytest.raises(ValueError, match="A method must be one of"):
            parse(text)
    with pytest.raises(ValueError, match="must be written as in"):
        parse("catboost[depth=print()]")


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("name", ["catboost", "lightgbm", "xgboost", "fastbp-mlp", "sklearn-mlp", "pytabkit-realmlp-td-s"])
def test_methods_accept_missing_values_and_categories(name, task):
    from tabular import methods

    if not methods.methods()[name].is_available():
        pytest.skip(f"{name} is not installed")  # the peers are installed in .venv-tables only
    table = small_table(task)
    predicted = methods.make(name, table, 0, epochs=2).fit(table.X, table.y).predict(table.X)
    assert 0 <= methods.error(task, table.y, predicted) < 2


def test_input_of_peers_has_no_missing_values_where_they_do_not_accept_them():
    from tabular import methods

    table = small_table()
    text = methods.PEERS["catboost"].prepare(table, table.X)
    assert set(text["c"]) == {"0", "1", "2", "missing"}
    assert text["b"].isna().sum() == 1  # CatBoost accepts missing numbers
    filled = methods.PEERS["pytabkit-realmlp-td"].prepare(table, table.X)
    assert filled["b"][0] == table.X["b"].median()
    assert filled["c"].isna().sum() == 1  # pytabkit accepts missing categories


def test_errors_agree_with_scikit_learn():
    from sklearn.metrics import accuracy_score, r2_score
    from tabular.methods import error

    rng = np.random.RandomState(0)
    y, predicted = rng.normal(size=(2, 50))
    assert error("regression", y, predicted[:, None]) == pytest.approx(math.sqrt(1 - r2_score(y, predicted)))
    assert error("classification", y > 0, predicted > 0) == pytest.approx(1 - accuracy_score(y > 0, predicted > 0))


def test_log_loss_agrees_with_scikit_learn_and_accepts_new_classes():
    from sklearn.metrics import log_loss
    from tabular import methods

    chances = np.random.RandomState(0).dirichlet(np.ones(3), size=20)
    y = np.arange(20) % 3 * 2
    chances[0] = [0, 0.5, 0.5]
    assert methods.log_loss(np.array([0, 2, 4]), y, chances) == pytest.approx(log_loss(y, chances))
    new = methods.log_loss(np.array([0, 2, 4]), np.array([0, 3, 9]), chances[1:4])
    assert new == pytest.approx(-(np.log(chances[1, 0]) + 2 * np.log(np.finfo(float).eps)) / 3)


# ---------------------------------------------------------------------- records


def test_records_are_found_again_and_differ_by_settings(tmp_path):
    from tabular.records import Job, Records, Settings

    job, other = Job("vowel", "catboost[depth=3]", 0), Job("vowel", "catboost[depth=4]", 0)
    records = Records(Settings(epochs=3), tmp_path)
    assert records.get(job) is None
    records.put(job, {"error": 0.25})
    assert records.get(job) == {
        "table": "vowel", "method": "catboost[depth=3]", "seed": 0, "most_rows": None, "epochs": 3, "n_threads": 2, "error": 0.25,
    }  # fmt: skip
    assert records.find([other, job]) == [records.get(job)]
    assert Records(Settings(), tmp_path).get(job) is None
    assert [path.suffix for path in tmp_path.rglob("*.*")] == [".json"]


def test_jobs_of_a_table_and_seed_follow_each_other():
    import tables as script

    jobs = [(job.seed, job.table, job.method) for job in script.jobs_of(["vowel", "california_housing"], ["a", "b"], None)]
    assert jobs[:6] == [
        (0, "vowel", "a"), (0, "vowel", "b"), (0, "california_housing", "a"), (0, "california_housing", "b"),
        (1, "vowel", "a"), (1, "vowel", "b"),
    ]  # fmt: skip
    assert len(jobs) == 2 * (2 + 5)


# ---------------------------------------------------------------------- figures


def record(table, method, seed, error, task="classification", **fields):
    known = {"n_train": 80, "n_test": 20, "fit_seconds": 1.0, "predict_seconds": 0.001, "peak_bytes": 3e6, "before_bytes": 1e6}
    known |= {"run": "1", "rmse": error, "code": None, "version": "1"}
    return {"table": table, "method": method, "seed": seed, "error": error, "task": task, **known, **fields}


def test_geometric_means_use_common_tables_and_seeds():
    from tabular.report import geometric_means

    records = [
        record("x", "a", 0, 0.1), record("x", "a", 1, 0.9), record("x", "b", 0, 0.4),
        record("y", "a", 0, 0.4), record("y", "b", 0, 0.1), record("z", "a", 0, 0.9),
        record("w", "a", 0, 0.9, "regression"), record("w", "b", 0, 0.9, "regression"),
    ]  # fmt: skip
    means, n_tables = geometric_means(records, "classification", ["a", "b"])
    assert n_tables == 2
    assert means == pytest.approx({"a": 0.2, "b": 0.2})
    means, n_tables = geometric_means(records, "classification", ["a"])
    assert (means["a"], n_tables) == (pytest.approx((0.5 * 0.4 * 0.9) ** (1 / 3)), 3)
    assert geometric_means(records, "classification", ["a", "c"]) == ({}, 0)


def test_an_error_of_zero_counts_as_half_a_wrong_prediction():
    from tabular.report import geometric_means

    records = [record("x", "a", seed, 0.0) for seed in range(5)]
    assert geometric_means(records, "classification", ["a"])[0]["a"] == pytest.approx(0.5 / 100)


def test_times_are_compared_within_a_run_only():
    from tabular.report import ratios_of_times

    records = [
        record("x", "a", 0, 0.1, fit_seconds=2.0), record("x", "b", 0, 0.1, fit_seconds=6.0),
        record("y", "a", 0, 0.1, fit_seconds=2.0), record("y", "b", 0, 0.1, fit_seconds=100.0, run="2"),
        record("x", "a", 1, 0.1, fit_seconds=3.0), record("x", "b", 1, 0.1, fit_seconds=6.0),
    ]  # fmt: skip
    assert ratios_of_times(records, "a", "b") == [3.0, 2.0]


def test_goals_compare_the_best_preset_with_each_peer():
    from tabular.report import goals

    ours = {"fastbp-realmlp-td": 0.2, "fastbp-tabm": 0.1, "fastbp-tabm[k=64]": 0.01, "fastbp-mlp": 0.02}
    peers = {"catboost": 0.15, "xgboost": 0.1, "pytabkit-realmlp-td": 0.2}
    records = [record("x", method, 0, error) for method, error in {**ours, **peers}.items()]
    found = {goal.what: (goal.figure, goal.limit, goal.is_reached()) for goal in goals(records)}
    assert found == {
        "classification: fastbp-tabm, compared with catboost": (pytest.approx(0.1), pytest.approx(0.15), True),
        "classification: fastbp-tabm, compared with xgboost": (pytest.approx(0.1), pytest.approx(0.1), False),
        "classification: fastbp-realmlp-td, compared with pytabkit-realmlp-td": (pytest.approx(0.2), pytest.approx(0.2), True),
    }
    housing = [record("california_housing", "fastbp-realmlp-td", seed, 0.5, "regression", rmse=0.45 + seed / 20) for seed in (0, 1)]
    (goal,) = goals(housing)
    assert (goal.figure, goal.limit, goal.is_reached()) == (pytest.approx(0.475), 0.46, False)


def test_page_marks_the_least_error_and_missing_records():
    from tabular.report import page

    records = [record("x", "catboost", 0, 0.2), record("x", "xgboost", 0, 0.1), record("y", "catboost", 0, 0.3)]
    lines = page(records, "a machine").splitlines()
    assert "| x | 80 | 1 | 0.2000 | **0.1000** |" in lines
    assert "| y | 80 | 1 | **0.3000** | – |" in lines
    assert "| geometric mean of 1 table |  |  | 0.2000 | 0.1000 |" in lines
    assert "| ÷ catboost (tables) |  |  | 1.000 (2) | 0.500 (1) |" in lines


def test_ratios_of_the_ablation_have_standard_errors_over_the_tables():
    from tabular.ablation import Change, ratio_of_errors

    change = Change("a part", "regression", "with", "without")
    errors = {"x": (0.1, 0.2), "y": (0.3, 0.3), "z": (0.8, 0.4)}
    records = [record(name, "with", 0, error, "regression") for name, (error, _) in errors.items()]
    records += [record(name, "without", 0, error, "regression") for name, (_, error) in errors.items()]
    records += [record("only one", "with", 0, 0.9, "regression"), record("x", "with", 1, 0.9, "regression")]
    records += [record("another task", method, 0, 0.9) for method in ("with", "without")]
    ratio, deviation, n_tables = ratio_of_errors(records, change)
    logs = np.log([0.5, 1, 2])
    assert (ratio, deviation, n_tables) == (pytest.approx(1), pytest.approx(logs.std(ddof=1) / 3**0.5), 3)
    ratio, deviation, n_tables = ratio_of_errors([one for one in records if one["table"] == "x"], change)
    assert (ratio, n_tables) == (pytest.approx(0.5), 1)
    assert math.isnan(deviation)
    assert ratio_of_errors(records[:3], change) is None


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_changes_of_the_ablation_lead_from_one_preset_to_the_other(task):
    from tabular import methods
    from tabular.ablation import CHANGES, methods_of_task

    *steps, total = [change for change in CHANGES if change.task == task]
    assert [step.base for step in steps[1:]] == [step.method for step in steps[:-1]]
    assert (total.base, total.method) == (steps[0].base, steps[-1].method)
    assert methods_of_task(task) == [total.base, *(step.method for step in steps)]
    first, *_, last_but_one, last = [methods.make(text, small_table(task), 0)._settings() for text in methods_of_task(task)]
    unused = {"scoring": last.scoring} if task == "regression" else {}
    assert last_but_one._replace(n_bins=16, **unused) == last
    assert last._replace(n_cv=6) == methods.make("fastbp-realmlp-best", small_table(task), 0)._settings()
    assert first == methods.make("fastbp-realmlp-td", small_table(task), 0)._settings()


def test_page_of_the_ablation_has_a_row_for_each_change():
    from tabular.ablation import ablation_page, methods_of_task

    errors = {"x": (0.4, 0.2, 0.2, 0.1), "y": (0.4, 0.2, 0.2, 0.1)}
    names = methods_of_task("classification")
    records = [record(name, method, 0, error) for name, row in errors.items() for method, error in zip(names, row, strict=True)]
    lines = ablation_page(records, "a machine").splitlines()
    assert "| change | classification | regression |" in lines
    assert "| two networks with different validation rows instead of one | 0.500 ± 0.000 (2) | – |" in lines
    assert "| all changes above together | 0.250 ± 0.000 (2) | – |" in lines


def test_ratio_per_epoch_leaves_out_the_set_up():
    from tabular.speed import Pair, pair_summary

    pair = Pair("x", [(1.2, 2.0), (1.2, 2.0), (3.0, 2.0)], [(10.4, 17.6), (10.8, 18.0), (10.0, 20.0)], 2, 10)
    assert pair.epoch_ratio() == pytest.approx(9)  # the third round has no positive difference
    assert pair.fit_ratio() == pytest.approx(9)
    assert pair_summary("fastbp-realmlp-td-s", [pair])[3] == "**9.00** ≥ 8"
    assert math.isnan(Pair("x", [(3.0, 2.0)], [(1.0, 2.0)], 2, 10).epoch_ratio())


def test_memory_is_a_multiple_of_the_data():
    from tabular.speed import memory_row

    mebi = 2**20
    fields = {"data_bytes": 10 * mebi, "code_bytes": 5 * mebi, "before_bytes": 50 * mebi, "peak_bytes": 68 * mebi, "n_train": 1000}
    assert memory_row("x", "a", fields) == ["x", "a", "1,000", "10.0", "5.0", "18.0", "3.30 > 3", "2.80 ≤ 3"]


# ---------------------------------------------------------------------- the script


def test_unknown_names_are_errors():
    assert "--only must be a part of the name of a table" in run("--only", "iris", status=2).stderr
    assert "A method must be one of" in run("--method", "tensorflow", status=2).stderr


@pytest.mark.long
def test_a_run_is_continued_and_writes_its_page(tmp_path):
    command = ("--only", "vowel", "--only", "588", "--method", "fastbp-mlp", "--seeds", 1, "--epochs", 2, "--output", tmp_path)
    first = run(*command)
    assert first.stderr.count("seed 0") == 2
    assert first.stdout.strip() == (tmp_path / "tables.md").read_text(encoding="utf-8").strip()
    second = run(*command, "--method", "sklearn-mlp")
    assert second.stderr.count("seed 0") == 2  # the records of fastbp-mlp exist
    rows = [line.split("|")[1:-1] for line in second.stdout.splitlines() if line.startswith(("| vowel", "| 588"))]
    for row in rows:
        ours, theirs = (float(cell.strip(" *")) for cell in row[3:])
        assert ours == pytest.approx(theirs, abs=2e-4)  # equal starting weights and batches
    assert len(rows) == 2
    for path in tmp_path.rglob("*.json"):
        stored = json.loads(path.read_text())
        assert stored["n_train"] == {"vowel": 792, "588_fri_c4_1000_100": 800}[stored["table"]]
        assert stored["peak_bytes"] >= stored["before_bytes"] > 0


@pytest.mark.long
def test_the_ablation_is_printed_and_continued(tmp_path):
    command = ("--ablation", "--only", "vowel", "--seeds", 1, "--epochs", 1, "--rows", 200, "--output", tmp_path)
    first = run(*command)
    assert first.stderr.count("seed 0") == 4
    rows = [line for line in first.stdout.splitlines() if " ± nan (1) | – |" in line]
    assert len(rows) == 4
    second = run(*command)
    assert (second.stderr, second.stdout) == ("", first.stdout)
    assert not (tmp_path / "tables.md").exists()


@pytest.mark.long
def test_time_and_memory_are_printed():
    printed = run("--only", "vowel", "--method", "fastbp-mlp", "--time", "--rounds", 1, "--epochs", 40).stdout
    assert "## fastbp-mlp: time of sklearn-mlp ÷ time of fastbp-mlp, 40 epochs" in printed
    assert "| median |" in printed
    printed = run("--only", "vowel", "--method", "fastbp-mlp", "--memory", "--repeats", 3).stdout
    row = next(line for line in printed.splitlines() if line.startswith("| vowel"))
    assert [cell.strip() for cell in row.split("|")[2:4]] == ["fastbp-mlp", "2,376"]
