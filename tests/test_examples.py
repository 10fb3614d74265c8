"""The scripts in `examples/` run without warnings, and their claims hold.

Each test runs one script with a backend of matplotlib that opens no windows, and checks the variables that the script leaves.
"""

import runpy
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("plot_*.py"))

pytestmark = [
    pytest.mark.slow,
    # `plt.show()` warns on systems with a display
    pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive"),
]


def run_example(name):
    """Run a script of `examples/` and return its variables."""
    matplotlib.use("Agg")
    try:
        variables = runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        assert plt.get_fignums(), "the script draws no picture"
    finally:
        plt.close("all")
    return variables


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_example_has_a_test(name):
    assert f'run_example("{name}")' in Path(__file__).read_text(encoding="utf-8")
