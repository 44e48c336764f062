"""From a network to a mesh, and from a mesh to a number."""

import numpy as np
import torch
from scipy.spatial import KDTree

from benchmarks.measuring import interleaved, matrix_peak, operations, seconds, table
from benchmarks.phase_1 import decoder
from tpl.geometry.marching import evaluate, extract_mesh, sample_mesh
from tpl.geometry.primitives import box, torus, translated, union
from tpl.metrics import chamfer_distance
from tpl.shapes import list_shapes


def learnt(truth):
    """A function with the cost of the quick profile's decoder and the values of a shape, clipped as learnt ones are."""
    model = decoder((32, 64, 128), 4, published=False)
    function = model.shape(torch.zeros(32))

    def sdf(points):
        return np.clip(truth(points), -0.1, 0.1) + 1e-9 * function(points)

    return sdf


def extraction() -> list[str]:
    """the zero level set on a grid, against all of its nodes."""
    parts = [
        translated(box((0.8, 0.06, 0.8)), (0, 0, 0)),
        translated(box((0.8, 0.9, 0.08)), (0, 0.45, 0.4)),
        translated(torus(0.3, 0.04), (0, -0.4, 0)),
    ]
    sdf = learnt(union(*parts))
    rows, peak = [], matrix_peak()
    a_point = operations(lambda: sdf(np.zeros((4096, 3), np.float32))) / 4096
    for resolution in (64, 128, 256):
        counted = []

        def ask(points, counted=counted):
            counted.append(len(points))
            return sdf(points)

        mesh = extract_mesh(ask, resolution)
        nodes, asked = (resolution + 1) ** 3, sum(counted)
        ours = interleaved({"ours": lambda resolution=resolution: extract_mesh(sdf, resolution)}, 3)["ours"]
        if resolution < 256:
            dense, said = seconds(lambda resolution=resolution: extract_mesh(sdf, resolution, method="dense")), ""
        else:  # half a million nodes stand for 17 million: their cost is the same each
            probe = np.random.default_rng(0).uniform(-1, 1, (524_288, 3))
            dense, said = nodes / len(probe) * seconds(lambda probe=probe: evaluate(sdf, probe)), " (extrapolated)"
        rows.append(
            (
                f"{resolution}^3, {len(mesh.faces):,} faces",
                f"{dense:.1f}{said}",
                f"{ours:.2f}",
                f"{dense / ours:.1f}",
                f"{asked / nodes:.1%}",
                f"{asked * a_point / ours / peak:.0%}",
            )
        )
    return table("grid | dense, s | ours | ratio | nodes asked | of the matrix peak", rows)


def chamfer() -> list[str]:
    """the Chamfer distance, against SciPy's trees alone."""
    first, second = (shape.load() for shape in list_shapes("procedural", "chairs", train=2))
    rng = np.random.default_rng(0)
    rows = []
    for name, other in {"near: two samplings of a chair": first, "far: two chairs": second}.items():
        for count in (3_000, 30_000, 300_000):
            a, b = sample_mesh(first, count, rng)[0], sample_mesh(other, count, rng)[0]

            def plain(a=a, b=b):
                return np.mean(KDTree(b).query(a)[0] ** 2) + np.mean(KDTree(a).query(b)[0] ** 2)

            rounds = 3 if count > 100_000 else 5
            found = interleaved({"plain": plain, "ours": lambda a=a, b=b: chamfer_distance(a, b)}, rounds)
            rows.append(
                (
                    f"{name}, {count:,} points",
                    *(f"{found[key]:.3f}" for key in ("plain", "ours")),
                    f"{found['plain'] / found['ours']:.2f}",
                    f"{2 * count / found['ours'] / 1e6:.2f}",
                )
            )
    return table("surfaces | SciPy, s | ours | ratio | million nearest points a second", rows)


PARTS = {"extraction": extraction, "chamfer": chamfer}
