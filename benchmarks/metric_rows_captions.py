"""Rows of docs/METRICS.md about annotators and captions."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from metric_row import Cell, Row, tm

from emocap.captioning.metrics import bleu, cider_d, rouge_l
from emocap.evaluation.human_agreement import human_ceiling


def agreement(counts: list[list[int]]) -> Cell:
    """The top-1 accuracy of every annotator against the others, for pairs with numbers of votes for joy and sadness."""
    named = [[[0]] * joy + [[1]] * sad for joy, sad in counts]
    prior = np.array([0.5, 0.5])
    return lambda: (human_ceiling(named, {}, ("joy", "sad"), prior) or {})["one_against_others"]["top1_accuracy"]


def kappas(counts: list[list[int]]) -> dict[str, Cell]:
    """Fleiss' kappa and Krippendorff's alpha of the same votes."""
    votes = np.array(counts)
    return {
        "statsmodels Fleiss' kappa": lambda: import_module("statsmodels.stats.inter_rater").fleiss_kappa(votes),
        "torchmetrics Fleiss' kappa": tm("fleiss_kappa", votes, module="nominal"),
        "krippendorff": lambda: import_module("krippendorff").alpha(value_counts=votes, level_of_measurement="nominal"),
    }


MISSING, ALONE = [[3, 0], [0, 3], [2, 0], [0, 2]], [[3, 0], [0, 3], [1, 0], [2, 1]]
PAIRED, CONSTANT = [[3, 0], [0, 3], [2, 1]], [[3, 0], [3, 0]]

ANNOTATORS = (
    Row(
        "agreement of 3, 3, 2 and 2 annotators of four pairs, who agree",
        agreement(MISSING),
        kappas(MISSING),
        "each annotator is compared with those of the same pair; torchmetrics counts a missing vote as dissent",
    ),
    Row(
        "agreement on four pairs of which one has a single annotator, with one dissent on another",
        agreement(ALONE),
        kappas(ALONE),
        "who is alone has nobody to agree with: the pair is left out and counted, as in Krippendorff's alpha",
    ),
    Row(
        "agreement on the same without the single annotator",
        agreement(PAIRED),
        kappas(PAIRED),
        "as above; not corrected for chance, since models are measured in the same way",
    ),
    Row(
        "agreement of three annotators on two pairs, all for joy",
        agreement(CONSTANT),
        kappas(CONSTANT),
        "defined, since it is not corrected for chance",
    ),
)


def coco(name: str, captions: Sequence[str], references: Sequence[Sequence[str]]) -> Cell:
    """A corpus score of pycocoevalcap, for BLEU that of order 4."""

    def value() -> Any:
        scorer = getattr(import_module(f"pycocoevalcap.{name.lower()}.{name.lower()}"), name)()
        options = {"verbose": 0} if name == "Bleu" else {}
        results = {image: [caption] for image, caption in enumerate(captions)}
        score = scorer.compute_score(dict(enumerate(map(list, references))), results, **options)[0]
        return score[-1] if name == "Bleu" else score

    return value


def sacre(captions: Sequence[str], *streams: Sequence[str | None]) -> Cell:
    """BLEU of sacrebleu, 0 to 1."""
    return lambda: import_module("sacrebleu").corpus_bleu(captions, streams).score / 100


def bleus(captions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, Cell]:
    """BLEU-4 of every library; images with fewer references than others have None in sacrebleu's streams."""
    streams = [[r[i] if i < len(r) else None for r in references] for i in range(max(map(len, references)))]
    text, torcheval = "torchmetrics.functional.text", "torcheval.metrics.functional"
    return {
        "pycocoevalcap": coco("Bleu", captions, references),
        "sacrebleu": sacre(captions, *streams),
        "torchmetrics": lambda: import_module(text).bleu_score(captions, references),
        "torcheval": lambda: import_module(torcheval).bleu_score(captions, references, n_gram=4),
    }


def rouge() -> float:
    """ROUGE-L of torchmetrics against the better of two references."""
    scores = import_module("torchmetrics.functional.text").rouge_score(["dogs run"], [OF_BOTH], rouge_keys="rougeL")
    return float(scores["rougeL_fmeasure"])


DOG, BEACH = "a dog runs fast", "a dog runs fast on the big beach"
TWO, OF_TWO = ["a red dog runs", ""], [["a red dog runs", "the dog is red"], ["two birds sit", "birds"]]
OF_BOTH, MANY = ["dogs run on the beach", "dogs"], [["a dog runs fast today", "dogs"]]

CAPTIONS = (
    Row(
        "BLEU-4 of two captions, one right, one empty",
        lambda: bleu(TWO, OF_TWO)[-1],
        bleus(TWO, OF_TWO),
        "an empty caption shortens the corpus, so that the brevity penalty sees it",
    ),
    Row("BLEU-4 of an empty caption", lambda: bleu([""], [["a dog"]])[-1], bleus([""], [["a dog"]]), "COCO's"),
    Row(
        "CIDEr-D of the same two captions",
        lambda: cider_d(TWO, OF_TWO).mean(),
        {"pycocoevalcap": coco("Cider", TWO, OF_TWO)},
        "COCO's; the empty caption scores 0",
    ),
    Row(
        "ROUGE-L of an empty caption with an empty reference",
        lambda: rouge_l([""], [[""]])[0],
        {"pycocoevalcap": coco("Rouge", [""], [[""]])},
        "no words in common; pycocoevalcap splits the empty text into one empty word",
    ),
    Row(
        "BLEU-4 of `a dog runs`, equal to its reference",
        lambda: bleu(["a dog runs"], [["a dog runs"]])[-1],
        bleus(["a dog runs"], [["a dog runs"]]),
        "COCO's constants stand for the absent 4-grams",
    ),
    Row(
        "CIDEr-D of one image whose only reference is the caption",
        lambda: cider_d([DOG], [[DOG]])[0],
        {"pycocoevalcap": coco("Cider", [DOG], [[DOG]])},
        "COCO's: with a single image every n-gram has weight 0; give `document_references`",
    ),
    Row(
        f"BLEU-4 of `{DOG}` with references of 5 words and of 1 word",
        lambda: bleu([DOG], MANY)[-1],
        bleus([DOG], MANY),
        "Papineni et al.: brevity against the closest reference; torcheval takes the shortest",
    ),
    Row(
        "BLEU-4 of two captions, a reference for the first alone",
        lambda: bleu([DOG, "birds"], [[DOG]])[-1],
        {
            "sacrebleu": sacre([DOG, "birds"], [DOG]),
            "torchmetrics": lambda: import_module("torchmetrics.functional.text").bleu_score([DOG, "birds"], [[DOG]]),
        },
        "refused; sacrebleu leaves the second caption out",
    ),
    Row(
        f"BLEU-4 of `{DOG}` with the references `{BEACH}` and an empty one",
        lambda: bleu([DOG], [[BEACH, ""]])[-1],
        bleus([DOG], [[BEACH, ""]]) | {"sacrebleu, None for the empty one": sacre([DOG], [BEACH], [None])},
        "COCO's; nothing pads references here, and pairs with an empty caption are rejected on reading",
    ),
    Row(
        "ROUGE-L of `dogs run` with the references `dogs run on the beach` and `dogs`",
        lambda: rouge_l(["dogs run"], [OF_BOTH])[0],
        {"pycocoevalcap": coco("Rouge", ["dogs run"], [OF_BOTH]), "torchmetrics": rouge},
        "COCO's: precision and recall each from the best reference",
    ),
)
