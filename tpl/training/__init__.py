"""The trainings: one loop, an objective for each phase, run folders that resume."""

from tpl.training.embedding import EmbeddingConfig, EmbeddingRun, load_embedding, train_embedding
from tpl.training.loop import TrainingConfig, TrainingInterrupted, fit
from tpl.training.regression import RegressionConfig, RegressionRun, load_regression, train_regression
from tpl.training.runs import RunError, RunFolder

__all__ = [
    "EmbeddingConfig",
    "EmbeddingRun",
    "RegressionConfig",
    "RegressionRun",
    "RunError",
    "RunFolder",
    "TrainingConfig",
    "TrainingInterrupted",
    "fit",
    "load_embedding",
    "load_regression",
    "train_embedding",
    "train_regression",
]
