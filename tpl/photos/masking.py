"""Masks by a network, for whoever has one: `pip install tpl[masks]` brings rembg, which fetches its weights itself."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from tpl.photos.reading import ImageError

USUAL = "u2net"


class MaskNetwork(NamedTuple):
    """Something that finds the object of a picture."""

    name: str
    """In words, for what is printed."""

    find: Callable[[UInt8[np.ndarray, "height width 3"]], UInt8[np.ndarray, "height width"]]
    """From a picture to its mask: 0 is background, 255 the object."""


def rembg_network(model: str = USUAL) -> MaskNetwork:
    """A network of the package rembg; its weights are fetched when it is used first, by rembg and under their licence.

    Args:
        model: One that rembg knows, such as u2net, isnet-general-use or birefnet-general.

    Raises:
        ImageError: The package is missing, or has no such network.
    """
    try:
        rembg: Any = import_module("rembg")
    except ImportError as error:
        raise ImageError(
            f"the network {model} needs the package rembg: `pip install 'tpl[masks]'`, or give a mask"
        ) from error
    try:
        session = rembg.new_session(model)
    except (ValueError, AssertionError, OSError) as error:  # a name that it does not know, or weights out of reach
        raise ImageError(f"rembg cannot start its network {model} ({error}): name another, or give a mask") from error

    def find(picture: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width"]:
        return np.asarray(rembg.remove(picture, session=session, only_mask=True), np.uint8)

    return MaskNetwork(f"network {model}", find)
