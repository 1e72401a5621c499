// rules.h — one call under one transformation, whether its rule was written or not.
//
// Order of preference: a written rule; `expand`, transformed; the other mode, transposed; for vmap, a loop
// over the examples. A call without any of these is an error that names the primitive.
#pragma once

#include "graph/marker.h"

namespace mx {

/// Tangents of the outputs for tangents of the inputs (undefined: zero).
Outs push_call(CallRecord& call, const Arrays& tangents);

/// Cotangents of the inputs where `need`, for cotangents of the outputs. Undefined: zero.
/// Inputs that cannot have one are struck from `need`.
Arrays pull_call(CallRecord& call, Outs cotangents, std::vector<bool>& need);

/// What errors say of the calls that a rule makes: where the user made the call that it is a rule of. Null if origins are
/// not traced, and for a rule that the user wrote, which has lines of its own.
std::shared_ptr<const std::string> origin_of_rule(const CallRecord& call, const char* rule);

/// Outputs, each with its batch axis in front, for inputs with a batch axis in front where `mapped`.
Outs vmap_call(CallRecord& call, const Arrays& inputs, const std::vector<bool>& mapped, int64_t size);

/// How a missing rule of a primitive is found: "written", "expand", "derived", "loop" or "none".
const char* jvp_source(const Primitive& p);
const char* vjp_source(const Primitive& p);
const char* vmap_source(const Primitive& p);

/// Transposes a linear map given as a function: with `linear` mapping arrays of `in_types` to arrays,
/// returns the cotangents of its inputs for `cotangents` of its outputs.
Arrays transpose_linear(const std::function<Arrays(const Arrays&)>& linear, const Types& in_types, const Arrays& cotangents);

}  // namespace mx
