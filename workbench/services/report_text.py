"""A report for the terminal: the finding first, then how sure, then where the rest is."""

from __future__ import annotations

import textwrap
from typing import Any

MARKS = {"measured": "measured", "seen": "seen", "cited": "cited", "unsupported": "UNSUPPORTED"}


def report_text(report: dict[str, Any], *, width: int = 100) -> str:
    """The report's sentences by section, each with its support, then quality, models and time."""
    given = report["input"]
    grid = " x ".join(str(n) for n in given["shape"])
    spacing = " x ".join(f"{mm:g}" for mm in given["spacing_mm"])
    lines = [f"{given['name']}: {given['format']}, {grid} voxels of {spacing} mm, {given['orientation']}"]
    section = None
    for sentence in report["sentences"]:
        if sentence["section"] != section:
            section = sentence["section"]
            lines += ["", section]
        text = f"{sentence['text']} [{MARKS.get(sentence['support'], sentence['support'])}]"
        lines += textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="    ")
    quality = report["quality"]
    reasons = f": {' '.join(quality['reasons'])}" if quality["reasons"] else ""
    models = ", ".join(f"{model['role']} {model['name']} v{model['version']}" for model in report["models"])
    lines += ["", *textwrap.wrap(f"Quality {quality['verdict']} ({quality['score']:.2f}){reasons}", width, subsequent_indent="  ")]
    lines += [f"Confidence {report['confidence']:.2f}; {len(report['measurements'])} measurements; models: {models or 'none'}"]
    lines += [f"Took {sum(took for stage, took in report['seconds'].items() if '.' not in stage):.1f} s"]
    return "\n".join(lines)
