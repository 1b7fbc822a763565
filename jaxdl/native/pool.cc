// The largest value of windows of 3 x 3 moved by 2 and its gradient; a border of one pixel is less
// than all.
//
// images [members or fewer, batch, height, width, channel], float32, dense. An image is a task. The
// gradient goes to the first place of a window that holds its largest value, row by row, as XLA has
// it.

#include <cmath>
#include <vector>

#include "lanes.h"
#include "members.h"

namespace {

namespace ffi = jaxdl::ffi;

struct Shape {
  int64_t batch, height, width, channels;
  int64_t rows() const { return (height + 1) / 2; }
  int64_t columns() const { return (width + 1) / 2; }
  int64_t image() const { return height * width * channels; }
  int64_t pooled() const { return rows() * columns() * channels; }
};

// visit(lanes, place in the pooled image, places in the image, how many) for every window and group
// of channels.
template <typename Visit>
void windows(const Shape& s, Visit visit) {
  for (int64_t i = 0; i < s.rows(); ++i) {
    for (int64_t j = 0; j < s.columns(); ++j) {
      int64_t pixels[9], count = 0;
      for (int64_t y = std::max<int64_t>(2 * i - 1, 0); y <= std::min(2 * i + 1, s.height - 1); ++y)
        for (int64_t x = std::max<int64_t>(2 * j - 1, 0); x <= std::min(2 * j + 1, s.width - 1);
             ++x)
          pixels[count++] = (y * s.width + x) * s.channels;
      jaxdl::by_lanes(s.channels, [&](auto lanes, int64_t c) {
        visit(lanes, (i * s.columns() + j) * s.channels + c, c, pixels, count);
      });
    }
  }
}

void pool(const Shape& s, const float* image, float* out) {
  windows(s, [&](auto lanes, int64_t to, int64_t c, const int64_t* pixels, int64_t count) {
    auto most = lanes.load(image + pixels[0] + c);
    for (int64_t k = 1; k < count; ++k) {
      const auto x = lanes.load(image + pixels[k] + c);
      most = lanes.pick((most > x) | (most != most), most, x);  // NaN where one is
    }
    lanes.store(out + to, most);
  });
}

void scatter(const Shape& s, const float* image, const float* pooled, const float* gradient,
             float* out) {
  std::fill(out, out + s.image(), 0.0f);
  windows(s, [&](auto lanes, int64_t to, int64_t c, const int64_t* pixels, int64_t count) {
    const auto most = lanes.load(pooled + to), whole = lanes.load(gradient + to);
    auto left = most == most;  // a window of NaN sends no gradient anywhere
    for (int64_t k = 0; k < count; ++k) {
      const auto here = left & (lanes.load(image + pixels[k] + c) == most);
      lanes.store(out + pixels[k] + c,
                  lanes.load(out + pixels[k] + c) + lanes.pick(here, whole, lanes.all(0)));
      left &= ~here;
    }
  });
}

bool fit(const ffi::AnyBuffer& images, const ffi::AnyBuffer& pooled, int64_t members, Shape& s) {
  auto x = images.dimensions();
  if (!jaxdl::is(images, {-1, -1, -1, -1, -1}) || images.element_count() == 0 || members < 1)
    return false;
  s = {x[1], x[2], x[3], x[4]};
  return jaxdl::is(pooled, {-1, s.batch, s.rows(), s.columns(), s.channels}) &&
         jaxdl::divides(images, members) && jaxdl::divides(pooled, members);
}

ffi::Error refused(const ffi::AnyBuffer& images, const ffi::AnyBuffer& pooled) {
  return ffi::Error::InvalidArgument("max pooling of images " + jaxdl::text(images) + ", pooled " +
                                     jaxdl::text(pooled) +
                                     ": must be float32, shapes that fit, not empty");
}

ffi::Error failed(int status) {
  return status ? ffi::Error::Internal("max pooling failed") : ffi::Error::Success();
}

ffi::Error forward(ffi::ThreadPool threads, ffi::AnyBuffer images,
                   ffi::Result<ffi::AnyBuffer> out) {
  Shape s;
  const int64_t members = out->dimensions().size() ? out->dimensions()[0] : 0;
  if (!fit(images, *out, members, s)) return refused(images, *out);
  jaxdl::on_large_pages(*out);
  return failed(jaxdl::share(threads, members * s.batch, [&](int64_t task) {
    const int64_t m = task / s.batch, b = task % s.batch;
    pool(s, jaxdl::values(images, m, members, s.batch * s.image()) + b * s.image(),
         jaxdl::values(*out, m, members, s.batch * s.pooled()) + b * s.pooled());
  }));
}

ffi::Error backward(ffi::ThreadPool threads, ffi::AnyBuffer images, ffi::AnyBuffer pooled,
                    ffi::AnyBuffer gradient, ffi::Result<ffi::AnyBuffer> out) {
  Shape s;
  const int64_t members = out->dimensions().size() ? out->dimensions()[0] : 0;
  if (!fit(images, pooled, members, s) || !fit(images, gradient, members, s) ||
      !jaxdl::is(*out, {members, s.batch, s.height, s.width, s.channels})) {
    return refused(images, gradient);
  }
  jaxdl::on_large_pages(*out);
  return failed(jaxdl::share(threads, members * s.batch, [&](int64_t task) {
    const int64_t m = task / s.batch, b = task % s.batch;
    scatter(s, jaxdl::values(images, m, members, s.batch * s.image()) + b * s.image(),
            jaxdl::values(pooled, m, members, s.batch * s.pooled()) + b * s.pooled(),
            jaxdl::values(gradient, m, members, s.batch * s.pooled()) + b * s.pooled(),
            jaxdl::values(*out, m, members, s.batch * s.image()) + b * s.image());
  }));
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    jaxdl_pool_forward, forward,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxdl_pool_backward, backward,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Ret<ffi::AnyBuffer>());
