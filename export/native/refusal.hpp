// What cannot be done, in words for the other side.
#pragma once

#include <stdexcept>

namespace edgesft {

/// The request cannot be done; its text is the answer's `error`.
struct Refusal : std::runtime_error {
    using std::runtime_error::runtime_error;
};

}  // namespace edgesft
