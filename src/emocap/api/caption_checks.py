"""Checks of captions that users give: errors for unusable ones, warnings for those that a model may misread."""

import re
import unicodedata
from typing import Any

from emocap.corpora.pairs_builder import is_text
from emocap.errors import EmocapError

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def check_caption(caption: str, where: str = "", *, may_be_empty: bool = False) -> None:
    """Refuse a caption that cannot be scored.

    Args:
        may_be_empty: whether there is an image, which can be scored alone.

    Raises:
        EmocapError: it is empty or not Unicode text.
    """
    if not isinstance(caption, str) or not (caption.strip() or may_be_empty):
        raise EmocapError(f"{where}the caption is empty; give some text")
    if not is_text(caption):
        raise EmocapError(f"{where}the caption is not Unicode text; give it in UTF-8")


def warnings_for(caption: str, tokenizer: Any, max_length: int) -> list[tuple[str, str]]:
    """Code and text of each reason why a model may misread a caption, as in `emocap.api.remarks`.

    Args:
        tokenizer: must not be set to truncate.
        max_length: tokens that the model reads, special ones included.
    """
    warnings = []
    if _CONTROL.search(caption):
        warnings.append(("control_characters", "the caption contains control characters"))
    if not any(letter.isalnum() for letter in caption):
        warnings.append(("no_words", "the caption contains no words"))
    ids = tokenizer(caption, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
    if len(ids) > max_length - 2:
        warnings.append(("truncated", "the caption is truncated: only its beginning is scored"))
    scripts = {unicodedata.name(letter, "?").split()[0] for letter in caption if letter.isalpha()}
    if 2 * ids.count(tokenizer.unk_token_id) > len(ids) or (scripts and "LATIN" not in scripts):
        warnings.append(("unknown_words", "the caption consists mostly of words that the model does not know"))
    return warnings
