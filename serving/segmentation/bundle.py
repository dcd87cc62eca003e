"""What a MONAI bundle says of itself, read and never run.

A bundle is a folder with ``configs/metadata.json`` (MONAI's bundle specification, 0.x): ``network_data_format`` gives
the input's channels, the window and the labels. Spacing, orientation and intensity come from the transforms of
``configs/inference.json`` (or ``.yaml``), as far as they are plain values: an expression (``$...``) is code, and no code
of a bundle is ever run. An exported program alone needs such a metadata file beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from infra.errors import InvalidInput
from serving.segmentation.label_names import ids_of

FORMAT = "workbench.bundle/1"
WINDOW = 96
LARGEST_WINDOW = 256
_INTENSITY = {
    "NormalizeIntensity": "zscore",
    "ScaleIntensity": "minmax",
    "ScaleIntensityRangePercentiles": "percentiles",
    "ScaleIntensityRange": "range",
}


@dataclass(frozen=True)
class Bundle:
    """A bundle as it is served.

    Attributes:
        name, version: the publisher's.
        channels: what each input channel must be.
        spacing_mm: of the network's grid, along RAS+ axes.
        window: voxels along the axes that the network sees at once.
        labels: output channel to FreeSurfer ids (left, right); (0, 0) is written as nothing.
        names: output channel to its name.
        overlapping: channels are probabilities of their own (sigmoid), not one choice of all (softmax).
        intensity: ``{"kind": "zscore"|"minmax"|"percentiles"|"range"|"none", ...}``.
        network: class and arguments in ``monai.networks.nets``, where the weights come without a program.
        notes: sentences on what was guessed or left out.
        files: relative path to sha256; ``program`` is the one to load.
    """

    name: str
    version: str
    channels: tuple[str, ...]
    spacing_mm: tuple[float, float, float]
    window: tuple[int, int, int]
    labels: Mapping[int, tuple[int, int]]
    names: Mapping[int, str]
    overlapping: bool = False
    intensity: Mapping[str, Any] = field(default_factory=lambda: {"kind": "zscore", "nonzero": True})
    network: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    program: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Bundle:
        plain = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        plain |= {name: tuple(plain[name]) for name in ("channels", "spacing_mm", "window", "notes")}
        plain["labels"] = {int(key): (int(ids[0]), int(ids[1])) for key, ids in data["labels"].items()}
        plain["names"] = {int(key): str(name) for key, name in data["names"].items()}
        return cls(**plain)


def read_metadata(metadata: Path, inference: Path | None) -> Bundle:
    """A bundle from its two files.

    Raises:
        InvalidInput: they do not say what is needed, or no label of it is known here.
    """
    meta = _load(metadata)
    try:
        formats = meta["network_data_format"]
        image = formats["inputs"]["image"]
        answer = formats["outputs"].get("pred") or next(iter(formats["outputs"].values()))
    except (KeyError, TypeError, AttributeError, StopIteration) as error:
        raise InvalidInput(f"{metadata.name} has no network_data_format with an input 'image' and an output 'pred'.") from error
    config = _load(inference) if inference else {}
    notes: list[str] = []
    count = int(image.get("num_channels", 1))
    given = image.get("channel_def") or {}
    channels = tuple(str(given.get(str(n), f"channel {n}")) for n in range(count))
    labels, names = _labels(answer, notes)
    overlapping = 0 not in labels or labels[0] != (0, 0)
    return Bundle(
        str(meta.get("name") or metadata.resolve().parent.parent.name)[:120], str(meta.get("version", "")), channels,
        _spacing(meta, image, config, notes), _window(image), labels, names, overlapping,
        _intensity(config, notes), _network(config), tuple(notes),
    )  # fmt: skip


def _load(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text()
        if path.suffix == ".json":
            found = json.loads(text)
        else:
            import yaml

            found = yaml.safe_load(text)
    except Exception as error:
        raise InvalidInput(f"{path.name} cannot be read: {type(error).__name__}.") from error
    if not isinstance(found, dict):
        raise InvalidInput(f"{path.name} is no JSON object.")
    return found


def _labels(answer: Mapping[str, Any], notes: list[str]) -> tuple[dict[int, tuple[int, int]], dict[int, str]]:
    names = {int(key): str(name) for key, name in (answer.get("channel_def") or {}).items()}
    if not names:
        raise InvalidInput("The bundle does not name its labels (network_data_format.outputs.pred.channel_def).")
    if sorted(names) != list(range(len(names))):
        raise InvalidInput(f"The bundle's labels must name every channel from 0 on; it names {', '.join(map(str, sorted(names)))[:200]}.")
    found = {channel: ids_of(name) for channel, name in names.items()}
    unknown = [names[channel] for channel, ids in found.items() if ids is None]
    if not any(ids and any(ids) for ids in found.values()):
        raise InvalidInput(f"None of the bundle's labels is a structure that is known here: {', '.join(names.values())[:300]}.")
    if unknown:
        notes.append(f"Labels that are not known here are left out: {', '.join(unknown)[:300]}.")
    return {channel: ids or (0, 0) for channel, ids in found.items()}, names


def _spacing(meta: Mapping[str, Any], image: Mapping[str, Any], config: Mapping[str, Any], notes: list[str]) -> tuple[float, float, float]:
    wanted = image.get("spacing") or image.get("pixdim") or meta.get("spacing")
    if wanted is None:
        wanted = next((step.get("pixdim") for step in _transforms(config, "Spacing") if "pixdim" in step), None)
    if isinstance(wanted, str) and wanted.startswith("@"):
        wanted = config.get(wanted[1:])
    if isinstance(wanted, int | float):
        wanted = [wanted] * 3
    try:
        first, second, third = (float(value) for value in wanted or ())
    except (TypeError, ValueError):
        notes.append("The bundle does not say its spacing: 1 mm is taken.")
        return 1.0, 1.0, 1.0
    if not all(0.2 <= value <= 10 for value in (first, second, third)):
        raise InvalidInput(f"The bundle's spacing of {wanted} mm is none of a brain scan.")
    return first, second, third


def _window(image: Mapping[str, Any]) -> tuple[int, int, int]:
    """The network's field: the sizes that the metadata gives, or multiples of what it asks for near :data:`WINDOW`."""
    shape = list(image.get("spatial_shape") or ["*"] * 3)
    if len(shape) != 3:
        raise InvalidInput("The bundle is not for volumes: its spatial_shape has not three sizes.")
    sizes = []
    for size in shape:
        if isinstance(size, int):
            sizes.append(size)
            continue
        step = next((int(n) for n in re.findall(r"(\d+)\s*\*\s*n", str(size))), 32)
        sizes.append(max(step, round(WINDOW / step) * step))
    if not all(8 <= size <= LARGEST_WINDOW for size in sizes):
        raise InvalidInput(f"The bundle's window of {sizes} voxels is too small or too large to be served.")
    return sizes[0], sizes[1], sizes[2]


def _intensity(config: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    for name, kind in _INTENSITY.items():
        for step in _transforms(config, name):
            plain = {key: value for key, value in step.items() if isinstance(value, int | float | bool)}
            return {"kind": kind, **plain}
    notes.append("The bundle does not say how intensities are scaled: mean 0 and deviation 1 within the head are taken.")
    return {"kind": "zscore", "nonzero": True}


def _transforms(value: Any, name: str) -> Iterator[Mapping[str, Any]]:
    """Every ``{"_target_": "NAMEd"}`` in a config."""
    if isinstance(value, Mapping):
        if str(value.get("_target_", "")).rpartition(".")[2] in (name, f"{name}d"):
            yield value
        for inner in value.values():
            yield from _transforms(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _transforms(inner, name)


def _network(config: Mapping[str, Any]) -> dict[str, Any]:
    """The network's class and plain arguments; empty where they are not there, or are expressions."""
    found = config.get("network_def") or config.get("network") or {}
    if not isinstance(found, Mapping) or "_target_" not in found or '"$' in json.dumps(found) or '"@' in json.dumps(found):
        return {}
    return {"class": str(found["_target_"]).rpartition(".")[2], "arguments": {k: v for k, v in found.items() if not k.startswith("_")}}
