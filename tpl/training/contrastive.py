"""Contrastive pre-training of the encoder's trunk: SimCLR (section 5.2 of the paper), MoCo and BYOL.

All three learn from pairs of images of one object, without any code or signed distance. They are modules of one form:
`online` is the network that learns, trunk and head, and called with a batch they return their term of the loss. In
MoCo and BYOL a second network, `target`, follows the first; nothing but its momentum moves it.
"""

import copy
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd
import torch
from jaxtyping import Float
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from tpl.dataset.batches import Pairs, ViewPairBatch, ViewTable, color_jitter, random_resized_crop
from tpl.losses import byol_loss, info_nce_loss, nt_xent_loss
from tpl.models.encoder import EncoderConfig, imagenet_trunk, normalise, resnet18_trunk
from tpl.models.heads import PROJECTED, predictor, projection_head
from tpl.training.embedding import draw_rows
from tpl.training.loop import AtOnce, TrainingConfig, convolutions_apart
from tpl.training.representation import Measures, calibrated, measure
from tpl.training.runs import RunFolder, train_or_load
from tpl.training.sharing import ShareError, gathered, launched_processes

MARKS = 6
"""At so many even distances of a training its features are measured, from the first step to the last."""


class ContrastiveConfig(TrainingConfig):
    """Everything that contrastive pre-training depends on; the defaults are the preset `fixed` at the paper's size."""

    epochs: PositiveInt = 1000
    encoder: EncoderConfig = EncoderConfig()  # the trunk's width; its head plays no part
    method: Literal["simclr", "moco", "byol"] = "simclr"
    pairs: Pairs = "views"
    start: Literal["random", "imagenet"] = "random"
    boxed: bool = False  # ours: views are cut to the box around their object, so that its place tells nothing
    pairs_per_batch: AtOnce = 256  # at most one of each shape
    learning_rate: float = Field(default=3e-4, gt=0)
    muon_rate: NonNegativeFloat = 0.0  # ours: convolutions learn by Muon; 0: by Adam, as all else
    temperature: float = Field(default=0.07, gt=0)  # SimCLR and MoCo
    include_self: bool = False  # SimCLR: Eq. 13 to the letter
    momentum: float = Field(default=0.99, ge=0, le=1)  # MoCo and BYOL: how slowly the target network follows
    queue: PositiveInt = 4096  # MoCo: keys of earlier batches
    crop: float = Field(default=0.3, ge=0, lt=1)
    jitter: float = Field(default=0.4, ge=0, le=1)
    hue: float = Field(default=0.4, ge=0, le=0.5)


class ContrastiveRun(NamedTuple):
    """What contrastive pre-training leaves."""

    trunk: nn.Sequential
    history: pd.DataFrame
    measures: pd.DataFrame  # retrieval, alignment and uniformity over the training; no row where nothing was watched


class Projector(nn.Module):
    """Trunk and projection head: an image to where views are compared."""

    def __init__(self, trunk: nn.Sequential, width: int):
        super().__init__()
        self.trunk = trunk
        self.head = projection_head(8 * width)

    def forward(self, images: Float[Tensor, "views 3 height width"]) -> Float[Tensor, "views projected"]:
        return self.head(self.trunk(normalise(images)))


class ContrastiveObjective(nn.Module):
    """What the three methods share."""

    marks: Tensor

    def __init__(self, config: ContrastiveConfig, trunk: nn.Sequential):
        super().__init__()
        self.config = config
        self.online = Projector(trunk, config.encoder.width)
        # A buffer, so that it is saved, resumed and loaded with the weights: a row a mark, steps done and measures.
        self.register_buffer("marks", torch.full((MARKS, 1 + len(Measures._fields)), torch.nan))

    def forward(self, batch: ViewPairBatch, done: float) -> dict[str, Tensor]:
        """The term of the loss when a share `done` of the training is over."""
        raise NotImplementedError


class SimCLR(ContrastiveObjective):
    """Every other view of the batch is a stranger."""

    def forward(self, batch: ViewPairBatch, done: float) -> dict[str, Tensor]:
        first, second = self.online(torch.cat([batch.first, batch.second])).chunk(2)
        first, second = gathered(first), gathered(second)  # strangers are those of all processes
        return {"nt_xent": nt_xent_loss(first, second, self.config.temperature, self.config.include_self)}


class TargetedObjective(ContrastiveObjective):
    """With a second network that follows the one that learns."""

    def __init__(self, config: ContrastiveConfig, trunk: nn.Sequential):
        super().__init__(config, trunk)
        self.target = copy.deepcopy(self.online).requires_grad_(False)

    @torch.no_grad()
    def follow(self) -> None:
        """Moves the target network's weights a little towards the other's.

        It is called at the start of a step, not at the end of the one before: a saved state is then the same whether
        the training went on from it or was interrupted there.
        """
        for slow, fast in zip(self.target.parameters(), self.online.parameters(), strict=True):
            slow.lerp_(fast, 1 - self.config.momentum)


class MoCo(TargetedObjective):
    """Strangers are the target network's projections of earlier batches.

    A queue of a few hundred keys holds other views of the query's own object; they are left out. MoCo also shuffles a
    batch between devices, so that no view finds its partner by their common batch statistics; here query and key are
    normalised in two batches by two networks, and on one device a shuffle would change nothing.
    """

    queue: Tensor
    queue_index: Tensor

    def __init__(self, config: ContrastiveConfig, trunk: nn.Sequential):
        super().__init__(config, trunk)
        self.register_buffer("queue", F.normalize(torch.randn(config.queue, PROJECTED), dim=1))
        self.register_buffer("queue_index", torch.full((config.queue,), -1))  # nobody's, until keys come in

    def forward(self, batch: ViewPairBatch, done: float) -> dict[str, Tensor]:
        if self.training:
            self.follow()
        with torch.no_grad():
            key = F.normalize(self.target(batch.second).float(), dim=1)
        query = self.online(batch.first)
        same = batch.index[:, None] == self.queue_index
        loss = info_nce_loss(query, key, self.queue, self.config.temperature, same)
        if self.training:
            self.enqueue(key, batch)
        return {"info_nce": loss}

    def enqueue(self, key: Float[Tensor, "pairs projected"], batch: ViewPairBatch) -> None:
        """Puts keys at the end of the queue, and lets the oldest go."""
        self.queue = torch.cat([self.queue, key])[len(key) :].clone()
        self.queue_index = torch.cat([self.queue_index, batch.index])[len(key) :].clone()


class BYOL(TargetedObjective):
    """No strangers: each view's projection predicts the target network's projection of the other view."""

    def __init__(self, config: ContrastiveConfig, trunk: nn.Sequential):
        super().__init__(config, trunk)
        self.predictor = predictor(8 * config.encoder.width)

    def forward(self, batch: ViewPairBatch, done: float) -> dict[str, Tensor]:
        if self.training:
            self.follow()
        both = torch.cat([batch.first, batch.second])
        with torch.no_grad():
            first_target, second_target = self.target(both).chunk(2)
        first, second = self.predictor(self.online(both)).chunk(2)
        return {"byol": byol_loss(first, second_target) + byol_loss(second, first_target)}


METHODS: dict[str, type[ContrastiveObjective]] = {"simclr": SimCLR, "moco": MoCo, "byol": BYOL}


def draw_view_pairs(
    views: ViewTable, rows: Tensor, generator: torch.Generator, config: ContrastiveConfig
) -> ViewPairBatch:
    """A positive pair of each of some shapes as the training sees it: both images cropped and their colours changed."""
    drawn = views.draw_pairs(rows, generator, config.pairs)
    both = random_resized_crop(torch.cat([drawn.first, drawn.second]), generator, config.crop)
    first, second = color_jitter(both, generator, config.jitter, config.hue).chunk(2)
    return ViewPairBatch(first, second, rows)


def train_contrastive(
    views: ViewTable,
    config: ContrastiveConfig,
    folder: Path | str | None = None,
    data: str = "",
    watched: ViewTable | None = None,
    label: str = "contrastive",
    progress: bool = True,
) -> ContrastiveRun:
    """Trains a trunk by contrast, goes on where it was interrupted, or loads it where it is finished.

    Args:
        views: Views of the training shapes, on the device to train on.
        config: Method, sizes and schedule.
        folder: The run's folder; without one nothing is kept.
        data: Hash of the views, those that are watched included.
        watched: Views of other shapes, on which the features are measured while they are learnt.
        label: Name in the progress bar.
        progress: Whether to show one.

    Raises:
        ValueError: There is one shape, so that nothing can be told apart.
        SettingsError: ImageNet's weights are asked for in another width than theirs.
        WeightsUnavailable: ImageNet's weights are asked for and not to be had.
        ShareError: Several processes would each need MoCo's queue.
    """
    if config.method == "moco" and launched_processes() > 1:
        raise ShareError("MoCo's queue belongs to one process: train it without a launcher, or take simclr or byol")
    if len(views) < 2:
        raise ValueError("contrast needs at least two shapes, and there is one: prepare more")
    torch.manual_seed(config.seed)
    width = config.encoder.width
    trunk = imagenet_trunk(width) if config.start == "imagenet" else resnet18_trunk(width)
    objective = METHODS[config.method](config, trunk).to(views.device)
    if config.boxed:
        views, watched = views.boxed(), None if watched is None else watched.boxed()
    # Twice in a batch, a shape would be its own stranger.
    batch = min(config.pairs_per_batch, len(views))

    def draw(generator: torch.Generator, step: int, steps: int) -> ViewPairBatch:
        marks = {round(mark * (steps - 1) / (MARKS - 1)): mark for mark in range(MARKS)}
        if watched is not None and step in marks:
            found = measure(calibrated(objective.online.trunk, views), watched)
            objective.marks[marks[step]] = objective.marks.new_tensor([step, *found])
        return draw_view_pairs(views, draw_rows(len(views), batch, generator), generator, config)

    learnt = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    groups = convolutions_apart(learnt, config.learning_rate, config.muon_rate)
    steps = config.steps(len(views), batch)
    history = train_or_load(objective, draw, groups, config, steps, folder, data, label=label, progress=progress)
    return _run(objective, history)


def load_contrastive(folder: Path | str, device: torch.device | str = "cpu") -> ContrastiveRun:
    """The finished contrastive pre-training of a run folder.

    Raises:
        RunError: There is none, or it is broken.
    """
    run = RunFolder(folder)
    config = run.configured(ContrastiveConfig)
    objective = METHODS[config.method](config, resnet18_trunk(config.encoder.width))
    history = run.load(objective)
    return _run(objective.to(device), history)


def _run(objective: ContrastiveObjective, history: pd.DataFrame) -> ContrastiveRun:
    marks = pd.DataFrame(objective.marks.cpu().numpy(), columns=["step", *Measures._fields])
    return ContrastiveRun(objective.online.trunk.eval(), history, marks.dropna(ignore_index=True))
