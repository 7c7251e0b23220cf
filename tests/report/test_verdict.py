import pytest

from emocap.evaluation.metrics import PRIMARY
from emocap.report.files.results import Results
from emocap.report.notes import compared_on_all_metrics
from emocap.report.outcome import oracle_share
from emocap.report.recommendation import recommendation
from emocap.report.tables import summary_table
from emocap.report.verdict import verdict

from . import synthetic


def results(**changes):
    return Results.model_validate(synthetic.results() | changes)


def with_difference(model, reference, **changes):
    differences = synthetic.results()["differences"]
    differences[reference][model][PRIMARY] |= changes
    return {"differences": differences}


def text_of(outcome):
    return " ".join([outcome.headline, *outcome.rest]).replace("\N{NO-BREAK SPACE}", " ")


def test_baseline_is_that_of_the_validation_pairs():
    on_validation = {"model": "prior", "chosen_in": {"prior": 1, "tfidf": 0}}
    outcome = verdict(results(comparison_baseline=on_validation))
    assert outcome.baseline == "prior"  # although tfidf is better on the test pairs
    assert "AnB+ is better than the prior, the baseline chosen on the validation pairs, by" in outcome.headline


def test_names_the_baseline_of_each_unit():
    value = synthetic.results() | {"folds": 5, "seeds": [0, 1, 2]}
    for part in ("models", "intervals"):
        value[part]["best_baseline"] = value[part]["tfidf"]
    value["kinds"]["best_baseline"] = "selection"
    value["differences"]["best_baseline"] = value["differences"]["tfidf"] | {
        "tfidf": value["differences"]["tfidf"]["AnB"]
    }
    value["comparison_baseline"] = {"model": "best_baseline", "chosen_in": {"prior": 4, "tfidf": 11}}
    headline = verdict(Results.model_validate(value)).headline
    assert "than the baseline that the validation pairs of each seed and fold preferred (tfidf in 11, the prior" in (
        headline
    )
    assert "preferred (tfidf in 11, the prior in 4), by" in headline
    assert [row.name for row in summary_table(Results.model_validate(value))[0].rows][-1] == "best baseline"


def test_run_without_chosen_baseline_says_so():
    value = synthetic.results() | {"schema": 2}
    for key in ("comparison_baseline", "recommended", "sample", "intervals_over"):
        del value[key]
    read = Results.model_validate(value)
    assert "better than tfidf, the best baseline on these test pairs, by" in verdict(read).headline
    assert recommendation(read, "AnB+") is None


@pytest.mark.parametrize(
    ("n_seeds", "folds", "said"),
    [
        (1, None, "+0.120] (one training run)."),
        (2, None, "+0.120] (two training runs)."),
        (1, 5, "+0.120] (one training run per fold)."),
        (3, None, "+0.120]."),
    ],
)
def test_headline_says_how_few_training_runs(n_seeds, folds, said):
    outcome = verdict(results(seeds=list(range(n_seeds)), folds=folds))
    assert said in text_of(outcome)
    assert ("(one training run" in outcome.headline) == (n_seeds == 1)


@pytest.mark.parametrize(("folds", "per_fold"), [(None, ""), (5, " per fold")])
def test_ensemble_over_seeds_is_one_training_run(folds, per_fold):
    outcome = verdict(results(seeds=[0, 1, 2], folds=folds, chosen="ensemble", intervals_over="images and seeds"))
    assert f"(one training run of an ensemble over 3 seeds{per_fold})." in outcome.headline
    assert (
        "Intervals combine the variation over images and over 3 seeds; that of the ensemble, which averages over the "
        "seeds, is over images alone." in outcome.rest
    )
    assert "one training run" not in text_of(verdict(results(seeds=[0, 1, 2], folds=folds, chosen="AnB+")))


def test_says_what_intervals_combine():
    both = verdict(results(seeds=[0, 1, 2], intervals_over="images and seeds"))
    assert "Intervals combine the variation over images and over 3 seeds." in both.rest
    images = verdict(results(seeds=[0, 1, 2]))
    assert "Intervals describe the variation over images alone, of means over 3 seeds." in images.rest


def test_small_test_set_has_no_verdict():
    outcome = verdict(results(sample=synthetic.sample(10, 23)))
    assert outcome.tone == "open"
    assert text_of(outcome) == (
        "Cannot tell whether AnB+ is better than tfidf, the baseline chosen on the validation pairs: the test set has "
        "10 images and 23 positive labels; a verdict needs at least 20 images and 30 positive labels. Measured by mean "
        "average precision (mAP, macro over the emotions): 0.300 against 0.200, a difference of +0.100 [+0.080, "
        "+0.120] (one training run). The interval excludes zero, but of so small a test set it cannot be relied on. "
        "The smallest true difference in mean average precision that this test set would "
        "show with 80% power is about 0.029. If the observed difference is the true one, about 1,900 test pairs would "
        "show it with 80% power; this study has 240."
    )


def test_small_test_set_has_no_star_and_no_comparison():
    small = results(sample=synthetic.sample(10, 23))
    assert not [cell for group in summary_table(small) for row in group.rows for cell in row.cells if cell.best]
    assert (
        compared_on_all_metrics(small, "AnB+") == "cannot be compared with the prior: too few test pairs for a verdict"
    )


def test_one_positive_label_is_singular():
    outcome = verdict(results(sample=synthetic.sample(1, 1)))
    assert "the test set has 1 image and 1 positive label; a" in outcome.headline


def test_inconclusive_states_what_could_be_shown():
    outcome = verdict(results(**with_difference("AnB+", "tfidf", low=-0.01, high=0.21)))
    assert "AnB+ is not shown to differ from tfidf" in outcome.headline
    assert outcome.rest[:2] == [
        "The smallest true difference in mean average precision that this test set would show with 80% power is about "
        "0.029.",
        "If the observed difference is the true one, about 1,900 test pairs would show it with 80% power; this study "
        "has 240.",
    ]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            {"difference": 0.0, "pairs_needed": None},
            "difference is zero, which no number of test pairs would show to be",
        ),
        ({"pairs_needed": None}, "No number of test pairs would show a difference as small as the observed one."),
        ({"pairs_needed": 201}, "If the observed difference is the true one, about 210 test pairs would show it with"),
        (
            {"pairs_needed": 5e9},
            "the true one, more than a million test pairs would show it with 80% power; this study",
        ),
    ],
)
def test_states_pairs_needed_in_words(found, said):
    changed = with_difference("AnB+", "tfidf", low=-0.01, high=0.21, **found)
    assert said in text_of(verdict(results(**changed)))


def test_least_images_are_enough_for_observed_difference():
    changed = with_difference("AnB+", "tfidf", low=-0.01, high=0.21, pairs_needed=23)
    said = text_of(verdict(results(**changed, sample=synthetic.sample(10), n_test_pairs=12)))
    assert said.endswith(
        "If the observed difference is the true one, the 20 images that a verdict needs would show it with 80% power."
    )


def test_few_positive_labels_need_more_images():
    changed = with_difference("AnB+", "tfidf", low=-0.01, high=0.21, pairs_needed=23)
    said = text_of(verdict(results(**changed, sample=synthetic.sample(40, 20), n_test_pairs=40)))
    assert "the 60 images that a verdict needs would show it" in said  # 30 labels, half a label on each image


def test_shown_difference_needs_no_power():
    assert "80% power" not in text_of(verdict(results()))


def test_headline_is_judged_by_its_own_interval():
    changed = with_difference("AnB+", "tfidf", low=0.01, high=0.19, simultaneous=[-0.02, 0.22])
    outcome = verdict(results(**changed))
    assert outcome.tone == "good"
    assert "+0.100 [+0.010,\N{NO-BREAK SPACE}+0.190]" in outcome.headline


def test_simultaneous_intervals_decide_comparisons_on_all_metrics():
    differences = synthetic.results()["differences"]
    for metric in synthetic.METRICS:
        differences["prior"]["AnB+"][metric] |= {"low": 0.01, "high": 0.2, "simultaneous": [-0.01, 0.3]}
    said = compared_on_all_metrics(results(differences=differences), "AnB+")
    assert said == "is better than the prior on none of 17 metrics; inconclusive on 17"


def test_too_few_deciding_images_are_inconclusive():
    differences = synthetic.results()["differences"]
    for metric in synthetic.METRICS:
        differences["prior"]["AnB+"][metric]["deciding_images"] = 5
    said = compared_on_all_metrics(results(differences=differences), "AnB+")
    assert said == "is better than the prior on none of 17 metrics; inconclusive on 17"


def test_constant_or_missing_interval_has_no_star():
    value = synthetic.results()
    value["intervals"]["AnB+"]["top1_accuracy"] = [0.7, 0.7]
    value["intervals"]["AnB+"]["recall_at_3"] = None
    rows = {row.name: row.cells for group in summary_table(Results.model_validate(value)) for row in group.rows}
    assert [cell.best for cell in rows["AnB+"]] == [True, False, True, False, True, True]
    assert not any(rows[name][place].best for name in rows for place in (1, 3))


def test_chosen_over_folds_was_fixed_beforehand():
    rest = verdict(results(chosen="AnB", folds=5)).rest
    assert "AnB was fixed in advance; on the test pairs AnB+ scores highest (0.300)." in rest


def test_recommends_model_with_reason_and_commands():
    found = recommendation(results(), "AnB+")
    assert found.reason == (
        "The ensemble (mean of several models’ logits) has the highest mean average precision on the validation "
        "pairs, 0.290, of all models that this study saved, baselines included."
    )
    assert found.remarks[-1] == "The verdict above is about AnB+, which stands for the study."
    assert 'emocap predict --model RUN IMAGE "a caption"' in [command for command, _ in found.commands]


def test_recommendation_over_folds_explains_its_scores():
    value = synthetic.results() | {"folds": 5, "seeds": [0, 1], "recommended": "tfidf"}
    found = recommendation(Results.model_validate(value), "tfidf")
    assert "on the validation pairs, 0.200 as the mean over 2 seeds and 5 folds, of all" in found.reason
    assert found.remarks[1].startswith("The two numbers are not comparable, since each fold has few validation pairs")
    assert found.remarks[2].startswith(
        "For use, the predictions of its models of all 2 seeds and 5 folds are averaged;"
    )


def commands_of(**changes):
    return recommendation(results(**changes), "AnB+").commands


def test_commands_follow_what_the_model_reads():
    names = synthetic.results()["models"]
    assert commands_of()[0][1] == "emotions of an image with its caption, or of a caption alone"
    reads = {name: name not in ("prior", "tfidf") for name in names}
    of_captions = commands_of(recommended="tfidf", uses_images=reads)
    assert of_captions[0][1] == "emotions of a caption; this model reads no images"
    assert of_captions[2] == (
        'emocap predict --model RUN/AnB+ IMAGE "a caption"',
        "emotions of an image with its caption, or of a caption alone; of the models that read images AnB+ is best on "
        "the validation pairs (0.300)",
    )
    without = commands_of(recommended="teacher", uses_images=dict.fromkeys(names, False))
    assert [what for _, what in without] == [
        "emotions of a caption; this model reads no images",
        "the same in a browser and over HTTP",
    ]


def test_study_without_captions_offers_none():
    found = commands_of(has_captions=False)
    assert found[0] == (
        "emocap predict --model RUN IMAGE",
        "emotions of an image; the pairs of this study have no captions",
    )
    of_prior = commands_of(has_captions=False, recommended="prior", uses_images={"prior": False})
    assert of_prior[2][0] == "emocap predict --model RUN/AnB+ IMAGE"
    assert not any("alone" in what for _, what in (*found, *of_prior))


def test_model_of_images_is_given_no_caption():
    found = {key: {**values, "image_probe": values["tfidf"]} for key, values in synthetic.results().items() if key in
             ("models", "kinds", "validation", "intervals")}  # fmt: skip
    (command, what), _ = commands_of(recommended="image_probe", **found)
    assert (command, what) == (
        "emocap predict --model RUN IMAGE",
        "emotions of an image; this model reads no captions",
    )


def test_recommended_ensemble_is_averaged_anyway():
    found = recommendation(results(seeds=[0, 1, 2]), "ensemble")
    assert not any("averaged" in remark for remark in found.remarks)


def test_oracle_no_better_than_prior_allows_no_share():
    ceiling = synthetic.results()["ceiling"]
    prior = synthetic.SCORES["prior"][5]
    assert oracle_share(results(ceiling=ceiling | {PRIMARY: prior + 1e-8}), "AnB+") is None
    assert oracle_share(results(ceiling=ceiling | {PRIMARY: prior + 0.01}), "AnB+") is not None


def test_says_that_interval_leans_on_rare_emotions():
    leans = "mean average precision weighs every emotion alike, so that its interval leans on"
    assert leans not in text_of(verdict(results()))
    rare = synthetic.results()["emotions"] | {"positives": {"happy": 60, "sad": 9, "awe": 1, "calm": 10, "fear": 0}}
    outcome = verdict(results(emotions=rare))
    assert outcome.rest[0] == f"2 of the 4 emotions with test positives have fewer than 10; {leans} these."
    rare["positives"]["awe"] = 10
    assert verdict(results(emotions=rare)).rest[0].startswith("1 of the 4 emotions with test positives has fewer")
    rare["positives"] = {"happy": 1, "awe": 2}
    assert verdict(results(emotions=rare)).rest[0].startswith("All 2 emotions with test positives have fewer than 10")
    rare["positives"] = {"happy": 1}
    assert verdict(results(emotions=rare)).rest[0].startswith("The only emotion with test positives has fewer than 10")


def test_pairs_needed_over_folds_need_the_same_models():
    changes = with_difference("AnB+", "tfidf", low=-0.01, high=0.2)
    needed = "about 1,900 test pairs would show it"
    assert f"If the observed difference is the true one, {needed}" in text_of(verdict(results(**changes)))
    over_folds = text_of(verdict(results(**changes, folds=5)))
    assert f"If the observed difference is the true one and the models stayed the same, {needed}" in over_folds


def test_difference_without_spread_has_no_power():
    same = {"difference": 0.0, "low": 0.0, "high": 0.0, "minimum_detectable": 0.0, "pairs_needed": None}
    text = text_of(verdict(results(**with_difference("AnB+", "tfidf", **same))))
    assert "The difference is the same in every bootstrap sample of this test set" in text
    assert "80% power" not in text
