"""The constraints and the documentation of the parameters that both estimators share.

scikit-learn's validation reads ``CONSTRAINTS``. The decorator ``documented`` inserts ``PARAMETERS``, ``ATTRIBUTES`` and
``REFERENCES`` into the docstrings of the two classes. A new parameter needs an entry in ``CONSTRAINTS``, an entry in
``PARAMETERS``, a field of ``FitConfig``, and an argument in both signatures. This module does not know how a fit uses the
parameters.
"""

from functools import cache
from inspect import cleandoc, signature
from numbers import Integral, Real
from operator import itemgetter

import numpy as np

from ._compat import HasMethods, Interval, Options, StrOptions
from ._data.scaling import SMOOTH_CLIP
from ._kernels.lazy.schedules import SCHEDULES
from ._kernels.lazy.solvers import N_MOMENTS
from ._network.activations import ACTIVATION_NAMES, Activation
from ._network.initializers import BIAS_INITIALIZERS, DATA, INITIALIZERS
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
    "verbose": ["verbose", StrOptions({"bar"})],
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
    # parameters that scikit-learn does not have
    "out_activation": [StrOptions({"auto", "identity", "logistic", "softmax", "relu", "softplus", "exp"})],
    "rho": [_SHARE],
    "weight_decay": [_NOT_NEGATIVE],
    "learning_rate_decay": [Interval(Real, 0, 1, closed="right")],
    "learning_rate_step": [_COUNT, None],
    "learning_rate_horizon": [_COUNT, None],
    "warmup_fraction": [_SHARE, None],
    "dropout": [_SHARE, "array-like"],
    "input_noise": [Interval(Real, 0, 1e9, closed="both")],  # it is stored as an int64 in units of 2⁻³²
    "l1": [_NOT_NEGATIVE],
    "max_norm": [_POSITIVE, None],
    "clip_norm": [_POSITIVE, None],
    "batch_norm": ["boolean"],
    "layer_norm": ["boolean"],
    "ema_decay": [_SHARE, None],
    "weight_init": [StrOptions({DATA, *INITIALIZERS}), callable],
    "bias_init": [StrOptions({DATA, *BIAS_INITIALIZERS}), callable],
    "coefs_init": [list, tuple, None],
    "intercepts_init": [list, tuple, None],
    "sample_weight_norm": [StrOptions({"batch", "global"})],
    "scale": [StrOptions({"standard", "robust", SMOOTH_CLIP}), None],
    "missing": [StrOptions({"error", "indicator"})],
    "dtype": [StrOptions({"auto", "float32", "float64", "mixed_bfloat16"})],
    "scoring": [str, callable, None],
    "validation_splitter": [HasMethods(["split"]), None],
    "max_time": [_POSITIVE, None],
    "callbacks": [list, tuple, callable, None],
    "n_threads": [_COUNT, None],
    "n_shares": [_COUNT, None],
    "regularization_schedule": [StrOptions(set(SCHEDULES)), None],
    "learning_rate_factors": [dict, None],
}

# The documentation of the parameters, in the order of the signatures. Each class replaces the names in braces.
PARAMETERS = """\
hidden_layer_sizes : array-like of int or int, default=(100,)
    The number of units in each hidden layer, from the first to the last. An empty sequence gives a linear model.
activation : str, Activation, or list of these, default='relu'
    The activation function of the hidden layers: 'identity', 'logistic', 'tanh', 'relu', 'leaky_relu', 'elu', 'selu', 'silu',
    'gelu', 'mish', 'softplus', 'hard_sigmoid' or 'hard_swish'; or your own function as a `fastbp.Activation`; or a list with one
    of these for each hidden layer.

    - 'identity' is z, 'logistic' is σ(z) = 1 / (1 + e^−z), 'tanh' is tanh z, and 'relu' is max(0, z).
    - 'leaky_relu' is z, or 0.01 z below zero; 'elu' is z, or e^z − 1 below zero [17]_; 'selu' is λ z, or λ α (e^z − 1) below zero,
      with λ = 1.0507 and α = 1.6733 [18]_.
    - 'silu' is z σ(z); 'gelu' is z Φ(z) with the standard normal distribution function Φ [19]_; 'softplus' is ln(1 + e^z); 'mish'
      is z tanh(ln(1 + e^z)) [20]_.
    - 'hard_sigmoid' is (z + 3) / 6, limited to [0, 1]; 'hard_swish' is z times 'hard_sigmoid' [21]_.
solver : str, default='adam'
    The solver for weight optimization.

    - 'sgd' is stochastic gradient descent with momentum.
    - 'adam' is the optimizer of [2]_.
    - 'lbfgs' is SciPy's L-BFGS-B [3]_. It uses all rows in each iteration and computes in float64. It is often the best solver for
      small data sets. Every iteration amplifies rounding errors: the first iterations agree with those of scikit-learn, but fits of
      more than about 50 iterations may end at another iteration and with another loss.
    - 'adagrad', 'adadelta', 'rmsprop', 'adamw', 'nadam' and 'adamax' compute the same steps as PyTorch's optimizers of these names.
      'lion', which PyTorch does not have, follows its paper. Their parameters are `rho`, `beta_1`, `beta_2` and `epsilon`. Use a
      `learning_rate_init` of 1 for 'adadelta' and of about 1e-4 for 'lion'.
alpha : float, default=0.0001
    Strength of the L2 regularization term. The term is alpha / 2 times the sum of the squared weights, divided by the sum of the
    sample weights in the batch, or by its number of rows with ``sample_weight_norm="global"``.
batch_size : int, default='auto'
    The number of rows in each minibatch. 'auto' is min(200, n_samples). Not used by 'lbfgs'.
learning_rate : str or callable, default='constant'
    The learning rate schedule for weight updates.

    - 'constant' keeps the learning rate at `learning_rate_init`.
    - 'invscaling' sets it to learning_rate_init / (number of rows seen + 1) ** power_t after each epoch. Only for 'sgd', as in
      scikit-learn.
    - 'adaptive' divides it by 5 each time that `n_iter_no_change` epochs in a row bring no improvement, until it is below 1e-6.
      Only for 'sgd', as in scikit-learn.

    The other schedules are for all solvers except 'lbfgs'. They multiply `learning_rate_init` by a factor. The factor depends on
    the progress p, which goes from 0 to 1 over `learning_rate_horizon` epochs.

    - 'cosine': (1 + cos(π p)) / 2 [4]_.
    - 'linear_warmup_cosine': a linear increase during `warmup_fraction`, then a cosine decay.
    - 'one_cycle': an increase from 1/25 to 1 during `warmup_fraction`, then a decrease to 1/250,000, both along a cosine [5]_.
    - 'coslog4': (1 - cos(2 π log2(1 + 15 p))) / 2, four cycles, each about twice as long as the one before (Holzmüller, Grinsztajn
      and Steinwart 2024).
    - 'flat_cosine': 1 for p < 1/2, then (1 + cos(π (2 p - 1))) / 2.
    - 'exponential': learning_rate_decay ** p.
    - 'step': the factor is multiplied by `learning_rate_decay` after every `learning_rate_step` epochs.
    - 'reduce_on_plateau': the factor is multiplied by `learning_rate_decay` each time that `learning_rate_step` epochs in a row
      bring no improvement by more than `tol`.
    - A callable with the arguments (epoch, progress) is called before each epoch and returns the factor.
learning_rate_init : float, default=0.001
    The initial learning rate. Not used by 'lbfgs'.
power_t : float, default=0.5
    The exponent of the schedule 'invscaling'.
max_iter : int, default=200
    Maximum number of epochs of one fit. For 'lbfgs', the maximum number of iterations.
shuffle : bool, default=True
    Whether to shuffle the rows before each epoch.
random_state : int, RandomState instance or None, default=None
    Determines the random numbers for weight and bias initialization, shuffling, the choice of validation rows, and all other random
    draws. Pass an int for reproducible results across multiple fits.
tol : float, default=1e-4
    Tolerance for the optimization. An epoch counts as an improvement if the loss (or the validation score) is better than the best
    one so far by more than `tol`. For 'lbfgs', the tolerance for the gradient.
verbose : bool, int or 'bar', default=False
    How the progress of training is reported.

    - True, or an int above 0: the lines of scikit-learn are printed to stdout, with the loss after each epoch and, with early
      stopping, the score. For 'lbfgs', the loss after each iteration is printed.
    - 'bar': ``fit`` shows a progress bar with the loss, the validation score, the learning rate, the rows per second and the time
      until `max_iter` or `max_time` is reached. The bar is drawn on stderr if that is a terminal, or in the output of a Jupyter
      notebook. Files, pipes and worker processes get no output, and ``partial_fit`` shows no bar. If joblib calls ``fit``, as in a
      parameter search, the bar is removed at the end of the fit. Fits in several threads at the same time show one bar. Results do
      not change. Needs the extra `progress`: ``pip install "fastbp[progress]"``.
warm_start : bool or 'resume', default=False
    Whether the next call of ``fit`` continues from the weights of the previous one.

    - True: as in scikit-learn, training continues from the previous weights with a new optimizer state.
    - 'resume': the optimizer state, the random state and everything else continue, too. Training for n epochs and then for m epochs
      on the same rows gives the same bits as training for n + m epochs, even if the estimator is pickled in between. After a call
      of ``partial_fit``, this is not possible. Training continues from the last weights, not from the best weights of early
      stopping. As with ``partial_fit``, the solver keeps its initial settings, for example the learning rate; all other parameters
      may be changed between the calls. Not available for 'lbfgs'.
momentum : float, default=0.9
    Momentum of the solver 'sgd'. Should be between 0 and 1.
nesterovs_momentum : bool, default=True
    Whether the solver 'sgd' uses Nesterov's momentum.
early_stopping : bool, default=False
    Whether to terminate training when {score} on validation rows does not improve, and to keep the weights with the best score. The
    validation rows are a fraction `validation_fraction` of the rows ({held_out}). If X_val and y_val are passed to ``fit``,
    they are used instead. Without early stopping, X_val and y_val are scored after each epoch but do not change training. Not
    available for 'lbfgs'.
validation_fraction : float, default=0.1
    The proportion of the rows to set aside as validation rows for early stopping.
beta_1 : float, default=0.9
    Exponential decay rate for the mean of the gradients in 'adam' and similar solvers.
beta_2 : float, default=0.999
    Exponential decay rate for the mean of the squared gradients in 'adam' and similar solvers.
epsilon : float, default=1e-8
    Value for numerical stability in the denominators of the solvers.
n_iter_no_change : int or inf, default=10
    Maximum number of epochs in a row without an improvement. Training ends when this number is exceeded.
max_fun : int, default=15000
    Maximum number of evaluations of loss and gradient by 'lbfgs'.
{own}
out_activation : str, default='auto'
    The activation function of the output layer.
    {out_activation}
rho : float, default=0.9
    Exponential decay rate for the mean of the squared gradients in 'rmsprop' and 'adadelta'.
weight_decay : float, default=0.0
    Strength of decoupled weight decay [6]_. Each step first multiplies the weights, but not the biases, by
    1 - learning rate * weight_decay. Unlike the effect of `alpha`, the decay does not depend on the batch or on the gradients. Not
    available for 'lbfgs'.
learning_rate_decay : float, default=0.1
    The factor of the schedules 'exponential', 'step' and 'reduce_on_plateau'.
learning_rate_step : int, default=None
    The number of epochs between two reductions for 'step', and the patience of 'reduce_on_plateau'. None means 10 for 'step'. For
    'reduce_on_plateau', None means half of `n_iter_no_change` (10 if that is infinite), so that training continues for some epochs
    with the reduced rate.
learning_rate_horizon : int, default=None
    The number of epochs over which the progress of a schedule goes from 0 to 1. None means `max_iter`. Set it if training consists
    of several fits.
warmup_fraction : float, default=None
    The fraction of `learning_rate_horizon` in which the learning rate of 'linear_warmup_cosine' and 'one_cycle' increases. None
    means 0.1 for 'linear_warmup_cosine' and 0.3 for 'one_cycle'.
dropout : float or list of float, default=0.0
    The fraction of activations that is set to 0 in each step [7]_. The other activations are divided by 1 - dropout. A number
    applies to all hidden layers. A list has one number for each hidden layer, or one for the inputs and then one for each hidden
    layer. Not available for 'lbfgs'.
input_noise : float, default=0.0
    Standard deviation of the normal noise that is added to the inputs in each step. It acts as a penalty on the slope of the
    network [8]_. Not available for 'lbfgs' or for sparse X.
l1 : float, default=0.0
    Strength of the L1 regularization term [9]_. The term is l1 times the sum of the absolute weights, divided like that of `alpha`.
max_norm : float, default=None
    Maximum Euclidean norm of the incoming weights of a unit. Larger ones are scaled down to it after each step [7]_. Not available
    for 'lbfgs'.
clip_norm : float, default=None
    Maximum Euclidean norm of the gradient of all parameters. A larger gradient is scaled down to it [10]_. Not available for
    'lbfgs'.
batch_norm : bool, default=False
    Whether to use batch normalization [11]_ in the hidden layers. The pre-activations are standardized over the batch and
    multiplied by a learned factor. Prediction uses moving averages of mean and variance (momentum 0.1), which are folded into
    `coefs_` and `intercepts_`. Not available for 'lbfgs'.
layer_norm : bool, default=False
    Whether to use layer normalization [12]_ in the hidden layers. The pre-activations are standardized over the units of each row
    and multiplied by a learned factor.
ema_decay : float, default=None
    Decay of an exponential moving average of the parameters [13]_. If given, predictions use the averaged parameters, and training
    continues from the parameters that are not averaged. Not available for 'lbfgs'.
weight_init : str or callable, default='auto'
    The distribution of the initial weights. 'auto' is the same as in scikit-learn: Glorot's uniform distribution [1]_, with 2 in
    place of 6 for the activation 'logistic'. The others are 'glorot_uniform', 'glorot_normal' [1]_, 'he_uniform', 'he_normal'
    [14]_, 'lecun_uniform', 'lecun_normal' [15]_, 'orthogonal' [16]_ and 'standard_normal'. A callable with the arguments
    (random_state, (n_in, n_out)) returns an array of that shape. 'data' draws normal weights and scales those of each unit so that
    its pre-activations have unit variance on the rows of the first fit, or on 4,096 of them, drawn at random, if there are more
    [22]_.
bias_init : str or callable, default='auto'
    The distribution of the initial biases: the same as for `weight_init`, or 'zeros'. A callable has the arguments
    (random_state, (n_out,)). 'data' sets each bias to minus the weighted mean of the pre-activations of five random rows, with
    random weights, so that the activation function bends within the data [22]_. With ``weight_init="data"``, 'auto' means 'data'.
coefs_init : list of array-like, default=None
    The initial weights, of shapes (n_in, n_out). They replace the drawn weights. The random numbers are drawn nevertheless, so that
    the shuffles do not change. With `scale`, these are the weights of the network that is trained on scaled inputs.
intercepts_init : list of array-like, default=None
    The initial biases, of shapes (n_out,). They replace the drawn biases, as with `coefs_init`.
sample_weight_norm : {{'batch', 'global'}}, default='batch'
    How sample weights are normalized. With 'batch', as in scikit-learn, they are divided by the sum of the weights in the same
    batch, so that a batch in which all weights are 100 counts as much as one in which all are 1. With 'global', they are divided by
    the mean weight of all training rows of the call.
scale : {{'standard', 'robust', 'smooth_clip'}}, default=None
    Scaling of the inputs inside the model. 'standard' scales to mean 0 and variance 1. 'robust' subtracts the median and divides by
    the interquartile range. The statistics are those of all rows of the first fit, without sample weights. Sparse X is not
    centered. The scaling is folded into `coefs_` and `intercepts_`, which apply to the original X. The training itself uses other
    arrays, so do not change `coefs_` and `intercepts_` if training is to continue.

    'smooth_clip' subtracts the median, divides by the interquartile range, or by half of the range if both quartiles are equal, and
    replaces each result v by v / √(1 + (v / 3)²) [22]_. The inputs of the network are then between -3 and 3, also for outliers.
    This is not folded: it is applied to the rows of each prediction, and `coefs_` apply to the clipped inputs.
missing : {{'error', 'indicator'}}, default='error'
    How NaN in X is handled. 'error' raises an error. 'indicator' replaces NaN by the mean of the feature. It also adds an input of
    0s and 1s for each feature that has NaN in the first fit; these inputs come after the features. `scale` scales all of these
    inputs.
dtype : {{'auto', 'float32', 'float64', 'mixed_bfloat16'}}, default='auto'
    The floating-point type of training. 'auto' is float32 for float32 X and float64 otherwise. `coefs_` have this type, except in
    two cases: they are float64 after 'lbfgs', and float64 if the scaling of float64 X is folded into them.

    'mixed_bfloat16' is float32, except that the factors of the matrix products of training are rounded to bfloat16, which has 8
    significant bits. Weights, gradients, losses, sums of products and predictions stay float32. This is faster on processors with
    instructions for bfloat16, and an error on other processors. See the user guide on mixed precision.
scoring : str or callable, default=None
    The score of the validation rows; higher is better. The name of a scorer of scikit-learn, a callable with the arguments
    (estimator, X, y), or 'loss' for the negative loss without penalties. None means {score}.
validation_splitter : CV splitter, default=None
    If given, its first split of X and y defines the validation rows, in place of `validation_fraction`. Splitters that need groups
    are not supported.
max_time : float, default=None
    Maximum duration of one ``fit`` in seconds. After this time, training stops within a tenth of a second, keeps the current
    weights and warns.
callbacks : callable or list of callables, default=None
    Functions that are called after each epoch, or after each iteration of 'lbfgs', with the arguments (estimator, epoch, logs):
    the estimator with a copy of the current weights, the number of the epoch in this fit, starting at 1, and a dict of the last
    entries of `history_`. If a callback returns True, training ends. Changes that a callback makes to weights or parameters do not
    affect the running fit. `fastbp.Checkpoint` is a callback. The callbacks of scikit-learn are set with the method
    ``set_callbacks`` instead.
n_threads : int, default=None
    The maximum number of threads that train together; fewer are used if the steps are small, or if a call of ``partial_fit`` has
    few rows. None means all CPUs that this process may use, and one if ``fit`` is called outside the main thread. Predictions use
    several threads, too. The threads divide the rows of each batch into shares, see `n_shares`. The same seed and the same number
    of shares give the same bits.
n_shares : int, default=None
    The number of shares into which the rows of each batch are divided for several threads; the sums over the shares are added in
    their order. With a fixed number of shares, results have the same bits for every number of threads. None means a number that
    depends only on the batch size and the number of weights: two if a batch has at least 200 rows, and more if each share then has
    at least 500 rows; if there are more threads, it is the number of threads. Not supported with `batch_norm`. Predictions and the
    results of 'lbfgs' do not depend on `n_threads` and `n_shares`.
regularization_schedule : str, default=None
    The schedule by which the rates of `dropout` and `weight_decay` are multiplied in each step: 'cosine', 'linear_warmup_cosine',
    'one_cycle', 'coslog4', 'flat_cosine', 'exponential' or 'step', with the formulas of `learning_rate` and its parameters
    `learning_rate_horizon`, `learning_rate_decay`, `learning_rate_step` and `warmup_fraction`. Other parameters such as `alpha` and
    `input_noise` do not change during training. None means the same regularization in all steps. It has no effect if `dropout` and
    `weight_decay` are 0. Not available for 'lbfgs'.
learning_rate_factors : dict, default=None
    Factors of the learning rate for groups of parameters. The keys are 'coefs' and 'intercepts', with a number, or a list with one
    number for each layer including the output layer, and 'norms', with a number for `norm_scales_`, `norm_shifts_` and the factors
    of batch normalization. For example, ``{{"intercepts": 0.1}}`` trains the biases more slowly, and
    ``{{"coefs": [0, 1], "intercepts": [0, 1]}}`` trains only the last of two layers. A missing key means 1. As in PyTorch's
    parameter groups, the steps of `weight_decay` are multiplied by the factor, too. Not available for 'lbfgs'.
"""

ATTRIBUTES = """\
coefs_ : list of ndarray of shape (n_in, n_out)
    The weight matrix of each layer. The matrices are views of one buffer. You may assign to their elements or replace them.
intercepts_ : list of ndarray of shape (n_out,)
    The bias vector of each layer.
norm_scales_, norm_shifts_ : list of ndarray of shape (n_out,)
    The factors and offsets that are applied to the standardized pre-activations of each hidden layer. Only with `layer_norm`.
loss_ : float
    The loss after the last epoch or iteration, with penalties.
best_loss_ : float or None
    The minimum loss of all epochs. None with early stopping.
loss_curve_ : list of float
    The loss of each epoch. Not available for 'lbfgs'.
history_ : dict of list
    The values recorded after each epoch: 'loss', 'learning_rate' (of the last step of the epoch) and, if there are validation rows,
    'val_loss' (without penalties) and 'val_score'. All lists have the length of `loss_curve_`, with NaN for epochs without
    validation. Not available for 'lbfgs'.
validation_scores_ : list of float or None
    {Score}, or the score chosen with `scoring`, on the validation rows after each epoch. None without early stopping.
best_validation_score_ : float or None
    The highest value in `validation_scores_`. None without early stopping.
t_ : int
    The number of rows processed by the solver during training. A row counts once for each epoch.
n_iter_ : int
    The number of epochs or iterations of the last fit.
n_features_in_ : int
    The number of features seen during fit.
feature_names_in_ : ndarray of shape (`n_features_in_`,)
    The names of the features seen during fit. Defined only if all feature names of X are strings.
n_layers_ : int
    The number of layers, including the input and output layers.
n_outputs_ : int
    The number of output units.
out_activation_ : str
    The activation function of the output layer: {out_activation_}
"""

REFERENCES = """\
.. [1] Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.
.. [2] Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.
.. [3] Byrd, Lu, Nocedal and Zhu, "A Limited Memory Algorithm for Bound Constrained Optimization", SIAM Journal on Scientific
   Computing 16, 1995.
.. [4] Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017.
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
   1992. Here the weights of the average are exponential.
.. [14] He, Zhang, Ren and Sun, "Delving Deep into Rectifiers", ICCV 2015.
.. [15] LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998.
.. [16] Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks", ICLR
   2014.
.. [17] Clevert, Unterthiner and Hochreiter, "Fast and Accurate Deep Network Learning by Exponential Linear Units", 2015.
.. [18] Klambauer, Unterthiner, Mayr and Hochreiter, "Self-Normalizing Neural Networks", NeurIPS 2017.
.. [19] Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016.
.. [20] Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", 2019.
.. [21] Howard and others, "Searching for MobileNetV3", ICCV 2019.
.. [22] Holzmüller, Grinsztajn and Steinwart, "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular Data", NeurIPS
   2024.
"""


TEXTS = {"parameters": PARAMETERS, "attributes": ATTRIBUTES, "references": REFERENCES}


def documented(texts=TEXTS, **words):
    """Return a class decorator that replaces the names of ``texts`` in braces, for example {parameters}, in a docstring.

    In these texts except the references, names in braces are replaced by ``words``.
    """

    def fill(cls):
        if cls.__doc__ is not None:  # python -OO removes docstrings
            cls.__doc__ = cleandoc(cls.__doc__)  # Python 3.13 removes the indentation, older versions do not
            for name, text in texts.items():
                filled = text.format(**words) if name != "references" else text
                cls.__doc__ = cls.__doc__.replace("{" + name + "}", filled.strip())
        return cls

    return fill


def param_values(estimator):
    """The values of all parameters of an estimator, as a tuple in a fixed order."""
    names, get = _param_names(estimator.__class__)
    try:
        return get(vars(estimator))
    except KeyError:  # a subclass does not set all attributes
        return tuple(map(vars(estimator).get, names))


@cache
def _param_names(cls):
    """The names of all parameters, also of those that a subclass does not have, and a function that gets their values."""
    names = tuple({**default_params(cls), **cls._parameter_constraints})
    return names, itemgetter(*names)


@cache
def default_params(cls):
    """The default values of the parameters of a class of estimators, as a dict."""
    parameters = list(signature(cls.__init__).parameters.items())[1:]
    return {name: parameter.default for name, parameter in parameters}
