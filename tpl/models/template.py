"""The template T: one signed distance function shared by all shapes of a category."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm as normalise_weight

from tpl.models.warp import autocast_dtype, split_exactly


class Template(nn.Module):
    """A multilayer perceptron from canonical points to signed distances, negative inside.

    It knows no latent code: what differs from shape to shape is the warp's business alone. With coordinates beside
    space (ours) it is a function of 3 + `ambient_dim` numbers, of which each shape is a slice.

    Source: Zheng et al. 2021 (Deep Implicit Templates), section 3; 265 729 parameters at its default size. Park et al.
    2021 (HyperNeRF), section 3, for slices of a higher template.
    """

    def __init__(
        self, hidden: int = 256, layers: int = 5, dropout: float = 0.05, weight_norm: bool = True, ambient_dim: int = 0
    ):
        super().__init__()
        self.inputs = 3 + ambient_dim
        widths = [self.inputs, *[hidden] * layers]
        wrap = normalise_weight if weight_norm else nn.Identity()
        self.first = wrap(nn.Linear(self.inputs, hidden))
        self.hidden = nn.ModuleList(wrap(nn.Linear(hidden, hidden)) for _ in widths[2:])
        self.last = nn.Linear(hidden, 1)
        self.dropout = dropout

    def forward(self, points: Float[Tensor, "*batch {self.inputs}"]) -> Float[Tensor, "*batch"]:
        """Signed distances, within (-1, 1), of canonical points, any coordinates beside space after the three of it."""
        exact = split_exactly(points, autocast_dtype(points))
        # The first layer on coordinates that keep all their bits: its weights once for each of their parts.
        repeated = torch.cat([torch.as_tensor(self.first.weight)] * len(exact), dim=1)
        features = self._activate(F.linear(torch.cat(exact, dim=-1), repeated, torch.as_tensor(self.first.bias)))
        for layer in self.hidden:
            features = self._activate(layer(features))
        with torch.autocast(points.device.type, enabled=False):
            return torch.tanh(self.last(features.float())).squeeze(-1)

    def _activate(self, features: Tensor) -> Tensor:
        features = torch.relu(features)
        if self.dropout:
            features = F.dropout(features, self.dropout, self.training)
        return features
