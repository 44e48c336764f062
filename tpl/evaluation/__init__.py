"""How good a method is: one row a shape and view, failures among them, and what the rows say together."""

from tpl.evaluation.results import ResultsError, read_results, write_results
from tpl.evaluation.retrieval import small_grey
from tpl.evaluation.rows import NO_VIEW
from tpl.evaluation.summary import failures_as_worst, format_summary, paired_difference, summarize

__all__ = [
    "NO_VIEW",
    "ResultsError",
    "failures_as_worst",
    "format_summary",
    "paired_difference",
    "read_results",
    "small_grey",
    "summarize",
    "write_results",
]
