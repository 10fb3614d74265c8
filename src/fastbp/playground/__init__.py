"""A page in the browser on which a person trains a small network and watches it: ``python -m fastbp.playground``.

``serve`` starts the server, which accepts requests from this machine only. Training uses the estimators and kernels of fastbp, in
one thread for each open page. The extra ``playground`` installs Starlette, uvicorn and websockets. ``import fastbp`` does not
import this package.
"""

from ._command import serve

__all__ = ["serve"]
