"""The disk cache of the machine code of entries.

Numba's own cache checks only whether the file of the cached function has changed, uses code only from a folder that it can write,
and compiles for exactly this processor. Here, every file contains a stamp, which is a hash of all kernel files and of the versions
and settings that affect machine code; code with another stamp is not loaded. Code is read from several folders, see
`cache_folders`. Of several processes that need the same code at the same time, one compiles it and the others wait. If a file is
damaged or no folder can be written, a warning is issued once and the function is compiled. This module does not know what the
functions compute.
"""

import hashlib
import inspect
import os
import pickle
import sys
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from uuid import uuid4

import numba
from numba import config

from .._compat import CompileResult, dumps, llvmlite_version
from .cache_folders import can_be_written, folders_for
from .file_lock import FileLock
from .targets import HAS_BFLOAT16, TARGET
from .user_warnings import warn_once

# After this time in seconds, a process stops waiting for another process that compiles the same function.
PATIENCE = 120.0


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
    """Return the versions and settings that affect machine code but are not part of the key."""
    versions = numba.__version__, llvmlite_version
    return *versions, str(config.OPT), config.LOOP_VECTORIZE, config.SLP_VECTORIZE, compiler_mode


class StampedCache:
    """The cached versions of one function, with the interface that Numba's dispatchers expect.

    `context` maps Numba's target context to the context for which the function is compiled. With `exclusive`, a process that must
    compile a version locks it; `save_overload` and `release` unlock it.
    """

    def __init__(self, function, compiler_mode, *, context=lambda context: context, exclusive=False):
        self._function, self._context, self._exclusive, self._lock = function, context, exclusive, None
        self._source = Path(inspect.getfile(function)).resolve()
        self._stamp = _sha256(repr((_stamp_of_this_copy(), _environment(compiler_mode))).encode())
        self._suffix = "" if compiler_mode == "fast" else f".{compiler_mode}"

    @cached_property
    def _written_folder(self):
        return next((folder for folder, is_written in folders_for(self._source) if is_written and can_be_written(folder)), None)

    def _read_folders(self):
        """Yield the folders in their order, up to the first one that can be written."""
        for folder, is_written in folders_for(self._source):
            yield folder
            if is_written and can_be_written(folder):
                return

    @property
    def cache_path(self):
        """The folder where new code is stored, or None."""
        return None if self._written_folder is None else str(self._written_folder)

    def enable(self):
        """Do nothing: this cache is always used."""

    disable = flush = enable

    def load_overload(self, sig, target_context):
        target_context.refresh()
        context = self._context(target_context)
        name, key = self._name_and_key(sig, context.codegen())
        code = self._load(name, key, context)
        if code is None and self._exclusive and self._written_folder is not None:
            self._lock = FileLock(self._written_folder / f"{name}.lock", PATIENCE)
            code = self._load(name, key, context)  # another process may have stored it in the meantime
            if code is not None:
                self.release()
        return code

    def save_overload(self, sig, data):
        try:
            if data.library.has_dynamic_globals:  # the code contains addresses that are valid only in this process
                return
            if self._written_folder is None:
                _warn_about_missing_folder([str(folder) for folder, is_written in folders_for(self._source) if is_written])
                return
            name, key = self._name_and_key(sig, data.codegen)
            _write_stamped(self._written_folder / name, self._stamp + key, dumps(data._reduce()))
        except Exception as error:  # for example a full disk, a deleted folder
            _warn_about_failed_write(self._written_folder, error)
        finally:
            self.release()

    def release(self):
        """Let other processes load or compile the version that this process has compiled or failed to compile."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def _name_and_key(self, sig, codegen):
        function, python = self._function, f"py{sys.version_info[0]}{sys.version_info[1]}{getattr(sys, 'abiflags', '')}"
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
        code = _sha256(function.__code__.co_code).hex(), _sha256(dumps(cells) if cells else b"").hex()
        key = _sha256(repr((sig, codegen.magic_tuple(), TARGET, HAS_BFLOAT16, code)).encode())
        qualname = function.__qualname__.replace("<", "").replace(">", "")
        base = f"{self._source.stem}.{qualname}-{function.__code__.co_firstlineno}.{python}{self._suffix}"
        return f"{base}.{key.hex()[:12]}.nbc", key

    def _load(self, name, key, context):
        for folder in self._read_folders():
            try:
                content = _read_stamped(folder / name, self._stamp + key)
                if content is not None:
                    return CompileResult._rebuild(context, *pickle.loads(content))
            except Exception as error:  # any error that unpickling a damaged file may raise
                _warn_about_damage(folder, error)
                with suppress(OSError):
                    (folder / name).unlink()
        return None


def _read_stamped(path, stamp):
    """Return the content of a file, or None if the file cannot be read or has another stamp."""
    try:
        file = path.read_bytes()
    except OSError:
        return None
    expected, content = file[:32], file[32:]
    # the file starts with a hash of its content, because damaged machine code would crash the process
    if expected != _sha256(content):
        raise ValueError(f"{path.name} is damaged")
    return content[len(stamp) :] if content.startswith(stamp) else None


def _write_stamped(path, stamp, content):
    """Write a file. Other processes see it either complete or not at all."""
    content, temporary = stamp + content, path.with_name(f"{path.name}.{uuid4().hex[:16]}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        temporary.write_bytes(_sha256(content) + content)
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        # on Windows, a file that another process reads at this moment cannot be replaced
        if not (os.name == "nt" and isinstance(error, PermissionError)):
            raise


def _sha256(content):
    return hashlib.sha256(content).digest()


# This helps in all cases, because FASTBP_CACHE_DIR is the first folder.
_FOLDER_REMEDY = "delete that folder or set FASTBP_CACHE_DIR to another folder"


def _warn_about_damage(folder, error):
    warn_once(
        "damaged cache",
        f"the cached kernels in {folder} cannot be used ({type(error).__name__}: {error}); they are loaded from another folder or "
        f"compiled again; if this warning comes back, {_FOLDER_REMEDY}",
    )


def _warn_about_failed_write(folder, error):
    warn_once(
        "failed write",
        f"compiled kernels cannot be stored in {folder} ({type(error).__name__}: {error}), so other processes may have to compile "
        f"them again; if this warning comes back, {_FOLDER_REMEDY}",
    )


def _warn_about_missing_folder(folders):
    warn_once(
        "no cache",
        f"none of the folders where compiled kernels can be kept can be written ({', '.join(folders)}), so every new process will "
        "compile them again, which takes seconds; set FASTBP_CACHE_DIR or NUMBA_CACHE_DIR to a folder that this user can write",
    )
