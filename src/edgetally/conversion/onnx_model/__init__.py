"""The network as ONNX: exported, folded, and in int8."""
