"""Import of TSV files, key templates and errors; each layout is written here by independent code."""

import logging
import tracemalloc

import numpy as np
import pytest

from emocap.errors import EmocapError
from emocap.regions.interop.convert import import_features
from emocap.regions.interop.formats import FORMATS

from .layouts import BOXES, FEATURES, b64, file_names, holds, imported, lxmert_line, reasons, tsv_line, write_lines


def test_imports_bottom_up_attention_tsv(tmp_path):
    source = write_lines(tmp_path / "val.tsv", tsv_line(42), tsv_line(7, [[9, 8, 7]], [[1, 2, 3, 4]], 500, 375))
    report, store = imported(source, tmp_path / "store", key="COCO_val2014_{id:012d}.jpg")
    assert (report.format_, report.n_images, report.rejected) == ("tsv", 2, ())
    assert store.images == ["COCO_val2014_000000000042.jpg", "COCO_val2014_000000000007.jpg"]
    assert holds(store, "COCO_val2014_000000000042.jpg")
    assert holds(store, "COCO_val2014_000000000007.jpg", [[9, 8, 7]], [[1, 2, 3, 4]], (500, 375))
    assert store.objects("COCO_val2014_000000000042.jpg") is None
    header = store.header
    assert (header.extractor, header.settings, header.weights_hash, header.dim) == (
        "imported from val.tsv",
        {"format": "tsv"},
        "",
        3,
    )
    assert file_names(tmp_path) == ["store", "val.tsv"]


def test_imports_tsv_with_other_line_endings(tmp_path):
    text = tsv_line(1).replace("\n", "\r\n") + tsv_line(2).rstrip("\n")
    (tmp_path / "a.tsv").write_bytes(text.encode())
    _, store = imported(tmp_path / "a.tsv", tmp_path / "store")
    assert store.images == ["1", "2"]
    assert holds(store, "2")


def test_imports_lxmert_tsv_with_objects(tmp_path):
    source = write_lines(
        tmp_path / "mscoco.tsv",
        lxmert_line("COCO_train2014_000000000123", [17, 1599], [0.5, 0.25], [3, -1], [0.75, 0]),
    )
    report, store = imported(source, tmp_path / "store", name="lxmert-obj36", key="{id}.jpg")
    key = "COCO_train2014_000000000123.jpg"
    assert report.format_ == "lxmert"
    assert holds(store, key)
    assert store.objects(key).tolist() == [(17, 0.5, 3, 0.75), (1599, 0.25, -1, 0.0)]
    assert store.header.extractor == "lxmert-obj36"


def test_rejects_invalid_records_and_keeps_the_rest(tmp_path):
    good = tsv_line(1)
    lines = [
        good,
        tsv_line(2, number=3),
        tsv_line(3, number="two"),
        tsv_line(4).replace(b64(BOXES), "%%%"),
        tsv_line(5, boxes=[[0, 0, 1, 1]]),
        tsv_line(1),
        tsv_line(7, [[1, 2, np.nan], [0, 0, 0]]),
        tsv_line(8, [[1, 2, 70_000], [0, 0, 0]]),
        tsv_line(9, [[1, 2], [3, 4]]),
        "10\t640\t480\n",
        tsv_line(11, width=-4),
        tsv_line("", FEATURES),
        tsv_line(13, boxes=[[0, 0, 1, np.inf], [0, 0, 1, 1]]),
        "\n",
        tsv_line(15, features=np.zeros((0, 3)), boxes=np.zeros((0, 4))),
        tsv_line(16, features=np.zeros((0, 3)), number=2),
        tsv_line(17)[:-30],
    ]
    report, store = imported(write_lines(tmp_path / "a.tsv", *lines), tmp_path / "store")
    assert store.images == ["1", "15"]
    assert store["15"][0].shape == (0, 3)
    expected = {
        2: "boxes has 32 bytes, expected 48",
        3: "num_boxes is 'two', expected an integer",
        4: "boxes is truncated or not base64",
        5: "boxes has 16 bytes, expected 32 for num_boxes 2",
        6: "image '1' occurs twice",
        7: "a feature is not finite or exceeds half precision",
        8: "a feature is not finite or exceeds half precision",
        9: "has 2 features per region, the first image has 3",
        10: "has 3 columns, expected 6",
        11: "image width is '-4'",
        12: "id is '', expected text",
        13: "a box is not finite",
        14: "has 1 columns",
        16: "features has 0 bytes|boxes has 32",
        17: "features is truncated|features has",
    }
    reason_of = {row.where: row.reason for row in report.rejected}
    assert list(reason_of) == sorted(reason_of, key=lambda where: int(where.split()[-1]))
    assert len(reason_of) == len(expected)
    for line, reason in expected.items():
        text = reason_of[f"{tmp_path / 'a.tsv'}: line {line}"]
        assert any(text.startswith(start) for start in reason.split("|")), (line, text)
        assert "\n" not in text


def test_rejects_lxmert_record_with_wrong_objects(tmp_path):
    lines = [
        lxmert_line("a", [1, 2], [0, 0], [1, 2], [0, 0]),
        lxmert_line("b", [1], [0, 0], [1, 2], [0, 0]),
        lxmert_line("c", [1, 2**40], [0, 0], [1, 2], [0, 0]),
        lxmert_line("d", [1, 2], [0, np.nan], [1, 2], [0, 0]),
    ]
    report, store = imported(write_lines(tmp_path / "a.tsv", *lines), tmp_path / "store")
    assert store.images == ["a"]
    assert [reason.split(" h")[0] for reason in reasons(report)] == ["objects_id", "objects_id", "objects_conf"]


def test_first_image_with_regions_determines_dimension(tmp_path):
    none = {"features": np.zeros((0, 3)), "boxes": np.zeros((0, 4))}
    source = write_lines(tmp_path / "a.tsv", tsv_line(1, **none), tsv_line(2))
    _, store = imported(source, tmp_path / "store")
    assert store.images == ["1", "2"]
    assert store.header.dim == 3


def test_warns_once_about_unknown_sizes(tmp_path, caplog):
    source = write_lines(tmp_path / "a.tsv", tsv_line(1, width=0, height=0), tsv_line(2))
    with caplog.at_level(logging.WARNING, "emocap"):
        report, store = imported(source, tmp_path / "store")
    assert store.size("1") == (0, 0)
    assert (report.n_without_size, report.n_without_boxes) == (1, 0)
    assert [record.levelname for record in caplog.records].count("WARNING") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; expected one of tsv, lxmert, npy, npz, hdf5, lmdb"),
        (b"\x00\x01\x02" * 999, "is not a TSV, HDF5 or LMDB file; expected one of"),
        (b"just words\n", "is not a TSV, HDF5 or LMDB file; expected one of"),
        (b"a\tb\tc\n", "has 3 columns; expected one of"),
    ],
)
def test_refuses_file_without_features(tmp_path, content, message):
    (tmp_path / "a.tsv").write_bytes(content)
    with pytest.raises(EmocapError, match=message):
        import_features(tmp_path / "a.tsv", tmp_path / "store")
    for format_ in FORMATS:
        with pytest.raises(EmocapError) as error:
            import_features(tmp_path / "a.tsv", tmp_path / "store", format_=format_)
        assert "\n" not in str(error.value)
        assert str(tmp_path / "a.tsv") in str(error.value)
    assert file_names(tmp_path) == ["a.tsv"]


def test_error_names_first_rejected_record(tmp_path):
    source = write_lines(tmp_path / "a.tsv", tsv_line(1, number=5), tsv_line(2, number=5))
    with pytest.raises(EmocapError, match=r"no usable image as tsv; the first of 2 rejected.*line 1: boxes has 32"):
        import_features(source, tmp_path / "store")
    assert file_names(tmp_path) == ["a.tsv"]


def test_failed_import_leaves_nothing(tmp_path, monkeypatch):
    source = write_lines(tmp_path / "a.tsv", *(tsv_line(n) for n in range(5)))
    monkeypatch.setattr("emocap.regions.interop.tsv.MAX_LINE_BYTES", 200)
    source.write_text(source.read_text() + "x" * 500)
    with pytest.raises(EmocapError, match=r"line 6 has more than"):
        import_features(source, tmp_path / "store")
    assert file_names(tmp_path) == ["a.tsv"]


def test_import_refuses_existing_output(tmp_path):
    source = write_lines(tmp_path / "a.tsv", tsv_line(1))
    import_features(source, tmp_path / "store")
    with pytest.raises(EmocapError, match="a feature store exists there already"):
        import_features(source, tmp_path / "store")
    with pytest.raises(EmocapError, match="is a feature store already"):
        import_features(tmp_path / "store", tmp_path / "other")
    with pytest.raises(EmocapError, match="no such file or folder"):
        import_features(tmp_path / "nowhere", tmp_path / "other")


def test_memory_does_not_grow_with_the_file(tmp_path):
    line = tsv_line("ID", np.ones((36, 512)), np.ones((36, 4)))
    source = tmp_path / "a.tsv"
    with source.open("w") as file:
        for number in range(400):
            file.write(line.replace("ID", str(number), 1))
    assert source.stat().st_size > 35e6
    tracemalloc.start()
    import_features(source, tmp_path / "store")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12e6


@pytest.mark.parametrize(
    ("template", "id_", "key"),
    [
        ("{id}", "a b", "a b"),
        ("{id}.jpg", "COCO_1", "COCO_1.jpg"),
        ("{id:012d}.jpg", "139", "000000000139.jpg"),
        ("{id:d}/{id}.jpg", "007", "7/007.jpg"),
        ("{{x}}{id}", "1", "{x}1"),
    ],
)
def test_template_makes_the_key(tmp_path, template, id_, key):
    _, store = imported(write_lines(tmp_path / "a.tsv", tsv_line(id_)), tmp_path / "store", key=template)
    assert store.images == [key]


@pytest.mark.parametrize(
    "template",
    ["", "x.jpg", "{}", "{0}", "{name}", "{id", "{id.__class__}", "{id[0]}", "{id!r}", "{id:x}", "{id:9999999999d}"],
)
def test_refuses_invalid_template(tmp_path, template):
    with pytest.raises(EmocapError, match=r"key is .*expected text with \{id\}"):
        import_features(write_lines(tmp_path / "a.tsv", tsv_line(1)), tmp_path / "store", key=template)


def test_rejects_id_that_must_be_a_number(tmp_path):
    source = write_lines(tmp_path / "a.tsv", tsv_line("x1"))
    with pytest.raises(EmocapError, match=r"line 1: id 'x1' is not a number, which the key '\{id:012d\}' needs"):
        import_features(source, tmp_path / "store", key="{id:012d}")
