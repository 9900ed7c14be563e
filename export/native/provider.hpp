// Options of a session, and the providers that it is made on.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fields.hpp"
#include "runtime.hpp"

namespace edgesft {

constexpr const char* CPU = "CPUExecutionProvider";

struct Provider {
    std::string name;
    Texts options;
};

/// What a session is made of, as `load` asks for it.
struct Origin {
    std::string model;
    std::vector<Provider> providers;
    std::int64_t threads = 1;
    std::string optimisation = "all";
    Texts config;

    /// The provider that must do the work.
    const std::string& asked() const { return providers.front().name; }
};

/// Provider → the name by which the runtime's general function takes it, where that is not its first word.
constexpr std::pair<const char*, const char*> SHORT_NAMES[] = {
    {"XnnpackExecutionProvider", "XNNPACK"},
    {"WebGpuExecutionProvider", "WebGPU"},
    {"AzureExecutionProvider", "AZURE"},
};

/// Providers that do not go by the session's threads, and their own option; it is set unless the request sets it.
constexpr std::pair<const char*, const char*> THREADS[] = {
    {"OpenVINOExecutionProvider", "num_of_threads"},
    {"XnnpackExecutionProvider", "intra_op_num_threads"},
};

/// Options of providers that have them capture their work as a graph, which they then repeat.
constexpr std::string_view GRAPHS[] = {"enable_cuda_graph", "trt_cuda_graph_enable", "enableGraphCapture"};

using Options = Owned<OrtSessionOptions>;

/// Whether a file is in ORT format. The runtime goes by its ending; the format's own mark is surer (its ort.fbs).
inline bool is_ort_format(const std::string& path) {
    char begin[8] = "";
    std::ifstream(path, std::ios::binary).read(begin, sizeof begin);
    return std::string(begin + 4, 4) == "ORTM";
}

inline GraphOptimizationLevel level_of(const std::string& optimisation) {
    if (optimisation == "all") return ORT_ENABLE_ALL;
    if (optimisation == "extended") return ORT_ENABLE_EXTENDED;
    if (optimisation == "basic") return ORT_ENABLE_BASIC;
    if (optimisation == "disabled") return ORT_DISABLE_ALL;
    throw Refusal("optimisation must be one of all, extended, basic, disabled, got '" + optimisation + "'");
}

/// Options of a session that runs one operator at a time on the origin's threads.
inline Options options_of(const Runtime& ort, const Origin& origin) {
    OrtSessionOptions* made = nullptr;
    ort.check(ort->CreateSessionOptions(&made));
    Options options(made, ort->ReleaseSessionOptions);
    ort.check(ort->SetIntraOpNumThreads(made, static_cast<int>(origin.threads)));
    ort.check(ort->SetInterOpNumThreads(made, 1));
    ort.check(ort->SetSessionLogSeverityLevel(made, ORT_LOGGING_LEVEL_ERROR));
    ort.check(ort->SetSessionGraphOptimizationLevel(made, level_of(origin.optimisation)));
    for (const auto& [name, value] : origin.config) {
        ort.check(ort->AddSessionConfigEntry(made, name.c_str(), value.c_str()));
    }
    if (is_ort_format(origin.model)) ort.check(ort->AddSessionConfigEntry(made, "session.load_model_format", "ORT"));
    return options;
}

/// NNAPI has a function of its own, which only Android's library has; `flags` are those of nnapi_provider_factory.h.
inline void append_nnapi(const Runtime& ort, OrtSessionOptions* options, const Provider& provider) {
    auto append = ort.symbol<OrtStatus*(OrtSessionOptions*, std::uint32_t)>(
        "OrtSessionOptionsAppendExecutionProvider_Nnapi");
    if (!append) throw Refusal("this runtime's library has no function that adds " + provider.name);
    std::uint32_t flags = 0;
    for (const auto& [name, value] : provider.options) {
        auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), flags);
        if (name != "flags" || error != std::errc() || end != value.data() + value.size()) {
            throw Refusal("options of " + provider.name + " must be 'flags', a number, got " + name + "=" + value);
        }
    }
    ort.check(append(options, flags));
}

inline void append(const Runtime& ort, OrtSessionOptions* options, const Provider& provider, std::int64_t threads) {
    if (provider.name == CPU) return;  // every session has it, behind all others
    if (provider.name == "NnapiExecutionProvider") return append_nnapi(ort, options, provider);
    std::string name = provider.name.substr(0, provider.name.rfind("ExecutionProvider"));
    for (const auto& [full, brief] : SHORT_NAMES) name = provider.name == full ? brief : name;
    Texts all = provider.options;
    for (const auto& [full, option] : THREADS) {
        auto same = [&, wanted = option](const auto& each) { return each.first == wanted; };
        bool set = std::any_of(all.begin(), all.end(), same);
        if (provider.name == full && !set) all.emplace_back(option, std::to_string(threads));
    }
    std::vector<const char*> keys, values;
    for (const auto& [key, value] : all) keys.push_back(key.c_str()), values.push_back(value.c_str());
    auto add = ort->SessionOptionsAppendExecutionProvider;
    ort.check(add(options, name.c_str(), keys.data(), values.data(), keys.size()));
}

/// Appends the first of the origin's providers, and behind it those of the others that the runtime has.
inline void append_all(const Runtime& ort, OrtSessionOptions* options, const Origin& origin) {
    std::vector<std::string> held = ort.providers();
    auto has = [&](const Provider& each) { return std::find(held.begin(), held.end(), each.name) != held.end(); };
    if (!has(origin.providers.front())) {
        std::string names;
        for (const std::string& name : held) names += (names.empty() ? "" : ", ") + name;
        std::string where = " is not in this onnxruntime " + ort.version + ", which has ";
        throw Refusal("provider " + origin.asked() + where + names);
    }
    for (const Provider& provider : origin.providers) {
        if (has(provider)) append(ort, options, provider, origin.threads);
    }
}

}  // namespace edgesft
