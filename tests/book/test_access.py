"""Nothing on a page keeps anybody out: axe-core, in the light and in the dark."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser
from test_site import browser, pages_of, site  # noqa: F401  # fixtures

pytestmark = pytest.mark.site


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(site: Path, browser: Browser, scheme: str):  # noqa: F811
    found = {}
    more = [page for page in sorted(site.glob("*.html")) if page.name != "index.html"]  # which leads on at once
    for path in [*pages_of(site), *more]:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        page.goto(path.as_uri(), wait_until="load")
        page.add_style_tag(content="* { transition: none !important }")  # or a colour is judged on its way to another
        answer = Axe().run(page, options={"resultTypes": ["violations"]})
        context.close()
        for violation in answer.response["violations"]:
            for node in violation["nodes"]:
                found.setdefault((violation["id"], node["html"][:160]), []).append(path.name)
    told = [f"{rule}: {code} on {', '.join(pages[:3])} ({len(pages)})" for (rule, code), pages in found.items()]
    assert not told, "\n".join(told)
