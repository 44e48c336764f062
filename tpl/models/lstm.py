"""The pointwise part of an LSTM cell, there and back (Hochreiter and Schmidhuber 1997).

Gates are summed products in PyTorch's order: input, forget, candidate, output; those of the candidate are doubled, so
that one sigmoid serves all. A state that is None is zero. Both directions are written twice: in torch's own kernels,
and as formulas from which a compiler makes one kernel each.
"""

import functools
from collections.abc import Callable

import torch
from torch import Tensor

HIDDEN_GRADIENT_LIMIT = 10.0


def forward(gates: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Hidden and cell state, and what the derivative needs: the gates, and the tanh of the cell state."""
    activated = gates.sigmoid_()
    enter, forget, candidate, leave = activated.chunk(4, dim=-1)
    candidate.mul_(2).sub_(1)  # tanh by way of the sigmoid, which a CPU computes several times faster
    new = enter * candidate if cell is None else torch.addcmul(enter * candidate, forget, cell)
    squashed = torch.sigmoid(2 * new).mul_(2).sub_(1)
    return leave * squashed, new, activated, squashed


# Gradients at the argument from those at the value and the value itself, in one pass, written where they are wanted.
through_sigmoid, through_tanh = torch.ops.aten.sigmoid_backward.grad_input, torch.ops.aten.tanh_backward.grad_input


def backward(
    state: Tensor, cell_gradient: Tensor | None, activated: Tensor, squashed: Tensor, cell: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Gradients at the gates and at the cell state before, from those at the hidden and the cell state after.

    The gradient that reaches the hidden state is limited, as in the published network.
    """
    state = state.clamp(-HIDDEN_GRADIENT_LIMIT, HIDDEN_GRADIENT_LIMIT)
    enter, forget, candidate, leave = activated.chunk(4, dim=-1)
    inner = torch.ops.aten.tanh_backward(state * leave, squashed)
    if cell_gradient is not None:
        inner += cell_gradient
    gates = torch.empty_like(activated)
    to_enter, to_forget, to_candidate, to_leave = gates.chunk(4, dim=-1)
    through_sigmoid(inner * candidate, enter, grad_input=to_enter)
    through_tanh(inner * enter, candidate, grad_input=to_candidate)
    through_sigmoid(state * squashed, leave, grad_input=to_leave)
    if cell is None:
        to_forget.zero_()
        return gates, None
    through_sigmoid(inner * cell, forget, grad_input=to_forget)
    return gates, inner * forget


def fused_forward(gates: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`forward` for a compiler."""
    short = gates.dtype == torch.bfloat16 and gates.device.type == "cpu"
    tanh = tanh_by_fraction if short else torch.tanh
    enter, forget, candidate, leave = (0.5 * gates.to(_wide(gates))).chunk(4, dim=-1)
    enter, forget, leave = (0.5 + 0.5 * tanh(half) for half in (enter, forget, leave))
    candidate = tanh(candidate)
    new = enter * candidate if cell is None else enter * candidate + forget * cell
    squashed = tanh(new)
    narrow = gates.dtype
    activated = _joined([enter, forget, candidate, leave], narrow)
    return (leave * squashed).to(narrow), new.to(narrow), activated, squashed.to(narrow)


def fused_backward(
    state: Tensor, cell_gradient: Tensor | None, activated: Tensor, squashed: Tensor, cell: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """`backward` for a compiler."""
    wide = _wide(activated)
    state = state.to(wide).clamp(-HIDDEN_GRADIENT_LIMIT, HIDDEN_GRADIENT_LIMIT)
    enter, forget, candidate, leave = (gate.to(wide) for gate in activated.chunk(4, dim=-1))
    squashed = squashed.to(wide)
    inner = state * leave * (1 - squashed * squashed)
    if cell_gradient is not None:
        inner = inner + cell_gradient
    parts = [
        inner * candidate * enter * (1 - enter),
        torch.zeros_like(inner) if cell is None else inner * cell * forget * (1 - forget),
        inner * enter * (1 - candidate * candidate),
        state * squashed * leave * (1 - leave),
    ]
    narrow = activated.dtype
    return _joined(parts, narrow), None if cell is None else (inner * forget).to(narrow)


def _joined(gates: list[Tensor], dtype: torch.dtype) -> Tensor:
    """The four side by side. Made narrow before they are joined, they are never in memory at full width."""
    return torch.cat([gate.to(dtype) for gate in gates], dim=-1)


def _wide(values: Tensor) -> torch.dtype:
    """The format in which a compiled kernel computes on values of a shorter one."""
    return torch.promote_types(values.dtype, torch.float32)


def tanh_by_fraction(values: Tensor) -> Tensor:
    """tanh to within 0.0001, a twentieth of what bfloat16 keeps: two polynomials and a division.

    A CPU without an instruction for it takes several times as long. Of all fractions of these degrees it has the least
    relative error up to 4.9, which is 0.00005.
    """
    values = values.clamp(-4.9, 4.9)
    square = values * values
    above = 0.999953691 + square * (0.102723460 + square * 0.000680168946)
    below = 1 + square * (0.435767870 + square * 0.0129142910)
    return values * above / below


BACKEND = "inductor"
"""What torch.compile makes kernels by."""


@functools.cache
def compiled(function: Callable[..., tuple]) -> Callable[..., tuple]:
    return torch.compile(function, backend=BACKEND)  # beyond its limit of sizes in a process it runs as it is written
