"""The diagnosis of fitted networks: statistics of the layers, advice, and a callback that records the statistics during a fit.

``records`` defines the results, ``layers`` computes statistics of layers, ``measurements`` collects the numbers from which ``rules``
derive advice, ``diagnose`` and ``monitor`` are the public functions.
"""
