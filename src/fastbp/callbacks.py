"""What is called while a fit goes on: functions of the user's own, scikit-learn's callbacks, and checkpoints.

An estimator and the end of each epoch enter; whether to stop leaves. What stands in the estimator at that moment is the matter of
`course`; what scikit-learn's callbacks are told follows its protocol of 1.9.
"""

import os
import pickle
import threading
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Checkpoint", "load_checkpoint"]


class _CallbackRunner:
    """All callbacks of one fit: `begin`, for each epoch `begin_epoch` and `end_epoch`, and `end`."""

    def __init__(self, estimator, X, y, sample_weight, n_epochs):
        self.plain, self.context, self.epoch = _functions(estimator.callbacks), None, None
        if vars(estimator).get("_skl_callbacks"):
            self.context = estimator._init_callback_context(max_subtasks=n_epochs)
            metadata = None if sample_weight is None else {"sample_weight": sample_weight}
            self.told = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self.wanted = bool(self.plain) or self.context is not None

    def begin(self):
        if self.context is not None:
            self.context.call_on_fit_task_begin(**self.told)

    def begin_epoch(self, task_name="epoch"):
        """Say that an epoch begins, unless it has begun already."""
        if self.context is not None and self.epoch is None:
            self.epoch = self.context.subcontext(task_name=task_name)
            self.epoch.call_on_fit_task_begin(**self.told)

    def end_epoch(self, estimator, epoch, logs):
        """Say what an epoch brought; returns whether anybody wants training to end."""
        stop = False
        for function in self.plain:
            said = function(estimator, epoch, logs)
            stop |= isinstance(said, (bool, np.bool_)) and bool(said)
        if self.epoch is not None:
            # the copy that scikit-learn makes of an estimator holds weights of its own
            stop |= bool(self.epoch.call_on_fit_task_end(**self.told, reconstruction_attributes=dict))
            self.epoch = None
        return stop

    def end(self):
        if self.context is not None:
            if self.epoch is not None:  # one that never ended: interrupted, or out of time
                self.epoch.call_on_fit_task_end(estimator=self.told["estimator"])
            self.context.call_on_fit_task_end(**self.told, reconstruction_attributes=dict)


def _functions(callbacks):
    if callbacks is None:
        return ()
    functions = (callbacks,) if callable(callbacks) else tuple(callbacks)
    for function in functions:
        if not callable(function):
            raise TypeError(
                f"callbacks must be functions of (estimator, epoch, logs), got {function!r} of type {type(function).__name__}. "
                "Callbacks of scikit-learn are set by the method set_callbacks."
            )
    return functions


class Checkpoint:
    """A callback that writes the estimator to a file, with all it needs to go on later as if it had never stopped.

    The file is replaced as a whole, so that a crash while it is written leaves the one before. It is a pickle: other `callbacks`
    must be such that pickle takes, functions of modules for instance.

    Parameters
    ----------
    path : str or path-like
        The file. Fits that run at the same time need one each.
    every : int, default=1
        After how many epochs of a fit it is written; the end of the fit is not written by itself.

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
    ...     again = again.set_params(max_iter=25).fit(X, y)  # from epoch 50 on
    >>> again.loss_curve_ == stopped.loss_curve_
    True
    """

    def __init__(self, path: str | os.PathLike, every: int = 1) -> None:
        if not isinstance(every, (int, Integral)) or every < 1:
            raise ValueError(f"every must be an int >= 1, the number of epochs from one checkpoint to the next, got {every!r}.")
        self.path, self.every = Path(path), every

    def __call__(self, estimator, epoch, logs):
        if epoch % self.every == 0:
            _write(self.path, estimator)

    def __repr__(self):
        return f"Checkpoint({str(self.path)!r}, every={self.every})"


def load_checkpoint(path: str | os.PathLike) -> Any:
    """The estimator that a `Checkpoint` wrote, with ``warm_start="resume"``: its next ``fit`` goes on for max_iter more epochs.

    A pickle can run any code when it is loaded: never load one from somebody whom you do not trust.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    estimator : MLPClassifier or MLPRegressor
        The estimator, as a fit that ended with the epoch of the checkpoint would have left it.

    Raises
    ------
    ValueError
        If the file holds something else.
    """
    with open(path, "rb") as file:
        estimator = pickle.load(file)
    if getattr(estimator, "_resume", None) is None:
        raise ValueError(
            f"{str(path)!r} holds a {type(estimator).__name__} from which no fit can go on: give a file that a fastbp.Checkpoint "
            "wrote, with another solver than 'lbfgs'."
        )
    return estimator.set_params(warm_start="resume")


def _write(path, estimator):
    draft = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with open(draft, "wb") as file:
            pickle.dump(estimator, file, protocol=pickle.HIGHEST_PROTOCOL)
        os.replace(draft, path)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(
            f"{str(path)!r} cannot be written, as pickle does not take something that the estimator holds ({error}): give as "
            "callbacks, scoring and other functions only what a module has under a name."
        ) from error
    finally:
        draft.unlink(missing_ok=True)
