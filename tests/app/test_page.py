"""The page in Chromium: desktop and phone, light and dark, mouse and keyboard."""

import base64
import csv
import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from .process import Server

SCREENSHOTS = Path("build") / "screenshots"
NAMED = os.environ.get("EMOCAP_CHROMIUM")
CHROMIUM = NAMED or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
EXPLANATION = "Explanation: words and regions that raise or lower an emotion"
CAPTIONS = ["the child celebrates at home", "lost lost storm", "a dog sits"]
SIZES = {"desktop": (1280, 900), "phone": (390, 844), "narrow": (320, 700)}
# Drops a file onto the image, as a mouse would.
DROP = """([element, name, data]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, {type: "image/png"}));
  element.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
}"""

SETTLED = """() => Promise.all(document.getAnimations()
  .filter((animation) => Number.isFinite(animation.effect.getComputedTiming().endTime))
  .map((animation) => animation.finished.catch(() => {})))"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium; install it, or name it in EMOCAP_CHROMIUM")


@pytest.fixture(scope="module")
def server(run, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("page"), run, forked=False)
    yield server
    assert server.stop() == 0
    assert list(server.temporary.iterdir()) == []
    assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser, server):
    """Opens the page: `opened("phone", "dark")`; a request to another host or an error of a script is a failure."""
    foreign_urls: list[str] = []
    errors: list[str] = []

    def begin(size: str = "desktop", scheme: str = "light") -> Page:
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        context.set_default_timeout(30_000)
        page = context.new_page()
        own = f"http://127.0.0.1:{server.port}/"
        page.on(
            "request",
            lambda request: (
                foreign_urls.append(request.url) if not request.url.startswith((own, "data:", "blob:")) else None
            ),
        )
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(own)
        expect(page.get_by_role("button", name="Predict", exact=True)).to_be_visible()
        return page

    yield begin
    for context in browser.contexts:
        context.close()
    assert foreign_urls == []
    assert errors == []


def png(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def upload(page: Page, data: bytes) -> None:
    """Choose a file as the image."""
    page.locator("#image input[type=file]").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": data})


def choose(page: Page, label: str, emotion: str) -> None:
    page.get_by_label(label).click()
    page.keyboard.type(emotion)
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")


def require_accessible(page: Page) -> None:
    """No violation that axe calls serious or critical, once all animations have ended."""
    page.evaluate(SETTLED)
    violations = [
        (violation["id"], [node["html"][:200] for node in violation["nodes"]])
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
    assert violations == []


def require_no_horizontal_scroll(page: Page, size: str) -> None:
    """The page is no wider than the window."""
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]


@pytest.mark.parametrize(
    ("size", "scheme"), [("desktop", "light"), ("desktop", "dark"), ("phone", "light"), ("phone", "dark")]
)
def test_ranks_captions_and_explains_the_best(opened, loaded, size, scheme) -> None:
    page = opened(size, scheme)
    require_accessible(page)
    intro = page.locator("header").inner_text()
    assert "what an audience may feel about the content, not what a person in the image feels" in intro
    assert "234 test pairs of 200 images" in intro
    assert (
        "mean average precision 0.400 (95% interval 0.350 to 0.450). The baseline that the validation pairs chose, "
        "vectors, has 0.500" in intro
    )
    assert "80% of them (95% interval 75% to 85%)" in intro
    assert "reaches 70%" in intro
    assert "trained on captions in English" in intro
    beaten = page.locator("#beaten")
    expect(beaten).to_be_in_viewport()
    expect(beaten).to_contain_text("AnB+ is worse than vectors by mAP on 234 test pairs of 200 images")
    expect(page.locator("header")).to_contain_text("The model was trained on drawn scenes")

    drop_zone = page.locator("#image button").first
    page.evaluate(DROP, [drop_zone.element_handle(), "dog.png", base64.b64encode(png()).decode()])
    expect(page.locator("#image img")).to_be_visible()
    page.get_by_label("Captions, one per line").fill("\n".join(CAPTIONS))
    choose(page, "Target emotions", "sad")
    page.get_by_role("button", name="Predict", exact=True).click()

    cards = page.locator("#results .ec-card")
    expect(cards).to_have_count(3)
    ranked = loaded.captioner.rank(png(), CAPTIONS, ["sad"])
    assert cards.locator("h3").all_inner_texts() == [candidate.caption for candidate in ranked]
    best = cards.first
    expected = {
        entry.emotion: f"{100 * entry.probability:.0f}%" for entry in loaded.predictor.predict(png(), ranked[0].caption)
    }
    names = [name.split()[0] for name in best.locator(".ec-name").all_inner_texts()]
    assert dict(zip(names, best.locator(".ec-value").all_inner_texts(), strict=True)) == expected
    wide = best.locator(".ec-target .ec-fill").evaluate("bar => bar.getBoundingClientRect().width")
    track = best.locator(".ec-target .ec-track").evaluate("bar => bar.getBoundingClientRect().width")
    assert f"{100 * wide / track:.0f}%" == expected["sad"]
    assert page.locator("#results").get_attribute("aria-live") == "polite"

    page.get_by_role("button", name=EXPLANATION).click()
    page.get_by_role("button", name="Explain", exact=True).click()
    expect(page.locator("#explanation .ec-words li")).to_have_count(len(ranked[0].caption.split()))
    expect(page.locator("#explanation img")).to_be_visible()
    assert page.locator("#explanation h2").inner_text().startswith("sad: ")
    assert page.get_by_label("Caption", exact=True).input_value() == f"1. {ranked[0].caption}"
    require_accessible(page)
    require_no_horizontal_scroll(page, size)
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download all probabilities as CSV").click()
    assert waiting.value.suggested_filename == "emocap.csv"
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{size}-{scheme}.png", full_page=True)

    page.locator("#examples tbody tr").nth(1).locator("td").nth(1).click()
    expect(page.locator("#explanation .ec-words")).to_have_count(0)
    expect(cards.first.locator("h3")).not_to_have_text(ranked[0].caption)
    require_no_horizontal_scroll(page, size)


def test_downloaded_csv_has_every_probability(opened, loaded, tmp_path) -> None:
    page = opened()
    formula = '=1+1, "quoted"; ünïcode'
    page.get_by_label("Captions, one per line").fill("\n".join([*CAPTIONS, formula]))
    page.get_by_role("button", name="Predict", exact=True).click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download all probabilities as CSV").click()
    waiting.value.save_as(tmp_path / "emocap.csv")
    with (tmp_path / "emocap.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["caption"] for row in rows] == [*CAPTIONS, formula]
    for row in rows:
        for entry in loaded.predictor.predict(None, row["caption"]):
            assert float(row[entry.emotion]) == pytest.approx(entry.probability, abs=1e-4)


def test_example_fills_inputs_and_is_predicted(opened) -> None:
    page = opened()
    page.locator("#examples tbody tr").nth(1).locator("td").nth(1).click()
    expect(page.locator("#results .ec-card")).to_have_count(3)
    expect(page.locator("#image img")).to_be_visible()
    assert len(page.get_by_label("Captions, one per line").input_value().splitlines()) == 3


def test_remarks_on_emotions_to_avoid_without_targets(opened, loaded) -> None:
    page = opened()
    page.get_by_label("Captions, one per line").fill("\n".join(CAPTIONS))
    evoked = loaded.predictor.predict(None, CAPTIONS[1])[0].emotion
    choose(page, "Emotions to avoid", evoked)
    page.get_by_role("button", name="Predict", exact=True).click()
    cards = page.locator("#results .ec-card")
    expect(cards).to_have_count(3)
    assert cards.locator("h3").all_inner_texts() == CAPTIONS
    assert f"Evokes {evoked}." in cards.nth(1).inner_text()
    assert cards.locator(".ec-avoided .ec-name").first.inner_text().startswith(evoked)


def test_generated_captions_are_added_to_mine(opened) -> None:
    page = opened()
    upload(page, png())
    expect(page.locator("#image img")).to_be_visible()
    choose(page, "Target emotions", "awe")
    page.get_by_role("button", name="Caption generator").click()
    page.get_by_role("button", name="Generate captions", exact=True).click()
    generated = page.locator("#generated h3")
    expect(generated.first).to_be_visible()
    texts = generated.all_inner_texts()
    require_accessible(page)
    page.get_by_role("button", name="Add to my captions").click()
    expect(page.get_by_label("Captions, one per line")).to_have_value("\n".join(texts))


def test_captions_are_generated_in_a_style(opened) -> None:
    page = opened()
    upload(page, png())
    expect(page.locator("#image img")).to_be_visible()
    page.get_by_role("button", name="Caption generator").click()
    style = page.get_by_label("Style")
    expect(style).to_have_value("none")
    button, heading = page.get_by_role("button", name="Generate captions", exact=True), page.locator("#generated h2")
    button.click()
    expect(heading).to_have_text("Generated without a target emotion")
    style.click()
    page.get_by_role("option", name="humorous").click()
    button.click()
    expect(heading).to_have_text("Generated without a target emotion, in the style humorous")
    assert "%" not in page.locator("#generated").inner_text()
    require_accessible(page)
    style.click()
    page.get_by_role("option", name="none").click()
    button.click()
    expect(heading).to_have_text("Generated without a target emotion")


def test_page_works_by_keyboard_alone(opened) -> None:
    page = opened()

    def reach(selector: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate(f"document.activeElement.matches('{selector}')"):
                return
        raise AssertionError(f"Tab does not reach {selector}")

    reach("#captions textarea")
    page.keyboard.type("a dog sits")
    reach("#targets input")
    page.keyboard.type("awe")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    reach("#predict")
    page.keyboard.press("Enter")
    expect(page.locator("#results .ec-card")).to_have_count(1)
    assert "awe" in page.locator("#results .ec-target").inner_text()
    reach("#results a")


def test_errors_are_one_sentence_and_inputs_stay(opened) -> None:
    page = opened()
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.get_by_text("No captions; write at least one.")).to_be_visible()
    box = page.get_by_label("Captions, one per line")
    box.fill("\n".join(["a dog"] * 21))
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.get_by_text("21 captions, expected at most 20")).to_be_visible()
    box.fill("a dog")
    upload(page, b"not a PNG!")
    expect(page.locator("#image img")).to_be_attached()
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.get_by_text("Image of 10 bytes: not a readable image but text")).to_be_visible()
    assert box.input_value() == "a dog"


def test_deleted_image_is_requested_again_and_results_cleared(opened, server) -> None:
    page = opened("narrow")
    upload(page, png())
    expect(page.locator("#image img")).to_be_visible()
    page.get_by_label("Captions, one per line").fill("a dog sits")
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.locator("#results .ec-card")).to_have_count(1)
    require_no_horizontal_scroll(page, "narrow")
    for stored in server.temporary.rglob("a.png"):
        stored.unlink()
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.get_by_text("The image is no longer stored; upload it again.")).to_be_visible()
    expect(page.locator("#results .ec-card")).to_have_count(0)
    page.get_by_role("button", name="Remove Image").click()
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.locator("#results .ec-card")).to_have_count(1)
    upload(page, png(1))
    expect(page.locator("#results .ec-card")).to_have_count(0)


def test_markup_in_a_caption_is_shown_as_text(opened) -> None:
    page = opened()
    evil = "<img src=x onerror=\"document.title='taken'\"> <b>dog</b>"
    page.get_by_label("Captions, one per line").fill(evil)
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.locator("#results h3")).to_have_text(evil)
    page.get_by_role("button", name=EXPLANATION).click()
    page.get_by_role("button", name="Explain", exact=True).click()
    expect(page.locator("#explanation .ec-words li").first).to_be_visible()
    assert page.locator("#results b, #explanation b, #results img").count() == 0
    assert page.title() != "taken"
