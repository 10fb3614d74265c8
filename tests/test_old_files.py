"""Files that earlier versions of fastbp wrote, in `tests/files`, give the same predictions and continue training."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastbp

FOLDER = Path(__file__).parent / "files"
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.safetensors")), ids=lambda path: path.name)
def test_files_of_earlier_versions(path):
    """The results differ at most by rounding errors, because kernels add terms in another order on other processors."""
    values, est = json.loads(path.with_suffix(".json").read_text()), fastbp.load(path)
    X, y, tolerance = np.array(values["X"], float), np.array(values["y"]), 1e-9 if est.dtype == "auto" else 1e-4
    assert_allclose(est.transform(X, layer=-1), values["before"], rtol=tolerance, atol=tolerance)
    est.set_params(max_iter=1, warm_start=est.warm_start or True).fit(X, y)
    assert_allclose(est.transform(X, layer=-1), values["after"], rtol=tolerance, atol=tolerance)


def test_there_are_files_of_this_version():
    names = {path.name for path in FOLDER.iterdir()}
    assert {f"{name}-{fastbp.__version__}.safetensors" for name in ("regressor", "quantiles", "classifier", "multioutput")} <= names


def test_checkpoints_that_contain_a_pickle():
    """Development versions before 0.1.0 wrote a pickle of classes of fastbp, followed by a digest."""
    path = FOLDER / "checkpoint-0.1.0.pickle"
    with pytest.raises(ValueError, match="contains a pickle"):
        fastbp.load(path)
    est = fastbp.load_checkpoint(path)
    rng = np.random.RandomState(0)
    X = rng.normal(size=(40, 3))
    y = X[:, 0] - X[:, 1] ** 2
    assert (est.n_iter_, est.warm_start, est.callbacks.format) == (4, "resume", "pickle")
    est.set_params(callbacks=None, max_iter=2).fit(X, y)
    assert_allclose(est.predict(X[:3]), [-0.112902801, 0.620495248, -0.112902801], rtol=1e-7)
