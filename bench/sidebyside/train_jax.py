"""JAX: each epoch is one compiled `lax.scan` over its batches, and the parameters are donated.

NumPy shuffles the rows, because on a CPU it is much faster than `jax.random.permutation`. ``ShufflingJaxTrainer`` calls
`jax.random.permutation` inside the compiled epoch, which is common in JAX code. Its batches are different, so its losses differ
slightly. ``MixedJaxTrainer`` rounds the factors of all products to bfloat16.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn

from .trainer import Trainer
from .works import ALPHA, BETA_1, BETA_2, EPSILON, LEARNING_RATE, MOMENTUM

_ACTIVATIONS = {"relu": nn.relu, "tanh": jnp.tanh, "logistic": nn.sigmoid}


class JaxTrainer(Trainer):
    def setup(self):
        jax.config.update("jax_enable_x64", self.work.dtype == "float64")
        self.features = jnp.asarray(self.X)
        self.targets = jnp.asarray(self.y, self.X.dtype if self.work.sizes[-1] == 1 else jnp.int32)

    def train(self, n_epochs):
        params = [(jnp.array(W), jnp.array(b)) for W, b in zip(self.start.coefs, self.start.intercepts, strict=True)]
        state = (jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params), jax.tree.map(jnp.zeros_like, params))
        options = self.work.activation, self.work.solver
        for order in self.orders(n_epochs):
            params, state = self.epoch(params, state, self.features, self.targets, order, *options)
        jax.block_until_ready(params)
        return [np.asarray(W) for W, _ in params], [np.asarray(b) for _, b in params]

    def orders(self, n_epochs):
        return (order.astype(np.int32) for order in self.start.orders(n_epochs))

    @staticmethod
    def epoch(*arguments):
        return epoch(*arguments)


class ShufflingJaxTrainer(JaxTrainer):
    def orders(self, n_epochs):
        return jax.random.split(jax.random.key(0), n_epochs)

    def epoch(self, params, state, X, y, key, activation, solver):
        return shuffled_epoch(params, state, X, y, key, activation, solver, self.work.batch_size)


class MixedJaxTrainer(JaxTrainer):
    @staticmethod
    def epoch(*arguments):
        return epoch(*arguments, multiply=multiply_bfloat16)


@partial(jax.jit, static_argnames=("activation", "solver", "batch_size"), donate_argnums=(0, 1))
def shuffled_epoch(params, state, X, y, key, activation, solver, batch_size):
    order = jax.random.permutation(key, X.shape[0]).reshape(-1, batch_size)
    return epoch(params, state, X, y, order, activation, solver)


@partial(jax.jit, static_argnames=("activation", "solver", "multiply"), donate_argnums=(0, 1))
def epoch(params, state, X, y, order, activation, solver, multiply=jnp.matmul):
    """Train on all batches of an epoch; `order` has shape (n_batches, batch_size). Return (params, state)."""

    def step(carry, rows):
        params, state = carry
        gradients = jax.grad(objective)(params, X[rows], y[rows], activation, multiply)
        return UPDATES[solver](params, gradients, state), None

    (params, state), _ = lax.scan(step, (params, state), order)
    return params, state


def objective(params, A, y, activation, multiply):
    """The mean log-loss of a batch, with the L2 penalty."""
    *hidden, (W_out, b_out) = params
    for W, b in hidden:
        A = _ACTIVATIONS[activation](multiply(A, W) + b)
    Z = multiply(A, W_out) + b_out
    if Z.shape[1] == 1:
        losses = nn.softplus(Z[:, 0]) - y * Z[:, 0]
    else:
        losses = nn.logsumexp(Z, axis=1) - jnp.take_along_axis(Z, y[:, None], axis=1)[:, 0]
    penalty = sum(jnp.vdot(W, W) for W, _ in params)
    return losses.mean() + 0.5 * ALPHA / Z.shape[0] * penalty


@jax.custom_vjp
def multiply_bfloat16(A, W):
    """A·W with factors in bfloat16 and sums in float32; the two products of the backward pass are computed in the same way."""
    return jnp.matmul(A.astype(jnp.bfloat16), W.astype(jnp.bfloat16), preferred_element_type=jnp.float32)


def _forward(A, W):
    return multiply_bfloat16(A, W), (A, W)


def _backward(factors, delta):
    A, W = factors
    return multiply_bfloat16(delta, W.T), multiply_bfloat16(A.T, delta)


multiply_bfloat16.defvjp(_forward, _backward)


def adam(params, gradients, state):
    t, means, squares = state
    t = t + 1
    means = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, means, gradients)
    squares = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, squares, gradients)
    rate = LEARNING_RATE * jnp.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
    params = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + EPSILON), params, means, squares)
    return params, (t, means, squares)


def sgd(params, gradients, state):
    t, velocities, unused = state
    velocities = jax.tree.map(lambda v, g: MOMENTUM * v - LEARNING_RATE * g, velocities, gradients)
    params = jax.tree.map(lambda p, v, g: p + MOMENTUM * v - LEARNING_RATE * g, params, velocities, gradients)
    return params, (t, velocities, unused)


UPDATES = {"adam": adam, "sgd": sgd}
