"""WebDataset shards: tar files of samples with a member for each field, read in order and written.

Source of the format: a member `KEY.FIELD` belongs to the sample KEY, which ends at the first dot of the file name and
includes its folders. The `webdataset` library is not needed.
"""

import bz2
import gzip
import io
import json
import lzma
import re
import tarfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from PIL import Image

from emocap.corpora.embedded_images import EmbeddedImages
from emocap.corpora.image_names import IMAGE_EXTENSIONS
from emocap.corpora.pairs_builder import is_text
from emocap.errors import EmocapError
from emocap.files import is_system_file

TEXT_FIELDS = ("txt", "text", "caption", "cls")
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
DECOMPRESSORS: dict[bytes, Callable[[BinaryIO], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
MAGIC_BYTES = 6
CHUNK = 1 << 20
_KEY = re.compile(r"((?:.*/)?[^./]+)\.([^/]+)", re.DOTALL)
_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")


@dataclass
class Sample:
    """The members of one key of a shard.

    Attributes:
        key: with its folders.
        fields: field to its text or JSON value.
        images: field to the name of the stored image.
        faults: what is wrong with its members.
    """

    key: str
    fields: dict[str, Any] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def shard_paths(paths: Sequence[str | Path]) -> list[Path]:
    """The shards of files, folders and patterns such as `train-{0000..0015}.tar`.

    Raises:
        EmocapError: there are none.
    """
    shards: list[Path] = []
    for path in paths:
        if Path(path).is_dir():
            found = sorted(one for one in Path(path).iterdir() if one.name.lower().endswith(TAR_SUFFIXES))
            if not found:
                raise EmocapError(f"{path}: contains no .tar file")
            shards += found
        else:
            shards += [Path(path)] if Path(path).exists() else map(Path, _expanded(str(path)))
    if not shards:
        raise EmocapError("no shard is given")
    return shards


def _expanded(pattern: str) -> list[str]:
    """The paths of a pattern.

    >>> _expanded("a-{08..10}.tar")
    ['a-08.tar', 'a-09.tar', 'a-10.tar']
    """
    match = _BRACES.search(pattern)
    if match is None:
        return [pattern]
    first, last = match.groups()
    numbers = [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
    before, after = pattern[: match.start()], pattern[match.end() :]
    return [before + number + rest for number in numbers for rest in _expanded(after)]


def read_shard(path: Path, embedded: EmbeddedImages, unread: Counter[str]) -> list[Sample]:
    """The samples of a shard, in the order of their first members; members of one key need not follow each other.

    Args:
        embedded: where images are stored.
        unread: counts the fields that are not read.

    Raises:
        EmocapError: no such file, or a damaged or half-written one.
    """
    samples: dict[str, Sample] = {}
    try:
        with path.open("rb") as file:
            counted = _Counted(file)
            with tarfile.open(fileobj=cast(BinaryIO, counted), mode="r|") as tar:
                for member in tar:
                    name = member.name.removeprefix("./")
                    if member.isdir() or is_system_file(PurePosixPath(name)):
                        continue
                    match = _KEY.fullmatch(name) if member.isfile() else None
                    if match is None:  # no field, or a link
                        unread[PurePosixPath(name).name] += 1
                        continue
                    sample = samples.setdefault(match[1], Sample(match[1]))
                    _read_member(sample, match[2].lower(), tar, member, embedded, unread)
                counted.require_end(tar.offset)
    except FileNotFoundError:
        raise EmocapError(f"{path}: no such file; check the path") from None
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        reason = str(error.args[0] if error.args else error)
        raise EmocapError(f"{path}: half-written or damaged tar file ({reason}); write or download it again") from None
    return list(samples.values())


class _Counted:
    """A file that is read once from start to end, decompressed; counts its bytes, for `require_end`."""

    def __init__(self, file: BinaryIO) -> None:
        magic = file.read(MAGIC_BYTES)
        file.seek(0)
        opened = next((open_ for start, open_ in DECOMPRESSORS.items() if magic.startswith(start)), None)
        self._file: Any = file if opened is None else opened(file)
        self._n_bytes = 0
        self._last = 0  # the end of the last byte that is not zero

    def read(self, size: int) -> bytes:
        content = self._file.read(size)
        if stripped := content.rstrip(b"\0"):
            self._last = self._n_bytes + len(stripped)
        self._n_bytes += len(content)
        return content

    def require_end(self, end: int) -> None:
        """Check that nothing but zeros, and at least one block of them, follows the last member.

        `tarfile` accepts a tar that is cut between two members, and passes over a second one that is joined to it.

        Args:
            end: where the last member ends.

        Raises:
            EOFError: it does not.
        """
        while self.read(CHUNK):
            pass
        if self._n_bytes < end + tarfile.BLOCKSIZE:
            raise EOFError("it has no end")
        if self._last > end:
            raise EOFError("data follow its end, such as a second tar file joined to it")


def _read_member(
    sample: Sample,
    name: str,
    tar: tarfile.TarFile,
    member: tarfile.TarInfo,
    embedded: EmbeddedImages,
    unread: Counter[str],
) -> None:
    kind = name.rpartition(".")[2]
    is_image = f".{kind}" in IMAGE_EXTENSIONS
    if not is_image and kind not in (*TEXT_FIELDS, "json"):
        unread[name] += 1
        return
    file = tar.extractfile(member)
    content = b"" if file is None else file.read()
    if name in sample.fields or name in sample.images:
        sample.faults.append(f"contains {member.name} twice")
    elif is_image:
        sample.images[name] = embedded.store({"bytes": content, "path": member.name})
    else:
        try:
            text = content.decode("utf-8-sig")
            value = json.loads(text) if kind == "json" else text.strip()
        except (ValueError, RecursionError):
            sample.faults.append(f"{member.name} is not {'JSON' if kind == 'json' else 'UTF-8 text'}")
            return
        if name == "json" and not isinstance(value, dict):
            sample.faults.append(f"{member.name} is {type(value).__name__}, expected an object")
        sample.fields[name] = value


def write_shard(path: Path, samples: Iterable[tuple[dict[str, Any], Path | None]]) -> None:
    """Write samples as KEY.json and, where there is an image, KEY.jpg or so, the same bytes for the same samples.

    Keys are numbers in the order of the samples: a pair's id may have dots, which end a key.

    Args:
        samples: the JSON object of each, and the file of its image or None.
    """
    with tarfile.open(path, "w") as tar:
        for number, (record, image) in enumerate(samples):
            text = json.dumps(record, ensure_ascii=False, allow_nan=False)
            if not is_text(text):  # half a surrogate pair, which JSON can have and UTF-8 cannot
                text = json.dumps(record, allow_nan=False)
            members = {"json": text.encode()}
            if image is not None and (extension := _image_extension(image)) is not None:
                members[extension] = image.read_bytes()
            for name, content in members.items():
                member = tarfile.TarInfo(f"{number:09d}.{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def _image_extension(path: Path) -> str | None:
    """The extension of an image without the dot, by its content if its name has none; None if it is no image."""
    if (suffix := path.suffix.lower()) in IMAGE_EXTENSIONS:
        return suffix[1:]
    try:
        with Image.open(path) as image:
            return (image.format or "").lower() or None
    except OSError:
        return None
