"""Chapter 14's page opened as a file, in Chromium and in Firefox: it makes the mesh that Python makes."""

import itertools
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from live_pages import ball_decoder, ball_page, picture, plain_encoder
from playwright.sync_api import sync_playwright
from test_site import ARGUMENTS, CHROMIUM

from tpl.geometry.marching import sample_mesh
from tpl.geometry.whole import extract_whole
from tpl.inference import encode
from tpl.look.scenes import libraries
from tpl.metrics import chamfer_distance, sampling_floor

pytestmark = pytest.mark.site

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
PATIENCE = 240  # seconds: a browser that draws without a GPU shares the machine with other tests

ARRAYS = """(() => ({ told: document.querySelector("#told").textContent,
  ...now.mesh, vertices: Array.from(now.mesh.vertices), faces: Array.from(now.mesh.faces), colours: null }))()"""

Ask = Callable[[str], Any]
"""The value of an expression in the page."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the balls, beside the scripts that it loads."""
    scenes = tmp_path_factory.mktemp("scenes")
    for library in libraries():
        shutil.copy(library, scenes)
    (scenes / "chapter").mkdir()
    ball_page(ball_decoder(), plain_encoder()).write(scenes / "chapter")
    return scenes / "chapter" / "balls.html"


def in_chromium(page: Path) -> Iterator[Ask]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        tab = browser.new_page(viewport={"width": 500, "height": 500})
        tab.goto(page.as_uri())
        yield lambda expression: tab.evaluate(expression)
        browser.close()


def in_firefox(page: Path) -> Iterator[Ask]:
    """By Marionette, which Firefox itself speaks: messages `length:[0, number, command, arguments]` on a socket."""
    if FIREFOX is None:
        pytest.skip("no Firefox on this machine: apt-get install firefox-esr")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    profile = page.parent / "profile"
    profile.mkdir()
    wishes = {"marionette.port": port, "webgl.force-enabled": True}  # WebGL without a GPU, where it can be
    text = "".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in wishes.items())
    (profile / "user.js").write_text(text)
    browser = subprocess.Popen([FIREFOX, "--headless", "--marionette", "--no-remote", "--profile", str(profile)])
    try:
        within = "return JSON.stringify((window.wrappedJSObject || window).eval(arguments[0]) ?? null)"
        with connected(port) as connection, connection.makefile("rwb") as stream:
            speak = marionette(stream)
            speak("WebDriver:NewSession", {})
            speak("WebDriver:Navigate", {"url": page.as_uri()})
            yield lambda expression: json.loads(
                speak("WebDriver:ExecuteScript", {"script": within, "args": [expression]})
            )
    finally:
        browser.terminate()
        browser.wait(30)


def connected(port: int) -> socket.socket:
    """A connection to a browser that takes its time to start."""
    for _ in range(PATIENCE):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        except OSError:
            time.sleep(1)
    raise TimeoutError("Firefox does not answer")


def marionette(stream: Any) -> Callable[[str, dict[str, Any]], Any]:
    """What sends a command and its arguments, and returns the answer's value."""

    def read() -> Any:
        length = b"".join(iter(lambda: stream.read(1), b":"))
        return json.loads(stream.read(int(length)))

    read()  # it says who it is
    numbers = itertools.count(1)

    def speak(command: str, arguments: dict[str, Any]) -> Any:
        message = json.dumps([0, next(numbers), command, arguments]).encode()
        stream.write(b"%d:%s" % (len(message), message))
        stream.flush()
        _, _, error, result = read()
        assert error is None, error
        return result.get("value") if isinstance(result, dict) else result

    return speak


@pytest.fixture(scope="module", params=[in_chromium, in_firefox], ids=["chromium", "firefox"])
def ask(request: pytest.FixtureRequest, page: Path) -> Iterator[Ask]:
    yield from request.param(page)


def made(ask: Ask) -> dict[str, Any]:
    """The mesh that the page holds when it has come to rest."""
    for _ in range(PATIENCE):
        state = ask("document.body.dataset.state")
        if state == "done":
            return ask(ARRAYS)
        assert state != "failed", ask("document.querySelector('#told').textContent")
        time.sleep(1)
    raise TimeoutError(ask("document.querySelector('#told').textContent"))


def test_the_first_view_becomes_the_mesh_that_python_makes(ask):
    found, rng = made(ask), np.random.default_rng(0)
    assert found["resolution"] == 64 and "32³ after" in found["told"] and "64³ after" in found["told"]
    latent = encode(plain_encoder(), picture()[None])[0]
    expected = extract_whole(ball_decoder().shape(latent), 64)
    vertices, faces = np.reshape(found["vertices"], (-1, 3)), np.reshape(found["faces"], (-1, 3))
    a, b = (sample_mesh(mesh, 5000, rng)[0] for mesh in (trimesh.Trimesh(vertices, faces), expected))
    assert chamfer_distance(a, b) < 1.2 * sampling_floor(expected, 5000, rng)


def test_a_slider_moves_the_code_and_the_way_back_is_exact(ask):
    first = made(ask)
    move = """(() => { const slider = document.querySelector("#sliders input"); slider.value = 2;
      for (const kind of ["input", "change"]) slider.dispatchEvent(new Event(kind)); })()"""
    ask(move)
    moved = made(ask)
    assert moved["told"] != first["told"] and moved["vertices"] != first["vertices"]
    ask("document.querySelector('#back').click()")
    assert made(ask)["vertices"] == first["vertices"]


def test_the_file_is_the_mesh_with_its_colours(ask, tmp_path):
    shown = made(ask)
    ask("(() => { glb(now.mesh).arrayBuffer().then(file => { window.file = Array.from(new Uint8Array(file)); }); })()")
    while (data := ask("window.file || null")) is None:
        time.sleep(0.1)
    (tmp_path / "ball.glb").write_bytes(bytes(data))
    mesh = trimesh.load(tmp_path / "ball.glb", force="mesh", process=False)
    assert isinstance(mesh, trimesh.Trimesh) and len(mesh.faces) == len(shown["faces"]) // 3
    np.testing.assert_allclose(mesh.vertices, np.reshape(shown["vertices"], (-1, 3)) / 1.94, atol=1e-6)
    parts = json.loads(bytes(data[20 : 20 + int.from_bytes(bytes(data[12:16]), "little")]))
    assert parts["meshes"][0]["primitives"][0]["attributes"] == {"POSITION": 0, "COLOR_0": 1}


def test_keys_turn_it_and_home_goes_back(ask):
    camera = "Array.from(plots[0].getWorld().camera.position.toArray())"
    made(ask)
    if ask("plots === null"):
        pytest.skip("this browser has no WebGL on this machine: it draws nothing to turn")
    start, panels = ask(camera), "document.querySelector('.panels')"

    def press(key: str) -> Any:
        ask(f"({panels}.focus(), {panels}.dispatchEvent(new KeyboardEvent('keydown', {{ key: '{key}' }})))")
        return ask(camera)

    seen = [start, *(press(key) for key in ("ArrowLeft", "ArrowUp", "+", "-"))]
    assert all(np.linalg.norm(np.subtract(a, b)) > 0.01 for a, b in itertools.pairwise(seen))
    np.testing.assert_allclose(press("Home"), start, atol=1e-6)
    assert ask("document.activeElement === document.querySelector('.panels')")
