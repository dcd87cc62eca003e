"""The report's sentences: each says what was measured and names the measurements it rests on.

Finding first. No word here needs a norm ("enlarged", "atrophy", "normal"): without a reference nobody can know.
A sentence's confidence is the least of its measurements' confidences (where a structure has none, the scan's quality),
times the quality of the scan: nothing is surer than the picture it was read from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pipelines.imaging.labels import LABELS, LESION, PAIRS
from pipelines.imaging.report import Lesion, Measurement, ReportQuality, Sentence
from pipelines.imaging.wording import amount, capital, joined, larger_side, number, place
from serving.contracts import missing_sentence

SUMMARY, BRAIN, VENTRICLES, DEEP, HIND, LESIONS, SURE = (
    "Summary", "Brain", "Ventricles", "Deep grey matter and temporal lobe", "Cerebellum and brain stem", "Lesions", "How sure",
)  # fmt: skip
_DEEP_PAIRS = ("thalamus", "caudate", "putamen", "pallidum", "hippocampus", "amygdala", "accumbens")
_LISTED = 10

Named = Mapping[str, Measurement]


def write_sentences(measurements: Sequence[Measurement], lesions: Sequence[Lesion], quality: ReportQuality) -> list[Sentence]:
    """All sentences, in reading order. Sections without anything measured are left out."""
    named: Named = {item.name: item for item in measurements}
    writer = _Writer(named, quality)
    _summary(writer, lesions)
    _brain(writer)
    _ventricles(writer)
    _pairs(writer)
    _hind(writer)
    _lesions(writer, lesions)
    _sure(writer, quality)
    return writer.sentences


def overall_confidence(sentences: Iterable[Sentence]) -> float:
    """Mean confidence of the sentences that are supported, times the share that is: an unsupported one counts as nothing."""
    values = [0.0 if item.support == "unsupported" else item.confidence for item in sentences]
    return round(sum(values) / len(values), 4) if values else 0.0


def what_was_not_looked_at(missing_roles: Iterable[str], *, lesions_found: bool) -> list[str]:
    """Honest sentences on what this report leaves out."""
    found = [missing_sentence(role) for role in missing_roles if role in ("vlm", "embedding", "entailment")]
    found.append("The sentences are templates filled with measurements: no language model wrote or changed them.")
    found.append("No reference group was compared with: whether a volume is large or small for a person's age and sex was not judged.")
    if lesions_found:
        found.append("What the marked lesions are was not judged.")
    found.append(
        "Lesions smaller than a few voxels, blood vessels, meninges, skull, orbits and anything outside the brain were not examined."
    )
    found.append("Only this one scan was read: no earlier scan, no other sequence and no clinical information.")
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
        least = min([value for value in known if value is not None], default=1.0)
        confidence = round(least * self.quality.score, 4) if used != ["segmentation quality"] else round(self.quality.score, 4)
        self.sentences.append(Sentence(section=section, text=text, support="measured", confidence=confidence, measurements=used))

    def amount(self, name: str) -> str:
        return amount(self.named[name])


def _summary(writer: _Writer, lesions: Sequence[Lesion]) -> None:
    names = [name for name in ("brain volume", "grey matter volume", "white matter volume", "ventricle volume") if writer.has(name)]
    if names == ["brain volume", "grey matter volume", "white matter volume", "ventricle volume"]:
        brain, grey, white, ventricles = (writer.amount(name) for name in names)
        writer.say(
            SUMMARY,
            f"The brain measures {brain}, of which {grey} are grey and {white} white matter; the ventricles hold {ventricles}.",
            *names,
        )
    count, load = writer.named["lesion count"], writer.named["lesion load"]
    if lesions:
        many = f"{number(count.value, 'count')} lesion{'s were' if len(lesions) > 1 else ' was'} marked"
        rest = f"the largest has {writer.amount('lesion 1 volume')} ({place(lesions[0])})"
        if len(lesions) == 1:
            writer.say(SUMMARY, f"{many}: {writer.amount('lesion 1 volume')} ({place(lesions[0])}).", count.name, "lesion 1 volume")
        else:
            writer.say(SUMMARY, f"{many}, {amount(load)} in all; {rest}.", count.name, load.name, "lesion 1 volume")
    elif load.value > 0:
        writer.say(SUMMARY, f"Single voxels were marked as lesion, {amount(load)} in all; none is large enough to be listed.", load.name)
    else:
        writer.say(SUMMARY, "No lesion was marked.", count.name)
    pairs = [name for name in PAIRS if f"{name} asymmetry index" in writer.named and writer.has(*_sides(name))]
    # Of structures of a size that a voxel more or less does not turn over.
    large = [name for name in pairs if min(writer.named[side].value for side in _sides(name)) >= 1.0]
    if large:
        widest = max(large, key=lambda name: abs(writer.named[f"{name} asymmetry index"].value))
        index = writer.named[f"{widest} asymmetry index"]
        writer.say(
            SUMMARY,
            f"Of the paired structures, the {widest} differs most between the sides: {larger_side(index)}.",
            index.name,
            *_sides(widest),
        )


def _brain(writer: _Writer) -> None:
    if writer.has("cerebral cortex volume", "cerebral white matter volume"):
        cortex, white = writer.amount("cerebral cortex volume"), writer.amount("cerebral white matter volume")
        text = f"The cerebral cortex has {cortex}, the cerebral white matter {white}."
        writer.say(BRAIN, text, "cerebral cortex volume", "cerebral white matter volume")
    sides = ("left cerebral hemisphere volume", "right cerebral hemisphere volume")
    if writer.has(*sides):
        index = writer.named["cerebral hemisphere asymmetry index"]
        text = f"The left cerebral hemisphere has {writer.amount(sides[0])}, the right {writer.amount(sides[1])}: {larger_side(index)}."
        writer.say(BRAIN, text, *sides, index.name)
    if writer.has("intracranial volume", "brain to intracranial ratio"):
        space, share = writer.amount("intracranial volume"), writer.amount("brain to intracranial ratio")
        text = f"The intracranial space holds {space}; the brain fills {share} of it."
        writer.say(BRAIN, text, "intracranial volume", "brain to intracranial ratio")


def _ventricles(writer: _Writer) -> None:
    sides = _sides("lateral ventricle")
    if writer.has(*sides):
        index = writer.named["lateral ventricle asymmetry index"]
        left, right = (writer.amount(side) for side in sides)
        text = f"The lateral ventricles hold {left} on the left and {right} on the right: {larger_side(index)}."
        writer.say(VENTRICLES, text, *sides, index.name)
    middle = [name for name in ("third ventricle", "fourth ventricle") if writer.has(f"{name} volume")]
    if middle:
        parts = [f"the {name} {'holds ' if number_ == 0 else ''}{writer.amount(f'{name} volume')}" for number_, name in enumerate(middle)]
        writer.say(VENTRICLES, capital(joined(parts)) + ".", *(f"{name} volume" for name in middle))
    if writer.has("ventricle-to-brain ratio"):
        text = f"All ventricles together have {writer.amount('ventricle-to-brain ratio')} of the brain's volume (ventricle-to-brain ratio)."
        writer.say(VENTRICLES, text, "ventricle-to-brain ratio")


def _pairs(writer: _Writer) -> None:
    for name in _DEEP_PAIRS:
        sides = _sides(name)
        if writer.has(*sides):
            index = writer.named[f"{name} asymmetry index"]
            text = f"{capital(name)}: {writer.amount(sides[0])} on the left, {writer.amount(sides[1])} on the right; {larger_side(index)}."
            writer.say(DEEP, text, *sides, index.name)


def _hind(writer: _Writer) -> None:
    if writer.has("cerebellum volume"):
        writer.say(HIND, f"The cerebellum has {writer.amount('cerebellum volume')}.", "cerebellum volume")
    if writer.has("brain stem volume"):
        writer.say(HIND, f"The brain stem has {writer.amount('brain stem volume')}.", "brain stem volume")


def _lesions(writer: _Writer, lesions: Sequence[Lesion]) -> None:
    if not lesions:
        return
    if writer.has("lesion load of white matter"):
        text = f"The lesions take {writer.amount('lesion load of white matter')} of the cerebral white matter."
        writer.say(LESIONS, text, "lesion load of white matter")
    zones = [lesion.zone for lesion in lesions]
    present = [zone for zone in ("periventricular", "juxtacortical", "deep", "infratentorial") if zone in zones]
    if len(lesions) > 1 and present:
        parts = [f"{writer.named[f'lesion count {zone}'].value:.0f} {zone} ({writer.amount(f'lesion load {zone}')})" for zone in present]
        names = [name for zone in present for name in (f"lesion count {zone}", f"lesion load {zone}")]
        writer.say(LESIONS, f"By zone: {joined(parts)}.", *names)
    for place_, lesion in enumerate(lesions[:_LISTED], 1):
        name = f"lesion {place_} volume"
        kind = "" if lesion.kind == "unclear" else f", {lesion.kind}"
        writer.say(LESIONS, f"Lesion {place_}: {writer.amount(name)}, {place(lesion)}{kind}.", name)


def _sure(writer: _Writer, quality: ReportQuality) -> None:
    verdict = {"good": "good", "limited": "limited: read the reasons before using these numbers"}[quality.verdict]
    text = f"The segmentation model puts the quality of this scan at {writer.amount('segmentation quality')} of 1.00, {verdict}."
    writer.say(SURE, text, "segmentation quality")
    sided = [item for item in writer.named.values() if item.label is not None and item.label != LESION and item.confidence is not None]
    weak = sorted(
        (item for item in sided if item.confidence is not None and item.confidence < 0.7), key=lambda item: item.confidence or 0.0
    )[:4]
    if "mean label confidence" in writer.named:
        text = f"Its labels have a mean confidence of {writer.amount('mean label confidence')}"
        if weak:
            text += f"; the least sure are {joined([item.name.removesuffix(' volume') for item in weak])}"
        writer.say(SURE, text + ".", "mean label confidence")
    absent = [
        LABELS[item.label].full for item in writer.named.values() if item.label is not None and item.label != LESION and item.value == 0
    ]
    if absent:
        names = [f"{name} volume" for name in absent]
        writer.say(SURE, f"No voxel was labelled as {joined(absent)}.", *names)


def _sides(name: str) -> tuple[str, str]:
    return f"left {name} volume", f"right {name} volume"
