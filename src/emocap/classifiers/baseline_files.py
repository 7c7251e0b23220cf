"""A baseline's files beside its model card: arrays as safetensors, terms and settings as JSON; nothing is pickled.

`baseline.json` says what it reads and names the sentence-vector model and the number of neighbours;
`arrays.safetensors` holds weights and intercepts, the training captions' vectors with their emotions, or frequencies,
and the same for ratings under names that begin with `rating_`; `terms.json` holds the words and word pairs of TF-IDF in
the order of the weights.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.sparse import csr_matrix, issparse

from emocap.classifiers.arrays import read_arrays, write_arrays
from emocap.errors import EmocapError
from emocap.evaluation.fitted_baselines import FittedBaseline, Frequencies, LinearModel, Model, Neighbours
from emocap.evaluation.image_vectors import ImageVectors
from emocap.evaluation.sentence_vectors import SentenceVectors, sentence_vectors
from emocap.evaluation.tfidf import Tfidf
from emocap.files import atomic_folder, read_json, write_json
from emocap.training.card_file import CARD
from emocap.training.checkpoint import ModelCard, validated

READS = {
    "prior": ("nothing",),
    "neighbours": ("tfidf", "vectors"),
    "tfidf": ("tfidf",),
    "vectors": ("vectors",),
    "image_probe": ("image",),
    "image_probe_labelled": ("image",),
    "vectors_image": ("vectors and image",),
}
KINDS = tuple(READS)
RATING = "rating_"
VECTORS = ("vectors", "data", "columns", "offsets")  # of the neighbours, the same for emotions and ratings
IMAGE_ARRAYS = {"image_mean": "float32", "image_spread": "float64"}
SETTINGS, ARRAYS, TERMS = "baseline.json", "arrays.safetensors", "terms.json"
PROBE = "A dog waits alone in front of a door."  # its vector tells whether sentence vectors are those of the training
LEAST_SIMILARITY = 0.999


@dataclass(frozen=True)
class BaselineSettings:
    """What is in `baseline.json`.

    Attributes:
        reads: what it makes of a pair, of its caption or the mean of its image's region features; the prior reads
            nothing.
        sentence_vectors: the sentence-vector model that it needs, "offline" or one of sentence-transformers.
        k: number of neighbours.
        rating_k: number of neighbours for ratings.
    """

    reads: Literal["nothing", "tfidf", "vectors", "image", "vectors and image"]
    sentence_vectors: str | None = None
    k: int | None = None
    rating_k: int | None = None
    schema: Literal[1] = 1
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012


def save_baseline(folder: Path, fitted: FittedBaseline, card: ModelCard) -> None:
    """Write a baseline's model folder atomically.

    Args:
        card: its kind is one of `KINDS`.
    """
    read, images = fitted.read, fitted.images
    arrays = _arrays(fitted.model)
    if fitted.rating_model is not None:
        of_ratings = _arrays(fitted.rating_model).items()
        arrays |= {f"{RATING}{name}": array for name, array in of_ratings if name not in VECTORS}
    vectors = None
    if isinstance(read, Tfidf):
        arrays["idf"] = read.idf
    elif isinstance(read, SentenceVectors):
        arrays["probe"] = read([PROBE])[0]
        vectors = str(Path(read.name).absolute()) if Path(read.name).is_dir() else read.name
    if images is not None:
        arrays |= {"image_mean": images.mean, "image_spread": np.array([images.spread])}
    if fitted.without_image is not None:
        arrays["without_image"] = fitted.without_image
    of_caption = [] if read is None else ["tfidf" if isinstance(read, Tfidf) else "vectors"]
    parts = [*of_caption, *([] if images is None else ["image"])]
    settings = BaselineSettings(
        " and ".join(parts) or "nothing",  # type: ignore[arg-type]
        vectors,
        k=_k_of(fitted.model),
        rating_k=_k_of(fitted.rating_model),
    )
    with atomic_folder(folder) as temporary:
        write_json(temporary / CARD, asdict(card))
        write_json(temporary / SETTINGS, asdict(settings))
        write_arrays(temporary / ARRAYS, arrays)
        if isinstance(read, Tfidf):
            write_json(temporary / TERMS, {"terms": read.terms})


def _k_of(model: Model | None) -> int | None:
    return model.k if isinstance(model, Neighbours) else None


def _arrays(model: Model) -> dict[str, np.ndarray]:
    if isinstance(model, Frequencies):
        return {"frequencies": model.frequencies}
    if isinstance(model, LinearModel):
        return {"weights": model.weights, "intercepts": model.intercepts}
    if model.known is None:
        values = {"truth": model.truth.astype(np.uint8), "frequencies": model.frequencies}
    else:
        values = {"truth": model.truth, "known": model.known.astype(np.uint8), "frequencies": model.frequencies}
    if not issparse(model.vectors):
        return values | {"vectors": model.vectors}
    rows = model.vectors
    sparse = {"data": rows.data, "columns": rows.indices.astype(np.int32), "offsets": rows.indptr.astype(np.int64)}
    return values | sparse


def read_baseline(folder: Path, kind: str, n_labels: int, n_ratings: int = 0) -> FittedBaseline:
    """What `save_baseline` wrote.

    Args:
        kind: one of `KINDS`.
        n_labels: number E of emotions.
        n_ratings: number R of ratings.

    Raises:
        EmocapError: a file is missing, damaged or does not match, or the sentence-vector model is missing or another.
    """
    settings = validated(BaselineSettings, folder / SETTINGS, read_json(folder / SETTINGS))
    if settings.reads not in READS[kind]:
        raise EmocapError(f"{folder / SETTINGS}: reads {settings.reads!r}, expected {' or '.join(READS[kind])}")
    arrays = read_arrays(folder / ARRAYS, _dtypes(kind, settings.reads, n_ratings > 0))
    read: Tfidf | SentenceVectors | None = None
    width = 0
    if settings.reads == "tfidf":
        read, width = _tfidf(folder, arrays["idf"]), arrays["idf"].size
    elif "probe" in arrays:
        read, width = _sentence_vectors(folder, settings, arrays["probe"]), arrays["probe"].size
    images, without_image = None, arrays.get("without_image")
    if "image_mean" in arrays:
        _require_shape(folder, "image_spread", arrays["image_spread"], (1,))
        images = ImageVectors(arrays["image_mean"], float(arrays["image_spread"][0]))
        width += images.mean.size
    if without_image is not None:
        _require_shares(folder, "without_image", without_image, n_labels + n_ratings)
    of_ratings = {name.removeprefix(RATING): array for name, array in arrays.items() if name.startswith(RATING)}
    rating_model = None
    if n_ratings:
        of_ratings |= {name: arrays[name] for name in VECTORS if name in arrays}
        rating_model = _model(folder, kind, of_ratings, width, n_ratings, settings.rating_k, is_logistic=False)
    model = _model(folder, kind, arrays, width, n_labels, settings.k)
    return FittedBaseline(kind, read, model, images, rating_model, without_image)


def _dtypes(kind: str, reads: str, has_ratings: bool) -> dict[str, str]:
    """The type of each array in the file of a baseline."""
    inputs = {"tfidf": {"idf": "float32"}, "vectors": {"probe": "float32"}, "image": IMAGE_ARRAYS}
    dtypes = {name: dtype for part in reads.split(" and ") for name, dtype in inputs.get(part, {}).items()}
    if reads == "image":
        dtypes |= {"without_image": "float64"}
    if kind == "prior":
        model = {"frequencies": "float64"}
    elif kind == "neighbours":
        model = {"truth": "uint8", "frequencies": "float64"}
        sparse = {"data": "float32", "columns": "int32", "offsets": "int64"}
        dtypes |= sparse if reads == "tfidf" else {"vectors": "float32"}
    else:
        model = {"weights": "float32", "intercepts": "float64"}
    of_ratings = model | ({"truth": "float64", "known": "uint8"} if kind == "neighbours" else {})
    return dtypes | model | ({f"{RATING}{name}": dtype for name, dtype in of_ratings.items()} if has_ratings else {})


def _model(
    folder: Path,
    kind: str,
    arrays: dict[str, np.ndarray],
    width: int,
    n_outputs: int,
    k: int | None,
    *,
    is_logistic: bool = True,
) -> Model:
    """The model of the emotions, or of the ratings, from its arrays."""
    shapes = {"intercepts": (n_outputs,), "weights": (width, n_outputs)}
    for name in shapes.keys() & arrays.keys():
        _require_shape(folder, name, arrays[name], shapes[name])
    if "frequencies" in arrays:
        _require_shares(folder, "frequencies", arrays["frequencies"], n_outputs)
    if kind == "prior":
        return Frequencies(arrays["frequencies"])
    if kind == "neighbours":
        return _neighbours(folder, arrays, width, k)
    return LinearModel(arrays["weights"], arrays["intercepts"], is_logistic)


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
    truth, n_labels, known = arrays["truth"], len(arrays["frequencies"]), arrays.get("known")
    n = len(truth)
    for name, array in {"truth": truth, "known": truth if known is None else known}.items():
        _require_shape(folder, name, array, (n, n_labels))
    if k is None or not 1 <= k <= n:
        raise EmocapError(f"{folder / SETTINGS}: k is {k}, expected 1 to {n}; run the study again")
    if "vectors" in arrays:
        _require_shape(folder, "vectors", arrays["vectors"], (n, width))
        vectors = arrays["vectors"]
    else:
        try:
            vectors = csr_matrix((arrays["data"], arrays["columns"], arrays["offsets"]), shape=(n, width))
            vectors.check_format(full_check=True)
        except (ValueError, IndexError) as error:
            raise EmocapError(
                f"{folder / ARRAYS}: its sparse vectors are damaged ({error}); run the study again"
            ) from None
    if known is None:
        return Neighbours(vectors, truth > 0, arrays["frequencies"], k)
    return Neighbours(vectors, truth, arrays["frequencies"], k, known > 0)


def _require_shares(folder: Path, name: str, array: np.ndarray, n: int) -> None:
    _require_shape(folder, name, array, (n,))
    if not ((array >= 0) & (array <= 1)).all():
        raise EmocapError(f"{folder / ARRAYS}: {name} are not within 0 to 1; run the study again")


def _require_shape(folder: Path, name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise EmocapError(f"{folder / ARRAYS}: {name} is {array.shape}, expected {shape}; run the study again")
