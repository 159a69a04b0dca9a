"""Small codecs and the ways in which trainers save them."""

from __future__ import annotations

import argparse
import enum
from collections import defaultdict
from copy import deepcopy
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from compressai.models import google
from compressai.models.video.google import ScaleSpaceFlow

from nvc_check.models.codecs.mean_scale_relu import MeanScaleHyperpriorReLU
from nvc_check.models.codecs.ssf_small import ScaleSpaceFlowSmall

State = dict[str, torch.Tensor]


class Mode(enum.Enum):
    FAST = 1


class Options(dict[str, Any]):
    """A dict with attributes, as several configuration libraries have them."""


def codec(name: str) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        made: Any = {
            "bmshj2018-hyperprior": lambda: google.ScaleHyperprior(8, 12),
            "mbt2018-mean": lambda: google.MeanScaleHyperprior(8, 12),
            "mbt2018-mean-relu-small": lambda: MeanScaleHyperpriorReLU((4, 6, 10), 12, 8),
            "ssf-small": lambda: ScaleSpaceFlowSmall(8),
            "ssf2020": ScaleSpaceFlow,
        }[name]()
    return made


def prefixed(prefix: str, state: State) -> State:
    return {prefix + key: value for key, value in state.items()}


def halved(state: State) -> State:
    """Other weights of the same codec, as an average of weights would be."""
    return {key: value / 2 if value.is_floating_point() else value for key, value in state.items()}


def older(state: State, joint: str) -> State:
    """The entropy bottleneck's keys as CompressAI named them before: `_matrix0`, or with a joint `_matrices.0`."""
    names = {"matrices": "_matrices", "biases": "_biases", "factors": "_factors"}
    if not joint:
        names = {"matrices": "_matrix", "biases": "_bias", "factors": "_factor"}
    renamed = {}
    for key, value in state.items():
        *before, kind, number = ["", *key.split(".")]
        renamed[".".join([*before[1:], f"{names[kind]}{joint}{number}"]) if kind in names else key] = value
    return renamed


def beside() -> dict[str, Any]:
    """What trainers save with the weights: arguments, paths, numbers of NumPy, configurations."""
    options = Options(rate=0.1)
    options.path = PurePosixPath("run")  # type: ignore[attr-defined]
    return {
        "args": argparse.Namespace(lr=1e-4, data=PurePosixPath("photographs"), mode=Mode.FAST),
        "best": np.float64(3.5),
        "losses": np.ones(3),
        "random": np.random.default_rng(0).bit_generator.state,
        "options": options,
        "seen": defaultdict(list, {"a": [1]}),
        "config": SimpleNamespace(device=torch.device("cpu"), dtype=torch.float32),
        "epoch": 3,
    }


def training(net: Any) -> dict[str, Any]:
    """An optimizer that has made a step with a copy of `net`, and its schedule."""
    net = deepcopy(net)
    optimizer = torch.optim.Adam(net.parameters())
    sum(p.sum() for p in net.parameters()).backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    return {"optimizer": optimizer.state_dict(), "lr_scheduler": schedule.state_dict()}


def forms(net: Any) -> dict[str, tuple[Any, str]]:
    """Form -> (what is saved, whose weights are to be read: `own`, or `average` where both are there)."""
    own: State = {key: value.clone() for key, value in net.state_dict().items()}
    average = halved(own)
    parts = sorted({key.split(".")[0] for key in own})
    return {
        "plain": (own, "own"),
        "state_dict": ({"state_dict": own}, "own"),
        "model_state_dict": ({"model_state_dict": own, "epoch": 1}, "own"),
        "net": ({"net": own}, "own"),
        "no name that anyone uses": ({"k7": own}, "own"),
        "nested twice": ({"checkpoint": {"network": {"weights": own}}}, "own"),
        "in a list": ({"models": [own]}, "own"),
        "a dict per part": (
            {part: {key.partition(".")[2]: own[key] for key in own if key.split(".")[0] == part} for part in parts},
            "own",
        ),
        "DataParallel": (prefixed("module.", own), "own"),
        "torch.compile": (prefixed("_orig_mod.", own), "own"),
        "DataParallel of compiled": (prefixed("module._orig_mod.", own), "own"),
        "compiled DataParallel": ({"state_dict": prefixed("_orig_mod.module.", own)}, "own"),
        "compiled parts": ({key.replace(".", "._orig_mod.", 1): value for key, value in own.items()}, "own"),
        "prefix of two words": ({"state_dict": prefixed("model.net.", own)}, "own"),
        "Lightning": (
            {
                "state_dict": {**prefixed("model.", own), "loss.features.0.weight": torch.ones(4, 3, 3, 3)},
                "hyper_parameters": argparse.Namespace(width=8),
                "pytorch-lightning_version": "2.4.0",
            },
            "own",
        ),
        "beside weights": ({"state_dict": own, **beside()}, "own"),
        "optimizers": ({"state_dict": own, **training(net)}, "own"),
        "optimizers in one dict with weights": ({**own, **training(net)}, "own"),
        "EMA": ({"model": own, "model_ema": average}, "average"),
        "EMA first": ({"ema": average, "model": own}, "average"),
        "EMA inside model": ({"model": {"net": own, "ema": {"module": average}}}, "average"),
        "EMA by prefix": (
            {**prefixed("online_model.", own), **prefixed("ema_model.", average), "step": torch.tensor(3)},
            "average",
        ),
        "SWA": (
            {"model": own, "swa_model": {**prefixed("module.", average), "n_averaged": torch.tensor(3)}},
            "average",
        ),
        "EMA that is cut": ({"ema": dict(list(average.items())[:-20]), "model": own}, "own"),
        "a schema is no EMA": ({"model": own, "schema": average}, "own"),
        "parameters alone": (dict(net.named_parameters()), "own"),
        "whole module": (net, "own"),
        "whole module in a dict": ({"net": net, "optimizer": torch.optim.Adam(net.parameters())}, "own"),
        "double": ({key: value.double() if value.is_floating_point() else value for key, value in own.items()}, "own"),
        "CompressAI's names until 1.2.4": (prefixed("module.", older(own, "")), "own"),
        "CompressAI's first names": (older(own, "."), "own"),
    }
