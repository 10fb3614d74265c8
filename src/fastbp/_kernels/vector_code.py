"""LLVM vector code for the target processor: operations on vectors of the size that the target has.

`VectorCode` generates the instructions that load, store, multiply, reduce and transpose vectors of one dtype. The intrinsics of
`tiles`, `dots` and `adam` use it. This module does not know which formulas are computed.
"""

from llvmlite import ir
from numba import types

from .._compat import make_array
from .targets import VECTOR_BYTES

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

    def multiply_add(self, a, b, c):
        """Return a·b + c, rounded once if the processor has an instruction for it."""
        return self.builder.fadd(c, self.builder.fmul(a, b, flags=_CONTRACT), flags=_CONTRACT)

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

    def shuffle(self, pair, lanes):
        """Return the given lanes of two vectors; the lanes of the second vector are numbered after those of the first."""
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), lanes)
        return self.builder.shuffle_vector(*pair, mask)
