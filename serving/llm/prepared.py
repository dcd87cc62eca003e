"""A GGUF model made ready for OpenVINO, once, in the cache: the graph with mapped weights, tokenizer and template.

Loading the GGUF file itself takes 3.6 s and 343 MB each time; loading the prepared folder takes 1.5 s and 226 MB, of
which the weights are mapped pages that replicas share (measured). Preparing happens in a process of its own, so its
memory is gone afterwards: ``python -m serving.llm.prepared FILE FOLDER``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from infra.errors import CorruptFile

FORMAT = "2"
"""Raise it when what is prepared changes: older folders are then left unused."""


def prepared_folder(source: Path, digest: str, cache: Path) -> Path:
    """The folder prepared from ``source``; made now where it is missing. Safe with several processes at once.

    Raises:
        CorruptFile: the file cannot be read or converted.
    """
    from importlib.metadata import version

    folder = cache / "llm" / f"{digest[:16]}-{FORMAT}-{version('openvino-genai')}"
    if (folder / "card.json").is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".preparing-", dir=folder.parent))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "serving.llm.prepared", str(source), str(temporary)], capture_output=True, text=True, timeout=600
        )
        if done.returncode:
            raise CorruptFile(f"The language model in {source.name} cannot be prepared: {done.stderr.strip().splitlines()[-1:]}")
        with contextlib.suppress(OSError):  # another process was faster: its folder is as good
            os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def prepare(source: Path, folder: Path) -> None:
    """Write graph, tokenizer, template and card into ``folder``."""
    import openvino_genai

    from serving.llm.gguf import read_card

    card = read_card(source)
    link = folder / source.name  # the runtime writes beside the file it reads, and the package's folder is not ours
    link.symlink_to(source.resolve())
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.num_kv_blocks = 8
    openvino_genai.ContinuousBatchingPipeline(str(link), scheduler, "CPU", {"enable_save_ov_model": True})
    link.unlink()
    make_tokenizer(card).save(str(folder / "tokenizer.json"))
    if card.template:
        (folder / "template.jinja").write_text(card.template)
    (folder / "card.json").write_text(json.dumps({"context": card.context, "end": card.end}))


def make_tokenizer(card: Any) -> Any:
    """The Hugging Face tokenizer of a GGUF card (byte-level BPE)."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    from serving.llm.gguf import CONTROL

    tokenizer = Tokenizer(
        models.BPE({token: number for number, token in enumerate(card.tokens)}, [tuple(m.split(" ")) for m in card.merges])
    )
    steps: list[Any] = [pre_tokenizers.ByteLevel(add_prefix_space=False)]
    if card.pre == "smollm":
        steps.insert(0, pre_tokenizers.Digits(individual_digits=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    special = [token for token, kind in zip(card.tokens, card.types, strict=True) if kind == CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer


if __name__ == "__main__":
    prepare(Path(sys.argv[1]), Path(sys.argv[2]))
