"""Refinement: single-view fitting of a code, and of the camera where it is not known, to the outline of an image."""

from tpl.refinement.fitting import Fit, Refined, RefinementConfig, refine
from tpl.refinement.hypotheses import Start, choose_starts, mirrored
from tpl.refinement.poses import RefinementError, to_cameras, to_poses
from tpl.refinement.silhouettes import coverage, silhouettes

__all__ = [
    "Fit",
    "Refined",
    "RefinementConfig",
    "RefinementError",
    "Start",
    "choose_starts",
    "coverage",
    "mirrored",
    "refine",
    "silhouettes",
    "to_cameras",
    "to_poses",
]
