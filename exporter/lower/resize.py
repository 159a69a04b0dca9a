"""Resize in integers: nearest neighbour by whole factors, as pixels put together from equal phases."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from nvc_check.exporter.graph_writer import GraphWriter
from nvc_check.exporter.lower.interleave import interleaved
from nvc_check.exporter.lower.site import Site
from nvc_check.exporter.lower.values import Known
from nvc_check.exporter.network.averages import MOST
from nvc_check.exporter.network.geometry import Interleave


def resize(site: Site) -> Known:
    """Nearest neighbour by whole factors: every pixel is in all phases."""
    x = site.first()
    mode = site.attribute("mode", "nearest")
    where = site.attribute("coordinate_transformation_mode", "half_pixel")
    nearest = site.attribute("nearest_mode", "round_prefer_floor")
    for name in ("cubic_coeff_a", "exclude_outside", "extrapolation_value"):
        site.attribute(name, 0)  # of other modes
    if mode != "nearest":
        site.refuse(
            f"mode {mode}, {where}: it interpolates differently on each runtime; expected nearest, linear by one whole"
            f" factor up to {MOST}, half_pixel or asymmetric, or a ConvTranspose"
        )
    if (
        site.attribute("antialias", 0)
        or site.attribute("axes", None) is not None
        or site.attribute("keep_aspect_ratio_policy", "stretch") != "stretch"
    ):
        site.refuse("antialias, axes or keep_aspect_ratio_policy; expected plain scales")
    factors = _factors(site, x)
    for factor, size in zip(factors, x.real[0].shape[2:], strict=True):
        if not _repeats(factor, size, str(where), str(nearest)):
            site.refuse(
                f"{where}, {nearest}: does not repeat each pixel {factor} times; expected asymmetric with floor, or"
                " half_pixel"
            )
    rows, columns = factors
    if rows * columns == 1:
        return x
    by = Interleave((rows, columns), x.channels, (0, 0))

    def write(graph: GraphWriter, value: ir.Value, zero: int) -> ir.Value:
        phases = graph.op("Concat", *[value] * (rows * columns), name=f"{site.name}_phases", axis=1)
        return interleaved(graph, phases, by, site.name)

    return site.moved(x, x.unit, lambda each: each.repeat(rows, 2).repeat(columns, 3), write)


def _factors(site: Site, x: Known) -> tuple[int, int]:
    scales = np.asarray(site.constant(2)).reshape(-1) if site.has(2) else np.zeros(0)
    if scales.size == 0 and site.has(3):
        sizes = np.asarray(site.constant(3)).reshape(-1)
        scales = sizes / np.array(x.real[0].shape) if sizes.size == 4 else scales
    if scales.size != 4 or tuple(scales[:2]) != (1, 1) or any(s != int(s) or not 1 <= s <= MOST for s in scales[2:]):
        site.refuse(f"scales {scales.tolist()}, expected constant ones: 1, 1 and twice a whole number up to {MOST}")
    return int(scales[2]), int(scales[3])


def _repeats(factor: int, size: int, where: str, nearest: str) -> bool:
    """Whether output place i is input place i // factor (ONNX, Resize-19)."""
    i = np.arange(size * factor)
    places = {
        "asymmetric": i / factor,
        "half_pixel": (i + 0.5) / factor - 0.5,
        "half_pixel_symmetric": (i + 0.5) / factor - 0.5,
        "pytorch_half_pixel": (i + 0.5) / factor - 0.5 if size * factor > 1 else 0.0 * i,
    }.get(where)
    if places is None:
        return False
    rounded = {
        "floor": np.floor(places),
        "ceil": np.ceil(places),
        "round_prefer_floor": np.ceil(places - 0.5),
        "round_prefer_ceil": np.floor(places + 0.5),
    }.get(nearest)
    return rounded is not None and bool((np.clip(rounded, 0, size - 1) == i // factor).all())
