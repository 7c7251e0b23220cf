import xml.etree.ElementTree as ElementTree

import pytest

from emocap.evaluation.metrics import PRIMARY
from emocap.report.files.comparison import MetricInfo
from emocap.report.files.results import Reliability, Results
from emocap.report.files.studies import PseudoLabelStudy, TransferStudy
from emocap.report.findings import pseudo_label_sentence, transfer_sentence
from emocap.report.plots import pseudo_labels, transfer, trust

from . import synthetic

METRICS = {PRIMARY: MetricInfo(higher_is_better=True)}


def plain(text):
    return text.replace("\N{NO-BREAK SPACE}", " ")


def texts(drawing):
    return [element.text for element in ElementTree.fromstring(drawing.svg).iter() if element.tag.endswith("text")]


def change(study, model, reference, low, high):
    study["differences"][reference][model][PRIMARY] = {
        "difference": (low + high) / 2, "low": low, "high": high, "simultaneous": [low, high]
    }  # fmt: skip


def transfer_text(study):
    return plain(transfer_sentence(TransferStudy.model_validate(study), METRICS))


def test_transfer_sentence_states_gain_and_co_adaptation():
    assert transfer_text(synthetic.transfer_study()) == (
        "Copying all 6 layers and fine-tuning (AnB+) is not shown to differ from training on the target alone: "
        "+0.010 [−0.020, +0.040]; a sign of fragile co-adaptation: BnB is worse than BnB+ at n = 3 (1 of the 5 "
        "between none and all): −0.040 [−0.070, −0.010]."
    )


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [(0.001, 0.02, "is better than"), (-0.02, -0.001, "is worse than"), (0.0, 0.02, "is not shown to differ from")],
)
def test_interval_decides_transfer_not_point_value(low, high, outcome):
    study = synthetic.transfer_study()
    change(study, "AnB+_n06", "teacher", low, high)
    assert f"(AnB+) {outcome} training on the target alone" in transfer_text(study)


def test_no_co_adaptation_without_significant_dip():
    study = synthetic.transfer_study()
    change(study, "BnB_n03", "BnB+_n03", -0.09, 0.01)
    assert (
        "no sign of fragile co-adaptation: BnB is not shown to be worse than BnB+ at any of n = 1, 2, 3, 4 and 5."
        in (transfer_text(study))
    )


def test_dip_at_all_layers_is_no_co_adaptation():
    study = synthetic.transfer_study()
    change(study, "BnB_n03", "BnB+_n03", -0.09, 0.01)
    change(study, "BnB_n06", "BnB+_n06", -0.09, -0.05)
    change(study, "BnB_n00", "BnB+_n00", -0.09, -0.05)
    assert "no sign of fragile" in transfer_text(study)


def test_names_the_deepest_dip():
    study = synthetic.transfer_study()
    change(study, "BnB_n02", "BnB+_n02", -0.09, -0.05)
    assert "at n = 2 and 3 (2 of the 5 between none and all), most at n = 2: −0.070 [−0.090, −0.050]" in (
        transfer_text(study)
    )


def test_transfer_study_without_controls_claims_nothing():
    study = synthetic.transfer_study()
    kept = [point for point in study["points"] if point["run"] in ("AnB", "AnB+")]
    names = {point["model"] for point in kept}
    study.update(points=kept, differences={}, spread=None)
    for part in ("models", "intervals"):
        study[part] = {name: value for name, value in study[part].items() if name in names}
    assert transfer_text(study).startswith("The study ran without its controls")
    drawing = transfer.transfer_study(Results.model_validate(synthetic.results() | {"transfer_study": study}))
    assert drawing.caption == "AnB from 0.190 to 0.240; AnB+ from 0.250 to 0.260."
    assert "BnB" not in texts(drawing)


def test_states_how_many_layers_were_copied():
    study = synthetic.transfer_study()
    study["points"] = [point for point in study["points"] if point["n"] != 6]
    assert transfer_text(study).startswith("Copying 5 of 6 layers")


def pseudo_label_text(study):
    return plain(pseudo_label_sentence(PseudoLabelStudy.model_validate(study), METRICS))


def test_pseudo_label_sentence_compares_with_controls():
    assert pseudo_label_text(synthetic.pseudo_label_study()) == (
        "The selected pseudo-labels are better than the same ones assigned to other pairs (+0.050 [+0.020, +0.080]), "
        "but are not shown to differ from those of a random sample (+0.005 [−0.025, +0.035]) or none at all "
        "(further training of the teacher instead) (+0.010 [−0.020, +0.040])."
    )


def test_states_when_worse_than_a_control():
    study = synthetic.pseudo_label_study()
    change(study, "random", "base", 0.01, 0.03)
    assert "are worse than those of a random sample (−0.020 [−0.030, −0.010])" in pseudo_label_text(study)


def test_claims_nothing_without_controls():
    study = synthetic.pseudo_label_study()
    study["points"] = [point for point in study["points"] if point["varied"] != "control"]
    assert pseudo_label_text(study).startswith("No control was run")


def test_simultaneous_intervals_decide_what_studies_support():
    transfer_study, pseudo_label_study = synthetic.transfer_study(), synthetic.pseudo_label_study()
    transfer_study["differences"]["teacher"]["AnB+_n06"][PRIMARY] |= {"low": 0.001, "simultaneous": [-0.001, 0.03]}
    assert "is not shown to differ from training on the target alone: +0.010 [−0.001, +0.030]" in (
        transfer_text(transfer_study)
    )
    pseudo_label_study["differences"]["base"]["shuffled"][PRIMARY] |= {"high": -0.001, "simultaneous": [-0.1, 0.002]}
    assert "+0.050 [−0.002, +0.100]" in pseudo_label_text(pseudo_label_study)
    assert "better" not in pseudo_label_text(pseudo_label_study)


def test_small_test_set_supports_nothing():
    small = {"sample": synthetic.sample(n_images=10)}
    assert transfer_text(synthetic.transfer_study() | small) == "No verdict: the test set is too small."
    assert pseudo_label_text(synthetic.pseudo_label_study() | small) == "No verdict: the test set is too small."


@pytest.fixture
def results():
    return Results.model_validate(synthetic.results())


def test_figure_captions_state_the_numbers(results):
    layers = transfer.transfer_study(results)
    assert plain(layers.caption).endswith(
        "BnB from 0.210 to 0.250; BnB+ from 0.250 to 0.255; teacher, retrained 0.250 [0.220, 0.280]; "
        "probe, then fine-tune 0.262 [0.232, 0.292]."
    )
    assert {"AnB", "AnB+", "BnB", "BnB+", "teacher, retrained", "layers copied (n)"} <= set(texts(layers))
    pseudo = pseudo_labels.pseudo_label_study(results)
    assert plain(pseudo.caption) == (
        "The study’s settings 0.300 [0.270, 0.330] with 3,000 pseudo-labelled pairs; of the variations lowest is "
        "control: shuffled, 0.250, highest agreement ≥ 0.6, 0.305."
    )
    assert {"P = 1", "K = 100", "fraction 0.1", "hard labels", "control: none"} <= set(texts(pseudo))
    ablation = trust.modality_ablation(results)
    assert ablation.caption.startswith("230 test pairs with an image: image and caption 0.300, caption only 0.295,")
    for drawing in (layers, pseudo, ablation):
        assert "nan" not in drawing.svg.lower()


def test_human_agreement_compares_people_and_models(results):
    drawing = trust.human_agreement(results, "AnB+")
    assert plain(drawing.caption) == (
        "AnB+ reaches 100% [94%, 106%] of one annotator’s top-1 accuracy (0.700 of 0.700), 90% [84%, 96%] of one "
        "annotator’s recall@3 (0.450 of 0.500), 75% [69%, 81%] of one annotator’s micro F1 (0.600 of 0.800); "
        "split-half agreement: the votes of two halves of the annotators correlate 0.520 (0.684 by Spearman–Brown), "
        "mean of 20 splits. 200 pairs with 1 to 10 annotators, median 6; left out: 38 pairs with one annotator, 2 "
        "annotators without a known emotion."
    )
    assert "one annotator" in texts(drawing)


def test_human_agreement_without_halves_or_a_metric():
    human = synthetic.results()["human"] | {"split_half": None, "left_out": {}}
    human["shares"] = {name: shares | {"recall_at_3": None} for name, shares in human["shares"].items()}
    drawing = trust.human_agreement(Results.model_validate(synthetic.results() | {"human": human}), "AnB+")
    assert "split-half" not in drawing.caption
    assert "Recall@3" not in texts(drawing)


def test_reliability_caption_states_errors_and_methods(results):
    results.calibration["teacher"].methods[:] = ["platt", "none"]
    drawing = trust.reliability(results, ["AnB+", "teacher", "prior"])
    assert drawing.caption == (
        "AnB+’s expected calibration error is 0.041 before scaling and 0.012 after (Platt); the teacher’s expected "
        "calibration error is 0.041 before scaling and 0.012 after (Platt in 1, not scaled in 1); the "
        "prior’s is 0.001. Small dots are bins of fewer than 20 predictions."
    )
    assert "AnB+, before" in texts(drawing)
    assert "prior, before" not in texts(drawing)
    assert trust.reliability(results, ["absent"]) is None


def test_empty_bins_are_no_points():
    curve = Reliability.model_validate(synthetic.calibration()["before"])
    assert curve.points() == [(0.05, 0.02, 900), (0.2, 0.3, 200), (0.5, 0.4, 12)]


def test_draws_point_without_a_score():
    values = synthetic.results()
    for part in ("models", "intervals"):
        values["pseudo_label_study"][part]["p=1"][PRIMARY] = None
        values["modality_ablation"][part]["both"][PRIMARY] = None
        values["transfer_study"][part]["teacher"][PRIMARY] = None
    results = Results.model_validate(values)
    assert "no score" in texts(pseudo_labels.pseudo_label_study(results))
    assert "image and caption –" in trust.modality_ablation(results).caption.replace(" –,", " –")
    assert "teacher, retrained –" in transfer.transfer_study(results).caption
