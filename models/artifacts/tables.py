"""Frozen entropy tables of one part, scale-to-index, and the bits that symbols cost.

The tables are CompressAI's (16-bit CDFs, an escape symbol at the end of each), made once at export.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Int32 = NDArray[np.int32]
Float32 = NDArray[np.float32]

PRECISION = 16  # bits of a CDF, as in CompressAI's rANS coder
BYPASS = 4  # bits per escape digit, as there
SCALES_MIN, SCALES_MAX, SCALES = 0.11, 256, 64  # CompressAI's get_scale_table()


@dataclass(frozen=True)
class Tables:
    """CDF tables of y (one per scale index) and z (one per channel), and the scale thresholds.

    Attributes:
        scale_thresholds: (63,) float32; index = count of thresholds below the scale.
        integer_thresholds: (63,) int32 on the grid of the manifest: floor(threshold / 2^e).
        y_cdf, z_cdf: (tables, longest) int32, cumulative frequencies that end at 65536.
        y_length, z_length: (tables,) int32, used entries of each row.
        y_offset, z_offset: (tables,) int32, the symbol that entry 0 stands for.
    """

    scale_thresholds: Float32
    integer_thresholds: Int32
    y_cdf: Int32
    y_length: Int32
    y_offset: Int32
    z_cdf: Int32
    z_length: Int32
    z_offset: Int32

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Tables:
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    @classmethod
    def read(cls, arrays: dict[str, NDArray[Any]]) -> Tables:
        """As `from_arrays`, of a file of somebody's; raises KeyError or ValueError where these are no such tables."""
        tables = cls.from_arrays(arrays)
        for name in (field.name for field in fields(cls)):
            array = getattr(tables, name)
            expected = np.float32 if name == "scale_thresholds" else np.int32
            if array.dtype != expected or array.ndim != (2 if name.endswith("_cdf") else 1):
                raise ValueError(f"{name} is {array.dtype} of {array.ndim} dimensions")
        if tables.scale_thresholds.shape != tables.integer_thresholds.shape:
            raise ValueError("thresholds of two lengths")
        for cdf, length, offset in (
            (tables.y_cdf, tables.y_length, tables.y_offset),
            (tables.z_cdf, tables.z_length, tables.z_offset),
        ):
            if not (len(cdf) == len(length) == len(offset)) or not ((length >= 2) & (length <= cdf.shape[1])).all():
                raise ValueError(f"{len(cdf)} tables, {len(length)} lengths and {len(offset)} offsets that do not fit")
        return tables

    def y_bits(self, symbols: Int32, indexes: Int32) -> float:
        """Bits of latents (any shape) coded with the tables `indexes` (same shape), escapes included."""
        return _bits(symbols.ravel(), indexes.ravel(), self.y_cdf, self.y_length, self.y_offset)

    def z_bits(self, symbols: Int32) -> float:
        """Bits of hyper-latents (1, N, h, w): channel c is coded with table c."""
        channels = np.broadcast_to(np.arange(symbols.shape[1]).reshape(1, -1, 1, 1), symbols.shape)
        return _bits(symbols.ravel(), channels.ravel(), self.z_cdf, self.z_length, self.z_offset)


def scale_table() -> Float32:
    """(64,) CompressAI's, ascending; the thresholds are all but the last."""
    table: Float32 = np.exp(np.linspace(np.log(SCALES_MIN), np.log(SCALES_MAX), SCALES)).astype(np.float32)
    return table


def integer_thresholds(thresholds: Float32, exponent: int) -> Int32:
    """Of scales that are integers in steps of 2^exponent: floor(threshold / 2^exponent)."""
    steps: Int32 = np.floor(np.ldexp(thresholds.astype(np.float64), -exponent)).astype(np.int32)
    return steps


def indexes_from_scales(scales_hat: Float32, thresholds: Float32) -> Int32:
    """Number of thresholds (ascending, float32) below each scale; CompressAI's build_indexes, same shape, int32."""
    return np.searchsorted(thresholds, scales_hat, side="left").astype(np.int32)


def _bits(values: Int32, rows: NDArray[Any], cdf: Int32, length: Int32, offset: Int32) -> float:
    """-log2 of the table frequencies, plus CompressAI's escape code: count of 4-bit digits in unary groups, digits."""
    coded = values.astype(np.int64) - offset[rows]
    escape = length[rows].astype(np.int64) - 2
    below, above = coded < 0, coded >= escape
    entry = np.where(below | above, escape, coded)
    frequency = cdf[rows, entry + 1] - cdf[rows, entry]
    bits = float(np.sum(PRECISION - np.log2(frequency)))
    raw = np.concatenate([-2 * coded[below] - 1, 2 * (coded[above] - escape[above])])
    digits = np.ceil(np.log2(raw + 1.0) / BYPASS)
    return bits + float(np.sum(BYPASS * (digits // 15 + 1 + digits)))
