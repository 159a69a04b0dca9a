"""A sweep as a person reads it: which knob changes bits."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from nvc_check.checker.report import Report, SweepPath, SweepRow
from nvc_check.checker.views.plain import harmless
from nvc_check.checker.views.table import package_line, print_warnings


def print_sweep(console: Console, report: Report) -> None:
    report = harmless(report)
    rows = report.sweep or []
    console.print(package_line(report))
    title = f"Sweep of {report.results[0].reference if report.results else report.legs[0].name}: one knob at a time"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    for name in ("knob", "value", "fp32", "int"):
        table.add_column(name)
    before = ""
    for row in rows:
        table.add_row("" if row.knob == before else row.knob, row.value, _said(row.fp32), _said(row.int))
        before = row.knob
    console.print(table)
    for row in rows:
        if row.reason:
            console.print(f"! {row.reason}", style="yellow")
    for path in ("fp32", "int"):
        console.print(_conclusion(path, rows))
    print_warnings(console, report)


def _said(path: SweepPath) -> str:
    if path.verdict == "not compared":
        return "[yellow]not run[/]"
    if path.verdict == "identical":
        return f"[green]identical[/] ({path.values:,} values)"
    flips = f", {path.index_flips:,} index flips" if path.index_flips else ""
    return f"[red]{path.mismatched:,} of {path.values:,} differ[/]{flips}"


def _conclusion(path: str, rows: list[SweepRow]) -> str:
    """Per knob: it changes bits, it does not, or no value of it ran."""
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row.knob, set()).add(getattr(row, path).verdict)
    changing = [knob for knob, verdicts in found.items() if "different" in verdicts]
    steady = [knob for knob, verdicts in found.items() if verdicts == {"identical"}]
    parts = [
        f"[bold red]bits change with {', '.join(changing)}[/]" if changing else "",
        f"[bold green]no change with {', '.join(steady)}[/]" if steady else "",
    ]
    partly = [knob for knob in found if knob not in changing and knob not in steady]
    if partly:
        parts.append(f"[bold yellow]not all values ran: {', '.join(partly)}[/]")
    return f"{path}: {'; '.join(part for part in parts if part)}"
