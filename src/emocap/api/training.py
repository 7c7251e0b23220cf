"""EmotionClassifier: a predictor trained on one table, and the report of its training."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from emocap.api.predictor import EmotionPredictor
from emocap.classifiers.base import Classifier
from emocap.classifiers.load import load_classifier
from emocap.corpora.interop.columns import named_columns, new_builder, pairs_of_columns, plain, union_of_rows
from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.read import guess_format, read_corpus
from emocap.errors import EmocapError
from emocap.fitting.report import TrainingReport
from emocap.fitting.run import MODEL, require_own_output, train_table
from emocap.progress import logger

LIST = "list"
MAX_REASONS = 5
FRAMES: dict[str, Callable[..., Pairs]] = {
    "pandas": Pairs.from_pandas,
    "polars": Pairs.from_polars,
    "datasets": Pairs.from_dataset,
}


class EmotionClassifier(EmotionPredictor):
    """A predictor that `train` made of one table.

    Attributes:
        report: what the training tried, found and chose.
    """

    def __init__(self, classifier: Classifier, report: TrainingReport, scratch: Any = None) -> None:
        super().__init__(classifier)
        self.report = report
        self._scratch = scratch  # a temporary folder, which is deleted with this object

    @classmethod
    def train(
        cls,
        table: Any,
        images: str | Path | None = None,
        out: str | Path | None = None,
        *,
        format: str | None = None,
        **options: Any,
    ) -> "EmotionClassifier":
        """Try what suits a table's size, choose by cross-validation, and train the chosen kind on all rows.

        Args:
            table: the path of any file that `emocap inspect` understands, a `DataFrame` of pandas or polars, a list of
                dictionaries with the same keys as columns, a `datasets.Dataset`, or `Pairs`.
            images: folder of the images that the table names; None for captions alone.
            out: folder for the model and the report; None keeps the model in a temporary folder as long as the
                predictor exists.
            format: of a file; None guesses it.
            options: those of `ReadOptions`: `columns`, `label_separator`, `label_threshold`, `ratings`.

        Raises:
            EmocapError: nothing can be learned from the table, or `out` holds something else.

        >>> classifier = EmotionClassifier.train("pairs.csv", images="images", out="runs/pairs")  # doctest: +SKIP
        >>> classifier.report.chosen, classifier.predict(None, "nobody came")[0].emotion  # doctest: +SKIP
        ('tuned+vectors', 'sad')
        """
        if out is not None:
            require_own_output(Path(out))
        pairs, source = read_training_pairs(table, images, format, ReadOptions(**options))
        scratch = None
        if out is None:
            scratch = tempfile.TemporaryDirectory(prefix="emocap-")
            out = Path(scratch.name) / MODEL
        folder = Path(out)
        settings = {"format": format, "images": None if images is None else str(images), "options": repr(options)}
        report = train_table(pairs, folder, source=source, settings=settings)
        return cls(load_classifier(folder / MODEL), report, scratch)

    def report_values(self) -> dict[str, Any]:
        """The report as dictionaries, lists, texts and numbers, for `json.dumps`."""
        return asdict(self.report)


def read_training_pairs(
    table: Any, images: str | Path | None, format_: str | None, options: ReadOptions
) -> tuple[Pairs, str]:
    """The pairs of a table and what it is called; rejected rows are logged.

    Raises:
        EmocapError: no table, or one that cannot be read.
    """
    pairs, source = _read(table, images, format_, options)
    for fault in pairs.rejected[:MAX_REASONS]:
        logger.warning("%s: rejected: %s", fault.where, fault.reason)
    if len(pairs.rejected) > MAX_REASONS:
        logger.warning("%d rows rejected in total", len(pairs.rejected))
    return pairs, source


def _read(table: Any, images: str | Path | None, format_: str | None, options: ReadOptions) -> tuple[Pairs, str]:
    if isinstance(table, str | Path):
        path = Path(table)
        format_ = format_ or guess_format(path, options)
        return read_corpus(format_, path, None if images is None else Path(images), options), path.name
    if format_ is not None:
        raise EmocapError(f"format is {format_!r}, but the table is {type(table).__name__}, not a file; leave it out")
    if isinstance(table, Pairs):
        if images is not None:
            raise EmocapError("Pairs know the folder of their images; leave images out")
        return table, "pairs"
    fields = {name: getattr(options, name) for name in ("columns", "label_separator", "label_threshold", "ratings")}
    library = type(table).__module__.partition(".")[0]
    if library in FRAMES:
        return FRAMES[library](table, images, **fields), "data frame" if library != "datasets" else "dataset"
    if isinstance(table, Sequence) and table and all(isinstance(row, Mapping) for row in table):
        builder = new_builder(LIST, images)
        columns = named_columns(builder, union_of_rows([plain(row) for row in table]).items())
        return pairs_of_columns(builder, columns, options), LIST
    raise EmocapError(
        f"table is {type(table).__name__}, expected a path, a data frame of pandas or polars, a list of dictionaries, "
        "a dataset or Pairs"
    )
