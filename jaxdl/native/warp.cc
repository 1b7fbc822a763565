// A bilinear reading of images at affine places, zeros outside (jaxdl/augment/geometry.py).
//
// images [members or fewer, batch, height, width, channel], places [members or fewer, batch, 6],
// float32, dense. Places are (row, column) = a 2 x 3 matrix times (y, x, 1), y and x from the
// centre. An image is a task: its copy with a border of zeros stays in the cache, so that every
// neighbour can be read without a check.

#include <algorithm>
#include <cstring>

#include "members.h"

namespace {

namespace ffi = jaxdl::ffi;

struct Shape {
  int64_t batch, height, width, channels;
  int64_t image() const { return height * width * channels; }
};

// The places of a row of the result: top left neighbour in the copy, shares of the farther ones.
struct Row {
  std::vector<int32_t> corner;
  std::vector<float> below, beside;
  explicit Row(int64_t width) : corner(width), below(width), beside(width) {}
};

// `place` brought onto the border: nothing farther out is seen, and NaN is outside.
inline float onto(float place, float size) {
  place = place > -1 ? place : -1;
  return place < size ? place : size;
}

void aim(const Shape& s, const float* place, int64_t i, Row& row) {
  const float height = s.height, width = s.width, y = i - 0.5f * (height - 1),
              middle = 0.5f * (width - 1);
  const int32_t last_row = s.height, last_column = s.width, stride = s.width + 2;
  for (int32_t j = 0; j < last_column; ++j) {
    const float x = j - middle;
    const float down = onto(place[0] * y + place[1] * x + place[2], height);
    const float right = onto(place[3] * y + place[4] * x + place[5], width);
    const int32_t top = std::min(static_cast<int32_t>(down + 1), last_row);
    const int32_t left = std::min(static_cast<int32_t>(right + 1), last_column);
    row.corner[j] = top * stride + left;
    row.below[j] = down - (top - 1), row.beside[j] = right - (left - 1);
  }
}

// `Channels` 0: any number.
template <int Channels>
void read(const Shape& s, const float* copy, const Row& row, float* out) {
  const int64_t channels = Channels ? Channels : s.channels, under = (s.width + 2) * channels;
  for (int64_t j = 0; j < s.width; ++j) {
    const float* from = copy + row.corner[j] * channels;
    const float below = row.below[j], beside = row.beside[j];
    for (int64_t c = 0; c < channels; ++c, ++from, ++out) {
      const float first = from[0] * (1 - beside) + from[channels] * beside;
      const float second = from[under] * (1 - beside) + from[under + channels] * beside;
      *out = first * (1 - below) + second * below;
    }
  }
}

void image(const Shape& s, const float* from, const float* place, float* out) {
  const int64_t row_size = s.width * s.channels, copy_row = row_size + 2 * s.channels;
  std::vector<float> copy((s.height + 2) * copy_row, 0.0f);
  for (int64_t i = 0; i < s.height; ++i) {
    std::memcpy(copy.data() + (i + 1) * copy_row + s.channels, from + i * row_size,
                row_size * sizeof(float));
  }
  Row row(s.width);
  for (int64_t i = 0; i < s.height; ++i, out += row_size) {
    aim(s, place, i, row);
    if (s.channels == 1)
      read<1>(s, copy.data(), row, out);
    else if (s.channels == 3)
      read<3>(s, copy.data(), row, out);
    else
      read<0>(s, copy.data(), row, out);
  }
}

ffi::Error warp(ffi::ThreadPool pool, ffi::AnyBuffer images, ffi::AnyBuffer places,
                ffi::Result<ffi::AnyBuffer> out) {
  const std::string what = "warp of images " + jaxdl::text(images) + ", places " +
                           jaxdl::text(places) + ", to " + jaxdl::text(*out) + ": ";
  if (!jaxdl::is(images, {-1, -1, -1, -1, -1}) || images.element_count() == 0) {
    return ffi::Error::InvalidArgument(what + "images must be float32, 5 axes, not empty");
  }
  auto x = images.dimensions();
  const Shape s = {x[1], x[2], x[3], x[4]};
  const int64_t members = out->dimensions().size() ? out->dimensions()[0] : 0;
  if (members < 1 || !jaxdl::is(*out, {members, s.batch, s.height, s.width, s.channels}) ||
      !jaxdl::is(places, {-1, s.batch, 6}) || !jaxdl::divides(images, members) ||
      !jaxdl::divides(places, members)) {
    return ffi::Error::InvalidArgument(what + "the shapes do not fit");
  }
  if ((s.height + 2) * (s.width + 2) > INT32_MAX)
    return ffi::Error::InvalidArgument(what + "too large");
  const int status = jaxdl::share(pool, members * s.batch, [&](int64_t task) {
    const int64_t m = task / s.batch, b = task % s.batch;
    image(s, jaxdl::values(images, m, members, s.batch * s.image()) + b * s.image(),
          jaxdl::values(places, m, members, s.batch * 6) + b * 6,
          jaxdl::values(*out, m, members, s.batch * s.image()) + b * s.image());
  });
  return status ? ffi::Error::Internal("warp failed") : ffi::Error::Success();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxdl_warp, warp,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Ret<ffi::AnyBuffer>());
