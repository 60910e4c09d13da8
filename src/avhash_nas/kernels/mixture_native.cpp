// Small operators of the search space on a CPU, in one pass over memory each: the weighted sum of a cell's candidates
// with all its causal filters, and dropout, with ReLU in front where asked for.
//
// Work is cut into tasks that do not depend on the number of threads, and the tasks' sums are added in their order.

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <vector>

namespace {

constexpr int kWide = 16;        // channels in one vector
constexpr int64_t kGroups = 16;  // of videos, at most

template <typename T>
struct VectorOf {
  typedef T type __attribute__((vector_size(kWide * sizeof(T)), aligned(sizeof(T))));
};

// Sixteen channels, or as many as there are at the end of a row.
template <typename T>
using Vector = typename VectorOf<T>::type;

template <typename T>
inline Vector<T> load(const T* from, int64_t count) {
  Vector<T> made = {};
  std::memcpy(&made, from, count == kWide ? sizeof(made) : count * sizeof(T));
  return made;
}

template <typename T>
inline void store(T* to, const Vector<T>& from, int64_t count) {
  std::memcpy(to, &from, count == kWide ? sizeof(from) : count * sizeof(T));
}

using Tensors = std::vector<at::Tensor>;

Tensors contiguous(at::TensorList tensors) {
  Tensors made;
  for (const auto& tensor : tensors) made.push_back(tensor.contiguous());
  return made;
}

template <typename T>
std::vector<const T*> pointers(const Tensors& tensors) {
  std::vector<const T*> made;
  for (const auto& tensor : tensors) made.push_back(tensor.const_data_ptr<T>());
  return made;
}

template <typename T>
std::vector<T> scalars(at::TensorList tensors) {
  std::vector<T> made;
  for (const auto& tensor : tensors) made.push_back(*tensor.const_data_ptr<T>());
  return made;
}

// The filter that a weighted sum of filters is: taps by lag, (kernel, width), and the bias, (width).
template <typename T>
struct Merged {
  int64_t kernel = 0, width;
  std::vector<T> taps, bias;

  Merged(const Tensors& filters, const Tensors& biases, const std::vector<T>& weights, int64_t width) : width(width) {
    for (const auto& filter : filters) kernel = std::max(kernel, filter.size(1));
    taps.assign(kernel * width, 0);
    bias.assign(width, 0);
    for (size_t i = 0; i < filters.size(); ++i) {
      const int64_t own = filters[i].size(1);
      const T *from = filters[i].template const_data_ptr<T>(), *add = biases[i].template const_data_ptr<T>();
      for (int64_t w = 0; w < width; ++w)
        for (int64_t lag = 0; lag < own; ++lag) taps[lag * width + w] += weights[i] * from[w * own + own - 1 - lag];
      if (biases[i].numel())
        for (int64_t w = 0; w < width; ++w) bias[w] += weights[i] * add[w];
    }
  }
};

template <typename T>
struct Sizes {
  int64_t videos, steps, width;
};

// Calls function(first channel, number of channels) for the vectors of a row.
template <typename Function>
inline void each(int64_t width, Function function) {
  int64_t w = 0;
  for (; w + kWide <= width; w += kWide) function(w, std::integral_constant<int64_t, kWide>());
  if (w < width) function(w, width - w);
}

template <typename T>
void forward_all(const Sizes<T>& size, const T* x, const Merged<T>& filter, const std::vector<const T*>& terms,
                 const std::vector<T>& weights, T* y) {
  at::parallel_for(0, size.videos, 1, [&](int64_t from, int64_t to) {
    for (int64_t row = from * size.steps; row < to * size.steps; ++row) {
      const int64_t start = row * size.width, lags = std::min(filter.kernel, row % size.steps + 1);
      each(size.width, [&](int64_t w, auto count) {
        const int64_t at = start + w;
        Vector<T> sum = load(filter.bias.data() + w, count);
        for (int64_t lag = 0; lag < lags; ++lag)
          sum += load(filter.taps.data() + lag * size.width + w, count) * load(x + at - lag * size.width, count);
        for (size_t k = 0; k < terms.size(); ++k) sum += weights[k] * load(terms[k] + at, count);
        store(y + at, sum, count);
      });
    }
  });
}

template <typename T>
struct Gradients {
  T* x;                      // may be absent
  std::vector<T*> terms;     // any may be absent
  T *taps, *bias, *weights;  // sums of one group of videos: (kernel, width), (width), (number of terms, kWide)
};

template <typename T>
void backward_filter(const Sizes<T>& size, const T* grad, const T* x, const Merged<T>& filter, const Gradients<T>& out,
                     int64_t row) {
  const int64_t start = row * size.width, step = row % size.steps;
  const int64_t back = std::min(filter.kernel, step + 1), ahead = std::min(filter.kernel, size.steps - step);
  each(size.width, [&](int64_t w, auto count) {
    const int64_t at = start + w;
    const Vector<T> g = load(grad + at, count);
    store(out.bias + w, load(out.bias + w, count) + g, count);
    for (int64_t lag = 0; lag < back; ++lag) {
      T* to = out.taps + lag * size.width + w;
      store(to, load(to, count) + g * load(x + at - lag * size.width, count), count);
    }
    if (!out.x) return;
    Vector<T> sum = {};
    for (int64_t lag = 0; lag < ahead; ++lag)
      sum += load(filter.taps.data() + lag * size.width + w, count) * load(grad + at + lag * size.width, count);
    store(out.x + at, sum, count);
  });
}

template <typename T>
void backward_term(const Sizes<T>& size, const T* grad, const T* term, T weight, T* to, T* sums, int64_t row) {
  const int64_t start = row * size.width;
  Vector<T> dot = load(sums, kWide);
  each(size.width, [&](int64_t w, auto count) {
    const Vector<T> g = load(grad + start + w, count);
    dot += g * load(term + start + w, count);
    if (to) store(to + start + w, weight * g, count);
  });
  store(sums, dot, kWide);
}

template <typename T>
void backward_video(const Sizes<T>& size, const T* grad, const T* x, const Merged<T>& filter,
                    const std::vector<const T*>& terms, const std::vector<T>& weights, const Gradients<T>& out,
                    int64_t video) {
  for (int64_t row = video * size.steps; row < (video + 1) * size.steps; ++row) {
    if (filter.kernel) backward_filter(size, grad, x, filter, out, row);
    for (size_t k = 0; k < terms.size(); ++k)
      backward_term(size, grad, terms[k], weights[k], out.terms[k], out.weights + k * kWide, row);
  }
}

template <typename Function>
void by_type(const at::Tensor& x, Function function) {
  if (x.scalar_type() == at::kFloat)
    function(float());
  else if (x.scalar_type() == at::kDouble)
    function(double());
  else
    TORCH_CHECK(false, "mixture: takes float or double");
}

// What both directions are given, contiguous.
struct Operands {
  at::Tensor x, like;
  Tensors filters, biases, terms;

  Operands(const std::optional<at::Tensor>& x_, at::TensorList filters_, at::TensorList biases_, at::TensorList terms_)
      : filters(contiguous(filters_)), biases(contiguous(biases_)), terms(contiguous(terms_)) {
    if (x_) x = x_->contiguous();
    like = x_ ? x : terms.at(0);
    TORCH_CHECK(like.dim() == 3, "mixture: takes sequences (B, T, W)");
  }

  template <typename T>
  Sizes<T> sizes() const {
    return {like.size(0), like.size(1), like.size(2)};
  }
  template <typename T>
  const T* input() const {
    return x.defined() ? x.const_data_ptr<T>() : nullptr;
  }
};

at::Tensor mixture(const std::optional<at::Tensor>& x, at::TensorList filters, at::TensorList biases,
                   at::TensorList filter_weights, at::TensorList terms, at::TensorList weights) {
  const Operands given(x, filters, biases, terms);
  auto y = at::empty_like(given.like);
  by_type(y, [&](auto type) {
    using T = decltype(type);
    const Merged<T> merged(given.filters, given.biases, scalars<T>(filter_weights), y.size(2));
    forward_all(given.sizes<T>(), given.input<T>(), merged, pointers<T>(given.terms), scalars<T>(weights),
                y.template mutable_data_ptr<T>());
  });
  return y;
}

using Gradient = std::tuple<at::Tensor, Tensors, Tensors, at::Tensor, Tensors, at::Tensor>;

template <typename T>
Gradient backward_all(const Operands& given, const at::Tensor& grad, const std::vector<T>& filter_weights,
                      const std::vector<T>& weights, bool x_wanted, at::IntArrayRef wanted) {
  const Sizes<T> size = given.sizes<T>();
  const Merged<T> merged(given.filters, given.biases, filter_weights, size.width);
  const auto terms = pointers<T>(given.terms);
  const auto options = given.like.options();
  auto grad_x = x_wanted ? at::empty_like(given.like) : at::empty({0}, options);
  Gradients<T> all{x_wanted ? grad_x.template mutable_data_ptr<T>() : nullptr, {}, nullptr, nullptr, nullptr};
  Tensors grad_terms;
  for (size_t k = 0; k < terms.size(); ++k) {
    grad_terms.push_back(wanted[k] ? at::empty_like(given.like) : at::empty({0}, options));
    all.terms.push_back(wanted[k] ? grad_terms[k].template mutable_data_ptr<T>() : nullptr);
  }
  const int64_t groups = std::clamp<int64_t>(size.videos, 1, kGroups), by_lag = merged.kernel * size.width;
  const int64_t sums = by_lag + size.width + static_cast<int64_t>(terms.size()) * kWide;
  std::vector<T> partial(groups * sums, 0);
  at::parallel_for(0, groups, 1, [&](int64_t from, int64_t to) {
    for (int64_t group = from; group < to; ++group) {
      Gradients<T> own = all;
      own.taps = partial.data() + group * sums;
      own.bias = own.taps + by_lag;
      own.weights = own.bias + size.width;
      for (int64_t video = group * size.videos / groups; video < (group + 1) * size.videos / groups; ++video)
        backward_video(size, grad.const_data_ptr<T>(), given.input<T>(), merged, terms, weights, own, video);
    }
  });
  for (int64_t group = 1; group < groups; ++group)
    for (int64_t i = 0; i < sums; ++i) partial[i] += partial[group * sums + i];
  const T *taps = partial.data(), *bias = taps + by_lag, *dots = bias + size.width;
  Tensors grad_filters, grad_biases;
  auto grad_filter_weights = at::empty({static_cast<int64_t>(given.filters.size())}, options);
  for (size_t i = 0; i < given.filters.size(); ++i) {
    grad_filters.push_back(at::empty_like(given.filters[i]));
    grad_biases.push_back(at::empty_like(given.biases[i]));
    const int64_t own = given.filters[i].size(1);
    const T* filter = given.filters[i].template const_data_ptr<T>();
    T* to = grad_filters[i].template mutable_data_ptr<T>();
    T dot = 0;
    for (int64_t w = 0; w < size.width; ++w)
      for (int64_t lag = 0; lag < own; ++lag) {
        const int64_t at = w * own + own - 1 - lag;
        to[at] = filter_weights[i] * taps[lag * size.width + w];
        dot += filter[at] * taps[lag * size.width + w];
      }
    for (int64_t w = 0; w < given.biases[i].numel(); ++w) {
      grad_biases[i].template mutable_data_ptr<T>()[w] = filter_weights[i] * bias[w];
      dot += given.biases[i].template const_data_ptr<T>()[w] * bias[w];
    }
    grad_filter_weights.template mutable_data_ptr<T>()[i] = dot;
  }
  auto grad_weights = at::empty({static_cast<int64_t>(terms.size())}, options);
  for (size_t k = 0; k < terms.size(); ++k) {
    T dot = 0;
    for (int lane = 0; lane < kWide; ++lane) dot += dots[k * kWide + lane];
    grad_weights.template mutable_data_ptr<T>()[k] = dot;
  }
  return {grad_x, grad_filters, grad_biases, grad_filter_weights, grad_terms, grad_weights};
}

Gradient mixture_backward(const at::Tensor& grad_, const std::optional<at::Tensor>& x, at::TensorList filters,
                          at::TensorList biases, at::TensorList filter_weights, at::TensorList terms,
                          at::TensorList weights, bool x_wanted, at::IntArrayRef wanted) {
  const Operands given(x, filters, biases, terms);
  const auto grad = grad_.contiguous();
  Gradient found;
  by_type(grad, [&](auto type) {
    using T = decltype(type);
    found = backward_all<T>(given, grad, scalars<T>(filter_weights), scalars<T>(weights), x_wanted, wanted);
  });
  return found;
}

// Random bits by counter: the finaliser of MurmurHash3 (Appleby, 2011), a bijection that spreads each bit over all 32,
// on the counter and one key, and again with another. Each counter gives two values of 16 bits.
constexpr int kCounters = 64, kValues = 2 * kCounters;

inline uint32_t spread(uint32_t bits) {
  bits = (bits ^ (bits >> 16)) * 0x85EBCA6B;
  bits = (bits ^ (bits >> 13)) * 0xC2B2AE35;
  return bits ^ (bits >> 16);
}

// Two keys that differ in about half their bits from those of any other seed (SplitMix64's finaliser, Steele 2014).
inline uint64_t keys(uint64_t seed) {
  seed += 0x9E3779B97F4A7C15;
  seed = (seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9;
  seed = (seed ^ (seed >> 27)) * 0x94D049BB133111EB;
  return seed ^ (seed >> 31);
}

// factors[i] = scale where value i of a block is at least `dropped`, else 0.
template <typename T>
inline void block_factors(uint64_t keys, uint64_t block, int32_t dropped, T scale, T* factors) {
  const uint32_t first = static_cast<uint32_t>(keys) + static_cast<uint32_t>(block >> 26);
  const uint32_t second = static_cast<uint32_t>(keys >> 32), start = static_cast<uint32_t>(block * kCounters);
  for (uint32_t i = 0; i < kCounters; ++i) {
    const uint32_t bits = spread(spread((start + i) ^ first) + second);
    factors[i] = static_cast<int32_t>(bits & 0xFFFF) >= dropped ? scale : 0;
    factors[i + kCounters] = static_cast<int32_t>(bits >> 16) >= dropped ? scale : 0;
  }
}

// to[i] = scale * from[i] where value i of the seed is at least `dropped` and, if gated, gate[i] > 0; else 0.
template <bool Gated, typename T>
void drop_all(const T* from, const T* gate, int64_t count, uint64_t keys, int32_t dropped, T scale, T* to) {
  const int64_t blocks = (count + kValues - 1) / kValues;
  at::parallel_for(0, blocks, 64, [&](int64_t first, int64_t last) {
    T factors[kValues];
    for (int64_t block = first; block < last; ++block) {
      block_factors(keys, block, dropped, scale, factors);
      const int64_t start = block * kValues, end = std::min<int64_t>(kValues, count - start);
      if (Gated)
        for (int64_t i = 0; i < end; ++i) factors[i] = gate[start + i] > 0 ? factors[i] : 0;
      for (int64_t i = 0; i < end; ++i) to[start + i] = factors[i] * from[start + i];
    }
  });
}

// Forward: `gate` is the input itself where ReLU comes first. Backward: likewise, with the gradient as input.
at::Tensor drop(const at::Tensor& x_, const std::optional<at::Tensor>& gate_, int64_t seed, int64_t dropped,
                double scale) {
  const auto x = x_.contiguous(), gate = gate_ ? gate_->contiguous() : x;
  auto y = at::empty_like(x);
  by_type(x, [&](auto type) {
    using T = decltype(type);
    const auto run = gate_ ? drop_all<true, T> : drop_all<false, T>;
    run(x.template const_data_ptr<T>(), gate.template const_data_ptr<T>(), x.numel(),
        keys(seed), static_cast<int32_t>(dropped), static_cast<T>(scale), y.template mutable_data_ptr<T>());
  });
  return y;
}

TORCH_LIBRARY_FRAGMENT(avhash_nas, library) {
  library.def(
      "mixture(Tensor? x, Tensor[] filters, Tensor[] biases, Tensor[] filter_weights, Tensor[] terms,"
      " Tensor[] weights) -> Tensor");
  library.def(
      "mixture_backward(Tensor grad, Tensor? x, Tensor[] filters, Tensor[] biases, Tensor[] filter_weights,"
      " Tensor[] terms, Tensor[] weights, bool x_wanted, int[] wanted)"
      " -> (Tensor, Tensor[], Tensor[], Tensor, Tensor[], Tensor)");
  library.def("drop(Tensor x, Tensor? gate, int seed, int dropped, float scale) -> Tensor");
}

TORCH_LIBRARY_IMPL(avhash_nas, CPU, library) {
  library.impl("mixture", mixture);
  library.impl("mixture_backward", mixture_backward);
  library.impl("drop", drop);
}

}  // namespace
