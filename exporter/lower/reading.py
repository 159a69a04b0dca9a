"""In which integers a convolution reads a signed tensor: of 8 bits, with weights of 7, or of 7 bits, with weights of 8.

x86 without VNNI saturates where both have 8 bits (see codes). What is lost either way is estimated from the calibration
and the weights, and the form that loses less is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nvc_check.exporter.lower.codes import BYTE, SIGNED, UNSIGNED
from nvc_check.exporter.lower.flavours import Form
from nvc_check.exporter.lower.values import Float64, Known, finest_best, likely_peaks, unit_for
from nvc_check.exporter.network.geometry import Layer
from nvc_check.models.grid import exponent_to_hold

PAIRED = 64  # weights for inputs above 127: two of them times 255 stay below 2^15
WHOLE = 127
NARROW: tuple[Form, ...] = tuple((zero, -zero, UNSIGNED[2] - zero) for zero in (64, 32, 16, 8))
# of the error that rounding each weight by itself makes: what is left of it when the others make up for it
COMPENSATED = 0.2


@dataclass(frozen=True)
class ReadForm:
    """(zero point, low, high) of the integers, and (C,) their units."""

    form: Form
    unit: Float64


def read_form(layer: Layer, x: Known, bits: int, weight_bits: int) -> ReadForm | None:
    """None where nothing is to choose: x is of a byte already, not signed, or of fewer bits; or an input, of which as
    little as possible may saturate.
    """
    if x.zero is not None or x.given or x.low >= 0 or bits < BYTE or weight_bits < BYTE:
        return None
    losses: list[tuple[float, ReadForm]] = []
    for form in (SIGNED, *NARROW):
        zero, low, high = form
        unit = np.maximum(unit_for(likely_peaks(x.real), np.arange(x.channels), high), x.unit)
        errors, unit = finest_best(x.real, unit, low, high)
        largest = WHOLE if zero + high <= WHOLE else PAIRED
        losses.append((_of_activations(layer, errors) + _of_weights(layer, x, unit, largest), ReadForm(form, unit)))
    return min(losses, key=lambda each: each[0])[1]


def _of_activations(layer: Layer, errors: Float64) -> float:
    """The squared error of the sums at one place, from (C,) those of what is read."""
    return float(sum((_energies(part.weight, part.groups) * errors).sum() for part in layer.parts))


def _energies(weight: Float64, groups: int) -> Float64:
    """(C,) the sum of w^2 of each input channel."""
    squares = np.square(weight).sum(axis=(2, 3)).reshape(groups, -1, weight.shape[1])
    energies: Float64 = squares.sum(axis=1).reshape(-1)
    return energies


def _of_weights(layer: Layer, x: Known, unit: Float64, largest: int) -> float:
    """The squared error of the sums at one place, of weights up to `largest` on grids of each output channel."""
    places = sum(each.shape[2] * each.shape[3] for each in x.real)
    power = sum(np.square(each).sum(axis=(0, 2, 3)) for each in x.real) / places / np.exp2(2 * unit)
    error = 0.0
    for part in layer.inputs_scaled(np.exp2(unit)).parts:
        rows = np.abs(part.weight).reshape(part.groups, -1, part.weight[0].size).max(axis=2)
        steps = np.exp2(exponent_to_hold(rows, largest))
        taps = part.weight.shape[2] * part.weight.shape[3]
        read = power.reshape(part.groups, -1).sum(axis=1)
        error += float((np.square(steps).sum(axis=1) / 12 * taps * read).sum())
    return COMPENSATED * error
