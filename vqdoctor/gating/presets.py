"""Ready-made asks, as data. A threshold here is an opinion, and says where it comes from; every one can be overridden by name.

What a rule can judge, its own thresholds decide (``[tool.vqdoctor.rules]``); a preset adds which findings count and what must have
been measured at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from vqdoctor.diagnosis import known_rules
from vqdoctor.gating.asks import Asks, MetricAsk, RuleAsk, asks_of
from vqdoctor.gating.subject import TELLS_OF_ROWS


@dataclass(frozen=True, slots=True)
class Preset:
    """asks by name. about: what it is for. sources: of each threshold, by metric. policies: settings that go with it."""

    name: str
    about: str
    metrics: tuple[MetricAsk, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, str] = field(default_factory=dict)

    @property
    def asks(self) -> Asks:
        """Its asks: every rule as it grades its findings, and its bounds."""
        origin = f"preset {self.name}"
        rules = [RuleAsk(rule.id, None, required=False, origin=origin) for rule in known_rules() if rule.id != TELLS_OF_ROWS]
        found = asks_of([replace(ask, origin=origin) for ask in self.metrics], rules)
        return replace(found, presets=(self.name,))

    @property
    def page(self) -> str:
        """Its help, as Markdown."""
        bounds = [
            f"- `{ask.metric}` {_SIGNS[ask.op]} {ask.threshold:g} ({ask.level}, {_OVER[ask.over]}"
            f"{'' if ask.required else ', where it is measured'}): {self.sources[ask.metric]}"
            for ask in self.metrics
        ]
        asked = "\n".join([_EVERY_RULE, *bounds])
        policies = "".join(f"\n\nIt also sets `{name}` to `{value}`." for name, value in self.policies.items())
        how = f"## How\n\n`vqdoctor gate CKPT --preset {self.name}`"
        return f"# {self.name}\n\n{self.about}\n\n## What it asks\n\n{asked}{policies}\n\n{how}\n"


_EVERY_RULE = (
    "- no finding of any rule that can judge the source: an error of a rule is an error of the gate, a warning a warning, a remark "
    "neither"
)
_SIGNS = {"min": "≥", "max": "≤"}
_OVER = {"worst-level": "at the worst level", "each": "at each level", "mean": "of the mean over levels"}

_EVEN = "three quarters of the entropy of even use: what a Zipf-distributed source of 256 codes shows is about 0.8"
_USED = "between what public tokenisers report (77 % to 97 % of their codes in use); an opinion, not a law"

PRESETS: tuple[Preset, ...] = (
    Preset(
        "recommended",
        "What is gated if nothing is asked for: defects, not tastes. From the file alone broken, duplicate, untouched and zero "
        "codes and running statistics that lie; with features, codes or IDs also collapse, dead codes, skew and collisions. What "
        "could not be measured is listed as not gated, and fails nothing.",
    ),
    Preset(
        "strict",
        "For a release: warnings count like errors, and real use must have been measured.",
        (MetricAsk("usage.utilization", "min", 0.9), MetricAsk("usage.entropy_normalized", "min", 0.75)),
        {"usage.utilization": _USED, "usage.entropy_normalized": _EVEN},
        {"fail-on": "warning"},
    ),
    Preset(
        "codec",
        "For residual and grouped quantisers of audio codecs: every level is in use, evenly, and adds something.",
        (
            MetricAsk("usage.utilization", "min", 0.9),
            MetricAsk("usage.entropy_normalized", "min", 0.75, over="each"),
            MetricAsk("levels.gain_db", "min", 0.1, over="each", required=False),
        ),
        {
            "usage.utilization": _USED,
            "usage.entropy_normalized": f"{_EVEN}; bits that are paid for and not used are bit rate lost",
            "levels.gain_db": "a level that lowers the error by less than 0.1 dB is idle, one below 0 does harm",
        },
    ),
    Preset(
        "semantic-ids",
        "For the IDs of a catalogue: few items share one, and no level is a bottleneck.",
        (
            MetricAsk("collision.rate", "max", 0.05),
            MetricAsk("levels.hourglass", "max", 0.25, required=False),
            MetricAsk("usage.adjusted", "min", 0.5, level="warning", required=False),
        ),
        {
            "collision.rate": "items beyond the first of an ID, over items; published index files stay below 1 %",
            "levels.hourglass": "normalised entropy that a middle level lies below both outer ones",
            "usage.adjusted": "codes in use, over what even use would show with this many items",
        },
    ),
)


def preset(name: str) -> Preset:
    """The preset of this name.

    Raises:
        KeyError: there is none.
    """
    return {each.name: each for each in PRESETS}[name]
