"""The commands that generate captions for an emotion and rank captions by it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from emocap.cli.checks import Ranker, captioner_labels, check_emotions, check_image, check_style, find_ranker
from emocap.cli.models import chosen_model
from emocap.cli.options import ModelOption, OtherFeaturesOption
from emocap.cli.output import printable
from emocap.cli.remarks import print_ranking_remarks
from emocap.errors import EmocapError
from emocap.progress import logger

EmotionOption = Annotated[
    list[str], typer.Option("--emotion", "-e", help="Target emotion: what people should feel; may be repeated.")
]
OptionalEmotionOption = Annotated[
    list[str] | None,
    typer.Option(
        "--emotion",
        "-e",
        help="Target emotion: what people should feel; may be repeated; without one, ordinary captions.",
    ),
]
AvoidOption = Annotated[
    list[str] | None, typer.Option("--avoid", help="Emotion to avoid: what people should not feel; may be repeated.")
]
CharsOption = Annotated[
    int | None, typer.Option("--max-chars", min=1, help="Maximum characters of a caption, such as 125 for alt text.")
]
ClipOption = Annotated[
    str | None, typer.Option("--clip", metavar="NAME", help="Score faithfulness with this CLIP-like model.")
]


def caption(
    model: Annotated[Path, typer.Option("--model", help="Run with a captioner; with --writer, any model folder.")],
    image: Annotated[Path, typer.Argument(help="The image.")],
    emotion: OptionalEmotionOption = None,
    n: Annotated[int, typer.Option("-n", min=1, max=100, help="Number of captions.")] = 5,
    style: Annotated[
        str | None, typer.Option("--style", help="Style of the captions, such as romantic, if the captioner has it.")
    ] = None,
    avoid: AvoidOption = None,
    max_chars: CharsOption = None,
    guidance: Annotated[
        float | None,
        typer.Option("--guidance", min=0, max=20, help="Guidance scale of the emotions; 1 is as trained."),
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option("--strength", min=0, max=20, help="Weight of the emotions in the ranking; 0 for none."),
    ] = None,
    writer: Annotated[
        str | None,
        typer.Option("--writer", metavar="NAME", help="Generate with this image-to-text model instead, such as BLIP."),
    ] = None,
    clip: ClipOption = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Random seed of the generation.")] = 0,
    allow_other_features: OtherFeaturesOption = False,
) -> None:
    """Generate captions for an image, for an emotion that people should feel or in a style, best first.

    Each line shows the probability that annotators name the emotion, if one is requested, the caption's faithfulness to
    the image (mean log-probability per token without an emotion, in nats), and the caption.

    Example: `emocap caption --model runs/demo-captions dog.jpg --emotion sad --avoid angry --max-chars 125`
    """
    emotions = emotion or []
    _check_options(emotions, style, guidance, strength, writer)
    ranker = Ranker(model, captioner_labels(model), uses_images=True) if writer is None else find_ranker(model)
    check_emotions(ranker.labels, emotions, avoid or [])
    if style is not None:
        check_style(model, style)
    check_image(image)
    from emocap.api.captioner import EmotionCaptioner
    from emocap.api.images import load_image
    from emocap.api.ranking import top_captions

    if writer is None:
        captioner = EmotionCaptioner.from_pretrained(model, allow_other_features=allow_other_features)
        described = _seen_by_captioner(captioner, image, clip)
        ranked = captioner.caption(
            described,
            emotions,
            n,
            style=style,
            guidance=guidance,
            strength=strength,
            avoid=avoid or [],
            max_chars=max_chars,
            seed=seed,
            similarity=_similarity(clip),
        )
        print_ranking_remarks(captioner.ranker, described, [one.caption for one in ranked], emotions)
        _print_ranked(ranked, with_probability=bool(emotions))
        return
    from emocap.captioning.hub_models import ImageToText

    candidates = ImageToText(writer).generate(load_image(image), max(8, 3 * n), seed=seed)
    is_used = ranker.uses_images or clip is not None
    if not is_used:
        logger.warning("caption: the model was trained on captions only, so the image does not count in the ranking")
    shown = image if is_used else None
    ranked = _ranked(ranker.folder, shown, candidates, emotions, avoid, max_chars, strength, clip, allow_other_features)
    _print_ranked(top_captions(ranked, n))


def _check_options(
    emotions: list[str], style: str | None, guidance: float | None, strength: float | None, writer: str | None
) -> None:
    """Check that no option of `caption` is given for what another one leaves out."""
    if writer is not None and (guidance is not None or style is not None):
        option = "--style" if guidance is None else "--guidance"
        raise EmocapError(f"caption: {option} is for emocap's own captioner; leave it out with --writer")
    if not emotions and writer is not None:
        raise EmocapError("caption: --writer's captions are ranked by an emotion; name one with --emotion")
    if not emotions and (guidance is not None or strength is not None):
        option = "--strength" if guidance is None else "--guidance"
        raise EmocapError(f"caption: {option} is for emotions; name one with --emotion, or leave it out")


def rank(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="[IMAGE] CAPTIONS", help="A text file, one caption per line; before it the image."),
    ],
    emotion: EmotionOption,
    model: ModelOption = None,
    avoid: AvoidOption = None,
    max_chars: CharsOption = None,
    strength: Annotated[
        float | None, typer.Option("--strength", min=0, max=20, help="Weight of the emotions against faithfulness.")
    ] = None,
    clip: ClipOption = None,
    allow_other_features: OtherFeaturesOption = False,
) -> None:
    """Rank your own captions by what they make people feel; none is changed or left out.

    Example: `emocap rank dog.jpg captions.txt --emotion hopeful --avoid scared`
    """
    from emocap.files import read_text

    if len(paths) > 2:
        raise EmocapError(f"rank takes an image and a file of captions, found {len(paths)} paths")
    captions = [line.removesuffix("\r") for line in read_text(paths[-1]).split("\n") if line.strip()]
    if not captions:
        raise EmocapError(f"{paths[-1]}: holds no captions; write one per line")
    image = paths[0] if len(paths) == 2 else None
    ranker = find_ranker(chosen_model(model, reads_images=image is not None))
    check_emotions(ranker.labels, emotion, avoid or [])
    if image is not None:
        check_image(image)
        if clip is None and not ranker.uses_images:
            from emocap.api.model_folders import image_refused

            raise EmocapError(image_refused(ranker.folder))
    _print_ranked(
        _ranked(ranker.folder, image, captions, emotion, avoid, max_chars, strength, clip, allow_other_features)
    )


def _ranked(
    model: Path,
    image: Path | None,
    captions: list[str],
    emotion: list[str],
    avoid: list[str] | None,
    max_chars: int | None,
    strength: float | None,
    clip: str | None,
    allow_other_features: bool,
) -> list[Any]:
    """Captions ranked by the captioner of a run where there is one and an image, else by the classifier.

    Remarks on the model, the image and all captions together are printed.
    """
    from emocap.api.captioner import EmotionCaptioner
    from emocap.api.predictor import EmotionPredictor
    from emocap.api.ranking import rank_captions
    from emocap.captioning.checkpoint import RANKER, find_captioner

    options: dict[str, Any] = {"avoid": avoid or [], "max_chars": max_chars, "similarity": _similarity(clip)}
    folder = find_captioner(model)
    if folder is not None and image is not None:
        captioner = EmotionCaptioner.from_pretrained(folder, allow_other_features=allow_other_features)
        described = _seen_by_captioner(captioner, image, clip)
        ranked = captioner.rank(described, captions, emotion, strength=strength, **options)
        print_ranking_remarks(captioner.ranker, described, captions, emotion)
        return ranked
    classifier = model if folder is None else folder / RANKER
    predictor = EmotionPredictor.from_pretrained(classifier, allow_other_features=allow_other_features)
    strength = 1.0 if strength is None else strength
    described = None if image is None else _described(predictor, image, clip)
    ranked = rank_captions(predictor, described, captions, emotion, strength=strength, **options)
    print_ranking_remarks(predictor, described, captions, emotion)
    return ranked


def _described(predictor: Any, image: Path, clip: str | None) -> Any:
    """The regions of an image, so that they are found once; the image itself for a CLIP-like model that looks at it."""
    return predictor.regions([image])[0] if clip is None and predictor.uses_images else image


def _seen_by_captioner(captioner: Any, image: Path, clip: str | None) -> Any:
    """As `_described`; says that an image has a single colour, which its regions do not tell a captioner."""
    from emocap.api.images import UNIFORM_IMAGE, is_uniform, load_image

    if clip is None and is_uniform(load_image(image)):
        logger.warning(UNIFORM_IMAGE)
    return _described(captioner.ranker, image, clip)


def _similarity(clip: str | None) -> Any:
    if clip is None:
        return None
    from emocap.captioning.hub_models import ImageTextSimilarity

    return ImageTextSimilarity(clip)


def _print_ranked(ranked: list[Any], *, with_probability: bool = True) -> None:
    """Print captions, best first; without a target emotion there is no probability to show."""
    for place, candidate in enumerate(ranked, 1):
        probability = f"  {candidate.probability:6.1%}" if with_probability else ""
        faithfulness = "" if candidate.faithfulness is None else f"  {candidate.faithfulness:6.2f}"
        remarks = f"  [{'; '.join(candidate.remarks)}]" if candidate.remarks else ""
        typer.echo(f"{place:3}{probability}{faithfulness}  {printable(candidate.caption)}{remarks}")
