"""Options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

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
