"""Chapter 10: what a template carries from shape to shape."""

from tpl.chapters.correspondence.figures import (
    PALE_CLAY,
    PART_COLORS,
    TRUE_POINT,
    color_legend,
    with_balls,
    with_carried_parts,
    with_carried_places,
    with_keypoints,
    with_own_places,
    with_true_parts,
)
from tpl.chapters.correspondence.protocol import score_folder, score_protocol
from tpl.chapters.correspondence.transfer import (
    BOXES,
    FROM_IMAGE,
    MAJORITY,
    NEAREST,
    TEMPLATE,
    compare_transfer,
    exemplars_and_targets,
    score_transfer,
    summarize_transfer,
)

__all__ = [
    "BOXES",
    "FROM_IMAGE",
    "MAJORITY",
    "NEAREST",
    "PALE_CLAY",
    "PART_COLORS",
    "TEMPLATE",
    "TRUE_POINT",
    "color_legend",
    "compare_transfer",
    "exemplars_and_targets",
    "score_folder",
    "score_protocol",
    "score_transfer",
    "summarize_transfer",
    "with_balls",
    "with_carried_parts",
    "with_carried_places",
    "with_keypoints",
    "with_own_places",
    "with_true_parts",
]
