"""Each loss against its formula in plain loops, and where its value is known."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from tpl import losses
from tpl.losses import (
    CURRICULUM,
    byol_loss,
    code_prior,
    curriculum_l1,
    info_nce_loss,
    latent_l1,
    nt_xent_loss,
    pointpair_warp,
    pointwise_warp,
)

GENERATOR = torch.Generator().manual_seed(0)
PREDICTED, TARGET = 0.1 * torch.randn((2, 3, 40), generator=GENERATOR)
POINTS = torch.rand((2, 16, 3), generator=GENERATOR) * 2 - 1
PATH = POINTS + 0.3 * torch.randn((4, 2, 16, 3), generator=GENERATOR)


def test_the_curriculum_is_that_of_deep_implicit_templates():
    """Tolerances and hardnesses after warp steps 2, 4, 6 and 8."""
    assert CURRICULUM == ((0.025, 0.0), (0.01, 0.1), (0.0025, 0.2), (0.0, 0.5))


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
    assert pointpair_warp(wild, POINTS) == 2.5  # one of two points is off: 5 for half of the pairs
    still = POINTS.clone().requires_grad_()
    pointpair_warp(still, POINTS).backward()
    assert torch.isfinite(still.grad).all()


class Largest(TorchDispatchMode):
    """Remembers how many numbers the largest tensor had."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        made = result if isinstance(result, (list, tuple)) else [result]
        self.numbers = max([self.numbers, *(one.numel() for one in made if isinstance(one, torch.Tensor))])
        return result


def test_pointpair_block_by_block_is_itself_and_never_holds_all_pairs(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(2, 128, 3, generator=generator)
    moved = (points + 0.5 * torch.rand(2, 128, 3, generator=generator)).requires_grad_()
    plain = pointpair_warp(moved, points)
    (gradient,) = torch.autograd.grad(plain, moved)
    pairs = 2 * 16 * 112
    monkeypatch.setattr(losses, "PAIRS_AT_ONCE", pairs // 3)  # 5 of 16 points at a time: the last block is smaller
    with Largest() as largest:
        blocks = pointpair_warp(moved, points)
        (of_blocks,) = torch.autograd.grad(blocks, moved)
    torch.testing.assert_close(blocks, plain)
    torch.testing.assert_close(of_blocks, gradient)
    assert gradient.abs().max() > 0 and largest.numbers <= pairs // 3


def test_pointpair_says_how_many_points_it_needs():
    with pytest.raises(ValueError, match="at least 8 points"):
        pointpair_warp(POINTS[:, :7], POINTS[:, :7])


def test_code_prior_is_the_mean_norm_and_latent_l1_the_mean_difference():
    codes = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    assert code_prior(codes) == pytest.approx(3.0)
    assert latent_l1(codes, torch.zeros(2, 2)) == pytest.approx(2.0)
    assert latent_l1(codes, torch.zeros(2, 2), torch.tensor([1.0, 0.0])) == pytest.approx((3 + 4) / 2 / 2)


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
    for far in (0.3, 0.1):  # a stored distance may itself be truncated
        free = torch.tensor([0.7, -0.7], requires_grad=True)
        curriculum_l1(free, torch.tensor([far, -far]), one_sided=True).backward()
        assert (free.grad == 0).all()  # far on the right side costs nothing


FIRST, SECOND = torch.randn((2, 5, 6), generator=GENERATOR)


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(a @ b / (a.norm() * b.norm()))


@pytest.mark.parametrize(("temperature", "include_self"), [(0.07, False), (0.5, False), (0.5, True)])
def test_nt_xent_is_its_formula(temperature, include_self):
    views = [*FIRST, *SECOND]
    total = 0.0
    for i in range(10):
        j = (i + 5) % 10
        terms = [math.exp(cosine(views[i], views[k]) / temperature) for k in range(10) if include_self or k != i]
        total -= math.log(math.exp(cosine(views[i], views[j]) / temperature) / sum(terms))
    loss = nt_xent_loss(FIRST, SECOND, temperature, include_self)
    torch.testing.assert_close(loss, torch.tensor(total / 10))


def test_the_temperature_of_simclr_and_moco_is_what_is_taken_where_none_is_given():
    assert nt_xent_loss(FIRST, SECOND) == nt_xent_loss(FIRST, SECOND, temperature=0.07)
    assert info_nce_loss(FIRST, SECOND, FIRST) == info_nce_loss(FIRST, SECOND, FIRST, temperature=0.07)


@given(pairs=st.integers(1, 40), temperature=st.floats(0.05, 2), include_self=st.booleans())
def test_nt_xent_of_equal_embeddings_is_known(pairs, temperature, include_self):
    same = torch.ones(pairs, 3)
    strangers = 2 * pairs - (not include_self)
    assert nt_xent_loss(same, same, temperature, include_self) == pytest.approx(math.log(strangers), abs=1e-4)


def test_nt_xent_of_perfect_separated_pairs_is_near_0_but_not_with_k_equal_i():
    corners = torch.eye(6)
    assert nt_xent_loss(corners, 3 * corners, temperature=0.07) < 1e-4
    assert nt_xent_loss(corners, 3 * corners, 0.07, include_self=True) == pytest.approx(math.log(2), abs=1e-4)


@given(seed=st.integers(0, 99), temperature=st.floats(0.05, 2))
def test_nt_xent_is_symmetric_and_with_k_equal_i_not_below_ln_2(seed, temperature):
    first, second = torch.randn((2, 4, 3), generator=torch.Generator().manual_seed(seed))
    for include_self in (False, True):
        loss = nt_xent_loss(first, second, temperature, include_self)
        torch.testing.assert_close(loss, nt_xent_loss(second, first, temperature, include_self))
    assert nt_xent_loss(first, second, temperature, include_self=True) >= math.log(2) - 1e-6


def test_nt_xent_keeps_its_precision_under_autocast():
    first, second = torch.randn((2, 8, 16), generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        half = nt_xent_loss(first, second)
    assert torch.equal(half, nt_xent_loss(first, second))


def test_info_nce_is_its_formula_and_leaves_out_the_same_object():
    queue = torch.randn((7, 6), generator=torch.Generator().manual_seed(1))
    same = torch.zeros(5, 7, dtype=torch.bool)
    same[1, 3] = same[4, 0] = same[4, 6] = True
    for mask in (None, same):
        total = 0.0
        for i in range(5):
            positive = math.exp(cosine(FIRST[i], SECOND[i]) / 0.2)
            negatives = [math.exp(cosine(FIRST[i], queue[k]) / 0.2) for k in range(7) if mask is None or not mask[i, k]]
            total -= math.log(positive / (positive + sum(negatives)))
        torch.testing.assert_close(info_nce_loss(FIRST, SECOND, queue, 0.2, mask), torch.tensor(total / 5))


def test_byol_is_the_squared_distance_on_the_sphere():
    total = sum(float((a / a.norm() - b / b.norm()).square().sum()) for a, b in zip(FIRST, SECOND, strict=True))
    torch.testing.assert_close(byol_loss(FIRST, SECOND), torch.tensor(total / 5))
    assert byol_loss(FIRST, 2 * FIRST) == pytest.approx(0, abs=1e-6)
    assert byol_loss(FIRST, -FIRST) == pytest.approx(4, abs=1e-6)
