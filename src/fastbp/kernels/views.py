"""Views of flat buffers that cost nothing.

``matrix`` and ``vector`` lay a shape over a part of a contiguous buffer, ``flat`` over all of an array. They are slicing and
``reshape`` without the checks and without counting references, which on a network of a few units would take longer than its
arithmetic. In return, whoever calls keeps the buffer alive and the offsets right. ``borrow`` frees the arguments of an entry from
that counting. ``stack_array`` is a few numbers for the time of a call, ``prefetch`` asks for memory before it is needed.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload
from numba.np.arrayobj import make_array, populate_array


def matrix(buffer, at, n_rows, n_columns):
    """buffer[at : at + n_rows · n_columns] as (n_rows, n_columns)."""
    return buffer.reshape(-1)[at : at + n_rows * n_columns].reshape(n_rows, n_columns)


def vector(buffer, at, size):
    """buffer[at : at + size]."""
    return buffer.reshape(-1)[at : at + size]


def flat(array):
    """All elements of a contiguous array, as (size,)."""
    return array.reshape(array.size)


def borrow(*things):
    """The same arrays, and tuples of arrays, without their owners: passing these on counts no references."""
    return things


@overload(borrow)
def _borrow(*things):
    return lambda *things: _disowned(things)


@intrinsic
def _disowned(typing_context, things):
    def disown(context, builder, kind, value):
        if isinstance(kind, types.BaseTuple):
            parts = [disown(context, builder, part, builder.extract_value(value, i)) for i, part in enumerate(kind)]
            return context.make_tuple(builder, kind, parts)
        array = make_array(kind)(context, builder, value)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        array.parent = cgutils.get_null_value(array.parent.type)
        return array._getvalue()

    return things(things), lambda context, builder, signature, arguments: disown(context, builder, things, arguments[0])


@overload(flat)
def _flat(array):
    return lambda array: _lay(array, 0, (array.size,))


@overload(matrix)
def _matrix(buffer, at, n_rows, n_columns):
    return lambda buffer, at, n_rows, n_columns: _lay(buffer, at, (n_rows, n_columns))


@overload(vector)
def _vector(buffer, at, size):
    return lambda buffer, at, size: _lay(buffer, at, (size,))


@intrinsic
def _lay(typing_context, buffer, at, shape):
    """The array of a shape, C-contiguous, that starts at an element of the buffer; it owns nothing."""
    view = buffer.copy(ndim=len(shape), layout="C", readonly=False)

    def build(context, builder, signature, arguments):
        source = make_array(signature.args[0])(context, builder, arguments[0])
        lengths = cgutils.unpack_tuple(builder, arguments[2])
        strides = [source.itemsize]
        for length in reversed(lengths[1:]):
            strides.insert(0, builder.mul(strides[0], length))
        array = make_array(view)(context, builder)
        data = builder.gep(source.data, [arguments[1]])
        populate_array(array, data=data, shape=lengths, strides=strides, itemsize=source.itemsize, meminfo=None)
        return array._getvalue()

    return view(buffer, types.intp, types.UniTuple(types.intp, len(shape))), build


def stack_array(size):
    """Room for `size` int64, a constant, until the caller returns."""
    return np.empty(size, np.int64)


@overload(stack_array)
def _stack_array(size):
    return lambda size: _on_the_stack(size)


@intrinsic
def _on_the_stack(typing_context, size):
    if not isinstance(size, types.IntegerLiteral):
        return None
    kind, length = types.Array(types.int64, 1, "C"), size.literal_value

    def build(context, builder, signature, arguments):
        room = cgutils.alloca_once(builder, ir.IntType(64), size=length)
        array = make_array(kind)(context, builder)
        shape, strides = [context.get_constant(types.intp, n) for n in (length, 8)]
        itemsize = context.get_constant(types.intp, 8)
        populate_array(array, data=room, shape=[shape], strides=[strides], itemsize=itemsize, meminfo=None)
        return array._getvalue()

    return kind(size), build


def prefetch(array, index):
    """Have the cache line of an element of a contiguous array fetched, without waiting for it."""


@overload(prefetch)
def _prefetch(array, index):
    return lambda array, index: _fetch(array, index)


@intrinsic
def _fetch(typing_context, array, index):
    def build(context, builder, signature, arguments):
        place = builder.gep(make_array(array)(context, builder, arguments[0]).data, [arguments[1]])
        pointer, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, flag, flag, flag])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [builder.bitcast(place, pointer), flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), build
