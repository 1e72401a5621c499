// lanes_vectors.inl — the compiler's vectors that fill a register of kRegisterBytes. No include guard: lanes_*.h include it in their
// own unnamed namespace.

template <class R>
using IntOf = std::conditional_t<sizeof(R) == 4, int32_t, int64_t>;
typedef float Vf32 __attribute__((vector_size(kRegisterBytes)));
typedef double Vf64 __attribute__((vector_size(kRegisterBytes)));
typedef int32_t Vi32 __attribute__((vector_size(kRegisterBytes)));
typedef int64_t Vi64 __attribute__((vector_size(kRegisterBytes)));
typedef uint32_t Vu32 __attribute__((vector_size(kRegisterBytes)));
typedef uint64_t Vu64 __attribute__((vector_size(kRegisterBytes)));
template <class R>
using Vf = std::conditional_t<sizeof(R) == 4, Vf32, Vf64>;
template <class R>
using Vi = std::conditional_t<sizeof(R) == 4, Vi32, Vi64>;
template <class R>
using Vu = std::conditional_t<sizeof(R) == 4, Vu32, Vu64>;
