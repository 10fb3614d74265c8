"""The scripts in `examples/classics` run without warnings, and their claims hold.

Each test runs one script with a backend of matplotlib that opens no windows, and checks the variables that the script leaves.
"""

from pathlib import Path

import numpy as np
import pytest
from gallery import EXAMPLES, SCRIPTS, run_example

pytestmark = [
    pytest.mark.slow,
    # `plt.show()` warns on systems with a display
    pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive"),
]


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_example_has_a_test(name):
    tests = [Path(__file__), Path(__file__).with_name("test_gallery.py")]
    assert any(f'run_example("{name}")' in path.read_text(encoding="utf-8") for path in tests)


@pytest.mark.parametrize("folder", sorted({name.partition("/")[0] for name in SCRIPTS}))
def test_every_folder_has_a_header(folder):
    lines = (EXAMPLES / folder / "README.txt").read_text(encoding="utf-8").splitlines()
    assert any(line and set(line) <= set("-=~") for line in lines)


def test_symmetry():
    """Most networks learn the task, with antisymmetric weights, most of them in the ratios 1 : 2 : 4 as in the article."""
    found = run_example("classics/plot_rumelhart_symmetry.py")
    n_learned = found["has_learned"].sum()
    assert 55 <= n_learned <= 85  # of 100; the standard deviation is 4.6
    assert found["low"] < 1425 < found["high"]
    assert found["imbalance"].max() < 0.01
    assert found["is_1_2_4"].sum() > n_learned / 2
    assert (found["is_1_2_4"] | found["is_2_3_4"]).sum() >= n_learned - 3


def test_exclusive_or():
    found = run_example("classics/plot_rumelhart_xor.py")
    two_units, *others = found["has_learned"].sum(axis=1)
    assert 75 <= two_units <= 87
    assert min(others) == 100
    np.testing.assert_allclose(found["medians"], found["formula"], rtol=0.25)
    assert (np.diff(found["medians"]) < -10).all()


def test_encoder():
    found = run_example("classics/plot_rumelhart_encoder.py")
    assert found["has_learned"].sum() >= 99
    assert found["distances"].min() > 0.3  # all inputs have different codes
    assert 35 <= (found["n_corners"] == 8).sum() <= 75


@pytest.mark.examples
def test_family_tree():
    """104 facts with 112 answers, of which 100 are learned; more of the unseen facts are correct than by chance (1 in 2 ** 24)."""
    found = run_example("classics/plot_rumelhart_family_tree.py")
    X, y = found["X"], found["y"]
    assert (X.shape, y.shape, y.sum()) == ((104, 36), (104, 24), 112)
    half = np.roll(np.eye(24), 12, axis=1)
    np.testing.assert_array_equal(y[:52] @ half, y[52:])  # the families have the same structure
    assert max(found["literal"]) == 0
    assert found["learned"].min() >= 98
    assert (found["learned"] == 100).sum() >= 6
    assert 16 <= found["generalized"].sum() <= 24  # of 32
    for network, _, _ in found["runs"]:
        assert not network.coefs_[0][found["missing"]].any()


@pytest.mark.examples
def test_nielsen_chapter_1():
    found = run_example("classics/plot_nielsen_chapter_1.py")
    assert found["curves"].shape == (12, 30)
    assert found["best_of_three"].mean() >= 95
    assert 94.5 < np.median(found["peaks"]) < 95.5


@pytest.mark.examples
def test_nielsen_chapter_3():
    """The stored accuracies of the book are repeated exactly, and networks with other seeds reach 97.8 % within 60 epochs, too."""
    found = run_example("classics/plot_nielsen_chapter_3.py")
    assert found["replayed"] == found["STORED"]
    assert found["scaled"][-1] >= 9780
    assert found["others"].shape == (2, 60)
    assert found["others"][:, 29].min() >= 9755
    assert found["others"][:, -1].min() >= 9770
    assert found["others"].max(axis=1).min() >= 9785


@pytest.mark.examples
def test_nielsen_chapter_5():
    found = run_example("classics/plot_nielsen_chapter_5.py")
    for n_layers, printed in found["BOOK"].items():
        low, high = np.percentile(found["norms"][n_layers], [10, 90], axis=0)
        assert (low < printed).all()
        assert (printed < high).all()
    # the medians that differ by more than 20 % are the first two of four layers; the book shows a single draw
    assert (np.abs(np.delete(found["deviations"], [5, 6])) < 0.19).all()
    np.testing.assert_allclose(found["deviations"][[5, 6]], [-0.22, -0.31], atol=0.01)
    of_sigmoid, of_relu, of_he = found["factors"].values()
    assert 4 < of_sigmoid < 6
    assert 1.5 < of_relu < 1.7
    assert 1.05 < of_he < 1.15
    sigmoid, relu, he = found["shares"].values()
    assert sigmoid[-1] < 1e-3 < relu[-1] < 0.1
    assert min(he) > 0.3


@pytest.mark.examples
def test_nielsen_replay():
    """The stored costs are repeated to more digits than different training could give by chance, the accuracies exactly."""
    found = run_example("classics/plot_nielsen_replay.py")
    for lambda_, values in found["STORED"].items():
        for epoch, *stored in values:
            here = found["curves"][lambda_][epoch - 1]
            np.testing.assert_allclose(here, stored, rtol=1e-11)
            np.testing.assert_array_equal(here[[1, 3]], np.array(stored)[[1, 3]])
