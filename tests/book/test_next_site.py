"""The way out of Jupyter Book: its configuration in Sphinx's words, and the small book built by current Sphinx."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tpl.book.book import BookError
from tpl.book.next_site import LEFT_OUT, build_next, sphinx_config, write_conf
from tpl.book.site import broken_links

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-next" / "bin" / "python"
NOT_SHOWN = {  # Jupyter Book's settings of things that no page of ours has
    "comments_config",
    "exclude_patterns",  # of other systems' litter
    "html_baseurl",
    "html_logo",
    "latex_engine",
    "nb_execution_allow_errors",
    "nb_execution_cache_path",
    "nb_execution_excludepatterns",
    "nb_execution_in_temp",
    "nb_execution_timeout",
    "nb_output_stderr",
    "use_jupyterbook_latex",
}


@pytest.fixture
def config() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))


def test_sphinx_is_told_what_jupyter_book_tells_it(config):
    from jupyter_book.config import get_final_config

    theirs, _ = get_final_config(user_yaml=ROOT / "_config.yml", cli_config={"latex_individualpages": False})
    ours = sphinx_config(config)
    assert ours.pop("extensions") == [name for name in dict.fromkeys(theirs.pop("extensions")) if name not in LEFT_OUT]
    options = theirs.pop("html_theme_options")
    assert ours.pop("html_theme_options").items() <= options.items()  # they add addresses of services, all empty
    for name, value in theirs.items():
        assert name in NOT_SHOWN or ours.get(name) == value, name


def test_what_has_no_name_in_sphinx_is_told(config):
    config["html"]["announcement"] = "new"
    with pytest.raises(BookError, match="html/announcement, which `RENAMED`"):
        sphinx_config(config)


def test_the_configuration_is_a_file_of_python_that_loads_all_styles_and_scripts(tmp_path, config):
    (tmp_path / "_config.yml").write_text(yaml.safe_dump(config))
    (tmp_path / "_static").mkdir()
    for name in ("b.js", "a.js", "a.css"):
        (tmp_path / "_static" / name).touch()
    write_conf(tmp_path)
    told: dict[str, Any] = {}
    exec((tmp_path / "conf.py").read_text(), told)
    assert told["html_js_files"] == ["a.js", "b.js"] and told["html_css_files"] == ["a.css"]
    assert told["html_title"] == config["title"]


def test_an_environment_without_sphinx_is_told_of(mini_book):
    with pytest.raises(BookError, match="make site-next"):
        build_next(mini_book, Path("/bin/false"))


@pytest.mark.site
@pytest.mark.skipif(not PYTHON.exists(), reason="current Sphinx has an environment of its own: `make site-next`")
def test_current_sphinx_builds_the_same_pages(built_book):
    before = built_book.root / "_build" / "html"
    after = build_next(built_book, PYTHON, built_book.run_folder("smoke")).parent
    pages = [path.relative_to(before) for path in sorted((before / "book").rglob("*.html"))]
    assert pages == [path.relative_to(after) for path in sorted((after / "book").rglob("*.html"))]
    assert broken_links(after) == []
    for page in pages:
        if "_scenes" in page.parts:
            continue
        old, new = ((site / page).read_text(encoding="utf-8") for site in (before, after))
        for part in ("<h1>.*?</h1>", 'class="eqno">.*?<a', 'class="caption-number">.*?</span>', 'class="tpl-scene.*?>'):
            assert re.findall(part, new, re.DOTALL) == re.findall(part, old, re.DOTALL), (page, part)
