// The sites of every step: one thread draws one sweep of one sample, shared by all its lanes.
#include "common.cuh"

KERNEL orders(int* __restrict__ order,            // (sample, sweep, step)
              const u32* __restrict__ samples,    // (sample,) their indices in the address
              int count, int N, int random, u32 first, u32 sweeps, u32 k0, u32 k1) {
  const u64 row = (u64)blockIdx.x * THREADS + threadIdx.x;
  if (row >= (u64)count * sweeps) return;
  const u32 sample = samples[row / sweeps], sweep = first + (u32)(row % sweeps);
  int* site = order + row * N;
  for (int t = 0; t < N; ++t) site[t] = t;
  for (int block = (N - 1) >> 2; block >= 0; --block) {
    const Words u = philox(block, sweep, 0, (u32)ORDER_STREAM << 24 | sample, k0, k1);
#pragma unroll
    for (int k = 3; k >= 0; --k) {
      const int t = 4 * block + k;
      if (t >= N) continue;
      if (random) {
        site[t] = (int)((u64)u.at[k] * N >> 32);
      } else {  // Fisher and Yates, from the last step down; t = 0 swaps with itself
        const int j = (int)((u64)u.at[k] * (t + 1) >> 32), old = site[t];
        site[t] = site[j];
        site[j] = old;
      }
    }
  }
}
