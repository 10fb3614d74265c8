"""Whether this processor has instructions for bfloat16, or whether fastbp has to compute the same results without them.

A process of its own answers, because fastbp reads the environment variable FASTBP_EMULATE_BF16 when it is imported.
"""

import os

import numpy as np
from sidebyside.remote import Remote

EMULATE = "FASTBP_EMULATE_BF16"


class SmallFit:
    def error(self):
        """The message of the ValueError of a small fit, or None if there is none."""
        from fastbp import MLPRegressor

        try:
            MLPRegressor(hidden_layer_sizes=(), dtype="mixed_bfloat16").partial_fit(np.zeros((2, 1)), np.zeros(2))
        except ValueError as error:
            return str(error)
        return None


def is_emulated():
    """Whether fits have to emulate the instructions in this process, or do so because of the environment variable."""
    if os.environ.get(EMULATE) == "1":
        return True
    with Remote("precision.instructions:SmallFit") as remote:
        error = remote.call("error")
    if error is not None and EMULATE not in error:
        raise RuntimeError(f"A fit with dtype='mixed_bfloat16' failed: {error}")
    return error is not None


def emulate():
    """Emulate the instructions in this process and in those that it starts. Call this before fastbp is imported."""
    os.environ[EMULATE] = "1"
