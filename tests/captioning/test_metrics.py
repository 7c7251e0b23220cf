"""Caption metrics against the values of the COCO evaluation, naive implementations, hand-worked cases, properties."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emocap.captioning.emotion_words import emotion_word_rate
from emocap.captioning.metrics import (
    bleu,
    cider_d,
    distinct_caption_rate,
    distinct_n,
    rouge_l,
    word_counts,
)

# A copy of a reference, an unrelated caption, a single word, an over-long repetitive one, two ordinary ones.
CANDIDATES = [
    "Two girls laugh under a yellow umbrella.",
    "The stock market closed higher on Tuesday.",
    "dog",
    "A man plays a man plays a guitar on a guitar on a street on a street in the street in the street.",
    "A lonely boat drifts on the lake, and it's getting dark.",
    "An old woman is feeding pigeons in the square!",
]
REFERENCES = [
    [
        "Two girls laugh under a yellow umbrella.",
        "Girls share an umbrella in the rain.",
        "Friends laughing on a wet street.",
    ],
    [
        "A child cries over a broken toy.",
        "A little boy holds the pieces of his toy.",
        "The boy's toy is broken.",
        "Sad boy",
    ],
    ["A brown dog leaps over a log.", "The dog jumps over a fallen tree.", "A dog in the forest is jumping."],
    [
        "A man plays a guitar on the street.",
        "A street musician plays for a small crowd.",
        "A man with a guitar sings in the street.",
        "Someone is playing music, and people listen.",
        "The man plays.",
    ],
    ["A boat drifts on the lake at dusk.", "It's getting dark over the lake.", "A small boat on a dark, quiet lake."],
    [
        "A woman is feeding the pigeons.",
        "An old woman feeds birds in the square.",
        "Pigeons gather around an old woman in a square.",
    ],
]
# From pycocoevalcap 1.2 on the captions above after its PTB tokenizer (which agrees with ours on them): CiderScorer
# and Rouge().calc_score row by row, BleuScorer with option="closest".
CIDER_D = [3.656711417, 0.0, 0.783204255, 0.052129222, 2.367976402, 3.052282466]
ROUGE_L = [1.0, 0.15601023, 0.220216606, 0.565469293, 0.62244898, 0.713450292]
BLEU = [0.627118644, 0.565221669, 0.492972801, 0.4085546]
BLEU_OF_1_AND_2 = [0.118091638, 3.04911299e-09, 9.57676263e-12, 5.67503872e-13]

TOY = st.lists(st.sampled_from("abcd"), max_size=6).map(" ".join)
TOY_IMAGE = st.tuples(TOY, st.lists(TOY, min_size=1, max_size=3))


def test_cider_d_equals_coco() -> None:
    scores = cider_d(CANDIDATES, REFERENCES)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, CIDER_D, rtol=0, atol=1e-6)


def test_rouge_l_equals_coco() -> None:
    scores = rouge_l(CANDIDATES, REFERENCES)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, ROUGE_L, rtol=0, atol=1e-6)


def test_bleu_equals_coco() -> None:
    np.testing.assert_allclose(bleu(CANDIDATES, REFERENCES), BLEU, rtol=0, atol=1e-6)
    assert bleu(CANDIDATES, REFERENCES, n=2) == bleu(CANDIDATES, REFERENCES)[:2]


def test_bleu_equals_coco_without_matches() -> None:
    np.testing.assert_allclose(bleu(CANDIDATES[1:3], REFERENCES[1:3]), BLEU_OF_1_AND_2, rtol=1e-6)


def dense_cider_d(candidates: list[str], references: list[list[str]]) -> np.ndarray:
    """CIDEr-D with one vector over all n-grams of the text, straight from the paper's formula."""

    def grams(caption: str, n: int) -> list[str]:
        tokens = caption.split()
        return [" ".join(tokens[start : start + n]) for start in range(len(tokens) - n + 1)]

    scores = np.zeros((len(candidates), 4))
    for n in range(1, 5):
        vocabulary = sorted({g for c in [*candidates, *itertools.chain(*references)] for g in grams(c, n)})
        if not vocabulary:
            continue
        held = np.array([[any(g in grams(r, n) for r in image) for g in vocabulary] for image in references])
        idf = np.log(len(references) / np.maximum(held.sum(axis=0), 1))
        for row, (candidate, image) in enumerate(zip(candidates, references, strict=True)):
            for reference in image:
                c, r = (np.array([grams(t, n).count(g) for g in vocabulary]) * idf for t in (candidate, reference))
                norm = np.linalg.norm(c) * np.linalg.norm(r)
                delta = len(candidate.split()) - len(reference.split())
                if norm > 0:
                    scores[row, n - 1] += 10 * np.exp(-(delta**2) / 72) * np.minimum(c, r) @ r / norm / len(image)
    return scores.mean(axis=1)


@given(st.lists(TOY_IMAGE, min_size=1, max_size=4))
def test_cider_d_equals_dense_formula(images: list[tuple[str, list[str]]]) -> None:
    candidates, references = [c for c, _ in images], [r for _, r in images]
    np.testing.assert_allclose(cider_d(candidates, references), dense_cider_d(candidates, references), atol=1e-9)


@given(TOY, TOY)
def test_rouge_l_equals_brute_force(candidate: str, reference: str) -> None:
    def subsequences(caption: str) -> set[tuple[str, ...]]:
        tokens = caption.split()
        return {subsequence for size in range(len(tokens) + 1) for subsequence in itertools.combinations(tokens, size)}

    common = max(map(len, subsequences(candidate) & subsequences(reference)))
    expected = 0.0
    if common:
        precision, recall = common / len(candidate.split()), common / len(reference.split())
        expected = 2.44 * precision * recall / (recall + 1.44 * precision)
    assert rouge_l([candidate], [[reference]])[0] == pytest.approx(expected)


def test_rouge_l_combines_references() -> None:
    references = ["a b x y", "a"]  # precision 2/2 in the first, recall 1/1 in the second
    assert rouge_l(["a b"], [references]).tolist() == pytest.approx([1.0])


def test_bleu_by_hand() -> None:
    # Clipping: "the" counts for two of seven words, as in the reference that has it most often.
    assert bleu(["the the the the the the the"], [["the cat is on the mat", "a cat is on the mat"]], n=1) == (
        pytest.approx([2 / 7])
    )
    # References of 2 and 4 words are equally close to 3: the shorter counts, without a penalty.
    assert bleu(["a b c"], [["a b c d", "a b"]], n=1) == pytest.approx([1.0])
    # All words match, but the reference has twice the length.
    assert bleu(["a b"], [["a b c d"]], n=1) == pytest.approx([math.exp(-1)])


def test_document_references_make_parts_comparable() -> None:
    expected = cider_d(CANDIDATES, REFERENCES)
    part = cider_d(CANDIDATES[3:], REFERENCES[3:], document_references=REFERENCES)
    np.testing.assert_allclose(part, expected[3:], rtol=1e-12)
    assert not np.allclose(cider_d(CANDIDATES[3:], REFERENCES[3:]), expected[3:])


def test_unknown_words_weigh_like_the_rarest() -> None:
    documents = [["a dog runs home"], ["two birds sit still"]]
    scores = cider_d(["a red cat sleeps"], [["a red cat sleeps"]], document_references=documents)
    assert scores.tolist() == pytest.approx([10.0])


def test_cider_d_of_single_image_is_zero() -> None:
    assert cider_d(["a red dog runs"], [["a red dog runs"]]).tolist() == [0.0]


def test_order_of_references_changes_nothing() -> None:
    reordered = [image[::-1] for image in REFERENCES]
    np.testing.assert_allclose(cider_d(CANDIDATES, reordered), cider_d(CANDIDATES, REFERENCES), rtol=1e-12)
    np.testing.assert_array_equal(rouge_l(CANDIDATES, reordered), rouge_l(CANDIDATES, REFERENCES))
    assert bleu(CANDIDATES, reordered) == bleu(CANDIDATES, REFERENCES)


def test_order_of_images_changes_nothing() -> None:
    reordered = CANDIDATES[::-1], REFERENCES[::-1]
    np.testing.assert_allclose(cider_d(*reordered)[::-1], cider_d(CANDIDATES, REFERENCES), rtol=1e-12)
    np.testing.assert_array_equal(rouge_l(*reordered)[::-1], rouge_l(CANDIDATES, REFERENCES))
    assert bleu(*reordered) == pytest.approx(bleu(CANDIDATES, REFERENCES), rel=1e-12)


@given(st.lists(st.sampled_from("abcdefgh"), max_size=10).map(" ".join))
def test_caption_equal_to_references_scores_highest(other: str) -> None:
    references = [["a b c d e", "a b c d e"], ["x y z w"]]
    equal, rival = ["a b c d e", "x y z w"], [other, "x y z w"]
    assert cider_d(equal, references).tolist() == pytest.approx([10, 10])
    assert rouge_l(equal, references).tolist() == pytest.approx([1, 1])
    assert bleu(equal, references) == pytest.approx([1] * 4)
    if other != equal[0]:
        assert cider_d(rival, references)[0] < 10
        assert rouge_l(rival, references)[0] < 1
        assert bleu(rival, references)[3] < 1


@given(st.sets(st.sampled_from("abcdefgh"), min_size=1), st.integers(0, 7), st.integers(1, 9))
def test_repeating_words_does_not_raise_cider_d(reference: set[str], at: int, times: int) -> None:
    # The letters of the reference ascend and are distinct, so that a repetition is not among its n-grams.
    tokens = sorted(reference)
    last = tokens[at % len(tokens)]
    honest, repeated = " ".join([*tokens, last]), " ".join([*tokens, last, *[last] * times])
    references = [[" ".join(tokens)], ["x y z w"]]
    assert cider_d([repeated, "x"], references)[0] < cider_d([honest, "x"], references)[0]


def test_empty_candidate_scores_zero() -> None:
    candidates = ["", "...", *CANDIDATES[2:]]
    assert cider_d(candidates, REFERENCES)[:2].tolist() == [0, 0]
    assert rouge_l(candidates, REFERENCES)[:2].tolist() == [0, 0]
    assert bleu(["", " ! "], REFERENCES[:2]) == [0, 0, 0, 0]
    np.testing.assert_allclose(cider_d(candidates, REFERENCES)[2:], CIDER_D[2:], atol=1e-6)


def test_reference_without_words_matches_nothing() -> None:
    assert rouge_l(["", "a dog"], [["?"], ["?", "a dog"]]).tolist() == pytest.approx([0, 1])
    assert cider_d(["", "a dog"], [["?"], ["?"]]).tolist() == [0, 0]
    assert bleu([""], [["?"]]) == [0, 0, 0, 0]


def test_diversity_and_length_by_hand() -> None:
    captions = ["A dog runs.", "a dog runs", "a dog", "Cat"]
    assert distinct_n(captions, 1) == 4 / 9
    assert distinct_n(captions, 2) == 2 / 5
    assert distinct_n(captions, 3) == 1 / 2
    assert distinct_n(captions, 4) == 0
    assert distinct_caption_rate(captions) == 3 / 4
    assert word_counts([*captions, "", "It's"]).tolist() == [3, 3, 2, 1, 0, 2]
    assert word_counts(captions).dtype == np.int64


@pytest.mark.parametrize("metric", [cider_d, bleu, rouge_l])
def test_rejects_wrong_candidates_and_references(metric) -> None:
    with pytest.raises(ValueError, match="candidates: found .*expected a list of one or more"):
        metric([], [])
    with pytest.raises(ValueError, match="candidates: found 'a dog', expected a list"):
        metric("a dog", [["a dog"]] * 5)
    with pytest.raises(ValueError, match="2 candidates but 1 images"):
        metric(["a dog", "a cat"], [["a dog"]])
    with pytest.raises(ValueError, match=r"references of image 1: found \[\]"):
        metric(["a dog", "a cat"], [["a dog"], []])
    with pytest.raises(ValueError, match="references of image 0: found 'a dog'"):
        metric(["a dog"], ["a dog"])


def test_rejects_wrong_documents() -> None:
    with pytest.raises(ValueError, match="no image with references"):
        cider_d(["a dog"], [["a dog"]], document_references=[])
    with pytest.raises(ValueError, match="references of image 1"):
        cider_d(["a dog"], [["a dog"]], document_references=[["a dog"], []])


def test_rejects_wrong_captions_and_n() -> None:
    for refused in (lambda c: distinct_n(c, 1), distinct_caption_rate, word_counts, lambda c: emotion_word_rate(c, [])):
        for captions in ([], "a dog"):
            with pytest.raises(ValueError, match="captions: found .*expected a list of one or more"):
                refused(captions)
    with pytest.raises(ValueError, match="2 captions but 1 emotions"):
        emotion_word_rate(["a dog", "a cat"], ["sad"])
    with pytest.raises(ValueError, match="n is 0"):
        distinct_n(["a dog"], 0)
    with pytest.raises(ValueError, match="n is 0"):
        bleu(["a dog"], [["a dog"]], n=0)
