"""What the page says: its verdict first, definitions before tables, and what intervals and marks mean."""

import re

import pytest

from .synthetic import comparison_parts, sample
from .test_page import report_of, set_difference

LEFT_OUT = ("pairs with one annotator", "annotators without a known emotion", "answers of no emotion")
NOUNS = "pair|image|caption|sample|emotion|epoch|batch|fold|seed|annotator|split|metric|label|unit|note|answer|model"
PLURALS = NOUNS.replace("batch", "batche").replace("|", "s|") + "s"
SHARE = 100 * (0.300 - 0.100) / (0.350 - 0.100)  # AnB+: 80% of the possible gain from prior to oracle


def test_compares_each_model_with_prior_in_words(run_dir):
    text = report_of(run_dir).text
    assert "teacher is better than the prior on 10 of 17 metrics; inconclusive on 7." in text
    assert "prior is the reference." in text
    assert "tfidf is better than the prior on 8 of 17 metrics; inconclusive on 9. Logistic" in text
    assert "ensemble is better" in text
    assert "Mean of several models’ logits." in text


def test_verdict_is_first_with_intervals_and_shares(run_dir):
    text = report_of(run_dir).text
    verdict = (
        "AnB+ is better than tfidf, the baseline chosen on the validation pairs, by mean average precision (mAP, macro "
        "over the emotions): 0.300 against 0.200, a difference of +0.100 [+0.080, +0.120] (one training run). AnB+ is "
        "better than the teacher: +0.050 [+0.030, +0.070] (one training run). "
        f"AnB+ reaches {SHARE:.0f}% of the possible gain from the prior to the oracle (0.350), or 86% of the oracle’s "
        "score. AnB+ reaches 90% [84%, 96%] of what one annotator reaches against the others in recall@3."
    )
    assert verdict in text
    assert text.index(verdict) < text.index("Scores on held-out pairs")
    assert "60% of the possible gain (71% of the oracle’s score)" in text
    assert "below the prior: −4% of the possible gain" in text


@pytest.mark.parametrize(
    ("low", "high", "tone", "sentence"),
    [
        (-0.001, 0.15, "open", "AnB+ is not shown to differ from tfidf, the"),
        (0.0, 0.15, "open", "AnB+ is not shown to differ from tfidf, the"),
        (0.001, 0.15, "good", "AnB+ is better than tfidf, the"),
        (-0.2, -0.001, "bad", "AnB+ is worse than tfidf, the"),
    ],
)
def test_intervals_decide_the_verdict_not_point_values(run_dir, low, high, tone, sentence):
    run_dir.change("results.json", lambda it: set_difference(it, "AnB+", "tfidf", low, high))
    html = report_of(run_dir)
    assert sentence in html.text
    assert [a["class"] for _, a in html.tags if a.get("class", "").startswith("verdict")] == [f"verdict {tone}"]


def test_states_when_no_gain_over_teacher(run_dir):
    run_dir.change("results.json", lambda it: set_difference(it, "AnB+", "teacher", -0.01, 0.014))
    assert "AnB+ is not shown to differ from the teacher: +0.002 [−0.010, +0.014] (one" in report_of(run_dir).text


def test_missing_difference_is_inconclusive(run_dir):
    run_dir.change("results.json", lambda it: it.update(differences={}))
    html = report_of(run_dir)
    assert "AnB+ scores 0.300 by mean average precision (mAP, macro over the emotions) and tfidf, the baseline" in (
        html.text
    )
    assert "AnB+ was not compared with the teacher." in html.text
    assert "teacher was not compared with the prior." in html.text
    assert "All differences" not in html.text


def test_says_what_the_source_adds(run_dir):
    def with_controls(it):
        for control, low in (("AnB+_own", -0.01), ("AnB+_shuffled", 0.01)):
            for values in (it["models"], it["intervals"], it["validation"], it["calibration"]):
                values[control] = values["AnB"]
            it["kinds"][control] = "control"
            gain = {"difference": 0.02, "low": low, "high": 0.03, "simultaneous": [low, 0.03]}
            it["differences"][control] = {"AnB+": {"mean_average_precision": gain}}
        it["differences"][control]["AnB+"]["top1_accuracy"] = gain

    run_dir.change("results.json", with_controls)
    text = report_of(run_dir).text
    assert (
        "What the source adds: AnB+ is not shown to differ from AnB+ from the target’s own texts, +0.020 "
        "[−0.010, +0.030] (one training run)."
    ) in text
    assert "What the pseudo-labels add to their texts: AnB+ is better than AnB+ from shuffled pseudo-labels" in text
    assert "on the test pairs AnB+, own texts scores highest" not in text


def test_model_chosen_on_validation_represents_the_study(run_dir):
    run_dir.change("results.json", lambda it: it.update(chosen="ensemble"))
    text = report_of(run_dir).text
    assert "The ensemble is better than tfidf, the baseline chosen on the validation pairs, by mean average" in text
    assert "The ensemble was fixed in advance; on the test pairs AnB+ scores highest (0.300)." in text
    run_dir.change("results.json", lambda it: it.update(chosen="AnB"))
    text = report_of(run_dir).text
    assert "AnB was chosen on the validation pairs; on the test pairs AnB+ scores highest (0.300)." in text


def test_page_says_which_model_to_use_and_how(run_dir):
    text = report_of(run_dir).text
    assert "The model for use: ensemble The ensemble (mean of several models’ logits) has the highest" in text
    assert "mean average precision on 120 validation pairs, 0.290, of all models that this study saved" in text
    assert 'emocap predict --model RUN IMAGE "a caption"' in text
    run_dir.change("results.json", lambda it: it.pop("recommended"))
    assert "The model for use" not in report_of(run_dir).text


def test_metrics_are_defined_before_their_table(run_dir):
    text = report_of(run_dir).text
    assert text.index("Mean average precision (mAP) is macro") < text.index("Baselines")
    assert text.index("the share of pairs whose likeliest emotion is one of the true ones") < text.index("Baselines")
    run_dir.change("results.json", lambda it: it["metrics"].pop("top1_accuracy"))
    assert "likeliest emotion is one of the true" not in report_of(run_dir).text


def test_says_that_intervals_of_tables_are_simultaneous(run_dir):
    simultaneous = "The intervals are simultaneous: they hold at 95% for all differences to one reference together."
    assert report_of(run_dir).text.count(simultaneous) == 3  # all differences, and the points of two studies

    def forget(it):
        for part in comparison_parts(it):
            for compared in part["differences"].values():
                for by_metric in compared.values():
                    for difference in by_metric.values():
                        difference.pop("simultaneous")

    run_dir.change("results.json", forget)
    text = report_of(run_dir).text
    assert "simultaneous" not in text
    assert text.count("The intervals are not corrected for multiple comparisons") == 3


def test_small_test_set_marks_nothing(run_dir):
    run_dir.change("results.json", lambda it: [part.update(sample=sample(10)) for part in comparison_parts(it)])
    html = report_of(run_dir)
    classes = " ".join(attributes.get("class", "") for _, attributes in html.tags).split()
    assert not {"best", "better", "worse"} & {*classes}
    assert "Cannot tell whether AnB+ is better than tfidf" in html.text
    assert "Test images 10 a verdict needs at least 20" in html.text
    assert html.text.count("No verdict: the test set is too small.") == 2
    assert "is better than" not in html.text.replace("Cannot tell whether AnB+ is better than", "")


def test_layers_of_zero_differ_from_the_papers(run_dir):
    assert "n = 0 is not that of Yosinski et al. 2014, a network with nothing copied: here its embeddings" in (
        report_of(run_dir).text
    )


def test_counts_captions_where_no_pair_has_an_image(run_dir):
    counted = "No pair has an image: pairs with the same caption are kept together and count as one caption."
    assert counted not in report_of(run_dir).text
    run_dir.change("manifest.json", lambda it: it["data"].update(source=None, target={"images": 0}))
    run_dir.change("results.json", lambda it: it.update(folds=5, seeds=[0, 1, 2], human=None, modality_ablation=None))
    run_dir.change("results.json", lambda it: it.update(transfer_study=None, pseudo_label_study=None))
    run_dir.change("audit.json", lambda it: it.pop("contrast"))
    text = report_of(run_dir).text
    assert counted in text
    assert "240 test pairs on 238 captions, each held out" in text
    assert "5-fold cross-validation by caption, every caption tested once" in text
    assert "Folds 5, by caption" in text
    before_gallery = text[: text.index("The test pairs whose emotions")]
    assert not re.findall(r"(?<!has )(?<!of )an image|images", before_gallery)


def test_counts_held_out_captions_in_a_tile(run_dir):
    run_dir.drop_source()
    assert "Test pairs 240 on 238 held-out images" in report_of(run_dir).text
    run_dir.change("manifest.json", lambda it: it["data"]["target"].update(images=0))
    assert "Test pairs 240 on 238 held-out captions" in report_of(run_dir).text


def test_headings_name_what_sections_show(run_dir):
    text = report_of(run_dir).text
    assert "Training and transfer" in text
    assert "Calibration and human agreement" in text
    run_dir.drop_source()
    text = report_of(run_dir).text
    assert "Training and transfer" not in text
    assert "human agreement" not in text


def test_running_mean_is_explained_only_where_drawn(run_dir):
    explained = "Raw values are drawn faintly behind their running mean."
    assert explained in report_of(run_dir).text
    for name in ("teacher", "student", "AnB", "AnB+"):
        run_dir.change(f"{name}/history.json", lambda it: it.update(train=it["train"][:30]))
    text = report_of(run_dir).text
    assert explained not in text
    assert "running mean" not in text


def lowest_at(epoch, history):
    for row in history["validation"]:
        row["loss"] = 0.5 + abs(row["epoch"] - epoch)


def test_says_which_models_may_need_more_epochs(run_dir):
    assert "more epochs may be better" not in report_of(run_dir).text
    run_dir.change("teacher/history.json", lambda it: lowest_at(4, it))
    remark = "The validation loss is lowest at the last epoch of the teacher: more epochs may be better."
    assert remark in report_of(run_dir).text
    units = [".", "units/s0_f1", "units/s0_f2"]
    run_dir.change("manifest.json", lambda it: it.update(units=units))
    run_dir.change("results.json", lambda it: it.update(folds=3))
    for unit in units[1:]:
        run_dir.write(f"{unit}/teacher/history.json", run_dir.read("teacher/history.json"))
    run_dir.change("units/s0_f1/teacher/history.json", lambda it: lowest_at(2, it))
    assert "at the last epoch of the teacher (in 2 of 3 units): more" in report_of(run_dir).text
    run_dir.change("units/s0_f2/teacher/history.json", lambda it: lowest_at(1, it))
    assert "more epochs may be better" not in report_of(run_dir).text


def test_counts_of_one_are_singular(run_dir):
    """Every count of the page at once, and any noun after a 1 that ends like a plural."""

    def one(it):
        it.update(n_test_pairs=1, n_test_images=1, n_bootstrap=1, labels=["happy"], sample=sample(1, 1))
        it["emotions"] = {"positives": {"happy": 1}, "notes": ["'happy' has 1 positive pair"]}
        it["human"] |= {"n_pairs": 1, "left_out": dict.fromkeys(LEFT_OUT, 1)}
        it["human"]["annotators"] = {"least": 1, "median": 1, "most": 1}
        it["human"]["split_half"]["n_splits"] = 1
        it["modality_ablation"]["n_pairs"] = 1
        for compared in it["differences"].values():
            for by_metric in compared.values():
                for difference in by_metric.values():
                    difference.update(deciding_images=1)

    run_dir.change("results.json", one)
    run_dir.change("manifest.json", lambda it: it["data"]["target"].update(dict.fromkeys(it["data"]["target"], 1)))
    run_dir.change("audit.json", lambda it: it.update(n_source_pairs=1, n_candidates=1, n_selected=1))
    for name in ("teacher", "student", "AnB", "AnB+"):
        run_dir.change(f"{name}/history.json", lambda it: it.update(train=it["train"][:1]))
    text = report_of(run_dir).text
    assert "1 test pair on 1 image, each held out" in text
    assert "The teacher scored 1 source pair; 1 of them became the student’s training pairs" in text
    assert "left out: 1 pair with one annotator, 1 annotator without a known emotion, 1 answer of no emotion" in text
    assert "Over 1 batch the loss on pseudo-labels was logged once" in text
    assert not re.findall(rf"(?<![\d.,])1 (?!of |Top-K )(?:[\w-]+ )?(?:{PLURALS})\b", text)
    assert not re.findall(rf"(?<![\d.,])1 (?:{NOUNS}) (?:are|have|were|evoke)\b", text)


def test_states_when_no_model_has_a_score(run_dir):
    def lose(it):
        for scores in it["models"].values():
            scores["mean_average_precision"] = None

    run_dir.change("results.json", lose)
    assert "No model has a mean average precision." in report_of(run_dir).text


@pytest.mark.parametrize(
    ("seeds", "folds", "said"),
    [
        ([0], None, "95% intervals, of one training run each."),
        ([0], 5, "95% intervals, of one training run each per fold."),
        ([0, 1, 2], None, "95% intervals over images and seeds, of means over 3 training runs each."),
    ],
)
def test_says_how_often_points_of_a_study_were_trained(run_dir, seeds, folds, said):
    def change(results):
        results.update(seeds=seeds, folds=folds)
        for part in ("transfer_study", "pseudo_label_study"):
            results[part] |= {"seeds": [7], "intervals_over": "images" if len(seeds) == 1 else "images and seeds"}

    run_dir.change("results.json", change)
    text = report_of(run_dir).text
    assert f"Whiskers and band are {said}" in text
    assert f"Whiskers are {said}" in text
