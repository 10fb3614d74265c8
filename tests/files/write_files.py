"""Write the files from which later versions of fastbp must load the same estimators.

Run this script once for each release: ``.venv/bin/python tests/files/write_files.py``. For each of the estimators below, it writes
``<name>-<version>.safetensors`` with the estimator, and ``<name>-<version>.json`` with rows, the predictions for them, and those
after one more epoch of training. `tests/test_old_files.py` loads the files of all versions. Files of earlier versions are never
changed.
"""

import json
import warnings
from pathlib import Path

import numpy as np

import fastbp

FOLDER = Path(__file__).parent
RNG = np.random.RandomState(0)
X = RNG.normal(size=(24, 3))
WITH_NAN = np.where(RNG.uniform(size=X.shape) < [0.3, 0, 0], np.nan, X)
Y = X[:, 0] - X[:, 1] ** 2
CODES = np.tile([0, 1, 2], 8)
NAMES = np.array(["low", "middle", "high"])
SMALL = {"hidden_layer_sizes": (3, 2), "batch_size": 8, "max_iter": 3, "random_state": 0}

# the estimator, X and y
MODELS = {
    "regressor": (fastbp.MLPRegressor(**SMALL, warm_start="resume"), X, Y),
    "quantiles": (fastbp.MLPRegressor(**SMALL, loss="quantile", quantile=[0.1, 0.9], layer_norm=True), X, Y),
    "classifier": (
        fastbp.MLPClassifier(
            **SMALL | {"random_state": np.random.RandomState(0)},
            **{"scale": "standard", "missing": "indicator", "batch_norm": True, "ema_decay": 0.9, "warm_start": "resume"},
            **{"class_weight": {"low": 2.0}, "early_stopping": True, "validation_fraction": 0.25, "activation": ["gelu", "tanh"]},
        ),
        WITH_NAN,
        NAMES[CODES],
    ),
    "multioutput": (fastbp.MLPClassifier(**SMALL, solver="sgd", dtype="float32"), X, np.column_stack([CODES, CODES > 0])),
}


def outputs(est, rows):
    """The outputs of the network as nested lists."""
    return est.transform(rows, layer=-1).tolist()


def main():
    for name, (est, rows, y) in MODELS.items():
        path = FOLDER / f"{name}-{fastbp.__version__}.safetensors"
        fastbp.save(est.fit(rows, y), path)
        before = outputs(est, rows)
        after = outputs(est.set_params(max_iter=1, warm_start=est.warm_start or True).fit(rows, y), rows)
        y = y.tolist()
        values = {
            "X": [[None if np.isnan(v) else v for v in row] for row in rows.tolist()],
            "y": y,
            "before": before,
            "after": after,
        }
        path.with_suffix(".json").write_text(json.dumps(values))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
