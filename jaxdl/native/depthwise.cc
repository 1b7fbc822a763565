// Depthwise convolution: a kernel per channel, on XLA's own threads.
//
// images [members or 1, batch, height, width, channel], kernel [members or 1, rows, columns,
// channel], outputs [members or 1, batch, out height, out width, channel], float32, dense. The
// window of output (y, x) begins at pixel (y stride - top, x stride - left); pixels outside of the
// image are zeros. jaxdl/models/depthwise.py says what is computed.

#include <new>
#include <type_traits>
#include <vector>

#include "lanes.h"
#include "members.h"

namespace {

namespace ffi = jaxdl::ffi;
using jaxdl::by_lanes;

// Outputs of a row that are summed at once; tasks of the gradient of the kernel, which does not
// depend on the number of threads.
constexpr int64_t kBlock = 8, kParts = 32;

struct Shape {
  int64_t batch, height, width, channels, rows, columns, out_height, out_width, stride, top, left;
  int64_t row() const { return width * channels; }
  int64_t image() const { return height * row(); }
  int64_t out_row() const { return out_width * channels; }
  int64_t out() const { return out_height * out_row(); }
  int64_t kernel() const { return rows * columns * channels; }
  int64_t out_rows() const { return batch * out_height; }
};

struct Range {
  int64_t first, last;
};

// Taps of a window that begins at pixel `start` and lie inside of an image's side.
Range inside(int64_t start, int64_t taps, int64_t side) {
  return {std::max<int64_t>(0, -start), std::min(taps, side - start)};
}

// Outputs of a row whose windows lie inside of the image.
Range inside_outputs(const Shape& s) {
  const int64_t first = std::min(s.out_width, (s.left + s.stride - 1) / s.stride);
  const int64_t room = s.width + s.left - s.columns;
  return {first, room < 0 ? first : std::clamp(room / s.stride + 1, first, s.out_width)};
}

template <int N>
using Count = std::integral_constant<int, N>;

// What is added to a convolution and how it ends: bias [channel] or null; 0: nothing, 1: ReLU,
// 2: ReLU6.
struct After {
  const float* bias;
  int64_t activation;
};

template <typename L>
auto end(L lanes, typename L::V sum, int64_t activation) {
  if (activation) sum = lanes.pick(sum <= 0, lanes.all(0), sum);
  if (activation == 2) sum = lanes.pick(sum > 6, lanes.all(6), sum);
  return sum;
}

// N outputs of a row from column x on, for some channels.
template <int N, typename L>
void outputs(const Shape& s, L lanes, const float* image, const float* kernel, float* out,
             int64_t start, Range rows, Range columns, int64_t x, int64_t c, const After& after) {
  typename L::V sums[N];
  for (int n = 0; n < N; ++n) sums[n] = after.bias ? lanes.load(after.bias + c) : lanes.all(0);
  const int64_t step = s.stride * s.channels;
  for (int64_t i = rows.first; i < rows.last; ++i) {
    const float* from = image + (start + i) * s.row() + (x * s.stride - s.left) * s.channels + c;
    const float* weights = kernel + i * s.columns * s.channels + c;
    for (int64_t j = columns.first; j < columns.last; ++j) {
      const auto weight = lanes.load(weights + j * s.channels);
      for (int n = 0; n < N; ++n) sums[n] += weight * lanes.load(from + n * step + j * s.channels);
    }
  }
  for (int n = 0; n < N; ++n) {
    lanes.store(out + (x + n) * s.channels + c, end(lanes, sums[n], after.activation));
  }
}

// A row of outputs. Windows inside of the image are summed several at once.
void forward_row(const Shape& s, const float* image, const float* kernel, float* out, int64_t y,
                 const After& after) {
  const int64_t start = y * s.stride - s.top;
  const Range rows = inside(start, s.rows, s.height), all = {0, s.columns};
  const auto [first, last] = inside_outputs(s);
  by_lanes(s.channels, [&](auto lanes, int64_t c) {
    auto border = [&](int64_t x) {
      const Range columns = inside(x * s.stride - s.left, s.columns, s.width);
      outputs<1>(s, lanes, image, kernel, out, start, rows, columns, x, c, after);
    };
    int64_t x = 0;
    for (; x < first; ++x) border(x);
    for (; x + kBlock <= last; x += kBlock) {
      outputs<kBlock>(s, lanes, image, kernel, out, start, rows, all, x, c, after);
    }
    for (; x < last; ++x) outputs<1>(s, lanes, image, kernel, out, start, rows, all, x, c, after);
    for (; x < s.out_width; ++x) border(x);
  });
}

// A row of the gradient of the images: every pixel gathers from the windows that it is in. With
// stride 1 that is a convolution with the kernel turned round, which `run` leaves to forward_row.
void data_row(const Shape& s, const float* gradient, const float* kernel, float* image, int64_t y) {
  struct Tap {
    const float *weights, *from;
  };
  std::vector<Tap> taps;
  for (int64_t x = 0; x < s.width; ++x) {
    taps.clear();
    for (int64_t i = 0; i < s.rows; ++i) {
      const int64_t down = y + s.top - i;
      if (down < 0 || down % s.stride || down / s.stride >= s.out_height) continue;
      for (int64_t j = 0; j < s.columns; ++j) {
        const int64_t right = x + s.left - j;
        if (right < 0 || right % s.stride || right / s.stride >= s.out_width) continue;
        taps.push_back({kernel + (i * s.columns + j) * s.channels,
                        gradient + down / s.stride * s.out_row() + right / s.stride * s.channels});
      }
    }
    by_lanes(s.channels, [&](auto lanes, int64_t c) {
      auto sum = lanes.all(0);
      for (const Tap& tap : taps) sum += lanes.load(tap.weights + c) * lanes.load(tap.from + c);
      lanes.store(image + x * s.channels + c, sum);
    });
  }
}

// Adds what outputs [first, last) of a row give to N taps side by side, for some channels.
template <int N, typename L>
void add_taps(const Shape& s, L lanes, const float* from, const float* gradient, float* kernel,
              int64_t first, int64_t last) {
  typename L::V sums[N];
  for (int n = 0; n < N; ++n) sums[n] = lanes.load(kernel + n * s.channels);
  for (int64_t x = first; x < last; ++x) {
    const auto g = lanes.load(gradient + x * s.channels);
    const float* pixel = from + x * s.stride * s.channels;
    for (int n = 0; n < N; ++n) sums[n] += g * lanes.load(pixel + n * s.channels);
  }
  for (int n = 0; n < N; ++n) lanes.store(kernel + n * s.channels, sums[n]);
}

// Adds what a row of outputs gives to the gradient of the kernel.
void kernel_row(const Shape& s, const float* image, const float* gradient, float* kernel,
                int64_t y) {
  const int64_t start = y * s.stride - s.top;
  const Range rows = inside(start, s.rows, s.height);
  const Range middle = inside_outputs(s);
  by_lanes(s.channels, [&](auto lanes, int64_t c) {
    for (int64_t i = rows.first; i < rows.last; ++i) {
      const float* from = image + (start + i) * s.row() - s.left * s.channels + c;
      float* to = kernel + i * s.columns * s.channels + c;
      auto border = [&](int64_t x) {
        const Range columns = inside(x * s.stride - s.left, s.columns, s.width);
        for (int64_t j = columns.first; j < columns.last; ++j) {
          add_taps<1>(s, lanes, from + j * s.channels, gradient + c, to + j * s.channels, x, x + 1);
        }
      };
      for (int64_t x = 0; x < middle.first; ++x) border(x);
      int64_t j = 0;  // several taps at once: a gradient is read once, and no sum waits for another
      auto taps = [&](auto count) {
        constexpr int N = decltype(count)::value;
        for (; j + N <= s.columns; j += N) {
          add_taps<N>(s, lanes, from + j * s.channels, gradient + c, to + j * s.channels,
                      middle.first, middle.last);
        }
      };
      taps(Count<7>{}), taps(Count<5>{}), taps(Count<3>{}), taps(Count<1>{});
      for (int64_t x = middle.last; x < s.out_width; ++x) border(x);
    }
  });
}

enum Direction { kForward, kData, kKernel };

ffi::Error run(Direction direction, ffi::ThreadPool pool, ffi::AnyBuffer images,
               ffi::AnyBuffer kernel, ffi::AnyBuffer outputs, const ffi::AnyBuffer* bias,
               int64_t stride, int64_t top, int64_t left, int64_t activation) {
  const std::string what = "depthwise convolution of images " + jaxdl::text(images) + ", kernel " +
                           jaxdl::text(kernel) + ", outputs " + jaxdl::text(outputs) + ", stride " +
                           std::to_string(stride);
  auto wrong = [&](const std::string& why) {
    return ffi::Error::InvalidArgument(what + ": " + why);
  };
  auto x = images.dimensions(), w = kernel.dimensions(), y = outputs.dimensions();
  if (!jaxdl::is(images, {-1, -1, -1, -1, -1}) || !jaxdl::is(kernel, {-1, -1, -1, -1}) ||
      !jaxdl::is(outputs, {-1, -1, -1, -1, -1})) {
    return wrong("must be float32 of 5, 4 and 5 axes");
  }
  const Shape s = {x[1], x[2], x[3], x[4], w[1], w[2], y[2], y[3], stride, top, left};
  const int64_t members = std::max({x[0], w[0], y[0]});
  bool fits = stride > 0 && top >= 0 && left >= 0 && top < w[1] && left < w[2] &&
              w[3] == x[4] && y[4] == x[4] && y[1] == x[1];
  for (const auto& buffer : {images, kernel, outputs})
    fits = fits && jaxdl::divides(buffer, members);
  const bool adds = bias && bias->element_count() > 0;
  if (adds) fits = fits && jaxdl::is(*bias, {-1, x[4]}) && jaxdl::divides(*bias, members);
  if (!fits) return wrong("the shapes do not fit");
  const auto& result = direction == kForward ? outputs : direction == kData ? images : kernel;
  if (result.dimensions()[0] != members) return wrong("the result has an entry for every member");
  if (images.element_count() == 0 || kernel.element_count() == 0 || outputs.element_count() == 0) {
    return wrong("nothing to compute");
  }
  if (direction != kKernel) jaxdl::on_large_pages(result);
  auto image_of = [&](int64_t member, int64_t i) {
    return jaxdl::values(images, member, members, s.batch * s.image()) + i * s.image();
  };
  auto output_of = [&](int64_t member, int64_t i) {
    return jaxdl::values(outputs, member, members, s.batch * s.out()) + i * s.out();
  };
  auto kernel_of = [&](int64_t member) {
    return jaxdl::values(kernel, member, members, s.kernel());
  };
  // For stride 1, the gradient of the images: what the outputs are to them, and their kernels.
  const bool turns = direction == kData && stride == 1;
  const Shape back = {s.batch,   s.out_height, s.out_width, s.channels, s.rows, s.columns, s.height,
                      s.width,   1,            s.rows - 1 - top,        s.columns - 1 - left};
  int status = 0;
  try {
    std::vector<float> turned(turns ? w[0] * s.kernel() : 0);
    for (size_t i = 0; i < turned.size(); ++i) {
      const int64_t c = i % s.channels, tap = i / s.channels % (s.rows * s.columns),
                    entry = i / s.kernel();
      turned[i] = kernel.typed_data<float>()[((entry + 1) * s.rows * s.columns - 1 - tap) *
                                                 s.channels + c];
    }
    if (direction == kKernel) {
      const int64_t size = (s.out_rows() + kParts - 1) / kParts,
                    parts = (s.out_rows() + size - 1) / size;
      std::vector<float> sums(members * parts * s.kernel());
      status = jaxdl::share(pool, members * parts, [&](int64_t task) {
        const int64_t member = task / parts, from = task % parts * size;
        for (int64_t row = from; row < std::min(from + size, s.out_rows()); ++row) {
          const int64_t i = row / s.out_height, y_ = row % s.out_height;
          kernel_row(s, image_of(member, i), output_of(member, i) + y_ * s.out_row(),
                     sums.data() + task * s.kernel(), y_);
        }
      });
      for (int64_t member = 0; member < members; ++member) {
        float* to = kernel_of(member);
        std::fill(to, to + s.kernel(), 0.0f);
        for (int64_t part = 0; part < parts; ++part) {  // in this order always
          const float* from = sums.data() + (member * parts + part) * s.kernel();
          for (int64_t k = 0; k < s.kernel(); ++k) to[k] += from[k];
        }
      }
    } else {
      const int64_t rows = direction == kForward ? s.out_height : s.height;
      status = jaxdl::share(pool, members * s.batch * rows, [&](int64_t task) {
        const int64_t row = task % rows, i = task / rows % s.batch, member = task / rows / s.batch;
        if (direction == kForward) {
          const After after = {
              adds ? jaxdl::values(*bias, member, members, s.channels) : nullptr, activation};
          forward_row(s, image_of(member, i), kernel_of(member),
                      output_of(member, i) + row * s.out_row(), row, after);
        } else if (turns) {
          forward_row(back, output_of(member, i),
                      turned.data() + jaxdl::entry(kernel, member, members) * s.kernel(),
                      image_of(member, i) + row * s.row(), row, {nullptr, 0});
        } else {
          data_row(s, output_of(member, i), kernel_of(member),
                   image_of(member, i) + row * s.row(), row);
        }
      });
    }
  } catch (const std::bad_alloc&) {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted, what + ": out of memory");
  }
  return status ? ffi::Error::Internal(what + ": failed") : ffi::Error::Success();
}

ffi::Error forward(ffi::ThreadPool pool, ffi::AnyBuffer images, ffi::AnyBuffer kernel,
                   ffi::AnyBuffer bias, ffi::Result<ffi::AnyBuffer> out, int64_t stride,
                   int64_t top, int64_t left, int64_t activation) {
  return run(kForward, pool, images, kernel, *out, &bias, stride, top, left, activation);
}

ffi::Error data(ffi::ThreadPool pool, ffi::AnyBuffer gradient, ffi::AnyBuffer kernel,
                ffi::Result<ffi::AnyBuffer> out, int64_t stride, int64_t top, int64_t left) {
  return run(kData, pool, *out, kernel, gradient, nullptr, stride, top, left, 0);
}

ffi::Error kernel(ffi::ThreadPool pool, ffi::AnyBuffer images, ffi::AnyBuffer gradient,
                  ffi::Result<ffi::AnyBuffer> out, int64_t stride, int64_t top, int64_t left) {
  return run(kKernel, pool, images, *out, gradient, nullptr, stride, top, left, 0);
}

}  // namespace

#define BUFFER .Arg<ffi::AnyBuffer>()
#define RESULT .Ret<ffi::AnyBuffer>()
#define ATTRIBUTES .Attr<int64_t>("stride").Attr<int64_t>("top").Attr<int64_t>("left")

XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxdl_depthwise_forward, forward,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>() BUFFER BUFFER BUFFER RESULT
                                  ATTRIBUTES.Attr<int64_t>("activation"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxdl_depthwise_data, data,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>() BUFFER BUFFER RESULT
                                  ATTRIBUTES);
XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxdl_depthwise_kernel, kernel,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>() BUFFER BUFFER RESULT
                                  ATTRIBUTES);
