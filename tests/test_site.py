"""The built site in Chromium, opened as files: TPL_SITE names its folder (`_build/html`), or a small book is built."""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Frame, Page, sync_playwright

from tpl.site import broken_links

pytestmark = pytest.mark.site

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (  # no sandbox for root, WebGL without a GPU, and nothing of the browser's own asks the network
    "--no-sandbox --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --use-gl=angle --use-angle=swiftshader --enable-unsafe-swiftshader"
).split()
VIEWS = [(1280, "light"), (1280, "dark"), (400, "light"), (400, "dark")]


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest) -> Path:
    if "TPL_SITE" in os.environ:
        return Path(os.environ["TPL_SITE"]).resolve()
    return request.getfixturevalue("built_book").root / "_build" / "html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM.exists(), "these tests drive Debian's browser: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def pages_of(site: Path) -> list[Path]:
    pages = sorted((site / "book").glob("*.html"))
    assert pages, f"no pages in {site}"
    return [site / "index.html", *pages]


def wait_for_scenes(page: Page) -> list[Frame]:
    """Brings every scene into view and waits until it is drawn."""
    for scene in page.locator(".tpl-scene").all():
        scene.scroll_into_view_if_needed()
        frame = scene.locator("iframe").element_handle(timeout=10_000).content_frame()
        assert frame is not None
        frame.wait_for_selector("body[data-drawn=yes]", timeout=60_000)
        assert is_drawn(frame.frame_element().screenshot()), f"nothing is drawn in {frame.url}"
    return page.frames[1:]


def is_drawn(png: bytes) -> bool:
    """Whether a picture shows something shaded, more than a caption on white."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
    return bool(np.mean(pixels < 245) > 0.02) and len(np.unique(pixels)) > 16


def test_every_link_leads_somewhere(site):
    assert broken_links(site) == []


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_every_page_opens_from_a_file_without_a_complaint(site, browser, width, scheme):
    for path in pages_of(site):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(f"{request.url} {request.failure}"))
        page.on(
            "request",
            lambda request: (
                urlsplit(request.url).scheme not in ("file", "data", "blob")
                and complaints.append(f"asks for {request.url}")
            ),
        )
        page.goto(path.as_uri(), wait_until="load")
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.dataset.theme || ''") in ("", scheme)
        wait_for_scenes(page)
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        wide = page.evaluate(
            "width => Array.from(document.querySelectorAll('.bd-article > section > *'))"
            ".filter(part => part.getBoundingClientRect().right > width + 1).map(part => part.outerHTML.slice(0, 90))",
            width,
        )
        unset = page.locator("div.math, span.math").count() - page.locator(".math:has(mjx-container)").count()
        context.close()
        assert complaints == [], f"{path.name} at {width}, {scheme}"
        assert overflow <= 0 and wide == [], f"{path.name} is wider than {width}: {wide}"
        assert unset == 0, f"{path.name}: {unset} formulas are not set"


def test_a_scene_turns_when_asked_and_its_slider_moves(site, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    turned = slid = 0
    for path in pages_of(site):
        page.goto(path.as_uri())
        for frame in wait_for_scenes(page):
            element = frame.frame_element()
            if turned and not frame.locator("input").count():
                continue
            element.scroll_into_view_if_needed()
            before = element.screenshot()
            box = element.bounding_box()
            x, y = box["x"] + box["width"] / 4, box["y"] + box["height"] / 2
            page.mouse.click(x, y)
            page.mouse.move(x, y)
            page.mouse.down()
            page.mouse.move(x + 90, y + 20, steps=5)
            page.mouse.up()
            page.wait_for_timeout(300)
            assert element.screenshot() != before
            turned += 1
            if frame.locator("input").count() and not slid:
                before = element.screenshot()
                frame.locator("input").fill("0")
                page.wait_for_timeout(300)
                assert element.screenshot() != before
                slid += 1
    page.close()
    assert turned
