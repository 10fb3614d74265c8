"""The callback that records the weights of a network after each epoch.

An estimator in training goes in; copies of its trained parameters come out. This module does not know how they are drawn.
"""

from typing import Any

import numpy as np

from ..._inspected_fit import epoch_number, running_fit
from ..._model import paused_fits
from ._checks import check_count


class WeightRecorder:
    """A callback that records the parameters of the network after each epoch, for the path in a `LossLandscapeDisplay`.

    Pass it to an estimator as `callbacks`, and call ``fit``. The records are those of the last fit that started from new weights;
    the epochs of warm starts are counted together, as in `loss_curve_`. The initial weights are not recorded, because callbacks are
    called after an epoch. Each record is a copy of all parameters: with 100,000 parameters in float64, it needs 0.8 MB.

    Parameters
    ----------
    every : int, default=1
        The number of epochs from one record to the next.

    Attributes
    ----------
    epochs : list of int
        The epochs of the records, counted from 1.
    params : list of ndarray of shape (n_params,)
        The flat parameters: all weights, all biases, and the parameters of norms. They are those that training changes, before
        scaling, batch normalization and averages are folded into `coefs_`.
    losses : list of float
        The losses of these epochs in `loss_curve_`; NaN for L-BFGS, which has no `loss_curve_`.

    Raises
    ------
    ValueError
        If `every` is not an integer of at least 1.

    See Also
    --------
    LossLandscapeDisplay : Draws the path of the recorded weights on the loss surface.
    fastbp.Checkpoint : Writes the whole estimator to a file.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import MLPClassifier
    >>> from fastbp.inspection import WeightRecorder
    >>> X, y = load_iris(return_X_y=True)
    >>> recorder = WeightRecorder(every=10)
    >>> model = MLPClassifier(5, max_iter=500, tol=0.01, random_state=0, callbacks=recorder).fit(X, y)
    >>> recorder
    WeightRecorder(every=10) with ... records
    >>> recorder.epochs[:3], recorder.params[0].shape  # 4 * 5 + 5 * 3 weights and 5 + 3 biases
    ([10, 20, 30], (43,))
    """

    def __init__(self, every: int = 1) -> None:
        check_count("every", every)
        self.every = every
        self.epochs: list[int] = []
        self.params: list[np.ndarray] = []
        self.losses: list[float] = []

    def __call__(self, estimator: Any, epoch: int, logs: dict[str, float]) -> None:
        """Record the parameters if the number of the epoch is a multiple of `every`."""
        number = epoch_number(estimator, epoch)
        if self.epochs and number <= self.epochs[-1]:
            self.epochs, self.params, self.losses = [], [], []
        if number % self.every == 0:
            paused = paused_fits.of(estimator)
            if paused is None:
                raise ValueError("A WeightRecorder must be called by a fit of fastbp: pass it as callbacks= to the estimator.")
            self.epochs.append(number)
            self.params.append(running_fit(paused, max_rows=1).state.params.copy())
            self.losses.append(float("nan") if estimator.solver == "lbfgs" else float(estimator.loss_curve_[-1]))

    def __repr__(self) -> str:
        n = len(self.epochs)
        return f"WeightRecorder(every={self.every}) with {n} record{'s' * (n != 1)}"
