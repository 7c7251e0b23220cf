"""NumPy arrays in untrusted pickles, built without calling anything that the pickle names.

NumPy pickles an array as a call of `_reconstruct` or `_frombuffer`, its dtype as a call of `dtype`, and a scalar as a
call of `scalar`. The functions here stand in for them: they take the bytes, the shape and the name of a dtype of
numbers or text, and check that these match. NumPy's own `ndarray.__setstate__` sees nothing of the pickle.
"""

import math
import re
from typing import Any

import numpy as np

from emocap.errors import EmocapError

_NUMBERS_OR_TEXT = re.compile(r"b1|[iu][1248]|f[248]|[SU][0-9]{1,6}")
_CONTENT = "the pickle holds an array that is damaged, or not of numbers or text"


class PickledDtype:
    """A dtype of numbers or text; `O`, objects, is None."""

    def __init__(self, name: Any, *_: Any) -> None:
        if not isinstance(name, str) or not (name == "O8" or _NUMBERS_OR_TEXT.fullmatch(name)):
            raise EmocapError(f"the pickle holds an array of type {name!r:.40}, expected numbers or text")
        self.dtype = None if name == "O8" else np.dtype(name)

    def __setstate__(self, state: Any) -> None:
        """Take the byte order, the second item of the state of a `numpy.dtype`."""
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", ">", "|", "="):
            raise EmocapError(_CONTENT)
        if self.dtype is not None and order in "<>":
            self.dtype = self.dtype.newbyteorder(order)


class PickledArray:
    """An array, first without content; its state is (version, shape, dtype, is in Fortran order, content)."""

    def __init__(self, *_: Any) -> None:
        self.value: Any = None

    def __setstate__(self, state: Any) -> None:
        """Take the content: an array, or for dtype `O` a list of values, and the value itself if it has no axes."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise EmocapError(_CONTENT)
        _, shape, dtype, is_fortran, content = state
        if isinstance(dtype, PickledDtype) and dtype.dtype is None:
            if not isinstance(content, list) or (shape == () and len(content) != 1):
                raise EmocapError(_CONTENT)
            self.value = content[0] if shape == () else content
        else:
            self.value = _array(content, dtype, shape, "F" if is_fortran else "C")


def pickled_buffer(content: Any, dtype: Any, shape: Any, order: Any, axis_order: Any = None) -> PickledArray:
    """Stand-in for `numpy.core.numeric._frombuffer`, of protocol 5; `axis_order` is that of `transpose`."""
    array = PickledArray()
    if axis_order is None:
        array.value = _array(content, dtype, shape, order)
        return array
    value = _array(content, dtype, shape, "C")
    if not isinstance(axis_order, tuple) or sorted(axis_order) != list(range(value.ndim)):
        raise EmocapError(_CONTENT)
    array.value = value.transpose(axis_order)
    return array


def pickled_scalar(dtype: Any, content: Any = None) -> Any:
    """Stand-in for `numpy.core.multiarray.scalar`: a NumPy number."""
    return _array(content, dtype, (), "C")[()]


def pickled_bytes(text: Any = "", encoding: Any = "latin1") -> bytes:
    """Stand-in for `_codecs.encode` and `bytes`, by which Python 3 writes bytes in protocols 0 to 2."""
    if not isinstance(text, str) or encoding != "latin1":
        raise EmocapError("the pickle encodes text, which only NumPy's content may")
    return text.encode("latin1")


def array_values(value: Any, depth: int = 2) -> Any:
    """The value with NumPy arrays for each `PickledArray`, also in dicts down to a depth."""
    if isinstance(value, PickledArray):
        return array_values(value.value, depth)
    if isinstance(value, dict) and depth:
        return {key: array_values(item, depth - 1) for key, item in value.items()}
    return value


def _array(content: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    if isinstance(content, str):  # bytes of Python 2
        content = content.encode("latin1")
    is_shape = isinstance(shape, tuple) and all(type(length) is int and length >= 0 for length in shape)
    if not isinstance(content, bytes | bytearray) or not is_shape or order not in ("C", "F"):
        raise EmocapError(_CONTENT)
    if not isinstance(dtype, PickledDtype) or dtype.dtype is None:
        raise EmocapError(_CONTENT)
    if len(content) != math.prod(shape) * dtype.dtype.itemsize:
        raise EmocapError(_CONTENT)
    return np.frombuffer(content, dtype.dtype).reshape(shape, order=order)
