"""Files of others, read so that nothing in them is run: tensors, pickled codes, settings."""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tpl.errors import PlainError

PARALLEL = "module."
"""What `torch.nn.DataParallel` puts before every name."""

_RECONSTRUCT = np.zeros(0).__reduce__()[0]
ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,  # the same function, as NumPy 2 spells it
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}
"""All that a pickle of codes may name: what makes arrays of numbers, and nothing that acts."""


class WeightsError(PlainError):
    """A file of weights cannot be read or written, or has what ours lacks; the message names it."""


def read_tensors(file: Path | str) -> Any:
    """What torch saved in a file: tensors, numbers and texts in containers, and nothing else (`weights_only`).

    Raises:
        WeightsError: The file is missing, broken, or holds something else.
    """
    try:
        return torch.load(_there(file), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{file} holds more than tensors, or is no file of torch's, and is not read: get one of weights alone"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise WeightsError(f"{file} cannot be read ({reason}): fetch it anew") from error


def read_pickled_codes(file: Path | str) -> dict[str, Float[np.ndarray, " dim"]]:
    """The authors' `<synset>_embedding.pkl`: a code for each id, in the file's order.

    Raises:
        WeightsError: The file is missing or broken, names anything beyond `ALLOWED`, or holds something else.
    """
    with _there(file).open("rb") as stream:
        try:
            found = _OnlyArrays(stream).load()
        except WeightsError as error:
            raise WeightsError(f"{file} {error}") from None
        except Exception as error:  # a broken pickle ends in any of a dozen kinds
            raise WeightsError(f"{file} is not a pickle of codes ({error}): fetch it anew") from error
    if not isinstance(found, dict) or not found or not all(map(_is_code, found.values())):
        raise WeightsError(f"{file} holds something else than a vector of numbers for each id")
    if len({len(code) for code in found.values()}) > 1:
        raise WeightsError(f"{file} holds codes of different lengths")
    return {str(name): np.asarray(code, dtype=np.float32) for name, code in found.items()}


class _OnlyArrays(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise WeightsError(
                f"asks for {module}.{name}, which could do anything: a file of codes needs NumPy's arrays"
            )
        return ALLOWED[module, name]


def _is_code(value: Any) -> bool:
    return (
        isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind == "f" and bool(np.isfinite(value).all())
    )


def read_state(file: Path | str, key: str = "model_state_dict") -> dict[str, Tensor]:
    """The weights in a checkpoint by their names, without the prefix of `DataParallel`.

    Raises:
        WeightsError: As `read_tensors`; or there are none under this key.
    """
    found = read_tensors(file)
    state = found.get(key) if isinstance(found, Mapping) else None
    if not is_state(state):
        raise WeightsError(f"{file} has no weights under {key!r}: is it a checkpoint of another kind?")
    return without_prefix(state)


def is_state(value: Any) -> TypeGuard[Mapping[str, Tensor]]:
    """Whether something is a dict of tensors by names."""
    return isinstance(value, Mapping) and bool(value) and all(isinstance(tensor, Tensor) for tensor in value.values())


def without_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights without the prefix of `DataParallel`, where all have it."""
    parallel = all(name.startswith(PARALLEL) for name in state)
    return {name.removeprefix(PARALLEL) if parallel else name: tensor for name, tensor in state.items()}


def read_settings(file: Path | str) -> dict[str, Any]:
    """A `specs.json`.

    Raises:
        WeightsError: It is missing, or no JSON object.
    """
    try:
        found = json.loads(_there(file).read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(f"{file} is not valid JSON ({error})") from error
    if not isinstance(found, dict):
        raise WeightsError(f"{file} holds no settings by their names")
    return found


def _there(file: Path | str) -> Path:
    if not (file := Path(file)).is_file():
        raise WeightsError(f"there is no file {file}: name the one that is meant")
    return file
