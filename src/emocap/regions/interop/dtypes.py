"""The dtype of features in base64 or raw bytes, which the files of bottom-up attention do not record.

The bytes of float16 features also are valid float32 numbers, half as many and meaningless. What tells them apart is the
exponents: those of a layer's outputs are few, while a wrong dtype takes bits of the mantissa for exponents, or spreads
an exponent over several. So the dtype is inferred as the one in which the numbers have the shortest description
(Rissanen 1978): their exponents and their numbers of significant bits, each at its entropy in the data.
"""

from collections.abc import Iterable, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np

from emocap.errors import EmocapError

DTYPES = {"float16": "<f2", "float32": "<f4", "float64": "<f8"}
_MANTISSA_BITS = {"float16": 10, "float32": 23, "float64": 52}
_MAX_SAMPLES = 16
_SAMPLE_BYTES = 2**14
# In bits. Random numbers of every dtype, 4 regions of 16 at the least, exceed this margin.
_MARGIN = 10.0
_BITS_PER_BINADE = 0.1


def require_dtype(name: str) -> str:
    """The NumPy dtype of this name.

    Raises:
        EmocapError: an unknown name.

    >>> require_dtype("float16")
    '<f2'
    """
    if name not in DTYPES:
        raise EmocapError(f"dtype is {name!r}, expected one of {', '.join(DTYPES)}")
    return DTYPES[name]


def require_inferred(source: Path, images: Iterable[tuple[int, bytes]]) -> str:
    """The name of the dtype of the features in a file, from its first images that have features other than 0.

    Args:
        source: the file, for messages.
        images: for each its number of regions and the bytes of its features.

    Raises:
        EmocapError: they could be of two dtypes.
    """
    described = (image for image in images if image[0] and _fits("float16", *image))
    first = next(described, None)
    usable = (image for image in chain([] if first is None else [first], described) if any(image[1]))
    samples = list(islice(usable, _MAX_SAMPLES))
    name = "float32" if first is None else infer_dtype(samples) if samples else None
    if name is None:
        raise EmocapError(
            f"{source}: its features could be float16 or float32, which the file does not record and their bytes leave "
            "open; give their dtype (--dtype float32 as published by bottom-up attention, float16 or float64)"
        )
    return name


def infer_dtype(samples: Sequence[tuple[int, bytes]]) -> str | None:
    """The name of the dtype of several images' features; None if they could be of two.

    Args:
        samples: for each image its number of regions, 1 or more, and the bytes of its features.

    >>> infer_dtype([(4, np.linspace(0, 1, 64).astype("<f2").tobytes())])
    'float16'
    """
    # Truncated records fit fewer dtypes than the file's, so the majority decides which fit.
    fitting = [name for name in DTYPES if 2 * sum(_fits(name, *sample) for sample in samples) > len(samples)]
    if len(fitting) < 2:
        return fitting[0] if fitting else None
    data = b"".join(data[:_SAMPLE_BYTES] for n, data in samples if all(_fits(name, n, data) for name in fitting))
    bits = {name: description_bits(data, name) for name in fitting}
    best, second = sorted(bits, key=bits.__getitem__)[:2]
    return best if bits[second] - bits[best] >= _MARGIN else None


def description_bits(data: bytes, name: str) -> float:
    """Bits that describe the numbers in `data` if their dtype is `name`.

    Besides entropies, each distinct exponent and length costs its width once, each nonzero number its sign and its
    significant bits, and each power of two between it and 1 a tenth of a bit, since features are of moderate size.
    """
    dtype = np.dtype(DTYPES[name])
    n_mantissa = _MANTISSA_BITS[name]
    n_exponent = 8 * dtype.itemsize - 1 - n_mantissa
    words = np.frombuffer(data, f"<u{dtype.itemsize}")
    one = words.dtype.type(1)
    mantissas = words & words.dtype.type(2**n_mantissa - 1)
    exponents = (words >> words.dtype.type(n_mantissa)) & words.dtype.type(2**n_exponent - 1)
    lowest_bits = np.log2(np.maximum(mantissas & (~mantissas + one), one).astype(np.float64)).astype(np.int64)
    n_significant = np.where(mantissas > 0, n_mantissa - lowest_bits, 0)
    nonzero = (words << one) > 0
    binades = np.abs(exponents[nonzero].astype(np.int64) - (2 ** (n_exponent - 1) - 1))
    return (
        _entropy_bits(exponents.astype(np.int64), n_exponent)
        + _entropy_bits(n_significant[nonzero], np.log2(n_mantissa + 1))
        + float(np.maximum(n_significant - 1, 0).sum() + nonzero.sum() + _BITS_PER_BINADE * binades.sum())
    )


def _fits(name: str, n_regions: int, data: bytes) -> bool:
    return len(data) > 0 and len(data) % (n_regions * np.dtype(DTYPES[name]).itemsize) == 0


def _entropy_bits(values: np.ndarray, width: float) -> float:
    """Bits of all values at their entropy, and `width` for each distinct one."""
    counts = np.bincount(values)
    counts = counts[counts > 0]
    return float(-(counts * np.log2(counts / max(len(values), 1))).sum() + len(counts) * width)
