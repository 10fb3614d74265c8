"""Strips of a matrix product, as vector code written for the processor at hand.

A strip is C[:, j : j + width] = A·B[:, j : j + width] for one to three vectors of columns. Its rows are taken in tiles of up to
a dozen, each of which stays in registers over the whole inner loop. Vectors may reach beyond the columns: B, and what is added at
the start, must be readable one vector further, and C must be as well; where its rows are not whole vectors, what lies behind them
is put back as it was. Which strips make a product is the matter of `products`.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

_FEATURES = (config.CPU_FEATURES if config.CPU_FEATURES is not None else get_host_cpu_features()).split(",")
# The bytes of a vector; of a tile, the most vectors of columns, and the rows that leave registers for these, largest first;
# the rows of tiles of fewer vectors.
HAS_AVX512 = "+avx512f" in _FEATURES
if HAS_AVX512:
    VECTOR_BYTES, TILE_VECTORS, TILE_ROWS, NARROW_ROWS = 64, 3, (9, 4, 2, 1), (12, 8, 4, 2, 1)
elif "+avx2" in _FEATURES:
    VECTOR_BYTES, TILE_VECTORS, TILE_ROWS, NARROW_ROWS = 32, 2, (6, 4, 2, 1), (6, 4, 2, 1)
elif "+neon" in _FEATURES:
    VECTOR_BYTES, TILE_VECTORS, TILE_ROWS, NARROW_ROWS = 16, 3, (8, 4, 2, 1), (12, 8, 4, 2, 1)
else:
    VECTOR_BYTES, TILE_VECTORS, TILE_ROWS, NARROW_ROWS = 16, 2, (6, 4, 2, 1), (6, 4, 2, 1)

_INT = ir.IntType(64)
_FUSED = ("contract",)


def integer(value):
    """A constant index."""
    return ir.Constant(_INT, value)


class Tile:
    """Vectors of one dtype: how they are loaded, stored, filled, multiplied and transposed."""

    def __init__(self, context, builder, dtype):
        self.context, self.builder = context, builder
        self.itemsize = dtype.bitwidth // 8
        self.lanes = VECTOR_BYTES // self.itemsize
        self.vector = ir.VectorType(context.get_data_type(dtype), self.lanes)

    def at(self, kind, array, index):
        return self.builder.gep(make_array(kind)(self.context, self.builder, array).data, [index])

    def splat(self, scalar):
        b, vector = self.builder, ir.VectorType(scalar.type, self.lanes)
        one = b.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return b.shuffle_vector(one, ir.Constant(vector, ir.Undefined), zeros)

    def load(self, pointer, vectors_on=0):
        b = self.builder
        value = b.load(b.bitcast(b.gep(pointer, [integer(vectors_on * self.lanes)]), self.vector.as_pointer()))
        value.align = self.itemsize
        return value

    def store(self, value, pointer, vectors_on=0):
        b = self.builder
        target = b.bitcast(b.gep(pointer, [integer(vectors_on * self.lanes)]), self.vector.as_pointer())
        b.store(value, target).align = self.itemsize

    def multiplied_and_added(self, a, b, c):
        """a·b + c, rounded once where the processor can."""
        return self.builder.fadd(c, self.builder.fmul(a, b, flags=_FUSED), flags=_FUSED)

    def lanes_below(self, n):
        """Which lanes come before the n-th."""
        return self.builder.icmp_signed("<", ir.Constant(ir.VectorType(_INT, self.lanes), list(range(self.lanes))), self.splat(n))

    def spread(self, values, both):
        """What `both` makes of all lanes together, in each lane: of halves, then of quarters, …"""
        distance = self.lanes // 2
        while distance:
            values = both(values, self.shuffled((values, values), [i ^ distance for i in range(self.lanes)]))
            distance //= 2
        return values

    def transposed(self, rows):
        """A square of vectors with rows and columns exchanged: blocks of half the size are swapped, then of a quarter, …"""
        rows, distance = list(rows), self.lanes // 2
        while distance:
            for i in range(self.lanes):
                if not i & distance:
                    pair = rows[i], rows[i + distance]
                    # of the two vectors behind one another, lane j of each that is not in its place comes from the other
                    upper = [j if not j & distance else self.lanes + (j ^ distance) for j in range(self.lanes)]
                    lower = [j ^ distance if not j & distance else self.lanes + j for j in range(self.lanes)]
                    rows[i], rows[i + distance] = self.shuffled(pair, upper), self.shuffled(pair, lower)
            distance //= 2
        return rows

    def shuffled(self, pair, lanes):
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), lanes)
        return self.builder.shuffle_vector(*pair, mask)


class _Strip(Tile):
    """The code of one strip: what its tiles share, and the tiles."""

    def __init__(self, context, builder, signature, arguments, n_vectors):
        A, self.lda, B, b_at, self.ldb, C, c_at, self.ldc, self.n_rows, self.depth = arguments[:10]
        kinds = signature.args
        super().__init__(context, builder, kinds[0].dtype)
        self.n_vectors, self.arguments = n_vectors, list(zip(kinds, arguments))[10:]
        self.A, self.B, self.C = self.at(kinds[0], A, integer(0)), self.at(kinds[2], B, b_at), self.at(kinds[5], C, c_at)

    def flag(self, argument):
        return self.builder.trunc(argument, ir.IntType(1))

    def rows(self):
        """All rows: as many of the largest tiles as there is room for, then of each smaller one."""
        row, heights = integer(0), self.heights()
        for n_tile, n_smaller in zip(heights, (*heights[1:], 0)):
            row = self.tiles(row, n_tile, n_smaller)

    def heights(self):
        """The rows of its tiles, largest first; pairs are left out, as tiles of four may overlap."""
        return [n for n in (TILE_ROWS if self.n_vectors == TILE_VECTORS else NARROW_ROWS) if n != 2]

    def tiles(self, start, n_tile, n_smaller):
        """Tiles of n_tile rows while more are left than a smaller one has; returns the next row.

        The last may begin before it, as rows that are done come out the same once more, C being no part of what they are made of.
        """
        b = self.builder
        enough = b.icmp_signed(">=", self.n_rows, integer(n_tile))
        entry, head, body, rest = b.block, *(b.append_basic_block(name) for name in ("tiles", "tile", "rest"))
        b.branch(head)
        b.position_at_end(head)
        row = b.phi(_INT)
        row.add_incoming(start, entry)
        last = b.sub(self.n_rows, integer(n_tile))
        more = b.icmp_signed("<", row, b.sub(self.n_rows, integer(n_smaller)))
        b.cbranch(b.and_(more, enough), body, rest)
        b.position_at_end(body)
        self.tile(b.select(b.icmp_signed("<", row, last), row, last), n_tile)
        row.add_incoming(b.add(row, integer(n_tile)), b.block)
        b.branch(head)
        b.position_at_end(rest)
        return row

    def tile(self, row, n_tile):
        """n_tile rows × n_vectors vectors of C, held in registers over the whole depth."""
        b = self.builder
        C = [b.gep(self.C, [b.mul(b.add(row, integer(i)), self.ldc)]) for i in range(n_tile)]
        first = self.start(C)
        A, step = self.rows_of_A(row, n_tile)
        entry, head, body, done = b.block, *(b.append_basic_block(name) for name in ("depth", "products", "done"))
        b.branch(head)
        b.position_at_end(head)
        k, a_step, b_step = b.phi(_INT), b.phi(_INT), b.phi(_INT)
        sums = [[b.phi(self.vector) for _ in range(self.n_vectors)] for _ in C]
        for phi, value in [(k, integer(0)), (a_step, integer(0)), (b_step, integer(0))]:
            phi.add_incoming(value, entry)
        for row_sums, row_first in zip(sums, first):
            for phi, value in zip(row_sums, row_first):
                phi.add_incoming(value, entry)
        b.cbranch(b.icmp_signed("<", k, self.depth), body, done)
        b.position_at_end(body)
        columns = [self.load(b.gep(self.B, [b_step]), v) for v in range(self.n_vectors)]
        for pointer, row_sums in zip(A, sums):
            a = self.splat(b.load(b.gep(pointer, [a_step])))
            for phi, column in zip(row_sums, columns):
                phi.add_incoming(self.multiplied_and_added(a, column, phi), b.block)
        for phi, change in [(k, integer(1)), (a_step, step), (b_step, self.ldb)]:
            phi.add_incoming(b.add(phi, change), b.block)
        b.branch(head)
        b.position_at_end(done)
        self.finish(row, C, sums)

    def rows_of_A(self, row, n_tile):
        """Where each row of the tile starts in A, and the way from one k to the next."""
        b = self.builder
        rows = [b.gep(self.A, [b.mul(b.add(row, integer(i)), self.lda)]) for i in range(n_tile)]
        # LLVM would take each row's address from the one before, by additions that compete with the products
        # for ports; more than nine addresses would not fit into registers
        return [self.opaque(pointer) for pointer in rows] if n_tile < 12 else rows, integer(1)

    def opaque(self, pointer):
        """The same pointer, but LLVM does not know it."""
        return self.builder.asm(ir.FunctionType(pointer.type, [pointer.type]), "", "=r,0", [pointer], False)

    def start(self, C):
        """What the sums of each row of a tile start from."""
        return [[ir.Constant(self.vector, None)] * self.n_vectors] * len(C)

    def finish(self, row, C, sums):
        for pointer, row_sums in zip(C, sums):
            for v, value in enumerate(row_sums):
                self.store(value, pointer, v)


class _Forward(_Strip):
    """Starts from the bias, and raises what is below a floor to it: 0 makes the ReLU, −inf nothing. NaN passes."""

    def __init__(self, *context):
        super().__init__(*context)
        (kind, bias), (_, bias_at), (_, floor) = self.arguments
        self.bias, self.floor = self.at(kind, bias, bias_at), self.splat(floor)

    def start(self, C):
        return [[self.load(self.bias, v) for v in range(self.n_vectors)]] * len(C)

    def finish(self, row, C, sums):
        b = self.builder
        super().finish(row, C, [[b.select(b.fcmp_ordered("<", z, self.floor), self.floor, z) for z in zs] for zs in sums])


class _Backward(_Strip):
    """Where `relu` is set, what stands over an activation of zero becomes zero."""

    def __init__(self, *context):
        super().__init__(*context)
        (kind, activations), (_, at), (_, relu) = self.arguments
        self.activations, self.keep = self.at(kind, activations, at), self.splat(self.builder.not_(self.flag(relu)))

    def finish(self, row, C, sums):
        b, zero = self.builder, ir.Constant(self.vector, None)
        for i, values in enumerate(sums):
            A = b.gep(self.activations, [b.mul(b.add(row, integer(i)), self.ldc)])
            for v, value in enumerate(values):
                open_ = b.or_(b.fcmp_unordered("!=", self.load(A, v), zero), self.keep)
                values[v] = b.select(open_, value, zero)
        super().finish(row, C, sums)


class _Gradient(_Strip):
    """Adds to C where `add`; A is transposed, or in panels of ``pack_panel`` if `packed`; the last n_valid columns are C's."""

    def __init__(self, *context):
        super().__init__(*context)
        (_, add), (_, packed), (_, n_valid) = self.arguments
        self.add, self.packed = self.flag(add), self.flag(packed)
        self.whole = self.builder.icmp_signed(">=", n_valid, integer(self.lanes))
        self.valid = self.lanes_below(n_valid)

    def heights(self):
        return TILE_ROWS  # as panels have

    def tiles(self, start, n_tile, n_smaller):
        """Tiles of n_tile rows while so many are left, as none is to be added twice."""
        return super().tiles(start, n_tile, n_tile - 1)

    def rows_of_A(self, row, n_tile):
        b = self.builder
        first = b.select(self.packed, b.mul(row, self.depth), row)
        rows = [b.gep(self.A, [b.add(first, integer(i))]) for i in range(n_tile)]
        return rows, b.select(self.packed, integer(n_tile), self.lda)

    def start(self, C):
        first = super().start(C)
        return self.chosen(self.add, lambda: [[self.load(c, v) for v in range(self.n_vectors)] for c in C], lambda: first)

    def finish(self, row, C, sums):
        """Puts back what is behind the last column."""
        b, last = self.builder, self.n_vectors - 1

        def kept():
            return [[b.select(self.valid, values[last], self.load(pointer, last))] for pointer, values in zip(C, sums)]

        lasts = self.chosen(self.whole, lambda: [[values[last]] for values in sums], kept)
        super().finish(row, C, [[*values[:last], *value] for values, value in zip(sums, lasts)])

    def chosen(self, condition, made, otherwise):
        """Rows of vectors made in one way or the other: by a jump, as memory that is not asked for is not waited for."""
        b = self.builder
        yes, no, after = (b.append_basic_block(name) for name in ("yes", "no", "after"))
        b.cbranch(condition, yes, no)
        b.position_at_end(yes)
        these = made()
        b.branch(after)
        b.position_at_end(no)
        those = otherwise()
        b.branch(after)
        b.position_at_end(after)
        rows = [[b.phi(self.vector) for _ in row] for row in these]
        for row, *sources in zip(rows, these, those):
            for phi, this, that in zip(row, *sources):
                phi.add_incoming(this, yes)
                phi.add_incoming(that, no)
        return rows


@intrinsic
def forward_strip(typing_context, n_vectors, A, lda, B, b_at, ldb, C, c_at, ldc, n_rows, depth, bias, bias_at, floor):
    return _built(_Forward, n_vectors, A, lda, B, b_at, ldb, C, c_at, ldc, n_rows, depth, bias, bias_at, floor)


@intrinsic
def backward_strip(typing_context, n_vectors, A, lda, B, b_at, ldb, C, c_at, ldc, n_rows, depth, activations, at, relu):
    return _built(_Backward, n_vectors, A, lda, B, b_at, ldb, C, c_at, ldc, n_rows, depth, activations, at, relu)


@intrinsic
def gradient_strip(typing_context, n_vectors, A, lda, B, b_at, ldb, C, c_at, ldc, n_rows, depth, add, packed, n_valid):
    return _built(_Gradient, n_vectors, A, lda, B, b_at, ldb, C, c_at, ldc, n_rows, depth, add, packed, n_valid)


def _built(strip, n_vectors, *kinds):
    """What an intrinsic returns: the signature, and the code for a literal number of vectors."""
    if not isinstance(n_vectors, types.IntegerLiteral):
        return None
    kinds = [kind if isinstance(kind, (types.Array, types.Float)) else types.intp for kind in kinds]

    def build(context, builder, signature, arguments):
        shifted = types.void(*signature.args[1:])
        strip(context, builder, shifted, arguments[1:], n_vectors.literal_value).rows()
        return context.get_dummy_value()

    return types.void(n_vectors, *kinds), build


@intrinsic
def lanes_of(typing_context, array):
    """How many elements of an array a vector holds: a constant."""
    lanes = VECTOR_BYTES // (array.dtype.bitwidth // 8)
    return types.intp(array), lambda context, builder, signature, arguments: integer(lanes)


@intrinsic
def pack_panel(typing_context, n_vectors, A, a_at, lda, P, p_at, width, depth):
    """P[p_at + k·width : … + width] = A[a_at + k·lda : … + width] for k below depth, in this order and by whole vectors."""

    def build(context, builder, signature, arguments):
        n_vectors, A, a_at, lda, P, p_at, width, depth = arguments
        tile = Tile(context, builder, signature.args[1].dtype)
        source, target = tile.at(signature.args[1], A, a_at), tile.at(signature.args[4], P, p_at)
        with cgutils.for_range(builder, depth) as loop:
            row, place = (builder.gep(start, [builder.mul(loop.index, step)]) for start, step in ((source, lda), (target, width)))
            with cgutils.for_range(builder, n_vectors) as vectors:
                at = builder.mul(vectors.index, integer(tile.lanes))
                tile.store(tile.load(builder.gep(row, [at])), builder.gep(place, [at]))
        return context.get_dummy_value()

    n = types.intp
    return types.void(n, A, n, n, P, n, n, n), build


@intrinsic
def transpose_tile(typing_context, W, w_at, n_out, W_T, t_at, stride):
    """Transpose a square of as many rows and columns as a vector has lanes, from W[w_at] on, to W_T[t_at] on."""

    def build(context, builder, signature, arguments):
        W, w_at, n_out, W_T, t_at, stride = arguments
        tile = Tile(context, builder, signature.args[0].dtype)
        source, target = tile.at(signature.args[0], W, w_at), tile.at(signature.args[3], W_T, t_at)
        rows = [tile.load(builder.gep(source, [builder.mul(n_out, integer(i))])) for i in range(tile.lanes)]
        for i, row in enumerate(tile.transposed(rows)):
            tile.store(row, builder.gep(target, [builder.mul(stride, integer(i))]))
        return context.get_dummy_value()

    return types.void(W, types.intp, types.intp, W_T, types.intp, types.intp), build
