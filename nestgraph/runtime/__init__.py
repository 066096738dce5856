"""Parts that all executors share: weights, tokens, labels, outputs, and files of tensors."""
