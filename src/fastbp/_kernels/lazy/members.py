"""Networks of members that share weights: TabM (Gorishniy, Kotelnikov and Babenko 2025, "TabM: Advancing tabular deep learning").

The rows of a block belong to the members in turns: row i of a block that starts at row `start` belongs to the member
(start + i) mod k. The inputs of a layer are multiplied by the adapters r (k, n_in) of the members, its products by the adapters
s (k, n_out), and each member has its own biases b (k, n_out): Z = ((A ⊙ r)·W) ⊙ s + b. In the last layer, each member has its own
weights V (k, n_out, n_in) and biases c (k, n_out). Gradients are set, or added to if `add`. This module does not know how the
shared products are computed.
"""

from ..jit import kernel, lazy_entry
from ..shuffles import MT19937State, shuffle_part
from ..views import vector


@lazy_entry
def adapt_inputs(table, layer, params, A, unscaled, start):
    """Copy A (n_rows, ≥ n_in) to unscaled, unless this is empty; then compute A ← A ⊙ r."""
    n_in, n_members, adapters_at = table[layer].n_in, table[layer].n_members, table[layer].input_adapters_at
    for i in range(A.shape[0]):
        at = i * A.shape[1]
        a, r = vector(A, at, n_in), vector(params, adapters_at + (start + i) % n_members * n_in, n_in)
        before = vector(unscaled, at, n_in if unscaled.size else 0)
        for j in range(before.size):
            before[j] = a[j]
        for j in range(n_in):
            a[j] *= r[j]


@lazy_entry
def adapt_inputs_back(table, layer, params, D, unscaled, gradient, start, add):
    """Compute ∂/∂r = Σ_rows D ⊙ A and D ← D ⊙ r from D = ∂/∂(A ⊙ r) (n_rows, ≥ n_in)."""
    n_in, n_members, adapters_at = table[layer].n_in, table[layer].n_members, table[layer].input_adapters_at
    if add == 0:
        _set_to_zero(vector(gradient, adapters_at, n_members * n_in))
    for i in range(D.shape[0]):
        at, own_at = i * D.shape[1], adapters_at + (start + i) % n_members * n_in
        d, a, r, g = vector(D, at, n_in), vector(unscaled, at, n_in), vector(params, own_at, n_in), vector(gradient, own_at, n_in)
        for j in range(n_in):
            g[j] += d[j] * a[j]
            d[j] *= r[j]


@lazy_entry
def adapt_outputs(table, layer, params, Z, products, start):
    """Copy Z (n_rows, ≥ n_out) to products, unless this is empty; then compute Z ← Z ⊙ s + b."""
    n_out, n_members = table[layer].n_out, table[layer].n_members
    for i in range(Z.shape[0]):
        at, own_at = i * Z.shape[1], (start + i) % n_members * n_out
        z, s = vector(Z, at, n_out), vector(params, table[layer].output_adapters_at + own_at, n_out)
        b, before = vector(params, table[layer].biases_at + own_at, n_out), vector(products, at, n_out if products.size else 0)
        for j in range(before.size):
            before[j] = z[j]
        for j in range(n_out):
            z[j] = z[j] * s[j] + b[j]


@lazy_entry
def adapt_outputs_back(table, layer, params, D, products, gradient, start, add):
    """Compute ∂/∂b = Σ_rows D, ∂/∂s = Σ_rows D ⊙ P and D ← D ⊙ s from D = ∂/∂Z (n_rows, ≥ n_out) and the products P."""
    n_out, n_members = table[layer].n_out, table[layer].n_members
    if add == 0:
        _set_to_zero(vector(gradient, table[layer].output_adapters_at, n_members * n_out))
        _set_to_zero(vector(gradient, table[layer].biases_at, n_members * n_out))
    for i in range(D.shape[0]):
        at, own_at = i * D.shape[1], (start + i) % n_members * n_out
        d, p = vector(D, at, n_out), vector(products, at, n_out)
        s = vector(params, table[layer].output_adapters_at + own_at, n_out)
        g = vector(gradient, table[layer].output_adapters_at + own_at, n_out)
        g_b = vector(gradient, table[layer].biases_at + own_at, n_out)
        for j in range(n_out):
            g_b[j] += d[j]
            g[j] += d[j] * p[j]
            d[j] *= s[j]


@lazy_entry
def heads(table, layer, params, A, Z, start):
    """Compute Z = A·Vᵀ + c with the V and c of each member; A (n_rows, ≥ n_in), Z (n_rows, ≥ n_out)."""
    n_in, n_out, n_members = table[layer].n_in, table[layer].n_out, table[layer].n_members
    for i in range(A.shape[0]):
        a, at = vector(A, i * A.shape[1], n_in), (start + i) % n_members * n_out
        for k in range(n_out):
            v = vector(params, table[layer].weights_at + (at + k) * n_in, n_in)
            total = A.dtype.type(0)
            for j in range(n_in):
                total += a[j] * v[j]
            Z[i, k] = total + params[table[layer].biases_at + at + k]


@lazy_entry
def heads_back(table, layer, params, A, delta, D, gradient, start, add):
    """Compute ∂/∂V = Σ_rows deltaᵀ·A, ∂/∂c = Σ_rows delta and D = ∂/∂A = delta·V (n_rows, ≥ n_in)."""
    n_in, n_out, n_members = table[layer].n_in, table[layer].n_out, table[layer].n_members
    weights_at, biases_at = table[layer].weights_at, table[layer].biases_at
    if add == 0:
        _set_to_zero(vector(gradient, weights_at, n_members * n_out * n_in))
        _set_to_zero(vector(gradient, biases_at, n_members * n_out))
    for i in range(A.shape[0]):
        a, d, at = vector(A, i * A.shape[1], n_in), vector(D, i * D.shape[1], n_in), (start + i) % n_members * n_out
        _set_to_zero(d)
        for k in range(n_out):
            v_at, of_output = weights_at + (at + k) * n_in, delta[i, k]
            v, g = vector(params, v_at, n_in), vector(gradient, v_at, n_in)
            gradient[biases_at + at + k] += of_output
            for j in range(n_in):
                g[j] += of_output * a[j]
                d[j] += of_output * v[j]


@kernel()
def _set_to_zero(values):
    for j in range(values.size):
        values[j] = values.dtype.type(0)


@lazy_entry
def shuffle_members(order, key, position, n_members, shares_batches):
    """Permute order (n_rows · k,), in which the elements m, m + k, m + 2k, … belong to member m.

    The elements of each member are permuted independently, or with `shares_batches`, those of all members in the same way.
    """
    twister, n_rows = MT19937State(key, position), order.size // n_members
    for member in range(1 if shares_batches else n_members):
        shuffle_part(order, member, n_members, n_rows, twister)
    if shares_batches:
        for i in range(n_rows):
            for member in range(1, n_members):
                order[i * n_members + member] = order[i * n_members]


ADAPTERS = {"inputs": adapt_inputs, "outputs": adapt_outputs}
ADAPTERS_BACK = {"inputs": adapt_inputs_back, "outputs": adapt_outputs_back}
HEADS = {"heads": heads}
HEADS_BACK = {"heads_back": heads_back}
MEMBER_SHUFFLES = {"shuffle_members": shuffle_members}
