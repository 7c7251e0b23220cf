"""Downloads from a loopback server that disconnects, changes its files, refuses and sends wrong sizes."""

import errno
import hashlib
import http.server
import io
import logging
import re
import threading
import zipfile
from collections import namedtuple
from pathlib import Path
from typing import ClassVar

import pytest

from emocap.corpora import fetch as module
from emocap.corpora.catalogue import CATALOGUE
from emocap.corpora.download import download, unpack
from emocap.corpora.fetch import Release, fetch
from emocap.corpora.read import FORMATS, read_corpus
from emocap.errors import EmocapError

DATA = bytes(range(256)) * 40_000  # 10 MB


class Server(http.server.BaseHTTPRequestHandler):
    files: ClassVar[dict[str, bytes]] = {}
    etag = '"one"'
    cut_after: ClassVar[list[int]] = []
    status = 200
    ranges = True
    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        cls = type(self)
        requested = self.headers.get("Range", "")
        cls.seen.append(requested)
        if cls.status != 200:
            self.send_error(cls.status)
            return
        data = cls.files[self.path]
        start = 0
        if requested and cls.ranges and self.headers.get("If-Range") == cls.etag:
            start = int(re.fullmatch(r"bytes=(\d+)-", requested)[1])
            if start >= len(data):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(data)}")
                self.end_headers()
                return
        self.send_response(206 if start else 200)
        self.send_header("ETag", cls.etag)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        end = start + cls.cut_after.pop(0) if cls.cut_after else None
        self.wfile.write(data[start:end])

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def server(monkeypatch):
    kind = type("Fresh", (Server,), {"files": {"/file": DATA}, "cut_after": [], "seen": []})
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    httpd.handle_error = lambda *_: None  # a client that hangs up is part of the test
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    kind.url = f"http://127.0.0.1:{httpd.server_port}"
    yield kind
    httpd.shutdown()
    httpd.server_close()


def test_downloads_whole_file(server, tmp_path: Path) -> None:
    fetch(Release(f"{server.url}/file", hashlib.sha256(DATA).hexdigest()), tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == DATA
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_interrupted_connection_is_resumed(server, tmp_path: Path) -> None:
    server.cut_after = [3_000_000, 2_000_000]
    fetch(Release(f"{server.url}/file"), tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == DATA
    assert server.seen[0] == ""
    assert all(value.startswith("bytes=") and value != "bytes=0-" for value in server.seen[1:])


def test_failed_download_is_resumed_by_next_call(server, tmp_path: Path) -> None:
    server.cut_after = [1_000_000, 1_000_000, 1_000_000, 1_000_000]
    with pytest.raises(EmocapError, match=r"/file: unreachable .*resume after [0-9,]+ bytes"):
        fetch(Release(f"{server.url}/file"), tmp_path / "x")
    assert not (tmp_path / "x").exists()
    fetch(Release(f"{server.url}/file"), tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == DATA


def test_changed_file_is_downloaded_again(server, tmp_path: Path) -> None:
    server.cut_after = [1_000_000] * 4
    with pytest.raises(EmocapError):
        fetch(Release(f"{server.url}/file"), tmp_path / "x")
    server.files["/file"], server.etag = DATA[::-1], '"two"'
    fetch(Release(f"{server.url}/file"), tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == DATA[::-1]


def test_server_without_ranges_starts_again(server, tmp_path: Path) -> None:
    server.cut_after, server.ranges = [1_000_000], False
    fetch(Release(f"{server.url}/file"), tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == DATA


def test_wrong_checksum_keeps_nothing(server, tmp_path: Path) -> None:
    with pytest.raises(EmocapError, match="SHA-256 is .*, expected 000; nothing was kept"):
        fetch(Release(f"{server.url}/file", "000"), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [403, 404])
def test_refusing_host_is_one_line(server, tmp_path: Path, status: int) -> None:
    server.status = status
    with pytest.raises(EmocapError, match=f"the host responds {status}") as error:
        fetch(Release(f"{server.url}/file"), tmp_path / "x")
    assert "\n" not in str(error.value)


def test_unreachable_host_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(EmocapError, match=r"unreachable \(ConnectionError\)"):
        fetch(Release("http://127.0.0.1:9/file"), tmp_path / "x")


def test_too_little_space_is_reported_first(server, tmp_path: Path, monkeypatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage(1, 1, 1000))
    with pytest.raises(EmocapError, match="0.0 GiB are needed and 0.0 free; free space"):
        fetch(Release(f"{server.url}/file"), tmp_path / "x")


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def test_coco_is_unpacked_into_its_folders(server, tmp_path: Path) -> None:
    server.files = {
        "/annotations/annotations_trainval2017.zip": zipped({"annotations/captions_val2017.json": b"{}"}),
        "/zips/train2017.zip": zipped({"train2017/1.jpg": b"one"}),
        "/zips/val2017.zip": zipped({"val2017/2.jpg": b"two"}),
    }
    download("coco", tmp_path, server.url)
    names = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert names == ["coco/annotations/captions_val2017.json", "coco/train2017/1.jpg", "coco/val2017/2.jpg"]
    server.seen.clear()
    download("coco", tmp_path, server.url)
    assert server.seen == [], "existing folders are not downloaded again"


@pytest.mark.parametrize("name", ["../evil", "/evil", "train2017/../../evil", "a\\..\\evil"])
def test_rejects_archive_member_outside_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"train2017/ok": b"", name: b"evil"}))
    with pytest.raises(EmocapError, match="points outside the folder"):
        unpack(tmp_path / "a.zip", tmp_path / "out", "train2017")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip"]


def test_truncated_archive_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"x/ok": b"data"})[:20])
    with pytest.raises(EmocapError, match="an incomplete or damaged ZIP"):
        unpack(tmp_path / "a.zip", tmp_path / "out", "x")


def test_socratis_is_downloaded_by_hand(tmp_path: Path, socratis) -> None:
    with pytest.raises(EmocapError, match="must be downloaded by hand: get imCaptionEmotionExplanation"):
        download("socratis", tmp_path / "data")
    with pytest.raises(EmocapError, match=r"that read cleaned_data.csv, such as socratis-text.yaml, need that file"):
        download("socratis", tmp_path / "data")
    (tmp_path / "data" / "socratis").mkdir(parents=True)
    table = tmp_path / "data" / "socratis" / "cleaned_data.csv"
    table.write_text("image_name,caption,emotions\na.jpg,a dog,\"['happy']\"\n")
    assert download("socratis", tmp_path / "data") == [table]
    path = socratis().rename(tmp_path / "data" / "socratis" / "imCaptionEmotionExplanation_formatted.json")
    assert download("socratis", tmp_path / "data") == [path]
    with pytest.raises(EmocapError, match="no such dataset, expected coco, socratis, flickr8k, "):
        download("imagenet", tmp_path)


def test_files_of_a_corpus_are_downloaded_once(server, tmp_path: Path) -> None:
    base = "/google-research/google-research/master/goemotions/data"
    server.files = {f"{base}/{name}.tsv": b"Great\t0\t" + name.encode() + b"\n" for name in ("train", "dev", "test")}
    server.files[f"{base}/emotions.txt"] = b"joy\nfear\n"
    files = download("goemotions", tmp_path, server.url)
    assert [file.name for file in files] == ["train.tsv", "dev.tsv", "test.tsv", "emotions.txt"]
    assert read_corpus("goemotions", tmp_path / "goemotions").splits == ["train", "validation", "test"]
    server.seen.clear()
    download("goemotions", tmp_path, server.url)
    assert server.seen == []


def test_files_are_taken_out_of_an_archive(server, tmp_path: Path) -> None:
    members = {f"FlickrStyle_v0.9/{name}": name.encode() for name in CATALOGUE["flickrstyle"].remotes[0].names}
    members["__MACOSX/FlickrStyle_v0.9/humor/._funny_train.txt"] = b"no"
    server.files = {"/Papers/FlickrStyle_v0.9.zip": zipped(members | {"../../evil": b"evil"})}
    download("flickrstyle", tmp_path, server.url)
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert names == sorted(f"flickrstyle/{name}" for name in CATALOGUE["flickrstyle"].remotes[0].names)
    assert (tmp_path / "flickrstyle/humor/funny_train.txt").read_text() == "humor/funny_train.txt"


def test_archive_without_the_file_is_one_line(server, tmp_path: Path) -> None:
    server.files = {"/~u4534172/data/Senticap/senticap_dataset.zip": zipped({"data/other.json": b"{}"})}
    with pytest.raises(EmocapError, match=r"senticap_dataset\.zip: contains no senticap_dataset\.json"):
        download("senticap", tmp_path, server.url)


@pytest.mark.parametrize("name", [name for name, published in CATALOGUE.items() if not published.remotes])
def test_steps_are_said_for_every_other_corpus(tmp_path: Path, name: str) -> None:
    with pytest.raises(EmocapError, match="must be downloaded by hand: ") as error:
        download(name, tmp_path)
    assert "\n" not in str(error.value)
    assert str(tmp_path / (CATALOGUE[name].folder or name)) in str(error.value)


def test_what_was_put_there_is_read(tmp_path: Path, caplog) -> None:
    folder = tmp_path / "oasis"
    (folder / "Images").mkdir(parents=True)
    (folder / "Images" / "Acorns 1.jpg").write_bytes(b"")
    (folder / "OASIS.csv").write_text(",Theme,Valence_mean,Arousal_mean\nI1,Acorns 1,4,2\nI2,Acorns 2,4,2\n")
    emocap_logger = logging.getLogger("emocap")
    emocap_logger.addHandler(caplog.handler)
    try:
        with caplog.at_level("INFO", "emocap"):
            assert download("oasis", tmp_path) == [folder / "OASIS.csv"]
    finally:
        emocap_logger.removeHandler(caplog.handler)
    assert "2 pairs, 0 rejected" in caplog.text
    assert "1 of 2 images are in" in caplog.text


def test_every_corpus_has_a_format_and_a_section() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "DATA.md").read_text(encoding="utf-8")
    assert {published.format for published in CATALOGUE.values()} <= set(FORMATS)
    described = set(re.findall(r"emocap download ([a-z0-9-]+)", text))
    assert described == {"coco", *CATALOGUE}
    for name in FORMATS:
        assert f"`{name}`" in text, f"docs/DATA.md does not name the format {name}"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch) -> None:
    monkeypatch.setattr(module, "BACKOFF_SECONDS", 0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_size_and_md5_are_checked(server, tmp_path: Path) -> None:
    md5 = hashlib.md5(DATA).hexdigest()
    fetch(Release(f"{server.url}/file", md5=md5, n_bytes=len(DATA)), tmp_path / "x")
    with pytest.raises(EmocapError, match=f"MD5 is {md5}, expected 000; nothing was kept"):
        fetch(Release(f"{server.url}/file", md5="000"), tmp_path / "y")
    with pytest.raises(EmocapError, match="the host offers 10,240,000 bytes, expected 7"):
        fetch(Release(f"{server.url}/file", n_bytes=7), tmp_path / "y")
    (tmp_path / "x").write_bytes(b"cut")
    with pytest.raises(EmocapError, match="x: size is 3 bytes, expected 10,240,000; delete it"):
        fetch(Release(f"{server.url}/file", n_bytes=len(DATA)), tmp_path / "x")
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_host_that_sends_too_little_leaves_part(server, tmp_path: Path) -> None:
    server.cut_after = [2_500_000] + [0] * 10
    with pytest.raises(EmocapError, match="unreachable"):
        fetch(Release(f"{server.url}/file"), tmp_path / "x")
    assert not (tmp_path / "x").exists()
    assert (tmp_path / "x.part").read_bytes() == DATA[: 2 * 2**20]


def test_retries_with_progress_are_not_counted(server, tmp_path: Path) -> None:
    server.cut_after = [1_100_000] * 8
    fetch(Release(f"{server.url}/file"), tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == DATA
    assert server.seen[8] == f"bytes={8 * 2**20}-"


def test_part_of_unknown_origin_is_not_resumed(server, tmp_path: Path) -> None:
    (tmp_path / "x.part").write_bytes(b"something else")
    fetch(Release(f"{server.url}/file"), tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == DATA
    assert server.seen == [""]


def test_busy_host_is_retried_but_full_disk_not(server, tmp_path: Path, monkeypatch) -> None:
    server.status = 503
    with pytest.raises(EmocapError, match=r"unreachable \(the host responds 503"):
        fetch(Release(f"{server.url}/file"), tmp_path / "x")
    assert len(server.seen) == module.TRIES
    server.status = 200

    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_) -> None: ...

        def write(self, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda p, mode="r", *a, **k: Full() if mode == "ab" else opened(p, mode, *a, **k))
    with pytest.raises(EmocapError, match=r"x\.part: cannot be written \(No space left on device\)"):
        fetch(Release(f"{server.url}/file"), tmp_path / "x")
    assert len(server.seen) == module.TRIES + 1


def test_rejects_link_in_archive(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("x/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(link, "/etc/passwd")
    with pytest.raises(EmocapError, match="'x/link' is a link"):
        unpack(tmp_path / "a.zip", tmp_path / "out", "x")
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


def test_existing_zip_is_unpacked_and_kept(server, tmp_path: Path) -> None:
    (tmp_path / "coco").mkdir()
    (tmp_path / "coco" / "val2017.zip").write_bytes(zipped({"val2017/2.jpg": b"two", "__MACOSX/x": b""}))
    assert download("coco", tmp_path, server.url, parts=["val2017"]) == [tmp_path / "coco" / "val2017"]
    assert sorted(p.name for p in (tmp_path / "coco").rglob("*")) == ["2.jpg", "val2017", "val2017.zip"]
    assert server.seen == []
    with pytest.raises(EmocapError, match="no such part 'test2017', expected some of annotations, train2017, val2017"):
        download("coco", tmp_path, server.url, parts=["test2017"])
