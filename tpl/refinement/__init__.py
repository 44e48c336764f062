"""Refinement: single-view fitting of a code, and of the camera where it is not known, to the outline of an image."""

from tpl.refinement.fitting import Fit, Refined, RefinementConfig, outlines, refine
from tpl.refinement.hypotheses import Start, choose_starts, mirrored
from tpl.refinement.poses import Poses, RefinementError, to_cameras, to_poses
from tpl.refinement.silhouettes import NoOutline, coverage, intersection_over_union, silhouettes
from tpl.refinement.views import refine_views, seen_in

__all__ = [
    "Fit",
    "NoOutline",
    "Poses",
    "Refined",
    "RefinementConfig",
    "RefinementError",
    "Start",
    "choose_starts",
    "coverage",
    "intersection_over_union",
    "mirrored",
    "outlines",
    "refine",
    "refine_views",
    "seen_in",
    "silhouettes",
    "to_cameras",
    "to_poses",
]
