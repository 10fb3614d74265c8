"""The asv benchmarks. Each module measures one aspect; `common` has the shared code.

`bench_everyday` imports the package `sidebyside`. Its folder is added here, because asv does not search it.
"""

import sys
from pathlib import Path

_BENCH = str(Path(__file__).parents[1])
if _BENCH not in sys.path:
    sys.path.append(_BENCH)
