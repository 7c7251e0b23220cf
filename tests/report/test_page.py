import itertools
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from emocap.errors import EmocapError
from emocap.report import page
from emocap.report.page import write_report

SHARE = 100 * (0.300 - 0.100) / (0.350 - 0.100)  # AnB+: 80% of the way from prior to ceiling


class Page(HTMLParser):
    """What a test wants to know of a page: tags with attributes, text, and the cells of the score table."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.words, self.cells, self.ids = [], [], {}, []
        self._row, self._in_scores = None, False
        self.feed(html)
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag == "table":
            self._in_scores = attributes.get("class") == "scores"
        if self._in_scores and tag == "tr":
            self._row = []
        if self._row is not None and tag in ("td", "th"):
            self._row.append("")

    def handle_endtag(self, tag):
        if tag == "tr" and self._row is not None:
            self.cells[self._row[0].strip()] = [re.sub(r"\s+", " ", cell).strip() for cell in self._row[1:]]
            self._row = None

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "style":
            return
        self.words.append(data)
        if self._row:
            self._row[-1] += data


def made(run_dir):
    return Page(write_report(run_dir.folder).read_text(encoding="utf-8"))


def test_the_report_is_written_into_the_run_directory_and_nothing_else(run_dir):
    before = sorted(run_dir.folder.rglob("*"))
    assert write_report(run_dir.folder) == run_dir.folder / "report.html"
    assert sorted({*run_dir.folder.rglob("*")} - {*before}) == [run_dir.folder / "report.html"]


def test_every_number_of_the_results_is_in_its_cell(run_dir):
    results = run_dir.read("results.json")
    cells = made(run_dir).cells
    assert list(cells) == ["Model", *results["models"], "ceiling"]
    for name, scores in [*results["models"].items(), ("ceiling", results["ceiling"])]:
        for cell, metric in zip(cells[name], results["metrics"], strict=True):
            assert re.search(r"\d\.\d{3}", cell)[0] == f"{scores[metric]:.3f}"


def test_the_best_is_marked_ties_and_lower_is_better_included(run_dir):
    cells = made(run_dir).cells
    marked = {name: [place for place, cell in enumerate(row) if "best" in cell] for name, row in cells.items()}
    assert marked == {"Model": [], "prior": [], "teacher": [], "student": [], "AnB": [2], "AnB+": list(range(7)),
                      "ceiling": []}  # fmt: skip


def test_differences_to_the_prior_say_which_way_is_better(run_dir):
    cells = made(run_dir).cells
    assert "−0.015 better than the prior" in cells["teacher"][6]
    assert "+0.005 worse than the prior" in cells["AnB"][6]
    assert "+0.150 better than the prior" in cells["teacher"][5]


def test_words_say_whether_each_model_beats_the_prior(run_dir):
    text = made(run_dir).text
    assert "teacher beats the prior on all 7 metrics." in text
    assert "student does not beat the prior." in text
    assert "AnB beats the prior on 6 of 7 metrics: not on binary cross-entropy." in text


def test_the_verdict_comes_first_with_the_share_of_the_ceiling(run_dir):
    text = made(run_dir).text
    verdict = (
        "AnB+ is best by mean average precision: 0.300 against 0.100 for the prior and 0.250 for the teacher. "
        f"AnB+ beats both the prior and the teacher. It reaches {SHARE:.0f}% of the way from the prior to the best "
        "reachable score (0.350), or 86% of that score."
    )
    assert verdict in text
    assert text.index(verdict) < text.index("Scores on held-out images")
    assert "60% of the way to the ceiling (71% of its score)" in text
    assert "below the prior: −4% of the way to the ceiling" in text


def test_a_study_that_beats_nothing_says_so(run_dir):
    run_dir.change(
        "results.json", lambda it: [scores.update(it["models"]["prior"]) for scores in it["models"].values()]
    )
    text = made(run_dir).text
    assert "No model beats the prior by mean average precision" in text
    assert "AnB+ equals the prior and the teacher." in text


def test_nothing_is_loaded_from_elsewhere(run_dir):
    html = Page(write_report(run_dir.folder).read_text(encoding="utf-8"))
    for tag, attributes in html.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            assert attributes.get(name, "#").startswith(("#", "data:image/jpeg;base64,"))
        assert not [name for name in attributes if name.startswith("on")]
    source = (run_dir.folder / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"@import|url\((?!#)", source)
    assert len(source) < 3_000_000


def test_ids_are_unique_and_links_inside_lead_somewhere(run_dir):
    html = made(run_dir)
    assert len(html.ids) == len(set(html.ids))
    targets = {a["href"][1:] for _, a in html.tags if a.get("href", "").startswith("#")}
    named = {word for _, a in html.tags for word in a.get("aria-labelledby", "").split()}
    assert targets | named <= set(html.ids)


def test_captions_are_escaped_and_are_the_alternative_text(run_dir):
    nasty = run_dir.read("gallery.json")["best"][1]["caption"]
    source = write_report(run_dir.folder).read_text(encoding="utf-8")
    assert "<script" not in source
    html = Page(source)
    assert nasty in html.text
    assert nasty in [attributes["alt"] for tag, attributes in html.tags if tag == "img"]


def test_half_a_surrogate_pair_in_a_caption_is_no_error(run_dir):
    text = (run_dir.folder / "gallery.json").read_text(encoding="utf-8")
    (run_dir.folder / "gallery.json").write_text(text.replace("A child laughs.", r"A child \ud83d laughs."), "utf-8")
    assert "A child ? laughs." in made(run_dir).text


def test_a_card_without_its_picture_is_still_shown(run_dir):
    html = made(run_dir)
    assert "Its picture is lost." in html.text
    assert html.text.count("no picture") == 2
    assert sum(tag == "img" for tag, _ in html.tags) == 5


@pytest.mark.parametrize("name", ["../secret.jpg", "gallery/broken.jpg", "gallery"])
def test_a_picture_outside_or_broken_is_left_out(run_dir, name):
    (run_dir.folder / "gallery" / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    (run_dir.folder.parent / "secret.jpg").write_bytes((run_dir.folder / "gallery/0000.jpg").read_bytes())
    run_dir.change("gallery.json", lambda it: it["best"][0].update(image=name))
    assert sum(tag == "img" for tag, _ in made(run_dir).tags) == 4


def test_a_large_picture_is_made_smaller(run_dir):
    from PIL import Image

    Image.effect_noise((2000, 1000), 90).save(run_dir.folder / "gallery/0000.jpg")
    (image, *_) = [attributes for tag, attributes in made(run_dir).tags if tag == "img"]
    assert (image["width"], image["height"]) == ("320", "160")


def test_true_and_predicted_emotions_carry_a_tick_where_they_agree(run_dir):
    run_dir.change("gallery.json", lambda it: it.update(best=it["best"][:1], worst=[]))
    text = made(run_dir).text
    assert "✓ happy , expected by the model tired , not among the model’s" in text
    assert "✓ happy , right 0.71 awe 0.40 calm 0.22" in text


def test_a_study_without_a_source_leaves_out_what_it_lacks(run_dir):
    run_dir.drop_source()
    run_dir.change("results.json", lambda it: it.pop("ceiling"))
    html = made(run_dir)
    assert "The teacher is best by mean average precision: 0.250 against 0.100 for the prior." in html.text
    assert "Audit of the pseudo-labels" not in html.text
    assert [a["aria-labelledby"].split("-title")[0] for tag, a in html.tags if tag == "svg"] == [
        "teacher-loss",
        "emotion-scores",
    ]
    assert "ceiling" not in html.text
    assert "student" not in html.text.lower()


def test_only_results_and_manifest_are_needed(run_dir):
    for name in ("audit.json", "gallery.json"):
        (run_dir.folder / name).unlink()
    for path in run_dir.folder.rglob("history.json"):
        path.unlink()
    run_dir.write("manifest.json", {"schema": 1})
    run_dir.change("results.json", lambda it: [m.pop("per_emotion_average_precision") for m in it["models"].values()])
    html = made(run_dir)
    assert "Gallery" not in html.text
    assert "Emotion by emotion" not in html.text
    assert list(html.cells) == ["Model", "prior", "teacher", "student", "AnB", "AnB+", "ceiling"]


def test_a_warning_of_the_audit_is_loud(run_dir):
    assert not [a for _, a in made(run_dir).tags if a.get("role") == "alert"]
    run_dir.change("audit.json", lambda it: it.update(warning="Pseudo-labels collapse: <two> emotions hold 96%."))
    html = made(run_dir)
    assert [a for _, a in html.tags if a.get("role") == "alert"]
    assert html.text.count("Pseudo-labels collapse: <two> emotions hold 96%.") == 2
    assert html.text.index("Warning: the pseudo-labels") < html.text.index("Scores on held-out images")


def test_data_quarantine_configuration_versions_and_times_are_told(run_dir):
    text = made(run_dir).text
    assert "Target 1,200 1,198 1,190 3 840 120 240 Source 6,000 – 1,201 0 – – –" in text
    assert "Target caption is empty 2 Images not a picture 1" in text
    assert "pairs.csv:17 : caption is empty" in text
    for part in ("learning_rate: 5.0e-05", "torch 2.12.0", "teacher 36.3 s 23 November 2026, 10:02 UTC", "Seed 0",
                 "2.1 GiB", "8cdb0a1b2c3d4e5f"):  # fmt: skip
        assert part in text


def test_the_audit_is_told(run_dir):
    text = made(run_dir).text
    assert "Emotions never chosen 1 of 6: tired" in text
    assert "After selection 1.500 84%" in text


def test_the_page_is_the_same_every_time(run_dir):
    first = write_report(run_dir.folder).read_bytes()
    assert write_report(run_dir.folder).read_bytes() == first


def test_thousands_of_steps_and_emotions_keep_the_page_small(run_dir):
    rows = [{"step": step, "epoch": step / 100_000, "loss": 0.3 + step % 7 / 10} for step in range(100_000)]
    run_dir.change("student/history.json", lambda it: it.update(train=rows))
    assert write_report(run_dir.folder).stat().st_size < 400_000


def test_it_reads_well_for_those_who_listen(run_dir):
    html = made(run_dir)
    assert ("html", {"lang": "en"}) in html.tags
    tags = [tag for tag, _ in html.tags]
    assert tags.count("h1") == 1
    assert tags.count("caption") == tags.count("table")
    assert all("scope" in attributes for tag, attributes in html.tags if tag == "th")
    assert all(a["role"] == "img" and a["aria-labelledby"] for tag, a in html.tags if tag == "svg")
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h\d", tag)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def luminance(colour):
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_theme_has_the_contrast_of_wcag_aa():
    css = (Path(page.__file__).parent / "templates/report.css").read_text(encoding="utf-8")
    themes = [dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", css, re.S)]
    assert len(themes) == 3
    pairs = [
        (text, ground) for text in ("ink", "muted", "accent", "good", "bad") for ground in ("paper", "card", "soft")
    ]
    pairs += [("good", "good-soft"), ("bad", "bad-soft"), ("ink", "bad-soft")]
    pairs += [(f"series-{number}", "card") for number in range(1, 5)]
    for theme in themes:
        for text, ground in pairs:
            light, dark = sorted([luminance(theme[text]), luminance(theme[ground])], reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground, theme[text], theme[ground])


def test_neither_torch_nor_transformers_is_imported():
    code = "import sys, emocap.report.page; print({'torch', 'transformers', 'matplotlib.pyplot'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_directory_without_results_says_what_to_do(run_dir):
    (run_dir.folder / "results.json").unlink()
    with pytest.raises(EmocapError, match=r"demo: holds no results.json; finish the study with 'emocap run' first"):
        write_report(run_dir.folder)
    assert not (run_dir.folder / "report.html").exists()


def test_no_directory_at_all(tmp_path):
    with pytest.raises(EmocapError, match="no such run directory"):
        write_report(tmp_path / "absent")


@pytest.mark.parametrize("name", ["results.json", "manifest.json", "audit.json", "gallery.json", "AnB+/history.json"])
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"schema": 1,', "not valid JSON at line 1"),
        ('{"schema": 7}', "schema is 7, expected 1"),
        ("[1, 2]", "holds a list, expected an object"),
        ("{}", "schema is None, expected 1"),
    ],
)
def test_a_broken_file_is_named_in_one_line(run_dir, name, text, told):
    (run_dir.folder / name).write_text(text)
    with pytest.raises(EmocapError) as caught:
        write_report(run_dir.folder)
    message = str(caught.value)
    assert str(run_dir.folder / name) in message
    assert told in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("results.json", lambda it: it["models"].pop("prior"), "'models' lacks 'prior'"),
        ("results.json", lambda it: it["models"]["AnB"].pop("bce"), "AnB: 'bce' must be a number or null"),
        ("results.json", lambda it: it["models"]["AnB"].update(bce="low"), "AnB: 'bce' must be a number or null"),
        ("results.json", lambda it: it.pop("labels"), "labels: Field required"),
        ("results.json", lambda it: it.update(metrics={}), "'metrics' is empty"),
        ("audit.json", lambda it: it["after"].pop(), "'after' has 5 values for 6 labels"),
        ("teacher/history.json", lambda it: it["train"][3].update(loss="x"), "train.3.loss"),
    ],
)
def test_a_file_not_as_documented_is_refused(run_dir, name, change, told):
    run_dir.change(name, change)
    with pytest.raises(EmocapError) as caught:
        write_report(run_dir.folder)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_score_that_is_absent_is_a_dash(run_dir):
    run_dir.change("results.json", lambda it: it["models"]["AnB"].update(mean_average_precision=None))
    assert made(run_dir).cells["AnB"][5] == "–"
    assert json.loads((run_dir.folder / "results.json").read_text())["models"]["AnB"]["mean_average_precision"] is None
