"""Meshes that turn: a live k3d widget in JupyterLab, a page that needs no network in the book, a picture elsewhere.

A notebook's output holds a PNG, a short text and, when somebody sits before the kernel, the live widget. `tpl run`
sets `TPL_SCENES`: then each scene leaves a page there, which the site shows in the picture's place (`chapters.stage`).
k3d's own HTML carries 2.6 MB of JavaScript a scene; here all pages share one copy, `LIBRARIES`.
"""

import base64
import html
import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float, Int, UInt8, UInt32
from PIL import Image, ImageDraw, ImageFont
from scipy.spatial import KDTree
from trimesh.graph import connected_component_labels

from tpl.files import write_file
from tpl.rendering.cameras import FIELD_OF_VIEW, POSTER, Camera

MIME = "application/vnd.tpl.scene+json"
FOLDER_VARIABLE = "TPL_SCENES"  # where `tpl run` wants the pages of the chapter that it executes
BARE = (205, 186, 165)  # a mesh without any colour
CREASE = np.radians(35)  # faces that meet at a sharper angle keep their edge; the others are shaded as one
LIBRARIES = ("require.js", "standalone.js")  # beside the chapters' folders of pages; both from k3d
TURNING = Path(__file__).with_name("turning.js")  # beside them, too: how plots are turned
TILE = 512  # pixels a side of one panel of a poster


@dataclass(frozen=True)
class Panel:
    """One square of a scene: its caption, and a mesh for each position of the slider (one, without a slider)."""

    label: str
    meshes: tuple[trimesh.Trimesh, ...]


@dataclass(frozen=True, eq=False)
class Scene:
    """Panels side by side that turn together; the value of a cell, for the notebook to display.

    Made by `mesh_scene` and `steps_scene`.
    """

    name: str
    panels: tuple[Panel, ...]
    steps: tuple[str, ...]
    camera: Camera
    poster: bytes

    def __repr__(self) -> str:
        shown = ", ".join(panel.label for panel in self.panels if panel.label)
        steps = f", {len(self.steps)} steps from '{self.steps[0]}' to '{self.steps[-1]}'" if len(self.steps) > 1 else ""
        return f"3D scene '{self.name}'" + (f": {shown}" if shown else "") + steps

    def page(self, alone: bool = False) -> str:
        """The scene as an HTML page; it wants `libraries` in the folder above its own, or holds them, 2.6 MB."""
        data = [base64.b64encode(_snapshot(panel, self.camera)).decode() for panel in self.panels]
        panels = "".join(
            f'<div class="panel"><div class="canvas" data-snapshot="{snapshot}"></div>'
            f"<span>{html.escape(panel.label)}</span></div>"
            for panel, snapshot in zip(self.panels, data, strict=True)
        )
        last = len(self.steps) - 1
        labels = "".join(f"<option>{html.escape(step)}</option>" for step in self.steps)
        slider = (
            f'<label><input type="range" min="0" max="{last}" value="{last}" aria-label="step">'
            f"<output>{html.escape(self.steps[-1])}</output><datalist>{labels}</datalist></label>"
        )
        page = PAGE
        for library in libraries() if alone else ():
            text = library.read_text(encoding="utf-8")
            script = re.sub(r"<(?=!--|/?script)", r"\\x3c", text)  # they stand in strings, and would be tags
            page = page.replace(f'<script src="../{library.name}"></script>', f"<script>{script}</script>")
        return (
            page.replace("[NAME]", html.escape(self.name))
            .replace("[WORDS]", html.escape(repr(self)))
            .replace("[PANELS]", panels)
            .replace("[SLIDER]", slider if last else "")
        )

    def write(self, folder: Path) -> Path:
        """Leaves the page in `folder`, all of it or nothing, and returns its path."""
        path = folder / f"{self.name}.html"
        write_file(path, lambda partial: partial.write_text(self.page(), encoding="utf-8"))
        return path

    def widget(self) -> Any:
        """The live scene: k3d plots with one camera, and a slider over the steps if there are several."""
        import ipywidgets

        plots = [_plot(panel, self.camera, height=360) for panel in self.panels]
        for plot in plots[1:]:
            ipywidgets.jslink((plots[0], "camera"), (plot, "camera"))
        columns = [
            ipywidgets.VBox([ipywidgets.Label(panel.label), plot], layout={"flex": "1 1 0"})
            for panel, plot in zip(self.panels, plots, strict=True)
        ]
        if len(self.steps) == 1:
            return ipywidgets.HBox(columns)
        slider = ipywidgets.SelectionSlider(options=self.steps, value=self.steps[-1], description="step")

        def show(change: Any) -> None:
            for plot in plots:
                for step, mesh in zip(self.steps, plot.objects, strict=True):
                    mesh.visible = step == change["new"]

        slider.observe(show, names="value")
        return ipywidgets.VBox([ipywidgets.HBox(columns), slider])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle: dict[str, Any] = {"text/plain": repr(self), "image/png": base64.b64encode(self.poster).decode()}
        if folder := os.environ.get(FOLDER_VARIABLE):
            self.write(Path(folder))
            bundle[MIME] = {"name": self.name, "panels": len(self.panels), "steps": len(self.steps)}
        else:
            live = self.widget()._repr_mimebundle_()
            bundle |= live[0] if isinstance(live, tuple) else live
            bundle["text/plain"] = repr(self)
        return bundle


def mesh_scene(
    meshes: trimesh.Trimesh | Mapping[str, trimesh.Trimesh],
    *,
    name: str,
    color: tuple[int, int, int] | None = None,
    camera: Camera = POSTER,
    poster: bytes | UInt8[np.ndarray, "height width channels"] | None = None,
    max_faces: int = 15_000,
) -> Scene:
    """One mesh, or several side by side under their captions, to be turned together.

    Args:
        meshes: In one frame, with their bounding boxes around the origin, as ShapeNet's and the reconstructions are.
        name: Of the scene's page: small letters, digits, `-` and `_`; one of its own within a chapter.
        color: For all of them; without it a mesh keeps its own colours, and one that has none is `BARE`.
        camera: Where the scene opens.
        poster: The picture in place of the live scene, as PNG or pixels; drawn by `render_poster` when left out.
        max_faces: A mesh with more is decimated to so many.

    Raises:
        ValueError: No mesh, a mesh without faces, or a name that cannot be a file's.
    """
    named = {"": meshes} if isinstance(meshes, trimesh.Trimesh) else dict(meshes)
    panels = tuple(Panel(label, (_prepared(mesh, color, max_faces),)) for label, mesh in named.items())
    return _scene(name, panels, ("",), camera, poster)


def steps_scene(
    steps: Mapping[str, trimesh.Trimesh],
    *,
    name: str,
    color: tuple[int, int, int] | None = None,
    camera: Camera = POSTER,
    poster: bytes | UInt8[np.ndarray, "height width channels"] | None = None,
    max_faces: int = 10_000,
) -> Scene:
    """One shape after another in the same place, by a slider that opens at the last step.

    Args:
        steps: A mesh for each position of the slider, by its caption; the rest as in `mesh_scene`.

    Raises:
        ValueError: As in `mesh_scene`.
    """
    meshes = tuple(_prepared(mesh, color, max_faces) for mesh in steps.values())
    return _scene(name, (Panel("", meshes),) if meshes else (), tuple(steps), camera, poster)


def libraries() -> list[Path]:
    """The scripts that every page loads: k3d's, where it keeps them, and ours."""
    spec = find_spec("k3d")
    assert spec is not None and spec.submodule_search_locations is not None
    return [*(Path(spec.submodule_search_locations[0]) / "static" / library for library in LIBRARIES), TURNING]


def _scene(
    name: str,
    panels: tuple[Panel, ...],
    steps: Sequence[str],
    camera: Camera,
    poster: bytes | np.ndarray | None,
) -> Scene:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise ValueError(f"a scene's name is a file's: small letters, digits, - and _, not {name!r}")
    if not panels:
        raise ValueError(f"scene '{name}' has no mesh to show")
    if poster is None:
        poster = _poster(panels, camera)
    if isinstance(poster, np.ndarray):
        poster = _png(poster)
    return Scene(name, panels, tuple(steps), camera, poster)


def _prepared(mesh: trimesh.Trimesh, color: tuple[int, int, int] | None, max_faces: int) -> trimesh.Trimesh:
    """The mesh as it is shown: few enough faces, a vertex for each of its colours and either side of a crease."""
    if len(mesh.faces) == 0:
        raise ValueError("a mesh without faces cannot be shown; drop it, or say in words that there is none")
    vertices, faces = mesh.vertices.view(np.ndarray), mesh.faces.view(np.ndarray)
    corners = _corner_colors(mesh, color)  # (f, 3, 3)
    if len(faces) > max_faces:
        before = KDTree(inside_corners(vertices, faces))
        simple = trimesh.Trimesh(vertices, faces, process=False).simplify_quadric_decimation(face_count=max_faces)
        vertices, faces = simple.vertices.view(np.ndarray), simple.faces.view(np.ndarray)
        corners = corners.reshape(-1, 3)[before.query(inside_corners(vertices, faces))[1]]
    patches = np.repeat(smooth_patches(vertices, faces), 3)[:, None]
    key = np.concatenate([faces.reshape(-1, 1), patches, corners.reshape(-1, 3)], axis=1)
    unique, index = np.unique(key, axis=0, return_inverse=True)
    rgb = unique[:, 2:].astype(np.uint8)
    return trimesh.Trimesh(vertices[unique[:, 0]], index.reshape(-1, 3), vertex_colors=rgb, process=False)


def _corner_colors(mesh: trimesh.Trimesh, color: tuple[int, int, int] | None) -> Int[np.ndarray, "faces 3 3"]:
    visual: Any = mesh.visual  # a texture's colours are not shown
    if color is None and visual.kind == "face":
        rgb = np.asarray(visual.face_colors)[:, None, :3]
    elif color is None and visual.kind == "vertex":
        rgb = np.asarray(visual.vertex_colors)[mesh.faces][:, :, :3]
    else:
        rgb = np.array(color or BARE)[None, None]
    return np.broadcast_to(rgb, (len(mesh.faces), 3, 3)).astype(np.int64)


def inside_corners(
    vertices: Float[np.ndarray, "n 3"], faces: Int[np.ndarray, "faces 3"]
) -> Float[np.ndarray, "corners 3"]:
    """A point near each corner of each face that is nearest to this corner, not to a neighbouring face's.

    Args:
        vertices: Of a mesh.
        faces: Its triangles.

    Returns:
        Three points for each face, in its corners' order, in the vertices' frame.
    """
    corners = vertices[faces]
    return (0.75 * corners + 0.25 * corners.mean(axis=1, keepdims=True)).reshape(-1, 3)


def smooth_patches(vertices: Float[np.ndarray, "n 3"], faces: Int[np.ndarray, "faces 3"]) -> Int[np.ndarray, " faces"]:
    """For each face the number of its patch, within which no edge is a crease.

    Args:
        vertices: Of a mesh.
        faces: Its triangles.
    """
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    joined = mesh.face_adjacency[mesh.face_adjacency_angles < CREASE]
    return connected_component_labels(joined, node_count=len(faces)).astype(np.int64)


def empty_plot(camera: Camera = POSTER, height: int = 360) -> Any:
    """A k3d plot as scenes have it, with nothing in it.

    Args:
        camera: Where it opens.
        height: In pixels.
    """
    import k3d

    target = -np.array(camera.shift, dtype=float)
    return k3d.plot(  # pyright: ignore[reportCallIssue]  # the function, not the module of its name
        height=height,
        camera_auto_fit=False,
        grid_visible=False,
        menu_visibility=False,
        axes_helper=0.0,
        camera_fov=FIELD_OF_VIEW,
        camera=[*camera.origin, *target, *camera.axes[1]],
        camera_mode="orbit",  # furniture stays upright
        camera_up_axis="y",
        lighting=1.8,
        background_color=0xFFFFFF,
    )


def drawable_mesh(
    vertices: Float[np.ndarray, "n 3"],
    faces: Int[np.ndarray, "faces 3"],
    colors: UInt8[np.ndarray, "n 3"],
    visible: bool = True,
) -> Any:
    """A mesh as k3d draws it in scenes, with a colour a vertex."""
    import k3d

    packed: Any = packed_colors(colors)
    return k3d.mesh(
        vertices.astype(np.float32),
        faces.astype(np.uint32),
        colors=packed,
        flat_shading=False,
        roughness=0.9,
        side="double",
        visible=visible,
    )


def packed_colors(colors: UInt8[np.ndarray, "n 3"]) -> UInt32[np.ndarray, " n"]:
    """Colours as k3d takes them: 0xRRGGBB."""
    return (colors @ np.array([0x10000, 0x100, 1])).astype(np.uint32)


def _plot(panel: Panel, camera: Camera, height: int) -> Any:
    plot = empty_plot(camera, height)
    for step, mesh in enumerate(panel.meshes):
        visual: Any = mesh.visual
        vertices, faces = mesh.vertices.view(np.ndarray), mesh.faces.view(np.ndarray)
        colors = np.asarray(visual.vertex_colors)[:, :3]
        plot += drawable_mesh(vertices, faces, colors, visible=step == len(panel.meshes) - 1)
    return plot


def _snapshot(panel: Panel, camera: Camera) -> bytes:
    plot = _plot(panel, camera, height=TILE)
    for number, drawable in enumerate(plot.objects, start=1):
        drawable.id = number  # not the address in memory: the same scene leaves the same page
    try:
        return plot.get_binary_snapshot(9)
    finally:
        for drawable in plot.objects:
            drawable.close()
        plot.close()


def _poster(panels: Sequence[Panel], camera: Camera) -> np.ndarray:
    from tpl.rendering.raycast import composite, render_poster

    tiles = []
    for panel in panels:
        pixels = composite(render_poster(panel.meshes[-1], camera=camera, size=TILE, color="vertex"))
        tile = Image.fromarray(pixels)
        if panel.label:
            font = ImageFont.load_default(size=20)
            ImageDraw.Draw(tile).text((TILE / 2, 8), panel.label, (68, 68, 68), font, anchor="mt")
        tiles.append(np.asarray(tile))
    return np.concatenate(tiles, axis=1)


def _png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", optimize=True)
    return stream.getvalue()


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>[NAME]</title>
<style>
html, body { margin: 0; height: 100%; overflow: hidden; font: 14px/1.3 system-ui, sans-serif; color: #444; }
body { display: flex; flex-direction: column; }
.panels { position: relative; display: flex; flex: 1; min-height: 0; }
.panel { position: relative; flex: 1; min-width: 0; container-type: size; }
.canvas { position: absolute; inset: 0; }
.panel span { position: absolute; inset: 1.6cqh 0 auto; text-align: center; pointer-events: none;
  font-size: clamp(11px, 4cqw, 20px); }
label { display: flex; gap: 1em; height: 40px; align-items: center; padding: 0 1em; background: #fff; }
input { flex: 1; min-width: 0; accent-color: #555; }
output { flex: 0 1 40%; }
datalist { display: none; }
.held .canvas { pointer-events: none; }
.hint { position: absolute; right: 8px; bottom: 8px; padding: 2px 10px; border: 1px solid #aaa; border-radius: 1em;
  background: #fffd; color: #333; font: inherit; font-size: 13px; cursor: pointer; }
body:not(.held) .hint { visibility: hidden; }
:focus-visible { outline: 3px solid #005baa; outline-offset: -3px; }
</style>
<script src="../require.js"></script>
<script src="../standalone.js"></script>
<script src="../turning.js"></script>
</head>
<body>
<div class="panels" tabindex="0" role="group" aria-label="[WORDS]; arrows turn, + and - zoom, Home goes back">
[PANELS]<button class="hint">turn</button></div>
[SLIDER]
<script>
const panels = document.querySelector(".panels");
letScroll(panels);
const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
require(["k3d"], k3d => Promise.all(Array.from(document.querySelectorAll(".canvas"), canvas =>
  k3d.CreateK3DAndLoadBinarySnapshot(bytes(canvas.dataset.snapshot).buffer, canvas))).then(plots => {
  turnTogether(plots);
  const slider = document.querySelector("input"), labels = document.querySelectorAll("option");
  if (slider) slider.addEventListener("input", () => {
    document.querySelector("output").textContent = labels[slider.value].textContent;
    for (const plot of plots) {
      const { ObjectsListJson, ObjectsById } = plot.getWorld();
      Object.keys(ObjectsListJson).forEach((id, step) => {
        ObjectsById[id].visible = step === Number(slider.value);
      });
      plot.render();
    }
  });
  setTimeout(() => {  // k3d sets its camera 10 ms after loading
    turnByKeys(panels, plots);
    document.body.dataset.drawn = "yes";
  }, 200);
}));
</script>
</body>
</html>
"""
