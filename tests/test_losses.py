"""Each loss against its formula in plain loops, and where its value is known."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tpl.losses import CURRICULUM, code_prior, curriculum_l1, latent_l1, pointpair_warp, pointwise_warp

GENERATOR = torch.Generator().manual_seed(0)
PREDICTED, TARGET = 0.1 * torch.randn((2, 3, 40), generator=GENERATOR)
POINTS = torch.rand((2, 16, 3), generator=GENERATOR) * 2 - 1
PATH = POINTS + 0.3 * torch.randn((4, 2, 16, 3), generator=GENERATOR)


@pytest.mark.parametrize(("epsilon", "hardness"), CURRICULUM)
def test_curriculum_l1_is_its_formula(epsilon, hardness):
    def sign(x):
        return (x > 0) - (x < 0)

    total = 0.0
    for f, s in zip(PREDICTED.flatten().tolist(), TARGET.flatten().tolist(), strict=True):
        f, s = min(max(f, -0.1), 0.1), min(max(s, -0.1), 0.1)
        total += max(abs(f - s) - epsilon, 0) * (1 + hardness * sign(s) * sign(s - f))
    loss = curriculum_l1(PREDICTED, TARGET, epsilon, hardness)
    torch.testing.assert_close(loss, torch.tensor(total / PREDICTED.numel()))


def test_without_curriculum_it_is_the_truncated_l1():
    loss = torch.nn.functional.l1_loss(PREDICTED.clamp(-0.1, 0.1), TARGET.clamp(-0.1, 0.1))
    torch.testing.assert_close(curriculum_l1(PREDICTED, TARGET), loss)


def test_hardness_costs_the_wrong_side_more_and_the_safe_side_less():
    inside = torch.full((1,), -0.05)
    wrong_side, too_deep = inside + 0.04, inside - 0.04
    assert curriculum_l1(wrong_side, inside, 0.0, 0.5) == pytest.approx(1.5 * 0.04)
    assert curriculum_l1(too_deep, inside, 0.0, 0.5) == pytest.approx(0.5 * 0.04)


def test_an_error_below_the_tolerance_costs_nothing():
    assert curriculum_l1(TARGET + 0.02, TARGET, epsilon=0.025) == 0


def test_pointwise_is_the_huber_norm_of_each_move():
    total = 0.0
    for step, shape, point in itertools.product(range(4), range(2), range(16)):
        distance = float((PATH[step, shape, point] - POINTS[shape, point]).norm())
        total += 0.5 * distance**2 if distance <= 0.25 else 0.25 * (distance - 0.125)
    torch.testing.assert_close(pointwise_warp(PATH, POINTS), torch.tensor(total / (4 * 2 * 16)))


def test_pointpair_is_its_formula():
    terms = []
    for shape, i, j in itertools.product(range(2), range(2), range(2, 16)):  # the first eighth against the rest
        p, q = POINTS[shape, i], POINTS[shape, j]
        move = (PATH[-1, shape, i] - p) - (PATH[-1, shape, j] - q)
        terms.append(min(max(float(move.norm()) / (float((p - q).norm()) + 1e-3) - 0.5, 0), 5))
    expected = torch.tensor(sum(terms) / len(terms))
    torch.testing.assert_close(pointpair_warp(PATH[-1], POINTS), expected, rtol=1e-4, atol=1e-5)


@given(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4))
def test_pointpair_forgives_rigid_shifts_and_mild_stretching(shift, stretch):
    assert pointpair_warp(POINTS * (1 + stretch) + shift, POINTS) == 0


def test_pointpair_is_limited_and_its_gradient_finite_at_the_identity():
    wild = POINTS.clone()
    wild[:, 0] += 1e6
    assert pointpair_warp(wild, POINTS) <= 5
    still = POINTS.clone().requires_grad_()
    pointpair_warp(still, POINTS).backward()
    assert torch.isfinite(still.grad).all()


def test_pointpair_says_how_many_points_it_needs():
    with pytest.raises(ValueError, match="at least 8 points"):
        pointpair_warp(POINTS[:, :7], POINTS[:, :7])


def test_code_prior_is_the_mean_norm_and_latent_l1_the_mean_difference():
    codes = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    assert code_prior(codes) == pytest.approx(3.0)
    assert latent_l1(codes, torch.zeros(2, 2)) == pytest.approx(2.0)


def test_one_sided_truncation_is_its_formula_and_always_pulls_a_wrong_prediction_back():
    total = 0.0
    for f, s in zip(PREDICTED.flatten().tolist(), TARGET.flatten().tolist(), strict=True):
        if s >= 0.1:
            total += max(0.1 - f, 0)
        elif s <= -0.1:
            total += max(f + 0.1, 0)
        else:
            total += abs(f - s)
    torch.testing.assert_close(
        curriculum_l1(PREDICTED, TARGET, one_sided=True), torch.tensor(total / PREDICTED.numel())
    )
    for start, truth in ((0.7, 0.05), (0.7, -0.3), (-0.7, 0.3), (-0.7, -0.05)):
        predicted = torch.tensor([start], requires_grad=True)
        curriculum_l1(predicted, torch.tensor([truth]), one_sided=True).backward()
        assert predicted.grad.item() == (1.0 if start > truth else -1.0)
        published = torch.tensor([start], requires_grad=True)
        curriculum_l1(published, torch.tensor([truth])).backward()
        assert published.grad.item() == 0  # the published clamp: dead
    free = torch.tensor([0.7, -0.7], requires_grad=True)
    curriculum_l1(free, torch.tensor([0.3, -0.3]), one_sided=True).backward()
    assert (free.grad == 0).all()  # far on the right side costs nothing
