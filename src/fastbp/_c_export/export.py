"""The function behind the method ``export_c`` of the estimators.

An ``ExportedNetwork`` and the arguments of the method go in; two files come out. This module does not know the syntax of C.
"""

from .files import replace_texts
from .header import header_text
from .names import checked_prefix, source_and_header
from .program import C_DTYPES, CProgram
from .source import source_text


def export_program(network, path, prefix, dtype):
    """Write the source file and the header of a network."""
    if dtype is None:
        dtype = next(name for name, one in C_DTYPES.items() if one == network.dtype)
    if not isinstance(dtype, str) or dtype not in C_DTYPES:
        raise ValueError(f"dtype must be None, 'float' or 'double', the types of C; got {dtype!r}.")
    source, header = source_and_header(path)
    program = CProgram(network, checked_prefix(prefix, source), dtype, header.name)
    replace_texts({header: header_text(program), source: source_text(program)})
