"""The methods of the estimators that convert the fitted network to other formats.

Each method passes the ``ExportedNetwork`` to the module of its format, which is imported when the method is called. This module
does not know the formats.
"""

import os
from collections.abc import Callable
from typing import Any

from numpy.typing import ArrayLike

from ._exported_network import ExportableModel, exported_network, network_and_attributes
from ._nyoka import NyokaCheck


class ExportMethods(ExportableModel):
    """The public methods of an ``ExportableModel``."""

    # ------------------------------------------------------------------ other libraries and formats

    n_classes_ = NyokaCheck()

    def to_sklearn(self) -> Any:
        """Return a fitted estimator of scikit-learn that gives the same predictions.

        Use it for tools that recognize scikit-learn's classes only, for example converters to PMML. Scaling, batch normalization
        and averages are folded into the weights, so that the estimator predicts from the same X. All arrays are copied, and so is a
        ``RandomState`` in `random_state`.

        Parameters that only training uses are left out if scikit-learn does not have them, and have scikit-learn's default value if
        it does not have the value. For example, a model that was trained with ``solver="adamw"`` and `dropout` becomes an estimator
        with ``solver="adam"``, which would continue training without dropout. A regressor gets ``loss="poisson"`` if its output
        activation is 'exp', and ``loss="squared_error"`` otherwise. ``verbose="bar"`` and ``warm_start="resume"`` become True.

        scikit-learn's ``partial_fit`` continues with the moments of the solvers 'adam' and 'sgd', and with the same numbers as
        ``partial_fit`` of fastbp if no parameter was left out. It starts with new moments for all other solvers, and for models
        with `scale`, `scale_y`, `batch_norm` or `ema_decay`, whose moments belong to the weights before folding. A learning rate
        schedule that scikit-learn does not have is replaced by the constant rate `learning_rate_init`. Metadata requests are not
        copied.

        Returns
        -------
        estimator : sklearn.neural_network.MLPClassifier or sklearn.neural_network.MLPRegressor
            The fitted estimator.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If scikit-learn cannot compute the predictions: with `layer_norm`, ``missing="indicator"``, ``scale="smooth_clip"``,
            `clip_predictions`, an `activation` that scikit-learn does not have or that is not the same for all hidden layers, a
            classifier with another `loss` than 'log_loss', a regressor with another output activation than 'identity' or 'exp',
            several quantiles, or a classifier for several multiclass outputs.

        See Also
        --------
        fastbp.from_sklearn : The conversion in the other direction.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastbp import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = MLPClassifier(solver="adamw", dropout=0.1, scale="standard", max_iter=400, random_state=0).fit(X, y)
        >>> converted = model.to_sklearn()
        >>> converted
        MLPClassifier(max_iter=400, random_state=0)
        >>> type(converted).__module__.partition(".")[0]
        'sklearn'
        >>> bool(abs(converted.predict_proba(X) - model.predict_proba(X)).max() < 1e-12)
        True
        """
        from ._sklearn_conversion import sklearn_estimator

        return sklearn_estimator(*network_and_attributes(self))

    def get_sklearn_params(self) -> dict[str, Any]:
        """Return the parameters for scikit-learn's class of the same name.

        The estimator need not be fitted. The reverse direction needs no function: ``MLPClassifier(**sk.get_params())`` creates an
        estimator of fastbp with the parameters of the scikit-learn estimator ``sk``. As with ``get_params``, the values are not
        copied.

        Returns
        -------
        params : dict
            The parameters. `n_threads` and `n_shares` are left out, because they change results by rounding errors at most.
            ``verbose="bar"`` becomes True, and a list of equal activations becomes one activation.

        Raises
        ------
        ValueError
            If scikit-learn does not have a parameter whose value is not the default, or does not have a value. The message names
            all of these parameters.

        Examples
        --------
        >>> import sklearn.neural_network
        >>> from fastbp import MLPRegressor
        >>> model = MLPRegressor(hidden_layer_sizes=(20, 10), activation=["tanh", "tanh"], n_threads=2)
        >>> sklearn.neural_network.MLPRegressor(**model.get_sklearn_params())
        MLPRegressor(activation='tanh', hidden_layer_sizes=(20, 10))
        >>> model.set_params(dropout=0.1, solver="adamw").get_sklearn_params()
        Traceback (most recent call last):
        ValueError: scikit-learn's MLPRegressor does not have the parameters or values solver='adamw', dropout=0.1. Call ...
        """
        from ._sklearn_conversion import sklearn_params

        return sklearn_params(self)

    def to_onnx(self, *, dtype: str = "auto", zipmap: bool = False, target_opset: int | None = None, input_name: str = "X") -> Any:
        """Return an ONNX model that predicts the same as this fitted estimator.

        ONNX is a file format for models that many programs and devices can run. The names of the inputs and outputs are those of
        skl2onnx. The model accepts any number of rows, also none. It does not validate them: if a row contains NaN, its outputs are
        NaN and its label has no meaning, unless the estimator was fitted with ``missing="indicator"``.

        Parameters
        ----------
        dtype : {'auto', 'float32', 'float64'}, default='auto'
            The type of X and of all computations. 'auto' is the type of `coefs_`: float64, unless the estimator was fitted to
            float32 data or with ``dtype="float32"``. onnxruntime does not convert X, so X must have this type. A float64 estimator
            that is converted to 'float32' gives probabilities with relative errors of about 1e-6. The errors are larger if the mean
            of a feature is thousands of times its standard deviation.
        zipmap : bool, default=False
            Whether a classifier returns a dict from label to probability for each row, as skl2onnx does by default, and not an
            array. The probabilities in the dicts are float32. Has no effect on regressors.
        target_opset : int, default=None
            The version of the ONNX operators, 13 or higher. None is 18, which onnxruntime 1.14 and newer versions can run.
        input_name : str, default='X'
            The name of the input.

        Returns
        -------
        model : onnx.ModelProto
            The model. Its input has shape (n_rows, n_features). A regressor has the output 'variable', which is the result of
            `predict` with shape (n_rows, n_outputs), or (n_rows, n_outputs, n_quantiles) for several outputs and quantiles. A
            classifier has two outputs. 'label' is the result of `predict`. 'probabilities' is the result of `predict_proba`; if y
            has several multiclass columns, it is a sequence of arrays. With `zipmap`, their names are 'output_label' and
            'output_probability'. The labels are strings, bool, int64 or float64; for a multilabel y, they are always a dense array.
            The metadata contain the names of the features in the key 'feature_names', as a JSON array.

        Raises
        ------
        ImportError
            If onnx is not installed.
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If a parameter is not valid, if `activation` contains a `fastbp.Activation`, or if the labels have a type that ONNX
            cannot contain.

        See Also
        --------
        fastbp.onnx.register_converters : Convert pipelines that contain an estimator of fastbp.

        References
        ----------
        Open Neural Network Exchange, https://onnx.ai
        """
        from .onnx._model import onnx_model

        return onnx_model(self, dtype, zipmap, target_opset, input_name)

    def export_c(self, path: str | os.PathLike[str], *, prefix: str | None = None, dtype: str | None = None) -> None:
        """Write the fitted network as C source code, for microcontrollers and programs without Python.

        Two files are written: the C99 source file `path`, and a header with the same name and the suffix .h, which describes the
        functions, the memory that they need, the features and the labels. They need no other library than math.h, allocate no
        memory, and have no global variables except constants. C++ programs can include the header.

        Parameters
        ----------
        path : str or path-like
            The source file, whose name must end with .c. Existing files are replaced.
        prefix : str, default=None
            The start of all names in C. If None, the name of the file without .c. With the prefix iris, the functions are
            ``iris_predict`` and, for a classifier, ``iris_predict_proba``, and the labels are in the array ``iris_classes``.
        dtype : {'float', 'double'}, default=None
            The type of all numbers. If None, 'float' for a model in float32, and 'double' for a model in float64.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        FileNotFoundError
            If the folder of `path` does not exist.
        IsADirectoryError
            If `path` or the header is a folder.
        ValueError
            If the file name, `prefix` or `dtype` is invalid, if the network has a `fastbp.Activation`, if a parameter is infinite
            or NaN, or too large for 'float', or if the labels are neither numbers nor strings.

        Notes
        -----
        The predictions agree with `predict` and `predict_proba` except for rounding errors. Scaling and batch normalization are
        included. A function computes the prediction for one row of raw features, which must be finite; with
        ``missing='indicator'``, they may be NaN. `predict` of a classifier returns the index of the class; for a y with several
        columns, it writes one number for each column.

        If the mean of a feature is much larger than its standard deviation, computations in 'float' are less accurate, because the
        weights of the first layer apply to features that are not scaled.

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from sklearn.datasets import load_iris
        >>> from fastbp import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = MLPClassifier(8, scale="standard", learning_rate_init=0.02, tol=0.01, random_state=0).fit(X, y)
        >>> with TemporaryDirectory() as folder:
        ...     model.export_c(Path(folder) / "iris.c", dtype="float")
        ...     lines = (Path(folder) / "iris.h").read_text().splitlines()
        >>> for line in lines:
        ...     if line.startswith(("extern const", "int", "void")):
        ...         print(line)
        extern const int iris_classes[3];
        int iris_predict(const float x[IRIS_N_FEATURES]);
        void iris_predict_proba(const float x[IRIS_N_FEATURES], float out[IRIS_N_PROBABILITIES]);
        """
        from ._c_export.export import export_program

        export_program(exported_network(self), path, prefix, dtype)

    # ------------------------------------------------------------------ serving

    def compile_predict(self, method: str = "predict") -> Callable[[ArrayLike], Any]:
        """Return a function that predicts single rows and small batches with little overhead.

        The function is meant for programs that serve the model. It has a copy of the network, so it does not change if the
        estimator is fitted again. It does not validate X as the methods of the estimator do: it checks the shape and the type of X,
        but neither feature names nor values. NaN and infinity give results that may be NaN, unless ``missing='indicator'``.

        Parameters
        ----------
        method : {'predict', 'predict_proba', 'outputs'}, default='predict'
            The method of the estimator whose results the function returns: 'predict' for labels or values, 'predict_proba' for the
            probabilities of a classifier. 'outputs' are the outputs of the network as they are, an array (n_rows, n_outputs).

        Returns
        -------
        function : callable
            The function. Its only argument X has shape (n_features,) for one row, or (n_rows, n_features). The result for several
            rows is that of the method, and the result for one row is its first element: for example, one label, or the
            probabilities (n_classes,). The labels of a multilabel y are always a dense array. X is converted to the floating-point
            type of the model if it has another one. The function can be called by several threads at the same time, and it can be
            pickled.

        Raises
        ------
        ValueError
            If the estimator does not have this method.
        NotFittedError
            If the estimator is not fitted.

        Notes
        -----
        The function raises a ValueError if X has a wrong shape, and a TypeError if X does not hold real numbers. Results are equal
        to those of the method for the same row or batch up to rounding errors of the floating-point type. A call for one row of a
        C-contiguous array with this type takes about as long as the arithmetic; ``scale="smooth_clip"`` and `clip_predictions` add
        some microseconds. Calls with little work keep Python's global interpreter lock. For a large batch, the function uses one
        thread and takes as long as the method of the estimator.

        If the required code is not in the cache, this method compiles it, which takes a few seconds.
        ``python -m fastbp.warmup --all`` compiles it in advance.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastbp import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = MLPClassifier(solver="lbfgs", alpha=1.0, scale="standard", random_state=0).fit(X, y)
        >>> predict = model.compile_predict()
        >>> int(predict(X[0]))
        0
        >>> predict_proba = model.compile_predict("predict_proba")
        >>> predict_proba(X[0]).shape, predict_proba(X[:5]).shape
        ((3,), (5, 3))
        """
        from ._compiled_prediction import compiled_prediction

        return compiled_prediction(exported_network(self), method)
