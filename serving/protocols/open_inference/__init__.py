"""Open Inference Protocol over REST: https://github.com/kserve/open-inference-protocol.

Binary tensors: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md.
"""
