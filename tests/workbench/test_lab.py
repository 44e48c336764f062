"""JupyterLab on the bench, in Chromium: a form, a training that is watched, stopped and gone on with."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import safetensors.torch
import torch
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = "--no-sandbox --disable-quic --use-gl=angle --use-angle=swiftshader --enable-unsafe-swiftshader".split()
LONG = 300_000  # milliseconds for what takes seconds on a machine that does nothing else

pytestmark = [pytest.mark.site, pytest.mark.filterwarnings("ignore::ResourceWarning")]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of this repository as it is, with the shapes of profile smoke where they have been prepared."""
    folder = tmp_path_factory.mktemp("clone")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in names:
        if name and (ROOT / name).is_file() and not name.startswith("book/executed/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    if (ROOT / "data" / "smoke").exists():
        shutil.copytree(ROOT / "data" / "smoke", folder / "data" / "smoke")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "as it is"]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def lab(clone: Path) -> Iterator[str]:
    """The address of a JupyterLab that `tpl lab` has opened in the clone."""
    environment = os.environ | {"PYTHONPATH": str(clone), "OMP_NUM_THREADS": "1"}
    environment["JUPYTERLAB_WORKSPACES_DIR"] = str(clone.parent / "workspaces")  # no notebook of an earlier run opens
    for name in ("JUPYTER_CONFIG_PATH", "TPL_WATCH"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "tpl", "lab", "--no-browser", "--port", "8900"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=clone, env=environment, stderr=pipe, text=True, start_new_session=True
    ) as server:
        assert server.stderr
        found = next(
            filter(None, (re.search(r"http://127\.0\.0\.1:\d+/lab\?token=\w+", line) for line in server.stderr))
        )
        try:
            yield found[0]
        finally:
            os.killpg(server.pid, signal.SIGTERM)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM.exists(), "these tests drive Debian's browser: apt-get install chromium"
    expect.set_options(timeout=LONG)  # not the five seconds of an idle machine
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def opened(browser: Browser, lab: str, name: str) -> tuple[Page, list[str]]:
    """A copy of a chapter in JupyterLab, and the addresses elsewhere that the page asks for."""
    page = browser.new_page(viewport={"width": 1400, "height": 1100})
    page.set_default_timeout(LONG)
    outside: list[str] = []
    page.on("request", lambda asked: outside.append(asked.url) if "127.0.0.1" not in asked.url else None)
    page.goto(lab.replace("/lab?", f"/lab/tree/{name}.ipynb?"))
    page.locator(".jp-CodeCell").first.wait_for()
    page.locator(".jp-NotebookPanel-toolbar").get_by_text("Python 3").wait_for()
    return page, [url for url in outside if not url.startswith(("data:", "blob:"))]


def show_form(page: Page) -> None:
    page.locator(".jp-CodeCell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    page.locator(".tpl-form").wait_for()


def set_values(page: Page, **values: str) -> None:
    """Types into the form, each value in the group that has it."""
    for name, value in values.items():
        field = page.get_by_label(name, exact=True)
        if not field.is_visible():
            for group in page.locator(".tpl-form .jupyter-widget-Collapse-header").all():
                group.click()
                if field.is_visible():
                    break
        if field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
            field.press("Enter")


def run_all(page: Page) -> None:
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / "model.safetensors")


def test_a_training_is_set_watched_stopped_and_gone_on_with(clone, lab, browser):
    page, outside = opened(browser, lab, "03_embedding")
    show_form(page)
    page.get_by_label("start from").select_option("smoke")
    set_values(page, category="chairs", chairs_epochs="-5")
    expect(page.locator(".tpl-form .tpl-why").get_by_text("it must be greater than 0")).to_be_visible()
    set_values(page, chairs_epochs="1200")
    expect(page.locator(".tpl-form code").first).to_have_text(
        "tpl run 03 --profile smoke -p category chairs -p chairs_epochs 1200"
    )
    run_all(page)
    watched = page.locator(".tpl-watched")
    watched.wait_for()
    rows = watched.locator("tr", has_text="chairs, our_embedding")
    rows.get_by_text(re.compile(r"points/s")).wait_for()
    curve = page.locator(".jp-OutputArea-output:has(.tpl-watched) img").first
    curve.wait_for()
    first = curve.get_attribute("src")
    page.wait_for_function("([curve, first]) => curve.src !== first", arg=[curve.element_handle(), first])  # it moves
    page.locator("button", has_text="Stop").click()
    page.get_by_text("Stopped, and saved:").wait_for()
    states = list((clone / "runs" / "smoke" / "chairs").glob("*embedding/state/0*"))
    assert states and not list((clone / "runs" / "smoke" / "chairs").glob("*embedding/run.json"))
    page.locator("button", has_text="Go on").click()
    for phase in ("embedding", "our_embedding"):
        wait_for(page, clone / "runs" / "smoke" / "chairs" / phase / "run.json")
    assert outside == []
    page.close()
    run = [sys.executable, "-m", "tpl", "train", "our_embedding", "--profile", "smoke", "--category", "chairs"]
    run += ["--runs", "straight", "-p", "chairs_epochs", "1200"]
    subprocess.run(run, cwd=clone, env=os.environ | {"PYTHONPATH": str(clone)}, check=True, capture_output=True)
    straight = weights(clone / "straight" / "chairs" / "our_embedding")
    stopped = weights(clone / "runs" / "smoke" / "chairs" / "our_embedding")
    assert straight.keys() == stopped.keys()
    assert all(torch.equal(straight[name], stopped[name]) for name in straight)


def wait_for(page: Page, file: Path) -> None:
    for _ in range(LONG // 500):
        if file.exists():
            return
        page.wait_for_timeout(500)
    raise AssertionError(f"{file} did not come")


def test_the_sources_are_as_they_were(clone, lab):
    """After the one chapter was run and every copy changed and saved as JupyterLab saves it, git sees nothing."""
    address, token = lab.split("/lab?token=")
    copies = sorted((clone / "lab").glob("*.ipynb"))
    assert len(copies) > 10
    for copy in copies:
        allowed = {"Authorization": f"token {token}"}
        asked = urllib.request.Request(f"{address}/api/contents/{copy.name}", headers=allowed)
        with urllib.request.urlopen(asked) as answer:
            model = json.load(answer)
        for cell in model["content"]["cells"]:
            if cell["cell_type"] == "code":
                cell["source"] += "\nchanged = True"
        content = json.dumps({name: model[name] for name in ("type", "format", "content")}).encode()
        headers = {**asked.headers, "Content-Type": "application/json"}
        saved = urllib.request.Request(asked.full_url, content, headers, method="PUT")
        with urllib.request.urlopen(saved) as answer:
            assert answer.status == 200
        assert "changed = True" in copy.read_text()
    seen = subprocess.run(["git", "status", "--short"], cwd=clone, capture_output=True, text=True, check=True)
    assert seen.stdout.replace("?? straight/\n", "") == ""
