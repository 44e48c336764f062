"""The paper's renderer, Blender's Cycles, as a program that is called: views by path tracing, with shadows.

Slower than the default renderer, and needed only to come closer to the published views. Blender is never imported:
its programs and its licence (GPL) stay its own. The cameras are those of the default renderer, and so are the
lamps, as far as a renderer without shadows and one with them can agree.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import UInt8
from PIL import Image

from tpl.errors import PlainError
from tpl.rendering.cameras import LENS_MM, SENSOR_MM, SIZE, Camera, check_size
from tpl.rendering.raycast import RayMesh, corner_colors

SAMPLES = 16  # paths a pixel, without a denoiser
OLDEST, NEWEST = (3, 4), (4, 99)
PATIENCE = 60.0  # seconds for Blender to say its version
SCENE = Path(__file__).with_name("blender_scene.py")
GET = (
    "`apt-get install --no-install-recommends blender`, or name a Blender, or a Python that has the package bpy, "
    "by the environment variable TPL_BLENDER"
)

KEY, FILL = ((0.5, 0.8, -0.7), 0.55), ((-0.8, 0.3, 0.2), 0.2)  # the default renderer's lamps: where, how bright
SKY = (0.27, 0.195)  # light 0.27 + 0.195 h from height h is 0.27 + 0.13 n_y on a normal n: the default's sky


class BlenderError(PlainError):
    """Blender is missing, too old or too new, or did not render; the message says what to do."""


def blender_version() -> str:
    """The version of the Blender that would render.

    Raises:
        BlenderError: There is none, or one that this was not made for.
    """
    return _version(_program())


def render_views(
    mesh: trimesh.Trimesh,
    cameras: Sequence[Camera],
    size: int = SIZE,
    samples: int = SAMPLES,
    *,
    threads: int = 1,
    timeout: float | int | None = None,
) -> UInt8[np.ndarray, "views height width 4"]:
    """The same views as the default renderer's, by Cycles on the CPU, all in one run of Blender.

    Matt surfaces in the faces' colours, seen from both sides; a transparent background.

    Args:
        mesh: In ShapeNet units; `mesh.visual` gives the colours.
        cameras: One a view.
        size: Width and height in pixels.
        samples: Paths a pixel.
        threads: Of Blender.
        timeout: Seconds until Blender is ended; None is two minutes and half a minute a view.

    Raises:
        BlenderError: It is missing, of another version, failed, or took too long.
        ValueError: No faces, vertices that are not finite, or a size below 1.
    """
    check_size(size)
    RayMesh(mesh)  # refuses what cannot be rendered, in the default renderer's words
    program = _program()
    _version(program)
    timeout = timeout or 120 + 30 * len(cameras)
    with tempfile.TemporaryDirectory(prefix="tpl-blender-") as name:
        folder = Path(name)
        _write_job(folder, mesh, cameras, size, samples, threads)
        start = [program, "-b", "-noaudio", "--factory-startup", "--python-exit-code", "1", "-P", str(SCENE), "--"]
        if _is_python(program):
            start = [program, str(SCENE)]
        try:
            result = _run([*start, name], timeout)
        except subprocess.TimeoutExpired:
            raise BlenderError(
                f"{program} did not render {len(cameras)} views in {timeout:g} s and was ended: "
                "render fewer or smaller ones, or leave Blender out (renderer = rays)"
            ) from None
        files = [folder / f"{number}.png" for number in range(len(cameras))]
        if result.returncode or not all(file.exists() for file in files):
            raise BlenderError(
                f"{program} ended with status {result.returncode} before all views were rendered "
                f"({_last_line(result)}): run it by hand, or leave Blender out (renderer = rays)"
            )
        return np.stack([np.asarray(Image.open(file).convert("RGBA")) for file in files])


def _write_job(
    folder: Path, mesh: trimesh.Trimesh, cameras: Sequence[Camera], size: int, samples: int, threads: int
) -> None:
    albedo = np.ones((len(mesh.faces), 4), np.float32)
    albedo[:, :3] = corner_colors(mesh, "face")[:, 0]
    np.asarray(mesh.vertices, np.float32).tofile(folder / "vertices.f32")
    np.asarray(mesh.faces, np.int32).tofile(folder / "faces.i32")
    albedo.tofile(folder / "colors.f32")
    matrices = []
    for camera in cameras:  # Blender's cameras look along their -z, with y up: our axes right, up, back
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = camera.axes.T, camera.origin
        matrices.append(matrix.tolist())
    job = {
        "cameras": matrices,
        "size": size,
        "lens": LENS_MM,
        "sensor": SENSOR_MM,
        "samples": samples,
        "threads": threads,
        "lamps": [{"direction": direction, "strength": strength} for direction, strength in (KEY, FILL)],
        "sky": {"base": SKY[0], "slope": SKY[1]},
    }
    (folder / "job.json").write_text(json.dumps(job))


def _program() -> str:
    name = os.environ.get("TPL_BLENDER") or "blender"
    path = shutil.which(name)
    if path is None:
        raise BlenderError(f"no program {name!r} was found for the renderer blender: {GET}")
    return path


@cache
def _version(program: str) -> str:
    """The version of a Blender, or of a Python with bpy, if it is one that is known to work."""
    ask = ["-c", "import bpy; print('Blender', bpy.app.version_string)"] if _is_python(program) else ["--version"]
    try:
        result = _run([program, *ask], PATIENCE)
    except subprocess.TimeoutExpired:
        raise BlenderError(f"{program} did not say its version within {PATIENCE:g} s: {GET}") from None
    except OSError as error:  # a file that is no program
        raise BlenderError(f"{program} cannot be started ({error.strerror}): {GET}") from error
    found = re.search(r"^Blender (\d+)\.(\d+)\S*", result.stdout, re.MULTILINE)
    if result.returncode or not found:
        raise BlenderError(f"{program} does not say which Blender it is ({_last_line(result)}): {GET}")
    if not OLDEST <= (int(found[1]), int(found[2])) <= NEWEST:
        raise BlenderError(f"{program} is {found[0]}, and the renderer blender needs 3.4 to 4.x: {GET}")
    return found[0].removeprefix("Blender ")


def _is_python(program: str) -> bool:
    return Path(program).name.startswith("python")


def _run(command: list[str], timeout: float | int) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end; one that takes longer is ended with all that it has started."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, output)


def _last_line(result: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in result.stdout.splitlines() if line.strip() and not line.startswith("Blender quit")]
    return lines[-1].strip()[:200] if lines else "it said nothing"
