// Where the time goes: what the runtime's own profiler writes, with the calls of each node added up.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "machine.hpp"
#include "reader.hpp"

namespace edgesft {

/// Inferences under the profiler that are left out: the first ones allocate.
constexpr int PROFILE_LEAD_IN = 3;

/// A folder of its own, gone with all that is in it when this is.
class TemporaryFolder {
  public:
    TemporaryFolder() {
#ifdef __ANDROID__
        const char* usual = "/data/local/tmp";  // where the shell of adb may write
#else
        const char* usual = "/tmp";
#endif
        const char* named = std::getenv("TMPDIR");
        path = (fs::path(named && *named ? named : usual) / "edgesft-XXXXXX").string();
        if (!mkdtemp(path.data())) throw Refusal("TMPDIR must be a folder that can be written to, got " + path);
    }

    TemporaryFolder(const TemporaryFolder&) = delete;

    ~TemporaryFolder() {
        std::error_code error;
        fs::remove_all(path, error);
    }

    std::string path;
};

namespace profiling {

inline std::string word(const Json& event, std::string_view name) {
    const Json* value = event.find(name);
    return value && value->as<std::string>() ? *value->as<std::string>() : "";
}

inline std::int64_t whole(const Json& event, std::string_view name) {
    const Json* value = event.find(name);
    return value && value->as<std::int64_t>() ? *value->as<std::int64_t>() : 0;
}

/// `[{"float": [1, 4]}]` as `[["float", [1, 4]]]`.
inline Json shapes(const Json& details, std::string_view name) {
    Json::List found;
    const Json* listed = details.find(name);
    for (const Json& each : listed && listed->as<Json::List>() ? *listed->as<Json::List>() : Json::List()) {
        const Json::Map* single = each.as<Json::Map>();
        if (single && !single->empty()) found.push_back(Json::List{single->front().first, single->front().second});
    }
    return found;
}

struct Node {
    std::string name, op, provider;
    Json inputs, outputs;
    std::int64_t calls = 0, us = 0;
};

}  // namespace profiling

/// The last `count` inferences of a profile: nanoseconds of each, and the nodes with their calls added up.
inline Json::Map summarised(const Json::List& events, std::size_t count) {
    using namespace profiling;
    constexpr std::string_view ending = "_kernel_time";
    std::vector<const Json*> runs;
    for (const Json& event : events) {
        if (word(event, "name") == "model_run") runs.push_back(&event);
    }
    if (runs.size() > count) runs.erase(runs.begin(), runs.end() - static_cast<std::ptrdiff_t>(count));
    std::vector<Node> nodes;
    for (const Json& event : events) {
        std::string name = word(event, "name");
        bool kernel = word(event, "cat") == "Node" && name.size() > ending.size() &&
                      name.compare(name.size() - ending.size(), ending.size(), ending) == 0;
        if (!kernel || runs.empty() || whole(event, "ts") < whole(*runs.front(), "ts")) continue;
        const Json* args = event.find("args");
        Json details = args ? *args : Json();
        name.resize(name.size() - ending.size());
        Node found{name, word(details, "op_name"), word(details, "provider"), {}, {}};
        auto same = [&](const Node& each) {
            return std::tie(each.name, each.op, each.provider) == std::tie(found.name, found.op, found.provider);
        };
        auto node = std::find_if(nodes.begin(), nodes.end(), same);
        if (node == nodes.end()) {
            found.inputs = shapes(details, "input_type_shape");
            found.outputs = shapes(details, "output_type_shape");
            node = nodes.insert(node, found);
        }
        node->calls += 1;
        node->us += whole(event, "dur");
    }
    Json::List run_ns, all;
    for (const Json* run : runs) run_ns.push_back(whole(*run, "dur") * 1000);
    for (const Node& node : nodes) {
        all.push_back(Json::Map{{"name", node.name},
                                {"op", node.op},
                                {"provider", node.provider},
                                {"calls", node.calls},
                                {"ns", node.us * 1000},
                                {"inputs", node.inputs},
                                {"outputs", node.outputs}});
    }
    return {{"run_ns", run_ns}, {"nodes", all}};
}

/// The events of the file that the profiler wrote.
inline Json::List events_in(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    Json read = Reader(text).read();
    if (!read.as<Json::List>()) throw Refusal("the runtime's profile must be a list, got " + path);
    return *read.as<Json::List>();
}

}  // namespace edgesft
