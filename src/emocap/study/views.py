"""The views of the modality ablation: what a model is shown of each test pair, with the names that a figure uses."""

VIEWS = {
    "both": "image and caption",
    "caption_only": "caption only",
    "image_only": "image only",
    "other_image": "another pair’s image",
    "other_caption": "another pair’s caption",
}
