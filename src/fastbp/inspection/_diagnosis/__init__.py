"""The diagnosis of fitted networks: statistics of the layers, advice, and a callback that records the statistics during a fit.

``records`` defines the results, ``layers`` computes the statistics of layers, ``measurements`` collects all numbers from which the
``rules`` derive advice, and ``diagnose`` and ``monitor`` define what users call.
"""
