"""The shapes of a state dict at any width are those of the model that is built at it."""

from __future__ import annotations

import pytest
import torch

from nvc_check.models.codecs.architectures import ARCHITECTURES
from nvc_check.models.codecs.topology import canonical

WIDTHS = [
    ("bmshj2018-hyperprior", {"N": 128, "M": 192}),
    ("bmshj2018-hyperprior", {"N": 7, "M": 5}),
    ("mbt2018-mean", {"N": 192, "M": 320}),
    ("mbt2018-mean", {"N": 9, "M": 7}),
    ("mbt2018-mean-relu-small", {"half": 3, "quarter": 5, "eighth": 7, "M": 9, "N": 11}),
    ("ssf-small", {"width": 13}),
    ("ssf2020", {}),
]


@pytest.mark.parametrize(("name", "widths"), WIDTHS)
def test_shapes_are_those_of_the_model(name: str, widths: dict[str, int]) -> None:
    architecture = ARCHITECTURES[name]
    built = architecture.make(**widths)
    shapes = {canonical(key): tuple(p.shape) for key, p in built.named_parameters()}
    assert architecture.topology.shapes(widths) == shapes
    assert architecture.topology.widths(shapes, architecture.widths) == widths
    assert architecture.topology.parameters.keys() | architecture.topology.buffers == built.state_dict().keys()


def test_widths_are_what_most_weights_say() -> None:
    architecture = ARCHITECTURES["mbt2018-mean"]
    shapes = architecture.topology.shapes({"N": 16, "M": 24})
    lost = {key: shape for key, shape in shapes.items() if not key.startswith(("g_a.0", "g_a.6"))}
    lost["g_s.6.weight"] = (99, 3, 5, 5)
    assert architecture.topology.widths(lost, architecture.widths) == {"N": 16, "M": 24}
    assert architecture.topology.widths({}, architecture.widths) == {"N": 128, "M": 192}


def test_finding_the_shapes_draws_no_random_numbers() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    ARCHITECTURES["bmshj2018-hyperprior"].topology.shapes({"N": 4, "M": 4})
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("key", "today"),
    [
        ("entropy_bottleneck._matrix0", "entropy_bottleneck.matrices.0"),
        ("img_hyperprior.entropy_bottleneck._biases.4", "img_hyperprior.entropy_bottleneck.biases.4"),
        ("entropy_bottleneck._factor3", "entropy_bottleneck.factors.3"),
        ("entropy_bottleneck.matrices.0", "entropy_bottleneck.matrices.0"),
        ("h_a.0.bias", "h_a.0.bias"),
        ("head_bias0", "head_bias0"),
    ],
)
def test_older_names(key: str, today: str) -> None:
    assert canonical(key) == today
