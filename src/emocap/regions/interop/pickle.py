"""Reading untrusted pickles without running any code that they name.

A pickle can reach code in one way only: its opcodes GLOBAL, STACK_GLOBAL, INST and EXT name a function or a class,
which `Unpickler.find_class` looks up; persistent ids go through `persistent_load`. Both refuse here, so that a pickle
can build only numbers, text, bytes, lists, tuples, sets, dicts and NumPy arrays of these. The few names that files of
features need are never looked up, but stand for functions of `pickled_arrays` and for `dict`:
`collections.OrderedDict`, the type of a TSV's rows in Python 3.6 and 3.7, in ViLBERT's files, becomes a plain dict. The
pickle can call these functions and change none of them. A malicious pickle can still waste memory or time.
"""

import io
import pickle
from collections.abc import Callable
from typing import Any

from emocap.errors import EmocapError
from emocap.regions.interop.pickled_arrays import (
    PickledArray,
    PickledDtype,
    array_values,
    pickled_buffer,
    pickled_bytes,
    pickled_scalar,
)


class _StandIn:
    """A function that stands for what a pickle names; the pickle can call it, but not set its attributes."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise EmocapError("the pickle is damaged: it changes a function")


def _not_called(*_: Any) -> None:
    raise EmocapError("the pickle is damaged: it calls a type")


_STAND_INS = {
    ("collections", "OrderedDict"): _StandIn(dict),
    ("numpy", "dtype"): _StandIn(PickledDtype),
    ("numpy", "ndarray"): _StandIn(_not_called),  # the first argument of `_reconstruct`
    ("_codecs", "encode"): _StandIn(pickled_bytes),
    ("__builtin__", "bytes"): _StandIn(pickled_bytes),
    ("builtins", "bytes"): _StandIn(pickled_bytes),
}
for _package in ("numpy.core", "numpy._core"):  # NumPy 1 and 2
    _STAND_INS[_package + ".multiarray", "_reconstruct"] = _StandIn(PickledArray)
    _STAND_INS[_package + ".multiarray", "scalar"] = _StandIn(pickled_scalar)
    _STAND_INS[_package + ".numeric", "_frombuffer"] = _StandIn(pickled_buffer)


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        stand_in = _STAND_INS.get((module, name))
        if stand_in is None:
            raise EmocapError(
                f"the pickle asks for {f'{module}.{name}'!r:.80}, which could run code; only plain values and NumPy "
                "arrays are read: save it without such objects, or as tsv or npz"
            )
        return stand_in

    def persistent_load(self, pid: Any) -> Any:
        raise EmocapError("the pickle refers to an external object; only plain values are read")


def plain_pickle(data: bytes) -> Any:
    """The numbers, text, bytes, lists, tuples, sets, dicts and NumPy arrays in a pickle.

    Arrays of objects are lists without shape, and one without axes is its value.

    Raises:
        EmocapError: it holds anything else, or is damaged; no code is run.

    >>> plain_pickle(pickle.dumps({"a": [1, b"2"]}))
    {'a': [1, b'2']}
    """
    try:
        return array_values(_load(data))
    except EmocapError:
        raise
    except Exception as error:  # damaged pickles raise nearly anything
        raise EmocapError(f"the pickle is truncated or damaged ({type(error).__name__})") from error


def _load(data: bytes) -> Any:
    try:
        return _PlainUnpickler(io.BytesIO(data)).load()
    except UnicodeDecodeError:  # Python 2 wrote the content of arrays as text
        return _PlainUnpickler(io.BytesIO(data), encoding="latin1").load()
