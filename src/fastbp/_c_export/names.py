"""The names of the generated files and of their functions.

The arguments of ``export_c`` go in; the paths of the two files and a prefix that is valid in C and C++ come out. This module does
not know what the files contain.
"""

import os
import re
from pathlib import Path

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_INCLUDABLE_NAME = re.compile(r"[A-Za-z0-9_.+-]+")
# The headers of the C library. A header of the program with one of these names could be included in their place.
_SYSTEM_HEADERS = frozenset(
    re.findall(
        r"\w+",
        """
        assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg stdatomic
        stdbit stdbool stdckdint stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype
        """,
    )
)
_KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        """
        alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl concept const
        const_cast consteval constexpr constinit continue co_await co_return co_yield decltype default delete do
        double dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable
        namespace new noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast
        requires restrict return short signed sizeof static static_assert static_cast struct switch template this
        thread_local throw true try typedef typeid typename typeof typeof_unqual union unsigned using virtual void
        volatile wchar_t while xor xor_eq
        """,
    )
)


def source_and_header(path):
    """Return the paths of the source file and of the header; raise an error if they cannot be written."""
    source = Path(os.fspath(path))
    if source.suffix != ".c":
        stem = source.stem.strip(".")
        example = f"{stem}.c" if stem and stem != "c" else "network.c"
        raise ValueError(
            f"path must be the name of a C file, which ends with .c; got {str(path)!r}. Use {example!r}, for example; the "
            "header has the same name with .h."
        )
    if not _INCLUDABLE_NAME.fullmatch(source.name):
        raise ValueError(
            "path must have a file name of ASCII letters, digits and the characters _.+- only, because the source file includes "
            f"the header by its name; got {source.name!r}."
        )
    if source.stem.lower() in _SYSTEM_HEADERS:  # some file systems ignore case
        raise ValueError(
            f"path must not be the name of a C file whose header replaces a header of the C library; got {source.name!r}. Use "
            f"'{source.stem}_network.c', for example."
        )
    header = source.with_suffix(".h")
    if not source.parent.is_dir():
        raise FileNotFoundError(f"path must be in an existing folder; got {str(path)!r}. Create the folder {str(source.parent)!r}.")
    for file in (source, header):
        if file.is_dir():
            raise IsADirectoryError(f"path must name two files, {source.name} and {header.name}; {str(file)!r} is a folder.")
    return source, header


def checked_prefix(prefix, source):
    """Return the prefix of all names in C, by default the name of the source file."""
    text = source.stem if prefix is None else prefix
    if isinstance(text, str) and _IDENTIFIER.fullmatch(text) and text not in _KEYWORDS:
        return text
    subject = "the name of the file in path, without .c," if prefix is None else "prefix"
    raise ValueError(
        f"{subject} must be a valid prefix for names in C: a letter, then ASCII letters, digits and underscores, and not a "
        f"keyword; got {text!r}. Use prefix={_similar_identifier(text)!r}, for example."
    )


def _similar_identifier(text):
    """A valid prefix that resembles an invalid one."""
    found = re.sub(r"[^A-Za-z0-9_]+", "_", str(text)).strip("_")[:40]
    if not found:
        return "network"
    return f"network_{found}" if found in _KEYWORDS or not found[0].isalpha() else found
