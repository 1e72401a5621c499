#include "graph/field.h"

namespace mx::detail {

void bad_field(const char* what) { throw ValueError(cat("[parameters] a field is ", what, ".")); }

const std::vector<Field>& field_items(const Field& f) {
  if (f.kind != Field::list) bad_field("no list");
  return f.items;
}

Field dtype_field(Dtype t) {
  Field f;
  f.kind = Field::text;
  f.str = name(t);
  return f;
}

Dtype field_dtype(const Field& f) {
  for (int i = 0; f.kind == Field::text && i < kDtypeCount; ++i) {
    if (name(static_cast<Dtype>(i)) == f.str) return static_cast<Dtype>(i);
  }
  bad_field("no dtype");
}

}  // namespace mx::detail
