// Batch norm of large arrays on all threads, with a residual sum and an activation after it: none
// (0), ReLU (1) or ReLU6 (2).
//
// images [member, row, channel], a row a pixel of an image; scale, bias [members or fewer,
// channel]; float32, dense. The rows are cut into parts, each of which gives its own sums; they are
// added in order, so that a result never depends on how many threads there are.
// jaxdl/models/norm.py says what is computed.

#include <cmath>
#include <vector>

#include "lanes.h"
#include "members.h"

namespace {

namespace ffi = jaxdl::ffi;
using jaxdl::by_lanes;

// Rows whose channels are summed while they are in the cache; tasks.
constexpr int64_t kStrip = 16, kParts = 32;

struct Shape {
  int64_t rows, channels;
  int64_t size() const { return rows * channels; }
  int64_t part() const { return std::max<int64_t>((rows + kParts - 1) / kParts, kStrip); }
  int64_t parts() const { return (rows + part() - 1) / part(); }
};

struct Setting {
  int64_t norm, activation;
  float epsilon;
};

struct Sums {  // of the parts of a member, two for each channel
  std::vector<double> values;
  explicit Sums(const Shape& s) : values(s.parts() * 2 * s.channels) {}
  double* of(const Shape& s, int64_t part) { return values.data() + part * 2 * s.channels; }
  double total(const Shape& s, int which, int64_t c) const {
    double sum = 0;
    for (int64_t part = 0; part < s.parts(); ++part)
      sum += values[(2 * part + which) * s.channels + c];
    return sum;
  }
};

// visit(lanes, first channel, first row, last row) for every strip of a part: adds what it gives to
// the part's sums.
template <typename Visit>
void strips(const Shape& s, int64_t part, double* sums, Visit visit) {
  const int64_t last = std::min(s.rows, (part + 1) * s.part());
  for (int64_t row = part * s.part(); row < last; row += kStrip) {
    by_lanes(s.channels, [&](auto lanes, int64_t c) {
      using L = decltype(lanes);
      typename L::V first = L::all(0), second = L::all(0);
      for (int64_t i = row; i < std::min(last, row + kStrip); ++i)
        visit(lanes, c, i * s.channels + c, first, second);
      float values[2][sizeof first / 4];
      L::store(values[0], first), L::store(values[1], second);
      for (size_t k = 0; k < sizeof first / 4; ++k) {
        sums[c + k] += values[0][k], sums[s.channels + c + k] += values[1][k];
      }
    });
  }
}

// visit(lanes, first channel, place in the array) for every value of a part.
template <typename Visit>
void values(const Shape& s, int64_t part, Visit visit) {
  for (int64_t row = part * s.part(); row < std::min(s.rows, (part + 1) * s.part()); ++row) {
    by_lanes(s.channels, [&](auto lanes, int64_t c) { visit(lanes, c, row * s.channels + c); });
  }
}

struct Forward {
  const float *images, *skip, *scale, *bias;
  float *out, *mean, *variance;
};

int forward(ffi::ThreadPool& pool, const Shape& s, const Setting& set, const Forward& at) {
  const int64_t channels = s.channels, rows = s.rows;
  int status = 0;
  if (set.norm) {
    Sums sums(s);
    status = jaxdl::share(pool, s.parts(), [&](int64_t part) {
      strips(s, part, sums.of(s, part),
             [&](auto lanes, int64_t, int64_t i, auto& sum, auto& square) {
               const auto x = lanes.load(at.images + i);
               sum += x, square += x * x;
             });
    });
    for (int64_t c = 0; c < channels; ++c) {
      const double middle = sums.total(s, 0, c) / rows,
                   spread = sums.total(s, 1, c) / rows - middle * middle;
      at.mean[c] = static_cast<float>(middle);
      // Overflow is divergence.
      at.variance[c] = std::isinf(spread) ? NAN : static_cast<float>(spread < 0 ? 0 : spread);
    }
  }
  std::vector<float> slant(at.scale, at.scale + channels), base(at.bias, at.bias + channels);
  for (int64_t c = 0; c < channels; ++c) {
    if (!set.norm)
      at.mean[c] = 0, at.variance[c] = 1;
    else
      slant[c] /= std::sqrt(at.variance[c] + set.epsilon), base[c] -= at.mean[c] * slant[c];
  }
  return status | jaxdl::share(pool, s.parts(), [&](int64_t part) {
           values(s, part, [&](auto lanes, int64_t c, int64_t i) {
             auto z = lanes.load(slant.data() + c) * lanes.load(at.images + i) +
                      lanes.load(base.data() + c);
             if (at.skip) z += lanes.load(at.skip + i);
             if (set.activation) z = lanes.pick(z <= 0, lanes.all(0), z);
             if (set.activation == 2) z = lanes.pick(z > 6, lanes.all(6), z);
             lanes.store(at.out + i, z);
           });
         });
}

struct Backward {
  const float *images, *scale, *bias, *mean, *variance, *out, *gradient;
  float *d_images, *d_skip, *d_scale, *d_bias;
};

int backward(ffi::ThreadPool& pool, const Shape& s, const Setting& set, const Backward& at) {
  const int64_t channels = s.channels;
  std::vector<float> inverse(channels, 1), slant(at.scale, at.scale + channels),
      base(at.bias, at.bias + channels);
  for (int64_t c = 0; c < channels; ++c) {
    if (!set.norm) continue;
    inverse[c] = 1 / std::sqrt(at.variance[c] + set.epsilon);
    slant[c] *= inverse[c], base[c] -= at.mean[c] * slant[c];
  }
  // The gradient of what the activation was given.
  auto passed = [&](auto lanes, int64_t c, int64_t i, auto x) {
    const auto gradient = lanes.load(at.gradient + i);
    if (!set.activation) return gradient;
    const auto z = at.out ? lanes.load(at.out + i)
                          : lanes.load(slant.data() + c) * x + lanes.load(base.data() + c);
    const auto rises = lanes.pick(z > 0, gradient, lanes.all(0));
    return set.activation == 2 ? lanes.pick(z < 6, rises, lanes.all(0)) : rises;
  };
  Sums sums(s);
  const int status = jaxdl::share(pool, s.parts(), [&](int64_t part) {
    strips(s, part, sums.of(s, part),
           [&](auto lanes, int64_t c, int64_t i, auto& sum, auto& product) {
             const auto x = lanes.load(at.images + i), d = passed(lanes, c, i, x);
             if (at.out) lanes.store(at.d_skip + i, d);
             // Without moments of the batch this is the gradient of the images: one pass is enough.
             if (!set.norm) lanes.store(at.d_images + i, lanes.load(slant.data() + c) * d);
             sum += d, product += d * (x - lanes.load(at.mean + c));
           });
  });
  // What the moments add to a gradient, per x and per 1.
  std::vector<float> by_value(channels), by_one(channels);
  for (int64_t c = 0; c < channels; ++c) {
    at.d_bias[c] = static_cast<float>(sums.total(s, 0, c));
    at.d_scale[c] = static_cast<float>(sums.total(s, 1, c)) * inverse[c];
    const float share = set.norm ? slant[c] / static_cast<float>(s.rows) : 0;
    by_value[c] = -share * inverse[c] * at.d_scale[c];
    by_one[c] = -share * at.d_bias[c] - by_value[c] * at.mean[c];
  }
  if (!set.norm) return status;
  return status | jaxdl::share(pool, s.parts(), [&](int64_t part) {
           values(s, part, [&](auto lanes, int64_t c, int64_t i) {
             const auto x = lanes.load(at.images + i);
             const auto d = at.out ? lanes.load(at.d_skip + i) : passed(lanes, c, i, x);
             lanes.store(at.d_images + i, lanes.load(slant.data() + c) * d +
                                              lanes.load(by_value.data() + c) * x +
                                              lanes.load(by_one.data() + c));
           });
         });
}

using Buffers = std::initializer_list<const ffi::AnyBuffer*>;

// Whether the arrays are [member, row, channel] and [member, channel], with an entry for every
// member or fewer.
bool fit(const Shape& s, int64_t members, Buffers large, Buffers small) {
  bool right = members > 0 && s.rows > 0 && s.channels > 0;
  for (const auto* each : large) {
    right = right && jaxdl::is(*each, {-1, s.rows, s.channels}) && jaxdl::divides(*each, members);
  }
  for (const auto* each : small) {
    right = right && jaxdl::is(*each, {-1, s.channels}) && jaxdl::divides(*each, members);
  }
  return right;
}

bool all_have(int64_t members, Buffers results) {
  return std::all_of(results.begin(), results.end(), [&](const ffi::AnyBuffer* each) {
    return each->dimensions().size() > 0 && each->dimensions()[0] == members;
  });
}

Shape shape(const ffi::AnyBuffer& images) {
  auto x = images.dimensions();
  return x.size() == 3 ? Shape{x[1], x[2]} : Shape{0, 0};
}

ffi::Error refused(const ffi::AnyBuffer& images, const ffi::AnyBuffer& skip,
                   const ffi::AnyBuffer& scale) {
  return ffi::Error::InvalidArgument("batch norm of images " + jaxdl::text(images) + ", scale " +
                                     jaxdl::text(scale) + ", skip " + jaxdl::text(skip) +
                                     ": must be float32, shapes that fit, not empty");
}

ffi::Error failed(int status) {
  return status ? ffi::Error::Internal("batch norm failed") : ffi::Error::Success();
}

ffi::Error run_forward(ffi::ThreadPool pool, ffi::AnyBuffer images, ffi::AnyBuffer skip,
                       ffi::AnyBuffer scale, ffi::AnyBuffer bias, ffi::Result<ffi::AnyBuffer> out,
                       ffi::Result<ffi::AnyBuffer> mean, ffi::Result<ffi::AnyBuffer> variance,
                       int64_t norm, int64_t activation, float epsilon) {
  const Shape s = shape(images);
  const int64_t members = out->dimensions().size() ? out->dimensions()[0] : 0;
  bool right = fit(s, members, {&images, &*out}, {&scale, &bias, &*mean, &*variance}) &&
               all_have(members, {&*out, &*mean, &*variance});
  const bool sum = skip.element_count() > 0;
  if (sum) right = right && fit(s, members, {&skip}, {});
  if (!right) return refused(images, skip, scale);
  jaxdl::on_large_pages(*out);
  int status = 0;
  for (int64_t m = 0; m < members; ++m) {
    auto of = [&](const ffi::AnyBuffer& buffer, int64_t size) {
      return jaxdl::values(buffer, m, members, size);
    };
    const Forward at = {of(images, s.size()),     sum ? of(skip, s.size()) : nullptr,
                        of(scale, s.channels),    of(bias, s.channels),
                        of(*out, s.size()),       of(*mean, s.channels),
                        of(*variance, s.channels)};
    status |= forward(pool, s, {norm, activation, epsilon}, at);
  }
  return failed(status);
}

ffi::Error run_backward(ffi::ThreadPool pool, ffi::AnyBuffer images, ffi::AnyBuffer scale,
                        ffi::AnyBuffer bias, ffi::AnyBuffer mean, ffi::AnyBuffer variance,
                        ffi::AnyBuffer out, ffi::AnyBuffer gradient,
                        ffi::Result<ffi::AnyBuffer> d_images, ffi::Result<ffi::AnyBuffer> d_skip,
                        ffi::Result<ffi::AnyBuffer> d_scale, ffi::Result<ffi::AnyBuffer> d_bias,
                        int64_t norm, int64_t activation, float epsilon) {
  const Shape s = shape(images);
  const int64_t members = d_images->dimensions().size() ? d_images->dimensions()[0] : 0;
  bool right = fit(s, members, {&images, &gradient, &*d_images},
                   {&scale, &bias, &mean, &variance, &*d_scale, &*d_bias}) &&
               all_have(members, {&*d_images, &*d_scale, &*d_bias});
  const bool sum = out.element_count() > 0;
  if (sum) right = right && fit(s, members, {&out, &*d_skip}, {}) && all_have(members, {&*d_skip});
  if (!right) return refused(images, out, scale);
  for (const auto* each : {&*d_images, &*d_skip}) jaxdl::on_large_pages(*each);
  int status = 0;
  for (int64_t m = 0; m < members; ++m) {
    auto of = [&](const ffi::AnyBuffer& buffer, int64_t size) {
      return jaxdl::values(buffer, m, members, size);
    };
    const Backward at = {
        of(images, s.size()),     of(scale, s.channels),    of(bias, s.channels),
        of(mean, s.channels),     of(variance, s.channels), sum ? of(out, s.size()) : nullptr,
        of(gradient, s.size()),   of(*d_images, s.size()),  sum ? of(*d_skip, s.size()) : nullptr,
        of(*d_scale, s.channels), of(*d_bias, s.channels)};
    status |= backward(pool, s, {norm, activation, epsilon}, at);
  }
  return failed(status);
}

}  // namespace

#define ATTRIBUTES .Attr<int64_t>("norm").Attr<int64_t>("activation").Attr<float>("epsilon")
#define BUFFER .Arg<ffi::AnyBuffer>()
#define RESULT .Ret<ffi::AnyBuffer>()

XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxdl_norm_forward, run_forward,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>()
                                  BUFFER BUFFER BUFFER BUFFER RESULT RESULT RESULT ATTRIBUTES);
XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxdl_norm_backward, run_backward,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>() BUFFER BUFFER BUFFER BUFFER
                                  BUFFER BUFFER BUFFER RESULT RESULT RESULT RESULT ATTRIBUTES);
