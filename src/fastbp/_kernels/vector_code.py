"""LLVM vector code for the target processor: operations on vectors of the size that the target has.

`VectorCode` generates the instructions that load, store, multiply, reduce and transpose vectors of one dtype. The intrinsics of
`tiles`, `dots` and `adam` use it. `PairProducts` is for vectors of words. A word, which is an uint32, contains two bfloat16
numbers, the first in its lower half, and a bfloat16 number is the upper half of a float32 number. This module does not know which
formulas are computed.
"""

from llvmlite import ir
from numba import types

from .._compat import cgutils, make_array
from .targets import HAS_BFLOAT16, IS_X86, VECTOR_BYTES

I64 = ir.IntType(64)
FIRST_LANE = ir.Constant(ir.IntType(32), 0)
_CONTRACT = ("contract",)


def i64(value):
    """Return an int64 constant."""
    return ir.Constant(I64, value)


def argument_types(kinds):
    """Return the types of an intrinsic's arguments: arrays and floats as they are, everything else as an index."""
    return [kind if isinstance(kind, (types.Array, types.Float)) else types.intp for kind in kinds]


class VectorCode:
    """Generates code for vectors of one dtype."""

    multiplies_blocks = False

    def __init__(self, context, builder, dtype):
        self.context, self.builder = context, builder
        self.itemsize = dtype.bitwidth // 8
        self.lanes = VECTOR_BYTES // self.itemsize
        self.vector = ir.VectorType(context.get_data_type(dtype), self.lanes)

    def pointer_to(self, array_type, array, index):
        """Return the address of an element of a contiguous array."""
        return self.builder.gep(make_array(array_type)(self.context, self.builder, array).data, [index])

    def broadcast(self, scalar):
        """Return a vector with the scalar in every lane."""
        b, vector = self.builder, ir.VectorType(scalar.type, self.lanes)
        one = b.insert_element(ir.Constant(vector, ir.Undefined), scalar, FIRST_LANE)
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return b.shuffle_vector(one, ir.Constant(vector, ir.Undefined), zeros)

    def load(self, pointer, offset=0):
        """Load the vector that starts `offset` vectors after the pointer."""
        b = self.builder
        value = b.load(b.bitcast(b.gep(pointer, [i64(offset * self.lanes)]), self.vector.as_pointer()))
        value.align = self.itemsize
        return value

    def store(self, value, pointer, offset=0):
        """Store a vector `offset` vectors after the pointer."""
        b = self.builder
        target = b.bitcast(b.gep(pointer, [i64(offset * self.lanes)]), self.vector.as_pointer())
        b.store(value, target).align = self.itemsize

    def prefetch_for_writing(self, pointer, offset=0):
        """Start loading the cache line `offset` vectors after the pointer, which need not be a valid address."""
        b, flag = self.builder, ir.IntType(32)
        address = b.bitcast(b.gep(pointer, [i64(offset * self.lanes)]), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [address.type, flag, flag, flag])
        b.call(cgutils.get_or_insert_function(b.module, kind, "llvm.prefetch.p0i8"), [address, flag(1), flag(3), flag(1)])

    def multiply_add(self, a, b, c):
        """Return a·b + c, rounded once if the processor has an instruction for it."""
        return self.builder.fadd(c, self.builder.fmul(a, b, flags=_CONTRACT), flags=_CONTRACT)

    def as_bool(self, argument):
        """Return the lowest bit of an integer argument as a condition."""
        return self.builder.trunc(argument, ir.IntType(1))

    def mask_of_first(self, n):
        """Return a mask of the first n lanes."""
        numbers = ir.Constant(ir.VectorType(I64, self.lanes), list(range(self.lanes)))
        return self.builder.icmp_signed("<", numbers, self.broadcast(n))

    def reduce_lanes(self, values, combine):
        """Return a vector with the reduction over all lanes in each lane; halves are combined first, then quarters, and so on."""
        distance = self.lanes // 2
        while distance:
            values = combine(values, self.shuffle((values, values), [i ^ distance for i in range(self.lanes)]))
            distance //= 2
        return values

    def transpose(self, rows):
        """Transpose a square of vectors: blocks of half its size are exchanged first, then blocks of a quarter, and so on."""
        rows, distance = list(rows), self.lanes // 2
        while distance:
            for i in range(self.lanes):
                if not i & distance:
                    pair = rows[i], rows[i + distance]
                    # the lanes of the second vector are numbered after those of the first; each result has half its lanes from each
                    upper = [j if not j & distance else self.lanes + (j ^ distance) for j in range(self.lanes)]
                    lower = [j ^ distance if not j & distance else self.lanes + j for j in range(self.lanes)]
                    rows[i], rows[i + distance] = self.shuffle(pair, upper), self.shuffle(pair, lower)
            distance //= 2
        return rows

    def set_loop_options(self, branch, *, unroll):
        """Set options of a loop at the branch from its end to its start: its alignment, and whether LLVM may unroll it.

        A short loop that starts in the middle of a cache line takes up to a fifth longer.
        """
        module = self.builder.module
        options = [module.add_metadata(["llvm.loop.align", ir.Constant(ir.IntType(32), 64)])]
        if not unroll:
            options.append(module.add_metadata(["llvm.loop.unroll.disable"]))
        loop = module.add_metadata(options)
        loop.operands = (loop, *options)  # the first operand of the node of a loop is the node itself
        branch.set_metadata("llvm.loop", loop)

    def shuffle(self, pair, lanes):
        """Return the given lanes of two vectors; the lanes of the second vector are numbered after those of the first."""
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), lanes)
        return self.builder.shuffle_vector(*pair, mask)


class _BFloatType(ir.Type):
    """LLVM's type bfloat, which llvmlite does not define."""

    intrinsic_name = "bf16"

    def _to_string(self):
        return "bfloat"

    def __eq__(self, other):
        return isinstance(other, _BFloatType)

    def __hash__(self):
        return hash(_BFloatType)


class PairProducts(VectorCode):
    """Generates code for vectors of words, whose products are added to vectors of float32 numbers.

    Numbers are rounded to the nearest bfloat16, ties to even; subnormal numbers become zero, and NaN stays NaN. Processors with
    AVX512_BF16 or with the BF16 extension of ARM have instructions for this. Without them, several instructions compute the results
    of AVX512_BF16.

    With `multiplies_blocks`, there is an instruction for the product of two rows of A and two columns of B, each with two words.
    """

    multiplies_blocks = HAS_BFLOAT16 and not IS_X86

    def __init__(self, context, builder):
        super().__init__(context, builder, types.uint32)
        self.sums = VectorCode(context, builder, types.float32)
        self.pairs = ir.VectorType(_BFloatType(), 2 * self.lanes)

    def multiply_add(self, a, b, c):
        """Return c + a₁·b₁ + a₀·b₀ for each word, where c is a vector of float32 numbers."""
        if HAS_BFLOAT16:
            name = "llvm.x86.avx512bf16.dpbf16ps.512" if IS_X86 else "llvm.aarch64.neon.bfdot.v4f32.v8bf16"
            return self._call(name, self.sums.vector, c, self._bitcast(a, self.pairs), self._bitcast(b, self.pairs))
        c = self.sums.multiply_add(self._upper(a), self._upper(b), c)
        return self.sums.multiply_add(self._lower(a), self._lower(b), c)

    def multiply_add_blocks(self, a, b, c):
        """Return c + A·B, where a has the words of two rows, one row after the other, and b those of two columns.

        c has two rows of two float32 numbers. Each sum has the same bits as two calls of `multiply_add` (bfmmla and bfdot, Arm
        Architecture Reference Manual).
        """
        name = "llvm.aarch64.neon.bfmmla"
        return self._call(name, self.sums.vector, c, self._bitcast(a, self.pairs), self._bitcast(b, self.pairs))

    def words_of_halves(self, lower, upper):
        """Return words whose lower and upper halves are two vectors of float32 numbers, rounded to bfloat16."""
        b = self.builder
        if HAS_BFLOAT16 and IS_X86:
            order = [half for lane in range(self.lanes) for half in (lane, self.lanes + lane)]
            halves = self._bitcast(self._rounded_by_instruction(lower, upper), ir.VectorType(ir.IntType(16), 2 * self.lanes))
            mask = ir.Constant(ir.VectorType(ir.IntType(32), 2 * self.lanes), order)
            return self._bitcast(b.shuffle_vector(halves, halves, mask), self.vector)
        return b.or_(b.lshr(self._rounded(lower), self._all(16)), b.and_(self._rounded(upper), self._all(0xFFFF0000)))

    def words_of_neighbors(self, first, second):
        """Return words of the neighboring elements of two consecutive vectors of float32 numbers, rounded to bfloat16."""
        if HAS_BFLOAT16 and IS_X86:
            return self._bitcast(self._rounded_by_instruction(first, second), self.vector)
        even, odd = ([2 * lane + half for lane in range(self.lanes)] for half in (0, 1))
        return self.words_of_halves(self.shuffle((first, second), even), self.shuffle((first, second), odd))

    def words_of_rows(self, first, second):
        """Return two vectors with the words of the halves of two vectors of words: both first halves of a word, both second, …"""
        halves = ir.VectorType(ir.IntType(16), 2 * self.lanes)
        pair, parts = [self._bitcast(words, halves) for words in (first, second)], []
        for start in (0, self.lanes):
            lanes = [half + offset for half in range(start, start + self.lanes) for offset in (0, 2 * self.lanes)]
            mask = ir.Constant(ir.VectorType(ir.IntType(32), 2 * self.lanes), lanes)
            parts.append(self._bitcast(self.builder.shuffle_vector(*pair, mask), self.vector))
        return parts

    def load_first(self, pointer, n):
        """Load the first n elements of a vector of float32 numbers, with n ≤ 0 none; the rest is 0 and its memory is not read."""
        vector, mask = self.sums.vector, self.mask_of_first(n)
        address = self.builder.bitcast(pointer, vector.as_pointer())
        name = f"llvm.masked.load.v{self.lanes}f32.p0"
        return self._call(name, vector, address, ir.Constant(ir.IntType(32), 4), mask, ir.Constant(vector, None))

    def load_half(self, pointer):
        """Load half of a vector of words."""
        b, half = self.builder, ir.VectorType(ir.IntType(32), self.lanes // 2)
        return b.load(b.bitcast(pointer, half.as_pointer()), align=4)

    def _rounded(self, values):
        """Return words with rounded float32 numbers in their upper halves; the lower halves are undefined."""
        b, bits = self.builder, self._bitcast(values, self.vector)
        odd = b.and_(b.lshr(bits, self._all(16)), self._all(1))
        nearest = b.add(b.add(bits, self._all(0x7FFF)), odd)
        kept = b.select(b.fcmp_unordered("uno", values, values), b.or_(bits, self._all(0x00400000)), nearest)
        is_subnormal = b.icmp_unsigned("==", b.and_(bits, self._all(0x7F800000)), self._all(0))
        return b.select(is_subnormal, b.and_(bits, self._all(0x80000000)), kept)

    def _rounded_by_instruction(self, first, second):
        return self._call("llvm.x86.avx512bf16.cvtne2ps2bf16.512", self.pairs, second, first)

    def _upper(self, words):
        return self._bitcast(self.builder.and_(words, self._all(0xFFFF0000)), self.sums.vector)

    def _lower(self, words):
        return self._bitcast(self.builder.shl(words, self._all(16)), self.sums.vector)

    def _all(self, value):
        return ir.Constant(self.vector, [value] * self.lanes)

    def _bitcast(self, value, kind):
        return self.builder.bitcast(value, kind)

    def _call(self, name, result, *arguments):
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), arguments)
