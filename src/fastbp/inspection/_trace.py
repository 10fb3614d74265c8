"""A trace: all values of one forward and one backward pass of a fitted network, and of the update that would follow.

A fitted estimator, X, y and sample weights go in; a ``Trace`` comes out. The values are those of the kernels that train. This
module does not know how the values are shown.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse

from .._data.inputs import Matrix
from .._inspected_fit import inspected_fit
from .._network.hidden_layers import outputs_of_one_layer
from .._training.sgd import has_optimizer, next_step
from ._evaluation import Evaluation
from ._frame import frame_of
from ._html import fragment_of, page_of


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """All values of a forward pass, a backward pass and an update of a network; the result of `trace`.

    In the formulas, layers are numbered from 1 to L, and A[0] are the inputs. Lists have one array for each layer, the first for
    layer 1, as in `coefs_`. Only the list `A` begins with layer 0, so that ``A[l]`` belongs to layer l. m is the number of rows,
    n[l] the number of units of layer l.

    Parameters
    ----------
    loss : float
        The objective C: `data_loss` plus `penalty`.
    data_loss : float
        The mean of the losses of the rows, weighted by the sample weights.
    penalty : float
        The penalties ``(alpha / 2 Σ W² + l1 Σ |W|) / Σ weights``. Without sample weights, Σ weights is m.
    A : list of ndarray of shape (m, n[l])
        The inputs A[0] and the activations A[l] = g(Z[l]). The inputs are those of the network: scaled, and without missing values.
        They are a sparse matrix if X is sparse.
    Z : list of ndarray of shape (m, n[l])
        The weighted sums Z[l] = A[l-1] W[l] + b[l]; with batch normalization, Z[l] = A[l-1] W[l] in hidden layers.
    delta : list of ndarray of shape (m, n[l])
        The deltas δ[l] = ∂C/∂Z[l].
    coef_grads : list of ndarray of shape (n[l-1], n[l])
        The gradients ∂C/∂W[l] = A[l-1]ᵀ δ[l] + (alpha W[l] + l1 sign W[l]) / Σ weights. The second term is in
        `coef_penalty_grads`.
    intercept_grads : list of ndarray of shape (n[l],)
        The gradients ∂C/∂b[l], the sums of δ[l] over the rows; with batch normalization, the sums of `norm_delta` in hidden layers.
    coef_penalty_grads : list of ndarray of shape (n[l-1], n[l])
        The parts of `coef_grads` that come from the penalties.
    slopes : list of ndarray of shape (m, n[l])
        The slopes g'(Z[l]) of the hidden layers, or g'(norm_Z[l]) with a norm.
    coefs : list of ndarray of shape (n[l-1], n[l])
        The weights W[l] in training. They differ from `coefs_` if scaling, batch normalization or averages are folded into those.
    intercepts : list of ndarray of shape (n[l],)
        The biases b[l] in training.
    coef_updates : list of ndarray of shape (n[l-1], n[l])
        The changes of W[l] in the next step, described by `update_rule`.
    intercept_updates : list of ndarray of shape (n[l],)
        The changes of b[l] in the next step.
    update_rule : str
        The solver, the number of the step and the learning rate of the update.
    y : ndarray of shape (m, n_columns)
        The targets of training: class codes, indicators of 0 and 1, or scaled values.
    weight_sum : float
        Σ weights, by which all sums over rows are divided.
    about : dict
        The names of the functions of the network, and the strengths of the penalties, for the HTML view.
    sample_weight : ndarray of shape (m,), default=None
        The weights of the rows, including class weights.
    norm : str, default=None
        'batch_norm' or 'layer_norm' if the hidden layers have a norm.
    norm_Z : list of ndarray of shape (m, n[l]), default=()
        With a norm, the normalized sums γ (Z − mean) / √(variance + 1e-5) + β of the hidden layers, for which A[l] = g(norm_Z[l]).
    norm_delta : list of ndarray of shape (m, n[l]), default=()
        With a norm, ∂C/∂norm_Z[l] of the hidden layers.
    norm_scales, norm_shifts : list of ndarray of shape (n[l],), default=()
        With a norm, γ and β of the hidden layers; batch normalization uses b[l] as β.
    norm_scale_grads, norm_shift_grads : list of ndarray of shape (n[l],), default=()
        Their gradients.
    norm_scale_updates, norm_shift_updates : list of ndarray of shape (n[l],), default=()
        Their changes in the next step.
    """

    loss: float
    data_loss: float
    penalty: float
    A: list[Any]
    Z: list[np.ndarray]
    delta: list[np.ndarray]
    coef_grads: list[np.ndarray]
    intercept_grads: list[np.ndarray]
    coef_penalty_grads: list[np.ndarray]
    slopes: list[np.ndarray]
    coefs: list[np.ndarray]
    intercepts: list[np.ndarray]
    coef_updates: list[np.ndarray]
    intercept_updates: list[np.ndarray]
    update_rule: str
    y: np.ndarray
    weight_sum: float
    about: dict[str, Any]
    sample_weight: np.ndarray | None = None
    norm: str | None = None
    norm_Z: list[np.ndarray] | tuple[()] = ()
    norm_delta: list[np.ndarray] | tuple[()] = ()
    norm_scales: list[np.ndarray] | tuple[()] = ()
    norm_shifts: list[np.ndarray] | tuple[()] = ()
    norm_scale_grads: list[np.ndarray] | tuple[()] = ()
    norm_shift_grads: list[np.ndarray] | tuple[()] = ()
    norm_scale_updates: list[np.ndarray] | tuple[()] = ()
    norm_shift_updates: list[np.ndarray] | tuple[()] = ()

    def __repr__(self) -> str:
        sizes = "-".join(str(A.shape[1]) for A in self.A)
        return f"Trace of {self.A[0].shape[0]} rows through layers {sizes}: loss {self.loss:.6g}"

    def to_frame(self) -> Any:
        """Return all numbers as a pandas DataFrame in long form: one number in each row of the frame.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_numbers, 6)
            The columns are `quantity`, the name of an attribute such as "delta"; `layer`, from 0 for the inputs to L; `row`, the
            row of X; `input`, the unit of the layer below; `unit`, the unit of the layer; and `value`. Columns that do not apply to
            a quantity are missing (NA): weights have no `row`, and deltas have no `input`. Of sparse inputs, only the stored values
            are listed.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from fastbp import MLPRegressor
        >>> from fastbp.inspection import trace
        >>> X, y = np.array([[0.0], [1.0]]), np.array([1.0, 3.0])
        >>> model = MLPRegressor(hidden_layer_sizes=(), alpha=0, solver="lbfgs", random_state=0).fit(X, y)
        >>> frame = trace(model, X, y).to_frame()
        >>> frame[frame["quantity"] == "A"].round(3)
          quantity  layer  row  input  unit  value
        3        A      0    0   <NA>     0    0.0
        4        A      0    1   <NA>     0    1.0
        5        A      1    0   <NA>     0    1.0
        6        A      1    1   <NA>     0    3.0
        """
        return frame_of(self)

    def to_html(self) -> str:
        """Return a complete HTML page that shows the steps of the algorithm with formulas, shapes and numbers.

        The page needs no network. The buttons and the arrow keys change the step. Without JavaScript, all steps are shown one after
        the other. Arrays of more than six rows or columns are shortened. Jupyter shows the same view.

        Returns
        -------
        page : str
            The text of an HTML file, to be written with the encoding UTF-8.

        Examples
        --------
        >>> import numpy as np
        >>> from fastbp import MLPRegressor
        >>> from fastbp.inspection import trace
        >>> X, y = np.array([[0.0], [1.0]]), np.array([1.0, 3.0])
        >>> model = MLPRegressor(hidden_layer_sizes=(), alpha=0, solver="lbfgs", random_state=0).fit(X, y)
        >>> page = trace(model, X, y).to_html()
        >>> page.count("<section"), "Z[1] = A[0] W[1] + b[1]" in page
        (6, True)
        """
        return page_of(self)

    def _repr_html_(self) -> str:
        return fragment_of(self)


def trace(est: Any, X: Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Trace:
    """Compute all values of one forward and one backward pass of a fitted network for the given rows.

    The rows are treated as one batch of training. The network is the one that is trained: its inputs are scaled if `scale` is set,
    and its weights are those before scaling, batch normalization and averages are folded into `coefs_`. Dropout and noise are
    switched off. Batch normalization uses the mean and the variance of the given rows, as in training.

    Parameters
    ----------
    est : MLPClassifier or MLPRegressor
        The fitted estimator, which is not changed. The loss and the strengths of the penalties are those of its current parameters,
        and the activations are those of the last fit.
    X : array-like or sparse matrix of shape (n_samples, n_features)
        The rows.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Their targets. Classes may be missing, except with ``class_weight="balanced"``.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights. Class weights are multiplied by them; ``class_weight="balanced"`` uses the classes of the given rows.

    Returns
    -------
    trace : Trace
        The values. Jupyter shows them as a page on which you can step through the algorithm.

    Raises
    ------
    TypeError
        If `est` is not an estimator of fastbp.
    NotFittedError
        If `est` is not fitted.
    ValueError
        If the data do not fit the network, or if parameters such as `scale` have changed since the fit.
    ZeroDivisionError
        If the weights of the rows sum to zero, but not all of them are zero.

    See Also
    --------
    check_gradients : Compares the gradients with finite differences.

    Notes
    -----
    All values are those of the kernels that train, in the dtype of the weights: the activations, the deltas and the gradients are
    copied from the buffers in which the kernels store them, and the weighted sums and outputs are computed by the same products.
    With ``dtype="mixed_bfloat16"``, activations, deltas and gradients are those of products with rounded factors, as in training;
    `Z` and the outputs are computed in float32, so the formulas hold to two or three digits.
    The algorithm and the notation are those of Rumelhart, Hinton and Williams, "Learning representations by back-propagating
    errors", Nature 323, 1986, written with one row per example.

    For the loss 'squared_error' of a regressor with several outputs, `data_loss` is the mean over the outputs, but the gradients
    are those of the sum over the outputs. This is the definition of scikit-learn.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLPRegressor
    >>> from fastbp.inspection import trace
    >>> X, y = np.array([[0.0], [1.0], [2.0]]), np.array([0.0, 1.0, 4.0])
    >>> model = MLPRegressor(hidden_layer_sizes=2, activation="tanh", alpha=0, solver="lbfgs", random_state=0).fit(X, y)
    >>> values = trace(model, X, y)
    >>> values
    Trace of 3 rows through layers 1-2-1: loss ...
    >>> values.delta[0].shape, values.coef_grads[0].shape
    ((3, 2), (1, 2))
    >>> np.allclose(values.coef_grads[1], values.A[1].T @ values.delta[1])
    True
    """
    return _traced(inspected_fit(est, X, y, sample_weight))


def _traced(fit):
    """Return the `Trace` of an ``InspectedFit``."""
    evaluation = Evaluation(fit)
    data_loss, gradient, kernel_values = evaluation.values()
    penalty, penalty_gradient = evaluation.penalty(evaluation.params), evaluation.penalty_gradient(evaluation.params)
    gradient += penalty_gradient
    step, rule = next_step(fit, gradient)
    arrays = _by_name("{}s", evaluation.by_layer(evaluation.params.copy()))
    arrays |= _by_name("{}_grads", evaluation.by_layer(gradient)) | _by_name("{}_updates", evaluation.by_layer(step))
    arrays |= _forward_values(fit, evaluation, kernel_values, arrays)
    arrays["delta"] = [array / evaluation.dtype.type(evaluation.weight_sum) for array in kernel_values.deltas]
    arrays["norm_delta"] = _norm_deltas(fit, arrays)
    return Trace(
        loss=float(data_loss + penalty),
        data_loss=float(data_loss),
        penalty=float(penalty),
        coef_penalty_grads=evaluation.by_layer(penalty_gradient)[0],
        update_rule=rule,
        y=fit.y,
        weight_sum=evaluation.weight_sum,
        about=_about(fit),
        sample_weight=fit.sample_weight,
        norm=fit.plan.architecture.norm,
        **arrays,
    )


def _by_name(form, lists):
    """Return the lists of arrays of W, b, γ and β by the names of attributes of `Trace`."""
    return dict(zip(map(form.format, ("coef", "intercept", "norm_scale", "norm_shift")), lists, strict=True))


def _forward_values(fit, evaluation, values, params):
    """Return the attributes of `Trace` that belong to the forward pass; params are those of the parameters."""
    coefs, intercepts, architecture = params["coefs"], params["intercepts"], fit.plan.architecture
    inputs = fit.X.astype(evaluation.dtype) if issparse(fit.X) else np.array(fit.X, evaluation.dtype)
    A, per_unit = [inputs, *values.activations], architecture.norm == "batch_norm"
    Z, norm_Z, slopes = [], [], []
    for layer, (W, b) in enumerate(zip(coefs, intercepts, strict=True)):
        is_hidden = layer < len(coefs) - 1
        Z.append(outputs_of_one_layer(A[layer], W, np.zeros_like(b) if per_unit and is_hidden else b))
        if is_hidden and architecture.norm is not None:
            shift = b if per_unit else params["norm_shifts"][layer]
            norm_Z.append(params["norm_scales"][layer] * values.normalized[layer] + shift)
        if is_hidden:
            slopes.append(values.slopes_of(layer, architecture.activations[layer]))
    A.append(outputs_of_one_layer(A[-1], coefs[-1], intercepts[-1], architecture.link, architecture.numbers))
    return {"A": A, "Z": Z, "norm_Z": norm_Z, "slopes": slopes}


def _norm_deltas(fit, arrays):
    """Return ∂C/∂norm_Z[l] = (δ[l+1] W[l+1]ᵀ) ⊙ g'(norm_Z[l]) of the hidden layers, or an empty list without a norm."""
    if fit.plan.architecture.norm is None:
        return []
    above = zip(arrays["delta"][1:], arrays["coefs"][1:], arrays["slopes"], strict=True)
    return [delta @ W.T * slope for delta, W, slope in above]


def _about(fit):
    architecture, config = fit.plan.architecture, fit.config
    has_solver = has_optimizer(fit.state, config)
    return {
        "activations": [name if isinstance(name, str) else repr(name) for name in architecture.activations],
        "link": architecture.link,
        "loss": fit.plan.objective.loss if isinstance(fit.plan.objective.loss, str) else repr(fit.plan.objective.loss),
        "is_canonical": fit.plan.objective.is_canonical(architecture.link),
        "is_mean": fit.plan.objective.is_averaged_over_outputs(architecture.link) and fit.y.shape[1] > 1,
        "smoothing": fit.plan.objective.smoothing,
        "solver": fit.state.optimizer.hyperparams["solver"] if has_solver else None,
        "alpha": config.alpha,
        "l1": config.l1,
        "has_limits": has_solver and bool(config.weight_decay or config.clip_norm or config.max_norm),
    }
