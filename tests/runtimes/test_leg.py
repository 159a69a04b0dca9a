"""How a leg is spelled on the command line."""

from __future__ import annotations

import pytest

from nvc_check.models.errors import UsageError
from nvc_check.runtimes.leg import LegSpec, checked_options, split_providers

KNOWN = {"opt": ("off", "all"), "threads": None}


@pytest.mark.parametrize(
    ("spelled", "engine", "options"),
    [
        ("cpu", "cpu", {}),
        ("cpu:opt=off", "cpu", {"opt": "off"}),
        ("cpu:opt=off,threads=1", "cpu", {"opt": "off", "threads": "1"}),
        ("my-engine_2:path=a=b", "my-engine_2", {"path": "a=b"}),
    ],
)
def test_good_spellings(spelled: str, engine: str, options: dict[str, str]) -> None:
    """NAME, or NAME:OPTION=VALUE,OPTION=VALUE; the name stays as spelled."""
    assert LegSpec.parse(spelled) == LegSpec(spelled, engine, options)


@pytest.mark.parametrize(
    "spelled",
    ["", " cpu", "cpu@", "cpu@Haswell", "1cpu", "cpu:", "cpu:opt", "cpu:opt=", "cpu:=off", "cpu:opt=off,"],
)
def test_bad_spellings(spelled: str) -> None:
    """The message quotes what was found and says what was expected."""
    with pytest.raises(UsageError, match=r"expected .*option=value") as caught:
        LegSpec.parse(spelled)
    assert f"provider {spelled!r}" in str(caught.value)


@pytest.mark.parametrize(
    ("spelled", "names"),
    [
        ("cpu", ["cpu"]),
        ("cpu,cuda", ["cpu", "cuda"]),
        ("cpu:opt=off,threads=1,openvino", ["cpu:opt=off,threads=1", "openvino"]),
        ("openvino,cpu:opt=off,threads=1", ["openvino", "cpu:opt=off,threads=1"]),
        ("cpu:opt=off,cuda:tf32=on,flavour=qdq", ["cpu:opt=off", "cuda:tf32=on,flavour=qdq"]),
    ],
)
def test_a_list_of_legs(spelled: str, names: list[str]) -> None:
    """A comma begins a leg unless option=value follows it."""
    assert [leg.name for leg in split_providers(spelled)] == names


@pytest.mark.parametrize("spelled", ["", "cpu,", ",cpu", "cpu,,cuda", "cpu,threads=1", "cpu, cuda"])
def test_a_bad_list_of_legs(spelled: str) -> None:
    """An empty leg, or options without a colon, are refused."""
    with pytest.raises(UsageError, match="provider"):
        split_providers(spelled)


@pytest.mark.parametrize("spelled", ["cpu", "cpu:opt=all", "cpu:threads=16,opt=off"])
def test_known_options(spelled: str) -> None:
    """Options of the table pass as they are."""
    spec = LegSpec.parse(spelled)
    assert checked_options(spec, KNOWN) == spec.options


@pytest.mark.parametrize(
    ("spelled", "says"),
    [
        ("cpu:speed=1", "unknown option 'speed'; cpu has opt, threads"),
        ("cpu:opt=fast", "opt=fast, expected one of off, all"),
        ("cpu:threads=0", "threads=0, expected a positive number"),
        ("cpu:threads=-1", "threads=-1, expected a positive number"),
        ("cpu:threads=1.5", "threads=1.5, expected a positive number"),
        ("cpu:threads=²", "threads=², expected a positive number"),
    ],
)
def test_unknown_options(spelled: str, says: str) -> None:
    """The message names the leg, what was found and what there is."""
    with pytest.raises(UsageError) as caught:
        checked_options(LegSpec.parse(spelled), KNOWN)
    assert says in str(caught.value) and spelled in str(caught.value)


def test_an_engine_without_options() -> None:
    """It says so."""
    with pytest.raises(UsageError, match="cpu has none"):
        checked_options(LegSpec.parse("cpu:opt=off"), {})
