"""Linear operators of a user's graph: sums on a common grid, rounded once."""

from __future__ import annotations

from typing import Any

import numpy as np

from nvc_check.exporter.user_site import Site
from nvc_check.exporter.user_values import (
    Float64,
    Known,
    Term,
    column,
    linear,
    scaled,
    unit_for,
    whole,
)


def add(site: Site) -> Known:
    sign = -1 if site.node.op_type == "Sub" else 1
    a, b = site.tensor(0), site.tensor(1)
    terms: list[Term] = []
    added: Any = 0.0
    if a is not None and b is not None:
        if a.channels != b.channels:
            site.refuse(f"{a.channels} and {b.channels} channels, expected the same number")
        terms = [whole(a), whole(b, sign)]
        real = [x + sign * y for x, y in zip(a.real, b.real, strict=True)]
    elif a is not None:
        added = sign * site.per_channel(1, a.channels)
        terms, real = [whole(a)], [x + column(added) for x in a.real]
    else:
        assert b is not None
        added = site.per_channel(0, b.channels)
        terms, real = [whole(b, sign)], [column(added) + sign * x for x in b.real]
    return _linear(site, terms, np.broadcast_to(added, terms[0].tensor.channels), real)


def multiply(site: Site) -> Known:
    inverse = site.node.op_type == "Div"
    x = site.tensor(0)
    index = 1
    if x is None and not inverse:
        x, index = site.tensor(1), 0
    if x is None or site.tensor(index) is not None:
        why = "two tensors of 16 bits are no product of 24, and a quotient leaves every grid"
        site.refuse(f"{why}; expected a constant; a gate needs a look-up table of integers (Gather)")
    assert x is not None
    by = site.per_channel(index, x.channels)
    if inverse:
        if (by == 0).any():
            site.refuse("divides by 0")
        by = 1 / by
    return _linear(site, [scaled(x, by)], np.zeros(x.channels), [each * column(by) for each in x.real])


def negate(site: Site) -> Known:
    x = site.first()
    return _linear(site, [whole(x, -1)], np.zeros(x.channels), [-each for each in x.real])


def _linear(site: Site, terms: list[Term], added: Float64, real: list[Float64]) -> Known:
    labels = site.labels(terms[0].tensor.channels)
    return linear(site.plan, site.name, terms, added, real, unit_for(real, labels), labels)
