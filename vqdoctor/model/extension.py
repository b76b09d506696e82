"""A part that vqdoctor is made of: built in, or brought by an installed package."""

from __future__ import annotations

from dataclasses import dataclass

BUILT_IN = "built in"


@dataclass(frozen=True, slots=True)
class Extension:
    """One entry of a seam.

    Attributes:
        seam: of `vqdoctor.plugins.SEAMS`, "metrics", or "entry_points" for those of a package that cannot be read.
        name: stable. about: one line.
        origin: "built in", or the package that brings it. version: of that package.
        state: "ok", "broken" or "off". why: of what is broken.
    """

    seam: str
    name: str
    about: str
    origin: str
    version: str
    state: str = "ok"
    why: str | None = None
