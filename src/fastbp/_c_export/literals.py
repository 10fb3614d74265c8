"""Numbers, strings and comments as C text.

Values go in; text that every C99 compiler accepts comes out. Numbers have so many digits that they are read back exactly. The text
for names of the user has only printable ASCII characters, and ends neither a string nor a comment. This module does not know what
the values mean.
"""

import re

import numpy as np

_LINE_WIDTH = 100  # of the lines with numbers
_ESCAPES = {ord('"'): r"\"", ord("\\"): r"\\", ord("?"): r"\?"}  # two question marks can start a trigraph
# The types of integers with the bits that C guarantees, and the suffixes of their numbers.
_INTEGER_TYPES = (("int", 16, ""), ("long", 32, "L"), ("long long", 64, "LL"))


def real_literal(value, real):
    """A finite number with the suffix of its type; 9 digits determine a float and 17 a double."""
    text = f"{value:.9g}" if real == "float" else f"{value:.17g}"
    if "." not in text and "e" not in text:
        text += ".0"
    return text + "f" * (real == "float")


def real_rows(values, real):
    """The numbers of an array as lines, with a new line for each row of a matrix."""
    rows = np.atleast_2d(values).tolist()
    return ",\n".join(_wrapped_items(real_literal(value, real) for value in row) for row in rows)


def _wrapped_items(items):
    """A list of items, separated by commas, in lines of limited width."""
    lines, line = [], "   "
    for item in items:
        if len(line) + len(item) + 2 > _LINE_WIDTH:
            lines.append(line)
            line = "   "
        line += f" {item},"
    return "\n".join([*lines, line]).removesuffix(",")


def string_literal(text):
    """A string; characters other than printable ASCII become the octal codes of their bytes in UTF-8."""
    return '"' + "".join(map(_character, text.encode("utf-8", "surrogatepass"))) + '"'


def _character(byte):
    if byte in _ESCAPES:
        return _ESCAPES[byte]
    return chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}"


def comment_text(value):
    """A value in a comment: the text in quotes that Python shows, in ASCII, without the ends of comments and without trigraphs."""
    return re.sub(r"([*?/])(?=[*?/])", r"\1 ", ascii(value))


def block_comment(lines):
    """A comment of several lines."""
    return "/*\n" + "".join(f" * {line}".rstrip() + "\n" for line in lines) + " */\n"


def label_array(labels):
    """Return the C type of an array of class labels and its items as lines."""
    if all(isinstance(label, str) for label in labels):
        return "const char *const", ",\n".join(f"    {string_literal(label)}" for label in labels)
    if all(isinstance(label, float) for label in labels):
        return "const double", _wrapped_items(real_literal(label, "double") for label in labels)
    low, high = min(labels), max(labels)
    if high >= 2**63:
        return "const unsigned long long", _wrapped_items(f"{label}ULL" for label in labels)
    kind, bits, suffix = next(kind for kind in _INTEGER_TYPES if -(2 ** (kind[1] - 1)) <= low and high < 2 ** (kind[1] - 1))
    return f"const {kind}", _wrapped_items(_integer_literal(label, bits, suffix) for label in labels)


def _integer_literal(label, bits, suffix):
    """An integer; C has no literal for the smallest one of a type, because the sign is an operator."""
    if label == -(2 ** (bits - 1)):
        return f"{label + 1}{suffix} - 1"
    return f"{int(label)}{suffix}"
