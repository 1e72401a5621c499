// keys.h — the order of every dtype as unsigned integers, as backend/cpu/sort_keys.h has it: NaN last, complex numbers by real, then
// imaginary part. Keys of dtypes of up to 4 bytes fit 32 bits. The dtype is a function constant; number 0 is taken.
#pragma once

#include "common.h"
#include "dtypes.h"

constant uint key_type [[function_constant(0)]];  // a DtypeCode
// Whether -0 sorts before 0, so that keys can be decoded; else they are equal.
constant bool exact_keys [[function_constant(1)]];

namespace keys_detail {

// High words of complex numbers with a NaN: no finite or infinite real part uses them.
constant constexpr uint kNanImag = 0xff800001u, kNanReal = 0xff800002u, kNanBoth = 0xff800003u;

// IEEE bits of `n` bits; `infinity` is the pattern of infinity.
inline uint encode_bits(uint bits, uint infinity, uint n) {
  uint sign = 1u << (n - 1), all = sign | (sign - 1);
  if ((bits & ~sign) > infinity) return all;
  if (!exact_keys && bits == sign) bits = 0;
  return bits & sign ? ~bits & all : bits | sign;
}
inline uint decode_bits(uint key, uint n) {
  uint sign = 1u << (n - 1), all = sign | (sign - 1);
  return key & sign ? key ^ sign : ~key & all;
}
inline uint encode_float(uint bits) { return encode_bits(bits, 0x7f800000u, 32); }
inline uint decode_float(uint key) { return decode_bits(key, 32); }

}  // namespace keys_detail

/// The key of element i.
inline ulong key_at(device const uchar* p, long i) {
  using namespace keys_detail;
  switch (key_type) {
    case kBool:
    case kUint8: return p[i];
    case kUint16: return ((device const ushort*)p)[i];
    case kUint32: return ((device const uint*)p)[i];
    case kUint64: return ((device const ulong*)p)[i];
    case kInt8: return p[i] ^ 0x80u;
    case kInt16: return ((device const ushort*)p)[i] ^ 0x8000u;
    case kInt32: return ((device const uint*)p)[i] ^ 0x80000000u;
    case kInt64: return ((device const ulong*)p)[i] ^ 0x8000000000000000ul;
    case kFloat16: return encode_bits(((device const ushort*)p)[i], 0x7c00u, 16);
    case kBfloat16: return encode_bits(((device const ushort*)p)[i], 0x7f80u, 16);
    case kFloat32: return encode_float(((device const uint*)p)[i]);
    default: {
      ulong bits = ((device const ulong*)p)[i];
      uint re = encode_float(uint(bits)), im = encode_float(uint(bits >> 32));
      bool nan_re = re == 0xffffffffu, nan_im = im == 0xffffffffu;
      if (nan_re) {
        im = nan_im ? 0u : im;
        re = nan_im ? kNanBoth : kNanReal;
      } else if (nan_im) {
        im = re;
        re = kNanImag;
      }
      return ulong(re) << 32 | im;
    }
  }
}

/// Writes the value whose exact key this is; a NaN comes back as a quiet one.
inline void put_key(device uchar* p, long i, ulong key) {
  using namespace keys_detail;
  switch (key_type) {
    case kBool:
    case kUint8: p[i] = uchar(key); return;
    case kUint16: ((device ushort*)p)[i] = ushort(key); return;
    case kUint32: ((device uint*)p)[i] = uint(key); return;
    case kUint64: ((device ulong*)p)[i] = key; return;
    case kInt8: p[i] = uchar(key ^ 0x80u); return;
    case kInt16: ((device ushort*)p)[i] = ushort(key ^ 0x8000u); return;
    case kInt32: ((device uint*)p)[i] = uint(key) ^ 0x80000000u; return;
    case kInt64: ((device ulong*)p)[i] = key ^ 0x8000000000000000ul; return;
    case kFloat16:
    case kBfloat16: ((device ushort*)p)[i] = ushort(decode_bits(uint(key), 16)); return;
    case kFloat32: ((device uint*)p)[i] = decode_float(uint(key)); return;
    default: {
      uint re = uint(key >> 32), im = uint(key), nan = 0x7fc00000u;
      uint real = re == kNanImag ? decode_float(im) : re == kNanReal || re == kNanBoth ? nan : decode_float(re);
      uint imag = re == kNanImag || re == kNanBoth ? nan : decode_float(im);
      ((device ulong*)p)[i] = ulong(imag) << 32 | real;
    }
  }
}
