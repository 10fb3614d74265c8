"""Reads the CSV file of the user: two columns of numbers and a target.

The text of the file goes in; a ``Table`` comes out. Errors name the row and the column, the rule, the value and the remedy. This
module does not know how the rows are used.
"""

import csv
import io
from collections import Counter
from math import isfinite
from typing import NamedTuple

import numpy as np

MAX_BYTES = 1_000_000
MIN_FILE_ROWS, MAX_FILE_ROWS = 20, 5000
MAX_CLASSES = 6


class Table(NamedTuple):
    """The contents of a file: the inputs (n_rows, 2), the texts of the target, the numbers of the lines, and the three names.

    ``file`` is the number by which the page knows the file.
    """

    X: np.ndarray
    target: list[str]
    lines: list[int]
    names: tuple[str, str, str]
    is_comma_decimal: bool
    file: int | None = None


class UploadError(ValueError):
    """The file cannot be used; the message says why and what to do."""


def read_table(text):
    """Return the ``Table`` of a file, or raise an ``UploadError``."""
    if not isinstance(text, str):
        raise UploadError(f"The file must be text, got {type(text).__name__}. Choose a CSV file.")
    check_size(len(text.encode("utf-8", "replace")))
    text = text.removeprefix("\ufeff")
    if "\x00" in text or "\ufffd" in text:
        raise UploadError("The file must be text in the encoding UTF-8. Save it as 'CSV UTF-8', not as a spreadsheet.")
    delimiter = _delimiter(text)
    rows = _rows(text, delimiter)
    is_comma_decimal = delimiter != ","
    names = _names(rows, is_comma_decimal)
    _check_count(len(rows))
    X = [[_input(cells[column], number, names[column], is_comma_decimal) for column in (0, 1)] for number, cells in rows]
    target = [_target(cells[2], number, names[2]) for number, cells in rows]
    return Table(np.array(X), target, [number for number, _ in rows], names, is_comma_decimal)


def check_size(n_bytes):
    """Raise an ``UploadError`` if a file is too large."""
    if n_bytes > MAX_BYTES:
        raise UploadError(f"The file must have at most {MAX_BYTES:,} bytes, got {n_bytes:,}. Remove rows from it.")


def _delimiter(text):
    """The delimiter of the first line that is not empty: the one of semicolon, tab and comma that occurs most often."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max((";", "\t", ","), key=first.count)


def _rows(text, delimiter):
    """A list of the number of the line and the three cells of each row that is not empty."""
    reader, rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), []
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if any(cells):
                rows.append((reader.line_num, cells))
    except csv.Error as error:
        raise UploadError(f"Row {reader.line_num} cannot be read as CSV: {error}. Correct the row, or remove it.") from error
    for number, cells in rows:
        if len(cells) != 3:
            raise UploadError(
                f"Row {number} must have 3 columns (two inputs and the target), got {len(cells)}. Keep exactly three columns, "
                "separated by commas, semicolons or tabs."
            )
    return rows


def _names(rows, is_comma_decimal):
    """The names of the columns; removes the header from the rows, if there is one."""
    if rows and not any(_is_number(cell, is_comma_decimal) for cell in rows[0][1][:2]):
        x1, x2, target = rows.pop(0)[1]
        return x1 or "x1", x2 or "x2", target or "target"
    return "x1", "x2", "target"


def _check_count(n_rows):
    if not MIN_FILE_ROWS <= n_rows <= MAX_FILE_ROWS:
        remedy = "Add rows to it." if n_rows < MIN_FILE_ROWS else "Remove rows from it, for example by choosing a random part."
        raise UploadError(f"The file must have {MIN_FILE_ROWS} to {MAX_FILE_ROWS:,} rows of data, got {n_rows:,}. {remedy}")


def _input(cell, row, name, is_comma_decimal):
    if not _is_number(cell, is_comma_decimal):
        raise UploadError(
            f"Row {row}, column {name!r} must be a finite number, got {cell!r}. Correct the value, or remove the row."
        )
    return as_number(cell, is_comma_decimal)


def _target(cell, row, name):
    if not cell:
        raise UploadError(f"Row {row}, column {name!r} must not be empty. Enter the target, or remove the row.")
    return cell


def as_number(cell, is_comma_decimal):
    """The number in a cell, NaN if there is none. In files with semicolons or tabs, a comma is a decimal separator."""
    if "_" in cell:  # Python allows underscores in numbers
        return float("nan")
    try:
        return float(cell.replace(",", ".") if is_comma_decimal else cell)
    except ValueError:
        return float("nan")


def _is_number(cell, is_comma_decimal):
    number = as_number(cell, is_comma_decimal)
    return isfinite(number) and abs(number) <= 1e100  # squares of larger numbers could overflow


def target_values(table, kind):
    """Return the target as class codes and the labels of the classes, or as numbers and None.

    ``kind`` is "classes", "numbers" or "auto", which means numbers if all targets are numbers with more than six different values.
    """
    numbers = np.array([as_number(cell, table.is_comma_decimal) for cell in table.target])
    is_number = np.isfinite(numbers) & (np.abs(numbers) <= 1e100)
    if kind == "auto":
        kind = "numbers" if is_number.all() and len(set(numbers)) > MAX_CLASSES else "classes"
    if kind == "numbers":
        _check_numbers(table, numbers, is_number)
        return numbers, None
    labels = sorted(set(table.target), key=lambda label: _label_order(as_number(label, table.is_comma_decimal), label))
    _check_classes(table, labels)
    return np.array([labels.index(label) for label in table.target]), labels


def _check_numbers(table, numbers, is_number):
    name = table.names[2]
    if not is_number.all():
        row = int(np.flatnonzero(~is_number)[0])
        raise UploadError(
            f"Row {table.lines[row]}, column {name!r} must be a finite number for a regression, got {table.target[row]!r}. "
            "Correct it, or select 'Classes' as the kind of target."
        )
    if np.ptp(numbers) == 0:
        raise UploadError(f"Column {name!r} must contain different values, got only {table.target[0]!r}. Choose another target.")


def _check_classes(table, labels):
    name = table.names[2]
    if not 2 <= len(labels) <= MAX_CLASSES:
        shown = ", ".join(map(repr, labels[:4])) + ", ..." * (len(labels) > 4)
        raise UploadError(
            f"Column {name!r} must contain 2 to {MAX_CLASSES} classes, got {len(labels)}: {shown}. Merge classes, or select "
            "'Numbers' as the kind of target for a regression."
        )
    label, count = min(Counter(table.target).items(), key=lambda entry: entry[1])
    if count < 2:
        raise UploadError(
            f"Each class in column {name!r} must have at least 2 rows, got 1 for {label!r}. Add rows, or remove this one."
        )


def _label_order(number, label):
    """A key by which labels are sorted: numbers by their value, before all other labels."""
    return not isfinite(number), number if isfinite(number) else 0.0, label
