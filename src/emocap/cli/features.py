"""The commands that extract region features and manage feature stores."""

import os
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from emocap.cli.checks import check_extractor, check_image
from emocap.errors import EmocapError

store_app = typer.Typer(help="Inspect, verify, import and export feature stores.", no_args_is_help=True)
StoreArgument = Annotated[Path, typer.Argument(metavar="STORE", help="Folder of a feature store.")]


def extract(
    images: Annotated[
        Path | None, typer.Argument(metavar="[IMAGES]", help="Folder of images, searched recursively.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Store to write; with --show the image to write, default IMAGE-regions.png."),
    ] = None,
    extractor: Annotated[
        str,
        typer.Option(
            "--extractor",
            help="frcnn-vg, timm:NAME, vit:NAME, torchvision or grid; NAME:WEIGHTS for own weights; "
            "auto takes the first of frcnn-vg, timm:tf_efficientnet_lite2 and grid that can be had.",
        ),
    ] = "auto",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the extractor, such as max_boxes=100."),
    ] = None,
    names: Annotated[
        Path | None,
        typer.Option(
            "--list", metavar="FILE", help="Only these images: paths relative to IMAGES, or absolute, one a line."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Number of decoding workers; default one per core.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=1, help="Images per batch; default the extractor's own.")
    ] = None,
    show: Annotated[
        Path | None, typer.Option("--show", metavar="IMAGE", help="Only draw the regions of this image.")
    ] = None,
) -> None:
    """Extract region features from images into a feature store for studies and models.

    If interrupted, run the same command again to resume. Several GPUs: `torchrun --nproc-per-node 8 -m emocap extract
    ...`

    Example: `emocap extract coco/train2017 --out train.store --set min_boxes=10 --set max_boxes=100`
    """
    if show is not None:
        if images is not None:
            raise EmocapError(f"extract: give a folder of images ({images}) or --show {show}, not both")
        if names is not None or workers is not None or batch_size is not None:
            raise EmocapError("extract: --list, --workers and --batch-size have no effect with --show; leave them out")
        _show_regions(show, out or Path(f"{show.stem}-regions.png"), extractor, settings)
        return
    if images is None or out is None:
        raise EmocapError(
            "extract takes a folder of images and --out STORE, or --show IMAGE; see emocap extract --help"
        )
    _extract_folder(images, out, extractor, settings, names, workers, batch_size)


def _show_regions(image: Path, out: Path, extractor: str, settings: list[str] | None) -> None:
    from emocap.api.output_files import require_other_file, require_writable
    from emocap.regions.extractors.registry import build_extractor
    from emocap.study.config.loading import settings_from

    check_image(image)
    require_writable(out)
    require_other_file(out, [image], "the image itself")
    check_extractor(extractor, settings_from(settings))
    from emocap.regions.extractors.automatic import resolve_extractor
    from emocap.regions.show import show_regions

    name, chosen, _ = resolve_extractor(extractor, settings_from(settings))
    regions = show_regions(image, build_extractor(name, chosen), out)
    typer.echo(f"{out}: {len(regions.features)} regions")


def _chosen_extractor(extractor: str, settings: dict[str, Any], out: Path) -> tuple[str, dict[str, Any]]:
    """Name and settings; "auto" is what an interrupted run on the same store was begun with."""
    from emocap.regions.extraction_job import planned_extractor
    from emocap.regions.extractors.automatic import resolve_extractor
    from emocap.regions.extractors.registry import AUTO

    planned = planned_extractor(out) if extractor == AUTO else None
    if planned is not None:
        return planned
    name, settings, _ = resolve_extractor(extractor, settings)
    return name, settings


def _extract_folder(
    images: Path,
    out: Path,
    extractor: str,
    settings: list[str] | None,
    names: Path | None,
    workers: int | None,
    batch_size: int | None,
) -> None:
    from emocap.api.output_files import require_writable
    from emocap.corpora.image_names import require_existing
    from emocap.regions.extract import extract as extract_images
    from emocap.regions.extract import images_below, listed_images, require_new
    from emocap.regions.extraction_report import log_rejected, require_described
    from emocap.regions.extractors.registry import build_extractor
    from emocap.study.config.loading import settings_from

    # All of this before the weights are loaded, which takes long.
    require_writable(out, is_folder=True)
    if not images.is_dir():
        raise EmocapError(f"{images}: no such folder; give the folder of the images")
    require_new(out, images)
    keys = images_below(images) if names is None else listed_images(names, images)
    require_existing(keys, images)
    check_extractor(extractor, settings_from(settings))
    name, chosen = _chosen_extractor(extractor, settings_from(settings), out)
    built = build_extractor(name, chosen)
    report = extract_images(keys, images, built, out, workers, batch_size)
    if int(os.environ.get("RANK", "0")):
        return
    log_rejected(report)
    if not report.n_images:
        shutil.rmtree(out)
        require_described(report)
    typer.echo(f"{out}: {report.n_images} images, {len(report.missing)} missing, {len(report.rejected)} rejected")


@store_app.command("info")
def store_info(path: StoreArgument) -> None:
    """Show what a store holds and how it was made."""
    from emocap.regions.store.reader import FeatureStore

    for key, value in FeatureStore.open(path).summary().items():
        typer.echo(f"{key:14}{value}")


@store_app.command("verify")
def store_verify(path: StoreArgument) -> None:
    """Read a whole store and verify its checksums."""
    from emocap.regions.store.reader import FeatureStore

    store = FeatureStore.open(path)
    store.verify()
    typer.echo(f"{path}: {len(store)} images, {len(store.header.sha256)} files unchanged since they were written")


@store_app.command("import")
def store_import(
    source: Annotated[Path, typer.Argument(help="File or folder of features that another program made.")],
    out: Annotated[Path, typer.Option("--out", help="The store to write.")],
    name: Annotated[
        str, typer.Option("--name", help="What made the features; a model accepts only features of the same name.")
    ],
    format_: Annotated[
        str | None, typer.Option("--format", help="tsv, lxmert, npy, npz, hdf5 or lmdb; guessed if not given.")
    ] = None,
    key: Annotated[
        str,
        typer.Option("--key", metavar="TEMPLATE", help="How an image's name follows from its id: '{id:012d}.jpg'."),
    ] = "{id}",
    dtype: Annotated[
        str | None,
        typer.Option(
            "--dtype", help="float16, float32 or float64: dtype of features in base64; inferred if not given."
        ),
    ] = None,
) -> None:
    """Import features from a published file format into a store.

    Example: `emocap store import trainval_36.tsv --name vg36 --key 'COCO_val2014_{id:012d}.jpg' --out vg36.store`
    """
    from emocap.regions.interop.convert import import_features

    report = import_features(source, out, format_=format_, name=name, key=key, dtype=dtype)
    for fault in report.rejected[:5]:
        typer.echo(f"emocap: rejected: {fault.where}: {fault.reason}", err=True)
    typer.echo(f"{out}: {report.n_images} images, {len(report.rejected)} rejected")


@store_app.command("export")
def store_export(
    path: StoreArgument,
    out: Annotated[Path, typer.Option("--out", help="File or folder to write.")],
    format_: Annotated[str, typer.Option("--format", help="tsv, lxmert, npy, npz, hdf5 or lmdb.")],
    id_of: Annotated[
        str, typer.Option("--id-of", help="What becomes an image's id: stem, its name without suffix; key, all of it.")
    ] = "stem",
) -> None:
    """Export a store to a published file format."""
    from emocap.regions.interop.convert import export_features

    typer.echo(f"{out}: {export_features(path, out, format_=format_, id_of=id_of)} images")
