// dtypes.h — the dtypes by number, in the order of csrc/base/dtype.h: for kernels that get a type as a function constant.
#pragma once

enum DtypeCode : uint {
  kBool, kUint8, kUint16, kUint32, kUint64, kInt8, kInt16, kInt32, kInt64, kFloat16, kBfloat16, kFloat32, kFloat64, kComplex64
};
