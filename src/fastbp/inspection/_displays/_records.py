"""The statistics of layers that the displays of gradients and activations draw, from a diagnosis or from a monitor.

Records with ``layers``, each a tuple of ``LayerDiagnosis``, go in; arrays with a row for each record and a column for each layer
come out. This module does not know how the statistics were computed.
"""

from typing import Any, NamedTuple

import numpy as np

from ..._wrong_estimator import described
from ._checks import layer_title


class LayerCurves(NamedTuple):
    """Statistics by name, as arrays (n_records, n_layers), with the epochs (n_records,) or None, and the names of the layers."""

    values: dict[str, np.ndarray]
    epochs: np.ndarray | None
    layer_names: list[str]
    activations: list[str]


def curves_of_layers(all_layers: list[Any], names: tuple[str, ...], epochs: Any = None) -> LayerCurves:
    """Return the statistics with these names of a list of tuples of ``LayerDiagnosis``."""
    values = {name: np.array([[getattr(layer, name) for layer in layers] for layers in all_layers]) for name in names}
    last = all_layers[-1]
    titles = [layer_title(layer.layer, len(last)) for layer in last]
    return LayerCurves(values, None if epochs is None else np.array(epochs), titles, [layer.activation for layer in last])


def curves_of_monitor(monitor: Any, names: tuple[str, ...]) -> LayerCurves:
    """Return the statistics that a ``DiagnosticsMonitor`` recorded."""
    records = getattr(monitor, "records", None)
    if records is None:
        raise TypeError(
            f"monitor must be a DiagnosticsMonitor, got {described(monitor)}. Pass one to an estimator as callbacks=monitor, and "
            "call fit. For a fitted estimator without a monitor, use from_estimator."
        )
    if not records:
        raise ValueError(
            f"monitor must have at least one record, got {monitor!r} without records. Pass it to an estimator as "
            "callbacks=monitor, and call fit with at least as many epochs as its parameter `every`."
        )
    return curves_of_layers([record.layers for record in records], names, [record.epoch for record in records])
