"""Multilayer perceptrons that are trained on a cluster of Dask.

``DaskMLPClassifier`` and ``DaskMLPRegressor`` have the parameters of `MLPClassifier` and `MLPRegressor`. They take Dask arrays and
Dask data frames, which may be larger than the memory of one machine. The module can be imported without Dask; ``fit`` needs the
extra ``dask``.
"""

from typing import Any

import numpy as np

from ._classifier import MLPClassifier
from ._distributed.evaluation import ScoreRule
from ._distributed.model import DistributedFit
from ._distributed.parameters import DISTRIBUTED_CONSTRAINTS, with_parameters_of
from ._regressor import MLPRegressor

__all__ = ["DaskMLPClassifier", "DaskMLPRegressor"]


@with_parameters_of(MLPClassifier)
class DaskMLPClassifier(DistributedFit, MLPClassifier):
    """Multi-layer Perceptron classifier that is trained on the partitions of Dask collections.

    The partitions are divided into `n_shards` shards. In each round, every shard is trained for up to `local_steps` steps, starting
    from the same parameters. Then the parameters and the state of the optimizer are averaged, weighted by the numbers of rows
    (local SGD, Stich 2019), with an optional outer step (DiLoCo, Douillard and others 2023). The result depends on the data, the
    partitions, the parameters and `random_state`, and not on the number of workers or on their failures: all bits are the same.

    Parameters
    ----------
    {parameters}
    {distributed}

    Attributes
    ----------
    {attributes}
    n_shards_ : int
        The number of shards.
    n_rounds_ : int
        The number of rounds of the last fit.

    See Also
    --------
    fastbp.MLPClassifier : The estimator for one machine, which the method ``to_local`` returns.
    DaskMLPRegressor : The same for regression.

    Notes
    -----
    An epoch is one pass over all rows. The solver 'lbfgs', `warm_start`, ``missing="indicator"``, the scalings 'robust' and
    'smooth_clip', scorers other than 'loss', `validation_splitter` and initial values that depend on the rows are not supported.
    `early_stopping` needs an `eval_set`. `callbacks` are called in the process of the client, with the result of ``to_local``. Each
    shard is trained by one thread.

    References
    ----------
    {references}

    Examples
    --------
    >>> from fastbp.dask import DaskMLPClassifier
    >>> classifier = DaskMLPClassifier((64, 64), n_shards=4, random_state=0)  # fit needs Dask
    >>> classifier.local_steps
    64
    """

    _local_class = MLPClassifier
    _n_positional = 2
    _parameter_constraints = {**MLPClassifier._parameter_constraints, **DISTRIBUTED_CONSTRAINTS}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._set_parameters(args, kwargs)

    def predict(self, X: Any) -> Any:
        """Predict class labels.

        Parameters
        ----------
        X : Dask array, Dask DataFrame or array-like of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        y : Dask array, Dask Series or ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predicted labels. They are lazy if X is a Dask collection. Data frames keep their index.
        """
        lazy = self._predicted(X, "predict")
        return super().predict(self._features(X)) if lazy is None else lazy

    def predict_proba(self, X: Any) -> Any:
        """Predict class probabilities.

        Parameters
        ----------
        X : Dask array, Dask DataFrame or array-like of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        probabilities : Dask array, Dask DataFrame or ndarray of shape (n_samples, n_classes)
            The probabilities of the classes, lazy if X is a Dask collection. The columns of a data frame are the classes.
        """
        self._check_one_output(X)
        lazy = self._predicted(X, "predict_proba")
        return super().predict_proba(self._features(X)) if lazy is None else lazy

    def predict_log_proba(self, X: Any) -> Any:
        """Predict the logarithms of class probabilities.

        Parameters
        ----------
        X : Dask array, Dask DataFrame or array-like of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        log_probabilities : Dask array, Dask DataFrame or ndarray of shape (n_samples, n_classes)
            The logarithms of the result of `predict_proba`.
        """
        self._check_one_output(X)
        lazy = self._predicted(X, "predict_log_proba")
        return super().predict_log_proba(self._features(X)) if lazy is None else lazy

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of the predictions.

        Parameters
        ----------
        X : Dask array, Dask DataFrame or array-like of shape (n_samples, n_features)
            The input data.
        y : Dask array, Dask Series or array-like of shape (n_samples,) or (n_samples, n_outputs)
            The true labels.
        sample_weight : Dask array, Dask Series or array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        score : float
            The accuracy, computed at once.
        """
        score = self._score_of_parts(X, y, sample_weight)
        return super().score(self._features(X), y, sample_weight) if score is None else score

    def _check_one_output(self, X):
        if self._groups and self._predicted(X, "predict") is not None:
            raise ValueError(
                "The probabilities of several multiclass outputs are a list of arrays, which is not supported for a Dask "
                "collection. Use transform(X, layer=-1), whose columns are the probabilities of all outputs."
            )

    def _class_weights(self, statistics):
        if self.class_weight != "balanced":
            return self.class_weight
        labels, counts = statistics.labels[0], statistics.counts[0]
        total = counts.sum() / len(labels)
        return {label: float(total / n) for label, n in zip(labels.tolist(), counts, strict=True)}

    def _score_rule(self, state):
        return ScoreRule("one_class" if len(self.classes_) == 1 else "accuracy", groups=tuple(self._groups))


@with_parameters_of(MLPRegressor)
class DaskMLPRegressor(DistributedFit, MLPRegressor):
    """Multi-layer Perceptron regressor that is trained on the partitions of Dask collections.

    See `DaskMLPClassifier` for how it is trained.

    Parameters
    ----------
    {parameters}
    {distributed}

    Attributes
    ----------
    {attributes}
    n_shards_ : int
        The number of shards.
    n_rounds_ : int
        The number of rounds of the last fit.

    See Also
    --------
    fastbp.MLPRegressor : The estimator for one machine, which the method ``to_local`` returns.
    DaskMLPClassifier : The same for classification.

    Notes
    -----
    An epoch is one pass over all rows. The solver 'lbfgs', `warm_start`, ``missing="indicator"``, the scalings 'robust' and
    'smooth_clip', scorers other than 'loss', `validation_splitter` and initial values that depend on the rows are not supported.
    `early_stopping` needs an `eval_set`. `callbacks` are called in the process of the client, with the result of ``to_local``. Each
    shard is trained by one thread.

    References
    ----------
    {references}

    Examples
    --------
    >>> from fastbp.dask import DaskMLPRegressor
    >>> regressor = DaskMLPRegressor(hidden_layer_sizes=64, outer_momentum=0.9, outer_learning_rate=0.7)  # fit needs Dask
    >>> regressor.get_params()["outer_momentum"]
    0.9
    """

    _local_class = MLPRegressor
    _n_positional = 3
    _parameter_constraints = {**MLPRegressor._parameter_constraints, **DISTRIBUTED_CONSTRAINTS}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._set_parameters(args, kwargs)

    def predict(self, X: Any) -> Any:
        """Predict target values.

        Parameters
        ----------
        X : Dask array, Dask DataFrame or array-like of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        y : Dask array, Dask Series, Dask DataFrame or ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predicted values. They are lazy if X is a Dask collection. Data frames keep their index.
        """
        lazy = self._predicted(X, "predict")
        return super().predict(self._features(X)) if lazy is None else lazy

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the coefficient of determination R² of the predictions.

        Parameters
        ----------
        X : Dask array, Dask DataFrame or array-like of shape (n_samples, n_features)
            The input data.
        y : Dask array, Dask Series or array-like of shape (n_samples,) or (n_samples, n_outputs)
            The true values.
        sample_weight : Dask array, Dask Series or array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        score : float
            R², or the negative mean pinball loss for several quantiles, computed at once.
        """
        score = self._score_of_parts(X, y, sample_weight)
        return super().score(self._features(X), y, sample_weight) if score is None else score

    def _class_weights(self, statistics):
        return None

    def _score_rule(self, state):
        if self._n_quantiles > 1:
            return ScoreRule("pinball", quantiles=tuple(self._quantiles))
        limits, scaling = vars(self).get("y_range_"), state.preparation.scaling
        if limits is not None and scaling is not None:
            limits = np.asarray(scaling.scale_targets(limits))
        return ScoreRule("r2", limits=limits)
