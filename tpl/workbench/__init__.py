"""The workbench: copies of the chapters in JupyterLab, to turn hyperparameters in while the book stays as it is."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tpl.workbench.forms import Form


def form(name: str) -> "Form":
    """The form of a chapter, with what was chosen in it before; from now on trainings can be watched and stopped.

    Args:
        name: The chapter's, or its number.

    Raises:
        BookError: There is no such chapter.
    """
    from tpl.workbench.forms import open_form

    return open_form(name)
