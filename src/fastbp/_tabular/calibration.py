"""Temperature scaling of probabilities.

Probabilities and codes of classes go in; a temperature, and scaled probabilities, come out (Guo, Pleiss, Sun and Weinberger, 2017,
"On Calibration of Modern Neural Networks"). This module does not know where the probabilities come from.
"""

import numpy as np
from scipy.optimize import minimize_scalar

_MAX_TEMPERATURE = 20.0  # a few rows that are all predicted correctly would have the temperature 0


def scaled_probabilities(probabilities, temperature):
    """Return the softmax of log(probabilities) / temperature, an array (n_rows, n_classes)."""
    logits = _scaled_logs(probabilities, temperature)
    scaled = np.exp(logits)
    return scaled / scaled.sum(axis=1, keepdims=True)


def fitted_temperature(probabilities, codes, weights):
    """Return the temperature between 1/20 and 20 with the lowest log-loss, for codes (n_rows,) and weights (n_rows,) or None."""

    def mean_log_loss(log_temperature):
        logits = _scaled_logs(probabilities, np.exp(log_temperature))
        losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(codes)), codes]
        return np.average(losses, weights=weights)

    limit = np.log(_MAX_TEMPERATURE)
    return float(np.exp(minimize_scalar(mean_log_loss, bounds=(-limit, limit), method="bounded", options={"xatol": 1e-9}).x))


def _scaled_logs(probabilities, temperature):
    """The logarithms, divided by the temperature, minus the largest of each row."""
    logits = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny)) / temperature
    return logits - logits.max(axis=1, keepdims=True)
