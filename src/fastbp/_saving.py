"""Files of estimators without pickle: ``save`` and ``load``.

An estimator and a path go in; a file comes out, and later an estimator in the same state. ``fastbp._files`` defines the content of
the file. This module replaces files atomically and names the path in errors.
"""

import os
from pathlib import Path
from typing import Any

from sklearn.pipeline import Pipeline

from ._model import NetworkModel, check_predicts
from ._parameters import default_params
from ._training.checkpoint_file import check_is_no_folder, is_pickle, replace_file
from ._wrong_estimator import described


def save(est: Any, path: str | os.PathLike[str]) -> None:
    """Save an estimator to a file without pickle.

    The file has the format of safetensors. It contains all arrays of the estimator and, as text in its metadata, everything else as
    JSON, a version of the format, and a checksum. An existing file is replaced atomically. Saving does not change the estimator.

    Parameters
    ----------
    est : MLPClassifier, MLPRegressor, RealMLPClassifier, RealMLPRegressor, TabMClassifier or TabMRegressor
        The estimator, fitted or not, or an instance of a subclass.
    path : str or path-like
        The file. Its name usually ends in ``.safetensors``.

    Raises
    ------
    TypeError
        If `est` is not an estimator of fastbp, for example a pipeline.
    FileNotFoundError
        If the folder of `path` does not exist.
    IsADirectoryError
        If `path` is a folder.
    ValueError
        If the estimator contains a function or another object that a file without code cannot contain: a `fastbp.Activation` or
        `fastbp.Loss`, a function as `learning_rate`, `weight_init`, `bias_init` or `scoring`, a `validation_splitter`, callbacks
        other than `Checkpoint`, or a private attribute that the user has set. The message names the parameter and the function.

    See Also
    --------
    load : Loads the file.
    Checkpoint : Saves the estimator during a fit.

    Notes
    -----
    The loaded estimator has the same parameters, fitted attributes and random state. It predicts the same values, and ``fit`` and
    ``partial_fit`` continue with the same bits. Two things differ. A `Checkpoint` in `callbacks` is not stored, because a file
    should not determine to which path a program writes. Arrays in Fortran order are stored in C order.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> import fastbp
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = fastbp.MLPClassifier(learning_rate_init=0.01, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fastbp.save(classifier, Path(folder) / "iris.safetensors")
    ...     loaded = fastbp.load(Path(folder) / "iris.safetensors")
    >>> bool((loaded.predict_proba(X) == classifier.predict_proba(X)).all())
    True
    """
    from ._files.models import Callbacks
    from ._files.refusals import refusal
    from .callbacks import Checkpoint

    if not isinstance(est, tuple(_estimator_classes())) or hasattr(est, "to_local"):
        raise TypeError(f"est must be an estimator of fastbp, got {described(est)}. {_remedy_for(est)}")
    for callback in callbacks_of(est):
        if not isinstance(callback, Checkpoint):
            raise refusal(callback, "callbacks")
    write_model(Path(path), est, Callbacks())


def _remedy_for(est):
    """The sentence that says what to save instead of an object that is not an estimator of fastbp."""
    if isinstance(est, type):
        return f"Pass an instance, for example {est.__name__}()."
    if hasattr(est, "to_local"):
        return "Save the result of its method to_local()."
    if isinstance(est, Pipeline):
        return "Save its last step, pipeline[-1], and the other steps with another tool, for example skops."
    if hasattr(est, "best_estimator_"):
        return "Pass its attribute best_estimator_."
    if described(est).endswith("of scikit-learn") and type(est).__name__.startswith("MLP"):
        return "Convert it with fastbp.from_sklearn first."
    return "Use another tool for other objects, for example skops."


def load(path: str | os.PathLike[str], cls: type | None = None) -> Any:
    """Load an estimator from a file that `save` or `Checkpoint` wrote.

    Loading never runs code from the file. All sizes, names and types are checked before they are used.

    Parameters
    ----------
    path : str or path-like
        The file.
    cls : type, default=None
        The class of the estimator if it is a subclass of one of the classes of fastbp. Its name and module must be those in the
        file.

    Returns
    -------
    est : MLPClassifier, MLPRegressor, RealMLPClassifier, RealMLPRegressor, TabMClassifier or TabMRegressor
        The estimator, in the state in which it was saved.

    Raises
    ------
    TypeError
        If `cls` is not a class.
    IsADirectoryError
        If `path` is a folder.
    ValueError
        If the file is empty, incomplete, damaged, or from another program or a newer version of fastbp; if it contains a pickle; or
        if the class of the estimator is not `cls`. The message names the path.

    Warns
    -----
    UserWarning
        If a `Checkpoint` wrote the file during a fit with other callbacks, which the file does not contain.

    See Also
    --------
    save : Saves an estimator, with an example.
    load_checkpoint : Also loads checkpoints that contain a pickle, and continues training.
    """
    check_is_no_folder(path)
    if is_pickle(path):
        raise ValueError(
            f"{str(path)!r} must be a file written by fastbp.save, but it contains a pickle, which can run any code. If you trust "
            "its source, load it with fastbp.load_checkpoint."
        )
    return read_model(path, cls, "fastbp.save or a fastbp.Checkpoint")


def callbacks_of(est):
    """Return the list of all callbacks of an estimator: those in `callbacks`, and those of scikit-learn."""
    attributes = vars(est)
    given = attributes.get("callbacks")
    given = [] if given is None else [given] if callable(given) else list(given)
    return [*given, *attributes.get("_skl_callbacks", ())]


def write_model(path, est, callbacks):
    """Write an estimator to a file; ``callbacks`` describes its callbacks, which are not stored."""
    from ._files.container import file_parts

    parts = file_parts(*_checked_parts(est, callbacks))
    replace_file(path, lambda file: file.writelines(parts))


def check_savable(est, callbacks):
    """Raise the errors of ``write_model`` without writing a file."""
    _checked_parts(est, callbacks)


def _checked_parts(est, callbacks):
    from ._files.models import model_parts

    _check_network(est)
    names: Any = default_params(est.__class__)
    return model_parts(est, names, _estimator_classes(), callbacks)


def _check_network(est):
    """Raise a ValueError if the fitted attributes do not form a network; the user can set those of MLPs only."""
    if isinstance(est, NetworkModel):
        check_predicts(est)


def read_model(path, cls, writer):
    """Return the estimator in a file; ``writer`` is the name of the functions that write such files."""
    from ._files.container import UnreadableFileError, read_parts
    from ._files.models import model_from_parts

    if not isinstance(cls, type | None):
        raise TypeError(f"cls must be None or a subclass of an estimator of fastbp, got {cls!r}.")
    try:
        tree, tensors = read_parts(path)
        est, callbacks = model_from_parts(tree, tensors, _estimator_classes(), cls, default_params)
        try:
            _check_network(est)
        except ValueError as error:
            raise UnreadableFileError(f"its model is damaged ({error})") from error
    except UnreadableFileError as error:
        raise ValueError(
            f"{str(path)!r} must be a file written by {writer}, but {error.problem}. {error.remedy}"
        ) from error.__cause__
    return _with_callbacks(est, callbacks, path)


def _with_callbacks(est, callbacks, path):
    """Restore the ``Checkpoint`` that wrote a file; warn if there were other callbacks."""
    from warnings import warn

    from .callbacks import Checkpoint

    if callbacks.others:
        warn(
            f"{str(path)!r} does not contain the callbacks of the fit that wrote it: {', '.join(callbacks.others)}. Set them again "
            "with set_params(callbacks=...) before the next fit.",
            stacklevel=4,
        )
    if callbacks.every is not None:
        est.callbacks = Checkpoint(path, callbacks.every)
    return est


def _estimator_classes():
    """The classes whose instances can be saved, as a dict with the ``Schema`` of each class."""
    from ._classifier import MLPClassifier
    from ._files.fitted_attributes import FITTED, check_fitted
    from ._files.fitted_tables import FITTED_TABLES, check_fitted_table
    from ._files.models import Schema
    from ._regressor import MLPRegressor
    from ._tabular.realmlp import RealMLPClassifier, RealMLPRegressor
    from ._tabular.tabm import TabMClassifier, TabMRegressor

    of_arrays, of_tables = Schema(FITTED, check_fitted), Schema(FITTED_TABLES, check_fitted_table)
    for_tables = RealMLPClassifier, RealMLPRegressor, TabMClassifier, TabMRegressor
    return dict.fromkeys((MLPClassifier, MLPRegressor), of_arrays) | dict.fromkeys(for_tables, of_tables)
