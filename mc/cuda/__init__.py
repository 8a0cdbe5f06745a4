"""The CUDA sources of the device's kernels; ``mattis.mc.gpu_plans`` compiles and feeds them."""
