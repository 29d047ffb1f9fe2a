// A convolution and its average in one pass over what it reads: E and I never leave the first cache. `convolution.py`
// says when and why.
//
// A tile is some positions times some units, whose sums stay in the registers: first those of E, then those of I. What
// a tile reads is not gathered: for each tap of the kernel and each position there is a pointer to the channels there,
// or to zeros where the tap lies outside of the image.
//
// In bfloat16 the numbers of two neighbouring channels are one word, of which the processor's instruction multiplies and
// adds both to a float32 sum; in float32 a word is one number. All that walks over channels counts words.
#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

typedef float lanes __attribute__((vector_size(64), aligned(4), may_alias));
using word = float;
struct bfloat16 {
  uint16_t bits;
};
template <class X>
constexpr int64_t IN_A_WORD = sizeof(word) / sizeof(X);
constexpr int64_t LANES = 16, TALL = 12, WIDE = 2 * LANES;
constexpr int64_t SMALL = 256;   // positions of images of which several are taken together
constexpr int64_t TOGETHER = 8;  // tiles that read a panel of conductances one after the other, from the second cache

// The images have their channels last; the conductances, always float32, lie in any order.
struct Shape {
  int64_t images, height, width, channels, rows, columns, units;
  int64_t taps_y, taps_x, stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x;
  int64_t first[2], number[2];  // words of each kind's channels, as `channels` counts words
  int64_t unit, channel, tap_y, tap_x;  // strides of the conductances
};

inline int64_t pieces(int64_t n, int64_t size) { return (n + size - 1) / size; }

// Some positions, and what they read: for each tap that lies inside the image at any of them a pointer for each.
struct Tile {
  std::vector<const word *> seen;
  std::vector<int64_t> taps;
  int64_t to[TALL];  // where results go, in positions of the output; -1 for nowhere
};

// to[m, u] = leak[u] + the sum over taps t and words k of seen[t][m][k] G[t, k, u]
template <class X>
__attribute__((target("avx512bf16"))) void sums(const Tile &tile, int64_t first, int64_t channels, const word *conductances,
                                                const float *leak, float *to) {
  lanes sum[TALL][2];
#pragma GCC unroll 12
  for (int m = 0; m < TALL; ++m) sum[m][0] = sum[m][1] = lanes{};
  const word *const *seen = tile.seen.data();
  for (const int64_t tap : tile.taps) {
    const word *p[TALL], *G = conductances + tap * channels * WIDE;
#pragma GCC unroll 12
    for (int m = 0; m < TALL; ++m) p[m] = *seen++ + first;
    for (int64_t k = 0; k < channels; ++k, G += WIDE) {
      const lanes left = *(const lanes *)G, right = *(const lanes *)(G + LANES);
#pragma GCC unroll 12
      for (int m = 0; m < TALL; ++m) {
        if constexpr (IN_A_WORD<X> == 2) {
          const __m512bh both = (__m512bh)_mm512_set1_ps(p[m][k]);
          sum[m][0] = _mm512_dpbf16_ps(sum[m][0], both, (__m512bh)left);
          sum[m][1] = _mm512_dpbf16_ps(sum[m][1], both, (__m512bh)right);
        } else {
          sum[m][0] += p[m][k] * left;
          sum[m][1] += p[m][k] * right;
        }
      }
    }
  }
#pragma GCC unroll 12
  for (int m = 0; m < TALL; ++m)
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) *(lanes *)(to + m * WIDE + i * LANES) = sum[m][i] + *(const lanes *)(leak + i * LANES);
}

// One number or sixteen.
template <class V>
inline void load(const float *from, V &values) {
  std::memcpy(&values, from, sizeof values);
}
inline void load(const bfloat16 *from, float &value) {
  const uint32_t bits = uint32_t(from->bits) << 16;
  std::memcpy(&value, &bits, 4);
}
inline void load(const bfloat16 *from, lanes &values) {
  values = (lanes)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)from)), 16);
}
inline uint16_t rounded(float x) {  // to the nearest, ties to even; NaN stays NaN
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return x != x ? 0x7fc0 : uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
template <class V>
inline void store(float *to, V values) {
  std::memcpy(to, &values, sizeof values);
}
inline void store(bfloat16 *to, float value) { to->bits = rounded(value); }
__attribute__((target("avx512bf16"))) void store(bfloat16 *to, lanes values) {
  _mm256_storeu_si256((__m256i *)to, (__m256i)_mm512_cvtneps_pbh(values));
}

// z of one unit or of several, or p, or, with a shortcut, the p of their mean; D = E + I where there is room for it.
template <class V, class X>
inline void average(const float *E, const float *I, const X *shortcut, X *z, X *D, bool rectify) {
  V e, i, s;
  load(E, e), load(I, i);
  const V d = e + i;
  V v = (e - i) / d;
  if (D) store(D, d);
  if (shortcut) load(shortcut, s), v = (v + s) * .5f;
  store(z, rectify ? (v < 0 ? V{} : v) : v);  // NaN stays NaN
}

// A square of numbers, mirrored: blocks of 8 x 8 are exchanged, in each of them blocks of 4 x 4, and so on.
inline void mirror(lanes (&rows)[LANES]) {
  typedef int places __attribute__((vector_size(64)));
#pragma GCC unroll 4
  for (int half = LANES / 2; half; half /= 2) {
    places upper, lower;
    for (int i = 0; i < LANES; ++i) upper[i] = i & half ? LANES + i - half : i, lower[i] = i & half ? LANES + i : i + half;
#pragma GCC unroll 16
    for (int i = 0; i < LANES; ++i)
      if (!(i & half)) {
        const lanes a = rows[i], b = rows[i + half];
        rows[i] = __builtin_shuffle(a, b, upper), rows[i + half] = __builtin_shuffle(a, b, lower);
      }
  }
}

// A word of conductances, and sixteen words that lie beside one another.
inline word word_of(const float *G, int64_t, float) { return *G; }
inline word word_of(const float *G, int64_t next, bfloat16) {
  const uint32_t both = rounded(G[0]) | uint32_t(rounded(G[next])) << 16;
  word result;
  std::memcpy(&result, &both, 4);
  return result;
}
inline lanes words_of(const float *G, float) { return *(const lanes *)G; }
__attribute__((target("avx512bf16"))) lanes words_of(const float *G, bfloat16) {
  return (lanes)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(G + LANES), _mm512_loadu_ps(G));
}

// The conductances of so many units in the order in which `sums` reads them, zeros where there are no more units.
template <class X>
void panel(const float *G, const Shape &s, int64_t words, int64_t units, word *to) {
  for (int64_t y = 0; y < s.taps_y; ++y)
    for (int64_t x = 0; x < s.taps_x; ++x, to += words * WIDE) {
      const float *from = G + y * s.tap_y + x * s.tap_x;
      int64_t k = 0;
      for (; units == WIDE && s.channel == 1 && k + LANES <= words; k += LANES)
        for (int64_t u = 0; u < WIDE; u += LANES) {
          lanes rows[LANES];
#pragma GCC unroll 16
          for (int i = 0; i < LANES; ++i) rows[i] = words_of(from + (u + i) * s.unit + k * IN_A_WORD<X>, X());
          mirror(rows);
#pragma GCC unroll 16
          for (int i = 0; i < LANES; ++i) *(lanes *)(to + (k + i) * WIDE + u) = rows[i];
        }
      for (; k < words; ++k)
        for (int64_t u = 0; u < WIDE; ++u)
          to[k * WIDE + u] = u < units ? word_of(from + u * s.unit + k * IN_A_WORD<X> * s.channel, s.channel, X()) : 0;
    }
}

// Positions in the order in which tiles take them: of so many images `beside` one another the first position, then the
// second, so that in small images the taps that lie outside are the same for a whole tile, which skips them.
struct Place {
  const Shape &s;
  int64_t beside, block, width, image, y, x;  // image: of the block, which is so many images wide

  Place(const Shape &shape, int64_t images, int64_t at) : s(shape), beside(images) {
    const int64_t each = s.rows * s.columns;
    begin(at / (each * beside) * beside);
    const int64_t within = at - block * each;
    image = within % width, y = within / width / s.columns, x = within / width % s.columns;
  }
  void begin(int64_t first) { block = first, width = std::min(beside, s.images - block), image = y = x = 0; }
  bool exists() const { return width > 0; }
  void next() {
    if (++image < width) return;
    image = 0;
    if (++x < s.columns) return;
    x = 0;
    if (++y == s.rows) begin(block + beside);
  }
};

// Fill a tile with the next positions.
void look(const word *p, const Shape &s, int64_t joined, const word *closed, Place &place, Tile &tile) {
  const int64_t taps_x = s.taps_x / joined;
  int64_t top[TALL], left[TALL];
  const word *image[TALL];
  for (int64_t m = 0; m < TALL; ++m) {
    tile.to[m] = -1;
    if (!place.exists()) continue;
    const int64_t number = place.block + place.image;
    top[m] = place.y * s.stride_y - s.padding_y, left[m] = place.x * s.stride_x - s.padding_x;
    tile.to[m] = (number * s.rows + place.y) * s.columns + place.x, image[m] = p + number * s.height * s.width * s.channels;
    place.next();
  }
  tile.seen.clear(), tile.taps.clear();
  for (int64_t i = 0; i < s.taps_y; ++i)
    for (int64_t j = 0; j < taps_x; ++j) {
      const word *seen[TALL];
      bool open = false;
      for (int64_t m = 0; m < TALL; ++m) {
        const int64_t y = top[m] + i * s.dilation_y, x = left[m] + j * s.dilation_x;
        const bool inside = tile.to[m] >= 0 && y >= 0 && y < s.height && x >= 0 && x < s.width;
        seen[m] = inside ? image[m] + (y * s.width + x) * s.channels : closed;
        open |= inside;
        if (inside && i == s.taps_y - 1 && j == taps_x / 2)  // that no tile waits for what is read for the first time
          for (int64_t k = 0; k < s.channels; k += LANES) __builtin_prefetch(seen[m] + k, 0, 2);
      }
      if (!open) continue;
      tile.taps.push_back(i * taps_x + j);
      tile.seen.insert(tile.seen.end(), seen, seen + TALL);
    }
}

template <class T>
inline T *at(T *tensor, int64_t offset) {  // of one that may be missing
  return tensor ? tensor + offset : tensor;
}

// `packed` is room for the conductances of all panels, one panel after the other, of each first those to E.
template <class X>
void averaged_convolution(const X *images, const float *to_E, const float *to_I, const float *leak, word *packed,
                          const X *shortcut, X *z, X *D, const int64_t *sizes, bool rectify, int threads) {
  Shape s;
  std::memcpy(&s, sizes, sizeof s);
  for (int64_t *channels : {&s.channels, s.first, s.first + 1, s.number, s.number + 1}) *channels /= IN_A_WORD<X>;
  const word *p = (const word *)images;
  const bool whole_rows = s.padding_x == 0 && s.dilation_x == 1 && std::min(s.number[0], s.number[1]) == s.channels;
  const int64_t joined = whole_rows ? s.taps_x : 1;  // taps that are neighbours in memory and are read as one
  const bool pads = s.padding_y > 0 || s.padding_x > 0;
  const int64_t beside = pads && s.rows * s.columns <= SMALL ? TALL : 1;
  const int64_t positions = s.images * s.rows * s.columns, tiles = pieces(positions, TALL), panels = pieces(s.units, WIDE);
  const int64_t together = std::clamp<int64_t>(tiles / (2 * threads), 1, TOGETHER);
  const int64_t size_of_E = s.taps_y * s.taps_x * s.number[0] * WIDE, size_of_I = s.taps_y * s.taps_x * s.number[1] * WIDE;
  const int64_t size = size_of_E + size_of_I;
  const std::vector<word> closed(joined * s.channels);
  std::vector<float> leaks(2 * panels * WIDE, 1);
  std::copy(leak, leak + s.units, leaks.data());
  std::copy(leak + s.units, leak + 2 * s.units, leaks.data() + panels * WIDE);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    std::vector<Tile> group(together);
    alignas(64) float E[TALL * WIDE], I[TALL * WIDE];
#pragma omp for
    for (int64_t q = 0; q < panels; ++q) {
      const int64_t units = std::min(WIDE, s.units - q * WIDE);
      panel<X>(to_E + q * WIDE * s.unit, s, s.number[0], units, packed + q * size);
      panel<X>(to_I + q * WIDE * s.unit, s, s.number[1], units, packed + q * size + size_of_E);
    }
#pragma omp for schedule(dynamic)
    for (int64_t from = 0; from < tiles; from += together) {
      const int64_t here = std::min(together, tiles - from);
      Place place(s, beside, from * TALL);
      for (int64_t t = 0; t < here; ++t) look(p, s, joined, closed.data(), place, group[t]);
      for (int64_t q = 0; q < panels; ++q)
        for (int64_t t = 0; t < here; ++t) {
          const float *G = packed + q * size, *leak_E = leaks.data() + q * WIDE, *leak_I = leak_E + panels * WIDE;
          sums<X>(group[t], s.first[0], joined * s.number[0], G, leak_E, E);
          sums<X>(group[t], s.first[1], joined * s.number[1], G + size_of_E, leak_I, I);
          for (int64_t m = 0; m < TALL && group[t].to[m] >= 0; ++m) {
            const int64_t to = group[t].to[m] * s.units + q * WIDE, units = std::min(WIDE, s.units - q * WIDE);
            int64_t u = 0;
            for (; u + LANES <= units; u += LANES)
              average<lanes>(E + m * WIDE + u, I + m * WIDE + u, at(shortcut, to + u), z + to + u, at(D, to + u), rectify);
            for (; u < units; ++u)
              average<float>(E + m * WIDE + u, I + m * WIDE + u, at(shortcut, to + u), z + to + u, at(D, to + u), rectify);
          }
        }
    }
  }
}

}  // namespace

#define CONDUCTANCE_EXPORT(NAME, X)                                                                                       \
  extern "C" void averaged_convolution_##NAME(const X *p, const float *to_E, const float *to_I, const float *leak,        \
                                              float *room, const X *shortcut, X *z, X *D, const int64_t *sizes,           \
                                              int rectify, int threads) {                                                 \
    averaged_convolution(p, to_E, to_I, leak, room, shortcut, z, D, sizes, rectify != 0, threads);                        \
  }

CONDUCTANCE_EXPORT(float32, float)
CONDUCTANCE_EXPORT(bfloat16, bfloat16)
