"""The check that nyoka, a converter to PMML, does not write a wrong file for a model.

nyoka recognizes classes by their name, ``MLPClassifier`` or ``MLPRegressor``, and reads only some attributes. For models that
scikit-learn does not have, it would write a file with other predictions, without an error. Since version 4.3, it first reads the
attribute ``n_classes_``, which networks do not have. Reading it raises an error if the reader is nyoka. This module does not know
about PMML.
"""

import inspect
from typing import Any


class NyokaCheck:
    """A missing attribute whose access by nyoka raises a ValueError if nyoka would write a wrong file.

    For all other readers, it is an ordinary missing attribute, because ``inspect.getmembers``, which scikit-learn calls for the
    HTML representation, accepts only AttributeError.
    """

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, est, owner=None):
        if est is None:
            return self
        frame: Any = inspect.currentframe()
        frame = frame.f_back  # the code that reads the attribute
        if frame.f_globals.get("__name__", "").endswith("skl_to_pmml"):
            check_for_nyoka(est)
        raise AttributeError(f"{type(est).__name__!r} object has no attribute {self.name!r}", name=self.name, obj=est)


def check_for_nyoka(est):
    """Raise a ValueError if nyoka would write a file that does not predict the same as an estimator."""
    from ._exported_network import exported_network  # which imports this module
    from ._sklearn_conversion import check_expressible

    try:
        network = exported_network(est)
        check_expressible(network, vars(est))
    except (AttributeError, ValueError) as error:  # `hasattr` in nyoka would ignore an AttributeError
        raise ValueError(f"nyoka cannot export this model. {error}") from error
    problem = _problem_with_nyoka(network, est)
    if problem:
        raise ValueError(f"nyoka cannot export this model, because {problem}")


def _problem_with_nyoka(network, est):
    """The reason why nyoka would write a wrong file for a model that scikit-learn has, and the remedy; None if it would not."""
    labels, n_outputs = network.labels, network.sizes[-1]
    if network.activations and est.activation != network.activations[0]:
        given = f"activation={est.activation!r}"
        return f"it cannot read {given}. Put the estimator that to_sklearn() returns into the Pipeline instead of this one."
    if labels is None and network.link != "identity":
        return f"it ignores the output activation {network.link!r}. Export the model with to_onnx() or export_c()."
    if labels is None and n_outputs > 1:
        return f"it writes only the first of {n_outputs} outputs. Convert the model with to_sklearn() and sklearn2pmml."
    if labels is not None and (labels.kind == "multilabel" or len(labels.classes[0]) == 1):
        return "it supports only one column of labels with at least two classes. Export the model with to_onnx() or export_c()."
    return None
