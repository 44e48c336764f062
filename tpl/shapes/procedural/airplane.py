"""Airplanes by rules: airliners, business jets, transports, fighters, light planes, gliders, biplanes and more.

A `Design` says everything about an airplane, its style is what shows from afar. `build` makes the mesh.
"""

import numpy as np
import trimesh
from trimesh.visual import ColorVisuals

from tpl.shapes.procedural.airplane_body import Fuselage, body
from tpl.shapes.procedural.airplane_design import DARK, LABELS, Design, sample_design, style
from tpl.shapes.procedural.airplane_engines import engines, gear
from tpl.shapes.procedural.airplane_wings import Wing, tail, wings
from tpl.shapes.procedural.parts import assemble

__all__ = ["LABELS", "Design", "build", "sample_design", "style"]


def build(design: Design) -> trimesh.Trimesh:
    """The mesh of an airplane in RAW, its faces labelled by `LABELS`: the nose to -z, wings along x."""
    fuselage = Fuselage(design)
    wing = Wing(design, fuselage)
    parts = body(design, fuselage) + wings(design, fuselage, wing) + tail(design, fuselage, wing)
    parts += engines(design, fuselage, wing) + gear(design, fuselage)
    mesh = assemble(parts, design.palette)
    _paint(mesh, design)
    return mesh


def _paint(mesh: trimesh.Trimesh, design: Design) -> None:
    """Paints what faces down, and dark what looks along z in an engine: inlets and outlets."""
    label = np.array(mesh.metadata["parts"])[mesh.metadata["part"]]
    _, up, back = mesh.face_normals.T
    colors = np.array(list(design.palette.values()), dtype=np.uint8)[mesh.metadata["part"]]
    colors[np.isin(label, ["fuselage", "wing", "tail"]) & (up < -0.4), :3] = design.underside
    colors[(label == "engine") & (np.abs(back) > 0.97), :3] = DARK
    mesh.visual = ColorVisuals(mesh, face_colors=colors)
