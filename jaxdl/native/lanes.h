// Some channels at once: N float32 side by side in memory, and every channel of an array in such
// groups.

#pragma once

#include <cstdint>
#include <cstring>

namespace jaxdl {

template <int N>
struct Lanes {
  typedef float V __attribute__((vector_size(4 * N)));
  typedef int Mask __attribute__((vector_size(4 * N)));
  static V load(const float* from) {
    V v;
    std::memcpy(&v, from, sizeof v);
    return v;
  }
  static void store(float* to, V v) { std::memcpy(to, &v, sizeof v); }
  static V all(float value) { return V{} + value; }
  static V pick(Mask mask, V yes, V no) { return mask ? yes : no; }
};

// Float32 in a register. GCC keeps wider vectors in memory, which is 5 times as slow.
#ifdef __AVX512F__
constexpr int kLanes = 16;
#else
constexpr int kLanes = 8;
#endif

// each(lanes, first channel), in groups of a register, then one by one.
template <typename Each>
void by_lanes(int64_t channels, Each each) {
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) each(Lanes<kLanes>{}, c);
  for (; c < channels; ++c) each(Lanes<1>{}, c);
}

}  // namespace jaxdl
