"""The commands that make region features, and those that look after their stores."""

import os
from pathlib import Path
from typing import Annotated

import typer

from emocap.errors import EmocapError

store_app = typer.Typer(help="Look into, check, import and export feature stores.", no_args_is_help=True)
StoreArgument = Annotated[Path, typer.Argument(metavar="STORE", help="Folder of a feature store.")]


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
    from emocap.regions.extractors.registry import build_extractor
    from emocap.study.config.loading import settings_from

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
    from emocap.regions.store.writer import require_free

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
    typer.echo(f"{out}: {report.n_images} images, {len(report.missing)} missing, {len(report.rejected)} set aside")


@store_app.command("info")
def store_info(path: StoreArgument) -> None:
    """Say what a store holds and how it was made."""
    from emocap.regions.store.reader import FeatureStore

    for key, value in FeatureStore.open(path).summary().items():
        typer.echo(f"{key:14}{value}")


@store_app.command("verify")
def store_verify(path: StoreArgument) -> None:
    """Read all of a store and compare its checksums."""
    from emocap.regions.store.reader import FeatureStore

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
    from emocap.regions.interop.convert import import_features

    report = import_features(source, out, format_=format_, name=name, key=key)
    for fault in report.rejected[:5]:
        typer.echo(f"emocap: set aside: {fault.where}: {fault.reason}", err=True)
    typer.echo(f"{out}: {report.n_images} images, {len(report.rejected)} set aside")


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
    from emocap.regions.interop.convert import export_features

    typer.echo(f"{out}: {export_features(path, out, format_=format_, id_of=id_of)} images")
