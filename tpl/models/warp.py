"""The warp W: an LSTM that carries the points of one shape onto the template."""

import functools
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

HIDDEN_GRADIENT_LIMIT = 10.0


class Warp(nn.Module):
    """Carries points onto the template, a small affine step at a time.

    At each step an LSTM cell reads the code c and the current position, and a linear layer turns its hidden state
    into a scale a and a shift b of each coordinate: p <- (1 + a) p + b. The cell's input product is the sum of the
    code's share and the position's; the first is the same for all points of a shape and all steps, so it is
    computed once a shape.

    Source: Zheng et al. 2021, section 3.2; 1 586 182 parameters at the paper's size.
    """

    def __init__(self, latent_dim: int = 256, hidden: int = 512, steps: int = 8):
        super().__init__()
        if steps < 1:
            raise ValueError(f"a warp needs at least 1 step, not {steps}")
        self.steps = steps
        self.compiled = False  # whether training computes the cell's pointwise part by torch.compile: for GPUs
        cell = nn.LSTMCell(latent_dim + 3, hidden)  # PyTorch's own initialisation
        self.code_weight = nn.Parameter(cell.weight_ih.detach()[:, :latent_dim].clone())
        self.point_weight = nn.Parameter(cell.weight_ih.detach()[:, latent_dim:].clone())
        self.hidden_weight = nn.Parameter(cell.weight_hh.detach().clone())
        # Two biases, as in the published networks: their forget gates start at 1 each, so at 2 together.
        self.input_bias = nn.Parameter(cell.bias_ih.detach().clone())
        self.hidden_bias = nn.Parameter(cell.bias_hh.detach().clone())
        self.affine = nn.Linear(hidden, 6)
        with torch.no_grad():
            self.input_bias[hidden : 2 * hidden] = 1.0
            self.hidden_bias[hidden : 2 * hidden] = 1.0
            self.affine.weight.uniform_(-1e-5, 1e-5)  # the warp starts as the identity
            self.affine.bias.zero_()

    def forward(
        self, points: Float[Tensor, "shapes points 3"], latent: Float[Tensor, "shapes dim"]
    ) -> Float[Tensor, "steps shapes points 3"]:
        """Positions after each step, in the template's frame; the last are the canonical points."""
        device = points.device.type
        code_part = F.linear(latent, self.code_weight, self.input_bias + self.hidden_bias)[:, None]
        dtype = code_part.dtype
        exact = split_exactly(points, dtype)
        weight = torch.cat([self.hidden_weight, *[self.point_weight] * len(exact)], dim=1).to(dtype)
        hidden = cell = None
        path = []
        for _ in range(self.steps):
            if hidden is None:  # a zero state adds nothing
                gates = F.linear(torch.cat(exact, dim=-1), weight[:, self.hidden_weight.shape[1] :])
            else:
                gates = F.linear(torch.cat([hidden, *exact], dim=-1), weight)
            hidden, cell = lstm_cell(gates.add_(code_part), cell, self.compiled and self.training)
            with torch.autocast(device, enabled=False):  # positions keep all their bits
                scale, shift = self.affine(hidden.float()).chunk(2, dim=-1)
                points = points + scale * points + shift
            exact = split_exactly(points, dtype)
            path.append(points)
        return torch.stack(path)


def lstm_cell(
    gates: Float[Tensor, "*batch four_hidden"], cell: Float[Tensor, "*batch hidden"] | None, compiled: bool = False
) -> tuple[Float[Tensor, "*batch hidden"], Float[Tensor, "*batch hidden"]]:
    """New hidden and cell state from the summed input and hidden products; a missing cell state is zero.

    Compiled, its dozen passes over memory become one forward and one backward. On a CPU, whose time is in the sigmoid,
    that gains a few per cent and costs up to a minute.

    Source: Hochreiter and Schmidhuber 1997, gates in PyTorch's order: input, forget, candidate, output.
    """
    zero = cell is None
    return _LSTMCell.apply(gates, gates.new_zeros(()) if cell is None else cell, zero, compiled)


def split_exactly(values: Float[Tensor, "*batch"], dtype: torch.dtype) -> list[Tensor]:
    """Numbers of a format whose sum is the given values, so that a product in half precision reads positions well.

    bfloat16 keeps 8 bits: a coordinate alone would be off by 0.002, half a cell of a 256^3 grid; with its remainder
    beside it, by 0.00001.
    """
    coarse = values.to(dtype)
    return [coarse] if coarse.dtype == values.dtype else [coarse, (values - coarse).to(dtype)]


def autocast_dtype(values: Tensor) -> torch.dtype:
    """The format in which matrices are multiplied right now."""
    device = values.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else values.dtype


class _LSTMCell(torch.autograd.Function):
    """The pointwise part of an LSTM cell with its derivative written out.

    Left to autograd it keeps some ten intermediates a step; this keeps five and fills one gradient in place. The
    gradient that reaches the hidden state is limited, as in the published network.
    """

    @staticmethod
    def forward(ctx, gates: Tensor, cell: Tensor, zero: bool, compiled: bool):
        function = _compiled(_forward) if compiled else _forward
        hidden, new, *kept = function(gates, cell, zero)
        ctx.save_for_backward(*kept, cell)
        ctx.zero, ctx.compiled = zero, compiled
        return hidden, new

    @staticmethod
    def backward(ctx, *gradients: Tensor):
        function: Callable[..., tuple] = _compiled(_backward) if ctx.compiled else _backward
        return *function(*gradients, *ctx.saved_tensors, ctx.zero), None, None


def _forward(gates: Tensor, cell: Tensor, zero: bool) -> tuple[Tensor, ...]:
    """Hidden state and cell state, and what the derivative needs: gates, candidate, tanh of the cell state."""
    size = gates.shape[-1] // 4
    activated = torch.sigmoid(gates)
    candidate = _tanh(gates[..., 2 * size : 3 * size])
    enter, forget, _, leave = activated.split(size, dim=-1)
    new = enter * candidate if zero else torch.addcmul(enter * candidate, forget, cell)
    squashed = _tanh(new)
    return leave * squashed, new, activated, candidate, squashed


# Gradients at the argument from those at the value and the value itself, in one pass, written where they are wanted.
through_sigmoid, through_tanh = torch.ops.aten.sigmoid_backward.grad_input, torch.ops.aten.tanh_backward.grad_input


def _backward(
    hidden_gradient: Tensor,
    cell_gradient: Tensor,
    activated: Tensor,
    candidate: Tensor,
    squashed: Tensor,
    cell: Tensor,
    zero: bool,
) -> tuple[Tensor, Tensor | None]:
    """Gradients at the gates and at the cell state before, from those at the hidden and the cell state after."""
    hidden_gradient = hidden_gradient.clamp(-HIDDEN_GRADIENT_LIMIT, HIDDEN_GRADIENT_LIMIT)
    enter, forget, _, leave = activated.chunk(4, dim=-1)
    inner = torch.ops.aten.tanh_backward(hidden_gradient * leave, squashed).add_(cell_gradient)
    gates = torch.empty_like(activated)
    to_enter, to_forget, to_candidate, to_leave = gates.chunk(4, dim=-1)
    through_sigmoid(inner * candidate, enter, grad_input=to_enter)
    through_sigmoid(torch.zeros_like(inner) if zero else inner * cell, forget, grad_input=to_forget)
    through_tanh(inner * enter, candidate, grad_input=to_candidate)
    through_sigmoid(hidden_gradient * squashed, leave, grad_input=to_leave)
    return gates, None if zero else inner * forget


BACKEND = "inductor"
"""What torch.compile makes kernels by."""


@functools.cache
def _compiled(function: Callable[..., tuple]) -> Callable[..., tuple]:
    return torch.compile(function, backend=BACKEND, fullgraph=True)


def _tanh(values: Tensor) -> Tensor:
    """tanh by way of the sigmoid, which a CPU computes several times faster; equal to rounding."""
    return torch.sigmoid(2 * values).mul_(2).sub_(1)
