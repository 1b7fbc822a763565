// The gradient of a kernel over many pixels, one member at a time on all threads.
//
// images [member, batch, height, width, channel], gradient [member, batch, rows, columns, feature],
// result [member, kernel rows, kernel columns, channel, feature], float32, dense. A task is some
// channels or some features of the result and sees the whole batch, so no sums have to be joined
// and a result never depends on the number of threads.
//
// Pixels are taken in blocks whose copies stay in the cache: of the images with their border of
// zeros, kNarrow channels side by side, and of the gradient, kWide features side by side. A piece
// of the result, up to 6 channels by 16 features, is in registers while the pixels of a block pass:
// 12 sums, 2 values of the gradient, 1 of the images.

#include <algorithm>
#include <cstring>
#include <vector>

#include "lanes.h"
#include "members.h"

namespace {

namespace ffi = jaxdl::ffi;

constexpr int kNarrow = 12, kRows = 6, kWide = 16;
// Pixels of a block; smallest number of channels or features of a task; largest number of tasks.
constexpr int64_t kPixels = 256, kLeast = 64, kMost = 8;

struct Shape {
  int64_t batch, height, width, channels, rows, columns, features, out_height, out_width, stride,
      padding;
  int64_t image() const { return height * width * channels; }
  int64_t out() const { return out_height * out_width * features; }
  int64_t kernel() const { return rows * columns * channels * features; }
};

struct Range {
  int64_t from, to;
  int64_t size() const { return to - from; }
};

struct Block {  // outputs: all rows of some images, or some rows of one
  Range images, rows;
  // Lines of a copied image.
  int64_t lines(const Shape& s) const { return (rows.size() - 1) * s.stride + s.rows; }
  int64_t line(const Shape& s) const { return (s.out_width - 1) * s.stride + s.columns; }  // pixels
};

// to[row][feature] += image[row] * gradient[feature], over some pixels. One loop, or the sums leave
// the registers.
template <int Rows>
[[gnu::noinline]] void add(const int64_t* pixels, int64_t count, int64_t width, const float* images,
                           const float* gradient, float* to, int64_t apart) {
  using L = jaxdl::Lanes<kWide / 2>;
  typename L::V low[Rows], high[Rows];
  for (int i = 0; i < Rows; ++i)
    low[i] = L::load(to + i * apart), high[i] = L::load(to + i * apart + kWide / 2);
  for (int64_t k = 0; k < count; ++k, gradient += kWide) {
    const float* image = images + pixels[k] * width;
    const typename L::V first = L::load(gradient), second = L::load(gradient + kWide / 2);
    for (int i = 0; i < Rows; ++i) low[i] += image[i] * first, high[i] += image[i] * second;
  }
  for (int i = 0; i < Rows; ++i)
    L::store(to + i * apart, low[i]), L::store(to + i * apart + kWide / 2, high[i]);
}

// One task: its part of the result, and the copies that it works on.
class Task {
 public:
  Task(const Shape& s, Range channels, Range features)
      : s(s), channels(channels), features(features) {}

  void run(const float* images, const float* gradient, float* kernel) {
    for (int64_t at = 0; at < s.rows * s.columns * s.channels; ++at) {
      if (at % s.channels < channels.from || at % s.channels >= channels.to) continue;
      std::fill_n(kernel + at * s.features + features.from, features.size(), 0.0f);
    }
    const int64_t rows = std::clamp<int64_t>(kPixels / s.out_width, 1, s.out_height);
    const int64_t many =
        rows < s.out_height ? 1 : std::max<int64_t>(1, kPixels / (s.out_height * s.out_width));
    for (int64_t b = 0; b < s.batch; b += many) {
      for (int64_t i = 0; i < s.out_height; i += rows) {
        const Block block = {{b, std::min(s.batch, b + many)},
                             {i, std::min(s.out_height, i + rows)}};
        copy_images(block, images);
        copy_gradient(block, gradient);
        multiply(block, kernel);
      }
    }
  }

 private:
  // [channels / kNarrow][image][line][pixel][kNarrow, or what is left]
  void copy_images(const Block& block, const float* images) {
    const int64_t lines = block.lines(s), line = block.line(s);
    copied_images.resize(block.images.size() * lines * line * channels.size());
    float* to = copied_images.data();
    for (int64_t c = channels.from; c < channels.to; c += kNarrow) {
      const int64_t width = std::min<int64_t>(kNarrow, channels.to - c);
      for (int64_t b = block.images.from; b < block.images.to; ++b) {
        for (int64_t y = 0; y < lines; ++y, to += line * width) {
          const int64_t row = block.rows.from * s.stride + y - s.padding;
          const bool inside = row >= 0 && row < s.height;
          const int64_t first = inside ? std::min(s.padding, line) : line;
          const int64_t last = inside ? std::min(line, s.padding + s.width) : line;
          std::fill_n(to, first * width, 0.0f);
          const float* from = images + b * s.image() + (row * s.width - s.padding) * s.channels + c;
          for (int64_t x = first; x < last; ++x) {
            if (width == kNarrow)
              std::memcpy(to + x * width, from + x * s.channels, kNarrow * sizeof(float));
            else
              std::copy_n(from + x * s.channels, width, to + x * width);
          }
          std::fill_n(to + last * width, (line - last) * width, 0.0f);
        }
      }
    }
  }

  // [features / kWide][image][row][column][kWide]
  void copy_gradient(const Block& block, const float* gradient) {
    const int64_t pixels = block.rows.size() * s.out_width;
    copied_gradient.resize(block.images.size() * pixels * features.size());
    float* to = copied_gradient.data();
    for (int64_t f = features.from; f < features.to; f += kWide) {
      for (int64_t b = block.images.from; b < block.images.to; ++b) {
        const float* from = gradient + b * s.out() + block.rows.from * s.out_width * s.features + f;
        for (int64_t k = 0; k < pixels; ++k, to += kWide, from += s.features) {
          std::memcpy(to, from, kWide * sizeof(float));
        }
      }
    }
  }

  void multiply(const Block& block, float* kernel) {
    const int64_t lines = block.lines(s), line = block.line(s),
                  copied = block.images.size() * lines * line;
    pixels.clear();
    for (int64_t b = 0; b < block.images.size(); ++b)
      for (int64_t y = 0; y < block.rows.size(); ++y)
        for (int64_t x = 0; x < s.out_width; ++x)
          pixels.push_back(((b * lines + y * s.stride) * line) + x * s.stride);
    const int64_t count = pixels.size();
    for (int64_t f = 0; f < features.size(); f += kWide) {
      const float* gradient = copied_gradient.data() + f * count;
      for (int64_t c = 0; c < channels.size(); c += kNarrow) {
        const int64_t width = std::min<int64_t>(kNarrow, channels.size() - c);
        for (int64_t tap = 0; tap < s.rows * s.columns; ++tap) {
          const int64_t first = tap / s.columns * line + tap % s.columns;
          const float* images = copied_images.data() + c * copied + first * width;
          float* to =
              kernel + (tap * s.channels + channels.from + c) * s.features + features.from + f;
          for (int64_t k = 0; k < width; k += kRows) {
            piece(std::min<int64_t>(kRows, width - k), width, images + k, gradient,
                  to + k * s.features);
          }
        }
      }
    }
  }

  template <int Rows = kRows>
  void piece(int64_t rows, int64_t width, const float* images, const float* gradient,
             float* to) const {
    if constexpr (Rows > 0) {
      if (rows == Rows)
        return add<Rows>(pixels.data(), pixels.size(), width, images, gradient, to, s.features);
      return piece<Rows - 1>(rows, width, images, gradient, to);
    }
  }

  const Shape& s;
  const Range channels, features;
  std::vector<float> copied_images, copied_gradient;
  std::vector<int64_t> pixels;  // of the copied images, that the outputs of a block begin at
};

// `count` ranges of [0, size), each but the last of a multiple of `unit`.
Range part(int64_t size, int64_t unit, int64_t count, int64_t which) {
  const int64_t each = ((size + unit - 1) / unit + count - 1) / count * unit;
  return {std::min(size, which * each), std::min(size, (which + 1) * each)};
}

ffi::Error kernel_gradient(ffi::ThreadPool pool, ffi::AnyBuffer images, ffi::AnyBuffer gradient,
                           ffi::Result<ffi::AnyBuffer> out, int64_t stride, int64_t padding) {
  const std::string what = "gradient of kernel " + jaxdl::text(*out) + " by images " +
                           jaxdl::text(images) + " and outputs " + jaxdl::text(gradient) + ": ";
  for (const auto* buffer : {&images, &gradient, &*out}) {
    if (!jaxdl::is(*buffer, {-1, -1, -1, -1, -1}) || buffer->element_count() == 0) {
      return ffi::Error::InvalidArgument(what + "must be float32, 5 axes, not empty");
    }
  }
  auto x = images.dimensions(), w = out->dimensions(), y = gradient.dimensions();
  const Shape s = {x[1], x[2], x[3], x[4], w[1], w[2], w[4], y[2], y[3], stride, padding};
  auto side = [&](int i) {
    const int64_t room = x[i] + 2 * padding - w[i - 1];
    return stride >= 1 && padding >= 0 && room >= 0 && room / stride + 1 == y[i];
  };
  if (!side(2) || !side(3) || w[3] != x[4] || y[4] != w[4] || y[1] != x[1] || w[4] % kWide ||
      !jaxdl::divides(images, w[0]) || !jaxdl::divides(gradient, w[0])) {
    return ffi::Error::InvalidArgument(what + "the shapes do not fit");
  }
  // The larger side is shared out: the other's copies are made many times.
  const bool cut = s.channels >= s.features;
  const int64_t longer = std::max(s.channels, s.features),
                count = std::clamp<int64_t>(longer / kLeast, 2, kMost);
  const int status = jaxdl::share(pool, w[0] * count, [&](int64_t task) {
    const int64_t m = task / count;
    const Range own = part(longer, cut ? kNarrow : kWide, count, task % count);
    if (own.size() == 0) return;
    Task(s, cut ? own : Range{0, s.channels}, cut ? Range{0, s.features} : own)
        .run(jaxdl::values(images, m, w[0], s.batch * s.image()),
             jaxdl::values(gradient, m, w[0], s.batch * s.out()),
             jaxdl::values(*out, m, w[0], s.kernel()));
  });
  return status ? ffi::Error::Internal(what + "failed") : ffi::Error::Success();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxdl_kernel_gradient, kernel_gradient,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Ret<ffi::AnyBuffer>()
                                  .Attr<int64_t>("stride")
                                  .Attr<int64_t>("padding"));
