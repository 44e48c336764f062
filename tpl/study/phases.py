"""The trainings by name, and the one way from a chapter's parameters to the configuration of one.

A parameters cell holds the defaults, a profile what differs, a preset what it settles; what was given by hand wins.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tpl.errors import did_you_mean
from tpl.models import DeepImplicitTemplateConfig
from tpl.settings import SettingsError
from tpl.study.bench import Bench
from tpl.study.methods import END_TO_END_CONTRASTIVE, OUR_ENCODER, OUR_PHASE_1, PHASE_1
from tpl.study.sizes import check_sizes
from tpl.study.trainings import contrast_category, embed_category, end_to_end_category, regress_category
from tpl.training import (
    ContrastiveConfig,
    EmbeddingConfig,
    EndToEndConfig,
    RegressionConfig,
    TrainingConfig,
    contrastive_config,
    embedding_config,
    end_to_end_config,
    regression_config,
)
from tpl.training.presets import CONTRASTIVE, EMBEDDING, JOINT, PLAIN, REGRESSION


@dataclass(frozen=True)
class Phase:
    """A training: whose parameters it has, what they mean to it, and what does it."""

    chapter: str  # its number
    kind: type[TrainingConfig]
    make: Callable[..., Any]  # a configuration of a preset and of what changes it
    train: Callable[[Bench, Any], Path]
    presets: Mapping[str, Mapping[str, Any]]  # what each of them settles; empty where there is one way alone
    named: Mapping[str, str] = field(default_factory=dict)  # fields whose parameter has a name of its own
    fixed: Mapping[str, Any] = field(default_factory=dict)  # fields that make it what it is: no parameter changes them
    usual: Callable[[Mapping[str, Any], Bench], dict[str, Any]] = lambda parameters, bench: {}
    """Fields that are no parameters of the chapter, as it wants them unless they are given by hand."""

    def parameters(self, category: str) -> dict[str, str]:
        """The parameter that each field of the configuration comes from, if the chapter has one of this name."""
        found = {name: name for name in self.kind.model_fields} | dict(self.named)
        if self.kind is EmbeddingConfig and category == "chairs":  # they vary most
            found["epochs"] = "chairs_epochs"
        return {name: parameter for name, parameter in found.items() if name not in self.fixed}


OF_MODEL = {f"model.{name}": name for name in DeepImplicitTemplateConfig.model_fields}

PHASES = {
    "embedding": Phase(
        "03",
        EmbeddingConfig,
        embedding_config,
        embed_category,
        EMBEDDING,
        OF_MODEL,
        {"model.ambient_dim": 0, "ambient_weight": 0.0},
    ),
    "our_embedding": Phase(
        "03",
        EmbeddingConfig,
        embedding_config,
        partial(embed_category, name=OUR_PHASE_1),
        {},  # ours alone
        OF_MODEL | {"pointwise_weight": "ambient_pointwise_weight"},
    ),
    "encoder": Phase(
        "04",
        RegressionConfig,
        regression_config,
        regress_category,
        REGRESSION,
        {"encoder.width": "width"},
        PLAIN,
    ),
    "our_encoder": Phase(
        "04",
        RegressionConfig,
        regression_config,
        partial(regress_category, method=OUR_ENCODER),
        {},  # ours alone
        {f"encoder.{name}": name for name in ("width", "crop", "channels", "pool")} | {"epochs": "epochs_sdf"},
        {"jitter": 0.0, "hue": 0.0},  # it has no colours to lose
        usual=lambda parameters, bench: {"encoder.camera": parameters["camera_weight"] > 0},
    ),
    "contrastive": Phase(
        "05",
        ContrastiveConfig,
        contrastive_config,
        contrast_category,
        CONTRASTIVE,
        {"encoder.width": "width"},
        usual=lambda parameters, bench: {"log_every": max(1, parameters["epochs"] // 10)},
    ),
    "end_to_end": Phase(
        "06",
        EndToEndConfig,
        end_to_end_config,
        end_to_end_category,
        JOINT,
        {"encoder.width": "width"},
        usual=lambda parameters, bench: {"log_every": 10, "start": "random", **_sizes_of_phase_1(bench)},
    ),
    "end_to_end_contrastive": Phase(
        "06",
        EndToEndConfig,
        end_to_end_config,
        partial(end_to_end_category, method=END_TO_END_CONTRASTIVE),
        JOINT,
        {"encoder.width": "width"},
        usual=lambda parameters, bench: {"log_every": 10, "start": "contrastive", **_sizes_of_phase_1(bench)},
    ),
}
"""By the names of the command line."""

PLACES = {"category", "data", "runs", "source", "device"}
"""Parameters that say what is trained, and where: no fields of a configuration."""


def configure(
    phase: str, parameters: Mapping[str, Any], bench: Bench, given: Container[str] = frozenset()
) -> TrainingConfig:
    """The configuration of a training, wherever it is asked for.

    Args:
        phase: Which training, of `PHASES`.
        parameters: Of its chapter, with a profile's values and those given by hand in place; and fields that the
            chapter has no parameter for, as `inside_share` or `encoder.head_layers`.
        bench: Of the category; a later phase takes from it the sizes of phase 1.
        given: The names that were given by hand: against these a preset settles nothing.

    Raises:
        SettingsError: A name does not exist or a value is wrong; there is no such preset; or memory is too small.
        RunError: A training that this one builds on is missing.
    """
    spec = PHASES[phase]
    preset = parameters.get("preset", "fixed") if spec.presets else "fixed"
    settled = () if preset == "fixed" else spec.presets.get(preset, ())
    fields = spec.parameters(bench.category)
    chosen = spec.usual(parameters, bench)
    for name, parameter in fields.items():
        if parameter in parameters and (name not in settled or parameter in given):
            chosen[name] = parameters[parameter]
    chosen |= {name: value for name, value in parameters.items() if "." in name}
    config = spec.make(preset, **nested({**chosen, **spec.fixed}))
    check_sizes(config)
    return config


def check_given(phase: str, given: Iterable[str], categories: tuple[str, ...]) -> None:
    """Refuses names given by hand that the training of none of these categories would look at.

    Raises:
        SettingsError: The name, and those that there are.
    """
    spec = PHASES[phase]
    known = {name for category in categories for name in spec.parameters(category).values()}
    known |= {"preset"} if spec.presets else set()
    for name in given:
        if name not in known | PLACES and "." not in name:
            names = ", ".join(sorted(known))
            told = f"{name} is no setting of {phase}, which would pass over it; there are {names}"
            raise SettingsError(told + did_you_mean(name, known))


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """`{"model.warp_steps": 4}` as `{"model": {"warp_steps": 4}}`.

    Raises:
        SettingsError: A name has a value of its own and fields, too.
    """
    result: dict[str, Any] = {}
    for name, value in values.items():
        *groups, last = name.split(".")
        inner = result
        for group in groups:
            inner = inner.setdefault(group, {})
            if not isinstance(inner, dict):
                raise SettingsError(f"{group} = {inner!r} and {name} = {value!r} cannot both be: give the fields alone")
        inner[last] = value
    return result


def _sizes_of_phase_1(bench: Bench) -> dict[str, Any]:
    """A decoder that begins anew has the sizes of phase 1's, and the encoder codes of that length."""
    model = bench.run(PHASE_1).config()["model"]
    return {f"model.{name}": value for name, value in model.items()} | {"encoder.latent_dim": model["latent_dim"]}
