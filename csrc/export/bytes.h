// bytes.h — reading and writing the primitive parts of an exported file: numbers, texts, and Fields.
//
// Integers are LEB128 (signed ones zigzag), real numbers 8 bytes little endian. A short text is its length and its
// bytes when it first occurs and a number afterwards. Reader trusts nothing: every count is checked against what is left,
// and whatever does not fit throws ValueError. docs/export.md describes the format.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "graph/field.h"

namespace mx::exporting {

class Writer {
 public:
  void count(uint64_t n);
  void integer(int64_t n);
  void real(double x);
  void text(std::string_view s);
  void field(const Field& f);
  const std::string& bytes() const { return out_; }

 private:
  std::string out_;
  std::unordered_map<std::string, uint64_t> texts_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}
  uint64_t count();
  /// A count of things of which each takes at least one byte.
  size_t items();
  int64_t integer();
  double real();
  std::string text();
  Field field(int depth = 0);
  bool done() const { return left_.empty(); }

 private:
  uint8_t byte();
  std::string_view take(size_t n);
  std::string_view left_;
  std::vector<std::string> texts_;
};

/// CRC-32 as in zlib and PNG; `crc` continues an earlier one.
uint32_t crc32(std::string_view bytes, uint32_t crc = 0);

/// How the errors of a file begin.
constexpr std::string_view kCorrupt = "[import_function] the file is damaged or no exported function: ";
[[noreturn]] void corrupt(const std::string& what);

// Shorthands for what files are made of.
Field integer_field(int64_t n);
Field text_field(std::string_view s);
Field list_field(std::vector<Field> items = {});
/// The parts of a Field that must be there; ValueError if not.
int64_t integer_of(const Field& f);
/// In [0, limit).
int index_of(const Field& f, int64_t limit);
const std::string& text_of(const Field& f);
/// The items of a list, which must be `n` (any number if negative).
const std::vector<Field>& items_of(const Field& f, int64_t n = -1);

}  // namespace mx::exporting
