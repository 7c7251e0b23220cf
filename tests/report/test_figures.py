import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from emocap.report.files.run import Audit, History, read_run
from emocap.report.plots import study as figures
from emocap.report.plots.curves import MOST_POINTS, running_mean, thinned
from emocap.report.plots.svg import INK, SERIES, inline_svg


def history(n, run="teacher", validation=True):
    rows = [{"step": step, "epoch": step / 10, "loss": 1 / step} for step in range(1, n + 1)]
    return History(run=run, train=rows, validation=rows[9::10] if validation else [], best_epoch=1.0)


def texts(drawing):
    return [element.text for element in ElementTree.fromstring(drawing.svg).iter() if element.tag.endswith("text")]


def test_running_mean_is_that_of_a_naive_twin():
    values = np.random.default_rng(0).normal(size=50)
    naive = [values[max(0, i - 3) : i + 4].mean() for i in range(50)]
    np.testing.assert_allclose(running_mean(values, 7), naive)


def test_a_short_series_is_left_as_it_is():
    curve = thinned(np.arange(5), np.array([5.0, 4, 3, 2, 1]))
    assert curve.mean.tolist() == curve.low.tolist() == [5, 4, 3, 2, 1]
    assert curve.window == 1


def test_a_long_series_is_thinned_and_hides_no_peak():
    y = np.ones(10_001)
    y[7_777], y[3] = 9.0, -9.0
    curve = thinned(np.arange(10_001), y)
    assert len(curve.x) == MOST_POINTS
    assert (curve.high.max(), curve.low.min()) == (9.0, -9.0)
    assert np.all(np.diff(curve.x) > 0)


def test_the_teacher_figure_tells_its_numbers():
    drawing = figures.teacher_loss(history(20), prior_bce=0.345)
    assert drawing.caption == (
        "Training loss falls from 1.000 to 0.050; validation loss is lowest, 0.050, at epoch 2; "
        "the weights of epoch 1 were kept. The label frequencies alone score 0.345 on the test pairs."
    )
    assert "prior, test pairs" in texts(drawing)
    assert "prior, test pairs" not in texts(figures.teacher_loss(history(20), prior_bce=None))


@pytest.mark.parametrize("n", [1, 2, 3, 1000])
def test_any_number_of_points_draws(n):
    for drawing in (
        figures.teacher_loss(history(n), 0.3),
        figures.student_loss(history(n)),
        figures.transfer_loss({"AnB": history(n), "AnB+": history(n, validation=False)}),
    ):
        assert ElementTree.fromstring(drawing.svg).find("desc").text == drawing.caption
        assert "nan" not in drawing.svg.lower().replace("nance", "")


def test_one_logged_loss_is_said_to_be_one():
    assert figures.student_loss(history(1)).caption == "Over 1 batch the loss on pseudo-labels was logged once, 1.000."


def test_without_losses_there_is_no_figure():
    nothing = History()
    assert figures.teacher_loss(nothing, 0.3) is None
    assert figures.student_loss(nothing) is None
    assert figures.transfer_loss({"AnB": nothing}) is None
    assert figures.transfer_loss({"teacher": history(3)}) is None


def test_metrics_of_anb_against_anb_plus(run_dir):
    drawing = figures.transfer_metrics(read_run(run_dir.folder).results)
    assert drawing.caption.replace("\N{NO-BREAK SPACE}", " ").startswith(
        "AnB has a mean average precision of 0.200 [0.170, 0.230]; AnB+ has a mean average precision of 0.300 "
        "[0.270, 0.330]; AnB+ scores better than AnB on 6 of these 7 metrics."
    )
    assert "Binary cross-entropy ↓" in texts(drawing)
    assert "ceiling" in texts(drawing)


def test_emotions_without_test_pairs_are_told(run_dir):
    drawing = figures.emotion_scores(read_run(run_dir.folder).results, ["prior", "teacher", "AnB+"])
    assert "no test pair" in texts(drawing)
    assert (
        drawing.caption
        == "AnB+ scores higher than the prior on 5 of 5 emotions; 1 emotion has no test pair and no score."
    )


def test_shares_of_pseudo_labels(run_dir):
    drawing = figures.label_shares(Audit.model_validate(run_dir.read("audit.json")))
    assert drawing.caption == "After selection happy has the largest share, 35%; among the target’s labels it has 35%."
    assert "never chosen" in texts(drawing)


def test_many_emotions_are_cut_and_the_caption_says_so(run_dir):
    labels = [f"emotion{number}" for number in range(100)]
    audit = run_dir.read("audit.json") | {
        "labels": labels, "before": [0.01] * 100, "after": [0.01] * 100, "target_share": None, "never_chosen": []
    }  # fmt: skip
    drawing = figures.label_shares(Audit.model_validate(audit))
    assert "the first 40 of 100 emotions are drawn" in drawing.caption
    assert "emotion40" not in texts(drawing)


def draw(figure):
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=SERIES[0], marker="o", label="a & <b> $x$")
    axes.set_title("title", color=INK)
    axes.legend()


def test_colours_are_the_pages_and_ids_its_own():
    one, two = (inline_svg(name, 3, 2, draw, "A <title>", "what is seen") for name in ("one", "two"))
    assert "var(--series-1)" in one
    assert "currentColor" in one
    assert not re.findall(r"#0102\w\w|#000000|#ffffff", one)
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (one, two)]
    assert not ids[0] & ids[1]
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', one)) <= ids[0]
    assert "a &amp; &lt;b&gt; $x$" in one
    assert ElementTree.fromstring(one).find("title").text == "A <title>"


def test_the_same_figure_is_the_same_text_whatever_matplotlib_was_told():
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


def test_the_prior_s_cross_entropy_is_not_held_against_another_loss() -> None:
    rows = [{"step": 1, "epoch": 1.0, "loss": 0.1}]
    plain = figures.teacher_loss(History.model_validate({"train": rows, "validation": rows}), 0.345)
    focal = figures.teacher_loss(History.model_validate({"train": rows, "validation": [rows[0] | {"bce": 0.3}]}), 0.345)
    assert plain is not None
    assert focal is not None
    assert "0.345" in plain.caption
    assert "0.345" not in focal.caption
