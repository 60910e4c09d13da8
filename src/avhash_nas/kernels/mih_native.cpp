// Multi-index hashing: exact nearest codes by Hamming distance from tables of substrings (Norouzi, Punjani and Fleet,
// "Fast Exact Search in Hamming Space With Multi-Index Hashing", TPAMI 2014).
//
// Codes are rows of W 64-bit words. A code is cut into m substrings of consecutive bits; table j holds all codes, sorted
// by substring j, and the offset of each of its 2^length buckets. Two codes at distance at most m r + j agree up to r
// bits in one of the first j + 1 substrings or up to r - 1 bits in one of the others. So the tables are asked for
// radius 0, 1, 2, ..., one after the other, until the k nearest codes found lie within the distance that is complete.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

constexpr int64_t kBlock = 128;       // buckets that are fetched at once
constexpr int64_t kLookupCost = 12;   // of one bucket, in codes scanned in the same time
constexpr int64_t kEntryCost = 2;     // of one code in a bucket, likewise
constexpr int64_t kBudgetShare = 4;   // a search that would cost more than a quarter of a scan is a scan
constexpr int64_t kScanBlock = 1024;  // codes whose distances are computed at once
constexpr int64_t kHeapSize = 64;     // more answers than this are placed by counting

struct Table {
  int64_t start, length;
  const uint32_t* offsets;
  const uint64_t* codes;
  const uint32_t* rows;
};

template <int W>
inline uint32_t substring(const uint64_t* code, int64_t start, int64_t length) {
  const int64_t word = start >> 6, bit = start & 63;
  uint64_t value = code[word] >> bit;
  if (bit + length > 64 && word + 1 < W) value |= code[word + 1] << (64 - bit);
  return static_cast<uint32_t>(value & ((uint64_t{1} << length) - 1));
}

template <int W>
inline int64_t distance(const uint64_t* a, const uint64_t* b) {
  int64_t sum = 0;
  for (int w = 0; w < W; ++w) sum += __builtin_popcountll(a[w] ^ b[w]);
  return sum;
}

inline uint64_t key_of(int64_t distance, int64_t row) {
  return static_cast<uint64_t>(distance) << 32 | static_cast<uint64_t>(row);
}

// The k smallest of all keys offered; a key is distance << 32 | row, so that equal distances come by row.
class Nearest {
 public:
  explicit Nearest(int64_t k) : k_(static_cast<size_t>(k)) { heap_.reserve(k_); }
  bool full() const { return heap_.size() == k_; }
  uint64_t worst() const { return full() ? heap_.front() : ~uint64_t{0}; }
  int64_t reach() const { return full() ? static_cast<int64_t>(heap_.front() >> 32) : INT64_MAX; }
  void offer(uint64_t key) {
    if (!full()) {
      heap_.push_back(key);
      std::push_heap(heap_.begin(), heap_.end());
    } else if (key < heap_.front()) {
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.back() = key;
      std::push_heap(heap_.begin(), heap_.end());
    }
  }
  void clear() { heap_.clear(); }
  const std::vector<uint64_t>& sorted() {
    std::sort_heap(heap_.begin(), heap_.end());
    return heap_;
  }

 private:
  size_t k_;
  std::vector<uint64_t> heap_;
};

// The keys of the k nearest of all codes, ascending. Few are kept in a heap while the codes stream by; for many, the
// distances are counted first, which gives the distance of the farthest answer.
template <int W>
void scan(const Table& table, int64_t n, const uint64_t* query, int64_t bits, int64_t k, std::vector<uint64_t>& keys) {
  uint64_t q[W];
  std::memcpy(q, query, sizeof(q));
  if (k <= kHeapSize) {
    Nearest nearest(k);
    uint16_t distances[kScanBlock];
    for (int64_t start = 0; start < n; start += kScanBlock) {
      const int64_t count = std::min(kScanBlock, n - start);
      const uint64_t* block = table.codes + start * W;
      for (int64_t i = 0; i < count; ++i) distances[i] = static_cast<uint16_t>(distance<W>(q, block + i * W));
      if (nearest.full()) {
        const auto reach = static_cast<uint16_t>(nearest.reach());
        bool any = false;
        for (int64_t i = 0; i < count; ++i) any |= distances[i] <= reach;
        if (!any) continue;
      }
      for (int64_t i = 0; i < count; ++i) {
        if (distances[i] <= nearest.reach()) nearest.offer(key_of(distances[i], table.rows[start + i]));
      }
    }
    keys = nearest.sorted();
    return;
  }
  std::vector<uint16_t> distances(n);
  std::vector<int64_t> counts(bits + 1);
  for (int64_t i = 0; i < n; ++i) distances[i] = static_cast<uint16_t>(distance<W>(q, table.codes + i * W));
  for (int64_t i = 0; i < n; ++i) ++counts[distances[i]];
  int64_t last = 0, nearer = 0;
  while (nearer + counts[last] < k) nearer += counts[last++];
  keys.clear();
  keys.reserve(nearer + counts[last]);
  for (int64_t i = 0; i < n; ++i) {
    if (distances[i] <= last) keys.push_back(key_of(distances[i], table.rows[i]));
  }
  std::nth_element(keys.begin(), keys.begin() + (k - 1), keys.end());
  keys.resize(k);
  std::sort(keys.begin(), keys.end());
}

template <int W>
class Search {
 public:
  Search(const std::vector<Table>& tables, int64_t n, int64_t bits, int64_t budget)
      : tables_(tables), n_(n), bits_(bits), budget_(budget) {}

  // Whether the answer is complete; if not, a scan costs less.
  bool run(const uint64_t* query, Nearest& nearest) {
    query_ = query;
    nearest.clear();
    lookups_ = entries_ = 0;
    const int64_t m = static_cast<int64_t>(tables_.size());
    std::vector<double> buckets(tables_.size(), 1.0);  // at the present radius
    for (int64_t radius = 0; radius <= tables_[0].length; ++radius) {
      for (int64_t j = 0; j < m; ++j) {
        const Table& table = tables_[j];
        if (radius <= table.length) {
          const double per_bucket =
              kLookupCost + kEntryCost * static_cast<double>(n_) / static_cast<double>(int64_t{1} << table.length);
          if (static_cast<double>(cost()) + buckets[j] * per_bucket > static_cast<double>(budget_)) return false;
          if (!ask(j, radius, nearest)) return false;
          buckets[j] *= static_cast<double>(table.length - radius) / static_cast<double>(radius + 1);
        }
        const int64_t complete = m * radius + j;
        if (nearest.reach() <= complete || complete >= bits_) return true;
      }
    }
    return true;
  }

  int64_t lookups() const { return lookups_; }
  int64_t entries() const { return entries_; }

 private:
  int64_t cost() const { return kLookupCost * lookups_ + kEntryCost * entries_; }

  // All buckets of table j at exactly this radius from the query's; false once the budget is spent.
  bool ask(int64_t j, int64_t radius, Nearest& nearest) {
    const Table& table = tables_[j];
    const uint32_t key = substring<W>(query_, table.start, table.length);
    const uint64_t end = uint64_t{1} << table.length;
    uint32_t block[kBlock];
    uint64_t mask = (uint64_t{1} << radius) - 1;
    bool more = true;
    while (more) {
      int64_t count = 0;
      while (more && count < kBlock) {
        block[count] = key ^ static_cast<uint32_t>(mask);
        __builtin_prefetch(table.offsets + block[count]);
        ++count;
        more = radius > 0 && next(mask) < end;
        if (more) mask = next(mask);
      }
      for (int64_t i = 0; i < count; ++i) __builtin_prefetch(table.codes + W * int64_t{table.offsets[block[i]]});
      for (int64_t i = 0; i < count; ++i) {
        const int64_t first = table.offsets[block[i]], last = table.offsets[block[i] + 1];
        entries_ += last - first;
        if (cost() > budget_) return false;
        for (int64_t e = first; e < last; ++e) consider(table, e, j, radius, nearest);
      }
      lookups_ += count;
    }
    return true;
  }

  static uint64_t next(uint64_t mask) {  // the next larger number with as many bits
    const uint64_t low = mask & -mask, carried = mask + low;
    return carried | (((mask ^ carried) >> 2) / low);
  }

  void consider(const Table& table, int64_t entry, int64_t j, int64_t radius, Nearest& nearest) {
    const uint64_t* code = table.codes + W * entry;
    const int64_t d = distance<W>(query_, code);
    if (d > nearest.reach()) return;
    const uint64_t key = key_of(d, table.rows[entry]);
    if (key < nearest.worst() && !met_before(code, j, radius)) nearest.offer(key);
  }

  // Whether another table gave this code already: at a smaller radius, or before this one at the same.
  bool met_before(const uint64_t* code, int64_t j, int64_t radius) const {
    uint64_t difference[W];
    for (int w = 0; w < W; ++w) difference[w] = query_[w] ^ code[w];
    for (int64_t i = 0; i < static_cast<int64_t>(tables_.size()); ++i) {
      const int64_t d = __builtin_popcount(substring<W>(difference, tables_[i].start, tables_[i].length));
      if (i != j && (d < radius || (d == radius && i < j))) return true;
    }
    return false;
  }

  const std::vector<Table>& tables_;
  const int64_t n_, bits_, budget_;
  const uint64_t* query_ = nullptr;
  int64_t lookups_ = 0, entries_ = 0;
};

template <int W>
void build(const uint64_t* codes, int64_t n, int64_t start, int64_t length, uint32_t* offsets, uint64_t* sorted,
           uint32_t* rows) {
  const int64_t buckets = int64_t{1} << length;
  std::memset(offsets, 0, static_cast<size_t>(buckets + 1) * sizeof(uint32_t));
  for (int64_t i = 0; i < n; ++i) ++offsets[substring<W>(codes + i * W, start, length) + 1];
  for (int64_t b = 0; b < buckets; ++b) offsets[b + 1] += offsets[b];
  std::vector<uint32_t> slots(offsets, offsets + buckets);
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t slot = slots[substring<W>(codes + i * W, start, length)]++;
    std::memcpy(sorted + int64_t{slot} * W, codes + i * W, W * sizeof(uint64_t));
    rows[slot] = static_cast<uint32_t>(i);
  }
}

template <int W>
void search(int64_t n, int64_t bits, const std::vector<Table>& tables, const uint64_t* queries, int64_t count,
            int64_t k, bool force, int32_t* distances, int64_t* rows, int64_t* work) {
  Nearest nearest(k);
  Search<W> by_tables(tables, n, bits, force ? INT64_MAX / 2 : n / kBudgetShare);
  std::vector<uint64_t> keys;
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t* query = queries + i * W;
    const bool complete = by_tables.run(query, nearest);
    if (complete) {
      keys = nearest.sorted();
    } else {
      scan<W>(tables[0], n, query, bits, k, keys);
    }
    work[3 * i] = by_tables.lookups();
    work[3 * i + 1] = by_tables.entries();
    work[3 * i + 2] = complete ? 0 : n;
    for (int64_t slot = 0; slot < k; ++slot) {
      distances[i * k + slot] = static_cast<int32_t>(keys[slot] >> 32);
      rows[i * k + slot] = static_cast<int64_t>(keys[slot] & 0xffffffff);
    }
  }
}

}  // namespace

extern "C" {

// Table of one substring: offsets of 2^length + 1, codes (n, W) and their rows by bucket, in one bucket by row.
void mih_build(const uint64_t* codes, int64_t n, int64_t words, int64_t start, int64_t length, uint32_t* offsets,
               uint64_t* sorted, uint32_t* rows) {
  if (words == 1) build<1>(codes, n, start, length, offsets, sorted, rows);
  if (words == 2) build<2>(codes, n, start, length, offsets, sorted, rows);
  if (words == 3) build<3>(codes, n, start, length, offsets, sorted, rows);
  if (words == 4) build<4>(codes, n, start, length, offsets, sorted, rows);
}

// The k <= n nearest codes of each query by (distance, row), both (count, k); work is (count, 3): buckets looked up, codes
// compared in them, codes scanned. A search that would cost too much becomes a scan, unless it is forced to go on.
// Tables lie one after the other: offsets of 2^length + 1 each, codes (n, W) each, rows (n) each.
void mih_search(int64_t n, int64_t words, int64_t bits, int64_t m, const int64_t* lengths, const uint32_t* offsets,
                const uint64_t* codes, const uint32_t* entry_rows, const uint64_t* queries, int64_t count, int64_t k,
                int32_t force, int32_t* distances, int64_t* rows, int64_t* work) {
  std::vector<Table> tables;
  int64_t start = 0;
  for (int64_t j = 0; j < m; ++j) {
    tables.push_back({start, lengths[j], offsets, codes, entry_rows});
    start += lengths[j];
    offsets += (int64_t{1} << lengths[j]) + 1;
    codes += n * words;
    entry_rows += n;
  }
  if (words == 1) search<1>(n, bits, tables, queries, count, k, force, distances, rows, work);
  if (words == 2) search<2>(n, bits, tables, queries, count, k, force, distances, rows, work);
  if (words == 3) search<3>(n, bits, tables, queries, count, k, force, distances, rows, work);
  if (words == 4) search<4>(n, bits, tables, queries, count, k, force, distances, rows, work);
}
}
