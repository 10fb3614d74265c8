"""The set-up of the tests with other tools, which need the extras `tools` and `more-tools`.

`make test-tools` runs these tests in the environment .venv-tools. `make test-tools-ci` runs those for ONNX, skops, mlflow,
Optuna and Dask, and needs only the extra `tools`. `make test` does not collect this folder. Warnings other than those below are
errors, as in all tests.
"""

import os

# Other tools use deprecated functions of their dependencies. Each text is a regular expression for the message, and a category.
IGNORED_WARNINGS = (
    *(":DeprecationWarning", ":PendingDeprecationWarning", ":FutureWarning", ":SyntaxWarning", ":ResourceWarning"),
    ".*Any type hint is inferred:UserWarning",  # mlflow, when it is imported
)

# The tools must not send statistics about their use.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = os.environ["DO_NOT_TRACK"] = "true"


def pytest_configure(config):
    """Ignore the warnings of other tools, also while test modules are imported."""
    for warning in IGNORED_WARNINGS:
        config.addinivalue_line("filterwarnings", f"ignore:{warning}")
