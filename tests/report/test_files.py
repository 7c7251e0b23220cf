import pytest

from emocap.errors import EmocapError
from emocap.files import sha256_of
from emocap.report.files.run import read_run
from emocap.report.page import write_report

from .test_page import set_difference


def test_missing_results_error_says_what_to_do(run_dir):
    (run_dir.folder / "results.json").unlink()
    with pytest.raises(EmocapError, match=r"demo: contains no results.json; finish the study with 'emocap run' first"):
        write_report(run_dir.folder)
    assert not (run_dir.folder / "report.html").exists()


def test_rejects_missing_directory(tmp_path):
    with pytest.raises(EmocapError, match="no such run directory"):
        write_report(tmp_path / "absent")


@pytest.mark.parametrize("name", ["results.json", "manifest.json", "audit.json", "gallery.json", "AnB+/history.json"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schema": 1,', "not valid JSON at line 1"),
        ('{"schema": 1,', "; delete it and run the study again"),
        ('{"schema": 7}', "schema is 7, expected "),
        ("[1, 2]", "contains a list, expected an object"),
        ("{}", "schema is None, expected "),
    ],
)
def test_names_damaged_file_in_one_line(run_dir, name, text, message):
    (run_dir.folder / name).write_text(text)
    with pytest.raises(EmocapError) as caught:
        write_report(run_dir.folder)
    error = str(caught.value)
    assert str(run_dir.folder / name) in error
    assert message in error
    assert "\n" not in error


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("results.json", lambda it: it["models"].pop("prior"), "'models' lacks 'prior'"),
        ("results.json", lambda it: it["models"]["AnB"].pop("bce"), "AnB: 'bce' must be a number or null"),
        ("results.json", lambda it: it["models"]["AnB"].update(bce="low"), "AnB: 'bce' must be a number or null"),
        ("results.json", lambda it: it.pop("labels"), "labels: Field required"),
        ("results.json", lambda it: it.update(metrics={}), "'metrics' lacks 'mean_average_precision'"),
        ("results.json", lambda it: it.update(schema=1), "schema is 1, expected 2 or 3; use the version of emocap"),
        ("results.json", lambda it: it["models"]["AnB"].update(micro_f1=1.2), "AnB: 'micro_f1' is 1.2, outside 0 to 1"),
        ("results.json", lambda it: it["models"]["AnB"].update(bce=-0.1), "AnB: 'bce' is -0.1, outside 0 to"),
        ("results.json", lambda it: it["models"]["AnB"].update(bce=10**400), "AnB: 'bce' must be a number or null"),
        ("results.json", lambda it: it["models"]["AnB"].update(bce=True), "AnB: 'bce' must be a number or null"),
        ("results.json", lambda it: it["intervals"]["AnB"].update(bce=[0.4, 0.3]), "ends before it begins"),
        ("results.json", lambda it: it["intervals"]["AnB"].update(bce=[0.4, 10**400]), "intervals.AnB.bce.1"),
        ("results.json", lambda it: it["intervals"]["AnB"].update(bce=["0.4", 0.5]), "intervals.AnB.bce.0"),
        ("results.json", lambda it: it["intervals"]["AnB"].pop("bce"), "AnB: no interval of 'bce'"),
        ("results.json", lambda it: it["intervals"].update(other={}), "'models' lacks 'other'"),
        ("results.json", lambda it: it.update(spread={"AnB": {"bce": -1}}), "the spread of 'bce' is -1"),
        ("results.json", lambda it: set_difference(it, "AnB", "prior", 0.2, 0.1), "'low' is 0.2, above 'high', 0.1"),
        ("results.json", lambda it: it["kinds"].pop("AnB"), "'kinds' lacks 'AnB'"),
        ("results.json", lambda it: it["kinds"].update(AnB="other"), "kinds.AnB: Input should be 'baseline'"),
        ("results.json", lambda it: it.update(reference="other"), "'models' lacks 'other'"),
        ("results.json", lambda it: it.update(chosen="other"), "'models' lacks 'other'"),
        ("results.json", lambda it: it.update(recommended="other"), "'models' lacks 'other'"),
        ("results.json", lambda it: it["comparison_baseline"].update(model="other"), "'models' lacks 'other'"),
        ("results.json", lambda it: it["sample"].pop("is_enough"), "sample.is_enough: Field required"),
        ("results.json", lambda it: it.update(intervals_over="pairs"), "intervals_over: Input should be 'images'"),
        (
            "results.json",
            lambda it: it["differences"]["prior"]["AnB"]["bce"].update(simultaneous=[0.2, 0.1]),
            "'simultaneous' ends before it begins, [0.2, 0.1]",
        ),
        ("results.json", lambda it: it.update(n_test_pairs=0), "n_test_pairs: Input should be greater"),
        ("results.json", lambda it: it.update(seeds=[]), "seeds: List should have at least 1 item"),
        ("results.json", lambda it: it.update(n_bootstrap=-5), "n_bootstrap: Input should be greater"),
        ("results.json", lambda it: it["calibration"]["AnB"].update(methods=["guess"]), "calibration.AnB.methods.0"),
        ("results.json", lambda it: it["calibration"]["AnB"]["after"]["count"].pop(), "differ in length"),
        (
            "results.json",
            lambda it: it["calibration"].update(other=it["calibration"]["AnB"]),
            "'calibration' has 'other'",
        ),
        (
            "results.json",
            lambda it: it["modality_ablation"]["models"]["both"].update(bce=-1),
            "ablation: both: 'bce' is -1",
        ),
        ("results.json", lambda it: it["human"]["split_half"].update(correlation=1.2), "human.split_half.correlation"),
        ("results.json", lambda it: it["transfer_study"]["points"][0].update(n=7), "'n' is 7 of 6 layers"),
        ("results.json", lambda it: it["transfer_study"]["points"][0].update(n=None), "'n' is None for run AnB"),
        ("results.json", lambda it: it["transfer_study"]["points"][0].update(model="x"), "lacks the point 'x'"),
        ("results.json", lambda it: it["pseudo_label_study"]["points"].pop(0), "'points' lacks the base"),
        ("audit.json", lambda it: it["after"].pop(), "'after' has 5 values for 6 labels"),
        ("teacher/history.json", lambda it: it["train"][3].update(loss="x"), "train.3.loss"),
    ],
)
def test_rejects_file_not_as_documented(run_dir, name, change, message):
    run_dir.change(name, change)
    with pytest.raises(EmocapError) as caught:
        write_report(run_dir.folder)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_reads_keys_of_earlier_versions(run_dir):
    def rename(it, old, new):
        it[old] = it.pop(new)

    before = read_run(run_dir.folder)
    run_dir.change("results.json", lambda it: rename(it, "signal", "modality_ablation"))
    run_dir.change("results.json", lambda it: it["pseudo_label_study"]["points"][6].update(varied="targets"))
    run_dir.change("manifest.json", lambda it: rename(it, "quarantined", "rejected"))
    run_dir.change("audit.json", lambda it: rename(it, "targets", "label_type"))
    assert read_run(run_dir.folder) == before


SHOWN = ("audit.json", "AnB/history.json", "gallery.json", "gallery/best-01.jpg")


@pytest.mark.parametrize("name", SHOWN)
def test_refuses_shown_file_that_is_not_its_stages(run_dir, name):
    folder = run_dir.folder
    (folder / "gallery").mkdir(exist_ok=True)
    (folder / "gallery/best-01.jpg").write_bytes(b"x")
    run_dir.change("manifest.json", lambda it: it.update(stages=[{"name": "made"}]))
    (folder / "stages").mkdir()
    run_dir.write("stages/made.json", {"outputs": {shown: sha256_of(folder / shown) for shown in SHOWN}})
    run_dir.write("stages/former.json", {"outputs": {name: "of a stage that the study no longer has"}})
    read_run(folder)
    with (folder / name).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(EmocapError, match=f"{name}: missing or changed since the stage made wrote it; run the study"):
        read_run(folder)
