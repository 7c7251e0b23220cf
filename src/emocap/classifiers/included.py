"""The models that the package itself holds, `emocap/included/NAME`; nothing heavy is imported.

The large one is better and needs a backbone of 438 MB, the small one that of the extra `offline`, 91 MB.
"""

from dataclasses import dataclass
from pathlib import Path

from emocap.classifiers.required_backbone import RESTORE, RequiredBackbone, is_compact, read_backbone
from emocap.errors import EmocapError
from emocap.files import read_json
from emocap.training.card_file import CARD

INCLUDED = Path(__file__).parents[1] / "included"
MODEL_CARD = "MODEL_CARD.md"
NAMES = ("large", "small")  # the best first


@dataclass(frozen=True)
class IncludedModel:
    """An included model.

    Attributes:
        name: "large" or "small".
        folder: its model folder.
        backbone: what it needs; None while the package holds no weights of this name.
    """

    name: str
    folder: Path
    backbone: RequiredBackbone | None

    @property
    def is_installed(self) -> bool:
        """Whether its weights and its backbone are there."""
        return self.backbone is not None and self.backbone.is_installed

    @property
    def reads_images(self) -> bool:
        """Whether it learned from images; False while the package holds no weights of this name."""
        return self.backbone is not None and bool(read_json(self.folder / CARD, RESTORE).get("features"))

    @property
    def command(self) -> str | None:
        """The command that installs what is missing; None where nothing is, or nothing helps."""
        return None if self.backbone is None or self.backbone.is_installed else self.backbone.command


def included_models(place: Path | None = None) -> list[IncludedModel]:
    """The included models, the best first.

    Args:
        place: folder that holds them; None means the package's.
    """
    place = INCLUDED if place is None else place
    return [_model(name, place / name) for name in NAMES]


def _model(name: str, folder: Path) -> IncludedModel:
    is_there = (folder / CARD).is_file() and is_compact(folder)
    return IncludedModel(name, folder, read_backbone(folder) if is_there else None)


def included_model(name: str | None = None, place: Path | None = None, *, reads_images: bool = False) -> IncludedModel:
    """An included model that is ready for use.

    Args:
        name: "large" or "small"; None means the best one that is installed.
        place: as `included_models`.
        reads_images: without a name, prefer those that learned from images.

    Raises:
        EmocapError: no such name, or what it needs is not installed; the error names the command that installs it.
    """
    found = included_models(place)
    if name is not None:
        model = next((model for model in found if model.name == name), None)
        if model is None:
            raise EmocapError(f"model {name!r}: expected one of {', '.join(NAMES)}")
        if model.backbone is None:
            raise EmocapError(f"{model.folder}: this emocap includes no model {name}; give the folder of another model")
        model.backbone.require_installed(model.folder)
        return model
    installed = [model for model in found if model.is_installed]
    if reads_images:
        installed.sort(key=lambda model: not model.reads_images)
    if installed:
        return installed[0]
    commands = [model.command for model in reversed(found) if model.command is not None]
    if not commands:
        raise EmocapError("this emocap includes no model; train one, and give its folder with --model")
    raise EmocapError(f"the backbone of the included model is not installed; {' or '.join(commands)}")
