"""The warp W: an LSTM that carries the points of one shape onto the template."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from tpl.models import lstm


class Warp(nn.Module):
    """Carries points onto the template, a small affine step at a time.

    At each step an LSTM cell reads the code c and the current position, and a linear layer turns its hidden state
    into a scale a and a shift b of each coordinate: p <- (1 + a) p + b. The cell's input product is the sum of the
    code's share and the position's; the first is the same for all points of a shape and all steps, so it is
    computed once a shape.

    A warp is continuous: it cannot open a hole, nor end a bar in mid-air. With `ambient_dim` (ours) it gives each point
    k coordinates a beside those of space, in which the template can differ from shape to shape: a = A h + b of the
    hidden state h, or a = A c + b of the code.

    Source: Zheng et al. 2021, section 3.2; 1 586 182 parameters at the paper's size. Park et al. 2021 (HyperNeRF),
    section 3.2, for the coordinates beside space.
    """

    def __init__(
        self,
        latent_dim: int = 256,
        hidden: int = 512,
        steps: int = 8,
        ambient_dim: int = 0,
        ambient_source: Literal["state", "code"] = "state",
    ):
        super().__init__()
        if steps < 1:
            raise ValueError(f"a warp needs at least 1 step, not {steps}")
        self.steps = steps
        self.compiled = False  # whether training computes the cell's pointwise part by torch.compile
        cell = nn.LSTMCell(latent_dim + 3, hidden)  # PyTorch's own initialisation
        self.code_weight = nn.Parameter(cell.weight_ih.detach()[:, :latent_dim].clone())
        self.point_weight = nn.Parameter(cell.weight_ih.detach()[:, latent_dim:].clone())
        self.hidden_weight = nn.Parameter(cell.weight_hh.detach().clone())
        # Two biases, as in the published networks: their forget gates start at 1 each, so at 2 together.
        self.input_bias = nn.Parameter(cell.bias_ih.detach().clone())
        self.hidden_bias = nn.Parameter(cell.bias_hh.detach().clone())
        self.affine = nn.Linear(hidden, 6)
        self.ambient_source = ambient_source
        read = hidden if ambient_source == "state" else latent_dim
        self.ambient = nn.Linear(read, ambient_dim) if ambient_dim else None
        with torch.no_grad():
            self.input_bias[hidden : 2 * hidden] = 1.0
            self.hidden_bias[hidden : 2 * hidden] = 1.0
            self.affine.weight.uniform_(-1e-5, 1e-5)  # the warp starts as the identity
            self.affine.bias.zero_()

    @torch.no_grad()
    def scale_inputs(self) -> None:
        """Gives the initial weights at positions and codes the scale of a layer that reads them alone.

        PyTorch's own is that of the hidden state, 1 / sqrt(hidden), for all inputs: with 512 numbers in the state the
        three of a position start 13 times as small as those of a linear layer from them.
        """
        hidden = self.hidden_weight.shape[1]
        for weight in (self.point_weight, self.code_weight):
            weight.mul_((hidden / weight.shape[1]) ** 0.5)

    def forward(
        self, points: Float[Tensor, "shapes points 3"], latent: Float[Tensor, "shapes dim"]
    ) -> Float[Tensor, "steps shapes points coordinates"]:
        """Places after each step, in the template's frame; the last are the canonical points.

        A place is a position, and after its three numbers the coordinates beside space, if there are any.
        """
        product = autocast_dtype(points)
        with torch.autocast(points.device.type, enabled=False):  # positions keep all their bits
            code_part = F.linear(latent, self.code_weight, self.input_bias + self.hidden_bias)
            readout = self.affine.weight, self.affine.bias
            if self.ambient is not None and self.ambient_source == "state":
                readout = torch.cat([readout[0], self.ambient.weight]), torch.cat([readout[1], self.ambient.bias])
            how = self.steps, product, self.compiled and self.training, torch.is_grad_enabled()
            path = _Recurrence.apply(points, code_part, self.point_weight, self.hidden_weight, *readout, *how)
            if self.ambient is not None and self.ambient_source == "code":  # the same for all points of a shape
                beside = self.ambient(latent)[:, None].expand(*path.shape[:3], -1)
                path = torch.cat([path, beside], dim=-1)
            return path


class _Recurrence(torch.autograd.Function):
    """All steps of the warp, with their derivative written out.

    Left to autograd, a step is a hundred small operations and keeps some ten intermediates. Here it keeps seven, and
    products are summed where they arise. What a point brings to the gates beside its hidden state is one product of
    its position and a 1 with a small matrix of its shape: the position's weights and the code's share.
    """

    @staticmethod
    def forward(
        ctx,
        points: Tensor,
        code_part: Tensor,
        point_weight: Tensor,
        hidden_weight: Tensor,
        affine_weight: Tensor,
        affine_bias: Tensor,
        steps: int,
        product: torch.dtype,
        compiled: bool,
        learning: bool,
    ) -> Tensor:
        advance = lstm.compiled(lstm.fused_forward) if compiled else lstm.forward
        own = _own_matrices(point_weight, code_part, product)
        doubled, own_doubled = _double_candidate(hidden_weight.to(product).T), _double_candidate(own)
        hidden = cell = None
        path, kept = [], []
        for _ in range(steps):
            place = _homogeneous(points, product)
            if hidden is None:  # a zero state adds nothing
                gates = torch.bmm(place, own_doubled)
            else:
                gates = (hidden @ doubled).baddbmm_(place, own_doubled)
            before = cell
            hidden, cell, activated, squashed = advance(gates, before)
            scale, shift, beside = _readout(F.linear(hidden.to(points.dtype), affine_weight, affine_bias))
            if learning:
                kept += [points, place, scale, activated, squashed, before, hidden]
            points = torch.addcmul(points + shift, scale, points)
            path.append(torch.cat([points, beside], dim=-1))
        ctx.save_for_backward(own, hidden_weight, affine_weight, *kept)
        ctx.compiled = compiled
        return torch.stack(path)

    @staticmethod
    @once_differentiable
    def backward(ctx, path_gradient: Tensor) -> tuple[Tensor | None, ...]:
        own, hidden_weight, affine_weight, *kept = ctx.saved_tensors
        points_learn, *_ = ctx.needs_input_grad
        weights_learn, affine_learns = ctx.needs_input_grad[3:5]
        retreat = lstm.compiled(lstm.fused_backward) if ctx.compiled else lstm.backward
        weight, affine = hidden_weight.to(own.dtype), affine_weight.to(own.dtype)
        point_weight = own[0, :3].T.contiguous()  # the same for all shapes
        own_gradient = torch.zeros(own.shape, dtype=hidden_weight.dtype, device=own.device)
        weight_gradient, affine_gradient = torch.zeros_like(weight), torch.zeros_like(affine_weight)
        bias_gradient = torch.zeros_like(affine_weight[:, 0])
        position = torch.zeros_like(path_gradient[0, ..., :3])
        gates = state = cell_gradient = None
        for step in reversed(range(len(path_gradient))):
            points, place, scale, activated, squashed, cell, hidden = kept[7 * step : 7 * step + 7]
            rows = hidden.flatten(0, 1)
            if gates is not None and weights_learn:
                weight_gradient.addmm_(gates.flatten(0, 1).T, rows)
            position = position + path_gradient[step, ..., :3]
            change = torch.cat([position * points, position, path_gradient[step, ..., 3:]], dim=-1).flatten(0, 1)
            narrow = change.to(own.dtype)
            if affine_learns:
                affine_gradient += narrow.T @ rows
                bias_gradient += change.sum(dim=0)
            state = narrow @ affine if state is None else torch.addmm(state, narrow, affine)
            gates, cell_gradient = retreat(state.view_as(hidden), cell_gradient, activated, squashed, cell)
            own_gradient += torch.bmm(place.mT, gates)
            if step or points_learn:  # a training's points are given
                position = torch.addcmul(position, scale, position) + gates @ point_weight
            state = gates.flatten(0, 1) @ weight if step else None
        parts = own.shape[1] // 4
        point_gradient = own_gradient[:, : 3 * parts].unflatten(1, (parts, 3)).sum(dim=(0, 1)).T
        gradients = position, own_gradient[:, 3 * parts], point_gradient, weight_gradient.to(hidden_weight.dtype)
        return *gradients, affine_gradient, bias_gradient, None, None, None, None


def _readout(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What a hidden state is read out as: scale and shift of the three coordinates, and those beside space."""
    return values[..., :3], values[..., 3:6], values[..., 6:]


def _homogeneous(points: Tensor, dtype: torch.dtype) -> Tensor:
    """Positions with a 1 after them, each in parts of a format that add up to it: (shapes, points, 4 x parts)."""
    parts = split_exactly(points, dtype)
    return torch.cat([*parts, parts[0].new_ones((*points.shape[:2], len(parts)))], dim=-1)


def _own_matrices(point_weight: Tensor, code_part: Tensor, dtype: torch.dtype) -> Tensor:
    """What `_homogeneous` is multiplied by: each shape's (4 x parts, gates), the position's weights and the code's."""
    codes = split_exactly(code_part[:, None], dtype)
    weights = point_weight.T.to(dtype).expand(len(code_part), -1, -1)
    return torch.cat([*[weights] * len(codes), *codes], dim=1)


def _double_candidate(weights: Tensor) -> Tensor:
    """Weights (..., gates) with those of the candidate doubled, whose tanh then is the sigmoid of the others."""
    enter, forget, candidate, leave = weights.chunk(4, dim=-1)
    return torch.cat([enter, forget, 2 * candidate, leave], dim=-1)


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
