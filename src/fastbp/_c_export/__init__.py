"""C source code from an `ExportedNetwork`, for microcontrollers and other programs without Python.

The method ``export_c`` of the estimators uses ``export``. The other modules make the parts: names, constants, formulas, the source
file and the header.
"""
