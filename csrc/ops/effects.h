// effects.h — looking at values while a program runs.
#pragma once

#include "ops/effects_params.h"

namespace mx {

/// Tells `observer` the values of `xs`: at once if they can be computed, else, in a function that is being traced,
/// each time the traced function is evaluated. Under vmap once for each example; derivatives tell nothing more.
/// `text` stands for it in printed programs.
void debug_print(std::string text, Observer observer, const Arrays& xs);

/// `xs`, computed after the effects behind `tokens`. What is derived from them (cotangents, tangents) waits too.
Arrays with_effects(const Arrays& xs, const Arrays& tokens);

/// The same effect, but not before `x` is computed: makes it part of a trace that it does not depend on otherwise.
array effect_after(const array& token, const array& x);

}  // namespace mx
