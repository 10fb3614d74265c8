"""The advice for a fit that diverged, for errors and warnings.

The parameters of the estimator and the network go in; a sentence comes out that does not name remedies that are already in use.
This module does not know how divergence is detected.
"""


def advice(config, plan):
    """The sentence that names the remedies for a fit that diverged, without those that are already in use."""
    if config.solver == "lbfgs":
        remedies = [f"a larger alpha (now {config.alpha:g})"]
    else:
        remedies = [f"a smaller learning_rate_init (now {config.learning_rate_init:g})"]
        remedies += ["a clip_norm"] * (config.clip_norm is None)
    if config.kinds is not None:  # the estimators for tables have fewer parameters, and always scale X and y
        return f"Try {remedies[0]}."
    remedies += ["scale='standard'"] * (config.scale is None)
    can_scale_y = not plan.objective.of_classes and plan.architecture.link in ("identity", "relu", "exp")
    remedies += ["scale_y='standard'"] * (can_scale_y and config.scale_y is None)
    *first, last = remedies
    return f"Try {', '.join(first)}{',' * (len(first) > 1)}{' or ' * bool(first)}{last}."
