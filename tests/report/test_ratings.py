import pytest

from emocap.errors import EmocapError
from emocap.report.files.run import read_results
from emocap.report.page import write_report
from emocap.report.rating_verdict import study_verdict

from .rated import HALF_WIDTH, ratings, without_emotions
from .test_page import report_of


@pytest.fixture
def rated(run_dir):
    """A run of ratings alone."""
    for name in ("audit.json", "gallery.json", "student/history.json", "AnB/history.json"):
        (run_dir.folder / name).unlink()
    run_dir.change("results.json", without_emotions)
    return run_dir


def test_report_of_ratings_alone_lacks_emotions(rated):
    text = report_of(rated).text
    assert "Ratings on held-out pairs" in text
    assert "Valence, 1 to 7" in text
    assert "Arousal, 1 to 7" in text
    assert "The mean ratings of the training pairs, the same for every pair." in text
    assert "Ridge regression on the caption’s TF-IDF." in text
    for absent in ("Logistic regression", "Scores by emotion", "average precision", "Calibration", "Gallery"):
        assert absent not in text


def test_headline_is_about_mean_of_ratings(rated):
    text = report_of(rated).text
    assert (
        "AnB+ is better than tfidf, the baseline chosen on the validation pairs, by mean Pearson’s r (over valence and "
        "arousal): 0.500 against 0.190, a difference of +0.310 [+0.270, +0.350] (one training run)."
    ) in text
    assert (
        "AnB+ is better than tfidf, the baseline chosen on the validation pairs, on valence (0.520 against 0.200, "
        "+0.320 [+0.280, +0.360]) and arousal (0.480 against 0.180, +0.300 [+0.260, +0.340]), by Pearson’s r (one "
        "training run)."
    ) in text
    assert (
        "AnB+ is better than the teacher on valence (0.520 against 0.450, +0.070 [+0.030, +0.110]), but is not shown "
        "to differ from it on arousal (0.480 against 0.470, +0.010 [−0.030, +0.050]), by Pearson’s r (one training "
        "run)."
    ) in text
    assert "has the highest mean Pearson’s r on 120 validation pairs, 0.400" in text
    assert "Pearson’s r of valence 0.520 95% interval [0.470, 0.570]" in text


def test_ablation_of_ratings_is_by_their_mean(rated):
    text = report_of(rated).text
    assert "it uses the image: it is worse without it and worse with another pair’s" in text
    assert "is not shown to use the caption" in text


def test_table_has_ceiling_where_known(rated):
    text = report_of(rated).text
    valence, arousal = (text[text.index(name) :] for name in ("Valence, 1 to 7", "Arousal, 1 to 7"))
    assert "true means of the raters 0.930 0.920 0.400" in valence[: valence.index("Arousal, 1 to 7")]
    assert "Human ceiling" not in arousal
    assert "AnB+ ★ best: 0.520 [0.470, 0.570] ★ best: 0.468" in valence


def test_verdict_needs_enough_pairs_of_rating(rated):
    rated.change("results.json", lambda it: it["ratings"]["n_pairs"].update(valence=29))
    (sentence,) = [text for text in study_verdict(read_results(rated.folder)).rest if "on arousal" in text]
    assert sentence.startswith("AnB+ cannot be compared with tfidf")
    assert "but is better than it on arousal" in sentence
    assert "too few test pairs have valence for a verdict" in sentence


def test_worse_than_baseline_by_mean_is_bad(rated):
    def reverse(it):
        difference = it["ratings"]["mean"]["differences"]["tfidf"]["AnB+"]["pearson_r"]
        difference.update(difference=-0.1, low=-0.1 - HALF_WIDTH, high=-0.1 + HALF_WIDTH)

    rated.change("results.json", reverse)
    found = study_verdict(read_results(rated.folder))
    assert found.tone == "bad"
    assert found.headline.startswith("AnB+ is worse than tfidf")


def test_ratings_beside_emotions_follow_the_verdict(run_dir):
    def add(it):
        it["ratings"] = ratings(list(it["models"]), ["teacher", "tfidf"])

    run_dir.change("results.json", add)
    text = report_of(run_dir).text
    assert "mean average precision (mAP" in text
    assert "Ratings on held-out pairs" in text
    assert text.index("Scores on held-out pairs") < text.index("Ratings on held-out pairs")
    assert "What each model is, and how it compares with the prior" in text


def test_refuses_ratings_that_cannot_be(rated):
    def wrong(it):
        it["ratings"]["models"]["AnB+"]["valence"]["pearson_r"] = 1.2

    rated.change("results.json", wrong)
    with pytest.raises(EmocapError, match=r"AnB\+: valence: 'pearson_r' is 1.2, expected -1 to 1"):
        write_report(rated.folder)


def test_results_without_emotions_or_ratings_are_refused(rated):
    rated.change("results.json", lambda it: it.pop("ratings"))
    with pytest.raises(EmocapError, match="'labels' is empty, and there are no 'ratings'"):
        read_results(rated.folder)
