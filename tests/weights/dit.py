"""The decoder of Deep Implicit Templates from its formulas, under the names of its published weights; an experiment.

Zheng et al. 2021, section 3: an LSTM cell reads [code, position], an affine layer moves the position, eight times;
then a perceptron with weight normalisation, w = g v / |v| a row, and tanh.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class Normed(nn.Module):
    """A linear layer, its weights in a direction and a length for each row."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight_g, self.weight_v = (nn.Parameter(torch.randn(outputs, size)) for size in (1, inputs))
        self.bias = nn.Parameter(torch.randn(outputs) / 4)

    def forward(self, values: Tensor) -> Tensor:
        rows = [g * v / v.norm() for g, v in zip(self.weight_g, self.weight_v, strict=True)]
        return torch.stack([values @ row for row in rows], dim=-1) + self.bias


class Warper(nn.Module):
    def __init__(self, latent: int, hidden: int, steps: int):
        super().__init__()
        self.steps, self.hidden = steps, hidden
        self.lstm = nn.LSTMCell(latent + 3, hidden)
        self.out_layer_coord_affine = nn.Linear(hidden, 6)

    def forward(self, code: Tensor, point: Tensor) -> Tensor:
        h, c = torch.zeros(2, 1, self.hidden)
        for _ in range(self.steps):
            gates = (
                self.lstm.weight_ih @ torch.cat([code, point])
                + self.lstm.bias_ih
                + self.lstm.weight_hh @ h[0]
                + self.lstm.bias_hh
            )
            i, f, g, o = gates.chunk(4)
            c = (f.sigmoid() * c[0] + i.sigmoid() * g.tanh())[None]
            h = (o.sigmoid() * c[0].tanh())[None]
            scale, shift = self.out_layer_coord_affine(h[0]).chunk(2)
            point = (1 + scale) * point + shift
        return point


class SdfDecoder(nn.Module):
    def __init__(self, width: int, layers: int, normed: bool):
        super().__init__()
        self.layers = layers
        sizes = [3, *[width] * layers]
        for number in range(layers):
            layer = Normed if normed else nn.Linear
            setattr(self, f"lin{number}", layer(sizes[number], sizes[number + 1]))
        setattr(self, f"lin{layers}", nn.Linear(width, 1))

    def forward(self, point: Tensor) -> Tensor:
        for number in range(self.layers):
            point = getattr(self, f"lin{number}")(point).relu()
        return getattr(self, f"lin{self.layers}")(point).tanh()


class Decoder(nn.Module):
    """The decoder that a `specs.json` tells of."""

    def __init__(self, specs: dict[str, Any]):
        super().__init__()
        warper, decoder = (specs["NetworkSpecs"][name] for name in ("warper_kargs", "decoder_kargs"))
        dims = decoder["dims"]
        self.warper = Warper(specs["CodeLength"], warper["hidden_size"], warper["steps"])
        self.sdf_decoder = SdfDecoder(dims[0], len(dims), bool(decoder["norm_layers"]))

    @torch.no_grad()
    def sdf(self, code: Tensor, points: Tensor) -> Tensor:
        """The signed distances of one shape, point by point."""
        return torch.cat([self.sdf_decoder(self.warper(code, point)) for point in points])


def specs(**changes: Any) -> dict[str, Any]:
    """A small network's `specs.json`; changes of the template's settings by name."""
    decoder = dict(dims=[7] * 3, dropout=[0, 1, 2], dropout_prob=0.05, norm_layers=[0, 1, 2])
    decoder |= dict(xyz_in_all=False, weight_norm=True) | changes
    rates = [dict(Type="Step", Initial=rate, Interval=500, Factor=0.5) for rate in (5e-4, 1e-3, 2e-3)]
    return dict(
        Description="a test",
        NetworkArch="deep_implicit_template_decoder",
        NetworkSpecs=dict(warper_kargs=dict(hidden_size=6, steps=3), decoder_kargs=decoder),
        CodeLength=5,
        NumEpochs=2001,
        LearningRateSchedule=rates,
        ScenesPerBatch=24,
        SamplesPerScene=5000,
        ClampingDistance=0.1,
        CodeRegularizationLambda=1e-4,
        CodeBound=1.0,
        PointwiseLossWeight=0.005,
        PointpairLossWeight=0.0001,
    )


def parallel(decoder: nn.Module) -> dict[str, Tensor]:
    """Weights as `torch.nn.DataParallel` names them."""
    return {f"module.{name}": tensor for name, tensor in decoder.state_dict().items()}


def write_experiment(folder: Path, latent_codes: Any, told: dict[str, Any] | None = None, name: str = "latest"):
    """Writes an experiment with a random decoder; returns that."""
    told = told or specs()
    torch.manual_seed(4)
    decoder = Decoder(told)
    for part in ("ModelParameters", "LatentCodes"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "specs.json").write_text(json.dumps(told))
    torch.save({"epoch": 9, "model_state_dict": parallel(decoder)}, folder / "ModelParameters" / f"{name}.pth")
    torch.save({"epoch": 9, "latent_codes": latent_codes}, folder / "LatentCodes" / f"{name}.pth")
    return decoder
