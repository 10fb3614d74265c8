"""The parameters that both estimators share: what values they take, and what they are for.

Validation reads ``CONSTRAINTS``; the docstrings of the classes are filled from ``PARAMETERS`` and ``ATTRIBUTES`` by ``documented``.
A new parameter is a line in each, its place in the two signatures, and its use. What values mean for a fit is not known here.
"""

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

from ._kernels.lazy.solvers import N_MOMENTS
from ._network.activations import ACTIVATION_NAMES, Activation
from ._network.initializers import BIAS_INITIALIZERS, INITIALIZERS
from ._network.schedules import SCHEDULE_NAMES

_SHARE = Interval(Real, 0, 1, closed="left")
_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
_POSITIVE = Interval(Real, 0, None, closed="neither")
_COUNT = Interval(Integral, 1, None, closed="left")

CONSTRAINTS = {
    "hidden_layer_sizes": ["array-like", _COUNT],
    "activation": [StrOptions(set(ACTIVATION_NAMES)), list, tuple, Activation],
    "solver": [StrOptions({"lbfgs", *N_MOMENTS})],
    "alpha": [_NOT_NEGATIVE],
    "batch_size": [StrOptions({"auto"}), _COUNT],
    "learning_rate": [StrOptions(set(SCHEDULE_NAMES)), callable],
    "learning_rate_init": [_POSITIVE],
    "power_t": [_NOT_NEGATIVE],
    "max_iter": [_COUNT],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [_NOT_NEGATIVE],
    "verbose": ["verbose"],
    "warm_start": ["boolean", StrOptions({"resume"})],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [_SHARE],
    "beta_1": [_SHARE],
    "beta_2": [_SHARE],
    "epsilon": [_POSITIVE],
    "n_iter_no_change": [_COUNT, Options(Real, {np.inf})],
    "max_fun": [_COUNT],
    # from here on, what scikit-learn has not
    "out_activation": [StrOptions({"auto", "identity", "logistic", "softmax", "relu", "softplus", "exp"})],
    "rho": [_SHARE],
    "weight_decay": [_NOT_NEGATIVE],
    "learning_rate_decay": [Interval(Real, 0, 1, closed="right")],
    "learning_rate_step": [_COUNT, None],
    "learning_rate_horizon": [_COUNT, None],
    "warmup_fraction": [_SHARE, None],
    "dropout": [_SHARE, "array-like"],
    "input_noise": [Interval(Real, 0, 1e9, closed="both")],  # drawn in units of 2⁻³², of which int64 holds so many
    "l1": [_NOT_NEGATIVE],
    "max_norm": [_POSITIVE, None],
    "clip_norm": [_POSITIVE, None],
    "batch_norm": ["boolean"],
    "layer_norm": ["boolean"],
    "ema_decay": [_SHARE, None],
    "weight_init": [StrOptions(set(INITIALIZERS)), callable],
    "bias_init": [StrOptions(set(BIAS_INITIALIZERS)), callable],
    "coefs_init": [list, tuple, None],
    "intercepts_init": [list, tuple, None],
    "weight_norm": [StrOptions({"batch", "global"})],
    "scale": [StrOptions({"standard", "robust"}), None],
    "missing": [StrOptions({"error", "indicator"})],
    "dtype": [StrOptions({"auto", "float32", "float64"})],
    "scoring": [str, callable, None],
    "validation_splitter": [HasMethods(["split"]), None],
    "max_time": [_POSITIVE, None],
    "callbacks": [list, tuple, callable, None],
    "n_threads": [_COUNT, None],
}

# How each parameter stands in the docstrings, in the order of the signatures; {…} is filled in by each class.
PARAMETERS = """\
hidden_layer_sizes : array-like of int or int, default=(100,)
    The number of units of each hidden layer, from the inputs on; an empty one gives a linear model.
activation : str, Activation, or list of these, default='relu'
    The function of the hidden units: 'identity', 'logistic', 'tanh', 'relu', 'leaky_relu', 'elu', 'selu', 'silu', 'gelu',
    'mish', 'softplus', 'hard_sigmoid' or 'hard_swish', whose formulas and sources `fastbp._kernels.lazy.activations` has; one of
    your own, as a `fastbp.Activation`; or a list with one for each hidden layer.
solver : str, default='adam'
    'sgd' is stochastic gradient descent with momentum; 'adam' that of [2]_; 'lbfgs' is SciPy's L-BFGS-B [3]_ on all of the
    data at once, in float64, which often is best on little data. 'adagrad', 'adadelta', 'rmsprop', 'adamw', 'nadam', 'adamax'
    and 'lion' step as PyTorch's solvers of these names do (lion, which it has not, by its paper); `rho`, `beta_1`, `beta_2` and
    `epsilon` are theirs, too. 'adadelta' wants a `learning_rate_init` of 1, 'lion' one of about 1e-4.
alpha : float, default=0.0001
    The strength of the L2 penalty on the weights: alpha / 2 times the sum of their squares, divided by the weight of a batch.
batch_size : int, default='auto'
    Rows per update of all solvers but 'lbfgs'; 'auto' is min(200, n_samples).
learning_rate : str or callable, default='constant'
    How the learning rate goes on from `learning_rate_init`. For 'sgd' alone, as in scikit-learn: 'invscaling' divides it by
    (rows seen + 1) ** power_t after each epoch, 'adaptive' by 5 each time patience is at its end, until it is below 1e-6. For
    every solver but 'lbfgs', the rate of each step is `learning_rate_init` times a factor of the progress p, from 0 to 1, through
    `learning_rate_horizon` epochs: 'cosine' (1 + cos(π p)) / 2 [4]_; 'linear_warmup_cosine' a straight rise over
    `warmup_fraction`, then a cosine; 'one_cycle' up from 1/25 to 1 over `warmup_fraction`, then down to 1/250,000, by cosines
    [5]_; 'exponential' learning_rate_decay ** p; 'step' learning_rate_decay, once more after every `learning_rate_step` epochs;
    'reduce_on_plateau' learning_rate_decay, once more when `learning_rate_step` epochs in a row brought no improvement by `tol`.
    A function of (epoch, progress) is called before each epoch and returns the factor.
learning_rate_init : float, default=0.001
    The first learning rate of all solvers but 'lbfgs'.
power_t : float, default=0.5
    The exponent of 'invscaling'.
max_iter : int, default=200
    The most epochs, or iterations of 'lbfgs', of one fit.
shuffle : bool, default=True
    Whether to take the rows in a new random order each epoch.
random_state : int, RandomState instance or None, default=None
    Where starting weights, shuffles, validation rows and whatever else is drawn come from; an int gives the same fit each time.
tol : float, default=1e-4
    An epoch counts as an improvement if it betters the best loss (or validation score) by more than this; the tolerance on the
    gradient of 'lbfgs'.
verbose : bool, default=False
    Whether to print the loss of every epoch or iteration.
warm_start : bool or 'resume', default=False
    Whether a further fit goes on from the weights of the one before. With True, as in scikit-learn, its solver starts afresh; with
    'resume' nothing does: a fit of n epochs and one of m more, on the same rows, give the bits of n + m, also by way of a pickle; a
    ``partial_fit`` in between ends that.
    As in ``partial_fit``, the solver keeps what it was asked at first, its learning rate for instance; all other parameters may
    change in between. Training goes on where it stood, not from the best weights of early stopping. Not for 'lbfgs'.
momentum : float, default=0.9
    The share of the last step that 'sgd' takes again, from 0 to 1.
nesterovs_momentum : bool, default=True
    Whether 'sgd' looks ahead by its momentum before it steps.
early_stopping : bool, default=False
    Whether to hold out validation_fraction of the rows ({held_out}), to stop when {score} on them no longer improves, and to keep
    the weights that scored best. Rows given to ``fit`` as X_val and y_val take their place; without early stopping, these are only
    looked at. Not for 'lbfgs'.
validation_fraction : float, default=0.1
    The share of the rows that early stopping holds out.
beta_1 : float, default=0.9
    The decay of the mean of gradients, of 'adam' and its kin.
beta_2 : float, default=0.999
    The decay of the mean of squared gradients, of 'adam' and its kin.
epsilon : float, default=1e-8
    What keeps a solver's division finite.
n_iter_no_change : int or inf, default=10
    Patience: how many epochs in a row may fail to improve; the next one that fails ends training.
max_fun : int, default=15000
    The most evaluations of loss and gradient by 'lbfgs'.
{own}
out_activation : str, default='auto'
    The function of the output units: {out_activation}
rho : float, default=0.9
    The decay of the mean of squared gradients of 'rmsprop' and 'adadelta'.
weight_decay : float, default=0.0
    Each step first takes this share, times the learning rate, of the weights (not the biases) away [6]_. Unlike `alpha`, no solver
    divides it by anything. Not for 'lbfgs'.
learning_rate_decay : float, default=0.1
    The factor of the schedules 'exponential', 'step' and 'reduce_on_plateau'.
learning_rate_step : int, default=None
    The epochs between two factors of 'step', and the patience of 'reduce_on_plateau'; None is 10, and half of `n_iter_no_change`,
    so that a reduced rate has as many epochs again to show what it can do.
learning_rate_horizon : int, default=None
    The epochs over which a schedule's progress goes from 0 to 1; None is `max_iter`. Give it where one course of training is made
    of several fits.
warmup_fraction : float, default=None
    The share of the horizon in which 'linear_warmup_cosine' and 'one_cycle' rise; None is 0.1 and 0.3.
dropout : float or list of float, default=0.0
    The share of activations set to 0 at each step, the others being divided by what is left [7]_: one number for all hidden
    layers, a list with one for each, or such a list with one for the inputs before it. Not for 'lbfgs'.
input_noise : float, default=0.0
    The standard deviation of normal noise that is added to the inputs at each step, which is a penalty on the slope of the network
    [8]_. Not for 'lbfgs', nor for sparse X.
l1 : float, default=0.0
    The strength of the L1 penalty on the weights: l1 times the sum of their absolute values, divided as that of `alpha` is [9]_.
max_norm : float, default=None
    The largest Euclidean norm of the weights into one unit; after each step larger ones are scaled down to it [7]_. Not for
    'lbfgs'.
clip_norm : float, default=None
    The largest Euclidean norm of the gradient of all parameters; larger ones are scaled down to it [10]_. Not for 'lbfgs'.
batch_norm : bool, default=False
    Whether the weighted sums of hidden units are standardised over each batch, and scaled by a learned factor, before their
    activation [11]_; for prediction, moving means and variances (of momentum 0.1) take the batch's place and are folded into
    `coefs_` and `intercepts_`. Not for 'lbfgs'.
layer_norm : bool, default=False
    Whether the weighted sums of hidden units are standardised over the units of each row, and scaled by a learned factor, before
    their activation [12]_.
ema_decay : float, default=None
    Where given, predictions are made with a moving mean of the parameters of this decay [13]_; training goes on from the parameters
    themselves. Not for 'lbfgs'.
weight_init : str or callable, default='auto'
    The distribution of the starting weights: 'auto' is scikit-learn's (Glorot's uniform [1]_, of 2 instead of 6 for 'logistic');
    'glorot_uniform', 'glorot_normal' [1]_, 'he_uniform', 'he_normal' [14]_, 'lecun_uniform', 'lecun_normal' [15]_, 'orthogonal'
    [16]_, 'standard_normal'; or a function of (random_state, (n_in, n_out)) that returns an array of that shape.
bias_init : str or callable, default='auto'
    The distribution of the starting biases: as for weights, or 'zeros'; a function is called with (random_state, (n_out,)).
coefs_init : list of array-like, default=None
    The starting weights themselves, of shapes (n_in, n_out), in the place of those that are drawn; with `scale`, those of the
    network that is trained on scaled data.
intercepts_init : list of array-like, default=None
    The starting biases themselves, of shapes (n_out,), in the place of those that are drawn.
weight_norm : {{'batch', 'global'}}, default='batch'
    What weights of rows are relative to: the sum of those in the same batch, as in scikit-learn, so that a batch of weights 100
    counts as one of weights 1; or the mean of all rows that a call trains on.
scale : {{'standard', 'robust'}}, default=None
    Whether to scale the inputs inside the model: to mean 0 and variance 1, or by median and the range from the first to the third
    quartile, of all rows of the first fit, whatever their weights. Sparse X are not centred. The scaling is folded into `coefs_`
    and `intercepts_`, which take raw X; training goes on from others, so that those must not be changed before it does.
missing : {{'error', 'indicator'}}, default='error'
    What NaN in X are: an error; or the feature's mean, with a further input of 0 and 1 for each feature that had any in the first
    fit, after the features. `scale` scales all of them.
dtype : {{'auto', 'float32', 'float64'}}, default='auto'
    What training calculates in; 'auto' is float32 for float32 X, else float64. `coefs_` are of that type, but float64 after
    'lbfgs', and where the scaling of float64 X is folded into them.
scoring : str or callable, default=None
    What is taken of validation rows, where there are any, the higher the better: a scorer of scikit-learn, by name or as a function
    of (estimator, X, y), or 'loss', the loss without penalties, of which the negative is kept. None is {score}.
validation_splitter : CV splitter, default=None
    Where given, its first split of X and y takes the place of validation_fraction. Splitters that need groups are refused.
max_time : float, default=None
    The most seconds of one ``fit``; training stops within a tenth of a second, keeps what it has, and warns.
callbacks : callable or list of callables, default=None
    Functions that are called after each epoch, or iteration of 'lbfgs', with (estimator, epoch, logs): the estimator as it has been
    trained so far, the number of the epoch in this fit, from 1, and a dict of the last entries of `history_`. One that returns True
    ends training. `fastbp.Checkpoint` is one; those of scikit-learn are set by the method ``set_callbacks`` instead.
n_threads : int, default=None
    The threads that train together, each on its rows of every batch. None takes what this process may use, but one where the
    work of a step is too small to gain; 'lbfgs' always takes one. Equal seeds and equal numbers of threads give equal bits.
"""

ATTRIBUTES = """\
coefs_ : list of ndarray of shape (n_in, n_out)
    The weights of each layer: views of one buffer. They may be written into, or replaced.
intercepts_ : list of ndarray of shape (n_out,)
    The biases of each layer.
norm_scales_, norm_shifts_ : list of ndarray of shape (n_out,)
    What standardised sums are multiplied by, and what is added, in each hidden layer; with layer_norm only.
loss_ : float
    The loss of the last epoch or iteration, its penalties included.
best_loss_ : float or None
    The lowest loss of any epoch; None with early stopping.
loss_curve_ : list of float
    The loss of every epoch; not with 'lbfgs'.
history_ : dict of list
    What was taken after every epoch: 'loss', 'learning_rate' (of its last step) and, where there are validation rows, 'val_loss',
    without penalties, and 'val_score'. All are as long as `loss_curve_`, with NaN for epochs without validation; not with 'lbfgs'.
validation_scores_ : list of float or None
    {Score}, or what `scoring` asks for, on the validation rows after every epoch; None without early stopping.
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
    The function of the output units: {out_activation_}
"""

REFERENCES = """\
.. [1] Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.
.. [2] Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.
.. [3] Byrd, Lu, Nocedal and Zhu, "A Limited Memory Algorithm for Bound Constrained Optimization", SIAM Journal on Scientific
   Computing 16, 1995.
.. [4] Loshchilov and Hutter, "SGDR: Stochastic Gradient EpochRunner with Warm Restarts", ICLR 2017.
.. [5] Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates", 2018.
.. [6] Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
.. [7] Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: A Simple Way to Prevent Neural Networks from
   Overfitting", JMLR 15, 2014.
.. [8] Bishop, "Training with Noise is Equivalent to Tikhonov Regularization", Neural Computation 7, 1995.
.. [9] Tibshirani, "Regression Shrinkage and Selection via the Lasso", Journal of the Royal Statistical Society B 58, 1996.
.. [10] Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.
.. [11] Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift", ICML
   2015.
.. [12] Ba, Kiros and Hinton, "Layer Normalization", 2016.
.. [13] Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", SIAM Journal on Control and Optimization 30,
   1992; here with exponential weights.
.. [14] He, Zhang, Ren and Sun, "Delving Deep into Rectifiers", ICCV 2015.
.. [15] LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998.
.. [16] Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks", ICLR
   2014.
"""


def documented(**words):
    """A class decorator that fills {parameters}, {attributes} and {references} of its docstring, with these words in them."""

    def fill(cls):
        if cls.__doc__ is not None:  # as it is under python -OO
            for name, text in (("parameters", PARAMETERS), ("attributes", ATTRIBUTES), ("references", REFERENCES)):
                filled = text.format(**words) if name != "references" else text
                cls.__doc__ = cls.__doc__.replace("{" + name + "}", filled.strip().replace("\n", "\n    "))
        return cls

    return fill


def take(estimator, values):
    """Put the arguments of __init__, its locals, into attributes of their names."""
    for name, value in values.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)
