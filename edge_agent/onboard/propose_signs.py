"""Reads the signs in a text that are no words: phases (L1, A相, Uab), formula signs (dP, PFt), instrument tags (PI 15)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from edge_agent.onboard.propose_lexicon import PHASES, Lexicon

ELECTRIC = frozenset({"electric_voltage", "electric_current", "power", "reactive_power", "apparent_power", "energy"})

_LINE_TO_LINE = [
    (
        "l12",
        r"L1\s*[-_/~]?\s*L2|L1-2|L12(?!\d)|(?<![A-Za-z])A-?B(?=\s*(?:相|线|间|ph|line))|(?<![A-Za-z])UV(?=\s*[相线])",
    ),
    (
        "l23",
        r"L2\s*[-_/~]?\s*L3|L2-3|L23(?!\d)|(?<![A-Za-z])B-?C(?=\s*(?:相|线|间|ph|line))|(?<![A-Za-z])VW(?=\s*[相线])",
    ),
    (
        "l31",
        r"L3\s*[-_/~]?\s*L1|L1\s*[-_/~]\s*L3|L3-1|L31(?!\d)|L13(?!\d)|(?<![A-Za-z])(?:C-?A|A-?C)(?=\s*(?:相|线|间|ph|line))|(?<![A-Za-z])WU(?=\s*[相线])",
    ),
    ("l12", r"(?i)phases?\s*#?\s*RS(?![a-z0-9])"),
    ("l23", r"(?i)phases?\s*#?\s*ST(?![a-z0-9])"),
    ("l31", r"(?i)phases?\s*#?\s*(?:TR|RT)(?![a-z0-9])"),
    ("l12", r"(?i)(?:phases?|lines?|ph)\s*[1a]\s*(?:to|and|-)\s*(?:phase|line|ph)?\s*[2b](?![a-z0-9])"),
    ("l23", r"(?i)(?:phases?|lines?|ph)\s*[2b]\s*(?:to|and|-)\s*(?:phase|line|ph)?\s*[3c](?![a-z0-9])"),
    (
        "l31",
        r"(?i)(?:phases?|lines?|ph)\s*(?:[3c]\s*(?:to|and|-)\s*(?:phase|line|ph)?\s*[1a]|[1a]\s*(?:to|and|-)\s*(?:phase|line|ph)?\s*[3c])(?![a-z0-9])",
    ),
]
_ONE_PHASE = [
    (
        phase,
        rf"L{n}(?:\s*[-_/]?\s*N(?![a-z]))?(?!\d)|(?<![A-Za-z])[{names}]\s*-?\s*相(?!对)|相\s*[{names}](?![A-Za-z])|(?i:(?:phase|ph)[\s_#-]*[{n}{abc}](?![a-z0-9])|(?<![a-z0-9])[{abc}][\s_-]?phase|(?<![a-z0-9])line {n}(?!\d))",
    )
    for phase, n, names, abc in (("l1", "1", "ARUar", "ar"), ("l2", "2", "BSVbs", "bs"), ("l3", "3", "CTWct", "ct"))
]
_RULES = [(phase, re.compile(pattern)) for phase, pattern in (*_LINE_TO_LINE, *_ONE_PHASE)]

_SIGN = re.compile(
    r"(?<![A-Za-z0-9])(?!(?:ist|cost)(?![a-z]))(pf|cos|u|v|i|p|q|s|e)_?(?:(l?12|ab|rs)|(l?23|bc|st)|(l?31|ca|ac(?=n)|tr)|(l?1|a|r)n?|(l?2|b)n?|(l?3|c|t)n?|(dc|pv)\d?|(bat)|(bus)|(sum|tot|total|ges)\d?|(ln)|(ll))(?![A-Za-z0-9])",
    re.IGNORECASE | re.ASCII,  # a dotless ı is no current
)
_SIGN_MEANS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "u": ("electric_voltage", ("voltage",)),
    "v": ("electric_voltage", ("voltage",)),
    "i": ("electric_current", ("current",)),
    "p": ("power", ("power",)),
    "q": ("reactive_power", ("power", "reactive")),
    "s": ("apparent_power", ("power", "apparent")),
    "e": ("energy", ("energy",)),
    "pf": ("", ("power_factor",)),
    "cos": ("", ("power_factor",)),
}
VECTORS = frozenset({"electric_voltage", "electric_current"})
"""Quantities that have no sum over the phases: "Ut" is of phase T, "Pt" the total."""

_SUFFIX_MEANS = (*PHASES[3:], *PHASES[:3], "dc", "battery", "bus", "total", "line_to_neutral", "line_to_line")

_SPACED_SIGN = re.compile(
    r"(?<![A-Za-z0-9])([UVIPQSE]) ((?:SUM|Sum|sum|TOT|tot|L[123](?! ?[-_/] ?L)|LN|LL|DC|dc)\d?)(?![A-Za-z0-9])"
)
_SMALL_PHASE = re.compile(r"(?<![A-Za-z])l(?=(?:[123]|12|23|31)n?(?![0-9a-z]))")
_GLUED_L = re.compile(r"(?<=[A-Za-z])L(?=[123])")
"""The end of a word or a code with a number, "SL1", unless something electrical is measured."""

_DIFFERENCE = re.compile(r"(?<![A-Za-z])(?:[dΔ△] ?[PT])(?![a-z])")
_ALL_PHASES = re.compile(r"SUML13|L1\s*(?:\.{2,3}|…|~|至)\s*L?3", re.IGNORECASE)
INSTRUMENTS: Mapping[str, tuple[str, ...]] = {
    "P": ("pressure",),
    "PD": ("pressure", "differential"),
    "T": ("temperature",),
    "TD": ("temperature", "differential"),
    "F": ("flow",),
    "L": ("level",),
    "A": ("analysis",),
    "V": ("vibration",),
}
"""First letters of instrument tags (ANSI/ISA-5.1) and what they measure."""

_INSTRUMENT = re.compile(
    r"(?:^|(?<=[\s.]))(PD|TD|[PTFLAV])(?:I|T|E|R|IC|IR|IT|RC|ICA|RCA|IRC|IA|IRCA)[\s\-]?\d{2,5}[A-Z]?\b"
)
_LONE = re.compile(r"(?<![A-Za-z0-9])([TPUVIQSF])(?![A-Za-z0-9])(?!$)|(?<=[/. ])([UVIPF])$|^([QS])$")
_DISTORTION = re.compile(r"(?i)(?<![a-z])([uvi]?)thd[\s_-]?([uvi]?)(?=(?:l?[123]|[abc]n?|ab|bc|ca|ll|ln)?(?![a-z0-9]))")
"""Total harmonic distortion glued to the sign of what is distorted, "THDUa" or "UTHD"."""

ENERGIES = frozenset({"energy", "reactive_energy", "apparent_energy"})
_SIGNED = re.compile(r"(?i)((?<![a-z])(?:k?wh|mwh|k?varh|e[apqr]|w[pq]|energy|[ar]) ?)\(?([+-])\)?(?=\s|$)")
"""A direction of energy as its sign, "EP-" or "kWh+"."""

_TARIFF = re.compile(r"(?<![A-Za-z])T ?[1-9](?![A-Za-z0-9])")
"""A tariff of a meter, "T1 Total Active Energy"."""

_DISTORTED = re.compile(r"(?i)(?<![a-z])([UVI])_?(?:l?[1-3]{1,2}|[abc]{1,2}n?|an|avg|ln|ll)(?![a-z0-9])")
"""The formula sign of what is distorted, "THD_V1"."""

_LETTER_AT_END = re.compile(
    r"(?:(?i:phs?)\s?|(?<![A-Za-z]))(A-?B|B-?C|C-?A|[ABC](?=-?N?\s*$)|a-?b(?=\s*$)|b-?c(?=\s*$)|c-?a(?=\s*$)|[abc](?=(?:-?n)?\s*$))(?:-?[Nn])?\s*$"
)
_DIRECT = re.compile(r"(?i)\b(?:dc|pv|mppt|string|battery)")
_FACTOR = re.compile(r"(?i)power factor|\bPF\b|thd|cos ?phi")
_LETTERS: Mapping[str, str] = dict(zip(("AB", "BC", "CA", "A", "B", "C"), (*PHASES[3:], *PHASES[:3]), strict=True))


def instrument(text: str) -> tuple[tuple[str, ...], str]:
    """Return what an instrument tag in `text` measures, () without one, and the text without the tag."""
    tag = _INSTRUMENT.search(text)
    return (INSTRUMENTS[tag[1]], f"{text[: tag.start()]} {text[tag.end() :]}") if tag else ((), text)


def lone_sign(text: str, unit_quantity: str, electrical: bool, concepts: set[str]) -> tuple[str, ...]:
    """Return what a formula sign on its own stands for, as in "P_oil" or "/L1/V", in a text that names no quantity."""
    if "thd" in concepts and (numbered := _DISTORTED.search(text)):
        letters = [numbered[1].upper()]
    else:
        letters = [
            found[1] or found[2] or found[3] for found in _LONE.finditer(text.upper() if "thd" in concepts else text)
        ]
    if not letters:
        return ()
    letter = letters[-1]
    if "thd" in concepts:
        return {"U": ("voltage",), "V": ("voltage",), "I": ("current",)}.get(letter, ())
    if electrical:
        quantity, means = {**_SIGN_MEANS, "f": ("frequency", ("frequency",))}.get(letter.lower(), ("", ()))
    else:
        quantity, means = {"P": ("pressure", ("pressure",)), "T": ("temperature", ("temperature",))}.get(
            letter, ("", ())
        )
    return means if unit_quantity == quantity or (not unit_quantity and len(text.strip()) > 1) else ()


def marked(text: str, lexicon: Lexicon, unit_quantity: str, electrical: bool) -> str:
    """Put the private characters of phases and formula signs in the place of their spellings."""

    def sign(found: re.Match[str]) -> str:
        quantity, concepts = _SIGN_MEANS[found[1].lower()]
        if unit_quantity != quantity and (unit_quantity or not electrical):
            return found[0]
        if quantity == "energy" and found[0][-1] in "aA":
            return lexicon.mark("energy", "active")
        if quantity == "energy" and (not electrical or (not unit_quantity and not found[10])):
            return found[0]
        between = found[0][-2:].casefold() == "st" and quantity != "apparent_power"
        if found[0][-1] in "tT" and not between and quantity not in VECTORS:
            return lexicon.mark(*concepts, "total")
        suffix = next(means for means, part in zip(_SUFFIX_MEANS, found.groups()[1:], strict=True) if part)
        return lexicon.mark(*concepts, suffix)

    text = _DISTORTION.sub(lambda found: f" THD {found[1] or found[2]}", text)
    if unit_quantity in ENERGIES:
        text = _SIGNED.sub(lambda found: found[1] + lexicon.mark("import_" if found[2] == "+" else "export_"), text)
        if electrical:
            text = _TARIFF.sub(lexicon.mark("tariff"), text)
    if not electrical and unit_quantity not in ELECTRIC:
        text = _GLUED_L.sub("l", text)
    text = _SMALL_PHASE.sub("L", text)
    text = _SIGN.sub(sign, _SPACED_SIGN.sub(r"\1\2", text))
    text = _DIFFERENCE.sub(
        lambda found: lexicon.mark("differential", "pressure" if "P" in found[0] else "temperature"), text
    )
    text = _ALL_PHASES.sub(lexicon.mark("total"), text)
    for phase, pattern in _RULES:
        text = pattern.sub(lexicon.mark(phase), text)
    if electrical and (unit_quantity in ELECTRIC or _FACTOR.search(text)) and not _DIRECT.search(text):
        text = _LETTER_AT_END.sub(lambda found: lexicon.mark(_LETTERS[found[1].upper().replace("-", "")]), text)
    return text
