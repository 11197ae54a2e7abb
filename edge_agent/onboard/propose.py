"""Proposes a dictionary entry for every point of a device, from what is written about the points alone.

text -> concepts (propose_text, propose_concepts) -> how near each entry comes (propose_nearest, propose_signals) -> which
is the likeliest (propose_rank) -> chance of being right (propose_confidence); what a technician confirmed before comes
first (propose_memory). Needs no network, no device; what is fitted is a file of some sixty kilobytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from edge_agent.onboard.point_list import PointList
from edge_agent.onboard.propose_concepts import Described
from edge_agent.onboard.propose_confidence import confidence, features, load_confidence
from edge_agent.onboard.propose_context import Device, describe
from edge_agent.onboard.propose_lexicon import load_lexicon
from edge_agent.onboard.propose_match import concept_name
from edge_agent.onboard.propose_memory import Memory
from edge_agent.onboard.propose_nearest import Nearest, left_over
from edge_agent.onboard.propose_rank import Weights, load_weights, rank
from edge_agent.onboard.propose_signals import Seen, see
from protocols.dictionary.entries import equipment_classes, load_dictionary
from protocols.errors import ConfigError
from protocols.text import Text

PROPOSED = 0.65
"""Below this chance of being right nothing is proposed: a wrong mapping costs more than an empty one.

Cross-validated, 0.5 finds one point in a hundred more and gives half as many again of those without an entry a wrong one.
"""

SURE = 0.8
"""From here on a technician would accept the proposal unread."""

NONE_MOST = 0.75
"""The confidence of "nothing fits" at most: leaving a point out always waits for a person's eye."""

CONFIRMED = 0.99

TOLD = 0.3
"""What a word or a concept weighs at least to be spoken of."""

WORDS = frozenset({"w ", "h ", "b "})
TELLING = 0.8
"""Signals that are words a person can read, and the weight from which on one is worth showing."""


class Proposal(msgspec.Struct, frozen=True):
    """What a point is: `property` is an entry's code or None; `nearest` the runners-up, for a person to choose from."""

    property: str | None
    confidence: float
    reason: Text
    nearest: tuple[str, ...] = ()


class _Answer(msgspec.Struct):
    property: str | None


class Fitted(msgspec.Struct, frozen=True):
    """What is fitted: the weights of the ranking and those of the confidence."""

    ranking: Weights
    confidence: Mapping[str, float]


def propose(found: PointList, memory: Memory | None = None, fitted: Fitted | None = None) -> dict[str, Proposal]:
    """Return the proposal for every point of `found` by its address, in the order of the list.

    `fitted` replaces what this package comes with. The same list gives the same answer whichever way round it is.
    """
    device = describe(found)
    fitted = fitted or Fitted(load_weights(), load_confidence())
    recalled = (memory or Memory()).recall(found)
    return {
        written.address: _confirmed(code) if known else _proposal(seen, device, fitted)
        for written, seen, (known, code) in zip(found.points, see(device), recalled, strict=True)
    }


def read_answers(path: Path) -> dict[str, str | None]:
    """Return confirmed answers, address -> entry or None, from JSON as `propose` writes it or {address: code or null}.

    Raises ConfigError naming the file where it is neither.
    """
    try:
        raw = msgspec.json.decode(path.read_bytes(), type=dict[str, _Answer | str | None])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            Text(f"holds no answers: {error}", f"不是有效的确认结果：{error}"),
            Text('write {"address": "code or null"}', '应为 {"地址": "条目代码或 null"}'),
            key=str(path),
        ) from error
    return {address: answer.property if isinstance(answer, _Answer) else answer for address, answer in raw.items()}


def _confirmed(code: str | None) -> Proposal:
    return Proposal(
        code,
        CONFIRMED,
        Text("confirmed before on a device of this family", "同类设备上已由技术人员确认")
        if code
        else Text("a technician said before that no entry fits", "技术人员曾确认没有合适的条目"),
    )


def _proposal(seen: Seen, device: Device, fitted: Fitted) -> Proposal:
    if not seen.pairs:
        return Proposal(None, NONE_MOST if not seen.point.unknown else 0.6, _nothing(seen.point), ())
    ranked, none = rank(seen.signals, seen.pairs, fitted.ranking)
    chance = confidence(features(seen, ranked, none), fitted.confidence)
    best, codes = ranked[0].code, tuple(one.code for one in ranked[:4])
    if chance < PROPOSED:
        return Proposal(None, round(min(NONE_MOST, 1.0 - chance), 3), _rejected(seen, best), codes)
    return Proposal(best, round(chance, 3), _reason(seen, device, best, fitted.ranking), codes[1:])


def _reason(seen: Seen, device: Device, code: str, weights: Weights) -> Text:
    point, entry, found = seen.point, load_dictionary()[code], seen.near[code]
    says = _says(found.explained)
    en, zh = [says.en], [says.zh]
    if words := _usual_words(seen, code, weights):
        en.append(f"other makers write it so: {', '.join(words)}")
        zh.append(f"其他厂家也这样写：{'、'.join(words)}")
    if point.unit_quantity and point.point.unit and entry.unit != "C62":
        en.append(f"unit {point.point.unit} agrees")
        zh.append(f"单位 {point.point.unit} 相符")
    kind = equipment_classes().get(device.kinds[0]) if device.kinds else None
    if kind and entry.equipment_class in device.kinds:
        en.append(f"usual on: {kind.en.lower()}")
        zh.append(f"{kind.zh}常见参数")
    unclear = _unclear(point, found)
    return Text("; ".join([*en, *filter(None, [unclear.en])]), "；".join([*zh, *filter(None, [unclear.zh])]))


def _usual_words(seen: Seen, code: str, weights: Weights) -> list[str]:
    """Return words of the point that speak for the entry by themselves, where its concepts alone would not do."""
    if not seen.near[code].amiss:
        return []
    words = {signal[2:]: weights.worth(signal, 1.0).get(code, 0.0) for signal in seen.signals if signal[:2] in WORDS}
    telling = sorted(words, key=lambda word: (-words[word], word))
    return [word for word in telling if words[word] >= TELLING][:2]


def _rejected(seen: Seen, code: str) -> Text:
    """Say what keeps the likeliest entry from being proposed, the strongest ground alone."""
    point, found, entry = seen.point, seen.near[code], load_dictionary()[code]
    written = "#writable" in point.flags and found.measured
    if _general(point) and not written:
        return _nothing(point)
    words = _unknown_words(point)
    if left := left_over(point, found):
        named = [Text(concept_name(concept, "en"), concept_name(concept, "zh")) for concept in left[:3]]
        why = Text(
            f"{', '.join(text.en for text in named)} makes another thing of it",
            f"“{'”“'.join(text.zh for text in named)}”说明它是另一个量",
        )
    elif words:
        why = Text(f"what {', '.join(words)} means is not known", f"不认识“{'”“'.join(words)}”")
    elif written:
        why = Text("it may be written, which a measured value may not", "该点可写，而测量值应为只读")
    elif entry.data_type == "REAL_MEASURE" and not point.unit_quantity:
        why = Text("no unit bears it out", "没有单位可以佐证")
    else:
        why = Text("the texts say too little", "文字依据不足")
    return Text(f"close to {entry.name.en}, but {why.en}", f"接近“{entry.name.zh}”，但{why.zh}")


def _general(point: Described) -> bool:
    """Return whether the texts name quantities and nothing else: a temperature, but not of what."""
    classes = load_lexicon().class_of
    said = [concept for concept, weight in point.against.items() if weight >= TOLD]
    return bool(said) and all(classes[concept] == "quantity" for concept in said)


def _nothing(point: Described) -> Text:
    said = tuple(sorted(concept for concept, weight in point.against.items() if weight >= TOLD))
    words = _unknown_words(point)
    if not said and not words:
        return Text("the texts say nothing the dictionary knows", "文字中没有可识别的含义")
    if not said:
        return Text(f"what {', '.join(words)} means is not known", f"不认识“{'”“'.join(words)}”")
    classes = load_lexicon().class_of
    if all(classes[concept] == "quantity" for concept in said):
        unknown = (
            Text(f" ({', '.join(words)} is not known)", f"（不认识“{'”“'.join(words)}”）") if words else Text("", "")
        )
        return Text(
            f"{_says(said).en}, but not of what{unknown.en}: a description or the kind of device would tell",
            f"{_says(said).zh}，但未说明对象{unknown.zh}；请补充描述或设备类型",
        )
    return Text(f"{_says(said).en}; no entry of the dictionary is that", f"{_says(said).zh}；字典中没有对应条目")


def _unknown_words(point: Described) -> list[str]:
    return sorted(word for word, weight in point.unknown.items() if weight >= TOLD)[:5]


def _says(concepts: Sequence[str]) -> Text:
    return Text(
        "says " + ", ".join(concept_name(concept, "en") for concept in concepts),
        "含“" + "”“".join(concept_name(concept, "zh") for concept in concepts) + "”",
    )


def _unclear(point: Described, found: Nearest) -> Text:
    """Say what stays unexplained: concepts that the entry has not, words that nobody knows."""
    words, left = _unknown_words(point), left_over(point, found)
    en = [concept_name(concept, "en") for concept in left] + words
    zh = [concept_name(concept, "zh") for concept in left] + words
    return Text("left over: " + ", ".join(en), "未能解释：" + "、".join(zh)) if en else Text("", "")
