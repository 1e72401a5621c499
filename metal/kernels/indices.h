// indices.h — reading index arrays of any integer type: one kernel for all of them, the type is a function constant. Negative
// indices count from the end; one out of bounds is reported (common.h) and becomes kBadPlace. Function constant 0 is taken.
#pragma once

#include "common.h"
#include "dtypes.h"

constant uint index_type [[function_constant(0)]];  // a DtypeCode

// How the elements of an index array become places: position * stride, the position within [0, size).
struct IndexParams {
  long size, stride;
  long n;  // Elements of the array.
  int axis;  // For the report.
};

// Where an index out of bounds points: nowhere. It must neither be read nor written.
constant constexpr long kBadPlace = long(0x8000000000000000ul);

inline bool index_is_signed() { return index_type >= kInt8; }

/// Element i of an array of integers; those of uint64 beyond a long come out negative.
inline long read_index(device const uchar* p, long i) {
  switch (index_type) {
    case kUint8: return long(p[i]);
    case kUint16: return long(((device const ushort*)p)[i]);
    case kUint32: return long(((device const uint*)p)[i]);
    case kInt8: return long(((device const char*)p)[i]);
    case kInt16: return long(((device const short*)p)[i]);
    case kInt32: return long(((device const int*)p)[i]);
    default: return ((device const long*)p)[i];
  }
}

/// The position that element i means; -1 and a report if there is none.
inline long read_position(device const uchar* p, long i, long size, int axis, device Status* status) {
  long x = read_index(p, i), at = x;
  if (x < 0 && index_is_signed()) at += size;
  if (at < 0 || at >= size) {
    report_index(status, x, size, axis);
    return -1;
  }
  return at;
}

inline long read_place(device const uchar* p, long i, constant IndexParams& q, device Status* status) {
  long at = read_position(p, i, q.size, q.axis, status);
  return at < 0 ? kBadPlace : at * q.stride;
}
