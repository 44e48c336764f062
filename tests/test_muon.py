"""Muon: torch's own as reference, the singular value decomposition as truth, and its state through a round trip."""

import copy

import pytest
import torch
from accelerate import Accelerator

from tpl.training.loop import Group, make_optimizers
from tpl.training.muon import COEFFICIENTS, ITERATIONS, Muon, orthogonal

SHAPES = [(12, 6), (6, 12), (6, 12), (8, 8), (12, 6), (12, 6)]


def matrices(dtype=torch.float32) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype)) for shape in SHAPES]


def give_gradients(parameters: list[torch.nn.Parameter], step: int) -> None:
    generator = torch.Generator().manual_seed(100 + step)
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def test_step_by_step_it_is_torch_s_within_bfloat16():
    """Each starts its step where ours is, so that what is compared is one step and its average, not the errors' sum."""
    ours, theirs = matrices(), matrices()
    options = dict(lr=0.02, weight_decay=0.1)
    mine, reference = Muon(ours, **options), torch.optim.Muon(theirs, adjust_lr_fn="match_rms_adamw", **options)
    for step in range(6):
        before = [parameter.detach().clone() for parameter in ours]
        for optimizer, parameters in ((mine, ours), (reference, theirs)):
            give_gradients(parameters, step)
            optimizer.step()
        for start, one, other in zip(before, ours, theirs, strict=True):
            torch.testing.assert_close(
                one.detach() - start, other.detach() - start, rtol=0, atol=0.06 * 0.02 * 0.2 * 12**0.5
            )
            with torch.no_grad():
                other.copy_(one)
    for one, other in zip(ours, theirs, strict=True):
        averages = mine.state[one]["momentum_buffer"], reference.state[other]["momentum_buffer"]
        torch.testing.assert_close(*averages)


@pytest.mark.parametrize("shape", [(3, 12, 6), (3, 6, 12), (2, 8, 8), (1, 5, 1)])
def test_it_acts_on_singular_values_alone_and_brings_them_near_to_one(shape):
    given = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    left, values, right = torch.linalg.svd(given, full_matrices=False)
    expected = values / given.norm(dim=(-2, -1))[:, None]
    first, third, fifth = COEFFICIENTS
    for _ in range(ITERATIONS):
        expected = first * expected + third * expected**3 + fifth * expected**5
    found = orthogonal(given)
    torch.testing.assert_close(found, left @ torch.diag_embed(expected) @ right)
    assert 0.68 < expected.min() and expected.max() < 1.14
    torch.testing.assert_close(orthogonal(given.float()), found.float(), rtol=0, atol=1e-4)


def test_its_bounds_are_those_of_all_matrices_that_are_not_nearly_singular():
    values = torch.linspace(0.01, 1, 100_001, dtype=torch.float64)
    first, third, fifth = COEFFICIENTS
    for _ in range(ITERATIONS):
        values = first * values + third * values**3 + fifth * values**5
    assert 0.68 < values.min() and values.max() < 1.14


def test_a_gradient_of_zeros_moves_nothing_and_one_that_is_not_there_neither():
    moved, still, absent = (torch.nn.Parameter(torch.ones(3, 3)) for _ in range(3))
    moved.grad, still.grad = torch.eye(3), torch.zeros(3, 3)
    Muon([moved, still, absent], lr=0.1).step()
    assert torch.equal(still, torch.ones(3, 3)) and torch.equal(absent, torch.ones(3, 3))
    assert not torch.equal(moved, torch.ones(3, 3))


def test_what_is_no_matrix_is_refused():
    with pytest.raises(ValueError, match=r"a parameter has the shape \(3,\): give it to Adam"):
        Muon([torch.nn.Parameter(torch.zeros(3))])


def test_it_goes_on_from_its_state_to_the_bit_through_accelerate(tmp_path):
    def prepared():
        accelerator = Accelerator(cpu=True)
        module = torch.nn.ParameterList(matrices())
        (optimizer,) = make_optimizers([Group(module, 0.02, "muon")], weight_decay=0.1)
        assert isinstance(optimizer, Muon)
        return accelerator, *accelerator.prepare(module, optimizer)

    def go(module, optimizer, steps):
        for step in steps:
            give_gradients(list(module.parameters()), step)
            optimizer.step()

    accelerator, module, optimizer = prepared()
    go(module, optimizer, range(3))
    accelerator.save_state(str(tmp_path))
    go(module, optimizer, range(3, 6))
    end = copy.deepcopy(module.state_dict())
    accelerator, module, optimizer = prepared()
    accelerator.load_state(str(tmp_path), load_kwargs={"weights_only": True})
    go(module, optimizer, range(3, 6))
    assert all(torch.equal(end[name], value) for name, value in module.state_dict().items())
