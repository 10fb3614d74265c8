"""Drawings of graphs: texts, steps, arrows, positions without overlaps, and files.

The tests read the texts and arrows from the figure that is saved. The drawings of these graphs were also looked at.
"""

import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

import fastbp
from fastbp import graph
from fastbp.graph import Drawing, Variable, from_estimator, render
from fastbp.graph._layout import layered_layout

SVG = "{http://www.w3.org/2000/svg}"


def named(variable, name):
    variable.name = name
    return variable


def example_1():
    a, b, c = Variable(5, "a"), Variable(3, "b"), Variable(2, "c")
    u = named(b * c, "u")
    return named(3 * named(a + u, "v"), "J")


def example_2():
    h, k, w1, w2, b = (Variable(value, name) for value, name in ((1, "h"), (-3, "k"), (5, "w1"), (-1, "w2"), (3, "b")))
    return named((10 - named(h * w1 + k * w2 + b, "ŷ")) ** 2, "L")


def example_5():
    random = np.random.default_rng(0)
    shapes = {"x": (1, 3), "W1": (3, 4), "b1": 4, "W2": (4, 1), "b2": 1}
    x, W1, b1, W2, b2 = (Variable(random.normal(size=shape), name) for name, shape in shapes.items())
    output = named(graph.sigmoid(graph.tanh(x @ W1 + b1) @ W2 + b2), "ŷ")
    return named(graph.sum(-graph.log(output)), "L")


def used_twice():
    x = Variable(2, "x")
    return x * x + x * graph.exp(x)


def of_network():
    X = np.random.default_rng(0).normal(size=(20, 5))
    options = {"hidden_layer_sizes": (4, 2), "activation": "silu", "layer_norm": True, "max_iter": 1, "tol": 1e9}
    model = fastbp.MLPClassifier(**options, random_state=0, n_threads=1)
    with pytest.warns(match="converge"):
        model.fit(X, np.arange(20) % 3)
    return from_estimator(model, X[:5], np.arange(5) % 3).loss


def awkward_texts():
    x, y = Variable([[1e-30, -123456.789]], "$x_1$ <&>"), Variable(np.arange(60.0).reshape(3, 4, 5), "a long name " * 3)
    return graph.sum(x[0, ::-1] ** 2) * graph.mean(y, axis=(0, 2))[np.array([0, 0, 1])] + np.ones((2, 1))


GRAPHS = [example_1, example_2, example_5, used_twice, of_network, awkward_texts]


@pytest.fixture
def figures(monkeypatch):
    """A list of the figures that would be saved, which is faster than saving them."""
    saved = []

    def record(figure, file, *, dpi=None, **options):
        figure.dpi = dpi or figure.dpi
        file.write(b"<svg />")
        saved.append(figure)

    monkeypatch.setattr(Figure, "savefig", record)
    return saved


def drawn(figures, output, **options):
    """The axes of the drawing of a graph."""
    options = {"gradient": np.ones(output.shape), **options}
    render(output, **options)
    return figures[-1].axes[0]


def texts_in(axes):
    return [text.get_text() for text in axes.texts]


def extents(artists, axes):
    with matplotlib.rc_context({"text.hinting": "none"}):  # as when the figure is saved
        renderer = FigureCanvasAgg(axes.figure).get_renderer()
        return [artist.get_window_extent(renderer) for artist in artists]


# ---------------------------------------------------------------------- steps


def test_steps_of_example_1():
    assert render(example_1()).description.splitlines() == [
        "a: value 5",
        "b: value 3",
        "c: value 2",
        "1. u = b · c: value 6",
        "2. v = a + u: value 11",
        "3. J = 3 · v: value 33",
        "4. gradient of J: grad 1",
        "5. gradient of v: grad 3",
        "6. gradient of u: grad 3",
        "7. gradient of c: grad 9",
        "8. gradient of b: grad 6",
        "9. gradient of a: grad 3",
    ]


def test_texts_of_example_1(figures):
    texts = texts_in(drawn(figures, example_1()))
    expected = ["a", "b", "c", "u = b · c", "v = a + u", "J = 3 · v", "value 33", "grad 9", "× 3", "× 2", *map(str, range(1, 10))]
    assert set(expected) <= set(texts)
    assert texts.count("× 1") == texts.count("value 3") + 1 == 2
    assert "forward pass, steps 1 to 3: values" in texts
    assert any(text.startswith("backward pass, steps 4 to 9") for text in texts)


def test_each_arrow_has_a_forward_and_a_backward_arrow_in_other_colors(figures):
    arrows = [patch for patch in drawn(figures, example_1()).patches if isinstance(patch, FancyArrowPatch)]
    styles = [(patch.get_edgecolor(), patch.get_linestyle()) for patch in arrows]
    assert len(styles) == 2 * (5 + 1)  # 5 edges, and the legend
    assert len(set(styles)) == 2
    assert {style for _, style in styles} == {"-", "--"}
    for forward, backward in zip(arrows[::2], arrows[1::2], strict=True):
        assert (forward.get_linestyle(), backward.get_linestyle()) == ("-", "--")
        assert forward.get_path().vertices[0, 0] < backward.get_path().vertices[0, 0]  # it starts at the other end


def test_forward_pass_alone(figures):
    axes = drawn(figures, example_1(), gradient=None, backward=False)
    assert not any("grad" in text or "×" in text for text in texts_in(axes))
    assert len([patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]) == 5 + 1
    assert render(Variable([1.0, 2.0]) * 2, backward=False).description.splitlines()[-1] == "1. v1 = x1 · 2: value (2,) 2 4"


def test_short_forms_and_local_derivatives_of_arrays(figures):
    x, W = Variable(np.arange(20).reshape(4, 5) / 3, "X"), Variable(np.ones((5, 2)), "W")
    output = graph.sum((x @ W + Variable([1.0, -2.0], "b")) ** 2)
    texts = texts_in(drawn(figures, output))
    assert {
        "value (4, 5)",
        "    0 0.333 0.667 …",
        " 1.67     2  2.33 …",
        "…",
        "· Wᵀ",
        "Xᵀ ·",
        "Σ over axis 0",
        "for each element",
    } <= set(texts)
    assert "⊙ (4, 2)" in texts


def test_gradients_are_those_of_the_drawn_result():
    """Drawing neither reads nor changes the attribute grad."""
    x = Variable(3.0, "x")
    y = named(x * x, "y")
    (y * 5).backward()
    assert "3. gradient of x: grad 6" in render(y).description
    assert (x.grad, y.grad) == (30, 5)


def test_constants_have_no_gradient(figures):
    x = Variable([1.0, 2.0], "x")
    description = render(graph.sum(x * np.array([3.0, 4.0]))).description
    assert "c1: value (2,) 3 4" in description
    assert "gradient of c1" not in description


# ---------------------------------------------------------------------- positions


@pytest.mark.parametrize("output", GRAPHS)
@pytest.mark.parametrize("direction", ["right", "down"])
def test_no_text_overlaps_another_and_all_texts_of_a_box_are_inside_it(output, direction, figures):
    axes = drawn(figures, output(), direction=direction)
    texts = extents(axes.texts, axes)
    # the number in a circle is close to the text on its right, so this also checks that they do not touch
    for (one, a), (two, b) in combinations(zip(texts, texts_in(axes), strict=True), 2):
        assert not one.overlaps(two), (a, b)
    boxes = extents([patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)], axes)
    for one, two in combinations(boxes, 2):
        assert not one.overlaps(two)
    page = axes.figure.bbox
    for text, extent in zip(texts_in(axes), texts, strict=True):
        assert page.contains(extent.x0, extent.y0), text
        assert page.contains(extent.x1, extent.y1), text
        for box in boxes:
            is_inside = box.contains(extent.x0, extent.y0) and box.contains(extent.x1, extent.y1)
            assert is_inside or not box.overlaps(extent), text


@st.composite
def layered_graphs(draw):
    """The sizes of boxes, and arrows with the sizes of their labels."""
    n_boxes = draw(st.integers(1, 12))
    lengths = st.integers(5, 200)
    sizes = [(draw(lengths), draw(lengths)) for _ in range(n_boxes)]
    arrows = [
        (start, end, (draw(lengths), draw(lengths)))
        for end in range(1, n_boxes)
        for start in draw(st.lists(st.integers(0, end - 1), max_size=3))
    ]
    return sizes, arrows


@given(layered_graphs())
def test_layout_has_no_overlaps(case):
    sizes, arrows = case
    boxes, chains = layered_layout(sizes, arrows)
    assert [(box.width, box.height) for box in boxes] == sizes
    for (start, end, size), chain in zip(arrows, chains, strict=True):
        assert (chain[0], chain[-1]) == (boxes[start], boxes[end])
        assert (chain[-2].width, chain[-2].height) == size
        for left, right in pairwise(chain):
            assert left.x + left.width / 2 < right.x - right.width / 2
    places = {id(place): place for place in [*boxes, *(place for chain in chains for place in chain)]}
    for one, two in combinations(places.values(), 2):
        apart_x = abs(one.x - two.x) >= (one.width + two.width) / 2
        apart_y = abs(one.y - two.y) >= (one.height + two.height) / 2 - 1e-6
        assert apart_x or apart_y
    assert min(place.y - place.height / 2 for place in places.values()) == pytest.approx(0)


def test_layout_removes_a_crossing():
    """Two pairs of boxes, whose arrows cross in the given order."""
    boxes, _ = layered_layout([(10, 10)] * 4, [(0, 3, (5, 5)), (1, 2, (5, 5))])
    assert (boxes[0].y < boxes[1].y) == (boxes[3].y < boxes[2].y)


@pytest.mark.parametrize(("output", "direction"), [(example_1, "right"), (example_2, "right"), (example_5, "down")])
def test_wide_drawings_are_turned(output, direction, figures):
    page = drawn(figures, output(), direction=direction).figure.get_size_inches()
    assert tuple(drawn(figures, output()).figure.get_size_inches()) == tuple(page)
    assert (page[0] > page[1]) == (direction == "right")


# ---------------------------------------------------------------------- files


@pytest.mark.parametrize("output", [example_1, awkward_texts])
def test_svg_is_deterministic_valid_and_accessible(output):
    node = output()
    drawing, again = (render(node, np.ones(node.shape)) for _ in range(2))
    assert drawing == again
    root = ET.fromstring(drawing.svg)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    title = root.find(f"{SVG}title").text
    assert root.get("aria-label") == title == ("Computational graph of J" if output is example_1 else "Computational graph of v7")
    assert root.find(f"{SVG}desc").text == drawing.description
    assert "date" not in drawing.svg


def test_jupyter_displays_svg_and_png(tmp_path):
    drawing = example_1().render()
    assert isinstance(drawing, Drawing)
    assert drawing._repr_svg_() == drawing.svg
    assert drawing._repr_png_() == drawing.png
    assert drawing.png.startswith(b"\x89PNG")
    for name, contents in (("graph.svg", drawing.svg.encode()), ("graph.png", drawing.png)):
        drawing.save(tmp_path / name)
        assert (tmp_path / name).read_bytes() == contents
    with pytest.raises(ValueError, match=r"path must be .* ends in .svg or .png, got 'graph.pdf'"):
        drawing.save("graph.pdf")


def test_large_drawings_have_a_lower_resolution(figures, monkeypatch):
    """matplotlib draws at most 65,536 pixels."""
    assert drawn(figures, example_1()).figure.dpi == 150
    monkeypatch.setattr("fastbp.graph._drawing._MAX_PIXELS", 400)
    page = drawn(figures, example_1()).figure.bbox
    assert max(page.width, page.height) == pytest.approx(400)


def test_drawing_needs_no_pyplot_and_changes_no_settings():
    code = """
import sys, matplotlib
from fastbp.graph import Variable
names = set(matplotlib.rcParams) - {"backend"}  # reading the backend imports pyplot
before = {name: matplotlib.rcParams[name] for name in names}
Variable(1.0).render()
assert {name: matplotlib.rcParams[name] for name in names} == before
assert "matplotlib.pyplot" not in sys.modules
print("done")
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "done\n"


def test_network_graph_renders_its_loss(figures):
    X = np.linspace(-1, 1, 20).reshape(-1, 1)
    model = fastbp.MLPRegressor(hidden_layer_sizes=2, solver="lbfgs", random_state=0).fit(X, X.ravel())
    network = from_estimator(model, X[:2], X[:2, 0])
    assert network.render() == network.loss.render()
    network.backward()
    assert network.coefs[0].grad.shape == (1, 2)


# ---------------------------------------------------------------------- errors


def test_error_if_matplotlib_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'needs matplotlib.*pip install "fastbp\[plot\]"'):
        example_1().render()


def test_errors_of_render():
    with pytest.raises(ValueError, match="max_nodes must be at least the number of nodes of the graph, 6, got 5"):
        example_1().render(max_nodes=5)
    for wrong in ("6", 6.5, None, True):
        with pytest.raises(ValueError, match=f"max_nodes must be an integer, got {wrong!r}"):
            example_1().render(max_nodes=wrong)
    with pytest.raises(ValueError, match="direction must be 'auto', 'right' or 'down', got 'left'"):
        example_1().render(direction="left")
    with pytest.raises(ValueError, match=r"gradient must be an array of shape \(2,\)"):
        Variable([1.0, 2.0]).render()
    with pytest.raises(TypeError, match=r"output must be a fastbp\.graph\.Variable, got 1\.0"):
        render(1.0)
