"""Directions in the space of the parameters, along which the loss of a network is drawn.

The flat parameters of a network, and possibly those after each epoch, go in; two directions and coordinates come out. This module
does not know how losses are computed.
"""

import numpy as np
from sklearn.utils import check_random_state

_SMALLEST = 1e-7  # a direction below this fraction of the first one is rounding error
_PATH_MARGIN = 0.15  # of the range of the path, on each side


def filter_normalized(layout, center, random_state):
    """Return two random directions (2, n_params) in float64, normalized by filter (Li and others 2018, section 4).

    The part of a direction that belongs to the incoming weights of a unit has the norm of these weights. Biases and the parameters
    of norms do not change.
    """
    random = check_random_state(random_state)
    coefs, directions = layout.views(center)[0], np.zeros((2, center.size))
    for direction in directions:
        for W, D in zip(coefs, layout.views(direction)[0], strict=True):
            D[...] = random.normal(size=W.shape)
            D *= np.linalg.norm(W.astype(np.float64), axis=0) / np.linalg.norm(D, axis=0)
    return directions


def principal_directions(path, center, random_state):
    """Return two orthonormal directions (2, n_params) in which the path moves most, and their shares of its squared length.

    They are the first right singular vectors of the differences θ_i − θ* of the path from the center, as in section 7 of Li and
    others, without the subtraction of the mean, so that the plane contains the center.
    """
    differences = np.asarray(path, np.float64) - center
    squares, vectors = np.linalg.eigh(differences @ differences.T)
    squares, total = np.maximum(squares[::-1][:2], 0), max(float(np.square(differences).sum()), np.finfo(float).tiny)
    directions = vectors[:, ::-1][:, :2].T @ differences
    known = np.zeros((2, center.size))
    known[: len(directions)] = directions
    return _orthonormal(known, check_random_state(random_state)), np.pad(squares, (0, 2 - len(squares))) / total


def _orthonormal(directions, random):
    """Return orthonormal directions; one that is almost zero is replaced by a random direction."""
    largest = max(np.linalg.norm(directions[0]), np.finfo(float).tiny)
    for number, direction in enumerate(directions):
        if np.linalg.norm(direction) <= _SMALLEST * largest:
            direction[...] = random.normal(size=direction.size)
        if number:
            direction -= (direction @ directions[0]) * directions[0]
        direction /= np.linalg.norm(direction)
    return directions


def square_around(points):
    """Return the centers and half of the side of a square that contains the points (n, 2) and the origin, with a margin."""
    points = np.vstack([points, np.zeros((1, 2))])
    low, high = points.min(axis=0), points.max(axis=0)
    half = (0.5 + _PATH_MARGIN) * float((high - low).max())
    return (low + high) / 2, half or 1.0
