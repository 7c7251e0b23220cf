import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from emocap.report.files.run import read_run
from emocap.report.files.training import Audit, History
from emocap.report.plots import pseudo_labels, scores, training, trust
from emocap.report.plots.curves import MAX_POINTS, running_mean, thinned
from emocap.report.plots.svg import INK, SERIES, inline_svg


def history(n, run="teacher", validation=True):
    rows = [{"step": step, "epoch": step / 10, "loss": 1 / step} for step in range(1, n + 1)]
    return History(run=run, train=rows, validation=rows[9::10] if validation else [], best_epoch=1.0)


def texts(drawing):
    return [element.text for element in ElementTree.fromstring(drawing.svg).iter() if element.tag.endswith("text")]


def test_running_mean_equals_naive_version():
    values = np.random.default_rng(0).normal(size=50)
    naive = [values[max(0, i - 3) : i + 4].mean() for i in range(50)]
    np.testing.assert_allclose(running_mean(values, 7), naive)


def test_short_series_is_unchanged():
    curve = thinned(np.arange(5), np.array([5.0, 4, 3, 2, 1]))
    assert curve.mean.tolist() == curve.low.tolist() == [5, 4, 3, 2, 1]
    assert curve.window == 1


def test_thinned_series_keeps_peaks():
    y = np.ones(10_001)
    y[7_777], y[3] = 9.0, -9.0
    curve = thinned(np.arange(10_001), y)
    assert len(curve.x) == MAX_POINTS
    assert (curve.high.max(), curve.low.min()) == (9.0, -9.0)
    assert np.all(np.diff(curve.x) > 0)


def test_teacher_caption_states_the_numbers():
    drawing = training.teacher_loss(history(20), prior_bce=0.345)
    assert drawing.caption == (
        "Training loss is 1.000 at first and 0.050 at last; validation loss is lowest, 0.050, at epoch 2; "
        "the weights of epoch 1 were kept. The prior scores 0.345 on the test pairs."
    )
    assert "prior, test pairs" in texts(drawing)
    assert "prior, test pairs" not in texts(training.teacher_loss(history(20), prior_bce=None))


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ([0.487, 0.6, 0.426], "is 0.487 at first and 0.426 at last, at most 0.600 in between"),
        ([0.487, 0.3, 0.426], "is 0.487 at first and 0.426 at last"),
        ([0.3, 0.4], "is 0.300 at first and 0.400 at last"),
    ],
)
def test_caption_states_highest_loss_in_between(losses, said):
    rows = [{"step": step, "epoch": step, "loss": loss} for step, loss in enumerate(losses)]
    drawing = training.teacher_loss(History.model_validate({"train": rows}), None)
    assert drawing.caption == f"Training loss {said}."


@pytest.mark.parametrize("n", [1, 2, 3, 1000])
def test_draws_any_number_of_points(n):
    for drawing in (
        training.teacher_loss(history(n), 0.3),
        training.student_loss(history(n)),
        training.transfer_loss({"AnB": history(n), "AnB+": history(n, validation=False)}),
    ):
        assert ElementTree.fromstring(drawing.svg).find("desc").text == drawing.caption
        assert "nan" not in drawing.svg.lower().replace("nance", "")


def test_caption_states_a_single_logged_loss():
    assert training.student_loss(history(1)).caption == "Over 1 batch the loss on pseudo-labels was logged once, 1.000."


def test_no_figure_without_losses():
    nothing = History()
    assert training.teacher_loss(nothing, 0.3) is None
    assert training.student_loss(nothing) is None
    assert training.transfer_loss({"AnB": nothing}) is None
    assert training.transfer_loss({"teacher": history(3)}) is None


def test_transfer_metrics_compare_anb_with_anb_plus(run_dir):
    drawing = scores.transfer_metrics(read_run(run_dir.folder).results)
    assert drawing.caption.replace("\N{NO-BREAK SPACE}", " ").startswith(
        "AnB has a mean average precision of 0.200 [0.170, 0.230]; AnB+ has a mean average precision of 0.300 "
        "[0.270, 0.330]; AnB+ scores better than AnB on 6 of these 7 metrics."
    )
    assert "Binary cross-entropy ↓" in texts(drawing)
    assert "oracle" in texts(drawing)


def test_states_emotions_without_test_pairs(run_dir):
    drawing = scores.emotion_scores(read_run(run_dir.folder).results, ["prior", "teacher", "AnB+"])
    assert "no test pair" in texts(drawing)
    assert drawing.caption == (
        "AnB+ scores higher than the prior on 5 of the 5 emotions with at least 10 test positives; 1 emotion has no "
        "test pair and no score."
    )


def test_claims_nothing_of_rare_emotions(run_dir):
    positives = {"happy": 9, "sad": 1, "awe": 10, "calm": 60, "fear": 12, "tired": 0}
    run_dir.change("results.json", lambda it: it["emotions"].update(positives=positives))
    results = read_run(run_dir.folder).results
    drawing = scores.emotion_scores(results, ["prior", "AnB+"])
    assert "on 3 of the 3 emotions with at least 10 test positives;" in drawing.caption
    assert "on 2 of the 3 emotions with" in trust.brier_skill(results, ["AnB+"]).caption
    run_dir.change("results.json", lambda it: it["emotions"].update(positives=dict.fromkeys(positives, 9)))
    results = read_run(run_dir.folder).results
    assert "No emotion has 10 test positives;" in scores.emotion_scores(results, ["prior", "AnB+"]).caption
    assert "No emotion has 10 test positives." in trust.brier_skill(results, ["AnB+"]).caption


def test_caption_states_shares_of_pseudo_labels(run_dir):
    drawing = pseudo_labels.label_shares(Audit.model_validate(run_dir.read("audit.json")))
    assert (
        drawing.caption == "After selection happy has the largest share, 35%; its share of the target’s labels is 35%."
    )
    assert "never chosen" in texts(drawing)


def test_caption_states_emotions_that_captions_share(run_dir):
    drawing = pseudo_labels.contrast(Audit.model_validate(run_dir.read("audit.json")))
    assert drawing.caption == (
        "Two captions of the same image share 3.40 of 4 by probability and 1.36 of 4 by lift, a mean over 1,200 images "
        "with several captions; of the emotions, 5 of 6 by probability and 6 of 6 by lift occur."
    )
    assert {"by probability", "by lift"} < set(texts(drawing))


def test_no_contrast_without_several_captions_per_image(run_dir):
    audit = run_dir.read("audit.json")
    for found in audit["contrast"].values():
        found.update(n_images=0, same_image=None)
    assert pseudo_labels.contrast(Audit.model_validate(audit)) is None
    audit.pop("contrast")
    assert pseudo_labels.contrast(Audit.model_validate(audit)) is None


def test_many_emotions_are_cut_and_caption_says_so(run_dir):
    labels = [f"emotion{number}" for number in range(100)]
    audit = run_dir.read("audit.json") | {
        "labels": labels, "before": [0.01] * 100, "after": [0.01] * 100, "target_share": None, "never_chosen": []
    }  # fmt: skip
    drawing = pseudo_labels.label_shares(Audit.model_validate(audit))
    assert "only the first 40 of 100 emotions are shown" in drawing.caption
    assert "emotion40" not in texts(drawing)


def draw(figure):
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=SERIES[0], marker="o", label="a & <b> $x$")
    axes.set_title("title", color=INK)
    axes.legend()


def test_svg_has_page_colours_and_unique_ids():
    one, two = (inline_svg(name, 3, 2, draw, "A <title>", "a description") for name in ("one", "two"))
    assert "var(--series-1)" in one
    assert "currentColor" in one
    assert not re.findall(r"#0102\w\w|#000000|#ffffff", one)
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (one, two)]
    assert not ids[0] & ids[1]
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', one)) <= ids[0]
    assert "a &amp; &lt;b&gt; $x$" in one
    assert ElementTree.fromstring(one).find("title").text == "A <title>"


def test_figure_ignores_matplotlib_settings():
    import matplotlib

    first = inline_svg("one", 3, 2, draw, "t", "d")
    with matplotlib.rc_context({"font.size": 22, "axes.facecolor": "red"}):
        assert inline_svg("one", 3, 2, draw, "t", "d") == first
        assert matplotlib.rcParams["font.size"] == 22


def test_unknown_scripts_do_not_warn(recwarn):
    def foreign(figure: Figure) -> None:
        figure.add_subplot().set_title("嬉しい 🐻")

    assert "嬉しい 🐻" in inline_svg("one", 3, 2, foreign, "t", "d")
    assert not recwarn.list


def test_prior_cross_entropy_is_omitted_for_other_losses() -> None:
    rows = [{"step": 1, "epoch": 1.0, "loss": 0.1}]
    plain = training.teacher_loss(History.model_validate({"train": rows, "validation": rows}), 0.345)
    focal = training.teacher_loss(
        History.model_validate({"train": rows, "validation": [rows[0] | {"bce": 0.3}]}), 0.345
    )
    assert plain is not None
    assert focal is not None
    assert "0.345" in plain.caption
    assert "0.345" not in focal.caption
