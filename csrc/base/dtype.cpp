#include "base/dtype.h"

namespace mx {

namespace {
struct Info {
  std::string_view name;
  size_t n_bytes;
};
constexpr Info kInfo[kDtypeCount] = {
    {"bool", 1}, {"uint8", 1}, {"uint16", 2}, {"uint32", 4}, {"uint64", 8},
    {"int8", 1}, {"int16", 2}, {"int32", 4}, {"int64", 8},
    {"float16", 2}, {"bfloat16", 2}, {"float32", 4}, {"float64", 8}, {"complex64", 8},
};
}  // namespace

size_t size_of(Dtype t) { return kInfo[int(t)].n_bytes; }
std::string_view name(Dtype t) { return kInfo[int(t)].name; }
std::ostream& operator<<(std::ostream& out, Dtype t) { return out << name(t); }

Dtype promote(Dtype a, Dtype b) {
  if (a == b) return a;
  if (a > b) std::swap(a, b);
  // From here a < b in the order of the enumeration.
  if (is_complex(b)) return b;
  if (is_floating(b)) {
    return a == Dtype::float16 && b == Dtype::bfloat16 ? Dtype::float32 : b;
  }
  if (is_bool(a) || is_unsigned(a) == is_unsigned(b)) return b;
  // Unsigned with signed: the smallest signed type that holds both; uint64 has none, so float32.
  size_t need = size_of(a) >= size_of(b) ? 2 * size_of(a) : size_of(b);
  switch (need) {
    case 2: return Dtype::int16;
    case 4: return Dtype::int32;
    case 8: return Dtype::int64;
    default: return Dtype::float32;
  }
}

}  // namespace mx
