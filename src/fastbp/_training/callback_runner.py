"""Call the callbacks of a fit: user-defined functions, and scikit-learn's callbacks by the protocol of version 1.9.

After each epoch, an estimator with a copy of the current model goes in; the decision whether training stops comes out. This module
does not know how the estimator is created.
"""

import numpy as np

_SET_CALLBACKS = "Use the method set_callbacks for callbacks of scikit-learn and for MLflowLogger."


class CallbackRunner:
    """All callbacks of one fit.

    Call ``begin`` first, ``begin_epoch`` and ``end_epoch`` for each epoch, and ``end`` at the end. ``context`` is scikit-learn's
    callback context, or None if there are no scikit-learn callbacks; ``arguments`` are the estimator, X and y.
    """

    def __init__(self, callbacks, context, arguments, sample_weight):
        self.functions, self.context, self.epoch = callback_functions(callbacks), context, None
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.arguments = arguments | {"metadata": metadata}
        self.is_needed = bool(self.functions) or context is not None

    def begin(self):
        if self.context is not None:
            self.context.call_on_fit_task_begin(**self.arguments)

    def begin_epoch(self):
        """Report the start of an epoch, unless it was reported already."""
        if self.context is not None and self.epoch is None:
            self.epoch = self.context.subcontext(task_name="epoch")
            self.epoch.call_on_fit_task_begin(**self.arguments)

    def end_epoch(self, estimator, epoch, logs):
        """Report the end of an epoch; return whether a callback stops training."""
        stop = False
        for function in self.functions:
            answer = function(estimator, epoch, logs)
            stop |= isinstance(answer, (bool, np.bool_)) and bool(answer)
        if self.epoch is not None:
            # scikit-learn copies the estimator with its weights, so there is nothing to reconstruct
            stop |= bool(self.epoch.call_on_fit_task_end(**self.arguments, reconstruction_attributes=dict))
            self.epoch = None
        return stop

    def end(self):
        if self.context is not None:
            if self.epoch is not None:  # this epoch did not end, because training was interrupted or the time was over
                self.epoch.call_on_fit_task_end(estimator=self.arguments["estimator"])
            self.context.call_on_fit_task_end(**self.arguments, reconstruction_attributes=dict)


def callback_functions(callbacks, remedy=_SET_CALLBACKS):
    """Return the value of the parameter `callbacks` as a tuple of functions.

    Raise a TypeError if it has something else; ``remedy`` says what to do with the callbacks of scikit-learn's protocol.
    """
    if callbacks is None:
        return ()
    functions = (callbacks,) if callable(callbacks) else tuple(callbacks)
    for function in functions:
        if not callable(function):
            raise _not_a_function(function, remedy)
        if isinstance(function, type):
            name = function.__name__
            raise TypeError(f"callbacks must be functions or objects, got the class {name}. Pass an instance, such as {name}().")
    return functions


def check_no_protocol(callbacks):
    """Raise a TypeError if the value of the parameter `callbacks` is a callback of scikit-learn's protocol."""
    if hasattr(callbacks, "on_fit_task_begin") and not callable(callbacks):
        raise _not_a_function(callbacks, _SET_CALLBACKS)


def _not_a_function(value, remedy):
    """Return the error for a callback that is not a function."""
    return TypeError(
        f"callbacks must be functions of (estimator, epoch, logs), got {value!r} of type {type(value).__name__}. {remedy}"
    )
