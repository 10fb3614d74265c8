"""The values that a `DecisionSurfaceDisplay` draws: outputs or activations on a grid, and the targets of the points.

A fitted estimator with two features, X and y go in; the arguments of the constructor of the display come out. This module does not
know how they are drawn.
"""

from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from ._checks import BOUNDED_RANGES, activation_names, layer_phrase, numbers_in, unit_numbers


def checked_points(est: Any, X: Any) -> tuple[np.ndarray, list[Any] | None]:
    """Return the rows (n_rows, 2) as an array, and the names of the features or None."""
    n_features = getattr(est, "n_features_in_", len(est.coefs_[0]))
    if n_features != 2:
        raise ValueError(
            f"est must have been fitted with 2 features, because the surface is drawn over a plane; got {n_features} features. Fit "
            "an estimator with two columns of X."
        )
    if hasattr(X, "toarray"):
        raise TypeError(
            f"X must be a dense array or a data frame of shape (n_samples, 2), got {type(X).__name__}. Pass X.toarray()."
        )
    points = numbers_in("X", X)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(
            f"X must have shape (n_samples, 2) with at least one row, because the surface is drawn over a plane; got shape "
            f"{points.shape}. Pass the two columns with which est was fitted."
        )
    return points, list(X.columns) if hasattr(X, "columns") else None


def grid_around(points: np.ndarray, grid_resolution: int, margin: Any) -> Any:
    """Return the coordinates of a grid around the points."""
    if not (isinstance(margin, Real) and 0 <= float(margin) < np.inf):
        raise ValueError(f"margin must be a finite number >= 0, got {margin!r}.")
    low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
    if not np.isfinite([low, high]).all():
        raise ValueError("X must have finite values in both columns, got infinite values or a column of NaN.")
    distance = np.where(high > low, margin * (high - low), 0.5)
    axes = [np.linspace(*ends, grid_resolution) for ends in zip(low - distance, high + distance, strict=True)]
    return np.meshgrid(*axes)


def responses_of_predictions(est: Any, rows: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the arguments of the constructor for the predictions of an estimator."""
    if not is_classifier(est):
        outputs = np.asarray(est.predict(rows)).reshape(*shape, -1)
        n = outputs.shape[2]
        return {
            "kind": "prediction",
            "response": list(np.moveaxis(outputs, 2, 0)),
            "titles": _output_titles(est, n),
            "label": "Prediction",
        }
    if isinstance(est.classes_, list):
        return {
            "kind": "classes",
            "response": [P.reshape(*shape, -1) for P in est.predict_proba(rows)],
            "titles": [f"output {k}" for k in range(len(est.classes_))],
            "class_names": [[str(label) for label in classes] for classes in est.classes_],
        }
    P = np.asarray(est.predict_proba(rows)).reshape(*shape, -1)
    if len(est.classes_) < 2:
        raise ValueError(f"est must have at least two classes, got {list(est.classes_)!r}. Fit it with rows of several classes.")
    if len(est.intercepts_[-1]) == 1:
        return _probabilities([P[..., 1]], None, f"Probability of class {est.classes_[1]}")
    if np.ndim(est.predict(rows[:1])) == 2:
        return _probabilities([P[..., k] for k in range(P.shape[2])], [f"label {label}" for label in est.classes_])
    return {"kind": "classes", "response": [P], "class_names": [[str(label) for label in est.classes_]]}


def _output_titles(est, n):
    """Return the titles of the outputs of a regressor, or None for a single output."""
    if n == 1:
        return None
    quantiles = np.atleast_1d(est.quantile) if est.loss == "quantile" else ()
    return [f"quantile {quantile}" for quantile in quantiles] if len(quantiles) == n else [f"output {k}" for k in range(n)]


def _probabilities(response, titles, label="Probability"):
    half = [0.5] * len(response)
    return {"kind": "probability", "response": response, "titles": titles, "levels": half, "limits": (0.0, 1.0), "label": label}


def responses_of_layer(est: Any, rows: Any, shape: tuple[int, ...], layer: int, units: Any, max_units: int) -> dict[str, Any]:
    """Return the arguments of the constructor for the activations of a layer."""
    n_layers = len(est.coefs_)
    name, function = layer_phrase(layer, n_layers), [*activation_names(est), est.out_activation_][layer - 1]
    values = np.asarray(est.transform(rows, layer))
    numbers = unit_numbers(units, values.shape[1], max_units, name)
    # the activation at the weighted sum 0, except for outputs, which may depend on several sums
    level = None if layer == n_layers else 0.5 if function in ("logistic", "hard_sigmoid") else 0.0
    return {
        "kind": "activation",
        "response": [values[:, unit].reshape(shape) for unit in numbers],
        "titles": [f"unit {unit}" for unit in numbers],
        "levels": [level] * len(numbers),
        "limits": BOUNDED_RANGES.get(function),
        "label": f"Activation in {name} ({function})",
    }


def targets_of_panels(est: Any, y: Any, n_rows: int, parts: dict[str, Any]) -> list[Any]:
    """Return the targets of the points for each panel."""
    y = np.asarray(y)
    if y.ndim == 0 or len(y) != n_rows:
        raise ValueError(f"y must have one target for each of the {n_rows} rows of X, got shape {y.shape}.")
    n_panels, columns = len(parts["response"]), y.reshape(n_rows, -1)
    if not is_classifier(est):
        values = [numbers_in("y", column) for column in columns.T]
    elif isinstance(est.classes_, list):
        values = [_codes(column, classes) for column, classes in zip(columns.T, est.classes_, strict=True)]
    elif columns.shape[1] == 1:
        values = [_codes(columns[:, 0], est.classes_)]
    else:
        values = [column.astype(np.int64) for column in columns.T]
    if parts["kind"] == "activation":
        return [values[0] if len(values) == 1 else None] * n_panels
    if len(values) == 1:  # several quantiles of one target
        return values * n_panels
    if len(values) != n_panels:
        raise ValueError(f"y must have one column for each of the {n_panels} outputs of est, got {len(values)} columns.")
    return values


def _codes(labels, classes):
    """Return the indices of labels in the list of classes."""
    index = {label: code for code, label in enumerate(np.asarray(classes).tolist())}
    codes = np.array([index.get(label, -1) for label in labels.tolist()])
    if (codes < 0).any():
        raise ValueError(f"y must contain only the classes of est, {list(index)!r}; got other labels. Pass the labels of the fit.")
    return codes
