"""One look for all: figures, scenes that turn, tables.

Names are fetched on demand: who runs `tpl --help` does not wait for the libraries of figures.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tpl.look.outlines import plot_outlines
    from tpl.look.plotting import (
        CLAY,
        ERROR_COLORS,
        INK,
        Picture,
        error_colors,
        plot_error_bar,
        plot_history,
        plot_sdf_slice,
        plot_triplets,
        position_colors,
        use_style,
    )
    from tpl.look.scenes import Scene, mesh_scene, steps_scene
    from tpl.look.tables import Markdown, SortableTable, Table, of_each

__all__ = [
    "CLAY",
    "ERROR_COLORS",
    "INK",
    "Markdown",
    "Picture",
    "Scene",
    "SortableTable",
    "Table",
    "error_colors",
    "mesh_scene",
    "of_each",
    "plot_error_bar",
    "plot_history",
    "plot_outlines",
    "plot_sdf_slice",
    "plot_triplets",
    "position_colors",
    "steps_scene",
    "use_style",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    modules = (import_module(f"tpl.look.{module}") for module in ("tables", "scenes", "plotting", "outlines"))
    return next(getattr(module, name) for module in modules if hasattr(module, name))
