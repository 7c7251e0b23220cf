"""Copies of an image under another name are held out with it."""

import shutil

from emocap.files import read_json
from emocap.report.page import write_report
from emocap.study.config.loading import load_config
from emocap.study.run import run_study, units_of


def test_copies_of_captioner_images_leave_the_source(tiny_corpora, tiny_study, tmp_path) -> None:
    corpora = tmp_path / "corpora"
    shutil.copytree(tiny_corpora, corpora)
    images = sorted((corpora / "source").iterdir())
    for first, copy in zip(images[:40], images[40:], strict=True):
        shutil.copy(first, copy)
    config = load_config(tiny_study(data_root=str(corpora), captioner={"held_out_images": 12}))
    run_study(config, tmp_path / "run", report=write_report, until="splits")
    removed = {name for part in read_json(tmp_path / "run/caption_images.json").values() for name in part}
    used = set(units_of(config, tmp_path / "run")[0].pairs("source").images)
    contents = {(corpora / "source" / name).read_bytes() for name in removed}
    assert any(name in {path.name for path in images[40:]} for name in removed), "a copy under its later name"
    assert not [name for name in used if (corpora / "source" / name).read_bytes() in contents]
