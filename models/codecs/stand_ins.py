"""What a torch checkpoint holds beside tensors, without running any of it.

Training scripts save their arguments, paths, configurations and whole modules with the weights. torch's restricted
unpickler (`weights_only=True`) stops at the first class that it does not know. Here each such name stands for an
object that keeps the state it is given and does nothing: no code of the file's choice is imported or called.
"""

from __future__ import annotations

import pickletools
import sys
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from os import SEEK_CUR
from pathlib import Path
from typing import Any, BinaryIO, Final

LEGACY_PICKLES: Final = 4  # before the storages: magic number, protocol, system information, the object

# module of the standard library -> the names in it that plain data is pickled with
DATA: Final = {
    "_codecs": {"encode"},
    "argparse": {"Namespace"},
    "builtins": {
        *("bytearray", "complex", "dict", "frozenset", "list", "object", "range", "set", "slice"),
        "getattr",  # members of an enumeration, nested classes
    },
    "collections": {"Counter", "OrderedDict", "defaultdict", "deque"},
    "copyreg": {"_reconstructor"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "fractions": {"Fraction"},
    "functools": {"partial"},
    "pathlib": {"Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath"},
    "types": {"SimpleNamespace"},
    "uuid": {"UUID"},
}


def globals_in(file: Path) -> list[str]:
    """`module.name` of everything that the torch checkpoint `file` names to its unpickler, in order, each once.

    Raises:
        Exception: the file is neither a zip archive of torch.save nor its older sequence of pickles.
    """
    if not zipfile.is_zipfile(file):
        with file.open("rb") as stream:
            return _named(stream, LEGACY_PICKLES)
    with zipfile.ZipFile(file) as archive:
        member = next((name for name in archive.namelist() if name.split("/")[-1] == "data.pkl"), None)
        if member is None:
            raise ValueError("a zip archive without data.pkl")
        with archive.open(member) as opened:
            return _named(opened, 1)  # type: ignore[arg-type]


def not_data(names: list[str]) -> list[str]:
    """Those of `names` that are the standard library's and no data: functions that a hostile file would have called.

    They would do nothing here, as nothing does; but a file that tries is not one to take weights from.
    """
    split = [name.replace("pathlib._local.", "pathlib.").rpartition(".") for name in names]  # so since Python 3.13
    return [
        f"{module}.{last}"
        for module, _, last in split
        if module.split(".")[0] in sys.stdlib_module_names and last not in DATA.get(module, ())
    ]


class _Called(type):
    def __call__(cls: Any, *args: Any) -> Any:
        """Where the pickle calls a function or class: an object that keeps its state; a defaultdict is then filled."""
        return OrderedDict() if cls.__name__ == "defaultdict" else object.__new__(cls)


class Kept(metaclass=_Called):
    """An object whose class or function was not imported; `state` is what it was pickled with."""

    state: Any = None

    def __new__(cls, *args: Any) -> Any:
        """Made without a call, as most objects are: torch's unpickler fills an OrderedDict, by item or attribute."""
        return OrderedDict()

    def __setstate__(self, state: Any) -> None:
        self.state = state


def stand_in(name: str) -> type:
    """What `torch.serialization.safe_globals` takes, to put an inert object where the file says `name`."""
    module, _, last = name.rpartition(".")
    return _Called(last, (Kept,), {"__module__": module, "__qualname__": last})


def _named(stream: BinaryIO, pickles: int) -> list[str]:
    found: dict[str, None] = {}
    for number in range(pickles):
        if number == 1:  # what pickle.dump writes ends here
            if not stream.read(1):
                raise ValueError("one pickle alone; what torch.save writes can be read without running it")
            stream.seek(-1, SEEK_CUR)
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name == "GLOBAL":
                module, _, name = str(argument).partition(" ")
                module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
                found[f"{module}.{name}"] = None
    return list(found)
