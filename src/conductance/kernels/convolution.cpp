// A convolution and its average in one pass over what it reads: E and I never leave the first cache. `convolution.py`
// says when and why.
//
// A tile is some positions times some units, whose sums stay in the registers: first those of E, then those of I. What
// a tile reads is not gathered: for each tap of the kernel and each position there is a pointer to the channels there,
// or to zeros where the tap lies outside of the image.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

typedef float lanes __attribute__((vector_size(64), aligned(4), may_alias));
constexpr int64_t LANES = 16, TALL = 12, WIDE = 2 * LANES;
constexpr int64_t SMALL = 256;   // positions of images of which several are taken together
constexpr int64_t TOGETHER = 8;  // tiles that read a panel of conductances one after the other, from the second cache

// The numbers of torch's layout with the channels last; the kernel's in any layout, by its strides.
struct Shape {
  int64_t images, height, width, channels, rows, columns, units;
  int64_t taps_y, taps_x, stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x;
  int64_t first[2], number[2];  // channels of each kind
  int64_t unit, channel, tap_y, tap_x;  // strides of the conductances
};

inline int64_t pieces(int64_t n, int64_t size) { return (n + size - 1) / size; }

// Some positions, and what they read: for each tap that lies inside the image at any of them a pointer for each.
struct Tile {
  std::vector<const float *> seen;
  std::vector<int64_t> taps;
  int64_t to[TALL];  // where results go, in positions of the output; -1 for nowhere
};

// to[m, u] = leak[u] + the sum over taps t and channels k of seen[t][m][k] G[t, k, u]
void sums(const Tile &tile, int64_t first, int64_t channels, const float *conductances, const float *leak, float *to) {
  lanes sum[TALL][2];
#pragma GCC unroll 12
  for (int m = 0; m < TALL; ++m) sum[m][0] = sum[m][1] = lanes{};
  const float *const *seen = tile.seen.data();
  for (const int64_t tap : tile.taps) {
    const float *p[TALL], *G = conductances + tap * channels * WIDE;
#pragma GCC unroll 12
    for (int m = 0; m < TALL; ++m) p[m] = *seen++ + first;
#pragma GCC unroll 4
    for (int64_t k = 0; k < channels; ++k, G += WIDE) {
      const lanes left = *(const lanes *)G, right = *(const lanes *)(G + LANES);
#pragma GCC unroll 12
      for (int m = 0; m < TALL; ++m) {
        sum[m][0] += p[m][k] * left;
        sum[m][1] += p[m][k] * right;
      }
    }
  }
#pragma GCC unroll 12
  for (int m = 0; m < TALL; ++m)
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) *(lanes *)(to + m * WIDE + i * LANES) = sum[m][i] + *(const lanes *)(leak + i * LANES);
}

template <class V>
inline V load(const float *from) {
  V values;
  std::memcpy(&values, from, sizeof values);
  return values;
}
template <class V>
inline void store(float *to, V values) {
  std::memcpy(to, &values, sizeof values);
}

// z of one unit or of several, or p, or, with a shortcut, the p of their mean; D = E + I where there is room for it.
template <class V>
inline void average(const float *E, const float *I, const float *shortcut, float *z, float *D, bool rectify) {
  const V e = load<V>(E), i = load<V>(I), d = e + i;
  V v = (e - i) / d;
  if (D) store(D, d);
  if (shortcut) v = (v + load<V>(shortcut)) * .5f;
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

// The conductances of so many units in the order in which `sums` reads them, zeros where there are no more units.
void panel(const float *G, const Shape &s, int64_t channels, int64_t units, float *to) {
  for (int64_t y = 0; y < s.taps_y; ++y)
    for (int64_t x = 0; x < s.taps_x; ++x, to += channels * WIDE) {
      const float *from = G + y * s.tap_y + x * s.tap_x;
      int64_t k = 0;
      for (; units == WIDE && s.channel == 1 && k + LANES <= channels; k += LANES)
        for (int64_t u = 0; u < WIDE; u += LANES) {
          lanes rows[LANES];
#pragma GCC unroll 16
          for (int i = 0; i < LANES; ++i) rows[i] = *(const lanes *)(from + (u + i) * s.unit + k);
          mirror(rows);
#pragma GCC unroll 16
          for (int i = 0; i < LANES; ++i) *(lanes *)(to + (k + i) * WIDE + u) = rows[i];
        }
      for (; k < channels; ++k)
        for (int64_t u = 0; u < WIDE; ++u) to[k * WIDE + u] = u < units ? from[u * s.unit + k * s.channel] : 0;
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
void look(const float *p, const Shape &s, int64_t joined, const float *closed, Place &place, Tile &tile) {
  const int64_t taps_x = s.taps_x / joined;
  int64_t top[TALL], left[TALL];
  const float *image[TALL];
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
      const float *seen[TALL];
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

// How many numbers the conductances of one kind are, of the units of one panel.
inline int64_t size_of(const Shape &s, int kind) { return s.taps_y * s.taps_x * s.number[kind] * WIDE; }

}  // namespace

// The room that `averaged_convolution` takes, in numbers; torch gives it, and says where memory ends.
extern "C" int64_t room_of_convolution(const int64_t *sizes) {
  Shape s;
  std::memcpy(&s, sizes, sizeof s);
  return pieces(s.units, WIDE) * (size_of(s, 0) + size_of(s, 1));
}

extern "C" void averaged_convolution(const float *p, const float *to_E, const float *to_I, const float *leak,
                                     const float *shortcut, float *z, float *D, float *packed, const int64_t *sizes,
                                     int rectify, int threads) {
  Shape s;
  std::memcpy(&s, sizes, sizeof s);
  const bool whole_rows = s.padding_x == 0 && s.dilation_x == 1 && std::min(s.number[0], s.number[1]) == s.channels;
  const int64_t joined = whole_rows ? s.taps_x : 1;  // taps that are neighbours in memory and are read as one
  const bool pads = s.padding_y > 0 || s.padding_x > 0;
  const int64_t beside = pads && s.rows * s.columns <= SMALL ? TALL : 1;
  const int64_t positions = s.images * s.rows * s.columns, tiles = pieces(positions, TALL), panels = pieces(s.units, WIDE);
  const int64_t together = std::clamp<int64_t>(tiles / (2 * threads), 1, TOGETHER);
  const int64_t size_of_E = size_of(s, 0), size = size_of_E + size_of(s, 1);
  const std::vector<float> closed(joined * s.channels);
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
      panel(to_E + q * WIDE * s.unit, s, s.number[0], units, packed + q * size);
      panel(to_I + q * WIDE * s.unit, s, s.number[1], units, packed + q * size + size_of_E);
    }
#pragma omp for schedule(dynamic)
    for (int64_t from = 0; from < tiles; from += together) {
      const int64_t here = std::min(together, tiles - from);
      Place place(s, beside, from * TALL);
      for (int64_t t = 0; t < here; ++t) look(p, s, joined, closed.data(), place, group[t]);
      for (int64_t q = 0; q < panels; ++q)
        for (int64_t t = 0; t < here; ++t) {
          const float *G = packed + q * size, *leak_E = leaks.data() + q * WIDE, *leak_I = leak_E + panels * WIDE;
          sums(group[t], s.first[0], joined * s.number[0], G, leak_E, E);
          sums(group[t], s.first[1], joined * s.number[1], G + size_of_E, leak_I, I);
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
