"""Tables of latent codes in the four forms that they were published in.

LatentCodes/<n>.pth                            {"latent_codes": {"weight": (n, L)}}, Deep Implicit Templates
LatentCodes/<n>.pth                            {"latent_codes": (n, 1, L)}, DeepSDF
Reconstructions/<n>/Codes/<ds>/<class>/<id>.pth    (1, 1, L), fitted to one shape: both of them
<synset>_embedding.pkl                         {id: (L,)}, the paper's authors
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from tpl.weights.files import WeightsError, is_state, read_pickled_codes, read_tensors


class Codes(NamedTuple):
    """Latent codes, and whose they are."""

    latent: Float[Tensor, "shapes dim"]
    ids: Sequence[str] = ()  # of the rows, where the file tells


def read_codes(path: Path | str) -> Codes:
    """The codes of a file, or of all `Codes` files below a folder, by id.

    Raises:
        WeightsError: There are none, or they are of different lengths.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(path.rglob("*.pth"))
        if not files:
            raise WeightsError(f"no codes (.pth) below {path}")
        found = [_fitted(file) for file in files]
        if len(lengths := {code.shape[1] for code in found}) > 1:
            raise WeightsError(f"codes of {' and '.join(map(str, sorted(lengths)))} numbers lie below {path}")
        return Codes(torch.cat(found), [file.stem for file in files])
    if path.suffix == ".pkl":
        found = read_pickled_codes(path)
        return Codes(torch.stack([torch.from_numpy(code) for code in found.values()]), list(found))
    content = read_tensors(path)
    latent = table_of(content)
    if latent is None:
        raise WeightsError(
            f"{path} holds no table of codes" + (": an encoder is there" if holds_encoder(content) else "")
        )
    return Codes(latent)


def table_of(content: Any) -> Float[Tensor, "shapes dim"] | None:
    """The table of codes in what was read of a `LatentCodes` or `Codes` file, in any form; none, if there is none."""
    found = content.get("latent_codes") if isinstance(content, Mapping) else content
    if is_state(found) and set(found) == {"weight"}:
        found = found["weight"]
    if not isinstance(found, Tensor) or found.ndim not in (2, 3) or (found.ndim == 3 and found.shape[1] != 1):
        return None
    return found.detach().float().flatten(1)


def holds_encoder(content: Any) -> bool:
    """Whether what was read of a `LatentCodes` file is an encoder, as in the authors' experiments."""
    return isinstance(content, Mapping) and is_state(content.get("latent_codes")) and table_of(content) is None


def _fitted(file: Path) -> Float[Tensor, "1 dim"]:
    latent = table_of(read_tensors(file))
    if latent is None or len(latent) != 1:
        raise WeightsError(f"{file} does not hold one code")
    return latent
