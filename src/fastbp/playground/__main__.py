"""The command ``python -m fastbp.playground [--port PORT] [--no-browser]``."""

import sys

from ._command import run_command

if __name__ == "__main__":
    run_command(sys.argv[1:])
