"""Muon for the small matrices of a small network: those of one shape are orthogonalised together, in fp32."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of x, x^3 and x^5 in a Newton-Schulz iteration: the steepest at 0 of those that keep a singular value near 1."""

ITERATIONS = 5
SMALLEST_NORM = 1e-7  # of a gradient, so that one of zeros is not divided by zero


class Muon(torch.optim.Optimizer):
    """Moves a matrix by the orthogonal one nearest to its gradient's average.

    So it moves as much along directions in which the gradient is weak as along the strong ones. A step is scaled by
    0.2 sqrt(max(rows, columns)): its entries are as large as those of a step of Adam, and rates mean the same. A
    convolution's weight is the matrix of its outputs against all that each of them sees.

    `torch.optim.Muon` does the same, a matrix after the other and in bfloat16: two to three times slower where
    matrices are small, and on a CPU without instructions for that format.

    Source: Jordan et al. 2024 (Muon); Liu et al. 2025, Eq. 4, for the scale.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
    ):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        if flat := [tuple(one.shape) for group in self.param_groups for one in group["params"] if one.ndim < 2]:
            raise ValueError(f"Muon is for matrices, and a parameter has the shape {flat[0]}: give it to Adam")

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One step from the gradients that there are."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    ahead = self._ahead(matrix, matrix.grad, group["momentum"])
                    by_shape[ahead.shape].append((matrix, ahead))
            for shape, members in by_shape.items():
                matrices, ahead = zip(*members, strict=True)
                updates = orthogonal(torch.stack(ahead))
                scale = group["lr"] * 0.2 * max(shape) ** 0.5
                for matrix, update in zip(matrices, updates, strict=True):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update.view(matrix.shape), alpha=scale)

    def _ahead(self, matrix: Tensor, gradient: Tensor, momentum: float) -> Tensor:
        """The gradient's running average, a step of it ahead (Nesterov), as a matrix."""
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        return gradient.lerp(state["momentum_buffer"].lerp_(gradient, 1 - momentum), momentum).flatten(1)


def orthogonal(matrices: Float[Tensor, "n rows columns"]) -> Float[Tensor, "n rows columns"]:
    """Nearly the orthogonal factor U V^T of each matrix U S V^T, by iterations that are products alone.

    Singular values of a hundredth of the matrix's norm and above come to lie between 0.68 and 1.14, not at 1.

    An iteration multiplies X by a polynomial of X X^T. They are all polynomials of the first X X^T and commute, so that
    they are multiplied with each other at the size of the shorter side, and X with their product once.
    """
    wide = matrices.mT if matrices.shape[-2] > matrices.shape[-1] else matrices
    found = wide / wide.norm(dim=(-2, -1), keepdim=True).clamp_min(SMALLEST_NORM)
    gram = found @ found.mT
    factor = product = _factor(gram)
    for _ in range(ITERATIONS - 1):
        gram = factor @ gram @ factor
        factor = _factor(gram)
        product = factor @ product
    found = product @ found
    return found.mT if wide is not matrices else found


def _factor(gram: Float[Tensor, "n rows rows"]) -> Float[Tensor, "n rows rows"]:
    """By what an iteration multiplies matrices of which these are the products with their own transposes."""
    first, third, fifth = COEFFICIENTS
    factor = torch.baddbmm(gram, gram, gram, beta=third, alpha=fifth)
    factor.diagonal(dim1=-2, dim2=-1).add_(first)
    return factor
