"""Download of one published file over HTTP: resumed after an interruption, with size and checksums verified."""

import hashlib
import json
import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import requests

from emocap.errors import EmocapError
from emocap.files import write_json
from emocap.progress import logger, track

CHUNK_BYTES = 2**20
CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0
TRIES, TRIES_WITHOUT_RESPONSE, BACKOFF_SECONDS = 4, 2, 0.5
NO_ADDRESS = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema)
RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Release:
    """A published file: its URL and, if known, its checksums (hexadecimal) and size."""

    url: str
    sha256: str | None = None
    md5: str | None = None
    n_bytes: int | None = None


def fetch(release: Release, path: Path) -> None:
    """Download a file; an interrupted download is kept as `.part` in the same folder and resumed by the next call.

    It is only resumed if the server says that the file is unchanged (ETag or Last-Modified). Size and checksums are
    checked before `path` appears; an existing `path` is checked and kept.

    Raises:
        EmocapError: unreachable, refused, missing, wrong size or checksum, no space, or not writable.
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
        transfer.discard()
        raise EmocapError(f"{release.url}: {fault}; nothing was kept; run again or download it by hand")
    transfer.part.replace(path)
    transfer.discard()


class _Retryable(Exception):
    """A transfer that failed in a way that a retry may fix."""


@dataclass
class _Transfer:
    """The download of one file into `part`; `<part>.json` records the version of the file."""

    release: Release
    part: Path
    responded: bool = False

    @property
    def note(self) -> Path:
        return self.part.with_name(f"{self.part.name}.json")

    @property
    def size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def run(self) -> None:
        """Receive the whole file, retrying after failures; only retries without progress are counted."""
        failures, furthest = 0, self.size
        with requests.Session() as session:
            while True:
                try:
                    self.part.parent.mkdir(parents=True, exist_ok=True)
                    self._receive(session)
                    return
                except NO_ADDRESS as error:
                    raise EmocapError(f"{self.release.url}: not a URL that can be downloaded ({error})") from error
                except (requests.RequestException, _Retryable) as error:
                    cause = error
                    reason = str(error) if isinstance(error, _Retryable) else type(error).__name__
                except OSError as error:
                    raise EmocapError(
                        f"{self.part}: cannot be written ({error.strerror or error}); free space or choose another "
                        "place and run again; what has arrived is kept"
                    ) from error
                failures = 1 if self.size > furthest else failures + 1
                furthest = max(furthest, self.size)
                if failures >= (TRIES if self.responded else TRIES_WITHOUT_RESPONSE):
                    raise EmocapError(
                        f"{self.release.url}: unreachable ({reason}); check the network and run again to "
                        f"resume after {self.size:,} bytes"
                    ) from cause
                seconds = BACKOFF_SECONDS * 2 ** (failures - 1)
                logger.warning("%s: %s; retrying in %.1f s", self.release.url, reason, seconds)
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
            self.responded = True
            self._check_status(response, offset, version)
            if response.status_code == 200:
                offset = 0
            total = self._total(response, offset)
            if total is not None:
                require_room(self.part.parent, total - offset)
            if offset == 0:
                self.discard()
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
        """How many bytes are present and of which version; a part of an unknown version is deleted."""
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
            version = note["version"] if note["url"] == self.release.url else None
        except (OSError, ValueError, KeyError, TypeError):
            version = None
        if not isinstance(version, str) or (self.release.n_bytes is not None and self.size > self.release.n_bytes):
            self.discard()
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
            self.discard()
            raise _Retryable("the file has changed since the download began; starting again")
        message = f"the host responds {status} {response.reason or ''}".rstrip()
        if status in RETRIED_STATUSES:
            raise _Retryable(message)
        raise EmocapError(f"{self.release.url}: {message}; check the URL, or download the file by hand")

    def _total(self, response: requests.Response, offset: int) -> int | None:
        length = response.headers.get("Content-Length", "")
        total = offset + int(length) if length.isdecimal() else self.release.n_bytes
        if self.release.n_bytes is not None and total != self.release.n_bytes:
            raise EmocapError(
                f"{self.release.url}: the host offers {total:,} bytes, expected {self.release.n_bytes:,}; "
                "download the file by hand or use another mirror"
            )
        return total


def _version(response: requests.Response) -> str | None:
    """The version of the file for If-Range: a strong ETag, otherwise the date of its last change."""
    etag = response.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")


def _fault(release: Release, path: Path) -> str | None:
    size = path.stat().st_size
    if release.n_bytes is not None and size != release.n_bytes:
        return f"size is {size:,} bytes, expected {release.n_bytes:,}"
    for name, algorithm, expected in (("SHA-256", "sha256", release.sha256), ("MD5", "md5", release.md5)):
        if expected is None:
            continue
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, algorithm).hexdigest()
        if digest != expected:
            return f"{name} is {digest}, expected {expected}"
    return None


def require_room(folder: Path, n_bytes: int) -> None:
    """Check for free space before a download.

    Raises:
        EmocapError: fewer than `n_bytes` are free.
    """
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if n_bytes > free:
        raise EmocapError(
            f"{folder}: {n_bytes / 2**30:,.1f} GiB are needed and {free / 2**30:,.1f} free; "
            "free space or choose another place"
        )
