// What a kit refuses, each with the exit code that edgesft gives it.
#pragma once

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

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

/// This device, or this kit, lacks what it takes.
struct Unavailable : Refusal {
    using Refusal::Refusal;
};

inline int code_of(const std::exception& error) {
    if (dynamic_cast<const Broken*>(&error)) return 1;
    return dynamic_cast<const BadInput*>(&error) ? 2 : 4;
}

/// Kinds of preparation and decoding that bundles may have and this kit does not.
constexpr std::string_view ELSEWHERE[] = {"items", "symbols", "ranking", "mel", "diffusion", "latent", "none"};

/// Refuses a kind of `preparation` or `decoding` that this kit does not have.
///
/// Throws Unavailable where a bundle may have it, or Broken.
[[noreturn]] inline void refuse_kind(const std::string& part, const std::string& kind, const std::string& task) {
    if (std::find(std::begin(ELSEWHERE), std::end(ELSEWHERE), kind) == std::end(ELSEWHERE)) {
        throw Broken("contract.json: " + part + ".kind must be one that this kit knows, got '" + kind + "'");
    }
    throw Unavailable("this kit does not answer models for " + task + ", which need " + part + " '" + kind + "'");
}

}  // namespace edgesft
