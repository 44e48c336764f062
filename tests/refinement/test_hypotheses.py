"""Of several starts the outline chooses the right one; the trusted one where it does not tell."""

import math

import pytest
import torch
from fields import UNIT, chair, chair_mesh, ellipsoid, ellipsoid_mesh, picture

from tpl.refinement import RefinementConfig, Start, choose_starts, mirrored, to_poses
from tpl.rendering import FIXED, Camera

SHORT = RefinementConfig(camera_known=True, steps=5)


def test_the_start_that_has_the_outline_is_chosen_for_each_view():
    shapes = [(0.7, 0.4, 0.5), (0.4, 0.7, 0.5)]
    pictures = torch.stack([picture(ellipsoid_mesh(axes), FIXED) for axes in shapes])
    poses = to_poses([FIXED] * 2, [UNIT] * 2).float()
    flat, tall = (torch.tensor(axes).log().expand(2, -1) + 0.1 for axes in shapes)
    starts = {"flat": Start(flat, poses), "tall": Start(tall, poses)}
    choice = choose_starts(ellipsoid, pictures, starts, 0.3 * torch.ones(3), SHORT)
    assert choice.names == ["flat", "tall"]
    torch.testing.assert_close(choice.start.codes, torch.stack([flat[0], tall[1]]))
    assert (choice.errors["flat"] < choice.errors["tall"]).tolist() == [True, False]


@pytest.mark.parametrize(("margin", "name"), [(0.0, "better"), (3.0, "trusted")])
def test_the_trusted_start_is_left_for_a_margin_alone(margin, name):
    pictures = picture(ellipsoid_mesh((0.5, 0.5, 0.5)), FIXED)[None]
    poses = to_poses([FIXED], [UNIT]).float()
    worse, better = (Start(torch.full((1, 3), math.log(radius)), poses) for radius in (0.56, 0.51))
    starts = {"trusted": worse, "better": better}
    config = RefinementConfig(camera_known=True, steps=0)
    choice = choose_starts(ellipsoid, pictures, starts, torch.ones(3), config, margin)
    assert choice.names == [name]
    assert torch.equal(choice.start.codes, starts[name].codes)


def test_a_camera_at_the_other_side_of_a_chair_with_one_arm_is_found_out():
    truth = to_poses([Camera(40, 20, 1.5, shift=(0.05, 0.0, 0.02))], [UNIT]).float()
    pictures = picture(chair_mesh(), Camera(40, 20, 1.5, shift=(0.05, 0.0, 0.02)))[None]
    wrong = mirrored(truth)
    torch.testing.assert_close(mirrored(wrong), truth)
    starts = {"as it is": Start(torch.zeros(1, 1), wrong), "mirrored": Start(torch.zeros(1, 1), mirrored(wrong))}
    config = RefinementConfig(turns=(), camera_steps=0, steps=0)
    assert choose_starts(chair, pictures, starts, torch.ones(1), config).names == ["mirrored"]
