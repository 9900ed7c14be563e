// What a kit refuses, each with the exit code that edgesft gives it.
#pragma once

#include "refusal.hpp"

namespace edgesft {

/// The bundle is not what it says it is, or answers otherwise than it did.
struct Broken : Refusal {
    using Refusal::Refusal;
};

/// What was asked for, or given, cannot be.
struct BadInput : Refusal {
    using Refusal::Refusal;
};

/// This device lacks what it takes.
struct Unavailable : Refusal {
    using Refusal::Refusal;
};

inline int code_of(const std::exception& error) {
    if (dynamic_cast<const Broken*>(&error)) return 1;
    return dynamic_cast<const BadInput*>(&error) ? 2 : 4;
}

}  // namespace edgesft
