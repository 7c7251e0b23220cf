"""A saved model applied to a corpus of the user: predictions written to a file.

Paths, options and the corpus are checked before torch is imported, so that a mistake costs no waiting.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from emocap.api.model_folders import model_summary
from emocap.api.output_files import require_other_file, require_writable
from emocap.api.prediction_files import DATASET, require_prediction_format, write_predictions
from emocap.api.rejected_rows import Rejections, require_own_file, write_rejected_rows
from emocap.api.requested_emotions import check_top
from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.read import corpus_files, guess_format, read_corpus
from emocap.errors import EmocapError
from emocap.progress import logger

DEFAULT_P = 4
MAX_REASONS = 5


def label_corpus(
    model: Path,
    data: Path,
    out: Path,
    *,
    format_: str | None,
    images: Path | None,
    p: int | None = None,
    store: Path | None = None,
    allow_other_features: bool = False,
    rejected: Path | None = None,
    options: ReadOptions | None = None,
    p_option: str = "--p",
) -> int:
    """Write each pair's predictions in the data's order: top-p emotions, all probabilities, and ratings.

    Labels of the data are not read. The columns are those of the data, if it is a table, with pair_id, image and
    caption, then those of `write_predictions`.

    Args:
        store: feature store of the images; None extracts their features.
        allow_other_features: accept features that differ from those that the model was trained on.
        rejected: CSV file of `row`, `reason` and the row's columns for unusable rows, including those whose image
            cannot be read; written only if there are any. None scores the caption without its image if that cannot be
            read.
        options: names of the data's columns.
        p_option: what errors call `p`.

    Returns:
        The number of pairs written.

    Raises:
        EmocapError: unknown ending, a file that may not be written, bad data or model, or no image of those that are
            named; then nothing is written.
    """
    summary = model_summary(model)
    check_top(summary.labels, p, p_option)
    p = min(DEFAULT_P, len(summary.labels)) if p is None else p
    format_ = format_ or guess_format(data, options)
    _check_files(out, rejected, corpus_files(format_, data))
    options = replace(options or ReadOptions(), labels=False, keep_columns=True)
    pairs = read_pairs(data, format_, images, options, store)
    from emocap.api.corpus_remarks import corpus_remarks
    from emocap.api.scoring import CAPTION_ONLY, corpus_outputs, image_features, load_for_corpus

    classifier = load_for_corpus(summary.folder)
    consequence = "" if rejected else CAPTION_ONLY
    scratch = next(folder for folder in out.absolute().parents if folder.is_dir())
    with image_features(classifier, pairs, scratch, store, allow_other_features, consequence) as (features, faults):
        usable = pairs if rejected is None else _readable(pairs, faults)
        outputs = corpus_outputs(classifier, usable, features)
        for remark in corpus_remarks(classifier, usable, features):
            logger.warning("%s", remark)
    write_predictions(out, classifier, usable, outputs, p)
    if rejected is not None:
        write_rejected_rows(rejected, _rejected_rows(data, pairs, faults), pairs)
    return len(usable)


def read_pairs(data: Path, format_: str, images: Path | None, options: ReadOptions | None, store: Path | None) -> Pairs:
    """The pairs of a corpus; rejected rows and notes are logged.

    Raises:
        EmocapError: it cannot be read, or both images and their features are given.
    """
    if store is not None and images is not None:
        raise EmocapError(f"give the images ({images}) or their features ({store}), not both")
    if store is not None and not store.is_dir():
        raise EmocapError(f"{store}: not a feature store; give a folder that emocap extract wrote")
    pairs = read_corpus(format_, data, images, replace(options or ReadOptions(), has_images=store is not None))
    if store is not None and pairs.image_root is not None:
        raise EmocapError(f"{data}: contains the images themselves; leave their features ({store}) out")
    for fault in pairs.rejected[:MAX_REASONS]:
        logger.warning("%s: rejected: %s", fault.where, fault.reason)
    if len(pairs.rejected) > MAX_REASONS:
        logger.warning("%d rows rejected in total", len(pairs.rejected))
    for note in pairs.notes:
        logger.info("%s: %s", data, note)
    return pairs


def _check_files(out: Path, rejected: Path | None, inputs: list[Path]) -> None:
    require_prediction_format(out)
    require_writable(out, is_folder=out.suffix == DATASET)
    require_other_file(out, inputs, "the corpus that is to be labelled")
    if rejected is not None:
        require_other_file(rejected, inputs, "the corpus that is to be labelled")
        require_own_file(rejected)


def _readable(pairs: Pairs, faults: Mapping[str, str]) -> Pairs:
    return pairs.select([row for row, image in enumerate(pairs.images) if image not in faults])


def _rejected_rows(data: Path, pairs: Pairs, faults: Mapping[str, str]) -> Rejections:
    """The place, the reason and the row of what was rejected on reading, and of pairs whose image is unusable."""
    rejected = Rejections()
    places = [] if pairs.source is None else pairs.source.places.to_pylist()
    row_at = {place: row for row, place in enumerate(places)}
    for fault in pairs.rejected:
        rejected.add(fault.where, fault.reason, row_at.get(fault.where), fault.line)
    for number, (pair_id, image) in enumerate(zip(pairs.pair_ids, pairs.images, strict=True)):
        if image in faults:
            row = None if pairs.source is None else int(pairs.source.rows[number])
            place = f"{data}: pair {pair_id}" if row is None else places[row]
            rejected.add(place, f"{image}: {faults[image]}", row)
    return rejected
