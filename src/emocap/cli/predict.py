"""The commands that use a trained classifier: on one pair, on a table of pairs, on a labelled corpus."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from emocap.cli.checks import check_pair, check_target
from emocap.cli.evaluation import print_evaluation
from emocap.cli.models import chosen_model
from emocap.cli.options import (
    Columns,
    FormatOption,
    ImageAndCaption,
    ImagesOption,
    LabelSeparator,
    LabelThreshold,
    ModelOption,
    OtherFeaturesOption,
    StoreOption,
    read_options,
)
from emocap.cli.output import printable, rating_line
from emocap.cli.remarks import print_notes, print_remarks
from emocap.corpora.options import ReadOptions, parse_columns
from emocap.errors import EmocapError


def label(
    data: Annotated[Path, typer.Option("--data", help="Corpus to label.")],
    out: Annotated[Path, typer.Option("--out", help="File: .parquet, .csv, .jsonl or .tar; or folder: .dataset.")],
    model: ModelOption = None,
    format_: FormatOption = None,
    images: ImagesOption = None,
    columns: Columns = None,
    store: StoreOption = None,
    allow_other_features: OtherFeaturesOption = False,
    p: Annotated[int | None, typer.Option("--p", min=1, help="Emotions per pair; default 4.")] = None,
) -> None:
    """Predict the emotions of every pair of a corpus: the top P emotions and all probabilities.

    Labels that the corpus may have are not read. A table's own columns are kept.

    Example: `emocap label --model runs/demo/AnB+ --data captions_val2017.json --images val2017 --out out.parquet`
    """
    from emocap.api.tables import label_corpus
    from emocap.report.text import counted

    n_pairs = label_corpus(
        chosen_model(model, reads_images=images is not None or store is not None),
        data,
        out,
        format_=format_,
        images=images,
        p=p,
        store=store,
        allow_other_features=allow_other_features,
        options=read_options(columns),
    )
    typer.echo(f"{out}: {counted(n_pairs, 'pair', 'pairs')}")


def evaluate(
    data: Annotated[Path, typer.Option("--data", help="Labelled corpus.")],
    model: ModelOption = None,
    format_: FormatOption = None,
    images: ImagesOption = None,
    columns: Columns = None,
    label_separator: LabelSeparator = None,
    label_threshold: LabelThreshold = None,
    negatives: Annotated[
        Literal["keep", "drop"],
        typer.Option(help="Pairs with no emotion that the model knows: keep them as evoking none, or drop them."),
    ] = "keep",
    label_map: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="LABEL=EMOTION,...",
            help="Labels of the data that are emotions of the model under other names, such as fearful=fear; may be "
            "repeated.",
        ),
    ] = None,
    labels: Annotated[
        Literal["all", "common"],
        typer.Option(help="Score all emotions of the model, or only those that both the model and the data have."),
    ] = "all",
    store: StoreOption = None,
    allow_other_features: OtherFeaturesOption = False,
) -> None:
    """Evaluate a model on pairs with labels, ratings or both.

    All pairs are used, so give only pairs that the model was not trained on. The row `prior` is a baseline: the label
    frequencies of the model's training pairs. The ratings of a model are scored where the data have columns for them,
    NAME or NAME_mean; --columns valence=NAME gives another one.

    Example: `emocap evaluate --model runs/mine/teacher --data more-pairs.csv --images images`
    """
    from emocap.api.corpus_evaluation import evaluate_corpus
    from emocap.api.label_maps import parse_label_map
    from emocap.api.model_folders import model_summary

    summary = model_summary(chosen_model(model, reads_images=images is not None or store is not None))
    evaluation = evaluate_corpus(
        summary.folder,
        data,
        format_=format_,
        images=images,
        store=store,
        allow_other_features=allow_other_features,
        options=replace(
            read_options(None, label_separator, label_threshold),
            ratings=summary.ratings,
            columns=parse_columns(columns),
        ),
        negatives=negatives,
        label_map=parse_label_map(label_map or []),
        labels=labels,
    )
    print_evaluation(evaluation, data)


def predict(
    words: Annotated[list[str] | None, ImageAndCaption] = None,
    model: ModelOption = None,
    top: Annotated[
        int | None, typer.Option("--top", "-n", min=1, help="Emotions to show; default 5, with --input 4.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--input", help="Many pairs: any file that emocap inspect understands.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--output", help="For --input: .parquet, .csv, .jsonl, .tar, .dataset.")
    ] = None,
    images: ImagesOption = None,
    columns: Columns = None,
    allow_other_features: OtherFeaturesOption = False,
) -> None:
    """Predict what people are likely to feel about an image with its caption, or about either alone.

    Shows the likeliest emotions, and each rating of the model with its scale, such as valence from 1 to 7.

    With --input, the format is guessed, and only tables are considered if --columns is given. Labels are not read; all
    columns of a table are kept. Rows that cannot be used are listed with the reason in NAME-rejected.csv, next to the
    output.

    Example: `emocap predict dog.jpg "A dog waits at the door, all alone."`

    Example: `emocap predict --model runs/demo/AnB+ --input pairs.csv --images images --output out.parquet`
    """
    if table is not None:
        if words or out is None:
            raise EmocapError("predict --input takes --output and no caption; see emocap predict --help")
        folder = chosen_model(model, reads_images=images is not None)
        _predict_table(folder, table, out, images, top, allow_other_features, read_options(columns))
        return
    if not words or out is not None or images is not None or columns is not None:
        raise EmocapError("predict takes a caption, or --input with --output; see emocap predict --help")
    image, caption = _image_and_caption("predict", words)
    summary = check_pair(chosen_model(model, reads_images=image is not None), image, caption)
    from emocap.api.requested_emotions import check_top

    check_top(summary.labels, top, "--top")
    from emocap.api.predictor import EmotionPredictor

    predictor = EmotionPredictor.from_pretrained(summary.folder, allow_other_features=allow_other_features)
    (regions,) = predictor.regions([image])
    print_remarks([*predictor.model_remarks(), *predictor.remarks(regions, caption)])
    prediction = predictor.predict(regions, caption)
    for predicted in prediction.emotions[: top or 5]:
        typer.echo(f"{predicted.probability:6.1%}  {predicted.emotion}")
    for name, value in prediction.ratings.items():
        typer.echo(rating_line(name, value, predictor.ratings[name]))


def _predict_table(
    model: Path,
    table: Path,
    out: Path,
    images: Path | None,
    top: int | None,
    allow_other_features: bool,
    options: ReadOptions,
) -> None:
    from emocap.api.tables import label_corpus
    from emocap.report.text import counted

    n_pairs = label_corpus(
        model,
        table,
        out,
        format_=None,
        images=images,
        p=top,
        allow_other_features=allow_other_features,
        rejected=out.with_name(f"{out.stem}-rejected.csv"),
        options=options,
        p_option="--top",
    )
    typer.echo(f"{out}: {counted(n_pairs, 'pair', 'pairs')}")


def explain(
    words: Annotated[list[str], ImageAndCaption],
    model: ModelOption = None,
    emotion: Annotated[
        str | None,
        typer.Option("--emotion", "-e", help="The emotion or rating to explain; default the most likely emotion."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Also write the image and the caption with their effects in colour: .html or .png."),
    ] = None,
    allow_other_features: OtherFeaturesOption = False,
) -> None:
    """Show which words and regions raise or lower an emotion or a rating, and the effect of other wordings.

    Example: `emocap explain dog.jpg "A dog waits, all alone." --emotion sad --out why.html`
    """
    image, caption = _image_and_caption("explain", words)
    if out is not None:
        _check_explanation_file(out, image)
    summary = check_pair(chosen_model(model, reads_images=image is not None), image, caption)
    check_target(summary, emotion)
    from emocap.api.explanation_file import write_explanation
    from emocap.api.predictor import EmotionPredictor
    from emocap.regions.images import open_image

    predictor = EmotionPredictor.from_pretrained(summary.folder, allow_other_features=allow_other_features)
    (regions,) = predictor.regions([image])
    explanation = predictor.explain(regions, caption, emotion)
    print_remarks([*predictor.model_remarks(), *predictor.remarks(regions, caption)])
    print_notes(explanation.remarks)
    _print_explanation(explanation)
    if out is not None:
        write_explanation(explanation, None if image is None else open_image(image), out)
        typer.echo(f"\n{out}")


def _check_explanation_file(out: Path, image: Path | None) -> None:
    from emocap.api.output_files import require_other_file, require_writable

    if out.suffix.lower() not in (".html", ".png"):
        raise EmocapError(f"{out}: ending is {out.suffix!r}, expected .html or .png")
    require_writable(out)
    require_other_file(out, [] if image is None else [image], "the image itself")


def _print_explanation(explanation: Any) -> None:
    from emocap.api.explanation_file import MAX_REWORDINGS
    from emocap.html_templates import signed

    if explanation.rating is None:
        typer.echo(f"{explanation.probability:6.1%}  {explanation.emotion}\n")
    else:
        typer.echo(rating_line(explanation.emotion, explanation.rating, explanation.scale) + "\n")
    for word in explanation.words:
        typer.echo(f"{signed(word.effect, 2):>7}  {printable(word.word)}")
    if explanation.regions:
        effect = sum(region.effect for region in explanation.regions)
        typer.echo(f"{signed(effect, 2):>7}  all {len(explanation.regions)} regions of the image")
    rest, baseline = "error of the numerical integration and of rounding", "every word masked, every region empty"
    if explanation.method == "deletion":
        rest, baseline = "joint effects, since each part is left out alone", "empty caption, no image"
    typer.echo(f"{signed(explanation.rest, 2):>7}  {rest}")
    typer.echo(f"  log-odds {explanation.log_odds:.2f}, baseline ({baseline}) {explanation.baseline_log_odds:.2f}\n")
    for rewording in explanation.rewordings[:MAX_REWORDINGS]:
        word = printable(rewording.word)
        wording = f'replace "{word}" by "{rewording.replacement}"' if rewording.replacement else f'leave out "{word}"'
        points = " points" if explanation.rating is None else ""
        typer.echo(f"{explanation.change_shown(rewording):>6}{points}  {wording}")


def _image_and_caption(command: str, words: list[str]) -> tuple[Path | None, str]:
    """The image, if any, and the caption of a command's arguments; a single word that is a file is an image alone."""
    if len(words) > 2:
        raise EmocapError(
            f"{command} takes an image and a caption, found {len(words)} words; put the caption in quotes"
        )
    if len(words) == 1 and os.path.isfile(words[0]):  # noqa: PTH113  a caption may be too long for a file's name
        return Path(words[0]), ""
    return (Path(words[0]) if len(words) == 2 else None), words[-1]
