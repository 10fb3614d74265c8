"""Every compiled function, and the records, tables and tuples that enter them.

Python calls the entries ``train`` and ``update_early_stopping`` of `epochs`, and ``loss_and_gradient``, ``evaluate`` and
``predict`` of `network`. Their machine code is stored on disk under one stamp over all files of this folder. Only arrays, integers
and floats go in, and no module here imports another part of fastbp.
"""
