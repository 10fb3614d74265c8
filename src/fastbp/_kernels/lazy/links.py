"""Output units that are called, and what comes between any output and a loss that is called.

A link turns weighted sums Z (n_rows, ≥ n_outputs) into outputs, in place. ``finish`` takes a block's outputs and targets to the sum
of its losses and to ∂loss/∂Z: it spreads class codes to one target per output, calls the loss, which knows nothing of links, and
multiplies its slopes by the link's Jacobian. Links of scikit-learn are the matter of `losses`, one folder up.
"""

from ..elementary import exp, log
from ..function_pointers import call
from ..jit import kernel, lazy_entry
from ..views import flat, matrix
from .losses import CANONICAL, LINK, LIST, N_GROUPS, N_LIST, SMOOTHING, SUM

# The codes of links: the first four are those of `LinkCode`.
IDENTITY, LOGISTIC, SOFTMAX, EXP, RELU, SOFTPLUS, GROUPS, RISING = range(8)


@lazy_entry
def relu(Z, n_outputs, numbers):
    """max(0, z)."""
    z, zero = flat(Z), Z.dtype.type(0)
    for q in range(z.size):
        z[q] = zero if z[q] < zero else z[q]


@lazy_entry
def softplus(Z, n_outputs, numbers):
    """ln(1 + e^z)."""
    z = flat(Z)
    for q in range(z.size):
        z[q] = _softplus(z[q], Z.dtype.type)


@lazy_entry
def groups(Z, n_outputs, numbers):
    """A softmax of each group of columns, of the sizes that the numbers list."""
    zero = Z.dtype.type(0)
    at = 0
    for k in range(int(numbers[N_LIST])):
        size = int(numbers[LIST + k])
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
def rising(Z, n_outputs, numbers):
    """Of each group of as many columns as there are quantiles, the first as it is, and each other one a softplus above the last."""
    size = int(numbers[N_LIST])
    for i in range(Z.shape[0]):
        for j in range(n_outputs):
            if j % size:
                Z[i, j] = Z[i, j - 1] + _softplus(Z[i, j], Z.dtype.type)


LINKS = {function.__name__: function for function in (relu, softplus, groups, rising)}


@kernel()
def _softplus(x, real):
    """ln(1 + e^x) = max(x, 0) + ln(1 + e^−|x|)."""
    one, zero = real(1), real(0)
    e = exp(-abs(x))
    u = one + e
    return (x if x > zero else zero) + log(u) + (e - (u - one)) / u


@lazy_entry
def finish(A, y, n_codes, weight, delta, n_outputs, numbers, loss_at):
    """The sum of weight · loss over a block, in numbers, and ∂/∂Z of it in delta; A and delta (n_rows, ≥ n_outputs).

    y is flat, with room for as many targets as A has elements: these, or n_codes class codes a row where that is less than
    n_outputs. weight is (n_rows,), or (0,) for ones. y and A are used up.
    """
    n_rows = A.shape[0]
    Y = matrix(y, 0, n_rows, A.shape[1])
    if n_codes < n_outputs or numbers[N_GROUPS] > 0:
        _spread_codes(matrix(y, 0, n_rows, n_codes), Y, n_outputs, numbers)
    elif numbers[SMOOTHING] > 0:
        _smooth(flat(Y), numbers)
    if numbers[LINK] == RISING:
        _rising_quantiles(A, Y, delta, n_outputs, numbers)
    else:
        call(loss_at, flat(A), flat(Y), flat(delta), numbers)
        if numbers[CANONICAL] == 0:
            _multiply_by_jacobian(A, delta, n_outputs, numbers)
    total = 0.0
    for i in range(n_rows):
        w = weight[i] if weight.size else A.dtype.type(1)
        for j in range(n_outputs):
            total += w * Y[i, j]
            delta[i, j] *= w
    numbers[SUM] = total


@kernel()
def _spread_codes(codes, Y, n_outputs, numbers):
    """Y (n_rows, ≥ n_outputs): 1 for the class of a row's code, else 0, smoothed; codes lie in its memory, so last rows first."""
    n_groups, share = codes.shape[1], numbers[SMOOTHING]
    last = Y.dtype.type(0)
    for back in range(codes.shape[0]):
        i = codes.shape[0] - 1 - back
        end = n_outputs
        for group in range(n_groups - 1, -1, -1):
            size = n_outputs if n_groups == 1 else int(numbers[LIST + group])
            code = min(max(int(codes[i, group]), 0), size - 1)
            # a row of one group may cover codes that are still to be read
            last = Y.dtype.type(1 - share + share / size)
            for j in range(end - size, end):
                Y[i, j] = Y.dtype.type(share / size)
            Y[i, end - size + code] = last
            end -= size


@kernel()
def _smooth(y, numbers):
    """y ← (1 − s) y + s / 2, for targets of 0 and 1."""
    kept, more = y.dtype.type(1 - numbers[SMOOTHING]), y.dtype.type(numbers[SMOOTHING] / 2)
    for q in range(y.size):
        y[q] = kept * y[q] + more


@kernel()
def _rising_quantiles(A, Y, delta, n_outputs, numbers):
    """The losses of several quantiles and ∂/∂z: each z moves its own output and all above it in its group."""
    size, one, zero = int(numbers[N_LIST]), A.dtype.type(1), A.dtype.type(0)
    for i in range(A.shape[0]):
        above = zero
        for j in range(n_outputs - 1, -1, -1):
            share = A.dtype.type(numbers[LIST + j % size])
            d = Y[i, j] - A[i, j]
            above += -share if d > zero else (one - share if d < zero else d)
            Y[i, j] = share * d if d > zero else (share - one) * d
            if j % size:
                delta[i, j] = above * (one - exp(A[i, j - 1] - A[i, j]))
            else:
                delta[i, j] = above
                above = zero


@kernel()
def _multiply_by_jacobian(A, delta, n_outputs, numbers):
    """delta ← Jᵀ delta, for J = ∂A/∂Z."""
    a, d, code, one, zero = flat(A), flat(delta), numbers[LINK], A.dtype.type(1), A.dtype.type(0)
    if code == LOGISTIC:
        for q in range(d.size):
            d[q] *= a[q] * (one - a[q])
    elif code == EXP:
        for q in range(d.size):
            d[q] *= a[q]
    elif code == RELU:
        for q in range(d.size):
            d[q] = d[q] if a[q] > zero else zero
    elif code == SOFTPLUS:
        for q in range(d.size):
            d[q] *= one - exp(-a[q]) if a[q] > A.dtype.type(1e-3) else a[q] * (one - A.dtype.type(0.5) * a[q])
    elif code in (SOFTMAX, GROUPS):
        _softmax_back(A, delta, n_outputs, numbers)


@kernel()
def _softmax_back(A, delta, n_outputs, numbers):
    """d ← a (d − Σ a d), over each group."""
    n_groups = int(numbers[N_LIST]) if numbers[LINK] == GROUPS else 1
    at = 0
    for group in range(n_groups):
        size = int(numbers[LIST + group]) if numbers[LINK] == GROUPS else n_outputs
        for i in range(A.shape[0]):
            mean = A.dtype.type(0)
            for j in range(at, at + size):
                mean += A[i, j] * delta[i, j]
            for j in range(at, at + size):
                delta[i, j] = A[i, j] * (delta[i, j] - mean)
        at += size
