"""The methods of the book by name: their run folders, their colours, which of them there are."""

from collections.abc import Container
from pathlib import Path

METHOD_COLORS = {
    "oracle retrieval": "#151f19",
    "oracle code": "#381c53",
    "end to end (contrastive)": "#15512c",
    "encoder": "#005baa",
    "encoder (sdf loss)": "#c8471e",
    "end to end": "#2d9d7c",
    "nearest by code": "#c9912b",
    "nearest by pixels": "#5cc0e0",
    "mean shape": "#c6c6c6",
}
"""One colour a method throughout the book, from dark to light: told apart in grey and by the colour-blind."""


def method_color(method: str) -> str:
    """The colour of a method; grey for one that the book does not know."""
    return METHOD_COLORS.get(method, "#8c8c8c")


ENCODER = "encoder"
"""Phase 2 as the paper has it: its name in tables and of its run folder."""


ENCODER_SDF = "encoder (sdf loss)"
"""Our variant, which also learns through the frozen decoder, on shapes without a code, too."""


RETRIEVED = "retrieved"
"""Any method that answers with a training shape, where it does not matter which."""


ORACLE_RETRIEVAL = "oracle retrieval"
"""The training shape that is nearest to the true one: what no retrieval can beat."""


END_TO_END = "end to end"
"""Encoder, warp and template in one training, from a random trunk."""


END_TO_END_CONTRASTIVE = "end to end (contrastive)"
"""The same from a trunk that has learnt which views show one object."""


TWO_PHASE = (ENCODER, ENCODER_SDF)
"""The methods that decode by phase 1's decoder; the others have one of their own."""


FOLDERS = {
    ENCODER: "encoder",
    ENCODER_SDF: "encoder_sdf",
    END_TO_END: "end_to_end",
    END_TO_END_CONTRASTIVE: "end_to_end_contrastive",
}


RIVALS = ("nearest by pixels", "nearest by code", "nearest coded shape", ORACLE_RETRIEVAL, "mean shape", "oracle code")
"""What stands in the tables beside the encoders: results without one of them are made again."""


def better_encoder(methods: Container[str]) -> str:
    """Of phase 2's encoders among some methods, the one that the book takes where it shows one; the plain one if none.

    It is ours, with the SDF loss, wherever it is trained.
    """
    return ENCODER_SDF if ENCODER_SDF in methods else ENCODER


def trained_methods(runs: Path | str, category: str) -> list[str]:
    """The methods that a run holds for a category."""
    return [method for method, folder in FOLDERS.items() if (Path(runs) / category / folder / "run.json").exists()]
