"""The method of the estimators for tables that converts them to ONNX.

A fitted estimator goes in; a model in another format comes out. This module does not know how models are written.
"""

from typing import Any

from sklearn.utils.validation import check_is_fitted


class ExportedTables:
    """The conversion of an estimator for tables."""

    _ensemble: Any

    def to_onnx(self, *, dtype: str = "auto", target_opset: int | None = None) -> Any:
        """Return an ONNX model that predicts the same as this fitted estimator.

        ONNX is a file format for models that many programs and devices can run. The model contains the preparation of the columns
        and all members. If all columns have numbers, it has one input 'X' of shape (n_rows, n_features). Otherwise, it has one
        input of shape (n_rows, 1) for each column, with the name of the column: strings for categories that are texts, and numbers
        for other columns. Columns without values in ``fit`` have no input then. A missing number is NaN, and a missing text is an
        empty string. Booleans and categories that are numbers are passed as floating-point numbers. Unknown categories are accepted
        as in `predict`.

        Parameters
        ----------
        dtype : {'auto', 'float32', 'float64'}, default='auto'
            The type of the inputs that are not strings, and of the predictions. 'auto' is float32, or float64 if a column has
            numbers as categories or large numbers with a small range, which float32 cannot distinguish. The networks compute in
            float32, as in `predict`.
        target_opset : int, default=None
            The version of the ONNX operators, 13 or higher. None is 18, which onnxruntime 1.14 and newer versions can run.

        Returns
        -------
        model : onnx.ModelProto
            The model. A regressor has the output 'variable', which is the result of ``predict`` with shape (n_rows, n_outputs), or
            (n_rows, n_outputs, n_quantiles) for several outputs and quantiles. A classifier has the outputs 'label', the result of
            ``predict``, and 'probabilities', the result of ``predict_proba``.

        Raises
        ------
        ImportError
            If onnx is not installed.
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If a parameter is not valid, if the networks are those of TabM, if a column has dates, if a column has the name of an
            output, if the labels have a type that ONNX cannot contain, or if no network was needed because y had a single class.

        References
        ----------
        Open Neural Network Exchange, https://onnx.ai
        """
        check_is_fitted(self)
        from ..onnx._table_model import TableModel, onnx_table_model

        classes, temperature = getattr(self, "classes_", None), getattr(self, "temperature_", None)
        table = TableModel(type(self).__name__, self._ensemble, classes, temperature, self._shape_of_row())
        return onnx_table_model(table, dtype, target_opset)

    def _shape_of_row(self):
        """The shape of the prediction of one row, with at least one axis; () for a classifier."""
        return ()
