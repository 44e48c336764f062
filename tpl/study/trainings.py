"""The trainings of a category, each in its folder of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from torch import nn

from tpl.dataset.batches import SDFTable, ViewTable
from tpl.dataset.collection import Collection
from tpl.models import imagenet_trunk
from tpl.settings import SettingsError
from tpl.shapes import Shape
from tpl.study.methods import ENCODER, END_TO_END, FOLDERS
from tpl.training import (
    ContrastiveConfig,
    EmbeddingConfig,
    EndToEndConfig,
    RegressionConfig,
    RunError,
    RunFolder,
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


def embed_category(
    category: str, collection: Collection, config: EmbeddingConfig, runs: Path | str, device: str = "cpu"
) -> Path:
    """Phase 1 for the coded shapes of a category, in `runs/<category>/embedding`; returns that folder."""
    shapes = collection.shapes(category, "coded")
    cross = config.cross_share > 0
    table = SDFTable.read(shapes, collection.store, device, cross)
    folder = Path(runs) / category / "embedding"
    data = collection.store.fingerprint(shapes, cross)
    train_embedding(table, config, folder, data, label=f"{category}, phase 1", progress=False)
    return folder


def regress_category(
    category: str,
    collection: Collection,
    config: RegressionConfig,
    runs: Path | str,
    device: str = "cpu",
    method: str = ENCODER,
) -> Path:
    """Phase 2 on top of the category's phase 1; returns its folder.

    The plain objective sees the shapes that have a code; with `sdf_weight` above 0 all training shapes take part, the
    small ones, too. The encoder's image size is the collection's and the length of its codes that of phase 1's.
    """
    embedding_folder = Path(runs) / category / "embedding"
    embedding = load_embedding(embedding_folder, device)
    sizes = {"image_size": collection.config.prepare.image_size, "latent_dim": embedding.codes.shape[1]}
    config = config.model_copy(update={"encoder": config.encoder.model_copy(update=sizes)})
    shapes = collection.shapes(category, "seen" if config.sdf_weight else "coded")
    store = collection.store
    views = ViewTable.read(shapes, store, device, poses=config.camera_weight > 0)
    table = SDFTable.read(shapes, store, device, config.cross_share > 0) if config.sdf_weight else None
    folder = Path(runs) / category / FOLDERS[method]
    data = f"{store.fingerprint(shapes, cross=table is not None)}-{RunFolder(embedding_folder).digest()}"
    train_regression(embedding, views, table, config, folder, data, label=f"{category}, phase 2", progress=False)
    return folder


def end_to_end_category(
    category: str,
    collection: Collection,
    config: EndToEndConfig,
    runs: Path | str,
    device: str = "cpu",
    method: str = END_TO_END,
    folder: str = "",
) -> Path:
    """The end-to-end training on all training shapes of a category; returns its folder.

    The encoder's image size is the collection's and the length of its codes the decoder's; a decoder that starts from
    phase 1 has its sizes.

    Args:
        category: Which.
        collection: Where its shapes are prepared.
        config: `start` and `decoder_start` name what is read from the category's other run folders.
        runs: Folder of the run.
        device: Where to train.
        method: Names the run folder.
        folder: Another name for it, beginning with "end_to_end": for a trial that is no method of the tables.

    Raises:
        RunError: A training that this one starts from is missing.
    """
    place, store = Path(runs) / category, collection.store
    trunk, sources = starting_trunk(config.start, category, runs, config.encoder.width, device)
    embedding, model = None, config.model
    if config.decoder_start == "embedding":
        embedding = load_embedding(place / "embedding", device)
        model = embedding.model.config
        sources = [*sources, RunFolder(place / "embedding").digest()]
    sizes = {"image_size": collection.config.prepare.image_size, "latent_dim": model.latent_dim}
    config = config.model_copy(update={"model": model, "encoder": config.encoder.model_copy(update=sizes)})
    shapes, cross = collection.shapes(category, "train"), config.cross_share > 0
    views, table = ViewTable.read(shapes, store, device), SDFTable.read(shapes, store, device, cross)
    result = place / (folder or FOLDERS[method])
    data = "-".join([store.fingerprint(shapes, cross), *sources])
    label = f"{category}, {folder or method}"
    train_end_to_end(views, table, config, result, data, trunk, embedding, label=label, progress=False)
    return result


def starting_trunk(
    start: str, category: str, runs: Path | str, width: int, device: str = "cpu"
) -> tuple[nn.Module | None, list[str]]:
    """What an end-to-end training's trunk starts from, none for "random", and a hash of each run that it is read from.

    Raises:
        RunError: The category has no such contrastive training.
        WeightsUnavailable: ImageNet's weights cannot be had here.
    """
    if start == "random":
        return None, []
    if start == "imagenet":
        return imagenet_trunk(width), []
    folder = Path(runs) / category / PRETRAINED[start]
    digest, origin = RunFolder(folder).digest(), RunFolder(folder).config()["start"]
    if (origin == "imagenet") != (start == "imagenet+contrastive"):
        raise RunError(f"the contrastive training in {folder} began from {origin}, which is not the start {start!r}")
    return load_contrastive(folder, device).trunk, [digest]


def missing_starts(
    category: str, runs: Path | str, width: int, starts: Sequence[str] = get_args(Start), device: str = "cpu"
) -> dict[str, str]:
    """What stands in the way of each of these starts of the trunk here; nothing ("") where it can be had."""
    reasons = {}
    for start in starts:
        try:
            starting_trunk(start, category, runs, width, device)
            reasons[start] = ""
        except (RunError, SettingsError, RuntimeError) as error:  # WeightsUnavailable is the last
            reasons[start] = str(error)
    return reasons


def contrast_category(
    category: str,
    collection: Collection,
    config: ContrastiveConfig,
    runs: Path | str,
    device: str = "cpu",
    name: str = "contrastive",
) -> Path:
    """Contrastive pre-training on the views of all training shapes, in `runs/<category>/<name>`; returns that folder.

    While it learns, its features are measured on the views of the shapes held out: validation and test.
    """
    size, store = collection.config.prepare.image_size, collection.store
    config = config.model_copy(update={"encoder": config.encoder.model_copy(update={"image_size": size})})
    shapes, others = collection.shapes(category, "train"), held_out(collection, category)
    watched = ViewTable.read(others, store, device) if len(others) > 1 else None
    folder = Path(runs) / category / name
    data = store.fingerprint([*shapes, *others])
    views = ViewTable.read(shapes, store, device)
    train_contrastive(views, config, folder, data, watched, label=f"{category}, {name}", progress=False)
    return folder


def held_out(collection: Collection, category: str) -> list[Shape]:
    """The shapes that no training sees: those of the validation and of the test split."""
    return [shape for split in ("validation", "test") for shape in collection.shapes(category, split)]
