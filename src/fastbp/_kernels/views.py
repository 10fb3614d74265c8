"""Views of contiguous arrays that are created without overhead.

``matrix`` and ``vector`` return views of a part of a buffer, ``flat`` returns a view of a whole array. Unlike slices and
``reshape``, they do not check their arguments and do not count references, because this would take longer than the arithmetic of a
small network. Therefore the caller must keep the buffer alive and pass valid offsets. ``stack_array`` returns a small array on the
stack, ``prefetch`` loads a cache line in advance, and ``element`` reads a number at an address.
"""

from ctypes import c_char

import numpy as np
from llvmlite import ir
from numba import types

from .._compat import cgutils, make_array, populate_array
from .intrinsics import intrinsic_kernel


def _matrix(buffer, at, n_rows, n_columns):
    return buffer.reshape(-1)[at : at + n_rows * n_columns].reshape(n_rows, n_columns)


@intrinsic_kernel(_matrix)
def matrix(typing_context, buffer, at, n_rows, n_columns):
    """Return buffer[at : at + n_rows · n_columns] as an array (n_rows, n_columns)."""
    view = _view_type(buffer, 2)
    return view(buffer, types.intp, types.intp, types.intp), _make_view


def _vector(buffer, at, size):
    return buffer.reshape(-1)[at : at + size]


@intrinsic_kernel(_vector)
def vector(typing_context, buffer, at, size):
    """Return buffer[at : at + size]."""
    return _view_type(buffer, 1)(buffer, types.intp, types.intp), _make_view


def _flat(array):
    return array.reshape(array.size)


@intrinsic_kernel(_flat)
def flat(typing_context, array):
    """Return all elements of a contiguous array as an array (size,)."""

    def build(context, builder, signature, arguments):
        size = make_array(array)(context, builder, arguments[0]).nitems
        return _make_view(context, builder, signature, [arguments[0], context.get_constant(types.intp, 0), size])

    return _view_type(array, 1)(array), build


def _view_type(buffer, n_dimensions):
    return buffer.copy(ndim=n_dimensions, layout="C", readonly=False)


def _make_view(context, builder, signature, arguments):
    """Return a C-contiguous array without an owner, from a buffer, the index of its first element, and its shape."""
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
    """Return an uninitialized array of `size` int64 that is valid until the caller returns; `size` must be a constant."""
    if not isinstance(size, types.IntegerLiteral):
        return None
    kind, length = types.Array(types.int64, 1, "C"), size.literal_value

    def build(context, builder, signature, arguments):
        data = cgutils.alloca_once(builder, ir.IntType(64), size=length)
        array = make_array(kind)(context, builder)
        shape, strides = [context.get_constant(types.intp, n) for n in (length, 8)]
        itemsize = context.get_constant(types.intp, 8)
        populate_array(array, data=data, shape=[shape], strides=[strides], itemsize=itemsize, meminfo=None)
        return array._getvalue()

    return kind(size), build


def _empty_array(dtype):
    return np.empty(0, dtype)


@intrinsic_kernel(_empty_array)
def empty_array(typing_context, dtype):
    """Return an array (0,) of a dtype, or a class of numbers, that is a constant."""
    if not isinstance(dtype, (types.DType, types.NumberClass)):
        return None
    kind = types.Array(dtype.dtype, 1, "C")

    def build(context, builder, signature, arguments):
        zero = context.get_constant(types.intp, 0)
        data = context.get_constant_null(types.CPointer(dtype.dtype))
        array = make_array(kind)(context, builder)
        populate_array(array, data=data, shape=[zero], strides=[zero], itemsize=zero, meminfo=None)
        return array._getvalue()

    return kind(dtype), build


def _prefetch(array, index):
    pass


@intrinsic_kernel(_prefetch)
def prefetch(typing_context, array, index):
    """Start loading the cache line of an element of a contiguous array, without waiting for it."""

    def build(context, builder, signature, arguments):
        place = builder.gep(make_array(array)(context, builder, arguments[0]).data, [arguments[1]])
        pointer, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, flag, flag, flag])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [builder.bitcast(place, pointer), flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), build


def _element(kind, address, index):
    memory = (c_char * kind.itemsize).from_address(address + index * kind.itemsize)
    return np.frombuffer(memory, kind.dtype)[0]


@intrinsic_kernel(_element)
def element(typing_context, kind, address, index):
    """Return the element `index` of a contiguous array at an address, whose elements have the type of `kind` and any alignment."""

    def build(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[1], context.get_value_type(kind).as_pointer())
        return builder.load(builder.gep(pointer, [arguments[2]]), align=1)

    return kind(kind, types.intp, types.intp), build
