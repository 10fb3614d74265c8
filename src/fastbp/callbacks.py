"""Checkpoints: files from which training can be resumed.

A ``Checkpoint`` is a callback that writes the estimator to a file during a fit; ``load_checkpoint`` reads the file. This module
does not know how training is resumed.
"""

import os
import pickle
from numbers import Integral
from pathlib import Path

from ._base import BaseMLP
from ._mlflow_logger import MLflowLogger
from ._model import is_resumable
from ._training.checkpoint_file import read_checkpoint, write_checkpoint

__all__ = ["Checkpoint", "MLflowLogger", "load_checkpoint"]


class Checkpoint:
    """A callback that writes the estimator to a file, from which training can be resumed exactly.

    The file is replaced atomically: if writing is interrupted, the previous file is kept. If the process is killed while it writes,
    a temporary file is left, which the next checkpoint of the same path removes. The file is a pickle followed by a digest, so all
    other `callbacks` must be picklable, for example functions that are defined in a module.

    Parameters
    ----------
    path : str or path-like
        The file. Fits that run at the same time need different files.
    every : int, default=1
        The number of epochs from one checkpoint to the next. There is no additional checkpoint at the end of a fit.

    Raises
    ------
    ValueError
        If `every` is not an int >= 1.

    See Also
    --------
    load_checkpoint : Reads the file.

    Examples
    --------
    >>> import tempfile, warnings
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import Checkpoint, MLPClassifier, load_checkpoint
    >>> X, y = load_iris(return_X_y=True)
    >>> with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
    ...     checkpoint = Checkpoint(Path(folder) / "iris.pickle", every=50)
    ...     stopped = MLPClassifier(max_iter=75, random_state=0, callbacks=checkpoint).fit(X, y)
    ...     again = load_checkpoint(checkpoint.path)
    ...     again = again.set_params(max_iter=25).fit(X, y)  # continues after epoch 50
    >>> again.loss_curve_ == stopped.loss_curve_
    True
    """

    def __init__(self, path: str | os.PathLike[str], every: int = 1) -> None:
        if not isinstance(every, (int, Integral)) or every < 1:  # mypy does not know that an int is an Integral
            raise ValueError(f"every must be an int >= 1, the number of epochs from one checkpoint to the next; got {every!r}.")
        self.path, self.every = Path(path), every

    def __call__(self, estimator: BaseMLP, epoch: int, logs: dict[str, float]) -> None:
        """Write the estimator if ``epoch`` is a multiple of `every`."""
        if epoch % self.every == 0:
            _write_estimator(self.path, estimator)

    def __repr__(self) -> str:
        return f"Checkpoint({str(self.path)!r}, every={self.every})"


def load_checkpoint(path: str | os.PathLike[str]) -> BaseMLP:
    """Load the estimator that a `Checkpoint` wrote.

    Its ``warm_start`` is set to "resume": the next ``fit`` on the same data continues for max_iter more epochs.

    .. warning:: Loading a pickle can run arbitrary code. Load only files from sources that you trust.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    estimator : MLPClassifier or MLPRegressor
        The estimator, in the same state as if the fit had ended after the epoch of the checkpoint.

    Raises
    ------
    ValueError
        If the file was not written by a `Checkpoint`, or if it is empty, incomplete or damaged.
    """
    estimator = read_checkpoint(path)
    if not is_resumable(estimator):
        raise ValueError(
            f"{str(path)!r} must be a file written by a fastbp.Checkpoint during a fit with a solver other than 'lbfgs'; it "
            f"contains a {type(estimator).__name__} whose training cannot be resumed."
        )
    return estimator.set_params(warm_start="resume")


def _write_estimator(path, estimator):
    try:
        write_checkpoint(path, estimator)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(
            f"{str(path)!r} cannot be written, because the estimator contains an object that pickle does not support ({error}). "
            "Use functions that are defined in a module for callbacks, scoring and other parameters."
        ) from error
