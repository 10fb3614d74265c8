"""What is kept of every epoch.

New entries enter by their names; the estimators' ``history_`` leaves: a dict of lists that are all as long as there were epochs,
with NaN where something was not taken, as validation rows may come and go between one fit and the next.
"""


def start_history(losses=()):
    """A history that knows nothing of earlier epochs but their losses."""
    return {"loss": list(losses), "learning_rate": [float("nan")] * len(losses)}


def extend_history(history, new):
    """Put the entries of new epochs behind the others; of new, "loss" has one for each epoch, all else may have fewer.

    Examples
    --------
    >>> history = start_history()
    >>> extend_history(history, {"loss": [3.0], "learning_rate": [0.1]})
    >>> extend_history(history, {"loss": [2.0], "learning_rate": [0.1], "val_loss": [2.5]})
    >>> history
    {'loss': [3.0, 2.0], 'learning_rate': [0.1, 0.1], 'val_loss': [nan, 2.5]}
    """
    n_before, n_new = len(history["loss"]), len(new["loss"])
    for name in dict.fromkeys([*history, *new]):
        entries = list(new.get(name, ()))
        history.setdefault(name, [float("nan")] * n_before).extend(entries + [float("nan")] * (n_new - len(entries)))
