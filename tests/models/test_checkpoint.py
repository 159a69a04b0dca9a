"""Checkpoints as people save them: the same weights come out of every form, bit for bit, and no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from models.checkpoints import codec, forms, halved, prefixed
from safetensors.torch import save_file

from nvc_check.models.codecs.checkpoint import read_weights
from nvc_check.models.codecs.loading import load_codec

IMAGE = "bmshj2018-hyperprior"
FORMS = sorted(forms(codec(IMAGE)))


def same_weights(model: Any, expected: dict[str, torch.Tensor]) -> None:
    for key, parameter in model.named_parameters():
        assert torch.equal(parameter, expected[key]), key


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_weights_that_were_saved(form: str, tmp_path: Path) -> None:
    net = codec(IMAGE)
    saved, whose = forms(net)[form]
    expected = {key: value.clone() for key, value in net.state_dict().items()}
    torch.save(saved, tmp_path / "weights.pth")
    loaded = load_codec(str(tmp_path / "weights.pth"))
    assert (loaded.architecture, loaded.name) == (IMAGE, "weights")
    same_weights(loaded.model, halved(expected) if whose == "average" else expected)


@pytest.mark.parametrize("name", ["mbt2018-mean", "mbt2018-mean-relu-small", "ssf-small", "ssf2020"])
@pytest.mark.parametrize("form", ["Lightning", "EMA inside model", "compiled parts"])
def test_every_codec_is_recognised_in_every_form(name: str, form: str, tmp_path: Path) -> None:
    net = codec(name)
    saved, whose = forms(net)[form]
    expected = {key: value.clone() for key, value in net.state_dict().items()}
    torch.save(saved, tmp_path / "weights.ckpt")
    loaded = load_codec(str(tmp_path / "weights.ckpt"))
    assert loaded.architecture == name
    same_weights(loaded.model, halved(expected) if whose == "average" else expected)


@pytest.mark.parametrize("form", ["state_dict", "beside weights", "EMA"])
def test_files_of_old_torch_are_read_alike(form: str, tmp_path: Path) -> None:
    net = codec(IMAGE)
    saved, whose = forms(net)[form]
    expected = net.state_dict()
    torch.save(saved, tmp_path / "weights.pth.tar", _use_new_zipfile_serialization=False)
    same_weights(
        load_codec(str(tmp_path / "weights.pth.tar")).model, halved(expected) if whose == "average" else expected
    )


@pytest.mark.parametrize("file", ["weights.safetensors", "weights.bin"])
def test_safetensors_are_known_by_content(file: str, tmp_path: Path) -> None:
    net = codec(IMAGE)
    save_file(prefixed("model.", {key: p.detach().contiguous() for key, p in net.named_parameters()}), tmp_path / file)
    same_weights(load_codec(str(tmp_path / file)).model, net.state_dict())


@pytest.mark.parametrize("cast", [torch.Tensor.half, torch.Tensor.bfloat16])
def test_narrow_floats_are_widened(cast: Callable[[torch.Tensor], torch.Tensor], tmp_path: Path) -> None:
    narrow = {key: cast(p.detach()) for key, p in codec(IMAGE).named_parameters()}
    torch.save(narrow, tmp_path / "weights.pth")
    same_weights(load_codec(str(tmp_path / "weights.pth")).model, {key: value.float() for key, value in narrow.items()})


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ("EMA", ("weights: model_ema (averaged), not model",)),
        ("EMA inside model", ("weights: model/ema (averaged), not model/net",)),
        ("EMA by prefix", ("weights: ema_model (averaged), not online_model",)),
        ("a schema is no EMA", ("weights: model, not schema",)),
        ("Lightning", ()),
        ("plain", ()),
    ],
)
def test_where_there_are_several_it_is_said_which_were_taken(form: str, says: tuple[str, ...], tmp_path: Path) -> None:
    torch.save(forms(codec(IMAGE))[form][0], tmp_path / "weights.pth")
    assert load_codec(str(tmp_path / "weights.pth")).notes == says


def test_an_average_that_does_not_fit_is_said_to_be_left_out(tmp_path: Path) -> None:
    torch.save(forms(codec(IMAGE))["EMA that is cut"][0], tmp_path / "weights.pth")
    (note,) = read_weights(tmp_path / "weights.pth").notes
    assert note.startswith("weights: model, not ema (")
    assert "weights missing" in note


def test_what_contains_itself_ends(tmp_path: Path) -> None:
    saved: dict[str, Any] = {"model": codec(IMAGE).state_dict()}
    saved["again"] = saved
    torch.save(saved, tmp_path / "weights.pth")
    assert read_weights(tmp_path / "weights.pth").notes == ()


def test_what_libraries_register_with_torch_stays_registered(tmp_path: Path) -> None:
    torch.save(codec(IMAGE).state_dict(), tmp_path / "weights.pth")
    with torch.serialization.safe_globals([Path]):
        before = set(torch.serialization.get_safe_globals())
        read_weights(tmp_path / "weights.pth")
        assert set(torch.serialization.get_safe_globals()) == before
