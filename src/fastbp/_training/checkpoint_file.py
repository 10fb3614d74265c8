"""Files that are replaced atomically, and files that contain a pickle followed by a digest.

Bytes or an object go in; a file comes out, and later the object of a pickle. A pickle that is empty, incomplete or damaged, or that
another program wrote, is recognized before it is loaded. This module does not know what the files and objects mean.
"""

import glob
import os
import pickle
import re
import sys
import threading
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

if sys.platform != "win32":
    import fcntl

# pickle ignores bytes after the end of a pickle, so that the file can still be loaded by pickle itself
_MARK, _DIGEST_SIZE = b"fastbp checkpoint, version 1", 32
_FOOTER_SIZE = len(_MARK) + _DIGEST_SIZE
_MAX_NAME = 200  # most file systems allow names of 255 bytes, and numbers follow the name in those of temporary files
_PART_SIZE = 1 << 20  # bytes that are read at once


class _HashingFile:
    """A file for ``pickle.dump`` that computes the digest of all bytes that are written."""

    def __init__(self, file):
        self.file, self.digest = file, _new_digest()

    def write(self, data):
        self.digest.update(data)
        return self.file.write(data)


def write_checkpoint(path, value):
    """Write the pickle of ``value`` to a file. The previous file is kept if writing fails."""

    def write(file):
        hashing = _HashingFile(file)
        pickle.dump(value, hashing, protocol=pickle.HIGHEST_PROTOCOL)
        file.write(_MARK + hashing.digest.digest())

    replace_file(path, write)


def check_target(path):
    """Raise an OSError if a file cannot be written to a path, because it is a folder, or because its folder does not exist."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"path must name a file, but {str(path)!r} is a folder. Add the name of a file.")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"path must be in an existing folder; got {str(path)!r}. Create the folder {str(target.parent)!r}.")


def check_is_no_folder(path):
    """Raise an IsADirectoryError if a path, from which a file is to be read, is a folder."""
    if os.path.isdir(path):
        raise IsADirectoryError(f"path must name a file, but {str(path)!r} is a folder. Add the name of the file.")


def replace_file(path, write):
    """Call ``write`` with a new file that then replaces the file at ``path``. The previous file is kept if writing fails.

    If the path is a symbolic link, its target is replaced.
    """
    check_target(path)
    path = Path(os.path.realpath(path))
    with _temporary_file(path) as file:
        _remove_leftovers(path)
        write(file)
        file.flush()
        os.fsync(file.fileno())
        if sys.platform == "win32":
            file.close()  # Windows cannot rename an open file
        os.replace(file.name, path)
    _synchronize_folder(path.parent)


def is_pickle(path):
    """Return whether the end of a file shows that ``write_checkpoint`` wrote it."""
    with open(path, "rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _FOOTER_SIZE))
        return file.read().startswith(_MARK)


def read_checkpoint(path):
    """Return the value that ``write_checkpoint`` wrote; raise a ValueError if the file has another content."""
    with open(path, "rb") as file:
        problem = _find_problem(file)
        if problem:
            raise ValueError(
                f"{str(path)!r} must be a file written by a fastbp.Checkpoint, but {problem}. Use another checkpoint, or fit the "
                "estimator again."
            )
        file.seek(0)
        return pickle.load(file)


def _find_problem(file):
    """Return a description of the problem if a file is not a complete checkpoint, otherwise None."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return "it is empty"
    file.seek(max(0, size - _FOOTER_SIZE))
    footer = file.read()
    if not footer.startswith(_MARK):
        return "it is incomplete or was written by another program"
    file.seek(0)
    if _digest_of(file, size - _FOOTER_SIZE) != footer[len(_MARK) :]:
        return "its content does not agree with its digest, so it is damaged"
    return None


def _digest_of(file, size):
    """Return the digest of the next ``size`` bytes of a file."""
    digest = _new_digest()
    while size > 0 and (part := file.read(min(size, _PART_SIZE))):
        digest.update(part)
        size -= len(part)
    return digest.digest()


def _new_digest():
    return blake2b(digest_size=_DIGEST_SIZE)


# ---------------------------------------------------------------------- temporary files


@contextmanager
def _temporary_file(path):
    """Open a new file in the folder of ``path``, locked while it is written; remove it at the end if it was not renamed."""
    temporary = path.with_name(f"{_temporary_name(path)}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with _locked_file(temporary) as file:
            yield file
    finally:
        temporary.unlink(missing_ok=True)


def _temporary_name(path):
    """The beginning of the names of temporary files: the name of the file, or its hash if the longer names would be too long."""
    name = path.name
    return name if len(os.fsencode(name)) <= _MAX_NAME else blake2b(os.fsencode(name), digest_size=_DIGEST_SIZE).hexdigest()


def _locked_file(path):
    """Create and lock a file; repeat this if another writer took the file for a leftover and removed it before it was locked."""
    while True:
        file = open(path, "wb")  # noqa: SIM115 (the caller closes it)
        _lock(file)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        file.close()


def _remove_leftovers(path):
    """Remove the temporary files of processes that were killed while they wrote the same checkpoint."""
    name = _temporary_name(path)
    pattern = re.compile(re.escape(name) + r"\.\d+-\d+\.tmp")
    for leftover in path.parent.glob(f"{glob.escape(name)}.*.tmp"):
        # an OSError means that the file is locked, was removed in the meantime, or must not be removed by this user
        if pattern.fullmatch(leftover.name):
            with suppress(OSError):
                _remove_if_unlocked(leftover)


if sys.platform == "win32":

    def _lock(file):
        """Do nothing: Windows does not remove a file while it is open."""

    def _remove_if_unlocked(path):
        path.unlink()

else:

    def _lock(file):
        """Lock a file until it is closed or the process ends."""
        with suppress(OSError):  # some network file systems do not support locks
            fcntl.flock(file, fcntl.LOCK_EX)  # another writer locks it for a moment only, and then has removed it

    def _remove_if_unlocked(path):
        """Remove a file unless another process or another thread has locked it; raise an OSError if it is locked."""
        with open(path, "rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):  # otherwise, its writer has already begun a new file
                path.unlink()


def _synchronize_folder(folder):
    """Write the directory entry of a renamed file to the disk, if the operating system supports this."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
