"""The process of one leg: python -m nvc_check.runtimes.worker, messages on standard input and output.

{"op": "open", "package", "provider"} -> {"info", "paths"}; {"op": "decode", "path"} + symbols -> {"seconds"} + tensors;
{"error": {"kind", "text"}} in place of either.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from nvc_check.models import errors
from nvc_check.models.package import Package
from nvc_check.runtimes.decoding import Decoder
from nvc_check.runtimes.leg import Engine, LegSpec, Tensors
from nvc_check.runtimes.registry import open_engine
from nvc_check.runtimes.wire import receive, send


class Worker:
    """An engine with the package's graphs, loaded when a path is first asked for."""

    def __init__(self, package: Path, provider: str) -> None:
        self.package = Package.open(package)
        self.engine: Engine = open_engine(LegSpec.parse(provider), self.package)
        self._decoders: dict[str, Decoder] = {}

    def decode(self, path: str, symbols: Tensors) -> tuple[float, Tensors]:
        """(seconds inside the engine, tensors)."""
        if path not in self._decoders:
            self._decoders[path] = Decoder(self.engine, self.package, path)
        tensors = self._decoders[path].decode(symbols)
        return self._decoders[path].take_seconds(), tensors


def serve(requests: IO[bytes], replies: IO[bytes]) -> None:
    """Answers until the other end closes; an error is answered, not raised."""
    worker: Worker | None = None
    while True:
        try:
            message, arrays = receive(requests)
        except EOFError:
            return
        try:
            reply: dict[str, Any]
            tensors: Tensors = {}
            if message["op"] == "open":
                worker = Worker(Path(message["package"]), message["provider"])
                reply = {"info": asdict(worker.engine.info), "paths": list(worker.engine.paths)}
            else:
                assert worker is not None
                seconds, tensors = worker.decode(message["path"], arrays)
                reply = {"seconds": seconds}
        except errors.NvcCheckError as error:
            reply, tensors = {"error": {"kind": type(error).__name__, "text": str(error)}}, {}
        send(replies, reply, tensors)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the checker ends its legs itself
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what engines print must not land among the messages
    sys.stdin.close()
    serve(requests, replies)


if __name__ == "__main__":
    main()
