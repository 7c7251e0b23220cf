"""Reading untrusted pickles without running any code that they name.

A pickle can reach code in one way only: its opcodes GLOBAL, STACK_GLOBAL, INST and EXT name a function or a class,
which `Unpickler.find_class` looks up; persistent ids go through `persistent_load`. Both refuse here, so that a pickle
can build only numbers, text, bytes, lists, tuples, sets and dicts. The one exception is `collections.OrderedDict`,
which becomes a plain `dict`: ViLBERT's files contain it, as the rows of a TSV in Python 3.6 and 3.7 were of this type.
`dict` calls nothing, and a built-in type cannot be changed. NumPy arrays are refused too. A malicious pickle can still
waste memory or time.
"""

import io
import pickle
from typing import Any

from emocap.errors import EmocapError


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        raise EmocapError(
            f"the pickle asks for {f'{module}.{name}'!r:.80}, which could run code; only plain values are read: "
            "save it without such objects, or as tsv or npz"
        )

    def persistent_load(self, pid: Any) -> Any:
        raise EmocapError("the pickle refers to an external object; only plain values are read")


def plain_pickle(data: bytes) -> Any:
    """The numbers, text, bytes, lists, tuples, sets and dicts in a pickle.

    Raises:
        EmocapError: it holds anything else, or is damaged; no code is run.

    >>> plain_pickle(pickle.dumps({"a": [1, b"2"]}))
    {'a': [1, b'2']}
    """
    try:
        return _PlainUnpickler(io.BytesIO(data)).load()
    except EmocapError:
        raise
    except Exception as error:  # damaged pickles raise nearly anything
        raise EmocapError(f"the pickle is truncated or damaged ({type(error).__name__})") from error
