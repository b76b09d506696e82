"""What a name in a log means: our metric, its unit, level and part of the data.

The rule for perplexity: `perplexity` and `ppl` are also what language models log. They are taken for a codebook's only where
another name of the same run shows a quantiser (`alias_table.CODEBOOK`: vq, codebook, commit, recon, …) and none shows a language
model (`alias_table.LANGUAGE`). A name that says itself whose perplexity it is (`vq/perplexity`) needs no company. Everything else
that is not in the table has no metric: it is shown, never judged, until the user binds it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache

from vqdoctor.logs.alias_table import ALIASES, CODEBOOK, LANGUAGE, METRICS, OWN_SCALARS, PERCENT, SCALARS, Alias
from vqdoctor.model import Meaning, SeriesKey

PARTS = {
    "train": "train", "training": "train", "pretrain": "train", "val": "validation", "valid": "validation",
    "validation": "validation", "dev": "validation", "eval": "validation", "val_ema": "validation", "test": "test",
    "best": "best", "last": "last",
}  # fmt: skip
_PART = "|".join(sorted(PARTS, key=len, reverse=True))
_LEADING = re.compile(rf"(?:\./)?(?:(loss)/)?({_PART})[/_. ](.+)")
_TRAILING = re.compile(rf"(.+)/({_PART})")  # audiotools
_SUFFIX = re.compile(r"(.+?)_(?:step|epoch)")
_RUN = " - "  # between a run and what it logged, in tables that wandb exports
_NEEDS = {alias.needs: re.compile(alias.needs) for alias in ALIASES if alias.needs}
_PATTERNS = tuple((re.compile(alias.pattern), alias) for alias in ALIASES)
_SCALARS = tuple((re.compile(pattern), scalar) for pattern, scalar in SCALARS)
_LANGUAGE = re.compile(LANGUAGE)
_BOARD = re.compile(r"(.{1,400})/(\d{1,4})/([^/]{1,80})")


class Vocabulary:
    """The names of one run, and so the company that each is in.

    Args:
        names: all names that the run logs. bindings: the user's own, name as the log spells it → metric of ours.
    """

    def __init__(self, names: Iterable[str], bindings: Mapping[str, str] | None = None) -> None:
        self._stems = {_stem(name)[0] for name in names}
        self._bindings = bindings or {}
        self._held: dict[str, bool] = {}

    def meaning(self, key: SeriesKey) -> Meaning:
        """What a series of this run is. A level in the name (one number of a list) counts before that of the row it stands in."""
        bound = self._bindings.get(key.name)
        found = Meaning(metric=bound) if bound else self._look_up(key.name)
        return Meaning(
            found.metric, found.scalar, found.scale, found.offset,
            key.quantizer if key.quantizer is not None else found.quantizer,
            found.level if found.level is not None else key.level,
            key.scope if key.scope in ("last", "best") or found.scope is None else found.scope,
            found.note,
        )  # fmt: skip

    def _look_up(self, name: str) -> Meaning:
        if (own := _own(name)) is not None:
            return own
        stem, part, percent = _stem(name)
        spellings = (
            *([f"{stem} %"] if percent else []),
            stem,
            stem.replace(" ", "_"),
        )  # in prose "codebook usage" is codebook_usage
        for spelled in dict.fromkeys(spellings):
            for alias, found in _rows(spelled):
                if self._holds(alias.needs, stem):
                    return _meaning(alias, found, name, part, percent)
        return Meaning(scalar=_scalar(stem), scope=part)

    def _holds(self, needs: str, stem: str) -> bool:
        """Whether another name of the run shows what a row needs."""
        if not needs:
            return True
        if needs not in self._held:
            shown = any(_NEEDS[needs].search(other) for other in self._stems)
            spoken = needs == CODEBOOK and any(_LANGUAGE.search(other) for other in self._stems)
            self._held[needs] = shown and not spoken
        return self._held[needs]


def explain_name(name: str, company: Collection[str] = ()) -> Meaning:
    """What one name means beside others.

    Example:
        >>> explain_name("val/perplexity").metric is None, explain_name("val/perplexity", ["val/commit_loss"]).metric
        (True, 'usage.batch_perplexity')
        >>> explain_name("train/layer_2/frac_layer_coverages").level
        2
    """
    return Vocabulary({name, *company}).meaning(SeriesKey(name))


def _own(name: str) -> Meaning | None:
    """A name of ours, with its part of the data before it or the place in a list behind it; None if it is not ours.

    Or as `Monitor` spells it for TensorBoard: "vq/1/usage.batch_utilization".
    """
    low = name.lower()
    found = _LEADING.fullmatch(low)
    part, rest = (PARTS[found[2]], found[3]) if found and not found[1] else (None, low)
    base, _, place = rest.rpartition(".")
    board = _BOARD.fullmatch(name[len(name) - len(rest) :])
    if board is not None and board[3].lower() in METRICS:
        return Meaning(metric=board[3].lower(), quantizer=board[1], level=int(board[2]), scope=part)
    if rest in METRICS:
        return Meaning(metric=rest, scope=part)
    if base in METRICS and place.isdecimal():
        return Meaning(metric=base, level=int(place[:4]), scope=part)
    return Meaning(scalar=rest, scope=part) if rest in OWN_SCALARS else None


@lru_cache(maxsize=4096)
def _stem(name: str) -> tuple[str, str | None, bool]:
    """A name in lower case without its part of the data, that part, and whether it is a percentage."""
    stem = name.lower().strip()
    percent = stem.endswith(" %")
    stem = stem.removesuffix(" %").rpartition(_RUN)[2]
    part = None
    if (found := _LEADING.fullmatch(stem)) is not None:
        part, stem = PARTS[found[2]], found[3]
    elif (found := _TRAILING.fullmatch(stem)) is not None:
        part, stem = PARTS[found[2]], found[1]
    if (found := _SUFFIX.fullmatch(stem)) is not None:
        stem = found[1]
    return stem, part, percent


@lru_cache(maxsize=4096)
def _rows(spelled: str) -> tuple[tuple[Alias, re.Match[str]], ...]:
    """The rows of the table that a name fits; which of them holds is for the other names of its run to say."""
    return tuple((alias, found) for pattern, alias in _PATTERNS if (found := pattern.fullmatch(spelled)) is not None)


@lru_cache(maxsize=4096)
def _scalar(stem: str) -> str | None:
    """The number of any training that a name stands for."""
    return next((scalar for pattern, scalar in _SCALARS if pattern.fullmatch(stem)), None)


def _meaning(alias: Alias, found: re.Match[str], name: str, part: str | None, percent: bool) -> Meaning:
    groups = found.groupdict()
    quantizer = groups.get("quantizer")
    if quantizer and (at := name.lower().rfind(quantizer)) >= 0:  # as the log spells it
        quantizer = name[at : at + len(quantizer)]
    scale = alias.scale * (PERCENT if percent and alias.scale != PERCENT else 1.0)
    metric = alias.metric
    if percent and metric == "usage.batch_used":
        metric = "usage.batch_utilization"  # a percentage is no number of codes
    level = int(groups["level"]) if groups.get("level") else None
    return Meaning(metric, None, scale, alias.offset, quantizer, level, alias.scope or part, alias.note)
