// Hamming distances of packed codes, and where the relevant items of a ranking lie, without sorting.
//
// Codes are 64-bit words, word by word: word w of code i of n is at [w * n + i]. A ranking puts items of one distance in
// the order in which they come, so an item's rank is the number of nearer items, plus the number of items that come
// before it at its distance, plus 1: one walk over the items counts the latter, and the counts of all items give the
// former. Plain C on the outside, so that it compiles in a second, without torch's headers.

#include <algorithm>
#include <cstdint>
#include <vector>

namespace {

// Distances of one code to all items, in a type that holds one more than the number of bits.
template <typename Distance>
void distances_of(const uint64_t* query, int64_t queries, const uint64_t* words, int64_t width, int64_t items,
                  Distance* __restrict out) {
  for (int64_t w = 0; w < width; ++w) {
    const uint64_t own = query[w * queries];
    const uint64_t* others = words + w * items;
    if (w == 0) {
      for (int64_t j = 0; j < items; ++j) out[j] = static_cast<Distance>(__builtin_popcountll(own ^ others[j]));
    } else {
      for (int64_t j = 0; j < items; ++j) out[j] += static_cast<Distance>(__builtin_popcountll(own ^ others[j]));
    }
  }
}

// The members of any of a query's classes.
void unite(const uint8_t* labels, const uint8_t* members, int64_t classes, int64_t items, uint8_t* __restrict out) {
  std::fill_n(out, items, uint8_t{0});
  for (int64_t c = 0; c < classes; ++c, members += items) {
    if (!labels[c]) continue;
    for (int64_t j = 0; j < items; ++j) out[j] |= members[j];
  }
}

// Counts items per distance, and writes down each relevant item as its distance and its place among the items of this
// distance. Written down is every item, each over the last unless that was relevant, as a branch would be guessed wrong.
int64_t walk(const uint32_t* distances, const uint8_t* relevant, int64_t items, uint32_t* __restrict counts,
             uint64_t* __restrict found) {
  const uint64_t* const start = found;
  for (int64_t j = 0; j < items; ++j) {
    const uint64_t distance = distances[j];
    const uint64_t place = counts[distance]++;
    *found = distance << 32 | place;
    found += relevant[j];
  }
  return found - start;
}

template <typename Distance>
void distances(const uint64_t* queries, int64_t rows, const uint64_t* words, int64_t width, int64_t items,
               Distance* out) {
  for (int64_t i = 0; i < rows; ++i) distances_of(queries + i, rows, words, width, items, out + i * items);
}

}  // namespace

extern "C" {

void distances_8(const uint64_t* a, int64_t rows, const uint64_t* b, int64_t width, int64_t items, uint8_t* out) {
  distances(a, rows, b, width, items, out);
}

void distances_16(const uint64_t* a, int64_t rows, const uint64_t* b, int64_t width, int64_t items, uint16_t* out) {
  distances(a, rows, b, width, items, out);
}

void distances_32(const uint64_t* a, int64_t rows, const uint64_t* b, int64_t width, int64_t items, uint32_t* out) {
  distances(a, rows, b, width, items, out);
}

// Of each query: items and relevant items at distance 0..bits (hit_counts comes as zeros), and the ranks of the relevant
// items, ascending, one query after the other. Item j is relevant to query i if labels[i * classes + c] and
// members[c * items + j] for some c, unless it is own[i], the item to leave out, or -1.
void rank(const uint64_t* queries, int64_t rows, const uint64_t* words, int64_t width, int64_t items,
          const uint8_t* labels, const uint8_t* members, int64_t classes, const int64_t* own, int64_t bits,
          int64_t* item_counts, int64_t* hit_counts, int64_t* ranks) {
  const int64_t levels = bits + 1;
  std::vector<uint32_t> distances(items);
  std::vector<uint8_t> relevant(items);
  std::vector<uint64_t> found(items + 1);
  std::vector<uint32_t> counts(levels + 1);
  std::vector<int64_t> nearer(levels + 1), slots(levels + 1);
  for (int64_t i = 0; i < rows; ++i, item_counts += levels, hit_counts += levels, labels += classes) {
    distances_of(queries + i, rows, words, width, items, distances.data());
    unite(labels, members, classes, items, relevant.data());
    if (own[i] >= 0) {
      distances[own[i]] = static_cast<uint32_t>(levels);  // past all that is ranked
      relevant[own[i]] = 0;
    }
    counts.assign(levels + 1, 0);
    const int64_t hits = walk(distances.data(), relevant.data(), items, counts.data(), found.data());
    for (int64_t h = 0; h < hits; ++h) ++hit_counts[found[h] >> 32];
    nearer[0] = slots[0] = 0;
    for (int64_t d = 0; d < levels; ++d) {
      item_counts[d] = counts[d];
      nearer[d + 1] = nearer[d] + item_counts[d];
      slots[d + 1] = slots[d] + hit_counts[d];
    }
    for (int64_t h = 0; h < hits; ++h) {
      const uint64_t distance = found[h] >> 32;
      ranks[slots[distance]++] = nearer[distance] + static_cast<int64_t>(found[h] & 0xffffffff) + 1;
    }
    ranks += hits;
  }
}
}
