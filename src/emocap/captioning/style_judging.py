"""Whether captions show the style that they were asked for: a judge of styles beside people's own captions.

The judge is logistic regression on words, fitted to people's captions of other images. Its accuracy on people's
captions of the judged images is the ceiling. Styled captions are compared with factual references, so that CIDEr-D and
noun faithfulness say how much of the content a style costs; people's own styled captions show how much it must cost.
"""

import logging
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from emocap.captioning.eval_set import EvalSet
from emocap.captioning.judging import fit_judge
from emocap.captioning.key_words import KeyWordRule
from emocap.captioning.metrics import bleu, cider_d, rouge_l
from emocap.captioning.nouns import Tagger, noun_scores
from emocap.captioning.perception import Scorer, mean_with_power, moved, perceived, summarise_perceived
from emocap.captioning.scores import N_BOOTSTRAP, estimate

logger = logging.getLogger("emocap")
Cells = list[tuple[int, int]]  # (row of the image, index of the style) of each caption


def judge_styles(
    requested: Mapping[str, Sequence[str]],
    plain: Sequence[str],
    eval_set: EvalSet,
    training: tuple[Sequence[str], Sequence[str]],
    tagger: Tagger | None,
    seed: int,
) -> dict[str, Any] | None:
    """The captioner's styled captions beside people's, by a judge and a rule that learnt the styles on other images.

    Args:
        requested: S styles to the captioner's N captions.
        plain: N captions of the captioner without a style.
        training: M captions of other images with a style each.
        tagger: of nouns; None leaves noun faithfulness out.
        seed: of judge and bootstrap.

    Returns:
        As docs/RUN_DIR.md documents the key "styles"; None for fewer than two, or where people wrote none of them.
    """
    styles = list(requested)
    if not _can_be_judged(styles, eval_set):
        return None
    cells = [(row, number) for row in range(len(eval_set.images)) for number in range(len(styles))]
    known = [(row, number) for row, number in cells if styles[number] in eval_set.styled[row]]
    people = [eval_set.styled[row][styles[number]] for row, number in known]
    targets = (np.asarray(training[1])[:, None] == np.asarray(styles)).astype(np.float32)
    judge, quality = fit_judge(
        "tfidf",
        training[0],
        targets,
        people,
        np.eye(len(styles))[[number for _, number in known]],
        vectors="",
        seed=seed,
    )
    rule = KeyWordRule.fit(training[0], targets)
    own = {(row, number): requested[styles[number]][row] for row, number in cells}
    written = dict(zip(known, people, strict=True))
    values, human = (_perceived(captions, judge, rule) for captions in (own, written))
    both = [cell in written for cell in cells]
    difference = np.where(both, values["judge"], np.nan)
    difference[both] -= human["judge"]
    images = [eval_set.images[row] for row, _ in cells]
    return {
        "styles": styles,
        "chance": 1 / len(styles),
        "judge": quality,
        "key_words": dict(zip(styles, rule.words, strict=True)),
        "captioner": summarise_perceived(values, seed, images),
        "human": {"n_captions": len(known), **summarise_perceived(human, seed, [eval_set.images[r] for r, _ in known])},
        "above_human": mean_with_power(difference, seed, images).as_difference(),
        "paired": {
            name: summary
            for name, captions in (("captioner", own), ("human", written))
            if (summary := _paired(captions, styles, eval_set.images, judge, rule, seed)) is not None
        },
        "content": _content(requested, plain, eval_set, tagger, seed),
        "human_content": _human_content(styles, eval_set, tagger, seed),
    }


def _can_be_judged(styles: Sequence[str], eval_set: EvalSet) -> bool:
    if len(styles) < 2:
        return False
    if all(own.keys().isdisjoint(styles) for own in eval_set.styled):
        logger.warning(
            "captions: styles are not judged, since none of %d judged images has a human caption in %s",
            len(eval_set.images),
            " or ".join(styles),
        )
        return False
    return True


def _perceived(captions: Mapping[tuple[int, int], str], judge: Scorer, rule: KeyWordRule) -> dict[str, np.ndarray]:
    return perceived(list(captions.values()), [number for _, number in captions], judge, rule, k=1)


def _paired(
    captions: Mapping[tuple[int, int], str],
    styles: Sequence[str],
    images: Sequence[str],
    judge: Scorer,
    rule: KeyWordRule,
    seed: int,
) -> dict[str, Any] | None:
    """For every two styles of an image, whether the words moved the right way; None where no image has two."""
    pairs = [
        (row, one, two)
        for one, two in combinations(range(len(styles)), 2)
        for row in range(len(images))
        if (row, one) in captions and (row, two) in captions
    ]
    if not pairs:
        return None
    rows, ones, twos = (list(part) for part in zip(*pairs, strict=True))
    first = [captions[row, one] for row, one, _ in pairs]
    second = [captions[row, two] for row, _, two in pairs]
    return summarise_perceived(moved(first, second, ones, twos, judge, rule), seed, [images[row] for row in rows])


def _content(
    requested: Mapping[str, Sequence[str]],
    plain: Sequence[str],
    eval_set: EvalSet,
    tagger: Tagger | None,
    seed: int,
) -> dict[str, Any]:
    """For each style the scores of content, and their differences from the captioner without a style."""
    draws = _draws(len(eval_set.images), seed)
    reference = _content_values(plain, eval_set, tagger)
    content = {}
    for style, captions in requested.items():
        values = _content_values(captions, eval_set, tagger)
        content[style] = {name: estimate(array, draws) for name, array in values.items()} | {
            "bleu_4": float(bleu(captions, eval_set.references)[3]),
            "rouge_l": float(rouge_l(captions, eval_set.references).mean()),
            "differences": {
                name: mean_with_power(array - reference[name], seed).as_difference()
                for name, array in values.items()
                if name in reference and not np.isnan(array - reference[name]).all()
            },
        }
    return content


def _content_values(captions: Sequence[str], eval_set: EvalSet, tagger: Tagger | None) -> dict[str, np.ndarray]:
    nouns = noun_scores(captions, eval_set.all_references, tagger)
    return {"cider_d": cider_d(captions, eval_set.references)} | nouns


def _human_content(
    styles: Sequence[str], eval_set: EvalSet, tagger: Tagger | None, seed: int
) -> dict[str, dict[str, Any]]:
    """The same scores of people's styled captions, over the images that have one."""
    draws = _draws(len(eval_set.images), seed)
    content = {}
    for style in styles:
        has = np.array([style in own for own in eval_set.styled])
        if has.any():
            values = _content_values([own.get(style, "") for own in eval_set.styled], eval_set, tagger)
            content[style] = {name: estimate(np.where(has, array, np.nan), draws) for name, array in values.items()}
    return content


def _draws(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(n, size=(N_BOOTSTRAP, n))
