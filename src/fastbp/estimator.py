"""The public estimators: scikit-learn's two multilayer perceptrons, trained by compiled kernels.

Each says what its y means and how outputs become predictions; all that they share is in `base`. Parameters, defaults, attributes
and behaviour are those of scikit-learn 1.9.
"""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, RegressorMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels

from .base import BaseMLP, Matrix
from .kernels import Loss
from .targets import accuracy, check_values, count_outputs, decode_labels, encode_labels, learn_labels, r2


class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multilayer perceptron for classification.

    A network of fully connected layers, trained by backpropagation to minimise the log-loss: binary, multinomial, or one binary
    loss per label for a multilabel y. It is scikit-learn's ``MLPClassifier``, in compiled kernels.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int or int, default=(100,)
        The number of units of each hidden layer, from the inputs on; an empty one gives a linear model.
    activation : str, Activation, or list of these, default='relu'
        The function of the hidden units: 'identity', 'logistic', 'tanh', 'relu', 'leaky_relu', 'elu', 'selu', 'silu', 'gelu',
        'mish', 'softplus', 'hard_sigmoid' or 'hard_swish', whose formulas and sources `fastbp.kernels.more_activations` has; one of
        your own, as a `fastbp.Activation`; or a list with one for each hidden layer.
    solver : str, default='adam'
        'sgd' is stochastic gradient descent with momentum; 'adam' that of [2]_; 'lbfgs' is SciPy's L-BFGS-B [3]_ on all of the
        data at once, in float64, which often is best on little data. 'adagrad', 'adadelta', 'rmsprop', 'adamw', 'nadam', 'adamax'
        and 'lion' step as PyTorch's solvers of these names do (lion, which it has not, by its paper); `rho`, `beta_1`, `beta_2` and
        `epsilon` are theirs, too. 'adadelta' wants a `learning_rate_init` of 1, 'lion' one of about 1e-4.
    alpha : float, default=0.0001
        The strength of the L2 penalty on the weights: alpha / 2 times the sum of their squares, divided by the weight of a batch.
    batch_size : int, default='auto'
        Rows per update of 'sgd' and 'adam'; 'auto' is min(200, n_samples).
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        The learning rate of 'sgd': learning_rate_init throughout; that divided by (rows seen + 1) ** power_t after each epoch; or
        that divided by 5 each time patience is at its end, until it is below 1e-6.
    learning_rate_init : float, default=0.001
        The first learning rate of 'sgd' and 'adam'.
    power_t : float, default=0.5
        The exponent of 'invscaling'.
    max_iter : int, default=200
        The most epochs ('sgd', 'adam') or iterations ('lbfgs') of one fit.
    shuffle : bool, default=True
        Whether 'sgd' and 'adam' take the rows in a new random order each epoch.
    random_state : int, RandomState instance or None, default=None
        Where starting weights, shuffles and the validation rows come from; an int gives the same fit each time.
    tol : float, default=1e-4
        An epoch counts as an improvement if it betters the best loss (or validation score) by more than this; the tolerance on the
        gradient of 'lbfgs'.
    verbose : bool, default=False
        Whether to print the loss of every epoch or iteration.
    warm_start : bool, default=False
        Whether a further fit goes on from the weights of the one before; solvers start afresh.
    momentum : float, default=0.9
        The share of the last step that 'sgd' takes again, from 0 to 1.
    nesterovs_momentum : bool, default=True
        Whether 'sgd' looks ahead by its momentum before it steps.
    early_stopping : bool, default=False
        Whether to hold out validation_fraction of the rows (stratified for a binary y), to stop when the accuracy on them no
        longer improves, and to keep the weights that scored best. Not for 'lbfgs'.
    validation_fraction : float, default=0.1
        The share of the rows that early stopping holds out.
    beta_1 : float, default=0.9
        The decay of Adam's mean of gradients.
    beta_2 : float, default=0.999
        The decay of Adam's mean of squared gradients.
    epsilon : float, default=1e-8
        What keeps Adam's division finite.
    n_iter_no_change : int or inf, default=10
        Patience: how many epochs in a row may fail to improve; the next one that fails ends training.
    max_fun : int, default=15000
        The most evaluations of loss and gradient by 'lbfgs'.
    rho : float, default=0.9
        The decay of the mean of squared gradients of 'rmsprop' and 'adadelta'.
    weight_decay : float, default=0.0
        Each step of 'sgd' and those after it first takes this share, times the learning rate, of the weights (not the biases) away
        [4]_. Unlike `alpha`, no solver divides it by anything.
    n_threads : int, default=None
        The threads that train together, each on its rows of every batch. None takes what this process may use, but one where the
        work of a step is too small to gain. Equal seeds and equal numbers of threads give equal bits.

    Attributes
    ----------
    classes_ : ndarray or list of ndarray of shape (n_classes,)
        The class labels.
    coefs_ : list of ndarray of shape (n_in, n_out)
        The weights of each layer: views of one buffer. They may be written into, or replaced.
    intercepts_ : list of ndarray of shape (n_out,)
        The biases of each layer.
    loss_ : float
        The loss of the last epoch or iteration, its L2 penalty included.
    best_loss_ : float or None
        The lowest loss of any epoch; None with early stopping.
    loss_curve_ : list of float
        The loss of every epoch ('sgd', 'adam').
    validation_scores_ : list of float or None
        The accuracy on the validation rows after every epoch; None without early stopping.
    best_validation_score_ : float or None
        The highest of these.
    t_ : int
        How many rows training has seen, each as often as it was seen.
    n_iter_ : int
        The epochs or iterations of the last fit.
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The names of the features, where X had names that are all strings.
    n_layers_ : int
        The number of layers, inputs and outputs included.
    n_outputs_ : int
        The number of output units.
    out_activation_ : str
        The function of the output units: 'logistic' for a binary or multilabel y, 'softmax' for a multiclass one.

    See Also
    --------
    sklearn.neural_network.MLPClassifier : The original.
    MLPRegressor : The same network for regression.

    Notes
    -----
    With equal parameters and `random_state`, float64 results are scikit-learn's: starting weights, batches, losses, stopping epoch.
    float32 data are trained in float32. The compiled kernels are kept on disk after their first use.

    References
    ----------
    .. [1] Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010 (the
       starting weights).
    .. [2] Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.
    .. [3] Byrd, Lu, Nocedal and Zhu, "A Limited Memory Algorithm for Bound Constrained Optimization", SIAM Journal on Scientific
       Computing 16, 1995.
    .. [4] Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = MLPClassifier(learning_rate_init=0.01, random_state=0).fit(X, y)
    >>> classifier.predict(X[::50])
    array([0, 1, 2])
    >>> classifier.score(X, y) > 0.95
    True
    """

    loss = "log_loss"

    def __init__(
        self,
        hidden_layer_sizes: int | ArrayLike = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        rho: float = 0.9,
        weight_decay: float = 0.0,
        n_threads: int | None = None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.rho = rho
        self.weight_decay = weight_decay
        self.n_threads = n_threads

    @available_if(lambda estimator: estimator._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch on X and y, going on from the present weights and the solver's state.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            The class labels; not every class need be among them.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come; must be given at the first call.

        Returns
        -------
        self : MLPClassifier
            The trained estimator.

        Raises
        ------
        ValueError
            For data that cannot be trained on. The estimator, fitted or not, is left as it was.
        """
        with self._all_or_nothing():
            if _check_partial_fit_first_call(self, classes):
                known = y if type_of_target(y).startswith("multilabel") else classes
                self._label_binarizer = LabelBinarizer().fit(known)
            return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Matrix) -> np.ndarray:
        """The most probable class of each row; for a multilabel y, the labels more probable than not.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            The predicted labels.
        """
        outputs = self._outputs(X)
        return decode_labels(self._label_binarizer, outputs)

    def predict_proba(self, X: Matrix) -> np.ndarray:
        """The probability of each class, or of each label on its own for a multilabel y.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            The probabilities, in the order of `classes_`.
        """
        outputs = self._outputs(X)
        return np.hstack([1 - outputs, outputs]) if self.n_outputs_ == 1 else outputs

    def predict_log_proba(self, X: Matrix) -> np.ndarray:
        """The logarithm of `predict_proba`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            The logarithms of the probabilities, in the order of `classes_`.
        """
        probabilities = self.predict_proba(X)
        return np.log(probabilities, out=probabilities)

    def _validate_input(self, X, y, incremental, reset):
        X, y = self._validated(X, y, reset)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = learn_labels(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            self._check_classes(unique_labels(y))
        return X, encode_labels(self._label_binarizer, y)

    def _check_classes(self, classes):
        if self.warm_start:
            if set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously got "
                    f"{self.classes_}, `y` has {classes}"
                )
        elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}.")

    def _output(self, y):
        out_activation = "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"
        return count_outputs(self._label_binarizer, y), out_activation

    def _stratify(self, y):
        return y.astype(bool) if self.n_outputs_ == 1 else None

    def _score_outputs(self, y, outputs, sample_weight):
        if len(self.classes_) == 1:
            return 1.0  # there is nothing else to predict
        return accuracy(y, outputs, sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, BaseMLP):
    """Multilayer perceptron for regression.

    A network of fully connected layers, trained by backpropagation to minimise the squared error or the Poisson deviance, for one
    or several outputs. It is scikit-learn's ``MLPRegressor``, in compiled kernels.

    Parameters
    ----------
    loss : {'squared_error', 'poisson'}, default='squared_error'
        Half the squared error, or half the Poisson deviance, which needs y >= 0 and has exp at the output.
    hidden_layer_sizes : array-like of int or int, default=(100,)
        The number of units of each hidden layer, from the inputs on; an empty one gives a linear model.
    activation : str, Activation, or list of these, default='relu'
        The function of the hidden units: 'identity', 'logistic', 'tanh', 'relu', 'leaky_relu', 'elu', 'selu', 'silu', 'gelu',
        'mish', 'softplus', 'hard_sigmoid' or 'hard_swish', whose formulas and sources `fastbp.kernels.more_activations` has; one of
        your own, as a `fastbp.Activation`; or a list with one for each hidden layer.
    solver : str, default='adam'
        'sgd' is stochastic gradient descent with momentum; 'adam' that of [2]_; 'lbfgs' is SciPy's L-BFGS-B [3]_ on all of the
        data at once, in float64, which often is best on little data. 'adagrad', 'adadelta', 'rmsprop', 'adamw', 'nadam', 'adamax'
        and 'lion' step as PyTorch's solvers of these names do (lion, which it has not, by its paper); `rho`, `beta_1`, `beta_2` and
        `epsilon` are theirs, too. 'adadelta' wants a `learning_rate_init` of 1, 'lion' one of about 1e-4.
    alpha : float, default=0.0001
        The strength of the L2 penalty on the weights: alpha / 2 times the sum of their squares, divided by the weight of a batch.
    batch_size : int, default='auto'
        Rows per update of 'sgd' and 'adam'; 'auto' is min(200, n_samples).
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        The learning rate of 'sgd': learning_rate_init throughout; that divided by (rows seen + 1) ** power_t after each epoch; or
        that divided by 5 each time patience is at its end, until it is below 1e-6.
    learning_rate_init : float, default=0.001
        The first learning rate of 'sgd' and 'adam'.
    power_t : float, default=0.5
        The exponent of 'invscaling'.
    max_iter : int, default=200
        The most epochs ('sgd', 'adam') or iterations ('lbfgs') of one fit.
    shuffle : bool, default=True
        Whether 'sgd' and 'adam' take the rows in a new random order each epoch.
    random_state : int, RandomState instance or None, default=None
        Where starting weights, shuffles and the validation rows come from; an int gives the same fit each time.
    tol : float, default=1e-4
        An epoch counts as an improvement if it betters the best loss (or validation score) by more than this; the tolerance on the
        gradient of 'lbfgs'.
    verbose : bool, default=False
        Whether to print the loss of every epoch or iteration.
    warm_start : bool, default=False
        Whether a further fit goes on from the weights of the one before; solvers start afresh.
    momentum : float, default=0.9
        The share of the last step that 'sgd' takes again, from 0 to 1.
    nesterovs_momentum : bool, default=True
        Whether 'sgd' looks ahead by its momentum before it steps.
    early_stopping : bool, default=False
        Whether to hold out validation_fraction of the rows (at random), to stop when the R² on them no
        longer improves, and to keep the weights that scored best. Not for 'lbfgs'.
    validation_fraction : float, default=0.1
        The share of the rows that early stopping holds out.
    beta_1 : float, default=0.9
        The decay of Adam's mean of gradients.
    beta_2 : float, default=0.999
        The decay of Adam's mean of squared gradients.
    epsilon : float, default=1e-8
        What keeps Adam's division finite.
    n_iter_no_change : int or inf, default=10
        Patience: how many epochs in a row may fail to improve; the next one that fails ends training.
    max_fun : int, default=15000
        The most evaluations of loss and gradient by 'lbfgs'.
    rho : float, default=0.9
        The decay of the mean of squared gradients of 'rmsprop' and 'adadelta'.
    weight_decay : float, default=0.0
        Each step of 'sgd' and those after it first takes this share, times the learning rate, of the weights (not the biases) away
        [4]_. Unlike `alpha`, no solver divides it by anything.
    n_threads : int, default=None
        The threads that train together, each on its rows of every batch. None takes what this process may use, but one where the
        work of a step is too small to gain. Equal seeds and equal numbers of threads give equal bits.

    Attributes
    ----------
    coefs_ : list of ndarray of shape (n_in, n_out)
        The weights of each layer: views of one buffer. They may be written into, or replaced.
    intercepts_ : list of ndarray of shape (n_out,)
        The biases of each layer.
    loss_ : float
        The loss of the last epoch or iteration, its L2 penalty included.
    best_loss_ : float or None
        The lowest loss of any epoch; None with early stopping.
    loss_curve_ : list of float
        The loss of every epoch ('sgd', 'adam').
    validation_scores_ : list of float or None
        The R² on the validation rows after every epoch; None without early stopping.
    best_validation_score_ : float or None
        The highest of these.
    t_ : int
        How many rows training has seen, each as often as it was seen.
    n_iter_ : int
        The epochs or iterations of the last fit.
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The names of the features, where X had names that are all strings.
    n_layers_ : int
        The number of layers, inputs and outputs included.
    n_outputs_ : int
        The number of output units.
    out_activation_ : str
        The function of the output units: 'identity', or 'exp' for the Poisson loss.

    See Also
    --------
    sklearn.neural_network.MLPRegressor : The original.
    MLPClassifier : The same network for classification.

    Notes
    -----
    With equal parameters and `random_state`, float64 results are scikit-learn's: starting weights, batches, losses, stopping epoch.
    float32 data are trained in float32. The compiled kernels are kept on disk after their first use.

    References
    ----------
    .. [1] Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010 (the
       starting weights).
    .. [2] Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.
    .. [3] Byrd, Lu, Nocedal and Zhu, "A Limited Memory Algorithm for Bound Constrained Optimization", SIAM Journal on Scientific
       Computing 16, 1995.
    .. [4] Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from fastbp import MLPRegressor
    >>> X, y = make_regression(n_features=5, random_state=0)
    >>> regressor = MLPRegressor(solver="lbfgs", alpha=1.0, max_iter=3000, random_state=0).fit(X, y)
    >>> regressor.score(X, y) > 0.99
    True
    """

    _parameter_constraints = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions({member.name for member in Loss} - {MLPClassifier.loss})],
    }

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: int | ArrayLike = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        rho: float = 0.9,
        weight_decay: float = 0.0,
        n_threads: int | None = None,
    ):
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.rho = rho
        self.weight_decay = weight_decay
        self.n_threads = n_threads

    @available_if(lambda estimator: estimator._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one epoch on X and y, going on from the present weights and the solver's state.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The target values.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows.

        Returns
        -------
        self : MLPRegressor
            The trained estimator.

        Raises
        ------
        ValueError
            For data that cannot be trained on. The estimator, fitted or not, is left as it was.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Matrix) -> np.ndarray:
        """The predicted values of each row.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predicted values.
        """
        outputs = self._outputs(X)
        return outputs.ravel() if outputs.shape[1] == 1 else outputs

    def _validate_input(self, X, y, incremental, reset):
        X, y = self._validated(X, y, reset, y_numeric=True)
        return X, check_values(y)

    def _output(self, y):
        return y.shape[1], "exp" if self.loss == "poisson" else "identity"

    def _stratify(self, y):
        return None

    def _score_outputs(self, y, outputs, sample_weight):
        return r2(y, outputs, sample_weight)
