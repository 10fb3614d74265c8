"""Checkpoints: files from which training can be resumed.

A ``Checkpoint`` is a callback that writes the estimator to a file during a fit; ``load_checkpoint`` reads the file. This module
does not know how training is resumed and what the file contains.
"""

import os
import pickle
from numbers import Integral
from pathlib import Path
from typing import Any

from ._mlflow_logger import MLflowLogger
from ._model import is_resumable
from ._saving import callbacks_of, check_savable, read_model, write_model
from ._training.checkpoint_file import check_is_no_folder, check_target, is_pickle, read_checkpoint, write_checkpoint

__all__ = ["Checkpoint", "MLflowLogger", "load_checkpoint"]


class Checkpoint:
    """A callback that writes the estimator to a file, from which training can be resumed exactly.

    The file is replaced atomically: if writing is interrupted, the previous file is kept. If the process is killed while it writes,
    a temporary file is left, which the next checkpoint of the same path removes.

    Parameters
    ----------
    path : str or path-like
        The file. Fits that run at the same time need different files.
    every : int, default=1
        The number of epochs from one checkpoint to the next. For an estimator for tables with several members, these are the
        epochs of each member, and every checkpoint contains all members. There is no additional checkpoint at the end of a fit.
    format : {'safetensors', 'pickle'}, default='safetensors'
        The format of the file. 'safetensors' is the format of `save`, which contains no code. 'pickle' is a pickle followed by a
        digest, for estimators with functions, which `save` refuses. It stores a function by the name of its module and its own
        name, so all functions and callbacks must be defined in a module.

    Raises
    ------
    ValueError
        If `every` is not an int >= 1, or if `format` is not one of the names. The first epoch of a fit raises it if the format is
        'safetensors' and the estimator contains a function, for example a `fastbp.Activation` or a function as `scoring`.
    FileNotFoundError
        In the first epoch of a fit, if the folder of `path` does not exist.
    IsADirectoryError
        In the first epoch of a fit, if `path` is a folder.

    See Also
    --------
    load_checkpoint : Reads the file.
    save : Saves an estimator outside a fit.

    Notes
    -----
    With the format 'safetensors', other callbacks need not be picklable. They are not stored; `load_checkpoint` warns and names
    them, so that they can be set again. The `Checkpoint` itself is stored without its path: after loading, it writes to the file
    that was loaded.

    Examples
    --------
    >>> import tempfile, warnings
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import Checkpoint, MLPClassifier, load_checkpoint
    >>> X, y = load_iris(return_X_y=True)
    >>> with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
    ...     checkpoint = Checkpoint(Path(folder) / "iris.safetensors", every=50)
    ...     stopped = MLPClassifier(max_iter=75, random_state=0, callbacks=checkpoint).fit(X, y)
    ...     again = load_checkpoint(checkpoint.path)
    ...     again = again.set_params(max_iter=25).fit(X, y)  # continues after epoch 50
    >>> again.loss_curve_ == stopped.loss_curve_
    True
    """

    format = "pickle"  # that of an instance in a pickle of an earlier version

    def __init__(self, path: str | os.PathLike[str], every: int = 1, *, format: str = "safetensors") -> None:
        if not isinstance(every, (int, Integral)) or every < 1:  # mypy does not know that an int is an Integral
            raise ValueError(f"every must be an int >= 1, the number of epochs from one checkpoint to the next; got {every!r}.")
        if format not in ("safetensors", "pickle"):
            raise ValueError(f"format must be 'safetensors' or 'pickle', got {format!r}.")
        self.path, self.every, self.format = Path(path), int(every), format

    def __call__(self, estimator: Any, epoch: int, logs: dict[str, float]) -> None:
        """Write the estimator if ``epoch`` is a multiple of `every`."""
        if epoch % self.every == 0:
            self._write(estimator)
        elif epoch == 1:  # an error at a later epoch would lose the fit
            check_target(self.path)
            if self.format == "safetensors":
                check_savable(estimator, self._described(estimator))

    def _write(self, estimator):
        if self.format == "safetensors":
            write_model(self.path, estimator, self._described(estimator))
        else:
            _write_pickle(self.path, estimator)

    def _described(self, estimator):
        """The description of all callbacks of an estimator for the file."""
        from ._files.models import Callbacks
        from ._files.refusals import describe

        callbacks = callbacks_of(estimator)
        others = tuple(describe(callback) for callback in callbacks if callback is not self)
        return Callbacks(self.every if len(others) < len(callbacks) else None, others)

    def __repr__(self) -> str:
        shown = "" if self.format == "safetensors" else f", format={self.format!r}"
        return f"Checkpoint({str(self.path)!r}, every={self.every}{shown})"


def load_checkpoint(path: str | os.PathLike[str], cls: type | None = None, *, allow_pickle: bool = True) -> Any:
    """Load the estimator that a `Checkpoint` wrote.

    Its ``warm_start`` is set to "resume": the next ``fit`` on the same data continues for max_iter more epochs.

    .. warning:: A file with the format 'pickle', which earlier versions also wrote, can run arbitrary code when it is loaded. Load
       such files only from sources that you trust, and set ``allow_pickle=False`` for all other files. Files in the format
       'safetensors' never run code.

    Parameters
    ----------
    path : str or path-like
        The file.
    cls : type, default=None
        The class of the estimator if it is a subclass, as for `load`. A pickle needs no class.
    allow_pickle : bool, default=True
        Whether to load files with the format 'pickle'.

    Returns
    -------
    estimator : MLPClassifier, MLPRegressor, RealMLPClassifier or RealMLPRegressor
        The estimator, in the same state as if the fit had ended after the epoch of the checkpoint.

    Raises
    ------
    IsADirectoryError
        If `path` is a folder.
    ValueError
        If the file was not written by a `Checkpoint`, if it is empty, incomplete, damaged or from a newer version of fastbp, or if
        it contains a pickle and `allow_pickle` is False.

    Warns
    -----
    UserWarning
        If there were other callbacks in the fit, which the file does not contain.
    """
    check_is_no_folder(path)
    if not is_pickle(path):
        estimator = read_model(path, cls, "a fastbp.Checkpoint")
    elif allow_pickle:
        estimator = read_checkpoint(path)
    else:
        raise ValueError(
            f"{str(path)!r} must not contain a pickle with allow_pickle=False, because a pickle can run any code. If you trust its "
            "source, set allow_pickle=True."
        )
    if not is_resumable(estimator):
        raise ValueError(
            f"{str(path)!r} must be a file written by a fastbp.Checkpoint during a fit with a solver other than 'lbfgs'; it "
            f"contains a {type(estimator).__name__} whose training cannot be resumed. Use fastbp.load for files of fastbp.save."
        )
    return estimator.set_params(warm_start="resume")


def _write_pickle(path, estimator):
    try:
        write_checkpoint(path, estimator)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(
            f"{str(path)!r} cannot be written, because the estimator contains an object that pickle does not support ({error}). "
            "Use functions that are defined in a module for callbacks, scoring and other parameters."
        ) from error
