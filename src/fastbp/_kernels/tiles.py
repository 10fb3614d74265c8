"""Strips of matrix products, as vector code for the current processor.

A strip is C[:, j : j + width] = A·B[:, j : j + width] for one to three vectors of columns. It is computed in tiles of up to twelve
rows, which stay in registers during the whole inner loop. If A and B are matrices of words, the terms of the sums are the products
of pairs of bfloat16 numbers, and C and everything else is float32. The last vector of a strip may extend beyond the last column, so
B, C and the values added at the start must have space for one more vector. If the rows of a gradient C are not a whole number of
vectors, the elements after the last column are restored. This module does not know which strips form a product.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .._compat import cgutils
from .intrinsics import intrinsic_kernel
from .targets import HAS_AVX2, HAS_AVX512, HAS_NEON, VECTOR_BYTES
from .vector_code import I64, PairProducts, VectorCode, argument_types, i64

# TILE_VECTORS is the number of vectors of columns in the widest strip. TILE_ROWS are the numbers of rows of its tiles, largest
# first; the largest number is limited by the number of registers. NARROW_TILE_ROWS are the same for narrower strips.
if HAS_AVX512:
    TILE_VECTORS, TILE_ROWS, NARROW_TILE_ROWS = 3, (9, 4, 2, 1), (12, 8, 4, 2, 1)
elif HAS_AVX2:
    TILE_VECTORS, TILE_ROWS, NARROW_TILE_ROWS = 2, (6, 4, 2, 1), (6, 4, 2, 1)
elif HAS_NEON:
    TILE_VECTORS, TILE_ROWS, NARROW_TILE_ROWS = 3, (8, 4, 2, 1), (12, 8, 4, 2, 1)
else:
    TILE_VECTORS, TILE_ROWS, NARROW_TILE_ROWS = 2, (6, 4, 2, 1), (6, 4, 2, 1)


class _ProductStrip(VectorCode):
    """Generates the code of one strip; subclasses define the start values of the sums and how sums are stored."""

    def __init__(self, context, builder, signature, arguments, n_vectors):
        A, self.lda, B, b_at, self.ldb, C, c_at, self.ldc, self.n_rows, self.depth = arguments[:10]
        kinds = signature.args
        super().__init__(context, builder, kinds[5].dtype)
        self.factors = PairProducts(context, builder) if kinds[0].dtype == types.uint32 else self
        self.n_vectors, self.arguments = n_vectors, list(zip(kinds, arguments))[10:]
        self.A = self.pointer_to(kinds[0], A, i64(0))
        self.B, self.C = self.pointer_to(kinds[2], B, b_at), self.pointer_to(kinds[5], C, c_at)

    def build(self):
        """Generate the code for all rows: first for the largest tiles, then for each smaller size."""
        row, sizes = i64(0), self.tile_sizes()
        for n_tile, n_smaller in zip(sizes, (*sizes[1:], 0)):
            row = self.tiles(row, n_tile, n_smaller)

    def tile_sizes(self):
        """Return the numbers of rows of the tiles, largest first; 2 is not needed, because tiles of four rows may overlap."""
        return [n for n in (TILE_ROWS if self.n_vectors == TILE_VECTORS else NARROW_TILE_ROWS) if n != 2]

    def tiles(self, start, n_tile, n_smaller):
        """Generate a loop over tiles of n_tile rows that runs while more than n_smaller rows are left; return the next row.

        The last tile may overlap the previous one. C is not read, so rows that are computed twice have the same values.
        """
        b = self.builder
        enough = b.icmp_signed(">=", self.n_rows, i64(n_tile))
        entry, head, body, rest = b.block, *(b.append_basic_block(name) for name in ("tiles", "tile", "rest"))
        b.branch(head)
        b.position_at_end(head)
        row = b.phi(I64)
        row.add_incoming(start, entry)
        last = b.sub(self.n_rows, i64(n_tile))
        more = b.icmp_signed("<", row, b.sub(self.n_rows, i64(n_smaller)))
        b.cbranch(b.and_(more, enough), body, rest)
        b.position_at_end(body)
        self.tile(b.select(b.icmp_signed("<", row, last), row, last), n_tile)
        row.add_incoming(b.add(row, i64(n_tile)), b.block)
        b.branch(head)
        b.position_at_end(rest)
        return row

    def tile(self, row, n_tile):
        """Generate the code for n_tile rows × n_vectors vectors of C, which stay in registers during the loop over the depth."""
        b = self.builder
        C = [b.gep(self.C, [b.mul(b.add(row, i64(i)), self.ldc)]) for i in range(n_tile)]
        first = self.start(C)
        A, step = self.rows_of_A(row, n_tile)
        products = self.products_of_blocks if self.factors.multiplies_blocks else self.products
        self.finish(row, C, products(A, step, first))

    def products(self, A, step, first):
        """Return the sums of the products of rows of A with the columns, which start at `first`."""

        def next_sums(a_at, b_at, sums):
            columns = [self.factors.load(self.builder.gep(self.B, [b_at]), v) for v in range(self.n_vectors)]
            result = []
            for row, row_sums in zip(A, sums):
                a = self.broadcast(self.builder.load(self.builder.gep(row, [a_at])))
                result.append([self.factors.multiply_add(a, column, value) for column, value in zip(columns, row_sums)])
            return result

        return self.sum_over_depth(self.depth, step, self.ldb, first, next_sums)[0]

    def products_of_blocks(self, A, step, first):
        """Return the same sums, computed as products of blocks: two rows of A and two columns of B, with two words of each."""
        b, n_rows = self.builder, len(A)
        A, first = ([*rows, rows[-1]] if n_rows % 2 else rows for rows in (A, first))
        pairs = list(zip(A[::2], A[1::2]))
        start = [self.blocks_of_rows(*rows) for rows in zip(first[::2], first[1::2])]

        def next_sums(a_at, b_at, sums, has_second=True):
            """Return the sums after two more words of each row and column, or after the last word."""
            columns = self.blocks_of_columns(b_at, has_second)
            result = []
            for rows, row_sums in zip(pairs, sums):
                a = self.block_of_A(rows, a_at, step) if has_second else self.last_block_of_A(rows, a_at)
                result.append([self.factors.multiply_add_blocks(a, column, value) for column, value in zip(columns, row_sums)])
            return result

        steps = (b.add(step, step), b.add(self.ldb, self.ldb))
        sums, a_at, b_at = self.sum_over_depth(b.sdiv(self.depth, i64(2)), *steps, start, next_sums)
        is_odd = b.trunc(self.depth, ir.IntType(1))
        sums = self.branch(is_odd, lambda: next_sums(a_at, b_at, sums, has_second=False), lambda: sums)
        return [row for blocks in sums for row in self.rows_of_blocks(blocks)][:n_rows]

    def block_of_A(self, rows, a_at, step):
        """Return a vector with two words of each of two rows, which are neighbors in memory."""
        words = [self.factors.load_half(self.builder.gep(row, [a_at])) for row in rows]
        return self.builder.shuffle_vector(*words, ir.Constant(ir.VectorType(ir.IntType(32), 4), [0, 1, 2, 3]))

    def last_block_of_A(self, rows, a_at):
        """Return a vector with a word and a zero of each of two rows."""
        b, words = self.builder, ir.Constant(self.factors.vector, None)
        for row, lane in zip(rows, (0, 2)):
            words = b.insert_element(words, b.load(b.gep(row, [a_at])), ir.Constant(ir.IntType(32), lane))
        return words

    def blocks_of_columns(self, b_at, has_second):
        """Return vectors with the words of two columns each, in two rows of B, or in one row and zeros."""
        words, blocks = self.factors, []
        for v in range(self.n_vectors):
            first, second = words.load(self.builder.gep(self.B, [b_at]), v), ir.Constant(words.vector, None)
            if has_second:
                second = words.load(self.builder.gep(self.B, [self.builder.add(b_at, self.ldb)]), v)
            blocks += [words.shuffle((first, second), lanes) for lanes in ([0, 4, 1, 5], [2, 6, 3, 7])]
        return blocks

    def blocks_of_rows(self, upper, lower):
        """Return the blocks of two rows of vectors: the first two elements of both rows, the next two of both rows, and so on."""
        return [self.shuffle(pair, lanes) for pair in zip(upper, lower) for lanes in ([0, 1, 4, 5], [2, 3, 6, 7])]

    def rows_of_blocks(self, blocks):
        """Return the two rows of vectors of blocks from `blocks_of_rows`."""
        pairs = list(zip(blocks[::2], blocks[1::2]))
        return [[self.shuffle(pair, lanes) for pair in pairs] for lanes in ([0, 1, 4, 5], [2, 3, 6, 7])]

    def sum_over_depth(self, n_steps, a_step, b_step, first, next_sums):
        """Generate a loop of n_steps steps, which add to sums (rows of vectors) that stay in registers.

        next_sums(a_at, b_at, sums) returns the sums after the step that reads A and B at these offsets. Return the last sums, and
        the offsets after them.
        """
        b = self.builder
        entry, head, body, done = b.block, *(b.append_basic_block(name) for name in ("depth", "products", "done"))
        b.branch(head)
        b.position_at_end(head)
        counters, sums = [b.phi(I64) for _ in range(3)], [[b.phi(self.vector) for _ in row] for row in first]
        for phi in counters:
            phi.add_incoming(i64(0), entry)
        for row_sums, row_first in zip(sums, first):
            for phi, value in zip(row_sums, row_first):
                phi.add_incoming(value, entry)
        k, a_at, b_at = counters
        b.cbranch(b.icmp_signed("<", k, n_steps), body, done)
        b.position_at_end(body)
        for row_sums, row_next in zip(sums, next_sums(a_at, b_at, sums)):
            for phi, value in zip(row_sums, row_next):
                phi.add_incoming(value, b.block)
        for phi, change in zip(counters, (i64(1), a_step, b_step)):
            phi.add_incoming(b.add(phi, change), b.block)
        # unrolling a loop of words, LLVM would keep the words of two steps in registers, and store sums on the stack
        self.set_loop_options(b.branch(head), unroll=self.factors is self)
        b.position_at_end(done)
        return sums, a_at, b_at

    def rows_of_A(self, row, n_tile):
        """Return pointers to the rows of A for a tile, and the distance between elements k and k + 1 of a row."""
        b = self.builder
        rows = [b.gep(self.A, [b.mul(b.add(row, i64(i)), self.lda)]) for i in range(n_tile)]
        # LLVM would compute the address of each row from the previous one, with additions that use the same ports of the
        # processor as the products; hiding more than nine addresses would need more registers than there are
        return [self.hidden_from_optimizer(pointer) for pointer in rows] if n_tile < 12 else rows, i64(1)

    def hidden_from_optimizer(self, pointer):
        """Return the same pointer after an empty assembler instruction, so that LLVM does not know how it was computed."""
        return self.builder.asm(ir.FunctionType(pointer.type, [pointer.type]), "", "=r,0", [pointer], False)

    def branch(self, condition, if_true, if_false):
        """Return rows of vectors from one of two functions; unlike a select, a branch does not load memory unnecessarily."""
        b = self.builder
        yes, no, after = (b.append_basic_block(name) for name in ("yes", "no", "after"))
        b.cbranch(condition, yes, no)
        b.position_at_end(yes)
        these = if_true()
        b.branch(after)
        b.position_at_end(no)
        those = if_false()
        b.branch(after)
        b.position_at_end(after)
        rows = [[b.phi(self.vector) for _ in row] for row in these]
        for row, *sources in zip(rows, these, those):
            for phi, this, that in zip(row, *sources):
                phi.add_incoming(this, yes)
                phi.add_incoming(that, no)
        return rows

    def start(self, C):
        """Return the start values of the sums: a list of vectors for each row of a tile."""
        return [[ir.Constant(self.vector, None)] * self.n_vectors] * len(C)

    def finish(self, row, C, sums):
        """Store the sums of a tile."""
        for pointer, row_sums in zip(C, sums):
            for v, value in enumerate(row_sums):
                self.store(value, pointer, v)


class _ForwardStrip(_ProductStrip):
    """C = max(A·B + bias, floor); a floor of 0 is ReLU, a floor of −inf has no effect. NaN stays NaN."""

    def __init__(self, *context):
        super().__init__(*context)
        (kind, bias), (_, bias_at), (_, floor) = self.arguments
        self.bias, self.floor = self.pointer_to(kind, bias, bias_at), self.broadcast(floor)

    def start(self, C):
        return [[self.load(self.bias, v) for v in range(self.n_vectors)]] * len(C)

    def finish(self, row, C, sums):
        b = self.builder
        super().finish(row, C, [[b.select(b.fcmp_ordered("<", z, self.floor), self.floor, z) for z in zs] for zs in sums])


class _BackwardStrip(_ProductStrip):
    """C = A·B; if `relu` is set, elements with an activation of zero become zero."""

    def __init__(self, *context):
        super().__init__(*context)
        (kind, activations), (_, at), (_, relu) = self.arguments
        self.activations, self.keep = self.pointer_to(kind, activations, at), self.broadcast(self.builder.not_(self.as_bool(relu)))

    def finish(self, row, C, sums):
        b, zero = self.builder, ir.Constant(self.vector, None)
        for i, values in enumerate(sums):
            A = b.gep(self.activations, [b.mul(b.add(row, i64(i)), self.ldc)])
            for v, value in enumerate(values):
                is_active = b.or_(b.fcmp_unordered("!=", self.load(A, v), zero), self.keep)
                values[v] = b.select(is_active, value, zero)
        super().finish(row, C, sums)


class _GradientStrip(_ProductStrip):
    """C = Aᵀ·B, or C + Aᵀ·B if `add` is set.

    If `packed` is set, A is read from panels that ``pack_panel`` wrote. Only n_valid columns of the last vector belong to C.
    """

    def __init__(self, *context):
        super().__init__(*context)
        (_, add), (_, packed), (_, n_valid) = self.arguments
        self.add, self.packed = self.as_bool(add), self.as_bool(packed)
        self.whole = self.builder.icmp_signed(">=", n_valid, i64(self.lanes))
        self.valid = self.mask_of_first(n_valid)

    def tile_sizes(self):
        return TILE_ROWS  # the widths of panels

    def tiles(self, start, n_tile, n_smaller):
        """Generate a loop over tiles of n_tile rows that do not overlap, because a row must not be added twice."""
        return super().tiles(start, n_tile, n_tile - 1)

    def rows_of_A(self, row, n_tile):
        b = self.builder
        first = b.select(self.packed, b.mul(row, self.depth), row)
        rows = [b.gep(self.A, [b.add(first, i64(i))]) for i in range(n_tile)]
        return rows, b.select(self.packed, i64(n_tile), self.lda)

    def block_of_A(self, rows, a_at, step):
        """Return a vector with two words of each of two rows; the words of both rows are neighbors in memory."""
        b = self.builder
        words = [self.factors.load_half(b.gep(rows[0], [at])) for at in (a_at, b.add(a_at, step))]
        return b.shuffle_vector(*words, ir.Constant(ir.VectorType(ir.IntType(32), 4), [0, 2, 1, 3]))

    def start(self, C):
        first, b = super().start(C), self.builder
        # the rows of the next tile, on other pages of memory, are loaded or stored after the products of this one
        for pointer in C:
            following = b.gep(pointer, [b.mul(self.ldc, i64(len(C)))])
            for v in range(self.n_vectors):
                self.prefetch_for_writing(following, v)
        return self.branch(self.add, lambda: [[self.load(c, v) for v in range(self.n_vectors)] for c in C], lambda: first)

    def finish(self, row, C, sums):
        """Store the sums, and restore the elements after the last column."""
        b, last = self.builder, self.n_vectors - 1

        def with_restored():
            return [[b.select(self.valid, values[last], self.load(pointer, last))] for pointer, values in zip(C, sums)]

        lasts = self.branch(self.whole, lambda: [[values[last]] for values in sums], with_restored)
        super().finish(row, C, [[*values[:last], *value] for values, value in zip(sums, lasts)])


@intrinsic
def forward_strip(typing_context, n_vectors, A, lda, B, b_at, ldb, C, c_at, ldc, n_rows, depth, bias, bias_at, floor):
    """Compute C[:n_rows, c_at:] = max(A[:n_rows, :depth]·B[:depth, b_at:] + bias[bias_at:], floor) for n_vectors vectors."""
    return build_strip(_ForwardStrip, n_vectors, A, lda, B, b_at, ldb, C, c_at, ldc, n_rows, depth, bias, bias_at, floor)


@intrinsic
def backward_strip(typing_context, n_vectors, A, lda, B, b_at, ldb, C, c_at, ldc, n_rows, depth, activations, at, relu):
    """Compute C[:n_rows, c_at:] = A[:n_rows, :depth]·B[:depth, b_at:]; with `relu`, zero where activations[at:] are zero."""
    return build_strip(_BackwardStrip, n_vectors, A, lda, B, b_at, ldb, C, c_at, ldc, n_rows, depth, activations, at, relu)


@intrinsic
def gradient_strip(typing_context, n_vectors, A, lda, B, b_at, ldb, C, c_at, ldc, n_rows, depth, add, packed, n_valid):
    """Compute C[:n_rows, c_at:] = A[:depth, :n_rows]ᵀ·B[:depth, b_at:], plus C if `add`; the last vector has n_valid columns."""
    return build_strip(_GradientStrip, n_vectors, A, lda, B, b_at, ldb, C, c_at, ldc, n_rows, depth, add, packed, n_valid)


def build_strip(strip, n_vectors, *kinds):
    """Return an intrinsic's signature and its code generator; the number of vectors must be a literal."""
    if not isinstance(n_vectors, types.IntegerLiteral):
        return None

    def build(context, builder, signature, arguments):
        without_n_vectors = types.void(*signature.args[1:])
        strip(context, builder, without_n_vectors, arguments[1:], n_vectors.literal_value).build()
        return context.get_dummy_value()

    return types.void(n_vectors, *argument_types(kinds)), build


def _lanes_of(array):
    return VECTOR_BYTES // array.itemsize


@intrinsic_kernel(_lanes_of)
def lanes_of(typing_context, array):
    """Return the number of elements of an array that a vector holds, as a constant."""
    lanes = VECTOR_BYTES // (array.dtype.bitwidth // 8)
    return types.intp(array), lambda context, builder, signature, arguments: i64(lanes)


@intrinsic
def pack_panel(typing_context, n_vectors, A, a_at, lda, P, p_at, width, depth):
    """Copy A[a_at + k·lda : … + width] to P[p_at + k·width : … + width] for k < depth, in the order of k, as whole vectors."""

    def build(context, builder, signature, arguments):
        n_vectors, A, a_at, lda, P, p_at, width, depth = arguments
        code = VectorCode(context, builder, signature.args[1].dtype)
        source, target = code.pointer_to(signature.args[1], A, a_at), code.pointer_to(signature.args[4], P, p_at)
        with cgutils.for_range(builder, depth) as loop:
            row, place = (builder.gep(start, [builder.mul(loop.index, step)]) for start, step in ((source, lda), (target, width)))
            with cgutils.for_range(builder, n_vectors) as vectors:
                at = builder.mul(vectors.index, i64(code.lanes))
                code.store(code.load(builder.gep(row, [at])), builder.gep(place, [at]))
        return context.get_dummy_value()

    n = types.intp
    return types.void(n, A, n, n, P, n, n, n), build


@intrinsic
def transpose_tile(typing_context, W, w_at, n_out, W_T, t_at, stride):
    """Compute W_T[t_at:] = W[w_at:]ᵀ for a square with as many rows and columns as a vector has lanes."""

    def build(context, builder, signature, arguments):
        W, w_at, n_out, W_T, t_at, stride = arguments
        code = VectorCode(context, builder, signature.args[0].dtype)
        source, target = code.pointer_to(signature.args[0], W, w_at), code.pointer_to(signature.args[3], W_T, t_at)
        rows = [code.load(builder.gep(source, [builder.mul(n_out, i64(i))])) for i in range(code.lanes)]
        for i, row in enumerate(code.transpose(rows)):
            code.store(row, builder.gep(target, [builder.mul(stride, i64(i))]))
        return context.get_dummy_value()

    return types.void(W, types.intp, types.intp, W_T, types.intp, types.intp), build
