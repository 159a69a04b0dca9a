"""The topologies that this version exports: how to build each from weights, and where its trained weights are.

torch and compressai are imported when a codec is built, not with this module.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from nvc_check.models.errors import UsageError
from nvc_check.models.state_file import read_state, reason_of

if TYPE_CHECKING:
    import torch

    from nvc_check.models.hyperprior import Hyperprior
    from nvc_check.models.image_codec import Code

WEIGHTS: Final = Path(__file__).parent / "weights"
State = dict[str, "torch.Tensor"]


class Codec(Protocol):
    """A loaded codec: torch model in float32 and evaluation mode, and how it codes.

    Attributes:
        name: as the package will be called, e.g. `mbt2018-mean@3`.
        kind: `image` or `video`.
        multiple: height and width are padded to multiples of it.
        hyperpriors: part -> hyperprior.
    """

    name: str
    architecture: str
    kind: str
    multiple: int
    model: Any
    hyperpriors: dict[str, Hyperprior]

    def frame_graphs(self, native: bool) -> dict[str, Any]:
        """Graph name -> torch module that makes a frame from symbols and means (and the reference frame)."""
        ...

    def encode(self, frame: torch.Tensor, reference: torch.Tensor | None, code: Code) -> torch.Tensor:
        """The reconstruction of `frame`; `code(part, y) -> y_hat` is called for each latent in coding order."""
        ...


@dataclass(frozen=True)
class Architecture:
    """A topology that this version exports.

    Attributes:
        build: state dict -> torch model with the weights loaded; without one, as initialised at full width.
        pretrained: quality -> torch model; raises what the loader raises.
        default_quality: used when the name has no @QUALITY.
        wrap: (name, architecture, torch model) -> codec.
    """

    build: Callable[..., Any]
    pretrained: Callable[[int], Any]
    default_quality: int
    wrap: Callable[[str, str, Any], Codec]


def _relu_small(state: State | None = None) -> Any:
    from nvc_check.models.mean_scale_relu import MeanScaleHyperpriorReLU

    if state is None:
        return MeanScaleHyperpriorReLU()
    widths = (len(state["g_a.0.weight"]), len(state["g_a.2.weight"]), len(state["g_a.4.weight"]))
    return _loaded(MeanScaleHyperpriorReLU(widths, len(state["g_a.6.weight"]), len(state["h_a.0.weight"])), state)


def _scale_hyperprior(state: State | None = None) -> Any:
    from compressai.models import google

    return _loaded(google.ScaleHyperprior(*_widths(state)), state)


def _mean_scale_hyperprior(state: State | None = None) -> Any:
    from compressai.models import google

    return _loaded(google.MeanScaleHyperprior(*_widths(state)), state)


def _ssf_small(state: State | None = None) -> Any:
    from nvc_check.models.ssf_small import ScaleSpaceFlowSmall

    return _loaded(ScaleSpaceFlowSmall(len(state["img_encoder.0.weight"]) if state else 64), state)


def _ssf2020(state: State | None = None) -> Any:
    from compressai.models.video.google import ScaleSpaceFlow

    return _loaded(ScaleSpaceFlow(), state)


def _widths(state: State | None) -> tuple[int, int]:
    """N and M of CompressAI's hyperpriors; its own at the lower qualities where there are no weights."""
    return (len(state["g_a.0.weight"]), len(state["g_a.6.weight"])) if state else (128, 192)


def _loaded(net: Any, state: State | None) -> Any:
    """`net` with the weights, if any; tables that they lack stay empty: the exporter makes them anew."""
    if state is None:
        return net
    tables = {name: value for name, value in net.named_buffers() if name not in state}
    net.load_state_dict({**state, **tables})
    return net


def _shipped(name: str, build: Callable[[State], Any]) -> Callable[[int], Any]:
    def load(quality: int) -> Any:
        file = WEIGHTS / f"{name}@{quality}.safetensors"
        if not file.is_file():
            there = ", ".join(sorted(p.stem for p in WEIGHTS.glob(f"{name}@*.safetensors"))) or "none yet"
            raise UsageError(f"{name}@{quality}: no such weights are shipped; there are: {there}")
        return build(read_state(file))

    return load


def _compressai_pretrained(name: str) -> Callable[[int], Any]:
    def load(quality: int) -> Any:
        import torch
        from compressai import zoo

        try:
            # torch.hub announces each download, whatever progress says, on one stream or the other
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                return getattr(zoo, name.replace("-", "_"))(
                    quality=quality, metric="mse", pretrained=True, progress=False
                )
        except ValueError as error:
            raise UsageError(f"{name}@{quality}: {error}; expected a quality of 1 to 8 (ssf2020: 9)") from error
        except OSError as error:
            raise UsageError(
                f"{name}@{quality}: CompressAI could not download its weights ({error});"
                f" fetch them where there is a network and pass the checkpoint file instead of the name"
            ) from error
        except Exception as error:  # pickle, zipfile and torch raise classes of their own
            raise UsageError(
                f"{name}@{quality}: its downloaded weights are not readable ({reason_of(error)});"
                f" delete them in {torch.hub.get_dir()}/checkpoints, and they are fetched again"
            ) from error

    return load


def _image(has_means: bool) -> Callable[[str, str, Any], Codec]:
    def wrap(name: str, architecture: str, model: Any) -> Codec:
        from nvc_check.models.image_codec import ImageCodec

        return ImageCodec(name, architecture, model, has_means)

    return wrap


def _video(name: str, architecture: str, model: Any) -> Codec:
    from nvc_check.models.video_codec import VideoCodec

    return VideoCodec(name, architecture, model)


ARCHITECTURES: Final[dict[str, Architecture]] = {
    "mbt2018-mean-relu-small": Architecture(
        _relu_small, _shipped("mbt2018-mean-relu-small", _relu_small), 1, _image(has_means=True)
    ),
    "bmshj2018-hyperprior": Architecture(
        _scale_hyperprior, _compressai_pretrained("bmshj2018-hyperprior"), 3, _image(has_means=False)
    ),
    "mbt2018-mean": Architecture(
        _mean_scale_hyperprior, _compressai_pretrained("mbt2018-mean"), 3, _image(has_means=True)
    ),
    "ssf-small": Architecture(_ssf_small, _shipped("ssf-small", _ssf_small), 2, _video),
    "ssf2020": Architecture(_ssf2020, _compressai_pretrained("ssf2020"), 3, _video),
}


def architecture_of(state: State) -> str | None:
    """The name of the topology that these weights are of, or None."""
    if "img_encoder.0.weight" in state:
        return "ssf2020" if len(state["img_encoder.0.weight"]) == 128 else "ssf-small"
    if not {"g_a.0.weight", "g_s.0.weight", "h_a.0.weight", "h_s.4.weight"} <= state.keys():
        return None
    if "g_a.1.beta" not in state:
        return "mbt2018-mean-relu-small"
    latent, parameters = (state[key].shape[:1] if key in state else () for key in ("g_a.6.weight", "h_s.4.weight"))
    return "mbt2018-mean" if latent and parameters == (2 * latent[0],) else "bmshj2018-hyperprior"
