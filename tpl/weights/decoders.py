"""The decoder under its names in Deep Implicit Templates, and its sizes as their `specs.json` has them.

    warper.lstm.weight_ih                  code_weight and point_weight side by side, the code's columns first
    warper.lstm.{weight_hh,bias_ih,bias_hh}                            hidden_weight, input_bias, hidden_bias
    warper.out_layer_coord_affine.{weight,bias}                        affine, scale before shift
    sdf_decoder.lin<i>.{weight_g,weight_v,bias} or .{weight,bias}      template.first, template.hidden, template.last

Source: the names in the published code of Zheng et al. 2021.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tpl.models import DeepImplicitTemplate, DeepImplicitTemplateConfig
from tpl.settings import SettingsError, validated
from tpl.weights.files import WeightsError

ARCHITECTURE = "deep_implicit_template_decoder"
INPUT = "warper.lstm.weight_ih"
LSTM = {"hidden_weight": "weight_hh", "input_bias": "bias_ih", "hidden_bias": "bias_hh"}
WEIGHT_NORM = {".parametrizations.weight.original0": ".weight_g", ".parametrizations.weight.original1": ".weight_v"}


def decoder_from_state(state: Mapping[str, Tensor], specs: Mapping[str, Any]) -> DeepImplicitTemplate:
    """Their decoder as ours.

    Args:
        state: Its weights by their names, without the prefix of `DataParallel`.
        specs: Its experiment's `specs.json`, which alone knows the warp's steps.

    Raises:
        WeightsError: It is another network, has what ours lacks, or is not of the sizes that the specs tell.
    """
    config = decoder_config(specs)
    if normed := next((name for name in state if re.match(r"sdf_decoder\.bn\d", name)), ""):
        raise WeightsError(f"{normed}: its template has LayerNorm between its layers, which ours has not")
    model = DeepImplicitTemplate(config)
    names = their_names(model)
    if wrong := sorted(state.keys() ^ {*names.values(), INPUT}):
        told = "is not among its weights" if wrong[0] not in state else "is among its weights, and ours has none such"
        raise WeightsError(f"{wrong[0]} {told}: it is another network than its specs.json tells of")
    ours = {mine: state[theirs] for mine, theirs in names.items()}
    ours["warp.code_weight"], ours["warp.point_weight"] = state[INPUT][:, :-3], state[INPUT][:, -3:]
    try:
        model.load_state_dict(ours, strict=True)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise WeightsError(f"its specs.json tells of other sizes than its weights have: {reason}") from error
    return model.eval()


def decoder_to_state(model: DeepImplicitTemplate) -> dict[str, Tensor]:
    """Our decoder's weights under their names.

    Raises:
        WeightsError: It has coordinates beside space, which their form has no place for.
    """
    if model.config.ambient_dim:
        raise WeightsError(
            f"this decoder has {model.config.ambient_dim} ambient coordinates beside space (ambient_dim), which Deep "
            "Implicit Templates has no place for: export one without them, such as the paper's (embedding)"
        )
    ours = model.state_dict()
    whole = torch.cat([ours["warp.code_weight"], ours["warp.point_weight"]], dim=1)
    renamed = {theirs: ours[mine] for mine, theirs in their_names(model).items()}
    return {name: tensor.detach().cpu().float().clone() for name, tensor in {INPUT: whole, **renamed}.items()}


def their_names(model: DeepImplicitTemplate) -> dict[str, str]:
    """Our names to theirs, for all weights but the two that they keep as one (`INPUT`)."""
    layers = {"template.first": 0, "template.last": model.config.template_layers}
    layers |= {f"template.hidden.{number}": number + 1 for number in range(model.config.template_layers - 1)}
    starts = {f"{ours}.": f"sdf_decoder.lin{number}." for ours, number in layers.items()}
    starts |= {f"warp.{ours}": f"warper.lstm.{theirs}" for ours, theirs in LSTM.items()}
    starts |= {"warp.affine.": "warper.out_layer_coord_affine."}
    names = {}
    for name in model.state_dict():
        for ours, theirs in starts.items():
            if name.startswith(ours):
                renamed = theirs + name.removeprefix(ours)
                for long, short in WEIGHT_NORM.items():
                    renamed = renamed.replace(long, short)
                names[name] = renamed
    return names


def decoder_config(specs: Mapping[str, Any]) -> DeepImplicitTemplateConfig:
    """The sizes that a `specs.json` tells of.

    Raises:
        WeightsError: It tells of another network, of what ours lacks, or leaves something out.
    """
    architecture = specs.get("NetworkArch", ARCHITECTURE)
    if architecture != ARCHITECTURE:
        raise WeightsError(
            f"NetworkArch is {architecture!r}, a decoder that reads the code itself: ours is a template behind a warp "
            f"({ARCHITECTURE}), so that of such an experiment the codes alone can be read"
        )
    warper, decoder = (_part(specs.get("NetworkSpecs"), name) for name in ("warper_kargs", "decoder_kargs"))
    dims, every = _value(decoder, "dims"), list(range(len(_value(decoder, "dims"))))
    normed, weight_norm = list(decoder.get("norm_layers") or []), bool(decoder.get("weight_norm", False))
    dropped = list(decoder.get("dropout") or [])
    refused = {
        "xyz_in_all: its template reads the position in every layer": decoder.get("xyz_in_all", False),
        "use_tanh: its template ends in a second tanh": decoder.get("use_tanh", False),
        "latent_in: its template reads its input again in a later layer": decoder.get("latent_in", ()),
        "weight_norm is false: its template has LayerNorm between its layers": normed and not weight_norm,
        f"dims {dims}: its template's layers are of different widths": len(set(dims)) != 1,
        f"norm_layers {normed}: weight normalisation in some hidden layers alone": normed and sorted(normed) != every,
        f"dropout {dropped}: dropout after some hidden layers alone": dropped and sorted(dropped) != every,
    }
    for what, found in refused.items():
        if found:
            raise WeightsError(f"{what}, which ours does not have")
    sizes = {
        "latent_dim": _value(specs, "CodeLength"),
        "warp_hidden": _value(warper, "hidden_size"),
        "warp_steps": _value(warper, "steps"),
        "template_hidden": dims[0],
        "template_layers": len(dims),
        "dropout": decoder.get("dropout_prob", 0.0) if dropped else 0.0,
        "weight_norm": bool(normed),
    }
    try:
        return validated(DeepImplicitTemplateConfig, sizes)
    except SettingsError as error:
        raise WeightsError(f"specs.json tells of sizes that cannot be: {error}") from error


def decoder_specs(config: DeepImplicitTemplateConfig) -> dict[str, Any]:
    """What a `specs.json` says of our decoder."""
    every = list(range(config.template_layers))
    decoder = {
        "dims": [config.template_hidden] * config.template_layers,
        "dropout": every if config.dropout else [],
        "dropout_prob": config.dropout,
        "norm_layers": every if config.weight_norm else [],
        "xyz_in_all": False,
        "weight_norm": True,  # in the layers that norm_layers names; false would be LayerNorm in them
    }
    warper = {"hidden_size": config.warp_hidden, "steps": config.warp_steps}
    network = {"NetworkArch": ARCHITECTURE, "NetworkSpecs": {"warper_kargs": warper, "decoder_kargs": decoder}}
    return {**network, "CodeLength": config.latent_dim}


def _part(settings: Any, name: str) -> Mapping[str, Any]:
    found = settings.get(name) if isinstance(settings, Mapping) else None
    if not isinstance(found, Mapping):
        raise WeightsError(f"specs.json has no NetworkSpecs.{name}: it is not of {ARCHITECTURE}")
    return found


def _value(settings: Mapping[str, Any], name: str) -> Any:
    if not settings.get(name):
        raise WeightsError(f"specs.json does not say {name}")
    return settings[name]
