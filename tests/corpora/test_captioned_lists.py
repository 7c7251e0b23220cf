"""Lists of captions: Conceptual Captions, FlickrStyle's text files and published tables under other column names."""

import pytest

from emocap.corpora.formats.conceptual_captions import read_conceptual_captions
from emocap.corpora.formats.flickrstyle import read_flickrstyle
from emocap.corpora.options import ReadOptions
from emocap.corpora.read import guess_format, read_corpus
from emocap.errors import EmocapError
from emocap.ratings import Ratings

CONCEPTUAL = (
    "a very typical bus station\thttp://lh6.ggpht.com/-IvRt/TsH/WG8/station.jpg?w=1\n"
    "interior design of room\thttps://i.pinimg.com/736x/b%20c.jpg\n"
)


def test_conceptual_captions_are_read_alone(tmp_path) -> None:
    path = tmp_path / "Train_GCC-training.tsv"
    path.write_text(CONCEPTUAL + "half a line\n")
    assert guess_format(path) == "conceptual-captions"
    pairs = read_corpus("conceptual-captions", path)
    assert pairs.captions == ["a very typical bus station", "interior design of room"]
    assert pairs.distinct_images() == []
    assert "emocap fetches none" in pairs.notes[0]
    assert [fault.where.split(": ")[1] for fault in pairs.rejected] == ["line 3"]


def test_conceptual_images_are_found_by_address(tmp_path) -> None:
    (tmp_path / "cc12m.tsv").write_text(
        "url\tcaption\nhttps://i.pinimg.com/736x/b%20c.jpg\troom\nhttp://x.org/d.jpg\tsea\n"
    )
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "b c.jpg").write_bytes(b"x")
    assert guess_format(tmp_path / "cc12m.tsv") == "conceptual-captions"
    pairs = read_conceptual_captions(tmp_path / "cc12m.tsv", tmp_path / "images")
    assert (pairs.images, pairs.captions) == (["b c.jpg", ""], ["room", "sea"])
    assert pairs.notes[0].startswith("1 captions are without an image")


def test_flickrstyle_lines_have_their_style(tmp_path) -> None:
    (tmp_path / "funny_train.txt").write_text("a dog runs like a dancer .\n\nA girl\n")
    (tmp_path / "romantic_train.txt").write_bytes("a caf\xe9 for two\n".encode("cp1252"))
    assert guess_format(tmp_path / "funny_train.txt") == "flickrstyle"
    funny = read_corpus("flickrstyle", tmp_path / "funny_train.txt")
    assert (funny.emotions, funny.pair_ids) == ([["humorous"]] * 2, ["funny_train:1", "funny_train:3"])
    romantic = read_flickrstyle(tmp_path / "romantic_train.txt")
    assert (romantic.captions, romantic.emotions) == (["a caf\xe9 for two"], [["romantic"]])
    assert "Windows-1252" in romantic.notes[0]
    assert read_flickrstyle(tmp_path / "funny_train.txt", None, ReadOptions(labels=False)).emotions == [None, None]


def test_flickrstyle_pickle_is_refused(tmp_path) -> None:
    (tmp_path / "train.p").write_bytes(b"(lp0\nS'a.jpg'\np1\na.")
    assert guess_format(tmp_path / "train.p") == "flickrstyle"
    with pytest.raises(EmocapError, match="is a Python pickle, which is not read"):
        read_corpus("flickrstyle", tmp_path / "train.p")


@pytest.mark.parametrize(
    ("text", "format_", "captions", "emotions", "splits"),
    [
        (
            "image,split,sentiment,caption\na.jpg,val,positive,Nice\n",
            "senticap-csv",
            ["Nice"],
            [["positive"]],
            "validation",
        ),
        ("image,style,caption\na.jpg,romantic,love .\n", "flickrstyle-csv", ["love ."], [["romantic"]], None),
        ("id,headline,reader_emotion,source\n7d,Dam breaks,none,BBC\n", "goodnewseveryone", ["Dam breaks"], [[]], None),
        (
            "id,part,headline,anger,disgust,fear,joy,sadness,surprise,valence\n1,trial,Goal,49,0,50,93,0,38,87\n",
            "semeval2007",
            ["Goal"],
            [["fear", "joy"]],
            None,
        ),
        ("text,kind,source\nDam breaks,headline,bbc\n", "news-texts", ["Dam breaks"], [None], None),
        ("id,split,V,A,D,text\n1,dev,3.0,3.2,1.5,I go.\n", "emobank", ["I go."], [None], "validation"),
    ],
)
def test_published_tables_need_no_columns(tmp_path, text, format_, captions, emotions, splits) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text)
    assert guess_format(path) == format_
    pairs = read_corpus(format_, path)
    assert (pairs.captions, pairs.emotions, pairs.splits) == (captions, emotions, [splits])
    assert read_corpus(format_, path, None, ReadOptions(labels=False)).emotions == [None]


def test_emobank_has_ratings_with_their_spread(tmp_path) -> None:
    path = tmp_path / "emobank.csv"
    path.write_text(
        "id,split,category,valence,arousal,dominance,std_valence,std_arousal,std_dominance,raters,text\n"
        "a,train,news,3.0,5.0,1.0,0.4,0.0,1.2,5,I go.\nb,,news,2.0,,1.0,0.4,,1.2,4,I stay.\n"
    )
    assert guess_format(path) == "emobank"
    pairs = read_corpus("emobank", path)
    assert pairs.scales.ranges == {"valence": [1, 5], "arousal": [1, 5], "dominance": [1, 5]}
    assert pairs.ratings[0]["valence"] == {"name": "valence", "value": 0.5, "sd": 0.1, "n": 5.0}
    assert list(pairs.ratings[1]) == ["valence", "dominance"]
    assert pairs.splits == ["train", None]
    valence = ReadOptions(ratings=Ratings.of({"valence": [1, 5]}))
    assert [list(row) for row in read_corpus("emobank", path, None, valence).ratings] == [["valence"]] * 2


@pytest.mark.parametrize("header", ["lemma,part_of_speech,afraid,happy", "Lemma#PoS;AFRAID;HAPPY", "word,joy,fear"])
def test_a_lexicon_is_refused_as_one(tmp_path, header: str) -> None:
    path = tmp_path / "words.csv"
    path.write_text(f"{header}\n")
    with pytest.raises(
        EmocapError, match="is a lexicon of words with their emotions, not a corpus: it has no captions"
    ):
        read_corpus(guess_format(path), path)


def test_options_come_before_the_formats_own(tmp_path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("id,headline,anger,disgust,fear,joy,sadness,surprise\n1,Goal,49,0,50,93,0,38\n")
    options = ReadOptions({"emotions": ["joy", "surprise"]}, label_threshold=30)
    assert read_corpus(guess_format(path, options), path, None, options).emotions == [["joy", "surprise"]]


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("file", "format_", "count", "labels"),
    [
        ("extra/senticap.csv", "senticap-csv", 8869, {"positive", "negative"}),
        ("flickrstyle/captions.csv", "flickrstyle-csv", 12_000, {"humorous", "romantic"}),
        ("reader-emotions/goodnewseveryone.csv.gz", "goodnewseveryone", 4998, None),
        ("reader-emotions/semeval2007-headlines.csv.gz", "semeval2007", 1250, None),
    ],
)
def test_reads_real_tables(real_data, file: str, format_: str, count: int, labels) -> None:
    assert guess_format(real_data / file) == format_
    pairs = read_corpus(format_, real_data / file)
    assert (len(pairs), len(pairs.rejected)) == (count, 0)
    assert labels is None or {label for named in pairs.emotions for label in named or ()} == labels


def test_table_with_the_columns_of_another_scale_is_refused(tmp_path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("id,headline,anger,disgust,fear,joy,sadness,surprise\n1,Goal,0,0,1,1,0,0\n2,Fire,1,0,1,0,1,0\n")
    with pytest.raises(EmocapError, match="no score reaches 50; if this is another table with the same columns"):
        read_corpus(guess_format(path), path)
    columns = {"caption": "headline", "emotions": ["anger", "fear", "joy", "sadness"]}
    assert read_corpus("table", path, None, ReadOptions(columns)).emotions == [
        ["fear", "joy"],
        ["anger", "fear", "sadness"],
    ]
