"""The trainings: one loop, an objective for each phase, run folders that resume."""

from tpl.training.contrastive import ContrastiveConfig, ContrastiveRun, load_contrastive, train_contrastive
from tpl.training.curve import TrainingInterrupted
from tpl.training.embedding import EmbeddingConfig, EmbeddingRun, load_embedding, train_embedding
from tpl.training.end_to_end import EndToEndConfig, EndToEndRun, load_end_to_end, train_end_to_end
from tpl.training.loop import TrainingConfig, fit
from tpl.training.presets import contrastive_config, embedding_config, end_to_end_config, regression_config
from tpl.training.regression import RegressionConfig, RegressionRun, load_regression, train_regression
from tpl.training.runs import RunError, RunFolder
from tpl.training.side_by_side import cores_each, side_by_side, training_device

__all__ = [
    "ContrastiveConfig",
    "ContrastiveRun",
    "EmbeddingConfig",
    "EmbeddingRun",
    "EndToEndConfig",
    "EndToEndRun",
    "RegressionConfig",
    "RegressionRun",
    "RunError",
    "RunFolder",
    "TrainingConfig",
    "TrainingInterrupted",
    "contrastive_config",
    "cores_each",
    "embedding_config",
    "end_to_end_config",
    "fit",
    "load_contrastive",
    "load_embedding",
    "load_end_to_end",
    "load_regression",
    "regression_config",
    "side_by_side",
    "train_contrastive",
    "train_embedding",
    "train_end_to_end",
    "train_regression",
    "training_device",
]
