"""Chapter 12: shapes that people made."""

from tpl.chapters.real_shapes.figures import (
    contact_sheets,
    judge_mesh,
    judged_table,
    plot_judged,
    plot_study,
    study_gallery,
)
from tpl.chapters.real_shapes.study import (
    arms,
    counted,
    run_study,
    study_by_kind,
    study_rows,
    study_sentences,
    study_table,
    varieties,
)

__all__ = [
    "arms",
    "contact_sheets",
    "counted",
    "judge_mesh",
    "judged_table",
    "plot_judged",
    "plot_study",
    "run_study",
    "study_by_kind",
    "study_gallery",
    "study_rows",
    "study_sentences",
    "study_table",
    "varieties",
]
