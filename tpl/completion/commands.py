"""The command of shape completion: complete."""

from pathlib import Path
from typing import Annotated

import tyro

from tpl.meshes import check_writable, write_mesh
from tpl.settings import Resolution, Seed
from tpl.shapes.shape import check_category


def complete(
    points: tyro.conf.Positional[Path],
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    category: str,
    runs: Path | None = None,
    viewpoint: tuple[float, float, float] | None = None,
    frame: tuple[float, float, float, float] | None = None,
    resolution: Resolution = 128,
    seed: Seed = 0,
) -> None:
    """Points of a part of a surface to the whole shape: a code is fitted to them, with a category's decoder.

    Up must be +y and the front -z; the mesh lies where the points lie. Where the frame is not given, place and size
    of the whole are estimated together with the code, and printed.

    Args:
        points: A PLY file, with outward normals (nx ny nz) or without.
        output: GLB, OBJ, PLY, STL or OFF, by its ending.
        category: chairs, sofas or airplanes.
        runs: Folder of the run that trained the networks; by default as for `tpl reconstruct`.
        viewpoint: Where the points were seen from: what lies between is empty, and normals look there. Points without
            normals need it.
        frame: Offset x y z and scale of the whole, (p + offset) * scale being within the unit sphere, as
            NormalizationParameters have them: 0 0 0 1 where the points are there already.
        resolution: Grid cells along each side.
        seed: Of the points that are drawn about those given.
    """
    check_writable(output)
    from tpl.completion.whole import complete_points  # torch takes seconds

    whole = complete_points(points, check_category(category), runs, viewpoint, frame, resolution, seed)
    write_mesh(whole.mesh, output)
    for sentence in whole.sentences:
        print(sentence)
    print(f"{output}: {len(whole.mesh.faces)} triangles")
