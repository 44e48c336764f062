"""The three readings of the method, each a set of switches on the same configuration.

`paper` is the text taken literally, `authors` is what their code does, `fixed` is what we hold sound (the default of
the configuration classes). Appendix A of the book lists what differs and why.
"""

from typing import Any

from tpl.losses import PAIR_SHARE
from tpl.settings import SettingsError, validated
from tpl.training.contrastive import ContrastiveConfig
from tpl.training.embedding import EmbeddingConfig
from tpl.training.end_to_end import EndToEndConfig
from tpl.training.regression import RegressionConfig


def pairs_per_point(points: int) -> float:
    """By what a mean over pairs is multiplied to give their sum divided by the number of points (Eq. 8, DIT's code).

    Args:
        points: Points of a shape in a batch; an eighth of them is paired with the others. The number of shapes, and
            that of batches, cancels out.
    """
    first = points // PAIR_SHARE
    return first * (points - first) / points


PAIRS_PER_POINT = pairs_per_point(5000)
"""At DIT's 24 x 5000 points: 625 of a shape against 4375. A weight there becomes a weight on our mean so."""

EMBEDDING: dict[str, dict[str, Any]] = {
    "paper": dict(  # Eq. 9 to the letter: its labels stand for the wrong terms, and no code prior
        inside_share=0.5,
        cross_share=0.0,
        one_sided=False,
        muon_rate=0.0,
        input_scale="hidden",
        pointwise_weight=0.00002,
        pointwise_boost=1.0,
        pointwise_outputs="last",
        pointpair_weight=0.005 * PAIRS_PER_POINT,
        code_weight=0.0,
        ramp=0.0,
    ),
    "authors": dict(  # the released code: smaller pair weight, faster template
        inside_share=0.5,
        cross_share=0.0,
        one_sided=False,
        muon_rate=0.0,
        input_scale="hidden",
        pointpair_weight=0.00002 * PAIRS_PER_POINT,
        template_rate=1e-3,
    ),
    "fixed": dict(pointpair_weight=0.0001 * PAIRS_PER_POINT),
}

UPRIGHT = dict(rotation=0.0, zoom=0.0, shift=0.0, sharp=False, brightness=0.0)
"""Neither text nor code turns, scales or moves the views that phase 2 and the end-to-end training learn from."""

PLAIN: dict[str, Any] = dict(sdf_weight=0.0, muon_rate=0.0, camera_weight=0.0, **UPRIGHT)
"""Phase 2 without anything of ours, as text and code have it."""

REGRESSION: dict[str, dict[str, Any]] = {
    "paper": dict(standardise=False, **PLAIN),
    # Their code sums over the 256 components and halves the rate every 5 of 100 epochs.
    "authors": dict(standardise=False, latent_weight=256.0, schedule="halving", halvings=20, **PLAIN),
    "fixed": dict(),
}

# The losses are those of phase 1 in each reading. "Jointly optimised", says the text; the code freezes the trunk.
JOINT: dict[str, dict[str, Any]] = {
    "paper": {**EMBEDDING["paper"], **UPRIGHT},
    "authors": {**EMBEDDING["authors"], **UPRIGHT, "trunk": "frozen"},
    "fixed": EMBEDDING["fixed"],
}

CONTRASTIVE: dict[str, dict[str, Any]] = {
    # Fig. 4 and Eq. 13 to the letter; neither text nor code cuts views to their object.
    "paper": dict(pairs="augmentations", include_self=True, boxed=False, muon_rate=0.0),
    "authors": dict(pairs="views", start="imagenet", boxed=False, muon_rate=0.0),
    "fixed": dict(),
}


def embedding_config(preset: str = "fixed", **changes: Any) -> EmbeddingConfig:
    """Phase 1 as one of the presets has it, with some fields changed.

    Raises:
        SettingsError: There is no such preset, or a field does not exist or has a wrong value; the message names it.
    """
    return validated(EmbeddingConfig, {**_preset(EMBEDDING, preset), **changes})


def regression_config(preset: str = "fixed", **changes: Any) -> RegressionConfig:
    """Phase 2 as one of the presets has it, with some fields changed; raises as `embedding_config`."""
    return validated(RegressionConfig, {**_preset(REGRESSION, preset), **changes})


def end_to_end_config(preset: str = "fixed", **changes: Any) -> EndToEndConfig:
    """The end-to-end training as one of the presets has it, with some fields changed; raises as `embedding_config`."""
    return validated(EndToEndConfig, {**_preset(JOINT, preset), **changes})


def contrastive_config(preset: str = "fixed", **changes: Any) -> ContrastiveConfig:
    """Contrastive pre-training as one of the presets has it, with some fields changed; raises as `embedding_config`."""
    return validated(ContrastiveConfig, {**_preset(CONTRASTIVE, preset), **changes})


def _preset(table: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    if name not in table:
        raise SettingsError(f"no preset is called {name!r}; there is {', '.join(table)}")
    return table[name]
