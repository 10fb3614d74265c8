"""The folders in which compiled kernels are looked up and stored.

The path of a source file goes in; folders come out, in the order in which they are tried:

1. `FASTBP_CACHE_DIR`, if it is set; it has the same structure as the next folder, so it can be copied to other machines
2. the folder `_compiled` of the package, which a wheel with compiled kernels contains; it is only read
3. `NUMBA_CACHE_DIR`, if it is set
4. `__pycache__` next to the source file
5. the user's cache folder

The folders are tried up to the first one that can be written. This module does not know which files are in the folders.
"""

import hashlib
import os
import sys
import tempfile
from functools import cache
from pathlib import Path

from numba import config

_PACKAGE = Path(__file__).resolve().parents[1]
COMPILED = _PACKAGE / "_compiled"


def folders_for(source):
    """Yield the folders for the functions of a source file, and whether new code may be stored in each of them."""
    hashed = f"{source.parent.name}_{hashlib.sha256(str(source.parent).encode()).hexdigest()[:32]}"
    relative = source.parent.relative_to(_PACKAGE) if source.is_relative_to(_PACKAGE) else hashed
    if os.environ.get("FASTBP_CACHE_DIR"):
        yield Path(os.environ["FASTBP_CACHE_DIR"]).absolute() / relative, True
    yield COMPILED / relative, False
    if config.CACHE_DIR:
        yield Path(config.CACHE_DIR).absolute() / hashed, True
    yield source.parent / "__pycache__", True
    user = _user_cache_folder()
    if user is not None:
        yield user / "fastbp" / hashed, True


def _user_cache_folder():
    try:
        home = Path.home()
    except RuntimeError:  # the user has no home folder
        return None
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")


@cache
def can_be_written(folder):
    """Create the folder if it does not exist, and return whether files can be created in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True
