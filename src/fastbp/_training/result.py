"""What a fit reports, during training and at its end."""

from dataclasses import dataclass, field


@dataclass
class EpochRecord:
    """What was measured in the epochs of one fit; each list has one entry per finished epoch.

    ``val_losses`` and ``scores`` are empty without validation rows. ``best`` is the lowest loss or the highest score so far,
    ``bad_epochs`` the number of epochs in a row without improvement, ``rows_seen`` the value of ``t_``.
    """

    losses: list
    rates: list
    val_losses: list = field(default_factory=list)
    scores: list = field(default_factory=list)
    is_validated: bool = False
    best: float = float("inf")
    bad_epochs: int = 0
    rows_seen: int = 0

    def since(self, n_epochs):
        """The entries of ``history_`` after the first ``n_epochs`` epochs of this fit."""
        new = {"loss": self.losses[n_epochs:], "learning_rate": self.rates[n_epochs:]}
        if self.is_validated:
            new |= {"val_loss": self.val_losses[n_epochs:], "val_score": self.scores[n_epochs:]}
        return new


@dataclass
class FitResult:
    """The result of a fit, or of its epochs so far.

    ``loss`` is None if no epoch ended, ``epochs`` is None for L-BFGS. ``error`` is the error of a fit that diverged but left a
    model with the weights of an earlier epoch.
    """

    n_iter: int
    loss: float | None
    epochs: EpochRecord | None = None
    error: Exception | None = None
