"""Tables as text, as HTML and as data frames.

Rows of texts go in; aligned lines or HTML come out. ``imported_pandas`` returns pandas for methods named ``to_frame``. This module
does not know what the tables contain. Colors and fonts follow those of the page on which the HTML is shown.
"""

from html import escape
from typing import Any

_STYLE = """
.fastbp-table { max-width: 100%; margin: .5em .4em; color: inherit; font-size: .9em; text-align: left; }
.fastbp-table p { margin: 0 0 .3em; color: inherit; }
.fastbp-table .scroll { max-width: 100%; overflow-x: auto; }
.fastbp-table table { width: auto; margin: 0; border-collapse: collapse; background: none; font-variant-numeric: tabular-nums; }
.fastbp-table tr:nth-child(n) { background: none; }
.fastbp-table th, .fastbp-table td {
  padding: .15em .7em; border: 0; border-bottom: 1px solid color-mix(in srgb, currentColor 25%, transparent); background: none;
  color: inherit; font-weight: normal; text-align: right; white-space: nowrap;
}
.fastbp-table thead th { border-bottom-color: currentColor; font-weight: bold; }
.fastbp-table tfoot th, .fastbp-table tfoot td { border-bottom: 0; font-weight: bold; }
.fastbp-table .text { text-align: left; }
"""


def aligned_lines(rows, is_text):
    """Return one line for each row. ``is_text`` tells for each column whether it is aligned to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(_aligned, row, widths, is_text)).rstrip() for row in rows]


def _aligned(cell, width, is_text):
    return cell.ljust(width) if is_text else cell.rjust(width)


def html_of_table(heading, label, titles, rows, is_text, *, totals=None):
    """Return the HTML element of a table with its style sheet.

    ``heading`` contains the lines of text above the table, ``label`` describes the table to a screen reader, ``titles`` are the
    heads of the columns, and ``totals`` is the last row. The first cell of each row is its head.
    """
    parts = [("thead", [titles], "col"), ("tbody", rows, "row"), ("tfoot", [totals] if totals else [], "row")]
    table = "".join(f"<{tag}>{_html_of_rows(part, is_text, scope)}</{tag}>" for tag, part, scope in parts if part)
    return (
        f'<div class="fastbp-table"><style>{_STYLE}</style><p>{"<br>".join(map(escape, heading))}</p>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}"><table>{table}</table></div></div>'
    )


def _html_of_rows(rows, is_text, scope):
    return "".join(f"<tr>{''.join(_html_of_cells(row, is_text, scope))}</tr>" for row in rows)


def _html_of_cells(row, is_text, scope):
    for number, (text, is_left) in enumerate(zip(row, is_text, strict=True)):
        kind = ' class="text"' if is_left else ""
        is_head = scope == "col" or number == 0
        yield f'<th scope="{scope}"{kind}>{escape(text)}</th>' if is_head else f"<td{kind}>{escape(text)}</td>"


def imported_pandas() -> Any:
    """Return the module pandas, or raise an ImportError that tells how to install it."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "to_frame needs pandas. Install it with: pip install 'fastbp[datasets]', or: pip install pandas"
        ) from error
    return pd
