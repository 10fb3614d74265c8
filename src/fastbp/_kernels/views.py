"""Views of flat buffers that cost nothing.

``matrix`` and ``vector`` lay a shape over a part of a contiguous buffer, ``flat`` over all of an array. They are slicing and
``reshape`` without the checks and without counting references, which on a network of a few units would take longer than its
arithmetic. In return, whoever calls keeps the buffer alive and the offsets right. ``without_refcounts`` frees the arguments of an entry from
that counting. ``stack_array`` is a few numbers for the time of a call, ``prefetch`` asks for memory before it is needed.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.np.arrayobj import make_array, populate_array

from .jit import intrinsic_kernel


def _matrix(buffer, at, n_rows, n_columns):
    return buffer.reshape(-1)[at : at + n_rows * n_columns].reshape(n_rows, n_columns)


@intrinsic_kernel(_matrix)
def matrix(typing_context, buffer, at, n_rows, n_columns):
    """buffer[at : at + n_rows · n_columns] as (n_rows, n_columns)."""
    view = _view(buffer, 2)
    return view(buffer, types.intp, types.intp, types.intp), _laid


def _vector(buffer, at, size):
    return buffer.reshape(-1)[at : at + size]


@intrinsic_kernel(_vector)
def vector(typing_context, buffer, at, size):
    """buffer[at : at + size]."""
    return _view(buffer, 1)(buffer, types.intp, types.intp), _laid


def _flat(array):
    return array.reshape(array.size)


@intrinsic_kernel(_flat)
def flat(typing_context, array):
    """All elements of a contiguous array, as (size,)."""

    def build(context, builder, signature, arguments):
        size = make_array(array)(context, builder, arguments[0]).nitems
        return _laid(context, builder, signature, [arguments[0], context.get_constant(types.intp, 0), size])

    return _view(array, 1)(array), build


def _without_refcounts(*things):
    return things


@intrinsic_kernel(_without_refcounts)
def without_refcounts(typing_context, *things):
    """The same arrays, and tuples of arrays, without their owners: passing these on counts no references."""

    def disown(context, builder, kind, value):
        if isinstance(kind, types.BaseTuple):
            parts = [disown(context, builder, part, builder.extract_value(value, i)) for i, part in enumerate(kind)]
            return context.make_tuple(builder, kind, parts)
        array = make_array(kind)(context, builder, value)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        array.parent = cgutils.get_null_value(array.parent.type)
        return array._getvalue()

    kind = types.Tuple(things)
    return kind(kind), lambda context, builder, signature, arguments: disown(context, builder, kind, arguments[0])


def _view(buffer, n_dimensions):
    return buffer.copy(ndim=n_dimensions, layout="C", readonly=False)


def _laid(context, builder, signature, arguments):
    """The array of a shape, C-contiguous, that starts at an element of the buffer; it owns nothing."""
    buffer, at, *lengths = arguments
    source = make_array(signature.args[0])(context, builder, buffer)
    strides = [source.itemsize]
    for length in reversed(lengths[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    array = make_array(signature.return_type)(context, builder)
    data = builder.gep(source.data, [at])
    populate_array(array, data=data, shape=lengths, strides=strides, itemsize=source.itemsize, meminfo=None)
    return array._getvalue()


def _stack_array(size):
    return np.empty(size, np.int64)


@intrinsic_kernel(_stack_array)
def stack_array(typing_context, size):
    """Room for `size` int64, a constant, until the caller returns."""
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


def _prefetch(array, index):
    pass


@intrinsic_kernel(_prefetch)
def prefetch(typing_context, array, index):
    """Have the cache line of an element of a contiguous array fetched, without waiting for it."""

    def build(context, builder, signature, arguments):
        place = builder.gep(make_array(array)(context, builder, arguments[0]).data, [arguments[1]])
        pointer, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, flag, flag, flag])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [builder.bitcast(place, pointer), flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), build
