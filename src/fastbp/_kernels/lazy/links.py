"""Links that are not compiled into every fit, and the calls of losses that are not compiled into every fit.

A link replaces weighted sums Z (n_rows, ≥ n_outputs) by outputs, in place. ``loss_and_output_delta`` computes the sum of the losses
of a block and ∂loss/∂Z from outputs and targets: it expands class codes to one target per output, calls the loss by its address,
and multiplies its slopes by the Jacobian of the link. scikit-learn's links are in `_kernels.losses`. This module does not know
about hidden layers.
"""

from ..codes import LinkCode
from ..elementary import exp, log
from ..formulas import logistic_slope
from ..function_pointers import call
from ..jit import EXACT, kernel, lazy_entry
from ..views import flat, matrix


@lazy_entry
def relu_link(Z, n_outputs, output_numbers):
    """max(0, z)."""
    z, zero = flat(Z), Z.dtype.type(0)
    for q in range(z.size):
        z[q] = zero if z[q] < zero else z[q]


@lazy_entry
def softplus_link(Z, n_outputs, output_numbers):
    """ln(1 + e^z)."""
    z = flat(Z)
    for q in range(z.size):
        z[q] = _softplus(z[q], Z.dtype.type)


@lazy_entry
def grouped_softmax(Z, n_outputs, output_numbers):
    """The softmax of each group of columns; output_numbers lists the sizes of the groups."""
    zero = Z.dtype.type(0)
    at = 0
    for k in range(output_numbers.size):
        size = int(output_numbers[k])
        for i in range(Z.shape[0]):
            high, total = Z[i, at], zero
            for j in range(at, at + size):
                high = Z[i, j] if Z[i, j] > high else high
            for j in range(at, at + size):
                Z[i, j] = exp(Z[i, j] - high)
                total += Z[i, j]
            for j in range(at, at + size):
                Z[i, j] /= total
        at += size


@lazy_entry
def ordered_quantiles(Z, n_outputs, output_numbers):
    """a[0] = z[0] and a[j] = a[j−1] + softplus(z[j]) in each group of columns; a group has one column for each quantile."""
    size = output_numbers.size
    for i in range(Z.shape[0]):
        for j in range(n_outputs):
            if j % size:
                Z[i, j] = Z[i, j - 1] + _softplus(Z[i, j], Z.dtype.type)


LINKS = {"relu": relu_link, "softplus": softplus_link, "grouped_softmax": grouped_softmax, "ordered_quantiles": ordered_quantiles}


@kernel(fastmath=EXACT)
def _softplus(x, real):
    """ln(1 + e^x) = max(x, 0) + ln(1 + e^−|x|).

    The activation softplus multiplies by 1 / u, because it also needs 1 / u for the slope; the quotient here is rounded only once.
    """
    one, zero = real(1), real(0)
    e = exp(-abs(x))
    u = one + e
    return (x if x > zero else zero) + log(u) + (e - (u - one)) / u


@lazy_entry
def loss_and_output_delta(A, y, n_codes, weight, delta, n_outputs, numbers, output_numbers, loss_address):
    """Write Σ weight · loss of a block to `numbers`, and its derivative ∂/∂Z to delta; A and delta (n_rows, ≥ n_outputs).

    y is flat, with space for one target per element of A. It contains these targets, or n_codes class codes per row if n_codes is
    less than n_outputs or if there are groups of classes. weight has shape (n_rows,), or (0,) if all weights are 1. y and A are
    overwritten.
    """
    n_rows, n = A.shape[0], numbers[0]
    Y = matrix(y, 0, n_rows, A.shape[1])
    if n_codes < n_outputs or n.n_groups > 0:
        _expand_codes(matrix(y, 0, n_rows, n_codes), Y, n_outputs, n.smoothing, output_numbers)
    elif n.smoothing > 0:
        _smooth(flat(Y), n.smoothing)
    if n.link == LinkCode.ordered_quantiles:
        _ordered_quantile_losses(A, Y, delta, n_outputs, output_numbers)
    else:
        call(loss_address, flat(A), flat(Y), flat(delta), numbers, output_numbers)
        if n.canonical == 0:
            _multiply_by_jacobian(n.link, A, delta, n_outputs, output_numbers)
    total = 0.0
    for i in range(n_rows):
        w = weight[i] if weight.size else A.dtype.type(1)
        for j in range(n_outputs):
            total += w * Y[i, j]
            delta[i, j] *= w
    n.loss = total


@kernel()
def _expand_codes(codes, Y, n_outputs, smoothing, output_numbers):
    """Set Y (n_rows, ≥ n_outputs) to 1 for the class of a row and to 0 for the other classes, with label smoothing.

    The codes are in the same memory as Y, so the rows are processed from the last to the first.
    """
    n_groups = codes.shape[1]
    target = Y.dtype.type(0)
    for back in range(codes.shape[0]):
        i = codes.shape[0] - 1 - back
        end = n_outputs
        for group in range(n_groups - 1, -1, -1):
            size = n_outputs if n_groups == 1 else int(output_numbers[group])
            code = min(max(int(codes[i, group]), 0), size - 1)
            # the code is read first, because the targets of a group may overwrite codes of the same row
            target = Y.dtype.type(1 - smoothing + smoothing / size)
            for j in range(end - size, end):
                Y[i, j] = Y.dtype.type(smoothing / size)
            Y[i, end - size + code] = target
            end -= size


@kernel()
def _smooth(y, smoothing):
    """Compute y ← (1 − s) y + s / 2, for targets of 0 and 1."""
    kept, more = y.dtype.type(1 - smoothing), y.dtype.type(smoothing / 2)
    for q in range(y.size):
        y[q] = kept * y[q] + more


@kernel()
def _ordered_quantile_losses(A, Y, delta, n_outputs, quantiles):
    """Compute the losses of several quantiles and ∂/∂z; each z changes its own output and all later outputs in its group."""
    size, one, zero = quantiles.size, A.dtype.type(1), A.dtype.type(0)
    for i in range(A.shape[0]):
        above = zero
        for j in range(n_outputs - 1, -1, -1):
            share = A.dtype.type(quantiles[j % size])
            d = Y[i, j] - A[i, j]
            above += -share if d > zero else (one - share if d < zero else d)
            Y[i, j] = share * d if d > zero else (share - one) * d
            if j % size:
                delta[i, j] = above * (one - exp(A[i, j - 1] - A[i, j]))
            else:
                delta[i, j] = above
                above = zero


@kernel()
def _multiply_by_jacobian(code, A, delta, n_outputs, group_sizes):
    """Compute delta ← Jᵀ delta, for J = ∂A/∂Z."""
    a, d, one, zero = flat(A), flat(delta), A.dtype.type(1), A.dtype.type(0)
    if code == LinkCode.logistic:
        for q in range(d.size):
            d[q] *= logistic_slope(a[q], one)
    elif code == LinkCode.exp:
        for q in range(d.size):
            d[q] *= a[q]
    elif code == LinkCode.relu:
        for q in range(d.size):
            d[q] = d[q] if a[q] > zero else zero
    elif code == LinkCode.softplus:
        for q in range(d.size):
            d[q] *= one - exp(-a[q]) if a[q] > A.dtype.type(1e-3) else a[q] * (one - A.dtype.type(0.5) * a[q])
    elif code == LinkCode.softmax:
        _softmax_back(A, delta, 0, n_outputs)
    elif code == LinkCode.grouped_softmax:
        at = 0
        for group in range(group_sizes.size):
            _softmax_back(A, delta, at, int(group_sizes[group]))
            at += int(group_sizes[group])


@kernel()
def _softmax_back(A, delta, at, size):
    """Compute d ← a (d − Σ a d), over columns `at` to `at + size`."""
    for i in range(A.shape[0]):
        mean = A.dtype.type(0)
        for j in range(at, at + size):
            mean += A[i, j] * delta[i, j]
        for j in range(at, at + size):
            delta[i, j] = A[i, j] * (delta[i, j] - mean)


OUTPUT_DELTAS = {"loss_and_output_delta": loss_and_output_delta}
