"""What all networks of an ensemble have in common, and its conversion to plain values.

The settings of an estimator and the output layer go in; a ``NetworkKind`` comes out. This module does not know how networks are
trained.
"""

from typing import Any, NamedTuple


def _settings_of_families() -> dict[str, Any]:
    """The class of the settings of each family of networks."""
    from .presets import NetworkSettings  # imported here, because the chain of module-level imports would become too long
    from .tabm_settings import TabMSettings

    return {"RealMLP": NetworkSettings, "TabM": TabMSettings}


class NetworkKind(NamedTuple):
    """The settings, the number of outputs, the function ``link`` of the output layer, and ``numbers``, which are its quantiles."""

    settings: Any
    n_outputs: int
    link: str
    numbers: tuple = ()

    @property
    def family(self):
        """'RealMLP' or 'TabM'."""
        return next(name for name, settings in _settings_of_families().items() if isinstance(self.settings, settings))

    def to_plain(self):
        """Return a dict of plain values."""
        return self._asdict() | {"settings": self.settings._asdict(), "family": self.family}

    @classmethod
    def from_plain(cls, plain):
        """Return the result for a dict of ``to_plain``."""
        plain = dict(plain)
        settings = _settings_of_families()[plain.pop("family")]
        return cls(**plain | {"settings": settings(**plain["settings"])})
