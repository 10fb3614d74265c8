"""The results of a diagnosis: records with text, HTML and data frame representations.

Numbers and texts go in; the records that users see come out. This module does not know how the numbers are computed or when advice
is given.
"""

from dataclasses import asdict, dataclass
from textwrap import fill
from typing import Any

from .tables import html_of_layers, html_of_list, layer_frame, text_of_layers

_WIDTH = 110  # of the text of advice, about that of the table


@dataclass(frozen=True)
class LayerDiagnosis:
    """Statistics of one layer on the rows of a diagnosis.

    The weights are those of the network that is trained. They differ from `coefs_` if scaling, batch normalization or averages are
    folded into those.

    Parameters
    ----------
    layer : int
        The number of the layer: 1 is the first hidden layer, and the last number is that of the output layer.
    activation : str
        The name of the activation function of a hidden layer; for the output layer, `out_activation_`.
    n_units : int
        The number of units.
    dead_share : float
        The fraction of the units that are dead: on every row, the absolute slope g'(z) of the unit is at most 0.001 of the largest
        slope of its activation. A dead ReLU unit outputs 0 for every row and has a gradient of 0, so that it does not learn [1]_.
        NaN for the output layer.
    saturated_share : float
        The fraction of the activations, over all rows and units, at which the absolute slope is at most 0.05 of the largest slope
        of the activation: \\|tanh z\\| ≥ 0.975 for 'tanh', and σ(z) ≤ 0.013 or ≥ 0.987 for 'logistic' [2]_. NaN for activations
        that are not flat on both sides, such as 'relu', and for the output layer.
    weight_mean, weight_std : float
        The mean and the standard deviation of the weights W.
    weight_norm : float
        The Frobenius norm of W.
    activation_mean, activation_std : float
        The mean and the standard deviation of the activations over all rows and units; of the outputs in the output layer.
    coef_grad_norm : float
        The Frobenius norm of the gradient of the objective with respect to W.
    intercept_grad_norm : float
        The Euclidean norm of the gradient with respect to the biases b. Nielsen compares it between layers to show vanishing
        gradients [3]_.
    update_ratio : float
        The Frobenius norm of the next change of W, divided by the norm of W. A value of about 0.001 is typical [4]_. NaN for
        ``solver='lbfgs'``, which keeps no state from which the next change follows.

    References
    ----------
    .. [1] Lu, Shin, Su and Karniadakis, "Dying ReLU and Initialization: Theory and Numerical Examples", Communications in
       Computational Physics 28, 2020.
    .. [2] Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.
    .. [3] Nielsen, "Neural Networks and Deep Learning", chapter 5, 2015.
    .. [4] Karpathy, notes of the course CS231n, "Neural Networks Part 3: Learning and Evaluation".
    """

    layer: int
    activation: str
    n_units: int
    dead_share: float
    saturated_share: float
    weight_mean: float
    weight_std: float
    weight_norm: float
    activation_mean: float
    activation_std: float
    coef_grad_norm: float
    intercept_grad_norm: float
    update_ratio: float


@dataclass(frozen=True)
class Advice:
    """A problem of a network, the numbers that show it, and a remedy; ``str(advice)`` is the full text.

    Parameters
    ----------
    problem : str
        A short name of the problem, such as "dead_units".
    symptom : str
        A sentence that describes the problem.
    evidence : str
        A sentence with the numbers that were measured.
    remedy : str
        A sentence that says what to do.
    parameter : str
        The name of the parameter to set; 'y' if the targets should be checked; 'partial_fit' if it should be called more often.
    value : object, default=None
        The value for `parameter`; None if the remedy is not a value of a parameter.
    """

    problem: str
    symptom: str
    evidence: str
    remedy: str
    parameter: str
    value: Any = None

    def __str__(self) -> str:
        return f"{self.symptom} {self.evidence} {self.remedy}"


@dataclass(frozen=True)
class EpochDiagnosis:
    """The statistics of all layers after an epoch, as `DiagnosticsMonitor` records them.

    Parameters
    ----------
    epoch : int
        The number of the epoch, starting at 1.
    loss : float
        The loss of the epoch, as in `loss_curve_`.
    layers : tuple of LayerDiagnosis
        The statistics of the layers, with the weights after the epoch.
    """

    epoch: int
    loss: float
    layers: tuple[LayerDiagnosis, ...]


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """The statistics of all layers of a network, and advice; the result of `diagnose`.

    Parameters
    ----------
    loss : float
        The objective on the rows: the mean loss plus penalties, as in `trace`.
    n_rows : int
        The number of rows from which the statistics were computed.
    layers : tuple of LayerDiagnosis
        The statistics of the layers, from the first hidden layer to the output layer.
    advice : tuple of Advice, default=()
        The problems that were found, empty for a network without problems.
    """

    loss: float
    n_rows: int
    layers: tuple[LayerDiagnosis, ...]
    advice: tuple[Advice, ...] = ()

    def __repr__(self) -> str:
        lines = [self._title(), *text_of_layers(map(asdict, self.layers)), ""]
        if not self.advice:
            return "\n".join([*lines, "No problem was found."])
        entries = (fill(f"{one.problem}: {one}", _WIDTH, initial_indent="- ", subsequent_indent="  ") for one in self.advice)
        return "\n".join([*lines, "Advice:", *entries])

    def _title(self):
        return f"Diagnosis of {self.n_rows} row{'s' * (self.n_rows != 1)}: loss {self.loss:.6g}"

    def to_frame(self) -> Any:
        """Return the statistics as a pandas DataFrame with one row for each layer.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_layers, 13)
            The columns are the attributes of `LayerDiagnosis`.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastbp import MLPClassifier
        >>> from fastbp.inspection import diagnose
        >>> X, y = load_iris(return_X_y=True)
        >>> model = MLPClassifier((8, 4), scale="standard", learning_rate_init=0.01, max_iter=500, random_state=0).fit(X, y)
        >>> diagnose(model, X, y).to_frame()[["layer", "activation", "n_units", "dead_share"]]
           layer activation  n_units  dead_share
        0      1       relu        8         0.0
        1      2       relu        4         0.5
        2      3    softmax        3         NaN
        """
        return layer_frame(map(asdict, self.layers))

    def _repr_html_(self) -> str:
        advice = [(one.problem, str(one)) for one in self.advice]
        return html_of_layers(self._title(), map(asdict, self.layers)) + html_of_list("Advice", advice, "No problem was found.")
