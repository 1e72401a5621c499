#include "graph/effects.h"

namespace mx {

namespace {
thread_local Effects* innermost = nullptr;
}

Effects::Effects() : outer_(std::exchange(innermost, this)) {}
Effects::~Effects() { stop(); }
bool Effects::collecting() { return innermost != nullptr; }

void Effects::stop() {
  if (running_) innermost = outer_;
  running_ = false;
}

void add_effect(const array& token) {
  if (innermost) {
    innermost->tokens_.push_back(token);
  } else {
    token.eval();
  }
}

}  // namespace mx
