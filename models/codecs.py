"""Codecs by name or checkpoint, as torch models in float32 and evaluation mode.

A name is spelled NAME or NAME@QUALITY, with CompressAI's quality numbers (2 means lambda 0.0035 for MSE).
torch and compressai are imported when a codec is loaded, not with this module.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nvc_check.models.errors import ExportRefusedError, UsageError

if TYPE_CHECKING:
    import torch

WEIGHTS: Final = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Architecture:
    """A topology that this version exports.

    Attributes:
        build: state dict -> torch model with the weights loaded.
        pretrained: quality -> torch model; raises what the loader raises.
        default_quality: used when the name has no @QUALITY.
        has_means: whether the hyper-decoder gives means beside scales.
    """

    build: Callable[[dict[str, torch.Tensor]], Any]
    pretrained: Callable[[int], Any]
    default_quality: int
    has_means: bool


@dataclass(frozen=True)
class Codec:
    """A loaded codec: `model` has g_a, g_s, h_a, h_s, entropy_bottleneck and gaussian_conditional."""

    name: str
    architecture: str
    has_means: bool
    model: Any


def _relu_from_state(state: dict[str, torch.Tensor]) -> Any:
    from nvc_check.models.mean_scale_relu import MeanScaleHyperpriorReLU

    widths = tuple(state[f"g_a.{layer}.weight"].shape[0] for layer in (0, 2, 4))
    net = MeanScaleHyperpriorReLU(widths, state["g_a.6.weight"].shape[0], state["h_a.0.weight"].shape[0])  # type: ignore[arg-type]
    return _loaded(net, state)


def _loaded(net: Any, state: dict[str, torch.Tensor]) -> Any:
    """`net` with the weights; tables that they lack stay empty: the exporter makes them anew."""
    tables = {name: value for name, value in net.named_buffers() if name not in state}
    net.load_state_dict({**state, **tables})
    return net


def _relu_pretrained(quality: int) -> Any:
    file = WEIGHTS / f"mbt2018-mean-relu-small@{quality}.safetensors"
    if not file.is_file():
        shipped = ", ".join(sorted(p.stem for p in WEIGHTS.glob("mbt2018-mean-relu-small@*.safetensors")))
        raise UsageError(f"mbt2018-mean-relu-small@{quality}: no such weights are shipped; there are: {shipped}")
    return _relu_from_state(read_state(file))


def _compressai_from_state(model: str) -> Callable[[dict[str, torch.Tensor]], Any]:
    def build(state: dict[str, torch.Tensor]) -> Any:
        from compressai.models import google

        return _loaded(getattr(google, model)(state["g_a.0.weight"].shape[0], state["g_a.6.weight"].shape[0]), state)

    return build


def _compressai_pretrained(name: str) -> Callable[[int], Any]:
    def load(quality: int) -> Any:
        import torch
        from compressai.zoo import image_models

        try:
            # torch.hub announces each download, whatever progress says, on one stream or the other
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                return image_models[name](quality=quality, metric="mse", pretrained=True, progress=False)
        except ValueError as error:
            raise UsageError(f"{name}@{quality}: {error}; expected a quality of 1 to 8") from error
        except OSError as error:
            raise UsageError(
                f"{name}@{quality}: CompressAI could not download its weights ({error});"
                f" fetch them where there is a network and pass the checkpoint file instead of the name"
            ) from error
        except Exception as error:  # pickle, zipfile and torch raise classes of their own
            raise UsageError(
                f"{name}@{quality}: its downloaded weights are not readable ({_reason(error)});"
                f" delete them in {torch.hub.get_dir()}/checkpoints, and they are fetched again"
            ) from error

    return load


ARCHITECTURES: Final[dict[str, Architecture]] = {
    "mbt2018-mean-relu-small": Architecture(_relu_from_state, _relu_pretrained, 2, True),
    "bmshj2018-hyperprior": Architecture(
        _compressai_from_state("ScaleHyperprior"), _compressai_pretrained("bmshj2018-hyperprior"), 3, False
    ),
    "mbt2018-mean": Architecture(
        _compressai_from_state("MeanScaleHyperprior"), _compressai_pretrained("mbt2018-mean"), 3, True
    ),
}


def load_codec(spelled: str) -> Codec:
    """A codec by NAME, NAME@QUALITY or checkpoint file (.safetensors, .pth, .pth.tar, .pt).

    Raises:
        UsageError: no such name, quality or file, or its weights cannot be fetched or read.
        ExportRefusedError: weights of another architecture, or not finite.
    """
    name, _, quality = spelled.partition("@")
    if name in ARCHITECTURES:
        architecture = ARCHITECTURES[name]
        if quality and not quality.isdecimal():
            raise UsageError(f"{spelled}: quality {quality!r}, expected a number as in {name}@3")
        number = int(quality) if quality else architecture.default_quality
        return _checked(f"{name}@{number}", name, architecture.pretrained(number))
    file = Path(spelled)
    if file.is_file():
        state = read_state(file)
        name = _architecture_of(state, spelled)
        try:
            return _checked(file.name.split(".")[0], name, ARCHITECTURES[name].build(state))
        except (RuntimeError, LookupError) as error:
            raise ExportRefusedError(f"{spelled}: does not load as {name} ({_reason(error)})") from error
    known = ", ".join(ARCHITECTURES)
    raise UsageError(
        f"{spelled}: no such file, and no codec that this version exports: {known}, or a checkpoint of one"
    )


def read_state(file: Path) -> dict[str, torch.Tensor]:
    """The state dict in a safetensors file or torch checkpoint, float tensors as float32.

    Raises:
        UsageError: the file is neither.
    """
    import torch
    from safetensors.torch import load

    try:
        if file.suffix == ".safetensors":
            loaded: Any = load(file.read_bytes())
        else:
            loaded = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zipfile, struct, torch and safetensors raise classes of their own
        raise UsageError(
            f"{file}: not readable as safetensors or torch checkpoint ({_reason(error)});"
            " expected .safetensors, .pth, .pth.tar or .pt; is this the right file?"
        ) from error
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise UsageError(f"{file}: holds no state dict of tensors, expected a checkpoint's weights")
    return {k.removeprefix("module."): v.float() if v.is_floating_point() else v for k, v in state.items()}


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:160]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _architecture_of(state: dict[str, torch.Tensor], spelled: str) -> str:
    if not {"g_a.0.weight", "g_s.0.weight", "h_a.0.weight", "h_s.4.weight"} <= state.keys():
        some = ", ".join(sorted(state)[:3]) or "no tensors"
        raise ExportRefusedError(
            f"{spelled}: no codec that this version exports (it has {some}, …); expected {', '.join(ARCHITECTURES)}"
        )
    if "g_a.1.beta" not in state:
        return "mbt2018-mean-relu-small"
    latent, parameters = (state[key].shape[:1] if key in state else () for key in ("g_a.6.weight", "h_s.4.weight"))
    return "mbt2018-mean" if latent and parameters == (2 * latent[0],) else "bmshj2018-hyperprior"


def _checked(name: str, architecture: str, model: Any) -> Codec:
    import torch

    for key, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            bad = int((~torch.isfinite(tensor)).sum())
            raise ExportRefusedError(
                f"{name}: weight {key} has {bad} values that are NaN or infinite, expected finite ones; retrain it"
            )
    return Codec(name, architecture, ARCHITECTURES[architecture].has_means, model.eval())
