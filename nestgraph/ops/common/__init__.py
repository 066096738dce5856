"""Parts of networks, and axes, masks and triangles of kernels."""
