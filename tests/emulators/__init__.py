"""Emulators of processors that have instructions for bfloat16, and tests of these instructions; see CONTRIBUTING.md."""


class EmulatedFault(Exception):
    """The emulated processor stopped because of an invalid instruction or a wrong address, for example."""
