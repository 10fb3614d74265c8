"""References to tuples of arrays.

A tuple of arrays is passed to a kernel as seven or more numbers for each array, which are unpacked and packed again for every call.
For `Scratch` with 19 arrays, this would be a large part of the code that a first fit compiles. ``reference`` stores a tuple on the
stack and returns its address. Kernels read ``scratch.deltas`` from a reference as from the tuple itself. A reference is valid until
the function that created it returns. This module does not know what the tuples contain.
"""

from numba import types
from numba.extending import infer_getattr, lower_getattr_generic, models, register_model

from .._compat import AttributeTemplate, cgutils, impl_ret_borrowed
from .intrinsics import intrinsic_kernel


class Reference(types.Type):
    """The type of a reference to a named tuple."""

    def __init__(self, target):
        self.target = target
        super().__init__(name=f"Reference({target})")


@register_model(Reference)
class _ReferenceModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, manager.lookup(kind.target).get_value_type().as_pointer())


@infer_getattr
class _FieldsOfReference(AttributeTemplate):
    key = Reference

    def generic_resolve(self, kind, name):
        fields = kind.target.fields
        return kind.target[fields.index(name)] if name in fields else None


@lower_getattr_generic(Reference)
def _load_field(context, builder, kind, value, name):
    index = kind.target.fields.index(name)
    field = builder.load(cgutils.gep_inbounds(builder, value, 0, index))
    return impl_ret_borrowed(context, builder, kind.target[index], field)  # Numba's pipeline counts references


def _same(named_tuple):
    return named_tuple


@intrinsic_kernel(_same)
def reference(typing_context, named_tuple):
    """Return a reference to a named tuple."""

    def build(context, builder, signature, arguments):
        place = cgutils.alloca_once(builder, context.get_value_type(named_tuple))
        builder.store(arguments[0], place)
        return place

    return Reference(named_tuple)(named_tuple), build
