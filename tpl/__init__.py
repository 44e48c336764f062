"""One image in, a dense mesh out, through a template learnt for the category.

import tpl

mesh, photo = tpl.reconstruct("photo.jpg", category="chairs")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tpl.photos import reconstruct

    __version__: str

__all__ = ["__version__", "reconstruct"]


def __getattr__(name: str) -> Any:
    if name == "reconstruct":  # on demand: torch takes seconds
        from tpl.photos import reconstruct

        return reconstruct
    if name == "__version__":  # pyproject.toml is the one place that says it
        from importlib.metadata import version

        return version("tpl")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
