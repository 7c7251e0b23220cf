"""A baseline's files beside its model card: arrays as safetensors, terms and settings as JSON; nothing is pickled.

`baseline.json` says what it reads and names the sentence-vector model and the number of neighbours;
`arrays.safetensors` holds weights and intercepts, the training captions' vectors with their emotions, or frequencies;
`terms.json` holds the words and word pairs of TF-IDF in the order of the weights.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.sparse import csr_matrix, issparse

from emocap.classifiers.arrays import read_arrays, write_arrays
from emocap.errors import EmocapError
from emocap.evaluation.fitted_baselines import FittedBaseline, Frequencies, LinearModel, Model, Neighbours
from emocap.evaluation.sentence_vectors import SentenceVectors, sentence_vectors
from emocap.evaluation.tfidf import Tfidf
from emocap.files import atomic_folder, read_json, write_json
from emocap.training.card_file import CARD
from emocap.training.checkpoint import ModelCard, validated

KINDS = ("prior", "tfidf", "vectors", "neighbours")
SETTINGS, ARRAYS, TERMS = "baseline.json", "arrays.safetensors", "terms.json"
PROBE = "A dog waits alone in front of a door."  # its vector tells whether sentence vectors are those of the training
LEAST_SIMILARITY = 0.999


@dataclass(frozen=True)
class BaselineSettings:
    """What is in `baseline.json`.

    Attributes:
        reads: what it makes of a caption; the prior reads nothing.
        sentence_vectors: the sentence-vector model that it needs, "offline" or one of sentence-transformers.
        k: number of neighbours.
    """

    reads: Literal["nothing", "tfidf", "vectors"]
    sentence_vectors: str | None = None
    k: int | None = None
    schema: Literal[1] = 1
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012


def save_baseline(folder: Path, fitted: FittedBaseline, card: ModelCard) -> None:
    """Write a baseline's model folder atomically.

    Args:
        card: its kind is one of `KINDS`.
    """
    model, read = fitted.model, fitted.read
    arrays = _arrays(model)
    vectors = None
    if isinstance(read, Tfidf):
        arrays["idf"] = read.idf
    elif isinstance(read, SentenceVectors):
        arrays["probe"] = read([PROBE])[0]
        vectors = str(Path(read.name).absolute()) if Path(read.name).is_dir() else read.name
    settings = BaselineSettings(
        "nothing" if read is None else "tfidf" if isinstance(read, Tfidf) else "vectors",
        vectors,
        model.k if isinstance(model, Neighbours) else None,
    )
    with atomic_folder(folder) as temporary:
        write_json(temporary / CARD, asdict(card))
        write_json(temporary / SETTINGS, asdict(settings))
        write_arrays(temporary / ARRAYS, arrays)
        if isinstance(read, Tfidf):
            write_json(temporary / TERMS, {"terms": read.terms})


def _arrays(model: Model) -> dict[str, np.ndarray]:
    if isinstance(model, Frequencies):
        return {"frequencies": model.frequencies}
    if isinstance(model, LinearModel):
        return {"weights": model.weights, "intercepts": model.intercepts}
    common = {"truth": model.truth.astype(np.uint8), "frequencies": model.frequencies}
    if not issparse(model.vectors):
        return common | {"vectors": model.vectors}
    rows = model.vectors
    sparse = {"data": rows.data, "columns": rows.indices.astype(np.int32), "offsets": rows.indptr.astype(np.int64)}
    return common | sparse


def read_baseline(folder: Path, kind: str, n_labels: int) -> FittedBaseline:
    """What `save_baseline` wrote.

    Args:
        kind: one of `KINDS`.
        n_labels: number E of emotions.

    Raises:
        EmocapError: a file is missing, damaged or does not match, or the sentence-vector model is missing or another.
    """
    settings = validated(BaselineSettings, folder / SETTINGS, read_json(folder / SETTINGS))
    reads = settings.reads
    expected = {"prior": ("nothing",), "neighbours": ("tfidf", "vectors")}.get(kind, (kind,))
    if reads not in expected:
        raise EmocapError(f"{folder / SETTINGS}: reads {reads!r}, expected {' or '.join(expected)}")
    arrays = read_arrays(folder / ARRAYS, _dtypes(kind, reads))
    read: Tfidf | SentenceVectors | None = None
    width = 0
    if reads == "tfidf":
        read, width = _tfidf(folder, arrays["idf"]), arrays["idf"].size
    elif reads == "vectors":
        read, width = _sentence_vectors(folder, settings, arrays["probe"]), arrays["probe"].size
    shapes = {"frequencies": (n_labels,), "intercepts": (n_labels,), "weights": (width, n_labels)}
    for name in shapes.keys() & arrays.keys():
        _require_shape(folder, name, arrays[name], shapes[name])
    if "frequencies" in arrays and not ((arrays["frequencies"] >= 0) & (arrays["frequencies"] <= 1)).all():
        raise EmocapError(f"{folder / ARRAYS}: frequencies are not within 0 to 1; run the study again")
    if kind == "prior":
        return FittedBaseline(kind, None, Frequencies(arrays["frequencies"]))
    if kind != "neighbours":
        return FittedBaseline(kind, read, LinearModel(arrays["weights"], arrays["intercepts"]))
    return FittedBaseline(kind, read, _neighbours(folder, arrays, width, settings.k))


def _dtypes(kind: str, reads: str) -> dict[str, str]:
    dtypes = {"nothing": {}, "tfidf": {"idf": "float32"}, "vectors": {"probe": "float32"}}[reads]
    if kind == "prior":
        return dtypes | {"frequencies": "float64"}
    if kind != "neighbours":
        return dtypes | {"weights": "float32", "intercepts": "float64"}
    sparse = {"data": "float32", "columns": "int32", "offsets": "int64"}
    return (
        dtypes | {"truth": "uint8", "frequencies": "float64"} | (sparse if reads == "tfidf" else {"vectors": "float32"})
    )


def _tfidf(folder: Path, idf: np.ndarray) -> Tfidf:
    path = folder / TERMS
    values = read_json(path)
    terms = values.get("terms") if isinstance(values, dict) else None
    if not isinstance(terms, list) or not all(isinstance(term, str) for term in terms):
        raise EmocapError(f"{path}: lacks a list of terms; run the study again")
    if len(set(terms)) != len(terms) or idf.shape != (len(terms),) or not terms:
        raise EmocapError(
            f"{path}: {len(set(terms))} distinct terms of {len(terms)}, but {idf.shape} weights; run the study again"
        )
    return Tfidf(terms, idf)


def _sentence_vectors(folder: Path, settings: BaselineSettings, probe: np.ndarray) -> SentenceVectors:
    name = settings.sentence_vectors
    if name is None:
        raise EmocapError(f"{folder / SETTINGS}: names no sentence-vector model; run the study again")
    try:
        read = sentence_vectors(name)
    except EmocapError as error:
        raise EmocapError(f"{folder}: needs the sentence-vector model {name!r}: {error}") from error
    vector = read([PROBE])[0]
    if vector.shape != probe.shape or float(vector @ probe) < LEAST_SIMILARITY:
        raise EmocapError(
            f"{folder}: the sentence-vector model {name!r} gives other vectors than in training; "
            "restore that model, or run the study again"
        )
    return read


def _neighbours(folder: Path, arrays: dict[str, np.ndarray], width: int, k: int | None) -> Neighbours:
    truth, n_labels = arrays["truth"], len(arrays["frequencies"])
    n = len(truth)
    _require_shape(folder, "truth", truth, (n, n_labels))
    if k is None or not 1 <= k <= n:
        raise EmocapError(f"{folder / SETTINGS}: k is {k}, expected 1 to {n}; run the study again")
    if "vectors" in arrays:
        _require_shape(folder, "vectors", arrays["vectors"], (n, width))
        return Neighbours(arrays["vectors"], truth > 0, arrays["frequencies"], k)
    try:
        vectors = csr_matrix((arrays["data"], arrays["columns"], arrays["offsets"]), shape=(n, width))
        vectors.check_format(full_check=True)
    except (ValueError, IndexError) as error:
        raise EmocapError(f"{folder / ARRAYS}: its sparse vectors are damaged ({error}); run the study again") from None
    return Neighbours(vectors, truth > 0, arrays["frequencies"], k)


def _require_shape(folder: Path, name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise EmocapError(f"{folder / ARRAYS}: {name} is {array.shape}, expected {shape}; run the study again")
