"""Codecs by name or checkpoint.

A name is spelled NAME or NAME@QUALITY, with CompressAI's quality numbers (lambda for MSE: 1 is 0.0018, 2 0.0035,
3 0.0067), or NAME@seedN: untrained, initialised from the seed N.
torch and compressai are imported when a codec is loaded, not with this module.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nvc_check.models.codecs.architectures import ARCHITECTURES, Codec
from nvc_check.models.codecs.checkpoint import read_weights
from nvc_check.models.codecs.other_codecs import needs_of
from nvc_check.models.codecs.seeded import seeded
from nvc_check.models.codecs.state_file import reason_of
from nvc_check.models.errors import ExportRefusedError, UsageError
from nvc_check.models.text import document_text


def load_codec(spelled: str) -> Codec:
    """A codec by NAME, NAME@QUALITY, NAME@seedN or checkpoint file (.safetensors, .pth, .pth.tar, .pt).

    Raises:
        UsageError: no such name, quality or file, or its weights cannot be fetched or read.
        ExportRefusedError: weights of another codec, not all of one, or not finite.
    """
    name, _, quality = spelled.partition("@")
    if name in ARCHITECTURES:
        architecture = ARCHITECTURES[name]
        seed = quality.removeprefix("seed")
        if quality.startswith("seed") and seed.isdecimal():
            return _checked(spelled, name, seeded(architecture.build, int(seed)))
        if quality and not quality.isdecimal():
            raise UsageError(f"{spelled}: quality {quality!r}, expected a number as in {name}@3 or {name}@seed0")
        number = int(quality) if quality else architecture.default_quality
        return _checked(f"{name}@{number}", name, architecture.pretrained(number))
    file = Path(spelled)
    if file.is_file():
        weights = read_weights(file)
        try:
            model = ARCHITECTURES[weights.architecture].build(weights.state)
        except (RuntimeError, LookupError) as error:  # a table of an impossible shape
            raise ExportRefusedError(
                f"{spelled}: does not load as {weights.architecture} ({reason_of(error)})"
            ) from error
        codec = _checked(document_text(file.name.split(".")[0]), weights.architecture, model)
        codec.notes = weights.notes
        return codec
    known = f"{', '.join(ARCHITECTURES)}, or a checkpoint of one"
    if file.is_dir():
        raise UsageError(
            f"{spelled}: a folder, expected a checkpoint file, or a codec that this version exports: {known}"
        )
    needs = needs_of(name)
    if needs is not None:
        raise UsageError(
            f"{spelled}: no such file, and the codec {name} needs {needs}, not in this version; expected {known}"
        )
    raise UsageError(f"{spelled}: no such file, and no codec that this version exports: {known}")


def _checked(name: str, architecture: str, model: Any) -> Codec:
    import torch

    for key, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            bad = int((~torch.isfinite(tensor)).sum())
            raise ExportRefusedError(
                f"{name}: weight {key} has {bad} values that are NaN or infinite, expected finite ones; retrain it"
            )
    return ARCHITECTURES[architecture].wrap(name, architecture, model.eval())
