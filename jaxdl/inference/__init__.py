"""Inference with a checkpoint: predictor, test-time augmentation, features, export, serving.

May import config, train, models, data and everything below. Interface: `commands`, `predictor`,
`tta`, `batched`, `features`, `gradcam`, `export`, `evaluation`, `model_file`, `submission`,
`unfinished`, `serving`.
"""
