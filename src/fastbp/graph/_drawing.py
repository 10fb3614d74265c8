"""Drawings of graphs as SVG and PNG.

The nodes of a graph and their texts go in; a ``Drawing`` comes out. matplotlib draws the figure without pyplot, so that no display
is needed. This module does not know how gradients are computed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cache
from html import escape
from io import BytesIO
from itertools import pairwise
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from ._labels import description_of, edge_text, node_names
from ._layout import layered_layout

# blue and vermilion, which people with color vision deficiencies can distinguish (Okabe and Ito 2008), darker for more contrast
_FORWARD, _BACKWARD, _TEXT, _BORDER = "#0069A6", "#B34700", "#000000", "#555555"
_FILLS = {"variable": "#E3F0F8", "constant": "#EEEEEE", "operation": "#FFFFFF"}
_FONT, _MONOSPACED = "DejaVu Sans", "DejaVu Sans Mono"
_CHARACTER_WIDTH = 0.6021  # the width of a character of the monospaced font, as a multiple of its size
_MAX_PIXELS = 30_000  # matplotlib draws at most 65,536 pixels
_MAX_WIDTH = 1000  # in points; in a wider drawing, the arrows point down
_SIZE, _LINE, _PADDING, _BADGE, _MARGIN, _LANE = 9, 13.0, 7.0, 18.0, 14.0, 3.5
_RC: Any = {"svg.hashsalt": "fastbp", "svg.fonttype": "path", "path.simplify": False, "text.hinting": "none"}


@dataclass(frozen=True)
class Drawing:
    """A drawing of a graph, which Jupyter displays; `render` creates it.

    Parameters
    ----------
    svg : str
        The drawing as SVG, with a title and a description for screen readers.
    png : bytes
        The drawing as PNG.
    description : str
        All steps as text.
    """

    svg: str = field(repr=False)
    png: bytes = field(repr=False)
    description: str

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the drawing to a file.

        Parameters
        ----------
        path : str or path-like
            The file, whose name ends in .svg or .png.

        Raises
        ------
        ValueError
            If the name has another ending.
        """
        path = FilePath(path)
        contents = {".svg": self.svg.encode(), ".png": self.png}
        if path.suffix not in contents:
            raise ValueError(f"path must be the name of a file that ends in .svg or .png, got {str(path)!r}. Change the ending.")
        path.write_bytes(contents[path.suffix])

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_png_(self) -> bytes:
        return self.png


def _import_figure() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('render needs matplotlib, which is not installed: pip install "fastbp[plot]".') from error
    return Figure


def _accessible(svg, title, description):
    """Return the root element of an SVG with a title and a description for screen readers; it can be included in HTML."""
    start = svg.index("<svg ")
    end = svg.index(">", start) + 1
    attributes = f'{svg[start : end - 1]} role="img" aria-label="{escape(title)}">'
    texts = f"\n <title>{escape(title)}</title>\n <desc>{escape(description)}</desc>"
    return attributes + texts + svg[end:]


def drawing_of(nodes, texts, backward, direction):
    """Return the ``Drawing`` of nodes in topological order; ``texts`` are their ``NodeText``."""
    figure_class, description = _import_figure(), description_of(texts)
    picture = _Picture(nodes, texts, backward, direction)
    svg, png = picture.files(figure_class)
    return Drawing(_accessible(svg, picture.title, description), png, description)


class _Picture:
    """The positions of all texts and arrows, in points, and the methods that draw them.

    Positions are computed for arrows to the right. If the arrows point down, x and y are exchanged when a shape is drawn.
    """

    def __init__(self, nodes, texts, backward, direction):
        names = node_names(nodes)
        number = {id(node): at for at, node in enumerate(nodes)}
        self.nodes, self.texts, self.backward = nodes, texts, backward
        self.title = f"Computational graph of {names[id(nodes[-1])]}"
        arrows = [
            (number[id(edge.parent)], at, self._edge_lines(edge, node, names))
            for at, node in enumerate(nodes)
            for edge in node.edges
            if id(edge.parent) in number
        ]
        self.labels = [lines for _, _, lines in arrows]
        self.is_down = direction == "down"
        self._place(arrows)
        if direction == "auto" and self._corner()[0] > _MAX_WIDTH:
            self.is_down = True
            self._place(arrows)
        self.ports = self._ports()
        self.legend = self._legend_lines()

    def _place(self, arrows):
        sizes = [self._turned(_box_size(text)) for text in self.texts]
        labels = [(start, end, self._turned(_label_size(lines))) for start, end, lines in arrows]
        self.boxes, self.chains = layered_layout(sizes, labels)

    def _corner(self):
        """Return the (x, y) of the lower right corner of all places."""
        places = [place for chain in self.chains for place in chain] + self.boxes
        ends = [self._turned((place.x + place.width / 2, place.y + place.height / 2)) for place in places]
        return [max(values) for values in zip(*ends, strict=True)]

    def _turned(self, pair):
        """Return (x, y) or (width, height) for the direction of the arrows."""
        return (pair[1], pair[0]) if self.is_down else pair

    def _edge_lines(self, edge, node, names):
        return edge_text(edge, node, names) if self.backward and not edge.parent.is_constant else []

    def _legend_lines(self):
        n = sum(text.forward_step is not None for text in self.texts)
        m = n + sum(text.backward_step is not None for text in self.texts)
        lines = [(f"forward pass, steps 1 to {n}: values", _FORWARD, "-")] if n else []
        if self.backward:
            lines.append(
                (f"backward pass, steps {n + 1} to {m}: gradient = Σ gradient of the next node × local derivative", _BACKWARD, "--")
            )
        return lines

    def _ports(self):
        """Return the heights at which the arrows leave and enter their boxes, as a dict by the numbers of arrow and end."""
        ports = {}
        for side in (0, -1):
            for box in self.boxes:
                own = [at for at, chain in enumerate(self.chains) if chain[side] is box]
                own.sort(key=lambda at: self.chains[at][1 if side == 0 else -2].y)
                step = min(24.0, (box.height - 12) / max(len(own), 1))
                for rank, at in enumerate(own):
                    ports[at, side] = box.y + (rank - (len(own) - 1) / 2) * step
        return ports

    # ------------------------------------------------------------------ drawing

    def files(self, figure_class):
        """Return the SVG as text and the PNG as bytes."""
        import matplotlib

        right, bottom = self._corner()
        legend_width = max((_text_width(line) + 46 for line, _, _ in self.legend), default=0)
        width = max(right, legend_width) + 2 * _MARGIN
        height = bottom + 2 * _MARGIN + 8 + len(self.legend) * (_LINE + 3)
        with matplotlib.rc_context(_RC):
            figure = figure_class(figsize=(width / 72, height / 72), facecolor="white")
            axes = figure.add_axes((0, 0, 1, 1))
            axes.set(xlim=(-_MARGIN, width - _MARGIN), ylim=(height - _MARGIN, -_MARGIN))
            axes.set_axis_off()
            for at in range(len(self.chains)):
                self._draw_arrow(axes, at)
            for box, text in zip(self.boxes, self.texts, strict=True):
                self._draw_box(axes, box, text, is_output=box is self.boxes[-1])
            self._draw_legend(axes, bottom + 14)
            svg, png = BytesIO(), BytesIO()
            figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
            dpi = min(150, 72 * _MAX_PIXELS / max(width, height))
            figure.savefig(png, format="png", dpi=dpi, metadata={"Software": None})
        return svg.getvalue().decode(), png.getvalue()

    def _draw_arrow(self, axes, at):
        chain, lines = self.chains[at], self.labels[at]
        label = chain[-2]
        if not self.backward:
            _draw_path(axes, self._points(at, 0, 0), _FORWARD, "-", self._turned)
            return
        offset = label.height / 2
        _draw_path(axes, self._points(at, -_LANE, -offset), _FORWARD, "-", self._turned)
        if lines:
            _draw_path(axes, self._points(at, _LANE, offset)[::-1], _BACKWARD, "--", self._turned)
        x, y = self._turned((label.x, label.y))
        top = y - (len(lines) - 1) / 2 * _LINE
        for number, line in enumerate(lines):
            _write(axes, x, top + number * _LINE, line, _BACKWARD, family=_MONOSPACED, ha="center", size=_SIZE - 1)

    def _points(self, at, lane, label_offset):
        """Return the points of an arrow; it passes above the label if label_offset is negative, below it otherwise."""
        start, *through, label, end = self.chains[at]
        points = [(start.x + start.width / 2, self.ports[at, 0] + lane)]
        for place in through:
            points += [(place.x - place.width / 2, place.y + lane), (place.x + place.width / 2, place.y + lane)]
        y = label.y + label_offset
        points += [(label.x - label.width / 2, y), (label.x + label.width / 2, y)]
        return [*points, (end.x - end.width / 2, self.ports[at, -1] + lane)]

    def _draw_box(self, axes, box, text, is_output):
        from matplotlib.patches import FancyBboxPatch

        (x, y), (width, height) = self._turned((box.x, box.y)), self._turned((box.width, box.height))
        left, top = x - width / 2, y - height / 2
        style: Any = {"boxstyle": "round,pad=0,rounding_size=4", "linewidth": 2 if is_output else 1}
        axes.add_patch(
            FancyBboxPatch(
                (left, top),
                width,
                height,
                facecolor=_FILLS[text.kind],
                edgecolor=_BORDER,
                mutation_aspect=1,
                zorder=2,
                **style,
            )
        )
        y = top + _PADDING + _LINE / 2
        _write(axes, x, y, text.title, _TEXT, weight="bold", ha="center")
        for lines, step, color in ((text.value, text.forward_step, _FORWARD), (text.gradient, text.backward_step, _BACKWARD)):
            for number, line in enumerate(lines):
                y += _LINE
                if number == 0 and step is not None:
                    _draw_badge(axes, left + _PADDING + 6, y, step, color)
                _write(axes, left + _PADDING + _BADGE, y, line, color, family=_MONOSPACED)

    def _draw_legend(self, axes, y):
        for number, (line, color, style) in enumerate(self.legend):
            at = y + number * (_LINE + 3) + _LINE / 2
            _draw_path(axes, [(0, at), (34, at)] if style == "-" else [(34, at), (0, at)], color, style)
            _write(axes, 44, at, line, color)


# ---------------------------------------------------------------------- sizes and shapes


def _box_size(text):
    lines = [*text.value, *text.gradient]
    width = max(_text_width(text.title, bold=True), _BADGE + max(_text_width(line, family=_MONOSPACED) for line in lines))
    return width + 2 * _PADDING, _LINE * (1 + len(lines)) + 2 * _PADDING


def _label_size(lines):
    if not lines:
        return 10, 10
    return max(_text_width(line, family=_MONOSPACED, size=_SIZE - 1) for line in lines) + 12, len(lines) * _LINE + 6


@cache
def _text_width(text, family=_FONT, size=_SIZE, bold=False):
    """Return the width of a text in points."""
    if family == _MONOSPACED:
        return len(text) * size * _CHARACTER_WIDTH + 2
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    properties = FontProperties(family=family, weight="bold" if bold else "normal")
    return float(TextPath((0, 0), _plain(text), size=size, prop=properties).get_extents().x1) + 2


def _plain(text):
    """Return a text that matplotlib does not interpret as mathematics."""
    return text.replace("$", r"\$")


def _write(axes, x, y, text, color, family=_FONT, size=_SIZE, weight="normal", ha="left"):
    style = {"family": family, "fontsize": size, "weight": weight}
    axes.text(x, y, _plain(text), color=color, ha=ha, va="center_baseline", zorder=4, **style)


def _draw_badge(axes, x, y, number, color):
    from matplotlib.patches import Circle

    axes.add_patch(Circle((x, y), 6.2, facecolor=color, edgecolor="none", zorder=3))
    _write(axes, x, y, str(number), "white", size=7 if number < 100 else 5.5, weight="bold", ha="center")


def _draw_path(axes, points, color, style, turned=tuple):
    """Draw an arrow through points, with curves between the columns and straight lines inside them."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    vertices, codes = [points[0]], [Path.MOVETO]
    for (x, y), (next_x, next_y) in pairwise(points):
        middle = (x + next_x) / 2
        vertices += [(middle, y), (middle, next_y), (next_x, next_y)]
        codes += [Path.CURVE4] * 3
    arrow: Any = {"arrowstyle": "-|>,head_length=4.5,head_width=2.2", "mutation_scale": 1, "shrinkA": 0, "shrinkB": 0}
    path = Path(np.array([turned(vertex) for vertex in vertices]), codes)
    axes.add_patch(FancyArrowPatch(path=path, color=color, linestyle=style, linewidth=1.1, zorder=1, joinstyle="miter", **arrow))
