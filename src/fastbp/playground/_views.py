"""The messages that the page draws: the rows, and frames with surfaces, curves and advice.

A ``Session`` goes in; dicts for JSON come out. Surfaces are computed on a grid, and sent as one byte per cell in base64. Numbers
that are NaN or infinite become None, because JSON has no values for them. This module does not know how a page is connected.
"""

from base64 import b64encode
from math import isfinite

import numpy as np

from ._session import shown_estimator

SURFACE_SIZE, UNIT_SIZE = 64, 32  # cells in each direction


def problem_message(problems, file=None):
    """Return the message about invalid values; ``file`` is the number of the file that they concern."""
    return {"type": "problem", "problems": [problem._asdict() for problem in problems], "file": file}


def data_message(session, problems=(), file=None):
    """Return the message that describes a new training: the rows, the number of their file, the axes and the settings."""
    dataset = session.dataset
    return {
        "type": "data",
        "points": np.round(dataset.X, 6).tolist(),
        "targets": np.round(dataset.y, 6).tolist(),
        "is_test": dataset.is_test.tolist(),
        "labels": dataset.labels,
        "names": list(dataset.names),
        "limits": dataset.limits,
        "n_train": len(session.y),
        "n_test": len(session.y_test),
        "n_batches": session.n_batches,
        "loss_name": "log loss" if dataset.is_classification else "half squared error",
        "score_name": "accuracy" if dataset.is_classification else "R²",
        "settings": session.settings.as_dict(),
        "problems": [problem._asdict() for problem in problems],
        "file": file,
        "code": shown_estimator(session),
    }


def frame_message(session, state, diagnosis, target=None):
    """Return the message with everything that changes in training; ``state`` is the state of the training.

    ``target`` is the epoch and the step of the address if training has not reached them yet.
    """
    record = session.record
    return {
        "type": "frame",
        "state": state,
        "failure": session.failure,
        "epoch": session.epoch,
        "step": session.step,
        "target": None if target is None else dict(zip(("epoch", "step"), target, strict=True)),
        "n_epochs": session.settings.epochs,
        "measures": {name: _finite_values(measure) for name, measure in session.measures().items()},
        "history": {
            "epochs": record.epochs,
            "losses": {name: [finite_or_none(loss) for loss in losses] for name, losses in record.losses.items()},
            "gradients": [[finite_or_none(norm) for norm in norms] for norms in record.gradients],
        },
        "layers": [_layer(layer) for layer in diagnosis.layers],
        "advice": [_advice(advice) for advice in diagnosis.advice] if session.n_steps else [],
        "surface": surface(session),
        "units": unit_surfaces(session),
    }


def _layer(layer):
    names = ("dead_share", "saturated_share", "coef_grad_norm", "update_ratio")
    values = _finite_values({name: getattr(layer, name) for name in names})
    return {"layer": layer.layer, "activation": layer.activation, "n_units": layer.n_units, **values}


def _advice(advice):
    return {name: getattr(advice, name) for name in ("problem", "symptom", "evidence", "remedy", "parameter")}


def _finite_values(numbers):
    return {name: finite_or_none(value) for name, value in numbers.items()}


def finite_or_none(value):
    """The value as a float, None if it is NaN or infinite."""
    return float(value) if isfinite(value) else None


# ---------------------------------------------------------------------- surfaces


def grid(dataset, size):
    """The centers (size², 2) of the cells of a grid over the axes, row by row from the top left."""
    (left, right), (bottom, top) = dataset.limits
    centers = (np.arange(size) + 0.5) / size
    x1, x2 = np.meshgrid(left + centers * (right - left), top - centers * (top - bottom))
    return np.column_stack([x1.ravel(), x2.ravel()])


def surface(session):
    """The predictions on the grid: for each cell the class and its confidence, or the value of a regression."""
    dataset = session.dataset
    X = dataset.inputs(grid(dataset, SURFACE_SIZE))
    if dataset.is_classification:
        probabilities = session.model.predict_proba(X)
        n_classes = probabilities.shape[1]
        classes = probabilities.argmax(axis=1)
        confidence = (probabilities.max(axis=1) * n_classes - 1) / (n_classes - 1)  # 0 if all classes are equally probable
        return {"size": SURFACE_SIZE, "classes": encoded(classes), "confidence": encoded(255 * confidence)}
    low, high = float(dataset.y.min()), float(dataset.y.max())
    values = session.model.predict(X) * dataset.y_spread + dataset.y_offset
    return {"size": SURFACE_SIZE, "values": encoded(255 * (values - low) / (high - low)), "low": low, "high": high}


def unit_surfaces(session):
    """For each hidden layer the activations of each unit on the grid, from -largest (1) over 0 (128) to largest (255)."""
    X = session.dataset.inputs(grid(session.dataset, UNIT_SIZE))
    layers = range(1, len(session.settings.layers) + 1)
    return [[_unit_surface(values) for values in session.model.transform(X, layer=layer).T] for layer in layers]


def _unit_surface(values):
    values = np.nan_to_num(values, nan=0.0, posinf=np.finfo(float).max, neginf=-np.finfo(float).max)
    largest = float(np.abs(values).max())
    scaled = values / largest if largest > 0 else values
    return {"cells": encoded(128 + 127 * scaled), "low": float(values.min()), "high": float(values.max())}


def encoded(values):
    """The values, rounded and limited to 0 to 255, as bytes in base64; NaN becomes 0."""
    limited = np.clip(np.nan_to_num(values, nan=0.0, posinf=255.0, neginf=0.0), 0, 255)
    return b64encode(np.rint(limited).astype(np.uint8).tobytes()).decode()
