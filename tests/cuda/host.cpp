// Runs a kernel on one core: every CUDA thread is a fiber that yields at barriers and at the exchanges of its warp.
// Between two barriers the warps run in random order, each as far as it can: a missing barrier changes the result.
#include "shim.h"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

uint3 threadIdx, blockIdx, gridDim;

namespace {
enum State { READY, AT_WARP_BARRIER, AT_BLOCK_BARRIER, DONE };
enum Result { OK, WRONG_ARGUMENTS, PARTIAL_WARP, TOO_MUCH_SHARED, DEADLOCK, OUT_OF_BOUNDS };

const size_t STACK = 1 << 16, MOST_SHARED = 227 << 10, GUARD = 1 << 10;
const unsigned char POISON = 0xCD;

struct Fiber {
  ucontext_t start;
  jmp_buf here;  // once started: a jump asks nothing of the system
  bool started;
  State state;
  std::vector<char> stack = std::vector<char>(STACK);
};

std::vector<Fiber> fibers;
unsigned long long exchange[32][32];
unsigned current;
jmp_buf scheduler;
shim::Body body;
void** arguments;

void yield(State state) {
  Fiber& me = fibers[current];
  me.state = state;
  if (_setjmp(me.here) == 0) _longjmp(scheduler, 1);
}

void begin() {
  body(arguments);
  yield(DONE);
}

void resume(unsigned thread) {
  current = thread;
  threadIdx = {thread, 0, 0};
  Fiber& fiber = fibers[thread];
  if (_setjmp(scheduler)) return;
  if (fiber.started) _longjmp(fiber.here, 1);
  fiber.started = true;
  setcontext(&fiber.start);
}

// Runs one warp until all its threads wait for the block, are done, or wait for each other in vain.
bool run_warp(unsigned warp, std::mt19937& random) {
  unsigned order[32];
  std::iota(order, order + 32, 32 * warp);
  for (bool any = false;; any = true) {
    std::shuffle(order, order + 32, random);
    bool ran = false;
    for (unsigned thread : order) {
      if (fibers[thread].state != READY) continue;
      resume(thread);
      ran = true;
    }
    auto waits = [](unsigned thread) { return fibers[thread].state == AT_WARP_BARRIER; };
    if (std::all_of(order, order + 32, waits)) {
      for (unsigned thread : order) fibers[thread].state = READY;
    } else if (!ran) {
      return any;
    }
  }
}

Result run_block(unsigned threads, std::mt19937& random) {
  for (unsigned thread = 0; thread < threads; ++thread) {
    Fiber& fiber = fibers[thread];
    getcontext(&fiber.start);
    fiber.start.uc_stack.ss_sp = fiber.stack.data();
    fiber.start.uc_stack.ss_size = fiber.stack.size();
    makecontext(&fiber.start, begin, 0);
    fiber.started = false;
    fiber.state = READY;
  }
  std::vector<unsigned> warps(threads / 32);
  std::iota(warps.begin(), warps.end(), 0);
  for (;;) {
    std::shuffle(warps.begin(), warps.end(), random);
    bool ran = false;
    for (unsigned warp : warps) ran |= run_warp(warp, random);
    auto all = [](State state) {
      return std::all_of(fibers.begin(), fibers.end(), [state](const Fiber& fiber) { return fiber.state == state; });
    };
    if (all(DONE)) return OK;
    if (all(AT_BLOCK_BARRIER)) {
      for (Fiber& fiber : fibers) fiber.state = READY;
    } else if (!ran) {
      return DEADLOCK;
    }
  }
}
}  // namespace

alignas(16) unsigned char shared_bytes[MOST_SHARED + GUARD] asm("shared");

void __syncthreads() { yield(AT_BLOCK_BARRIER); }
unsigned long long* shim::slots() { return exchange[current / 32]; }
unsigned shim::lane() { return current % 32; }
void shim::warp_barrier() { yield(AT_WARP_BARRIER); }

int shim::run(Body kernel, void** given, unsigned blocks, unsigned threads, unsigned long bytes, unsigned seed) {
  if (threads == 0 || threads % 32 || threads > 1024) return PARTIAL_WARP;
  if (bytes > MOST_SHARED) return TOO_MUCH_SHARED;
  std::mt19937 random(seed);
  std::vector<unsigned> order(blocks);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  body = kernel;
  arguments = given;
  fibers.resize(threads);
  gridDim = {blocks, 1, 1};
  for (unsigned block : order) {
    blockIdx = {block, 0, 0};
    memset(shared_bytes, POISON, sizeof shared_bytes);
    if (const Result result = run_block(threads, random)) return result;
    auto untouched = [](unsigned char byte) { return byte == POISON; };
    if (!std::all_of(shared_bytes + bytes, shared_bytes + sizeof shared_bytes, untouched)) return OUT_OF_BOUNDS;
  }
  return OK;
}
