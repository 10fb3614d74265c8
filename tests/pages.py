"""Runs the code on the pages of the documentation.

The text of a page goes in; a report of the failures comes out. The fenced blocks of Python are run as one doctest.
"""

import doctest
import warnings

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


def python_blocks(text):
    """The lines of the text that are in a fenced block of Python; all other lines are empty, so that line numbers are kept."""
    lines, is_inside = [], False
    for line in text.splitlines():
        is_fence = line.lstrip().startswith("```")
        lines.append(line if is_inside and not is_fence else "")
        if is_fence:
            is_inside = not is_inside and line.strip() == "```python"
    return "\n".join(lines)


def failures_in(text, name="page"):
    """Run the examples in a text, and return a report of the failures."""
    test = doctest.DocTestParser().get_doctest(python_blocks(text), {"__name__": "__main__"}, name, name, 0)
    report = []
    with warnings.catch_warnings():
        doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append)
    return "".join(report)
