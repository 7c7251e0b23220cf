"""Other wordings of a caption: each word removed, or replaced by words of similar embeddings."""

from collections.abc import Sequence

from torch import nn

from emocap.training.checkpoint import SavedModel

N_NEIGHBOURS = 2


MAX_WORDS = 24


def neighbours(saved: SavedModel, word: str, n: int = N_NEIGHBOURS) -> list[str]:
    """The n most similar words by the cosine of the model's embeddings; none for a word of several subword tokens."""
    tokenizer = saved.tokenizer
    (ids,) = tokenizer([word.lower()], add_special_tokens=False, return_attention_mask=False)["input_ids"]
    if len(ids) != 1 or ids[0] == tokenizer.unk_token_id or not word.isalpha():
        return []
    embeddings = saved.model.visualbert.embeddings.word_embeddings.weight.detach()
    nearest = nn.functional.cosine_similarity(embeddings, embeddings[ids[0]][None], dim=1).argsort(descending=True)[:50]
    names = [tokenizer.convert_ids_to_tokens(int(number)) for number in nearest]
    lower = word.lower()
    other = [name for name in names if name.isalpha() and len(name) > 2 and not _share_stem(name, lower)]
    return [name.capitalize() if word[0].isupper() else name for name in other[:n]]


def _share_stem(name: str, word: str) -> bool:
    """Whether two words are forms of the same one, by their first letters."""
    return name == word or (len(word) > 3 and (name.startswith(word[:-1]) or word.startswith(name[:-1])))


def reword(saved: SavedModel, caption: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int, str, str]]:
    """(start, end, replacement, caption) of each word removed, and replaced by its neighbours."""
    rewordings = []
    for start, end in spans[:MAX_WORDS]:
        word = caption[start:end]
        if not any(letter.isalnum() for letter in word):
            continue
        without = " ".join((caption[:start] + caption[end:]).split())
        if any(letter.isalnum() for letter in without):
            rewordings.append((start, end, "", without))
        rewordings += [
            (start, end, replacement, caption[:start] + replacement + caption[end:])
            for replacement in neighbours(saved, word)
        ]
    return rewordings
