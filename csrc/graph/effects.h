// effects.h — things that happen when a value is computed, such as printing it, in functions that return nothing of it.
//
// An effect is a node (a token) whose evaluation does the thing. Outside of traces it is evaluated at once. Whoever
// runs a function on placeholders collects the tokens it makes, and either lets its own outputs wait for them
// (compile, control flow), carries them along (vmap), or drops them (export: files have no effects).
#pragma once

#include "graph/array.h"

namespace mx {

/// Collects this thread's effects while it lives.
class Effects {
 public:
  Effects();
  ~Effects();
  Effects(const Effects&) = delete;
  Effects& operator=(const Effects&) = delete;

  /// The tokens so far, in order; from now on they are the caller's.
  Arrays take() { return std::exchange(tokens_, {}); }
  /// Ends the collection early, so that tokens can be given to whoever collects outside.
  void stop();
  /// Whether one lives on this thread.
  static bool collecting();

 private:
  Arrays tokens_;
  Effects* outer_;
  bool running_ = true;
  friend void add_effect(const array& token);
};

/// Gives a token to the innermost collection; evaluates it if there is none.
void add_effect(const array& token);

}  // namespace mx
