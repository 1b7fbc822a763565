// What follows a convolution, in as few passes over memory as can be: batch norm, activation, 2 x 2
// pooling.
//
// images [member, batch, height, width, channel], per channel [members or fewer, channel], float32,
// dense. A member is a task: its images are still in the cache when the second pass reads them.
// `slope` is the activation's below 0 (0 ReLU, 1 none). `norm` 1 takes the moments of the batch; 0
// takes scale and bias as they are.
//
// A maximum commutes with what rises: act(a x + b) has its largest value where a x has. So it is
// taken first, in the same pass as the moments, and norm and activation work on a quarter of the
// values.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "lanes.h"
#include "members.h"

namespace {

namespace ffi = jaxdl::ffi;

enum Pooling { kNone, kMax, kAvg, kAvgMax, kL2 };  // as in jaxdl/models/stage.py
constexpr float kSmall = 1e-6f;                    // as in jaxdl/models/layers.py

struct Shape {
  int64_t batch, height, width, channels, down, right;
  int64_t rows() const { return height / down; }
  int64_t columns() const { return width / right; }
  int64_t image() const { return batch * height * width * channels; }
  int64_t pooled() const { return batch * rows() * columns() * channels; }
};

struct Setting {
  int64_t norm, pooling;
  float slope, epsilon;
};

struct Arrays {  // of one member
  const float *images, *scale, *bias, *mean, *variance, *kept, *gradient;
  float *out, *out_mean, *out_variance, *out_kept, *out_images, *out_scale, *out_bias;
};

template <int N>
struct Channels : jaxdl::Lanes<N> {  // N of them at once, from `c` on
  using typename jaxdl::Lanes<N>::V;
  using typename jaxdl::Lanes<N>::Mask;
  using jaxdl::Lanes<N>::load;
  using jaxdl::Lanes<N>::store;
  using jaxdl::Lanes<N>::all;
  using jaxdl::Lanes<N>::pick;
  const Shape& s;
  const Setting& set;
  const Arrays& at;
  const int64_t c;

  // One instruction; only the sums show a NaN.
  static V larger(V a, V b) { return a > b ? a : b; }

  // Every window of the pooling: visit(its first image value, its place in the pooled array).
  template <typename Visit>
  void windows(Visit visit) const {
    for (int64_t b = 0; b < s.batch; ++b)
      for (int64_t i = 0; i < s.rows(); ++i)
        for (int64_t j = 0; j < s.columns(); ++j)
          visit(((b * s.height + i * s.down) * s.width + j * s.right) * s.channels + c,
                ((b * s.rows() + i) * s.columns() + j) * s.channels + c);
  }
  // Every pixel in an odd last row or column, which no window holds.
  template <typename Visit>
  void left_over(Visit visit) const {
    for (int64_t b = 0; b < s.batch; ++b)
      for (int64_t i = 0; i < s.height; ++i)
        for (int64_t j = i < s.rows() * s.down ? s.columns() * s.right : 0; j < s.width; ++j)
          visit(((b * s.height + i) * s.width + j) * s.channels + c);
  }
  int64_t offset(int k) const { return (k / s.right * s.width + k % s.right) * s.channels; }

  void forward() const {
    const int count = static_cast<int>(s.down * s.right);
    const V scale = load(at.scale + c), bias = load(at.bias + c);
    const V sign = pick(scale < 0, all(-1), all(1));
    V mean = all(0), variance = all(1);
    if (set.norm)
      moments(count, sign, mean, variance);
    else if (set.pooling == kMax)
      extremes(count, sign);
    store(at.out_mean + c, mean), store(at.out_variance + c, variance);
    const V a = set.norm ? scale / root(variance + set.epsilon) : scale,
            b = set.norm ? bias - mean * a : bias;
    if (set.pooling == kMax) {
      const V size = a * sign;
      windows([&](int64_t, int64_t to) {
        store(at.out + to, activate(size * load(at.out_kept + to) + b));
      });
      return;
    }
    windows([&](int64_t from, int64_t to) {
      V h[4];
      for (int k = 0; k < count; ++k) h[k] = activate(a * load(at.images + from + offset(k)) + b);
      store(at.out + to, pool(h, count));
    });
  }

  void backward() const {
    const int count = static_cast<int>(s.down * s.right);
    const V scale = load(at.scale + c), bias = load(at.bias + c);
    const V mean = load(at.mean + c), sign = pick(scale < 0, all(-1), all(1));
    const V inverse = set.norm ? 1 / root(load(at.variance + c) + set.epsilon) : all(1);
    const V a = scale * inverse, b = set.norm ? bias - mean * a : bias,
            shift = set.norm ? mean : all(0);
    V d_bias = all(0), d_scale = all(0);
    windows([&](int64_t from, int64_t to) {  // the sums, on the pooled quarter where that is enough
      const V gradient = load(at.gradient + to);
      if (set.pooling == kMax) {
        const V x = load(at.kept + to) * sign, d = derive(a * x + b) * gradient;
        d_bias += d, d_scale += d * (x - shift);
        return;
      }
      V x[4], d[4];
      gradients(from, count, a, b, gradient, x, d);
      for (int k = 0; k < count; ++k) d_bias += d[k], d_scale += d[k] * (x[k] - shift);
    });
    d_scale *= inverse;
    store(at.out_bias + c, d_bias), store(at.out_scale + c, d_scale);
    const float n = set.norm ? 1.0f / static_cast<float>(s.batch * s.height * s.width) : 0.0f;
    // Gradient through the moments: per x, and per 1.
    const V slant = -a * inverse * d_scale * n, base = -a * d_bias * n - slant * shift;
    windows([&](int64_t from, int64_t to) {
      const V gradient = load(at.gradient + to);
      V x[4], d[4];
      if (set.pooling == kMax) {
        const V kept = load(at.kept + to) * sign, whole = derive(a * kept + b) * gradient;
        Mask free = kept == kept;  // a window of NaN sends no gradient anywhere
        for (int k = 0; k < count; ++k) {
          x[k] = load(at.images + from + offset(k));
          const Mask here = free & (x[k] == kept);
          d[k] = pick(here, whole, all(0)), free &= ~here;
        }
      } else {
        gradients(from, count, a, b, gradient, x, d);
      }
      for (int k = 0; k < count; ++k) {
        store(at.out_images + from + offset(k),
              set.norm ? a * d[k] + slant * x[k] + base : a * d[k]);
      }
    });
    left_over([&](int64_t to) {
      store(at.out_images + to, set.norm ? slant * load(at.images + to) + base : all(0));
    });
  }

 private:
  static V root(V v) {
    float values[N];
    store(values, v);
    for (float& value : values) value = std::sqrt(value);
    return load(values);
  }
  // As jax.nn: ReLU of minus infinity is 0, its derivative at 0 is 0; that of the leaky one is 1.
  // NaN stays.
  V activate(V z) const {
    return set.slope == 0 ? pick(z <= 0, all(0), z) : pick(z < 0, z * set.slope, z);
  }
  V derive(V z) const {
    return set.slope == 0 ? pick(z > 0, all(1), all(0)) : pick(z >= 0, all(1), all(set.slope));
  }

  V pool(const V* h, int count) const {
    V sum = h[0], most = h[0], square = h[0] * h[0];
    for (int k = 1; k < count; ++k) sum += h[k], most = larger(most, h[k]), square += h[k] * h[k];
    const float share = 1.0f / static_cast<float>(count);
    if (set.pooling == kL2) return root(square * share + kSmall);
    return set.pooling == kAvgMax ? 0.5f * (sum * share + most) : sum * share;
  }

  // The values x of a window and the gradients d of a x + b.
  void gradients(int64_t from, int count, V a, V b, V gradient, V* x, V* d) const {
    V h[4], z[4];
    for (int k = 0; k < count; ++k) {
      x[k] = load(at.images + from + offset(k)), z[k] = a * x[k] + b, h[k] = activate(z[k]);
    }
    const V share = gradient * (1.0f / static_cast<float>(count));
    if (set.pooling == kL2) {
      const V each = share / pool(h, count);
      for (int k = 0; k < count; ++k) d[k] = each * h[k] * derive(z[k]);
    } else if (set.pooling == kAvgMax) {
      V most = h[0];
      for (int k = 1; k < count; ++k) most = larger(most, h[k]);
      Mask free = most == most;
      for (int k = 0; k < count; ++k) {
        const Mask here = free & (h[k] == most);
        d[k] = 0.5f * (share + pick(here, gradient, all(0))) * derive(z[k]), free &= ~here;
      }
    } else {
      for (int k = 0; k < count; ++k) d[k] = share * derive(z[k]);
    }
  }

  V extreme(int64_t from, int count, V sign) const {
    V most = load(at.images + from) * sign;
    for (int k = 1; k < count; ++k) {
      const V x = load(at.images + from + offset(k)) * sign;
      most = pick((most > x) | (most != most), most, x);  // NaN where one is
    }
    return most;
  }
  void extremes(int count, V sign) const {
    windows([&](int64_t from, int64_t to) { store(at.out_kept + to, extreme(from, count, sign)); });
  }

  // Mean and variance, sums of an image in float, over the images in double; the extremes in the
  // same pass.
  void moments(int count, V sign, V& mean, V& variance) const {
    double sums[N] = {}, squares[N] = {};
    const int64_t image = s.height * s.width * s.channels;
    for (int64_t b = 0; b < s.batch; ++b) {
      const Shape one = {1, s.height, s.width, s.channels, s.down, s.right};
      Arrays own = at;
      own.images += b * image;
      V sum[4] = {}, square[4] = {};
      auto add = [&](int k, V x) { sum[k] += x, square[k] += x * x; };
      const Channels<N> part = {{}, one, set, own, c};
      const int64_t first = b * one.pooled();
      part.windows([&](int64_t from, int64_t to) {
        V most = all(-INFINITY);
        for (int k = 0; k < count; ++k) {
          const V x = load(own.images + from + offset(k));
          add(k, x);
          most = larger(x * sign, most);
        }
        if (set.pooling == kMax) store(at.out_kept + first + to, most);
      });
      part.left_over([&](int64_t from) { add(0, load(own.images + from)); });
      float first_power[N], second_power[N];
      store(first_power, sum[0] + sum[1] + sum[2] + sum[3]);
      store(second_power, square[0] + square[1] + square[2] + square[3]);
      for (int k = 0; k < N; ++k) sums[k] += first_power[k], squares[k] += second_power[k];
    }
    const double n = static_cast<double>(s.batch * s.height * s.width);
    float middles[N], spreads[N];
    for (int k = 0; k < N; ++k) {
      const double middle = sums[k] / n, spread = squares[k] / n - middle * middle;
      middles[k] = static_cast<float>(middle);
      // Overflow is divergence.
      spreads[k] = std::isinf(spread) ? NAN : static_cast<float>(spread < 0 ? 0 : spread);
    }
    mean = load(middles), variance = load(spreads);
  }
};

template <typename Each>
void by_channels(const Shape& s, const Setting& set, const Arrays& at, Each each) {
  int64_t c = 0;
  constexpr int N = jaxdl::kLanes;
  for (; c + N <= s.channels; c += N) each(Channels<N>{{}, s, set, at, c});
  for (; c + 8 <= s.channels; c += 8) each(Channels<8>{{}, s, set, at, c});
  for (; c + 4 <= s.channels; c += 4) each(Channels<4>{{}, s, set, at, c});
  for (; c < s.channels; ++c) each(Channels<1>{{}, s, set, at, c});
}

// The shape where the buffers are what they must be; else the words of what is wrong. All may have
// fewer entries than members, but for results.
std::string fits(const ffi::AnyBuffer& images, const ffi::AnyBuffer& scale,
                 const ffi::AnyBuffer& bias, const ffi::AnyBuffer& pooled,
                 const ffi::AnyBuffer& kept, const ffi::AnyBuffer& mean,
                 const ffi::AnyBuffer& variance, int64_t pooling, int64_t members, Shape& s) {
  const std::string what = "norm, activation, pooling of images " + jaxdl::text(images) +
                           ", scale " + jaxdl::text(scale) + ", bias " + jaxdl::text(bias) +
                           ", pooled " + jaxdl::text(pooled) + ", kept " + jaxdl::text(kept) + ": ";
  auto x = images.dimensions();
  if (!jaxdl::is(images, {-1, -1, -1, -1, -1})) return what + "images must be float32, 5 axes";
  if (images.element_count() == 0 || members < 1) return what + "nothing to compute";
  if (pooling < kNone || pooling > kL2) return what + "no such pooling: " + std::to_string(pooling);
  const int64_t window = pooling == kNone ? 1 : 2, c = x[4];
  s = {x[1], x[2], x[3], c, std::min(window, x[2]), std::min(window, x[3])};
  bool right = jaxdl::divides(images, members);
  for (const auto* each : {&scale, &bias, &mean, &variance}) {
    right = right && jaxdl::is(*each, {-1, c}) && jaxdl::divides(*each, members);
  }
  for (const auto* each : {&pooled, &kept}) {
    if (each == &kept && pooling != kMax) continue;
    right = right && jaxdl::is(*each, {-1, s.batch, s.rows(), s.columns(), c}) &&
            jaxdl::divides(*each, members);
  }
  return right ? "" : what + "the shapes do not fit";
}

Arrays inputs(const ffi::AnyBuffer& images, const ffi::AnyBuffer& scale, const ffi::AnyBuffer& bias,
              const Shape& s, int64_t member, int64_t members) {
  Arrays at = {};
  at.images = jaxdl::values(images, member, members, s.image());
  at.scale = jaxdl::values(scale, member, members, s.channels);
  at.bias = jaxdl::values(bias, member, members, s.channels);
  return at;
}

bool all_have(int64_t members, std::initializer_list<const ffi::AnyBuffer*> results) {
  return std::all_of(results.begin(), results.end(), [&](const ffi::AnyBuffer* each) {
    return each->dimensions().size() > 0 && each->dimensions()[0] == members;
  });
}

ffi::Error forward(ffi::ThreadPool pool, ffi::AnyBuffer images, ffi::AnyBuffer scale,
                   ffi::AnyBuffer bias, ffi::Result<ffi::AnyBuffer> out,
                   ffi::Result<ffi::AnyBuffer> kept, ffi::Result<ffi::AnyBuffer> mean,
                   ffi::Result<ffi::AnyBuffer> variance, int64_t norm, int64_t pooling, float slope,
                   float epsilon) {
  Shape s;
  const int64_t members = mean->dimensions().size() ? mean->dimensions()[0] : 0;
  std::string wrong = fits(images, scale, bias, *out, *kept, *mean, *variance, pooling, members, s);
  if (wrong.empty() && !(all_have(members, {&*out, &*variance}) &&
                         (pooling != kMax || all_have(members, {&*kept})))) {
    wrong = "pooled " + jaxdl::text(*out) + ": the result has an entry for every member";
  }
  if (!wrong.empty()) return ffi::Error::InvalidArgument(wrong);
  const Setting set = {norm, pooling, slope, epsilon};
  const int status = jaxdl::share(pool, members, [&](int64_t m) {
    Arrays at = inputs(images, scale, bias, s, m, members);
    at.out = jaxdl::values(*out, m, members, s.pooled());
    at.out_kept = pooling == kMax ? jaxdl::values(*kept, m, members, s.pooled()) : nullptr;
    at.out_mean = jaxdl::values(*mean, m, members, s.channels);
    at.out_variance = jaxdl::values(*variance, m, members, s.channels);
    by_channels(s, set, at, [](const auto& channels) { channels.forward(); });
  });
  return status ? ffi::Error::Internal("norm, activation, pooling failed") : ffi::Error::Success();
}

ffi::Error backward(ffi::ThreadPool pool, ffi::AnyBuffer images, ffi::AnyBuffer scale,
                    ffi::AnyBuffer bias, ffi::AnyBuffer kept, ffi::AnyBuffer mean,
                    ffi::AnyBuffer variance, ffi::AnyBuffer gradient,
                    ffi::Result<ffi::AnyBuffer> d_images, ffi::Result<ffi::AnyBuffer> d_scale,
                    ffi::Result<ffi::AnyBuffer> d_bias, int64_t norm, int64_t pooling, float slope,
                    float epsilon) {
  Shape s;
  const int64_t members = d_scale->dimensions().size() ? d_scale->dimensions()[0] : 0;
  std::string wrong =
      fits(images, scale, bias, gradient, kept, mean, variance, pooling, members, s);
  if (wrong.empty() &&
      !(jaxdl::is(*d_scale, {members, s.channels}) && jaxdl::is(*d_bias, {members, s.channels}) &&
        jaxdl::is(*d_images, {members, s.batch, s.height, s.width, s.channels}))) {
    wrong = "gradients of images " + jaxdl::text(images) + " have shapes " +
            jaxdl::text(*d_images) + ", " + jaxdl::text(*d_scale) + ", " + jaxdl::text(*d_bias) +
            ": the shapes do not fit";
  }
  if (!wrong.empty()) return ffi::Error::InvalidArgument(wrong);
  const Setting set = {norm, pooling, slope, epsilon};
  const int status = jaxdl::share(pool, members, [&](int64_t m) {
    Arrays at = inputs(images, scale, bias, s, m, members);
    at.kept = pooling == kMax ? jaxdl::values(kept, m, members, s.pooled()) : nullptr;
    at.mean = jaxdl::values(mean, m, members, s.channels);
    at.variance = jaxdl::values(variance, m, members, s.channels);
    at.gradient = jaxdl::values(gradient, m, members, s.pooled());
    at.out_images = jaxdl::values(*d_images, m, members, s.image());
    at.out_scale = jaxdl::values(*d_scale, m, members, s.channels);
    at.out_bias = jaxdl::values(*d_bias, m, members, s.channels);
    by_channels(s, set, at, [](const auto& channels) { channels.backward(); });
  });
  return status ? ffi::Error::Internal("norm, activation, pooling failed") : ffi::Error::Success();
}

}  // namespace

#define ATTRIBUTES \
  .Attr<int64_t>("norm").Attr<int64_t>("pooling").Attr<float>("slope").Attr<float>("epsilon")
#define BUFFER .Arg<ffi::AnyBuffer>()
#define RESULT .Ret<ffi::AnyBuffer>()

XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxdl_stage_forward, forward,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>()
                                  BUFFER BUFFER BUFFER RESULT RESULT RESULT RESULT ATTRIBUTES);
XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxdl_stage_backward, backward,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>() BUFFER BUFFER BUFFER BUFFER
                                  BUFFER BUFFER BUFFER RESULT RESULT RESULT ATTRIBUTES);
