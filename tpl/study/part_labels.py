"""Labelled points of a category's template, out of shapes that know their parts."""

import numpy as np
import trimesh

from tpl.evaluation.rows import case_rng
from tpl.finishing.parts import PartLabels, thin_out
from tpl.study.bench import Bench
from tpl.study.trained import Trained

SPOKEN = {"base": "leg"}
"""Names of parts for people, where that of the rules is another."""


def part_labels_of_template(
    bench: Bench, shapes: int = 24, points: int = 3000, cell: float | int = 0.06, phase_1: str = ""
) -> PartLabels:
    """Where the parts of the made training shapes lie on the template.

    Args:
        bench: Of a category, its phase 1 trained.
        shapes: At most so many of those that have a code, spread over them.
        points: Drawn on each surface.
        cell: Side of the cells that keep one point each, unit-sphere lengths.
        phase_1: The run folder of the decoder; by default ours.

    Returns:
        Points and their labels; `points, label, names = part_labels_of_template(bench)`.

    Raises:
        RunError: Phase 1 is missing or broken.
        ValueError: None of the shapes that have a code knows its parts.
    """
    trained = Trained(bench, (), phase_1)
    pairs = list(zip(bench.shapes("coded"), trained.embedding.codes, strict=False))
    made = [(shape, code) for shape, code in pairs if shape.source == "procedural"]
    if not made:
        raise ValueError(f"no {bench.category} with a code know their parts: train on made shapes")
    chosen = [made[row] for row in np.unique(np.linspace(0, len(made) - 1, min(shapes, len(made))).astype(int))]
    places, names_of = [], []
    for shape, code in chosen:
        mesh = shape.load()
        rng = case_rng(bench.seed, "parts", shape.id)
        surface, faces = trimesh.sample.sample_surface(mesh, points, seed=rng)[:2]
        there = bench.store.read_normalization(shape).apply(np.asarray(surface, dtype=np.float64))
        places.append(trained.embedding.model.canonical(there, code))
        names_of.append(np.array(mesh.metadata["parts"])[np.asarray(mesh.metadata["part"])[faces]])
    of_rules = np.concatenate(names_of)
    found, label = np.unique([SPOKEN.get(str(name), str(name)) for name in of_rules], return_inverse=True)
    everything = PartLabels(np.concatenate(places).astype(np.float64), label.astype(np.uint8), tuple(map(str, found)))
    return thin_out(everything, cell)
