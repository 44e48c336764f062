"""Chapter 03: phase 1 as the paper has it and with coordinates beside space, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import torch
import trimesh

from tpl.chapters.pictures import posters
from tpl.evaluation.summary import summarize
from tpl.look.plotting import CLAY, Picture
from tpl.study.bench import Bench
from tpl.study.trained import Trained, maybe, score_training_shapes
from tpl.study.trainings import embed_category
from tpl.training import EmbeddingConfig, RunFolder, side_by_side

SPREADS = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Standard deviations from the mean at which slices of a template are shown."""


def train(
    bench: Bench, configs: Mapping[tuple[str, str], EmbeddingConfig], processes: int = 1
) -> dict[tuple[str, str], Path]:
    """Phases 1, all side by side; returns their folders.

    Args:
        bench: Of the categories.
        configs: By category and by the name of the run folder.
        processes: How many share each training.
    """
    work = partial(_train_one, bench, configs)
    return side_by_side(work, list(configs), torch.device(bench.device), processes=processes)


def _train_one(bench: Bench, configs: Mapping[tuple[str, str], EmbeddingConfig], of: tuple[str, str]) -> Path:
    category, phase_1 = of
    return embed_category(bench.of(category), configs[of], phase_1)


def compare(
    bench: Bench, configs: Mapping[str, EmbeddingConfig], seeds: int = 1, count: int = 12
) -> dict[str, list[pd.DataFrame]]:
    """Several phases 1 of one category, each trained with several seeds: what its training shapes come back as.

    Everything but the seed is the same. The first is the run's own; the others lie in folders of their own beside it.

    Args:
        bench: Of the category.
        configs: By the name of the run folder.
        seeds: Trainings of each.
        count: Shapes that are measured.

    Returns:
        By run folder, seed by seed: the rows of the shapes, with the training's `seconds_trained`.
    """
    asked = [(extra, phase_1) for extra in range(seeds) for phase_1 in configs]
    work = partial(_compare_one, bench, configs, count)
    found = side_by_side(work, asked, torch.device(bench.device), jobs=bench.jobs)
    return {phase_1: [found[extra, phase_1] for extra in range(seeds)] for phase_1 in configs}


def _compare_one(bench: Bench, configs: Mapping[str, EmbeddingConfig], count: int, of: tuple[int, str]) -> pd.DataFrame:
    extra, phase_1 = of
    own = replace(bench, runs=bench.runs / f"seed_{extra}") if extra else bench
    config = configs[phase_1].model_copy(update={"seed": configs[phase_1].seed + extra})
    folder = embed_category(own, config, phase_1)
    rows = score_training_shapes(own, count, phase_1)
    return rows.assign(seconds_trained=RunFolder(folder).facts()["seconds"])


def seeds_table(compared: Mapping[str, Sequence[pd.DataFrame]], names: Mapping[str, str]) -> pd.DataFrame:
    """A line for each seed of each phase 1, and one for the mean over seeds where there are several.

    Args:
        compared: Of `compare`.
        names: What the run folders are called.
    """
    lines = []
    for phase_1, of_seeds in compared.items():
        of_phase = []
        for extra, rows in enumerate(of_seeds):
            (line,) = summarize(rows).to_dict("records")
            of_phase.append(
                (line["mean"], line["median"], rows.f_score.mean(), rows.seconds_trained.iloc[0], str(extra))
            )
        if len(of_seeds) > 1:
            means = pd.DataFrame(of_phase).iloc[:, :4].mean()
            of_phase.append((*means, "mean"))
        lines += [
            (names[phase_1], seed, f"{1000 * mean:.2f}", f"{1000 * median:.2f}", f"{f_score:.2f}", f"{seconds:.0f}")
            for mean, median, f_score, seconds, seed in of_phase
        ]
    return pd.DataFrame(lines, columns=["decoder", "seed", "mean", "median", "F-score", "seconds"])


def remembered(trained: Trained, count: int) -> list[trimesh.Trimesh | None]:
    """The first training shapes from their own codes, raw frame; None where a code has no surface."""
    shapes, store = trained.bench.shapes("coded")[:count], trained.bench.store
    pairs = zip(trained.embedding.codes, map(store.read_normalization, shapes), strict=False)
    return [maybe(trained.decode, code, frame) for code, frame in pairs]


def sheet(decoders: Mapping[str, Trained], count: int, shelf: Path) -> dict[str, list[Picture | None]]:
    """Pictures of the first training shapes of a category, and of what each decoder remembers of them."""
    bench = next(iter(decoders.values())).bench
    clay = CLAY[bench.category]
    pictures = {"truth": posters([shape.load() for shape in bench.shapes("coded")[:count]], clay, shelf)}
    return pictures | {name: posters(remembered(trained, count), clay, shelf) for name, trained in decoders.items()}


def template_slices(
    trained: Trained, spreads: Sequence[float], directions: int = 2
) -> list[list[trimesh.Trimesh | None]]:
    """The template along the directions in which the coordinates beside space vary most; raw frame.

    Args:
        trained: Whose phase 1 has such coordinates.
        spreads: Standard deviations from their mean.
        directions: How many, at most; the longest first.
    """
    model = trained.embedding.model
    return [
        [maybe(trained.template, ambient=model.ambient_mean + spread * direction) for spread in spreads]
        for direction in model.ambient_directions()[:directions]
    ]
