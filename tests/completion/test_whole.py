"""The command: points of a part in, the whole out, where the points lie."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import trimesh

from tpl.completion import whole
from tpl.completion.commands import complete
from tpl.completion.observation import CompletionError, Observation
from tpl.geometry.primitives import sphere

OFFSET, SCALE = (-100.0, 20.0, 3.0), 0.01


class Balls:
    """A decoder of balls; the code is the logarithm of the radius."""

    def __call__(self, points: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        return points.norm(dim=2) - codes[:, :1].exp()

    def shape(self, code: torch.Tensor):
        return sphere(float(code.exp()))


@pytest.fixture
def balls(monkeypatch):
    def serve(codes: torch.Tensor) -> None:
        networks = SimpleNamespace(model=Balls(), codes=codes)
        monkeypatch.setattr(whole, "load_reconstructor", lambda *_, **__: networks)
        monkeypatch.setattr(whole, "find_networks", lambda *_: "runs/balls/chairs")

    serve(torch.tensor([0.3, 0.4, 0.6, 0.7]).log()[:, None])
    return serve


def half_ball(radius: float = 0.5) -> Observation:
    directions = np.random.default_rng(0).standard_normal((2000, 3))
    directions = directions[directions[:, 2] < 0]
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return Observation(radius * directions / SCALE - OFFSET, directions)


def test_half_of_a_ball_becomes_the_whole_where_it_lies(balls, tmp_path, capsys):
    seen = half_ball()
    rows = "\n".join(" ".join(map(str, row)) for row in np.hstack([seen.points, seen.normals]).tolist())
    names = "\n".join(f"property float {name}" for name in ("x", "y", "z", "nx", "ny", "nz"))
    head = f"ply\nformat ascii 1.0\nelement vertex {len(seen.points)}\n{names}\nend_header\n"
    (tmp_path / "half.ply").write_text(head + rows + "\n")
    complete(tmp_path / "half.ply", tmp_path / "ball.ply", "chairs", frame=(*OFFSET, SCALE), resolution=24)
    mesh = trimesh.load(tmp_path / "ball.ply")
    low, high = mesh.bounds  # pyright: ignore
    assert (low + high) / 2 == pytest.approx(-np.array(OFFSET), abs=1)
    assert high - low == pytest.approx([100] * 3, abs=3)
    told = capsys.readouterr().out
    assert "with normals" in told and "frame (given): offset -100 20 3, scale 0.01" in told and "runs/balls" in told


def test_a_frame_without_size_and_networks_without_codes_are_refused(balls):
    for frame in [(*OFFSET, 0.0), (*OFFSET, math.inf), (math.nan, 0.0, 0.0, 1.0)]:
        with pytest.raises(CompletionError, match="is none: give finite numbers, and a scale above 0"):
            whole.complete_points(half_ball(), "chairs", frame=frame)
    with pytest.raises(CompletionError, match="is no place: give finite numbers"):
        whole.complete_points(half_ball(), "chairs", viewpoint=(0.0, math.nan, 0.0))
    balls(torch.zeros(0, 1))
    with pytest.raises(CompletionError, match="no codes to start from"):
        whole.complete_points(half_ball(), "chairs", frame=(*OFFSET, SCALE))
