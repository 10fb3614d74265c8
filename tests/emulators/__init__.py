"""Emulators of processors that have instructions for bfloat16, and the tests of these instructions; see CONTRIBUTING.md."""
