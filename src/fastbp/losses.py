"""What may stand for `loss`: a name, or a function of the user's own, and the output activations that it goes with.

Parameters enter; what kernels need to call a loss leaves. How it is called, and what scikit-learn's own do, is the kernels' matter.
"""

REGRESSION = ("squared_error", "absolute_error", "huber", "quantile", "poisson", "gamma", "tweedie")


class Loss:
    """A loss of your own."""
