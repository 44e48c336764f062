import numpy as np
import pytest
import trimesh

from tpl.chapters.correspondence.keypoints import AIRPLANE, FURNITURE, TIE, find_keypoints
from tpl.shapes import list_shapes
from tpl.shapes.procedural.parts import Part, assemble, box

PALETTE = {"seat": (90, 90, 90), "back": (90, 90, 90), "arm": (90, 90, 90), "base": (90, 90, 90)}


def test_a_stool_of_boxes_has_its_points_at_the_corners():
    """A seat of 4 x 1 x 4 on four legs of 1 x 4 x 1: all corners are known."""
    legs = [Part("base", box((1, 4, 1), (x, -2, z))) for x in (-1.5, 1.5) for z in (-1.5, 1.5)]
    mesh = assemble([Part("seat", box((4, 1, 4), (0, 0.4, 0))), *legs], PALETTE)
    found = find_keypoints("chairs", mesh)
    unit = np.ptp(mesh.vertices[:, 0]) / 4  # raw length of 1
    assert set(found) == {name for name, extreme in FURNITURE.items() if extreme.part in ("seat", "base")}
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    for side, x in (("left", low[0]), ("right", high[0])):
        assert np.allclose(found[f"foot, front {side}"], [x, low[1], low[2]], atol=1e-6)
        assert np.allclose(found[f"foot, rear {side}"], [x, low[1], high[2]], atol=1e-6)
        assert np.allclose(found[f"seat, front {side}"], [x, high[1], low[2]], atol=1e-6)
    assert high[1] - low[1] == pytest.approx(4.9 * unit)


def test_an_edge_gives_its_middle():
    wing = Part("seat", box((6, 1, 2)))
    mesh = assemble([wing], {"seat": (90, 90, 90)} | {name: (90, 90, 90) for name in ("fuselage", "tail", "wing")})
    mesh.metadata["part"] = np.full(len(mesh.faces), mesh.metadata["parts"].index("wing"))
    found = find_keypoints("airplanes", mesh)
    assert set(found) == {"wing tip, left", "wing tip, right"}
    assert np.allclose(found["wing tip, right"], [mesh.vertices[:, 0].max(), 0, 0])


@pytest.mark.parametrize("category, expected", [("chairs", FURNITURE), ("sofas", FURNITURE), ("airplanes", AIRPLANE)])
def test_points_of_real_designs_are_the_extremes_of_their_parts_and_know_left_from_right(category, expected):
    for shape in list_shapes(category=category, train=3):
        mesh = shape.load()
        found, names = find_keypoints(category, mesh), mesh.metadata["parts"]
        present = {names[part] for part in np.unique(mesh.metadata["part"])}
        assert set(found) == {name for name, extreme in expected.items() if extreme.part in present}
        for name, point in found.items():
            part, direction = expected[name]
            corners = mesh.triangles[mesh.metadata["part"] == names.index(part)].reshape(-1, 3)
            far = (corners @ direction).max() / np.linalg.norm(direction)
            assert far - TIE <= point @ direction / np.linalg.norm(direction) <= far + 1e-9
            if name.endswith("left"):
                mirror = found[name.removesuffix("left") + "right"]
                assert point[0] < 0 < mirror[0]


def test_what_has_no_key_points_is_refused():
    with pytest.raises(ValueError, match="no key points are known of 'lamps'"):
        find_keypoints("lamps", trimesh.creation.box())
    with pytest.raises(ValueError, match="do not say which part they belong to"):
        find_keypoints("chairs", trimesh.creation.box())
