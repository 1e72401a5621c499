#include "transforms/function.h"

#include <mutex>
#include <unordered_set>

namespace mx {

namespace {
thread_local const std::string* running = nullptr;

// Names are few; a placeholder may outlive the call that made it, so they are kept.
const std::string& kept(std::string name) {
  static std::mutex lock;
  static auto* names = new std::unordered_set<std::string>;
  std::lock_guard guard(lock);
  return *names->insert(std::move(name)).first;
}
}  // namespace

FunctionName::FunctionName(const std::string& name) : outer_(running) { running = &kept(name); }
FunctionName::~FunctionName() { running = outer_; }

const char* placeholder_label(const char* transform) {
  return running ? kept(std::string(transform) + " " + *running).c_str() : transform;
}

}  // namespace mx
