"""Fetching the published corpora: COCO 2017 from its own host, Socratis with a person's help."""

import hashlib
import json
import math
import shutil
import stat
import time
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import requests

from emocap.corpora.socratis import read_socratis_json
from emocap.errors import EmocapError
from emocap.files import atomic_folder, write_json
from emocap.progress import logger, track

CHUNK_BYTES = 2**20
CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0
TRIES, TRIES_UNANSWERED, BACKOFF_SECONDS = 4, 2, 0.5
NO_ADDRESS = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema)
RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})

SOCRATIS_FILE = "imCaptionEmotionExplanation_formatted.json"
SOCRATIS_PAGE = "https://kdeng55.github.io/socratis-website/"
SOCRATIS_DATA = "https://github.com/arijitray1993/socratis"
SOCRATIS_PICTURES = "https://drive.google.com/file/d/1J8SiUEfKqc5rfxE1nwZUrG1Hcz7Djc3G"


@dataclass(frozen=True)
class Release:
    """A published file: its address and, where they are known, its checksums (hexadecimal) and size."""

    url: str
    sha256: str | None = None
    md5: str | None = None
    n_bytes: int | None = None


COCO_HOST = "http://images.cocodataset.org"  # its certificate is for another name, hence no https
# cocodataset.org names no checksums; MLCommons inference and PaddleDetection check these.
COCO = {
    "annotations": Release(
        "annotations/annotations_trainval2017.zip", md5="f4bbac642086de4f52a3fdda2de5fa2c", n_bytes=252_907_541
    ),
    "train2017": Release("zips/train2017.zip", md5="cced6f7f71b7629ddf16f17bbcfab6b2", n_bytes=19_336_861_798),
    "val2017": Release("zips/val2017.zip", md5="442b8da7639aecaf257c1dceb8ba8c80", n_bytes=815_585_330),
}


def download(
    dataset: str, data_root: Path, base_url: str | None = None, parts: Sequence[str] = tuple(COCO)
) -> list[Path]:
    """Bring a corpus below `data_root`, and only what is not there yet; an interrupted download goes on.

    Args:
        dataset: "coco" -> `coco/{annotations,train2017,val2017}`; "socratis" -> checks what a person has put there.
        base_url: a mirror in place of COCO's own host; its bytes are not held to the published checksums.
        parts: which folders of COCO.

    Returns:
        The folders of COCO in the order of `parts`, or the JSON file of Socratis.

    Raises:
        EmocapError: unknown name, host unreachable or refusing, wrong checksum, no space, unsafe archive; for
            Socratis, what to fetch and where to put it.
    """
    if dataset == "coco":
        return _download_coco(Path(data_root) / "coco", base_url, parts)
    if dataset == "socratis":
        return [_check_socratis(Path(data_root) / "socratis")]
    raise EmocapError(f"{dataset}: no such data set, expected socratis or coco")


def fetch(release: Release, path: Path) -> None:
    """Download a file; what has come stays beside it as `.part` and is added to by the next call.

    A part is only added to where the server says that the file is unchanged (ETag or Last-Modified); size and
    checksums are checked before `path` appears. An existing `path` is checked and left.

    Raises:
        EmocapError: unreachable, refused, missing, wrong size or checksum, no space, or it cannot be written.
    """
    path = Path(path)
    if path.exists():
        fault = _fault(release, path)
        if fault:
            raise EmocapError(f"{path}: {fault}; delete it and run again")
        return
    transfer = _Transfer(release, path.with_name(f"{path.name}.part"))
    transfer.run()
    fault = _fault(release, transfer.part)
    if fault:
        transfer.forget()
        raise EmocapError(f"{release.url}: {fault}; nothing was kept, run again or fetch it by hand")
    transfer.part.replace(path)
    transfer.forget()


def unpack(archive: Path, folder: Path, top: str) -> None:
    """Unpack what a zip holds below `top/` into `folder`, which appears whole or not at all.

    Raises:
        EmocapError: not a sound zip, a name that leads outside, a link, nothing below `top`, or no space.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            members = _safe_members(archive, content, top)
            _require_room(folder.parent, sum(member.file_size for member in members))
            with atomic_folder(folder) as temporary:
                for member in track(members, f"unpack {archive.name}", len(members), "files"):
                    target = temporary.joinpath(*PurePosixPath(member.filename).parts[1:])
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with content.open(member) as source, target.open("wb") as written:
                        shutil.copyfileobj(source, written, CHUNK_BYTES)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise EmocapError(f"{archive}: not a whole ZIP ({error}); delete it and run again") from error
    except OSError as error:
        raise EmocapError(f"{archive}: cannot be read ({error.strerror or error})") from error


def _download_coco(root: Path, base_url: str | None, parts: Sequence[str]) -> list[Path]:
    unknown = [part for part in parts if part not in COCO]
    if unknown or not parts:
        raise EmocapError(f"coco: no such part {(unknown or [''])[0]!r}, expected some of {', '.join(COCO)}")
    wanted = [part for part in parts if not (root / part).is_dir()]
    if wanted and base_url is None:
        # Unpacked, a zip of photographs is as large as packed and the annotations four times.
        sizes = [COCO[part].n_bytes or 0 for part in wanted]
        _require_room(root, max(sizes) + sum(4 * n if n < 500e6 else n for n in sizes))
    for part in wanted:
        release, path = COCO[part], root / PurePosixPath(COCO[part].url).name
        if base_url is None:
            release = replace(release, url=f"{COCO_HOST}/{release.url}")
        else:
            release = Release(f"{base_url.rstrip('/')}/{release.url}")
        put_there_by_hand = path.exists()
        fetch(release, path)
        unpack(path, root / part, part)
        if not put_there_by_hand:
            path.unlink()
    return [root / part for part in parts]


def _check_socratis(root: Path) -> Path:
    path = root / SOCRATIS_FILE
    if not path.exists():
        raise EmocapError(
            f"{path}: must be fetched by hand: take {SOCRATIS_FILE} from {SOCRATIS_DATA} (the link 'Data' on "
            f"{SOCRATIS_PAGE}) and put it there; unpack the pictures ({SOCRATIS_PICTURES}) into {root / 'images'}, or "
            "ask Visual News, Conceptual Captions and COCO for them"
        )
    pairs = read_socratis_json(path)
    images = pairs.distinct_images()
    there = sum((root / "images" / image).is_file() for image in images)
    logger.info(
        "%s: reads well, %d pairs, %d entries set aside; %d of %d pictures are in %s",
        path,
        len(pairs),
        len(pairs.rejected),
        there,
        len(images),
        root / "images",
    )
    return path


class _Retryable(Exception):
    """A transfer that broke off in a way that another try may mend."""


@dataclass
class _Transfer:
    """One file on its way to `part`; beside it `<part>.json` keeps which version of the file it is a part of."""

    release: Release
    part: Path
    answered: bool = False

    @property
    def note(self) -> Path:
        return self.part.with_name(f"{self.part.name}.json")

    @property
    def size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def run(self) -> None:
        """Receive the whole file, trying again after breaks; tries that bring nothing new are counted."""
        failures, furthest = 0, self.size
        with requests.Session() as session:
            while True:
                try:
                    self.part.parent.mkdir(parents=True, exist_ok=True)
                    self._receive(session)
                    return
                except NO_ADDRESS as error:
                    raise EmocapError(f"{self.release.url}: not an address that can be fetched ({error})") from error
                except (requests.RequestException, _Retryable) as error:
                    cause = error
                    reason = str(error) if isinstance(error, _Retryable) else type(error).__name__
                except OSError as error:
                    raise EmocapError(
                        f"{self.part}: cannot be written ({error.strerror or error}); free space or choose another "
                        "place and run again, what has come is kept"
                    ) from error
                failures = 1 if self.size > furthest else failures + 1
                furthest = max(furthest, self.size)
                if failures >= (TRIES if self.answered else TRIES_UNANSWERED):
                    raise EmocapError(
                        f"{self.release.url}: out of reach ({reason}); check the network and run again, it goes on "
                        f"where it was ({self.size:,} bytes)"
                    ) from cause
                seconds = BACKOFF_SECONDS * 2 ** (failures - 1)
                logger.warning("%s: %s; trying again in %.1f s", self.release.url, reason, seconds)
                time.sleep(seconds)

    def _receive(self, session: requests.Session) -> None:
        offset, version = self._kept()
        if offset and offset == self.release.n_bytes:
            return
        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers |= {"Range": f"bytes={offset}-", "If-Range": version}
        timeout = (CONNECT_SECONDS, READ_SECONDS)
        with session.get(self.release.url, headers=headers, stream=True, timeout=timeout) as response:
            self.answered = True
            self._check_status(response, offset, version)
            if response.status_code == 200:
                offset = 0
            total = self._total(response, offset)
            if total is not None:
                _require_room(self.part.parent, total - offset)
            if offset == 0:
                self.forget()
                write_json(self.note, {"url": self.release.url, "version": _version(response)})
            chunks = response.iter_content(CHUNK_BYTES)
            if total is not None:
                n_chunks = math.ceil((total - offset) / CHUNK_BYTES)
                chunks = track(chunks, self.part.name.removesuffix(".part"), n_chunks, "MiB")
            with self.part.open("ab") as file:
                for chunk in chunks:
                    file.write(chunk)
                    if total is not None and file.tell() > total:
                        break
        if total is not None and self.size != total:
            raise _Retryable(f"the host sent {self.size:,} of {total:,} bytes")

    def _kept(self) -> tuple[int, str]:
        """How many bytes are here and of which version; a part of nobody knows what is let go."""
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
            version = note["version"] if note["url"] == self.release.url else None
        except (OSError, ValueError, KeyError, TypeError):
            version = None
        if not isinstance(version, str) or (self.release.n_bytes is not None and self.size > self.release.n_bytes):
            self.forget()
            return 0, ""
        return self.size, version

    def _check_status(self, response: requests.Response, offset: int, version: str) -> None:
        status = response.status_code
        if status == 206 and offset and _version(response) in (version, None):
            if response.headers.get("Content-Range", f"bytes {offset}-").startswith(f"bytes {offset}-"):
                return
        elif status == 200:
            return
        if status in (206, 416):
            self.forget()
            raise _Retryable("the file has changed since it was begun; starting anew")
        answer = f"the host answers {status} {response.reason or ''}".rstrip()
        if status in RETRIED_STATUSES:
            raise _Retryable(answer)
        raise EmocapError(f"{self.release.url}: {answer}; check the address, or fetch the file by hand")

    def _total(self, response: requests.Response, offset: int) -> int | None:
        length = response.headers.get("Content-Length", "")
        total = offset + int(length) if length.isdecimal() else self.release.n_bytes
        if self.release.n_bytes is not None and total != self.release.n_bytes:
            raise EmocapError(
                f"{self.release.url}: the host offers {total:,} bytes, expected {self.release.n_bytes:,}; "
                "fetch the file by hand or use another mirror"
            )
        return total


def _version(response: requests.Response) -> str | None:
    """What names this version of the file in If-Range: a strong ETag, else the date of its last change."""
    etag = response.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")


def _fault(release: Release, path: Path) -> str | None:
    found = path.stat().st_size
    if release.n_bytes is not None and found != release.n_bytes:
        return f"size is {found:,} bytes, expected {release.n_bytes:,}"
    for name, algorithm, expected in (("SHA-256", "sha256", release.sha256), ("MD5", "md5", release.md5)):
        if expected is None:
            continue
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, algorithm).hexdigest()
        if digest != expected:
            return f"{name} is {digest}, expected {expected}"
    return None


def _safe_members(archive: Path, content: zipfile.ZipFile, top: str) -> list[zipfile.ZipInfo]:
    for member in content.infolist():
        name = member.filename
        if name.startswith("/") or "\\" in name or ":" in name or ".." in PurePosixPath(name).parts:
            raise EmocapError(f"{archive}: {name!r} points outside the folder; the archive is not to be trusted")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise EmocapError(f"{archive}: {name!r} is a link; the archive is not to be trusted")
    members = [m for m in content.infolist() if not m.is_dir() and PurePosixPath(m.filename).parts[:1] == (top,)]
    if not members:
        raise EmocapError(f"{archive}: holds no folder {top!r}; delete it and run again")
    return members


def _require_room(folder: Path, n_bytes: int) -> None:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if n_bytes > free:
        raise EmocapError(
            f"{folder}: {n_bytes / 2**30:,.1f} GiB are needed and {free / 2**30:,.1f} free; "
            "free space or choose another place"
        )
