"""What a training has learnt so far, as a mesh: of a training shape by its code, or of a view by its encoder."""

from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
import trimesh
from jaxtyping import UInt8
from torch import nn

from tpl.dataset.collection import Collection
from tpl.geometry.marching import EmptyShape, extract_mesh
from tpl.inference import encode
from tpl.models import DeepImplicitTemplate, Encoder
from tpl.study.methods import OUR_PHASE_1, PHASE_1
from tpl.training import RunError, RunFolder, load_embedding
from tpl.training.embedding import EmbeddingConfig, EmbeddingObjective
from tpl.training.end_to_end import EndToEndConfig, EndToEndObjective
from tpl.training.regression import RegressionConfig, RegressionObjective


class Learning:
    """The networks of a training that goes on, brought up to what it wrote down last.

    Args:
        folder: Of the training.
        objective: The name of its class.
        collection: Of the shapes that it learns.
        category: Theirs.

    Raises:
        RunError: There is nothing to look at: it learns no shapes, or what it stands on is missing.
    """

    def __init__(self, folder: Path, objective: str, collection: Collection, category: str):
        self.collection, self.category, run = collection, category, RunFolder(folder)
        make = {
            "EmbeddingObjective": self._embedding,
            "RegressionObjective": self._regression,
            "EndToEndObjective": self._end_to_end,
        }
        if objective not in make:
            raise RunError(f"{folder} learns no shapes")
        self.objective: nn.Module = make[objective](run)
        self.by_code = objective == "EmbeddingObjective"
        self.shapes = collection.shapes(category, "coded" if self.by_code else collection.trial_split(category))
        self.written = 0

    def refresh(self, file: Path) -> bool:
        """Takes what the training has written down; returns whether it was new."""
        written = file.stat().st_mtime_ns if file.exists() else 0
        if written == self.written:
            return False
        self.objective.load_state_dict(safetensors.torch.load(file.read_bytes()), strict=True)
        self.objective.eval()
        self.written = written
        return True

    def image(self, number: int) -> UInt8[np.ndarray, "height width 3"] | None:
        """The view that is reconstructed; none of a shape that is decoded from its code."""
        if self.by_code:
            return None
        return self.collection.store.read_views(self.shapes[number], "easy")[0][0]

    def mesh(self, number: int, resolution: int = 32) -> trimesh.Trimesh | None:
        """The mesh of a shape (unit-sphere frame) as the networks have it now; nothing where they have no surface."""
        with torch.inference_mode():
            if isinstance(self.objective, EmbeddingObjective):
                code = self.objective.codes.weight[number]
            else:
                encoder: Any = self.objective.encoder
                assert isinstance(encoder, Encoder)
                image = self.image(number)
                assert image is not None
                code = encode(encoder, image[None])[0]
            try:
                return extract_mesh(self._decoder.shape(code), resolution)
            except EmptyShape:
                return None

    @property
    def _decoder(self) -> DeepImplicitTemplate:
        if isinstance(self.objective, RegressionObjective):
            return self.objective._frozen[0]
        decoder: Any = self.objective.model
        return decoder

    def _embedding(self, run: RunFolder) -> nn.Module:
        shapes = len(self.collection.shapes(self.category, "coded"))
        return EmbeddingObjective(shapes, run.configured(EmbeddingConfig))

    def _regression(self, run: RunFolder) -> nn.Module:
        config = run.configured(RegressionConfig)
        return RegressionObjective(load_embedding(self._phase_1(run)), config)

    def _end_to_end(self, run: RunFolder) -> nn.Module:
        return EndToEndObjective(run.configured(EndToEndConfig))

    def _phase_1(self, run: RunFolder) -> Path:
        """The phase 1 that a training stands on: it knows it by the hash of its weights."""
        data = run.data()
        for above in run.path.parents:
            for name in (OUR_PHASE_1, PHASE_1):
                found = RunFolder(above / name)
                if (found.path / "run.json").exists() and found.digest() in data:
                    return found.path
        raise RunError(f"the phase 1 of {run.path} was not found above it")
