"""All rules of the certificate: how each operator moves an abstract value. A new operator gets its line here."""

from __future__ import annotations

from nvc_check.exporter.certificate.rules.arithmetic import ARITHMETIC
from nvc_check.exporter.certificate.rules.convolution import CONVOLUTION
from nvc_check.exporter.certificate.rules.layout import LAYOUT
from nvc_check.exporter.certificate.rules.products import PRODUCTS
from nvc_check.exporter.certificate.rules.quantization import QUANTIZATION
from nvc_check.exporter.certificate.rules.selection import SELECTION
from nvc_check.exporter.certificate.rules.shapes import RULES_OF_SHAPES
from nvc_check.exporter.certificate.terms import Rule

RULES: dict[str, Rule] = {
    **ARITHMETIC,
    **CONVOLUTION,
    **LAYOUT,
    **PRODUCTS,
    **QUANTIZATION,
    **RULES_OF_SHAPES,
    **SELECTION,
}
