"""The HTML view of a trace.

A ``Trace`` goes in; HTML comes out, from the templates in this package. All text is escaped. The view needs no network and no
other files. This module does not know what the steps of a trace are.
"""

from functools import cache
from html import escape
from importlib.resources import files
from secrets import token_hex
from string import Template

import numpy as np
from scipy.sparse import issparse

from ._steps import steps_of

_N_SHOWN = 6  # the largest number of rows and of columns of a table; of longer arrays, the first and the last ones are shown


def page_of(trace):
    """Return a complete HTML page."""
    return _template("page").substitute(title=escape(repr(trace)), fragment=fragment_of(trace))


def fragment_of(trace):
    """Return the HTML of the view for a notebook; its ids are different in each call."""
    name, steps = f"fastbp-trace-{token_hex(6)}", steps_of(trace)
    titles = [f"{number}: {step.title}" for number, step in enumerate(steps, start=1)]
    return _template("fragment").substitute(
        id=name,
        title="Backpropagation, step by step",
        about=escape(repr(trace)) + ".",
        options="\n".join(f"<option>{escape(title)}</option>" for title in titles),
        steps="\n".join(_step_html(step, number, f"{name}-step-{number}") for number, step in enumerate(steps, start=1)),
    )


@cache
def _template(name):
    return Template(files(__package__).joinpath("templates", f"{name}.html").read_text(encoding="utf-8"))


def _step_html(step, number, name):
    return _template("step").substitute(
        id=name,
        number=number,
        title=escape(step.title),
        formulas="\n".join(f'<p class="formula">{escape(text)}</p>' for text in step.formulas),
        shapes="\n".join(f"<li>{escape(text)}</li>" for text in step.shapes),
        notes="\n".join(f'<p class="note">{escape(text)}</p>' for text in step.notes),
        tables="\n".join(_table(*array) for array in step.arrays),
    )


# ---------------------------------------------------------------------- tables


def _table(name, array, labels):
    """Return the table of an array (n_rows, n_columns); labels are those of rows and columns, or a list for all columns."""
    rows, columns = (_shown(length) for length in array.shape)
    n_hidden = [length - _N_SHOWN for length in array.shape if length > _N_SHOWN]
    label, column_labels = labels
    shape = f"{array.shape[0]} × {array.shape[1]}" if label else f"{array.shape[1]}"
    caption = escape(f"{name}, {shape}{', shortened' * bool(n_hidden)}")
    head = "".join(f'<th scope="col">{escape(_label(column_labels, column))}</th>' for column in columns)
    corner = '<td aria-hidden="true"></td>' if label else ""
    body = "\n".join(f"<tr>{_row(array, row, columns, label)}</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}"><table><caption>{caption}</caption>\n'
        f"<thead><tr>{corner}{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _shown(length):
    """Return the indices to show, with None in place of those that are left out."""
    if length <= _N_SHOWN:
        return list(range(length))
    half = _N_SHOWN // 2
    return [*range(half), None, *range(length - half, length)]


def _label(label, index):
    if isinstance(label, list):
        return label[index]
    return "…" if index is None else f"{label} {index}".strip()


def _row(array, row, columns, label):
    cells = "".join(f"<td>{_number(array, row, column)}</td>" for column in columns)
    return (f'<th scope="row">{escape(_label(label, row))}</th>' if label else "") + cells


def _number(array, row, column):
    if row is None or column is None:
        return "…"
    value = array[row : row + 1].toarray()[0, column] if issparse(array) else array[row, column]
    return f"{np.float64(value) + 0.0:.4g}".replace("-", "−")  # the sum turns −0 into 0
