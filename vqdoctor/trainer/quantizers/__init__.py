"""Quantisers in plain PyTorch: one codebook, levels of them, and what keeps them alive."""
