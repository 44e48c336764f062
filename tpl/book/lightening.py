"""What pages load at first, made small: no rule, icon, image or script that nobody sees on them.

The theme brings 1.5 MB of icons as a script, of which the pages show a dozen: its own style sheet has them as a font,
of which those stay that a rule names. Of the style sheets those rules stay whose classes some page or script knows.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from PIL import Image

STATIC = "_static"
SHEETS = ("styles/pydata-sphinx-theme.css", "styles/sphinx-book-theme.css", "sphinx-design.min.css")
ICONS = "vendor/fontawesome/webfonts"
SOLID = "fa-solid-900"  # the one set that the theme's pages and rules use
UNUSED = ("scripts/fontawesome.js", "scripts/fontawesome.js.LICENSE.txt")
SCRIPT = r'\s*<(?:script|link)\b[^>]*\b(?:src|href)="[^"]*{}(?:\?[^"]*)?"[^>]*>(?:</script>)?'
ICON_SCRIPT = re.compile(SCRIPT.format(r"scripts/fontawesome\.js"))
SEARCH_SCRIPTS = re.compile(SCRIPT.format(r"(?:searchtools|language_data|searchindex)\.js"))
"""They are for a search while one types, which the theme has turned off; the page of the search loads its own."""

ICON = re.compile(r'<i class="([^"]*\bfa-[^"]*)"(?![^>]*aria-hidden)')
IMAGE = re.compile(r"<img\b(?![^>]*\bloading=)[^>]*>")
SOURCE, SIZED = re.compile(r'\bsrc="(?!data:|https?:)([^"]+)"'), re.compile(r"\b(?:width|height|style)=")
LARGER = ".bd-header-article .btn i.fa-solid,.bd-header-article .btn i.fas{font-size:1.3rem;line-height:1}"
"""The theme has this size for icons that are pictures."""

CLASS = re.compile(r"\.(-?[A-Za-z_](?:[\w-]|\\.)*)")
CONDITION = re.compile(r":(?:not|is|where|has)\((?:[^()]|\([^()]*\))*\)")
FACE = re.compile(r"@font-face\{[^}]*?fontawesome/webfonts/([\w-]+)\.woff2[^}]*\}")


def lighten(built: Path) -> None:
    """Takes from a built site, in place, what its pages load without need."""
    static = built / STATIC
    for path in [*static.rglob("*.map"), *(static / name for name in UNUSED)]:
        path.unlink(missing_ok=True)
    words: set[str] = set()
    for page in sorted(built.rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        if not {"_scenes", STATIC} & set(page.relative_to(built).parts):
            text = lighter(text, page.parent, searches=page.name == "search.html")
            page.write_text(text, encoding="utf-8")
        words.update(word for names in re.findall(r'class="([^"]*)"', text) for word in names.split())
    for script in static.rglob("*.js"):
        if "mathjax" not in script.parts:
            words.update(re.findall(r"[\w-]+", script.read_text(encoding="utf-8")))
    sheets = {}
    for sheet in (static / name for name in SHEETS if (static / name).exists()):
        css = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
        sheets[sheet] = used_rules(css, words)
    if (static / ICONS / f"{SOLID}.ttf").exists():
        every = "".join([*sheets.values(), *(path.read_text(encoding="utf-8") for path in static.glob("*.css"))])
        named = {chr(int(code, 16)) for code in re.findall(r"\\(f[0-9a-f]{3})", every)}
        _keep_icons(static / ICONS, named | set(re.findall(r"[\uf000-\uf8ff]", every)))  # by code, or themselves
        sheets = {sheet: FACE.sub(_lighter_face, css) for sheet, css in sheets.items()}
        sheets[static / SHEETS[0]] += LARGER
    for sheet, css in sheets.items():
        sheet.write_text(css, encoding="utf-8")


def lighter(page: str, folder: Path, searches: bool = False) -> str:
    """A page without the scripts that it does not use, its images loaded when they come near.

    Args:
        page: As Sphinx wrote it.
        folder: Where it lies: images get the sizes of their files, so that nothing moves when they come.
        searches: Whether it is the page of the search.
    """

    def later(image: re.Match[str]) -> str:
        found = SOURCE.search(image[0])
        sized = ""
        if found and not SIZED.search(image[0]) and (file := folder / unquote(found[1])).suffix in (".png", ".jpg"):
            with Image.open(file) as opened:
                sized = ' width="{}" height="{}"'.format(*opened.size)
        return image[0].replace("<img", f'<img loading="lazy"{sized}', 1)

    page = ICON_SCRIPT.sub("", page)
    if not searches:
        page = SEARCH_SCRIPTS.sub("", page)
    page = ICON.sub(r'<i aria-hidden="true" class="\1"', page)
    return IMAGE.sub(later, page)


def used_rules(css: str, words: set[str]) -> str:
    """A style sheet without the rules that nothing can match.

    Args:
        css: Without comments.
        words: All classes that may be on a page.
    """
    kept = []
    for head, body in _blocks(css):
        if body is None:
            kept.append(head)
        elif head.lstrip().startswith(("@media", "@supports", "@layer")):
            if inner := used_rules(body, words):
                kept.append(f"{head}{{{inner}}}")
        elif head.lstrip().startswith("@"):
            kept.append(f"{head}{{{body}}}")
        elif selectors := [one for one in re.split(r",(?![^(]*\))", head) if _may_match(one, words)]:
            kept.append(f"{','.join(selectors)}{{{body}}}")
    return "".join(kept)


def _blocks(css: str) -> Iterator[tuple[str, str | None]]:
    """The rules of a style sheet as their heads and bodies; statements have no body."""
    start = 0
    while start < len(css):
        opened, ended = css.find("{", start), css.find(";", start)
        if opened < 0 or 0 <= ended < opened:
            end = len(css) if opened < 0 else ended + 1
            yield css[start:end], None
        else:
            depth, end = 1, opened + 1
            while depth:
                depth += {"{": 1, "}": -1}.get(css[end], 0)
                end += 1
            yield css[start:opened], css[opened + 1 : end - 1]
        start = end


def _may_match(selector: str, words: set[str]) -> bool:
    return all(name.replace("\\", "") in words for name in CLASS.findall(CONDITION.sub("", selector)))


def _keep_icons(folder: Path, characters: set[str]) -> None:
    """Makes of the fonts of icons one with the characters that rules name."""
    font = TTFont(folder / f"{SOLID}.ttf")
    subsetter = Subsetter(Options(hinting=False, layout_features=[], name_IDs=[]))
    subsetter.populate(text="".join(sorted(characters)))
    subsetter.subset(font)
    font.flavor = "woff"
    for path in folder.iterdir():
        path.unlink()
    font.save(folder / f"{SOLID}.woff")


def _lighter_face(face: re.Match[str]) -> str:
    if face[1] != SOLID:
        return ""
    return re.sub(r"src:[^;}]*", f'src:url(../{ICONS}/{SOLID}.woff) format("woff")', face[0])
