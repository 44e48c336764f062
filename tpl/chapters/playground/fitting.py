"""One shape learnt while one watches: its code alone, or a small decoder with it."""

import copy
import time
from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from tpl.chapters.playground.playing import Player
from tpl.dataset.batches import SDFTable
from tpl.geometry.primitives import SDF
from tpl.inference import mean_code
from tpl.models import DeepImplicitTemplate
from tpl.settings import SettingsError, validated
from tpl.training.embedding import EmbeddingConfig, decoder_groups, new_decoder, warp_terms
from tpl.training.loop import Group, make_optimizers, rate_factor, set_rates

CODE, DECODER = "its code", "its code and a small decoder"
LEARNS = (CODE, DECODER)
"""What a fit learns: the code alone, under the trained decoder, or a decoder as well, from nothing."""

WEIGHTS = ("pointwise_weight", "pointpair_weight", "code_weight", "ambient_weight")
"""The terms beside the distances themselves."""

SMALL = dict(
    latent_dim=8,
    warp_hidden=32,
    warp_steps=4,
    template_hidden=64,
    template_layers=4,
    dropout=0.0,
    weight_norm=False,
)
"""The decoder that is learnt from nothing within a minute."""


class Fit:
    """The fit of one shape, a step at a time; nothing that was trained is changed by it.

    Its length is given in steps, or in seconds by the clock; schedules run over the share that is done.

    Args:
        table: Samples of the shape, the only one in it.
        config: Weights, rates and schedule, and the size of a decoder that is learnt.
        model: A trained decoder, under which the code alone is learnt; without one the decoder is learnt, too.
        start: The code that the fit starts from; 0 by default.
        steps: Length, if it is given in steps.
        seconds: Length, if it is not.
        points: Samples in a step.

    Raises:
        SettingsError: It has no length, or two.
    """

    def __init__(
        self,
        table: SDFTable,
        config: EmbeddingConfig,
        model: DeepImplicitTemplate | None = None,
        start: Float[Tensor, " dim"] | None = None,
        steps: int = 0,
        seconds: float | int = 0,
        points: int = 1024,
    ):
        if bool(steps) == bool(seconds):
            raise SettingsError(f"a fit takes some steps or some seconds, not {steps} steps and {seconds} seconds")
        torch.manual_seed(config.seed)
        self.table, self.config, self.points = table, config, points
        self.steps, self.seconds, self.started = steps, seconds, 0.0
        self.model = (new_decoder(config) if model is None else copy.deepcopy(model)).to(table.device)
        self.model.train(model is None).requires_grad_(model is None)
        zero = torch.zeros(self.model.config.latent_dim, device=table.device)
        self.latent = (zero if start is None else start)[None].clone().requires_grad_()
        groups = [Group([self.latent], config.code_rate)]
        self.optimizers = make_optimizers(groups + (decoder_groups(self.model, config) if model is None else []), 0.0)
        self.full_rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in self.optimizers]
        self.generator = torch.Generator(table.device).manual_seed(config.seed)
        self.rows: list[dict[str, float]] = []
        """The learning curve: `step`, `seconds`, each term and their sum as `loss`."""

    @property
    def done(self) -> float:
        """The share of the fit that is over."""
        if self.steps:
            return len(self.rows) / self.steps
        return (time.perf_counter() - self.started) / self.seconds if self.started else 0.0

    def take(self) -> dict[str, float]:
        """Takes a step; returns its row of the learning curve."""
        self.started = self.started or time.perf_counter()
        done, config = min(1.0, self.done), self.config
        set_rates(self.optimizers, self.full_rates, rate_factor(config, done))
        only = torch.zeros(1, dtype=torch.long, device=self.table.device)
        batch = self.table.draw(only, self.points, self.generator, config.inside_share, config.cross_share)
        path = self.model.warp(batch.points, self.latent)
        terms = warp_terms(self.model, path, batch.points, batch.sdf, self.latent, done, config)
        loss = torch.stack(list(terms.values())).sum()
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        row = {"step": len(self.rows) + 1.0, "seconds": time.perf_counter() - self.started}
        self.rows.append(row | {name: term.item() for name, term in terms.items()} | {"loss": loss.item()})
        return self.rows[-1]

    def run(self) -> Iterator[dict[str, float]]:
        """Takes the steps that are left."""
        while self.done < 1:
            yield self.take()

    def sdf(self) -> SDF:
        """The shape as it is learnt so far, in the unit-sphere frame."""
        return self.model.shape(self.latent.detach()[0])


def fit_shape(
    player: Player,
    shape: str,
    learns: str = CODE,
    weights: Mapping[str, float] | None = None,
    steps: int = 0,
    seconds: float | int = 0,
    points: int = 1024,
) -> Fit:
    """The fit of one of a player's shapes, at its start.

    The code starts as the mean of the codes, so that the mean shape turns into this one. Weights are those that the
    decoder was trained with, as far as others are not given.

    Args:
        player: Whose decoder, and whose settings.
        shape: Its id.
        learns: One of `LEARNS`.
        weights: Of the terms in `WEIGHTS`.
        steps: See `Fit`, as for `seconds` and `points`.

    Raises:
        SettingsError: A weight does not exist, or there is no such thing to learn.
        StoreError: The shape has no samples.
    """
    if learns not in LEARNS:
        raise SettingsError(f"a fit learns {' or '.join(LEARNS)}, not {learns!r}")
    if unknown := set(weights or {}) - set(WEIGHTS):
        raise SettingsError(f"no weight is called {min(unknown)!r}; there is {', '.join(WEIGHTS)}")
    collection, trained = player.bench.collection, player.config
    small = {} if learns == CODE else {"model": {**trained["model"], **SMALL}, "epochs": 1}
    config = validated(EmbeddingConfig, {**trained, **small, **(weights or {}), "compiled": False})
    cross = config.cross_share > 0 and collection.config.prepare.cross_samples > 0
    table = SDFTable.read([player.shapes[shape]], collection.store, player.codes.device, cross)
    known = (player.model, mean_code(player.codes)) if learns == CODE else (None, None)
    return Fit(table, config, *known, steps, seconds, points)
