"""Inference with a checkpoint: predictor, test-time augmentation, features, Grad-CAM, export.

Serving.

May import config, train, models, data and everything below. Interface: `commands`, `predictor`,
`tta`, `features`, `gradcam`, `export`, `model_file`, `submission`, `serving`.
"""
