// Products of matrices whose factors are rounded to bfloat16, with float32 sums; `rounded.py` says when and why.
//
// Factors are brought into pairs of neighbours along the sum, as the processor's instruction takes them, piece by piece
// in the cache: no rounded copy of a large matrix goes through memory. A tile of 6 x 64 sums stays in the registers.
// The room that this takes is torch's, so that torch says where memory ends.
#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

extern "C" int omp_get_thread_num();

namespace {

struct bfloat16 {
  uint16_t bits;
};
using pair = uint32_t;
typedef uint16_t __attribute__((may_alias)) half_of_pair;

constexpr int64_t TALL = 6, WIDE = 64;
constexpr int64_t DEEP = 128;  // pairs: a panel of B, of 32 KB, stays in the first cache
constexpr int64_t ROWS = 48;   // what a thread takes at a time

inline uint16_t rounded(bfloat16 x) { return x.bits; }
inline uint16_t rounded(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return x != x ? 0x7fc0 : uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
inline float load(float x) { return x; }
inline float load(bfloat16 x) {
  const uint32_t bits = uint32_t(x.bits) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}
inline __m256i rounded16(const bfloat16 *x, int64_t) { return _mm256_loadu_si256((const __m256i *)x); }
inline __m256i rounded16(const float *x, int64_t further) {
  const __m512 values = _mm512_loadu_ps(x);
  return (__m256i)_mm512_cvtneps_pbh(further ? _mm512_add_ps(values, _mm512_loadu_ps(x + further)) : values);
}
inline void store(float &to, float x) { to = x; }
inline void store(bfloat16 &to, float x) { to.bits = rounded(x); }

inline int64_t pieces(int64_t n, int64_t size) { return (n + size - 1) / size; }
inline int64_t blocks_of(int64_t pairs) { return std::max<int64_t>(1, pieces(pairs, DEEP)); }  // an empty sum is 0
inline int64_t whole_lines(int64_t pairs) { return pieces(pairs, 16) * 16; }

// What a product writes down, in pairs: one factor, which all threads read, and then, for each of them, rows or columns
// of the other and sums.
struct Room {
  int64_t packed, rows, sums;
  int64_t all(int threads) const { return packed + threads * (rows + sums); }
  pair *of_thread(pair *room) const { return room + packed + omp_get_thread_num() * (rows + sums); }
};
inline int64_t length_of_rows(int64_t blocks) { return blocks * DEEP + 16; }  // no power of two: six share the cache
inline Room room_of_forward(int64_t N, int64_t, int64_t J) {
  const int64_t blocks = blocks_of(pieces(J, 2)), width = pieces(N, WIDE) * WIDE;
  return {blocks * width * DEEP, ROWS * length_of_rows(blocks), ROWS * width};
}
inline Room room_of_weights(int64_t N, int64_t, int64_t J) {
  return {pieces(J, WIDE) * pieces(N, 2) * WIDE, ROWS * pieces(N, 2), 0};
}
inline Room room_of_inputs(int64_t N, int64_t U, int64_t) {
  return {whole_lines(N * pieces(U, 2)), DEEP * WIDE, N * WIDE};
}

// A row of n numbers, or the sum of two rows, as pairs of neighbours: `pairs` of them, filled up with zeros.
void along(const float *row, const float *other, int64_t n, pair *to, int64_t pairs) {
  half_of_pair *out = (half_of_pair *)to;
  auto sixteen = [&](int64_t at) {
    const __m512 values = _mm512_loadu_ps(row + at);
    return other ? _mm512_add_ps(values, _mm512_loadu_ps(other + at)) : values;
  };
  int64_t i = 0;
  for (; i + 64 <= n; i += 64) {
    const __m512 a = sixteen(i), b = sixteen(i + 16), c = sixteen(i + 32), d = sixteen(i + 48);
    _mm512_storeu_si512(out + i, (__m512i)_mm512_cvtne2ps_pbh(b, a));
    _mm512_storeu_si512(out + i + 32, (__m512i)_mm512_cvtne2ps_pbh(d, c));
  }
  for (; i < 2 * pairs; ++i) out[i] = i < n ? rounded(other ? row[i] + other[i] : row[i]) : 0;
}
void along(const bfloat16 *row, const float *, int64_t n, pair *to, int64_t pairs) {
  half_of_pair *out = (half_of_pair *)to;
  if (n) std::memcpy(out, row, 2 * n);  // without rows there is no memory
  std::fill(out + n, out + 2 * pairs, 0);
}

// Two neighbouring rows of n numbers, or one and zeros, as pairs: `width` of them, filled up with zeros. To each number
// the one so much `further` along its row is added, where that is not 0.
template <class T>
void across(const T *row, int64_t stride, bool two, int64_t n, pair *to, int64_t width, int64_t further = 0) {
  const T *next = row + stride;
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const __m512i low = _mm512_cvtepu16_epi32(rounded16(row + i, further));
    const __m512i high =
        two ? _mm512_slli_epi32(_mm512_cvtepu16_epi32(rounded16(next + i, further)), 16) : _mm512_setzero_si512();
    _mm512_storeu_si512(to + i, _mm512_or_si512(low, high));
  }
  auto one = [&](const T *at) { return further ? rounded(load(at[0]) + load(at[further])) : rounded(at[0]); };
  for (; i < width; ++i) to[i] = i < n ? one(row + i) | (two ? pair(one(next + i)) << 16 : 0) : 0;
}

// C[m, 0..64] (+)= the sum over k of A[m, k] * B[k, 0..64]
template <int M>
void tile(const pair *A, int64_t next_m, int64_t next_k, const pair *B, int64_t depth, float *C, int64_t stride, bool add) {
  __m512 sum[M][4];
#pragma GCC unroll 6
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) sum[m][i] = _mm512_setzero_ps();
  for (int64_t k = 0; k < depth; ++k) {
    const __m512i *row = (const __m512i *)(B + k * WIDE);
    const __m512bh b[] = {(__m512bh)row[0], (__m512bh)row[1], (__m512bh)row[2], (__m512bh)row[3]};
#pragma GCC unroll 6
    for (int m = 0; m < M; ++m) {
      const __m512bh a = (__m512bh)_mm512_set1_epi32(A[m * next_m + k * next_k]);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) sum[m][i] = _mm512_dpbf16_ps(sum[m][i], a, b[i]);
    }
  }
#pragma GCC unroll 6
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      float *to = C + m * stride + 16 * i;
      _mm512_storeu_ps(to, add ? _mm512_add_ps(sum[m][i], _mm512_loadu_ps(to)) : sum[m][i]);
    }
}
constexpr decltype(&tile<1>) TILES[] = {nullptr, tile<1>, tile<2>, tile<3>, tile<4>, tile<5>, tile<6>};

// out[n, u] = bias[u] + the sum over j of x[n, j] G[u, j]
//
// Where G has J more columns (`twice`) and out U more, with E - I in them, D = E + I is summed instead, and both are
// replaced: E = (D + (E - I)) / 2 and I = (D - (E - I)) / 2, of which neither may be negative.
template <class X>
void forward(const X *x, int64_t x_row, const float *G, int64_t G_row, const float *bias, float *out, int64_t out_row,
             bool twice, int64_t N, int64_t U, int64_t J, pair *packed, int threads) {
  const int64_t pairs = pieces(J, 2), blocks = blocks_of(pairs), panels = pieces(N, WIDE), width = panels * WIDE;
  const int64_t length = length_of_rows(blocks);
  const Room room = room_of_forward(N, U, J);
  auto depth_of = [&](int64_t block) { return std::min(DEEP, pairs - block * DEEP); };
  auto numbers_of = [&](int64_t block) { return std::min(2 * DEEP, J - 2 * DEEP * block); };
  auto panel = [&](int64_t block, int64_t q) { return packed + (block * panels + q) * WIDE * DEEP; };
#pragma omp parallel for collapse(2) num_threads(threads) if (threads > 1)
  for (int64_t block = 0; block < blocks; ++block)
    for (int64_t n = 0; n < width; ++n) {
      alignas(64) pair row[DEEP];
      along(x + n * x_row + 2 * DEEP * block, nullptr, n < N ? numbers_of(block) : 0, row, DEEP);
      pair *to = panel(block, n / WIDE) + n % WIDE;
      for (int64_t k = 0; k < DEEP; ++k) to[k * WIDE] = row[k];
    }
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    pair *rows = room.of_thread(packed);
    float *sums = (float *)(rows + room.rows);
    alignas(64) float turned[16][ROWS];
#pragma omp for schedule(dynamic)
    for (int64_t u = 0; u < U; u += ROWS) {
      const int64_t here = std::min(ROWS, U - u);
      for (int64_t r = 0; r < here; ++r)
        along(G + (u + r) * G_row, twice ? G + (u + r) * G_row + J : nullptr, J, rows + r * length, pairs);
      for (int64_t block = 0; block < blocks; ++block)
        for (int64_t q = 0; q < panels; ++q)
          for (int64_t r = 0; r < here; r += TALL)
            TILES[std::min(TALL, here - r)](rows + r * length + block * DEEP, length, 1, panel(block, q), depth_of(block),
                                            sums + r * width + q * WIDE, width, block > 0);
      for (int64_t n = 0; n < N; n += 16) {
        for (int64_t r = 0; r < here; ++r)
          for (int64_t i = 0; i < 16; ++i) turned[i][r] = sums[r * width + n + i];
        for (int64_t i = 0; i < std::min<int64_t>(16, N - n); ++i) {
          float *E = out + (n + i) * out_row + u, *I = E + U;
          const float *to_E = bias + u, *to_I = to_E + U;
          if (!twice)
#pragma GCC ivdep
            for (int64_t r = 0; r < here; ++r) E[r] = turned[i][r] + to_E[r];
          else
#pragma GCC ivdep
            for (int64_t r = 0; r < here; ++r) {
              const float D = turned[i][r], difference = I[r];
              E[r] = std::max((D + difference) / 2, 0.f) + to_E[r];
              I[r] = std::max((D - difference) / 2, 0.f) + to_I[r];
            }
        }
      }
    }
  }
}

// Up to 64 numbers from aligned memory to where they will not be read soon.
inline void past_the_cache(const float *from, float *to, int64_t n) {
  if (n < WIDE || (uintptr_t)to % 64) {
    std::copy(from, from + n, to);
    return;
  }
  for (int64_t i = 0; i < WIDE; i += 16) _mm512_stream_ps(to + i, _mm512_load_ps(from + i));
}

// out[u, j] = the sum over n of k[n, u] x[n, j]
//
// Where k has U more columns (`twice`) and out J more, out holds the same of the differences of k's halves, M. Then S, that
// of their sums, is formed, and the gradients of both halves are written: (S + M) / 2 and (S - M) / 2.
template <class X>
void weights(const float *k, int64_t k_row, const X *x, int64_t x_row, float *out, int64_t out_row, bool twice, int64_t N,
             int64_t U, int64_t J, pair *packed, int threads) {
  const int64_t pairs = pieces(N, 2), panels = pieces(J, WIDE);
  const Room room = room_of_weights(N, U, J);
#pragma omp parallel for num_threads(threads) if (threads > 1)
  for (int64_t q = 0; q < panels; ++q)
    for (int64_t n = 0; n < pairs; ++n)
      across(x + 2 * n * x_row + q * WIDE, x_row, 2 * n + 1 < N, std::min(WIDE, J - q * WIDE),
             packed + (q * pairs + n) * WIDE, WIDE);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    pair *rows = room.of_thread(packed), line[ROWS];
    alignas(64) float sums[TALL * WIDE];
#pragma omp for schedule(dynamic)
    for (int64_t u = 0; u < U; u += ROWS) {
      const int64_t here = std::min(ROWS, U - u);
      for (int64_t n = 0; n < pairs; ++n) {
        across(k + 2 * n * k_row + u, k_row, 2 * n + 1 < N, here, line, here, twice ? U : 0);
        for (int64_t r = 0; r < here; ++r) rows[r / TALL * TALL * pairs + n * TALL + r % TALL] = line[r];
      }
      for (int64_t q = 0; q < panels; ++q)
        for (int64_t r = 0; r < here; r += TALL) {
          const int64_t tall = std::min(TALL, here - r), wide = std::min(WIDE, J - q * WIDE);
          const bool whole = !twice && wide == WIDE;
          float *to = out + (u + r) * out_row + q * WIDE;
          TILES[tall](rows + r * pairs, 1, TALL, packed + q * pairs * WIDE, pairs, whole ? to : sums,
                      whole ? out_row : WIDE, false);
          for (int64_t t = 0; t < tall && !whole; ++t, to += out_row) {
            if (!twice) {
              std::copy(sums + t * WIDE, sums + t * WIDE + wide, to);
              continue;
            }
            alignas(64) float second[WIDE];
#pragma GCC ivdep
            for (int64_t i = 0; i < wide; ++i) {
              const float S = sums[t * WIDE + i], M = to[i];
              to[i] = (S + M) / 2;
              second[i] = (S - M) / 2;
            }
            past_the_cache(second, to + J, wide);
          }
        }
    }
    _mm_sfence();
  }
}

// out[n, j] = the sum over u of k[n, u] G[u, j]
template <class X>
void inputs(const float *k, int64_t k_row, const float *G, int64_t G_row, X *out, int64_t out_row, int64_t N, int64_t U,
            int64_t J, pair *packed, int threads) {
  const int64_t pairs = pieces(U, 2), blocks = blocks_of(pairs);
  const Room room = room_of_inputs(N, U, J);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    pair *columns = room.of_thread(packed);
    float *sums = (float *)(columns + room.rows);
#pragma omp for
    for (int64_t n = 0; n < N; ++n) along(k + n * k_row, nullptr, U, packed + n * pairs, pairs);
#pragma omp for schedule(dynamic)
    for (int64_t j = 0; j < J; j += WIDE) {
      const int64_t wide = std::min(WIDE, J - j);
      for (int64_t block = 0; block < blocks; ++block) {
        const int64_t first = block * DEEP, depth = std::min(DEEP, pairs - first);
        for (int64_t u = 0; u < depth; ++u)
          across(G + 2 * (first + u) * G_row + j, G_row, 2 * (first + u) + 1 < U, wide, columns + u * WIDE, WIDE);
        for (int64_t n = 0; n < N; n += TALL)
          TILES[std::min(TALL, N - n)](packed + n * pairs + first, pairs, 1, columns, depth, sums + n * WIDE, WIDE,
                                       block > 0);
      }
      for (int64_t n = 0; n < N; ++n)
        for (int64_t i = 0; i < wide; ++i) store(out[n * out_row + j + i], sums[n * WIDE + i]);
    }
  }
}

}  // namespace

#define CONDUCTANCE_EXPORT_ROOM(NAME)                                                                                     \
  extern "C" int64_t pairs_of_##NAME(int64_t N, int64_t U, int64_t J, int threads) {                                      \
    return room_of_##NAME(N, U, J).all(threads);                                                                          \
  }

#define CONDUCTANCE_EXPORT(NAME, X)                                                                                       \
  extern "C" void forward_##NAME(const X *x, const float *G, const float *bias, float *out, pair *room, int64_t x_row,    \
                                 int64_t G_row, int64_t out_row, int64_t twice, int64_t N, int64_t U, int64_t J,          \
                                 int threads) {                                                                           \
    forward(x, x_row, G, G_row, bias, out, out_row, twice, N, U, J, room, threads);                                       \
  }                                                                                                                       \
  extern "C" void weights_##NAME(const float *k, const X *x, float *out, pair *room, int64_t k_row, int64_t x_row,        \
                                 int64_t out_row, int64_t twice, int64_t N, int64_t U, int64_t J, int threads) {          \
    weights(k, k_row, x, x_row, out, out_row, twice, N, U, J, room, threads);                                             \
  }                                                                                                                       \
  extern "C" void inputs_##NAME(const float *k, const float *G, X *out, pair *room, int64_t k_row, int64_t G_row,         \
                                int64_t out_row, int64_t N, int64_t U, int64_t J, int threads) {                          \
    inputs(k, k_row, G, G_row, out, out_row, N, U, J, room, threads);                                                     \
  }

CONDUCTANCE_EXPORT_ROOM(forward)
CONDUCTANCE_EXPORT_ROOM(weights)
CONDUCTANCE_EXPORT_ROOM(inputs)
CONDUCTANCE_EXPORT(float32, float)
CONDUCTANCE_EXPORT(bfloat16, bfloat16)
