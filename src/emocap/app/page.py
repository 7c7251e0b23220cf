"""The web page: a picture, some captions, and what people are likely to feel; by Gradio, with nothing from elsewhere.

What is shown is HTML of our own, so that it reads well aloud, on a phone and in the dark; Gradio carries the controls.
"""

import base64
import csv
import io
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import gradio as gr
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from gradio import queueing
from markupsafe import Markup

from emocap.api.explanation_file import fragment, style, tinted
from emocap.api.requested_emotions import compromise
from emocap.app.middleware import FAILED, note_fault
from emocap.app.page_guard import page_look
from emocap.app.served_model import Example
from emocap.app.service import Prediction, Service
from emocap.captioning.rerank import Ranked
from emocap.errors import EmocapError
from emocap.html_templates import percent, templates_of

T = TypeVar("T")
BARS = 5
WRITTEN, MOST_CHARACTERS = 5, 10_000
USER = "emocap"
BLUE, DARK_BLUE = "#1d4ed8", "#1e3a8a"  # with white on them in every state
LIKELIEST = "the likeliest"
# Gradio's containers say nothing to a screen reader when their contents change.
SCRIPT = """() => {
  for (const id of ["results", "why", "written"])
    document.getElementById(id)?.setAttribute("aria-live", "polite");
}"""


def build_page(service: Service, folder: Path) -> gr.Blocks:
    """The page for one model.

    Args:
        folder: for the pictures of the examples, which the page shows.
    """
    served, labels = service.served, list(service.served.predictor.labels)
    with gr.Blocks(title="emocap: what will people feel?", analytics_enabled=False, delete_cache=(60, 1800)) as page:
        gr.HTML(_render("head.html", measured=served.measured, n_emotions=len(labels),
                        sees_pictures=served.predictor.sees_pictures))  # fmt: skip
        with gr.Row():
            with gr.Column():
                picture = _picture(served.predictor.sees_pictures)
                captions = gr.Textbox(
                    label=f"Captions, one a line, at most {service.limits.captions}", lines=5, max_lines=20,
                    placeholder="A dog waits at the door, all alone.", elem_id="captions",
                )  # fmt: skip
                wanted = gr.Dropdown(
                    labels, multiselect=True, label="What people are to feel (optional)", elem_id="wanted"
                )
                avoid = gr.Dropdown(
                    labels, multiselect=True, label="What they must not feel (optional)", elem_id="avoid"
                )
                for one in (captions, wanted, avoid):
                    _plain(one)
                ask = gr.Button("Predict", variant="primary", elem_id="ask")
            with gr.Column():
                results = gr.HTML(
                    _render("results.html", cards=[], sees_pictures=served.predictor.sees_pictures), elem_id="results"
                )
        with gr.Accordion("Why? Words and regions that move an emotion", open=False, elem_id="why-part"):
            with gr.Row():
                which = gr.Dropdown([], label="Caption", elem_id="which")
                emotion = gr.Dropdown([LIKELIEST, *labels], value=LIKELIEST, label="Emotion", elem_id="emotion")
            explain = gr.Button("Explain", elem_id="explain")
            for one in (which, emotion):
                _plain(one)
            why = gr.HTML(elem_id="why")
        if served.captioner is not None:
            _add_writing(service, picture, captions, wanted, avoid)
        rows = _example_rows(served.examples, folder)
        examples = gr.Dataset(
            components=[picture, captions, wanted],
            samples=rows,
            samples_per_page=10,
            label="Examples",
            elem_id="examples",
        )

        async def predict(
            image: Path | None, text: str, wish: list[str], shunned: list[str]
        ) -> tuple[str, Any, Any, str]:
            html, order = await _answered(_results(service, image, text, wish or [], shunned or []), ("", []))
            choices = [(f"{place}. {line[:80]}", line) for place, line in enumerate(order, 1)]
            about = wish[0] if order and wish else LIKELIEST
            return html, gr.Dropdown(choices=choices, value=order[0] if order else None), about, ""

        async def tell(image: Path | None, caption: str | None, about: str) -> str:
            (html,) = await _answered(_explained(service, image, caption, None if about == LIKELIEST else about), ("",))
            return html

        private: dict[str, Any] = {"api_visibility": "private"}
        inputs, outputs = [picture, captions, wanted, avoid], [results, which, emotion, why]
        ask.click(predict, inputs, outputs, **private)

        def chosen(number: Any) -> list[Any]:
            if not isinstance(number, int) or not 0 <= number < len(rows):
                raise gr.Error("No such example.", print_exception=False)
            return rows[number]

        # In the browser itself, so that it never comes behind an answer.
        empty = _render("results.html", cards=[], sees_pictures=served.predictor.sees_pictures)
        forget = f"() => [{json.dumps(empty)}, null, {json.dumps(LIKELIEST)}, '']"
        _plain(examples).click(chosen, [examples], [picture, captions, wanted], **private).then(
            predict, inputs, outputs, **private
        )
        for changed in (picture.upload, picture.clear):
            changed(None, None, outputs, js=forget, **private)
        explain.click(tell, [picture, which, emotion], [why], **private)
    return page


def mount_page(
    app: FastAPI, service: Service, folder: Path, key: str | None
) -> tuple[FastAPI, Callable[[str, bytes], None]]:
    """Put the page at `/`, behind everything that the app answers itself; and what refuses a bad request to it.

    Args:
        folder: for files while the server runs.
        key: password of the page's one user, or None.
    """
    examples = folder / "examples"
    examples.mkdir()
    page = build_page(service, examples)
    page.queue(max_size=64, default_concurrency_limit=service.limits.waiting)
    system = ("system-ui", "sans-serif")
    app = gr.mount_gradio_app(
        app,
        page,
        "/",
        auth=None if key is None else (USER, key),
        auth_message=f"User name {USER}, password the server's key." if key is not None else None,
        theme=gr.themes.Base(primary_hue="blue", font=system, font_mono=("ui-monospace", "monospace")).set(
            button_primary_background_fill=BLUE,
            button_primary_background_fill_dark=BLUE,
            button_primary_background_fill_hover=DARK_BLUE,
            button_primary_background_fill_hover_dark=DARK_BLUE,
        ),
        css=(files("emocap.app") / "templates" / "page.css").read_text(encoding="utf-8") + style(),
        js=SCRIPT,
        footer_links=[],
        run_history=False,
        show_error=True,
        ssr_mode=False,
        pwa=False,
        max_file_size=service.limits.bytes,
        allowed_paths=[str(examples)],
    )
    # Gradio looks at whether a file was uploaded only on pages that it launched itself.
    page.has_launched = True
    mounted: Any = app.routes[-1]
    mounted.app.add_exception_handler(Exception, _not_understood)
    queueing.traceback = SimpleNamespace(print_exc=_note_fault)
    pictures = [[isinstance(one, gr.Image) for one in page.fns[number].inputs] for number in sorted(page.fns)]
    return app, page_look(folder, pictures, service.limits.kept)


def _note_fault() -> None:
    """In place of Gradio's printing, whose words may hold what was asked."""
    error = sys.exc_info()[1]
    if isinstance(error, Exception):
        note_fault(error)


async def _not_understood(request: Request, error: Exception) -> Response:
    """What Gradio fails at while it reads a request is the request's fault."""
    reading = request.url.path.startswith(("/gradio_api/upload", "/gradio_api/file="))
    return JSONResponse({"detail": "cannot be read; use the page" if reading else FAILED}, 400 if reading else 500)


def _plain(component: Any) -> Any:
    """Have functions given what came: Gradio's own checks would log what they refuse."""
    component.preprocess = lambda value: value
    return component


def _picture(visible: bool) -> gr.Image:
    """Where a picture is dropped; functions are given the file as it came, not yet decoded."""

    def sent(payload: Any) -> Path | None:
        path = getattr(payload, "path", None)
        return None if path is None else Path(path)

    picture = gr.Image(
        label="Picture", sources=["upload", "clipboard"], height=260, buttons=[], visible=visible, elem_id="picture"
    )
    picture.preprocess = sent  # Gradio's own decodes whatever comes, of any size
    return picture


def _add_writing(service: Service, picture: Any, captions: Any, wanted: Any, avoid: Any) -> None:
    """The part of the page that writes captions."""
    with gr.Accordion("Have captions written", open=False, elem_id="write-part"):
        length = _plain(gr.Number(label="Longest, in characters (125 for alt text)", value=125, precision=0, minimum=1))
        write = gr.Button("Write captions for these emotions", elem_id="write")
        found = gr.HTML(elem_id="written")
        texts = gr.State([])
        take = gr.Button("Put them among my captions", elem_id="take")

    async def written(
        image: Path | None, wish: list[str], shunned: list[str], longest: float | None
    ) -> tuple[str, list[str]]:
        html, texts = await _answered(_written(service, image, wish or [], shunned or [], longest), ("", []))
        return html, texts

    def put(text: str, found: list[str]) -> str:
        have = _lines(text)
        return "\n".join([*have, *(one for one in found if one not in have)][: service.limits.captions])

    write.click(written, [picture, wanted, avoid, length], [found, texts], api_visibility="private")
    take.click(put, [captions, texts], [captions], api_visibility="private")


def _read(image: Path) -> bytes:
    try:
        return image.read_bytes()
    except OSError:
        raise EmocapError("the picture is no longer kept here; drop it again") from None


async def _written(
    service: Service, image: Path | None, wanted: list[str], avoid: list[str], longest: Any
) -> tuple[str, list[str]]:
    if image is None:
        raise EmocapError("no picture to write for; give one")
    if longest is not None and not (isinstance(longest, int | float) and 1 <= longest <= MOST_CHARACTERS):
        raise EmocapError(f"a caption has 1 to {MOST_CHARACTERS:,} characters; say how many")
    most = None if longest is None else int(longest)
    ranked, note = await service.write(_read(image), wanted, WRITTEN, avoid, most)
    return _render("written.html", captions=ranked, wanted=wanted, note=note), [one.caption for one in ranked]


async def _results(
    service: Service, image: Path | None, text: Any, wanted: list[str], avoid: list[str]
) -> tuple[str, list[str]]:
    """What is shown, and the captions in the order shown."""
    lines = _lines(text)
    if not lines:
        raise EmocapError("no captions; write at least one")
    predictions, ranked = await service.judge(None if image is None else _read(image), lines, wanted, avoid)
    labels, frequencies = service.served.predictor.labels, service.served.frequencies
    usual = {} if frequencies is None else dict(zip(labels, frequencies.tolist(), strict=True))
    cards = [
        _card(predictions[one.number], wanted, avoid) | {"probability": one.probability, "remarks": one.remarks}
        for one in ranked
    ]
    notes = [compromise(wanted)] + [
        f"none of these makes {one} likelier than usual, which is {percent(usual[one])}"
        for one in wanted
        if one in usual and all(_chance(prediction, one) < usual[one] for prediction in predictions)
    ]
    html = _render(
        "results.html",
        cards=cards,
        wanted=wanted,
        held=any(one.faithfulness is not None for one in ranked),
        usual=usual,
        notes=list(filter(None, notes)),
        csv=_csv(predictions, ranked, labels, wanted),
    )
    return html, [one.caption for one in ranked]


def _chance(prediction: Prediction, emotion: str) -> float:
    return next(one.probability for one in prediction.emotions if one.emotion == emotion)


def _card(prediction: Prediction, wanted: Sequence[str], avoid: Sequence[str]) -> dict[str, Any]:
    """What is shown of a caption: its likeliest emotions, what is wanted or not, and what stands out unasked."""
    bars = [
        {
            "emotion": one.emotion,
            "probability": one.probability,
            "wanted": one.emotion in wanted,
            "shunned": one.emotion in avoid,
        }
        for place, one in enumerate(prediction.emotions)
        if place < BARS or one.emotion in wanted or one.emotion in avoid
    ]
    return {"caption": prediction.caption, "bars": bars, "unintended": prediction.unintended if wanted else []}


def _csv(
    predictions: Sequence[Prediction], ranked: Sequence[Ranked], labels: Sequence[str], asked: Sequence[str]
) -> str:
    """All probabilities, a row for each caption in the order shown, as base64 of UTF-8 with its mark."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["place", "caption", "wanted", "probability", "remarks", *labels])
    for place, one in enumerate(ranked, 1):
        chance = {found.emotion: found.probability for found in predictions[one.number].emotions}
        wanted = f"{one.probability:.4f}" if asked else ""
        row = [place, one.caption, " and ".join(asked), wanted, "; ".join(one.remarks)]
        writer.writerow([*row, *(f"{chance[label]:.4f}" for label in labels)])
    return base64.b64encode(out.getvalue().encode("utf-8-sig")).decode()


async def _explained(service: Service, image: Path | None, caption: Any, emotion: str | None) -> tuple[str]:
    if not isinstance(caption, str) or not caption:
        raise EmocapError("no caption to explain; press Predict, then choose one")
    found, shown = await service.explain(None if image is None else _read(image), caption, emotion)
    picture = None if shown is None else tinted(shown, found.regions)
    html = Markup(fragment(found, picture))  # noqa: S704  escaped there
    return (_render("why.html", found=found, caption=caption, fragment=html),)


async def _answered(question: Awaitable[T], nothing: T) -> T:
    """The answer; or in place of its first part the one sentence that says why there is none."""
    try:
        return await question
    except EmocapError as error:
        told = " ".join(str(error).split())
    except Exception as error:  # Gradio would print its words, which may hold what was asked
        told = f"something failed here; the server's log has it as {note_fault(error)}"
    sentence = _render("refusal.html", told=told[0].upper() + told[1:])
    return (sentence, *nothing[1:])  # type: ignore[return-value, index]


def _lines(text: Any) -> list[str]:
    """The captions in a box, one a line."""
    return [line.removesuffix("\r") for line in text.split("\n") if line.strip()] if isinstance(text, str) else []


def _example_rows(examples: Sequence[Example], folder: Path) -> list[list[Any]]:
    rows = []
    for example in examples:
        name = None
        if example.image is not None:
            with tempfile.NamedTemporaryFile(suffix=".jpg", dir=folder, delete=False) as file:
                file.write(example.image)
            name = file.name
        rows.append([name, "\n".join(example.captions), [example.emotion]])
    return rows


def _render(name: str, **values: Any) -> str:
    return templates_of("emocap.app").get_template(name).render(**values)
