// The average in one pass each way, for a CPU; `native.py` compiles this file and says what the arguments are.
//
//   D = E + I,  z = (E - I) / D,      dz/dE = (1 - z) / D,  dz/dI = -(1 + z) / D
//
// In a residual block z is averaged with the shortcut's s and rectified, p = max((z + s) / 2, 0), in the same pass; back
// again z is 2 p - s, for where p is 0 so is the gradient, so that nobody keeps z.
//
// A row holds the units of one sample or position, or, channel after channel, those of a whole image. E and I may come in
// parts: what is stored is a rest, to which a sum that all units share, times what is common to the unit's conductances,
// and the leak are added.
//
// Nothing of torch is included, so that a build takes a second and fits every version of torch.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

struct bfloat16 {
  uint16_t bits;
};

inline float load(float x) { return x; }
inline double load(double x) { return x; }
inline float load(bfloat16 x) {
  uint32_t bits = uint32_t(x.bits) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

inline void store(float &to, double x) { to = float(x); }
inline void store(double &to, double x) { to = x; }
inline void store(bfloat16 &to, float x) {  // to the nearest, ties to even; NaN stays NaN
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  to.bits = x != x ? 0x7fc0 : uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// How rows are laid out: `channels` units, each of `inner` neighbouring positions, twice: first all of E, then all of I.
struct Shape {
  int64_t rows, channels, inner, shared;  // shared: channels of the shared sum, 1 or 2, or 0 where nothing is in parts
};

enum Result { potential, rectified, joined };  // z, max(z, 0), or that of the mean with a shortcut

// Results are of the type O; E and I of another where they are whole and half precision was asked for.
template <class T, class S, class O, Result result, bool keep>
void forward_row(const T *E, const T *I, const S *shared_E, const S *shared_I, const S *common, const S *leak,
                 const O *shortcut, O *z, O *D, const Shape &s) {
  using A = decltype(load(T()) + S());  // what the division is done in
  auto open = [](A x) { return x < 0 ? 0 : x; };  // what synapses open is not negative, even where its parts were rounded
  auto unit = [&](int64_t at, A e, A i) {
    A d = e + i, v = (e - i) / d;
    if (result == joined) v = (v + load(shortcut[at])) / 2;
    store(z[at], result != potential && v < 0 ? 0 : v);  // NaN stays NaN
    if (keep) store(D[at], d);
  };
  const int64_t n = s.channels * s.inner;
  if (!s.shared) {
#pragma GCC ivdep
    for (int64_t at = 0; at < n; ++at) unit(at, load(E[at]), load(I[at]));
  } else if (s.inner == 1) {
    const A to_E = *shared_E, to_I = *shared_I;
#pragma GCC ivdep
    for (int64_t c = 0; c < n; ++c)
      unit(c, open(load(E[c]) + to_E * common[c]) + leak[c], open(load(I[c]) + to_I * common[n + c]) + leak[n + c]);
  } else {
    for (int64_t c = 0; c < s.channels; ++c) {
      const A common_E = common[c], common_I = common[s.channels + c], leak_E = leak[c], leak_I = leak[s.channels + c];
#pragma GCC ivdep
      for (int64_t k = 0; k < s.inner; ++k) {
        const int64_t at = c * s.inner + k;
        unit(at, open(load(E[at]) + shared_E[k] * common_E) + leak_E,
             open(load(I[at]) + shared_I[k] * common_I) + leak_I);
      }
    }
  }
}

template <class T, class S, class O, Result result>
void backward_row(const O *grad, const O *z, const O *D, const S *common, const O *shortcut, T *to_E, T *to_I,
                  O *to_shortcut, S *shared_E, S *shared_I, const Shape &s) {
  using A = decltype(load(T()));
  auto open = [&](int64_t at) -> A {  // the gradient at z; all is read before it is chosen, or no loop were a vector's
    const A v = load(z[at]), g = result == joined ? load(grad[at]) / 2 : load(grad[at]);
    return result != potential && v <= 0 ? 0 : g;
  };
  auto slope = [&](int64_t at) { return open(at) / load(D[at]); };
  auto at_z = [&](int64_t at) -> A { return result == joined ? 2 * load(z[at]) - load(shortcut[at]) : load(z[at]); };
  const int64_t n = s.channels * s.inner;
  if (s.shared && s.inner == 1) {
    S sum_E = 0, sum_I = 0;
#pragma omp simd reduction(+ : sum_E, sum_I)
    for (int64_t c = 0; c < n; ++c) {
      const A k = slope(c), kz = k * at_z(c);
      store(to_E[c], k - kz);
      store(to_I[c], -k - kz);
      if (result == joined) store(to_shortcut[c], open(c));
      sum_E += S(k - kz) * common[c];
      sum_I += S(-k - kz) * common[n + c];
    }
    *shared_E = *shared_I = 0;
    *shared_E += sum_E;  // the two are one where E and I read the same sum
    *shared_I += sum_I;
    return;
  }
#pragma GCC ivdep
  for (int64_t at = 0; at < n; ++at) {
    const A k = slope(at), kz = k * at_z(at);
    store(to_E[at], k - kz);
    store(to_I[at], -k - kz);
    if (result == joined) store(to_shortcut[at], open(at));
  }
  if (!s.shared) return;
  for (int64_t k = 0; k < s.inner; ++k) shared_E[k] = shared_I[k] = 0;
  for (int64_t c = 0; c < s.channels; ++c)
    for (int64_t k = 0; k < s.inner; ++k) {
      const S w = slope(c * s.inner + k), wz = w * at_z(c * s.inner + k);
      shared_E[k] += (w - wz) * common[c];
      shared_I[k] += (-w - wz) * common[s.channels + c];
    }
}

// Adds up f over the units of a row, for each of their positions.
template <class S, class F>
void sum_over_units(S *sums, const Shape &s, F f) {
  if (s.inner == 1) {
    S sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < s.channels; ++c) sum += f(c, 0);
    *sums = sum;
    return;
  }
  for (int64_t k = 0; k < s.inner; ++k) sums[k] = 0;
  for (int64_t c = 0; c < s.channels; ++c)
    for (int64_t k = 0; k < s.inner; ++k) sums[k] += f(c * s.inner + k, k);
}

template <class F>
void for_units(const Shape &s, F f) {
  if (s.inner == 1) {
#pragma GCC ivdep
    for (int64_t c = 0; c < s.channels; ++c) f(c, 0);
    return;
  }
  for (int64_t c = 0; c < s.channels; ++c)
#pragma GCC ivdep
    for (int64_t k = 0; k < s.inner; ++k) f(c * s.inner + k, k);
}

// The pooled interneuron sits at the mean m of a position's units and leaves them at (z - m) / (1 + |m|).
template <class T>
void pool_row(const T *z, T *m, T *out, bool rectify, const Shape &s) {
  sum_over_units(m, s, [&](int64_t at, int64_t) { return z[at]; });
  for (int64_t k = 0; k < s.inner; ++k) m[k] /= s.channels;
  const T only = *m, *mean = s.inner == 1 ? &only : m;  // a number of its own stays in a register
  for_units(s, [&](int64_t at, int64_t k) {
    const T v = (z[at] - mean[k]) / (1 + std::abs(mean[k]));
    out[at] = rectify && v < 0 ? 0 : v;
  });
}

// From the gradient at what the interneuron leaves to that at z (`pooling.py` has the formula).
template <class T>
void unpool_row(const T *grad, const T *z, const T *mean, T *common, T *out, bool rectify, const Shape &s) {
  const T only_mean = *mean, *m = s.inner == 1 ? &only_mean : mean;
  auto left = [&](int64_t at, int64_t k) { return (z[at] - m[k]) / (1 + std::abs(m[k])); };
  auto open = [&](int64_t at, int64_t k) {
    const T g = grad[at];
    return rectify && z[at] <= m[k] ? 0 : g;
  };
  sum_over_units(common, s, [&](int64_t at, int64_t k) {
    const T sign = (m[k] > 0) - (m[k] < 0);
    return open(at, k) * (1 + sign * left(at, k));
  });
  const T only = *common, *shared = s.inner == 1 ? &only : common;
  for_units(s, [&](int64_t at, int64_t k) {
    out[at] = (open(at, k) - shared[k] / s.channels) / (1 + std::abs(m[k]));
  });
}

template <class T>
inline T *at(T *tensor, int64_t offset) {  // of one that may be missing
  return tensor ? tensor + offset : tensor;
}

template <class F>
void for_rows(const Shape &s, int threads, F row) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
  for (int64_t r = 0; r < s.rows; ++r) row(r);
}

template <class T, class S, class O>
void forward(const T *both, const S *shared, const S *common, const S *leak, const O *shortcut, O *z, O *D, Shape s,
             bool rectify, int threads) {
  const int64_t n = s.channels * s.inner, further = s.shared == 2 ? s.inner : 0;
  auto with_total = shortcut ? forward_row<T, S, O, joined, true>
                    : rectify ? forward_row<T, S, O, rectified, true> : forward_row<T, S, O, potential, true>;
  auto alone = shortcut ? forward_row<T, S, O, joined, false>
               : rectify ? forward_row<T, S, O, rectified, false> : forward_row<T, S, O, potential, false>;
  auto row = D ? with_total : alone;
  for_rows(s, threads, [&](int64_t r) {
    const T *E = both + 2 * n * r;
    const S *p = shared + s.shared * s.inner * r;
    row(E, E + n, p, p + further, common, leak, at(shortcut, n * r), z + n * r, at(D, n * r), s);
  });
}

template <class T, class S, class O>
void backward(const O *grad, const O *z, const O *D, const S *common, const O *shortcut, T *to, O *to_shortcut, S *shared,
              Shape s, bool rectify, int threads) {
  const int64_t n = s.channels * s.inner, further = s.shared == 2 ? s.inner : 0;
  auto row = shortcut ? backward_row<T, S, O, joined>
             : rectify ? backward_row<T, S, O, rectified> : backward_row<T, S, O, potential>;
  for_rows(s, threads, [&](int64_t r) {
    T *E = to + 2 * n * r;
    S *p = shared + s.shared * s.inner * r;
    row(grad + n * r, z + n * r, D + n * r, common, at(shortcut, n * r), E, E + n, at(to_shortcut, n * r), p, p + further,
        s);
  });
}

// Sums over the channels of a row, and their gradient joined with that of the channels themselves.
template <class T, class S>
void channel_sums(const T *p, S *sums, Shape s, int threads) {
  const int64_t n = s.channels * s.inner;
  for_rows(s, threads, [&](int64_t r) {
    sum_over_units(sums + s.inner * r, s, [&](int64_t at, int64_t) -> S { return load(p[n * r + at]); });
  });
}

template <class T, class S>
void join_gradients(const T *of_p, const S *of_sums, T *out, Shape s, int threads) {
  const int64_t n = s.channels * s.inner;
  for_rows(s, threads, [&](int64_t r) {
    const S only = of_sums[s.inner * r], *add = s.inner == 1 ? &only : of_sums + s.inner * r;
    for_units(s, [&](int64_t at, int64_t k) { store(out[n * r + at], load(of_p[n * r + at]) + add[k]); });
  });
}

// Each row less what is common to it (`splitting.py`), one kind of columns after the other, below which the rows of the
// next kind lie.
template <class T, class S>
void split(const S *G, T *rest, S *common, Shape s, int many, int threads) {
  const int64_t kinds = s.shared, n = s.inner;
  for_rows(s, threads, [&](int64_t r) {
    for (int64_t kind = 0; kind < kinds; ++kind) {
      const S *from = G + (r * kinds + kind) * n;
      T *to = rest + (kind * s.rows + r) * n;
      S sum = 0, squares = 0, least = *from;
#pragma omp simd reduction(+ : sum, squares) reduction(min : least)
      for (int64_t at = 0; at < n; ++at) {
        sum += from[at];
        squares += from[at] * from[at];
        least = from[at] < least ? from[at] : least;
      }
      const S mean = sum / n, off = sum * sum > many * squares ? mean : std::min(mean, 2 * least);
      common[kind * s.rows + r] = off;
#pragma GCC ivdep
      for (int64_t at = 0; at < n; ++at) store(to[at], from[at] - off);
    }
  });
}

template <class T>
void pool(const T *z, T *m, T *out, Shape s, bool rectify, int threads) {
  const int64_t n = s.channels * s.inner;
  for_rows(s, threads, [&](int64_t r) { pool_row(z + n * r, m + s.inner * r, out + n * r, rectify, s); });
}

template <class T>
void pooled_forward(const T *both, T *z, T *D, T *m, T *out, Shape s, bool rectify, int threads) {
  const int64_t n = s.channels * s.inner;
  const T *none = nullptr;
  for_rows(s, threads, [&](int64_t r) {
    const T *E = both + 2 * n * r;
    auto row = D ? forward_row<T, T, T, potential, true> : forward_row<T, T, T, potential, false>;
    row(E, E + n, none, none, none, none, none, z + n * r, at(D, n * r), s);
    pool_row(z + n * r, m + s.inner * r, out + n * r, rectify, s);
  });
}

template <class T>
void pooled_backward(const T *grad, const T *z, const T *D, const T *m, T *common, T *to, Shape s, bool rectify,
                     int threads) {
  const int64_t n = s.channels * s.inner, k = s.inner;
  T *none = nullptr;
  for_rows(s, threads, [&](int64_t r) {
    T *E = to + 2 * n * r;  // takes the gradient at z before that at E
    unpool_row(grad + n * r, z + n * r, m + k * r, common + k * r, E, rectify, s);
    backward_row<T, T, T, potential>(E, z + n * r, D + n * r, none, none, E, E + n, none, none, none, s);
  });
}

}  // namespace

#define CONDUCTANCE_EXPORT(NAME, T, S, O)                                                                                 \
  extern "C" void forward_##NAME(const T *both, const S *shared, const S *common, const S *leak, const O *shortcut, O *z, \
                                 O *D, int64_t rows, int64_t channels, int64_t inner, int64_t of_shared, int rectify,     \
                                 int threads) {                                                                           \
    forward(both, shared, common, leak, shortcut, z, D, Shape{rows, channels, inner, of_shared}, rectify != 0, threads);  \
  }                                                                                                                       \
  extern "C" void backward_##NAME(const O *grad, const O *z, const O *D, const S *common, const O *shortcut, T *to,       \
                                  O *to_shortcut, S *shared, int64_t rows, int64_t channels, int64_t inner,               \
                                  int64_t of_shared, int rectify, int threads) {                                          \
    backward(grad, z, D, common, shortcut, to, to_shortcut, shared, Shape{rows, channels, inner, of_shared}, rectify != 0,\
             threads);                                                                                                    \
  }

#define CONDUCTANCE_EXPORT_SUMS(NAME, T, S)                                                                               \
  extern "C" void channel_sums_##NAME(const T *p, S *sums, int64_t rows, int64_t channels, int64_t inner, int64_t, int,   \
                                      int threads) {                                                                      \
    channel_sums(p, sums, Shape{rows, channels, inner, 0}, threads);                                                      \
  }                                                                                                                       \
  extern "C" void join_gradients_##NAME(const T *of_p, const S *of_sums, T *out, int64_t rows, int64_t channels,          \
                                        int64_t inner, int64_t, int, int threads) {                                       \
    join_gradients(of_p, of_sums, out, Shape{rows, channels, inner, 0}, threads);                                         \
  }

#define CONDUCTANCE_EXPORT_POOLED(T)                                                                                      \
  extern "C" void pool_##T(const T *z, T *m, T *out, int64_t rows, int64_t channels, int64_t inner, int64_t, int rectify, \
                           int threads) {                                                                                 \
    pool(z, m, out, Shape{rows, channels, inner, 0}, rectify != 0, threads);                                              \
  }                                                                                                                       \
  extern "C" void pooled_forward_##T(const T *both, T *z, T *D, T *m, T *out, int64_t rows, int64_t channels,             \
                                     int64_t inner, int64_t, int rectify, int threads) {                                  \
    pooled_forward(both, z, D, m, out, Shape{rows, channels, inner, 0}, rectify != 0, threads);                           \
  }                                                                                                                       \
  extern "C" void pooled_backward_##T(const T *grad, const T *z, const T *D, const T *m, T *common, T *to, int64_t rows,  \
                                      int64_t channels, int64_t inner, int64_t, int rectify, int threads) {               \
    pooled_backward(grad, z, D, m, common, to, Shape{rows, channels, inner, 0}, rectify != 0, threads);                   \
  }

extern "C" void split_bfloat16(const float *G, bfloat16 *rest, float *common, int64_t rows, int64_t, int64_t inner,
                               int64_t kinds, int many, int threads) {
  split(G, rest, common, Shape{rows, 1, inner, kinds}, many, threads);
}

CONDUCTANCE_EXPORT_POOLED(float)
CONDUCTANCE_EXPORT_POOLED(double)
CONDUCTANCE_EXPORT(float32, float, float, float)
CONDUCTANCE_EXPORT(float64, double, double, double)
CONDUCTANCE_EXPORT(bfloat16, bfloat16, float, bfloat16)
CONDUCTANCE_EXPORT(float32_in_float64, float, double, float)
CONDUCTANCE_EXPORT(float32_to_bfloat16, float, float, bfloat16)
CONDUCTANCE_EXPORT_SUMS(float32, float, float)
CONDUCTANCE_EXPORT_SUMS(float64, double, double)
CONDUCTANCE_EXPORT_SUMS(bfloat16, bfloat16, float)
CONDUCTANCE_EXPORT_SUMS(float32_in_float64, float, double)
