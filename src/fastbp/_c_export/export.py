"""The function behind the method ``export_c`` of the estimators.

An ``ExportedNetwork`` and the arguments of the method go in; two files come out. This module does not know the syntax of C.
"""

from .files import replace_files
from .header import header_text
from .names import checked_prefix, file_paths
from .program import DTYPES, CProgram
from .source import source_text


def export_program(network, path, prefix, dtype):
    """Write the source file and the header of a network."""
    if dtype is None:
        dtype = next(name for name, one in DTYPES.items() if one == network.dtype)
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"dtype must be None, 'float' or 'double', the types of C; got {dtype!r}.")
    source, header = file_paths(path)
    program = CProgram(network, checked_prefix(prefix, source), dtype, header.name)
    replace_files({header: header_text(program), source: source_text(program)})
