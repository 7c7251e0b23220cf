"""Names of images as tables and lists have them, and the files below the image folder that they mean.

Tables are written on other systems than the one that reads them: Windows separators, absolute paths, names composed
(NFC) or decomposed (NFD), other case, percent-encoding, or an id without its extension.
"""

import os
import posixpath
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from urllib.parse import unquote

from emocap.errors import EmocapError

# fmt: off
IMAGE_EXTENSIONS = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng",
    ".gif", ".webp", ".bmp", ".dib", ".tif", ".tiff",
    ".avif", ".heic", ".heif", ".hif", ".jp2", ".j2k", ".jpx",
    ".mpo", ".ppm", ".pgm", ".pbm", ".pnm",
))
# fmt: on
MAX_CHARS_SHOWN = 100
_INVISIBLE = "\ufeff\u200b\u2060"  # byte-order marks and joiners, which spreadsheets and pages leave around a text
_AROUND = " \t\r\n\f\v\u00a0" + _INVISIBLE
_UNUSUAL = re.compile(rf"[\\:]|^[\s/.'\"{_INVISIBLE}]|[\s/.'\"{_INVISIBLE}]$|//|/\.|^.{{200}}")  # others are plain
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):[/\\]{2}|//[^/]+\.[a-z]{2,}/", re.IGNORECASE)
_BASE64_IMAGE = re.compile(r"(/9j/|iVBORw0KGgo|R0lGOD|UklGR)[A-Za-z0-9+/=\s]{100,}$")  # JPEG, PNG, GIF and WebP
_FILE_URL = re.compile(r"file:(//[^/]*)?(?=/)", re.IGNORECASE)
_DRIVE = re.compile(r"[a-z]:/", re.IGNORECASE)


class ImageNameFault(EmocapError):
    """A name that cannot be the file of an image.

    Attributes:
        reason: what is wrong with it, without the name.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        shown = self.name if len(self.name) <= MAX_CHARS_SHOWN else self.name[:MAX_CHARS_SHOWN] + "..."
        return f"image {shown!r} {self.reason}"


def plain_image_name(name: str, root: Path | None) -> str:
    """A name in the one form that all spellings of it share; files are not looked up, see `resolve_image_names`.

    Spaces around the name, `./`, `//` and `a/..` are removed, and Windows separators become `/`. `file:` URLs are their
    paths. With a root, an absolute path below it, or one that leaves and enters it again, becomes relative to it.

    Args:
        name: text of a cell or line; "" for no image.
        root: folder of the images. None where images are not read and names only tell them apart: then absolute paths
            and web addresses are names like all others.

    Raises:
        ImageNameFault: a path outside the root, a web address, or inline image data.

    >>> plain_image_name(" ./set//a.png ", Path("images")), plain_image_name("set\\\\a.png", None)
    ('set/a.png', 'set/a.png')
    """
    if not _UNUSUAL.search(name):
        return name
    text = name.strip(_AROUND)
    if len(text) > 2 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1].strip(_AROUND)
    if _BASE64_IMAGE.match(text):
        raise ImageNameFault(name, "is image data in base64, expected a file name; write the image to a file")
    if text[:5].lower() == "data:":
        raise ImageNameFault(name, "is inline data, expected a file name; write the image to a file")
    if _FILE_URL.match(text):
        text = _path_of_url(text)
    elif _SCHEME.match(text):
        if root is None:
            return text
        raise ImageNameFault(name, "is a web address; emocap fetches none, download the images and name the files")
    text = text.replace("\\", "/")
    if not text:
        return ""
    is_absolute = text.startswith("/") or _DRIVE.match(text) is not None
    plain = posixpath.normpath(text)
    if not is_absolute and plain != ".." and not plain.startswith("../"):
        return plain
    if root is None and is_absolute:
        return plain
    inside = None if root is None else _below(plain, root)
    if inside is None:
        raise ImageNameFault(name, "points outside the image folder; name it relative to that folder")
    return inside


def resolve_image_names(names: Iterable[str], root: Path) -> dict[str, str]:
    """The files that names without a file of exactly this name mean.

    Tried in this order, and taken only if exactly one file matches:

    1. the same name in another Unicode normal form (NFC, NFD), or with spaces around it in the folder;
    2. the same name in another case;
    3. the name percent-decoded (`a%20b.jpg`), as in 1 and 2;
    4. the name with the extension of an image (`000123` for `000123.jpg`), as in 1;
    5. a file whose name itself contains the separators (`set\\a.png`), as some archives are unpacked.

    A name whose file exists is never mapped, so that names which differ in case only stay apart where both exist.
    Folders are listed, once each, only for names without a file.

    Args:
        names: by `plain_image_name`; "" is ignored.
        root: folder of the images.

    Returns:
        name to the real name relative to `root`, with `/`; without those that exist as named and those not found.
    """
    finder = _Finder(os.fspath(root))
    found = {}
    for name in dict.fromkeys(names):
        if name and not finder.is_file(name) and (real := finder.find(name)) is not None:
            found[name] = real
    return found


def require_existing(images: Sequence[str], image_root: Path) -> None:
    """Refuse images of which none exists: the folder is wrong, or the names are. A part may be missing.

    Raises:
        EmocapError: there are names and no file of any.
    """
    named = [image for image in images if image]
    if named and not any(map(partial(_exists, image_root), named)):
        raise EmocapError(
            f"{image_root}: holds none of the {len(set(named)):,} images that are named, such as {named[0]}; "
            "give the folder that the names are relative to"
        )


def _exists(image_root: Path, image: str) -> bool:
    try:
        return (image_root / image).exists()
    except (OSError, ValueError):
        return False


class _Finder:
    """Looks names up in the listings of a folder tree, which are read once."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._listings: dict[tuple[str, str], dict[str, list[str]]] = {}

    def is_file(self, name: str) -> bool:
        try:
            return Path(f"{self._root}/{name}").is_file()
        except OSError:  # longer than a name can be, or in a folder that may not be searched
            return False

    def find(self, name: str) -> str | None:
        candidates = [name]
        if "%" in name and _is_inside(decoded := posixpath.normpath(unquote(name))):
            candidates.append(decoded)
        ways = [(candidate, form) for candidate in candidates for form in ("unicode", "case")]
        ways += [(candidate, "extension") for candidate in candidates]
        for candidate, form in ways:
            if matches := self._matches(candidate, form):
                return matches[0] if len(matches) == 1 else None
        return self._with_separators_in_its_name(name)

    def _matches(self, name: str, form: str) -> list[str]:
        """All files whose path has the same components in this form."""
        *folders, last = name.split("/")
        paths = [""]
        for folder in folders:
            folder_form = "unicode" if form == "extension" else form
            paths = [path + entry + "/" for path in paths for entry in self._entries(path, folder, folder_form)]
        return [
            path + entry for path in paths for entry in self._entries(path, last, form) if self.is_file(path + entry)
        ]

    def _entries(self, folder: str, name: str, form: str) -> list[str]:
        """The entries of a folder (ending with /, or "" for the root) that are the same as a name in this form."""
        key = (folder, form)
        if key not in self._listings:
            listing: dict[str, list[str]] = {}
            for entry in _listed(f"{self._root}/{folder}"):
                stem, extension = posixpath.splitext(entry)
                if form != "extension":
                    listing.setdefault(_normal(entry, form), []).append(entry)
                elif extension.lower() in IMAGE_EXTENSIONS:
                    listing.setdefault(_normal(stem, form), []).append(entry)
            self._listings[key] = listing
        return self._listings[key].get(_normal(name, form), [])

    def _with_separators_in_its_name(self, name: str) -> str | None:
        parts = name.split("/")
        for n_folders in range(len(parts) - 1):
            literal = "/".join([*parts[:n_folders], "\\".join(parts[n_folders:])])
            if self.is_file(literal):
                return literal
        return None


def _normal(name: str, form: str) -> str:
    plain = unicodedata.normalize("NFC", name.strip())
    return unicodedata.normalize("NFC", plain.casefold()) if form == "case" else plain


def _listed(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except (OSError, ValueError):
        return []


def _is_inside(name: str) -> bool:
    return not name.startswith("/") and name != ".." and not name.startswith("../") and "\0" not in name


def _path_of_url(url: str) -> str:
    """The path of a `file:` URL; that of a Windows drive without the slash before it."""
    path = unquote(_FILE_URL.sub("", url, count=1))
    return path[1:] if _DRIVE.match(path[1:]) else path


def _below(path: str, root: Path) -> str | None:
    """A normalised path relative to the root, or None if it is not below it; symbolic links of both are followed."""
    given, real = _roots(posixpath.normpath(root.absolute().as_posix()))
    if path.startswith(".."):
        path = posixpath.normpath(f"{given}/{path}")
    for base in (given, real):
        if path.startswith(base):
            return path[len(base) :]
    folder, name = posixpath.split(path)
    real_path = f"{_real_folder(folder)}{name}"
    return real_path[len(real) :] if real_path.startswith(real) else None


@lru_cache(maxsize=16)
def _roots(root: str) -> tuple[str, str]:
    """The folder as given and with symbolic links followed, both ending with a slash."""
    return root.rstrip("/") + "/", _real_folder(root)


@lru_cache(maxsize=4096)
def _real_folder(folder: str) -> str:
    return Path(folder).resolve().as_posix().rstrip("/") + "/"
