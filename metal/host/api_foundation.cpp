// api_foundation.cpp — strings, arrays, dictionaries, URLs and errors of the double.

#include <unistd.h>

#include <functional>

#include "api_object.h"

namespace mx::metal::host {

Object* StringObject::copied() {
  auto* s = new StringObject;
  s->value = value;
  return s;
}

NS::String* string(const std::string& text) {
  auto* s = new StringObject;
  s->value = text;
  return autoreleased<NS::String>(s);
}

std::string text(const NS::String* s) {
  auto* o = argument<StringObject>(s, "NS::String");
  return o ? o->value : "";
}

void set_error(NS::Error** error, const char* domain, NS::Integer code, const std::string& message) {
  if (!error) return;
  auto* e = new ErrorObject;
  e->domain = domain;
  e->code = code;
  e->message = message;
  *error = autoreleased<NS::Error>(e);
}

namespace {
bool equal(const Object* a, const Object* b) {
  if (a == b) return true;
  auto* s = dynamic_cast<const StringObject*>(a);
  auto* t = dynamic_cast<const StringObject*>(b);
  return s && t && s->value == t->value;
}
}  // namespace

}  // namespace mx::metal::host

namespace NS {
using namespace mx::metal::host;
using HostObject = mx::metal::host::Object;

ErrorUserInfoKey const LocalizedDescriptionKey = [] {
  auto* s = new StringObject;
  s->value = "NSLocalizedDescription";
  return handle<String>(s);
}();

UInteger Object::hash() const {
  auto* s = cast<StringObject>(this);
  return s ? std::hash<std::string>()(s->value) : reinterpret_cast<UInteger>(this);
}
bool Object::isEqual(const Object* o) const { return equal(as_object(this), as_object(o)); }
String* Object::description() const {
  if (auto* s = cast<StringObject>(this)) return mx::metal::host::string(s->value);
  if (auto* e = cast<ErrorObject>(this)) return mx::metal::host::string(e->message);
  return mx::metal::host::string("<" + self<HostObject>(this, "description").name() + ">");
}
String* Object::debugDescription() const { return description(); }

// ---- String

String* String::string() { return mx::metal::host::string(""); }
String* String::string(const String* s) { return mx::metal::host::string(text(s)); }
String* String::string(const char* s, StringEncoding) {
  if (s) return mx::metal::host::string(s);
  fault("null", "String::string: the characters are null");
  return mx::metal::host::string("");
}
String* String::alloc() { return handle<String>(new StringObject); }
String* String::init() { return this; }
String* String::init(const String* s) {
  self<StringObject>(this, "String::init").value = text(s);
  return this;
}
String* String::init(const char* s, StringEncoding) {
  if (s) self<StringObject>(this, "String::init").value = s;
  return this;
}
// In UTF-16 units, as Foundation counts.
UInteger String::length() const {
  UInteger n = 0;
  for (unsigned char c : self<StringObject>(this, "String::length").value) n += (c & 0xc0) == 0x80 ? 0 : c >= 0xf0 ? 2 : 1;
  return n;
}
const char* String::cString(StringEncoding) const { return utf8String(); }
const char* String::utf8String() const { return self<StringObject>(this, "String::utf8String").value.c_str(); }
UInteger String::lengthOfBytes(StringEncoding) const { return self<StringObject>(this, "String::lengthOfBytes").value.size(); }
bool String::isEqualToString(const String* s) const { return equal(as_object(this), as_object(s)); }
const char* String::fileSystemRepresentation() const { return utf8String(); }
String* String::stringByAppendingString(const String* s) const { return mx::metal::host::string(text(this) + text(s)); }

// ---- Array

Array* Array::array() { return alloc()->autorelease(); }
Array* Array::array(const Object* o) { return array(&o, 1); }
Array* Array::array(const Object* const* objects, UInteger count) { return alloc()->init(objects, count)->autorelease(); }
Array* Array::alloc() { return handle<Array>(new ArrayObject); }
Array* Array::init() { return this; }
Array* Array::init(const Object* const* objects, UInteger count) {
  auto& a = self<ArrayObject>(this, "Array::init");
  for (UInteger i = 0; i < count; ++i) {
    if (auto* o = argument<HostObject>(objects[i], "Array::init")) a.items.emplace_back(o);
  }
  return this;
}
void* Array::at(UInteger index) const {
  auto& a = self<ArrayObject>(this, "Array::object");
  if (index < a.items.size()) return a.items[index].get();
  fault("array-bounds", "Array::object(" + std::to_string(index) + ") of an array of " + std::to_string(a.items.size()));
  return nullptr;
}
UInteger Array::count() const { return self<ArrayObject>(this, "Array::count").items.size(); }

// ---- Dictionary

Dictionary* Dictionary::dictionary() { return alloc()->autorelease(); }
Dictionary* Dictionary::dictionary(const Object* object, const Object* key) { return dictionary(&object, &key, 1); }
Dictionary* Dictionary::dictionary(const Object* const* objects, const Object* const* keys, UInteger count) {
  return alloc()->init(objects, keys, count)->autorelease();
}
Dictionary* Dictionary::alloc() { return handle<Dictionary>(new DictionaryObject); }
Dictionary* Dictionary::init() { return this; }
Dictionary* Dictionary::init(const Object* const* objects, const Object* const* keys, UInteger count) {
  auto& d = self<DictionaryObject>(this, "Dictionary::init");
  for (UInteger i = 0; i < count; ++i) {
    auto* o = argument<HostObject>(objects[i], "Dictionary::init");
    auto* k = argument<HostObject>(keys[i], "Dictionary::init");
    if (o && k) d.items.emplace_back(Ref<HostObject>(k), Ref<HostObject>(o));
  }
  return this;
}
void* Dictionary::find(const Object* key) const {
  for (auto& [k, o] : self<DictionaryObject>(this, "Dictionary::object").items) {
    if (equal(k.get(), as_object(key))) return o.get();
  }
  return nullptr;
}
UInteger Dictionary::count() const { return self<DictionaryObject>(this, "Dictionary::count").items.size(); }

// ---- URL

URL* URL::fileURLWithPath(const String* path) { return alloc()->initFileURLWithPath(path)->autorelease(); }
URL* URL::alloc() { return handle<URL>(new UrlObject); }
URL* URL::init() { return this; }
URL* URL::init(const String* s) {
  std::string t = text(s);
  self<UrlObject>(this, "URL::init").path = t.rfind("file://", 0) == 0 ? t.substr(7) : t;
  return this;
}
URL* URL::initFileURLWithPath(const String* path) {
  self<UrlObject>(this, "URL::initFileURLWithPath").path = text(path);
  return this;
}
const char* URL::fileSystemRepresentation() const { return self<UrlObject>(this, "URL::fileSystemRepresentation").path.c_str(); }

// ---- Error

Error* Error::error(ErrorDomain domain, Integer code, Dictionary* info) {
  return alloc()->init(domain, code, info)->autorelease();
}
Error* Error::alloc() { return handle<Error>(new ErrorObject); }
Error* Error::init() { return this; }
Error* Error::init(ErrorDomain domain, Integer code, Dictionary* info) {
  auto& e = self<ErrorObject>(this, "Error::init");
  e.domain = text(domain);
  e.code = code;
  if (info) {
    if (auto* s = info->object<String>(LocalizedDescriptionKey)) e.message = text(s);
  }
  return this;
}
Integer Error::code() const { return self<ErrorObject>(this, "Error::code").code; }
ErrorDomain Error::domain() const { return mx::metal::host::string(self<ErrorObject>(this, "Error::domain").domain); }
Dictionary* Error::userInfo() const { return Dictionary::dictionary(localizedDescription(), LocalizedDescriptionKey); }
String* Error::localizedDescription() const { return mx::metal::host::string(self<ErrorObject>(this, "Error::localizedDescription").message); }
String* Error::localizedFailureReason() const { return localizedDescription(); }

// ---- ProcessInfo

namespace {
struct ProcessObject : HostObject {
  static constexpr const char* kType = "NS::ProcessInfo";
  ProcessObject() : Object(kType) {}
};
}  // namespace

ProcessInfo* ProcessInfo::processInfo() {
  static auto* p = new ProcessObject;
  return handle<ProcessInfo>(p);
}
OperatingSystemVersion ProcessInfo::operatingSystemVersion() const { return {15, 0, 0}; }
bool ProcessInfo::isOperatingSystemAtLeastVersion(OperatingSystemVersion v) const {
  return v.majorVersion < 15 || (v.majorVersion == 15 && v.minorVersion == 0 && v.patchVersion == 0);
}
unsigned long long ProcessInfo::physicalMemory() const {
  return static_cast<unsigned long long>(sysconf(_SC_PHYS_PAGES)) * static_cast<unsigned long long>(sysconf(_SC_PAGE_SIZE));
}

}  // namespace NS
