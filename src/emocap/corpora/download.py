"""Download of the published corpora: COCO 2017 from its own host; Socratis must be downloaded by hand."""

import shutil
import stat
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from emocap.corpora.fetch import CHUNK_BYTES, Release, fetch, require_room
from emocap.corpora.socratis import read_socratis_json
from emocap.errors import EmocapError
from emocap.files import atomic_folder
from emocap.progress import logger, track

SOCRATIS_FILE = "imCaptionEmotionExplanation_formatted.json"
SOCRATIS_PAGE = "https://kdeng55.github.io/socratis-website/"
SOCRATIS_DATA = "https://github.com/arijitray1993/socratis"
SOCRATIS_IMAGES = "https://drive.google.com/file/d/1J8SiUEfKqc5rfxE1nwZUrG1Hcz7Djc3G"

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
    """Download what is missing of a corpus below `data_root`; an interrupted download is resumed.

    Args:
        dataset: "coco" -> `coco/{annotations,train2017,val2017}`; "socratis" -> checks the files downloaded by hand.
        base_url: a mirror to use instead of COCO's own host; its files are not compared with the known checksums.
        parts: folders of COCO to download.

    Returns:
        The folders of COCO in the order of `parts`, or the JSON file of Socratis.

    Raises:
        EmocapError: unknown name, host unreachable or refusing, wrong checksum, no space, unsafe archive; for
            Socratis, what to download and where to put it.
    """
    if dataset == "coco":
        return _download_coco(Path(data_root) / "coco", base_url, parts)
    if dataset == "socratis":
        return [_check_socratis(Path(data_root) / "socratis")]
    raise EmocapError(f"{dataset}: no such dataset, expected socratis or coco")


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


def _check_socratis(root: Path) -> Path:
    path = root / SOCRATIS_FILE
    if not path.exists():
        raise EmocapError(
            f"{path}: must be downloaded by hand: get {SOCRATIS_FILE} from {SOCRATIS_DATA} (the link 'Data' on "
            f"{SOCRATIS_PAGE}) and put it there; unpack the images ({SOCRATIS_IMAGES}) into {root / 'images'}, or "
            "get them from Visual News, Conceptual Captions and COCO"
        )
    pairs = read_socratis_json(path)
    images = pairs.distinct_images()
    n_present = sum((root / "images" / image).is_file() for image in images)
    logger.info(
        "%s: %d pairs, %d entries rejected; %d of %d images are in %s",
        path,
        len(pairs),
        len(pairs.rejected),
        n_present,
        len(images),
        root / "images",
    )
    return path


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
