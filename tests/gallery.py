"""Run the scripts in `examples/`, for the tests of their claims."""

import io
import runpy
from contextlib import redirect_stdout
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("plot_*.py"))


def run_example(name):
    """Run a script and return its variables. It must draw a picture and print figures."""
    matplotlib.use("Agg")
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            variables = runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        assert plt.get_fignums(), "the script draws no picture"
        for number in plt.get_fignums():
            plt.figure(number).canvas.draw()
    finally:
        plt.close("all")
    assert any(character.isdigit() for character in printed.getvalue()), "the script prints no figures"
    return variables
