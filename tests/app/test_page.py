"""The page as a person uses it, in Chromium: at a desk and on a phone, light and dark, by mouse and by keyboard."""

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
CAPTIONS = ["the child celebrates at home", "lost lost storm", "a dog sits"]
SIZES = {"desk": (1280, 900), "phone": (390, 844), "narrow": (320, 700)}
# Drops a file onto the picture, as a mouse would.
DROP = """([element, name, data]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, {type: "image/png"}));
  element.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
}"""

SETTLED = """() => Promise.all(document.getAnimations()
  .filter((one) => Number.isFinite(one.effect.getComputedTiming().endTime))
  .map((one) => one.finished.catch(() => {})))"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium; install it, or name it in EMOCAP_CHROMIUM")


@pytest.fixture(scope="module")
def server(run, tmp_path_factory):
    one = Server(tmp_path_factory.mktemp("page"), run)
    yield one
    assert one.stop() == 0
    assert list(one.temporary.iterdir()) == []
    assert "Traceback" not in one.log.read_text()


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opened(browser, server):
    """Opens the page: `opened("phone", "dark")`; a request to another place or a script's error is a failure."""
    strangers: list[str] = []
    errors: list[str] = []

    def begin(size: str = "desk", scheme: str = "light") -> Page:
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        context.set_default_timeout(30_000)
        page = context.new_page()
        own = f"http://127.0.0.1:{server.port}/"
        page.on(
            "request",
            lambda asked: strangers.append(asked.url) if not asked.url.startswith((own, "data:", "blob:")) else None,
        )
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.goto(own)
        expect(page.get_by_role("button", name="Predict", exact=True)).to_be_visible()
        return page

    yield begin
    for context in browser.contexts:
        context.close()
    assert strangers == []
    assert errors == []


def png(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def give(page: Page, data: bytes) -> None:
    """A file for the picture, chosen in the browser's window."""
    page.locator("#picture input[type=file]").set_input_files(
        {"name": "a.png", "mimeType": "image/png", "buffer": data}
    )


def choose(page: Page, label: str, emotion: str) -> None:
    page.get_by_label(label).click()
    page.keyboard.type(emotion)
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")


def require_accessible(page: Page) -> None:
    """No fault that axe calls serious or critical, once everything has faded in."""
    page.evaluate(SETTLED)
    faults = [
        (fault["id"], [node["html"][:200] for node in fault["nodes"]])
        for fault in Axe().run(page).response["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
    assert faults == []


def require_fitting(page: Page, size: str) -> None:
    """The page is no wider than the window."""
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]


@pytest.mark.parametrize(
    ("size", "scheme"), [("desk", "light"), ("desk", "dark"), ("phone", "light"), ("phone", "dark")]
)
def test_a_person_finds_the_caption_that_lands_and_why(opened, loaded, size, scheme) -> None:
    page = opened(size, scheme)
    require_accessible(page)
    told = page.locator("header").inner_text()
    assert "what an audience may feel about the content, not what a person in the picture feels" in told
    assert "234 held-out pairs" in told
    assert "80% of them (95% interval 75% to 85%)" in told
    assert "reaches 70% and 80%" in told

    target = page.locator("#picture button").first
    page.evaluate(DROP, [target.element_handle(), "dog.png", base64.b64encode(png()).decode()])
    expect(page.locator("#picture img")).to_be_visible()
    page.get_by_label("Captions, one a line").fill("\n".join(CAPTIONS))
    choose(page, "What people are to feel", "sad")
    page.get_by_role("button", name="Predict", exact=True).click()

    cards = page.locator("#results .ec-card")
    expect(cards).to_have_count(3)
    ranked = loaded.captioner.rank(png(), CAPTIONS, ["sad"])
    assert cards.locator("h3").all_inner_texts() == [one.caption for one in ranked]
    best = cards.first
    expected = {
        one.emotion: f"{100 * one.probability:.0f}%" for one in loaded.predictor.predict(png(), ranked[0].caption)
    }
    names = [name.split()[0] for name in best.locator(".ec-name").all_inner_texts()]
    assert dict(zip(names, best.locator(".ec-value").all_inner_texts(), strict=True)) == expected
    wide = best.locator(".ec-wanted .ec-fill").evaluate("bar => bar.getBoundingClientRect().width")
    track = best.locator(".ec-wanted .ec-track").evaluate("bar => bar.getBoundingClientRect().width")
    assert f"{100 * wide / track:.0f}%" == expected["sad"]
    assert page.locator("#results").get_attribute("aria-live") == "polite"

    page.get_by_role("button", name="Why? Words and regions that move an emotion").click()
    page.get_by_role("button", name="Explain", exact=True).click()
    expect(page.locator("#why .ec-words li")).to_have_count(len(ranked[0].caption.split()))
    expect(page.locator("#why img")).to_be_visible()
    assert page.locator("#why h2").inner_text().startswith("sad: ")
    assert page.get_by_label("Caption", exact=True).input_value() == f"1. {ranked[0].caption}"
    require_accessible(page)
    require_fitting(page, size)
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download all probabilities as CSV").click()
    assert waiting.value.suggested_filename == "emocap.csv"
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{size}-{scheme}.png", full_page=True)

    page.locator("#examples tbody tr").nth(1).locator("td").nth(1).click()
    expect(page.locator("#why .ec-words")).to_have_count(0)
    expect(cards.first.locator("h3")).not_to_have_text(ranked[0].caption)
    require_fitting(page, size)


def test_the_table_that_is_downloaded_has_every_probability(opened, loaded, tmp_path) -> None:
    page = opened()
    odd = '=1+1, "quoted"; ünïcode'
    page.get_by_label("Captions, one a line").fill("\n".join([*CAPTIONS, odd]))
    page.get_by_role("button", name="Predict", exact=True).click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download all probabilities as CSV").click()
    waiting.value.save_as(tmp_path / "emocap.csv")
    with (tmp_path / "emocap.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["caption"] for row in rows] == [*CAPTIONS, odd]
    for row in rows:
        for one in loaded.predictor.predict(None, row["caption"]):
            assert float(row[one.emotion]) == pytest.approx(one.probability, abs=1e-4)


def test_an_example_fills_the_page_and_is_judged(opened) -> None:
    page = opened()
    page.locator("#examples tbody tr").nth(1).locator("td").nth(1).click()
    expect(page.locator("#results .ec-card")).to_have_count(3)
    expect(page.locator("#picture img")).to_be_visible()
    assert len(page.get_by_label("Captions, one a line").input_value().splitlines()) == 3


def test_what_people_must_not_feel_is_remarked_on_though_nothing_is_wanted(opened, loaded) -> None:
    page = opened()
    page.get_by_label("Captions, one a line").fill("\n".join(CAPTIONS))
    evoked = loaded.predictor.predict(None, CAPTIONS[1])[0].emotion
    choose(page, "What they must not feel", evoked)
    page.get_by_role("button", name="Predict", exact=True).click()
    cards = page.locator("#results .ec-card")
    expect(cards).to_have_count(3)
    assert cards.locator("h3").all_inner_texts() == CAPTIONS
    assert f"Evokes {evoked}." in cards.nth(1).inner_text()
    assert cards.locator(".ec-shunned .ec-name").first.inner_text().startswith(evoked)


def test_captions_are_written_and_taken_over(opened) -> None:
    page = opened()
    give(page, png())
    expect(page.locator("#picture img")).to_be_visible()
    choose(page, "What people are to feel", "awe")
    page.get_by_role("button", name="Have captions written").click()
    page.get_by_role("button", name="Write captions for these emotions").click()
    written = page.locator("#written h3")
    expect(written.first).to_be_visible()
    texts = written.all_inner_texts()
    require_accessible(page)
    page.get_by_role("button", name="Put them among my captions").click()
    expect(page.get_by_label("Captions, one a line")).to_have_value("\n".join(texts))


def test_the_keyboard_is_enough(opened) -> None:
    page = opened()

    def reach(selector: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate(f"document.activeElement.matches('{selector}')"):
                return
        raise AssertionError(f"{selector} is not reached by Tab")

    reach("#captions textarea")
    page.keyboard.type("a dog sits")
    reach("#wanted input")
    page.keyboard.type("awe")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    reach("#ask")
    page.keyboard.press("Enter")
    expect(page.locator("#results .ec-card")).to_have_count(1)
    assert "awe" in page.locator("#results .ec-wanted").inner_text()
    reach("#results a")


def test_what_cannot_be_used_is_told_in_a_sentence_and_what_is_there_stays(opened) -> None:
    page = opened()
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.get_by_text("No captions; write at least one.")).to_be_visible()
    box = page.get_by_label("Captions, one a line")
    box.fill("\n".join(["a dog"] * 21))
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.get_by_text("21 captions, expected at most 20")).to_be_visible()
    box.fill("a dog")
    give(page, b"no picture")
    expect(page.locator("#picture img")).to_be_attached()
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.get_by_text("Image of 10 bytes: not an image")).to_be_visible()
    assert box.input_value() == "a dog"


def test_a_picture_that_is_gone_is_asked_for_again_and_without_it_what_was_said_goes(opened, server) -> None:
    page = opened("narrow")
    give(page, png())
    expect(page.locator("#picture img")).to_be_visible()
    page.get_by_label("Captions, one a line").fill("a dog sits")
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.locator("#results .ec-card")).to_have_count(1)
    require_fitting(page, "narrow")
    for kept in server.temporary.rglob("a.png"):
        kept.unlink()
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.get_by_text("The picture is no longer kept here; drop it again.")).to_be_visible()
    expect(page.locator("#results .ec-card")).to_have_count(0)
    page.get_by_role("button", name="Remove Image").click()
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.locator("#results .ec-card")).to_have_count(1)
    give(page, png(1))
    expect(page.locator("#results .ec-card")).to_have_count(0)


def test_a_caption_with_markup_is_shown_as_it_is_written(opened) -> None:
    page = opened()
    evil = "<img src=x onerror=\"document.title='taken'\"> <b>dog</b>"
    page.get_by_label("Captions, one a line").fill(evil)
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.locator("#results h3")).to_have_text(evil)
    page.get_by_role("button", name="Why? Words and regions that move an emotion").click()
    page.get_by_role("button", name="Explain", exact=True).click()
    expect(page.locator("#why .ec-words li").first).to_be_visible()
    assert page.locator("#results b, #why b, #results img").count() == 0
    assert page.title() != "taken"
