"""A GGUF model made ready for OpenVINO, once, in the cache: the graph with mapped weights, tokenizer and template.

Loading the prepared folder takes half the time and memory of loading the GGUF file, and its weights are mapped pages that
replicas share. Preparing happens in a process of its own, so its
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

import numpy as np

from infra.errors import CorruptFile
from serving.llm.gguf import CONTROL, q4_1_blocks, read_card

FORMAT = "3"
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

    card = read_card(source)
    link = folder / source.name  # the runtime writes beside the file it reads, and the package's folder is not ours
    link.symlink_to(source.resolve())
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.num_kv_blocks = 8
    openvino_genai.ContinuousBatchingPipeline(str(link), scheduler, "CPU", {"enable_save_ov_model": True})
    link.unlink()
    exact_weights(source, folder / "openvino_model.xml")
    make_tokenizer(card).save(str(folder / "tokenizer.json"))
    if card.template:
        (folder / "template.jinja").write_text(card.template)
    (folder / "card.json").write_text(json.dumps({"context": card.context, "end": card.end}))


def exact_weights(source: Path, graph: Path) -> None:
    """Put the weights of Q4_1 blocks as they are into a graph that openvino-genai saved.

    openvino-genai writes a weight as ``(quant - zero) * scale`` with ``zero = -minimum / scale`` rounded to four bits, which
    changes the logits of SmolLM2-135M by half of their size. Here quants become ``factor * quant`` in eight bits, with the
    factor (8 to 17) of each block at which its zero point is nearest to an integer. float16 zero points would be as exact,
    but OpenVINO then computes eight streams at less than half the speed.

    Raises:
        CorruptFile: the graph holds rows that the file does not.
    """
    minima: dict[bytes, np.ndarray] = {}  # by scales and quants: the graph may hold rows in another order than the file
    for scales, lows, quants in q4_1_blocks(source):
        minima.update((scale.tobytes() + quant.tobytes(), low) for scale, low, quant in zip(scales, lows, quants, strict=True))
    if not minima:
        return
    import openvino as ov
    from openvino import opset13 as op

    model = ov.Core().read_model(graph)
    for node in model.get_ordered_ops():
        weights, zeros = (_four_bits(node, port) for port in (0, 1)) if node.get_type_name() == "Subtract" else (None, None)
        if weights is None or zeros is None:
            continue
        product = next(iter(node.output(0).get_target_inputs())).get_node()
        multiplier, rows = product.input_value(1).get_node(), weights.shape[0]
        packed = weights.data.reshape(rows, -1).view(np.uint8)
        quants = np.stack([packed & 15, packed >> 4], axis=-1).reshape(rows, -1)
        scales = multiplier.data.reshape(rows, -1)
        try:
            lows = np.stack([minima[scale.tobytes() + quant.tobytes()] for scale, quant in zip(scales, quants, strict=True)])
        except KeyError as error:
            raise CorruptFile(f"The graph made from {source.name} holds other weights than the file.") from error
        factors, eight_bit_zeros = _eight_bits(scales, lows)
        exact = {
            node.input_value(0): (quants.reshape(rows, -1, 32) * factors[..., None]).astype(np.uint8).reshape(weights.shape),
            node.input_value(1): eight_bit_zeros.reshape(zeros.shape),
        }
        for output, values in exact.items():
            output.get_node().input(0).replace_source_output(op.constant(values).output(0))
        smaller = (scales.astype(np.float32) / factors).astype(np.float16).reshape(multiplier.shape)
        product.input(1).replace_source_output(op.constant(smaller).output(0))
    model.validate_nodes_and_infer_types()
    beside = graph.with_name("exact.xml")  # the graph's own file is mapped while it is read
    ov.save_model(model, beside, compress_to_fp16=False)
    for suffix in (".bin", ".xml"):
        beside.with_suffix(suffix).replace(graph.with_suffix(suffix))


def _eight_bits(scales: np.ndarray, minima: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The factor of each block (uint8), and its zero point at that factor (uint8)."""
    zeros = -minima.astype(np.float32) / np.where(scales == 0, 1, scales).astype(np.float32)
    choices = np.arange(8, 18, dtype=np.float32)[:, None, None]
    scaled = zeros * choices
    best = np.argmin(np.abs(scaled - np.rint(scaled)) / choices, axis=0)
    factors = choices[best, 0, 0]
    return factors.astype(np.uint8), np.clip(np.rint(zeros * factors), 0, 255).astype(np.uint8)


def _four_bits(node: Any, port: int) -> Any:
    """The constant of four-bit integers that is converted for this input; None where there is none."""
    convert = node.input_value(port).get_node()
    constant = convert.input_value(0).get_node() if convert.get_type_name() == "Convert" else None
    is_four = constant is not None and constant.get_type_name() == "Constant" and constant.get_element_type().get_type_name() == "u4"
    return constant if is_four else None


def make_tokenizer(card: Any) -> Any:
    """The Hugging Face tokenizer of a GGUF card (byte-level BPE)."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

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
