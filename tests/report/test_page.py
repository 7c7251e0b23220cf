import itertools
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from emocap.errors import EmocapError
from emocap.report import page
from emocap.report.page import write_report

from .cached_drawings import cached_drawings
from .synthetic import METRICS

COMPACT = ("mean_average_precision", "top1_accuracy", "top3_accuracy", "recall_at_3", "micro_f1",
           "expected_calibration_error")  # fmt: skip


class Page(HTMLParser):
    """A parsed page: tags with attributes, text, and the cells of the score table."""

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


def report_of(run_dir):
    with cached_drawings():
        path = write_report(run_dir.folder)
    return Page(path.read_text(encoding="utf-8"))


def test_writes_the_report_and_nothing_else(run_dir):
    before = sorted(run_dir.folder.rglob("*"))
    assert write_report(run_dir.folder) == run_dir.folder / "report.html"
    assert sorted({*run_dir.folder.rglob("*")} - {*before}) == [run_dir.folder / "report.html"]


def test_summary_table_shows_scores_and_intervals(run_dir):
    results = run_dir.read("results.json")
    cells = report_of(run_dir).cells
    assert list(cells) == ["Model", "Baselines", "prior", "tfidf", "Models", "teacher", "student", "AnB", "AnB+",
                           "ensemble", "True probabilities", "oracle"]  # fmt: skip
    for name, scores in [*results["models"].items(), ("oracle", results["ceiling"])]:
        for cell, metric in zip(cells[name], COMPACT, strict=True):
            assert re.search(r"\d\.\d{3}", cell)[0] == f"{scores[metric]:.3f}"
    assert cells["AnB+"][0].endswith("0.300 [0.270, 0.330]")


def test_shows_every_metric_spread_and_difference(run_dir):
    run_dir.change("results.json", lambda it: it.update(seeds=[0, 1], spread={"AnB+": dict.fromkeys(METRICS, 0.004)}))
    text = report_of(run_dir).text
    assert "All 17 metrics with their spread over seeds" in text
    assert "± is the standard deviation over 2 seeds" in text
    row = text[text.index("Coverage error") :]
    assert row.startswith("Coverage error ↓ (lower is better) 7.000 [6.970, 7.030] 6.000 [5.970, 6.030] 5.500")
    assert "5.000 [4.970, 5.030] ± 0.004" in row[:220]
    tables = [text[text.index(f"Minus {name} ") :] for name in ("teacher", "prior", "tfidf")]
    assert len(tables[0]) > len(tables[1]) > len(tables[2])  # the study's own reference is first
    assert "Top-1 accuracy ↑ (higher is better) worse: −0.060 [−0.090, −0.030] 41 images" in tables[0]
    assert "Micro F1 ↑ (higher is better) +0.010 [−0.010, +0.030]" not in tables[0]


def test_marks_best_with_ties_and_lower_is_better(run_dir):
    cells = report_of(run_dir).cells
    marked = {name: [place for place, cell in enumerate(row) if "best" in cell] for name, row in cells.items()}
    assert {name: places for name, places in marked.items() if places} == {"AnB": [2], "AnB+": list(range(6))}


def test_prior_gets_no_star_for_calibration(run_dir):
    def calibrated(it):
        it["models"]["prior"]["expected_calibration_error"] = 0.0

    before = [["best" in cell for cell in row] for row in report_of(run_dir).cells.values()]
    run_dir.change("results.json", calibrated)
    assert [["best" in cell for cell in row] for row in report_of(run_dir).cells.values()] == before


def set_difference(it, model, reference, low, high):
    difference = it["differences"][reference][model]["mean_average_precision"]
    difference.update(difference=(low + high) / 2, low=low, high=high)


def test_describes_several_units(run_dir):
    units = ["units/s0_f0", "units/s0_f1"]
    run_dir.change("manifest.json", lambda it: it.update(units=units))
    run_dir.change("results.json", lambda it: it.update(folds=2, seeds=[0, 1]))
    assert "loss by epoch" not in report_of(run_dir).text
    for name in ("teacher/history.json", "audit.json"):
        run_dir.write(f"units/s0_f0/{name}", run_dir.read(name))
    html = report_of(run_dir)
    assert "The loss curves are those of seed 0, fold 0 of 2." in html.text
    assert "For seed 0, fold 0 of 2. The teacher scored 6,000 source pairs" in html.text
    assert (
        "2-fold cross-validation by image, every image tested once and all predictions pooled, means over 2 seeds."
        in html.text
    )
    assert "Seeds 0, 1 Folds 2, by image" in html.text


def test_rejects_unit_outside_the_run(run_dir):
    run_dir.change("manifest.json", lambda it: it.update(units=["../other"]))
    with pytest.raises(EmocapError, match="unit '../other' is outside the run directory"):
        write_report(run_dir.folder)


def test_shows_each_study_with_its_sentence(run_dir):
    text = report_of(run_dir).text
    for heading in ("Calibration and human agreement", "Modality ablation", "Transfer study",
                    "Pseudo-label study"):  # fmt: skip
        assert heading in text
    assert "Copying all 6 layers and fine-tuning (AnB+) is not shown to differ from training on the target" in text
    assert "AnB+_n06 0.260 [0.230, 0.290] ± 0.004 +0.010 [−0.020, +0.040]" in text
    assert "shuffled 0.250 [0.220, 0.280] worse: −0.050 [−0.080, −0.020]" in text
    assert "1 note on rare emotions 'tired' has no positive pair" in text
    assert "ensemble 0.041 0.012 0.015 0.034 0.110 +0.083 Platt" in text
    assert "half against half – – 0.450" in text


def test_page_loads_nothing_from_elsewhere(run_dir):
    html = Page(write_report(run_dir.folder).read_text(encoding="utf-8"))
    for tag, attributes in html.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            assert attributes.get(name, "#").startswith(("#", "data:image/jpeg;base64,"))
        assert not [name for name in attributes if name.startswith("on")]
    source = (run_dir.folder / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"@import|url\((?!#)", source)
    assert len(source) < 3_000_000


def test_ids_are_unique_and_internal_links_resolve(run_dir):
    html = report_of(run_dir)
    assert len(html.ids) == len(set(html.ids))
    targets = {a["href"][1:] for _, a in html.tags if a.get("href", "").startswith("#")}
    named = {word for _, a in html.tags for word in a.get("aria-labelledby", "").split()}
    assert targets | named <= set(html.ids)


def test_escapes_captions_and_uses_them_as_alt_text(run_dir):
    nasty = run_dir.read("gallery.json")["best"][1]["caption"]
    source = write_report(run_dir.folder).read_text(encoding="utf-8")
    assert "<script" not in source
    html = Page(source)
    assert nasty in html.text
    assert nasty in [attributes["alt"] for tag, attributes in html.tags if tag == "img"]


def test_accepts_half_a_surrogate_pair_in_caption(run_dir):
    text = (run_dir.folder / "gallery.json").read_text(encoding="utf-8")
    (run_dir.folder / "gallery.json").write_text(text.replace("A child laughs.", r"A child \ud83d laughs."), "utf-8")
    assert "A child ? laughs." in report_of(run_dir).text


def test_shows_card_without_its_image(run_dir):
    html = report_of(run_dir)
    assert "Its image is missing." in html.text
    assert html.text.count("no image") == 2
    assert sum(tag == "img" for tag, _ in html.tags) == 5


@pytest.mark.parametrize("name", ["../secret.jpg", "gallery/broken.jpg", "gallery"])
def test_leaves_out_image_outside_or_damaged(run_dir, name):
    (run_dir.folder / "gallery" / "broken.jpg").write_bytes(b"\xff\xd8 not an image")
    (run_dir.folder.parent / "secret.jpg").write_bytes((run_dir.folder / "gallery/0000.jpg").read_bytes())
    run_dir.change("gallery.json", lambda it: it["best"][0].update(image=name))
    assert sum(tag == "img" for tag, _ in report_of(run_dir).tags) == 4


def test_scales_down_large_image(run_dir):
    from PIL import Image

    Image.effect_noise((2000, 1000), 90).save(run_dir.folder / "gallery/0000.jpg")
    (image, *_) = [attributes for tag, attributes in report_of(run_dir).tags if tag == "img"]
    assert (image["width"], image["height"]) == ("320", "160")


def test_ticks_true_emotions_that_are_ranked_first(run_dir):
    run_dir.change("gallery.json", lambda it: it.update(best=it["best"][:1], worst=[]))
    text = report_of(run_dir).text
    assert "✓ happy , ranked first tired , not ranked first" in text
    assert "✓ happy , correct 0.71 awe 0.40 calm 0.22" in text


def test_worst_ranking_has_no_tick(run_dir):
    """All five emotions of the vocabulary are shown, with the true one last."""
    predicted = [[name, 0.9 - 0.1 * place] for place, name in enumerate(["sad", "awe", "calm", "fear", "happy"])]
    card = {"image": None, "caption": "a dog", "true": ["happy"], "predicted": predicted, "average_precision": 0.2}
    run_dir.change("gallery.json", lambda it: it.update(best=[], worst=[card]))
    text = report_of(run_dir).text
    assert "✓" not in text
    assert "happy , not ranked first" in text


def test_study_without_source_omits_its_sections(run_dir):
    run_dir.drop_source()
    run_dir.change("results.json", lambda it: it.pop("ceiling"))
    html = report_of(run_dir)
    assert "The teacher is better than tfidf, the baseline chosen on the validation pairs, by mean average" in html.text
    assert "AnB+" not in html.text
    assert "Audit of the pseudo-labels" not in html.text
    assert [a["aria-labelledby"].split("-title")[0] for tag, a in html.tags if tag == "svg"] == [
        "teacher-loss",
        "reliability",
        "brier-skill",
        "emotion-scores",
    ]
    assert "oracle" not in html.text
    assert "student" not in html.text.lower()
    for heading in ("Modality ablation", "Transfer study", "Pseudo-label study", "annotator"):
        assert heading not in html.text


def test_needs_only_results_and_manifest(run_dir):
    for name in ("audit.json", "gallery.json"):
        (run_dir.folder / name).unlink()
    for path in run_dir.folder.rglob("history.json"):
        path.unlink()
    run_dir.write("manifest.json", {"schema": 1})
    optional = (
        "human",
        "modality_ablation",
        "transfer_study",
        "pseudo_label_study",
        "ceiling",
        "calibration",
        "emotions",
    )
    run_dir.change("results.json", lambda it: [it.pop(name) for name in (*optional, "spread", "folds")])
    run_dir.change("results.json", lambda it: [m.pop("per_emotion_average_precision") for m in it["models"].values()])
    html = report_of(run_dir)
    assert "Gallery" not in html.text
    assert "Scores by emotion" not in html.text
    assert "Calibration and human agreement" not in html.text
    assert {"prior", "AnB+"} < set(html.cells)


def test_shows_audit_warning_prominently(run_dir):
    assert not [a for _, a in report_of(run_dir).tags if a.get("role") == "alert"]
    run_dir.change("audit.json", lambda it: it.update(warning="Pseudo-labels collapse: <two> emotions hold 96%."))
    html = report_of(run_dir)
    assert [a for _, a in html.tags if a.get("role") == "alert"]
    assert html.text.count("Pseudo-labels collapse: <two> emotions hold 96%.") == 2
    assert html.text.index("Warning: the pseudo-labels") < html.text.index("Scores on held-out pairs")


def test_shows_data_rejections_configuration_versions_and_times(run_dir):
    text = report_of(run_dir).text
    sizes = (
        "Number of Target Source Pairs 1,200 6,000 Labelled 1,198 – Images 1,190 1,201 Images missing 3 0 Train pairs"
    )
    assert f"{sizes} 840 –" in text
    assert "Target caption is empty 2 Images not an image 1" in text
    assert "pairs.csv:17 : caption is empty" in text
    for part in ("learning_rate: 5.0e-05", "torch 2.12.0", "teacher 36.3 s 23 November 2026, 10:02 UTC", "Seed 0",
                 "2.1 GiB", "8cdb0a1b2c3d4e5f"):  # fmt: skip
        assert part in text


def test_shows_the_audit(run_dir):
    text = report_of(run_dir).text
    assert "Emotions never chosen 1 of 6: tired" in text
    assert "After selection 1.500 84%" in text
    assert "each with its top-4 emotions by probability as soft labels" in text
    assert "Emotions that occur, ranked by lift 6 of 6" in text
    assert "share 3.40 of 4 by probability and 1.36 of 4 by lift" in text


def test_page_is_deterministic(run_dir):
    first = write_report(run_dir.folder).read_bytes()
    assert write_report(run_dir.folder).read_bytes() == first


def test_thousands_of_steps_keep_page_small(run_dir):
    rows = [{"step": step, "epoch": step / 100_000, "loss": 0.3 + step % 7 / 10} for step in range(100_000)]
    run_dir.change("student/history.json", lambda it: it.update(train=rows))
    assert write_report(run_dir.folder).stat().st_size < 400_000


def test_page_is_accessible_to_screen_readers(run_dir):
    html = report_of(run_dir)
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


def test_every_theme_has_wcag_aa_contrast():
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


def test_imports_neither_torch_nor_transformers():
    code = "import sys, emocap.report.page, emocap.report.compare\n"
    code += "print({'torch', 'transformers', 'matplotlib.pyplot'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_missing_score_is_a_dash(run_dir):
    run_dir.change("results.json", lambda it: it["models"]["AnB"].update(mean_average_precision=None))
    run_dir.change("results.json", lambda it: it["intervals"]["AnB"].update(mean_average_precision=None))
    assert report_of(run_dir).cells["AnB"][0] == "–"
