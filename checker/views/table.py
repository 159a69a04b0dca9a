"""The report as a person reads it: legs, differences, rate, verdict."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from nvc_check.checker.media.difference import IDENTICAL
from nvc_check.checker.report import LegRow, Report, ResultRow, decides
from nvc_check.checker.traces.fidelity import percent
from nvc_check.checker.views.drift_table import drift_tables, flip_table
from nvc_check.checker.views.placement_table import nodes_in_short, placement_lines
from nvc_check.checker.views.plain import harmless

STYLES = {"ok": "green", "unavailable": "yellow", "failed": "red"}
COLOURS = {"identical": "bold green", "different": "bold red", "not compared": "bold yellow"}


def print_report(console: Console, report: Report) -> None:
    report = harmless(report)
    console.print(package_line(report))
    console.print(_legs(report.legs))
    for reason in sorted({leg.reason for leg in report.legs if leg.reason}):
        console.print(f"! {reason}", style="yellow")
    for line in placement_lines(report.legs):
        console.print(line, style="yellow")
    for path in ("fp32", "int"):
        rows = [row for row in report.results if row.path == path]
        if rows:
            console.print(_results(path, rows))
    for table in (*drift_tables(report), flip_table(report)):
        if table is not None:
            console.print(table)
    for line in _rate(report):
        console.print(line)
    if report.fidelity or report.clipped:
        console.print(_fidelity(report))
    for path in ("fp32", "int"):
        _print_verdict(console, report, path)
    print_warnings(console, report)
    if report.assumptions and report.package.exact:
        asked = " ".join(report.assumptions)
        console.print(f"certified for runtimes that keep {asked}; nvc-check certify spells them out", style="dim")


def print_warnings(console: Console, report: Report) -> None:
    for line in report.warnings:
        console.print(f"! {line}", style="yellow")


def package_line(report: Report) -> str:
    package = report.package
    exactness = "" if package.exact else " [red]marked inexact: ordinary scales[/]"
    return (
        f"[bold]{package.name}[/]  {package.precision}, scope {package.scope}, package {package.digest[:12]}{exactness}"
    )


def _legs(legs: list[LegRow]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Legs", title_justify="left", title_style="bold", pad_edge=False)
    for name in ("leg", "path", "engine", "device", "nodes that ran", "status"):
        table.add_column(name)
    for name in ("values compared", "seconds"):
        table.add_column(name, justify="right")
    for leg in legs:
        engine = f"{leg.engine} {leg.version.split('-')[0]}".strip()
        seconds = f"{leg.seconds:.2f}" if leg.status == "ok" and leg.seconds else "-"  # traces have none
        status = f"[{STYLES[leg.status]}]{leg.status}[/]"
        table.add_row(
            leg.name, leg.path, engine, leg.device or "-", nodes_in_short(leg), status, f"{leg.compared:,}", seconds
        )
    return table


def _results(path: str, results: list[ResultRow]) -> Table:
    title = f"{path} path: what differs"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    for name in ("leg", "against", "tensor"):
        table.add_column(name, no_wrap=True, overflow="fold")
    for name in ("values", "differ", "%", "largest", "PSNR dB", "first at"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("what it is", no_wrap=True)
    before = ""
    for row in sorted(results, key=lambda row: row.leg):
        table.add_row(
            "" if row.leg == before else row.leg,
            row.reference,
            row.tensor,
            f"{row.values:,}" if row.values else "",
            _differ(row),
            percent(row.mismatched, row.values) if row.mismatched and row.values else "",
            _largest(row),
            _psnr(row),
            f"{row.first.frame}:{row.first.index}" if row.first else "",
            f"[red]{row.failure}[/]" if row.failure else "[green]identical[/]",
        )
        before = row.leg
    return table


def _differ(row: ResultRow) -> str:
    if row.mismatched is None:
        return f"{row.frames_different}/{row.frames} frames"
    return f"{row.mismatched:,}"


def _largest(row: ResultRow) -> str:
    """Integers in steps of their grid; floats in their unit, and in float32 steps (ULP)."""
    if not row.max_abs:
        return ""
    if row.max_ulp is None:
        return f"{row.max_abs:.0f} step{'s' if row.max_abs != 1 else ''}"
    return f"{row.max_abs:.1e} {_short(row.max_ulp)} ULP"


def _short(count: int) -> str:
    """1234567 -> 1.2M: near zero a float32 step is tiny, so ULP counts grow large."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return str(count)


def _psnr(row: ResultRow) -> str:
    if row.psnr_mean is None:
        return ""
    return "same" if row.psnr_mean >= IDENTICAL else f"{row.psnr_mean:.1f}"


def _rate(report: Report) -> list[str]:
    by_path = {row.path: row for row in report.rate}
    if len(by_path) < 2:
        return []
    fp32, integer = by_path["fp32"], by_path["int"]
    change = 100 * (integer.bits / fp32.bits - 1)
    return [
        f"Rate: the {report.package.precision} {report.package.scope} costs {change:+.2f} % bits"
        f" ({fp32.bits_per_pixel:.4f} to {integer.bits_per_pixel:.4f} bpp) at {integer.psnr - fp32.psnr:+.3f} dB"
        f" ({fp32.psnr:.2f} to {integer.psnr:.2f} dB)"
    ]


def _fidelity(report: Report) -> Table:
    """Outputs by their distance from FP32, inputs by what was clipped of them."""
    title = "Fidelity: the integer path against FP32 on this input"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    for name in ("tensor", "against"):
        table.add_column(name, no_wrap=True, overflow="fold")
    near = ("dB here", "dB at calibration") if report.fidelity else ()  # a codec's are in its rate
    for name in ("values", *near, "clipped", "% clipped"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in report.fidelity:
        here, before = _decibels(row.snr_db), _decibels(row.calibration_db)
        table.add_row(row.tensor, row.reference, f"{row.values:,}", here, before, "", "")
    for entry in report.clipped:
        share = percent(entry.clipped, entry.values) if entry.values else ""
        table.add_row(f"input {entry.input}", "", f"{entry.values:,}", *("" for _ in near), f"{entry.clipped:,}", share)
    return table


def _decibels(value: float | None) -> str:
    if value is None:
        return "-"
    return "same" if value >= IDENTICAL else f"{value:.1f}"


def _print_verdict(console: Console, report: Report, path: str) -> None:
    verdict = getattr(report.verdict, path)
    rows = [row for row in report.results if row.path == path and decides(path, row.tensor, report.package.scope)]
    legs = sorted({row.leg for row in rows})
    line = f"[{COLOURS[verdict]}]{path}: {verdict}[/]"
    if verdict == "not compared":
        console.print(f"{line}: no leg gave tensors to compare")
        return
    compared = f"{sum(row.values for row in rows):,} values on {', '.join(legs)}"
    if verdict == "identical":
        console.print(f"{line}: 0 of {compared} differ")
    elif any(row.mismatched is None for row in rows):
        differing = sorted({row.leg for row in rows if row.frames_different})
        console.print(f"{line} on {', '.join(differing)}; record with --tensors to see by how much")
    else:
        flips = sum(row.index_flips or 0 for row in rows)
        different = sum(row.mismatched or 0 for row in rows)
        console.print(f"{line}: {different:,} of {compared} differ, index flips: {flips:,}")
