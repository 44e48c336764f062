"""The installed wheel works in an empty folder, without the clone and without the packages of the book."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from tpl.chapters.photos.standins import before_wall
from tpl.rendering import FIXED, render_view
from tpl.shapes import list_shapes

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PIP = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
ABSENT = """
import sys

class Absent:  # what `pip install .` does not bring
    def find_spec(self, name, path=None, target=None):
        if name in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of this tree in it."""
    source, wheels, target = (tmp_path_factory.mktemp(name) for name in ("source", "wheels", "installed"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "tpl", source / "tpl", ignore=shutil.ignore_patterns("__pycache__"))
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, source]
    subprocess.run([*PIP, *build], check=True, capture_output=True)
    (wheel,) = wheels.glob("*.whl")
    subprocess.run([*PIP, "install", "--no-deps", "--target", target, wheel], check=True, capture_output=True)
    book = [re.split(r"[^\w-]", line)[0].replace("-", "_") for line in PROJECT["optional-dependencies"]["book"]]
    (target / "sitecustomize.py").write_text(ABSENT.format(names=[*book, "mathjax", "sphinx"]))
    return target


@pytest.fixture
def tpl(installed: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess]:
    """Runs the command `tpl` of the wheel in an empty folder, without a network."""
    deaf = tmp_path / "bin" / "apt-get"  # an archive that does not answer
    deaf.parent.mkdir()
    deaf.write_text("#!/bin/sh\necho 'E: no network' >&2\nexit 100\n")
    deaf.chmod(0o755)
    (tmp_path / "empty").mkdir()

    def call(*arguments: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, "PYTHONPATH": str(installed), "PATH": f"{deaf.parent}:{os.environ['PATH']}"}
        command = [installed / "bin" / "tpl", *arguments]
        return subprocess.run(command, cwd=tmp_path / "empty", env=environment, capture_output=True, text=True)

    return call


def test_it_is_the_wheel_that_is_imported_and_it_says_its_version_and_its_types(installed, tmp_path):
    code = "import tpl; print(tpl.__file__, tpl.__version__)"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.stdout.split() == [str(installed / "tpl" / "__init__.py"), PROJECT["version"]], result.stderr
    assert (installed / "tpl" / "py.typed").exists()


def test_help_lists_the_commands(tpl):
    result = tpl("--help")
    assert result.returncode == 0 and "prepare" in result.stdout and "reconstruct" in result.stdout, result.stderr


def test_own_meshes_are_prepared_with_the_library_s_own_amounts(tpl, tmp_path):
    meshes = tmp_path / "meshes"
    meshes.mkdir()
    for name, extents in {"stool": (0.5, 0.6, 0.6), "bench": (1.2, 0.4, 0.5)}.items():
        trimesh.creation.box(extents).export(meshes / f"{name}.ply")
    amounts = ["--prepare.sdf-samples", "500", "--prepare.surface-points", "500", "--prepare.cross-samples", "100"]
    result = tpl("prepare", "--folder", str(meshes), "--category", "chairs", "--jobs", "1", *amounts)
    assert result.returncode == 0, result.stderr
    assert "the library's own amounts, those of profile quick; other profiles need a clone" in result.stdout
    samples = list((tmp_path / "empty" / "data" / "quick-folder").rglob("SdfSamples/**/*.npz"))
    assert len(samples) == 2
    with np.load(samples[0]) as arrays:
        assert sum(len(arrays[name]) for name in arrays) == 500


def test_the_catalogue_of_the_open_collection_comes_along(tpl):
    result = tpl("fetch", "open")
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "flightgear-data-ai_" in result.stderr
    assert "into data/fetched/packages and run this again" in result.stderr


def test_a_photograph_becomes_a_mesh_with_nothing_but_the_wheel(tpl, tmp_path):
    view = render_view(list_shapes("procedural", "chairs", train=1)[0].load(), FIXED, 256)
    Image.fromarray(before_wall(view, [(120, 160, 140)])).save(tmp_path / "photo.png")
    result = tpl("reconstruct", str(tmp_path / "photo.png"), "-o", "chair.glb", "--resolution", "48")
    assert result.returncode == 0, result.stderr
    assert "category: chairs" in result.stdout and "networks: those that come with the package" in result.stdout
    assert "mask: plain background" in result.stdout and "doubt: " in result.stdout
    mesh = trimesh.load(tmp_path / "empty" / "chair.glb", force="mesh")
    assert len(mesh.faces) > 500 and 0.3 < mesh.extents[1] / np.linalg.norm(mesh.extents) < 0.9


def test_whoever_names_a_run_hears_what_is_missing_in_it(tpl, tmp_path):
    picture = Image.new("RGB", (64, 64), "white")
    picture.paste("brown", (20, 12, 44, 52))
    picture.save(tmp_path / "photo.png")
    asked = ["-o", "chair.glb", "--category", "chairs", "--runs", "runs/quick"]
    result = tpl("reconstruct", str(tmp_path / "photo.png"), *asked)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1 and "runs/quick" in result.stderr


def test_what_needs_the_book_says_so_in_a_sentence(installed, tmp_path):
    commands = ["run", "site", "pair", "publish", "prepare --profile smoke"]
    code = f"""
import sys
from tpl.__main__ import main
for command in {commands}:
    sys.argv = ["tpl", *command.split()]
    try:
        main()
    except SystemExit as end:
        print(end)
"""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.stdout.splitlines() == [
        f"tpl: no book in {installed}: this needs a clone of the repository and the library installed from it, "
        "`pip install -e .[book]`"
    ] * len(commands), result.stderr
