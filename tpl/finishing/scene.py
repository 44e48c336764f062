"""From the mesh of a code to one that other programs take: parts, colours, triangles, metres, and a valid file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float, Int
from trimesh.exchange.gltf import export_glb
from trimesh.exchange.obj import export_obj

from tpl.errors import PlainError
from tpl.files import write_file
from tpl.finishing.colors import Sight, mean_color, project_colors, to_linear
from tpl.finishing.parts import PartLabels, label_faces
from tpl.geometry.whole import notes_of_closing
from tpl.meshes.writing import check_writable
from tpl.rendering.raycast import PLASTER, RayMesh, corner_normals

FEWEST = 100
"""Triangles: fewer show no chair."""

CREASE = 40.0
"""Degrees: faces that meet at more keep their edge when they are shaded."""

ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963  # glTF's numbers of the two, which are OpenGL's

BODY = "body"
"""The name of a mesh whose parts are not known."""

Places = Callable[[Float[np.ndarray, "n 3"]], Float[np.ndarray, "n coordinates"]]


class FinishError(PlainError):
    """A mesh cannot be had as it is asked for; the message says what can."""


def finish(
    mesh: trimesh.Trimesh,
    name: str = "shape",
    *,
    sight: Sight | None = None,
    color: Sequence[int] | np.ndarray | None = None,
    labels: PartLabels | None = None,
    places: Places | None = None,
    faces: int | None = None,
    height: float | int | None = None,
) -> trimesh.Scene:
    """A scene with a node for each part, smooth normals, and colours.

    Args:
        mesh: Unit-sphere frame: +y up, front towards -z; it is left as it is.
        name: Of the node above the parts, such as "chair".
        sight: A photograph, whose colours are projected onto the mesh; without one it has a single colour.
        color: sRGB of the mesh where `sight` is not given; plaster by default.
        labels: Points of the template that know their part; with `places`, the warp of this shape.
        places: Its `model.places(points, code)`: where points (unit-sphere frame) lie on the template.
        faces: At most so many triangles, by quadric decimation.
        height: In metres: the mesh is scaled to it and stands on y = 0, its bounding box around the y axis. Without it
            the mesh keeps the unit-sphere's lengths and place.

    Returns:
        The front towards +z, as glTF wants it, right-handed. `metadata` has "notes", a list of sentences, and
        "color", the mean as #rrggbb. Meshes have sRGB colours at their vertices.

    Raises:
        FinishError: Too few faces are asked for, or no height.

    Source: Garland and Heckbert 1997, for the decimation.
    """
    if faces is not None and faces < FEWEST:
        raise FinishError(f"{faces} triangles show no shape: ask for {FEWEST} or more")
    if height is not None and not 0 < height < np.inf:
        raise FinishError(f"a height of {height} metres is none: give a number above 0")
    notes = notes_of_closing(mesh)
    made = _decimated(mesh, faces)
    if mesh.is_watertight and not made.is_watertight:
        notes.append("with so few triangles the mesh is no longer closed: ask for more if it shall be printed")
    mean = mean_color(sight.picture, sight.mask) if sight else np.array(PLASTER if color is None else color, np.uint8)
    painted = project_colors(made, sight) if sight else np.broadcast_to(mean, (len(made.vertices), 3))
    part, names = np.zeros(len(made.faces), int), (BODY,)
    if labels is not None and places is not None:
        part, names = label_faces(made, places, labels), labels.names
    normals = corner_normals(RayMesh(made), CREASE)
    vertices, moved = _placed(np.asarray(made.vertices, float), height), normals * [-1, 1, -1]
    scene = _empty(name, {"notes": notes, "color": "#{:02x}{:02x}{:02x}".format(*mean)})
    for row in np.unique(part):
        piece = _piece(vertices, np.asarray(made.faces)[part == row], moved[part == row], painted)
        scene.add_geometry(piece, geom_name=names[row], node_name=names[row], parent_node_name=name)
    return scene


def _empty(name: str, metadata: dict[str, Any]) -> trimesh.Scene:
    scene = trimesh.Scene(metadata=metadata)
    scene.graph.update(frame_to=name)
    return scene


def _decimated(mesh: trimesh.Trimesh, faces: int | None) -> trimesh.Trimesh:
    """The mesh with at most so many faces, and none without an area."""
    made = trimesh.Trimesh(np.asarray(mesh.vertices, float), np.asarray(mesh.faces), process=False)
    made.merge_vertices()
    if faces is not None and faces < len(made.faces):
        made = made.simplify_quadric_decimation(face_count=faces)
        made.merge_vertices()
    made.update_faces(made.nondegenerate_faces(height=1e-9))
    made.remove_unreferenced_vertices()
    return made


def _placed(vertices: Float[np.ndarray, "n 3"], height: float | int | None) -> Float[np.ndarray, "n 3"]:
    """Vertices with the front towards +z, and where a height is given in metres on the ground."""
    turned = vertices * [-1, 1, -1]
    if height is None:
        return turned
    low, high = turned.min(axis=0), turned.max(axis=0)
    foot = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])
    return (turned - foot) * (height / (high[1] - low[1]))


def _piece(
    vertices: Float[np.ndarray, "n 3"],
    faces: Int[np.ndarray, "m 3"],
    normals: Float[np.ndarray, "m 3 3"],
    colors: np.ndarray,
) -> trimesh.Trimesh:
    """A part alone: corners share a vertex where place and normal are the same."""
    rounded = np.rint(1000 * normals.reshape(-1, 3)).astype(int)
    keys = np.column_stack([faces.ravel(), rounded])
    _, first, corner = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    used = faces.ravel()[first]
    rgba = np.column_stack([colors[used], np.full(len(used), 255)]).astype(np.uint8)
    return trimesh.Trimesh(
        vertices[used],
        corner.reshape(-1, 3),
        vertex_normals=normals.reshape(-1, 3)[first],
        vertex_colors=rgba,
        process=False,
    )


def write_finished(scene: trimesh.Scene, path: Path | str) -> None:
    """Writes what `finish` made: GLB has its parts and normals; OBJ its parts as objects; PLY, STL and OFF one mesh.

    In GLB colours are linear, as the format has them. A mesh of several colours has them at its vertices and a white
    material, which they are multiplied with; one of a single colour has a material in it.

    Raises:
        MeshError: The ending is none of GLB, OBJ, OFF, PLY and STL.
        OutputError: A folder is there.

    Source: glTF 2.0, sections 3.7.2.1 (meshes) and 3.9 (materials).
    """
    path = check_writable(path)
    kind = path.suffix[1:].lower()
    if kind == "glb":
        content = _glb(scene)
        write_file(path, lambda partial: partial.write_bytes(content))
    elif kind == "obj":
        text = export_obj(scene, include_normals=True, include_color=True)
        write_file(path, lambda partial: partial.write_text(str(text)))
    else:
        whole = scene.to_mesh()
        write_file(path, lambda partial: whole.export(str(partial), file_type=kind))


def _glb(scene: trimesh.Scene) -> bytes:
    """The scene as trimesh writes it, with a material, and colours of 16 linear bits for its 8 bits of sRGB."""
    pieces: dict[str, Any] = dict(scene.geometry)
    rows = np.concatenate([np.asarray(piece.visual.vertex_colors)[:, :3] for piece in pieces.values()])
    single = bool((rows == rows[0]).all())
    factor = to_linear(rows[0]).tolist() if single else [1.0, 1.0, 1.0]
    surface = {"baseColorFactor": [*factor, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.9}
    (name,) = scene.graph.transforms.children[scene.graph.base_frame]
    bare = _empty(name, dict(scene.metadata))
    for part, piece in pieces.items():
        normals, colors = piece.vertex_normals, None if single else piece.visual.vertex_colors
        kept = trimesh.Trimesh(piece.vertices, piece.faces, vertex_normals=normals, vertex_colors=colors, process=False)
        bare.add_geometry(kept, geom_name=part, node_name=part, parent_node_name=name)

    def refine(buffers: Any, tree: dict[str, Any]) -> None:
        tree["materials"] = [{"name": str(scene.metadata["color"]), "pbrMetallicRoughness": surface}]
        accessors, keys, done = list(tree["accessors"].values()), list(buffers), set()
        for mesh in tree["meshes"]:
            (primitive,) = mesh["primitives"]
            primitive["material"] = 0
            number = primitive["attributes"].get("COLOR_0")
            if number is not None and number not in done:
                key = keys[accessors[number]["bufferView"]]
                buffers[key] = _linear(buffers[key], accessors[number])
                done.add(number)

    return export_glb(bare, include_normals=True, buffer_postprocessor=refine, tree_postprocessor=_say_targets)


def _say_targets(tree: dict[str, Any]) -> None:
    """Says of each view of the file's bytes whether it holds numbers of vertices or of triangles."""
    for mesh in tree["meshes"]:
        for primitive in mesh["primitives"]:
            for number in primitive["attributes"].values():
                tree["bufferViews"][tree["accessors"][number]["bufferView"]]["target"] = ARRAY_BUFFER
            of_faces = tree["accessors"][primitive["indices"]]["bufferView"]
            tree["bufferViews"][of_faces]["target"] = ELEMENT_ARRAY_BUFFER


def _linear(content: bytes, accessor: dict[str, Any]) -> bytes:
    """Colours of an accessor, which is changed to fit, from 8 bits of sRGB to 16 linear ones."""
    srgb = np.frombuffer(content, np.uint8)[: 4 * accessor["count"]].reshape(-1, 4)
    linear = np.rint(65535 * np.column_stack([to_linear(srgb[:, :3]), srgb[:, 3] / 255])).astype("<u2")
    accessor.update(componentType=5123, min=linear.min(axis=0).tolist(), max=linear.max(axis=0).tolist())
    return linear.tobytes()
