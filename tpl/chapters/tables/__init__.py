"""Chapter 07: how good it is."""

from tpl.chapters.tables.comparison import by_kind, compare_pairs, comparison_table, every_shape, unbroken
from tpl.chapters.tables.difficulty import by_difficulty
from tpl.chapters.tables.figures import plot_chamfer_distribution, plot_mean_chamfer
from tpl.chapters.tables.minutes import cost_table, longer_run, minutes_table
from tpl.chapters.tables.protocol_study import (
    measure_category,
    plot_ranks,
    protocol_sentences,
    protocol_table,
    protocols_file,
    read_protocols,
)
from tpl.chapters.tables.reported import beside_ours, provenance

__all__ = [
    "beside_ours",
    "by_difficulty",
    "by_kind",
    "compare_pairs",
    "comparison_table",
    "cost_table",
    "every_shape",
    "longer_run",
    "measure_category",
    "minutes_table",
    "plot_chamfer_distribution",
    "plot_mean_chamfer",
    "plot_ranks",
    "protocol_sentences",
    "protocol_table",
    "protocols_file",
    "provenance",
    "read_protocols",
    "unbroken",
]
