"""The model card, written from the weights' sidecar and from what was measured: never older than its figures."""

from __future__ import annotations

from serving.entailment.weights_file import WeightsInfo

CARD = """# Workbench entailment

Reads a claim (or a requirement) and a passage, and says how probable it is that the passage **entails** the claim,
**contradicts** it, or does **not mention** it. Used to check cited sentences, to find the sentences that answer, to rerank
passages, and to judge requirements.

Written by `python -m serving.entailment.evaluation.evaluate --card`; the figures below are of these weights.

| | |
|---|---|
| network | cross-encoder, fine-tuned from all-MiniLM-L6-v2 (Apache-2.0), told which words the two texts share |
| weights | {parameters:.1f} million, half precision |
| input | claim first, {max_tokens} tokens together; of a longer passage, the sentences that share most with the claim |
| trained on | {trained_on}; no part that is measured below |
| training | {step} steps, {hours} hours on one processor{recipe} |
| calibration | temperature {temperature}, on groups that are neither trained on nor measured |
| sha256 | `{digest}` |
| licence | Apache-2.0 |

## What was measured

On the held-back parts of the development data: AttributionBench by question, SciFact by claims that share no abstract
with any other part, ContractNLI by contract, rules in other words by rule (fold {fold} of {folds}; {without}).

{table}

## What it does not know

- It is small and was trained on some thousand pairs of English: biomedical claims, answers of search engines and
  assistants, and non-disclosure agreements. Other languages and other kinds of text were not measured.
- It was taught by some two thousand rules what keeps and breaks a rule in other words; of sentences beside rules that it has
  not seen it takes about one in six wrongly (the row "rules in other words"). A ban that is broken in words far from its
  own is the harder kind.
- A passage that nearly says the claim is its usual error. Its probabilities mean what they say over pairs like those
  above, and may not elsewhere.
- AttributionBench calls a claim attributable or not; what is not was trained as "not mentioned", so a claim that its
  citation contradicts may be called "not mentioned".
- A contract's verdict above is read from the one span that says most. It is no legal advice.
- Research use only; not a medical device.
"""


def card(info: WeightsInfo, table: str) -> str:
    """The whole card, Markdown."""
    shape, split = info.shape, info.extra.get("split", {})
    hidden, wide = shape["hidden_size"], shape["intermediate_size"]
    layer = 4 * hidden * hidden + 2 * hidden * wide
    parameters = (
        (shape["vocab_size"] + shape["max_position_embeddings"]) * hidden + shape["num_hidden_layers"] * layer + 3 * hidden * hidden
    )
    left_out = split.get("without") or []
    return CARD.format(
        parameters=parameters / 1e6,
        max_tokens=info.max_tokens,
        trained_on=info.extra.get("trained_on", "unknown"),
        step=info.extra.get("step", "?"),
        hours=info.extra.get("training_hours", "?"),
        recipe=f": {recipe}" if (recipe := info.extra.get("recipe")) else "",
        temperature=info.temperature,
        digest=info.digest,
        fold=split.get("fold", 0),
        folds=split.get("folds", 5),
        without="requirements left out: " + ", ".join(left_out) if left_out else "no requirement left out",
        table=table,
    )
