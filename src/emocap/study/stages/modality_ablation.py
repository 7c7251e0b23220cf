"""The modality ablation: the last model's predictions without image or caption, or with those of another pair.

The model was trained on both, so that an input with one part removed is also one that it has not seen in training. A
model trained on captions alone is `teacher_text` (`evaluation.text_alone`), which the study compares with the others.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from emocap.files import write_array, write_json
from emocap.study.training_unit import TrainingUnit
from emocap.study.views import views_of
from emocap.training.predict import predict_probabilities

FOLDER = "modality_ablation"


def modality_ablation(study: TrainingUnit) -> None:
    """Write the probabilities of every view of the test pairs that have an image, and their rows.

    Where no pair of the target has a caption, the only view beside the pairs themselves is the image of another pair.
    """
    store = study.store("target")
    assert store is not None, "the stage exists only where there are images"
    images = study.pairs("target").images
    rows = np.array([row for row in study.rows["test"] if images[row] in store], dtype=np.int64)
    write_array(study.run / FOLDER / "rows.npy", rows)
    run = study.config.models[-1]
    write_json(study.run / FOLDER / "model.json", {"model": run})
    if not len(rows):
        return
    saved = study.load(run)
    both = study.dataset(saved.tokenizer, study.pairs("target").select(rows), "target")
    other_images, other_captions = _exchanged(both.images, np.random.default_rng([study.seed, 2]))
    empty = saved.tokenizer("")["input_ids"]
    datasets = {
        "both": both,
        "caption_only": replace(both, store=None),
        "image_only": replace(both, input_ids=[empty] * len(both)),
        "other_image": replace(both, images=[both.images[i] for i in other_images]),
        "other_caption": replace(both, input_ids=[both.input_ids[i] for i in other_captions]),
    }
    for name in views_of(has_captions=study.has_captions("target")):
        batch = study.config.teacher.eval_batch_size
        probabilities = predict_probabilities(saved.model, datasets[name], batch, f"{run}, {name.replace('_', ' ')}")
        write_array(study.run / FOLDER / f"{name}_probabilities.npy", probabilities)


def _exchanged(images: Sequence[str], generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """For each pair the row of a pair of another image, twice; its own where there is one image only."""
    distinct = generator.permutation(sorted(set(images)))
    follows = dict(zip(distinct, np.roll(distinct, 1), strict=True))
    of_image: dict[str, list[int]] = {}
    for number, image in enumerate(images):
        of_image.setdefault(image, []).append(number)
    drawn = [np.array([generator.choice(of_image[follows[image]]) for image in images]) for _ in range(2)]
    return drawn[0], drawn[1]
