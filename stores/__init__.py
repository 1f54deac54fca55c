"""The places where teams keep models: bundles, runs and data files by a target such as ``s3://bucket/name``."""
