"""A typing context of Numba that remembers the signatures of functions.

Numba derives the signature of every operation again, although kernels use the same few operations on integers and floats thousands
of times, and compares all compiler flags each time. This takes a quarter of the time of type inference. `remembering(context)`
returns a context that shares all declarations with Numba's context. `quick_flags(flags)` returns a copy of compiler flags that
takes less time to compare. This module does not know what is compiled.
"""

from functools import cache

from numba import types

from .._compat import ConfigStack, Flags, TypingContext


class _RememberingContext(TypingContext):
    def resolve_function_type(self, func, args, kws):
        if not isinstance(func, types.Function) or kws:
            return super().resolve_function_type(func, args, kws)
        key = ConfigStack.top_or_none(), func, args
        if key not in self._signatures:
            signature = super().resolve_function_type(func, args, kws)
            if signature is None:
                return None
            self._signatures[key] = signature, func.get_impl_key(signature)
        signature, implementation = self._signatures[key]
        func._impl_keys[signature.args] = implementation  # other flags may have another implementation for the same arguments
        return signature


@cache
def remembering(context):
    """Return a context that shares all declarations with another context, and remembers signatures."""
    result = object.__new__(_RememberingContext)
    result.__dict__.update(context.__dict__, _signatures={})
    return result


class _QuickFlags(Flags):
    """Compiler flags that are compared by the options that were set; Numba would compare the values of all options."""

    def __hash__(self):
        return hash(frozenset(self._values))  # of the names, because not all values can be hashed

    def __eq__(self, other):
        return isinstance(other, Flags) and self._values == other._values


def quick_flags(flags):
    """Return a copy of compiler flags that takes less time to compare."""
    return _QuickFlags(flags)
