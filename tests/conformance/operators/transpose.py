"""Transpose: the permutations that a warp, a blur and a change of layout use."""

import numpy as np
from conformance.case import LARGEST, f32, one

X = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
X[0, 1, 2, 3], X[0, 0, 0, 0] = LARGEST, -LARGEST
CASES = [
    *(
        one(f"transpose/{''.join(map(str, perm))}", "Transpose", [X],
            np.array([[[[X[tuple(np.array([a, b, c, d])[np.argsort(perm)])] for d in range(X.shape[perm[3]])]
                        for c in range(X.shape[perm[2]])] for b in range(X.shape[perm[1]])]
                      for a in range(X.shape[perm[0]])], np.float32), perm=perm)
        for perm in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 3, 1, 2], [1, 0, 2, 3])
    ),
    one("transpose/201", "Transpose", [f32([[[1, 2], [3, 4]], [[5, 6], [7, LARGEST]], [[9, -LARGEST], [0.5, 8]]])],
        f32([[[1, 3], [5, 7], [9, 0.5]], [[2, 4], [6, LARGEST], [-LARGEST, 8]]]), perm=[2, 0, 1]),
    one("transpose/10", "Transpose", [f32([[1, 2, 3], [4, 5, LARGEST]])], f32([[1, 4], [2, 5], [3, LARGEST]]),
        perm=[1, 0]),
]  # fmt: skip
