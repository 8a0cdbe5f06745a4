// What every kernel shares: addressed random words, the law of acceptance, and its integer thresholds.
// Compiled with -DQC=... (the coefficients of mattis.mc.thresholds.QC) and -DTHREADS=... (threads of a block).

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define DEVICE __device__ __forceinline__
#define KERNEL extern "C" __global__ void __launch_bounds__(THREADS)

enum { METROPOLIS, HEAT_BATH, DOWNHILL };
enum { ACCEPTANCE_STREAM = 0, ORDER_STREAM = 5 };

struct Words {
  u32 at[4];
};

// Philox4x32-10, the counter and key of mattis.core.philox.
DEVICE Words philox(u32 c0, u32 c1, u32 c2, u32 c3, u32 k0, u32 k1) {
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const u64 p0 = (u64)0xD2511F53u * c0, p1 = (u64)0xCD9E8D57u * c2;
    c0 = (u32)(p1 >> 32) ^ c1 ^ k0;
    c2 = (u32)(p0 >> 32) ^ c3 ^ k1;
    c1 = (u32)p1;
    c3 = (u32)p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// -ln x of a positive normal number: rounded sums and products only, which no compiler may contract.
DEVICE float minus_log(float x) {
  const float c[] = {QC};
  const int i = __float_as_int(x) - 0x3F3504F3;
  const float e = (float)(i >> 23), t = __fadd_rn(__int_as_float((i & 0x7FFFFF) + 0x3F3504F3), -1.0f);
  float p = c[7];
#pragma unroll
  for (int k = 6; k >= 0; --k) p = __fadd_rn(__fmul_rn(p, t), c[k]);
  return -__fadd_rn(__fmul_rn(e, c[8]), __fmul_rn(p, t));
}

// L(u): -ln u (Metropolis) or the logit (heat bath).
DEVICE float law(u32 u, bool heat_bath) {
  const int n = (int)(u >> 8);
  const float x = __fadd_rn((float)n, 0.5f);
  const float y = __fadd_rn((float)(0xFFFFFF - n), 0.5f);
  return minus_log(heat_bath ? __fdiv_rn(x, y) : __fmul_rn(x, 5.9604644775390625e-08f));
}

// The largest integer step that is accepted, clipped before the conversion to what can never decide.
DEVICE void largest(float x, int& threshold) {
  threshold = __float2int_rd(fminf(fmaxf(x, -2147483648.0f), 2147483520.0f));
}

DEVICE void largest(float x, i64& threshold) {
  threshold = __float2ll_rd(fminf(fmaxf(x, -4611686018427387904.0f), 4611686018427387904.0f));
}

// Thresholds of the steps 4 block to 4 block + 3 of one lane's sweep.
template <class Integer>
DEVICE void thresholds(int acceptance, u32 block, u32 sweep, u32 lane, u32 sample, uint2 key, float scale,
                       Integer* threshold) {
  if (acceptance == DOWNHILL) {
#pragma unroll
    for (int k = 0; k < 4; ++k) threshold[k] = -1;
    return;
  }
  const Words u = philox(block, sweep, lane, (u32)ACCEPTANCE_STREAM << 24 | sample, key.x, key.y);
#pragma unroll
  for (int k = 0; k < 4; ++k) largest(__fmul_rn(law(u.at[k], acceptance == HEAT_BATH), scale), threshold[k]);
}
