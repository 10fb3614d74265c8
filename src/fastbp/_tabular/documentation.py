"""The documentation of the parameters and attributes that several estimators for tables have.

The decorator ``documented`` of `fastbp._parameters` inserts these texts into the docstrings of the classes. It replaces names in
braces by words; ``WORDS_OF_CLASSIFIERS`` and ``WORDS_OF_REGRESSORS`` are those that depend on the task only.
"""

CATEGORICAL_FEATURES = """\
categorical_features : array-like of bool, int or str, 'from_dtype' or None, default='from_dtype'
    The categorical columns, as a mask, as numbers or as names. With 'from_dtype', these are the columns of strings, booleans and
    categorical types. With an array, columns of strings and booleans are categorical, too. With None, all columns must be numbers,
    booleans or dates.
{loss}"""

PARAMETERS_OF_ENSEMBLES = """\
validation_fraction : float, default=0.2
    The fraction of the rows that are not used for training, but to select the best epoch. With 0, the weights of the last epoch
    are used. Not used with `n_cv` > 1 or `X_val`.
n_cv : int, default={n_cv}
    With more than 1, so many networks are trained, each without one of `n_cv` folds of the rows, which are its validation rows.
    Predictions are the means of the networks.{stratified}{n_cv_of_presets}
n_ensemble : int, default=1
    The number of networks, each with its own random numbers and its own validation rows. With `n_cv` > 1, the number of
    cross-validations, each with `n_cv` networks.
{of_classes}dtype : {{'float32', 'mixed_bfloat16'}}, default='float32'
    With 'mixed_bfloat16', the factors of the matrix products of training are rounded to bfloat16; see `dtype` of `{sibling}`.
random_state : int, RandomState or None, default=None
    The seed of all random numbers. With an int, results have the same bits in each call and for each number of threads.
n_threads : int, default=None
    The maximum number of threads. Several networks are trained in parallel; one network is trained by up to eight threads,
    depending on `batch_size`. None means all CPUs that this process may use, and one if ``fit`` is called outside the main thread.
max_time : float, default=None
    Maximum duration of the training of all networks in seconds. After this time, training stops within about a tenth of a second
    for each network, keeps the best epochs and warns.{at_max_time}
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

ATTRIBUTES_OF_TABLES = """\
members_ : list of Member
    The trained networks; `n_cv` times `n_ensemble` of them{no_members}. Each has the attributes `loss_curve_` (the training loss of
    each epoch), `validation_scores_` ({scores} of the validation rows after each epoch, or None), `n_iter_` (the number of epochs)
    and `best_epoch_` (the epoch whose weights are used, starting at 1, or 0 for the weights before training).
n_iter_ : int
    The highest number of epochs of a network.
n_features_in_ : int
    The number of columns of X.
feature_names_in_ : ndarray of shape (`n_features_in_`,)
    The names of the columns of X. Defined only if all names are strings.
{estimates}
oob_score_ : float
    {score} of these predictions. The best epochs were selected with the same rows, so the score is slightly too good.
"""

# parts of the notes
COLUMNS_OF_TABLES = """\
X is a data frame of pandas or polars, a table of PyArrow, an array or a list of rows. Columns of numbers, booleans, strings,
categories and dates may have missing values. Unknown categories and new missing values are accepted in predictions. Numbers are
converted to float32.
"""
DATES_OF_TABLES = """\
A date becomes the number of days and sines and cosines of the time of the year, the week and the day. In a column with more than 32
categories, all categories that occur only once share one code, and unknown categories have the same code. Rows of weight 0 are left
out.
"""

_PARAMETERS_OF_CLASSIFIERS = """\
class_weight : dict or 'balanced', default=None
    Weights of the classes, as a dict from label to weight, by which the sample weights are multiplied. Classes that are not in the
    dict have weight 1. 'balanced' uses n_samples / (n_classes * count of the class), where a row with sample weight w counts as w
    rows.
calibrate : {'temperature'}, default=None
    With 'temperature', the logarithms of the probabilities are divided by a number, the temperature, before they are normalized
    [4]_. It is the number from 1/20 to 20 that minimizes the log-loss of the validation rows. The predicted classes do not change.
"""
_PARAMETERS_OF_REGRESSORS = """\
loss : {'squared_error', 'quantile'}, default='squared_error'
    The loss function: the squared error, or the pinball loss max(q d, (q - 1) d) for each `quantile` q, with d the target minus the
    prediction [4]_.
quantile : float or list of float, default=0.5
    The quantile of y that the loss 'quantile' estimates, or several quantiles in increasing order. Several quantiles never cross.
"""

WORDS_OF_CLASSIFIERS = {
    "sibling": "MLPClassifier",
    "loss": "",
    "stratified": " Folds are stratified if each class has at least `n_cv` rows.",
    "of_classes": _PARAMETERS_OF_CLASSIFIERS,
    "no_members": ", or none if all rows with a weight above 0 have the same class",
    "scores": "the accuracies",
    "score": "The accuracy",
    "estimates": """\
oob_decision_function_ : ndarray of shape (n_samples, n_classes)
    The mean probabilities of the networks for which a row was a validation row, and NaN for rows that were never validation rows or
    have weight 0. They are scaled by the temperature. Not defined if `X_val` is passed, there are no validation
    rows, or y has a single class.
temperature_ : float
    The temperature. Only with `calibrate`.""",
}
WORDS_OF_REGRESSORS = {
    "sibling": "MLPRegressor",
    "loss": _PARAMETERS_OF_REGRESSORS,
    "stratified": "",
    "of_classes": "",
    "no_members": "",
    "scores": "the negative root mean squared errors or, with the loss 'quantile', the negative mean pinball losses",
    "score": "R² or, with the loss 'quantile', the negative mean pinball loss",
    "estimates": """\
oob_prediction_ : ndarray of the shape of the predictions
    The mean predictions of the networks for which a row was a validation row, and NaN for rows that were never validation rows or
    have weight 0. Not defined if `X_val` is passed or there are no validation rows.""",
}
