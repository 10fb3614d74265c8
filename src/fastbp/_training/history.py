"""The history of a fit: one entry per epoch for each quantity.

New entries go in by name; the dict of lists ``history_`` comes out. All lists have one entry for each epoch. The entry is NaN if
the quantity was not measured, for example if validation rows were passed to one fit and not to the next. This module does not know
what the quantities mean.
"""


def start_history(losses=()):
    """A history of earlier epochs for which only the losses are known."""
    return {"loss": list(losses), "learning_rate": [float("nan")] * len(losses)}


def extend_history(history, new):
    """Append the entries of new epochs; "loss" has one entry for each new epoch, the other lists may be shorter.

    Examples
    --------
    >>> history = start_history()
    >>> extend_history(history, {"loss": [3.0], "learning_rate": [0.1]})
    >>> extend_history(history, {"loss": [2.0], "learning_rate": [0.1], "val_loss": [2.5]})
    >>> history
    {'loss': [3.0, 2.0], 'learning_rate': [0.1, 0.1], 'val_loss': [nan, 2.5]}
    """
    n_before, n_new = len(history["loss"]), len(new["loss"])
    for name in new:
        if name not in history:
            history[name] = [float("nan")] * n_before
    for name, entries in history.items():
        entries.extend(new.get(name, ()))
        n_missing = n_before + n_new - len(entries)
        if n_missing:
            entries.extend([float("nan")] * n_missing)
