// What an optimizer does to each parameter, in one pass; `steps.py` says what the arguments are.
#include <cmath>
#include <cstdint>

namespace {
constexpr int64_t BLOCK = 1 << 14;

template <class F>
void for_blocks(int64_t n, int threads, F f) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
  for (int64_t start = 0; start < n; start += BLOCK) f(start, start + BLOCK < n ? start + BLOCK : n);
}
inline float kept(float x, float least) { return x < least ? least : x; }  // NaN stays NaN
}  // namespace

extern "C" void adam(float *g, const float *gradient, float *mean, float *square, int64_t n, float step, float beta1,
                     float beta2, float root, float eps, float least, int threads) {
  for_blocks(n, threads, [=](int64_t start, int64_t end) {
#pragma GCC ivdep
    for (int64_t i = start; i < end; ++i) {
      mean[i] += (1 - beta1) * (gradient[i] - mean[i]);
      square[i] = beta2 * square[i] + (1 - beta2) * gradient[i] * gradient[i];
      g[i] = kept(g[i] - step * mean[i] / (std::sqrt(square[i]) / root + eps), least);
    }
  });
}

// Rows of `width` neighbours, so far apart as `stride` says; those of `step` lie one after the other.
extern "C" void subtract(float *g, const float *step, int64_t rows, int64_t width, int64_t stride, float least, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
  for (int64_t row = 0; row < rows; ++row) {
    float *to = g + row * stride;
    const float *from = step + row * width;
#pragma GCC ivdep
    for (int64_t i = 0; i < width; ++i) to[i] = kept(to[i] - from[i], least);
  }
}
