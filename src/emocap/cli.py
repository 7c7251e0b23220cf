"""The command line: parse, call, print. Everything heavy is imported by the command that needs it."""

import os
import shlex
import sys
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

from emocap.errors import EmocapError
from emocap.progress import set_up_logging

app = typer.Typer(
    name="emocap",
    help="What people will feel when they see a picture with its caption.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
store_app = typer.Typer(help="Look into, check, import and export feature stores.", no_args_is_help=True)
app.add_typer(store_app, name="store")
COLUMNS = {
    "top1_accuracy": "top-1",
    "top2_accuracy": "top-2",
    "top3_accuracy": "top-3",
    "recall_at_3": "recall@3",
    "mean_average_precision": "mAP",
    "bce": "BCE",
    "expected_calibration_error": "ECE",
}
StoreArgument = Annotated[Path, typer.Argument(metavar="STORE", help="Folder of a feature store.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Put a value over the YAML's.")]
ModelOption = Annotated[Path, typer.Option("--model", help="Model folder that a study saved, such as runs/demo/AnB+.")]
FormatOption = Annotated[
    str | None, typer.Option("--format", help="A reader's name, such as socratis, coco or table; guessed if left out.")
]
StoreOption = Annotated[
    Path | None, typer.Option("--features", metavar="STORE", help="Feature store of the images, in place of --images.")
]
OtherFeaturesOption = Annotated[
    bool, typer.Option("--allow-other-features", help="Use features of another kind than the model was trained on.")
]
ImagesOption = Annotated[Path | None, typer.Option("--images", help="Folder of the images that the data name.")]


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    set_up_logging(debug)


@app.command()
def demo(
    run_dir: Annotated[
        Path | None,
        typer.Option("--run-dir", help="Folder of the run, else runs/demo; a stopped run goes on."),
    ] = None,
    captions: Annotated[
        bool,
        typer.Option("--captions", help="With a captioner, on more pictures: about an hour."),
    ] = False,
    overrides: SetOption = None,
) -> None:
    """Make the demo corpora and run the whole study on them: a few minutes on two cores.

    Ends with the table of results and the path of the report. With --captions it is in runs/demo-captions.
    """
    from emocap.corpora.scenes import write_demo_corpora
    from emocap.study.config import load_config

    name = "demo-captions" if captions else "demo"
    with _preset(name) as path:
        config = load_config(path, overrides)
    n_images = 4000 if captions else 1200
    draw = partial(write_demo_corpora, n_source_images=n_images, seed=config.seed)
    _run(config, run_dir or Path("runs") / name, None, draw=draw)


@app.command()
def run(
    study: Annotated[
        Path, typer.Argument(metavar="STUDY.yaml", help="The study's configuration; docs/STUDY.md has all keys.")
    ],
    overrides: SetOption = None,
    run_dir: Annotated[Path | None, typer.Option("--run-dir", help="Folder of the run; default runs/NAME.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="STAGE", help="The last stage to run.")] = None,
) -> None:
    """Run a study from its YAML, or go on with one that was stopped.

    Stages: prepare, features, splits, baselines, teacher, scores, selection, student, AnB, AnB+, evaluation, report,
    and those of a labelled source, folds, seeds and studies where the YAML asks for them. A study without a `source`
    trains and evaluates the teacher alone.

    Example: `emocap run configs/socratis-text.yaml --set data_root=data --set teacher.epochs=2`
    """
    from emocap.study.config import load_config

    config = load_config(study, overrides)
    _run(config, run_dir or Path("runs") / config.name, until)


@app.command()
def label(
    model: ModelOption,
    data: Annotated[Path, typer.Option("--data", help="Corpus to score.")],
    out: Annotated[Path, typer.Option("--out", help="File to write: .parquet, .csv or .jsonl.")],
    format_: FormatOption = None,
    images: ImagesOption = None,
    store: StoreOption = None,
    allow_other_features: OtherFeaturesOption = False,
    p: Annotated[int | None, typer.Option("--p", min=1, help="Emotions kept a pair; default 4.")] = None,
) -> None:
    """Score every pair of a corpus: its P best emotions and all probabilities.

    Example: `emocap label --model runs/demo/AnB+ --data captions_val2017.json --images val2017 --out out.parquet`
    """
    from emocap.inference.corpus import label_corpus

    n = label_corpus(
        *(model, data, out),
        format_=format_,
        images=images,
        p=p,
        store=store,
        allow_other_features=allow_other_features,
    )
    typer.echo(f"{out}: {n} pairs")


@app.command()
def evaluate(
    model: ModelOption,
    data: Annotated[Path, typer.Option("--data", help="Labelled corpus.")],
    format_: FormatOption = None,
    images: ImagesOption = None,
    store: StoreOption = None,
    allow_other_features: OtherFeaturesOption = False,
) -> None:
    """Measure a model on labelled pairs.

    The pairs are taken as they are: give only such as the model has not seen. Beside it stands `prior`, the label
    frequencies of the model's training pairs.

    Example: `emocap evaluate --model runs/mine/teacher --data more-pairs.csv --images pictures`
    """
    from emocap.inference.corpus import evaluate_corpus

    rows = evaluate_corpus(
        *(model, data), format_=format_, images=images, store=store, allow_other_features=allow_other_features
    )
    _print_table(rows)


@app.command()
def predict(
    model: ModelOption,
    words: Annotated[
        list[str], typer.Argument(metavar="[IMAGE] CAPTION", help="The caption, before it its picture if any.")
    ],
    top: Annotated[int, typer.Option("--top", "-n", min=1, help="Emotions shown.")] = 5,
    allow_other_features: OtherFeaturesOption = False,
) -> None:
    """Tell what people are likely to feel on seeing a picture with its caption, or a caption alone.

    Example: `emocap predict --model runs/demo/AnB+ dog.jpg "A dog waits at the door, all alone."`
    """
    if len(words) > 2:
        raise EmocapError(f"predict takes an image and a caption, found {len(words)} words; put the caption in quotes")
    from emocap.inference.predictor import EmotionPredictor

    image = Path(words[0]) if len(words) == 2 else None
    predictor = EmotionPredictor.from_pretrained(model, allow_other_features=allow_other_features)
    for found in predictor.predict(image, words[-1])[:top]:
        typer.echo(f"{found.probability:6.1%}  {found.emotion}")


EmotionOption = Annotated[list[str], typer.Option("--emotion", "-e", help="What people are to feel; may be repeated.")]
AvoidOption = Annotated[list[str] | None, typer.Option("--avoid", help="What they must not feel; may be repeated.")]
CharsOption = Annotated[
    int | None, typer.Option("--max-chars", min=1, help="Characters of a caption, such as 125 for alt text.")
]
ClipOption = Annotated[
    str | None, typer.Option("--clip", metavar="NAME", help="Judge faithfulness by this CLIP-like model.")
]


@app.command()
def caption(
    model: Annotated[Path, typer.Option("--model", help="Run with a captioner, or with --writer any model folder.")],
    image: Annotated[Path, typer.Argument(help="The picture.")],
    emotion: EmotionOption,
    n: Annotated[int, typer.Option("-n", min=1, max=100, help="Captions shown.")] = 5,
    avoid: AvoidOption = None,
    max_chars: CharsOption = None,
    guidance: Annotated[
        float | None,
        typer.Option("--guidance", min=0, max=20, help="Strength of the emotions in writing; 1 as learnt."),
    ] = None,
    strength: Annotated[
        float | None, typer.Option("--strength", min=0, help="Strength of the emotions in ordering; 0 for none.")
    ] = None,
    writer: Annotated[
        str | None, typer.Option("--writer", metavar="NAME", help="Let this image-to-text model write, such as BLIP.")
    ] = None,
    clip: ClipOption = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the draws.")] = 0,
    allow_other_features: OtherFeaturesOption = False,
) -> None:
    """Write captions for a picture that make people feel an emotion, best first.

    Shown are the chance that annotators name the emotion, how likely the caption is for the picture whatever the
    emotion (nats a token), and the caption.

    Example: `emocap caption --model runs/demo-captions dog.jpg --emotion sad --avoid angry --max-chars 125`
    """
    from emocap.inference.captioner import EmotionCaptioner, best_of, picture_of

    if writer is None:
        captioner = EmotionCaptioner.from_pretrained(model, allow_other_features=allow_other_features)
        found = captioner.caption(
            *(image, emotion, n),
            guidance=guidance,
            strength=strength,
            avoid=avoid or [],
            max_chars=max_chars,
            seed=seed,
            similarity=_similarity(clip),
        )
        _print_ranked(found)
        return
    if guidance is not None:
        raise EmocapError("caption: --guidance is for emocap's own captioner; leave it out with --writer")
    from emocap.inference.borrowed import ImageToText

    candidates = ImageToText(writer).write(picture_of(image), max(8, 3 * n), seed=seed)
    ranked = _ranked(model, image, candidates, emotion, avoid, max_chars, strength, clip, allow_other_features)
    _print_ranked(best_of(ranked, n))


@app.command()
def rank(
    model: Annotated[Path, typer.Option("--model", help="Model folder, or a run with a captioner.")],
    words: Annotated[
        list[Path],
        typer.Argument(metavar="[IMAGE] CAPTIONS", help="A text file, a caption a line; before it a picture."),
    ],
    emotion: EmotionOption,
    avoid: AvoidOption = None,
    max_chars: CharsOption = None,
    strength: Annotated[
        float | None, typer.Option("--strength", min=0, help="Strength of the emotions against faithfulness.")
    ] = None,
    clip: ClipOption = None,
    allow_other_features: OtherFeaturesOption = False,
) -> None:
    """Order captions that you wrote by what they make people feel; none is changed or left out.

    Example: `emocap rank --model runs/demo/AnB+ dog.jpg captions.txt --emotion hopeful --avoid scared`
    """
    from emocap.files import read_text

    if len(words) > 2:
        raise EmocapError(f"rank takes a picture and a file of captions, found {len(words)} paths")
    captions = [line.removesuffix("\r") for line in read_text(words[-1]).split("\n") if line.strip()]
    if not captions:
        raise EmocapError(f"{words[-1]}: holds no captions; write one a line")
    image = words[0] if len(words) == 2 else None
    _print_ranked(_ranked(model, image, captions, emotion, avoid, max_chars, strength, clip, allow_other_features))


def _ranked(
    model: Path,
    image: Path | None,
    captions: list[str],
    emotion: list[str],
    avoid: list[str] | None,
    max_chars: int | None,
    strength: float | None,
    clip: str | None,
    allow_other: bool,
) -> list[Any]:
    """Captions in order, by a captioner's run or by a classifier's folder."""
    from emocap.inference.captioner import EmotionCaptioner, order_captions
    from emocap.inference.predictor import EmotionPredictor
    from emocap.training.captioner_folder import RANKER, find_captioner

    how: dict[str, Any] = {"avoid": avoid or [], "max_chars": max_chars, "similarity": _similarity(clip)}
    place = find_captioner(model)
    if place is not None and image is not None:
        captioner = EmotionCaptioner.from_pretrained(place, allow_other_features=allow_other)
        return captioner.rank(image, captions, emotion, strength=strength, **how)
    classifier = model if place is None else place / RANKER
    predictor = EmotionPredictor.from_pretrained(classifier, allow_other_features=allow_other)
    return order_captions(predictor, image, captions, emotion, strength=1.0 if strength is None else strength, **how)


def _similarity(clip: str | None) -> Any:
    if clip is None:
        return None
    from emocap.inference.borrowed import ImageTextSimilarity

    return ImageTextSimilarity(clip)


def _print_ranked(ranked: list[Any]) -> None:
    for place, one in enumerate(ranked, 1):
        faithful = "" if one.faithfulness is None else f"  {one.faithfulness:6.2f}"
        remarks = f"  [{'; '.join(one.remarks)}]" if one.remarks else ""
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in one.caption)
        typer.echo(f"{place:3}  {one.probability:6.1%}{faithful}  {shown}{remarks}")


@app.command()
def extract(
    images: Annotated[
        Path | None, typer.Argument(metavar="[IMAGES]", help="Folder; all images below it are described.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The store to make; with --show the picture, default IMAGE-regions.png."),
    ] = None,
    extractor: Annotated[
        str, typer.Option("--extractor", help="frcnn-vg, torchvision, vit:NAME or grid; NAME:WEIGHTS names weights.")
    ] = "frcnn-vg",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the extractor, as max_boxes=100."),
    ] = None,
    names: Annotated[
        Path | None,
        typer.Option("--list", metavar="FILE", help="Only these images: their paths below IMAGES, one a line."),
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="That decode; default one per core.")] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=1, help="Images at once; default the extractor's own.")
    ] = None,
    show: Annotated[
        Path | None, typer.Option("--show", metavar="IMAGE", help="Draw an image's regions with their names instead.")
    ] = None,
) -> None:
    """Find regions in images and describe them: a feature store for studies and models.

    Stopped or killed, the same command goes on. Several GPUs: `torchrun --nproc-per-node 8 -m emocap extract ...`

    Example: `emocap extract coco/train2017 --out train.store --set min_boxes=10 --set max_boxes=100`
    """
    from emocap.regions.extractor import build_extractor
    from emocap.study.config import settings_from

    if show is not None:
        if images is not None:
            raise EmocapError(f"extract: give a folder of images ({images}) or --show {show}, not both")
        if names is not None or workers is not None or batch_size is not None:
            raise EmocapError("extract: --list, --workers and --batch-size have no use with --show; leave them out")
        from emocap.regions.show import show_regions

        if not show.is_file():
            raise EmocapError(f"{show}: no such image")
        drawn = out or Path(f"{show.stem}-regions.png")
        found = show_regions(show, build_extractor(extractor, settings_from(settings)), drawn)
        typer.echo(f"{drawn}: {len(found.features)} regions")
        return
    if images is None or out is None:
        raise EmocapError(
            "extract takes a folder of images and --out STORE, or --show IMAGE; see emocap extract --help"
        )
    from emocap.files import read_text
    from emocap.regions.extract import extract as extract_images
    from emocap.regions.extract import images_below, tell_faults
    from emocap.regions.store_writer import require_free

    require_free(out)  # before weights are loaded
    keys = images_below(images) if names is None else [line.strip() for line in read_text(names).splitlines()]
    if not images.is_dir():
        raise EmocapError(f"{images}: no such folder; give the folder of the images")
    if not any(keys):
        raise EmocapError(f"{names}: names no images; give their paths below {images}, one a line")
    made = build_extractor(extractor, settings_from(settings))
    report = extract_images(keys, images, made, out, workers, batch_size)
    if int(os.environ.get("RANK", "0")):
        return
    tell_faults(report)
    typer.echo(f"{out}: {report.n_images} images, {len(report.missing)} missing, {len(report.quarantined)} set aside")


@store_app.command("info")
def store_info(path: StoreArgument) -> None:
    """Say what a store holds and how it was made."""
    from emocap.regions.store import FeatureStore

    for key, value in FeatureStore.open(path).summary().items():
        typer.echo(f"{key:14}{value}")


@store_app.command("verify")
def store_verify(path: StoreArgument) -> None:
    """Read all of a store and compare its checksums."""
    from emocap.regions.store import FeatureStore

    store = FeatureStore.open(path)
    store.verify()
    typer.echo(f"{path}: {len(store)} images, {len(store.header.sha256)} files as they were written")


@store_app.command("import")
def store_import(
    source: Annotated[Path, typer.Argument(help="File or folder of features that another program made.")],
    out: Annotated[Path, typer.Option("--out", help="The store to make.")],
    name: Annotated[
        str, typer.Option("--name", help="What made the features: only those of one name can take each other's place.")
    ],
    format_: Annotated[
        str | None, typer.Option("--format", help="tsv, lxmert, npy, npz, hdf5 or lmdb; guessed if left out.")
    ] = None,
    key: Annotated[
        str, typer.Option("--key", metavar="TEMPLATE", help="An image's name from its id, such as '{id:012d}.jpg'.")
    ] = "{id}",
) -> None:
    """Make a store of features in one of the field's layouts.

    Example: `emocap store import trainval_36.tsv --name vg36 --key 'COCO_val2014_{id:012d}.jpg' --out vg36.store`
    """
    from emocap.regions.formats import import_features

    report = import_features(source, out, format_=format_, name=name, key=key)
    for fault in report.quarantined[:5]:
        typer.echo(f"emocap: set aside: {fault.where}: {fault.reason}", err=True)
    typer.echo(f"{out}: {report.n_images} images, {len(report.quarantined)} set aside")


@store_app.command("export")
def store_export(
    path: StoreArgument,
    out: Annotated[Path, typer.Option("--out", help="File or folder to write.")],
    format_: Annotated[str, typer.Option("--format", help="tsv, lxmert, npy, npz, hdf5 or lmdb.")],
    id_of: Annotated[
        str, typer.Option("--id-of", help="stem: an image's id there is its name without ending; key: all of it.")
    ] = "stem",
) -> None:
    """Write a store in one of the field's layouts."""
    from emocap.regions.formats import export_features

    typer.echo(f"{out}: {export_features(path, out, format_=format_, id_of=id_of)} images")


@app.command()
def report(run_dir: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]) -> None:
    """Write the report of a run again, from what the run left."""
    from emocap.report.page import write_report

    typer.echo(write_report(run_dir))


@app.command()
def compare(
    run_dirs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN ...", help="Folders of two finished runs or more.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The page to write.")] = Path("compare.html"),
    metric: Annotated[
        str, typer.Option("--metric", help="What rows are chosen and told by, such as macro_f1.")
    ] = "mean_average_precision",
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="Show this model of every run, such as AnB+.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show every model of every run.")] = False,
) -> None:
    """Put models of several runs side by side, with intervals and, on the same test pairs, paired differences.

    Shown are each run's best model and the best baseline of the first run; the first row is what the others are held
    against. Runs whose vocabularies differ are refused; runs with other test pairs stand there without a difference.

    Example: `emocap compare runs/text runs/regions --out text-or-regions.html`
    """
    from rich.console import Console

    from emocap.report.compare import compare_runs, terminal_table, write_comparison

    if model is not None and every:
        raise EmocapError("compare: give --model NAME or --all, not both")
    found = compare_runs(run_dirs, metric=metric, model=model, every=every)
    path = write_comparison(found, out)
    Console().print(terminal_table(found))
    for remark in found.remarks:
        typer.echo(remark)
    typer.echo(path)


@app.command()
def download(
    dataset: Annotated[str, typer.Argument(metavar="{socratis|coco}", help="What to fetch.")],
    data_root: Annotated[Path, typer.Option("--data-root", help="Folder to put it in.")] = Path("data"),
) -> None:
    """Fetch an official release, or say what a person must fetch and where to put it."""
    from emocap.corpora.download import download as fetch

    for path in fetch(dataset, data_root):
        typer.echo(path)


def _preset(name: str) -> Any:
    from importlib.resources import as_file

    return as_file(files("emocap.study") / "presets" / f"{name}.yaml")


def _run(config: Any, run_dir: Path, until: str | None, draw: Any = None) -> None:
    from emocap.files import read_json
    from emocap.report.page import write_report
    from emocap.study.run import run_study

    command = shlex.join(["emocap", *sys.argv[1:]])
    try:
        path = run_study(config, run_dir, report=write_report, until=until, command=command, draw=draw)
    except KeyboardInterrupt:
        typer.echo("emocap: stopped; the same command goes on from here", err=True)
        raise typer.Exit(130) from None
    if until in (None, "evaluation", "report"):
        results = read_json(run_dir / "results.json")
        rows = results["models"] | ({"ceiling": results["ceiling"]} if "ceiling" in results else {})
        _print_table(rows)
    typer.echo(path)


def _print_table(rows: dict[str, dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("model", *COLUMNS.values())
    for model, scores in rows.items():
        table.add_row(model, *(f"{scores[name]:.3f}" for name in COLUMNS))
    Console().print(table)


def main() -> None:
    """Run the command line; an error of ours is one line on standard error and exit code 1."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app()
    except EmocapError as error:
        if "--debug" in sys.argv:
            raise
        typer.echo(f"emocap: {' '.join(str(error).split())}", err=True)
        sys.exit(1)
    except OSError as error:
        if "--debug" in sys.argv:
            raise
        named = f"{error.filename!s:.200}: " if error.filename else ""
        typer.echo(f"emocap: {named}{error.strerror or error}", err=True)
        sys.exit(1)
