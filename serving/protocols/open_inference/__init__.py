"""The Open Inference Protocol, version 2, over REST: texts in as BYTES tensors, answers out as tensors.

Format: https://github.com/kserve/open-inference-protocol; binary tensors as in Triton's "Binary Tensor Data Extension",
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md.
"""
