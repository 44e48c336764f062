"""How far an answer to a photograph can be trusted: as a number, a sentence, an interval, and a place on the mesh.

Two questions are asked. Is the picture like what was learnt? The encoder's code of it has a distance to the nearest
code of a training view; how usual that distance is, pictures of held-out shapes tell. And how wrong is the mesh? The
Chamfer distance of held-out shapes is predicted from what is known without the truth: that distance, how much the code
changes when the picture is turned, moved and lit a little, and how badly the silhouettes agree. The errors of the
prediction on held-out shapes make the interval.

Source: split conformal prediction, Lei et al. 2018; residuals of shapes that were left out of the fit, Barber et al.
2021 (CV+), of which this is the plain form with one fit for all.
"""

import json
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import safetensors.numpy
import torch
import trimesh
from jaxtyping import Float, Float32, Int, UInt8
from scipy.spatial import KDTree
from torch import Tensor

from tpl.inference import Reconstructor, encode
from tpl.refinement.answering import Answer

LEVEL = 0.8
"""Share of held-out shapes that an interval shall hold for."""

FOLDS = 8
"""In as many parts the shapes are left out of the fit."""

RIDGE = 1.0
"""Weight of the squared coefficients, in units of the features' spread, beside the sum of squared errors."""

VARIANTS = ((4, 1.0, 1.0), (-4, 1.0, 1.0), (0, 1.08, 1.0), (0, 0.93, 1.0), (2, 1.04, 0.7), (-2, 0.96, 1.3), (0, 1, 0.6))
"""Pictures that show the same: degrees of a turn, a zoom, and what the darkness of the object is multiplied by."""

FILE = "doubt.safetensors"
MODES = ("fitted", "seen")
"""Answers fitted to the silhouettes, and those as the encoder sees them."""

COUNTS = (1, 2, 3)
"""So many pictures of an object have intervals of their own: what is left open by two is not what one leaves open."""


def mode_of(fitted: bool, count: int = 1) -> str:
    """The name of what is calibrated by itself: answers fitted or not, to so many pictures."""
    return (MODES[0] if fitted else MODES[1]) + (f" of {count}" if count > 1 else "")


class Clues(NamedTuple):
    """What is known of an answer without the truth; of one to several pictures, means over them."""

    distance: float  # of the code to the nearest one of a training view, root mean square in spreads of the codes
    spread: float  # of the codes of variants of the picture, the same way
    mismatch: float  # of the silhouettes, 1 - intersection over union; NaN where there is no camera

    @property
    def features(self) -> Float[np.ndarray, " 3"]:
        return np.log(np.array([self.distance + 0.02, self.spread + 0.02, self.mismatch + 0.02]))


class Calibration(NamedTuple):
    """From clues to an interval of the Chamfer distance."""

    weights: Float[np.ndarray, " 4"]  # of the features and of 1: the logarithm of the Chamfer distance
    errors: Float[np.ndarray, " 2"]  # of that logarithm, below and above
    kept: float  # share of the shapes that it is of, each left out of all, that the interval holds for
    tested: float  # the same share of test shapes
    shapes: int  # that it is of

    def interval(self, clues: Clues) -> tuple[float, float]:
        """Between what the Chamfer distance is in `LEVEL` of cases (raw units, squared)."""
        low, high = np.exp(self.predict(clues.features[None])[0] + self.errors)
        return float(low), float(high)

    def predict(self, features: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        return features @ self.weights[:3] + self.weights[3]


class Judgement(NamedTuple):
    """What is said of one answer."""

    clues: Clues
    as_far: float  # share of pictures of held-out shapes that are as far from what was learnt, or farther
    interval: tuple[float, float] | None  # of the Chamfer distance; None where nothing was calibrated for it

    @property
    def sentences(self) -> list[str]:
        """One on what was learnt, one on the mesh."""
        distance = f"{self.clues.distance:.2f} from what was learnt (in spreads of the codes)"
        if self.as_far < 0.01:
            said = [f"{distance}: farther than 99 % of pictures of unseen made shapes; expect nonsense"]
        else:
            said = [f"{distance}: {self.as_far:.0%} of pictures of unseen made shapes are as far or farther"]
        if self.interval:
            low, high = self.interval
            off = [100 * np.sqrt(end / 2) for end in (low, high)]
            said.append(
                f"Chamfer distance x 1000 between {1000 * low:.2g} and {1000 * high:.2g} for {LEVEL:.0%} of unseen "
                f"made shapes that look like this (surfaces some {off[0]:.1f} to {off[1]:.1f} % of the diagonal apart)"
                + ("" if self.as_far >= 0.01 else ", of which this is none")
            )
        return said


class Doubt(NamedTuple):
    """What a category's networks know of their own doubt."""

    codes: Float32[np.ndarray, "views dim"]  # of training views, in spreads of the codes
    distances: Float32[np.ndarray, " pictures"]  # of held-out pictures from these, from the smallest to the largest
    calibrations: dict[str, Calibration]  # by mode; none where nothing was calibrated

    def clues(self, arm: Reconstructor, images: UInt8[np.ndarray, "views size size 3"], given: Answer) -> Clues:
        """What is known of an answer to one or several pictures: means over them."""
        spread = code_spread(arm)
        distance = distances_to(self.codes, given.seen.cpu().numpy() / spread).mean()
        around = [variant_codes(arm, image) - code for image, code in zip(images, given.seen, strict=True)]
        apart = np.mean([np.sqrt(np.mean((part.cpu().numpy() / spread) ** 2)) for part in around])
        return Clues(float(distance), float(apart), float(np.mean(given.after)))

    def judge(self, arm: Reconstructor, images: UInt8[np.ndarray, "views size size 3"], given: Answer) -> Judgement:
        """What is said of an answer; of more pictures than `COUNTS` there is no interval, since none was calibrated."""
        clues = self.clues(arm, images, given)
        as_far = (1 + np.sum(self.distances >= clues.distance)) / (1 + len(self.distances))
        fitted = not torch.equal(given.code, given.seen.mean(dim=0))
        calibration = self.calibrations.get(mode_of(fitted, len(images)))
        known = calibration is not None and np.isfinite(clues.mismatch)
        return Judgement(clues, float(as_far), calibration.interval(clues) if known and calibration else None)

    def save(self, file: Path) -> None:
        """Writes it, the codes in half precision."""
        tensors = {"codes": self.codes.astype(np.float16), "distances": self.distances}
        facts = {}
        for mode, one in self.calibrations.items():
            tensors |= {f"{mode}.weights": one.weights, f"{mode}.errors": one.errors}
            facts[mode] = json.dumps({"kept": one.kept, "tested": one.tested, "shapes": one.shapes})
        safetensors.numpy.save_file(tensors, str(file), metadata=facts)

    @classmethod
    def load(cls, file: Path) -> "Doubt":
        """What `save` wrote."""
        with safetensors.safe_open(str(file), "np") as stored:
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            told = (stored.metadata() or {}).items()
            facts = {mode: json.loads(text) for mode, text in told if f"{mode}.weights" in tensors}
        calibrations = {
            mode: Calibration(tensors[f"{mode}.weights"], tensors[f"{mode}.errors"], **facts[mode]) for mode in facts
        }
        return cls(tensors["codes"].astype(np.float32), tensors["distances"], calibrations)


def calibrate(
    clues: list[Clues], chamfer: Float[np.ndarray, " views"], shapes: list[str], level: float = LEVEL
) -> Calibration:
    """The interval that holds for a share of answers whose truth is known, each shape left out of its own prediction.

    Args:
        clues: Of each answer.
        chamfer: Its distance from the truth.
        shapes: Which shape it is of: views of one are left out together.
        level: The share.

    Returns:
        `kept` is measured: the whole is done again without some of the shapes, for each of `FOLDS` parts of them.
    """
    numbers, kept = _parts(shapes), np.zeros(len(chamfer))
    for part in np.unique(numbers):
        left = numbers == part
        others, out = ([clues[row] for row in np.flatnonzero(rows)] for rows in (~left, left))
        found = _interval(others, chamfer[~left], [shapes[row] for row in np.flatnonzero(~left)], level)
        kept[left] = coverage_of(found, out, chamfer[left])
    return _interval(clues, chamfer, shapes, level)._replace(kept=float(kept.mean()))


def _interval(clues: list[Clues], chamfer: Float[np.ndarray, " views"], shapes: list[str], level: float) -> Calibration:
    features, wanted = np.stack([one.features for one in clues]), np.log(chamfer)
    numbers, errors = _parts(shapes), np.zeros(len(wanted))
    for part in np.unique(numbers):
        left = numbers == part
        errors[left] = wanted[left] - _ridge(features[~left], wanted[~left]).predict(features[left])
    count = len(errors)
    ends = [np.floor((count + 1) * (1 - level) / 2) / count, np.ceil((count + 1) * (1 + level) / 2) / count]
    found = np.quantile(errors, np.clip(ends, 0, 1), method="inverted_cdf")
    return _ridge(features, wanted)._replace(errors=found, shapes=len(set(shapes)))


def _parts(shapes: list[str]) -> Int[np.ndarray, " views"]:
    """For each view in which of `FOLDS` parts its shape is."""
    return np.unique(shapes, return_inverse=True)[1] % FOLDS


def coverage_of(calibration: Calibration, clues: list[Clues], chamfer: Float[np.ndarray, " views"]) -> float:
    """The share of answers that an interval holds for."""
    ends = np.array([calibration.interval(one) for one in clues])
    return float(np.mean((ends[:, 0] <= chamfer) & (chamfer <= ends[:, 1])))


def _ridge(features: Float[np.ndarray, "n 3"], wanted: Float[np.ndarray, " n"]) -> Calibration:
    middle, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
    units = (features - middle) / scale
    slopes = np.linalg.solve(units.T @ units + RIDGE * np.eye(3), units.T @ (wanted - wanted.mean())) / scale
    return Calibration(np.append(slopes, wanted.mean() - middle @ slopes), np.zeros(2), float("nan"), float("nan"), 0)


def code_spread(arm: Reconstructor) -> Float[np.ndarray, " dim"]:
    """The standard deviation of the codes that a decoder was trained with, by which distances of codes are measured."""
    return arm.codes.std(dim=0, correction=0).clamp_min(1e-6).cpu().numpy()


def distances_to(codes: Float[np.ndarray, "views dim"], others: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, " n"]:
    """The root mean square distance of each to the nearest of some codes."""
    return KDTree(codes).query(others)[0] / np.sqrt(codes.shape[1])


def variants(image: UInt8[np.ndarray, "size size 3"]) -> UInt8[np.ndarray, "variants size size 3"]:
    """Pictures on white that show the same a little turned, larger or smaller, darker or lighter."""
    size, middle = image.shape[1], ((image.shape[1] - 1) / 2,) * 2
    made = []
    for turn, zoom, darkness in VARIANTS:
        moved = cv2.warpAffine(
            image, cv2.getRotationMatrix2D(middle, turn, zoom), (size, size), borderValue=(255, 255, 255)
        )
        made.append(np.rint(np.clip(255 - darkness * (255.0 - moved), 0, 255)).astype(np.uint8))
    return np.stack(made)


def variant_codes(arm: Reconstructor, image: UInt8[np.ndarray, "size size 3"]) -> Float[Tensor, "variants dim"]:
    """What an encoder sees in the variants of a picture."""
    return encode(arm.encoder, variants(image))


def surface_doubt(
    arm: Reconstructor, images: UInt8[np.ndarray, "views size size 3"], given: Answer, places: int = 3000
) -> Float[np.ndarray, " vertices"]:
    """How far the surface moves at each vertex of an answer's mesh with its code, in unit-sphere lengths.

    The code is changed as the encoder's changes with variants of the pictures, from one picture to another, and by
    what the refinement has done; the root mean square of the signed distances that these shapes have there.

    Args:
        arm: Whose answer it is.
        images: That it was given to.
        given: The answer.
        places: Vertices that are asked; the others are told by the nearest of them.
    """
    changes = [variant_codes(arm, image) - code for image, code in zip(images, given.seen, strict=True)]
    codes = given.code + torch.cat([*changes, given.seen - given.code])
    vertices = np.asarray(given.mesh.vertices)
    asked = vertices[:: max(1, len(vertices) // places)]
    points = torch.from_numpy(asked).to(codes)
    with torch.inference_mode():
        moved = torch.cat([arm.model(points[None], code[None]) for code in codes]).square().mean(dim=0).sqrt()
    return moved.double().cpu().numpy()[KDTree(asked).query(vertices)[1]]


def doubt_mesh(mesh: trimesh.Trimesh, moved: Float[np.ndarray, " vertices"], largest: float = 0.04) -> trimesh.Trimesh:
    """A mesh coloured by how far its surface may move: pale where it stays, red from `largest` on."""
    share = np.clip(moved / largest, 0, 1)[:, None]
    colors = (1 - share) * np.array([222, 222, 214]) + share * np.array([190, 24, 24])
    return trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=np.rint(colors).astype(np.uint8), process=False)
