"""The one comparator: what legs gave for a frame, live or from traces, counted against the first that gave it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvc_check.checker.media.difference import Difference
from nvc_check.checker.report import (
    FidelityRow,
    First,
    FrameRow,
    LegRow,
    PackageRow,
    Report,
    ResultRow,
    VerdictRow,
    decides,
    exit_code_of,
    failure_of,
    verdict_of,
    with_compared,
)
from nvc_check.checker.traces.fidelity import clipped_rows, rate_rows, warnings_of
from nvc_check.models.artifacts.symbols import FrameInfo

REFERENCE = {"int": "exact", "fp32": "torch"}
FrameObserver = Callable[[str, str, str, int, FrameInfo, Any, Any], None]
"""Called as (path, leg, reference, frame number, info, frame, reference's frame), both (3, H, W) in [0, 1]."""


@dataclass(frozen=True)
class Given:
    """A tensor that a leg gave for one frame.

    Attributes:
        read: gives the tensor; None where only its digest was kept.
        sha256: its digest, "" of a leg that has just run: comparing costs less than digesting.
    """

    shape: tuple[int, ...]
    read: Callable[[], NDArray[Any] | None]
    sha256: str = ""

    @classmethod
    def of(cls, tensor: NDArray[Any]) -> Given:
        return cls(tensor.shape, lambda: tensor)

    @property
    def values(self) -> int:
        return prod(self.shape)


@dataclass
class Comparator:
    """Grows by a few numbers a frame. `differences`: (path, leg, reference, tensor) -> what differed."""

    scope: str
    observer: FrameObserver | None = None
    differences: dict[tuple[str, str, str, str], Difference] = field(default_factory=dict)

    def frame(
        self, path: str, number: int, info: FrameInfo, legs: Iterable[tuple[str, Mapping[str, Given]]]
    ) -> dict[str, tuple[str, Given]]:
        """Counts one frame of `path`, and gives the references: tensor -> (leg, what it gave).

        Compared is the union of what the legs give: a tensor in scope that one of two legs leaves out is different.
        `legs` is walked once, so that each may decode when its turn comes; only references are held longer.
        """
        references: dict[str, tuple[str, Given]] = {}
        earlier: list[str] = []
        for leg, given in legs:
            self._leg(path, number, info, leg, given, references, earlier)
            earlier.append(leg)
            del given  # before the next leg decodes
        return references

    def _leg(
        self,
        path: str,
        number: int,
        info: FrameInfo,
        leg: str,
        given: Mapping[str, Given],
        references: dict[str, tuple[str, Given]],
        earlier: list[str],
    ) -> None:
        for tensor, found in given.items():
            reference, expected = references.setdefault(tensor, (leg, found))
            if reference != leg:
                self._add((path, leg, reference, tensor), number, info, found, expected)
                continue
            for other in earlier:
                self._add_missing((path, other, leg, tensor), number, found)
        for tensor, (reference, expected) in references.items():
            if tensor not in given:
                self._add_missing((path, leg, reference, tensor), number, expected)

    def _of(self, key: tuple[str, str, str, str]) -> Difference:
        return self.differences.setdefault(key, Difference())

    def _add_missing(self, key: tuple[str, str, str, str], number: int, given: Given) -> None:
        if decides(key[0], key[-1], self.scope):
            self._of(key).add_missing(number, given.values)

    def _add(
        self, key: tuple[str, str, str, str], number: int, info: FrameInfo, found: Given, expected: Given
    ) -> None:  # fmt: skip
        path, leg, reference, tensor = key
        difference = self._of(key)
        if found.sha256 and (found.sha256, found.shape) == (expected.sha256, expected.shape):
            difference.add_identical(number, expected.values, shown=tensor == "frame")
            return
        ours, theirs = found.read(), expected.read()
        if ours is None or theirs is None:
            difference.add_unread(expected.values)
            return
        difference.add(number, ours, theirs)
        if tensor == "frame" and ours.shape == theirs.shape:
            shown, wanted = (picture(frame, info.height, info.width) for frame in (ours, theirs))
            difference.add_picture(shown, wanted)
            if self.observer is not None:
                self.observer(path, leg, reference, number, info, shown, wanted)

    def report(
        self,
        package: PackageRow,
        symbols: dict[str, str],
        frames: Sequence[FrameInfo],
        legs: list[LegRow],
        fidelity: list[FidelityRow],
        *,
        seconds: float = 0.0,
        strict: bool = False,
    ) -> Report:
        """All that was counted, and what it means. `legs`: one row for each path of each."""
        results = [result_row(*key, difference) for key, difference in self.differences.items()]
        legs, clipped = with_compared(legs, results), clipped_rows(frames)
        verdict = VerdictRow(fp32=verdict_of(results, "fp32", self.scope), int=verdict_of(results, "int", self.scope))
        return Report(
            package=package,
            symbols=symbols,
            legs=legs,
            results=results,
            rate=rate_rows(frames),
            fidelity=fidelity,
            clipped=clipped,
            warnings=warnings_of(fidelity, clipped, frames),
            verdict=verdict,
            seconds=round(seconds, 3),
            exit_code=exit_code_of(verdict, legs, strict),
        )


def picture(frame: NDArray[Any], height: int, width: int) -> NDArray[np.float32]:
    """(3, H, W) in [0, 1]: what is shown of a padded frame; float32 has peak 1, unclamped, int32 has peak 255."""
    shown = frame[0, :, :height, :width]
    if shown.dtype == np.int32:
        return shown.astype(np.float32) / np.float32(255)
    return np.clip(shown, 0, 1)


def result_row(path: str, leg: str, reference: str, tensor: str, difference: Difference) -> ResultRow:
    """Without counts where some frame's digests differ and a side kept no tensors."""
    rows, counted = difference.by_frame, not difference.unread
    first = First(frame=difference.first[0], index=difference.first[1]) if difference.first else None
    quality = [row.psnr for row in rows if row.psnr is not None and row.mismatched]
    quality = quality or [row.psnr for row in rows if row.psnr is not None]  # of identical frames where all are
    different = difference.unread + sum(1 for row in rows if row.mismatched)
    indexes = tensor.endswith("indexes") and not difference.missing
    return ResultRow(
        path=path,
        leg=leg,
        reference=reference,
        tensor=tensor,
        frames=len(rows) + difference.unread,
        frames_different=different,
        values=difference.values,
        mismatched=difference.mismatched if counted else None,
        max_abs=max(row.max_abs for row in rows) if counted else None,
        max_ulp=difference.max_ulp if counted else None,
        index_flips=(difference.mismatched if counted else None) if indexes else 0,
        first=first if counted else None,
        psnr_mean=float(np.mean(quality)) if quality and counted else None,
        psnr_min=min(quality) if quality and counted else None,
        failure=failure_of(path, tensor, different > 0, missing=difference.missing),
        by_frame=[FrameRow(**vars(row)) for row in rows] if counted else [],
    )
