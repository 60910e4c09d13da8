// The selective scan on a CPU: one walk over time for each video and channel, its states in registers.
//
// h_t = exp(delta_t A) h_{t-1} + delta_t x_t B_t, y_t = C_t . h_t, with h_0 = 0. Shapes: x, delta, y (B, T, E);
// A (E, N); B, C (B, T, N), N a multiple of 16: the caller pads with zeros, which change nothing. Forward keeps
// nothing; backward walks forward again, a few channels at a time, with their T states in a thread's own buffer, and
// then back.
//
// Work is cut into tasks of some videos and some channels, and the tasks' sums are added in their order: the result
// does not depend on the number of threads.

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <tuple>
#include <type_traits>

namespace {

constexpr int kWide = 16;           // states in one vector
constexpr int kSide = 4;            // channels walked side by side, whose chains of dependent operations overlap
constexpr int64_t kChannels = 128;  // of a task
constexpr int64_t kGroups = 16;     // of videos, at most

template <typename T>
struct VectorOf {
  typedef T type __attribute__((vector_size(kWide * sizeof(T)), aligned(sizeof(T))));
};
template <typename T>
using Vector = typename VectorOf<T>::type;
typedef int32_t Integers __attribute__((vector_size(kWide * sizeof(int32_t))));

template <typename T>
inline Vector<T> load(const T* from) {
  Vector<T> made;
  std::memcpy(&made, from, sizeof(made));
  return made;
}

template <typename T>
inline void store(T* to, const Vector<T>& from) {
  std::memcpy(to, &from, sizeof(from));
}

template <typename T>
inline T sum(const Vector<T>& values) {
  typedef T Half __attribute__((vector_size(kWide / 2 * sizeof(T))));
  typedef T Quarter __attribute__((vector_size(kWide / 4 * sizeof(T))));
  Half halves[2];
  std::memcpy(halves, &values, sizeof(values));
  const Half half = halves[0] + halves[1];
  Quarter quarters[2];
  std::memcpy(quarters, &half, sizeof(half));
  const Quarter quarter = quarters[0] + quarters[1];
  return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}

// exp of float32, within 2 units in the last place from -87.3 to 88.7; 0 below, the largest power above, nan for nan.
inline Vector<float> exponential(const Vector<float>& value) {
  const Vector<float> zero = {}, lowest = zero - 87.336544f, highest = zero + 88.722839f;
  Vector<float> bounded = value < lowest ? lowest : value;
  bounded = bounded > highest ? highest : bounded;
  const Vector<float> shifted = bounded * 1.44269504088896341f + 12582912.0f;  // 1.5 * 2^23 rounds to whole numbers
  const Vector<float> whole = shifted - 12582912.0f;
  const Vector<float> rest = (bounded - whole * 0.693359375f) + whole * 2.12194440e-4f;
  Vector<float> power = zero + 1.9875691500e-4f;
  power = power * rest + 1.3981999507e-3f;
  power = power * rest + 8.3334519073e-3f;
  power = power * rest + 4.1665795894e-2f;
  power = power * rest + 1.6666665459e-1f;
  power = power * rest + 5.0000001201e-1f;
  const Vector<float> mantissa = power * rest * rest + rest + 1.0f;
  const Integers exponent = (reinterpret_cast<const Integers&>(shifted) - 0x4b400000) << 23;
  const Integers bits = reinterpret_cast<const Integers&>(mantissa) + exponent;
  const Vector<float> result = value < lowest ? zero : reinterpret_cast<const Vector<float>&>(bits);
  return value == value ? result : value;
}

inline Vector<double> exponential(const Vector<double>& value) {
  Vector<double> made;
  for (int i = 0; i < kWide; ++i) made[i] = std::exp(value[i]);
  return made;
}

template <typename T>
struct Inputs {
  const T *x, *delta, *A, *B, *C;
  int64_t videos, steps, width, states;
};

// y of some channels side by side, from the states of one vector; further vectors of states add to it.
template <typename T, int Side>
void forward_channels(const Inputs<T>& in, int64_t video, int64_t channel, int64_t first, T* y) {
  Vector<T> a[Side], h[Side] = {};
  for (int side = 0; side < Side; ++side) a[side] = load(in.A + (channel + side) * in.states + first);
  for (int64_t t = 0; t < in.steps; ++t) {
    const int64_t row = video * in.steps + t, at = row * in.width + channel;
    const Vector<T> b = load(in.B + row * in.states + first), c = load(in.C + row * in.states + first);
#pragma GCC unroll 8
    for (int side = 0; side < Side; ++side) {
      const T step = in.delta[at + side];
      h[side] = exponential(step * a[side]) * h[side] + step * in.x[at + side] * b;
      const T now = sum<T>(c * h[side]);
      y[at + side] = first ? y[at + side] + now : now;
    }
  }
}

template <typename T>
struct Gradients {
  const T* y;
  T *x, *delta;
  T *A, *B, *C;  // sums of one task: (E, N), (B, T, N), (B, T, N)
};

template <typename T, int Side>
void backward_channels(const Inputs<T>& in, const Gradients<T>& grad, int64_t video, int64_t channel, int64_t first,
                       T* scratch) {
  constexpr int64_t block = Side * kWide;
  T* decays = scratch + in.steps * block;  // scratch[t]: the states before step t
  Vector<T> a[Side], h[Side] = {};
  for (int side = 0; side < Side; ++side) a[side] = load(in.A + (channel + side) * in.states + first);
  for (int64_t t = 0; t < in.steps; ++t) {
    const int64_t row = video * in.steps + t, at = row * in.width + channel;
    const Vector<T> b = load(in.B + row * in.states + first);
#pragma GCC unroll 8
    for (int side = 0; side < Side; ++side) {
      const T step = in.delta[at + side];
      const Vector<T> decay = exponential(step * a[side]);
      store(scratch + t * block + side * kWide, h[side]);
      store(decays + t * block + side * kWide, decay);
      h[side] = decay * h[side] + step * in.x[at + side] * b;
    }
  }
  Vector<T> grad_h[Side] = {}, grad_a[Side] = {};
  for (int64_t t = in.steps - 1; t >= 0; --t) {
    const int64_t row = video * in.steps + t, at = row * in.width + channel, states = row * in.states + first;
    const Vector<T> b = load(in.B + states), c = load(in.C + states);
    Vector<T> grad_b = load(grad.B + states), grad_c = load(grad.C + states);
#pragma GCC unroll 8
    for (int side = 0; side < Side; ++side) {
      const T step = in.delta[at + side], value = in.x[at + side], outer = grad.y[at + side];
      const Vector<T> before = load(scratch + t * block + side * kWide), decay = load(decays + t * block + side * kWide);
      grad_c += outer * h[side];
      h[side] = before;
      const Vector<T> now = grad_h[side] + outer * c;
      grad_b += step * value * now;
      const T grad_drive = sum<T>(now * b);
      grad_h[side] = now * decay;
      const Vector<T> exponent = grad_h[side] * before;
      grad_a[side] += step * exponent;
      const T grad_step = grad_drive * value + sum<T>(exponent * a[side]);
      grad.x[at + side] = first ? grad.x[at + side] + grad_drive * step : grad_drive * step;
      grad.delta[at + side] = first ? grad.delta[at + side] + grad_step : grad_step;
    }
    store(grad.B + states, grad_b);
    store(grad.C + states, grad_c);
  }
  for (int side = 0; side < Side; ++side) {
    T* total = grad.A + (channel + side) * in.states + first;
    store(total, load(total) + grad_a[side]);
  }
}

// Calls function(how many side by side, channel, first state) until all of a task's channels and states are done.
template <typename Function>
void each(int64_t block, int64_t width, int64_t states, Function function) {
  const int64_t end = std::min((block + 1) * kChannels, width);
  int64_t channel = block * kChannels;
  for (; channel + kSide <= end; channel += kSide)
    for (int64_t first = 0; first < states; first += kWide)
      function(std::integral_constant<int, kSide>(), channel, first);
  for (; channel < end; ++channel)
    for (int64_t first = 0; first < states; first += kWide) function(std::integral_constant<int, 1>(), channel, first);
}

int64_t blocks_of(int64_t width) { return (width + kChannels - 1) / kChannels; }

template <typename T>
Inputs<T> inputs(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& A, const at::Tensor& B,
                 const at::Tensor& C) {
  TORCH_CHECK(A.size(1) % kWide == 0, "selective_scan: states must be padded to a multiple of ", kWide);
  return {x.const_data_ptr<T>(), delta.const_data_ptr<T>(), A.const_data_ptr<T>(), B.const_data_ptr<T>(),
          C.const_data_ptr<T>(), x.size(0),  x.size(1),      x.size(2),             A.size(1)};
}

template <typename T>
void forward_all(const Inputs<T>& in, T* y) {
  const int64_t blocks = blocks_of(in.width);
  at::parallel_for(0, in.videos * blocks, 1, [&](int64_t from, int64_t to) {
    for (int64_t task = from; task < to; ++task)
      each(task % blocks, in.width, in.states, [&](auto side, int64_t channel, int64_t first) {
        forward_channels<T, decltype(side)::value>(in, task / blocks, channel, first, y);
      });
  });
}

template <typename T>
void backward_all(const Inputs<T>& in, const Gradients<T>& all, int64_t groups) {
  const int64_t blocks = blocks_of(in.width);
  at::parallel_for(0, groups * blocks, 1, [&](int64_t from, int64_t to) {
    const std::unique_ptr<T[]> scratch(new T[2 * in.steps * kSide * kWide]);
    for (int64_t task = from; task < to; ++task) {
      const int64_t group = task / blocks, block = task % blocks, rows = in.videos * in.steps * in.states;
      Gradients<T> grad = all;
      grad.A += group * in.width * in.states;
      grad.B += block * rows;
      grad.C += block * rows;
      for (int64_t video = group * in.videos / groups; video < (group + 1) * in.videos / groups; ++video)
        each(block, in.width, in.states, [&](auto side, int64_t channel, int64_t first) {
          backward_channels<T, decltype(side)::value>(in, grad, video, channel, first, scratch.get());
        });
    }
  });
}

template <typename Function>
void by_type(const at::Tensor& x, Function function) {
  if (x.scalar_type() == at::kFloat)
    function(float());
  else if (x.scalar_type() == at::kDouble)
    function(double());
  else
    TORCH_CHECK(false, "selective_scan: takes float or double");
}

at::Tensor scan(const at::Tensor& x_, const at::Tensor& delta_, const at::Tensor& A_, const at::Tensor& B_,
                const at::Tensor& C_) {
  const auto x = x_.contiguous(), delta = delta_.contiguous(), A = A_.contiguous(), B = B_.contiguous(),
             C = C_.contiguous();
  auto y = at::empty_like(x);
  by_type(x, [&](auto type) {
    using T = decltype(type);
    forward_all<T>(inputs<T>(x, delta, A, B, C), y.template mutable_data_ptr<T>());
  });
  return y;
}

using Five = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor>;

Five scan_backward(const at::Tensor& grad_y_, const at::Tensor& x_, const at::Tensor& delta_, const at::Tensor& A_,
                   const at::Tensor& B_, const at::Tensor& C_) {
  const auto grad_y = grad_y_.contiguous(), x = x_.contiguous(), delta = delta_.contiguous(), A = A_.contiguous(),
             B = B_.contiguous(), C = C_.contiguous();
  const int64_t groups = std::clamp<int64_t>(x.size(0), 1, kGroups), blocks = blocks_of(x.size(2));
  auto grad_x = at::empty_like(x), grad_delta = at::empty_like(x);
  auto grad_A = at::zeros({groups, A.size(0), A.size(1)}, A.options());
  auto grad_B = at::zeros({blocks, B.size(0), B.size(1), B.size(2)}, B.options());
  auto grad_C = at::zeros({blocks, B.size(0), B.size(1), B.size(2)}, B.options());
  by_type(x, [&](auto type) {
    using T = decltype(type);
    const Gradients<T> all{grad_y.template const_data_ptr<T>(),      grad_x.template mutable_data_ptr<T>(),
                           grad_delta.template mutable_data_ptr<T>(), grad_A.template mutable_data_ptr<T>(),
                           grad_B.template mutable_data_ptr<T>(),     grad_C.template mutable_data_ptr<T>()};
    backward_all<T>(inputs<T>(x, delta, A, B, C), all, groups);
  });
  return {grad_x, grad_delta, grad_A.sum(0), grad_B.sum(0), grad_C.sum(0)};
}

TORCH_LIBRARY(avhash_nas, library) {
  library.def("selective_scan(Tensor x, Tensor delta, Tensor A, Tensor B, Tensor C) -> Tensor");
  library.def(
      "selective_scan_backward(Tensor grad_y, Tensor x, Tensor delta, Tensor A, Tensor B, Tensor C)"
      " -> (Tensor, Tensor, Tensor, Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(avhash_nas, CPU, library) {
  library.impl("selective_scan", scan);
  library.impl("selective_scan_backward", scan_backward);
}

}  // namespace
