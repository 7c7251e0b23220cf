"""Labels of a corpus brought to those of a model."""

import pyarrow as pa
import pytest

from emocap import EmocapError
from emocap.api.label_maps import CommonLabels, parse_label_map, renamed, require_emotions, restricted
from emocap.corpora.pairs import SCHEMA, Pairs


@pytest.fixture
def pairs() -> Pairs:
    emotions = [["fear", "fearful"], ["joyful"], [], ["bored"]]
    rows = dict.fromkeys(SCHEMA.names, [None] * 4)
    rows |= {"pair_id": list("abcd"), "image": [""] * 4, "caption": list("abcd"), "emotions": emotions}
    return Pairs(pa.table(rows, schema=SCHEMA))


def test_labels_that_become_one_count_once(pairs) -> None:
    assert renamed(pairs, {"fearful": "fear", "joyful": "joy"}).emotions == [["fear"], ["joy"], [], ["bored"]]


def test_common_labels_leave_out_on_both_sides(pairs) -> None:
    common = CommonLabels.of(["joy", "fear", "awe"], renamed(pairs, {"joyful": "joy"}))
    assert common == CommonLabels(["joy", "fear"], ["awe"], ["bored", "fearful"])
    assert restricted(pairs, ["fear"]).emotions == [["fear"], [], [], []]


@pytest.mark.parametrize("text", ["fearful", "=fear", "fearful=", "a=b,a=c"])
def test_map_of_wrong_form_is_refused(text) -> None:
    with pytest.raises(EmocapError, match="--map"):
        parse_label_map([text])


def test_map_names_what_nobody_knows(pairs) -> None:
    with pytest.raises(EmocapError, match="does not know 'faer'; the most similar is fear"):
        require_emotions({"fearful": "faer"}, ["joy", "fear"])
    with pytest.raises(EmocapError, match="no pair names 'fearfull'; found fearful"):
        renamed(pairs, {"fearfull": "fear"})
