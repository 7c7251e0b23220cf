"""Tables as people have them: raters in rows, other columns, delimiters and notations, and missing values."""

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emocap.corpora.annotators import vote_shares
from emocap.corpora.embedded_images import contains_images
from emocap.corpora.groups import Groups
from emocap.corpora.options import ReadOptions, parse_columns
from emocap.corpora.read import guess_format, read_corpus
from emocap.corpora.table import read_table
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError


def csv_file(tmp_path, text: str, name: str = "t.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_raters_under_one_pair_id_are_annotators(tmp_path) -> None:
    rows = "".join(f"p{i // 3},a storm {i // 3},{('joy', 'fear|awe', '')[i % 3]}\n" for i in range(6))
    pairs = read_table(csv_file(tmp_path, "pair_id,caption,emotions\n" + rows))
    assert pairs.pair_ids == ["p0", "p1"]
    assert pairs.emotions == [["awe", "fear", "joy"]] * 2
    shares = vote_shares(pairs, Vocabulary(("joy", "fear", "sad")))
    assert shares == pytest.approx(np.array([[1 / 3, 1 / 3, 0]] * 2))
    assert pairs.notes == ("6 rows are the ratings of 2 pairs",)


@pytest.mark.parametrize("column", ["annotator", "rater_id", "worker_id"])
def test_rows_with_annotators_join_by_content(tmp_path, column: str) -> None:
    path = csv_file(
        tmp_path,
        f"image,caption,emotion,{column}\na.jpg,A storm.,fear,7\na.jpg,A storm.,awe,8\nb.jpg,A storm.,joy,7\n"
        "a.jpg,A storm.,awe,7\n",
    )
    pairs = read_table(path)
    assert pairs.images == ["a.jpg", "b.jpg"]
    people = [
        [(one["annotator"], one["emotions"]) for one in several] for several in pairs.table["annotations"].to_pylist()
    ]
    assert people == [[("7", ["fear", "awe"]), ("8", ["awe"])], [("7", ["joy"])]]


def test_one_id_with_two_captions_rejects_the_second(tmp_path) -> None:
    pairs = read_table(csv_file(tmp_path, "pair_id,caption,emotions\np,one,joy\np,two,sad\nq,one,joy\n"))
    assert (pairs.pair_ids, pairs.captions) == (["p", "q"], ["one", "one"])
    assert "pair id 'p' occurs twice" in pairs.rejected[0].reason


def test_votes_match_labels_as_they_are_written(tmp_path) -> None:
    pairs = read_table(csv_file(tmp_path, "pair_id,caption,emotions\np,one,Very Sad\np,one,joy\n"))
    assert vote_shares(pairs, Vocabulary(("Very Sad", "joy"))).tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("semicolons.csv", "image;caption;emotions\na.jpg;A dog, waiting;joy|awe\n"),
        ("tabs.tsv", "image\tcaption\temotions\na.jpg\tA dog, waiting\tjoy|awe\n"),
        ("index.csv", ',image,caption,emotions\n0,a.jpg,"A dog, waiting",joy|awe\n'),
        ("excel.csv", '\ufeffimage,caption,emotions,,\r\na.jpg,"A dog, waiting",joy|awe,,\r\n'),
        ("excel2.csv", 'image,caption,emotions,,\na.jpg,"A dog, waiting",joy|awe\n'),
        ("spaces.csv", 'image , caption , emotions\na.jpg,"A dog, waiting",joy|awe\n'),
        ("old-mac.csv", 'image,caption,emotions\ra.jpg,"A dog, waiting",joy|awe\r'),
        ("array.json", json.dumps([{"image": "a.jpg", "caption": "A dog, waiting", "emotions": ["joy", "awe"]}])),
        ("object.json", json.dumps({"data": [{"image": "a.jpg", "caption": "A dog, waiting", "emotions": "joy;awe"}]})),
    ],
)
def test_delimiters_and_layouts(tmp_path, name: str, text: str) -> None:
    path = csv_file(tmp_path, text, name)
    pairs = read_corpus(guess_format(path), path)
    assert (pairs.images, pairs.captions, pairs.emotions) == (["a.jpg"], ["A dog, waiting"], [["awe", "joy"]])
    compressed = tmp_path / f"{name}.gz"
    compressed.write_bytes(gzip.compress(path.read_bytes()))
    again = read_corpus(guess_format(compressed), compressed)
    assert again.table.drop_columns("pair_id").equals(pairs.table.drop_columns("pair_id"))


def test_damaged_gzip_is_one_line(tmp_path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"caption\n" + b"x\n" * 1000)[:-20])
    with pytest.raises(EmocapError, match="damaged gzip file"):
        read_table(path)


def test_later_rows_may_have_other_keys(tmp_path) -> None:
    rows = [{"caption": f"caption {i}"} for i in range(3000)] + [{"caption": "last", "emotions": ["joy"], "image": "a"}]
    path = csv_file(tmp_path, "\n".join(map(json.dumps, rows)), "t.jsonl")
    pairs = read_table(path)
    assert pairs.emotions[-1] == ["joy"]
    assert pairs.images[-1] == "a"
    assert pairs.without_emotion == 3000


@pytest.mark.parametrize("image", [None, float("nan"), "NaN", "None", ""])
def test_missing_values_are_no_image(tmp_path, image) -> None:
    path = csv_file(tmp_path, json.dumps({"image": image, "caption": "x"}), "t.jsonl")
    assert read_table(path, tmp_path).images == [""]


def test_ids_made_float_by_a_missing_value_are_whole(tmp_path) -> None:
    pq.write_table(pa.table({"pair_id": [0.0, 7.0, None], "caption": ["a", "b", "c"]}), tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").pair_ids == ["0", "7", "t:3"]


def test_labels_that_differ_in_case_are_noted(tmp_path) -> None:
    pairs = read_table(csv_file(tmp_path, "caption,emotions\na,Joy\nb,joy\nc,joy\n"))
    assert {label for named in pairs.emotions for label in named} == {"Joy", "joy"}
    assert pairs.notes[0].startswith("labels 'joy' (2) and 'Joy' (1) differ in case only")


def test_columns_by_name(tmp_path) -> None:
    path = csv_file(tmp_path, "file_name,text,feeling,film,part\na.jpg,A storm.,fear,1,dev\n")
    with pytest.raises(
        EmocapError, match=r"has no column 'caption', found file_name, text.*--columns image=file_name,caption=text"
    ):
        read_table(path)
    columns = parse_columns("image=file_name,caption=text,emotions=feeling,group=film,split=part")
    pairs = read_table(path, options=ReadOptions(columns))
    assert (pairs.images, pairs.emotions, pairs.groups, pairs.splits) == (["a.jpg"], [["fear"]], ["1"], ["validation"])
    with pytest.raises(EmocapError, match="has no column 'words', which is to be its caption"):
        read_table(path, options=ReadOptions({"caption": "words"}))


def test_images_without_their_column_are_refused(tmp_path) -> None:
    path = csv_file(tmp_path, "file_name,caption,emotions\na.jpg,A storm.,fear\n")
    with pytest.raises(EmocapError, match=r"has no column 'image'.*--columns image=file_name"):
        read_table(path, tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"columns": {"mood": "x"}}, "columns: 'mood' is unknown, expected one of pair_id, image"),
        ({"columns": {"caption": ["a", "b"]}}, "caption is .*, expected the name of one column"),
        ({"label_separator": ""}, "label_separator is empty"),
    ],
)
def test_wrong_options_are_refused(settings, message: str) -> None:
    with pytest.raises(EmocapError, match=message):
        ReadOptions(**settings)


@pytest.mark.parametrize("text", ["image", "image=", "caption=a,b"])
def test_wrong_columns_option_is_refused(text: str) -> None:
    with pytest.raises(EmocapError, match="is not ROLE=NAME"):
        parse_columns(text)


def test_score_columns_count_from_the_threshold(tmp_path) -> None:
    path = csv_file(tmp_path, "caption,anger,joy,valence\na,0.5,0.2,3\nb,0,0.9,2\nc,,0.1,4\nd,much,0,1\n")
    assert read_table(path).emotions == [None] * 4  # scores are no labels until they are named
    options = ReadOptions({"emotions": ["anger", "joy"]}, label_threshold=0.3)
    pairs = read_table(path, options=options)
    assert pairs.emotions == [["anger"], ["joy"], []]
    assert pairs.rejected[0].reason == "column 'anger' contains 'much', expected a number for the emotion"


def test_class_indices_of_datasets_get_their_names(tmp_path) -> None:
    features = {
        "caption": {"dtype": "string", "_type": "Value"},
        "label": {"names": ["joy", "fear"], "_type": "ClassLabel"},
    }
    table = pa.table({"caption": ["a", "b", "c"], "label": [1, 0, -1]})
    meta = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(meta), tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").emotions == [["fear"], ["joy"], []]


def test_images_in_cells_are_written_once(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("EMOCAP_CACHE", str(tmp_path / "cache"))
    cells = [
        {"bytes": b"one", "path": "a.png"},
        {"bytes": b"two", "path": None},
        {"bytes": b"one", "path": "b.png"},
        None,
    ]
    cells.append({"bytes": None, "path": "elsewhere.png"})
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"image": cells, "caption": list("abcde")}), path)
    assert contains_images(path)
    pairs = read_table(path)
    assert [pairs.image_root and (pairs.image_root / name).read_bytes() for name in pairs.images[:3]] == [
        b"one",
        b"two",
        b"one",
    ]
    assert pairs.images[0] == pairs.images[2]  # one content, one image
    assert pairs.images[3] == ""
    assert pairs.rejected[0].reason == "image 'elsewhere.png' is named in the cell but not contained in it"
    assert len(list((tmp_path / "cache/embedded-images").iterdir())) == 2
    with pytest.raises(EmocapError, match="contains the images themselves; leave the folder of images out"):
        read_table(path, tmp_path)


def test_prediction_reads_no_labels(tmp_path) -> None:
    rows = [{"caption": "a", "emotions": 3}, {"caption": "b", "emotions": ["joy", ""]}, {"caption": "c"}]
    path = csv_file(tmp_path, "\n".join(map(json.dumps, rows)), "t.jsonl")
    pairs = read_table(path, options=ReadOptions(labels=False))
    assert (pairs.captions, pairs.emotions, pairs.rejected) == (["a", "b", "c"], [None] * 3, ())
    rated = csv_file(tmp_path, "pair_id,caption,emotions\np,a,joy\np,a,sad\nq,b,joy\n")
    assert read_table(rated, options=ReadOptions(labels=False)).pair_ids == ["p:2", "p:3", "q"]


def test_names_of_images_are_those_of_the_files(tmp_path) -> None:
    (tmp_path / "set").mkdir()
    for name in ("set/a.png", "caf\u0065\u0301.png", "IMG.JPG"):
        (tmp_path / name).write_bytes(b"x")
    rows = ["set\\a.png", "caf\u00e9.png", " img.jpg ", str(tmp_path / "set/a.png"), "set/b.png"]
    path = csv_file(tmp_path, "image,caption\n" + "".join(f"{name},x{i}\n" for i, name in enumerate(rows)))
    pairs = read_table(path, tmp_path)
    assert pairs.images == ["set/a.png", "caf\u0065\u0301.png", "IMG.JPG", "set/a.png", "set/b.png"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("quoted.csv", '"image","caption","emotions"\n"a.jpg","A dog, waiting","joy|awe"\n'),
        ("quoted2.csv", '"image";"caption";"emotions"\n"a.jpg";"A dog, waiting";"joy|awe"\n'),
        ("bars.csv", "image|caption|emotions\na.jpg|A dog, waiting|joy,awe\n"),
        ("sep.csv", "sep=;\nimage;caption;emotions\na.jpg;A dog, waiting;joy,awe\n"),
        ("comment.csv", '# made 2024\n\nimage,caption,emotions\na.jpg,"A dog, waiting",joy|awe\n'),
        ("spaces.csv", 'image, caption, emotions\na.jpg, "A dog, waiting", "joy, awe"\n'),
        ("lines.json", '{"image": "a.jpg", "caption": "A dog, waiting", "emotions": ["joy", "awe"]}\n{"caption": ""}'),
        ("array.jsonl", '[{"image": "a.jpg", "caption": "A dog, waiting", "emotions": ["joy", "awe"]}]'),
        ("parts.json", '{"test": [{"image": "a.jpg", "caption": "A dog, waiting", "emotions": ["joy", "awe"]}]}'),
        ("columns.json", '{"image": ["a.jpg"], "caption": ["A dog, waiting"], "emotions": [["joy", "awe"]]}'),
        ("pandas.json", '{"image": {"0": "a.jpg"}, "caption": {"0": "A dog, waiting"}, "emotions": {"0": "joy;awe"}}'),
        (
            "split.json",
            '{"columns": ["image", "caption", "emotions"], "data": [["a.jpg", "A dog, waiting", "joy;awe"]]}',
        ),
    ],
)
def test_layouts_that_other_tools_write(tmp_path, name: str, text: str) -> None:
    pairs = read_table(csv_file(tmp_path, text, name))
    assert (pairs.images, pairs.captions, pairs.emotions) == (["a.jpg"], ["A dog, waiting"], [["awe", "joy"]])
    assert pairs.splits == (["test"] if name == "parts.json" else [None])


def test_names_may_span_lines(tmp_path) -> None:
    pairs = read_table(
        csv_file(tmp_path, '"image\n(file)",caption\na.jpg,one\n'), options=ReadOptions({"image": "image (file)"})
    )
    assert pairs.images == ["a.jpg"]


def test_groups_and_parts_of_ratings_are_joined(tmp_path) -> None:
    rows = "w1,a,joy,g1,train\nw2,a,sad,g2,\nw1,b,joy,g2,test\nw3,a,joy,,test\nw1,c,joy,,train\n"
    for lines in (rows.splitlines(), rows.splitlines()[::-1]):
        text = "annotator,caption,emotions,group,split\n" + "\n".join(lines) + "\n"
        pairs = read_table(csv_file(tmp_path, text))
        read = dict(zip(pairs.captions, zip(pairs.groups, pairs.splits, strict=True), strict=True))
        assert read == {"a": ("g1", "test"), "b": ("g1", "test"), "c": (None, "train")}
        assert any("name another group" in note for note in pairs.notes)


def test_spellings_of_one_image_are_one_pair(tmp_path) -> None:
    (tmp_path / "b.PNG").write_bytes(b"x")
    text = "annotator,image,caption,emotions\nw1,b.PNG,a,joy\nw2,b.png,a,sad\nw3, ./b.png,a,joy\n"
    pairs = read_table(csv_file(tmp_path, text), tmp_path)
    assert (pairs.images, len(pairs.table["annotations"][0])) == (["b.PNG"], 3)


def test_columns_that_describe_rows_are_no_emotions(tmp_path) -> None:
    text = "caption,joy,sad,fold,is_ad\na,1,0,0,1\nb,0,0,1,0\n"
    pairs = read_table(csv_file(tmp_path, text))
    assert pairs.emotions == [["joy"], []]
    assert pairs.unused_columns == ("fold", "is_ad")
    assert read_table(csv_file(tmp_path, "caption,is_ad,has_face\na,1,0\nb,0,1\n")).emotions == [None, None]


def test_columns_of_zeros_are_read(tmp_path) -> None:
    assert read_table(csv_file(tmp_path, "caption,joy,sad\na,1,0\nb,0,0\n")).emotions == [["joy"], []]


def test_stray_value_among_zeros_and_ones_is_shown(tmp_path) -> None:
    rows = "".join(f"caption {i},{i % 2},{2 if i == 7 else i % 2},1\n" for i in range(40))
    with pytest.raises(EmocapError, match="column 'sad' contains '2' among 0 and 1"):
        read_table(csv_file(tmp_path, "caption,joy,sad,awe\n" + rows))


@pytest.mark.parametrize(
    "answers", [("Y", "N"), ("TRUE", "FALSE"), ("x", ""), ("1.0", "0.0"), ("ja", "nein"), ("100%", "0%")]
)
def test_answers_of_yes_and_no(tmp_path, answers) -> None:
    yes, no = answers
    pairs = read_table(csv_file(tmp_path, f"caption,joy,sad\na,{yes},{no}\nb,{no},{yes}\nc,{no},{no}\n"))
    assert pairs.emotions == [["joy"], ["sad"], []]


def test_one_named_column_of_zero_and_one(tmp_path) -> None:
    pairs = read_table(csv_file(tmp_path, "caption,joy\na,1\nb,0\n"), options=ReadOptions({"emotions": "joy"}))
    assert pairs.emotions == [["joy"], []]


def test_several_columns_of_words(tmp_path) -> None:
    text = "caption,emotion1,emotion2\na,joy,awe\nb,sad,\n"
    pairs = read_table(csv_file(tmp_path, text), options=ReadOptions({"emotions": ["emotion1", "emotion2"]}))
    assert pairs.emotions == [["awe", "joy"], ["sad"]]


def test_scores_above_one_are_remarked(tmp_path) -> None:
    pairs = read_table(csv_file(tmp_path, json.dumps({"caption": "a", "emotions": {"joy": 90, "sad": 10}}), "t.jsonl"))
    assert pairs.notes[0].startswith("scores of emotions are up to 90; every score from 0.5 on counts as named")


def test_lists_of_numbers_are_no_labels(tmp_path) -> None:
    pq.write_table(pa.table({"caption": ["a", "b"], "labels": [[1.0, 0.0], [0.0, 1.0]]}), tmp_path / "t.parquet")
    with pytest.raises(EmocapError, match=r"emotions \[1\.0, 0\.0\] contain what is not a word"):
        read_table(tmp_path / "t.parquet")


@pytest.mark.parametrize("caption", ["nan", "None", "NULL"])
def test_captions_like_missing_values_are_remarked(tmp_path, caption: str) -> None:
    pairs = read_table(csv_file(tmp_path, f"caption\n{caption}\nA dog.\n{caption}\n"))
    assert pairs.notes == (f"2 captions are {caption!r}, which many tools write for a missing value",)
    assert read_table(csv_file(tmp_path, f"caption\n{caption}\nA dog.\n")).notes == ()  # it may be a caption


def test_images_as_numbers_and_lists(tmp_path) -> None:
    text = "\n".join(
        json.dumps({"image": image, "caption": "x"}) for image in (139, ["a.jpg"], {"bytes": None, "path": "b.jpg"})
    )
    assert read_table(csv_file(tmp_path, text, "t.jsonl")).images == ["139", "a.jpg", "b.jpg"]


def test_pairs_with_their_images_are_read_back(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("EMOCAP_CACHE", str(tmp_path / "cache"))
    pairs = read_table(csv_file(tmp_path, "pair_id,caption,emotions\np,a,joy\np,a,sad\nq,b,joy\n"))
    cells = pa.array([{"bytes": b"one", "path": "a.png"}, {"bytes": b"two", "path": "b.png"}])
    index = pairs.table.schema.get_field_index("image")
    pq.write_table(pairs.table.set_column(index, "image", cells), tmp_path / "t.parquet")
    again = read_table(tmp_path / "t.parquet")
    assert [again.image_root and (again.image_root / name).read_bytes() for name in again.images] == [b"one", b"two"]
    assert again.table["annotations"].equals(pairs.table["annotations"])


def test_predictions_are_remarked_as_such(tmp_path) -> None:
    table = pa.table({"caption": ["a"], "emotions": [["joy"]]}).replace_schema_metadata(
        {"labels": '["joy"]', "model": "m"}
    )
    pq.write_table(table, tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").notes == ("emotions are predictions of the model m, not annotations",)


def test_columns_like_scores_are_proposed(tmp_path) -> None:
    pairs = read_table(csv_file(tmp_path, "caption,joy,fear\na,0.9,0.2\n"))
    assert pairs.notes == ("columns joy, fear may be scores of emotions; to read them: --columns emotions=joy+fear",)


def test_image_bytes_in_base64_are_read(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("EMOCAP_CACHE", str(tmp_path / "cache"))
    rows = [{"image": {"bytes": text, "path": None}, "caption": "a"} for text in ("b25l", "no base64!")]
    pairs = read_table(csv_file(tmp_path, "\n".join(map(json.dumps, rows)), "t.jsonl"))
    assert pairs.image_root is not None
    assert (pairs.image_root / pairs.images[0]).read_bytes() == b"one"
    assert "not base64" in pairs.rejected[0].reason


def test_captions_that_differ_in_invisible_characters_share_a_part(tmp_path) -> None:
    assert len(Groups.of(read_table(csv_file(tmp_path, "caption\nA dog.\nA\u200b dog.\nA cat.\n"))).sizes) == 2


def test_ids_of_images_are_no_names(tmp_path) -> None:
    pairs = read_table(csv_file(tmp_path, '[{"image_id": 0, "caption": "a"}]', "results.json"))
    assert pairs.notes[0].startswith("column image_id is not read: it is no file name")
