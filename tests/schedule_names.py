"""The names of the learning rate schedules, written by hand, for tests of several modules.

``tests/test_training_options.py`` compares them with the registry of the package.
"""

OF_SGD = ["constant", "invscaling", "adaptive"]
# these are also values of `regularization_schedule`
OF_PROGRESS = ["cosine", "linear_warmup_cosine", "one_cycle", "coslog4", "flat_cosine", "exponential", "step"]
OF_LOSSES = ["reduce_on_plateau"]
