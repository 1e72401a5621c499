// lapack.cpp — finds a LAPACK, opens it at the first call, and calls it by its Fortran interface.
//
// Looked for in this order: the file that MXFORM_LAPACK names; lib/ beside this code (what a wheel bundles); the
// file that CMake found; Accelerate on a Mac; the system's libraries. A `Table` holds one dtype's routines; the
// functions of lapack.h add pointers, workspace and the hidden lengths of Fortran strings. Start at open().

#include "backend/cpu/lapack.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <vector>

#include "backend/cpu/scratch.h"
#include "base/error.h"

namespace mx::cpu::lapack {

namespace {

struct Library {
  void* handle = nullptr;
  std::string path;
  std::string prefix;  // Of every symbol: "scipy_" in the wheels of scipy-openblas32.
};

#ifdef __APPLE__
constexpr const char* kBundled = "/lib/libscipy_openblas.dylib";
constexpr const char* kSystem[] = {"/System/Library/Frameworks/Accelerate.framework/Accelerate"};
#else
constexpr const char* kBundled = "/lib/libscipy_openblas.so";
constexpr const char* kSystem[] = {"libopenblas.so.0", "liblapack.so.3"};
#endif

// The folder of the extension module or program that this function is linked into.
std::string own_folder() {
  Dl_info info{};
  if (!dladdr(reinterpret_cast<const void*>(&library), &info) || !info.dli_fname) return {};
  std::string file = info.dli_fname;
  size_t slash = file.rfind('/');
  return slash == std::string::npos ? "." : file.substr(0, slash);
}

std::vector<std::string> candidates() {
  std::vector<std::string> paths;
  if (std::string folder = own_folder(); !folder.empty()) paths.push_back(folder + kBundled);
#ifdef MXFORM_LAPACK_PATH
  paths.push_back(MXFORM_LAPACK_PATH);
#endif
  for (const char* name : kSystem) paths.push_back(name);
  return paths;
}

// Opens `path` if it holds what we need; otherwise says why not.
bool try_open(const std::string& path, Library& out, std::string& why) {
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char* error = dlerror();
    why = error ? error : "cannot be opened";
    return false;
  }
  for (const char* prefix : {"scipy_", ""}) {
    if (!dlsym(handle, cat(prefix, "spotrf_").c_str()) || !dlsym(handle, cat(prefix, "strsm_").c_str())) continue;
    out = {handle, path, prefix};
    // One thread: kernels spread batches themselves, and results must not depend on the number of CPUs.
    if (void* set = dlsym(handle, cat(prefix, "openblas_set_num_threads").c_str())) reinterpret_cast<void (*)(int)>(set)(1);
    return true;
  }
  dlclose(handle);
  why = "has no routine spotrf_ or strsm_";
  return false;
}

Library open() {
  Library found;
  std::string why, tried;
  if (const char* chosen = std::getenv("MXFORM_LAPACK"); chosen && *chosen) {
    if (try_open(chosen, found, why)) return found;
    throw BackendError(cat("[linalg] MXFORM_LAPACK cannot be used: ", chosen, ": ", why,
                           "; need a shared library with LAPACK's Fortran interface. Correct the variable or unset it."));
  }
  for (const std::string& path : candidates()) {
    if (try_open(path, found, why)) return found;
    tried += cat("\n  ", why.find(path) == std::string::npos ? path + ": " : "", why);
  }
  throw BackendError(cat("[linalg] no LAPACK library: none of those tried can be opened; need OpenBLAS or LAPACK. Install one "
                         "(`pip install scipy-openblas32` before building, or the system's libopenblas) or set MXFORM_LAPACK to "
                         "its file. Tried:", tried));
}

const Library& opened() {
  static const Library library = open();  // After an exception the next call tries again.
  return library;
}

template <class T>
constexpr bool kComplex = !std::is_same_v<T, Real<T>>;
template <class T>
constexpr char kLetter = kComplex<T> ? 'c' : std::is_same_v<T, float> ? 's' : 'd';

// A routine by its name without the letter of the dtype.
template <class T, class F>
void find(F*& function, const char* name) {
  const Library& library = opened();
  std::string symbol = cat(library.prefix, kLetter<T>, name, "_");
  function = reinterpret_cast<F*>(dlsym(library.handle, symbol.c_str()));
  if (!function) {
    throw BackendError(cat("[linalg] the LAPACK library is incomplete: ", library.path, " has no ", symbol,
                           "; need a full LAPACK. Set MXFORM_LAPACK to another."));
  }
}

using Str = const char*;
using In = const Int*;
using Length = size_t;  // Of a Fortran string; C callees that lack it do not look.

template <class T>
struct Table {
  using R = Real<T>;
  void (*potrf)(Str, In, T*, In, Int*, Length);
  void (*trtri)(Str, Str, In, T*, In, Int*, Length, Length);
  void (*trsm)(Str, Str, Str, Str, In, In, const T*, const T*, In, T*, In, Length, Length, Length, Length);
  void (*getrf)(In, In, T*, In, Int*, Int*);
  void (*getri)(In, T*, In, In, T*, In, Int*);
  void (*geqrf)(In, In, T*, In, T*, T*, In, Int*);
  void (*orgqr)(In, In, In, T*, In, const T*, T*, In, Int*);
  void (*gesdd)();  // The signatures of these differ between real and complex.
  void (*gesvd)();
  void (*syevd)();
  void (*geev)();

  Table() {
    find<T>(potrf, "potrf");
    find<T>(trtri, "trtri");
    find<T>(trsm, "trsm");
    find<T>(getrf, "getrf");
    find<T>(getri, "getri");
    find<T>(geqrf, "geqrf");
    find<T>(orgqr, kComplex<T> ? "ungqr" : "orgqr");
    find<T>(gesdd, "gesdd");
    find<T>(gesvd, "gesvd");
    find<T>(syevd, kComplex<T> ? "heevd" : "syevd");
    find<T>(geev, "geev");
  }
};

template <class T>
const Table<T>& table() {
  static const Table<T> t;
  return t;
}

// A size as LAPACK's integer.
Int size(int64_t n) {
  if (n > std::numeric_limits<Int>::max()) {
    throw OverflowError(cat("[linalg] the matrix is too large: a size is ", n, "; need at most ", std::numeric_limits<Int>::max(), "."));
  }
  return static_cast<Int>(n);
}

// The workspace that a query reported. Float holds large counts only roughly, so a little more.
template <class T>
Int reported(T work) {
  double n = static_cast<double>(std::real(work));
  n = std::max(1.0, n * (1 + 2 * static_cast<double>(std::numeric_limits<Real<T>>::epsilon())));
  return size(static_cast<int64_t>(std::min(n, 9e15)));
}

template <class T>
Scratch scratch(int64_t n) {
  return Scratch(static_cast<size_t>(std::max<int64_t>(n, 1)) * sizeof(T));
}

constexpr Int kQuery = -1;

// `call(work, lwork, info)` twice: for the size of the workspace, then for the result.
template <class T, class F>
int with_workspace(F&& call) {
  T best{};
  Int info = 0;
  call(&best, &kQuery, &info);
  if (info != 0) return info;
  Int n = reported(best);
  Scratch memory = scratch<T>(n);
  call(memory.as<T>(), &n, &info);
  return info;
}

}  // namespace

const std::string& library() { return opened().path; }

template <class T>
int potrf(char uplo, int64_t n, T* a, int64_t lda) {
  Int N = size(n), LDA = size(lda), info = 0;
  table<T>().potrf(&uplo, &N, a, &LDA, &info, 1);
  return info;
}

template <class T>
int trtri(char uplo, char diag, int64_t n, T* a, int64_t lda) {
  Int N = size(n), LDA = size(lda), info = 0;
  table<T>().trtri(&uplo, &diag, &N, a, &LDA, &info, 1, 1);
  return info;
}

template <class T>
void trsm(char side, char uplo, char trans, char diag, int64_t m, int64_t n, T alpha, const T* a, int64_t lda, T* b, int64_t ldb) {
  Int M = size(m), N = size(n), LDA = size(lda), LDB = size(ldb);
  table<T>().trsm(&side, &uplo, &trans, &diag, &M, &N, &alpha, a, &LDA, b, &LDB, 1, 1, 1, 1);
}

template <class T>
int getrf(int64_t m, int64_t n, T* a, int64_t lda, Int* pivots) {
  Int M = size(m), N = size(n), LDA = size(lda), info = 0;
  table<T>().getrf(&M, &N, a, &LDA, pivots, &info);
  return info;
}

template <class T>
int getri(int64_t n, T* a, int64_t lda, const Int* pivots) {
  Int N = size(n), LDA = size(lda);
  return with_workspace<T>([&](T* work, In lwork, Int* info) { table<T>().getri(&N, a, &LDA, pivots, work, lwork, info); });
}

template <class T>
int geqrf(int64_t m, int64_t n, T* a, int64_t lda, T* tau) {
  Int M = size(m), N = size(n), LDA = size(lda);
  return with_workspace<T>([&](T* work, In lwork, Int* info) { table<T>().geqrf(&M, &N, a, &LDA, tau, work, lwork, info); });
}

template <class T>
int orgqr(int64_t m, int64_t n, int64_t k, T* a, int64_t lda, const T* tau) {
  Int M = size(m), N = size(n), K = size(k), LDA = size(lda);
  return with_workspace<T>([&](T* work, In lwork, Int* info) { table<T>().orgqr(&M, &N, &K, a, &LDA, tau, work, lwork, info); });
}

template <class T>
int gesdd(char job, int64_t m, int64_t n, T* a, int64_t lda, Real<T>* s, T* u, int64_t ldu, T* vt, int64_t ldvt) {
  using R = Real<T>;
  Int M = size(m), N = size(n), LDA = size(lda), LDU = size(ldu), LDVT = size(ldvt);
  int64_t small = std::min(m, n), large = std::max(m, n);
  Scratch iwork = scratch<Int>(8 * small);
  return with_workspace<T>([&](T* work, In lwork, Int* info) {
    if constexpr (kComplex<T>) {
      using F = void(Str, In, In, T*, In, R*, T*, In, T*, In, T*, In, R*, Int*, Int*, Length);
      // The largest of the sizes that the manual gives for any job.
      int64_t n_real = *lwork == kQuery ? 1 : std::max(7 * small, small * std::max(5 * small + 7, 2 * large + 2 * small + 1));
      Scratch rwork = scratch<R>(n_real);
      reinterpret_cast<F*>(table<T>().gesdd)(&job, &M, &N, a, &LDA, s, u, &LDU, vt, &LDVT, work, lwork, rwork.template as<R>(),
                                             iwork.as<Int>(), info, 1);
    } else {
      using F = void(Str, In, In, T*, In, R*, T*, In, T*, In, T*, In, Int*, Int*, Length);
      reinterpret_cast<F*>(table<T>().gesdd)(&job, &M, &N, a, &LDA, s, u, &LDU, vt, &LDVT, work, lwork, iwork.as<Int>(), info, 1);
    }
  });
}

template <class T>
int gesvd(char job_u, char job_vt, int64_t m, int64_t n, T* a, int64_t lda, Real<T>* s, T* u, int64_t ldu, T* vt, int64_t ldvt) {
  using R = Real<T>;
  Int M = size(m), N = size(n), LDA = size(lda), LDU = size(ldu), LDVT = size(ldvt);
  return with_workspace<T>([&](T* work, In lwork, Int* info) {
    if constexpr (kComplex<T>) {
      using F = void(Str, Str, In, In, T*, In, R*, T*, In, T*, In, T*, In, R*, Int*, Length, Length);
      Scratch rwork = scratch<R>(5 * std::min(m, n));
      reinterpret_cast<F*>(table<T>().gesvd)(&job_u, &job_vt, &M, &N, a, &LDA, s, u, &LDU, vt, &LDVT, work, lwork,
                                             rwork.template as<R>(), info, 1, 1);
    } else {
      using F = void(Str, Str, In, In, T*, In, R*, T*, In, T*, In, T*, In, Int*, Length, Length);
      reinterpret_cast<F*>(table<T>().gesvd)(&job_u, &job_vt, &M, &N, a, &LDA, s, u, &LDU, vt, &LDVT, work, lwork, info, 1, 1);
    }
  });
}

template <class T>
int syevd(char job, char uplo, int64_t n, T* a, int64_t lda, Real<T>* w) {
  using R = Real<T>;
  Int N = size(n), LDA = size(lda), info = 0, n_int = 0;
  T best{};
  R best_real{};
  if constexpr (kComplex<T>) {
    using F = void(Str, Str, In, T*, In, R*, T*, In, R*, In, Int*, In, Int*, Length, Length);
    auto* heevd = reinterpret_cast<F*>(table<T>().syevd);
    heevd(&job, &uplo, &N, a, &LDA, w, &best, &kQuery, &best_real, &kQuery, &n_int, &kQuery, &info, 1, 1);
    if (info != 0) return info;
    Int n_work = reported(best), n_real = reported(best_real);
    Scratch work = scratch<T>(n_work), rwork = scratch<R>(n_real), iwork = scratch<Int>(n_int);
    heevd(&job, &uplo, &N, a, &LDA, w, work.as<T>(), &n_work, rwork.as<R>(), &n_real, iwork.as<Int>(), &n_int, &info, 1, 1);
  } else {
    using F = void(Str, Str, In, T*, In, R*, T*, In, Int*, In, Int*, Length, Length);
    auto* syevd = reinterpret_cast<F*>(table<T>().syevd);
    syevd(&job, &uplo, &N, a, &LDA, w, &best, &kQuery, &n_int, &kQuery, &info, 1, 1);
    if (info != 0) return info;
    Int n_work = reported(best);
    Scratch work = scratch<T>(n_work), iwork = scratch<Int>(n_int);
    syevd(&job, &uplo, &N, a, &LDA, w, work.as<T>(), &n_work, iwork.as<Int>(), &n_int, &info, 1, 1);
  }
  return info;
}

template <class T>
int geev(char job, int64_t n, T* a, int64_t lda, T* w_real, T* w_imag, T* vl, int64_t ldvl) {
  using F = void(Str, Str, In, T*, In, T*, T*, T*, In, T*, In, T*, In, Int*, Length, Length);
  char none = 'N';
  Int N = size(n), LDA = size(lda), LDVL = size(ldvl), one = 1;
  return with_workspace<T>([&](T* work, In lwork, Int* info) {
    reinterpret_cast<F*>(table<T>().geev)(&job, &none, &N, a, &LDA, w_real, w_imag, vl, &LDVL, nullptr, &one, work, lwork, info, 1, 1);
  });
}

int geev(char job, int64_t n, complex64_t* a, int64_t lda, complex64_t* w, complex64_t* vl, int64_t ldvl) {
  using T = complex64_t;
  using F = void(Str, Str, In, T*, In, T*, T*, In, T*, In, T*, In, float*, Int*, Length, Length);
  char none = 'N';
  Int N = size(n), LDA = size(lda), LDVL = size(ldvl), one = 1;
  Scratch rwork = scratch<float>(2 * n);
  return with_workspace<T>([&](T* work, In lwork, Int* info) {
    reinterpret_cast<F*>(table<T>().geev)(&job, &none, &N, a, &LDA, w, vl, &LDVL, nullptr, &one, work, lwork, rwork.as<float>(), info, 1, 1);
  });
}

#define MX_LAPACK(T)                                                                                                          \
  template int potrf(char, int64_t, T*, int64_t);                                                                             \
  template int trtri(char, char, int64_t, T*, int64_t);                                                                       \
  template void trsm(char, char, char, char, int64_t, int64_t, T, const T*, int64_t, T*, int64_t);                            \
  template int getrf(int64_t, int64_t, T*, int64_t, Int*);                                                                    \
  template int getri(int64_t, T*, int64_t, const Int*);                                                                       \
  template int geqrf(int64_t, int64_t, T*, int64_t, T*);                                                                      \
  template int orgqr(int64_t, int64_t, int64_t, T*, int64_t, const T*);                                                       \
  template int gesdd(char, int64_t, int64_t, T*, int64_t, Real<T>*, T*, int64_t, T*, int64_t);                                \
  template int gesvd(char, char, int64_t, int64_t, T*, int64_t, Real<T>*, T*, int64_t, T*, int64_t);                          \
  template int syevd(char, char, int64_t, T*, int64_t, Real<T>*);
MX_LAPACK(float)
MX_LAPACK(double)
MX_LAPACK(complex64_t)
#undef MX_LAPACK
template int geev(char, int64_t, float*, int64_t, float*, float*, float*, int64_t);
template int geev(char, int64_t, double*, int64_t, double*, double*, double*, int64_t);

}  // namespace mx::cpu::lapack
