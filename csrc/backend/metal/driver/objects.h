// objects.h — small helpers around metal-cpp's objects: ownership, pools, strings, errors.
#pragma once

#include <Metal/Metal.hpp>

#include <string>
#include <utility>

#include "base/error.h"

namespace mx::metal {

/// Owns one reference.
template <class T>
class Ref {
 public:
  Ref() = default;
  /// Takes over the reference that `new...`, `alloc` and `copy` give.
  explicit Ref(T* p) : p_(p) {}
  Ref(Ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  Ref& operator=(Ref&& o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~Ref() {
    if (p_) p_->release();
  }
  T* get() const { return p_; }
  T* operator->() const { return p_; }
  explicit operator bool() const { return p_ != nullptr; }
  T* detach() { return std::exchange(p_, nullptr); }

 private:
  T* p_ = nullptr;
};

/// A reference of our own to what another call returned.
template <class T>
Ref<T> retained(T* p) {
  return Ref<T>(p ? p->retain() : nullptr);
}

/// What is returned without ownership lives until the end of the scope.
class AutoreleaseScope {
 public:
  AutoreleaseScope() : pool_(NS::AutoreleasePool::alloc()->init()) {}
  ~AutoreleaseScope() { pool_->release(); }
  AutoreleaseScope(const AutoreleaseScope&) = delete;
  AutoreleaseScope& operator=(const AutoreleaseScope&) = delete;

 private:
  NS::AutoreleasePool* pool_;
};

inline NS::String* to_ns(const std::string& s) { return NS::String::string(s.c_str(), NS::UTF8StringEncoding); }
inline NS::URL* file_url(const std::string& path) { return NS::URL::fileURLWithPath(to_ns(path)); }

inline std::string text_of(const NS::String* s) { return s && s->utf8String() ? s->utf8String() : ""; }
inline std::string text_of(const NS::Error* e) {
  std::string text = e ? text_of(e->localizedDescription()) : "";
  return text.empty() ? "no reason is given" : text;
}

inline bool macos_at_least(NS::Integer major) {
  return NS::ProcessInfo::processInfo()->isOperatingSystemAtLeastVersion(NS::OperatingSystemVersion{major, 0, 0});
}

/// Objects of Metal do not survive fork(): in the child nothing may touch them.
bool forked();
[[noreturn]] void refuse_forked(const char* op);

}  // namespace mx::metal
