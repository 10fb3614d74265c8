"""Calls the callbacks of a fit: functions of the user, and callbacks of scikit-learn by its protocol of version 1.9.

An estimator that shows the model in training goes in after each epoch; whether to stop comes out. How the estimator shows the model
is not known here.
"""

import numpy as np


class CallbackRunner:
    """All callbacks of one fit: call ``begin``, for each epoch ``begin_epoch`` and ``end_epoch``, and ``end``.

    ``context`` is scikit-learn's callback context, or None without its callbacks; ``arguments`` are the estimator, X and y.
    """

    def __init__(self, callbacks, context, arguments, sample_weight):
        self.functions, self.context, self.epoch = _functions(callbacks), context, None
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.arguments = arguments | {"metadata": metadata}
        self.is_needed = bool(self.functions) or context is not None

    def begin(self):
        if self.context is not None:
            self.context.call_on_fit_task_begin(**self.arguments)

    def begin_epoch(self):
        """Report the begin of an epoch, unless it was reported already."""
        if self.context is not None and self.epoch is None:
            self.epoch = self.context.subcontext(task_name="epoch")
            self.epoch.call_on_fit_task_begin(**self.arguments)

    def end_epoch(self, estimator, epoch, logs):
        """Report the end of an epoch; returns whether a callback stops training."""
        stop = False
        for function in self.functions:
            answer = function(estimator, epoch, logs)
            stop |= isinstance(answer, (bool, np.bool_)) and bool(answer)
        if self.epoch is not None:
            # scikit-learn copies the estimator, and the copy has weights of its own: nothing has to be reconstructed
            stop |= bool(self.epoch.call_on_fit_task_end(**self.arguments, reconstruction_attributes=dict))
            self.epoch = None
        return stop

    def end(self):
        if self.context is not None:
            if self.epoch is not None:  # this epoch did not end: training was interrupted or out of time
                self.epoch.call_on_fit_task_end(estimator=self.arguments["estimator"])
            self.context.call_on_fit_task_end(**self.arguments, reconstruction_attributes=dict)


def _functions(callbacks):
    if callbacks is None:
        return ()
    functions = (callbacks,) if callable(callbacks) else tuple(callbacks)
    for function in functions:
        if not callable(function):
            raise TypeError(
                f"callbacks must be functions of (estimator, epoch, logs), got {function!r} of type {type(function).__name__}. Use "
                "the method set_callbacks for callbacks of scikit-learn."
            )
    return functions
