"""Appendix A: what each disagreement between paper and code comes to."""

from tpl.chapters.paper_and_code.disagreements import MATTERS, MEASURES, choose, effects, measure, read_measured, told
from tpl.chapters.paper_and_code.figures import plot_effects
from tpl.chapters.paper_and_code.trials import POINTS_PER_SHAPE, Budget, Setup, label_iou

__all__ = [
    "Budget",
    "MATTERS",
    "MEASURES",
    "POINTS_PER_SHAPE",
    "Setup",
    "choose",
    "effects",
    "label_iou",
    "measure",
    "plot_effects",
    "read_measured",
    "told",
]
