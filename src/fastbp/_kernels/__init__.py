"""The compiled functions, and the records, tables and tuples that are passed to them.

Python calls the entries ``train`` and ``update_early_stopping`` of `epochs`, and ``loss_and_gradient``, ``evaluate`` and
``predict`` of `network`. Only arrays, integers and floats go in. The machine code of the entries is stored on disk with a stamp,
which is a hash of all files of this folder. Except `_compat`, no module of this folder imports another part of fastbp.
"""
