"""Every layer of exported graphs, alone, on inputs that make its accumulator as large as the certificate says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from exporter.extremes import layers_of, pushed_layers
from property.in_processes import in_processes

from nvc_check.checker.coding.calibration import calibration_pictures
from nvc_check.exporter.export import export_package
from nvc_check.models.codecs.loading import load_codec
from nvc_check.runtimes.oracle.engine import ExactGraph


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The integer graphs of the bundled image codec at scope decoder."""
    out = tmp_path_factory.mktemp("extremes") / "package"
    pictures = list(calibration_pictures(None))[::4]
    package = export_package(load_codec("mbt2018-mean-relu-small"), pictures, out, scope="decoder")
    return [package.root / name for name in package.manifest.files if name.startswith("int/")]


def test_every_layer_is_exact_at_its_largest_accumulator(files: list[Path]) -> None:
    """0 differ from the oracle; the bound is reached to within the bias and rounding that it has room for.

    In a process that no other test has used: an engine may end one in which many graphs were run.
    """
    counts, shares = [], []
    for file, found in in_processes(pushed_layers, files, 1):
        assert found is not None, f"{file.name}: its process ended"
        counts.append(len(found))
        for layer, result in found:
            assert not result.wrong, (file.name, layer.name, result.wrong)
            assert result.largest <= layer.bound, (file.name, layer.name)
            shares.append(result.largest / layer.bound)
    assert min(counts) >= 3
    print(f"{len(shares)} layers, accumulators at {100 * min(shares):.0f} to {100 * max(shares):.0f} % of the bounds")
    assert min(shares) > 0.45  # uint8 activations reach one sign only, the bound holds for both
    assert max(shares) > 0.95


def test_a_layer_beyond_its_bound_is_noticed(files: list[Path]) -> None:
    """With twice the weights the same inputs reach more than was proven."""
    (file,) = (file for file in files if file.name == "frame.carrier.onnx")
    layer = next(layers_of(onnx.load(file)))
    model = onnx.ModelProto()
    model.CopyFrom(layer.model)
    weight = next(item for item in model.graph.initializer if len(item.dims) == 4)
    doubled: Any = onnx.numpy_helper.to_array(weight).copy()
    doubled[:, :, ::2] *= 3  # the grid stays
    weight.CopyFrom(onnx.numpy_helper.from_array(doubled, weight.name))
    exact = ExactGraph(model)
    exact({"x": layer.x})
    assert max(exact.largest.values()) > layer.bound
