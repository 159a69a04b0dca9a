"""All rules of the certificate: how each operator moves an abstract value. A new operator gets its line here."""

from __future__ import annotations

from nvc_check.exporter.certificate_arithmetic import ARITHMETIC
from nvc_check.exporter.certificate_convolution import CONVOLUTION
from nvc_check.exporter.certificate_layout import LAYOUT
from nvc_check.exporter.certificate_products import PRODUCTS
from nvc_check.exporter.certificate_quantization import QUANTIZATION
from nvc_check.exporter.certificate_selection import SELECTION
from nvc_check.exporter.certificate_shapes import RULES_OF_SHAPES
from nvc_check.exporter.certificate_terms import Rule

RULES: dict[str, Rule] = {
    **ARITHMETIC,
    **CONVOLUTION,
    **LAYOUT,
    **PRODUCTS,
    **QUANTIZATION,
    **RULES_OF_SHAPES,
    **SELECTION,
}
