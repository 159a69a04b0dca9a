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

from nvc_check.models.codecs.state_file import read_state, reason_of
from nvc_check.models.codecs.topology import Topology, canonical, topology_of
from nvc_check.models.errors import UsageError

if TYPE_CHECKING:
    import torch

    from nvc_check.models.codecs.hyperprior import Hyperprior
    from nvc_check.models.codecs.image import Code, Seen

WEIGHTS: Final = Path(__file__).parents[1] / "weights"
IMAGE_PARTS: Final = frozenset({"g_a", "g_s", "h_a", "h_s"})
VIDEO_PARTS: Final = frozenset(
    f"{part}_{network}" for part in ("img", "motion", "res") for network in ("encoder", "decoder", "hyperprior")
)
State = dict[str, "torch.Tensor"]


class Codec(Protocol):
    """A loaded codec: torch model in float32 and evaluation mode, and how it codes.

    Attributes:
        name: as the package will be called, e.g. `mbt2018-mean@3`.
        kind: `image` or `video`.
        multiple: height and width are padded to multiples of it.
        hyperpriors: part -> hyperprior.
        notes: what a user should know of the file that the weights came from, one line each.
    """

    name: str
    architecture: str
    kind: str
    multiple: int
    model: Any
    hyperpriors: dict[str, Hyperprior]
    notes: tuple[str, ...]

    def frame_graphs(self, native: bool) -> dict[str, Any]:
        """Graph name -> torch module that makes a frame from symbols and means (and the reference frame)."""
        ...

    def analysis_graphs(self) -> dict[str, Any]:
        """Graph name -> AnalysisGraph, as its encoder makes latents, by the names of its parts."""
        ...

    def encode(self, frame: torch.Tensor, reference: torch.Tensor | None, code: Code, seen: Seen = ...) -> torch.Tensor:
        """The reconstruction of `frame`; `code(part, y) -> y_hat` is called for each latent in coding order.

        `seen` is told what each analysis graph would see.
        """
        ...


@dataclass(frozen=True)
class Architecture:
    """A topology that this version exports.

    Attributes:
        make: widths by name -> untrained torch model.
        widths: those that trained weights may choose, as CompressAI has them at the lower qualities.
        pretrained: quality -> torch model; raises what the loader raises.
        default_quality: used when the name has no @QUALITY.
        wrap: (name, architecture, torch model) -> codec.
        parts: words of its state dict's keys; without any of them the weights are another codec's.
    """

    make: Callable[..., Any]
    widths: dict[str, int]
    pretrained: Callable[[int], Any]
    default_quality: int
    wrap: Callable[[str, str, Any], Codec]
    parts: frozenset[str]

    @property
    def topology(self) -> Topology:
        return topology_of(self.make, tuple(self.widths))

    def build(self, state: State | None = None) -> Any:
        """The torch model with these weights loaded, of their widths; without weights, as initialised."""
        return self.make(**self.widths) if state is None else _loaded(self.make(**self.widths_of(state)), state)

    def widths_of(self, state: State) -> dict[str, int]:
        if not self.widths:  # the topology need not be built for that
            return {}
        return self.topology.widths({canonical(key): tuple(value.shape) for key, value in state.items()}, self.widths)


def _relu_small(half: int, quarter: int, eighth: int, M: int, N: int) -> Any:
    from nvc_check.models.codecs.mean_scale_relu import MeanScaleHyperpriorReLU

    return MeanScaleHyperpriorReLU((half, quarter, eighth), M, N)


def _scale_hyperprior(N: int, M: int) -> Any:
    from compressai.models import google

    return google.ScaleHyperprior(N, M)


def _mean_scale_hyperprior(N: int, M: int) -> Any:
    from compressai.models import google

    return google.MeanScaleHyperprior(N, M)


def _ssf_small(width: int) -> Any:
    from nvc_check.models.codecs.ssf_small import ScaleSpaceFlowSmall

    return ScaleSpaceFlowSmall(width)


def _ssf2020() -> Any:
    from compressai.models.video.google import ScaleSpaceFlow

    return ScaleSpaceFlow()


def _loaded(net: Any, state: State) -> Any:
    """`net` with the weights; tables that they lack stay empty: the exporter makes them anew."""
    tables = {name: value for name, value in net.named_buffers() if name not in state}
    net.load_state_dict({**state, **tables})
    return net


def _shipped(name: str) -> Callable[[int], Any]:
    def load(quality: int) -> Any:
        file = WEIGHTS / f"{name}@{quality}.safetensors"
        if not file.is_file():
            there = ", ".join(sorted(p.stem for p in WEIGHTS.glob(f"{name}@*.safetensors"))) or "none yet"
            raise UsageError(f"{name}@{quality}: no such weights are shipped; there are: {there}")
        return ARCHITECTURES[name].build(read_state(file))

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
        from nvc_check.models.codecs.image import ImageCodec

        return ImageCodec(name, architecture, model, has_means)

    return wrap


def _video(name: str, architecture: str, model: Any) -> Codec:
    from nvc_check.models.codecs.video import VideoCodec

    return VideoCodec(name, architecture, model)


ARCHITECTURES: Final[dict[str, Architecture]] = {
    "mbt2018-mean-relu-small": Architecture(
        _relu_small,
        {"half": 32, "quarter": 64, "eighth": 128, "M": 96, "N": 64},
        _shipped("mbt2018-mean-relu-small"),
        1,
        _image(has_means=True),
        IMAGE_PARTS,
    ),
    "bmshj2018-hyperprior": Architecture(
        _scale_hyperprior,
        {"N": 128, "M": 192},
        _compressai_pretrained("bmshj2018-hyperprior"),
        3,
        _image(has_means=False),
        IMAGE_PARTS,
    ),
    "mbt2018-mean": Architecture(
        _mean_scale_hyperprior,
        {"N": 128, "M": 192},
        _compressai_pretrained("mbt2018-mean"),
        3,
        _image(has_means=True),
        IMAGE_PARTS,
    ),
    "ssf-small": Architecture(_ssf_small, {"width": 64}, _shipped("ssf-small"), 2, _video, VIDEO_PARTS),
    "ssf2020": Architecture(_ssf2020, {}, _compressai_pretrained("ssf2020"), 3, _video, VIDEO_PARTS),
}
