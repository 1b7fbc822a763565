// What the custom calls share: members over XLA's own threads, and words for wrong shapes.

#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "xla/ffi/api/ffi.h"

namespace jaxdl {

namespace ffi = xla::ffi;

struct Failed {
  int status;
};

inline void check(int status) {
  if (status != 0) throw Failed{status};
}

// Runs `work(task)` for every task below `count`, on the caller and as many threads of the pool as
// are free; gives 0, or the status of one that failed.
inline int share(ffi::ThreadPool& pool, int64_t count, const std::function<void(int64_t)>& work) {
  struct State {
    std::atomic<int64_t> next{0};
    std::atomic<int> status{0};
    int64_t done = 0;
    std::mutex mutex;
    std::condition_variable all;
  };
  // A thread that comes late finds nothing left, perhaps after we returned.
  auto state = std::make_shared<State>();
  auto take = [state, count, &work] {
    for (int64_t task; (task = state->next.fetch_add(1)) < count;) {
      try {
        work(task);
      } catch (const Failed& failed) {
        state->status = failed.status;
      } catch (...) {  // out of memory, above all: nothing may leave a thread of the pool
        state->status = -1;
      }
      std::lock_guard<std::mutex> lock(state->mutex);
      if (++state->done == count) state->all.notify_one();
    }
  };
  const int64_t threads = std::min<int64_t>(count, pool.num_threads());
  for (int64_t i = 1; i < threads; ++i) pool.Schedule(std::function<void()>(take));
  take();
  std::unique_lock<std::mutex> lock(state->mutex);
  state->all.wait(lock, [&] { return state->done == count; });
  return state->status;
}

inline std::string text(const ffi::AnyBuffer& buffer) {
  std::string found = buffer.element_type() == ffi::F32 ? "f32[" : "not f32[";
  for (size_t i = 0; i < buffer.dimensions().size(); ++i) {
    found += (i ? "," : "") + std::to_string(buffer.dimensions()[i]);
  }
  return found + "]";
}

// Whether a buffer is float32 of these sides; -1 stands for any, as for the members that `divides`
// checks.
inline bool is(const ffi::AnyBuffer& buffer, std::initializer_list<int64_t> sides) {
  auto found = buffer.dimensions();
  return buffer.element_type() == ffi::F32 && found.size() == sides.size() &&
         std::equal(sides.begin(), sides.end(), found.begin(),
                    [](int64_t a, int64_t b) { return a == -1 || a == b; });
}

// Where the values of a member are: a buffer has an entry for every member, or one for so many
// members in a row.
inline int64_t entry(const ffi::AnyBuffer& buffer, int64_t member, int64_t members) {
  return member / (members / buffer.dimensions()[0]);
}

// The values of a member, of which a buffer holds `size` an entry.
inline float* values(const ffi::AnyBuffer& buffer, int64_t member, int64_t members, int64_t size) {
  return buffer.typed_data<float>() + entry(buffer, member, members) * size;
}

// Asks for large pages under a large result that nobody has written to yet: with small ones a step
// of a residual network spends a seventh of its time on the first touch of each.
inline void on_large_pages(const ffi::AnyBuffer& buffer) {
  constexpr uintptr_t kPage = uintptr_t{1} << 21;
  const uintptr_t from = reinterpret_cast<uintptr_t>(buffer.untyped_data());
  const uintptr_t first = (from + kPage - 1) / kPage * kPage,
                  last = (from + buffer.size_bytes()) / kPage * kPage;
  if (last > first) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
}

inline bool divides(const ffi::AnyBuffer& buffer, int64_t members) {
  return buffer.dimensions()[0] > 0 && members % buffer.dimensions()[0] == 0;
}

}  // namespace jaxdl
