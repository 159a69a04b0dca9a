"""Random float decoders become exact: python tests/property/decoders.py --decoders 500 [--first 0]

--precision wNaM of all of them; by default w8a8.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from typing import NamedTuple

import numpy as np
import onnx_ir as ir
import openvino
from property.fuzz import on_onnxruntime, on_openvino, on_oracle
from property.random_decoders import RandomDecoder, hard_inputs

from nvc_check.exporter.certificate.walk import certify
from nvc_check.exporter.export import refuse_inexact
from nvc_check.exporter.user_graph import quantize_user_graph
from nvc_check.models.errors import ExportRefusedError
from nvc_check.models.precision import Precision, Precisions


class CheckedDecoder(NamedTuple):
    """One decoder.

    Attributes:
        targets: flavour -> the targets that it is certified for.
        different: "case, leg, output" -> how many values differ from the oracle's.
        values: compared with the oracle's.
        noise: output -> signal to noise against the float decoder in dB, on usual inputs; none where it is constant.
    """

    targets: dict[str, set[str]]
    different: dict[str, int]
    values: int
    noise: dict[str, float]


def check(seed: int, core: openvino.Core, precisions: Precisions | None = None) -> CheckedDecoder:
    """Quantizes the decoder of `seed`, and runs both flavours on ONNX Runtime without and with optimization, OpenVINO
    and the oracle, on inputs far from the calibration's.

    Raises:
        ExportRefusedError: it has no integer form, or one that is not certified.
    """
    decoder = RandomDecoder(seed)
    made = quantize_user_graph(ir.from_proto(decoder.model), [*decoder.examples], precisions)
    models = {flavour: ir.to_proto(graph) for flavour, graph in made.graphs.items()}
    certificates = {flavour: certify(model) for flavour, model in models.items()}
    targets = {flavour: {name for name, exact in c.targets.items() if exact} for flavour, c in certificates.items()}
    refuse_inexact(certificates)
    different, noise, values = {}, {}, 0
    for case, inputs in hard_inputs(decoder, seed).items():
        expected = on_oracle(models["qdq"], inputs)
        assert expected is not None
        for flavour, model in models.items():
            data = model.SerializeToString()
            legs = {
                "oracle": on_oracle(model, inputs),
                "ort off": on_onnxruntime(data, inputs, "ORT_DISABLE_ALL"),
                "ort all": on_onnxruntime(data, inputs, "ORT_ENABLE_ALL"),
                "openvino": on_openvino(core, data, inputs),
            }
            for leg, results in legs.items():
                assert results is not None
                for name, a, b in zip(made.outputs, expected, results, strict=True):
                    values += a.size
                    if not np.array_equal(a, b):
                        different[f"{case}, {flavour}, {leg}, {name}"] = int(np.count_nonzero(a != b))
        if case == "usual":
            given = {n: np.ldexp(x.astype(np.float32), made.inputs[n].exponent) for n, x in inputs.items()}
            floats = on_onnxruntime(decoder.model.SerializeToString(), given, "ORT_ENABLE_ALL")
            for (name, grid), ours, real in zip(made.outputs.items(), expected, floats, strict=True):
                power, error = np.var(real), np.mean((np.ldexp(ours.astype(np.float64), grid.exponent) - real) ** 2)
                if power > 1e-6:
                    noise[name] = float(10 * np.log10(power / max(error, 1e-12)))
    return CheckedDecoder(targets, different, values, noise)


def check_alone(seed_and_precision: tuple[int, str]) -> CheckedDecoder:
    """`check` with an OpenVINO of its own."""
    seed, precision = seed_and_precision
    return check(seed, openvino.Core(), Precisions(Precision.of(precision)))


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--decoders", type=int, default=100)
    arguments.add_argument("--first", type=int, default=0)
    arguments.add_argument("--precision", type=Precision.of, default=Precision(8, 8))
    options = arguments.parse_args()
    noise: list[float] = []
    core, counts, values, start = openvino.Core(), Counter[str](), 0, time.monotonic()
    for seed in range(options.first, options.first + options.decoders):
        try:
            found = check(seed, core, Precisions(options.precision))
        except ExportRefusedError as error:
            counts["refused"] += 1
            print(f"decoder {seed}: {error}", flush=True)
            continue
        counts.update(f"{flavour} {target}" for flavour, targets in found.targets.items() for target in targets)
        values += found.values
        noise += found.noise.values()
        if found.different:
            counts["DIFFERENT"] += 1
            print(f"decoder {seed}: certified, and different: {found.different}", flush=True)
    shares = ", ".join(f"{name} {100 * n / options.decoders:.0f} %" for name, n in sorted(counts.items()))
    print(f"{options.decoders} decoders, {values:,} values, {time.monotonic() - start:.0f} s: {shares}")
    print(f"signal to noise: median {np.median(noise):.1f} dB, worst {min(noise):.1f} dB")
    return 1 if counts["DIFFERENT"] else 0


if __name__ == "__main__":
    sys.exit(main())
