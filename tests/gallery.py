"""Run the scripts in `examples/`, for the tests of their claims."""

import io
import runpy
import time
from contextlib import redirect_stdout
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt

EXAMPLES = Path(__file__).parents[1] / "examples"
N_CORES, LIMIT = 2, 120  # an example must take at most so many seconds on so many cores
SCRIPTS = sorted(path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("plot_*.py"))


def run_example(name, limit=LIMIT):
    """Run a script and return its variables. It must draw a picture, print figures, and take less than `limit` seconds.

    The seconds are the processor time of this process, divided by the number of cores, or the processor time of this thread if it
    is larger. Unlike the time that passes, they depend little on other programs. A script that starts processes is not measured
    fully.
    """
    matplotlib.use("Agg")
    printed = io.StringIO()
    of_process, of_thread = time.process_time(), time.thread_time()
    try:
        with redirect_stdout(printed):
            variables = runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        assert plt.get_fignums(), "the script draws no picture"
        for number in plt.get_fignums():
            plt.figure(number).canvas.draw()
    finally:
        plt.close("all")
    seconds = max((time.process_time() - of_process) / N_CORES, time.thread_time() - of_thread)
    assert seconds < limit, f"the script takes {seconds:.1f} seconds, the limit is {limit} seconds"
    assert any(character.isdigit() for character in printed.getvalue()), "the script prints no figures"
    return variables
