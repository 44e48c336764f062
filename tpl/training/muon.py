"""Muon: each matrix moves along all its directions alike."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic whose iteration brings singular values near 1: the steepest at zero, says Jordan."""

ITERATIONS, TINY = 5, 1e-7


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and a decoupled weight decay, scaled so that its rates mean what Adam's do.

    A step is the orthogonal matrix nearest to the gradient's average. A convolution's weight is a matrix of its outputs
    against all its inputs. Matrices of one shape are taken together, in full precision: on a CPU that is several times
    as fast as `torch.optim.Muon`, whose function it is.

    Source: Jordan et al. 2024 (Muon); Liu et al. 2025, Eq. 4, for the scale.
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, weight_decay: float | int = 0.0, momentum: float = 0.95
    ):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        for parameter in (parameter for group in self.param_groups for parameter in group["params"]):
            if parameter.ndim < 2:
                raise ValueError(f"Muon is for matrices and convolutions, not for a parameter of {parameter.ndim} axes")

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """One step along the gradients."""
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[len(parameter), parameter[0].numel()].append(parameter)
            for shape, parameters in alike.items():
                updates = orthogonal(torch.stack([self._average(each, group["momentum"]) for each in parameters]))
                rate = group["lr"] * 0.2 * max(shape) ** 0.5
                for parameter, update in zip(parameters, updates, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update.view(parameter.shape), alpha=-rate)

    def _average(self, parameter: Tensor, momentum: float) -> Float[Tensor, "rows columns"]:
        state, grad = self.state[parameter], parameter.grad
        assert grad is not None
        average = state.setdefault("momentum_buffer", torch.zeros_like(grad))
        average.lerp_(grad, 1 - momentum)
        return grad.lerp(average, momentum).flatten(1)


def orthogonal(matrices: Float[Tensor, "n rows columns"]) -> Float[Tensor, "n rows columns"]:
    """Near the orthogonal matrices nearest to these: singular values between about .7 and 1.2, vectors as they were.

    Newton and Schulz iterate X <- (a + b X X' + c (X X')^2) X. All these factors are polynomials of the first X X', so
    that they commute: they are multiplied with each other at the size of the shorter side, and with X once.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    found = matrices.mT if tall else matrices
    found = found / found.flatten(1).norm(dim=1).clamp_min(TINY)[:, None, None]
    a, b, c = COEFFICIENTS
    gram = found @ found.mT
    diagonal = a * torch.eye(gram.shape[1], device=gram.device).expand_as(gram)
    product = factor = torch.baddbmm(diagonal + b * gram, gram, gram, alpha=c)
    for _ in range(ITERATIONS - 1):
        gram = factor @ gram @ factor
        factor = torch.baddbmm(diagonal + b * gram, gram, gram, alpha=c)
        product = factor @ product
    found = product @ found
    return found.mT if tall else found
