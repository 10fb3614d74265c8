"""Vector code along the rows of a matrix, for products with few columns and for the softmax.

``row_dots`` computes A·w, one dot product for each row; ``weighted_rows`` computes Aᵀ·d, a weighted sum of rows. For a single
column, the strips of `tiles` would use only one lane of each vector; these functions use all lanes. ``subtract_row_max`` and
``divide_by_row_sum`` are the steps of a softmax before and after the exponential. The distance between rows must be a whole number
of vectors, so that the last vector of a row can be read; its elements after the last column have no effect. This module does not
know what a layer is.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .._compat import cgutils
from .vector_code import FIRST_LANE, I64, VectorCode, argument_types, i64

# The numbers of vectors of columns that are summed at the same time, largest first. Every processor has more registers than that.
_VECTOR_GROUPS = 12, 4, 1
MAX_PANEL_VECTORS = 12


class _RowDots(VectorCode):
    """Generates code for z[i·ldz] = max(A[i]·w + b, floor).

    As many rows as a vector has lanes are processed at once, and then the remaining rows one by one.
    """

    def __init__(self, context, builder, kinds, arguments):
        super().__init__(context, builder, kinds[0].dtype)
        A, a_at, self.lda, w, w_at, z, z_at, self.ldz, self.n_rows, depth, self.bias, self.floor = arguments
        self.A, self.w = self.pointer_to(kinds[0], A, a_at), self.pointer_to(kinds[3], w, w_at)
        self.z = self.pointer_to(kinds[5], z, z_at)
        self.n_whole = builder.sdiv(depth, i64(self.lanes))
        self.n_last = builder.srem(depth, i64(self.lanes))
        self.valid = self.mask_of_first(self.n_last)

    def build(self):
        b, lanes = self.builder, self.lanes
        n_tiles = b.sdiv(self.n_rows, i64(lanes))
        with cgutils.for_range(b, n_tiles) as tile:
            row = b.mul(tile.index, i64(lanes))
            z = self.sums_over_lanes(self.products(row, lanes))
            self.store_all(self.add_bias(z, self.broadcast(self.bias), self.broadcast(self.floor)), row)
        with cgutils.for_range_slice(b, b.mul(n_tiles, i64(lanes)), self.n_rows, i64(1), I64) as (row, _):
            (total,) = self.products(row, 1)
            total = b.extract_element(self.reduce_lanes(total, b.fadd), FIRST_LANE)
            z = self.add_bias(total, self.bias, self.floor)
            b.store(z, b.gep(self.z, [b.mul(row, self.ldz)]))

    def products(self, row, n_rows):
        """Return one vector for each of the n_rows rows that start at `row`; the sum over its lanes is the dot product."""
        b = self.builder
        rows = [b.gep(self.A, [b.mul(b.add(row, i64(i)), self.lda)]) for i in range(n_rows)]
        sums = [cgutils.alloca_once(b, self.vector) for _ in rows]
        for total in sums:
            b.store(ir.Constant(self.vector, None), total)
        with cgutils.for_range(b, self.n_whole) as loop:
            self.add_products(rows, sums, b.mul(loop.index, i64(self.lanes)), lambda values: values)
        with b.if_then(b.icmp_signed(">", self.n_last, i64(0))):
            self.add_products(rows, sums, b.mul(self.n_whole, i64(self.lanes)), self.without_rest)
        return [b.load(total) for total in sums]

    def add_products(self, rows, sums, at, mask):
        """Add the products of one vector of columns to the sums of each row."""
        b = self.builder
        w = mask(self.load(b.gep(self.w, [at])))
        for row, total in zip(rows, sums):
            b.store(self.multiply_add(mask(self.load(b.gep(row, [at]))), w, b.load(total)), total)

    def without_rest(self, values):
        """Return the values with zeros after the last column."""
        return self.builder.select(self.valid, values, ir.Constant(self.vector, None))

    def sums_over_lanes(self, sums):
        """Return one vector with the sum of each vector's lanes: halves are added first, then quarters, and so on."""
        lanes, distance = self.lanes, self.lanes // 2
        while distance:
            halves = []
            for pair in zip(sums[: len(sums) // 2], sums[len(sums) // 2 :]):
                lower = [i if not i & distance else lanes + i - distance for i in range(lanes)]
                upper = [i + distance if not i & distance else lanes + i for i in range(lanes)]
                halves.append(self.builder.fadd(self.shuffle(pair, lower), self.shuffle(pair, upper)))
            sums, distance = halves, distance // 2
        return sums[0]

    def add_bias(self, z, bias, floor):
        z = self.builder.fadd(z, bias)
        return self.builder.select(self.builder.fcmp_ordered("<", z, floor), floor, z)

    def store_all(self, values, row):
        """Store one value for each row: as a vector, if they are contiguous."""
        b = self.builder
        first = b.gep(self.z, [b.mul(row, self.ldz)])
        with b.if_else(b.icmp_signed("==", self.ldz, i64(1))) as (contiguous, strided):
            with contiguous:
                self.store(values, first)
            with strided:
                for i in range(self.lanes):
                    value = b.extract_element(values, ir.Constant(ir.IntType(32), i))
                    b.store(value, b.gep(first, [b.mul(self.ldz, i64(i))]))


class _WeightedRows(VectorCode):
    """Generates code for t = Σ_i d[i·ldd]·A[i], for n_vectors vectors of columns."""

    def __init__(self, context, builder, kinds, arguments):
        super().__init__(context, builder, kinds[0].dtype)
        A, a_at, self.lda, d, d_at, self.ldd, t, t_at, self.n_rows, self.n_vectors = arguments
        self.A, self.d = self.pointer_to(kinds[0], A, a_at), self.pointer_to(kinds[3], d, d_at)
        self.t = self.pointer_to(kinds[6], t, t_at)

    def build(self):
        b = self.builder
        done = i64(0)
        for n_group in _VECTOR_GROUPS:
            n_groups = b.sdiv(b.sub(self.n_vectors, done), i64(n_group))
            with cgutils.for_range(b, n_groups) as loop:
                self.group(b.add(done, b.mul(loop.index, i64(n_group))), n_group)
            done = b.add(done, b.mul(n_groups, i64(n_group)))

    def group(self, first, n_group):
        """Generate the code for n_group vectors of columns, which stay in registers during the loop over rows."""
        b = self.builder
        at = b.mul(first, i64(self.lanes))
        target = b.gep(self.t, [at])
        sums = [cgutils.alloca_once(b, self.vector) for _ in range(n_group)]
        for total in sums:
            b.store(ir.Constant(self.vector, None), total)
        with cgutils.for_range(b, self.n_rows) as loop:
            d = self.broadcast(b.load(b.gep(self.d, [b.mul(loop.index, self.ldd)])))
            row = b.gep(self.A, [b.add(at, b.mul(loop.index, self.lda))])
            for v, total in enumerate(sums):
                b.store(self.multiply_add(d, self.load(row, v), b.load(total)), total)
        for v, total in enumerate(sums):
            self.store(b.load(total), target, v)


class _PanelSums(_WeightedRows):
    """Generates the same code for a panel of at most `MAX_PANEL_VECTORS` vectors of columns."""

    def build(self):
        for n_vectors in range(1, MAX_PANEL_VECTORS + 1):
            with self.builder.if_then(self.builder.icmp_signed("==", self.n_vectors, i64(n_vectors))):
                self.group(i64(0), n_vectors)


class _RowwiseUpdate(VectorCode):
    """Generates code that changes each row of Z (n_rows, ≥ n_columns) in place, by a reduction over its columns."""

    neutral = 0.0

    def __init__(self, context, builder, kinds, arguments):
        super().__init__(context, builder, kinds[0].dtype)
        Z, self.stride, self.n_rows, n_columns = arguments
        self.Z = self.pointer_to(kinds[0], Z, i64(0))
        self.n_whole = builder.sdiv(builder.sub(n_columns, i64(1)), i64(self.lanes))  # the number of vectors before the last one
        self.valid = self.mask_of_first(builder.sub(n_columns, builder.mul(self.n_whole, i64(self.lanes))))

    def build(self):
        b, number = self.builder, self.vector.element
        none = ir.Constant(self.vector, [ir.Constant(number, self.neutral)] * self.lanes)
        reduced = cgutils.alloca_once(b, self.vector)
        with cgutils.for_range(b, self.n_rows) as loop:
            row = b.gep(self.Z, [b.mul(loop.index, self.stride)])
            last = b.gep(row, [b.mul(self.n_whole, i64(self.lanes))])
            b.store(b.select(self.valid, self.load(last), none), reduced)
            with cgutils.for_range(b, self.n_whole) as vectors:
                values = self.load(b.gep(row, [b.mul(vectors.index, i64(self.lanes))]))
                b.store(self.combine(values, b.load(reduced)), reduced)
            update = self.update_by(self.reduce_lanes(b.load(reduced), self.combine))
            with cgutils.for_range(b, b.add(self.n_whole, i64(1))) as vectors:
                place = b.gep(row, [b.mul(vectors.index, i64(self.lanes))])
                self.store(update(self.load(place)), place)


class _SubtractRowMax(_RowwiseUpdate):
    neutral = float("-inf")

    def combine(self, a, b):
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def update_by(self, largest):
        return lambda values: self.builder.fsub(values, largest)


class _DivideByRowSum(_RowwiseUpdate):
    def combine(self, a, b):
        return self.builder.fadd(a, b)

    def update_by(self, total):
        total = self.builder.extract_element(total, FIRST_LANE)  # dividing one number is faster than dividing a vector
        factor = self.broadcast(self.builder.fdiv(ir.Constant(total.type, 1.0), total))
        return lambda values: self.builder.fmul(values, factor)


@intrinsic
def subtract_row_max(typing_context, Z, stride, n_rows, n_columns):
    """Compute Z[i] ← Z[i] − max Z[i, :n_columns]; if a row contains NaN, the maximum may be NaN or a number."""
    return _build_rowwise(_SubtractRowMax, Z, stride, n_rows, n_columns)


@intrinsic
def divide_by_row_sum(typing_context, Z, stride, n_rows, n_columns):
    """Compute Z[i] ← Z[i] / Σ Z[i, :n_columns]."""
    return _build_rowwise(_DivideByRowSum, Z, stride, n_rows, n_columns)


@intrinsic
def row_dots(typing_context, A, a_at, lda, w, w_at, z, z_at, ldz, n_rows, depth, bias, floor):
    """Compute z[z_at + i·ldz] = max(A[i]·w + bias, floor) for n_rows rows A[i] = A[a_at + i·lda :] and w[w_at : w_at + depth]."""
    return _build_rowwise(_RowDots, A, a_at, lda, w, w_at, z, z_at, ldz, n_rows, depth, bias, floor)


@intrinsic
def weighted_rows(typing_context, A, a_at, lda, d, d_at, ldd, t, t_at, n_rows, n_vectors):
    """Compute t[t_at:] = Σ_i d[d_at + i·ldd]·A[i] for n_rows rows A[i] = A[a_at + i·lda :] and n_vectors vectors of columns."""
    return _build_rowwise(_WeightedRows, A, a_at, lda, d, d_at, ldd, t, t_at, n_rows, n_vectors)


@intrinsic
def panel_sums(typing_context, A, a_at, lda, d, d_at, ldd, t, t_at, n_rows, n_vectors):
    """Compute the same as `weighted_rows` for at most `MAX_PANEL_VECTORS` vectors, all of which stay in registers."""
    return _build_rowwise(_PanelSums, A, a_at, lda, d, d_at, ldd, t, t_at, n_rows, n_vectors)


def _build_rowwise(code, *kinds):
    """Return an intrinsic's signature and its code generator."""

    def build(context, builder, signature, arguments):
        code(context, builder, signature.args, arguments).build()
        return context.get_dummy_value()

    return types.void(*argument_types(kinds)), build
