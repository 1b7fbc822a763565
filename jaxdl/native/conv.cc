// Convolutions of many members at once: oneDNN on XLA's own threads, through XLA's foreign function
// interface.
//
// images [members or 1, batch, height, width, channel], kernel [members or 1, height, width,
// channel, feature], float32, dense, as JAX holds them. A task is one member, or a part of the
// batch where there are fewer members than threads; a task runs on one thread. The caller takes
// tasks too, so nothing here waits for a thread of the pool to come free.

#include <dlfcn.h>

#include <array>
#include <cstring>
#include <map>
#include <new>

#include "members.h"

namespace ffi = xla::ffi;

// oneDNN's C API, version 3, as far as it is used: names and numbers of its developer guide (the
// wheel has no headers).
namespace dnnl {

using Dims = int64_t[12];
struct Argument {
  int kind;
  void* memory;
};
struct Version {
  int major, minor, patch;
};
constexpr int kCpu = 1, kInOrder = 1, kFloat32 = 3, kAny = 1, kForwardTraining = 64, kDirect = 1,
              kUserScratchpad = 1;
constexpr int kSource = 1, kTarget = 17, kWeights = 33, kBias = 41, kScratchpad = 80,
              kFirstBinary = 32768 + 2;
constexpr int kA = 2, kRelu = 0x20, kClip = 0x2e, kAdd = 0x1fff0;
constexpr int kDiffSource = 129, kDiffTarget = 145, kDiffWeights = 161;
constexpr int kQueryWeights = 131, kQueryDiffWeights = 132, kQueryScratchpad = 136;

#define DNNL_FUNCTIONS(F)                                                                        \
  F(version, const Version*())                                                                   \
  F(engine_create, int(void**, int, size_t))                                                     \
  F(stream_create, int(void**, void*, unsigned))                                                 \
  F(primitive_attr_create, int(void**))                                                          \
  F(primitive_attr_set_scratchpad_mode, int(void*, int))                                         \
  F(primitive_attr_set_post_ops, int(void*, const void*))                                        \
  F(post_ops_create, int(void**))                                                                \
  F(post_ops_append_eltwise, int(void*, int, float, float))                                      \
  F(post_ops_append_binary, int(void*, int, const void*))                                        \
  F(post_ops_destroy, int(void*))                                                                \
  F(memory_desc_create_with_strides, int(void**, int, const Dims, int, const Dims))              \
  F(memory_desc_create_with_tag, int(void**, int, const Dims, int, int))                         \
  F(memory_desc_destroy, int(void*))                                                             \
  F(memory_desc_equal, int(const void*, const void*))                                            \
  F(memory_desc_get_size, size_t(const void*))                                                   \
  F(convolution_forward_primitive_desc_create,                                                   \
    int(void**, void*, int, int, const void*, const void*, const void*, const void*, const Dims, \
        const Dims, const Dims, const Dims, void*))                                              \
  F(convolution_backward_data_primitive_desc_create,                                             \
    int(void**, void*, int, const void*, const void*, const void*, const Dims, const Dims,       \
        const Dims, const Dims, const void*, void*))                                             \
  F(convolution_backward_weights_primitive_desc_create,                                          \
    int(void**, void*, int, const void*, const void*, const void*, const void*, const Dims,      \
        const Dims, const Dims, const Dims, const void*, void*))                                 \
  F(reorder_primitive_desc_create, int(void**, const void*, void*, const void*, void*, void*))   \
  F(primitive_desc_query_md, const void*(const void*, int, int))                                 \
  F(primitive_desc_destroy, int(void*))                                                          \
  F(primitive_create, int(void**, const void*))                                                  \
  F(memory_create, int(void**, const void*, void*, void*))                                       \
  F(memory_set_data_handle, int(void*, void*))                                                   \
  F(primitive_execute, int(const void*, void*, int, const Argument*))

#define F(name, ...) std::add_pointer_t<__VA_ARGS__> name;
DNNL_FUNCTIONS(F)
#undef F
void (*set_threads)(int);
void* engine;

}  // namespace dnnl

namespace {

using jaxdl::check;
using jaxdl::Failed;

// The value; the gradient of the images; the gradient of the kernel.
enum Direction { kForward, kData, kKernel };

struct Shape {
  int64_t batch, height, width, channels, rows, columns, features, out_height, out_width, stride,
      padding;
  auto key() const {
    return std::array<int64_t, 11>{batch,    height,     width,     channels, rows,   columns,
                                   features, out_height, out_width, stride,   padding};
  }
  int64_t image() const { return height * width * channels; }
  int64_t out() const { return out_height * out_width * features; }
  int64_t kernel() const { return rows * columns * channels * features; }
};

// What a convolution does to its value before it is written: bias [feature], a sum with outputs
// elsewhere, an activation (1: ReLU, 2: ReLU6).
struct After {
  bool bias, skip;
  int activation;
  int key() const { return bias + 2 * skip + 4 * activation; }
};

// A primitive of one thread with all that it needs: made once for a shape and kept.
class Convolution {
 public:
  Convolution(Direction direction, const Shape& s, After after_it) : direction_(direction) {
    const dnnl::Dims images = {s.batch, s.channels, s.height, s.width};
    const dnnl::Dims outputs = {s.batch, s.features, s.out_height, s.out_width};
    const dnnl::Dims weights = {s.features, s.channels, s.rows, s.columns};
    const dnnl::Dims image_strides = {s.image(), 1, s.width * s.channels, s.channels};
    const dnnl::Dims output_strides = {s.out(), 1, s.out_width * s.features, s.features};
    const dnnl::Dims weight_strides = {1, s.features, s.columns * s.channels * s.features,
                                       s.channels * s.features};
    // What is on the right and below may not be reached by any window: the padding there shrinks,
    // below 0 too.
    const dnnl::Dims strides = {s.stride, s.stride}, dilates = {0, 0},
                     before = {s.padding, s.padding};
    const dnnl::Dims after = {(s.out_height - 1) * s.stride + s.rows - s.height - s.padding,
                              (s.out_width - 1) * s.stride + s.columns - s.width - s.padding};
    void *image_md, *output_md, *plain_md, *any_md, *attributes, *forward = nullptr, *own = nullptr;
    check(
        dnnl::memory_desc_create_with_strides(&image_md, 4, images, dnnl::kFloat32, image_strides));
    check(dnnl::memory_desc_create_with_strides(&output_md, 4, outputs, dnnl::kFloat32,
                                                output_strides));
    check(dnnl::memory_desc_create_with_strides(&plain_md, 4, weights, dnnl::kFloat32,
                                                weight_strides));
    check(dnnl::memory_desc_create_with_tag(&any_md, 4, weights, dnnl::kFloat32, dnnl::kAny));
    check(dnnl::primitive_attr_create(&attributes));
    check(dnnl::primitive_attr_set_scratchpad_mode(attributes, dnnl::kUserScratchpad));
    void* bias_md = nullptr;
    if (after_it.bias) {
      const dnnl::Dims features = {s.features};
      check(dnnl::memory_desc_create_with_tag(&bias_md, 1, features, dnnl::kFloat32, dnnl::kA));
      check(dnnl::memory_create(&bias_, bias_md, dnnl::engine, nullptr));
      then(attributes, after_it, output_md);
    }
    check(dnnl::stream_create(&stream_, dnnl::engine, dnnl::kInOrder));
    check(dnnl::convolution_forward_primitive_desc_create(
        &forward, dnnl::engine, dnnl::kForwardTraining, dnnl::kDirect, image_md, any_md, bias_md,
        output_md, strides, dilates, before, after, attributes));
    if (direction == kData) {
      check(dnnl::convolution_backward_data_primitive_desc_create(
          &own, dnnl::engine, dnnl::kDirect, image_md, any_md, output_md, strides, dilates, before,
          after, forward, attributes));
    } else if (direction == kKernel) {
      check(dnnl::convolution_backward_weights_primitive_desc_create(
          &own, dnnl::engine, dnnl::kDirect, image_md, any_md, nullptr, output_md, strides, dilates,
          before, after, forward, attributes));
    }
    const void* chosen = own ? own : forward;
    check(dnnl::primitive_create(&primitive_, chosen));
    const void* packed_md = dnnl::primitive_desc_query_md(
        chosen, direction == kKernel ? dnnl::kQueryDiffWeights : dnnl::kQueryWeights, 0);
    const void* scratch_md = dnnl::primitive_desc_query_md(chosen, dnnl::kQueryScratchpad, 0);
    scratch_.resize(dnnl::memory_desc_get_size(scratch_md));
    check(dnnl::memory_create(&scratch_memory_, scratch_md, dnnl::engine, scratch_.data()));
    check(dnnl::memory_create(&images_, image_md, dnnl::engine, nullptr));
    check(dnnl::memory_create(&outputs_, output_md, dnnl::engine, nullptr));
    if (after_it.skip) check(dnnl::memory_create(&skip_, output_md, dnnl::engine, nullptr));
    check(dnnl::memory_create(&plain_, plain_md, dnnl::engine, nullptr));
    if (!dnnl::memory_desc_equal(packed_md, plain_md)) {
      packed_values_.resize(dnnl::memory_desc_get_size(packed_md));
      check(dnnl::memory_create(&packed_, packed_md, dnnl::engine, packed_values_.data()));
      void* pack;
      check(direction == kKernel
                ? dnnl::reorder_primitive_desc_create(&pack, packed_md, dnnl::engine, plain_md,
                                                      dnnl::engine, nullptr)
                : dnnl::reorder_primitive_desc_create(&pack, plain_md, dnnl::engine, packed_md,
                                                      dnnl::engine, nullptr));
      check(dnnl::primitive_create(&reorder_, pack));
      dnnl::primitive_desc_destroy(pack);
    }
    for (void* md : {image_md, output_md, plain_md, any_md, bias_md}) dnnl::memory_desc_destroy(md);
    if (own) dnnl::primitive_desc_destroy(own);
    dnnl::primitive_desc_destroy(forward);
  }

  void run(const float* images, const float* kernel, const float* outputs,
           const float* bias = nullptr, const float* skip = nullptr) const {
    set(images_, images), set(plain_, kernel), set(outputs_, outputs);
    void* weights = packed_ ? packed_ : plain_;
    const dnnl::Argument scratch = {dnnl::kScratchpad, scratch_memory_};
    if (direction_ == kKernel) {
      execute(primitive_, {{dnnl::kSource, images_},
                           {dnnl::kDiffWeights, weights},
                           {dnnl::kDiffTarget, outputs_},
                           scratch});
      if (reorder_) execute(reorder_, {{dnnl::kSource, packed_}, {dnnl::kTarget, plain_}});
      return;
    }
    if (reorder_) execute(reorder_, {{dnnl::kSource, plain_}, {dnnl::kTarget, packed_}});
    if (direction_ == kForward) {
      std::vector<dnnl::Argument> given = {
          {dnnl::kSource, images_}, {dnnl::kWeights, weights}, {dnnl::kTarget, outputs_}, scratch};
      if (bias_) set(bias_, bias), given.push_back({dnnl::kBias, bias_});
      if (skip_) set(skip_, skip), given.push_back({dnnl::kFirstBinary, skip_});
      check(dnnl::primitive_execute(primitive_, stream_, static_cast<int>(given.size()),
                                    given.data()));
    } else {
      execute(primitive_, {{dnnl::kDiffSource, images_},
                           {dnnl::kWeights, weights},
                           {dnnl::kDiffTarget, outputs_},
                           scratch});
    }
  }

 private:
  // The sum is the first of what comes after, so that its argument has the first number.
  static void then(void* attributes, After what, const void* output_md) {
    void* after;
    check(dnnl::post_ops_create(&after));
    if (what.skip) check(dnnl::post_ops_append_binary(after, dnnl::kAdd, output_md));
    if (what.activation == 1) check(dnnl::post_ops_append_eltwise(after, dnnl::kRelu, 0, 0));
    if (what.activation == 2) check(dnnl::post_ops_append_eltwise(after, dnnl::kClip, 0, 6));
    check(dnnl::primitive_attr_set_post_ops(attributes, after));
    dnnl::post_ops_destroy(after);
  }
  static void set(void* memory, const float* values) {
    check(dnnl::memory_set_data_handle(memory, const_cast<float*>(values)));
  }
  void execute(void* primitive, std::initializer_list<dnnl::Argument> arguments) const {
    check(dnnl::primitive_execute(primitive, stream_, static_cast<int>(arguments.size()),
                                  arguments.begin()));
  }

  Direction direction_;
  std::vector<char> scratch_, packed_values_;
  void *stream_, *primitive_, *reorder_ = nullptr, *images_, *outputs_, *plain_, *packed_ = nullptr,
                              *scratch_memory_;
  void *bias_ = nullptr, *skip_ = nullptr;
};

const Convolution& convolution(Direction direction, const Shape& shape,
                               After after = {false, false, 0}) {
  thread_local std::map<std::pair<int, std::array<int64_t, 11>>, std::unique_ptr<Convolution>> made;
  if (made.empty()) dnnl::set_threads(1);  // OpenMP keeps this for each thread
  auto& found = made[{direction + 4 * after.key(), shape.key()}];
  if (!found) found = std::make_unique<Convolution>(direction, shape, after);
  return *found;
}

ffi::Error run(Direction direction, ffi::ThreadPool pool, ffi::AnyBuffer images,
               ffi::AnyBuffer kernel, ffi::AnyBuffer outputs, int64_t stride, int64_t padding,
               After after = {false, false, 0}, const ffi::AnyBuffer* bias = nullptr,
               const ffi::AnyBuffer* skip = nullptr) {
  const std::string what = "convolution of images " + jaxdl::text(images) + ", kernel " +
                           jaxdl::text(kernel) + ", outputs " + jaxdl::text(outputs) + ", stride " +
                           std::to_string(stride) + ", padding " + std::to_string(padding);
  auto wrong = [&](const std::string& why) {
    return ffi::Error::InvalidArgument(what + ": " + why);
  };
  for (const auto& buffer : {images, kernel, outputs}) {
    if (!jaxdl::is(buffer, {-1, -1, -1, -1, -1})) return wrong("must be float32, 5 axes");
  }
  auto x = images.dimensions(), w = kernel.dimensions(), y = outputs.dimensions();
  const Shape shape = {x[1], x[2], x[3], x[4], w[1], w[2], w[4], y[2], y[3], stride, padding};
  const int64_t members = std::max({x[0], w[0], y[0]});
  // Whether a side of the outputs is what the images' side and the kernel's make.
  auto side = [&](int i) {
    const int64_t room = x[i] + 2 * padding - w[i - 1];
    return stride >= 1 && padding >= 0 && room >= 0 && room / stride + 1 == y[i];
  };
  bool fits = side(2) && side(3) && w[3] == x[4] && y[4] == w[4] && y[1] == x[1];
  for (const auto& buffer : {images, kernel, outputs})
    fits = fits && jaxdl::divides(buffer, members);
  if (!fits) return wrong("the shapes do not fit");
  const auto& result = direction == kForward ? outputs : direction == kData ? images : kernel;
  if (result.dimensions()[0] != members) {
    return wrong("the result has an entry for every member");
  }
  if (!dnnl::engine) return wrong("oneDNN is not loaded");
  if (images.element_count() == 0 || kernel.element_count() == 0 || outputs.element_count() == 0) {
    return ffi::Error::InvalidArgument(what + ": nothing to compute");
  }
  float *a = images.typed_data<float>(), *b = kernel.typed_data<float>(),
        *c = outputs.typed_data<float>();
  const int64_t parts =
      members > 1 ? 1 : std::min(shape.batch, std::max<int64_t>(1, pool.num_threads()));
  const int64_t size = (shape.batch + parts - 1) / parts, tasks = (shape.batch + size - 1) / size;
  if (members == 1) jaxdl::on_large_pages(result);
  std::vector<float> sums;
  try {
    if (direction == kKernel && tasks > 1) sums.resize(tasks * shape.kernel());
    check(jaxdl::share(pool, members > 1 ? members : tasks, [&](int64_t task) {
      Shape own = shape;
      const int64_t first = members > 1 ? 0 : task * size, member = members > 1 ? task : 0;
      if (members == 1) own.batch = std::min(size, shape.batch - first);
      const float* image =
          a + (jaxdl::entry(images, member, members) * shape.batch + first) * shape.image();
      const float* output =
          c + (jaxdl::entry(outputs, member, members) * shape.batch + first) * shape.out();
      const float* weights = sums.empty()
                                 ? b + jaxdl::entry(kernel, member, members) * shape.kernel()
                                 : sums.data() + task * shape.kernel();
      convolution(direction, own, after)
          .run(image, weights, output,
               bias ? jaxdl::values(*bias, member, members, shape.features) : nullptr,
               after.skip
                   ? skip->typed_data<float>() +
                         (jaxdl::entry(*skip, member, members) * shape.batch + first) * shape.out()
                   : nullptr);
    }));
  } catch (const Failed& failed) {
    return ffi::Error::Internal(what + ": oneDNN gave status " + std::to_string(failed.status));
  } catch (const std::bad_alloc&) {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted, what + ": out of memory");
  }
  if (!sums.empty()) {
    std::memcpy(b, sums.data(), shape.kernel() * sizeof(float));
    for (int64_t task = 1; task < tasks; ++task) {  // in this order always: the same sum every time
      for (int64_t i = 0; i < shape.kernel(); ++i) b[i] += sums[task * shape.kernel() + i];
    }
  }
  return ffi::Error::Success();
}

ffi::Error forward(ffi::ThreadPool pool, ffi::AnyBuffer images, ffi::AnyBuffer kernel,
                   ffi::Result<ffi::AnyBuffer> out, int64_t stride, int64_t padding) {
  return run(kForward, pool, images, kernel, *out, stride, padding);
}

ffi::Error affine(ffi::ThreadPool pool, ffi::AnyBuffer images, ffi::AnyBuffer kernel,
                  ffi::AnyBuffer bias, ffi::AnyBuffer skip, ffi::Result<ffi::AnyBuffer> out,
                  int64_t stride, int64_t padding, int64_t activation) {
  const bool sum = skip.element_count() > 0;
  auto y = out->dimensions();
  bool fits =
      y.size() == 5 && y[0] > 0 && jaxdl::is(bias, {-1, y[4]}) && jaxdl::divides(bias, y[0]);
  if (sum)
    fits = fits && jaxdl::is(skip, {-1, y[1], y[2], y[3], y[4]}) && jaxdl::divides(skip, y[0]);
  if (!fits) {
    return ffi::Error::InvalidArgument("convolution to " + jaxdl::text(*out) + " with bias " +
                                       jaxdl::text(bias) + ", skip " + jaxdl::text(skip) +
                                       ": the shapes do not fit");
  }
  return run(kForward, pool, images, kernel, *out, stride, padding,
             {true, sum, static_cast<int>(activation)}, &bias, &skip);
}

ffi::Error data(ffi::ThreadPool pool, ffi::AnyBuffer gradient, ffi::AnyBuffer kernel,
                ffi::Result<ffi::AnyBuffer> out, int64_t stride, int64_t padding) {
  return run(kData, pool, *out, kernel, gradient, stride, padding);
}

ffi::Error kernel(ffi::ThreadPool pool, ffi::AnyBuffer images, ffi::AnyBuffer gradient,
                  ffi::Result<ffi::AnyBuffer> out, int64_t stride, int64_t padding) {
  return run(kKernel, pool, images, *out, gradient, stride, padding);
}

}  // namespace

#define HANDLER(name, function)                              \
  XLA_FFI_DEFINE_HANDLER_SYMBOL(name, function,              \
                                ffi::Ffi::Bind()             \
                                    .Ctx<ffi::ThreadPool>()  \
                                    .Arg<ffi::AnyBuffer>()   \
                                    .Arg<ffi::AnyBuffer>()   \
                                    .Ret<ffi::AnyBuffer>()   \
                                    .Attr<int64_t>("stride") \
                                    .Attr<int64_t>("padding"))

HANDLER(jaxdl_conv_forward, forward);
HANDLER(jaxdl_conv_data, data);
HANDLER(jaxdl_conv_kernel, kernel);

XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxdl_conv_affine, affine,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Ret<ffi::AnyBuffer>()
                                  .Attr<int64_t>("stride")
                                  .Attr<int64_t>("padding")
                                  .Attr<int64_t>("activation"));

// Loads oneDNN from a file; null, or what is wrong.
extern "C" const char* jaxdl_load(const char* path) {
  if (dnnl::engine) return nullptr;
  if (!__builtin_cpu_supports("avx2")) return "this CPU has no AVX2";
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) return dlerror();
#define F(name, ...)                                                                  \
  dnnl::name = reinterpret_cast<decltype(dnnl::name)>(dlsym(library, "dnnl_" #name)); \
  if (!dnnl::name) return "no function dnnl_" #name;
  DNNL_FUNCTIONS(F)
#undef F
  if (dnnl::version()->major != 3) return "another version of oneDNN than 3";
  dnnl::set_threads = reinterpret_cast<void (*)(int)>(dlsym(library, "omp_set_num_threads"));
  if (!dnnl::set_threads) return "no function omp_set_num_threads";
  return dnnl::engine_create(&dnnl::engine, dnnl::kCpu, 0) == 0 ? nullptr
                                                                : "oneDNN has no CPU engine";
}
