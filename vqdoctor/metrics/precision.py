"""How finely each stored type resolves numbers. A checkpoint's bfloat16 reaches the measures as float32, so they must be told."""

from __future__ import annotations

EPSILON = {
    "float64": 2.0**-52,
    "float32": 2.0**-23,
    "float16": 2.0**-10,
    "bfloat16": 2.0**-7,
    "float8_e4m3fn": 2.0**-3,
    "float8_e4m3fnuz": 2.0**-3,
    "float8_e5m2": 2.0**-2,
    "float8_e5m2fnuz": 2.0**-2,
}
"""Gap between 1 and the next larger number (one ulp at 1), by torch's name of the type."""


def epsilon(dtype: str) -> float:
    """The type's relative resolution; that of float32 for a type without fractions or unknown."""
    return EPSILON.get(dtype, EPSILON["float32"])
