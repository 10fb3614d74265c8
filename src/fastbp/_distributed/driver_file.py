"""The file from which a killed driver continues: its state without pickle, in the format of ``fastbp.save``.

A `Driver` goes in; a file comes out, and later a driver in the same state. The file contains the parameters, the state of the
optimizer, the history, and a description of the fit, which must agree with the fit that continues. It contains no rows. This
module does not know about estimators and about Dask.
"""

from pathlib import Path
from typing import Any

import numpy as np

from .._files.container import UnreadableFileError, file_parts, read_parts
from .._files.values import DamagedValueError, Decoder, Encoder
from .._kernels.settings import PROGRESS
from .._training.checkpoint_file import check_target, replace_file
from .description import HORIZON

_FILE_KIND = "fastbp driver"
_LISTS = ("losses", "rates", "val_losses", "scores")
_RESUME_REMEDIES = {
    "eval_set": "Pass the same eval_set in the same partitions, or none if there was none, or set resume=False to start again.",
    HORIZON: "A schedule depends on it. Set learning_rate_horizon={before}, or set resume=False to start again.",
}
_FIELDS = tuple(PROGRESS.names or ())


class DriverFile:
    """The file at ``path``, which is written after every ``every``-th round of a fit with this ``description``, a dict of texts."""

    def __init__(self, path, every, description):
        self.path, self.every, self.description = Path(path), every, description
        check_target(self.path)

    def write(self, driver):
        """Replace the file atomically, if it is due after this round."""
        if driver.n_rounds % self.every and driver.progress["status"][0] == 0:
            return
        state, optimizer = driver.state, driver.state.optimizer
        values: dict[str, Any] = {
            "kind": _FILE_KIND,
            "description": self.description,
            "n_parts": driver.n_parts,
            "n_rounds": driver.n_rounds,
            "sum_of_losses": float(driver.sum_of_losses),
            "progress": {name: driver.progress[name][0].item() for name in _FIELDS},
            "optimizer": {name: getattr(optimizer, name) for name in ("learning_rate", "factor", "step", "epochs", "product")},
            "params": state.params,
            "moments": optimizer.moments,
            "statistics": None if state.moving is None else state.moving.statistics,
            "velocity": driver.outer.velocity,
            "best": state.best,
            **{name: [float(value) for value in getattr(driver, name)] for name in _LISTS},
        }
        values["optimizer"] = {name: _as_plain(value) for name, value in values["optimizer"].items()}
        encoder = Encoder()
        tree = encoder.encode(values, "driver")
        parts = file_parts(tree, encoder.tensors)
        replace_file(self.path, lambda file: file.writelines(parts))

    def restore(self, driver):
        """Set the state of a new driver to that in the file, if the file exists.

        Raise a ValueError if the file is damaged or belongs to another fit.
        """
        if not self.path.exists():
            return
        try:
            values = self._values()
            self._check(values, driver)
            self._restore(values, driver)
        except UnreadableFileError as error:
            raise ValueError(
                f"{str(self.path)!r} must be a file that the parameter checkpoint of a Dask estimator wrote, but {error.problem}. "
                "Delete it, or set resume=False to replace it."
            ) from error
        except (DamagedValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{str(self.path)!r} must be a file that the parameter checkpoint of a Dask estimator wrote, but it has another "
                f"content ({error}). Delete it, or set resume=False to replace it."
            ) from error

    def _values(self):
        tree, tensors = read_parts(self.path)
        decoder = Decoder(tensors)
        values = decoder.decode(tree) if tuple(tree) == ("dict",) else {}
        if values.get("kind") != _FILE_KIND:
            raise UnreadableFileError("it contains an estimator or something else")
        decoder.finish()
        return values

    def _check(self, values, driver):
        """Raise an error if the file belongs to another fit, or if its arrays have other sizes."""
        for name, now in self.description.items():
            before = values["description"].get(name)
            if now != before:
                remedy = _RESUME_REMEDIES.get(name, "Pass the same data and parameters, or set resume=False to start again.")
                raise ValueError(
                    f"resume=True continues the fit in {str(self.path)!r}, but {name} was {before} and is {now} now. "
                    f"{remedy.format(before=before)}"
                )
        n_begun, max_iter = -(-values["n_rounds"] // max(1, driver.n_parts)), driver.config.max_iter
        if n_begun > max_iter:
            raise ValueError(
                f"max_iter must be at least {n_begun} for resume=True, the number of epochs that the fit in {str(self.path)!r} has "
                f"begun, got {max_iter}. Increase max_iter, or set resume=False to start again."
            )
        state, optimizer = driver.state, driver.state.optimizer
        pairs = [(values["params"], state.params), (values["moments"], optimizer.moments)]
        if state.moving is not None:
            pairs.append((values["statistics"], state.moving.statistics))
        if driver.outer.velocity is not None:
            pairs.append((values["velocity"], driver.outer.velocity))
        if state.best is not None:
            pairs.extend(zip(values["best"], state.best, strict=True))
        are_equal = all(type(new) is np.ndarray and new.shape == old.shape and new.dtype == old.dtype for new, old in pairs)
        n_epochs = values["n_rounds"] // max(1, driver.n_parts)
        if not are_equal or values["n_parts"] != driver.n_parts or any(len(values[name]) not in (0, n_epochs) for name in _LISTS):
            raise DamagedValueError("its arrays have other sizes than those of this fit")

    def _restore(self, values, driver):
        state, optimizer = driver.state, driver.state.optimizer
        state.params[...], optimizer.moments[...] = values["params"], values["moments"]
        if state.moving is not None:
            state.moving.statistics[...] = values["statistics"]
        if driver.outer.velocity is not None:
            driver.outer.velocity = values["velocity"].copy()
        if state.best is not None:
            state.best = [array.copy() for array in values["best"]]
        for name, value in values["optimizer"].items():
            if name not in ("learning_rate", "factor", "step", "epochs", "product"):
                raise DamagedValueError(f"{name!r} is not a number of an optimizer")
            setattr(optimizer, name, value)
        for name in _FIELDS:
            driver.progress[name] = values["progress"][name]
        driver.n_rounds, driver.sum_of_losses = values["n_rounds"], values["sum_of_losses"]
        for name in _LISTS:
            setattr(driver, name, [float(value) for value in values[name]])
        driver.continue_to(driver.config.max_iter)


def _as_plain(value):
    return value.item() if isinstance(value, np.generic) else value
