"""A mesh that is replaced before one's eyes: what the browser is sent."""

import pytest
import trimesh

from tpl.look.live import LiveMesh


def test_new_vertices_never_come_without_their_faces(monkeypatch: pytest.MonkeyPatch):
    """k3d puts vertices that come alone into the mesh it has, which under load is not the last one it was sent."""
    screen, sent = LiveMesh(), []
    monkeypatch.setattr(
        screen.mesh, "send_state", lambda key=None: sent.append({key} if isinstance(key, str) else set(key or ()))
    )
    ball = trimesh.creation.icosphere(2)
    screen.show(ball)
    sent.clear()
    for growth in (1.1, 1.2, 1.0):  # the same faces each time
        screen.show(ball.copy().apply_scale(growth))
        assert any({"vertices", "indices"} <= names for names in sent), sent
        assert not any("vertices" in names and "indices" not in names for names in sent)
        sent.clear()
        assert sorted(screen.mesh.indices.tolist()) == sorted(ball.faces.tolist())
