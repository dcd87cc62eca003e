"""Images made from label maps, with and without lesions: for training, and for evaluation beside real scans."""
