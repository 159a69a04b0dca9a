"""The graph of a seed: drawn node by node, or a mutant of what the exporter writes."""

from __future__ import annotations

import numpy as np
from property.attacker.graphs import AttackGraph
from property.attacker.mutants import MutantGraph

MUTANTS = 0.4


def drawn(seed: int) -> AttackGraph | MutantGraph:
    mutant = np.random.default_rng([seed, 1]).random() < MUTANTS
    return MutantGraph(seed) if mutant else AttackGraph(seed)
