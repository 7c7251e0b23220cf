"""What the page offers and does, without a browser."""

import asyncio

import pytest

from emocap.app import page_actions
from emocap.app.page import build_page
from emocap.errors import EmocapError


@pytest.mark.parametrize("has_styles", [True, False])
def test_style_is_offered_where_the_captioner_has_any(
    serving, served, captioner_without_styles, tmp_path, has_styles
) -> None:
    served.captioner = served.captioner if has_styles else captioner_without_styles
    (tmp_path / "examples").mkdir()
    page = build_page(serving().service, tmp_path / "examples")
    (style,) = [block for block in page.blocks.values() if getattr(block, "elem_id", None) == "style"]
    assert style.visible == has_styles
    assert [value for _, value in style.choices] == ["", *(["romantic", "humorous"] if has_styles else [])]


@pytest.mark.parametrize("style", ["gothic", ["romantic"], {"path": "x"}, 3])
def test_style_from_the_browser_is_checked(serving, photo, style) -> None:
    action = page_actions.generate(serving().service, photo, [], [], style, None)
    with pytest.raises(EmocapError, match="expected one of romantic, humorous"):
        asyncio.run(action)


def test_heading_names_emotions_and_style(serving, photo) -> None:
    service = serving().service

    async def html(targets, style):
        return (await page_actions.generate(service, photo, targets, [], style, None))[0]

    assert "<h2>Generated for sad, in the style romantic</h2>" in asyncio.run(html(["sad"], "romantic"))
    assert "<h2>Generated for sad</h2>" in asyncio.run(html(["sad"], None))
