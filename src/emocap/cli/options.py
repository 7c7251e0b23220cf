"""Options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a value of the YAML; may be repeated.")
]
ModelOption = Annotated[Path, typer.Option("--model", help="Model folder that a study saved, such as runs/demo/AnB+.")]
FormatOption = Annotated[
    str | None,
    typer.Option("--format", help="Name of a reader, such as socratis, coco or table; guessed if not given."),
]
StoreOption = Annotated[
    Path | None, typer.Option("--features", metavar="STORE", help="Feature store of the images, instead of --images.")
]
OtherFeaturesOption = Annotated[
    bool,
    typer.Option("--allow-other-features", help="Accept features with another fingerprint than those of the training."),
]
ImagesOption = Annotated[Path | None, typer.Option("--images", help="Folder of the images that the data name.")]
ImageAndCaption = typer.Argument(metavar="[IMAGE] CAPTION", help="The caption, and before it the image, if any.")
