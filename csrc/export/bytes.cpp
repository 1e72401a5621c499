#include "export/bytes.h"

#include <array>
#include <bit>
#include <cstring>

namespace mx::exporting {

static_assert(std::endian::native == std::endian::little, "constants are written as they lie in memory");

namespace {
// Parameters nest a few levels, and graphs within them a few more.
constexpr int kDeepest = 64;
// Longer texts are written out each time: a short file must not stand for much memory.
constexpr size_t kLongestShared = 64;
}  // namespace

void corrupt(const std::string& what) {
  throw ValueError(cat(kCorrupt, what, "."));
}

// ---- writing

void Writer::count(uint64_t n) {
  for (; n >= 0x80; n >>= 7) out_.push_back(static_cast<char>(n | 0x80));
  out_.push_back(static_cast<char>(n));
}

void Writer::integer(int64_t n) { count((static_cast<uint64_t>(n) << 1) ^ static_cast<uint64_t>(n >> 63)); }

void Writer::real(double x) {
  uint64_t bits = std::bit_cast<uint64_t>(x);
  for (int i = 0; i < 8; ++i) out_.push_back(static_cast<char>(bits >> (8 * i)));
}

void Writer::text(std::string_view s) {
  if (s.size() <= kLongestShared) {
    auto [at, fresh] = texts_.emplace(s, texts_.size() + 1);
    if (!fresh) return count(at->second);
  }
  count(0);
  count(s.size());
  out_.append(s);
}

void Writer::field(const Field& f) {
  out_.push_back(static_cast<char>(f.kind));
  switch (f.kind) {
    case Field::none: return;
    case Field::integer: return integer(f.number);
    case Field::real: return real(f.value);
    case Field::text: return text(f.str);
    case Field::list:
    case Field::graph:
      count(f.items.size());
      for (const Field& item : f.items) field(item);
      return;
    case Field::opaque: throw ValueError("[export_function] a parameter cannot be written to a file.");
  }
}

// ---- reading

uint8_t Reader::byte() { return static_cast<uint8_t>(take(1)[0]); }

std::string_view Reader::take(size_t n) {
  if (n > left_.size()) corrupt("it ends too early");
  std::string_view part = left_.substr(0, n);
  left_.remove_prefix(n);
  return part;
}

uint64_t Reader::count() {
  uint64_t n = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    uint64_t b = byte();
    n |= (b & 0x7f) << shift;
    if (shift == 63 && b > 1) break;
    if (b < 0x80) return n;
  }
  corrupt("a number has more than 64 bits");
}

size_t Reader::items() {
  uint64_t n = count();
  if (n > left_.size()) corrupt("a list is longer than the file");
  return static_cast<size_t>(n);
}

int64_t Reader::integer() {
  uint64_t n = count();
  return static_cast<int64_t>(n >> 1) ^ -static_cast<int64_t>(n & 1);
}

double Reader::real() {
  std::string_view part = take(8);
  uint64_t bits = 0;
  for (int i = 0; i < 8; ++i) bits |= static_cast<uint64_t>(static_cast<uint8_t>(part[static_cast<size_t>(i)])) << (8 * i);
  return std::bit_cast<double>(bits);
}

std::string Reader::text() {
  uint64_t n = count();
  if (n > texts_.size()) corrupt("an unknown text");
  if (n == 0) {
    std::string fresh(take(items()));
    if (fresh.size() <= kLongestShared) texts_.push_back(fresh);
    return fresh;
  }
  return texts_[static_cast<size_t>(n - 1)];
}

Field Reader::field(int depth) {
  if (depth > kDeepest) corrupt("lists are nested too deeply");
  Field f;
  uint8_t kind = byte();
  if (kind >= Field::opaque) corrupt("an unknown kind of parameter");
  f.kind = static_cast<Field::Kind>(kind);
  switch (f.kind) {
    case Field::integer: f.number = integer(); break;
    case Field::real: f.value = real(); break;
    case Field::text: f.str = text(); break;
    case Field::list:
    case Field::graph: {
      size_t n = items();
      for (size_t i = 0; i < n; ++i) f.items.push_back(field(depth + 1));
      break;
    }
    default: break;
  }
  return f;
}

// ---- checksums

uint32_t crc32(std::string_view bytes, uint32_t crc) {
  // Eight tables, for eight bytes at a time: weights run to gigabytes.
  static const auto tables = [] {
    std::array<std::array<uint32_t, 256>, 8> t{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t c = i;
      for (int k = 0; k < 8; ++k) c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
      t[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; ++i) {
      for (size_t k = 1; k < 8; ++k) t[k][i] = (t[k - 1][i] >> 8) ^ t[0][t[k - 1][i] & 0xff];
    }
    return t;
  }();
  crc = ~crc;
  const char* p = bytes.data();
  size_t n = bytes.size();
  for (; n >= 8; n -= 8, p += 8) {
    uint64_t w;
    std::memcpy(&w, p, 8);
    w ^= crc;
    crc = 0;
    for (size_t k = 0; k < 8; ++k) crc ^= tables[7 - k][(w >> (8 * k)) & 0xff];
  }
  for (; n > 0; --n, ++p) crc = (crc >> 8) ^ tables[0][(crc ^ static_cast<uint8_t>(*p)) & 0xff];
  return ~crc;
}

// ---- shorthands

Field integer_field(int64_t n) {
  Field f;
  f.kind = Field::integer;
  f.number = n;
  return f;
}

Field text_field(std::string_view s) {
  Field f;
  f.kind = Field::text;
  f.str = s;
  return f;
}

Field list_field(std::vector<Field> items) {
  Field f;
  f.kind = Field::list;
  f.items = std::move(items);
  return f;
}

int64_t integer_of(const Field& f) {
  if (f.kind != Field::integer) corrupt("an integer is missing");
  return f.number;
}

int index_of(const Field& f, int64_t limit) {
  int64_t n = integer_of(f);
  if (n < 0 || n >= limit) corrupt(cat("index ", n, " is outside of [0, ", limit, ")"));
  return static_cast<int>(n);
}

const std::string& text_of(const Field& f) {
  if (f.kind != Field::text) corrupt("a text is missing");
  return f.str;
}

const std::vector<Field>& items_of(const Field& f, int64_t n) {
  if (f.kind != Field::list) corrupt("a list is missing");
  if (n >= 0 && f.items.size() != static_cast<size_t>(n)) corrupt(cat("a list has ", f.items.size(), " items; need ", n));
  return f.items;
}

}  // namespace mx::exporting
