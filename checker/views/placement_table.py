"""The placement audit as a person reads it."""

from __future__ import annotations

from collections import Counter

from nvc_check.checker.report import LegRow

NAMED_AT_MOST = 8


def nodes_in_short(leg: LegRow) -> str:
    """`9 integer, 28 carrier` and, where nodes ran elsewhere, `, 5 fell back`."""
    if leg.placement is None:
        return "-"
    kinds = Counter[str]()
    for count in leg.placement.counts:
        kinds[count.kind] += count.nodes
    parts = [f"{kinds[kind]} {kind}" for kind in ("integer", "carrier", "float", "compiled") if kinds[kind]]
    if leg.placement.fell_back:
        parts.append(f"[red]{len(leg.placement.fell_back)} fell back[/]")
    return ", ".join(parts) or "not told"


def placement_lines(legs: list[LegRow]) -> list[str]:
    """Of legs whose nodes fell back: which ones."""
    lines = []
    for leg in legs:
        fell_back = leg.placement.fell_back if leg.placement else []
        if fell_back and leg.status == "ok":
            more = f" and {len(fell_back) - NAMED_AT_MOST} more" if len(fell_back) > NAMED_AT_MOST else ""
            named = ", ".join(fell_back[:NAMED_AT_MOST])
            lines.append(f"! {leg.name}, {leg.path}: {len(fell_back)} nodes fell back: {named}{more}")
    return lines
