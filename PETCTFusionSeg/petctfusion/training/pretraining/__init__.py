"""System C's pre-training: masked reconstruction of the training patients without their contours, carried over.

recipe with [pretraining] -> trainer (objectives/masked_reconstruction) -> encoder.safetensors and .json -> `initial`
"""
