"""Reading a stranger's pickle without running anything that it asks for.

A pickle is a small program. It can reach code in one way only: its opcodes GLOBAL, STACK_GLOBAL, INST and EXT name a
function or a class, and `Unpickler.find_class` gives it; persistent ids go through `persistent_load`. Both refuse here,
so all that a pickle can build is numbers, text, bytes, lists, tuples, sets and dicts. The one name that is answered is
`collections.OrderedDict`, with plain `dict`: Python 3.6 and 3.7 made the rows of a TSV such, and ViLBERT's files hold
them. `dict` calls nothing, and a built-in type cannot be changed. Numpy's arrays are refused like all else. A hostile
pickle can still waste memory or time.
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
            f"the pickle asks for {f'{module}.{name}'!r:.80}, which could run code, and only plain values are read; "
            "write it anew without such objects, or as tsv or npz"
        )

    def persistent_load(self, pid: Any) -> Any:
        raise EmocapError("the pickle refers to something outside it, and only plain values are read")


def plain_pickle(data: bytes) -> Any:
    """The numbers, text, bytes, lists, tuples, sets and dicts in a pickle.

    Raises:
        EmocapError: it holds anything else, or is damaged; nothing of it is run.

    >>> plain_pickle(pickle.dumps({"a": [1, b"2"]}))
    {'a': [1, b'2']}
    """
    try:
        return _PlainUnpickler(io.BytesIO(data)).load()
    except EmocapError:
        raise
    except Exception as error:  # damaged pickles raise nearly anything
        raise EmocapError(f"the pickle is cut short or damaged ({type(error).__name__})") from error
