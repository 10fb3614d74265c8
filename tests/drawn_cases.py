"""The decorator of tests with many drawn cases. ``FASTBP_EXAMPLES=2000`` draws 2000 new cases; ``make test-soak`` sets it."""

import os

from hypothesis import HealthCheck, given, settings


def drawn(max_examples, strategy):
    """Test with drawn cases. The cases are always the same, unless FASTBP_EXAMPLES sets a number of new cases."""
    asked = int(os.environ.get("FASTBP_EXAMPLES", "0"))
    rules = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
    return lambda test: settings(max_examples=asked or max_examples, derandomize=not asked, **rules)(given(case=strategy)(test))
