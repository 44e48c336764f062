"""Adam for a process that lives for seconds."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.adam import adam


class Adam:
    """`torch.optim.Adam` to the bit, through its functional form, on CPU and device.

    The class imports torch's compiler when it is made: some two seconds of each process, as long as the refinement of a
    photograph's mesh takes.

    Args:
        groups: What is fitted, and the full rate of each.
        betas: Decays of the two moments.
    """

    def __init__(self, groups: Sequence[tuple[Tensor, float]], betas: tuple[float, float]):
        self.groups, self.betas = groups, betas
        self._first = [torch.zeros_like(fitted) for fitted, _ in groups]
        self._second = [torch.zeros_like(fitted) for fitted, _ in groups]
        self._steps = [torch.zeros(()) for _ in groups]

    @torch.no_grad()
    def step(self, share: float) -> None:
        """One step at a share of the full rates, along gradients that are empty afterwards."""
        moments = zip(self.groups, self._first, self._second, self._steps, strict=True)
        for (fitted, rate), first, second, count in moments:
            assert fitted.grad is not None, "a step follows a backward pass"
            adam(
                [fitted],
                [fitted.grad],
                [first],
                [second],
                [],
                [count],
                foreach=False,
                amsgrad=False,
                beta1=self.betas[0],
                beta2=self.betas[1],
                lr=rate * share,
                weight_decay=0.0,
                eps=1e-8,
                maximize=False,
            )
            fitted.grad = None
