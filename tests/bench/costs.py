"""What a package of a codec costs, by the two commands that a user gives: export, compare."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("nvc-check"))


@dataclass(frozen=True)
class Costs:
    """Of the integer path against FP32.

    Attributes:
        bits: percent more.
        decibels: PSNR more.
        values, differ: compared on all legs, and different from the oracle's.
        speed: time of FP32 by that of the integer path on the leg `cpu`, everything that it ran in one run.
    """

    bits: float
    decibels: float
    values: int
    differ: int
    speed: float


def export(codec: str, package: Path, *words: str) -> tuple[str, float]:
    """(the targets for which it is exact, seconds); what `export` said where it refused."""
    start = time.monotonic()
    done = subprocess.run(
        [COMMAND, "export", codec, "--out", str(package), *words], check=False, capture_output=True, text=True
    )
    if done.returncode:
        return f"refused: {done.stderr.strip()}", time.monotonic() - start
    line = next(line for line in done.stdout.splitlines() if line.startswith("exact for"))
    return line.removeprefix("exact for "), time.monotonic() - start


def compare(package: Path, pictures: Path, legs: str, report: Path) -> Costs:
    """Raises RuntimeError where a leg did not run."""
    against = ["--input", str(pictures), "--providers", legs, "--json", str(report)]
    done = subprocess.run([COMMAND, "compare", str(package), *against], check=False, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{package}: {done.stderr.strip() or done.stdout[-500:]}")
    found = json.loads(report.read_text())
    fp32, integers = (next(each for each in found["rate"] if each["path"] == path) for path in ("fp32", "int"))
    exact = [each for each in found["results"] if each["path"] == "int" and each["reference"] == "exact"]
    values, differ = (sum(each[key] for each in exact) for key in ("values", "mismatched"))
    seconds = {each["path"]: each["seconds"] for each in found["legs"] if each["name"] == "cpu"}
    return Costs(
        100 * (integers["bits"] / fp32["bits"] - 1),
        integers["psnr"] - fp32["psnr"],
        values,
        differ,
        seconds["fp32"] / seconds["int"] if seconds.get("int") else float("nan"),
    )
