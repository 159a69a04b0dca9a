"""The JSON schema of a trace's document: python -m nvc_check.checker.traces.schema > docs/trace.schema.json."""

from __future__ import annotations

import json
from typing import Any

from nvc_check.checker.traces.format import SCHEMA, Trace


def trace_schema() -> dict[str, Any]:
    """JSON Schema 2020-12; what it cannot say (the digests, counts that must agree) is in docs/trace.md."""
    generated = Trace.model_json_schema(by_alias=True, mode="validation")
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, "$id": f"urn:{SCHEMA.replace('/', ':')}", **generated}


def schema_text() -> str:
    return json.dumps(trace_schema(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
