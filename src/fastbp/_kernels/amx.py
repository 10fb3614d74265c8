"""Vector code for the matrix instructions AMX_BF16 of Intel's processors since Sapphire Rapids.

The processor has eight tiles: matrices of 16 rows of 64 bytes, which are 16 words with two bfloat16 numbers each, or 16 float32
numbers. One instruction multiplies a tile of A by a tile of B and adds the result to a tile of C. Subnormal numbers are zero. The
terms of a sum are added in another order than by AVX512_BF16; apart from this, results are the same. A strip is one or two tiles
wide; its rows are computed in blocks of one or two tiles. The code needs permission of the operating system, and runs between
`configure_tiles` and `release_tiles`, because other libraries may use tiles in the same thread. This module does not know which
strips form a product.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .._compat import cgutils
from .tiles import build_strip
from .vector_code import PairProducts, VectorCode, i64

# The number of rows of a tile, and the number of words or float32 numbers in a row, which is also the size of a vector.
TILE_SIZE = 16
_ROW_BYTES, _N_TILES = 64, 8
_I8 = ir.IntType(8)
_POINTER = _I8.as_pointer()
# The layout of a configuration: the palette, the first row, 14 zeros, the sizes of the rows in bytes (uint16), and from byte 48 the
# numbers of rows.
_CONFIGURATION = [1, 0, *[0] * 14, *[_ROW_BYTES, 0] * _N_TILES, *[0] * 16, *[TILE_SIZE] * _N_TILES, *[0] * 8]
# The numbers of the tiles: two of A, two of B; the first four are those of C.
_A_TILES, _B_TILES = (4, 5), (6, 7)


def _call_intrinsic(builder, name, *arguments):
    kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.{name}"), arguments)


@intrinsic
def configure_tiles(typing_context):
    """Give all eight tiles of this thread 16 rows of 64 bytes."""

    def build(context, builder, signature, arguments):
        kind = ir.ArrayType(_I8, len(_CONFIGURATION))
        constant = cgutils.global_constant(builder, "tile_configuration", ir.Constant(kind, _CONFIGURATION))
        _call_intrinsic(builder, "ldtilecfg", builder.bitcast(constant, _POINTER))
        return context.get_dummy_value()

    return types.void(), build


@intrinsic
def release_tiles(typing_context):
    """Remove the configuration of the tiles of this thread."""

    def build(context, builder, signature, arguments):
        _call_intrinsic(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), build


# ---------------------------------------------------------------------- products


class _TileStrip(VectorCode):
    """Generates the code of one strip C[:n_rows, c_at:] = A·B; subclasses define how rows of results are stored.

    The rows of A start at multiples of `stride` words. B is contiguous. Both have `depth` words in the direction of the sum, which
    is a multiple of TILE_SIZE. Blocks of rows may extend beyond the last row, so A must have space for whole tiles of rows.
    """

    def __init__(self, context, builder, signature, arguments, n_vectors):
        kinds = signature.args
        A, self.stride, B, b_at, C, c_at, self.ldc, self.n_rows, depth = arguments[:9]
        super().__init__(context, builder, kinds[4].dtype)
        self.n_vectors, self.arguments = n_vectors, list(zip(kinds, arguments))[9:]
        self.A, self.B = self.pointer_to(kinds[0], A, i64(0)), self.pointer_to(kinds[2], B, b_at)
        self.C, self.n_steps = self.pointer_to(kinds[4], C, c_at), builder.sdiv(depth, i64(TILE_SIZE))
        with builder.goto_entry_block():
            self.sums = builder.alloca(ir.ArrayType(self.vector, 2 * TILE_SIZE * n_vectors))
        self.sums.align = _ROW_BYTES

    def build(self):
        """Generate the code for all rows: blocks with two tiles of rows, and one tile if at most 16 rows are left."""
        b, double = self.builder, i64(2 * TILE_SIZE)
        n_doubles = b.sdiv(b.add(self.n_rows, i64(TILE_SIZE - 1)), double)
        with cgutils.for_range(b, n_doubles) as loop:
            self.block(b.mul(loop.index, double), 2)
        row = b.mul(n_doubles, double)
        with b.if_then(b.icmp_signed("<", row, self.n_rows)):
            self.block(row, 1)

    def block(self, row, n_tiles):
        """Generate the code for n_tiles tiles of rows × n_vectors tiles of columns, which stay in registers during the sums."""
        b = self.builder
        tiles = [[_I8(2 * i + j) for j in range(self.n_vectors)] for i in range(n_tiles)]
        for row_tiles in tiles:
            for tile in row_tiles:
                _call_intrinsic(b, "tilezero", tile)
        first = b.gep(self.A, [b.mul(row, self.stride)])
        rows = [b.gep(first, [b.mul(self.stride, i64(TILE_SIZE * i))]) for i in range(n_tiles)]
        with cgutils.for_range(b, self.n_steps) as loop:
            self.step([b.gep(A, [b.mul(loop.index, i64(TILE_SIZE))]) for A in rows], loop.index, tiles)
        for i, j in ((i, j) for i in range(n_tiles) for j in range(self.n_vectors)):
            place = b.gep(self.sums, [i64(0), i64(TILE_SIZE * i * self.n_vectors + j)])
            self.move("tilestored64", tiles[i][j], place, i64(_ROW_BYTES * self.n_vectors))
        n_left, n_block = b.sub(self.n_rows, row), i64(TILE_SIZE * n_tiles)
        with cgutils.for_range(b, b.select(b.icmp_signed("<", n_left, n_block), n_left, n_block)) as loop:
            start = b.gep(self.sums, [i64(0), b.mul(loop.index, i64(self.n_vectors))])
            C = b.gep(self.C, [b.mul(b.add(row, loop.index), self.ldc)])
            scalars = b.bitcast(start, self.C.type)
            self.finish(b.add(row, loop.index), C, [self.load(scalars, v) for v in range(self.n_vectors)])

    def step(self, A, index, tiles):
        """Generate the products for TILE_SIZE words in the direction of the sum; loads are between products, which take longer."""
        b = self.builder
        B = b.gep(self.B, [b.mul(index, i64(TILE_SIZE * TILE_SIZE * self.n_vectors))])
        row_bytes = b.mul(self.stride, i64(_ROW_BYTES // TILE_SIZE))
        for i, row_tiles in enumerate(tiles):
            self.move("tileloadd64", _I8(_A_TILES[i]), A[i], row_bytes)
            for j, tile in enumerate(row_tiles):
                if i == 0:
                    columns = b.gep(B, [i64(TILE_SIZE * j)])
                    self.move("tileloadd64", _I8(_B_TILES[j]), columns, i64(_ROW_BYTES * self.n_vectors))
                _call_intrinsic(b, "tdpbf16ps", tile, _I8(_A_TILES[i]), _I8(_B_TILES[j]))

    def move(self, name, tile, pointer, row_bytes):
        _call_intrinsic(self.builder, name, tile, self.builder.bitcast(pointer, _POINTER), row_bytes)

    def finish(self, row, C, values):
        """Store a row of sums to C."""
        for v, value in enumerate(values):
            self.store(value, C, v)


class _ForwardTiles(_TileStrip):
    """C = max(A·B + bias, floor); a floor of 0 is ReLU, a floor of −inf has no effect. NaN stays NaN."""

    def __init__(self, *context):
        super().__init__(*context)
        (kind, bias), (_, bias_at), (_, floor) = self.arguments
        pointer = self.pointer_to(kind, bias, bias_at)
        self.bias, self.floor = [self.load(pointer, v) for v in range(self.n_vectors)], self.broadcast(floor)

    def finish(self, row, C, values):
        b = self.builder
        values = [b.fadd(value, bias) for value, bias in zip(values, self.bias)]
        super().finish(row, C, [b.select(b.fcmp_ordered("<", z, self.floor), self.floor, z) for z in values])


class _BackwardTiles(_TileStrip):
    """C = A·B; if `relu` is set, elements with an activation of zero become zero."""

    def __init__(self, *context):
        super().__init__(*context)
        (kind, activations), (_, at), (_, relu) = self.arguments
        self.activations, self.keep = self.pointer_to(kind, activations, at), self.broadcast(self.builder.not_(self.as_bool(relu)))

    def finish(self, row, C, values):
        b, zero = self.builder, ir.Constant(self.vector, None)
        A = b.gep(self.activations, [b.mul(row, self.ldc)])
        for v, value in enumerate(values):
            is_active = b.or_(b.fcmp_unordered("!=", self.load(A, v), zero), self.keep)
            values[v] = b.select(is_active, value, zero)
        super().finish(row, C, values)


class _GradientTiles(_TileStrip):
    """C = A·B, or C + A·B if `add` is set. Only n_valid columns of the last vector belong to C."""

    def __init__(self, *context):
        super().__init__(*context)
        (_, add), (_, n_valid) = self.arguments
        whole = ir.Constant(ir.VectorType(ir.IntType(1), self.lanes), [1] * self.lanes)
        self.masks = [*[whole] * (self.n_vectors - 1), self.mask_of_first(n_valid)]
        self.added = [self.builder.and_(mask, self.broadcast(self.as_bool(add))) for mask in self.masks]

    def finish(self, row, C, values):
        b, zeros, alignment = self.builder, ir.Constant(self.vector, None), ir.IntType(32)(self.itemsize)
        for v, (value, mask, added) in enumerate(zip(values, self.masks, self.added)):
            place = b.bitcast(b.gep(C, [i64(v * self.lanes)]), self.vector.as_pointer())
            value = b.fadd(value, self.masked("load", self.vector, place, alignment, added, zeros))
            self.masked("store", ir.VoidType(), value, place, alignment, mask)

    def masked(self, name, result, *arguments):
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.masked.{name}.v{self.lanes}f32.p0")
        return self.builder.call(function, arguments)


@intrinsic
def forward_tiles(typing_context, n_vectors, A, stride, B, b_at, C, c_at, ldc, n_rows, depth, bias, bias_at, floor):
    """Compute C[:n_rows, c_at:] = max(A·B + bias[bias_at:], floor) for n_vectors vectors of columns."""
    return build_strip(_ForwardTiles, n_vectors, A, stride, B, b_at, C, c_at, ldc, n_rows, depth, bias, bias_at, floor)


@intrinsic
def backward_tiles(typing_context, n_vectors, A, stride, B, b_at, C, c_at, ldc, n_rows, depth, activations, at, relu):
    """Compute C[:n_rows, c_at:] = A·B for n_vectors vectors of columns; with `relu`, zero where activations[at:] are zero."""
    return build_strip(_BackwardTiles, n_vectors, A, stride, B, b_at, C, c_at, ldc, n_rows, depth, activations, at, relu)


@intrinsic
def gradient_tiles(typing_context, n_vectors, A, stride, B, b_at, C, c_at, ldc, n_rows, depth, add, n_valid):
    """Compute C[:n_rows, c_at:] = A·B, plus C if `add`, for n_vectors vectors of columns; the last one has n_valid columns."""
    return build_strip(_GradientTiles, n_vectors, A, stride, B, b_at, C, c_at, ldc, n_rows, depth, add, n_valid)


# ---------------------------------------------------------------------- rounding and transposition


@intrinsic
def round_transposed_row_pairs(typing_context, A, a_at, a_stride, n_rows, n_columns, words, at, stride):
    """Write pairs of consecutive rows of a matrix of float32 numbers, transposed.

    The word words[at + j·stride + p] has the elements j of rows 2p and 2p + 1; row i starts at A[a_at + i·a_stride]. Squares of
    16 × 16 words are written, with zeros after the last row and the last column.
    """
    return _build_transposed(True, A, words)


@intrinsic
def round_transposed_rows(typing_context, A, a_at, a_stride, n_rows, n_columns, words, at, stride):
    """Write pairs of neighboring columns of a matrix of float32 numbers, transposed.

    The word words[at + k·stride + i] has the elements 2k and 2k + 1 of row i, which starts at A[a_at + i·a_stride]. Squares of
    16 × 16 words are written, with zeros after the last row and the last column.
    """
    return _build_transposed(False, A, words)


def _build_transposed(joins_rows, A, words):
    def build(context, builder, signature, arguments):
        A, a_at, a_stride, n_rows, n_columns, words, at, stride = arguments
        code = PairProducts(context, builder)
        source, target = code.sums.pointer_to(signature.args[0], A, a_at), code.pointer_to(signature.args[5], words, at)
        height, width = (2 * TILE_SIZE, TILE_SIZE) if joins_rows else (TILE_SIZE, 2 * TILE_SIZE)

        def n_squares(n, size):
            return builder.sdiv(builder.add(n, i64(size - 1)), i64(size))

        with (
            cgutils.for_range(builder, n_squares(n_rows, height)) as down,
            cgutils.for_range(builder, n_squares(n_columns, width)) as across,
        ):
            row, column = builder.mul(down.index, i64(height)), builder.mul(across.index, i64(width))
            rows_left, columns_left = builder.sub(n_rows, row), builder.sub(n_columns, column)
            start = builder.gep(source, [builder.add(builder.mul(row, a_stride), column)])
            out = builder.mul(builder.mul(across.index, i64(TILE_SIZE)), stride)
            out = builder.gep(target, [builder.add(out, builder.mul(down.index, i64(TILE_SIZE)))])

            def place(i, j):
                return builder.gep(start, [builder.add(builder.mul(a_stride, i64(i)), i64(j))])

            def load(i, j):
                return code.sums.load(place(i, j))

            def load_valid(i, j):
                n = builder.select(builder.icmp_signed(">", rows_left, i64(i)), builder.sub(columns_left, i64(j)), i64(0))
                return code.load_first(place(i, j), n)

            is_whole = builder.and_(
                builder.icmp_signed(">=", rows_left, i64(height)), builder.icmp_signed(">=", columns_left, i64(width))
            )
            with builder.if_else(is_whole) as (inside, at_the_end):
                with inside:
                    _write_square(code, joins_rows, load, out, stride)
                with at_the_end:
                    _write_square(code, joins_rows, load_valid, out, stride)
        return context.get_dummy_value()

    n = types.intp
    return types.void(A, n, n, n, n, words, n, n), build


def _write_square(code, joins_rows, load, out, stride):
    """Generate the code for one square of words; `load` returns the vector that starts at a row and a column of the square."""
    if joins_rows:
        square = [code.words_of_halves(load(2 * i, 0), load(2 * i + 1, 0)) for i in range(TILE_SIZE)]
    else:
        square = [code.words_of_neighbors(load(i, 0), load(i, TILE_SIZE)) for i in range(TILE_SIZE)]
    for i, column in enumerate(code.transpose(square)):
        code.store(column, code.builder.gep(out, [code.builder.mul(stride, i64(i))]))
