// A CUDA source as host C++: the types and functions the kernels use. host.cpp runs the threads as fibers.
#include <math.h>
#include <string.h>

#define __device__
#define __global__
#define __shared__
#define __forceinline__ inline
#define __launch_bounds__(threads)

struct uint3 { unsigned x, y, z; };
struct int2 { int x, y; };
struct uint2 { unsigned x, y; };
struct uint4 { unsigned x, y, z, w; };
inline int2 make_int2(int x, int y) { return {x, y}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

extern uint3 threadIdx, blockIdx, gridDim;
void __syncthreads();

namespace shim {
unsigned long long* slots();  // of the warp, one per lane
unsigned lane();
void warp_barrier();
}  // namespace shim

template <class T>
T __shfl_xor_sync(unsigned, T x, int mask) {
  memcpy(shim::slots() + shim::lane(), &x, sizeof x);
  shim::warp_barrier();
  memcpy(&x, shim::slots() + (shim::lane() ^ mask), sizeof x);
  shim::warp_barrier();
  return x;
}

inline int __reduce_add_sync(unsigned, int x) {
  shim::slots()[shim::lane()] = (unsigned)x;
  shim::warp_barrier();
  unsigned sum = 0;
  for (int lane = 0; lane < 32; ++lane) sum += (unsigned)shim::slots()[lane];
  shim::warp_barrier();
  return (int)sum;
}

inline int min(int a, int b) { return a < b ? a : b; }
inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline int __float2int_rd(float x) { return (int)floorf(x); }
inline long long __float2ll_rd(float x) { return (long long)floorf(x); }
inline int __float_as_int(float x) {
  int i;
  memcpy(&i, &x, 4);
  return i;
}
inline float __int_as_float(int i) {
  float x;
  memcpy(&x, &i, 4);
  return x;
}

inline unsigned half(unsigned x, int k) { return x >> 16 * k & 0xFFFFu; }
inline unsigned byte(unsigned x, int k) { return x >> 8 * k & 0xFFu; }
inline unsigned __dp2a_lo(unsigned a, unsigned b, unsigned c) {
  return c + half(a, 0) * byte(b, 0) + half(a, 1) * byte(b, 1);
}
inline unsigned __dp2a_hi(unsigned a, unsigned b, unsigned c) {
  return c + half(a, 0) * byte(b, 2) + half(a, 1) * byte(b, 3);
}
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
  const unsigned long long both = (unsigned long long)b << 32 | a;
  unsigned result = 0;
  for (int k = 0; k < 4; ++k) result |= (unsigned)(both >> 8 * (selector >> 4 * k & 7) & 0xFF) << 8 * k;
  return result;
}

// ``launch`` of one kernel: arguments by address, as cuLaunchKernel takes them; sizes[] must be those of its types.
namespace shim {
typedef void (*Body)(void** arguments);
int run(Body body, void** arguments, unsigned blocks, unsigned threads, unsigned long bytes, unsigned seed);

template <int...> struct Indices {};
template <int n, int... rest> struct Count : Count<n - 1, n - 1, rest...> {};
template <int... all> struct Count<0, all...> { typedef Indices<all...> type; };

template <class... A>
bool fits(void (*)(A...), const int* sizes, int count) {
  const int expected[] = {(int)sizeof(A)...};
  return count == sizeof...(A) && memcmp(expected, sizes, sizeof expected) == 0;
}
template <class... A, int... k>
void call(void (*kernel)(A...), void** arguments, Indices<k...>) {
  kernel(*(A*)arguments[k]...);
}
template <class... A>
void call(void (*kernel)(A...), void** arguments) {
  call(kernel, arguments, typename Count<sizeof...(A)>::type());
}
}  // namespace shim

#define ENTRY(kernel)                                                                                           \
  extern "C" int launch(void** arguments, const int* sizes, int count, unsigned blocks, unsigned threads,       \
                        unsigned long bytes, unsigned seed) {                                                   \
    if (!shim::fits(kernel, sizes, count)) return 1;                                                            \
    return shim::run([](void** a) { shim::call(kernel, a); }, arguments, blocks, threads, bytes, seed);         \
  }
