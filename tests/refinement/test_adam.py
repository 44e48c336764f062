"""Adam without torch's compiler: torch's own class is the reference."""

import subprocess
import sys

import pytest
import torch

from tpl.refinement.adam import Adam

RATES, BETAS = (0.1, 0.003), (0.7, 0.9)


def loss(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return (first.square().sum(dim=0) * second).sum() + second.square().sum()


@pytest.mark.parametrize("shares", [[1.0] * 12, [1.0, 0.5, 0.1, 0.0, 0.7]])
def test_it_steps_as_the_class_of_torch_does_to_the_bit(shares):
    generator = torch.Generator().manual_seed(0)
    starts = [torch.randn(3, 5, generator=generator), torch.randn(5, generator=generator)]
    ours, theirs = ([start.clone().requires_grad_() for start in starts] for _ in range(2))
    own = Adam(list(zip(ours, RATES, strict=True)), BETAS)
    groups = [{"params": [fitted], "lr": rate} for fitted, rate in zip(theirs, RATES, strict=True)]
    reference = torch.optim.Adam(groups, betas=BETAS)
    for share in shares:
        loss(*ours).backward()
        own.step(share)
        for group, rate in zip(reference.param_groups, RATES, strict=True):
            group["lr"] = rate * share
        reference.zero_grad()
        loss(*theirs).backward()
        reference.step()
    assert all(torch.equal(mine, torchs) for mine, torchs in zip(ours, theirs, strict=True))
    assert all(fitted.grad is None for fitted in ours)


def test_it_imports_no_compiler():
    code = """
import sys, torch
from tpl.refinement.adam import Adam
code = torch.ones(3, requires_grad=True)
optimizer = Adam([(code, 0.1)], (0.7, 0.9))
code.sum().backward()
optimizer.step(1.0)
print(sorted({"torch._dynamo", "torch._inductor", "sympy"} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
