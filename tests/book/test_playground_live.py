"""The playground in JupyterLab, in Chromium: sliders move the mesh that is seen, and the last position stays.

`desk_at` and what follows take the address of a Lab that was started with `--LabApp.expose_app_in_browser=True`.
"""

import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from playgrounds import small_bench
from playwright.sync_api import ConsoleMessage, Locator, Page, sync_playwright

pytestmark = pytest.mark.site

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (  # no sandbox for root, WebGL without a GPU, and nothing of the browser's own asks the network
    "--no-sandbox --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --use-gl=angle --use-angle=swiftshader --enable-unsafe-swiftshader"
).split()
SESSION = "window.jupyterapp.shell.currentWidget?.sessionContext"
SERVER = (
    "-m jupyterlab --no-browser --allow-root --ServerApp.token= --ServerApp.password= "
    "--LabApp.expose_app_in_browser=True --LabApp.extension_manager=readonly"
).split()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Lab whose folder holds the chapter up to the desk, with a small run to play with."""
    folder = tmp_path_factory.mktemp("lab")
    bench = small_bench(folder)
    write_chapter(folder / "work" / "13_playground.ipynb", data=str(bench.collection.folder), runs=str(bench.runs))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    places["JUPYTER_CONFIG_PATH"] = str(ROOT / ".jupyter")  # or a question about news lies over the mesh
    paths = {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(folder / "ipython"), "JUPYTER_PREFER_ENV_PATH": "1"}
    command = [sys.executable, *SERVER, f"--ServerApp.port={port}", f"--ServerApp.root_dir={folder / 'work'}"]
    with (folder / "lab.log").open("w") as log:
        options = {"env": {**os.environ, **places, **paths}, "stdout": log, "stderr": log, "start_new_session": True}
        server = subprocess.Popen(command, **options)
    try:
        assert soon(lambda: answers(f"http://127.0.0.1:{port}/api/status"), 180), (folder / "lab.log").read_text()
        yield f"http://127.0.0.1:{port}/lab/tree/13_playground.ipynb"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


def write_chapter(path: Path, **values: str) -> None:
    """The chapter's first cells, up to the desk, with the desk switched on."""
    chapter = nbformat.read(ROOT / "book" / "13_playground.ipynb", as_version=4)
    cells = [cell for cell in chapter.cells if cell.cell_type == "code"]
    last = next(place for place, cell in enumerate(cells) if "playground.Desk(" in cell.source)
    chosen = {**values, "live": True, "category": "chairs", "shown_resolution": 24, "fit_seconds": 5}
    lines = "\n".join(f"{name} = {value!r}" for name, value in chosen.items())
    chapter.cells = [cells[0], nbformat.v4.new_code_cell(lines), *cells[1 : last + 1]]
    path.parent.mkdir(parents=True)
    nbformat.write(chapter, path)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


def soon(true: Callable[[], bool], seconds: float = 60) -> bool:
    """Whether something becomes true in time; much goes on before a first mesh is drawn."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.25)
    return False


@pytest.fixture(scope="module")
def page(lab: str) -> Iterator[Page]:
    """The notebook, run up to the desk, with a mesh on it; what went wrong on the way is in `page.complaints`."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page, complaints = browser.new_page(viewport={"width": 1700, "height": 1400}), []
        page.set_default_timeout(300_000)  # a Lab that starts on a busy machine takes its time
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: is_complaint(said) and complaints.append(said.text))
        near = ("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:")
        page.on("request", lambda request: request.url.startswith(near) or complaints.append(f"asks for {request.url}"))
        page.complaints = complaints  # type: ignore[attr-defined]
        desk_at(page, lab)
        yield page
        browser.close()


def is_complaint(said: ConsoleMessage) -> bool:
    """An error or a warning of k3d; what it draws with and how long that took it logs, too."""
    return "K3D" in said.text and said.type in ("error", "warning")


def desk_at(page: Page, url: str) -> None:
    """Opens the notebook and runs all of it, until a mesh stands on the desk."""
    page.goto(url, wait_until="commit")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.wait_for_function("window.jupyterapp && window.jupyterapp.commands.hasCommand('notebook:run-all-cells')")
    # before its kernel is there a notebook calls itself idle, too, and what is asked of it then is forgotten
    page.wait_for_function(f"{SESSION}?.isReady && {SESSION}.session?.kernel?.connectionStatus === 'connected'")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_selector(".jp-OutputArea canvas")
    screen(page).scroll_into_view_if_needed()
    assert soon(lambda: drawn(screen(page)) > 0.005, 120), "no mesh is drawn"
    said(page).wait_for()


def screen(page: Page) -> Locator:
    return page.locator(".jp-OutputArea canvas").first


def said(page: Page) -> Locator:
    return page.locator(".widget-label", has_text=re.compile("faces in")).first


def slider(page: Page, name: str) -> Locator:
    label = page.locator(".widget-label", has_text=re.compile(f"^{name}$"))
    return page.locator(".widget-slider", has=label).locator(".noUi-handle")


def pixels(place: Locator) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(place.screenshot())).convert("RGB")).astype(int)


def drawn(place: Locator) -> float:
    """The share of a canvas that is not paper."""
    return float((pixels(place) < 245).any(axis=2).mean())


def alike(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two pictures show the same, but for what antialiasing does."""
    return first.shape == second.shape and bool((np.abs(first - second) > 30).any(axis=2).mean() < 0.001)


def at_rest(page: Page) -> np.ndarray:
    """The canvas once it stays as it is for longer than the desk waits before it draws finely."""
    pictures = [pixels(screen(page))]

    def stays() -> bool:
        time.sleep(1)
        pictures.append(pixels(screen(page)))
        return alike(*pictures[-2:])

    assert soon(stays), "the mesh does not come to rest"
    return pictures[-1]


def test_a_slider_changes_the_mesh_and_back_again_it_is_the_same(page):
    before = at_rest(page)
    slider(page, "direction 1").focus()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    assert slider(page, "direction 1").get_attribute("aria-valuenow") == "1.5"
    assert soon(lambda: not alike(pixels(screen(page)), before)), "the mesh stays as it is"
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    assert soon(lambda: alike(pixels(screen(page)), before)), "at 0 the shape is not itself again"


def test_the_mesh_follows_while_the_mouse_drags(page):
    handle, lines = slider(page, "direction 1").bounding_box(), set()
    assert handle is not None
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(40):
        page.mouse.move(x + step, y)
        lines.add(said(page).text_content())
        page.wait_for_timeout(50)
    page.mouse.up()
    assert len(lines) > 5, f"few of the positions were drawn: {lines}"
    page.get_by_role("button", name="back to the shape").click()


def test_a_fit_draws_its_curve_and_its_mesh(page):
    page.locator("button", has_text=re.compile(r"^\s*fit\s*$")).click()
    line = page.locator(".widget-label", has_text=re.compile("distances off by"))
    line.wait_for()
    first = line.text_content()
    assert soon(lambda: line.text_content() != first)
    curve = page.locator(".jp-OutputArea img.widget-image").last
    assert curve.evaluate("image => image.naturalWidth") > 200


def test_nothing_went_wrong_and_nothing_outside_was_asked(page):
    assert page.complaints == []
