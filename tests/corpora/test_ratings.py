"""Ratings, styles, declared groups and rows chosen by value, as tables are read."""

import math

import numpy as np
import pytest

from emocap.corpora.duplicates import repeated_captions
from emocap.corpora.groups import Groups
from emocap.corpora.options import ReadOptions
from emocap.corpora.overlap import without_held_out
from emocap.corpora.pairs import ADDED, Pairs
from emocap.corpora.read import read_corpus
from emocap.corpora.table import read_table
from emocap.errors import EmocapError
from emocap.ratings import Ratings

SCALE = Ratings.of({"valence": [1, 7]})


def read(tmp_path, text: str, ratings: Ratings = SCALE, **options) -> Pairs:
    (tmp_path / "t.csv").write_text(text)
    return read_table(tmp_path / "t.csv", None, ReadOptions(ratings=ratings, **options))


def test_mean_sd_and_number_are_scaled(tmp_path) -> None:
    pairs = read(tmp_path, "caption,Valence_mean,valence_SD,valence_n\na,4,1.5,100\nb,7,,\nc,,,\n")
    assert pairs.rating_values(["valence"]).tolist()[:2] == [[0.5], [1.0]]
    assert np.isnan(pairs.rating_values(["valence"])[2, 0])
    assert pairs.ratings[0]["valence"] == {"name": "valence", "value": 0.5, "sd": 0.25, "n": 100.0}
    assert pairs.ratings[2] == {}
    assert pairs.columns["valence"] == ("Valence_mean", "valence_SD", "valence_n")


def test_columns_of_ratings_can_be_named(tmp_path) -> None:
    columns = {"valence": "pleasure", "valence_sd": "spread"}
    pairs = read(tmp_path, "caption,pleasure,spread\na,1,3\n", columns=columns)
    assert pairs.ratings[0]["valence"] == {"name": "valence", "value": 0.0, "sd": 0.5, "n": None}


def test_raters_of_a_pair_are_averaged(tmp_path) -> None:
    pairs = read(tmp_path, "pair_id,caption,rater,valence\n1,a,x,1\n1,a,y,4\n1,a,z,7\n2,b,x,7\n")
    value = pairs.ratings[0]["valence"]
    assert (value["value"], value["n"]) == (0.5, 3)
    assert math.isclose(value["sd"], 0.5)
    assert pairs.ratings[1]["valence"] == {"name": "valence", "value": 1.0, "sd": None, "n": None}


def test_raters_who_agree_count_as_raters(tmp_path) -> None:
    """Without them the noise of the raters would be overestimated, and the ceiling too low."""
    text = "pair_id,caption,rater,valence\n1,a,x,1\n1,a,y,4\n2,b,x,7\n2,b,y,7\n"
    assert read(tmp_path, text).ratings[1]["valence"] == {"name": "valence", "value": 1.0, "sd": 0.0, "n": 2.0}


def test_mean_repeated_in_rows_stays_the_mean(tmp_path) -> None:
    text = "pair_id,caption,rater,emotions,valence\n1,a,x,joy,4\n1,a,y,awe,4\n2,b,x,joy,7\n2,b,y,joy,7\n"
    values = [ratings["valence"] for ratings in read(tmp_path, text).ratings]
    assert [(value["value"], value["sd"], value["n"]) for value in values] == [(0.5, None, None), (1.0, None, None)]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [("high", "valence is 'high', expected a number"), ("inf", "valence is 'inf', expected a number")],
)
def test_cell_without_number_rejects_its_row(tmp_path, cell: str, reason: str) -> None:
    pairs = read(tmp_path, f"caption,valence\na,{cell}\nb,2\n")
    assert (pairs.captions, pairs.rejected[0].reason) == (["b"], reason)


def test_single_value_out_of_range_rejects_its_row(tmp_path) -> None:
    pairs = read(tmp_path, "caption,valence\n" + "a,2\n" * 100 + "b,9\n")
    assert (len(pairs), pairs.rejected[0].reason) == (100, "valence is 9, outside its range 1 to 7")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("caption,valence\na,9\nb,2\n", "1 of 2 rows are out of range: valence is 9, outside its range 1 to 7"),
        ("caption,valence\na,\nb,\n", r"no row has the rating 'valence' \(column 'valence'\)"),
        ("caption,valence\na,x\n", "no row has the rating 'valence'.*expected a number"),
        ("caption,arousal\na,2\n", "has no column 'valence' or 'valence_mean' of the rating 'valence', found caption"),
        ("caption,valence,valence_sd\na,2,-1\n", "valence_sd is -1, expected a standard deviation of at least 0"),
        ("caption,valence,valence_sd\na,2,9\n", "out of range: valence_sd is 9, more than the range 1 to 7 of valence"),
        ("caption,valence,valence_n\na,2,0\n", "valence_n is 0, expected the number of people who rated"),
    ],
)
def test_unusable_rating_is_one_line(tmp_path, text: str, message: str) -> None:
    with pytest.raises(EmocapError, match=message) as error:
        read(tmp_path, text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        (["valence"], r"give each its range, such as \{valence: \[1, 7\]\}"),
        ({"valence": None}, "the range of 'valence' is None; give its lowest and highest value"),
        ({"valence": [1]}, r"the range of 'valence' is \[1\]; give"),
        ({"valence": ["1", 7]}, "expected two numbers"),
        ({"valence": [7, 7]}, "the range of 'valence' is 7 to 7, which is empty"),
        ({"valence": [7, 1]}, "the range of 'valence' is 7 to 1, which is empty"),
        ({"valence": [1, 10**400]}, "expected two numbers"),
        ({"valence": [-1e308, 1e308]}, "expected two numbers"),
        ({"valence": [1, 7], "Valence": [1, 9]}, "'Valence' is named twice, but for upper and lower case"),
        ({"": [1, 7]}, "'' is not the name of a rating"),
    ],
)
def test_rating_needs_a_range(ranges, message: str) -> None:
    with pytest.raises(EmocapError, match=message):
        Ratings.of(ranges)


def test_rating_with_the_name_of_a_role_is_refused() -> None:
    with pytest.raises(EmocapError, match="'style' is the name of a role"):
        ReadOptions(ratings=Ratings.of({"style": [0, 1]}))


def test_where_keeps_rows_of_some_values(tmp_path) -> None:
    text = "caption,agree,kind\na,5,x\nb,4,x\nc,5.0,y\n"
    assert read(tmp_path, text, Ratings(), where={"agree": [5]}).captions == ["a", "c"]
    pairs = read(tmp_path, text, Ratings(), where={"agree": [5], "kind": ["x"]})
    assert (pairs.captions, pairs.n_rows) == (["a"], 3)
    assert pairs.notes == ("2 of 3 rows are left out: only where agree is 5 and kind is x",)


@pytest.mark.parametrize("cell", ["True", "TRUE", "true"])
def test_where_knows_true_however_it_is_written(tmp_path, cell: str) -> None:
    assert read(tmp_path, f"caption,kept\na,{cell}\nb,False\n", Ratings(), where={"kept": [True]}).captions == ["a"]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"agre": [5]}, "has no column 'agre', which `where` names; found caption, agree"),
        ({"agree": [9]}, "in none of 1 rows agree is 9; correct `where`"),
        ({"agree": []}, r"where: agree is \[\], expected a list of the values"),
        ({"agree": "5"}, "where: agree is '5', expected a list of the values"),
        ({"agree": 5}, "where: agree is 5, expected a list of the values"),
    ],
)
def test_where_without_rows_is_one_line(tmp_path, where, message: str) -> None:
    with pytest.raises(EmocapError, match=message):
        read(tmp_path, "caption,agree\na,5\n", Ratings(), where=where)


def test_style_of_a_caption_is_read(tmp_path) -> None:
    pairs = read(tmp_path, "caption,style\na,humorous\nb,\n", Ratings())
    assert pairs.styles == ["humorous", None]
    assert read(tmp_path, "caption,mood\na,dry\n", Ratings(), columns={"style": "mood"}).styles == ["dry"]


def test_images_without_captions_are_read(tmp_path) -> None:
    (tmp_path / "t.csv").write_text("image,valence\na.jpg,1\nb.jpg,7\n")
    pairs = read_table(tmp_path / "t.csv", tmp_path, ReadOptions(ratings=SCALE))
    assert (pairs.captions, pairs.images) == (["", ""], ["a.jpg", "b.jpg"])
    assert pairs.notes == ("has no captions: images alone",)
    (tmp_path / "t.csv").write_text("image,caption,valence\na.jpg,,1\nb.jpg,,7\n")
    assert read_table(tmp_path / "t.csv", tmp_path).captions == ["", ""]


def test_images_whose_features_are_stored_need_no_captions(tmp_path) -> None:
    (tmp_path / "t.csv").write_text("image\na.jpg\n")
    assert read_table(tmp_path / "t.csv", None, ReadOptions(has_images=True)).captions == [""]


def test_empty_captions_bind_no_images(tmp_path) -> None:
    (tmp_path / "t.csv").write_text("image\na.jpg\nb.jpg\n")
    pairs = read_table(tmp_path / "t.csv", tmp_path)
    assert Groups.of(pairs).sizes.tolist() == [1, 1]
    assert repeated_captions(pairs, {"train": np.array([0]), "test": np.array([1])})["count"] == 0
    assert without_held_out(pairs, pairs.select([0]), "source").tolist() == [1]


def test_captions_elsewhere_are_still_asked_for(tmp_path) -> None:
    (tmp_path / "t.csv").write_text("image,text\na.jpg,A dog\n")
    with pytest.raises(EmocapError, match="has no column 'caption', found image, text"):
        read_table(tmp_path / "t.csv", tmp_path)
    (tmp_path / "t.csv").write_text("image,valence\na.jpg,1\n")
    with pytest.raises(EmocapError, match="has no column 'caption'"):
        read_table(tmp_path / "t.csv")


def test_table_of_an_earlier_version_is_read(tmp_path) -> None:
    pairs = read(tmp_path, "caption,valence\na,2\n")
    older = Pairs(pairs.table.drop_columns(list(ADDED)))
    assert older.table.schema == pairs.table.schema
    assert (older.styles, older.ratings) == ([None], [{}])


def test_format_without_ratings_refuses_them(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("image| comment_number| comment\n1.jpg| 0| A dog.\n")
    with pytest.raises(EmocapError, match="the format flickr30k has no ratings that can be read"):
        read_corpus("flickr30k", tmp_path / "a.csv", None, ReadOptions(ratings=SCALE))


@pytest.mark.real_data
def test_reads_real_ratings(real_data) -> None:
    pairs = read_corpus("oasis", real_data / "oasis" / "oasis.csv")
    acorns = pairs.ratings[0]["valence"]
    assert (acorns["n"], round(1 + 6 * acorns["value"], 6), round(6 * acorns["sd"], 6)) == (102, 4.686275, 0.954203)
    scale = Ratings.of({"valence": [1, 9], "arousal": [1, 9]})
    folder = real_data / "extra" / "emotion6"
    pairs = read_table(folder / "emotion6.csv", folder / "images", ReadOptions(ratings=scale))
    assert (len(pairs), set(pairs.captions), pairs.rejected) == (240, {""}, ())
