"""Models of others, from transformers: any that writes a caption for a picture, any that compares texts with one.

BLIP (Li et al. 2022, arXiv 2201.12086), GIT (Wang et al. 2022, arXiv 2205.14100) and chat models with eyes write;
CLIP (Radford et al. 2021, arXiv 2103.00020) and its kin compare. Nothing that a repository brings is run as code.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoModel, AutoModelForImageTextToText, AutoProcessor
from transformers.utils import logging

from emocap.devices import best_device
from emocap.errors import EmocapError
from emocap.weights import snapshot

FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")
LOGIT_SCALE = 4.6  # ln 100, where CLIP's training ends
REQUEST = "Write one short caption for this picture."


class ImageToText:
    """A model that writes captions.

    Args:
        name: on the hub, or a local folder.

    Raises:
        EmocapError: it is not to be had, or does not write text for a picture.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._processor, self._model = _load(name, AutoModelForImageTextToText, "writes text for a picture")
        self._device = best_device()
        self._model.to(self._device).eval()

    @torch.inference_mode()
    def write(self, image: Image.Image, n: int, *, max_new_tokens: int = 40, seed: int = 0) -> list[str]:
        """At most n different captions, drawn from the likeliest words that hold 0.9 of the probability.

        Raises:
            EmocapError: the model cannot write for this picture.
        """
        inputs = self._inputs(image)
        asked = inputs["input_ids"].shape[1] if self._is_chat else 0
        with torch.random.fork_rng(devices=[self._device] if self._device.type == "cuda" else []):
            torch.manual_seed(seed)
            try:
                ids = self._model.generate(
                    **inputs,
                    do_sample=True,
                    top_p=0.9,
                    top_k=0,
                    temperature=1.0,
                    num_beams=1,
                    num_return_sequences=n,
                    max_new_tokens=max_new_tokens,
                )
            except (IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise EmocapError(f"{self._name}: cannot write for a picture ({reason}); take another model") from error
        texts = self._processor.batch_decode(ids[:, asked:], skip_special_tokens=True)
        return [text for text in dict.fromkeys(" ".join(text.split()) for text in texts) if text]

    @property
    def _is_chat(self) -> bool:
        return getattr(self._processor, "chat_template", None) is not None

    def _inputs(self, image: Image.Image) -> dict[str, Any]:
        if self._is_chat:
            content = [{"type": "image", "image": image}, {"type": "text", "text": REQUEST}]
            found = self._processor.apply_chat_template(
                [{"role": "user", "content": content}],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
            )
        else:
            found = self._processor(images=image, return_tensors="pt")
        return {key: value.to(self._device) for key, value in found.items()}


class ImageTextSimilarity:
    """A model that compares texts with a picture.

    Args:
        name: on the hub, or a local folder.

    Raises:
        EmocapError: it is not to be had, or gives no similarity.
    """

    def __init__(self, name: str) -> None:
        self._processor, self._model = _load(name, AutoModel, "compares texts with pictures")
        if not hasattr(self._model, "get_image_features") or not hasattr(self._model, "get_text_features"):
            raise EmocapError(f"{name}: does not compare texts with pictures; give a model such as CLIP or SigLIP")
        self._device = best_device()
        self._model.to(self._device).eval()

    @torch.inference_mode()
    def __call__(self, image: Image.Image, captions: Sequence[str]) -> np.ndarray:
        """(N,) log-odds, up to one number for all: cosines times the model's own scale; long captions are cut."""
        pixels = self._processor(images=image, return_tensors="pt")["pixel_values"].to(self._device)
        # SigLIP reads a caption's last place, whatever stands there, and learnt that with padding up to there.
        padding = "max_length" if "siglip" in self._model.config.model_type else True
        words = self._processor(text=list(captions), return_tensors="pt", padding=padding, truncation=True)
        seen = _vector(self._model.get_image_features(pixel_values=pixels))
        given = {key: words[key].to(self._device) for key in ("input_ids", "attention_mask") if key in words}
        told = _vector(self._model.get_text_features(**given))
        scale = getattr(self._model, "logit_scale", torch.tensor(LOGIT_SCALE)).exp()
        return (scale * torch.nn.functional.cosine_similarity(told, seen)).cpu().numpy().astype(np.float64)


def _vector(features: Any) -> torch.Tensor:
    return features if isinstance(features, torch.Tensor) else features.pooler_output


def _load(name: str, kind: Any, what: str) -> tuple[Any, Any]:
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    folder = Path(name) if Path(name).is_dir() else snapshot(name, FILES)
    how = {"trust_remote_code": False, "local_files_only": True}
    try:
        processor = AutoProcessor.from_pretrained(str(folder), **how)
        model, found = kind.from_pretrained(str(folder), use_safetensors=True, output_loading_info=True, **how)
    except Exception as error:  # the library lets whatever a hub or a damaged file causes through
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise EmocapError(
            f"{name}: no model that {what} ({reason}); give a name on the hub that can be reached, or a folder"
        ) from error
    if missing := sorted(found["missing_keys"]):
        raise EmocapError(f"{name}: no model that {what}: it lacks {len(missing)} weights, such as {missing[0]}")
    return processor, model
