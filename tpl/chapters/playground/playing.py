"""One decoder under the hand: the code, the function and the mesh that follow from where the controls stand."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
from jaxtyping import Float, UInt8
from torch import Tensor

from tpl.chapters.latent_space.measures import principal_components
from tpl.errors import PlainError
from tpl.geometry.marching import extract_mesh
from tpl.geometry.primitives import SDF
from tpl.inference import to_raw
from tpl.meshes import Normalization
from tpl.models.implicit import CHUNK
from tpl.shapes import Shape
from tpl.study.bench import Bench
from tpl.study.methods import ENCODERS, OUR_PHASE_1, PHASE_1
from tpl.study.trained import LEARNT, Trained

CLAY, PLACE, PART, ERROR = "clay", "place on the template", "part", "distance to the truth"
PAINTS = (CLAY, PLACE, PART, ERROR)
"""What the colours of a mesh can say."""

FIXED = "fixed view"
CALLED = {OUR_PHASE_1: "ours", PHASE_1: "the paper's"}
"""What decoders are called, by the names of their run folders."""


class PlaygroundError(PlainError):
    """What was asked for cannot be played with; the message names it and what can."""


@dataclass(frozen=True)
class State:
    """Where the controls stand."""

    shape: str  # id of the shape whose code is played with
    view: str = ""  # where that code comes from, as `Player.views` names it; the first of them if empty
    other: str = ""  # id of the shape that `between` leads to; nowhere if empty
    between: float | int = 0.0  # share of the way from the one code to the other
    spread: tuple[float, ...] = ()  # standard deviations along the first directions of the codes
    beside: tuple[float, ...] = ()  # the same along those of the coordinates beside space, if the decoder has any
    step: int | None = None  # steps of the warp; 0 is the template as it is, None all of them
    paint: str = CLAY


class Player:
    """A trained decoder that is played with.

    Args:
        trained: Its phase 1, and the encoders onto it.
        lead: The player beside which this one plays: a spread means the same change of the shapes to both.
        directions: How many directions of the codes there are to be, at most.

    Raises:
        PlaygroundError: The leading player has codes of other shapes.
    """

    def __init__(self, trained: Trained, lead: "Player | None" = None, directions: int = 4):
        self.trained, self.bench = trained, trained.bench
        self.model, self.codes = trained.embedding.model.eval(), trained.embedding.codes
        onto = [name for name in trained.encoders if trained.methods[name].decoder == trained.phase_1]
        self.encoder = next(iter(onto), "")
        self.coded = {shape.id: row for row, shape in enumerate(self.bench.shapes("coded")[: len(self.codes)])}
        if lead is not None and lead.coded != self.coded:
            raise PlaygroundError(
                f"{self.bench.folder / trained.phase_1} has codes of other shapes than "
                f"{lead.bench.folder / lead.trained.phase_1}: two decoders are compared that learnt the same shapes"
            )
        self.scores = principal_scores(self.codes, directions) if lead is None else lead.scores
        self.directions = directions_along(self.scores, self.codes)
        self._seen: dict[tuple[str, str], Tensor] = {}
        self._pictures: dict[str, dict[str, np.ndarray]] = {}
        self._frames: dict[str, Normalization] = {}

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """What can be played with, by id: shapes that have a code, then test shapes if an encoder sees them."""
        coded = [shape for shape in self.bench.shapes("coded") if shape.id in self.coded]
        return {shape.id: shape for shape in coded + (self.bench.shapes("test") if self.encoder else [])}

    @property
    def steps(self) -> int:
        """Steps of the warp."""
        return self.model.config.warp_steps

    @cached_property
    def config(self) -> dict[str, Any]:
        """What phase 1 was trained with."""
        return self.bench.run(self.trained.phase_1).config()

    @cached_property
    def slices(self) -> Float[Tensor, "directions ambient"]:
        """The directions of the coordinates beside space, a standard deviation long; none where there are none."""
        if not self.model.config.ambient_dim:
            return self.codes.new_zeros((0, 0))
        return self.model.ambient_directions()

    def views(self, shape: str) -> list[str]:
        """Where a shape's code can come from: training, its fixed view, others of its views.

        Raises:
            PlaygroundError: There is no such shape.
        """
        pictures = list(self.pictures(shape))
        return ([LEARNT] if shape in self.coded else []) + (pictures if self.encoder else [])

    def pictures(self, shape: str) -> dict[str, UInt8[np.ndarray, "height width 3"]]:
        """A shape's views by their names, on white; the fixed one first. Raises as `views`."""
        if shape not in self.shapes:
            some = ", ".join([*self.shapes][:3])
            raise PlaygroundError(f"no shape {shape!r} to play with; the first ones are {some}")
        if shape not in self._pictures:
            store, found = self.bench.store, {}
            for kind in ("fixed", "easy", "hard"):
                images, _ = store.read_views(self.shapes[shape], kind)
                found |= {FIXED if kind == "fixed" else f"{kind} view {number}": at for number, at in enumerate(images)}
            self._pictures[shape] = found
        return self._pictures[shape]

    def frame(self, state: State) -> Normalization:
        """The frame of the state's shape, in which its meshes stand."""
        if state.shape not in self._frames:
            self._frames[state.shape] = self.bench.store.read_normalization(self.shapes[state.shape])
        return self._frames[state.shape]

    # --- from the controls to a code, and from there to a mesh

    def code(self, state: State) -> Float[Tensor, " dim"]:
        """The code that the controls make.

        Raises:
            PlaygroundError: There is no such shape, or no such view of it.
        """
        code = self._code_of(state.shape, state.view)
        if state.other:
            code = torch.lerp(code, self._code_of(state.other, ""), state.between)
        for spread, direction in zip(state.spread, self.directions, strict=False):
            code = code + spread * direction
        return code

    def _code_of(self, shape: str, view: str) -> Tensor:
        known = self.views(shape)
        view = view or known[0]
        if view not in known:
            raise PlaygroundError(f"no {view!r} of {shape}; there is {', '.join(known)}")
        if view == LEARNT:
            return self.codes[self.coded[shape]]
        if (shape, view) not in self._seen:
            (self._seen[shape, view],) = self.trained.encode(self.encoder, self.pictures(shape)[view][None])
        return self._seen[shape, view]

    def places(self, points: Float[np.ndarray, "n 3"], state: State) -> Float[np.ndarray, "n coordinates"]:
        """Where points (unit-sphere frame) are after the state's step of the warp, with any coordinates beside space.

        Before the first step these are their mean over the training; the state's own are added. Raises as `code`.
        """
        return self._in_blocks(self._carrier(state), points)

    def sdf(self, state: State) -> SDF:
        """The signed distance function (unit-sphere frame) that the controls make; raises as `code`."""
        carry = self._carrier(state)

        def sdf(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
            return self._in_blocks(lambda block: self.model.template(carry(block)), points)

        return sdf

    def _carrier(self, state: State) -> Callable[[Tensor], Tensor]:
        model, code = self.model, self.code(state)
        step = self.steps if state.step is None else min(state.step, self.steps)
        shift = torch.zeros(model.config.ambient_dim, device=code.device)
        for spread, direction in zip(state.beside, self.slices, strict=False):
            shift = shift + spread * direction

        def carry(points: Tensor) -> Tensor:
            if step:
                places = model.warp(points[None], code[None])[step - 1, 0]
            elif model.config.ambient_dim:
                places = torch.cat([points, model.ambient_mean.expand(len(points), -1)], dim=-1)
            else:
                return points
            return torch.cat([places[:, :3], places[:, 3:] + shift], dim=-1)

        return carry

    def _in_blocks(self, evaluate: Callable[[Tensor], Tensor], points: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            blocks = torch.as_tensor(points).float().split(CHUNK)
            return torch.cat([evaluate(block.to(self.codes.device)) for block in blocks]).cpu().numpy()

    def mesh(self, state: State, resolution: int = 64) -> trimesh.Trimesh:
        """The state's mesh in the raw frame of its shape.

        Raises:
            EmptyShape: The function has no surface.
            PlaygroundError: As `code`.
        """
        return to_raw(extract_mesh(self.sdf(state), resolution), self.frame(state))


def principal_scores(codes: Float[Tensor, "shapes dim"], count: int) -> Float[Tensor, "shapes directions"]:
    """Where codes lie along the directions of their largest spread, in standard deviations.

    Args:
        codes: Of several shapes.
        count: How many directions; fewer where the codes do not spread in so many.

    Returns:
        A column a direction, the longest first; of the two ways to walk along it that on which the code lies that is
        farthest out.
    """
    along, _ = principal_components(codes.double().cpu().numpy())
    spread = along.std(axis=0)
    along = along[:, spread > 1e-6 * max(spread.max(initial=0), 1e-30)][:, :count]
    farthest = np.take_along_axis(along, np.abs(along).argmax(axis=0)[None], axis=0)
    return torch.as_tensor(np.sign(farthest) * along / along.std(axis=0)).to(codes)


def directions_along(
    scores: Float[Tensor, "shapes directions"], codes: Float[Tensor, "shapes dim"]
) -> Float[Tensor, "directions dim"]:
    """By how much codes change for one standard deviation of scores of the same shapes (least squares).

    For the scores of the codes themselves these are their principal directions, a standard deviation long. For those of
    another training they are what changes the shapes alike, as far as a straight line can.
    """
    return scores.T @ (codes - codes.mean(dim=0)) / len(scores)


def open_players(bench: Bench, phase_1: str, beside: str = "", runs: Path | str = "") -> dict[str, Player]:
    """A decoder of a category, and another that is played with beside it, by what they are called.

    Args:
        bench: Of the category.
        phase_1: Run folder of the one that leads.
        beside: That of the other; none if empty.
        runs: Folder of the trainings that the other one is of; those of the bench if empty.

    Raises:
        RunError: One of them is not trained.
        PlaygroundError: They have codes of different shapes.
    """
    lead = _open(bench, phase_1)
    if not beside:
        return {CALLED.get(phase_1, phase_1): lead}
    other = _open(replace(bench, runs=Path(runs)) if runs else bench, beside, lead)
    name = str(Path(runs) / beside) if runs else CALLED.get(beside, beside)
    return {CALLED.get(phase_1, phase_1): lead, name: other}


def _open(bench: Bench, phase_1: str, lead: Player | None = None) -> Player:
    onto = [method for method in ENCODERS.values() if method.decoder == phase_1]
    return Player(Trained(bench, onto, phase_1), lead)


def moved(state: State, direction: int, spread: float | int) -> State:
    """A state with one of the directions of the codes at so many standard deviations."""
    along = [*state.spread, *[0.0] * (direction + 1 - len(state.spread))]
    along[direction] = float(spread)
    return replace(state, spread=tuple(along))
