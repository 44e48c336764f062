"""Least distances along rays have closed forms, and outlines are those of the ray caster's pictures."""

import numpy as np
import pytest
import torch
from fields import SIZE, UNIT, ball, chair, chair_mesh, ellipsoid, ellipsoid_mesh, picture

from tpl.refinement import RefinementError, coverage, silhouettes, to_poses
from tpl.refinement.poses import Rays, pixel_width, rays
from tpl.refinement.silhouettes import (
    COVERED,
    LESSER,
    LIMIT,
    Outlines,
    distances_at,
    intersection_over_union,
    look_along,
    look_closer,
    outline_errors,
)
from tpl.rendering import FIXED, Camera, composite, render_view

VIEWS = [FIXED, Camera(70, 10, 1.5, shift=(0.1, 0.02, -0.05)), Camera(200, 40, 1.7)]
POSES = to_poses(VIEWS, [UNIT] * len(VIEWS)).float()


def uniform(rays: int, places: int = 24) -> torch.Tensor:
    return torch.rand((rays, places), generator=torch.Generator().manual_seed(0))


def least(field, codes: torch.Tensor, beams: Rays) -> torch.Tensor:
    look = look_along(field, codes, beams, uniform(beams.directions.shape[1]))
    for _ in range(3):
        look = look_closer(field, codes, beams, look)
    return distances_at(field, codes, beams, look.along)


def test_a_ray_is_as_near_to_a_ball_as_to_its_centre_less_the_radius():
    pixels = 64 * torch.rand((3, 50, 2), generator=torch.Generator().manual_seed(1))
    beams = rays(POSES, pixels, 64)
    past = torch.linalg.cross(-beams.origins[:, None].expand_as(beams.directions), beams.directions).norm(dim=2)
    found = least(ball, torch.tensor([[0.3], [0.5], [0.8]]).log(), beams)
    hits = past < 1  # elsewhere too: a ray that misses the unit ball is looked at where it comes nearest
    assert hits.any() and not hits.all()
    torch.testing.assert_close(found, past - torch.tensor([[0.3], [0.5], [0.8]]), atol=1e-3, rtol=0)


def test_the_gradient_at_the_least_is_that_of_the_least_itself():
    pixels = torch.tensor([[[40.0, 33.0], [12.0, 20.0]]]).expand(3, -1, -1).double()
    codes = torch.tensor([[-0.7], [-0.5], [-0.4]], dtype=torch.float64)

    def value(poses, codes):
        beams = rays(poses, pixels, 64)
        look = look_along(ball, codes, beams, uniform(2).double())
        for _ in range(4):
            look = look_closer(ball, codes, beams, look)
        return distances_at(ball, codes, beams, look.along)

    def exact(poses, codes):
        origins, directions = rays(poses, pixels, 64)
        past = torch.linalg.cross(origins[:, None].expand_as(directions), directions).norm(dim=2)
        return past - codes.exp()

    inputs = [tensor.requires_grad_() for tensor in (POSES.double(), codes)]
    found, expected = (torch.autograd.grad(function(*inputs).sum(), inputs) for function in (value, exact))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=0.02, rtol=0.02)


def test_errors_are_those_of_the_formula_in_a_loop():
    generator = torch.Generator().manual_seed(0)
    distances, covered = 0.3 * torch.randn((2, 200), generator=generator), torch.rand((2, 200), generator=generator)
    covered[:, :50], covered[:, 50:100] = 0.0, 1.0
    width = torch.tensor([0.05, 0.1])
    found = outline_errors(distances, width, covered)
    for view in range(2):
        for m, a, error in zip(distances[view].tolist(), covered[view].tolist(), found[view].tolist(), strict=True):
            w = width[view].item()
            if a > COVERED:
                expected = max(m + 0.1 * w, 0) / w
            elif a < 1 - COVERED:
                expected = max(0.5 * w - m, 0) / w
            else:
                expected = abs(m - (0.5 - a) * w) / w * (LESSER if m < (0.5 - a) * w else 1)
            assert error == pytest.approx(min(expected, LIMIT), abs=1e-4)


@pytest.mark.parametrize(
    ("field", "code", "mesh"),
    [
        (ellipsoid, np.log([0.7, 0.4, 0.55]), ellipsoid_mesh((0.7, 0.4, 0.55))),
        (chair, [0.0], chair_mesh()),
    ],
)
def test_the_silhouette_is_the_ray_caster_s(field, code, mesh):
    pictures = torch.stack([picture(mesh, camera) for camera in VIEWS])
    codes = torch.tensor(np.array(code), dtype=torch.float32).expand(len(VIEWS), -1)
    found = silhouettes(field, codes, POSES, SIZE)
    assert intersection_over_union((0.5 - found).clamp(0, 1), pictures).min() > 0.96
    outline = (pictures > 0.1) & (pictures < 0.9) & (found.abs() < 1)
    assert (found - (0.5 - pictures))[outline].abs().median() < 0.12
    assert (
        outline_errors(
            (found * pixel_width(POSES, SIZE)[:, None, None]).flatten(1), pixel_width(POSES, SIZE), pictures.flatten(1)
        ).mean()
        < 0.03
    )


def test_rays_are_drawn_mostly_near_the_outline_and_never_twice_from_even_numbers():
    pictures = torch.stack([picture(chair_mesh(), camera) for camera in VIEWS])
    outlines = Outlines(pictures, near_share=0.8)
    pixels, covered = outlines.draw((torch.arange(1000) + 0.5) / 1000)
    rows, columns = (pixels[..., 1] - 0.5).long(), (pixels[..., 0] - 0.5).long()
    views = torch.arange(len(VIEWS))[:, None]
    torch.testing.assert_close(covered, pictures[views, rows, columns])
    solid = pictures > 0.5
    near = torch.zeros_like(solid)
    for view in range(len(VIEWS)):
        for y in range(SIZE):
            for x in range(SIZE):
                window = solid[view, max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
                near[view, y, x] = window.any() and not window.all()
    share = near[views, rows, columns].float().mean(dim=1)
    assert ((share > 0.8) & (share < 0.95)).all()  # of the others some are near by chance


def test_how_far_a_pixel_is_covered_is_read_from_an_image_on_white():
    raw = chair_mesh()
    raw.vertices = UNIT.undo(raw.vertices)
    rgba = np.stack([render_view(raw, camera, SIZE, samples=8) for camera in VIEWS])
    truth = torch.from_numpy(rgba[..., 3] / 255).float()
    found = coverage(composite(rgba), SIZE)
    assert (found - truth).abs().mean() < 0.01
    outline = (truth > 0.1) & (truth < 0.9)
    assert (found - truth)[outline].abs().median() < 0.1


@pytest.mark.parametrize("size", [64, 48, 100])
def test_a_smaller_image_keeps_what_is_covered(size):
    image = np.full((1, 128, 128, 3), 255, np.uint8)
    image[:, 30:90, 20:101] = 60
    found = coverage(image, size)
    assert found.sum().item() * (128 / size) ** 2 == pytest.approx(60 * 81, rel=1e-4)
    y, x = (found[0] > 0.5).nonzero().float().mean(dim=0)
    assert ((y + 0.5) / size, (x + 0.5) / size) == pytest.approx((60 / 128, 60.5 / 128), abs=0.01)


def test_images_without_an_outline_are_refused():
    white = np.full((1, 64, 64, 3), 255, np.uint8)
    with pytest.raises(RefinementError, match="white all over"):
        coverage(white, 64)
    with pytest.raises(RefinementError, match="64 x 32 pixels are no views: make them square"):
        coverage(white[:, :32], 64)
    with pytest.raises(RefinementError, match="without an outline"):
        Outlines(torch.ones(1, 64, 64))


def test_the_overlap_of_two_squares():
    first, second = torch.zeros(2, 1, 8, 8)
    first[:, :4, :4], second[:, 2:6, :4] = 1, 0.6
    assert intersection_over_union(first, second).item() == pytest.approx(8 / 24)
