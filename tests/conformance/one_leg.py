"""The process of one leg under test: `python one_leg.py LEG [--allow-fallback]`, messages of
runtimes/process/wire.py on its standard streams.

{"engine"} or {"error"} once, then {"model": file} + inputs -> {} + outputs, or {"error"} where it cannot run.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from nvc_check.models.artifacts.package import Manifest, Package
from nvc_check.models.errors import NvcCheckError
from nvc_check.runtimes.leg import LegSpec
from nvc_check.runtimes.process.wire import receive, send
from nvc_check.runtimes.registry import open_engine


def main() -> None:
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what engines print must not land among the messages
    # one graph needs no package
    package = Package(Path(), Manifest("conformance", "", "image", "w8a8", "hyperprior", True, 1, {}, {}, ""))
    try:
        spec = replace(LegSpec.parse(sys.argv[1]), allow_fallback="--allow-fallback" in sys.argv)
        engine = open_engine(spec, package)
    except NvcCheckError as error:
        send(replies, {"error": str(error)})
        return
    send(replies, {"engine": f"{engine.info.engine} {engine.info.version}, {engine.info.device}"})
    while True:
        try:
            message, inputs = receive(requests)
        except EOFError:
            return
        try:
            graph = engine.load(Path(message["model"]), "conformance")
            outputs = graph(inputs)
        except Exception as error:  # each engine has classes of its own
            send(replies, {"error": (str(error).splitlines() or [repr(error)])[0]})
        else:
            send(replies, {}, outputs)


if __name__ == "__main__":
    main()
