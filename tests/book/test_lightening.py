"""Pages load what they show: icons, rules and scripts that nobody sees go, and each page keeps its limit."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from fontTools.ttLib import TTFont
from PIL import Image
from test_site import pages_of, site  # noqa: F401  # a fixture

from tpl.book.lightening import lighter, used_rules
from tpl.book.packing import LARGEST
from tpl.book.site import MATHJAX

PAGE_LIMIT, SITE_LIMIT = 1_500_000, 60_000_000  # bytes
WORDS = {"a", "b", "sm:b"}


@pytest.mark.parametrize(
    ("css", "kept"),
    [
        (".a{x:1}.c{x:2}", ".a{x:1}"),
        (".a,.c,p{x:1}", ".a,p{x:1}"),
        (".a.c{x:1}.a .b{x:2}", ".a .b{x:2}"),
        ("p:not(.c){x:1}:is(.a,.c) b{x:2}", "p:not(.c){x:1}:is(.a,.c) b{x:2}"),
        ("@media print{.c{x:1}.a{x:2}}@media screen{.c{x:1}}", "@media print{.a{x:2}}"),
        ('@import "x";@font-face{src:y}#c{x:1}', '@import "x";@font-face{src:y}#c{x:1}'),
        (r".sm\:b{x:1}.sm\:c{x:2}", r".sm\:b{x:1}"),
    ],
)
def test_rules_stay_that_may_match(css, kept):
    assert used_rules(css, WORDS) == kept


def test_images_come_late_at_their_size_and_icons_are_not_read_aloud(tmp_path):
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / "a.png")
    page = '<script defer src="../_static/scripts/fontawesome.js?digest=1"></script><script src="../searchindex.js">'
    page += '</script><i class="fa-solid fa-list"></i><img src="a.png"/><img style="width: 9px" src="a.png"/>'
    found = lighter(page, tmp_path)
    assert "<script" not in found and '<i aria-hidden="true" class="fa-solid fa-list">' in found
    assert '<img loading="lazy" width="6" height="4" src="a.png"/>' in found
    assert '<img loading="lazy" style="width: 9px" src="a.png"/>' in found
    assert 'src="../searchindex.js"' in lighter(page, tmp_path, searches=True)


def test_a_page_s_limit_is_kept(site):  # noqa: F811
    told = {page.name: sum(loaded(page).values()) for page in pages_of(site)}
    assert max(told.values()) <= PAGE_LIMIT, told


def test_scenes_and_site_keep_their_limits(site):  # noqa: F811
    scenes = {str(page.relative_to(site)): page.stat().st_size for page in (site / "book" / "_scenes").rglob("*.html")}
    assert scenes and max(scenes.values()) <= LARGEST, scenes
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) <= SITE_LIMIT


def test_the_icons_that_rules_name_are_there(site):  # noqa: F811
    static = site / "_static"
    css = "".join(path.read_text(encoding="utf-8") for path in static.rglob("*.css"))
    named = {int(code, 16) for code in re.findall(r"\\(f[0-9a-f]{3})", css)} | {ord(c) for c in css if "\uf000" <= c}
    (font,) = (static / "vendor").rglob("*.woff*")
    brands = {0xF09B, 0xF296}  # of places where code lies, which no page names
    assert len(named) > 10 and named - brands <= TTFont(font).getBestCmap().keys()


def loaded(page: Path) -> dict[Path, int]:
    """The bytes of all that a page loads before anybody scrolls: itself, styles and their fonts, scripts, pictures.

    Of MathJax all parts and the four fonts that most formulas want; scenes are pictures until they are seen.
    """
    text = page.read_text(encoding="utf-8")
    names = re.findall(r'<script\b[^>]*\bsrc="([^"]+)"', text)
    names += re.findall(r'<link\b[^>]*\brel="(?:stylesheet|icon)"[^>]*\bhref="([^"]+)"', text)
    names += re.findall(r'<link\b[^>]*\bhref="([^"]+)"[^>]*\brel="stylesheet"', text)
    names += re.findall(r'<img\b(?![^>]*\bloading="lazy")[^>]*\bsrc="([^"]+)"', text)
    files = {page}
    for name in names:
        parts = urlsplit(name)
        if parts.scheme or parts.netloc:
            continue
        file = (page.parent / unquote(parts.path)).resolve()
        files.add(file)
        if file.suffix == ".css":
            for inner in re.findall(r"url\((?![\"']?data:)[\"']?([^\"')?#]+)", file.read_text(encoding="utf-8")):
                files.add((file.parent / inner).resolve())
        if file.name == "startup.js":
            files |= {file.parent / part for part in MATHJAX if (file.parent / part).is_file()}
            files.add(file.parent / "output" / "chtml" / "fonts" / "tex.js")
            fonts = file.parent / "output" / "chtml" / "fonts" / "woff-v2"
            files |= {
                fonts / f"MathJax_{kind}.woff" for kind in ("Zero", "Main-Regular", "Math-Italic", "Size2-Regular")
            }
    return {file: file.stat().st_size for file in files}
