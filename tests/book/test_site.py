"""The built site in Chromium, opened as files: TPL_SITE names its folder (`_build/html`), or a small book is built."""

import io
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Frame, Locator, Page, sync_playwright

from tpl.book.site import broken_links

pytestmark = pytest.mark.site

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (  # no sandbox for root, WebGL without a GPU, and nothing of the browser's own asks the network
    "--no-sandbox --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --use-gl=angle --use-angle=swiftshader --enable-unsafe-swiftshader"
).split()
SHOWN = ".tpl-scene:not(.tpl-asked)"  # scenes that load by themselves
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


def pages_of(site: Path, part: str = "") -> list[Path]:
    """The pages whose text holds a part: opening those without it would take minutes and show nothing."""
    pages = [page for page in sorted((site / "book").glob("*.html")) if part in page.read_text()]
    assert pages, f"no pages with {part!r} in {site}"
    return pages


def drawn_frame(scene: Locator) -> Frame:
    """Brings a scene into view, waits until it is drawn, and returns its page."""
    scene.scroll_into_view_if_needed()
    frame = scene.locator("iframe").element_handle(timeout=30_000).content_frame()
    assert frame is not None
    frame.wait_for_selector("body[data-drawn=yes]", timeout=60_000)
    assert soon(lambda: is_drawn(scene.screenshot())), f"nothing is drawn in {frame.url}"
    return frame


def soon(true: Callable[[], bool]) -> bool:
    """Whether something becomes true within a few tries; drawing takes a while on a busy machine."""
    for _ in range(40):
        if true():
            return True
        time.sleep(0.25)
    return False


def is_drawn(png: bytes) -> bool:
    """Whether a picture shows something shaded, more than a caption on white."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
    return bool(np.mean(pixels < 245) > 0.02) and len(np.unique(pixels)) > 16


def test_every_link_leads_somewhere(site):
    assert broken_links(site) == []


def watched_page(context: BrowserContext) -> tuple[Page, list[str]]:
    """A page, and the list of what goes wrong on it: errors, files that are not there, calls to the network."""
    page, complaints = context.new_page(), []
    page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"{request.url} {request.failure}"))
    near = ("file", "data", "blob")
    page.on(
        "request",
        lambda request: urlsplit(request.url).scheme in near or complaints.append(f"asks for {request.url}"),
    )
    return page, complaints


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_every_page_opens_from_a_file_without_a_complaint(site, browser, width, scheme):
    for path in pages_of(site):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page, complaints = watched_page(context)
        page.goto(path.as_uri(), wait_until="load")
        formulas = "document.querySelectorAll('.math{}').length"
        unset = f"{formulas.format('')} - {formulas.format(':has(mjx-container)')}"
        page.wait_for_function(f"{unset} === 0", timeout=60_000)
        scenes = page.locator(SHOWN).all()
        for scene in scenes if (width, scheme) == VIEWS[0] else scenes[:1]:
            drawn_frame(scene)
        wide = page.evaluate(
            "width => Array.from(document.querySelectorAll('.bd-article > section > *'))"
            ".filter(part => part.getBoundingClientRect().right > width + 1).map(part => part.outerHTML.slice(0, 90))",
            width,
        )
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        theme = page.evaluate("document.documentElement.dataset.theme")
        context.close()
        assert complaints == [], f"{path.name} at {width}, {scheme}"
        assert overflow <= 0 and wide == [], f"{path.name} is wider than {width}: {wide}"
        assert theme == scheme


def test_the_index_leads_to_the_first_page(site, browser):
    page = browser.new_page()
    page.goto((site / "index.html").as_uri())
    page.wait_for_url("**/book/intro.html")
    assert page.locator("article h1").count() == 1
    page.close()


def test_a_scene_turns_when_asked_and_its_slider_moves(site, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    turned = slid = 0
    for path in pages_of(site, "tpl-scene"):
        page.goto(path.as_uri())
        for scene in page.locator(SHOWN).all():
            slides = "tpl-slider" in (scene.get_attribute("class") or "")
            if turned and (slid or not slides):
                continue
            frame = drawn_frame(scene)
            box = scene.bounding_box()
            assert box is not None
            x, y = box["x"] + box["width"] / 4, box["y"] + box["height"] / 2
            page.mouse.move(x, y)
            above = page.evaluate("window.scrollY")
            page.mouse.wheel(0, -50)  # until it is asked to turn, it lets the page scroll
            assert soon(lambda above=above: page.evaluate("window.scrollY") < above)
            page.mouse.wheel(0, 50)
            assert soon(lambda above=above: page.evaluate("window.scrollY") >= above)
            page.mouse.click(x, y)
            before = scene.screenshot()
            drag(page, x, y)
            assert soon(lambda scene=scene, before=before: scene.screenshot() != before)
            turned += 1
            if slides:
                before = scene.screenshot()
                frame.locator("input").fill("0")
                assert soon(lambda scene=scene, before=before: scene.screenshot() != before)
                slid += 1
    page.close()
    assert turned, "no page has a scene"


def test_a_scene_turns_by_keys_that_it_keeps_after_turn(site, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(pages_of(site, "tpl-scene")[0].as_uri())
    frame = drawn_frame(page.locator(SHOWN).first)
    frame.locator(".hint").focus()
    frame.locator(".hint").press("Enter")  # its button goes, and the focus stays with what it was for
    panels = frame.locator(".panels")
    assert panels.evaluate("panels => panels === document.activeElement && panels.matches(':focus-visible')")
    assert "arrows turn" in (panels.get_attribute("aria-label") or "")
    seen = [panels.screenshot()]
    for key in ("ArrowLeft", "ArrowUp", "+", "Home"):
        panels.press(key)
        assert soon(lambda: panels.screenshot() != seen[-1]), f"{key} changes nothing"
        seen.append(panels.screenshot())
    page.close()


def test_what_is_large_is_loaded_when_asked_for(site, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    for path in pages_of(site, "tpl-asked"):
        page.goto(path.as_uri())
        scene = page.locator(".tpl-asked").first
        scene.scroll_into_view_if_needed()
        assert scene.locator("img").get_attribute("alt") and scene.locator("iframe").count() == 0
        scene.get_by_role("button").click()
        assert scene.locator("iframe").evaluate("frame => frame === document.activeElement")
        assert scene.get_by_role("button").count() == 0
    page.close()


def test_every_picture_has_a_text_and_every_page_a_description(site, browser):
    page = browser.new_page()
    for path in pages_of(site):
        page.goto(path.as_uri(), wait_until="domcontentloaded")
        texts = page.locator("article img").evaluate_all("images => images.map(image => image.alt)")
        assert all(text and not text.endswith((".png", ".svg")) for text in texts), f"{path.name}: {texts}"
        assert page.locator("meta[name=description]").get_attribute("content"), path.name
        first, _, second = page.title().partition(" — ")
        assert first != second
    page.close()


def cells_of(table: Locator) -> list[list[str]]:
    return table.evaluate(
        "table => [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent.trim()))"
    )


def as_numbers(cells: list[str]) -> list[float] | None:
    """The numbers of a column, an empty cell more than any; none if it is one of words."""
    try:
        numbers = [float(cell.strip("%").replace(",", "").replace("\u2212", "-") or "inf") for cell in cells]
    except ValueError:
        return None
    return numbers if any(cells) else None


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_a_sortable_table_sorts_numbers_as_numbers_and_scrolls_within_itself(site, browser, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, complaints = watched_page(context)
    sorted_columns = 0
    for path in pages_of(site, "tpl-sortable"):
        page.goto(path.as_uri())
        for table in page.locator("table.tpl-sortable").all():
            area = table.locator("xpath=..")
            assert area.get_attribute("aria-label") and area.evaluate("area => area.tabIndex === 0")
            assert area.evaluate("area => area.getBoundingClientRect().right <= document.documentElement.clientWidth")
            before = sorted(cells_of(table))
            for column, head in enumerate(table.locator("thead th").all()):
                numbers = as_numbers([row[column] for row in cells_of(table)])
                if numbers is None:
                    continue
                told_before = head.get_attribute("aria-sort")
                head.get_by_role("button").press("Enter")
                down = told_before != "descending"  # largest first, unless it stands so already
                assert head.get_attribute("aria-sort") == ("descending" if down else "ascending")
                assert as_numbers([row[column] for row in cells_of(table)]) == sorted(numbers, reverse=down)
                head.get_by_role("button").click()
                assert head.get_attribute("aria-sort") == ("ascending" if down else "descending")
                assert as_numbers([row[column] for row in cells_of(table)]) == sorted(numbers, reverse=not down)
                assert table.locator("th[aria-sort]").count() == 1
                sorted_columns += 1
            assert sorted(cells_of(table)) == before, "a row came or went"
    context.close()
    assert sorted_columns, "no page has a sortable table with numbers"
    assert complaints == []


def test_a_sortable_table_is_a_plain_one_without_scripts(site, browser):
    context = browser.new_context(java_script_enabled=False)
    page, tables = context.new_page(), 0
    for path in pages_of(site, "tpl-sortable"):
        page.goto(path.as_uri())
        for table in page.locator("table.tpl-sortable").all():
            assert table.locator("tbody tr").count() and table.locator("button").count() == 0
            tables += 1
    context.close()
    assert tables


def drag(page: Page, x: float, y: float) -> None:
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 90, y + 20, steps=5)
    page.mouse.up()
