// Measuring one model by itself: every answer in the order in which a host would have asked.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "conversation.hpp"

namespace edgesft {

/// The asked provider, and the CPU behind it.
inline Json::List providers_of(const std::string& asked) {
    Json::List providers = {Json::Map{{"name", asked}}};
    if (asked != CPU) providers.push_back(Json::Map{{"name", CPU}});
    return providers;
}

/// Where answers go, one after another.
using Write = std::function<void(const Json::Map&)>;

/// What an agent of one model tells before it measures: where it runs, and what it loaded.
inline std::vector<Json::Map> loaded_alone(Agent& agent, const Fields& options) {
    Json load = Json::Map{{"model", options.text("model")},
                          {"providers", providers_of(options.text("provider"))},
                          {"threads", options.whole("threads", 0)}};
    std::vector<Json::Map> told = {ask(agent, "info", Json::Map()), ask(agent, "state", Json::Map()), ask(agent, "load", load)};
    told.push_back(ask(agent, "model", Json::Map()));
    return told;
}

/// Writes every answer of measuring one model alone. Throws Refusal where that cannot be done.
///
/// Args:
///     options: Of the command line, with `states`, input → output.
///     requests: Gives those that are taken in turn.
inline void measure_alone(Agent& agent, const Write& write, const Fields& options,
                          const std::function<std::vector<Arrays>()>& requests) {
    auto told = [&](const std::string& op, Json::Map fields = {}) {
        Json::Map reply = ask(agent, op, fields);
        write(reply);
        return Json(reply);
    };
    std::int64_t rounds = options.whole("rounds", 1), samples = options.whole("samples", 1);
    double seconds = options.number("seconds");
    for (const Json::Map& reply : loaded_alone(agent, options)) write(reply);
    const Json* states = options.given("states");
    if (states && !states->as<Json::Map>()->empty()) told("feedback", {{"states", *states}});
    agent.take(requests());
    told("first");
    Json warm = told("warm_up", {{"seconds", options.number("warmup-seconds")}});
    auto typical_ns = static_cast<double>(std::max<std::int64_t>(1, Fields("warm_up", warm).whole("typical_ns", 0)));
    auto enough = static_cast<std::int64_t>(std::ceil(seconds * 1e9 / static_cast<double>(rounds) / typical_ns));
    std::int64_t count = std::max((samples + rounds - 1) / rounds, enough);
    auto held = static_cast<std::int64_t>(agent.held());
    for (std::int64_t round = 0; round < rounds; ++round) {
        Numbers picks;
        for (std::int64_t index = round * count; index < round * count + std::min(count, held); ++index) {
            picks.push_back(index % held);
        }
        told("time", {{"count", count}, {"picks", picks}});
    }
    told("memory");
    told("state");
}

}  // namespace edgesft
