"""What is taken from the lesion logit is what makes the marks best."""

from __future__ import annotations

import numpy as np
import torch

from serving.segmentation.labels import CLASS_COUNT, LESION
from serving.segmentation.training.lesion_prior import STEPS, count_called


def test_each_step_counts_what_still_leads_by_more():
    logits = torch.zeros(CLASS_COUNT, 4)
    logits[LESION] = torch.tensor([3.2, 1.2, 0.2, -1.0])
    counts = count_called(logits, torch.tensor([True, False, True, False]))
    assert counts.shape == (len(STEPS), 3)
    np.testing.assert_array_equal(counts[0], [2, 3, 2])
    np.testing.assert_array_equal(counts[STEPS.index(0.5)], [1, 2, 2])
    np.testing.assert_array_equal(counts[STEPS.index(3.5)], [0, 0, 2])
