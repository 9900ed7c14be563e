// Which model of a bundle a device takes (export/BUNDLE.md).
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fields.hpp"

namespace edgesft {

/// Providers that need models without free axes.
constexpr std::string_view STATIC[] = {"QNNExecutionProvider", "NnapiExecutionProvider", "CoreMLExecutionProvider",
                                       "VitisAIExecutionProvider"};

/// What a selector must know of a device.
struct Device {
    /// The best first.
    std::vector<std::string> providers;
    std::string runtime, architecture;
    /// What the application may still take; nothing where that is not known.
    std::optional<std::int64_t> memory_bytes = {};
};

/// A version as numbers that compare; what follows them (`rc1`, `+cpu`) does not count.
inline std::vector<int> version_of(std::string_view text) {
    text = text.substr(0, text.find('+'));
    std::vector<int> numbers;
    const char *at = text.data(), *end = at + text.size();
    while (at < end && numbers.size() < 3) {
        int number = 0;
        auto [after, error] = std::from_chars(at, end, number);
        if (error == std::errc()) numbers.push_back(number);
        at = error == std::errc() ? after : at + 1;
    }
    return numbers;
}

inline bool has(const std::vector<std::string>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

/// Whether a device can run a variant on one of its providers.
inline bool fits(const Json& json, const Device& device, const std::string& provider) {
    Fields variant("variant", json);
    std::vector<std::string> for_ = variant.words("providers"), architectures = variant.words("architectures");
    bool fixed = std::find(std::begin(STATIC), std::end(STATIC), provider) == std::end(STATIC);
    std::string form = variant.text("form");
    bool roomy = !device.memory_bytes || *device.memory_bytes >= variant.whole("memory_bytes", 0);
    return (has(for_, provider) || has(for_, "*")) && (form == "onnx" || form == "ort" || form == "context") &&
           version_of(device.runtime) >= version_of(variant.text("runtime")) && roomy &&
           (architectures.empty() || has(architectures, device.architecture)) && (fixed || variant.flag("static"));
}

/// The variant that a device takes, and the provider that runs it; nothing where there is none.
inline std::optional<std::pair<Json, std::string>> select(const Json::List& variants, const Device& device) {
    for (bool named : {true, false}) {
        for (const std::string& provider : device.providers) {
            for (const Json& variant : variants) {
                bool own = has(Fields("variant", variant).words("providers"), provider);
                if (own == named && fits(variant, device, provider)) return std::pair(variant, provider);
            }
        }
    }
    return std::nullopt;
}

}  // namespace edgesft
