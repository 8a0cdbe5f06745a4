// Pairwise energies: one thread per lane, no barrier. Two kernels, -DNAME=... and -DOVERLAPS=...:
//   hop2_reg, Registers<ceil(K/4)>: few patterns, a lane's overlaps in registers, one step at a time;
//   hop2_smem, Column<SITES>: many patterns, a column of shared memory, 4 (sequential) or 1 (any order) steps.
//
// Patterns are bytes y >= 0 with xi = GAIN y - 1: -DGAIN=2 for +-1, 1 where there are zeros too. A lane keeps
// m_mu = sum_i y_i^mu s_i as unsigned halves m + 2^15, two in a word, which never borrow from each other, and the
// sums W = sum_i s_i and total = sum_mu m_mu. Padding patterns have y = 0 and count nowhere.
#include "common.cuh"

DEVICE u32 low_pair(u32 bytes) { return __byte_perm(bytes, 0, 0x4140); }   // bytes 0 and 1 as halves
DEVICE u32 high_pair(u32 bytes) { return __byte_perm(bytes, 0, 0x4342); }  // bytes 2 and 3

DEVICE u32 part(const uint4& four, int k) { return k == 0 ? four.x : k == 1 ? four.y : k == 2 ? four.z : four.w; }

DEVICE u32 dot_of(u32 m01, u32 m23, u32 y, u32 dot) { return __dp2a_hi(m23, y, __dp2a_lo(m01, y, dot)); }

// sum_mu xi M, with M = GAIN m - W, from dot = sum_mu y (m + 2^15) and Y = sum_mu y; modulo 2^32, the result fits.
DEVICE int field(u32 dot, u32 Y, u32 W, u32 total, u32 K) {
  return (int)(GAIN * GAIN * (dot - 32768u * Y) - GAIN * (W * Y + total) + K * W);
}

template <int WORDS>
struct Registers {
  enum { SITES = 1 };
  u32 m[2 * WORDS], y[WORDS];

  DEVICE void load(const u32* pairs, const uint4*, int, size_t R) {
#pragma unroll
    for (int k = 0; k < 2 * WORDS; ++k) m[k] = pairs[k * R];
  }

  DEVICE void fields(const uint4* const* row, u32* dot) {
    uint4 four;
#pragma unroll
    for (int k = 0; k < WORDS; ++k) {
      if (k % 4 == 0) four = row[0][k / 4];
      y[k] = part(four, k % 4);
    }
#pragma unroll
    for (int k = 0; k < WORDS; ++k) dot[0] = dot_of(m[2 * k], m[2 * k + 1], y[k], dot[0]);
  }

  DEVICE void flip(int, int d) {  // m_mu += d y_mu
#pragma unroll
    for (int k = 0; k < WORDS; ++k) {
      m[2 * k] += d * low_pair(y[k]);
      m[2 * k + 1] += d * high_pair(y[k]);
    }
  }

  DEVICE void store(u32* pairs, size_t R) {
#pragma unroll
    for (int k = 0; k < 2 * WORDS; ++k) pairs[k * R] = m[k];
  }
};

// Flips wait for the pass that adds up the next fields, so that each overlap is read and written once in SITES steps.
template <int STEPS>
struct Column {
  enum { SITES = STEPS };
  uint2* m;
  int chunks, change[SITES];  // half of what m_mu gains from y_mu of ...
  const uint4* last[SITES];   // ... these rows, the same in all lanes

  DEVICE void load(const u32* pairs, const uint4* row, int count, size_t R) {
    extern __shared__ uint2 shared[];
    m = shared + threadIdx.x;
    chunks = count;
    for (int k = 0; k < 4 * chunks; ++k) m[k * THREADS] = make_uint2(pairs[2 * k * R], pairs[(2 * k + 1) * R]);
#pragma unroll
    for (int a = 0; a < SITES; ++a) {
      change[a] = 0;
      last[a] = row;
    }
  }

  // Four overlaps after the flips, half of whose gains are bytes 16 + sum_a change_a y_a > 0: none borrows.
  DEVICE uint2 after(uint2 four, const uint4* y, int k) {
    u32 bytes = 0x10101010u;
#pragma unroll
    for (int a = 0; a < SITES; ++a) bytes += change[a] * part(y[a], k);
    return make_uint2(four.x + 2 * low_pair(bytes) - 0x200020u, four.y + 2 * high_pair(bytes) - 0x200020u);
  }

  DEVICE void fields(const uint4* const* row, u32* dot) {
#pragma unroll 1
    for (int c = 0; c < chunks; ++c) {
      uint4 y[SITES], before[SITES];
#pragma unroll
      for (int a = 0; a < SITES; ++a) {
        y[a] = row[a][c];
        before[a] = last[a][c];
      }
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        uint2& four = m[(4 * c + k) * THREADS];
        four = after(four, before, k);
#pragma unroll
        for (int a = 0; a < SITES; ++a) dot[a] = dot_of(four.x, four.y, part(y[a], k), dot[a]);
      }
    }
#pragma unroll
    for (int a = 0; a < SITES; ++a) {
      change[a] = 0;
      last[a] = row[a];
    }
  }

  DEVICE void flip(int a, int d) { change[a] = d / 2; }

  DEVICE void store(u32* pairs, size_t R) {
    u32 dot[SITES] = {};
    fields(last, dot);
    for (int k = 0; k < 4 * chunks; ++k) {
      pairs[2 * k * R] = m[k * THREADS].x;
      pairs[(2 * k + 1) * R] = m[k * THREADS].y;
    }
  }
};

KERNEL NAME(const uint4* __restrict__ rows,     // (sample, site, chunk) y of 16 patterns
            const int2* __restrict__ sites,     // (sample, site) sum_mu y and sum_mu xi^2
            const int* __restrict__ couplings,  // (sample, block of 4, 6) sum_mu xi_a xi_b: 01 02 03 12 13 23
            const int* __restrict__ order,      // (sample, sweep, step), or null: sequential
            const u32* __restrict__ lanes,      // (lane,) addresses
            const u32* __restrict__ samples,    // (sample,) indices in the address
            const float* __restrict__ scales,   // (scale row, sample, lane)
            u32* __restrict__ pairs,            // (sample, pair, lane)
            uint2* __restrict__ sums,           // (sample, lane) W and total
            signed char* __restrict__ spins,    // (sample, site, lane)
            i64* __restrict__ gained,           // (sample, lane) by sum_mu M^2
            i64* __restrict__ accepted,         // (sample, lane)
            int count, int N, int K, int R, int scale_rows, int acceptance, u32 first, u32 sweeps, u32 k0, u32 k1) {
  const int SITES = OVERLAPS::SITES, chunks = (K + 15) / 16, groups = (R + THREADS - 1) / THREADS;
  const int z = blockIdx.x / groups, lane = blockIdx.x % groups * THREADS + threadIdx.x;
  if (lane >= R) return;
  const size_t at = (size_t)z * R + lane;
  rows += (size_t)z * N * chunks;
  sites += (size_t)z * N;
  couplings += (size_t)z * ((N + 3) / 4) * 6;
  pairs += (size_t)z * 8 * chunks * R + lane;
  spins += (size_t)z * N * R + lane;
  OVERLAPS m;
  m.load(pairs, rows, chunks, R);
  u32 W = sums[at].x, total = sums[at].y;
  i64 flips = 0, costs = 0;
  for (u32 sweep = 0; sweep < sweeps; ++sweep) {
    const float scale = scales[min(sweep, scale_rows - 1u) * (size_t)count * R + at];
    const int* site = order ? order + ((size_t)z * sweeps + sweep) * N : nullptr;
    int threshold[4];
#pragma unroll 1
    for (int t = 0; t < N; t += SITES) {
      if ((t & 3) == 0) {
        thresholds(acceptance, t >> 2, first + sweep, lanes[lane], samples[z], make_uint2(k0, k1), scale, threshold);
      }
      const uint4* row[SITES];
      int i[SITES], h[SITES];
      u32 dot[SITES] = {};
#pragma unroll
      for (int a = 0; a < SITES; ++a) {
        const int step = a == 0 ? t : min(t + a, N - 1);  // beyond the last: look there, flip nothing
        i[a] = site ? site[step] : step;
        row[a] = rows + (size_t)i[a] * chunks;
      }
      m.fields(row, dot);
#pragma unroll
      for (int a = 0; a < SITES; ++a) h[a] = field(dot[a], sites[i[a]].x, W, total, K);
#pragma unroll
      for (int a = 0; a < SITES; ++a) {
        const int2 own = sites[i[a]];
        const int s = spins[(size_t)i[a] * R];
        const int D = s * h[a] - own.y;
        const bool flip = (a == 0 || t + a < N) && D <= threshold[a];
        if (!flip) continue;
        const int d = s > 0 ? -2 : 2;  // chosen, so that no product below is negated
        m.flip(a, d);
        spins[(size_t)i[a] * R] = (signed char)-s;
        W += d;
        total += d * own.x;
        costs += D;
        ++flips;
#pragma unroll
        for (int b = a + 1; b < SITES; ++b) h[b] += d * couplings[(t >> 2) * 6 + a * (5 - a) / 2 + b - 1];
      }
#pragma unroll
      for (int k = 0; k < 4 - SITES; ++k) threshold[k] = threshold[k + 1];
    }
  }
  m.store(pairs, R);
  sums[at] = make_uint2(W, total);
  gained[at] -= 4 * costs;
  accepted[at] += flips;
}
