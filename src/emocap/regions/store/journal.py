"""The journal of a shard that is being written: one line of JSON for each image, `images-00000.jsonl`."""

import json
from dataclasses import dataclass
from pathlib import Path

from emocap.files import atomic_file


@dataclass(frozen=True)
class Entry:
    """The outcome of one image: its size and number of regions, or why it was left out.

    Attributes:
        image: its key.
        size: width and height in pixels; None if the image was left out.
        n_regions: number of its regions.
        fault: why it was rejected; None if it was described or is missing.
        digest: SHA-256 of its file in hexadecimal; None if it is missing or came from no file.
    """

    image: str
    size: tuple[int, int] | None = None
    n_regions: int = 0
    fault: str | None = None
    digest: str | None = None


def journal_file(folder: Path, number: int) -> Path:
    """The journal of a shard."""
    return folder / f"images-{number:05d}.jsonl"


def journal_line(entry: Entry) -> bytes:
    """The line of the journal that records an entry."""
    return json.dumps([entry.image, entry.size, entry.n_regions, entry.fault, entry.digest]).encode() + b"\n"


def read_journal(path: Path) -> list[Entry]:
    """The entries of a journal, up to a last line that an interrupted write left incomplete."""
    if not path.is_file():
        return []
    entries = []
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            image, size, n_regions, fault, digest = json.loads(line)
            entry = Entry(image, tuple(size) if size is not None else None, n_regions, fault, digest)
        except (ValueError, TypeError):
            break
        if journal_line(entry) != line:
            break
        entries.append(entry)
    return entries


def shorten_journal(folder: Path, number: int, n: int) -> None:
    """Keep the first n entries of a shard's journal, so that the images after them are described again."""
    path = journal_file(folder, number)
    kept = b"".join(map(journal_line, read_journal(path)[:n]))
    with atomic_file(path) as temporary:
        temporary.write_bytes(kept)


def read_journals(folder: Path, n_shards: int) -> list[list[Entry]]:
    """The entries of each shard in a folder."""
    return [read_journal(journal_file(folder, number)) for number in range(n_shards)]


def read_entries(folder: Path, n_shards: int) -> list[Entry]:
    """The entries of all shards in a folder, in order."""
    return [entry for journal in read_journals(folder, n_shards) for entry in journal]
