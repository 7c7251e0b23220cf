"""The commands that write captions for an emotion and order them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from emocap.cli.options import OtherFeaturesOption
from emocap.errors import EmocapError

EmotionOption = Annotated[list[str], typer.Option("--emotion", "-e", help="What people are to feel; may be repeated.")]
AvoidOption = Annotated[list[str] | None, typer.Option("--avoid", help="What they must not feel; may be repeated.")]
CharsOption = Annotated[
    int | None, typer.Option("--max-chars", min=1, help="Characters of a caption, such as 125 for alt text.")
]
ClipOption = Annotated[
    str | None, typer.Option("--clip", metavar="NAME", help="Judge faithfulness by this CLIP-like model.")
]


def caption(
    model: Annotated[Path, typer.Option("--model", help="Run with a captioner, or with --writer any model folder.")],
    image: Annotated[Path, typer.Argument(help="The picture.")],
    emotion: EmotionOption,
    n: Annotated[int, typer.Option("-n", min=1, max=100, help="Captions shown.")] = 5,
    avoid: AvoidOption = None,
    max_chars: CharsOption = None,
    guidance: Annotated[
        float | None,
        typer.Option("--guidance", min=0, max=20, help="Strength of the emotions in writing; 1 as learnt."),
    ] = None,
    strength: Annotated[
        float | None, typer.Option("--strength", min=0, help="Strength of the emotions in ordering; 0 for none.")
    ] = None,
    writer: Annotated[
        str | None, typer.Option("--writer", metavar="NAME", help="Let this image-to-text model write, such as BLIP.")
    ] = None,
    clip: ClipOption = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the draws.")] = 0,
    allow_other_features: OtherFeaturesOption = False,
) -> None:
    """Write captions for a picture that make people feel an emotion, best first.

    Shown are the chance that annotators name the emotion, how likely the caption is for the picture whatever the
    emotion (nats a token), and the caption.

    Example: `emocap caption --model runs/demo-captions dog.jpg --emotion sad --avoid angry --max-chars 125`
    """
    from emocap.api.captioner import EmotionCaptioner, best_of, picture_of

    if writer is None:
        captioner = EmotionCaptioner.from_pretrained(model, allow_other_features=allow_other_features)
        found = captioner.caption(
            image,
            emotion,
            n,
            guidance=guidance,
            strength=strength,
            avoid=avoid or [],
            max_chars=max_chars,
            seed=seed,
            similarity=_similarity(clip),
        )
        _print_ranked(found)
        return
    if guidance is not None:
        raise EmocapError("caption: --guidance is for emocap's own captioner; leave it out with --writer")
    from emocap.captioning.hub_models import ImageToText

    candidates = ImageToText(writer).write(picture_of(image), max(8, 3 * n), seed=seed)
    ranked = _ranked(model, image, candidates, emotion, avoid, max_chars, strength, clip, allow_other_features)
    _print_ranked(best_of(ranked, n))


def rank(
    model: Annotated[Path, typer.Option("--model", help="Model folder, or a run with a captioner.")],
    words: Annotated[
        list[Path],
        typer.Argument(metavar="[IMAGE] CAPTIONS", help="A text file, a caption a line; before it a picture."),
    ],
    emotion: EmotionOption,
    avoid: AvoidOption = None,
    max_chars: CharsOption = None,
    strength: Annotated[
        float | None, typer.Option("--strength", min=0, help="Strength of the emotions against faithfulness.")
    ] = None,
    clip: ClipOption = None,
    allow_other_features: OtherFeaturesOption = False,
) -> None:
    """Order captions that you wrote by what they make people feel; none is changed or left out.

    Example: `emocap rank --model runs/demo/AnB+ dog.jpg captions.txt --emotion hopeful --avoid scared`
    """
    from emocap.files import read_text

    if len(words) > 2:
        raise EmocapError(f"rank takes a picture and a file of captions, found {len(words)} paths")
    captions = [line.removesuffix("\r") for line in read_text(words[-1]).split("\n") if line.strip()]
    if not captions:
        raise EmocapError(f"{words[-1]}: holds no captions; write one a line")
    image = words[0] if len(words) == 2 else None
    _print_ranked(_ranked(model, image, captions, emotion, avoid, max_chars, strength, clip, allow_other_features))


def _ranked(
    model: Path,
    image: Path | None,
    captions: list[str],
    emotion: list[str],
    avoid: list[str] | None,
    max_chars: int | None,
    strength: float | None,
    clip: str | None,
    allow_other: bool,
) -> list[Any]:
    """Captions in order, by a captioner's run or by a classifier's folder."""
    from emocap.api.captioner import EmotionCaptioner, order_captions
    from emocap.api.predictor import EmotionPredictor
    from emocap.captioning.checkpoint import RANKER, find_captioner

    how: dict[str, Any] = {"avoid": avoid or [], "max_chars": max_chars, "similarity": _similarity(clip)}
    place = find_captioner(model)
    if place is not None and image is not None:
        captioner = EmotionCaptioner.from_pretrained(place, allow_other_features=allow_other)
        return captioner.rank(image, captions, emotion, strength=strength, **how)
    classifier = model if place is None else place / RANKER
    predictor = EmotionPredictor.from_pretrained(classifier, allow_other_features=allow_other)
    return order_captions(predictor, image, captions, emotion, strength=1.0 if strength is None else strength, **how)


def _similarity(clip: str | None) -> Any:
    if clip is None:
        return None
    from emocap.captioning.hub_models import ImageTextSimilarity

    return ImageTextSimilarity(clip)


def _print_ranked(ranked: list[Any]) -> None:
    for place, one in enumerate(ranked, 1):
        faithful = "" if one.faithfulness is None else f"  {one.faithfulness:6.2f}"
        remarks = f"  [{'; '.join(one.remarks)}]" if one.remarks else ""
        typer.echo(f"{place:3}  {one.probability:6.1%}{faithful}  {printable(one.caption)}{remarks}")


def printable(text: str) -> str:
    """The text with whatever would steer a terminal escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
