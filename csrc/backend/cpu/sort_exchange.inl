// sort_exchange.inl — lanes that change places, for sort_*.cpp: included in their unnamed namespace, so that it is compiled for their
// instructions.

/// For vectors of `bytes` bytes that hold keys of type K.
template <class K, int bytes>
struct Exchange {
  typedef K Ints __attribute__((vector_size(bytes)));
  template <int X, class V, int... I>
  static MX_INLINE V shuffle_lanes(V v, std::integer_sequence<int, I...>) {
    return (V)__builtin_shufflevector((Ints)v, (Ints)v, (I ^ X)...);
  }
  /// Lane i is lane i ^ X of v.
  template <int X, class V>
  static MX_INLINE V shuffle(V v) {
    return shuffle_lanes<X>(v, std::make_integer_sequence<int, bytes / sizeof(K)>());
  }
};
