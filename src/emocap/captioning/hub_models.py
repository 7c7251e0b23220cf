"""Models from the Hugging Face hub: image-to-text models that generate captions, and image-text similarity models.

BLIP (Li et al. 2022, arXiv 2201.12086), GIT (Wang et al. 2022, arXiv 2205.14100) and vision-language chat models
generate; CLIP (Radford et al. 2021, arXiv 2103.00020) and similar models compare. Code in a repository is never run.
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
REQUEST = "Write one short caption for this image."


class ImageToText:
    """A model that generates captions.

    Args:
        name: on the hub, or a local folder.

    Raises:
        EmocapError: unavailable, or does not generate text for an image.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._processor, self._model = _load(name, AutoModelForImageTextToText, "generates text for an image")
        self._device = best_device()
        self._model.to(self._device).eval()

    @torch.inference_mode()
    def generate(self, image: Image.Image, n: int, *, max_new_tokens: int = 40, seed: int = 0) -> list[str]:
        """At most n distinct captions by nucleus sampling with p = 0.9.

        Raises:
            EmocapError: the model fails on this image.
        """
        inputs = self._inputs(image)
        prompt_length = inputs["input_ids"].shape[1] if self._is_chat else 0
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
                raise EmocapError(
                    f"{self._name}: cannot generate a caption ({reason}); use a different model"
                ) from error
        texts = self._processor.batch_decode(ids[:, prompt_length:], skip_special_tokens=True)
        return [text for text in dict.fromkeys(" ".join(text.split()) for text in texts) if text]

    @property
    def _is_chat(self) -> bool:
        return getattr(self._processor, "chat_template", None) is not None

    def _inputs(self, image: Image.Image) -> dict[str, Any]:
        if self._is_chat:
            content = [{"type": "image", "image": image}, {"type": "text", "text": REQUEST}]
            inputs = self._processor.apply_chat_template(
                [{"role": "user", "content": content}],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
            )
        else:
            inputs = self._processor(images=image, return_tensors="pt")
        return {key: value.to(self._device) for key, value in inputs.items()}


class ImageTextSimilarity:
    """A model that compares texts with an image.

    Args:
        name: on the hub, or a local folder.

    Raises:
        EmocapError: unavailable, or computes no similarity.
    """

    def __init__(self, name: str) -> None:
        self._processor, self._model = _load(name, AutoModel, "compares texts with images")
        if not hasattr(self._model, "get_image_features") or not hasattr(self._model, "get_text_features"):
            raise EmocapError(f"{name}: does not compare texts with images; give a model such as CLIP or SigLIP")
        self._device = best_device()
        self._model.to(self._device).eval()

    @torch.inference_mode()
    def __call__(self, image: Image.Image, captions: Sequence[str]) -> np.ndarray:
        """(N,) log-odds up to a common constant: cosine similarity times the model's scale; captions are truncated."""
        pixels = self._processor(images=image, return_tensors="pt")["pixel_values"].to(self._device)
        # SigLIP pools the last position, whatever its token, and was trained with padding to the full length.
        padding = "max_length" if "siglip" in self._model.config.model_type else True
        encoded = self._processor(text=list(captions), return_tensors="pt", padding=padding, truncation=True)
        image_vector = _vector(self._model.get_image_features(pixel_values=pixels))
        inputs = {key: encoded[key].to(self._device) for key in ("input_ids", "attention_mask") if key in encoded}
        text_vectors = _vector(self._model.get_text_features(**inputs))
        scale = getattr(self._model, "logit_scale", torch.tensor(LOGIT_SCALE)).exp()
        return (
            (scale * torch.nn.functional.cosine_similarity(text_vectors, image_vector)).cpu().numpy().astype(np.float64)
        )


def _vector(features: Any) -> torch.Tensor:
    return features if isinstance(features, torch.Tensor) else features.pooler_output


def _load(name: str, auto_class: Any, ability: str) -> tuple[Any, Any]:
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    folder = Path(name) if Path(name).is_dir() else snapshot(name, FILES)
    options = {"trust_remote_code": False, "local_files_only": True}
    try:
        processor = AutoProcessor.from_pretrained(str(folder), **options)
        model, info = auto_class.from_pretrained(str(folder), use_safetensors=True, output_loading_info=True, **options)
    except Exception as error:  # transformers passes on any exception of the hub or of a damaged file
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise EmocapError(
            f"{name}: not a model that {ability} ({reason}); give the name of an available model, or a folder"
        ) from error
    if missing := sorted(info["missing_keys"]):
        raise EmocapError(f"{name}: not a model that {ability}: it lacks {len(missing)} weights, such as {missing[0]}")
    return processor, model
