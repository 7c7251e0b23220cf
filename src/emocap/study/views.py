"""The views of the modality ablation: what a model is shown of each test pair, with the names that a figure uses."""

VIEWS = {
    "both": "image and caption",
    "caption_only": "caption only",
    "image_only": "image only",
    "other_image": "another pair’s image",
    "other_caption": "another pair’s caption",
}
WITHOUT_CAPTIONS = {"both": "image", "other_image": VIEWS["other_image"]}  # where no pair has one


def views_of(*, has_captions: bool) -> dict[str, str]:
    """The views of pairs of which any, or none, has a caption.

    >>> list(views_of(has_captions=False))
    ['both', 'other_image']
    """
    return VIEWS if has_captions else WITHOUT_CAPTIONS
