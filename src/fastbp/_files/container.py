"""Files in the format safetensors that contain a JSON tree, arrays and a checksum.

A tree of JSON values and arrays by name go in; the bytes of a file come out, and later the same tree and arrays. A file that is
empty, incomplete, damaged, or written by another program or by a newer version is recognized by its sizes, its header and its
checksum. Nothing that a file contains is executed. This module does not know what the tree and the arrays mean.
"""

import os
from hashlib import blake2b
from itertools import accumulate, pairwise

import numpy as np

from .strict_json import dump, parse

FORMAT_VERSION = 1
_METADATA, _NAME = "__metadata__", "fastbp"  # the names of the metadata in the header, and of the text in the metadata
_MAX_HEADER = 100_000_000  # the limit of safetensors
_SIZE_BYTES, _CHECKSUM_SIZE = 8, 32
_BLANK = b"0" * (2 * _CHECKSUM_SIZE)
_BEFORE_CHECKSUM = rb"\"checksum\":\""  # the quotes are escaped, because the text is a string in the JSON of the header
_DTYPE_NAMES = {
    f"{word}{8 * size}": f"{letter}{8 * size}" for word, letter in (("int", "I"), ("uint", "U")) for size in (1, 2, 4, 8)
}
_DTYPE_NAMES |= {"bool": "BOOL", "float16": "F16", "float32": "F32", "float64": "F64"}
_BYTES = {letter: np.dtype(word).itemsize for word, letter in _DTYPE_NAMES.items()}


class UnreadableFileError(Exception):
    """The reason why a file cannot be read, as the end of a sentence that begins with its path, and a remedy."""

    def __init__(self, problem, remedy="Use another copy of the file, or save the estimator again."):
        super().__init__(problem)
        self.problem, self.remedy = problem, remedy


# ---------------------------------------------------------------------- writing


def file_parts(tree, tensors):
    """Return the bytes of a file in several parts; those of the arrays are not copied.

    The checksum is the BLAKE2b hash of the file in which all 64 digits of the checksum are 0.
    """
    from fastbp import __version__

    text = dump({"format_version": FORMAT_VERSION, "fastbp_version": __version__, "checksum": _BLANK.decode(), "model": tree})
    ordered = dict(sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0])))  # so that all arrays are aligned
    header = _header(text, ordered)
    arrays = [array.reshape(-1).view(np.uint8) for array in ordered.values()]
    digest = blake2b(header, digest_size=_CHECKSUM_SIZE)
    for array in arrays:
        digest.update(array)
    return [header.replace(_BEFORE_CHECKSUM + _BLANK, _BEFORE_CHECKSUM + digest.hexdigest().encode(), 1), *arrays]


def _header(text, tensors):
    """Return the length of the header and the header, which ends in spaces so that the arrays are aligned."""
    ends = [0, *accumulate(array.nbytes for array in tensors.values())]
    tables = {
        name: {"dtype": _DTYPE_NAMES[array.dtype.name], "shape": array.shape, "data_offsets": offsets}
        for (name, array), offsets in zip(tensors.items(), pairwise(ends), strict=True)
    }
    header = dump({_METADATA: {_NAME: text}, **tables}).encode()
    if len(header) > _MAX_HEADER:
        raise ValueError(
            f"The names, labels and parameters of the estimator take {len(header)} bytes in a file, but at most {_MAX_HEADER} are "
            "supported. Use arrays of strings in place of arrays of objects for the labels, or store the estimator with pickle."
        )
    header += b" " * (-len(header) % _SIZE_BYTES)
    return len(header).to_bytes(_SIZE_BYTES, "little") + header


# ---------------------------------------------------------------------- reading


def read_parts(path):
    """Return the tree and the dict of arrays in a file; raise an ``UnreadableFileError`` if it has another content."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise UnreadableFileError("it is empty")
        header = _read_header(file, size)
        tables = _parsed(header[_SIZE_BYTES:])
        content = _checked_content(tables.pop(_METADATA, None))
        if sum(map(_n_bytes, tables.values())) != size - len(header):
            raise UnreadableFileError("it is incomplete or damaged: its size does not agree with its header")
        data = header + file.read(size - len(header))
    if _checksum(data, len(header), content["checksum"]) != content["checksum"]:
        raise UnreadableFileError("its content does not agree with its checksum, so it is damaged")
    return content["model"], _arrays(data)


def _read_header(file, size):
    """Return the length of the header and the header, as in the file; sizes are checked before memory is allocated."""
    prefix = file.read(_SIZE_BYTES)
    length = int.from_bytes(prefix, "little")
    if len(prefix) < _SIZE_BYTES or not 2 <= length <= min(size - _SIZE_BYTES, _MAX_HEADER):
        raise UnreadableFileError("it is incomplete or was written by another program")
    header = file.read(length)
    if not header.startswith(b"{") or len(header) < length:
        raise UnreadableFileError("it is incomplete or was written by another program")
    return prefix + header


def _parsed(text):
    """Return a JSON object as a dict."""
    try:
        value = parse(text.decode() if isinstance(text, bytes) else text)
    except ValueError as error:
        raise UnreadableFileError(f"its header is damaged ({error})") from None
    if not isinstance(value, dict):
        raise UnreadableFileError("its header is damaged")
    return value


def _checked_content(metadata):
    """Return the content of the metadata if fastbp wrote it in this version of the format, or in an earlier one."""
    if not isinstance(metadata, dict) or not isinstance(metadata.get(_NAME), str):
        raise UnreadableFileError("it was written by another program", "Pass a file that fastbp.save or fastbp.Checkpoint wrote.")
    content = _parsed(metadata[_NAME])
    version = content.get("format_version")
    if type(version) is not int or version < 1:
        raise UnreadableFileError("its metadata are damaged")
    if version > FORMAT_VERSION:
        by = str(content.get("fastbp_version"))[:20]
        raise UnreadableFileError(
            f"it has version {version} of the format, and this version of fastbp reads versions up to {FORMAT_VERSION}",
            f"Update fastbp; the file was written by fastbp {by!r}.",
        )
    if not isinstance(content.get("checksum"), str) or not isinstance(content.get("model"), dict):
        raise UnreadableFileError("its metadata are damaged")
    return content


def _n_bytes(table):
    """Return the number of bytes of an array according to its entry in the header."""
    if not isinstance(table, dict) or set(table) != {"dtype", "shape", "data_offsets"} or not isinstance(table["dtype"], str):
        raise UnreadableFileError("its header is damaged")
    shape, offsets, itemsize = table["shape"], table["data_offsets"], _BYTES.get(table["dtype"])
    are_sizes = isinstance(shape, list) and isinstance(offsets, list) and all(map(_is_size, [*shape, *offsets]))
    if itemsize is None or not are_sizes or len(shape) > 8 or len(offsets) != 2:
        raise UnreadableFileError("its header is damaged: an array has an unknown dtype, or no valid shape and offsets")
    n_bytes = itemsize
    for n in shape:
        n_bytes *= n
    if n_bytes != offsets[1] - offsets[0]:
        raise UnreadableFileError("its header is damaged: the shape of an array does not agree with its offsets")
    return n_bytes


def _is_size(value):
    return type(value) is int and 0 <= value < 2**48


def _checksum(data, header_size, checksum):
    """Return the checksum of a file; ``checksum`` is the one in its header."""
    start = data.find(_BEFORE_CHECKSUM + checksum.encode(errors="replace"), 0, header_size) + len(_BEFORE_CHECKSUM)
    if start < len(_BEFORE_CHECKSUM) or len(checksum) != len(_BLANK):
        raise UnreadableFileError("its checksum is damaged")
    digest, view = blake2b(digest_size=_CHECKSUM_SIZE), memoryview(data)
    for part in (view[:start], _BLANK, view[start + len(_BLANK) :]):
        digest.update(part)
    return digest.hexdigest()


def _arrays(data):
    """Return the arrays in a file, which safetensors checks again."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(data)
    except (SafetensorError, ValueError) as error:
        raise UnreadableFileError(f"its header is damaged ({error})") from None
