"""The disk cache of compiled functions.

Numba's cache checks only whether the file of the cached function has changed. Here, the stamp of every cached function is a hash of
all kernel files, together with the version of Numba and the compiler mode; machine code with another stamp is not loaded. If a
file is damaged or the folder is not writable, a warning is issued once and the function is compiled again. This module does not
know what the functions compute.
"""

import hashlib
import pickle
from functools import cache
from pathlib import Path

import numba
from numba import config

from .._compat import FunctionCache, IndexDataCacheFile
from .user_warnings import warn_once


def source_stamp(package=Path(__file__).parents[1]):
    """Return a hash of all files of a copy of fastbp that affect machine code: `_compat.py` and all kernel files."""
    digest = hashlib.sha256()
    for path in [package / "_compat.py", *sorted((package / "_kernels").rglob("*.py"))]:
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@cache
def _stamp_of_this_copy():
    return source_stamp()


def _environment(compiler_mode):
    """Return the settings that affect machine code but are not part of Numba's own key."""
    return numba.__version__, str(config.OPT), config.LOOP_VECTORIZE, config.SLP_VECTORIZE, compiler_mode


class StampedCache(FunctionCache):
    """Numba's disk cache of one function, with the stamp in its index; damaged files do not raise errors."""

    def __init__(self, function, compiler_mode):
        super().__init__(function)
        self._cache_file = CacheFile(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base + ("" if compiler_mode == "fast" else f".{compiler_mode}"),
            source_stamp=(_stamp_of_this_copy(), _environment(compiler_mode)),
        )

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # any error that unpickling a damaged file may raise
            self._recover(error)
            return None

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except Exception as error:  # for example a full disk, a deleted folder, a damaged index
            self._recover(error)

    def _recover(self, error):
        warn_once(
            "damaged cache",
            f"the cached kernels in {self._cache_path} cannot be used ({type(error).__name__}: {error}) and are compiled again; "
            "if this warning comes back, delete that folder or set NUMBA_CACHE_DIR to another folder",
        )
        try:
            self.flush()
        except OSError:
            self.disable()


class CacheFile(IndexDataCacheFile):
    """Numba's files of one function, safe against concurrent writes by several processes and against damage.

    The name of a data file is derived from its key, so that processes that compile for different types at the same time never write
    to the same file. The file starts with a hash of its content, because damaged machine code would crash the process. A hash of
    the stamp follows, because two versions of fastbp that write at the same time use the same file name.
    """

    def save(self, key, data):
        name = self._data_name(int(_sha256(repr(key).encode()).hex()[:12], 16))
        self._save_data(name, data)
        overloads = self._load_index()
        overloads[key] = name
        self._save_index(overloads)

    def _save_data(self, name, data):
        content = self._stamp_hash() + self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(_sha256(content) + content)

    def _load_data(self, name):
        file = Path(self._data_path(name)).read_bytes()
        expected, content = file[:32], file[32:]
        if expected != _sha256(content):
            raise ValueError(f"{name} is damaged")
        if content[:32] != self._stamp_hash():
            raise OSError("written by another version")  # Numba treats an OSError as a missing file
        return pickle.loads(content[32:])

    def _stamp_hash(self):
        return _sha256(repr(self._source_stamp).encode())


def _sha256(content):
    return hashlib.sha256(content).digest()
