import xml.etree.ElementTree as ElementTree

import pytest

from emocap.report.calibration import calibration_section
from emocap.report.files.results import Results
from emocap.report.plots import trust

from . import synthetic
from .test_page import report_of


def results(**applied):
    value = synthetic.results()
    for name, entry in value["calibration"].items():
        if not applied.get(name.replace("+", "_plus"), True):
            entry["methods"] = ["none"]
    return Results.model_validate(value)


def texts(drawing):
    return [element.text for element in ElementTree.fromstring(drawing.svg).iter() if element.tag.endswith("text")]


def test_shows_every_model_beside_the_prior():
    section = calibration_section(results(), "AnB+")
    assert section.models[0] == ("prior", ["0.001", "0.001", "0.015", "0.002", "0.120", "±0.000", "not scaled"])
    assert dict(section.models)["AnB+"] == ["0.041", "0.012", "0.015", "0.034", "0.110", "+0.083", "Platt"]


def test_shows_every_emotion_beside_the_prior():
    section = calibration_section(results(), "AnB+")
    assert section.emotions[0] == ("happy", ["60", "–", "–", "–", "0.020", "0.001", "0.100", "0.120", "+0.200"])
    assert section.emotions[5] == ("tired", ["55", "–", "–", "–", "0.020", "0.001", "0.150", "0.120", "−0.050"])


@pytest.mark.parametrize(
    ("applied", "said"),
    [
        ({}, "The logits of every model were scaled."),
        (dict.fromkeys(("tfidf", "teacher", "student", "AnB", "AnB_plus", "ensemble"), False), "No logits were scaled"),
        ({"tfidf": False, "teacher": False}, "AnB+ and the ensemble were scaled, but not those of tfidf and the te"),
    ],
)
def test_says_which_models_were_scaled(applied, said):
    assert said in calibration_section(results(**applied), "AnB+").finding


def test_says_which_models_were_scaled_in_some_folds_only():
    scaled = results(tfidf=False)
    scaled.calibration["AnB"].methods[:] = ["platt", "none"]
    said = calibration_section(scaled, "AnB+").finding
    assert said.endswith("but not those of tfidf. In some folds or seeds those of AnB were not.")


def test_unscaled_model_has_one_curve():
    drawing = trust.reliability(results(AnB_plus=False), ["AnB+"])
    assert drawing.caption.startswith("AnB+’s expected calibration error is 0.041 (not scaled); the prior’s is 0.001.")
    assert "AnB+" in texts(drawing)
    assert "AnB+, after" not in texts(drawing)


def test_figure_counts_emotions_with_skill():
    drawing = trust.brier_skill(results(), ["tfidf", "AnB+"])
    assert drawing.caption.startswith(
        "tfidf’s Brier score is below the prior’s on 4 of the 5 emotions with at least 10 test positives; AnB+’s"
    )
    assert {"happy", "the prior", "AnB+"} <= {*texts(drawing)}


def test_older_run_has_what_it_recorded(run_dir):
    new = ("methods", "brier", "brier_skill", "top_ece", "adaptive_ece", "per_emotion")

    def forget(it):
        for entry in it["calibration"].values():
            for key in new:
                entry.pop(key)
            entry |= {"temperature": [1.31], "applied": True}

    run_dir.change("results.json", forget)
    text = report_of(run_dir).text
    assert "ensemble 0.041 0.012 – – – – temperature" in text
    assert "Calibration of every emotion" not in text
    assert "Brier skill by emotion" not in text


def test_names_ranges_that_are_off(run_dir):
    def tenth(low, n_cells, predicted, frequency):
        shares = {"predicted": predicted, "frequency": frequency, "interval": [-0.12, -0.05]}
        return {"low": low, "high": low + 0.1, "n_cells": n_cells} | shares

    def recorded(it):
        entry = it["calibration"]["AnB+"]
        entry["ranges"] = [tenth(0.0, 900, 0.05, 0.06), tenth(0.4, 100, 0.45, 0.37), tenth(0.9, 99, 0.95, 0.5)]
        entry["ranges_before"] = [tenth(0.4, 120, 0.45, 0.30)]

    run_dir.change("results.json", recorded)
    text = report_of(run_dir).text
    assert "AnB+’s probabilities are off by more than 0.03 from 0.4 to 0.5 (−0.080 [−0.120, −0.050])." in text
    assert "0.4 to 0.5 100 0.450 0.370 −0.080 [−0.120, −0.050] −0.150" in text
    run_dir.change("results.json", lambda it: it["calibration"]["AnB+"]["ranges"].pop(1))
    assert "probabilities are off by at most 0.03 in every tenth with 100 cells or more" in report_of(run_dir).text


def test_human_share_is_never_of_a_ranking_of_all(run_dir):
    def older(it):
        for part in ("models", "shares"):
            for scores in it["human"][part].values():
                scores["mean_average_precision"] = 0.5
        it["human"]["one_against_others"]["mean_average_precision"] = 0.4

    before = report_of(run_dir).text
    run_dir.change("results.json", older)
    assert report_of(run_dir).text == before
