"""ONNX's operators by family. Each module registers its own with `operator`; see ../registry.py."""
