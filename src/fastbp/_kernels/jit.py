"""How every kernel is compiled, and where its machine code is kept.

``kernel`` compiles a function that other kernels call, ``intrinsic_kernel`` one that writes LLVM code itself; ``entry`` compiles one
that Python calls, and keeps its machine code on disk. All entries carry one stamp over the text of every kernel file: Numba alone
watches only the file of the entry itself, so a changed callee next door would go on running as old code. A cache that cannot be
written, or a damaged one, costs one warning and a compilation, never a run. Nothing here knows about networks.
"""

import hashlib
import pickle
import warnings
from functools import cache, cached_property, partial, update_wrapper
from pathlib import Path

import numba
from numba import njit
from numba.core import config
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.extending import intrinsic

from .inline import EntryCompiler, Part

# No "nnan", "ninf" and "afn": divergence must stay visible, and exp, log and tanh are our own.
FASTMATH = frozenset({"contract", "reassoc", "nsz", "arcp"})
# Where a rounding error is carried along on purpose, reassociation would cancel it.
EXACT = frozenset({"contract"})


def kernel(*, fastmath=FASTMATH, optimize=True, interpreted=None):
    """Compile a function for use inside other kernels: GIL free, no division checks, no machine code of its own.

    It is always inlined, as a call that hands on a dozen arrays takes longer than a small layer. One without loops that matter is a
    `draft`, which compiles sooner. Where nothing is compiled, `interpreted`, if given, takes its place.
    """

    def compiled(function):
        return interpreted or function if config.DISABLE_JIT else Part(function, _options(fastmath), optimize=optimize)

    return compiled


def intrinsic_kernel(interpreted):
    """Make of a function that writes LLVM code what kernels can call; where nothing is compiled, `interpreted` takes its place."""

    def made(definition):
        return interpreted if config.DISABLE_JIT else intrinsic(definition)

    return made


def entry(function, *, fastmath=FASTMATH, compiler=EntryCompiler):
    """Compile a function that Python calls, with its machine code kept on disk where a folder can be written.

    Its loops are those of kernels, where they count; Numba's own compiler, None, is for others.
    """
    dispatcher = njit(pipeline_class=compiler, **_options(fastmath))(function)
    if not config.DISABLE_JIT:
        try:
            dispatcher._cache = _StampedCache(function)
        except (RuntimeError, OSError) as error:
            _warn_once(
                f"no folder for compiled kernels can be written ({error}): every new process will compile them anew, which takes "
                "seconds; set NUMBA_CACHE_DIR to a folder that this user can write"
            )
    return dispatcher


class LazyEntry:
    """A function that becomes an `entry` when that is first wanted."""

    def __init__(self, function, fastmath):
        update_wrapper(self, function)
        self._fastmath = fastmath

    @cached_property
    def entry(self):
        return entry(self.__wrapped__, fastmath=self._fastmath, compiler=None)

    def __call__(self, *arguments):
        return self.entry(*arguments)


def lazy_entry(function=None, *, fastmath=FASTMATH):
    """Leave a function to be made an `entry` by whoever wants it: to make dozens takes as long as much of an import."""
    return partial(LazyEntry, fastmath=fastmath) if function is None else LazyEntry(function, fastmath)


def source_stamp(folder=Path(__file__).parent):
    """The digest of the text of every kernel file in `folder`: machine code made from another text is not loaded."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@cache
def _stamp_of_this_folder():
    return source_stamp()


class _StampedCache(FunctionCache):
    """Numba's disk cache of one function, with `source_stamp` in its index and damage survived."""

    def __init__(self, function):
        super().__init__(function)
        self._cache_file = _CacheFile(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=(_stamp_of_this_folder(), _environment()),
        )

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # whatever unpickling a damaged file may raise
            self._survive(error)
            return None

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except Exception as error:  # a full disk, a folder that is gone, a damaged index
            self._survive(error)

    def _survive(self, error):
        _warn_once(
            f"the compiled kernels kept in {self._cache_path} cannot be used ({type(error).__name__}: {error}): they are compiled "
            "anew; if this warning comes back, delete that folder or set NUMBA_CACHE_DIR to another"
        )
        try:
            self.flush()
        except OSError:
            self.disable()


class _CacheFile(IndexDataCacheFile):
    """Numba's files of one function, safe to write from several processes and to read after a damage.

    Data files are named by their key, so that processes that compile different types at once never share one; each begins with
    its own digest, as code with a hole in it would end the process, and with that of the stamp it belongs to, as versions that
    write at once share a name.
    """

    def save(self, key, data):
        name = self._data_name(int(_digest(repr(key).encode()).hex()[:12], 16))
        self._save_data(name, data)
        overloads = self._load_index()
        overloads[key] = name
        self._save_index(overloads)

    def _save_data(self, name, data):
        content = self._stamp_digest() + self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(_digest(content) + content)

    def _load_data(self, name):
        file = Path(self._data_path(name)).read_bytes()
        digest, content = file[:32], file[32:]
        if digest != _digest(content):
            raise ValueError(f"{name} is damaged")
        if content[:32] != self._stamp_digest():
            raise OSError("written by another version")  # which Numba takes for a file that is not there
        return pickle.loads(content[32:])

    def _stamp_digest(self):
        return _digest(repr(self._source_stamp).encode())


def _digest(content):
    return hashlib.sha256(content).digest()


def _options(fastmath):
    return {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath), "forceinline": True}


def _environment():
    """What changes the machine code but is missing from Numba's own key."""
    return numba.__version__, str(config.OPT), config.LOOP_VECTORIZE, config.SLP_VECTORIZE


_warned = False


def _warn_once(message):
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(f"fastbp: {message}.", RuntimeWarning, stacklevel=3)
