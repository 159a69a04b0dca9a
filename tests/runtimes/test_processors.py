"""Emulated processors: how they are spelled, what they need, and that the instruction set really is another one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from nvc_check.models.artifacts.package import Package
from nvc_check.models.errors import NvcCheckError, ProviderUnavailableError, UsageError
from nvc_check.runtimes.leg import EngineInfo, LegSpec, split_providers
from nvc_check.runtimes.process import environments, foreign
from nvc_check.runtimes.process.running import LegProcess


def opened(name: str, package: Package) -> EngineInfo:
    with closing(LegProcess(LegSpec.parse(name), package.root)) as leg:
        return leg.open()[0]


def test_a_processor_is_part_of_a_leg() -> None:
    """NAME@PROCESSOR, with options behind it."""
    legs = split_providers("cpu@haswell,cpu@neoverse-n1:opt=off,threads=1")
    assert [(leg.engine, leg.machine, leg.options) for leg in legs] == [
        ("cpu", "haswell", {}),
        ("cpu", "neoverse-n1", {"opt": "off", "threads": "1"}),
    ]


@pytest.mark.parametrize("spelled", ["cpu@", "cpu@:opt=off", "@haswell", "cpu@Haswell", "cpu@a@b"])
def test_bad_processors(spelled: str) -> None:
    """Quoted in the message."""
    with pytest.raises(UsageError, match="expected"):
        LegSpec.parse(spelled)


@pytest.mark.parametrize(
    ("leg", "error", "says"),
    [
        ("cpu@z80", UsageError, "processor 'z80', expected one of haswell, nehalem, neoverse-n1"),
        ("wasm@haswell", UsageError, "wasm cannot be emulated; it runs in a program of its own"),
        ("cpu@haswell:opt=x", UsageError, "opt=x, expected one of"),
        ("cpu@neoverse-n1", ProviderUnavailableError, "nvc-check providers --install cpu@neoverse-n1"),
    ],
)
def test_a_processor_that_cannot_be_had(
    leg: str, error: type[NvcCheckError], says: str, package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the leg and says what there is, or what to type."""
    monkeypatch.setenv("NVC_CHECK_HOME", str(tmp_path))
    with pytest.raises(error) as caught:
        opened(leg, package)
    assert leg in str(caught.value) and says in str(caught.value)


def test_without_the_emulator(package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that installs it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProviderUnavailableError, match=r"^cpu@haswell: qemu-x86_64-static is not installed; apt-get"):
        opened("cpu@haswell", package)


def test_a_nehalem_has_no_avx(ready: Callable[[str], str], package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    """The leg's process sees the emulated processor, not this one: its fingerprint says so.

    Nor does a variable reach it that asks for this one's kernels: they would end it by an illegal instruction.
    """
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    found = opened(ready("cpu@nehalem"), package)
    flags = found.fingerprint["flags"].split()
    assert "sse4_1" in flags and not {"avx", "avx2", "fma"} & set(flags)
    assert found.fingerprint["cpu"].startswith("nehalem, emulated on ")


def test_an_emulated_leg_has_more_time(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    """NVC_CHECK_TIME_LIMIT is for one answer of a leg that runs natively."""
    for spelled, native, emulated in (("", 600, 6000), ("30", 30, 300), ("0.5", 0.5, 5)):
        monkeypatch.setenv("NVC_CHECK_TIME_LIMIT", spelled or "600")
        limits = []
        for name in ("cpu", "cpu@haswell"):
            with closing(LegProcess(LegSpec.parse(name), package.root)) as leg:
                limits.append(leg.time_limit)
        assert limits == [native, emulated]


@pytest.mark.parametrize("spelled", ["", "soon", "0", "-1", "nan", "inf"])
def test_a_bad_time_limit(spelled: str, package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused, as a usage error."""
    monkeypatch.setenv("NVC_CHECK_TIME_LIMIT", spelled)
    with pytest.raises(UsageError, match=r"NVC_CHECK_TIME_LIMIT=.*expected a number of seconds above 0"):
        LegProcess(LegSpec.parse("cpu"), package.root)


def test_a_folder_of_another_architecture_that_was_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Does not count, and neither does one of other versions."""
    monkeypatch.setenv("NVC_CHECK_HOME", str(tmp_path))
    environments.begin("debian-arm64")
    assert not foreign.is_ready("aarch64")
    environments.finish("debian-arm64", ("debian bookworm", "onnxruntime==1.0"))
    assert not foreign.is_ready("aarch64")
    environments.finish("debian-arm64", foreign.PINS)
    assert foreign.is_ready("aarch64")


def test_where_there_is_no_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Says on what systems the folder can be made; nothing is left."""
    monkeypatch.setenv("NVC_CHECK_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProviderUnavailableError, match="debian-arm64: found no apt-get; it is made on Debian"):
        foreign.install("aarch64", print)
    assert list(tmp_path.iterdir()) == []
