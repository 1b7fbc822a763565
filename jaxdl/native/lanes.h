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

// each(lanes, first channel), in groups of 16, then one by one.
template <typename Each>
void by_lanes(int64_t channels, Each each) {
  int64_t c = 0;
  for (; c + 16 <= channels; c += 16) each(Lanes<16>{}, c);
  for (; c < channels; ++c) each(Lanes<1>{}, c);
}

}  // namespace jaxdl
