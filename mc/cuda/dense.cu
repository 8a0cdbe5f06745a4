// Dense energies of +-1 patterns: one block per chain, patterns spread over its threads, one barrier per proposal.
// Two kernels, -DNAME=... and -DOVERLAPS=...:
//   dense_block, Registers<WORD>: a word u8, u16 or u32 of patterns per thread, their overlaps in registers;
//   dense_smem, Shared<WORDS>: WORDS words u32 of patterns per thread, their overlaps in shared memory.
//
// A flip costs D = s sum_mu xi_mu b(M_mu) - sum_mu a(M_mu) with integer polynomials, -DEVEN=a0,a1,... and
// -DODD=b0,b1,..., computed in -DTERM and summed over the terms of a warp in -DSUM (int or i64, certified by the
// host); sums over the block are i64. With the bits x = (xi + 1)/2 the first sum is 2 sum_x b - sum b, and the
// sums over all patterns are kept from flip to flip. The sum of F falls by the integer D -DTIMES=... / -DOVER=...
#include "common.cuh"

enum { WARPS = THREADS / 32, CHUNK = 256 };  // thresholds are drawn CHUNK steps at a time

struct Sums {  // of a and of b
  SUM sum[2];
};

DEVICE int2 halves(u32 two) { return make_int2((short)two, (int)two >> 16); }
DEVICE u32 word_of(int2 two) { return ((u32)two.x & 0xFFFFu) | (u32)two.y << 16; }

template <int COUNT>
DEVICE TERM polynomial(const TERM (&c)[COUNT], TERM m) {
  TERM p = c[COUNT - 1];
#pragma unroll
  for (int k = COUNT - 2; k >= 0; --k) p = p * m + c[k];
  return p;
}

DEVICE TERM even(TERM m) {
  const TERM c[] = {EVEN};
  return polynomial(c, m);
}

DEVICE TERM odd(TERM m) {
  const TERM c[] = {ODD};
  return polynomial(c, m);
}

template <class Word>
struct Registers {
  typedef Word WORD;
  enum { WORDS = 1, PATTERNS = 8 * sizeof(Word), UNROLL = PATTERNS / 2 };  // registers have no run-time index
  int m[PATTERNS];

  DEVICE Registers(u32*) {}
  DEVICE int2 get(int, int pair) const { return make_int2(m[2 * pair], m[2 * pair + 1]); }
  DEVICE void put(int, int pair, int2 two) {
    m[2 * pair] = two.x;
    m[2 * pair + 1] = two.y;
  }
};

template <int COUNT>
struct Shared {  // pair k of a word lies THREADS * WORDS words after pair k - 1: neighbours in neighbouring banks
  typedef u32 WORD;
  enum { WORDS = COUNT, PATTERNS = 32, UNROLL = 4 };
  u32* m;

  DEVICE Shared(u32* memory) : m(memory + threadIdx.x) {}
  DEVICE int2 get(int word, int pair) const { return halves(m[(pair * WORDS + word) * THREADS]); }
  DEVICE void put(int word, int pair, int2 two) { m[(pair * WORDS + word) * THREADS] = word_of(two); }
};

enum { WORDS = OVERLAPS::WORDS, PATTERNS = OVERLAPS::PATTERNS, UNROLL = OVERLAPS::UNROLL, ROW = WORDS * THREADS };
typedef OVERLAPS::WORD WORD;

// sum_x b of the patterns of one thread.
DEVICE SUM chosen(const OVERLAPS& M, const WORD* x) {
  SUM sum = 0;
#pragma unroll
  for (int word = 0; word < WORDS; ++word) {
#pragma unroll UNROLL
    for (int pair = 0; pair < PATTERNS / 2; ++pair) {
      const int2 m = M.get(word, pair);
      sum += x[word] >> 2 * pair & 1 ? odd(m.x) : 0;
      sum += x[word] >> (2 * pair + 1) & 1 ? odd(m.y) : 0;
    }
  }
  return sum;
}

// M += d xi, and the sums of a and b afterwards over the patterns that are ``live`` (not padding) in one thread.
DEVICE Sums moved(OVERLAPS& M, const WORD* x, const WORD* live, int d) {
  Sums sums = {{0, 0}};
#pragma unroll
  for (int word = 0; word < WORDS; ++word) {
#pragma unroll UNROLL
    for (int pair = 0; pair < PATTERNS / 2; ++pair) {
      int2 m = M.get(word, pair);
      m.x += x[word] >> 2 * pair & 1 ? d : -d;
      m.y += x[word] >> (2 * pair + 1) & 1 ? d : -d;
      M.put(word, pair, m);
      const bool first = live[word] >> 2 * pair & 1, second = live[word] >> (2 * pair + 1) & 1;
      sums.sum[0] += (first ? even(m.x) : 0) + (second ? even(m.y) : 0);
      sums.sum[1] += (first ? odd(m.x) : 0) + (second ? odd(m.y) : 0);
    }
  }
  return sums;
}

template <class Integer>
DEVICE Integer warp_sum(Integer x) {
#pragma unroll
  for (int o = 16; o; o >>= 1) x += __shfl_xor_sync(0xFFFFFFFFu, x, o);
  return x;
}

#if __CUDA_ARCH__ >= 800
DEVICE int warp_sum(int x) { return __reduce_add_sync(0xFFFFFFFFu, x); }
#endif

// Sums over the block in every thread, by one barrier; ``part`` must be free until the barrier after that.
template <int COUNT>
DEVICE void block_sum(const SUM (&x)[COUNT], i64 (&total)[COUNT], i64* part) {
#pragma unroll
  for (int k = 0; k < COUNT; ++k) {
    const i64 sum = warp_sum(x[k]);
    if (threadIdx.x % 32 == 0) part[k * WARPS + threadIdx.x / 32] = sum;
  }
  __syncthreads();
#pragma unroll
  for (int k = 0; k < COUNT; ++k) {
    total[k] = 0;
#pragma unroll
    for (int warp = 0; warp < WARPS; ++warp) total[k] += part[k * WARPS + warp];
  }
}

DEVICE void fetch(WORD* x, const WORD* row) {
#pragma unroll
  for (int word = 0; word < WORDS; ++word) x[word] = row[word * THREADS];
}

KERNEL NAME(const WORD* __restrict__ rows,     // (sample, site, word) the bits x
            const int* __restrict__ order,     // (sample, sweep, step), or null: sequential
            const u32* __restrict__ lanes,     // (lane,) addresses
            const u32* __restrict__ samples,   // (sample,) indices in the address
            const float* __restrict__ scales,  // (scale row, sample, lane)
            u32* __restrict__ pairs,           // (sample, lane, pair) overlaps as signed halves
            signed char* __restrict__ spins,   // (sample, lane, site)
            i64* __restrict__ gained,          // (sample, lane) by the sum of F
            i64* __restrict__ accepted,        // (sample, lane)
            int count, int N, int K, int R, int scale_rows, int acceptance, u32 first, u32 sweeps, u32 k0, u32 k1) {
  extern __shared__ i64 shared[];
  i64 *threshold = shared, *part = shared + CHUNK;
  OVERLAPS M((u32*)(part + 4 * WARPS));
  const int chain = blockIdx.x, z = chain / R, me = threadIdx.x;
  rows += (size_t)z * N * ROW + me;
  pairs += ((size_t)chain * ROW + me) * (PATTERNS / 2);
  spins += (size_t)chain * N;
  WORD x[WORDS], live[WORDS];
#pragma unroll
  for (int word = 0; word < WORDS; ++word) {
    const int left = K - (word * THREADS + me) * PATTERNS;
    x[word] = 0;
    live[word] = left >= PATTERNS ? ~0u : left <= 0 ? 0u : (1u << left) - 1u;
#pragma unroll
    for (int k = 0; k < PATTERNS / 2; ++k) M.put(word, k, halves(pairs[word * THREADS * PATTERNS / 2 + k]));
  }
  i64 dot[1], all[2], flips = 0, fallen = 0;
  int buffer = 0;
  block_sum(moved(M, x, live, 0).sum, all, part);
  for (u32 sweep = 0; sweep < sweeps; ++sweep) {
    const float scale = scales[min(sweep, scale_rows - 1u) * (size_t)count * R + chain];
    const int* site = order ? order + ((size_t)z * sweeps + sweep) * N : nullptr;
    fetch(x, rows + (size_t)(site ? site[0] : 0) * ROW);
#pragma unroll 1
    for (int t = 0; t < N; ++t) {
      if (t % CHUNK == 0) {
        __syncthreads();
        for (int block = me; block < CHUNK / 4 && t + 4 * block < N; block += THREADS) {
          thresholds(acceptance, t / 4 + block, first + sweep, lanes[chain % R], samples[z], make_uint2(k0, k1), scale,
                     threshold + 4 * block);
        }
      }
      const int i = site ? site[t] : t, after = min(t + 1, N - 1), s = spins[i];
      WORD next[WORDS];
      fetch(next, rows + (size_t)(site ? site[after] : after) * ROW);
      const SUM mine[1] = {chosen(M, x)};
      block_sum(mine, dot, part + 2 * WARPS * (buffer ^= 1));
      const i64 D = s * (2 * dot[0] - all[1]) - all[0];
      if (D <= threshold[t % CHUNK]) {  // in all threads or in none
        if (me == 0) spins[i] = (signed char)-s;
        block_sum(moved(M, x, live, -2 * s).sum, all, part + 2 * WARPS * (buffer ^= 1));
        fallen += D * TIMES / OVER;
        ++flips;
      }
#pragma unroll
      for (int word = 0; word < WORDS; ++word) x[word] = next[word];
    }
  }
#pragma unroll
  for (int word = 0; word < WORDS; ++word) {
#pragma unroll
    for (int k = 0; k < PATTERNS / 2; ++k) pairs[word * THREADS * PATTERNS / 2 + k] = word_of(M.get(word, k));
  }
  if (me != 0) return;
  gained[chain] -= fallen;
  accepted[chain] += flips;
}
