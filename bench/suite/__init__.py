"""The asv benchmarks of fastbp. `bench_everyday` imports the package `sidebyside`, whose folder asv does not search."""

import sys
from pathlib import Path

_BENCH = str(Path(__file__).parents[1])
if _BENCH not in sys.path:
    sys.path.append(_BENCH)
