// function.h — what a transformation transforms: arrays in, arrays out. Containers are flattened outside.
#pragma once

#include <functional>
#include <string>

#include "graph/array.h"

namespace mx {

using Function = std::function<Arrays(const Arrays&)>;

/// Says for a scope what the function that is being traced is called, for errors about its placeholders.
class FunctionName {
 public:
  explicit FunctionName(const std::string& name);
  ~FunctionName();
  FunctionName(const FunctionName&) = delete;
  FunctionName& operator=(const FunctionName&) = delete;

 private:
  const std::string* outer_;
};

/// `transform` and the name of the running function, if there is one: what array::placeholder() takes. Lives for ever.
const char* placeholder_label(const char* transform);

}  // namespace mx
