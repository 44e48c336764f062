"""Experiments of Deep Implicit Templates and of the authors as run folders of ours, and the other way round.

<experiment>/specs.json, ModelParameters/<n>.pth, LatentCodes/<n>.pth      theirs
<category>/{embedding,encoder,end_to_end}/                                 ours: `tpl.training.runs`
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import nn

from tpl.files import write_file, write_folder
from tpl.models import DeepImplicitTemplate, Encoder
from tpl.settings import SettingsError, validated
from tpl.training import EmbeddingConfig, EndToEndConfig, RegressionConfig, RunFolder, TrainingConfig, load_embedding
from tpl.training.embedding import EmbeddingObjective
from tpl.training.end_to_end import EndToEndObjective
from tpl.training.regression import RegressionObjective
from tpl.weights.codes import Codes, holds_encoder, read_codes
from tpl.weights.decoders import decoder_from_state, decoder_specs, decoder_to_state
from tpl.weights.encoders import read_encoder
from tpl.weights.files import PARALLEL, WeightsError, read_settings, read_state, read_tensors

LATEST = "latest"
IDS = "ids.json"
"""Beside an imported table of codes: whose each row is, where its file told."""


class Experiment(NamedTuple):
    """What an experiment left, as ours."""

    model: DeepImplicitTemplate
    specs: Mapping[str, Any]
    codes: Codes | None = None
    encoder: Encoder | None = None


def read_experiment(
    folder: Path | str, checkpoint: str = LATEST, codes: Path | str | None = None, encoder: Path | str | None = None
) -> Experiment:
    """The decoder of an experiment, and its codes, or its encoder, or both.

    Args:
        folder: It holds `specs.json`, `ModelParameters` and `LatentCodes`.
        checkpoint: Which of the checkpoints, by its file's name; the newest where there is no "latest".
        codes: A file or folder of codes in any form (`tpl.weights.codes`), in place of those of `LatentCodes`.
        encoder: A file with an encoder, in place of one in `LatentCodes`.

    Raises:
        WeightsError: A file is missing or broken, or has what ours lacks; it is named.
    """
    folder = Path(folder)
    specs = read_settings(folder / "specs.json")
    file = _checkpoint(folder / "ModelParameters", checkpoint)
    try:
        model = decoder_from_state(read_state(file), specs)
    except WeightsError as error:
        raise WeightsError(f"{file}: {error}") from None
    places = [folder / "LatentCodes", folder / "pretrained_embedding" / "LatentCodes"]
    found = next((_checkpoint(place, checkpoint) for place in places if place.is_dir()), None)
    if found and holds_encoder(read_tensors(found)):
        encoder = encoder or found
    elif found:
        codes = codes or found
    read = Experiment(model, specs, read_codes(codes) if codes else None, read_encoder(encoder) if encoder else None)
    for what, length in (
        ("codes", read.codes and read.codes.latent.shape[1]),
        ("encoder's codes", read.encoder and read.encoder.config.latent_dim),
    ):
        if length and length != model.config.latent_dim:
            raise WeightsError(f"the {what} have {length} numbers, and the decoder reads {model.config.latent_dim}")
    return read


def import_experiment(experiment: Experiment, place: Path | str) -> list[Path]:
    """Writes an experiment as finished trainings below a category's folder, `runs/<name>/<category>`.

    A decoder with codes becomes `embedding`, an encoder beside them `encoder`; an encoder without codes `end_to_end`.
    What `specs.json` does not tell of a training, such as its hours, is not made up: the learning curve has no line.

    Raises:
        WeightsError: There are neither codes nor an encoder, or a folder is there already.
    """
    place, model = Path(place), experiment.model
    codes, encoder = experiment.codes, experiment.encoder
    wanted = [*(["embedding"] if codes else []), *(["encoder" if codes else "end_to_end"] if encoder else [])]
    if not wanted:
        raise WeightsError("a decoder alone makes nothing: name its codes, or an encoder")
    for name in wanted:
        if (place / name).exists():
            raise WeightsError(f"{place / name} is there already: name another folder, or move it away")
    if codes is None and encoder is not None:
        config = validated(EndToEndConfig, {"model": model.config, "encoder": encoder.config})
        objective = EndToEndObjective(config)
        objective.model.load_state_dict(model.state_dict())
        objective.encoder.load_state_dict(encoder.state_dict())
        return [_write(place / "end_to_end", objective, config)]
    assert codes is not None
    config = embedding_config(experiment.specs, model, codes)
    objective = EmbeddingObjective(len(codes.latent), config)
    objective.model.load_state_dict(model.state_dict())
    with torch.no_grad():
        objective.codes.weight.copy_(codes.latent)
    written = [_write(place / "embedding", objective, config)]
    if codes.ids:
        text = json.dumps(list(codes.ids))
        write_file(place / "embedding" / IDS, lambda path: path.write_text(text))
    if encoder is not None:
        embedding, phase_2 = load_embedding(written[0]), validated(RegressionConfig, {"encoder": encoder.config})
        regression = RegressionObjective(embedding, phase_2)
        regression.encoder.load_state_dict(encoder.state_dict())
        written.append(_write(place / "encoder", regression, phase_2))
    return written


def export_experiment(run: Path | str, folder: Path | str) -> Path:
    """Writes the decoder and the codes of a finished phase 1 as an experiment of Deep Implicit Templates.

    Args:
        run: The run folder, `runs/<name>/<category>/embedding`.
        folder: The experiment's; an older one there is replaced.

    Raises:
        RunError: There is no finished phase 1.
        WeightsError: The decoder has what their form has no place for, or something else lies in the folder.
    """
    run, folder = Path(run), Path(folder)
    if folder.exists() and not (folder / "specs.json").exists() and any(folder.iterdir()):
        raise WeightsError(f"{folder} holds something else than an experiment: name another folder")
    asked = RunFolder(run).config()
    if "points_per_shape" not in asked:
        raise WeightsError(f"{run} is no phase 1 (codes, warp and template): name an `embedding` folder")
    config, embedding = validated(EmbeddingConfig, asked), load_embedding(run)
    state = {f"{PARALLEL}{name}": tensor for name, tensor in decoder_to_state(embedding.model).items()}
    codes = {"weight": embedding.codes.detach().cpu().float().clone()}

    def fill(target: Path) -> None:
        for name in ("ModelParameters", "LatentCodes"):
            (target / name).mkdir(parents=True)
        (target / "specs.json").write_text(json.dumps(specs_of(config), indent=2) + "\n")
        epoch = {"epoch": config.epochs}
        torch.save({**epoch, "model_state_dict": state}, target / "ModelParameters" / f"{LATEST}.pth")
        torch.save({**epoch, "latent_codes": codes}, target / "LatentCodes" / f"{LATEST}.pth")

    write_folder(folder, fill)
    return folder


def pairs_per_point(points: int) -> float:
    """Terms of their point-pair sum for each point of a shape: an eighth of the points against all others."""
    return 7 * points / 64


def embedding_config(specs: Mapping[str, Any], model: DeepImplicitTemplate, codes: Codes) -> EmbeddingConfig:
    """The training that a `specs.json` tells of, as ours; what it leaves out has the values of their code.

    Raises:
        WeightsError: It tells of something that cannot be.
    """
    points = specs.get("SamplesPerScene", 5000)
    rates = [float(schedule.get("Initial", schedule.get("Value", 5e-4))) for schedule in _schedules(specs)]
    longest = float(codes.latent.norm(dim=1).max())
    values = {
        "model": model.config,
        "epochs": specs.get("NumEpochs", 2001),
        "shapes_per_batch": specs.get("ScenesPerBatch", 24),
        "points_per_shape": points,
        "truncation": specs.get("ClampingDistance", 0.1),
        "code_weight": specs.get("CodeRegularizationLambda", 1e-4),
        "code_radius": specs.get("CodeBound") or max(1.0, longest),
        "pointwise_weight": specs.get("PointwiseLossWeight", 0.005),
        "pointpair_weight": specs.get("PointpairLossWeight", 1e-4) * pairs_per_point(points),
        "inside_share": 0.5,
        "cross_share": 0.0,
        "one_sided": False,
        "input_scale": "hidden",
        **dict(zip(("warp_rate", "template_rate", "code_rate"), rates, strict=False)),
    }
    try:
        return validated(EmbeddingConfig, values)
    except SettingsError as error:
        raise WeightsError(f"specs.json tells of a training that cannot be: {error}") from error


def specs_of(config: EmbeddingConfig) -> dict[str, Any]:
    """The `specs.json` of a phase 1; of a schedule that it cannot say, it has the first rate."""
    stage = config.epochs // config.halvings if config.schedule == "halving" else config.epochs
    rates = (config.warp_rate, config.template_rate, config.code_rate)
    return {
        "Description": f"A phase 1 of tpl; its learning rates went by schedule {config.schedule!r}.",
        **decoder_specs(config.model),
        "LearningRateSchedule": [
            {"Type": "Step", "Initial": rate, "Interval": max(1, stage), "Factor": 0.5} for rate in rates
        ],
        "NumEpochs": config.epochs,
        "ScenesPerBatch": config.shapes_per_batch,
        "SamplesPerScene": config.points_per_shape,
        "ClampingDistance": config.truncation,
        "CodeRegularization": config.code_weight > 0,
        "CodeRegularizationLambda": config.code_weight,
        "CodeBound": config.code_radius,
        "PointwiseLossWeight": config.pointwise_weight,
        "PointpairLossWeight": config.pointpair_weight / pairs_per_point(config.points_per_shape),
    }


def _schedules(specs: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = specs.get("LearningRateSchedule", [])
    return [schedule for schedule in found if isinstance(schedule, Mapping)] if isinstance(found, list) else []


def _write(folder: Path, weights: nn.Module, config: TrainingConfig) -> Path:
    run = RunFolder(folder)
    run.begin(config, "imported")
    run.finish(weights, pd.DataFrame({"step": [], "seconds": [], "loss": []}), 0.0, "fp32")
    return folder


def _checkpoint(folder: Path, name: str) -> Path:
    """The file of a checkpoint; where there is no "latest", the one of the highest number."""
    file = folder / f"{name}.pth"
    numbered = [found for found in folder.glob("*.pth") if found.stem.isdigit()]
    if name == LATEST and not file.exists() and numbered:
        return max(numbered, key=lambda found: int(found.stem))
    if not file.exists():
        raise WeightsError(f"there is no {file}: name a checkpoint that is there, or the experiment's folder")
    return file
