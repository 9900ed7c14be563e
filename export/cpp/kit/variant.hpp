// Which model of a bundle a device takes (export/BUNDLE.md).
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <map>
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

/// What a provider runs on.
struct Chip {
    /// As the provider's option spells it.
    std::string name;
    /// Version of the vendor's libraries that the provider has; empty where nobody knows.
    std::string sdk;
};

/// What a selector must know of a device.
struct Device {
    /// The best first.
    std::vector<std::string> providers;
    std::string runtime, architecture;
    /// What the application may still take; nothing where that is not known.
    std::optional<std::int64_t> memory_bytes = {};
    /// Provider → what it runs on, where it takes what was compiled before.
    std::map<std::string, Chip> chips = {};
    /// Provider → its own options.
    std::map<std::string, Texts> options = {};
};

/// Providers that run what was compiled for one chip, and their option that names it.
constexpr std::pair<const char*, const char*> CHIPS[] = {{"QNNExecutionProvider", "soc_model"}};

/// Adds a provider of a device, asked for by its name or as `NAME:option=value,option=value`; among the options may be
/// `sdk`, the version of the vendor's libraries, which no runtime tells. False where an option has no value.
inline bool add_provider(Device& device, const std::string& text) {
    std::size_t colon = text.find(':');
    std::string name = text.substr(0, colon), rest = colon == std::string::npos ? "" : text.substr(colon + 1) + ',';
    Texts& options = device.options[name];
    std::string sdk;
    device.providers.push_back(name);
    for (std::size_t at = 0, end; at < rest.size(); at = end + 1) {
        end = rest.find(',', at);
        std::size_t middle = rest.find('=', at);
        if (middle >= end || middle == at || middle + 1 == end) return false;
        std::string key = rest.substr(at, middle - at), value = rest.substr(middle + 1, end - middle - 1);
        for (auto [provider, option] : CHIPS) {
            if (name == provider && key == option) device.chips[name].name = value;
        }
        if (key == "sdk") sdk = value;
        else options.emplace_back(key, value);
    }
    if (auto chip = device.chips.find(name); chip != device.chips.end()) chip->second.sdk = sdk;
    return colon == std::string::npos || rest.size() > 1;
}

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

/// Whether a chip runs what was compiled: the same one, with libraries that are no older.
inline bool compiled_for(const Fields& said, const Device& device, const std::string& provider) {
    auto chip = device.chips.find(provider);
    return chip != device.chips.end() && chip->second.name == said.text("chip") &&
           version_of(chip->second.sdk) >= version_of(said.text("sdk"));
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
           (architectures.empty() || has(architectures, device.architecture)) && (fixed || variant.flag("static")) &&
           (form != "context" || compiled_for(variant.object("compiled"), device, provider));
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
