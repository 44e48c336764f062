"""What a run holds: its methods, trainings and judgements."""

from tpl.study.bench import Bench
from tpl.study.judging import evaluate_category, results_file
from tpl.study.methods import (
    ENCODER,
    ENCODER_SDF,
    ENCODERS,
    END_TO_END,
    END_TO_END_CONTRASTIVE,
    MEAN_SHAPE,
    METHODS,
    NEAREST_CODE,
    NEAREST_CODED,
    NEAREST_PIXELS,
    ORACLE_CODE,
    ORACLE_RETRIEVAL,
    EndToEnd,
    better_encoder,
    method_color,
)
from tpl.study.trained import LEARNT, Trained, maybe, sampling_floors, score_codes, score_training_shapes, score_views
from tpl.study.trainings import (
    PRETRAINED,
    contrast_category,
    embed_category,
    end_to_end_category,
    missing_starts,
    regress_category,
)

__all__ = [
    "Bench",
    "ENCODER",
    "ENCODERS",
    "ENCODER_SDF",
    "END_TO_END",
    "END_TO_END_CONTRASTIVE",
    "EndToEnd",
    "LEARNT",
    "MEAN_SHAPE",
    "METHODS",
    "NEAREST_CODE",
    "NEAREST_CODED",
    "NEAREST_PIXELS",
    "ORACLE_CODE",
    "ORACLE_RETRIEVAL",
    "PRETRAINED",
    "Trained",
    "better_encoder",
    "contrast_category",
    "embed_category",
    "end_to_end_category",
    "evaluate_category",
    "maybe",
    "method_color",
    "missing_starts",
    "regress_category",
    "results_file",
    "sampling_floors",
    "score_codes",
    "score_training_shapes",
    "score_views",
]
