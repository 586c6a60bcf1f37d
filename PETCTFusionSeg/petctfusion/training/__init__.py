"""Training and measuring: data sets, patches, losses, the trainer, recipes and the benchmark table."""
