"""The trainings of a category, each in its folder of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from torch import nn

from tpl.dataset.batches import SDFTable, ViewTable
from tpl.models import WeightsUnavailable, imagenet_trunk
from tpl.settings import SettingsError
from tpl.study.bench import Bench
from tpl.study.methods import ENCODER, ENCODERS, END_TO_END, PHASE_1
from tpl.study.sizes import enough_memory
from tpl.training import (
    ContrastiveConfig,
    EmbeddingConfig,
    EndToEndConfig,
    RegressionConfig,
    RunError,
    load_contrastive,
    load_embedding,
    train_contrastive,
    train_embedding,
    train_end_to_end,
    train_regression,
)
from tpl.training.end_to_end import Start

PRETRAINED = {"contrastive": "contrastive", "imagenet+contrastive": "contrastive_imagenet"}
"""The run folders of the contrastive trainings, by the start that they give to an end-to-end training."""


def embed_category(bench: Bench, config: EmbeddingConfig, name: str = PHASE_1) -> Path:
    """Phase 1 for the coded shapes of a category, in `runs/<category>/<name>`; returns that folder."""
    shapes, store = bench.shapes("coded"), bench.store
    cross = config.cross_share > 0
    table = SDFTable.read(shapes, store, bench.device, cross)
    folder = bench.folder / name
    data = store.fingerprint(shapes, cross)
    with enough_memory(config):
        train_embedding(table, config, folder, data, label=f"{bench.category}, {name}", progress=False)
    return folder


def regress_category(
    bench: Bench, config: RegressionConfig, method: str = ENCODER, split: str = "", folder: str = ""
) -> Path:
    """Phase 2 on top of the phase 1 that the method stands on; returns its folder.

    The encoder's image size is the collection's and the length of its codes that of phase 1's.

    Args:
        bench: Of the category.
        config: Its objective says what is seen.
        method: Names the phase 1 and the run folder.
        split: Other training shapes than `seen_split` says, those with a code among them.
        folder: Another run folder within the category's: for a trial that is no method of the tables.
    """
    phase_1 = bench.run(ENCODERS[method].decoder)
    embedding = load_embedding(phase_1.path, bench.device)
    sizes = {"image_size": bench.collection.config.prepare.image_size, "latent_dim": embedding.codes.shape[1]}
    config = config.model_copy(update={"encoder": config.encoder.model_copy(update=sizes)})
    shapes, store = bench.shapes(split or seen_split(config)), bench.store
    views = ViewTable.read(shapes, store, bench.device, poses=config.camera_weight > 0)
    table = SDFTable.read(shapes, store, bench.device, config.cross_share > 0) if config.sdf_weight else None
    result, label = bench.folder / (folder or ENCODERS[method].folder), f"{bench.category}, {folder or method}"
    data = f"{store.fingerprint(shapes, cross=table is not None)}-{phase_1.digest()}"
    with enough_memory(config):
        train_regression(embedding, views, table, config, result, data, label=label, progress=False)
    return result


def seen_split(config: RegressionConfig) -> str:
    """The shapes whose views phase 2 sees: those with a code; with `sdf_weight` above 0 all, the small ones, too."""
    return "seen" if config.sdf_weight else "coded"


def end_to_end_category(bench: Bench, config: EndToEndConfig, method: str = END_TO_END, folder: str = "") -> Path:
    """The end-to-end training on all training shapes of a category; returns its folder.

    The encoder's image size is the collection's and the length of its codes the decoder's; a decoder that starts from
    phase 1 has its sizes.

    Args:
        bench: Of the category.
        config: `start` and `decoder_start` name what is read from the category's other run folders.
        method: Names the run folder.
        folder: Another name for it, beginning with "end_to_end": for a trial that is no method of the tables.

    Raises:
        RunError: A training that this one starts from is missing.
    """
    store, device = bench.store, bench.device
    trunk, sources = starting_trunk(bench, config.start, config.encoder.width)
    embedding, model = None, config.model
    if config.decoder_start == "embedding":
        embedding = load_embedding(bench.folder / PHASE_1, device)
        model = embedding.model.config
        sources = [*sources, bench.run(PHASE_1).digest()]
    sizes = {"image_size": bench.collection.config.prepare.image_size, "latent_dim": model.latent_dim}
    config = config.model_copy(update={"model": model, "encoder": config.encoder.model_copy(update=sizes)})
    shapes, cross = bench.shapes("train"), config.cross_share > 0
    views, table = ViewTable.read(shapes, store, device), SDFTable.read(shapes, store, device, cross)
    result = bench.folder / (folder or ENCODERS[method].folder)
    data = "-".join([store.fingerprint(shapes, cross), *sources])
    label = f"{bench.category}, {folder or method}"
    with enough_memory(config):
        train_end_to_end(views, table, config, result, data, trunk, embedding, label=label, progress=False)
    return result


def starting_trunk(bench: Bench, start: str, width: int) -> tuple[nn.Module | None, list[str]]:
    """What an end-to-end training's trunk starts from, none for "random", and a hash of each run that it is read from.

    Raises:
        RunError: The category has no such contrastive training.
        WeightsUnavailable: ImageNet's weights cannot be had here.
    """
    if start == "random":
        return None, []
    if start == "imagenet":
        return imagenet_trunk(width), []
    run = bench.run(PRETRAINED[start])
    digest, origin = run.digest(), run.config()["start"]
    if (origin == "imagenet") != (start == "imagenet+contrastive"):
        raise RunError(f"the contrastive training in {run.path} began from {origin}, which is not the start {start!r}")
    return load_contrastive(run.path, bench.device).trunk, [digest]


def missing_starts(bench: Bench, width: int, starts: Sequence[str] = get_args(Start)) -> dict[str, str]:
    """What stands in the way of each of these starts of the trunk here; nothing ("") where it can be had."""
    reasons = {}
    for start in starts:
        try:
            starting_trunk(bench, start, width)
            reasons[start] = ""
        except (RunError, SettingsError, WeightsUnavailable) as error:
            reasons[start] = str(error)
    return reasons


def contrast_category(bench: Bench, config: ContrastiveConfig, name: str = "contrastive") -> Path:
    """Contrastive pre-training on the views of all training shapes, in `runs/<category>/<name>`; returns that folder.

    While it learns, its features are measured on the views of the shapes held out: validation and test.
    """
    size, store = bench.collection.config.prepare.image_size, bench.store
    config = config.model_copy(update={"encoder": config.encoder.model_copy(update={"image_size": size})})
    shapes, others = bench.shapes("train"), bench.held_out()
    watched = ViewTable.read(others, store, bench.device) if len(others) > 1 else None
    folder = bench.folder / name
    data = store.fingerprint([*shapes, *others])
    views = ViewTable.read(shapes, store, bench.device)
    with enough_memory(config):
        train_contrastive(views, config, folder, data, watched, label=f"{bench.category}, {name}", progress=False)
    return folder
