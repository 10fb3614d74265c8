"""The documentation of the parameters and attributes that the estimators for tables share.

The decorator ``documented`` of `fastbp._parameters` inserts these texts into the docstrings of the classes and replaces the names
in braces.
"""

_PARAMETERS = """\
preset : {{'td', 'td-s'}}, default='td'
    The values of the parameters that are None: 'td' is RealMLP-TD, 'td-s' is RealMLP-TD-S, which has fewer parts and needs about
    half of the time [1]_.
categorical_features : array-like of bool, int or str, 'from_dtype' or None, default='from_dtype'
    The categorical columns, as a mask, as numbers or as names. With 'from_dtype', these are the columns of strings, booleans and
    categorical types. With an array, columns of strings and booleans are categorical, too. With None, all columns must be numbers,
    booleans or dates.
{first}hidden_layer_sizes : array-like of int or int, default=None
    The number of units in each hidden layer. None means (256, 256, 256).
activation : str, default=None
    The activation function f of the hidden layers, one of those of `{sibling}`. None means '{activation}'.
parametric_activation : bool, default=None
    Whether the hidden layers compute z + a (f(z) - z) with a trained number a for each unit. None means True for 'td' and False
    for 'td-s'.
learning_rate : str, default=None
    The learning rate schedule, one of those of `{sibling}`. None means 'coslog4': with the progress t from 0 to 1, the factor is
    (1 - cos(2 pi log2(1 + 15 t))) / 2.
learning_rate_init : float, default=None
    The maximum learning rate. None means {learning_rate_init}.
beta_1 : float, default=None
    Exponential decay rate for the mean of the gradients in Adam [2]_. None means 0.9.
beta_2 : float, default=None
    Exponential decay rate for the mean of the squared gradients in Adam. None means 0.95.
epsilon : float, default=None
    Value for numerical stability in the denominators of Adam. None means 1e-8.
weight_decay : float, default=None
    Strength of decoupled weight decay [3]_. In the second half of the training, it decreases to 0 as a cosine. None means 0.02 for
    'td' and 0 for 'td-s'.
dropout : float, default=None
    The fraction of activations that is set to 0 in each step. It decreases like `weight_decay`. None means 0.15 for 'td' and 0 for
    'td-s'.
weight_init : {{'normal', 'data'}}, default=None
    'normal' draws weights and biases of hidden layers from the standard normal distribution and sets those of the last layer to 0.
    'data' divides the weights of each unit by the standard deviation of its weighted sum in the training rows, and draws the bias
    from these sums. None means 'data' for 'td' and 'normal' for 'td-s'.
n_frequencies : int, default=None
    The number of frequencies of the periodic embedding of each number ("PBLD"), or 0 for no embedding. None means 16 for 'td' and
    0 for 'td-s'.
max_one_hot_size : int, default=None
    Categorical columns with at most so many codes, including the code of missing values, become one-hot columns. The others have
    an embedding. None means 9 for 'td' and 256 for 'td-s'.
embedding_size : int, default=None
    The number of inputs of the network for a categorical column with an embedding. None means 8.
{own}batch_size : int, default=None
    The number of rows of a step. In each epoch, the rows that do not fill a batch are left out. None means 256, or the number of
    training rows if there are fewer.
max_iter : int, default=None
    The number of epochs. Training never ends earlier without an error, except after `max_time`. None means 256.
validation_fraction : float, default=0.2
    The fraction of the rows that are not used for training, but to select the best epoch. With 0, the weights of the last epoch
    are used. Not used with `n_cv` > 1 or `X_val`.
n_cv : int, default=1
    With more than 1, so many members are trained, each without one of `n_cv` folds of the rows, which are its validation rows.
    Predictions are the means of the members.{stratified}
n_ensemble : int, default=1
    The number of members, each with its own random numbers and its own validation rows. With `n_cv` > 1, the number of
    cross-validations, each with `n_cv` members.
{last}random_state : int, RandomState or None, default=None
    The seed of all random numbers. With an int, results have the same bits in each call and for each number of threads.
n_threads : int, default=None
    The maximum number of threads. Several members are trained in parallel; one member is trained by up to eight threads, depending
    on `batch_size`. None means all CPUs that this process may use, and one if ``fit`` is called outside the main thread.
max_time : float, default=None
    Maximum duration of the training of all members in seconds. After this time, training stops within about a tenth of a second
    for each member, keeps the best epochs and warns. The learning rate has not decreased to 0 then, so a lower `max_iter` gives
    better results in the same time.
verbose : bool or int, default=False
    Whether to print the loss and the validation score of each epoch.
warm_start : False or 'resume', default=False
    With 'resume', a fit that ends early by `max_time`, by Ctrl-C or by an exception of a callback keeps all that is needed to
    continue it. The next call of ``fit`` on the same rows trains each member up to `max_iter` epochs. The result has the same bits
    as a fit without interruption. Ctrl-C then ends a fit with a warning. The estimator may be saved, pickled or copied in between,
    and a `Checkpoint` does the same with a file. Only `max_time`, `n_threads`, `verbose`, `callbacks` and `calibrate` may change;
    `random_state` is not used again. If training is complete, ``fit`` does nothing and warns.
callbacks : callable or list of callables, default=None
    Functions that are called after each epoch of each member with the arguments (estimator, epoch, logs): a copy of the estimator
    that contains only this member with its current weights, the number of the epoch, starting at 1, and a dict with "loss",
    "learning_rate" and, with validation rows, "val_loss" and "val_score". The entry "member" of the dict is the number of the
    member, starting at 0. If a function returns True, the training of this member ends. Only one function runs at a time, possibly
    in another thread. `Checkpoint` is a callback; it writes all members. `MLflowLogger` is not supported.
"""

_ATTRIBUTES = """\
members_ : list of Member
    The trained networks; `n_cv` times `n_ensemble` of them{no_members}. Each has the attributes `loss_curve_` (the training loss of
    each epoch), `validation_scores_` ({scores} of the validation rows after each epoch, or None), `n_iter_` (the number of epochs)
    and `best_epoch_` (the epoch whose weights are used, starting at 1, or 0 for the weights before training).
n_iter_ : int
    The highest number of epochs of a member.
n_features_in_ : int
    The number of columns of X.
feature_names_in_ : ndarray of shape (`n_features_in_`,)
    The names of the columns of X. Defined only if all names are strings.
{estimates}
oob_score_ : float
    {score} of these predictions. The best epochs were selected with the same rows, so the score is slightly too good.
"""

_REFERENCES = """\
.. [1] Holzmüller, Grinsztajn and Steinwart, "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular Data", NeurIPS
   2024.
.. [2] Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.
.. [3] Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
"""

_NOTES = """\
X is a data frame of pandas or polars, a table of PyArrow, an array or a list of rows. Columns of numbers, booleans, strings,
categories and dates may have missing values. Unknown categories and new missing values are accepted in predictions. Numbers are
converted to float32. They are centered by the median, divided by the interquartile range, and limited smoothly to the range from -3
to 3; missing ones become 0, and an indicator column is added if they occur in the training rows. A date becomes the number of days
and sines and cosines of the time of the year, the week and the day. In a column with more than 32 categories, all categories that
occur only once share one code, and unknown categories have the same code.

Rows of weight 0 are left out. The training of one member is the same as in the package pytabkit 1.7.3 of the authors of [1]_, apart
from random numbers, missing values and columns of more than 255 categories in the preset 'td-s'.
"""

TEXTS_OF_TABLES = {"parameters": _PARAMETERS, "attributes": _ATTRIBUTES, "references": _REFERENCES, "notes": _NOTES}
