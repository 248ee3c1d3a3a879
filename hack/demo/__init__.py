"""The main job, told step by step on a real control plane: ``make demo``."""
