"""Download of the published corpora, as far as their hosts hand them out; for the rest, the steps to do by hand."""

import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from emocap.corpora.catalogue import CATALOGUE, Published, Remote
from emocap.corpora.fetch import CHUNK_BYTES, Release, fetch, require_room
from emocap.corpora.read import read_corpus
from emocap.errors import EmocapError
from emocap.files import atomic_file, atomic_folder, is_system_file
from emocap.progress import logger, track

MAX_BYTES_READ = 200_000_000  # larger corpora are not read after their download

COCO_HOST = "http://images.cocodataset.org"  # no https: its certificate is for another name
# cocodataset.org publishes no checksums; MLCommons inference and PaddleDetection check these.
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
    """Download what is missing of a corpus below `data_root`, or check what was put there by hand.

    An interrupted download is resumed. What is there at the end is read once, and its counts are logged.

    Args:
        dataset: "coco" -> `coco/{annotations,train2017,val2017}`; a key of `CATALOGUE` -> its folder.
        base_url: a mirror to use instead of the corpus's own hosts; its files are not compared with known checksums.
        parts: folders of COCO to download.

    Returns:
        The folders of COCO in the order of `parts`, or the files and folders of another corpus.

    Raises:
        EmocapError: unknown name, host unreachable or refusing, wrong checksum, no space, unsafe archive; or what to
            download by hand and where to put it.
    """
    if dataset == "coco":
        return _download_coco(Path(data_root) / "coco", base_url, parts)
    if dataset not in CATALOGUE:
        raise EmocapError(f"{dataset}: no such dataset, expected coco, {', '.join(CATALOGUE)}")
    published = CATALOGUE[dataset]
    root = Path(data_root) / (published.folder or dataset)
    files = [file for remote in published.remotes for file in _download(remote, root, base_url)]
    return files or _check(published, root)


def _download(remote: Remote, root: Path, base_url: str | None) -> list[Path]:
    """The files of one download, fetched unless they are there."""
    files = [root / name for name in remote.names]
    if all(file.is_file() for file in files):
        return files
    url = remote.url if base_url is None else base_url.rstrip("/") + urlsplit(remote.url).path
    path = root / PurePosixPath(urlsplit(remote.url).path).name
    fetch(Release(url), path)
    if path.suffix == ".zip":
        unpack_files(path, root, remote.names)
        path.unlink()
    return files


def _check(published: Published, root: Path) -> list[Path]:
    """What was put into a corpus's folder by hand.

    Raises:
        EmocapError: something is missing; the message says how to get it, and where to put it.
    """
    needed = [root / name for name in published.needed or (published.path,)]
    absent = next((file for file in needed if not file.is_file()), None)
    if absent is not None and published.instead is not None and (root / published.instead[1]).is_file():
        published = replace(published, format=published.instead[0], path=published.instead[1])
        needed, absent = [root / published.path], None
    if absent is not None:
        raise EmocapError(f"{absent}: must be downloaded by hand: {published.by_hand}")
    _log_counts(published, root, needed)
    return needed


def _log_counts(published: Published, root: Path, files: Iterable[Path]) -> None:
    if sum(file.stat().st_size for file in files) > MAX_BYTES_READ:
        return
    pairs = read_corpus(published.format, root / published.path)
    images = pairs.distinct_images()
    folder = root / (published.images or "")
    n_present = sum((folder / image).is_file() for image in images)
    logger.info("%s: %d pairs, %d rejected", root / published.path, len(pairs), len(pairs.rejected))
    if images:
        logger.info("%d of %d images are in %s", n_present, len(images), folder)


def unpack_files(archive: Path, folder: Path, names: Sequence[str]) -> None:
    """Unpack the files whose paths in a ZIP end in these names into a folder; each appears whole or not at all.

    Raises:
        EmocapError: a damaged ZIP, a missing file, or no space.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            paths = {
                f"/{member.filename}": member
                for member in content.infolist()
                if not is_system_file(PurePosixPath(member.filename))
            }
            members = {name: member for name in names for path, member in paths.items() if path.endswith(f"/{name}")}
            absent = [name for name in names if name not in members]
            if absent:
                raise EmocapError(
                    f"{archive}: contains no {absent[0]}; delete it and run again, or download it by hand"
                )
            require_room(folder, sum(members[name].file_size for name in names))
            for name in names:
                with atomic_file(folder / name) as temporary, content.open(members[name]) as source:
                    with temporary.open("wb") as written:
                        shutil.copyfileobj(source, written, CHUNK_BYTES)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise EmocapError(f"{archive}: an incomplete or damaged ZIP ({error}); delete it and run again") from error


def unpack(archive: Path, folder: Path, top: str) -> None:
    """Unpack the files below `top/` of a ZIP into `folder`, which appears whole or not at all.

    Raises:
        EmocapError: a damaged ZIP, a path outside the folder, a link, nothing below `top`, or no space.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            members = _safe_members(archive, content, top)
            require_room(folder.parent, sum(member.file_size for member in members))
            with atomic_folder(folder) as temporary:
                for member in track(members, f"unpacking {archive.name}", len(members), "files"):
                    target = temporary.joinpath(*PurePosixPath(member.filename).parts[1:])
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with content.open(member) as source, target.open("wb") as written:
                        shutil.copyfileobj(source, written, CHUNK_BYTES)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise EmocapError(f"{archive}: an incomplete or damaged ZIP ({error}); delete it and run again") from error
    except OSError as error:
        raise EmocapError(f"{archive}: cannot be read ({error.strerror or error})") from error


def _download_coco(root: Path, base_url: str | None, parts: Sequence[str]) -> list[Path]:
    unknown = [part for part in parts if part not in COCO]
    if unknown or not parts:
        raise EmocapError(f"coco: no such part {(unknown or [''])[0]!r}, expected some of {', '.join(COCO)}")
    wanted = [part for part in parts if not (root / part).is_dir()]
    if wanted and base_url is None:
        # Unpacking does not change the size of photographs; the annotations grow fourfold.
        sizes = [COCO[part].n_bytes or 0 for part in wanted]
        require_room(root, max(sizes) + sum(4 * n if n < 500e6 else n for n in sizes))
    for part in wanted:
        release, path = COCO[part], root / PurePosixPath(COCO[part].url).name
        if base_url is None:
            release = replace(release, url=f"{COCO_HOST}/{release.url}")
        else:
            release = Release(f"{base_url.rstrip('/')}/{release.url}")
        was_present = path.exists()
        fetch(release, path)
        unpack(path, root / part, part)
        if not was_present:
            path.unlink()
    return [root / part for part in parts]


def _safe_members(archive: Path, content: zipfile.ZipFile, top: str) -> list[zipfile.ZipInfo]:
    for member in content.infolist():
        name = member.filename
        if name.startswith("/") or "\\" in name or ":" in name or ".." in PurePosixPath(name).parts:
            raise EmocapError(f"{archive}: {name!r} points outside the folder; do not trust this archive")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise EmocapError(f"{archive}: {name!r} is a link; do not trust this archive")
    members = [m for m in content.infolist() if not m.is_dir() and PurePosixPath(m.filename).parts[:1] == (top,)]
    if not members:
        raise EmocapError(f"{archive}: contains no folder {top!r}; delete it and run again")
    return members
