"""Conversion to ONNX, a file format for models that many programs and devices can run.

The method ``to_onnx`` of fitted estimators returns an ONNX model. ``register_converters`` registers the estimators with skl2onnx,
which converts pipelines and other estimators that contain them. The conversion needs the extra `onnx`:
``pip install "fastbp[onnx]"``. ``import fastbp`` does not import this package.
"""

from ._converters import register_converters

__all__ = ["register_converters"]
