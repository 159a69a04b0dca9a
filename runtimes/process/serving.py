"""What the process of one leg answers, messages on standard input and output.

{"op": "open", "package", "provider", "allow_fallback"} -> {"info", "paths", "knobs"}
{"op": "decode", "path"} + symbols -> {"seconds"} + tensors
{"op": "digest", "path", "tensors"} + symbols -> {"seconds", "digests"} + tensors if they are asked for
{"op": "placement", "path"} -> {"placement"}
{"op": "probe", "provider"} -> {"info"}
{"op": "graph", "provider", "model"} + inputs -> {"info"} + outputs of a graph in no package
{"error": {"kind", "text"}} in place of any.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

from numpy.typing import NDArray

from nvc_check.models import errors
from nvc_check.models.artifacts.package import Package
from nvc_check.models.digest import tensor_digest
from nvc_check.runtimes.decoding import Decoder, GraphDecoder, open_decoder
from nvc_check.runtimes.fingerprint import environment
from nvc_check.runtimes.leg import Engine, LegSpec, Tensors
from nvc_check.runtimes.placement import Placement
from nvc_check.runtimes.process.wire import receive, send
from nvc_check.runtimes.registry import knobs_of, open_engine


class Worker:
    """An engine with the package's graphs, loaded when a path is first asked for."""

    def __init__(self, package: Path, provider: str, allow_fallback: bool) -> None:
        self.package = Package.open(package)
        spec = replace(LegSpec.parse(provider), allow_fallback=allow_fallback)
        self.engine: Engine = open_engine(spec, self.package)
        info = self.engine.info
        self.info = replace(info, fingerprint={**environment(spec.machine), **info.fingerprint})
        self.knobs = knobs_of(spec)
        self._decoders: dict[str, Decoder | GraphDecoder] = {}

    def decode(self, path: str, symbols: Tensors) -> tuple[float, Tensors]:
        """(seconds inside the engine, tensors)."""
        if path not in self._decoders:
            self._decoders[path] = open_decoder(self.engine, self.package, path)
        tensors = self._decoders[path].decode(symbols)
        return self._decoders[path].graphs.take_seconds(), tensors

    def placement(self, path: str) -> dict[str, Any]:
        """What ran on `path`; nothing before it was decoded."""
        return asdict(self._decoders[path].graphs.placement()) if path in self._decoders else asdict(Placement())

    def answer(self, message: dict[str, Any], arrays: Tensors) -> tuple[dict[str, Any], Tensors]:
        """The reply to any request but `open`."""
        path = str(message["path"])
        if message["op"] == "placement":
            return {"placement": self.placement(path)}, {}
        seconds, tensors = self.decode(path, arrays)
        if message["op"] == "decode":
            return {"seconds": seconds}, tensors
        digests = {name: described(tensor) for name, tensor in tensors.items()}
        return {"seconds": seconds, "digests": digests}, tensors if message["tensors"] else {}


def described(tensor: NDArray[Any]) -> dict[str, Any]:
    """What a trace says of a tensor."""
    return {"sha256": tensor_digest(tensor), "values": tensor.size, "shape": list(tensor.shape)}


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
                worker = Worker(Path(message["package"]), message["provider"], message["allow_fallback"])
                reply = {"info": asdict(worker.info), "paths": list(worker.engine.paths), "knobs": worker.knobs}
            elif message["op"] == "probe":
                from nvc_check.runtimes.probe import probe  # with onnx, which not every leg needs

                reply = {"info": asdict(probe(LegSpec.parse(message["provider"])))}
            elif message["op"] == "graph":
                from nvc_check.runtimes.probe import run_graph

                info, tensors = run_graph(LegSpec.parse(message["provider"]), Path(message["model"]), arrays)
                reply = {"info": asdict(info)}
            else:
                assert worker is not None
                reply, tensors = worker.answer(message, arrays)
        except errors.NvcCheckError as error:
            reply, tensors = {"error": {"kind": type(error).__name__, "text": str(error)}}, {}
        send(replies, reply, tensors)
