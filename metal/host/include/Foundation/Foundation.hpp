// Foundation.hpp — the host double of the part of metal-cpp's Foundation that a Metal program needs.
//
// Same names and signatures as Apple's, so that one source builds against either. The classes are opaque here, too: a pointer is
// really one to a mx::metal::host::Object (metal/host/api_object.h), which counts its references as Objective-C does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>

struct objc_object {};

namespace mx::metal::host {
// retain, release and the like, for all classes. Null is allowed.
void* retain(const void* object);
void release(const void* object);
void* autorelease(const void* object);
uintptr_t retain_count(const void* object);
void* copy(const void* object);
}  // namespace mx::metal::host

namespace NS {

using TimeInterval = double;
using Integer = std::intptr_t;
using UInteger = std::uintptr_t;

class String;

struct Range {
  static Range Make(UInteger loc, UInteger len) { return Range(loc, len); }
  Range(UInteger loc, UInteger len) : location(loc), length(len) {}
  bool Equal(const Range& range) const { return location == range.location && length == range.length; }
  bool LocationInRange(UInteger loc) const { return loc >= location && loc - location < length; }
  UInteger Max() const { return location + length; }
  UInteger location;
  UInteger length;
};

template <class Class, class Base = class Object>
class Referencing : public Base {
 public:
  Class* retain() { return static_cast<Class*>(mx::metal::host::retain(this)); }
  void release() { mx::metal::host::release(this); }
  Class* autorelease() { return static_cast<Class*>(mx::metal::host::autorelease(this)); }
  UInteger retainCount() const { return mx::metal::host::retain_count(this); }
};

template <class Class, class Base = class Object>
class Copying : public Referencing<Class, Base> {
 public:
  Class* copy() const { return static_cast<Class*>(mx::metal::host::copy(this)); }
};

class Object : public Referencing<Object, objc_object> {
 public:
  UInteger hash() const;
  bool isEqual(const Object* pObject) const;
  String* description() const;
  String* debugDescription() const;

 private:
  Object() = delete;
  Object(const Object&) = delete;
  ~Object() = delete;
  Object& operator=(const Object&) = delete;
};

enum StringEncoding : UInteger { ASCIIStringEncoding = 1, UTF8StringEncoding = 4 };

class String : public Copying<String> {
 public:
  static String* string();
  static String* string(const String* pString);
  static String* string(const char* pString, StringEncoding encoding);
  static String* alloc();
  String* init();
  String* init(const String* pString);
  String* init(const char* pString, StringEncoding encoding);
  UInteger length() const;
  const char* cString(StringEncoding encoding) const;
  const char* utf8String() const;
  UInteger lengthOfBytes(StringEncoding encoding) const;
  bool isEqualToString(const String* pString) const;
  const char* fileSystemRepresentation() const;
  String* stringByAppendingString(const String* pString) const;
};

class Array : public Copying<Array> {
 public:
  static Array* array();
  static Array* array(const Object* pObject);
  static Array* array(const Object* const* pObjects, UInteger count);
  static Array* alloc();
  Array* init();
  Array* init(const Object* const* pObjects, UInteger count);
  template <class T = Object>
  T* object(UInteger index) const {
    return static_cast<T*>(at(index));
  }
  UInteger count() const;

 private:
  void* at(UInteger index) const;
};

class Dictionary : public Copying<Dictionary> {
 public:
  static Dictionary* dictionary();
  static Dictionary* dictionary(const Object* pObject, const Object* pKey);
  static Dictionary* dictionary(const Object* const* pObjects, const Object* const* pKeys, UInteger count);
  static Dictionary* alloc();
  Dictionary* init();
  Dictionary* init(const Object* const* pObjects, const Object* const* pKeys, UInteger count);
  template <class T = Object>
  T* object(const Object* pKey) const {
    return static_cast<T*>(find(pKey));
  }
  UInteger count() const;

 private:
  void* find(const Object* pKey) const;
};

class URL : public Copying<URL> {
 public:
  static URL* fileURLWithPath(const String* pPath);
  static URL* alloc();
  URL* init();
  URL* init(const String* pString);
  URL* initFileURLWithPath(const String* pPath);
  const char* fileSystemRepresentation() const;
};

using ErrorDomain = String*;
using ErrorUserInfoKey = String*;
extern "C" ErrorUserInfoKey const LocalizedDescriptionKey;

class Error : public Copying<Error> {
 public:
  static Error* error(ErrorDomain domain, Integer code, Dictionary* pDictionary);
  static Error* alloc();
  Error* init();
  Error* init(ErrorDomain domain, Integer code, Dictionary* pDictionary);
  Integer code() const;
  ErrorDomain domain() const;
  Dictionary* userInfo() const;
  String* localizedDescription() const;
  String* localizedFailureReason() const;
};

class AutoreleasePool : public Object {
 public:
  static AutoreleasePool* alloc();
  AutoreleasePool* init();
  void drain();
  void addObject(Object* pObject);
  static void showPools();
};

struct OperatingSystemVersion {
  Integer majorVersion;
  Integer minorVersion;
  Integer patchVersion;
};

class ProcessInfo : public Referencing<ProcessInfo> {
 public:
  static ProcessInfo* processInfo();
  OperatingSystemVersion operatingSystemVersion() const;
  bool isOperatingSystemAtLeastVersion(OperatingSystemVersion version) const;
  unsigned long long physicalMemory() const;
};

/// Holds a reference; copies retain, the destructor releases.
template <class Class>
class SharedPtr {
 public:
  SharedPtr() : object_(nullptr) {}
  SharedPtr(std::nullptr_t) noexcept : object_(nullptr) {}
  SharedPtr(const SharedPtr& other) noexcept : object_(other.object_->retain()) {}
  template <class Other>
  SharedPtr(const SharedPtr<Other>& other, typename std::enable_if_t<std::is_convertible_v<Other*, Class*>>* = nullptr) noexcept
      : object_(other.get()->retain()) {}
  SharedPtr(SharedPtr&& other) noexcept : object_(other.object_) { other.object_ = nullptr; }
  template <class Other>
  SharedPtr(SharedPtr<Other>&& other, typename std::enable_if_t<std::is_convertible_v<Other*, Class*>>* = nullptr) noexcept
      : object_(other.get()) {
    other.detach();
  }
  ~SharedPtr() { object_->release(); }
  SharedPtr& operator=(const SharedPtr& other) {
    Class* old = object_;
    object_ = other.object_->retain();
    old->release();
    return *this;
  }
  template <class Other>
  std::enable_if_t<std::is_convertible_v<Other*, Class*>, SharedPtr&> operator=(const SharedPtr<Other>& other) {
    Class* old = object_;
    object_ = other.get()->retain();
    old->release();
    return *this;
  }
  SharedPtr& operator=(SharedPtr&& other) {
    if (this != &other) {
      object_->release();
      object_ = other.object_;
      other.object_ = nullptr;
    }
    return *this;
  }
  template <class Other>
  std::enable_if_t<std::is_convertible_v<Other*, Class*>, SharedPtr&> operator=(SharedPtr<Other>&& other) {
    object_->release();
    object_ = other.get();
    other.detach();
    return *this;
  }
  Class* get() const { return object_; }
  Class* operator->() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }
  void reset() {
    object_->release();
    object_ = nullptr;
  }
  void detach() { object_ = nullptr; }

  template <class Other>
  friend SharedPtr<Other> RetainPtr(Other* ptr);
  template <class Other>
  friend SharedPtr<Other> TransferPtr(Other* ptr);

 private:
  Class* object_;
};

/// A SharedPtr with a reference of its own.
template <class Class>
SharedPtr<Class> RetainPtr(Class* object) {
  SharedPtr<Class> p;
  p.object_ = object->retain();
  return p;
}

/// A SharedPtr that takes over the caller's reference.
template <class Class>
SharedPtr<Class> TransferPtr(Class* object) {
  SharedPtr<Class> p;
  p.object_ = object;
  return p;
}

template <class A, class B>
bool operator==(const SharedPtr<A>& a, const SharedPtr<B>& b) {
  return a.get() == b.get();
}
template <class A, class B>
bool operator!=(const SharedPtr<A>& a, const SharedPtr<B>& b) {
  return a.get() != b.get();
}

}  // namespace NS
