"""Statistics of layers as text, as HTML and as a data frame.

Dicts from names to values, one for each layer, go in; lines of text, HTML or a pandas DataFrame come out. This module does not know
what the statistics mean.
"""

from html import escape
from math import isnan

from ..._tables import aligned_lines, html_of_table, imported_pandas

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
_TITLES = [title for title, _, _ in _COLUMNS]
_IS_TEXT = [name in ("layer", "activation") for _, name, _ in _COLUMNS]


def _cells(layer):
    """Return the texts of the columns for a layer; a dash stands for NaN."""
    values = ((layer[name], form) for _, name, form in _COLUMNS)
    return ["–" if isinstance(value, float) and isnan(value) else format(value, form) for value, form in values]


def text_of_layers(layers):
    """Return the lines of an aligned table."""
    return aligned_lines([_TITLES, *map(_cells, layers)], _IS_TEXT)


def html_of_layers(title, layers):
    """Return an HTML table with a title."""
    rows = [[cell.replace("-", "−") for cell in _cells(layer)] for layer in layers]
    return html_of_table([title], title, _TITLES, rows, _IS_TEXT) + "\n"


def html_of_list(title, entries, empty):
    """Return an HTML list of (name, text), or the text ``empty`` if there are no entries."""
    if not entries:
        return f"<p>{escape(empty)}</p>\n"
    items = "\n".join(f"<li><b>{escape(name)}</b>: {escape(text)}</li>" for name, text in entries)
    return f"<p><b>{escape(title)}</b></p>\n<ul>\n{items}\n</ul>\n"


def layer_frame(layers, columns=()):
    """Return a DataFrame with one row for each dict; ``columns`` are those before the statistics of a layer."""
    return imported_pandas().DataFrame(list(layers), columns=[*columns, *(name for _, name, _ in _COLUMNS)])
