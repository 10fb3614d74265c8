"""Statistics of layers as text, as HTML and as a data frame.

Dicts from names to values, one for each layer, go in; lines of text, HTML or a pandas DataFrame come out. This module does not know
what the statistics mean.
"""

from html import escape
from math import isnan

# the columns of the table: the heading, the name of the statistic, and its format
_COLUMNS = (
    ("layer", "layer", "d"),
    ("activation", "activation", "s"),
    ("units", "n_units", "d"),
    ("dead", "dead_share", ".0%"),
    ("saturated", "saturated_share", ".0%"),
    ("mean W", "weight_mean", ".2g"),
    ("std W", "weight_std", ".2g"),
    ("norm W", "weight_norm", ".2g"),
    ("mean A", "activation_mean", ".2g"),
    ("std A", "activation_std", ".2g"),
    ("grad W", "coef_grad_norm", ".1e"),
    ("grad b", "intercept_grad_norm", ".1e"),
    ("update/W", "update_ratio", ".1e"),
)
_N_TEXT = 2  # the first columns are aligned to the left
_STYLE = (
    ".fastbp-diagnosis { overflow-x: auto } .fastbp-diagnosis table { border-collapse: collapse }"
    " .fastbp-diagnosis caption { text-align: left; font-weight: bold; padding: 0.3em 0; white-space: nowrap }"
    " .fastbp-diagnosis :is(th, td) { padding: 0.15em 0.6em; text-align: right; white-space: nowrap }"
    " .fastbp-diagnosis thead th { border-bottom: 1px solid currentColor }"
)


def _cells(layer):
    """Return the texts of the columns for a layer; a dash stands for NaN."""
    values = ((layer[name], form) for _, name, form in _COLUMNS)
    return ["–" if isinstance(value, float) and isnan(value) else format(value, form) for value, form in values]


def text_of_layers(layers):
    """Return the lines of an aligned table."""
    rows = [[heading for heading, _, _ in _COLUMNS], *map(_cells, layers)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_aligned(row, widths)).rstrip() for row in rows]


def _aligned(row, widths):
    for n, (cell, width) in enumerate(zip(row, widths, strict=True)):
        yield cell.ljust(width) if n < _N_TEXT else cell.rjust(width)


def html_of_layers(title, layers):
    """Return an HTML table with a title."""
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading, _, _ in _COLUMNS)
    body = "\n".join(f"<tr>{_html_row(_cells(layer))}</tr>" for layer in layers)
    return (
        f'<style>{_STYLE}</style>\n<div class="fastbp-diagnosis" tabindex="0" role="region" aria-label="{escape(title)}"><table>'
        f"<caption>{escape(title)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>\n"
    )


def _html_row(cells):
    first, *others = (escape(cell.replace("-", "−")) for cell in cells)
    return f'<th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in others)


def html_of_list(title, entries, empty):
    """Return an HTML list of (name, text), or the text ``empty`` if there are no entries."""
    if not entries:
        return f"<p>{escape(empty)}</p>\n"
    items = "\n".join(f"<li><b>{escape(name)}</b>: {escape(text)}</li>" for name, text in entries)
    return f"<p><b>{escape(title)}</b></p>\n<ul>\n{items}\n</ul>\n"


def layer_frame(layers, columns=()):
    """Return a DataFrame with one row for each dict; ``columns`` are those before the statistics of a layer."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "to_frame needs pandas. Install it with: pip install 'fastbp[datasets]', or: pip install pandas"
        ) from error
    return pd.DataFrame(list(layers), columns=[*columns, *(name for _, name, _ in _COLUMNS)])
