"""The callback ``DiagnosticsMonitor``, which records statistics of the layers during a fit.

A fit whose callbacks run goes in; records of its epochs come out. The running fit is not changed. This module does not know how the
statistics are computed.
"""

from dataclasses import asdict
from numbers import Integral
from typing import Any

from ..._inspected_fit import epoch_number, running_fit
from ..._model import paused_fits
from ..._network.threads import one_blas_thread
from .diagnose import Statistics
from .records import EpochDiagnosis
from .tables import html_of_layers, layer_frame


class DiagnosticsMonitor:
    """A callback that records the statistics of all layers during a fit.

    Pass it as `callbacks` to an estimator, alone or in a list with other callbacks. The results of the fit are the same bits as
    without it.

    Parameters
    ----------
    every : int, default=1
        The number of epochs (iterations of L-BFGS) from one record to the next. As in `loss_curve_`, the epochs of a warm start and
        of repeated calls of ``partial_fit`` are counted together.
    max_rows : int, default=1000
        The largest number of training rows from which the statistics are computed. They are drawn at random, and are the same in
        each epoch.

    Attributes
    ----------
    records : list of EpochDiagnosis
        The records, with the attributes `epoch`, `loss` (the loss of the epoch, as in `loss_curve_`) and `layers`, a tuple of
        `LayerDiagnosis` with the weights after the epoch. The list becomes empty when a new fit starts from new weights.

    Raises
    ------
    ValueError
        If `every` or `max_rows` is not an int >= 1.

    See Also
    --------
    diagnose : Computes the same statistics after a fit, and gives advice.

    Notes
    -----
    Clones have monitors of their own: after ``search = GridSearchCV(model, grid).fit(X, y)``, the records of the last fit are in
    ``search.best_estimator_.callbacks``. Use one monitor for each estimator.

    A record needs two forward and backward passes over at most `max_rows` rows, in one thread. With 1,000 rows, it takes 10 ms for
    a network with 64 inputs, 100 hidden units and 10 outputs, and 14 ms for one with 20 inputs and two layers of 100 units. For
    comparison, an epoch of the first network on 1,797 rows takes 2 ms, and an epoch of the second one on 10,000 rows 20 ms. These
    are minima of the processor time of 20 pairs of fits with and without a monitor, in float64 on an AMD EPYC. With a larger
    `every`, there are fewer records.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import MLPClassifier
    >>> from fastbp.inspection import DiagnosticsMonitor
    >>> X, y = load_iris(return_X_y=True)
    >>> monitor = DiagnosticsMonitor(every=50)
    >>> model = MLPClassifier(16, scale="standard", learning_rate_init=0.02, random_state=0, callbacks=monitor).fit(X, y)
    >>> [record.epoch for record in monitor.records]
    [50, 100]
    >>> hidden, output = monitor.records[-1].layers
    >>> hidden.activation, hidden.dead_share
    ('relu', 0.0)
    """

    records: list[EpochDiagnosis]

    def __init__(self, every: int = 1, max_rows: int = 1000) -> None:
        for name, value, meaning in (("every", every, "epochs from one record to the next"), ("max_rows", max_rows, "rows to use")):
            if isinstance(value, bool) or not isinstance(value, (int, Integral)) or value < 1:
                raise ValueError(f"{name} must be an int >= 1, the number of {meaning}; got {value!r}.")
        self.every, self.max_rows, self.records = every, max_rows, []

    def __call__(self, estimator: Any, epoch: int, logs: dict[str, float]) -> None:
        """Record the statistics if the number of the epoch is a multiple of `every`."""
        number = epoch_number(estimator, epoch)
        if self.records and number <= self.records[-1].epoch:
            self.records.clear()
        if number % self.every == 0:
            paused = paused_fits.of(estimator)
            if paused is None:
                raise ValueError("A DiagnosticsMonitor must be called by a fit of fastbp: pass it as callbacks= to the estimator.")
            with one_blas_thread:  # several threads are slower for a few thousand numbers
                layers = Statistics.of(running_fit(paused, self.max_rows)).layers
            self.records.append(EpochDiagnosis(number, float(logs["loss"]), layers))

    def __repr__(self) -> str:
        return f"DiagnosticsMonitor(every={self.every}, max_rows={self.max_rows})"

    def to_frame(self) -> Any:
        """Return the records as a pandas DataFrame with one row for each record and layer.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_records * n_layers, 15)
            The columns are `epoch`, `loss`, and the attributes of `LayerDiagnosis`.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastbp import MLPClassifier
        >>> from fastbp.inspection import DiagnosticsMonitor
        >>> X, y = load_iris(return_X_y=True)
        >>> monitor = DiagnosticsMonitor(every=50)
        >>> model = MLPClassifier(16, scale="standard", learning_rate_init=0.02, random_state=0, callbacks=monitor).fit(X, y)
        >>> monitor.to_frame()[["epoch", "layer", "activation", "dead_share"]]
           epoch  layer activation  dead_share
        0     50      1       relu         0.0
        1     50      2    softmax         NaN
        2    100      1       relu         0.0
        3    100      2    softmax         NaN
        """
        return layer_frame(
            ({"epoch": one.epoch, "loss": one.loss} | asdict(layer) for one in self.records for layer in one.layers),
            columns=("epoch", "loss"),
        )

    def _repr_html_(self) -> str:
        if not self.records:
            return html_of_layers(f"{self!r}: no records", [])
        last = self.records[-1]
        return html_of_layers(f"Epoch {last.epoch}: loss {last.loss:.6g}", map(asdict, last.layers))
