"""The check that a tokenizer fits the embeddings of its model."""

import logging
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from emocap.errors import EmocapError
from emocap.files import read_json

logger = logging.getLogger("emocap")

SPECIAL_TOKENS = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"}
# Embeddings are padded to a multiple of at most 128; more unused rows suggest the tokenizer of another model.
LARGEST_PADDING = 127


def require_fitting_tokenizer(tokenizer: Any, folder: Path, vocab_size: int) -> None:
    """Reject a tokenizer that cannot be that of the model; the embeddings may have more rows than it has tokens.

    Args:
        tokenizer: of transformers, loaded from `folder`.
        folder: contains `tokenizer.json` or `vocab.txt`.
        vocab_size: number of rows of the model's word embeddings.

    Raises:
        EmocapError: a special token is missing, an id differs from the files' or is beyond the embeddings, or no
            special tokens are placed around a text.
    """
    own = _ids_of_files(folder)
    # The library adds special tokens that the files lack, with ids that the model was not trained with.
    lacking = [name for role, name in SPECIAL_TOKENS.items() if getattr(tokenizer, role) not in own]
    if lacking:
        raise EmocapError(
            f"{folder}: the tokenizer has no {', '.join(lacking)}, or tokenizer_config.json does not name what takes "
            "their place; save the model's own tokenizer there"
        )
    ids = {token: number for token, number in tokenizer.get_vocab().items() if token}
    changed = [token for token, number in own.items() if ids.get(token) != number]
    if changed:
        raise EmocapError(
            f"{folder}: {type(tokenizer).__name__} gives {len(changed)} tokens other ids than the tokenizer's files "
            f"({changed[0]!r} {ids.get(changed[0])} instead of {own[changed[0]]}); correct tokenizer_class in "
            "tokenizer_config.json, or save the model's own tokenizer again"
        )
    number, last = max((number, token) for token, number in ids.items())
    if number >= vocab_size:
        raise EmocapError(
            f"{folder}: the tokenizer has {len(ids)} tokens, the model's vocabulary {vocab_size}, so that {last!r} (id "
            f"{number}) has no embedding; save the model's own tokenizer there, or resize the model's embeddings"
        )
    encoded = tokenizer("a")["input_ids"]
    if encoded[:1] != [tokenizer.cls_token_id] or encoded[-1:] != [tokenizer.sep_token_id]:
        raise EmocapError(
            f"{folder}: the tokenizer does not place {tokenizer.cls_token} and {tokenizer.sep_token} around a text; "
            'give its class in tokenizer_config.json, for instance "tokenizer_class": "BertTokenizer"'
        )
    unused = vocab_size - 1 - number
    if unused > LARGEST_PADDING:
        logger.warning(
            "%s: the tokenizer has %d tokens, the model's vocabulary %d; check that it is the model's own",
            folder,
            len(ids),
            vocab_size,
        )


def _ids_of_files(folder: Path) -> dict[str, int]:
    """The tokens of the tokenizer's files with their ids, added tokens too."""
    added: dict[str, int] = {}
    path = folder / "tokenizer.json"
    if path.is_file():
        ids = Tokenizer.from_file(str(path)).get_vocab(with_added_tokens=False)
        # Not from `get_vocab`: the library renumbers added tokens if their ids leave a gap.
        added = {token["content"]: token["id"] for token in read_json(path).get("added_tokens", [])}
    else:
        lines = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
        # Readers differ in whether they strip trailing white space.
        ids = {line: number for number, line in enumerate(lines) if line and line == line.rstrip()}
        if (folder / "added_tokens.json").is_file():
            added = read_json(folder / "added_tokens.json")
    return {**ids, **added}
