"""What the page says of captions that a reader may or may not perceive."""

import copy

import pytest

from emocap.report.captions import caption_section
from emocap.report.files.captions import Captions
from emocap.report.files.comparison import Difference
from emocap.report.files.run import read_run
from emocap.report.perception import emotion_section, powered_outcome, style_section

from .test_captions import FILE, apart, around, captioned, captions, plain  # noqa: F401
from .test_page import report_of


def shares(judge, key_words, margin, detectable=0.1):
    return {
        "judge": around(judge),
        "judge_without_punctuation": around(judge - 0.01),
        "key_words": around(key_words),
        "margin": apart(margin, margin - 0.05, margin + 0.05) | {"minimum_detectable": detectable},
    }


def perception():
    return {
        "k": 3,
        "chance": 0.103,
        "key_words": {"sad": ["lost", "alone"], "awe": []},
        "systems": {"without emotion": shares(0.1, 0.1, 0.0), "guided and re-ranked": shares(0.6, 0.4, 0.2)},
        "gains": {"shuffled emotions, guided": apart(0.01, -0.04, 0.06) | {"minimum_detectable": 0.07}},
        "labelled": {"n_captions": 500, **shares(0.4, 0.3, 0.1)},
        "above_labelled": apart(0.2, 0.1, 0.3) | {"minimum_detectable": 0.15},
        "paired": shares(0.9, 0.7, 0.2),
        "changed_by_blanking": around(0.97, 0.02),
    }


def styles():
    content = {
        "cider_d": around(0.4),
        "noun_faithfulness": around(0.6),
        "differences": {"cider_d": apart(-0.1, -0.2, -0.05)},
    }
    return {
        "styles": ["humorous", "romantic"],
        "chance": 0.5,
        "key_words": {"humorous": ["bones"], "romantic": ["love"]},
        "captioner": shares(0.8, 0.7, 0.1, 0.2),
        "human": {"n_captions": 200, **shares(0.7, 0.6, 0.1)},
        "above_human": apart(0.1, 0.02, 0.18) | {"minimum_detectable": 0.08},
        "paired": {"captioner": shares(0.9, 0.8, 0.1), "human": shares(0.8, 0.7, 0.1)},
        "content": {"humorous": content, "romantic": content},
        "human_content": {"humorous": content},
    }


def read(**changes):
    return Captions.model_validate(captions() | {"perception": perception(), "styles": styles()} | changes)


def sentences(**changes):
    section = emotion_section(read(perception=perception() | changes).perception, n_images=100)
    return plain(" ".join(section.sentences))


def test_states_margin_over_key_words_and_the_ceiling():
    text = sentences()
    assert "60% [50%, 70%] of the captions “guided and re-ranked” (chance 10%)" in text
    assert "The margin over the rule is +20.0 points [+15.0, +25.0]: more than key words carry it." in text
    assert "Of 500 captions that people wrote, whose emotions are known, the judge finds 40% [30%, 50%]" in text
    assert "+20.0 points [+10.0, +30.0]: the captioner is above it, so it exaggerates." in text


def test_cannot_tell_below_the_smallest_margin_shown():
    asked = shares(0.6, 0.52, 0.08, detectable=0.1)
    systems = perception()["systems"] | {"guided and re-ranked": asked}
    expected = (
        "cannot tell whether more than key words carry it (these images show a difference of 10.0 points or more)"
    )
    assert expected in sentences(systems=systems)


def test_alike_samples_leave_the_power_unknown():
    asked = shares(0.5, 0.5, 0.0, detectable=0.0)
    systems = {"guided and re-ranked": asked}
    section = emotion_section(read(perception=perception() | {"systems": systems}).perception, n_images=100)
    assert "these images show a difference of 0.0 points" not in plain(" ".join(section.sentences))
    assert section.rows[0].cells[-1].text == "–"


def test_few_images_or_unknown_power_allow_no_verdict():
    clear = Difference(difference=0.5, low=0.4, high=0.6, minimum_detectable=0.1)
    assert powered_outcome(clear, n_images=100) == "better"
    assert powered_outcome(clear, n_images=10) == "cannot tell"
    assert powered_outcome(clear.model_copy(update={"minimum_detectable": None}), n_images=100) == "cannot tell"


@pytest.mark.parametrize(
    ("gain", "expected"),
    [
        (apart(0.01, -0.04, 0.06) | {"minimum_detectable": 0.07}, "no evidence of a gain, as it must be"),
        (apart(0.2, 0.1, 0.3) | {"minimum_detectable": 0.1}, "part of the captioner’s gain is not due to the emotions"),
    ],
)
def test_shuffled_emotions_must_gain_nothing(gain, expected):
    assert expected in sentences(gains={"shuffled emotions, guided": gain})


@pytest.mark.parametrize(("share", "expected"), [(0.97, "as it must"), (0.9, "uses the image too little")])
def test_blanked_images_must_change_captions(share, expected):
    assert expected in sentences(changed_by_blanking=around(share, 0.01))


def test_styles_are_compared_with_human_captions():
    text = plain(" ".join(style_section(read().styles, n_images=100).sentences))
    assert "80% [70%, 90%] of the captions (chance 50%)" in text
    assert "+10.0 points [+2.0, +18.0], more often than in people’s." in text
    assert "cannot tell whether more than key words carry it" in text  # 10 points of 20 that could be shown
    assert "move the right way by the judge in 90% [80%, 100%] (chance 50%), more often than by chance" in text
    assert "people’s humorous captions have 0.400" in text


def test_verdict_is_by_lift_where_a_run_has_it(captioned):  # noqa: F811
    def by_lift(it):
        for name, value in (("without emotion", 0.1), ("guided and re-ranked", 0.5)):
            it["systems"][name] |= {"lift_alignment": around(value), "noun_faithfulness": around(0.6)}
        differences = it["differences"]["guided and re-ranked"]
        differences |= {"lift_alignment": apart(0.4, 0.3, 0.5), "noun_faithfulness": apart(-0.05, -0.1, -0.01)}

    captioned.change(FILE, by_lift)
    verdict = plain(caption_section(read_run(captioned.folder)).verdict)
    assert "by lift for 50% [40%, 60%] of the 100 captions" in verdict
    assert "+40.0 points [+30.0, +50.0]; CIDEr-D falls" in verdict
    assert "Of its nouns 60% [50%, 70%] occur in people’s captions of the image, fewer than without emotion" in verdict


def test_page_has_tables_styles_and_the_sheet(captioned):  # noqa: F811
    def add(it):
        it |= {"perception": perception(), "styles": styles()}
        it["gallery"][0]["styles"] = [{"style": "romantic", "caption": "Love on a pier."}]

    captioned.change(FILE, add)
    assert "A sheet of captions" not in report_of(captioned).text
    (captioned.folder / "captioner/reader_sheet.html").write_text("<p>sheet</p>")
    html = report_of(captioned)
    text = plain(html.text)
    assert "guided and re-ranked 60% [50%, 70%] 59% [49%, 69%] 40% [30%, 50%] +20.0 points [+15.0, +25.0] 10.0" in text
    assert "two styles, one image: human 80% [70%, 90%]" in text
    assert "In a style romantic Love on a pier." in text
    assert "sad lost, alone" in text
    assert ("a", {"href": "captioner/reader_sheet.html"}) in html.tags


def test_reads_runs_without_the_new_parts():
    value = copy.deepcopy(captions())
    assert Captions.model_validate(value).perception is None
    assert Captions.model_validate(value | {"styles": None}).styles is None
