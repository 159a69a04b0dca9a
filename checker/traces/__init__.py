"""What one leg computed, as a file.

fidelity  How near the integer path is to FP32 on this very input: signal to noise, what was clipped, and when to warn
file      Trace files: a JSON document, or with tensors a zip archive whose last entry is that document (docs/trace.md)
format    The trace document, schema nvc-check/trace/2 (docs/trace.md, docs/trace.schema.json)
record    Recording: one leg decodes all frames, and its trace is written as it goes
schema    The JSON schema of a trace's document
"""
