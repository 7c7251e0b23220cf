"""The layout of the page, and which action each button runs.

Results are HTML of our own, for screen readers, phones and dark mode; Gradio provides the input elements.
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from emocap.app import page_actions
from emocap.app.examples import Example
from emocap.app.page_actions import caption_lines, or_error
from emocap.app.page_html import IMAGE_ALONE, empty_html, intro_html
from emocap.app.service import Service

MOST_LIKELY = "most likely"
NO_STYLE = ("none", "")  # the label and the value
PRIVATE: dict[str, Any] = {"api_visibility": "private"}


def build_page(service: Service, folder: Path) -> gr.Blocks:
    """The page for one model.

    Args:
        folder: for the images of the examples.
    """
    served = service.served
    explained = [*served.predictor.labels, *served.predictor.ratings]
    with gr.Blocks(title="emocap: what will people feel?", analytics_enabled=False, delete_cache=(60, 1800)) as page:
        gr.HTML(intro_html(served))
        with gr.Row():
            with gr.Column():
                inputs = _inputs(service)
                button = gr.Button("Predict", variant="primary", elem_id="predict")
            with gr.Column():
                results = gr.HTML(empty_html(served), elem_id="results")
        image, captions, targets, avoid = inputs
        outputs = [results, *_add_explanation(service, image, explained)]
        if served.captioner is not None:
            _add_generation(service, image, captions, targets, avoid)
        rows = _example_rows(served.examples, folder)
        examples = gr.Dataset(
            components=[image, captions, targets],
            samples=rows,
            samples_per_page=10,
            label="Examples",
            elem_id="examples",
        )
        _connect(service, inputs, outputs, button, examples, rows)
    return page


def _inputs(service: Service) -> list[Any]:
    """The image, the captions, the target emotions and the emotions to avoid."""
    predictor = service.served.predictor
    captions = gr.Textbox(
        label=f"Captions, one per line, at most {service.limits.captions}"
        + ("; none to predict for the image alone" if predictor.uses_images else ""),
        lines=5,
        max_lines=20,
        placeholder="A dog waits at the door, all alone.",
        elem_id="captions",
        render=False,
    )
    labels = list(predictor.labels)
    chosen: dict[str, Any] = {"choices": labels, "multiselect": True, "visible": bool(labels), "render": False}
    targets = gr.Dropdown(label="Target emotions (optional)", elem_id="targets", **chosen)
    avoid = gr.Dropdown(label="Emotions to avoid (optional)", elem_id="avoid", **chosen)
    inputs = [_image_input(predictor.uses_images), *map(_raw, (captions, targets, avoid))]
    for component in inputs[1:]:
        component.render()
    return inputs


def _image_input(visible: bool) -> gr.Image:
    """Where an image is uploaded; actions get the path of the file, not decoded."""

    def path_of(payload: Any) -> Path | None:
        path = getattr(payload, "path", None)
        return None if path is None else Path(path)

    image = gr.Image(
        label="Image", sources=["upload", "clipboard"], height=260, buttons=[], visible=visible, elem_id="image"
    )
    image.preprocess = path_of  # Gradio's own decodes images of any size
    return image


def _raw(component: Any) -> Any:
    """Pass a component's value on unchecked: Gradio's own checks would log the values that they reject."""
    component.preprocess = lambda value: value
    return component


def _add_explanation(service: Service, image: Any, names: list[str]) -> list[Any]:
    """Add the part that explains a prediction; returns the components of its caption, its emotion and its output.

    Args:
        names: of the emotions and ratings that can be explained.
    """
    predictor, default = service.served.predictor, _default_explained(service)
    kinds = [*(["emotion"] if predictor.labels else []), *(["rating"] if predictor.ratings else [])]
    title = f"Explanation: words and regions that raise or lower an {' or '.join(kinds)}".replace(
        "an rating", "a rating"
    )
    with gr.Accordion(title, open=False):
        with gr.Row():
            caption = _raw(gr.Dropdown([], label="Caption", elem_id="explained-caption"))
            choices = list(dict.fromkeys([default, *names]))
            label = " or ".join(kinds).capitalize()
            emotion = _raw(gr.Dropdown(choices, value=default, label=label, elem_id="explained-emotion"))
        button = gr.Button("Explain", elem_id="explain")
        output = gr.HTML(elem_id="explanation")

    async def explain(image: Path | None, caption: str | None, emotion: str) -> str:
        action = page_actions.explain(service, image, caption, None if emotion == MOST_LIKELY else emotion)
        (html,) = await or_error(action, ("",))
        return html

    button.click(explain, [image, caption, emotion], [output], **PRIVATE)
    return [caption, emotion, output]


def _default_explained(service: Service) -> str:
    """What the explanation's dropdown shows first: the most likely emotion; without emotions the first rating."""
    predictor = service.served.predictor
    return MOST_LIKELY if predictor.labels else next(iter(predictor.ratings))


def _add_generation(service: Service, image: Any, captions: Any, targets: Any, avoid: Any) -> None:
    """Add the part that generates captions."""
    styles = service.served.styles
    choices = [NO_STYLE, *((style, style) for style in styles)]
    with gr.Accordion("Caption generator", open=False):
        style = _raw(gr.Dropdown(choices, value="", label="Style", visible=bool(styles), elem_id="style"))
        max_chars = _raw(gr.Number(label="Maximum characters (125 for alt text)", value=125, precision=0, minimum=1))
        button = gr.Button("Generate captions", elem_id="generate")
        output = gr.HTML(elem_id="generated")
        generated = gr.State([])
        add_button = gr.Button("Add to my captions", elem_id="add-captions")

    async def generate(
        image: Path | None, targets: list[str], avoid: list[str], style: str | None, max_chars: float | None
    ) -> tuple[str, list[str]]:
        action = page_actions.generate(service, image, targets or [], avoid or [], style or None, max_chars)
        html, texts = await or_error(action, ("", []))
        return html, texts

    def add(text: str, generated: list[str]) -> str:
        lines = caption_lines(text)
        lines += [caption for caption in generated if caption not in lines]
        return "\n".join(lines[: service.limits.captions])

    button.click(generate, [image, targets, avoid, style, max_chars], [output, generated], **PRIVATE)
    add_button.click(add, [captions, generated], [captions], **PRIVATE)


def _connect(
    service: Service, inputs: list[Any], outputs: list[Any], button: Any, examples: Any, rows: list[list[Any]]
) -> None:
    """Connect the Predict button, the examples and the image.

    Args:
        inputs: image, captions, target emotions and emotions to avoid.
        outputs: predictions, and the explanation's caption, emotion and output.
        rows: values of the first three inputs for each example.
    """

    default = _default_explained(service)

    async def predict(image: Path | None, text: str, targets: list[str], avoid: list[str]) -> tuple[str, Any, Any, str]:
        action = page_actions.predict(service, image, text, targets or [], avoid or [])
        html, ranked = await or_error(action, ("", []))
        choices = [(f"{place}. {caption[:80] or IMAGE_ALONE}", caption) for place, caption in enumerate(ranked, 1)]
        emotion = targets[0] if ranked and targets else default
        return html, gr.Dropdown(choices=choices, value=ranked[0] if ranked else None), emotion, ""

    def fill_in(number: Any) -> list[Any]:
        if not isinstance(number, int) or not 0 <= number < len(rows):
            raise gr.Error("No such example.", print_exception=False)
        return rows[number]

    button.click(predict, inputs, outputs, **PRIVATE)
    _raw(examples).click(fill_in, [examples], inputs[:3], **PRIVATE).then(predict, inputs, outputs, **PRIVATE)
    # In the browser, so that it cannot overwrite the results of a later request.
    reset = f"() => [{json.dumps(empty_html(service.served))}, null, {json.dumps(default)}, '']"
    image = inputs[0]
    for event in (image.upload, image.clear):
        event(None, None, outputs, js=reset, **PRIVATE)


def _example_rows(examples: Sequence[Example], folder: Path) -> list[list[Any]]:
    rows = []
    for example in examples:
        path = None
        if example.image is not None:
            with tempfile.NamedTemporaryFile(suffix=".jpg", dir=folder, delete=False) as file:
                file.write(example.image)
            path = file.name
        rows.append([path, "\n".join(example.captions), [] if example.emotion is None else [example.emotion]])
    return rows
