"""Other wordings of a caption: each word removed, or replaced by words of similar embeddings."""

from collections.abc import Sequence

from torch import nn

from emocap.training.checkpoint import SavedModel

N_NEIGHBOURS = 2
N_CANDIDATES = 50  # most similar tokens among which neighbours are looked for
MAX_WORDS = 24


def neighbours(saved: SavedModel, words: Sequence[str], n: int = N_NEIGHBOURS) -> list[list[str]]:
    """For each word the n most similar ones by the cosine of the model's embeddings; none for several tokens."""
    tokenizer = saved.tokenizer
    encoded = tokenizer([word.lower() for word in words], add_special_tokens=False, return_attention_mask=False)
    ids = [
        row[0] if len(row) == 1 and row[0] != tokenizer.unk_token_id and word.isalpha() else None
        for word, row in zip(words, encoded["input_ids"], strict=True)
    ]
    known = sorted({number for number in ids if number is not None})
    if not known:
        return [[] for _ in words]
    embeddings = saved.model.get_input_embeddings().weight.detach()
    cosines = nn.functional.normalize(embeddings[known], dim=1) @ embeddings.T / embeddings.norm(dim=1).clamp(min=1e-8)
    nearest = dict(zip(known, cosines.topk(min(N_CANDIDATES, len(embeddings)), dim=1).indices.tolist(), strict=True))
    found = []
    for word, number in zip(words, ids, strict=True):
        names = [] if number is None else tokenizer.convert_ids_to_tokens(nearest[number])
        lower = word.lower()
        other = [name for name in names if name.isalpha() and len(name) > 2 and not _share_stem(name, lower)]
        found.append([name.capitalize() if word[0].isupper() else name for name in other[:n]])
    return found


def _share_stem(name: str, word: str) -> bool:
    """Whether two words are forms of the same one, by their first letters."""
    return name == word or (len(word) > 3 and (name.startswith(word[:-1]) or word.startswith(name[:-1])))


def reword(saved: SavedModel, caption: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int, str, str]]:
    """(start, end, replacement, caption) of each word removed, and replaced by its neighbours."""
    rewordings = []
    read = [(start, end) for start, end in spans[:MAX_WORDS] if any(map(str.isalnum, caption[start:end]))]
    replacements_of = neighbours(saved, [caption[start:end] for start, end in read]) if read else []
    for (start, end), replacements in zip(read, replacements_of, strict=True):
        without = " ".join((caption[:start] + caption[end:]).split())
        if any(letter.isalnum() for letter in without):
            rewordings.append((start, end, "", without))
        rewordings += [
            (start, end, replacement, caption[:start] + replacement + caption[end:]) for replacement in replacements
        ]
    return rewordings
