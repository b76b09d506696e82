"""One line of a text log: colours and clock times taken off, its step, its numbers with their names.

Pure functions on one line. The search starts at a number after `=` or `:` and looks back for its name, so that a line costs what is
on it and no pattern can run away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vqdoctor.logs.numbers import NUMBER

LONGEST = 1 << 14  # characters of a line that are looked at
_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)|[@-Z\\-_])")
_CLOCK = re.compile(
    r"\d{4}[-/]\d\d[-/]\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?Z?)?"
    r"|(?<![\w.])(?:\d{1,4} days?, )?\d{1,3}:\d\d(?::\d\d)?(?:[.,]\d+)?(?![\w:])"
)
_LEVEL = re.compile(r"\b(?:DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL)\b(?::[\w.]{1,80}:)?:?")
_PACE = r"[^\[\],]{0,40}(?:, ?[^\[\],=]{1,20}(?![^,\]]))?"  # elapsed and left, rate; the postfix comes after
_SOURCE = re.compile(  # of a message: "module:function:42 - ", "train.py:45"
    r"(?<![\w/.<>-])(?:[\w.<>]{1,80}:[\w<>]{1,80}:\d{1,6}(?=\s-\s|\s?\|)|[\w./-]{1,120}\.py:\d{1,6}(?!\w))"
)
_BAR = re.compile(r"(?:^|[ :])\s{0,3}\d{1,3}%\|[^|]{0,400}\|\s{0,9}(\d{1,12})/(\d{1,12}) \[" + _PACE)
_COUNT = re.compile(r"(?:^|[ :])(\d{1,12})it \[" + _PACE)
_STAGE = re.compile(r"\| Epoch (\d{1,9}) \| (\d{1,12})/(\d{1,12}) \| [\d.]{1,12} (?:it/sec|sec/it|ms/it)(?= \||$)")  # flashy
_COUNTER = re.compile(  # but "Epoch [1/10]" is an epoch
    r"\[(?<!poch \[)(?<!poch: \[)(?<!poch\[)(?<!tep \[)(?<!tep: \[)(?<!tep\[)(?<!ter \[)(?<!p\]: \[)"
    r"(?<!tion \[)\s{0,9}(\d{1,12})\s?/\s?(\d{1,12})(?: \(\d{1,3}(?:\.\d{1,6})?%\))?\s?\]"  # "Epoch: [3]  [ 10/500]"
)
_STEP = re.compile(
    r"(?<![\w/.])(?<!per )(global[ _]step|num_updates|n_iter|iteration|iter|step|epoch|ep|步数|轮次)"
    r"\]?\s{0,3}[=:#]?\s{0,8}[\[(]?\s{0,8}(\d[\d,]{0,15})(?:\s?/\s?\d{1,12})?[\])]?(?![\w.%])",
    re.IGNORECASE,
)
_COUNTED = re.compile(r"^\W{0,9}(\d{1,12})\s(iteration|iter|step|epoch)s?\b", re.IGNORECASE)
_VALUE = re.compile(rf"[=:]\s{{0,8}}['\"(\[]?\s{{0,4}}({NUMBER})(%|[A-Za-z]{{1,3}}(?:/[A-Za-z]{{1,3}})?)?(?![\w:]|\.\d)")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\w|[.,]\d)")
_OF = re.compile(r"\s?/\s?(\d{1,12})(?![\w.:/])")
_LIST = re.compile(rf"\[\s{{0,4}}{NUMBER}(?:\s{{0,4}},\s{{0,4}}{NUMBER}){{0,255}}\s{{0,4}},?\s{{0,4}}\]")
_NAME = re.compile(r"\w[\w./@#+*-]*(?: \w[\w./@#+*-]*){0,5}(?: ?\([^()]{1,30}\))?$")
_NUMBERED = re.compile(r"^(?:\d[\d.,]* )+")  # "10 / 5000 loss=6.5"
_NO_NAMES = frozenset({"of", "in", "at", "to", "for", "from", "on", "took", "out of", "after"})
_COMMAS = re.compile(r"[,|;:]|\s-\s")
_TOLD = re.compile(rf"([A-Za-z_][\w./@-]{{0,79}}(?: [A-Za-z][\w./@-]{{0,39}}){{0,3}}) ({NUMBER})( ?%)?")
_DICT = re.compile(r"(\w[\w./-]{0,79})['\"]?\s{0,4}[:=]\s{0,4}\{")
_BREAK = "; "


@dataclass(frozen=True, slots=True)
class Bar:
    """A progress bar: done of total, None where the bar does not know."""

    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Pair:
    """A named number on a line.

    Attributes:
        name: as spelled, with " %" where the number is a percentage. start, end: where it stands.
        of: how many there are, where the line says it behind the number ("2/256"); else None.
    """

    name: str
    value: float
    start: int
    end: int
    of: int | None = None


def clean(line: bytes) -> str:
    """The text of a line without colours."""
    return _ANSI.sub("", line[: 4 * LONGEST].decode("utf-8-sig", errors="replace"))[:LONGEST].strip()


def without_noise(text: str) -> str:
    """`text` with dates, clock times and log levels cut out, and the line of code that speaks: their colons name nothing."""
    text = _CLOCK.sub(_BREAK, text)
    if ".py:" in text or " | " in text:  # most lines have neither
        text = _SOURCE.sub(_BREAK, text)
    return _LEVEL.sub(_BREAK, text)


def stage_of(text: str) -> tuple[float | None, str]:
    """Epochs done, with a fraction, where a line says both the epoch and how far it has come, and the line without it."""
    found = _STAGE.search(text) if "| Epoch " in text else None
    if found is None or not int(found[3]):
        return None, text
    done = int(found[1]) - 1 + int(found[2]) / int(found[3])
    return done, text[: found.start()] + _BREAK + text[found.end() :]


def bar_of(text: str) -> tuple[Bar | None, str]:
    """The progress bar on a line, and the line without it: what is said before and behind it."""
    if (found := _BAR.search(text)) is not None:
        bar = Bar(int(found[1]), int(found[2]))
    elif (found := _COUNT.search(text)) is not None:
        bar = Bar(int(found[1]), None)
    elif (found := _COUNTER.search(text)) is not None:
        return Bar(int(found[1]), int(found[2])), text[: found.start()] + _BREAK + text[found.end() :]
    else:
        return None, text
    return bar, text[: found.start()] + _BREAK + text[found.end() :]


def steps_of(text: str) -> tuple[int | None, int | None, str]:
    """Step and epoch that a line names (None where not), and the line without them."""
    fine, coarse = None, None
    for pattern, word, digits in ((_STEP, 1, 2), (_COUNTED, 2, 1)):
        for found in pattern.finditer(text):
            count = int(found[digits].replace(",", ""))
            if found[word].lower() in ("epoch", "ep", "轮次"):
                coarse = count
            else:
                fine = count
        text = pattern.sub(_BREAK, text)
    return fine, coarse, text


def pairs_of(text: str, prefix: str = "") -> Iterator[Pair]:
    """The named numbers of a line. prefix: name of a dict that the line before opened.

    Example:
        >>> [(pair.name, pair.value) for pair in pairs_of("train loss: 0.5, lr=1e-3; usage: 98%")]
        [('train loss', 0.5), ('lr', 0.001), ('usage %', 98.0)]
    """
    opened = _DICT.search(text)
    inside, end = (opened.end(), 0) if opened else (len(text) if not prefix else 0, 0)
    outer = opened[1] if opened else prefix
    for found in _VALUE.finditer(text):
        name = _name_before(text, max(end, found.start() - 100), found.start())
        begin, end = found.start() - len(name), found.end()
        if not any(char.isalpha() for char in name):
            continue
        if outer and found.start() >= inside:
            name = f"{outer}.{name}"
        opening = text.find("[", found.start(), found.start(1))  # looked for in one place: a line may have thousands
        many = _LIST.match(text, opening, found.start() + 8192) if opening >= 0 else None
        if many is not None:
            end = many.end()
            for i, item in enumerate(filter(None, map(str.strip, many[0].strip("[]").split(",")))):
                yield Pair(f"{name}.{i}", float(item), begin, end)
        else:
            whole = _THOUSANDS.match(text, found.start(1)) if text.startswith(",", found.end(1)) else None
            if whole is not None and text[found.start(1) - 1] not in "([":
                value, end = float(whole[0].replace(",", "")), whole.end()
            else:
                value = float(found[1])
            of = _OF.match(text, end)
            percent = found[2] == "%" and not name.endswith("%")
            yield Pair(name + " %" * percent, value, begin, end, int(of[1]) if of else None)


def _name_before(text: str, start: int, end: int) -> str:
    before = text[start:end].rstrip()
    if before.endswith(("%", "(%)")):
        name = _name_before(text, start, end - (len(text[start:end]) - len(before.rstrip("(%)").rstrip())))
        return f"{name} %" if name else ""
    if before.endswith(("'", '"')):
        return before[:-1].rpartition(before[-1])[2]
    found = _NAME.search(before)
    if found is None:
        return ""
    return _NUMBERED.sub("", found[0]) if found[0][0].isdecimal() else found[0]


def told_of(text: str) -> tuple[list[tuple[str, float]], str]:
    """Names and numbers that stand side by side between commas or bars ("train loss 0.5, ppl 12"), and what else the line says."""
    found, rest = [], []
    for part in map(str.strip, _COMMAS.split(text)):
        if (told := _TOLD.fullmatch(part)) is not None and told[1].lower() not in _NO_NAMES:
            found.append((told[1] + " %" * bool(told[3]), float(told[2])))
        else:
            rest.append(part)
    return found, _BREAK.join(rest)
