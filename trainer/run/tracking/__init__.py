"""Experiment trackers: TensorBoard, MLflow, Weights & Biases, Trackio. `session` is where to start."""
