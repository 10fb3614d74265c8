"""Vector code that runs along the rows of a matrix.

``row_dots`` is A·w, a dot product for each row; ``weighted_rows`` is Aᵀ·d, a sum of rows: strips of `tiles` would fill one lane
of a vector where these fill all. ``less_row_max`` and ``per_row_sum`` are what a softmax does before and after the exponential.
Rows must be whole vectors apart, so that the last vector of each can be read; what it holds beyond the columns does not matter.
Which products are made of these is the matter of `products`.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .tiles import Tile, integer

# How many vectors of columns are summed at once, largest first: fewer than any processor's registers.
_GROUPS = 12, 4, 1


class _Dots(Tile):
    """z[i·ldz] = max(A[i]·w + b, floor), for as many rows at once as a vector has lanes, then for each that is left."""

    def __init__(self, context, builder, kinds, arguments):
        super().__init__(context, builder, kinds[0].dtype)
        A, a_at, self.lda, w, w_at, z, z_at, self.ldz, self.n_rows, depth, self.bias, self.floor = arguments
        self.A, self.w, self.z = self.at(kinds[0], A, a_at), self.at(kinds[3], w, w_at), self.at(kinds[5], z, z_at)
        self.n_whole = builder.sdiv(depth, integer(self.lanes))
        self.n_last = builder.srem(depth, integer(self.lanes))
        self.valid = self.lanes_below(self.n_last)

    def build(self):
        b, lanes = self.builder, self.lanes
        n_tiles = b.sdiv(self.n_rows, integer(lanes))
        with cgutils.for_range(b, n_tiles) as tile:
            row = b.mul(tile.index, integer(lanes))
            z = self.merged(self.products(row, lanes))
            self.store_all(self.finished(z, self.splat(self.bias), self.splat(self.floor)), row)
        with cgutils.for_range_slice(b, b.mul(n_tiles, integer(lanes)), self.n_rows, integer(1), integer(0).type) as (row, _):
            (total,) = self.products(row, 1)
            total = b.extract_element(self.spread(total, b.fadd), ir.Constant(ir.IntType(32), 0))
            z = self.finished(total, self.bias, self.floor)
            b.store(z, b.gep(self.z, [b.mul(row, self.ldz)]))

    def products(self, row, n_rows):
        """For each row from `row` on, the vector whose lanes sum up to its dot product."""
        b = self.builder
        rows = [b.gep(self.A, [b.mul(b.add(row, integer(i)), self.lda)]) for i in range(n_rows)]
        sums = [cgutils.alloca_once(b, self.vector) for _ in rows]
        for total in sums:
            b.store(ir.Constant(self.vector, None), total)
        with cgutils.for_range(b, self.n_whole) as loop:
            self.add_products(rows, sums, b.mul(loop.index, integer(self.lanes)), lambda value: value)
        with b.if_then(b.icmp_signed(">", self.n_last, integer(0))):
            self.add_products(rows, sums, b.mul(self.n_whole, integer(self.lanes)), self.masked)
        return [b.load(total) for total in sums]

    def add_products(self, rows, sums, at, made):
        b = self.builder
        w = made(self.load(b.gep(self.w, [at])))
        for row, total in zip(rows, sums):
            b.store(self.multiplied_and_added(made(self.load(b.gep(row, [at]))), w, b.load(total)), total)

    def masked(self, value):
        return self.builder.select(self.valid, value, ir.Constant(self.vector, None))

    def merged(self, sums):
        """A vector of the sums over the lanes of as many vectors: halves are added, then quarters of what is left, …"""
        lanes, distance = self.lanes, self.lanes // 2
        while distance:
            halves = []
            for pair in zip(sums[: len(sums) // 2], sums[len(sums) // 2 :]):
                lower = [i if not i & distance else lanes + i - distance for i in range(lanes)]
                upper = [i + distance if not i & distance else lanes + i for i in range(lanes)]
                halves.append(self.builder.fadd(self.shuffled(pair, lower), self.shuffled(pair, upper)))
            sums, distance = halves, distance // 2
        return sums[0]

    def finished(self, z, bias, floor):
        z = self.builder.fadd(z, bias)
        return self.builder.select(self.builder.fcmp_ordered("<", z, floor), floor, z)

    def store_all(self, values, row):
        b = self.builder
        first = b.gep(self.z, [b.mul(row, self.ldz)])
        with b.if_else(b.icmp_signed("==", self.ldz, integer(1))) as (together, apart):
            with together:
                self.store(values, first)
            with apart:
                for i in range(self.lanes):
                    b.store(b.extract_element(values, ir.Constant(ir.IntType(32), i)), b.gep(first, [b.mul(self.ldz, integer(i))]))


class _Sum(Tile):
    """t = Σ_i d[i·ldd]·A[i]; n_vectors of it."""

    def __init__(self, context, builder, kinds, arguments):
        super().__init__(context, builder, kinds[0].dtype)
        A, a_at, self.lda, d, d_at, self.ldd, t, t_at, self.n_rows, self.n_vectors = arguments
        self.A, self.d, self.t = self.at(kinds[0], A, a_at), self.at(kinds[3], d, d_at), self.at(kinds[6], t, t_at)

    def build(self):
        b = self.builder
        done = integer(0)
        for n_group in _GROUPS:
            n_groups = b.sdiv(b.sub(self.n_vectors, done), integer(n_group))
            with cgutils.for_range(b, n_groups) as loop:
                self.group(b.add(done, b.mul(loop.index, integer(n_group))), n_group)
            done = b.add(done, b.mul(n_groups, integer(n_group)))

    def group(self, first, n_group):
        b = self.builder
        at = b.mul(first, integer(self.lanes))
        target = b.gep(self.t, [at])
        sums = [cgutils.alloca_once(b, self.vector) for _ in range(n_group)]
        for total in sums:
            b.store(ir.Constant(self.vector, None), total)
        with cgutils.for_range(b, self.n_rows) as loop:
            d = self.splat(b.load(b.gep(self.d, [b.mul(loop.index, self.ldd)])))
            row = b.gep(self.A, [b.add(at, b.mul(loop.index, self.lda))])
            for v, total in enumerate(sums):
                b.store(self.multiplied_and_added(d, self.load(row, v), b.load(total)), total)
        for v, total in enumerate(sums):
            self.store(b.load(total), target, v)


class _PerRow(Tile):
    """Something done to each row of Z (n_rows, ≥ n_columns) in place, with one number from all of its columns."""

    neutral = 0.0

    def __init__(self, context, builder, kinds, arguments):
        super().__init__(context, builder, kinds[0].dtype)
        Z, self.stride, self.n_rows, n_columns = arguments
        self.Z = self.at(kinds[0], Z, integer(0))
        self.n_whole = builder.sdiv(builder.sub(n_columns, integer(1)), integer(self.lanes))  # vectors before the last
        self.valid = self.lanes_below(builder.sub(n_columns, builder.mul(self.n_whole, integer(self.lanes))))

    def build(self):
        b, number = self.builder, self.vector.element
        none = ir.Constant(self.vector, [ir.Constant(number, self.neutral)] * self.lanes)
        together = cgutils.alloca_once(b, self.vector)
        with cgutils.for_range(b, self.n_rows) as loop:
            row = b.gep(self.Z, [b.mul(loop.index, self.stride)])
            last = b.gep(row, [b.mul(self.n_whole, integer(self.lanes))])
            b.store(b.select(self.valid, self.load(last), none), together)
            with cgutils.for_range(b, self.n_whole) as vectors:
                values = self.load(b.gep(row, [b.mul(vectors.index, integer(self.lanes))]))
                b.store(self.both(values, b.load(together)), together)
            change = self.change(self.spread(b.load(together), self.both))
            with cgutils.for_range(b, b.add(self.n_whole, integer(1))) as vectors:
                place = b.gep(row, [b.mul(vectors.index, integer(self.lanes))])
                self.store(change(self.load(place)), place)


class _LessMax(_PerRow):
    neutral = float("-inf")

    def both(self, a, b):
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def change(self, largest):
        return lambda values: self.builder.fsub(values, largest)


class _PerSum(_PerRow):
    def both(self, a, b):
        return self.builder.fadd(a, b)

    def change(self, total):
        total = self.builder.extract_element(total, ir.Constant(ir.IntType(32), 0))  # one number is divided sooner than a vector
        factor = self.splat(self.builder.fdiv(ir.Constant(total.type, 1.0), total))
        return lambda values: self.builder.fmul(values, factor)


@intrinsic
def less_row_max(typing_context, Z, stride, n_rows, n_columns):
    """Z[i] − max of Z[i, :n_columns], in place; of numbers and NaN, a number may be the largest."""
    return _built(_LessMax, Z, stride, n_rows, n_columns)


@intrinsic
def per_row_sum(typing_context, Z, stride, n_rows, n_columns):
    """Z[i] / Σ of Z[i, :n_columns], in place."""
    return _built(_PerSum, Z, stride, n_rows, n_columns)


@intrinsic
def row_dots(typing_context, A, a_at, lda, w, w_at, z, z_at, ldz, n_rows, depth, bias, floor):
    """z[z_at + i·ldz] = max(A[i]·w + bias, floor) for n_rows rows of A from a_at on, lda apart; w (depth,) from w_at on."""
    return _built(_Dots, A, a_at, lda, w, w_at, z, z_at, ldz, n_rows, depth, bias, floor)


@intrinsic
def weighted_rows(typing_context, A, a_at, lda, d, d_at, ldd, t, t_at, n_rows, n_vectors):
    """t[t_at:] = Σ_i d[d_at + i·ldd]·A[i], over n_vectors vectors of columns of n_rows rows."""
    return _built(_Sum, A, a_at, lda, d, d_at, ldd, t, t_at, n_rows, n_vectors)


def _built(product, *kinds):
    kinds = [kind if isinstance(kind, (types.Array, types.Float)) else types.intp for kind in kinds]

    def build(context, builder, signature, arguments):
        product(context, builder, signature.args, arguments).build()
        return context.get_dummy_value()

    return types.void(*kinds), build
