"""The report's sentences. Each gives measured values and names the measurements it rests on.

Without a reference population no sentence judges a volume ("enlarged", "atrophy", "normal"). A sentence's confidence is
the lowest confidence of its measurements (:mod:`pipelines.imaging.measure`): the figure that the tables show, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pipelines.imaging.labels import LABELS, LESION, PAIRS
from pipelines.imaging.report import Lesion, LesionStatus, Measurement, ReportQuality, Sentence
from pipelines.imaging.wording import FLAIR_CONTRAST, OVER, OVER_ML, amount, asymmetry, capital, joined, number, place
from serving.roles import missing_sentence

SUMMARY, BRAIN, VENTRICLES, DEEP, HIND, LESIONS, SURE = (
    "Summary", "Brain", "Ventricles", "Deep grey matter and temporal lobe", "Cerebellum and brain stem", "Lesions", "Quality",
)  # fmt: skip
_DEEP_PAIRS = ("thalamus", "caudate", "putamen", "pallidum", "hippocampus", "amygdala", "accumbens")
LISTED = 10
"""Lesions that get a sentence of their own; the lesion table has all."""

Named = Mapping[str, Measurement]


def write_sentences(
    measurements: Sequence[Measurement], lesions: Sequence[Lesion], quality: ReportQuality, lesion_status: LesionStatus = "measured"
) -> list[Sentence]:
    """All sentences, in reading order. Sections without measurements are left out."""
    named: Named = {item.name: item for item in measurements}
    writer = _Writer(named, quality)
    if lesion_status == "measured" and lesions:
        _measured_lesions(writer, lesions)
    _volumes(writer)
    if lesion_status != "measured":
        _unmeasured_lesions(writer, lesions, lesion_status)
    elif not lesions:
        writer.say(SUMMARY, "No lesion detected.", "lesion count")
    _largest_asymmetry(writer)
    _brain(writer)
    _ventricles(writer)
    _pairs(writer)
    _hind(writer)
    _lesions(writer, lesions, "Candidate" if lesion_status == "candidates" else "Lesion")
    _sure(writer, quality)
    return writer.sentences


def overall_confidence(sentences: Iterable[Sentence]) -> float:
    """Mean confidence of all sentences; an unsupported one counts as 0."""
    values = [0.0 if item.support == "unsupported" else item.confidence for item in sentences]
    return round(sum(values) / len(values), 4) if values else 0.0


def what_was_not_looked_at(
    missing_roles: Iterable[str], *, lesions_found: bool, lesion_status: LesionStatus = "measured", model_limits: Sequence[str] = ()
) -> list[str]:
    """What the analysis does not cover, one sentence each."""
    found = [missing_sentence(role) for role in missing_roles if role in ("vlm", "embedding", "entailment")]
    found.append("Sentences are templates filled with measured values. No language model was used.")
    found.append("No comparison with a reference population: volumes are not rated for age and sex.")
    if lesion_status == "not assessed":
        found.append("White-matter lesions: FLAIR is needed. Lesion candidates of this scan are listed on request.")
    if model_limits:
        found.append("Limits of the segmentation model: " + " ".join(model_limits))
    if lesions_found:
        found.append("Lesion cause was not assessed.")
    found.append("Lesions below the size threshold, vessels, meninges, skull, orbits and extracranial structures were not assessed.")
    found.append("Only this scan was analysed: no prior scans, other sequences or clinical information.")
    return found


class _Writer:
    def __init__(self, named: Named, quality: ReportQuality) -> None:
        self.named, self.quality = named, quality
        self.sentences: list[Sentence] = []

    def has(self, *names: str) -> bool:
        """Whether all these were measured, and none is zero."""
        return all(name in self.named and self.named[name].value != 0 for name in names)

    def say(self, section: str, text: str, *names: str) -> None:
        used = list(dict.fromkeys(names))
        known = [self.named[name].confidence for name in used]
        least = min([value for value in known if value is not None], default=self.quality.score)
        self.sentences.append(Sentence(section=section, text=text, support="measured", confidence=round(least, 4), measurements=used))

    def amount(self, name: str) -> str:
        return amount(self.named[name])

    def asymmetry(self, name: str) -> str:
        """The asymmetry index of a paired structure."""
        return asymmetry(self.named[f"{name} asymmetry index"])


def _volumes(writer: _Writer) -> None:
    names = ("brain volume", "grey matter volume", "white matter volume", "ventricle volume")
    if writer.has(*names):
        brain, grey, white, ventricles = (writer.amount(name) for name in names)
        text = f"Brain volume {brain}: grey matter {grey}, white matter {white}. Ventricles {ventricles}."
        writer.say(SUMMARY, text, *names)


def _measured_lesions(writer: _Writer, lesions: Sequence[Lesion]) -> None:
    count, load = writer.named["lesion count"], writer.named["lesion load"]
    if len(lesions) == 1:
        writer.say(SUMMARY, f"1 lesion detected: {writer.amount('lesion 1 volume')} ({place(lesions[0])}).", count.name, "lesion 1 volume")
        return
    largest = f"largest {writer.amount('lesion 1 volume')} ({place(lesions[0])})"
    text = f"{number(count.value, 'count')} lesions detected, total volume {amount(load)}; {largest}."
    writer.say(SUMMARY, text, count.name, load.name, "lesion 1 volume")


def _unmeasured_lesions(writer: _Writer, lesions: Sequence[Lesion], lesion_status: LesionStatus) -> None:
    """What is said where the sequence does not allow measuring lesions."""
    why = "this scan does not have FLAIR contrast"
    if lesion_status == "not assessed":
        text = f"White-matter lesions were not assessed: {why}. A FLAIR sequence is needed."
        writer.say(SUMMARY, text, FLAIR_CONTRAST)
    elif not lesions:
        text = f"No lesion candidates. Lesions cannot be measured: {why}. A FLAIR sequence is needed."
        writer.say(SUMMARY, text, "lesion count", FLAIR_CONTRAST)
    else:
        count = number(writer.named["lesion count"].value, "count")
        text = (
            f"{count} lesion candidate{'s' if len(lesions) > 1 else ''}, total volume {writer.amount('lesion load')}. "
            f"Not confirmed as lesions: {why}. A FLAIR sequence is needed."
        )
        writer.say(SUMMARY, text, "lesion count", "lesion load", FLAIR_CONTRAST)


def _largest_asymmetry(writer: _Writer) -> None:
    """The largest asymmetry index of all pairs, as in the table; of a small structure, also the largest of the bigger ones."""
    pairs = [name for name in PAIRS if f"{name} asymmetry index" in writer.named and writer.has(*_sides(name))]
    if not pairs:
        return

    def index(name: str) -> float:
        return abs(writer.named[f"{name} asymmetry index"].value)

    large = [name for name in pairs if min(writer.named[side].value for side in _sides(name)) >= OVER_ML]
    widest = max(pairs, key=index)
    text = f"Largest asymmetry: {widest}, {writer.asymmetry(widest)}"
    told = [widest]
    if large and widest not in large:
        told.append(max(large, key=index))
        text += f"; among {OVER}: {told[1]}, {writer.asymmetry(told[1])}"
    writer.say(SUMMARY, text + ".", *(name for pair in told for name in (f"{pair} asymmetry index", *_sides(pair))))


def _brain(writer: _Writer) -> None:
    if writer.has("cerebral cortex volume", "cerebral white matter volume"):
        cortex, white = writer.amount("cerebral cortex volume"), writer.amount("cerebral white matter volume")
        text = f"Cerebral cortex {cortex}, cerebral white matter {white}."
        writer.say(BRAIN, text, "cerebral cortex volume", "cerebral white matter volume")
    _pair(writer, BRAIN, "cerebral hemisphere", "Cerebral hemispheres")
    if writer.has("intracranial volume", "brain to intracranial ratio"):
        space, share = writer.amount("intracranial volume"), writer.amount("brain to intracranial ratio")
        text = f"Intracranial volume {space}; brain {share} of intracranial volume."
        writer.say(BRAIN, text, "intracranial volume", "brain to intracranial ratio")


def _ventricles(writer: _Writer) -> None:
    _pair(writer, VENTRICLES, "lateral ventricle", "Lateral ventricles")
    middle = [name for name in ("third ventricle", "fourth ventricle") if writer.has(f"{name} volume")]
    if middle:
        parts = [f"{name} {writer.amount(f'{name} volume')}" for name in middle]
        writer.say(VENTRICLES, capital(", ".join(parts)) + ".", *(f"{name} volume" for name in middle))
    if writer.has("ventricle-to-brain ratio"):
        writer.say(VENTRICLES, f"Ventricle-to-brain ratio {writer.amount('ventricle-to-brain ratio')}.", "ventricle-to-brain ratio")


def _pairs(writer: _Writer) -> None:
    for name in _DEEP_PAIRS:
        _pair(writer, DEEP, name, capital(name))


def _pair(writer: _Writer, section: str, name: str, title: str) -> None:
    """``Hippocampus: left 3.91 ml, right 4.02 ml; asymmetry index 2.8 %, right larger.``"""
    sides = _sides(name)
    if writer.has(*sides):
        text = f"{title}: left {writer.amount(sides[0])}, right {writer.amount(sides[1])}; {writer.asymmetry(name)}."
        writer.say(section, text, *sides, f"{name} asymmetry index")


def _hind(writer: _Writer) -> None:
    for name in ("cerebellum volume", "brain stem volume"):
        if writer.has(name):
            writer.say(HIND, f"{capital(name)} {writer.amount(name)}.", name)


def _lesions(writer: _Writer, lesions: Sequence[Lesion], title: str) -> None:
    """Load, zones and one sentence for each of the largest; ``title``: Lesion or Candidate."""
    if not lesions:
        return
    if writer.has("lesion load of white matter"):
        what = "Lesion load" if title == "Lesion" else "Candidates are"
        text = f"{what} {writer.amount('lesion load of white matter')} of cerebral white matter."
        writer.say(LESIONS, text, "lesion load of white matter")
    zones = [lesion.zone for lesion in lesions]
    present = [zone for zone in ("periventricular", "juxtacortical", "deep", "infratentorial") if zone in zones]
    if len(lesions) > 1 and present:
        parts = [f"{writer.named[f'lesion count {zone}'].value:.0f} {zone} ({writer.amount(f'lesion load {zone}')})" for zone in present]
        names = [name for zone in present for name in (f"lesion count {zone}", f"lesion load {zone}")]
        writer.say(LESIONS, f"By zone: {joined(parts)}.", *names)
    if len(lesions) > LISTED:
        count = number(writer.named["lesion count"].value, "count")
        text = f"The largest are described below; the lesion table lists all {count}."
        writer.say(LESIONS, text, "lesion count")
    for place_, lesion in enumerate(lesions[:LISTED], 1):
        name = f"lesion {place_} volume"
        kind = "" if lesion.kind == "unclear" else f", {lesion.kind}"
        writer.say(LESIONS, f"{title} {place_}: {writer.amount(name)}, {place(lesion)}{kind}.", name)


def _sure(writer: _Writer, quality: ReportQuality) -> None:
    text = f"Segmentation quality: {quality.verdict} (score {writer.amount('segmentation quality')} of 1.00)."
    writer.say(SURE, text, "segmentation quality")
    sided = [item for item in writer.named.values() if item.label is not None and item.label != LESION and item.confidence is not None]
    weak = sorted(
        (item for item in sided if (item.confidence or 0.0) < 0.7 * quality.score), key=lambda item: item.confidence or 0.0
    )[:4]  # fmt: skip
    if "mean label confidence" in writer.named:
        text = f"Mean label confidence {writer.amount('mean label confidence')}"
        if weak:
            text += f"; lowest: {joined([item.name.removesuffix(' volume') for item in weak])}"
        writer.say(SURE, text + ".", "mean label confidence")
    absent = [
        LABELS[item.label].full for item in writer.named.values() if item.label is not None and item.label != LESION and item.value == 0
    ]
    if absent:
        names = [f"{name} volume" for name in absent]
        writer.say(SURE, f"Not found in this scan: {joined(absent)}.", *names)


def _sides(name: str) -> tuple[str, str]:
    return f"left {name} volume", f"right {name} volume"
