import itertools

import pytest

from emocap.evaluation.metrics import PRIMARY
from emocap.report.files.comparison import MetricInfo
from emocap.report.files.results import Results
from emocap.report.files.studies import ModalityAblation
from emocap.report.modality import DECISIONS, INPUTS, ablation_sentence, decision_on
from emocap.report.plots.trust import modality_ablation

from . import synthetic

METRICS = {PRIMARY: MetricInfo(higher_is_better=True)}
# The interval of a view minus both inputs that shows each effect of the input that the view lacks.
INTERVALS = {"helps": (-0.1, -0.01), "unclear": (-0.1, 0.01), "hurts": (0.01, 0.1), "none": (0.0, 0.0)}
SAYS = {
    ("helps", "helps"): ("helps", "uses {}: it is worse without it and worse with another pair’s"),
    ("helps", "unclear"): ("mixed", "is worse without {}, but is not shown to differ with another pair’s"),
    ("helps", "hurts"): ("mixed", "is worse without {}, but better with another pair’s"),
    ("helps", "none"): ("ignores", "is worse without {}, but gives the same predictions with another pair’s"),
    ("unclear", "helps"): (
        "mixed",
        "depends on {}, being worse with another pair’s, but is not shown to be better with",
    ),
    ("unclear", "unclear"): ("no evidence", "is not shown to use {} ("),
    ("unclear", "hurts"): ("changes predictions but hurts", "that hurts: it is better with another pair’s, and is not"),
    ("unclear", "none"): ("ignores", "ignores what {} contains: its predictions are the same with another pair’s"),
    ("hurts", "helps"): ("changes predictions but hurts", "that hurts: it is better without it, although it is worse"),
    ("hurts", "unclear"): ("changes predictions but hurts", "that hurts: it is better without it, and is not shown to"),
    ("hurts", "hurts"): ("changes predictions but hurts", "that hurts: it is better without it and better with"),
    ("hurts", "none"): ("changes predictions but hurts", "that hurts: it is better without it, and ignores what {}"),
    ("none", "helps"): (
        "mixed",
        "gives the same predictions without {}, so it gains nothing from it, although it is w",
    ),
    ("none", "unclear"): ("mixed", "gives the same predictions without {}, so it gains nothing from it, although ano"),
    ("none", "hurts"): (
        "mixed",
        "gives the same predictions without {}, so it gains nothing from it, although it is b",
    ),
    ("none", "none"): ("ignores", "ignores {}: its predictions are the same without it and with another pair’s"),
}


def ablation(effects, of="the image"):
    """An ablation with these effects of removing and of replacing one input."""
    value = synthetic.modality_ablation()
    for view, effect in zip(INPUTS[of], effects, strict=True):
        set_effect(value, view, effect)
    return ModalityAblation.model_validate(value)


def set_effect(value, view, effect):
    low, high = INTERVALS[effect]
    by_metric = value["differences"]["both"][view]
    by_metric[PRIMARY] |= {
        "difference": (low + high) / 2, "low": low, "high": high, "simultaneous": [low, high]
    }  # fmt: skip
    by_metric["bce"]["deciding_images"] = 0 if effect == "none" else 200


def test_table_has_every_combination_of_effects():
    assert set(DECISIONS) == set(itertools.product(INTERVALS, repeat=2)) == set(SAYS)


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("effects", SAYS, ids="-".join)
def test_each_combination_has_its_decision_and_words(effects, name):
    use, words = SAYS[effects]
    study = ablation(effects, of=name)
    assert decision_on(study, name, METRICS).use == use
    assert words.format(name) in ablation_sentence(study, METRICS)


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("effects", SAYS, ids="-".join)
def test_uses_is_said_only_where_both_help(effects, name):
    said = f"uses {name}" in ablation_sentence(ablation(effects, of=name), METRICS)
    assert said == (effects == ("helps", "helps"))


def test_sentence_states_both_inputs_with_their_differences():
    text = ablation_sentence(ModalityAblation.model_validate(synthetic.modality_ablation()), METRICS)
    assert text.replace("\N{NO-BREAK SPACE}", " ") == (
        "AnB+ uses the caption: it is worse without it and worse with another pair’s (without it −0.180 [−0.210, "
        "−0.150] and with another pair’s −0.190 [−0.220, −0.160]); it is not shown to use the image (without it "
        "−0.005 [−0.035, +0.025] and with another pair’s −0.010 [−0.040, +0.020])."
    )


def test_model_that_is_better_without_image():
    value = synthetic.modality_ablation() | {"model": "teacher"}
    set_effect(value, "other_image", "helps")
    value["differences"]["both"]["caption_only"][PRIMARY] |= {
        "difference": 0.064, "low": 0.014, "high": 0.118, "simultaneous": [0.01, 0.12]
    }  # fmt: skip
    text = ablation_sentence(ModalityAblation.model_validate(value), METRICS)
    assert "it changes its predictions with the image, and that hurts: it is better without it, although" in text
    assert "uses the image" not in text


def test_simultaneous_interval_decides_the_effect():
    value = synthetic.modality_ablation()
    for view in INPUTS["the image"]:
        set_effect(value, view, "helps")
        value["differences"]["both"][view][PRIMARY]["simultaneous"] = [-0.2, 0.001]
    assert "it is not shown to use the image" in ablation_sentence(ModalityAblation.model_validate(value), METRICS)


def test_decides_nothing_on_half_an_ablation():
    value = synthetic.modality_ablation()
    value["differences"]["both"]["other_image"][PRIMARY] = None
    study = ModalityAblation.model_validate(value)
    assert decision_on(study, "the image", METRICS) is None
    assert "image" not in ablation_sentence(study, METRICS)


def test_small_test_set_decides_nothing():
    small = ModalityAblation.model_validate(synthetic.modality_ablation() | {"sample": synthetic.sample(10)})
    assert ablation_sentence(small, METRICS) == (
        "Cannot tell whether AnB+ uses the image or the caption: the test set is too small for a verdict."
    )


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        ("helps", "depends on the image: it is worse with another pair’s"),
        ("unclear", "is not shown to depend on the image"),
        ("hurts", "is better with another pair’s image, so what the image contains hurts"),
        ("none", "ignores what the image contains: its predictions are the same with another pair’s"),
    ],
)
def test_nothing_is_said_of_captions_without_any(effect, words):
    value = synthetic.without_caption_views(synthetic.modality_ablation())
    set_effect(value, "other_image", effect)
    text = ablation_sentence(ModalityAblation.model_validate(value), METRICS)
    assert text.startswith(f"AnB+ {words}")
    assert "caption" not in text
    small = ModalityAblation.model_validate(value | {"sample": synthetic.sample(10)})
    assert ablation_sentence(small, METRICS).startswith("Cannot tell whether AnB+ uses the image: the test set")


def test_figure_without_captions_shows_images_alone():
    value = synthetic.results()
    value["modality_ablation"] = synthetic.without_caption_views(value["modality_ablation"])
    drawing = modality_ablation(Results.model_validate(value))
    assert "image 0.300, another pair’s image 0.290" in drawing.caption
    assert "aption" not in drawing.caption
