"""The backbone that a compact model's weights are updates to: `backbone.json`, read without importing torch."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from emocap.errors import EmocapError
from emocap.files import read_json, sha256_of, write_json
from emocap.models.packaged import backbone_is_installed
from emocap.validation import first_error

BACKBONE = "backbone.json"
RESTORE = "reinstall emocap, or write the folder again"


@dataclass(frozen=True)
class RequiredBackbone:
    """What must be installed to load a compact model, and what its own files must be.

    Attributes:
        name: of the backbone, as `emocap.models.backbones.find_backbone` takes it; "offline" and "large" are also the
            extras of emocap that install one.
        sha256: of its weights.
        tokenizer_sha256: of its `tokenizer.json` or `vocab.txt`.
        files: the SHA-256 of the model folder's own files by name.
    """

    name: str
    sha256: str
    tokenizer_sha256: str
    files: dict[str, str]

    @property
    def is_installed(self) -> bool:
        """Whether it is there; nothing of it is loaded or checked."""
        return backbone_is_installed(self.name)

    @property
    def command(self) -> str:
        """The command that installs it."""
        return f"pip install 'emocap[{self.name}]'"

    def require_installed(self, folder: Path) -> None:
        """Check that it is there.

        Raises:
            EmocapError: it is not; the error names the command that installs it.
        """
        if not self.is_installed:
            raise EmocapError(f"{folder}: needs the backbone {self.name}, which is not installed; {self.command}")

    def require_files(self, folder: Path) -> None:
        """Check that the folder's own files are whole.

        Raises:
            EmocapError: one is missing, or has changed.
        """
        for name, digest in self.files.items():
            path = folder / Path(name).name
            if not path.is_file():
                raise EmocapError(f"{path}: no such file; {RESTORE}")
            if sha256_of(path) != digest:
                raise EmocapError(f"{path}: damaged, its SHA-256 is not the one in {BACKBONE}; {RESTORE}")


def is_compact(folder: Path) -> bool:
    """Whether a model folder holds updates to a backbone instead of whole weights."""
    return (folder / BACKBONE).is_file()


def read_backbone(folder: Path) -> RequiredBackbone:
    """The backbone of a compact model folder.

    Raises:
        EmocapError: the file is missing or damaged.
    """
    values: Any = read_json(folder / BACKBONE, RESTORE)
    try:
        return TypeAdapter(RequiredBackbone).validate_python(values)
    except ValidationError as error:
        raise EmocapError(f"{folder / BACKBONE}: {first_error(error.errors())}; {RESTORE}") from None


def write_backbone(folder: Path, backbone: RequiredBackbone) -> None:
    """Write `backbone.json` into a folder that is being written."""
    write_json(folder / BACKBONE, asdict(backbone))
