"""Chairs by rules: dining and office chairs, stools, shells, armchairs and recliners.

A `Design` says everything about a chair; its first five fields are its style. `build` makes the mesh.
"""

import trimesh

from tpl.shapes.procedural.chair_design import CHOICES, LABELS, Design, sample_design, style
from tpl.shapes.procedural.chair_frames import frame_chair
from tpl.shapes.procedural.chair_soft import barrel_chair, shell_chair, stuffed_chair
from tpl.shapes.procedural.parts import assemble

__all__ = ["CHOICES", "LABELS", "Design", "build", "sample_design", "style"]


def build(design: Design) -> trimesh.Trimesh:
    """The mesh of a chair in RAW, its faces labelled by `LABELS`."""
    if design.back == "barrel":
        return assemble(barrel_chair(design), design.palette)
    make = {"shell": shell_chair, "armchair": stuffed_chair, "recliner": stuffed_chair}
    return assemble(make.get(design.body, frame_chair)(design), design.palette)
