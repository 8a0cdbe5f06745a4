// The arithmetic alone: thresholds of given words, and Philox of given counters.
#include "common.cuh"

KERNEL thresholds_of(const u32* words, i64* wide, int* narrow, int heat_bath, float scale, int count) {
  for (int k = blockIdx.x * THREADS + threadIdx.x; k < count; k += gridDim.x * THREADS) {
    const float x = __fmul_rn(law(words[k], heat_bath), scale);
    largest(x, wide[k]);
    largest(x, narrow[k]);
  }
}
