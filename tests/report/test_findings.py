import xml.etree.ElementTree as ElementTree

import pytest

from emocap.report.files.results import PRIMARY, Metric, PseudoLabelStudy, Reliability, Results, Signal, TransferStudy
from emocap.report.findings import pseudo_label_sentence, signal_sentence, transfer_sentence
from emocap.report.plots import transfer as figures_transfer
from emocap.report.plots import trust as figures_trust

from . import made_up

METRICS = {PRIMARY: Metric(higher_is_better=True)}


def plain(text):
    return text.replace("\N{NO-BREAK SPACE}", " ")


def texts(drawing):
    return [element.text for element in ElementTree.fromstring(drawing.svg).iter() if element.tag.endswith("text")]


def change(study, model, reference, low, high):
    study["differences"][reference][model][PRIMARY] = {"difference": (low + high) / 2, "low": low, "high": high}


def told_of_transfer(study):
    return plain(transfer_sentence(TransferStudy.model_validate(study), METRICS))


def test_what_the_transfer_study_supports():
    assert told_of_transfer(made_up.transfer_study()) == (
        "Copying all 6 layers and fine-tuning (AnB+) is not shown to be better than training on the target alone: "
        "+0.010 [−0.010, +0.030]; fragile co-adaptation may show, BnB being below BnB+ at n = 3 (1 of the 5 "
        "between none and all): −0.040 [−0.060, −0.020]."
    )


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [(0.001, 0.02, "is better than"), (-0.02, -0.001, "is worse than"), (0.0, 0.02, "is not shown to be better than")],
)
def test_the_interval_decides_on_transfer_whatever_the_point_value(low, high, told):
    study = made_up.transfer_study()
    change(study, "AnB+_n06", "teacher", low, high)
    assert f"(AnB+) {told} training on the target alone" in told_of_transfer(study)


def test_without_a_sure_dip_co_adaptation_does_not_show():
    study = made_up.transfer_study()
    change(study, "BnB_n03", "BnB+_n03", -0.09, 0.01)
    assert "fragile co-adaptation does not show, BnB not being below BnB+ at any of n = 1, 2, 3, 4 and 5." in (
        told_of_transfer(study)
    )


def test_a_dip_at_all_layers_is_no_co_adaptation():
    study = made_up.transfer_study()
    change(study, "BnB_n03", "BnB+_n03", -0.09, 0.01)
    change(study, "BnB_n06", "BnB+_n06", -0.09, -0.05)
    change(study, "BnB_n00", "BnB+_n00", -0.09, -0.05)
    assert "does not show" in told_of_transfer(study)


def test_the_deepest_dip_is_named():
    study = made_up.transfer_study()
    change(study, "BnB_n02", "BnB+_n02", -0.09, -0.05)
    assert "at n = 2 and 3 (2 of the 5 between none and all), most at n = 2: −0.070 [−0.090, −0.050]" in (
        told_of_transfer(study)
    )


def test_a_study_of_some_layers_without_controls():
    study = made_up.transfer_study()
    kept = [point for point in study["points"] if point["run"] in ("AnB", "AnB+")]
    names = {point["model"] for point in kept}
    study.update(points=kept, differences={}, spread=None)
    for part in ("models", "intervals"):
        study[part] = {name: value for name, value in study[part].items() if name in names}
    assert told_of_transfer(study).startswith("The study ran without its controls")
    drawing = figures_transfer.transfer_study(Results.model_validate(made_up.results() | {"transfer_study": study}))
    assert drawing.caption == "AnB from 0.190 to 0.240; AnB+ from 0.250 to 0.260."
    assert "BnB" not in texts(drawing)


def test_fewer_layers_than_all_are_told():
    study = made_up.transfer_study()
    study["points"] = [point for point in study["points"] if point["n"] != 6]
    assert told_of_transfer(study).startswith("Copying 5 of 6 layers")


def told_of_pseudo_labels(study):
    return plain(pseudo_label_sentence(PseudoLabelStudy.model_validate(study), METRICS))


def test_what_the_study_of_pseudo_labels_supports():
    assert told_of_pseudo_labels(made_up.pseudo_label_study()) == (
        "The selected pseudo-labels are better than the same ones given to other pairs (+0.050 [+0.030, +0.070]), but "
        "are not shown to be better than those of a random sample (+0.005 [−0.015, +0.025]) or none at all (the "
        "teacher trained on instead) (+0.010 [−0.010, +0.030])."
    )


def test_worse_than_a_control_is_said():
    study = made_up.pseudo_label_study()
    change(study, "random", "base", 0.01, 0.03)
    assert "are worse than those of a random sample (−0.020 [−0.030, −0.010])" in told_of_pseudo_labels(study)


def test_without_controls_nothing_is_claimed():
    study = made_up.pseudo_label_study()
    study["points"] = [point for point in study["points"] if point["varied"] != "control"]
    assert told_of_pseudo_labels(study).startswith("No control was run")


def test_what_carries_the_signal():
    assert plain(signal_sentence(Signal.model_validate(made_up.signal()), METRICS)) == (
        "AnB+ uses the caption (without it −0.180 [−0.200, −0.160] and with another pair’s −0.190 [−0.210, −0.170]); "
        "it is not shown to use the picture (without it −0.005 [−0.025, +0.015] and with another pair’s −0.010 "
        "[−0.030, +0.010])."
    )


def test_a_picture_whose_loss_is_sure_is_used():
    signal = made_up.signal()
    change(signal, "other_image", "both", -0.03, -0.01)
    assert "it uses the picture" in signal_sentence(Signal.model_validate(signal), METRICS)


@pytest.fixture
def results():
    return Results.model_validate(made_up.results())


def test_figures_say_their_numbers(results):
    transfer = figures_transfer.transfer_study(results)
    assert plain(transfer.caption).endswith(
        "BnB from 0.210 to 0.250; BnB+ from 0.250 to 0.255; teacher, trained again 0.250 [0.220, 0.280]; "
        "probe, then fine-tune 0.262 [0.232, 0.292]."
    )
    assert {"AnB", "AnB+", "BnB", "BnB+", "teacher, trained again", "layers copied (n)"} <= set(texts(transfer))
    pseudo = figures_transfer.pseudo_label_study(results)
    assert plain(pseudo.caption) == (
        "As the study has it 0.300 [0.270, 0.330] with 3,000 pseudo-labelled pairs; of the others lowest is control: "
        "shuffled, 0.250, highest agreement ≥ 0.6, 0.305."
    )
    assert {"P = 1", "K = 100", "fraction 0.1", "hard targets", "control: none"} <= set(texts(pseudo))
    signal = figures_trust.what_carries_the_signal(results)
    assert signal.caption.startswith("230 test pairs with a picture: picture and caption 0.300, caption only 0.295,")
    for drawing in (transfer, pseudo, signal):
        assert "nan" not in drawing.svg.lower()


def test_people_and_models(results):
    drawing = figures_trust.human_ceiling(results, "AnB+")
    assert drawing.caption == (
        "AnB+ reaches 100% of one annotator’s top-1 accuracy (0.700 of 0.700), 90% of one annotator’s recall@3 "
        "(0.450 of 0.500), 75% of one annotator’s mean average precision (0.300 of 0.400); split-half agreement: the "
        "votes of two halves of the annotators correlate 0.520 (0.684 by Spearman–Brown), mean of 20 splits. 200 pairs "
        "with 1 to 10 annotators, median 6; left out: 38 pairs with one annotator, 2 annotators "
        "without a known emotion."
    )
    assert "one annotator" in texts(drawing)


def test_people_without_halves_or_shares_of_a_metric():
    human = made_up.results()["human"] | {"split_half": None, "left_out": {}}
    human["shares"] = {name: shares | {"recall_at_3": None} for name, shares in human["shares"].items()}
    drawing = figures_trust.human_ceiling(Results.model_validate(made_up.results() | {"human": human}), "AnB+")
    assert "split-half" not in drawing.caption
    assert "Recall@3" not in texts(drawing)


def test_reliability_names_errors_and_temperatures(results):
    results.calibration["teacher"].temperature[:] = [1.2, 1.4]
    drawing = figures_trust.reliability(results, ["AnB+", "teacher", "prior"])
    assert drawing.caption == (
        "AnB+’s expected calibration error is 0.041 before scaling and 0.012 after (temperature 1.31); the teacher’s "
        "expected calibration error is 0.041 before scaling and 0.012 after (temperatures 1.20 to 1.40). Small dots "
        "are bins of fewer than 20 answers."
    )
    assert "AnB+, before" in texts(drawing)
    assert "prior, before" not in texts(drawing)
    assert figures_trust.reliability(results, ["absent"]) is None


def test_empty_bins_are_no_points():
    curve = Reliability.model_validate(made_up.calibration()["before"])
    assert curve.points() == [(0.05, 0.02, 900), (0.2, 0.3, 200), (0.5, 0.4, 12)]


def test_a_point_without_a_score_is_drawn_as_such():
    given = made_up.results()
    for part in ("models", "intervals"):
        given["pseudo_label_study"][part]["p=1"][PRIMARY] = None
        given["signal"][part]["both"][PRIMARY] = None
        given["transfer_study"][part]["teacher"][PRIMARY] = None
    results = Results.model_validate(given)
    assert "no score" in texts(figures_transfer.pseudo_label_study(results))
    assert "picture and caption –" in figures_trust.what_carries_the_signal(results).caption.replace(" –,", " –")
    assert "teacher, trained again –" in figures_transfer.transfer_study(results).caption
