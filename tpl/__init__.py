"""One image in, a dense mesh out, through a template learnt for the category.

import tpl

mesh, photo = tpl.reconstruct("photo.jpg", "chairs")
chairs = tpl.load("chairs")  # the networks, ready for any number of photographs
mesh, photo = chairs.reconstruct("photo.jpg")
"""

import os
from typing import TYPE_CHECKING, Any

from tpl.ending import end_with_parent

if TYPE_CHECKING:
    from tpl.photos import load, reconstruct

    __version__: str

__all__ = ["__version__", "load", "reconstruct"]

end_with_parent()

# Threads that wait for each other sleep, here and in what is started from here: those that spin take the cores from
# other chapters and trainings, and from each other. It is read once, as torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def __getattr__(name: str) -> Any:
    if name in ("load", "reconstruct"):  # on demand: torch takes seconds
        from tpl.photos import pipeline

        return getattr(pipeline, name)
    if name == "__version__":  # pyproject.toml is the one place that says it
        from importlib.metadata import version

        return version("tpl")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
