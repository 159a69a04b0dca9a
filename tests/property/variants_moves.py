"""Variants of Slice, Concat, Split, sub-pixel forms and reshapes: what moves values and computes none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from property.variant_drafts import WIDTH, Draft, Variant
from property.variants_sizes import FIXED, ints

FAR = (1 << 63) - 1  # the end that exporters write for "all"
NEAR = (1 << 31) - 1


def slices() -> Iterator[Variant]:
    kind = "Slice"
    for what, starts, ends, axes, steps in (
        ("channels", [1], [3], [1], None),
        ("channels to the end", [1], [FAR], [1], None),
        ("channels to the 32-bit end", [2], [NEAR], [1], None),
        ("channels, negative start", [-2], [FAR], [1], None),
        ("channels, negative end", [0], [-1], [1], None),
        ("channels, step 2", [0], [FAR], [1], [2]),
        ("channels, backwards", [-1], [-FAR], [1], [-1]),
        ("channels, end beyond", [1], [100], [1], None),
        ("channels, start beyond in front", [-100], [2], [1], None),
        ("channels, negative axis", [0], [2], [-3], None),
        ("channels of axis absent", [0, 1], [1, 3], None, None),
        ("rows", [1], [5], [2], None),
        ("rows, negative end", [1], [-1], [2], None),
        ("rows, step 2", [0], [FAR], [2], [2]),
        ("rows, backwards", [-1], [-FAR], [2], [-1]),
        ("columns, negative axis", [2], [FAR], [-1], None),
        ("rows and columns", [1, 1], [-1, -1], [2, 3], None),
        ("rows and columns, steps", [0, 1], [FAR, FAR], [2, 3], [2, 2]),
        ("channels and rows", [1, 2], [3, FAR], [1, 2], [1, 1]),
        ("all axes", [0, 1, 2, 3], [1, 3, 6, 7], [0, 1, 2, 3], [1, 1, 1, 1]),
        ("axes absent, all", [0, 0, 1, 1], [1, 4, 7, 6], None, None),
        ("everything", [0], [FAR], [1], None),
        ("batch", [0], [1], [0], None),
        ("axes in another order", [2, 1], [5, 3], [2, 1], None),
    ):
        for behind in ("", ", layer behind"):
            draft = Draft(kind, what + behind)
            bounds = [ints(*each) for each in (starts, ends)]
            more = ["" if axes is None else ints(*axes), *([] if steps is None else [ints(*steps)])]
            x = draft.op(kind, draft.layer(draft.input()), *bounds, *([] if axes is None and steps is None else more))
            left = len(range(*slice(*_plain(starts, ends, axes, steps)).indices(WIDTH)))
            yield draft.done(
                draft.layer(x, left) if behind else x, listed=what.startswith("channels") and "back" not in what
            )
    for opset in (9,):
        draft = Draft(kind, f"attributes of opset {opset}", opset)
        yield draft.done(draft.op(kind, draft.layer(draft.input()), starts=[1], ends=[3], axes=[1]), listed=True)
        draft = Draft(kind, f"rows, attributes of opset {opset}", opset)
        yield draft.done(draft.op(kind, draft.layer(draft.input()), starts=[1, 1], ends=[-1, NEAR], axes=[2, 3]))
    draft = Draft(kind, "bounds of int32")
    bounds = [np.array([value], np.int32) for value in (1, 3, 1)]
    yield draft.done(draft.op(kind, draft.layer(draft.input()), *bounds), listed=True)
    draft = Draft(kind, "the end computed of Shape")
    x = draft.layer(draft.input())
    end = draft.op("Sub", draft.op("Slice", draft.op("Shape", x), ints(2), ints(3)), ints(1))
    yield draft.done(draft.op(kind, x, ints(0), end, ints(2)))
    draft = Draft(kind, "of the input, Relu behind")
    yield draft.done(draft.op("Relu", draft.op(kind, draft.input(), ints(0), ints(2), ints(1))), listed=True)
    draft = Draft(kind, "Gather of channels")
    yield draft.done(draft.op("Gather", draft.layer(draft.input()), ints(2, 0, 0), axis=1))
    draft = Draft(kind, "Gather of one channel, without its axis")
    yield draft.done(draft.op("Gather", draft.layer(draft.input()), np.int64(1), axis=1))


def _plain(
    starts: list[int], ends: list[int], axes: list[int] | None, steps: list[int] | None
) -> tuple[int | None, int | None, int | None]:
    """What happens to the channels."""
    places = [axis % 4 for axis in axes or range(len(starts))]
    if 1 not in places:
        return None, None, None
    place = places.index(1)
    end = None if ends[place] < -NEAR else ends[place]
    return starts[place], end, steps[place] if steps else None


def joints() -> Iterator[Variant]:
    kind = "Concat and Split"
    for axis in (1, -3, 2, -2, 3, -1):
        for behind in ("", ", layer behind"):
            draft = Draft(kind, f"Concat, axis {axis}{behind}")
            x = draft.input()
            x = draft.op("Concat", draft.layer(x), x, axis=axis)
            width = 2 * WIDTH if axis % 4 == 1 else WIDTH
            yield draft.done(draft.layer(x, width) if behind else x, listed=axis == 1)
    draft = Draft(kind, "Concat, axis 0")
    x = draft.input()
    yield draft.done(draft.op("Concat", draft.layer(x), x, axis=0))
    draft = Draft(kind, "Concat of one")
    yield draft.done(draft.op("Concat", draft.layer(draft.input()), axis=1), listed=True)
    draft = Draft(kind, "Concat of a tensor with itself")
    x = draft.layer(draft.input())
    yield draft.done(draft.op("Concat", x, x, axis=1), listed=True)
    draft = Draft(kind, "Concat with a constant, fixed size")
    x = draft.input(shape=FIXED)
    yield draft.done(draft.op("Concat", draft.layer(x), draft.rng.normal(0, 1, (1, 2, 8, 10)), axis=1))
    draft = Draft(kind, "Concat of three, of unequal sizes of values")
    x = draft.input()
    large = draft.op("Mul", x, np.float32(100))
    yield draft.done(draft.layer(draft.op("Concat", x, large, draft.op("Relu", x), axis=1), 3 * WIDTH), listed=True)
    for what, opset, parts, how in (
        ("attribute of opset 9", 9, (1, 3), {"axis": 1, "split": (1, 3)}),
        ("equal by outputs, opset 11", 11, (2, 2), {"axis": 1}),
        ("equal by outputs, opset 13", 13, (2, 2), {"axis": 1}),
        ("num_outputs 2", 18, (2, 2), {"axis": 1, "num_outputs": 2}),
        ("num_outputs 3, the last smaller", 18, (2, 2, 1), {"axis": 1, "num_outputs": 3}),
        ("negative axis", 18, (2, 2), {"axis": -3, "num_outputs": 2}),
        ("axis absent, one part", 18, (4,), {"num_outputs": 1}),
    ):
        draft = Draft(kind, f"Split, {what}", opset)
        names = [f"part_{i}" for i in range(len(parts))]
        x = draft.layer(draft.input(), after=sum(parts))
        draft.op("Split", x, outputs=names, **how)
        yield draft.done(*[draft.op("Relu", name) for name in names], listed="axis absent" not in what)
    for axis, sizes, side in ((1, (1, 3), WIDTH), (1, (4, 1, 3), 8), (2, (3, 5), 8), (-1, (4, 6), 10)):
        draft = Draft(kind, f"Split, sizes {sizes}, axis {axis}")
        names = [f"part_{i}" for i in range(len(sizes))]
        x = draft.layer(draft.input(shape=FIXED if axis != 1 else None), after=side if axis == 1 else WIDTH)
        draft.op("Split", x, ints(*sizes), outputs=names, axis=axis)
        yield draft.done(*names, listed=axis == 1)
    draft = Draft(kind, "Split, a part unused")
    draft.op("Split", draft.layer(draft.input()), outputs=["left", "right"], axis=1, num_outputs=2)
    yield draft.done(draft.layer("right", 2), listed=True)


def shuffles() -> Iterator[Variant]:
    kind = "sub-pixels"
    for mode in ("DCR", "CRD", None):
        for side in (2, 3):
            for behind in ("", ", layer behind"):
                draft = Draft(kind, f"DepthToSpace {mode or 'of no mode'}, {side}{behind}")
                how = {"mode": mode} if mode else {}
                x = draft.op("DepthToSpace", draft.layer(draft.input(), after=2 * side * side), blocksize=side, **how)
                yield draft.done(draft.layer(x, 2) if behind else x, listed=True)
    draft = Draft(kind, "DepthToSpace, opset 9", 9)
    yield draft.done(draft.op("DepthToSpace", draft.layer(draft.input(), after=8), blocksize=2), listed=True)
    for behind in ("", ", layer behind"):
        draft = Draft(kind, f"SpaceToDepth, fixed size{behind}")
        x = draft.op("SpaceToDepth", draft.layer(draft.input(shape=FIXED)), blocksize=2)
        yield draft.done(draft.layer(x, 16) if behind else x)
    dcr, crd = ((1, 2, 2, 2, 8, 10), (0, 3, 4, 1, 5, 2)), ((1, 2, 2, 2, 8, 10), (0, 1, 4, 2, 5, 3))
    unshuffle = ((1, 2, 4, 2, 5, 2), (0, 1, 3, 5, 2, 4))
    for what, (inner, perm), last, listed in (
        ("DCR", dcr, (1, 2, 16, 20), True),
        ("CRD", crd, (1, 2, 16, 20), True),
        ("unshuffle", unshuffle, (1, 8, 4, 5), True),
        ("unshuffle, DCR", (unshuffle[0], (0, 3, 5, 1, 2, 4)), (1, 8, 4, 5), False),
        ("rows and columns changed", (crd[0], (0, 1, 4, 3, 5, 2)), (1, 2, 16, 20), False),
        ("pixels in another order", (dcr[0], (0, 3, 4, 2, 5, 1)), (1, 2, 16, 20), False),
        ("channels first", (crd[0], (0, 2, 4, 1, 5, 3)), (1, 2, 16, 20), False),
        ("nothing moved", (crd[0], (0, 1, 2, 3, 4, 5)), (1, 8, 8, 10), False),
    ):
        draft = Draft(kind, f"Reshape, Transpose, Reshape: {what}, fixed size")
        width = 2 if "unshuffle" in what else 8
        x = draft.op("Reshape", draft.layer(draft.input(shape=FIXED), after=width), ints(*inner))
        x = draft.op("Reshape", draft.op("Transpose", x, perm=perm), ints(*last))
        yield draft.done(x, listed=listed)
    draft = Draft(kind, "Reshape, Transpose, Reshape: CRD, layer behind, fixed size")
    x = draft.op("Reshape", draft.layer(draft.input(shape=FIXED), after=8), ints(*crd[0]))
    x = draft.op("Reshape", draft.op("Transpose", x, perm=crd[1]), ints(1, 2, 16, 20))
    yield draft.done(draft.layer(x, 2), listed=True)
    draft = Draft(kind, "Reshape, Transpose, Reshape: the middle is an output, fixed size")
    x = draft.op("Reshape", draft.layer(draft.input(shape=FIXED), after=8), ints(*crd[0]))
    x = draft.op("Transpose", x, perm=crd[1])
    yield draft.done(draft.op("Reshape", x, ints(1, 2, 16, 20)), x)
    for batch in ("1", "-1"):
        draft = Draft(kind, f"Reshape, Transpose, Reshape: CRD of sides computed of Shape, batch {batch}")
        x = draft.layer(draft.input(), after=8)
        shape = draft.op("Shape", x)
        rows, columns = (draft.op("Slice", shape, ints(axis), ints(axis + 1)) for axis in (2, 3))
        middle = draft.op("Concat", ints(int(batch), 2, 2, 2), rows, columns, axis=0)
        x = draft.op("Transpose", draft.op("Reshape", x, middle), perm=crd[1])
        sides = [draft.op("Mul", side, ints(2)) for side in (rows, columns)]
        yield draft.done(draft.op("Reshape", x, draft.op("Concat", ints(int(batch), 2), *sides, axis=0)), listed=True)
    for groups in (2, 4):
        draft = Draft(kind, f"channel shuffle of {groups} groups, fixed size")
        x = draft.op("Reshape", draft.layer(draft.input(shape=FIXED), after=8), ints(1, groups, 8 // groups, 8, 10))
        x = draft.op("Reshape", draft.op("Transpose", x, perm=(0, 2, 1, 3, 4)), ints(1, 8, 8, 10))
        yield draft.done(draft.layer(x, 8))


def reshapes() -> Iterator[Variant]:
    kind = "Reshape and Transpose"
    for what, shape in (
        ("the same shape", (1, WIDTH, 8, 10)),
        ("0 and -1", (0, 0, 0, -1)),
        ("rows joined, -1", (1, WIDTH, 1, -1)),
        ("channels into rows", (1, 2, 16, 10)),
        ("everything last", (1, -1)),
        ("channels of columns", (1, 10, 8, WIDTH)),
    ):
        draft = Draft(kind, f"Reshape, {what}")
        yield draft.done(draft.op("Reshape", draft.layer(draft.input(shape=FIXED)), ints(*shape)))
    draft = Draft(kind, "Reshape, allowzero", 14)
    yield draft.done(draft.op("Reshape", draft.input(shape=FIXED), ints(1, WIDTH, 10, 8), allowzero=1))
    for axis in (1, 2):
        draft = Draft(kind, f"Flatten, axis {axis}")
        yield draft.done(draft.op("Flatten", draft.layer(draft.input(shape=FIXED)), axis=axis))
    for perm in ((0, 1, 3, 2), (0, 2, 3, 1), (0, 2, 1, 3), (0, 1, 2, 3)):
        draft = Draft(kind, f"Transpose {perm}, last")
        yield draft.done(draft.op("Transpose", draft.layer(draft.input()), perm=perm))
    draft = Draft(kind, "Transpose without perm")
    yield draft.done(draft.op("Transpose", draft.layer(draft.input())))
    draft = Draft(kind, "Transpose, rows and columns, layer behind")
    yield draft.done(draft.layer(draft.op("Transpose", draft.layer(draft.input()), perm=(0, 1, 3, 2))))
    draft = Draft(kind, "Transpose to channels last and back")
    x = draft.op("Relu", draft.op("Transpose", draft.layer(draft.input()), perm=(0, 2, 3, 1)))
    yield draft.done(draft.layer(draft.op("Transpose", x, perm=(0, 3, 1, 2))))
    draft = Draft(kind, "an input of channels last, as Keras has it")
    x = draft.op("Transpose", draft.input(shape=(1, "h", "w", WIDTH)), perm=(0, 3, 1, 2))
    yield draft.done(draft.op("Transpose", draft.layer(x), perm=(0, 2, 3, 1)))
    draft = Draft(kind, "Squeeze and Unsqueeze of the batch")
    x = draft.op("Squeeze", draft.layer(draft.input()), ints(0))
    yield draft.done(draft.layer(draft.op("Unsqueeze", x, ints(0))))
    draft = Draft(kind, "Squeeze of the batch, last")
    yield draft.done(draft.op("Squeeze", draft.layer(draft.input()), ints(0)))
    draft = Draft(kind, "Squeeze of opset 11", 11)
    yield draft.done(draft.op("Squeeze", draft.layer(draft.input(), after=1), axes=[1]))
    draft = Draft(kind, "Unsqueeze, last")
    yield draft.done(draft.op("Unsqueeze", draft.layer(draft.input()), ints(2)))
    for what, repeats in (("channels", (1, 2, 1, 1)), ("rows and columns", (1, 1, 2, 2)), ("nothing", (1, 1, 1, 1))):
        draft = Draft(kind, f"Tile, {what}")
        yield draft.done(draft.op("Tile", draft.layer(draft.input()), ints(*repeats)))
    draft = Draft(kind, "Expand of one channel")
    yield draft.done(draft.op("Expand", draft.layer(draft.input(), after=1), ints(1, 3, 1, 1)))
