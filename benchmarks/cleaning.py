"""From a mesh as people made it to its signed distance: what of it is found again, and what is real."""

import numpy as np

from benchmarks.measuring import table
from tpl.meshes import Normalization, as_it_is, clean_mesh
from tpl.meshes.sdf import MeshSDF, sample_surface
from tpl.meshes.surface_check import CELLS, SurfaceCheck, check_surface
from tpl.shapes import list_shapes

MESHES = {  # of the open collection, each with what makes it hard
    "sh3d-BlendSwap-CC-0-deckChair": "cloth, faces doubled",
    "sh3d-KatorLegaz-cafe-chair": "thin open rods",
    "sh3d-KatorLegaz-futon-couch": "inconsistent winding",
    "sh3d-BlendSwap-CC-0-winchesterSofa": "no bottom",
    "sh3d-BlendSwap-CC-BY-leaf_chair": "thin shell",
    "fg-ai-767-767": "two edges in five open",
    "fg-ai-eurofighter-typhoon-ai": "open, thin",
    "fg-ai-A6M2-a6m2": "open, thin",
    "fg-ai-T-38-T38": "open, thin",
}


def cleaning() -> list[str]:
    """share of the visible surface found again / share of the result that is real, by the winding number alone."""
    shapes = {
        shape.id: shape
        for category in ("chairs", "sofas", "airplanes")
        for shape in list_shapes("open", category, train=999, test=999)
    }
    rows = []
    for name, trouble in MESHES.items():
        mesh, rng = shapes[name].load(), np.random.default_rng(0)
        clean = clean_mesh(mesh, rng)
        frame = Normalization.of(clean.vertices)
        visible = frame.apply(sample_surface(clean, 30_000, rng)[0])
        ours = check_surface(MeshSDF(clean, frame, 2 / CELLS), visible, rng)
        plain = check_surface(MeshSDF(as_it_is(clean, mesh), frame, 2 / CELLS), visible, rng)
        rows.append((f"{name} ({trouble})", shares(plain), shares(ours), f"{1000 * ours.chamfer:.2f}"))
    return table("mesh | winding number alone | ours | ours, Chamfer x 1000", rows)


def shares(check: SurfaceCheck) -> str:
    return f"{check.found:.3f} / {check.real:.3f}"


PARTS = {"cleaning": cleaning}
