import copy
import itertools
import re
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from emocap.errors import EmocapError
from emocap.report.caption_findings import judge_sentence, verdict_sentence
from emocap.report.captions import caption_section
from emocap.report.files.captions import Captions
from emocap.report.files.run import read_run
from emocap.report.page import write_report
from emocap.report.plots import captions as caption_figures

from .conftest import NASTY, history
from .test_page import Page, report_of

FILE = "captioner/captions.json"


def around(mean, by=0.1):
    return {"mean": mean, "low": max(0.0, mean - by), "high": mean + by}


def system(alignment, cider_d, **more):
    return {
        "alignment": around(alignment),
        "alignment_by_emotion": around(alignment - 0.05),
        "cider_d": around(cider_d, 0.2),
        **{"bleu_4": 0.211, "rouge_l": 0.433, "distinct_2": 0.512, "distinct_captions": 0.93, "names_emotion": 0.02},
        "words": 9.84,
        **more,
    }


def apart(difference, low, high):
    return {"difference": difference, "low": low, "high": high}


def captions():
    """Aligned for 45 of 100 images, for 20 without emotion; 0.1 of CIDEr-D is lost."""
    points = [
        {"guidance": g, "strength": s, "alignment": around(0.2 + g / 10 + s / 50),
         "judged_alignment": around(0.1 + g / 10 + s / 100), "cider_d": around(0.7 - g / 20 - s / 50)}
        for g in (1.0, 2.0, 3.0) for s in (0.0, 1.0)
    ]  # fmt: skip
    return {
        "schema": 1,
        "n_images": 100,
        "systems": {
            "without emotion": system(0.2, 0.7),
            "guided and re-ranked": system(0.45, 0.6, names_emotion=0.125),
            "nearest image": system(0.15, 0.4),
        },
        "differences": {
            "guided and re-ranked": {"alignment": apart(0.25, 0.15, 0.35), "cider_d": apart(-0.1, -0.15, -0.05)},
            "nearest image": {"alignment": apart(-0.05, -0.12, 0.02), "cider_d": apart(-0.3, -0.4, -0.2)},
        },
        "captions": [],
        "judge": {
            "model": "vectors",
            "n_train_pairs": 192,
            "n_test_pairs": 1960,
            "scores": dict(top1_accuracy=0.66, top3_accuracy=0.9, recall_at_3=0.44, mean_average_precision=0.31),
            "prior": dict(top1_accuracy=0.6, top3_accuracy=0.88, recall_at_3=0.39, mean_average_precision=0.1),
        },
        **{"guidance": 2.0, "strength": 1.0, "candidates": 8, "max_loss": 0.15},
        "trade_off": {
            "n_images": 80,
            "plain": {"cider_d": around(0.68), "judged_alignment": around(0.17)},
            "points": points,
        },
        "gallery": [
            {
                "image": "captioner/gallery/01.jpg",
                "human": "Two men on a pier.",
                "without_emotion": "A pier at night.",
                "captions": [
                    {"emotion": "happy", "caption": "Friends laugh on a pier.", "probability": 0.708},
                    {"emotion": "fear", "caption": "Nobody is left on the pier.", "probability": 0.31},
                ],
            },
            {"image": None, "human": "A field.", "without_emotion": "Some grass.", "captions": []},
        ],
    }


@pytest.fixture
def captioned(run_dir):
    run_dir.write(FILE, captions())
    stage = {"name": "captions", "seconds": 60.0, "finished": "2026-11-23T10:00:00Z"}
    run_dir.change("manifest.json", lambda it: it["stages"].append(stage))
    run_dir.write("captioner/history.json", history("captioner", 60, 30, 4.0, 2.0) | {"validation": []})
    (run_dir.folder / "captioner/gallery").mkdir()
    Image.new("RGB", (320, 240), (90, 140, 200)).save(run_dir.folder / "captioner/gallery/01.jpg")
    return run_dir


def read(**changes):
    value = copy.deepcopy(captions())
    value["differences"]["guided and re-ranked"] |= changes
    return Captions.model_validate(value)


def plain(text):
    return text.replace("\N{NO-BREAK SPACE}", " ")


def figure_texts(drawing):
    return [element.text for element in ElementTree.fromstring(drawing.svg).iter() if element.tag.endswith("text")]


def test_hides_captions_of_an_earlier_configuration(captioned):
    captioned.change("manifest.json", lambda it: it["stages"].pop())
    assert "Captions for emotions" not in report_of(captioned).text


def test_verdict_states_gain_and_cost_with_intervals():
    assert plain(verdict_sentence(read(), n_emotions=29)) == (
        "The requested emotion is among the judge’s top 3 for 45% [35%, 55%] of the 100 captions “guided and "
        "re-ranked”, against 20% [10%, 30%] of those without emotion: +25.0 points [+15.0, +35.0]; CIDEr-D falls: "
        "0.600 against 0.700, −0.100 [−0.150, −0.050]."
    )


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-0.02, 0.1, "[−2.0, +10.0], which is no evidence of a gain (the interval contains zero); CIDEr-D falls"),
        (0.0, 0.1, "[±0.0, +10.0], which is no evidence of a gain (the interval contains zero); CIDEr-D falls"),
        (0.01, 0.1, "points [+1.0, +10.0]; CIDEr-D falls"),
        (-0.1, -0.01, "points [−10.0, −1.0], so requesting an emotion makes it rarer; CIDEr-D falls"),
    ],
)
def test_claims_gain_only_where_interval_excludes_zero(low, high, expected):
    captions = read(alignment=apart((low + high) / 2, low, high))
    assert expected in plain(verdict_sentence(captions, n_emotions=29))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-0.2, 0.01, "; there is no evidence that CIDEr-D changes (the interval contains zero): 0.600 against 0.700"),
        (0.01, 0.2, "; CIDEr-D rises: 0.600 against 0.700, +0.105 [+0.010, +0.200]."),
    ],
)
def test_claims_cost_only_where_interval_excludes_zero(low, high, expected):
    captions = read(cider_d=apart((low + high) / 2, low, high))
    assert expected in plain(verdict_sentence(captions, n_emotions=29))


@pytest.mark.parametrize(
    ("n_emotions", "expected"), [(3, "is the judge’s top emotion for"), (8, "among the judge’s top 2 for")]
)
def test_fewer_emotions_lower_the_judges_top_k(n_emotions, expected):
    assert expected in verdict_sentence(read(), n_emotions)


def test_names_the_judge_with_its_scores():
    assert judge_sentence(read(), 6) == (
        "The judge is vectors, logistic regression on a sentence vector of the caption, fitted to 192 pairs of the "
        "target that no model of the study was trained on. Its own errors limit the accuracy of all these scores: on "
        "1,960 held-out pairs it reaches top-3 accuracy 0.900 (prior 0.880), recall@3 0.440 (prior 0.390) and mean "
        "average precision 0.310 (prior 0.100)."
    )


def test_section_is_between_scores_and_training(captioned):
    html = report_of(captioned)
    assert "Captions for emotions The captioner was trained on the pseudo-labelled source. For each of 100 images" in (
        html.text
    )
    places = [html.ids.index(name) for name in ("scores", "captions", "training")]
    assert places == sorted(places)
    assert ("a", {"href": "#captions"}) in html.tags


def test_table_has_every_score_in_file_order(captioned):
    text = plain(report_of(captioned).text)
    table = text[text.index("Captioning systems and their scores") :]
    rows = [
        "Metric without emotion guided and re-ranked nearest image",
        "Alignment ↑ (higher is better) 0.200 [0.100, 0.300] 0.450 [0.350, 0.550] 0.150 [0.050, 0.250]",
        "Alignment gain ↑ (higher is better) – better: +0.250 [+0.150, +0.350] −0.050 [−0.120, +0.020]",
        "Macro alignment ↑ (higher is better) 0.150 [0.050, 0.250] 0.400 [0.300, 0.500] 0.100 [0.000, 0.200]",
        "CIDEr-D ↑ (higher is better) 0.700 [0.500, 0.900] 0.600 [0.400, 0.800] 0.400 [0.200, 0.600]",
        "CIDEr-D gain ↑ (higher is better) – worse: −0.100 [−0.150, −0.050] worse: −0.300 [−0.400, −0.200]",
        "BLEU-4 ↑ (higher is better) 0.211 0.211 0.211 ROUGE-L ↑ (higher is better) 0.433 0.433 0.433",
        "Distinct captions ↑ (higher is better) 93% 93% 93% Distinct-2 ↑ (higher is better) 0.512 0.512 0.512",
        "Names the emotion 2% 13% 2% Words 9.8 9.8 9.8",
    ]
    places = [table.index(row) for row in rows]
    assert places == sorted(places)
    assert "nearest image What a person wrote for the training image that is most similar to this one." in table
    assert "emotion, not guided" not in text  # a column that the file lacks is not explained


def test_shows_the_trade_off_in_figure_and_table(captioned):
    drawing = caption_figures.trade_off(read_run(captioned.folder).captions)
    assert drawing.caption == (
        "Of the settings that lose no more than 15% of CIDEr-D, guidance 2 with strength 1 was chosen: judged "
        "alignment 0.310 at CIDEr-D 0.580; without emotion 0.170 at 0.680; the highest judged alignment is that of "
        "guidance 3 with strength 1, 0.410 at 0.530. Larger markers mean stronger guidance; thin lines are 95% "
        "intervals."
    )
    assert ElementTree.fromstring(drawing.svg).find("desc").text == drawing.caption
    texts = figure_texts(drawing)
    assert [text for text in texts if str(text).startswith("strength")] == ["strength 0", "strength 1"]
    assert {"without emotion", "chosen", "lowest CIDEr-D allowed"} <= set(texts)
    text = plain(report_of(captioned).text)
    table = text[text.index("Every setting that was tried") :]
    first = "1 0 0.200 [0.100, 0.300] 0.300 [0.200, 0.400] 0.650 [0.550, 0.750] 1 1 0.210 [0.110, 0.310] 0.320"
    assert f"without emotion 0.170 [0.070, 0.270] – 0.680 [0.580, 0.780] {first}" in table
    assert "chosen: 2 1 0.310 [0.210, 0.410] 0.420 [0.320, 0.520] 0.580 [0.480, 0.680] 3 0" in table
    assert table.count("chosen: ") == 1


def test_describes_one_setting_or_none_within_bounds():
    value = captions()
    value["trade_off"]["plain"]["cider_d"] = around(2.0)
    caption = caption_figures.trade_off(Captions.model_validate(value)).caption
    assert caption.startswith(
        "Every setting loses more than 15% of CIDEr-D; guidance 2 with strength 1 loses least and was chosen"
    )
    value["trade_off"]["points"] = value["trade_off"]["points"][3:4]
    drawing = caption_figures.trade_off(Captions.model_validate(value))
    assert drawing.caption.startswith("The only setting tried is guidance 2 with strength 1: judged alignment 0.310")
    assert "nan" not in drawing.svg.lower()


def test_draws_many_strengths(captioned):
    value = captions()
    first = value["trade_off"]["points"][0]
    value["trade_off"]["points"] += [first | {"strength": 2.0 + more} for more in range(8)]
    assert "strength 9" in figure_texts(caption_figures.trade_off(Captions.model_validate(value)))


def test_shows_training_loss_where_there_is_one(captioned):
    assert "Over 60 batches the loss on captions is" in report_of(captioned).text
    (captioned.folder / "captioner/history.json").unlink()
    html = report_of(captioned)
    assert "loss on captions" not in html.text
    assert "Emotion against faithfulness" in html.text


def test_shows_images_with_captions_for_each_emotion(captioned):
    html = report_of(captioned)
    assert (
        "Human caption Two men on a pier. Without emotion A pier at night. For an emotion happy probability "
        "0.71 Friends laugh on a pier. fear probability 0.31 Nobody is left on the pier." in html.text
    )
    assert "Two men on a pier." in [attributes["alt"] for tag, attributes in html.tags if tag == "img"]


@pytest.mark.parametrize("name", ["captioner/gallery/99.jpg", "../secret.jpg", "captioner/gallery", None])
def test_missing_or_outside_image_leaves_its_captions(captioned, name):
    Image.new("RGB", (32, 24)).save(captioned.folder.parent / "secret.jpg")
    before = sum(tag == "img" for tag, _ in report_of(captioned).tags)
    captioned.change(FILE, lambda it: it["gallery"][0].update(image=name))
    html = report_of(captioned)
    assert sum(tag == "img" for tag, _ in html.tags) == before - 1
    assert "Friends laugh on a pier." in html.text


def test_escapes_all_texts(captioned):
    def spoil(it):
        it["gallery"][0].update(human=NASTY, without_emotion=NASTY)
        it["gallery"][0]["captions"][0].update(caption=NASTY, emotion=NASTY)
        it["judge"]["model"] = NASTY
        it["systems"][NASTY] = system(0.3, 0.5)
        it["differences"][NASTY] = it["differences"]["nearest image"]

    captioned.change(FILE, spoil)
    source = write_report(captioned.folder).read_text(encoding="utf-8")
    assert "<script" not in source
    html = Page(source)
    assert f"nearest image {NASTY} Alignment" in html.text
    assert html.text.count(NASTY) >= 6
    assert NASTY in [attributes["alt"] for tag, attributes in html.tags if tag == "img"]


def test_shows_nothing_without_a_captioner(run_dir):
    run_dir.write("captioner/history.json", history("captioner", 60, 30, 4.0, 2.0))
    run = read_run(run_dir.folder)
    assert run.captions is None
    assert caption_section(run) is None
    html = report_of(run_dir)
    assert "captions" not in html.ids
    for word in ("Captions for emotions", "captioner", "CIDEr-D", "the judge"):
        assert word.lower() not in html.text.lower()


def test_section_is_accessible_to_screen_readers(captioned):
    html = report_of(captioned)
    tags = [tag for tag, _ in html.tags]
    assert tags.count("caption") == tags.count("table")
    assert all("scope" in attributes for tag, attributes in html.tags if tag == "th")
    assert len(html.ids) == len(set(html.ids))
    scrolling = [a["aria-label"] for _, a in html.tags if a.get("class") == "scroll"]
    assert {"Captions, table", "Guidance and strength, table"} <= set(scrolling)
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h\d", tag)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schema": 1,', "not valid JSON at line 1"),
        ('{"schema": 7}', "schema is 7, expected 1"),
        ("[1, 2]", "contains a list, expected an object"),
    ],
)
def test_names_damaged_file_in_one_line(captioned, text, message):
    (captioned.folder / FILE).write_text(text)
    with pytest.raises(EmocapError) as caught:
        write_report(captioned.folder)
    error = str(caught.value)
    assert str(captioned.folder / FILE) in error
    assert message in error
    assert "\n" not in error


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda it: it["systems"].pop("without emotion"), "'systems' lacks 'without emotion'"),
        (lambda it: it["systems"].pop("guided and re-ranked"), "'systems' lacks 'guided and re-ranked'"),
        (lambda it: it["systems"].pop("nearest image"), "'systems' lacks 'nearest image'"),
        (lambda it: it["differences"].pop("guided and re-ranked"), "'differences' lacks 'guided and re-ranked'"),
        (lambda it: it["systems"]["without emotion"].update(bleu_4=1.2), "systems.without emotion.bleu_4"),
        (lambda it: it["systems"]["without emotion"]["alignment"].update(high=1.2), "without emotion.alignment.high"),
        (lambda it: it["systems"]["without emotion"]["cider_d"].update(low=2.0), "'low' is 2.0, above 'high', 0.8"),
        (lambda it: it["systems"]["without emotion"]["cider_d"].update(mean=-1), "without emotion.cider_d.mean"),
        (lambda it: it["trade_off"].update(points=[]), "trade_off.points"),
        (lambda it: it.update(guidance=9.0), "'trade_off' lacks guidance 9 with strength 1, the chosen setting"),
        (lambda it: it.pop("judge"), "judge: Field required"),
        (lambda it: it.update(n_images=0), "n_images"),
        (lambda it: it["gallery"][0]["captions"][0].update(probability=1.5), "gallery.0.captions.0.probability"),
    ],
)
def test_rejects_file_not_as_documented(captioned, change, message):
    captioned.change(FILE, change)
    with pytest.raises(EmocapError) as caught:
        write_report(captioned.folder)
    assert message in str(caught.value)
    assert str(caught.value).endswith("; delete it and run the study again")
    assert "\n" not in str(caught.value)
