"""Facts that are stated in several files agree: versions, lowest versions of dependencies, and tested Python versions.

No large file that a benchmark or an example wrote is under version control.
"""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import fastbp

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def lines(name):
    return (ROOT / name).read_text(encoding="utf-8").splitlines()


def floors(requirements):
    """The lowest version of each requirement such as "numpy>=2.0,<3", as a tuple of numbers without trailing zeros, by name."""
    found = (re.match(r"([A-Za-z0-9_-]+)[>=]=([0-9.]+)", requirement) for requirement in requirements)
    return {match[1]: numbers(match[2]) for match in found if match}


def numbers(version):
    return tuple(int(part) for part in re.sub(r"(\.0)+$", "", version).split("."))


def test_citation_has_the_version_of_the_package():
    assert f"version: {fastbp.__version__}" in lines("CITATION.cff")


@pytest.mark.parametrize("extra", ["", "datasets", "parquet", "plot", "progress", "playground", "test"])
def test_lowest_versions_of_dependencies_are_tested(extra):
    requirements = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    tested = floors(lines("constraints-floor.txt"))
    expected = {name: floor for name, floor in floors(requirements).items() if name != "fastbp"}
    assert expected
    assert {name: tested.get(name) for name in expected} == expected


def test_every_supported_python_version_is_tested():
    classifiers = [text.rpartition(" ")[2] for text in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", text)]
    matrix = next(line for line in lines(".github/workflows/tests.yml") if line.strip().startswith("python: [") and "3.14" in line)
    assert re.findall(r"3\.\d+", matrix) == classifiers
    assert PROJECT["requires-python"] == f">={classifiers[0]}"


def test_floors_parses_requirements():
    assert floors(["numpy>=2.0,<3", "# comment", "pandas==2.2.3"]) == {"numpy": (2,), "pandas": (2, 2, 3)}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the repository of git")
def test_only_mnist_is_a_large_file():
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    sizes = {name: (ROOT / name).stat().st_size for name in names if (ROOT / name).is_file()}
    assert len(sizes) > 1
    assert {name for name, size in sizes.items() if size > 2 << 20} == {"datasets/mnist.npz"}
