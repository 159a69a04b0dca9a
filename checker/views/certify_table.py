"""Certificates as a person reads them: what fails and its cure first, then each graph, then the targets."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from nvc_check.checker.certify import Certified
from nvc_check.checker.views.plain import harmless
from nvc_check.exporter.certificate.targets import ASSUMPTIONS, TARGETS
from nvc_check.exporter.certificate.verdicts import EXACT, NOT_EXACT, PROVED, Certificate

ROWS = 20
KERNELS = ("integer kernel", "float carrier")
COLOURS = {EXACT: "green", PROVED: "yellow", NOT_EXACT: "red"}


def print_certified(console: Console, certified: Certified) -> None:
    certified = harmless(certified)
    console.print(f"[bold]{certified.source}[/]  target {certified.target}: {TARGETS[certified.target].note}")
    for line in certified.differences or ():
        console.print(f"! stored certificate: {line}", style="red")
    failing = [file for graph in certified.flavours for file in _failing(certified, graph)]
    for file in failing:
        _print_failures(console, certified, file)
    console.print(_summary(certified))
    console.print(_targets(certified))
    for name in certified.assumptions:
        console.print(f"{name}: {ASSUMPTIONS[name]}", style="dim")
    for condition in sorted({text for found in certified.certificates.values() for text in found.conditions}):
        console.print(f"condition: {condition}", style="dim")
    _print_verdict(console, certified)


def _failing(certified: Certified, graph: str) -> list[str]:
    """Files whose failures decide: all of a graph that no flavour serves, and whatever is not exact at all."""
    files, served = certified.flavours[graph], certified.serving(graph, certified.target)
    inexact = [file for file in files if not certified.certificates[file].exact]
    return (inexact if certified.differences is not None else []) if served else files


def _print_failures(console: Console, certified: Certified, file: str) -> None:
    certificate = certified.certificates[file]
    found = list(certificate.failures(certified.target))
    causes = [(node, hazard) for node, hazard in found if hazard.cure]
    table = Table(box=box.SIMPLE_HEAD, title=f"{file}: not exact", title_justify="left", title_style="bold red")
    for name in ("node", "operator", "why", "cure"):
        table.add_column(name, overflow="fold")
    for node, hazard in causes[:ROWS]:
        table.add_row(node.name, node.op_type, hazard.reason, hazard.cure)
    console.print(table)
    more, follow = len(causes) - ROWS, len(found) - len(causes)
    if more > 0:
        console.print(f"{more} more in --json")
    if follow:
        console.print(f"{follow} other nodes only follow one that is not exact", style="dim")


def _summary(certified: Certified) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Graphs", title_justify="left", title_style="bold", pad_edge=False)
    table.add_column("graph", no_wrap=True, overflow="fold")
    for name in ("nodes", "exact", *(f"{kernel}s" for kernel in KERNELS), "largest bound", "of 2^24"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("at node", "operand bits", "assumptions"):
        table.add_column(name)
    for file, certificate in certified.certificates.items():
        table.add_row(file, *_row(certificate))
    return table


def _row(certificate: Certificate) -> list[str]:
    nodes = certificate.nodes
    exact = sum(node.exact for node in nodes)
    kernels = [sum(node.kernel == kernel for node in nodes) for kernel in KERNELS]
    # an integer above 2^24 in front of its Clip is no sum: only what is kept as float32 counts
    products = [node for node in nodes if node.exact and node.kernel in KERNELS]
    worst = max(products, key=lambda node: node.bound, default=None)
    bits = sorted({node.operand_bits for node in nodes if node.operand_bits and "A1" in node.assumptions})
    return [
        str(len(nodes)),
        f"[green]{exact}[/]" if exact == len(nodes) else f"[red]{exact}[/]",
        *map(str, kernels),
        f"{worst.bound:,.0f}" if worst else "",
        f"{100 * worst.bound / 2**24:.2g} %" if worst else "",
        worst.name if worst else "",
        " ".join(bits),
        " ".join(certificate.assumptions),
    ]


def _targets(certified: Certified) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Targets", title_justify="left", title_style="bold", pad_edge=False)
    table.add_column("graph", no_wrap=True, overflow="fold")
    for name in TARGETS:
        table.add_column(name, no_wrap=True)
    for file, certificate in certified.certificates.items():
        cells = []
        for name, verdict in certificate.verdicts.items():
            count = sum(1 for _ in certificate.failures(name)) if verdict == NOT_EXACT else 0
            shown = f"no, {count} node{'s' if count != 1 else ''}" if count else verdict.removeprefix("exact ")
            cells.append(f"[{COLOURS[verdict]}]{shown}[/]")
        table.add_row(file, *cells)
    return table


def _print_verdict(console: Console, certified: Certified) -> None:
    if certified.differences:
        console.print("[bold red]the stored certificate differs from the graphs: export the package again[/]")
    elif certified.differences is not None:
        console.print("stored certificate: agrees with the one computed now")
    verdict = certified.verdict(certified.target)
    for file, found in certified.measured.items():
        console.print(f"{file}: {found.line}", style="red" if found.different else "green")
    served = [file for graph in certified.flavours for file in certified.serving(graph, certified.target)]
    if verdict == PROVED:
        _print_unmeasured(console, certified)
    named = f": {', '.join(served)}" if verdict != NOT_EXACT else ""
    console.print(f"[bold {COLOURS[verdict]}]{verdict} for {certified.target}[/]{named}")


def _print_unmeasured(console: Console, certified: Certified) -> None:
    """The forms that stand between "exact in arithmetic" and "exact", of each graph in its nearest flavour."""
    forms: dict[str, None] = {}
    for graph in certified.flavours:
        served = certified.serving(graph, certified.target)
        found = (certified.certificates[file].unmeasured[certified.target] for file in served)
        forms.update(dict.fromkeys(sorted(found, key=len)[0]))
    console.print(f"proved, but never measured on {certified.target}:")
    for form in list(forms)[:ROWS]:
        console.print(f"  {form}", highlight=False)
    if len(forms) > ROWS:
        console.print(f"  {len(forms) - ROWS} more in --json")
