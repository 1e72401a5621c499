// api_object.h — what is behind the opaque pointers of the double: objects with reference counts, and how faults are noted.
//
// NS::String* and the like point to an Object. self<T>(this, "class method") turns one into what it is, and notes a fault for null,
// for an object of another class, and for one that was released too often: such objects are kept in quarantine for a while.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <Metal/Metal.hpp>

#include "api.h"

namespace mx::metal::host {

/// Notes a fault that belongs to no command buffer.
void fault(const char* kind, const std::string& message);
/// Notes one in the list only; the caller makes it a command buffer's error.
void record(const char* kind, const std::string& message);
/// The message of the oldest fault since the last call that belongs to no command buffer, or "". For commit().
std::string take_loose_fault();

struct Object {
  std::atomic<int64_t> refs{1};
  std::atomic<int64_t> pins{0};  ///< Command buffers that need it though they hold no reference.
  std::atomic<bool> dead{false};
  std::string label;
  const char* const type;

  static constexpr const char* kType = "NS::Object";
  explicit Object(const char* type = kType);
  virtual ~Object();
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  /// Gives up what it holds: after the last release, and when no pin is left.
  virtual void die() {}
  virtual Object* copied() { return nullptr; }
  /// What goes wrong when it is released right now; null: nothing.
  virtual const char* reason_to_stay() { return nullptr; }
  std::string name() const { return label.empty() ? type : std::string(type) + " \"" + label + '"'; }
};

/// Keeps a dead object's storage.
void pin(Object* o);
void unpin(Object* o);

inline Object* as_object(const void* p) {
  asm("" : "+r"(p));  // the compiler takes `this` for not null; a message to null is what is to be found
  return static_cast<Object*>(const_cast<void*>(p));
}

/// Notes what is wrong with `p` as the receiver or argument of `method`.
void bad_object(const void* p, const char* wanted, const char* method);

/// `p` as a T, or null where it is null, of another class or released.
template <class T>
T* cast(const void* p) {
  Object* o = as_object(p);
  return o && !o->dead ? dynamic_cast<T*>(o) : nullptr;
}
/// The object behind `this`. For a bad one a fault is noted, and a blank stand-in or what is left of it returned.
template <class T>
T& self(const void* p, const char* method) {
  if (T* t = cast<T>(p)) return *t;
  bad_object(p, T::kType, method);
  if (p) {
    if (T* t = dynamic_cast<T*>(as_object(p))) return *t;
  }
  static T* blank = new T;
  return *blank;
}
/// An argument that must not be null. Null after a fault.
template <class T>
T* argument(const void* p, const char* method) {
  T* t = cast<T>(p);
  if (!t) bad_object(p, T::kType, method);
  return t;
}

/// A reference to an object, as a member.
template <class T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* o) : o_(o) { retain(o); }
  Ref(const Ref& r) : Ref(r.o_) {}
  Ref(Ref&& r) noexcept : o_(std::exchange(r.o_, nullptr)) {}
  Ref& operator=(Ref r) noexcept {
    std::swap(o_, r.o_);
    return *this;
  }
  ~Ref() { release(o_); }
  T* get() const { return o_; }
  T* operator->() const { return o_; }
  explicit operator bool() const { return o_ != nullptr; }

 private:
  T* o_ = nullptr;
};

/// The public type of an object that was just made (+1), or null.
template <class Public>
Public* handle(Object* o) {
  return reinterpret_cast<Public*>(o);
}
template <class Public>
Public* autoreleased(Object* o) {
  return static_cast<Public*>(autorelease(handle<Public>(o)));
}

/// A string of the caller's pool.
NS::String* string(const std::string& text);
std::string text(const NS::String* s);
void set_error(NS::Error** error, const char* domain, NS::Integer code, const std::string& message);

struct StringObject : Object {
  static constexpr const char* kType = "NS::String";
  std::string value;
  StringObject() : Object(kType) {}
  Object* copied() override;
};
struct UrlObject : Object {
  static constexpr const char* kType = "NS::URL";
  std::string path;
  UrlObject() : Object(kType) {}
};
struct ArrayObject : Object {
  static constexpr const char* kType = "NS::Array";
  std::vector<Ref<Object>> items;
  ArrayObject() : Object(kType) {}
  void die() override { items.clear(); }
};
struct DictionaryObject : Object {
  static constexpr const char* kType = "NS::Dictionary";
  std::vector<std::pair<Ref<Object>, Ref<Object>>> items;  // key, value
  DictionaryObject() : Object(kType) {}
  void die() override { items.clear(); }
};
struct ErrorObject : Object {
  static constexpr const char* kType = "NS::Error";
  std::string domain, message;
  NS::Integer code = 0;
  ErrorObject() : Object(kType) {}
};

}  // namespace mx::metal::host
