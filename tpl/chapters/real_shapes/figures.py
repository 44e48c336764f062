"""Figures of real shapes: all of them, what becomes of their meshes, and what networks make of them."""

import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import pandas as pd
import trimesh
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tpl.chapters.pictures import picture_grid, posters, spread_out
from tpl.chapters.real_shapes.study import Arm, TrainedOn, arms, rows_of_arm
from tpl.evaluation.summary import summarize
from tpl.geometry.marching import extract_mesh
from tpl.inference import to_raw
from tpl.look.plotting import CLAY, INK, Picture
from tpl.meshes import Normalization, QualityCard, as_it_is, clean_mesh
from tpl.meshes.sdf import MeshSDF, sample_surface
from tpl.meshes.surface_check import CELLS, SurfaceCheck, check_surface
from tpl.rendering import contact_sheet
from tpl.shapes import Shape
from tpl.study.bench import Bench
from tpl.study.methods import NEAREST_PIXELS, OUR_ENCODER, method_color
from tpl.study.trained import Trained, maybe


def study_row(arm: Arm, shape: Shape, bench: Bench) -> list[Picture | None]:
    """Pictures of a real test shape: its fixed view, the truth, and what each of an arm's peers makes of the view."""
    store = arm.judged(bench).store
    view, frame = store.read_views(shape, "fixed")[0], store.read_normalization(shape)
    meshes: list[trimesh.Trimesh | None] = [shape.load()]
    for peer in arms([arm.category], [arm.held_out], arm.source):
        trained = Trained(peer.bench(bench))
        meshes.append(maybe(partial(trained.decode, method=OUR_ENCODER), trained.encode(OUR_ENCODER, view)[0], frame))
    return [view[0], *posters(meshes, CLAY[arm.category], bench.shelf)]


def study_gallery(rows: pd.DataFrame, wanted: Sequence[Arm], bench: Bench, count: int) -> Figure:
    """`study_row` for some test shapes of each category, at even distances from the worst to the best on "both".

    A category is shown once all of its trainings have been judged.
    """
    lines: dict[str, list[Picture | None]] = {}
    of_both = rows.loc[(rows["trained_on"] == "both") & (rows["method"] == OUR_ENCODER) & (rows["view"] == "fix")]
    for arm in (arm for arm in wanted if arm.trained_on == "both"):
        own = of_both.loc[(of_both["category"] == arm.category) & (of_both["held_out"] == arm.held_out)]
        peers = arms([arm.category], [arm.held_out], arm.source)
        if not all(rows_of_arm(peer, bench).exists() for peer in peers):
            continue
        ranked = spread_out(own.sort_values(by="chamfer", ascending=False, na_position="first"), 1, count - 1)
        known = {shape.id: shape for shape in arm.judged(bench).shapes(arm.category, "test")}
        for row in ranked.to_dict("records"):
            kind = row["family"].split("-")[0].replace("_", " ")
            label = f"{textwrap.fill(kind, 14)}\n{1000 * row['chamfer']:.2f}"
            lines[label] = study_row(arm, known[row["shape_id"]], bench)
    if not lines:
        return nothing_yet()
    return picture_grid(lines, ["view", "truth", *get_args(TrainedOn)], tile=1.0)


class Judged(NamedTuple):
    """A mesh as its author left it, what becomes of it as a signed distance, and what the check says."""

    shape: Shape
    card: QualityCard
    check: SurfaceCheck
    meshes: tuple[trimesh.Trimesh, trimesh.Trimesh | None, trimesh.Trimesh | None]  # as given, as it is, cleaned


def judge_mesh(shape: Shape) -> Judged:
    """Cleans a mesh, meshes its signed distance again, and beside it that of all its faces as they are."""
    mesh, rng = shape.load(), np.random.default_rng(0)
    clean = clean_mesh(mesh, rng)
    frame = Normalization.of(clean.vertices)
    visible = frame.apply(sample_surface(clean, 30_000, rng)[0])
    fields = [MeshSDF(version, frame, 2 / CELLS) for version in (as_it_is(clean, mesh), clean)]
    found = [maybe(partial(extract_mesh, field, CELLS, lipschitz=1.0)) for field in fields]
    in_raw = [None if each is None else to_raw(each, frame) for each in found]
    return Judged(shape, clean.card, check_surface(fields[1], visible, rng), (mesh, in_raw[0], in_raw[1]))


def plot_judged(judged: Sequence[Judged], shelf: Path | str) -> Figure:
    """A column a mesh: in its author's colours, then the surfaces of both signed distances."""
    if not judged:
        return nothing_yet()
    given = posters([each.meshes[0] for each in judged], "face", shelf)
    others = [[posters([each.meshes[row]], CLAY[each.shape.category], shelf)[0] for each in judged] for row in (1, 2)]
    titles = [each.shape.family.split("-")[0].replace("_", " ") for each in judged]
    return picture_grid({"as given": given, "all faces": others[0], "cleaned": others[1]}, titles)


def judged_table(judged: Sequence[Judged]) -> pd.DataFrame:
    """The quality card and the check of each mesh, as text."""
    rows = []
    for shape, card, check, _ in judged:
        shares = (card.hidden_area, card.flipped_area, card.sheet_area, card.thin_area)
        rows.append(
            (shape.id, f"{card.faces:,}", f"{card.duplicate:,}", *(f"{share:.0%}" for share in shares))
            + (f"{check.found:.1%}", f"{check.real:.1%}", f"{1000 * check.chamfer:.2f}", check.reason or "accepted")
        )
    head = ["shape", "faces", "doubled", "hidden", "flipped", "sheets", "thin", "found", "real", "Chamfer", "verdict"]
    return pd.DataFrame(rows, columns=head)


def contact_sheets(
    found: Mapping[str, Sequence[Shape]], shelf: Path | str, tile: int = 96, columns: int = 16
) -> Figure:
    """All shapes of each category in their own colours, as small pictures side by side."""
    if not found:
        return nothing_yet()
    sheets = {}
    for category, shapes in found.items():
        drawn = posters([shape.load() for shape in shapes], "face", shelf, tile)
        sheets[category] = contact_sheet([picture for picture in drawn if picture is not None], columns, pad=0)
    heights = [sheet.shape[0] for sheet in sheets.values()]
    width = 9.0
    fig, axes = plt.subplots(
        len(sheets),
        1,
        figsize=(width, width * sum(heights) / (columns * tile) + 0.3 * len(sheets)),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    for ax, (category, sheet) in zip(axes[:, 0], sheets.items(), strict=True):
        ax.imshow(sheet)
        ax.set_title(category, loc="left")
        ax.set_axis_off()
    return fig


def plot_study(rows: pd.DataFrame, seed: int = 0) -> Figure:
    """A panel a category and kind of split: the encoder by what it was trained on, in both kinds of view."""
    groups = list(dict.fromkeys(zip(rows["held_out"], rows["category"], strict=True)))
    if not groups:
        return nothing_yet()
    columns = min(3, len(groups))
    lines = -(-len(groups) // columns)
    fig, axes = plt.subplots(lines, columns, figsize=(3.1 * columns, 2.7 * lines), squeeze=False, layout="constrained")
    for ax in axes.flat[len(groups) :]:
        ax.set_axis_off()
    for ax, (held, category) in zip(axes.flat, groups, strict=False):
        of_group = rows.loc[(rows["held_out"] == held) & (rows["category"] == category)]
        _plot_group(ax, of_group, seed)
        ax.set_title(f"{category}, {'families' if held == 'family' else 'groups'} held out")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize="small")
    return fig


def _plot_group(ax: Axes, rows: pd.DataFrame, seed: int) -> None:
    trained = [on for on in get_args(TrainedOn) if on in set(rows["trained_on"])]
    for place, on in enumerate(trained):
        summary = summarize(rows.loc[rows["trained_on"] == on], seed).set_index(["method", "view"])
        for number, (method, view) in enumerate(product((OUR_ENCODER, NEAREST_PIXELS), ("fix", "rnd"))):
            mean, low, high = (1000 * float(summary.loc[(method, view), column]) for column in ("mean", "low", "high"))  # pyright: ignore
            at, color = place + 0.13 * (number - 1.5), method_color(method)
            ax.plot([at, at], [low, high], color=color, linewidth=1.2)
            face, label = color if view == "fix" else "white", f"{method}, {view}" if place == 0 else None
            ax.plot(at, mean, "o", color=color, markerfacecolor=face, markersize=5, label=label)
    ax.set_xticks(range(len(trained)), trained)
    ax.set(xlim=(-0.5, len(trained) - 0.5), ylim=(0, None), xlabel="trained on", ylabel="Chamfer x 1000")


def nothing_yet() -> Figure:
    """An empty figure that says what to do."""
    fig, ax = plt.subplots(figsize=(6, 0.6))
    ax.text(0.5, 0.5, "nothing is here yet: make real", ha="center", va="center", color=INK)
    ax.set_axis_off()
    return fig
